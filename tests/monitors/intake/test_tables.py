"""Promises of tables: the same rows are the same records, whatever format they came in."""

import json

import pytest
from intake_samples import parquet

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
