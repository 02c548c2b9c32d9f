"""learners.durable: whole files, provable folders."""

import errno
import json
import os
import random

import pytest

from learners import durable
from learners.durable import DamagedFolder, IncompleteFolder, publish, verify, write_atomic, write_manifest


@pytest.fixture
def folder(tmp_path):
    """A complete folder of three files."""
    made = tmp_path / "made"
    (made / "weights").mkdir(parents=True)
    (made / "weights" / "model.safetensors").write_bytes(bytes(range(256)) * 64)
    (made / "version.json").write_text('{"id": "v1"}')
    (made / "empty").write_bytes(b"")
    write_manifest(made)
    return made


def test_a_complete_folder_verifies_with_its_digest(folder):
    assert len(verify(folder, durable.file_digest(folder / "manifest.json")).files) == 3


def test_writing_the_manifest_again_gives_the_same_digest(folder):
    assert write_manifest(folder) == write_manifest(folder)


def test_a_manifest_may_lie_outside_and_cover_a_nested_one(folder, tmp_path):
    digest = write_manifest(folder, at=tmp_path / "manifest.json")
    assert "manifest.json" in verify(folder, digest, at=tmp_path / "manifest.json").files


def test_a_folder_without_manifest_is_incomplete(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(IncompleteFolder, match="never finished"):
        verify(folder)


@pytest.mark.parametrize("junk", [b"", b"{", b'{"files": {"a": {"size_bytes": -1, "sha256": "0"}}}', b"\xff\x00"])
def test_a_manifest_that_is_none_is_incomplete(folder, junk):
    (folder / "manifest.json").write_bytes(junk)
    with pytest.raises(IncompleteFolder, match="cannot be read"):
        durable.read_manifest(folder)


def test_every_flipped_bit_of_a_weight_file_is_found(folder):
    weights = folder / "weights" / "model.safetensors"
    whole, chance = weights.read_bytes(), random.Random(0)
    for _ in range(300):
        place = chance.randrange(len(whole) * 8)
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        weights.write_bytes(damaged)
        with pytest.raises(DamagedFolder, match=r"model\.safetensors"):
            verify(folder)


def test_a_truncated_weight_file_is_refused_with_both_sizes(folder):
    os.truncate(folder / "weights" / "model.safetensors", 1000)
    with pytest.raises(DamagedFolder, match="16384 bytes, found 1000 bytes"):
        verify(folder)


def test_an_added_file_is_refused(folder):
    (folder / "weights" / "extra.bin").write_bytes(b"")
    with pytest.raises(DamagedFolder, match=r"weights/extra\.bin' should be absent"):
        verify(folder)


def test_a_missing_file_is_refused(folder):
    (folder / "empty").unlink()
    with pytest.raises(DamagedFolder, match="'empty' should be a file, found nothing"):
        verify(folder)


def test_a_file_replaced_by_a_link_to_its_own_bytes_is_refused(folder, tmp_path):
    (folder / "version.json").rename(tmp_path / "elsewhere")
    (folder / "version.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedFolder, match="link or special file"):
        verify(folder)


def test_a_linked_folder_is_refused(folder, tmp_path):
    (folder / "weights").rename(tmp_path / "weights")
    (folder / "weights").symlink_to(tmp_path / "weights")
    with pytest.raises(DamagedFolder, match="link or special file"):
        verify(folder)


def test_a_pipe_is_refused_and_not_opened(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(DamagedFolder, match="link or special file"):
        write_manifest(folder)


def test_swapped_files_of_equal_size_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    write_manifest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    with pytest.raises(DamagedFolder, match="SHA-256"):
        verify(tmp_path)


def test_a_manifest_edited_to_match_is_found_by_the_recorded_digest(folder):
    recorded = durable.file_digest(folder / "manifest.json")
    (folder / "version.json").write_text('{"id": "v2"}')
    write_manifest(folder)
    verify(folder)
    with pytest.raises(DamagedFolder, match=recorded):
        verify(folder, recorded)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "weights/../version.json"])
def test_a_path_in_a_manifest_is_never_opened(folder, name):
    document = json.loads((folder / "manifest.json").read_text())
    document["files"][name] = {"size_bytes": 1, "sha256": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(DamagedFolder, match="found nothing"):
        verify(folder)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    target = tmp_path / "state.json"
    write_atomic(target, "old")
    monkeypatch.setattr(os, "fsync", _raise(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_failed_sync_leaves_no_manifest(folder, monkeypatch):
    (folder / "manifest.json").unlink()
    monkeypatch.setattr(os, "fsync", _raise(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        write_manifest(folder)
    assert not (folder / "manifest.json").exists()


def test_a_half_written_manifest_of_an_earlier_try_is_not_listed(folder):
    (folder / ".manifest.json.abc.tmp").write_bytes(b"{")
    write_manifest(folder)
    assert len(verify(folder).files) == 3


def test_publishing_twice_gives_one_folder_and_keeps_the_staging(folder, tmp_path):
    first, second = publish(folder, tmp_path / "v1"), publish(folder, tmp_path / "v1")
    assert first == second == durable.file_digest(tmp_path / "v1" / "manifest.json")
    assert verify(folder) == verify(tmp_path / "v1", first)


def test_publishing_goes_on_after_the_staging_was_swept(folder, tmp_path):
    digest = publish(folder, tmp_path / "v1")
    folder.rename(tmp_path / "swept")
    assert publish(folder, tmp_path / "v1") == digest


def test_publishing_copies_where_there_are_no_hard_links(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", _raise(errno.EXDEV))
    verify(tmp_path / "v1", publish(folder, tmp_path / "v1"))
    assert (tmp_path / "v1" / "version.json").stat().st_nlink == 1


def test_publishing_never_replaces_another_folder(folder, tmp_path):
    publish(folder, tmp_path / "v1")
    (folder / "version.json").write_text("another")
    write_manifest(folder)
    with pytest.raises(DamagedFolder, match="digest"):
        publish(folder, tmp_path / "v1")


def test_publishing_an_incomplete_folder_is_refused(tmp_path):
    (tmp_path / "staging").mkdir()
    with pytest.raises(IncompleteFolder):
        publish(tmp_path / "staging", tmp_path / "v1")
    assert not (tmp_path / "v1").exists()


def test_publishing_clears_what_a_killed_try_left(folder, tmp_path):
    (tmp_path / ".v1.publishing" / "old").mkdir(parents=True)
    verify(tmp_path / "v1", publish(folder, tmp_path / "v1"))


def _raise(number):
    def fail(*_args, **_keywords):
        raise OSError(number, os.strerror(number))

    return fail
