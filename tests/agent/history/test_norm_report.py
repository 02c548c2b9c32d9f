"""The report on norms: adoption, retention, residual and over-generalisation from stored scores, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from agent.cli import values_view
from agent.errors import NotFound
from agent.history.norms import report
from agent.store import measurements, norms, plans
from agent.store.columns import now
from monitors.job import Measurement
from tests.agent.operating import Operated

LINE: list[tuple[str, str | None]] = [("v1", "polite"), ("v2", "warm"), ("v3", None)]


def measure(world: Operated, version: str, name: str, right: int, near: int, engine: str = "e1") -> None:
    """Store scores on a norm's suite: `right` of ten items in its scope, `near` of four near misses."""
    items = [("in-scope", n, n < right) for n in range(10)] + [("near-miss", n, n < near) for n in range(4)]
    rows = [
        Measurement(version=version, suite=f"norm-{name}", suite_digest=f"file of {name}", role="target",
                    probe=f"{part}-{n}", slice=part, scorer="choice", score=float(score), engine=engine)
        for part, n, score in items
    ]  # fmt: skip
    with world.store.write() as tx:
        measurements.add_many(tx, rows, "test")


@pytest.fixture
def lived(operated: Operated) -> Operated:
    """v1 learned `polite`, v2 `warm` in its place, v3 something else; v0 to v2 were measured, v3 partly."""
    with operated.store.write() as tx:
        start = now() - timedelta(days=20)
        norms.add(tx, norms.Draft("polite", "Be polite.", start, suite="norm-polite"), "ann", "x")
        warm = norms.Draft("warm", "Be warm.", start + timedelta(days=9), suite="norm-warm")
        norms.revise(tx, "polite", warm, "ann", "x")
        norms.add(tx, norms.Draft("brief", "Be brief.", start), "ann", "x")
        norms.add(tx, norms.Draft("exact", "Be exact.", start, suite="norm-exact"), "ann", "x")
    for (parent, _), (version, learned) in pairwise([("v0", None), *LINE]):
        cycle = operated.cycle_in("planning", "no_action")
        told = [{"norm": learned, "change": "add", "suite": f"norm-{learned}"}] if learned else []
        with operated.store.write() as tx:
            plans.save(tx, cycle, {"norms": told}, "rules", "x")
        operated.publish(version, parent, cycle)
        operated.serve(version)
    for version, polite, warm, near in (("v0", 3, 2, 4), ("v1", 9, 2, 4), ("v2", 1, 8, 3)):
        measure(operated, version, "polite", polite, 4)
        measure(operated, version, "warm", warm, near)
    measure(operated, "v3", "warm", 6, 2)
    return operated


def read(world: Operated, name: str) -> dict[str, Any]:
    with world.store.read() as tx:
        (found,) = report(tx, name)
    return found


def column(found: dict[str, Any], name: str) -> list[float | None]:
    return [None if row[name] is None else round(row[name], 3) for row in found["versions"]]


def test_adoption_is_told_for_every_measured_version(lived: Operated):
    found = read(lived, "warm")
    assert [row["version"] for row in found["versions"]] == ["v0", "v1", "v2", "v3"]
    assert column(found, "adoption") == [0.2, 0.2, 0.8, 0.6]
    assert [row["items"] for row in found["versions"]] == [10] * 4


def test_retention_counts_from_the_version_that_learned_it(lived: Operated):
    found = read(lived, "warm")
    assert found["learned_by"] == "v2"
    assert column(found, "retention") == [None, None, 1.0, 0.75]


def test_the_residual_is_how_the_superseded_norm_is_followed(lived: Operated):
    assert column(read(lived, "warm"), "residual") == [0.3, 0.9, 0.1, None]
    assert column(read(lived, "polite"), "residual") == [None] * 3


def test_near_misses_count_for_over_generalisation_and_for_nothing_else(lived: Operated):
    assert column(read(lived, "warm"), "overgeneralisation") == [None, None, 0.25, 0.5]
    assert column(read(lived, "polite"), "overgeneralisation") == [None, 0.0, 0.0]


def test_a_retired_norm_has_a_residual_from_the_version_on_that_let_it_go(lived: Operated, capsys: Any):
    cycle = lived.cycle_in("planning", "no_action")
    with lived.store.write() as tx:
        norms.retire(tx, "warm", now(), "ann", "x")
        plans.save(tx, cycle, {"norms": [{"norm": "warm", "change": "retire", "suite": "norm-warm"}]}, "rules", "x")
    lived.publish("v4", "v3", cycle)
    lived.serve("v4")
    measure(lived, "v4", "warm", 3, 4)
    found = read(lived, "warm")
    assert (found["learned_by"], found["retired_by"], found["level"]) == ("v2", "v4", 0.2)
    assert column(found, "residual") == [0.3, 0.9, 0.1, None, 0.3]
    assert column(found, "retention") == [None, None, 1.0, 0.75, None]
    assert column(found, "overgeneralisation")[-1] == 0.0
    values_view.report([found])
    said = capsys.readouterr().out
    assert "let it go" in said and "without it 0.200 would be followed" in said


def test_scores_under_another_engine_setting_are_not_mixed_in(lived: Operated):
    measure(lived, "v2", "warm", 10, 4, engine="e2")
    found = read(lived, "warm")
    assert (found["engine"], column(found, "adoption")) == ("e1", [0.2, 0.2, 0.8, 0.6])


@pytest.mark.parametrize(("name", "told"), [("exact", "`cld probe run`"), ("brief", "without a suite")])
def test_a_norm_without_measurements_says_so_and_what_to_do(lived: Operated, name: str, told: str):
    found = read(lived, name)
    assert found["versions"] == () and told in found["missing"]


def test_an_unknown_norm_is_answered_with_the_nearest(lived: Operated):
    with pytest.raises(NotFound, match="did you mean 'warm'"):
        read(lived, "warn")


def test_people_see_a_table_for_each_norm_and_the_reasons_of_the_others(
    lived: Operated, capsys: pytest.CaptureFixture[str]
):
    with lived.store.read() as tx:
        rows: Sequence[dict[str, Any]] = report(tx)
    values_view.report(rows)
    said = capsys.readouterr().out
    assert "learned it" in said and "serves" in said and "0.750" in said
    assert "`cld probe run` measures the one that serves" in said and "polite: Be polite.; ended on" in said
