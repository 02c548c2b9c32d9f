"""Promises of intake: every item is accounted for, hostile files are refused one by one, nothing else is lost."""

import io
import json
import os
import random
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from learners.records import read_records
from monitors.intake import FILE_TYPES, documents, guards, intake, tables
from monitors.intake.guards import Refused, excerpt, parse_json
from monitors.intake.passages import first_heading, split_passages
from monitors.job import IntakeFile, Quarantined


class Job:
    """A worker's job folder, without the worker."""

    def __init__(self, folder):
        self.output = folder / "output"
        self.said = []

    def progress(self, done, total, message):
        self.said.append((done, total, message))

    def check_stop(self):
        pass


class Read:
    """Runs intake over files and holds what came out."""

    def __init__(self, folder: Path, *files: Path, **limits):
        self.job = Job(folder)
        spec = {"source": "inbox", "files": [str(file) for file in files], **limits}
        self.result = intake(spec, self.job)
        self.records = list(read_records(self.job.output / "records.jsonl"))
        lines = (self.job.output / "quarantine.jsonl").read_text().splitlines()
        self.quarantine = [Quarantined.model_validate_json(line) for line in lines]
        assert sum(file.kept for file in self.result.files) == len(self.records) == sum(self.result.kinds.values())
        assert sum(file.quarantined for file in self.result.files) == len(self.quarantine)

    @property
    def counts(self):
        return [(file.read, file.kept, file.duplicate, file.quarantined) for file in self.result.files]

    @property
    def reasons(self):
        return [item.reason for item in self.quarantine]


@pytest.fixture
def read(tmp_path):
    """Writes one file and takes it in."""

    def run(name, data, **limits):
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return Read(tmp_path, path, **limits)

    return run


def docx(*paragraphs, headings=()):
    document = pytest.importorskip("docx").Document()
    for heading in headings:
        document.add_heading(heading, level=1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def pdf(text):
    """The smallest PDF with one line of text."""
    content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(bodies) + 1, table) + trailer


def parquet(rows):
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


# --- formats ---------------------------------------------------------------------------------------------------


def test_markdown_becomes_passages_with_the_documents_title(read):
    got = read("handbook.md", "# Refunds\n\nWithin 30 days.\n\n## Exceptions\n\nGift cards.\n")
    assert [record.content for record in got.records] == [
        {"text": "# Refunds\n\nWithin 30 days.", "title": "Refunds"},
        {"text": "## Exceptions\n\nGift cards.", "title": "Refunds"},
    ]
    assert got.records[1].origin == "handbook.md:passage 2"


def test_text_with_a_byte_order_mark_is_read(read):
    assert read("a.txt", b"\xef\xbb\xbfhello").records[0].content == {"text": "hello", "title": None}


def test_html_loses_scripts_and_keeps_its_title(read):
    page = "<html><head><title>Docs</title><script>alert(1)</script></head><body><h1>A</h1><p>Words.</p></body></html>"
    (record,) = read("a.html", page).records
    assert record.content == {"text": "# A\n\nWords.", "title": "Docs"}


def test_a_real_docx_is_read(read):
    (record,) = read("a.docx", docx("The plant opened in 2031.", headings=["Plant"])).records
    assert record.content == {"text": "# Plant\n\nThe plant opened in 2031.", "title": "Plant"}


def test_a_real_pdf_is_read(read):
    (record,) = read("a.pdf", pdf("The plant opened in 2031.")).records
    assert record.content["text"] == "The plant opened in 2031."


ROWS = [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}]


@pytest.mark.parametrize(
    "name, data",
    [
        ("a.jsonl", "\n".join(map(json.dumps, ROWS)) + "\n\n"),
        ("a.ndjson", "\ufeff" + "\r\n".join(map(json.dumps, ROWS))),
        ("a.json", json.dumps(ROWS, indent=1)),
        ("b.json", "\n".join(map(json.dumps, ROWS))),
        ("a.csv", "prompt,completion\na,b\nc,d\n"),
        ("a.CSV", '"prompt","completion"\r\n"a","b"\r\n\r\n"c","d"\r\n'),
        ("a.parquet", parquet(ROWS)),
    ],
)
def test_the_same_rows_are_the_same_records_in_every_table_format(read, name, data):
    got = read(name, data)
    assert got.counts == [(2, 2, 0, 0)]
    assert [record.content["messages"][0]["content"] for record in got.records] == ["a", "c"]
    assert got.result.kinds == {"instruction": 2}


def test_one_pretty_printed_json_object_is_one_row(read):
    assert read("a.json", json.dumps(ROWS[0], indent=2)).counts == [(1, 1, 0, 0)]


def test_parquet_with_nested_messages_and_nulls_is_read(read):
    rows = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "chosen": None}]
    assert read("a.parquet", parquet(rows)).result.kinds == {"instruction": 1}


def test_csv_cells_may_hold_line_ends(read):
    assert read("a.csv", 'text\n"one\ntwo"\n').records[0].content["text"] == "one\ntwo"


def test_a_long_text_row_becomes_passages(read):
    text = "\n\n".join(f"Paragraph {number} " + "word " * 30 for number in range(20))
    got = read("a.jsonl", json.dumps({"text": text, "title": "T"}), passage_characters=400)
    assert len(got.records) > 5
    assert all(len(record.content["text"]) <= 400 and record.content["title"] == "T" for record in got.records)
    assert got.records[1].origin == "a.jsonl:line 1, passage 2"


# --- accounting ------------------------------------------------------------------------------------------------


def test_malformed_lines_are_quarantined_one_by_one(read):
    lines = [b'{"text": "one"}', b'{"text": ', b'{"text": "\xff"}', b"[]", b'{"text": "one"}', b'{"text": NaN}', b'{"text": "two"}']
    got = read("a.jsonl", b"\n".join(lines))
    assert got.counts == [(7, 2, 1, 4)]
    assert [item.origin for item in got.quarantine] == [f"a.jsonl:line {number}" for number in (2, 3, 4, 6)]
    assert ["JSON" in got.reasons[0], "UTF-8" in got.reasons[1], "list" in got.reasons[2], "NaN" in got.reasons[3]] == [True] * 4


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


# --- hostile files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [guards.MAX_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize("name, wrap", [("a.jsonl", "{}"), ("a.json", "[{}]")])
def test_deep_json_is_refused(read, depth, name, wrap):
    line = '{"text": ' + "[" * depth + "]" * depth + "}"
    got = read(name, wrap.format(line) if wrap != "{}" else line)
    assert got.counts == [(1, 0, 0, 1)]
    assert "nested" in got.reasons[0] or "recursion" in got.reasons[0]


def test_a_huge_line_is_refused_and_the_next_one_read(read):
    got = read("a.jsonl", json.dumps({"text": "x" * 5000}) + '\n{"text": "ok"}', max_line_bytes=1000)
    assert got.counts == [(2, 1, 0, 1)]
    assert "at most 1000" in got.reasons[0]


def test_a_huge_csv_field_is_refused_and_the_next_row_read(read):
    got = read("a.csv", "text\n" + "x" * 5000 + "\nok\n", max_line_bytes=1000)
    assert [record.content["text"] for record in got.records] == ["ok"]
    assert len(got.quarantine) == 1


def test_a_huge_parquet_row_is_refused_and_the_next_one_read(read):
    got = read("a.parquet", parquet([{"text": "x" * 5000}, {"text": "ok"}]), max_line_bytes=1000)
    assert got.counts == [(2, 1, 0, 1)]


def test_csv_rows_that_do_not_fit_the_header_are_refused(read):
    got = read("a.csv", "prompt,completion\na\na,b,c\na,b\n")
    assert got.counts == [(3, 1, 0, 2)]
    assert got.reasons[0] == "has 1 fields, its header has 2"


def test_a_bad_byte_in_a_csv_refuses_its_row_alone(read):
    got = read("a.csv", b"text\nok\nb\xff\nfine\n")
    assert got.counts == [(3, 2, 0, 1)]
    assert "UTF-8" in got.reasons[0]


def test_a_long_number_is_refused(read):
    assert read("a.jsonl", '{"text": ' + "9" * 5000 + "}").counts == [(1, 0, 0, 1)]


def test_a_big_file_is_refused_unread(read):
    got = read("a.txt", "x" * 2000, max_file_bytes=1000)
    assert got.counts == [(1, 0, 0, 1)]
    assert got.result.files[0].sha256 == ""


def test_a_binary_file_under_a_text_name_is_refused(read):
    assert "NUL" in read("a.txt", b"abc\x00def").reasons[0]


def test_an_unknown_name_ending_is_refused_with_the_known_ones(read):
    got = read("weights.pkl", b"\x80\x04cos\nsystem\n.")
    assert "'.pkl'" in got.reasons[0]
    assert ".parquet" in got.reasons[0]


def test_a_document_without_text_is_refused(read):
    assert "holds no text" in read("a.md", " \n\n").reasons[0]


def test_excerpts_and_reasons_hold_no_control_characters(read):
    got = read("a.jsonl", '{"\x1b]0;owned\x07": "\u202e"}\n{"\\u001b[2J": 1}')
    assert len(got.quarantine) == 2
    assert all(item.excerpt.isprintable() and item.reason.isprintable() for item in got.quarantine)
    assert all(len(item.excerpt) <= 200 for item in got.quarantine)


def bomb(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size in members.items():
            archive.writestr(name, b" " * size)
    return stream.getvalue()


def test_a_docx_that_unpacks_to_too_much_is_refused_before_it_does(read, monkeypatch):
    monkeypatch.setattr(documents, "_MAX_EXPANDED_BYTES", 1_000_000)
    data = bomb({"word/document.xml": 2_000_000})
    assert len(data) < 10_000
    assert "unpacks to 2000000 bytes" in read("a.docx", data).reasons[0]


def test_a_docx_that_lies_about_its_size_does_not_unpack_more(read, monkeypatch):
    monkeypatch.setattr(documents, "_MAX_EXPANDED_BYTES", 1_000_000)
    data = bomb({"word/document.xml": 2_000_000}).replace((2_000_000).to_bytes(4, "little"), (99).to_bytes(4, "little"))
    assert read("a.docx", data).counts == [(1, 0, 0, 1)]


def test_a_docx_with_entities_that_multiply_is_refused(read):
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE w [<!ENTITY e0 "lol">{entities}]><w>&e9;</w>'
    stream = io.BytesIO(docx("x"))
    with zipfile.ZipFile(stream) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["word/document.xml"] = body.encode()
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert "cannot be converted" in read("a.docx", stream.getvalue()).reasons[0]


@pytest.mark.parametrize("name", ["a.docx", "a.pdf", "a.parquet"])
def test_a_file_that_is_not_what_its_name_says_is_refused(read, name):
    assert read(name, b"just words").counts == [(1, 0, 0, 1)]


def test_deeply_nested_html_does_not_end_the_job(read):
    assert len(read("a.html", "<div>" * 3000 + "words" + "</div>" * 3000).records) == 1


def test_a_converter_out_of_memory_is_not_blamed_on_the_file(read, monkeypatch):
    def convert(data):
        return documents._converted(lambda: (_ for _ in ()).throw(MemoryError()))

    monkeypatch.setitem(documents.DOCUMENTS, ".pdf", convert)
    with pytest.raises(MemoryError):
        read("a.pdf", pdf("x"))


def test_a_parquet_that_unpacks_to_too_much_is_refused(read, monkeypatch):
    monkeypatch.setattr(tables, "_MAX_EXPANDED_BYTES", 100)
    assert "unpacks to" in read("a.parquet", parquet([{"text": f"{n}"} for n in range(1000)])).reasons[0]


# --- races -----------------------------------------------------------------------------------------------------


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


# --- parts -----------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab .#\n`~é", max_size=600), st.integers(10, 80))
def test_passages_are_bounded_and_lose_nothing_but_blanks(text, bound):
    passages = split_passages(text, bound)
    assert all(0 < len(passage) <= bound for passage in passages)
    assert "".join("".join(passages).split()) == "".join(text.split())


def test_passages_end_at_headings_and_keep_headings_with_their_text():
    text = "# A\n\n## B\n\none\n\ntwo\n\n## C\n\nthree"
    assert split_passages(text, 100) == ["# A\n\n## B\n\none\n\ntwo", "## C\n\nthree"]


def test_a_code_fence_is_not_cut_at_blank_lines_or_comments():
    text = "before\n\n```\n# no heading\n\nx = 1\n```\n\nafter"
    assert "```\n# no heading\n\nx = 1\n```" in split_passages(text, 40)
    assert first_heading(text) is None


def test_long_paragraphs_are_cut_at_sentences():
    assert split_passages("One two three four. Five six seven eight. Nine ten.", 45) == [
        "One two three four. Five six seven eight.", "Nine ten."]  # fmt: skip


@pytest.mark.parametrize("line", ["# a" + " " * 200_000 + "b", "#" * 200_000, "x" * 2_000_000, ". " * 200_000])
def test_cutting_is_linear_in_hostile_lines(line):
    passages = split_passages(line, 1600)
    assert sum(map(len, passages)) <= len(line)


def test_excerpt_is_short_and_printable():
    assert excerpt(b"\x1b[31m\xff\x00red\n\nline" + b"x" * 1000).isprintable()
    assert len(excerpt("y" * 1000)) == 200


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", '{"a": NaN}'])
def test_numbers_that_json_does_not_know_are_refused(text):
    with pytest.raises(Refused, match="JSON does not know"):
        parse_json(text)


def test_importing_intake_brings_neither_torch_nor_converters():
    import subprocess

    code = "import sys, monitors.intake, monitors.sources, monitors.sources.folder; print([m for m in ('torch', 'markitdown', 'pyarrow', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
