"""What an update did to facts: a slice for each fate, and CKL's ratio of facts lost to facts gained."""

from __future__ import annotations

from typing import get_args

import pytest

from agent.cli import views
from agent.history import facts
from agent.history.diff import diff
from agent.store import Store, measurements
from monitors.gaps.changes import Change
from monitors.job import Measurement

ASKED = {"u1": "unchanged", "u2": "unchanged", "up": "updated", "n1": "new", "n2": "new", "plain": "number"}


def told(version: str, right: set[str], role: str = "target") -> list[Measurement]:
    """Measurements of every probe; those in `right` were answered."""
    return [
        Measurement(
            version=version, suite="fresh", suite_digest="d", role=role, probe=probe, slice=name, scorer="match",  # pyright: ignore[reportArgumentType]
            score=float(probe in right), engine="e",
        )
        for probe, name in ASKED.items()
    ]  # fmt: skip


def change(before: set[str], after: set[str], role: str = "target") -> facts.FactsChange | None:
    return facts.change_of_facts(list(zip(told("v1", before, role), told("v2", after, role), strict=True)))


def test_the_slices_are_those_that_probes_get():
    assert set(facts.SLICES) == set(get_args(Change))


def test_of_two_known_facts_one_was_lost_while_one_was_updated_and_half_of_the_new_acquired():
    found = change({"u1", "u2"}, {"u1", "up", "n1", "plain"})
    assert found is not None and found.fuar == pytest.approx(0.5 / (1.0 + 0.5))
    assert found.unchanged == facts.FactScores(2, 1.0, 0.5) and found.updated == facts.FactScores(1, 0.0, 1.0)


def test_where_nothing_was_gained_a_loss_has_no_ratio():
    found = change({"u1", "u2", "up"}, {"u1", "up"})
    assert found is not None and found.fuar is None and found.new == facts.FactScores(2, 0.0, 0.0)


def test_a_suite_of_ones_own_with_a_slice_of_that_name_is_not_taken_for_facts():
    assert change({"u1"}, {"u1", "n1"}, role="general") is None


def test_a_diff_tells_people_and_programs(store: Store, capsys: pytest.CaptureFixture[str]):
    with store.write() as tx:
        measurements.add_many(tx, [*told("v1", {"u1", "u2"}), *told("v2", {"u1", "up"})], "baseline-1")
        found = diff(tx, "v1", "v2").as_dict()
    assert found["facts"]["fuar"] == 0.5 and found["facts"]["new"] == {"items": 2, "before": 0.0, "after": 0.0}
    views.diff(found)
    assert "(FUAR): 0.50" in capsys.readouterr().out
