"""Promises of the watched folder: only settled regular files, nothing followed, nothing changed."""

import os
import socket
from pathlib import Path

import pytest

from monitors.sources import SOURCES, FileStamp, NotRegularFile, open_regular, open_source
from monitors.sources.folder import FolderSource


def nothing(_):
    """The ledger before anything was read."""
    return {}


def settle(source, known=None):
    """Two scans, far enough apart."""
    source.scan(lambda _: known or {}, 0.0)
    return [file.path.name for file in source.scan(lambda _: known or {}, 60.0)]


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def source(inbox: Path) -> FolderSource:
    return FolderSource(inbox, settle_seconds=2.0)


def test_a_file_is_listed_only_once_it_has_settled(inbox, source):
    (inbox / "a.txt").write_text("one")
    assert source.scan(nothing, 10.0) == []
    assert source.scan(nothing, 11.9) == []
    (file,) = source.scan(nothing, 12.0)
    assert file.path == inbox / "a.txt"
    assert file.stamp.size_bytes == 3


def test_a_growing_file_waits_until_it_stops_growing(inbox, source):
    for second in range(5):
        with (inbox / "log.jsonl").open("a") as file:
            file.write("{}\n")
        assert source.scan(nothing, second * 3.0) == []
    assert [file.path.name for file in source.scan(nothing, 14.0)] == ["log.jsonl"]


def test_a_file_rewritten_at_the_same_size_settles_anew(inbox, source):
    (inbox / "a.txt").write_text("one")
    source.scan(nothing, 0.0)
    (inbox / "a.txt").write_text("two")
    os.utime(inbox / "a.txt", ns=(5, 5))
    assert source.scan(nothing, 3.0) == []
    assert len(source.scan(nothing, 5.0)) == 1


def test_a_file_in_the_ledger_is_not_listed_and_is_again_when_it_changes(inbox, source):
    (inbox / "a.txt").write_text("one")
    source.scan(nothing, 0.0)
    (file,) = source.scan(nothing, 3.0)
    known = {str(file.path): file.stamp}
    assert source.scan(lambda _: known, 6.0) == []
    (inbox / "a.txt").write_text("one and more")
    assert settle(source, known) == ["a.txt"]


def test_only_files_that_are_there_are_looked_up(inbox, source):
    (inbox / "a.txt").write_text("one")
    (inbox / ".hidden").write_text("two")
    asked = []
    source.scan(lambda paths: asked.extend(paths) or {}, 0.0)
    assert asked == [str(inbox / "a.txt")]


def test_a_file_that_vanished_and_came_back_settles_anew(inbox, source):
    (inbox / "a.txt").write_text("one")
    stamp = (inbox / "a.txt").stat().st_mtime_ns
    source.scan(nothing, 0.0)
    (inbox / "a.txt").unlink()
    source.scan(nothing, 1.0)
    (inbox / "a.txt").write_text("one")
    os.utime(inbox / "a.txt", ns=(stamp, stamp))
    assert source.scan(nothing, 9.0) == []


@pytest.mark.parametrize(
    "name", [".hidden", "a~", "a.tmp", "a.part", "A.CRDOWNLOAD", "~$letter.docx", ".git/config", "#a#"]
)
def test_hidden_and_temporary_names_are_left_out(inbox, source, name):
    (inbox / name).parent.mkdir(exist_ok=True)
    (inbox / name).write_text("x")
    assert settle(source) == []
    assert source.refused == {}


def test_links_are_left_out_and_named(inbox, source, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("x")
    (inbox / "link.txt").symlink_to(secret)
    (inbox / "folder").symlink_to(tmp_path, target_is_directory=True)
    assert settle(source) == []
    assert set(source.refused) == {str(inbox / "link.txt"), str(inbox / "folder")}


def test_fifos_and_sockets_are_left_out_and_do_not_block(inbox, source):
    os.mkfifo(inbox / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(inbox / "s.txt"))
        assert settle(source) == []
    assert len(source.refused) == 2


def test_unprintable_names_are_refused_and_shown_printable(inbox, source):
    Path(os.fsdecode(os.fsencode(inbox) + b"/\xff.txt")).write_text("x")
    (inbox / "a\x1b[2J.txt").write_text("x")
    assert settle(source) == []
    assert len(source.refused) == 2
    assert all(path.isprintable() for path in source.refused)


def test_subfolders_are_entered_down_to_the_depth_cap(inbox):
    (inbox / "a/b/c").mkdir(parents=True)
    (inbox / "a/one.txt").write_text("x")
    (inbox / "a/b/c/three.txt").write_text("x")
    source = FolderSource(inbox, max_depth=2)
    assert settle(source) == ["one.txt"]
    assert list(source.refused) == [str(inbox / "a/b/c")]


def test_a_flood_is_capped_and_said(inbox):
    for number in range(30):
        (inbox / f"{number}.txt").write_text("x")
    source = FolderSource(inbox, max_entries=20)
    assert len(settle(source)) <= 20
    assert "more than 20 entries" in source.refused[str(inbox)]


def test_one_scan_returns_the_oldest_files_and_the_next_ones_the_rest(inbox):
    for number in range(5):
        (inbox / f"{number}.txt").write_text("x")
        os.utime(inbox / f"{number}.txt", ns=(number, 10 - number))
    source = FolderSource(inbox, max_settled=2)
    assert settle(source) == ["4.txt", "3.txt"]
    known = {str(inbox / f"{number}.txt"): FileStamp(1, 10 - number) for number in (3, 4)}
    assert settle(source, known) == ["2.txt", "1.txt"]


def test_a_missing_folder_is_named_with_the_remedy(tmp_path):
    source = FolderSource(tmp_path / "none")
    assert settle(source) == []
    assert "create it" in source.refused[str(tmp_path / "none")]


def test_an_unknown_kind_of_source_names_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"'ftp' is unknown: known are \['folder'\]"):
        open_source("ftp", tmp_path)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_in_the_table_opens(tmp_path, kind):
    assert open_source(kind, tmp_path, settle_seconds=1.0).scan(nothing, 0.0) == []


def test_a_regular_file_opens(inbox):
    (inbox / "a.txt").write_bytes(b"x")
    with open_regular(inbox / "a.txt") as file:
        assert file.read() == b"x"


def test_a_link_put_in_place_of_the_file_is_refused_at_open(inbox):
    (inbox / "a.txt").symlink_to("/etc/passwd")
    with pytest.raises(NotRegularFile, match=r"a\.txt"):
        open_regular(inbox / "a.txt")


def test_a_link_put_in_place_of_a_folder_is_refused_at_open(inbox, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.txt").write_text("x")
    (inbox / "sub").symlink_to(tmp_path / "other")
    with pytest.raises(NotRegularFile, match="'sub'"):
        open_regular(inbox / "sub/a.txt")


def test_a_fifo_put_in_place_of_the_file_is_refused_and_does_not_block(inbox):
    os.mkfifo(inbox / "a.txt")
    with pytest.raises(NotRegularFile, match="type is 'p'"):
        open_regular(inbox / "a.txt")


def test_a_fifo_that_wins_the_race_after_the_first_look_is_refused_too(inbox, monkeypatch):
    os.mkfifo(inbox / "a.txt")
    regular = inbox / "b.txt"
    regular.write_text("x")
    look = os.stat
    monkeypatch.setattr(os, "stat", lambda name, **keys: look(regular if name == "a.txt" else name))
    with pytest.raises(NotRegularFile):
        open_regular(inbox / "a.txt")


def test_devices_and_folders_are_refused_at_open(inbox):
    for path in (Path("/dev/zero"), inbox):
        with pytest.raises(NotRegularFile):
            open_regular(path)


@pytest.mark.parametrize("path", ["a.txt", "/tmp/../etc/passwd"])
def test_relative_and_climbing_paths_are_refused(path):
    with pytest.raises(ValueError, match="absolute path"):
        open_regular(Path(path))


def test_no_descriptor_leaks_on_refusal(inbox):
    (inbox / "a.txt").symlink_to("/etc/passwd")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(NotRegularFile):
            open_regular(inbox / "a.txt")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
