"""Promises about hostile files: each is refused alone, with its reason, at a bounded price."""

import io
import json
import subprocess
import sys
import zipfile

import pytest
from intake_samples import docx, parquet, pdf

from monitors.intake import documents, guards, tables
from monitors.intake.guards import Refused, excerpt, parse_json


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


def test_excerpt_is_short_and_printable():
    assert excerpt(b"\x1b[31m\xff\x00red\n\nline" + b"x" * 1000).isprintable()
    assert len(excerpt("y" * 1000)) == 200


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", '{"a": NaN}'])
def test_numbers_that_json_does_not_know_are_refused(text):
    with pytest.raises(Refused, match="JSON does not know"):
        parse_json(text)


def test_importing_intake_brings_neither_torch_nor_converters():
    code = (
        "import sys, monitors.intake, monitors.sources.folder;"
        "print([m for m in ('torch', 'markitdown', 'pyarrow', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
