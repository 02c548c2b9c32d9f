"""Promises of `cld probe matrix`: every promoted version on every suite, what is missing, the drift and the chain."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from agent.store import measurements, versions
from monitors.job import Measurement, Role
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated


def measure(
    world: Operated, version: str, suite: str, right: int, of: int = 20, *, role: Role = "general", engine: str = "e1"
) -> None:
    """Store a version's scores on a suite: `right` of its items are right."""
    rows = [
        Measurement(
            version=version, suite=suite, suite_digest=f"file of {suite}", role=role, probe=f"p{number:03}", slice="s",
            scorer="choice", score=float(number < right), engine=engine,
        )
        for number in range(of)
    ]  # fmt: skip
    with world.store.write() as tx:
        measurements.add_many(tx, rows, "test")


def learn(world: Operated, number: int, parent: str) -> str:
    """A version made by a cycle, which is promoted."""
    version = f"v{number}"
    world.publish(version, parent, world.cycle_in("planning", "no_action"))
    world.serve(version)
    return version


@pytest.fixture
def grown(operated: Operated) -> Operated:
    """v0 -> v1 -> v2 serves; v3 was promoted and rolled back. Each learned a suite of its own; v2 lacks v1's."""
    for number in (1, 2, 3):
        learn(operated, number, f"v{number - 1}")
    operated.serve("v2", "rollback")
    for version, right in (("v0", 18), ("v1", 17), ("v2", 16), ("v3", 4)):
        measure(operated, version, "arc", right)
    for version, suite, right in (
        ("v0", "c1", 2),
        ("v1", "c1", 16),
        ("v0", "c2", 4),
        ("v1", "c2", 6),
        ("v2", "c2", 14),
    ):
        measure(operated, version, f"{suite}-target", right, role="target")
    return operated


def read(cld: Cld, *words: str) -> dict[str, Any]:
    """The matrix as JSON."""
    said = cld("probe", "matrix", *words, "--json")
    assert said.code == 0, said.err
    return said.json["matrix"]


def metrics(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The chain's metrics by name."""
    return {row["metric"]: row for row in found["chain"]["readings"]}


def test_every_promoted_version_stands_in_every_row(grown: Operated, cld: Cld):
    found = read(cld)
    means = {row["suite"]: [cell["mean"] for cell in row["cells"]] for row in found["suites"]}
    assert (found["versions"], found["line"], found["anchor"]) == (["v0", "v1", "v2", "v3"], ["v0", "v1", "v2"], "v0")
    assert means["arc"] == [0.9, 0.85, 0.8, 0.2]
    assert means["c1-target"] == [0.1, 0.8, None, None]


def test_a_candidate_that_never_served_is_left_out_and_an_anchor_never_is(grown: Operated, cld: Cld):
    grown.publish("v9", "v2")
    measure(grown, "v9", "arc", 1)
    assert "v9" not in read(cld)["versions"]
    with grown.store.write() as tx:
        versions.set_anchor(tx, "v9", "ada", "test")
    assert read(cld)["versions"][-1] == "v9"


def test_the_drift_runs_along_the_serving_line_to_the_anchor(grown: Operated, cld: Cld):
    drift = next(row["drift"] for row in read(cld)["suites"] if row["suite"] == "arc")
    assert (drift["since_anchor"], drift["worst_step"]) == (pytest.approx(-0.1), pytest.approx(-0.05))
    assert drift["low"] < -0.1 < drift["high"]


def test_what_came_back_of_a_loss_is_told(grown: Operated, cld: Cld):
    for version, right in (("v0", 18), ("v1", 6), ("v2", 15)):
        measure(grown, version, "piqa", right)
    assert "75% of what v1 lost of piqa since v0 came back by v2, 1 update(s) later" in cld("probe", "matrix").out


def test_every_update_has_its_deltas_against_parent_and_anchor(grown: Operated, cld: Cld):
    deltas = read(cld)["deltas"]
    gad = {(version, against): each[against][0]["value"] for version, each in deltas.items() for against in each}
    assert gad == pytest.approx(
        {("v1", "parent"): -0.05, ("v1", "anchor"): -0.05, ("v2", "parent"): -0.05, ("v2", "anchor"): -0.1}
    )


def test_metrics_are_computed_where_scores_allow_and_name_what_they_lack(grown: Operated, cld: Cld):
    found = metrics(read(cld))
    assert found["fwt_gem"]["value"] == pytest.approx(0.1)
    assert (found["bwt_gem"]["value"], found["bwt_gem"]["missing"]) == (None, [["v2", "c1-target"]])
    assert "bwt_gem: 1 of the 2 scores that it reads are missing: v2 on c1-target" in cld("probe", "matrix").out
    measure(grown, "v2", "c1-target", 12, role="target")
    found = metrics(read(cld))
    assert found["bwt_gem"]["value"] == pytest.approx(-0.2)
    assert found["forgetting_since_learned"]["value"] == pytest.approx(0.2)
    assert found["acc"]["value"] == pytest.approx((0.6 + 0.7) / 2)


def test_missing_cells_are_told_apart_for_people(grown: Operated, cld: Cld):
    measure(grown, "v1", "piqa", 5, engine="e0")
    measure(grown, "v2", "piqa", 5)
    out = cld("probe", "matrix").out
    row = next(line for line in out.splitlines() if line.strip().startswith("piqa"))
    assert row.split()[3:7] == ["-", "?", "0.250", "-"]
    assert "v1 on piqa: measured under e0 only" in out
    assert "--engine shows another: e0 (20 scores)" in out


def test_versions_are_marked_and_the_newest_are_shown_beside_the_anchor(grown: Operated, cld: Cld):
    out = cld("probe", "matrix").out
    assert "v0 (anchor)" in out and "v2 (serves)" in out and "v3 (rolled back)" in out
    short = cld("probe", "matrix", "--limit", "1").out
    assert "the newest of 4 versions" in short and "v3 (rolled back)" in short and "v1 learned c1-target" in short
    assert "v2 (serves)" not in short


def test_suites_are_chosen_by_role_and_name_and_the_metrics_stay(grown: Operated, cld: Cld):
    found = read(cld, "--role", "target")
    assert [row["suite"] for row in found["suites"]] == ["c1-target", "c2-target"]
    assert [row["suite"] for row in read(cld, "--suite", "arc")["suites"]] == ["arc"]
    assert metrics(found) == metrics(read(cld)) and found["deltas"] == read(cld)["deltas"]


@pytest.mark.parametrize("words", [("--role", "safety"), ("--suite", "acr"), ("--engine", "e9")])
def test_what_nobody_measured_is_refused_with_what_there_is(grown: Operated, cld: Cld, words: tuple[str, str]):
    said = cld("probe", "matrix", *words)
    assert said.code == 3 and repr(words[1]) in said.err
    assert {"--role": "'general'", "--suite": "'arc'", "--engine": "'e1'"}[words[0]] in said.err


@pytest.mark.parametrize("role", [*get_args(Role), "genral"])
def test_every_role_may_be_asked_for_and_a_word_that_is_none_is_a_wrong_command_line(
    grown: Operated, cld: Cld, role: str
):
    said = cld("probe", "matrix", "--role", role)
    assert said.code == {"general": 0, "target": 0, "genral": 2}.get(role, 3), said.err


def test_a_root_where_nothing_was_measured_says_how_to_measure(operated: Operated, cld: Cld):
    out = cld("probe", "matrix").out
    assert "`cld probe run`" in out and "nothing learned yet" in out


def test_a_root_where_nothing_serves_says_so(bare: Operated, bare_cld: Cld):
    said = bare_cld("--root", str(bare.layout.root), "probe", "matrix")
    assert said.code == 3 and "cld start" in said.err
