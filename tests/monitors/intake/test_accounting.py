"""Promise P9: every item read is kept, a duplicate or in quarantine, and a file that moves counts for nothing."""

import json
import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intake_samples import Read, docx, parquet, pdf
from pydantic import ValidationError

from monitors.intake import FILE_TYPES
from monitors.intake_job import IntakeFile

ROWS = [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}]


def test_malformed_lines_are_quarantined_one_by_one(read):
    lines = [
        b'{"text": "one"}',
        b'{"text": ',
        b'{"text": "\xff"}',
        b"[]",
        b'{"text": "one"}',
        b'{"text": NaN}',
        b'{"text": "two"}',
    ]
    got = read("a.jsonl", b"\n".join(lines))
    assert got.counts == [(7, 2, 1, 4)]
    assert [item.origin for item in got.quarantine] == [f"a.jsonl:line {number}" for number in (2, 3, 4, 6)]
    assert ["JSON" in got.reasons[0], "UTF-8" in got.reasons[1], "list" in got.reasons[2], "NaN" in got.reasons[3]] == [
        True
    ] * 4


def test_duplicates_across_the_files_of_a_job_are_counted_once(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"text": "one"}\n')
    got = Read(tmp_path, tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert got.counts == [(1, 1, 0, 0), (1, 0, 1, 0)]


def test_books_that_do_not_balance_cannot_be_reported():
    with pytest.raises(ValidationError, match="3 items read but 2 accounted for"):
        IntakeFile(path="a", size_bytes=1, mtime_ns=1, sha256="", read=3, kept=1, duplicate=1, quarantined=0)


def test_the_result_carries_the_stamp_and_hash_of_what_was_read(read, tmp_path):
    (file,) = read("a.txt", "hello").result.files
    status = (tmp_path / "a.txt").stat()
    assert (file.size_bytes, file.mtime_ns) == (5, status.st_mtime_ns)
    assert file.sha256.startswith("2cf24dba5fb0a30e")


def test_files_are_left_where_and_as_they_were(read, tmp_path):
    read("a.jsonl", '{"text": "one"}\nbroken\n')
    assert (tmp_path / "a.jsonl").read_text() == '{"text": "one"}\nbroken\n'


def test_ten_thousand_random_lines_are_all_accounted_for(read):
    noise = random.Random(7)
    good = json.dumps({"prompt": "a", "completion": "b"}).encode()
    lines = []
    for number in range(10_000):
        line = bytearray(good if number % 3 else json.dumps({"text": f"t{number % 50}"}).encode())
        if number % 2:
            line[noise.randrange(len(line))] = noise.choice([c for c in range(256) if c not in (10, 13, 32, 9)])
        lines.append(bytes(line))
    got = read("a.jsonl", b"\n".join(lines))
    (count,) = got.counts
    assert count[0] == 10_000
    assert count[3] > 1_000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), suffix=st.sampled_from(sorted(set(FILE_TYPES) - {".pdf", ".docx"})))
def test_any_bytes_under_any_name_are_read_to_the_end(tmp_path, data, suffix):
    (tmp_path / f"a{suffix}").write_bytes(data)
    assert len(Read(tmp_path, tmp_path / f"a{suffix}").result.files) == 1


@pytest.mark.parametrize("suffix, make", [(".docx", lambda: docx("some words")), (".pdf", lambda: pdf("some words")),
                                          (".parquet", lambda: parquet(ROWS))])  # fmt: skip
def test_damaged_containers_are_refused_alone(read, suffix, make):
    noise, whole = random.Random(3), make()
    for _ in range(15):
        data = bytearray(whole)
        for _ in range(8):
            data[noise.randrange(len(data))] = noise.randrange(256)
        got = read(f"a{suffix}", bytes(data[: noise.randrange(len(data) // 2, len(data) + 1)]))
        assert len(got.result.files) == 1


def test_a_link_in_place_of_the_file_defers_it(tmp_path):
    (tmp_path / "a.txt").symlink_to("/etc/passwd")
    got = Read(tmp_path, tmp_path / "a.txt")
    assert got.result.files == ()
    assert "link" in got.result.deferred[str(tmp_path / "a.txt")] or "type is 'l'" in str(got.result.deferred)


def test_a_fifo_in_place_of_the_file_defers_it_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert list(Read(tmp_path, tmp_path / "a.txt").result.deferred) == [str(tmp_path / "a.txt")]


def test_a_file_that_vanished_is_deferred_and_the_others_are_read(tmp_path):
    (tmp_path / "b.txt").write_text("words")
    got = Read(tmp_path, tmp_path / "a.txt", tmp_path / "b.txt")
    assert list(got.result.deferred) == [str(tmp_path / "a.txt")]
    assert got.counts == [(1, 1, 0, 0)]


def test_a_file_that_grows_while_it_is_read_is_deferred_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n')
    stat = os.fstat

    def growing(descriptor):
        status = stat(descriptor)
        with path.open("a") as file:
            file.write('{"text": "more"}\n')
        return status

    monkeypatch.setattr(os, "fstat", growing)
    got = Read(tmp_path, path)
    monkeypatch.undo()
    assert "changed while it was read" in got.result.deferred[str(path)]
    assert got.records == []


def test_an_unreadable_file_is_refused_once_rather_than_tried_for_ever(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("x")

    def deny(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("monitors.intake.open_regular", deny)
    got = Read(tmp_path, path)
    assert got.counts == [(1, 0, 0, 1)]
    assert "Permission denied" in got.reasons[0]
