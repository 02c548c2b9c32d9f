"""The benchmark of measuring: medians of stored turns, equal answers on the tiny model, nothing timed twice."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
from rich.console import Console

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")

from benchmarks import measurement
from benchmarks.measurement import Stored, Timing, compare, main, write_tasks
from monitors.probes.suites import load_suite
from tests.tiny import tiny_base


def timing(backend, turn, seconds):
    return Timing(kind="choice", backend=backend, turn=turn, items=10, seconds=seconds, cpu_seconds=seconds / 2)


def test_the_ratio_is_that_of_the_medians():
    rows = [timing("cld", turn, seconds) for turn, seconds in enumerate((1.0, 9.0, 2.0))]
    rows += [timing("harness", turn, seconds) for turn, seconds in enumerate((5.0, 4.0, 6.0))]
    found = compare(Stored(timings=rows, equal={"choice": 9}), "choice")
    assert (found.ratio, found.cpu_ratio, found.cld_items_per_second, found.equal) == (2.5, 2.5, 5.0, 9)


def test_the_tasks_are_the_same_every_time_and_hold_so_many_items(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (write_tasks(tmp_path / name, 6) for name in ("a", "b"))
    assert [load_suite(path).digest for path in first.values()] == [load_suite(path).digest for path in second.values()]
    assert set(first) == {"choice", "generation", "loglikelihood"}


def test_a_turn_that_was_cut_off_is_taken_again_by_both(tmp_path, monkeypatch):
    asked, stored = [], Stored()

    def cut(requests):
        raise KeyboardInterrupt

    def answering(name):
        return lambda requests: asked.append(name) or [(-1.0, True)] * len(requests)

    monkeypatch.setattr(measurement, "_requests", lambda items: [("choice", ["a", "b"], 2)])
    monkeypatch.setattr(measurement, "_ours", lambda *_: answering("cld"))
    for theirs, ends in ((cut, True), (answering("harness"), False)):
        monkeypatch.setattr(measurement, "_theirs", lambda *_, theirs=theirs: theirs)
        with pytest.raises(KeyboardInterrupt) if ends else nullcontext():
            measurement._measure(stored, tmp_path / "s.json", tmp_path, 2, 1, "float32", 1, 1, Console(quiet=True))
    assert asked == ["cld", "cld", "harness"] and compare(stored, "choice").equal == 2
    assert Stored.model_validate_json((tmp_path / "s.json").read_bytes()) == stored


@pytest.mark.slow
def test_both_backends_answer_alike_and_nothing_is_timed_twice(tmp_path, monkeypatch, capsys):
    options = {"model": str(tiny_base(tmp_path)), "items": 4, "turns": 1, "dtype": "float32", "batch": 2, "threads": 1,
               "out": tmp_path, "fresh": False, "as_json": True}  # fmt: skip
    main(**options)
    first = json.loads(capsys.readouterr().out)
    assert {kind: row["equal"] for kind, row in first["kinds"].items()} == dict.fromkeys(first["kinds"], 4)
    monkeypatch.setattr(measurement, "_measure", None)
    main(**options)
    assert json.loads(capsys.readouterr().out) == first
