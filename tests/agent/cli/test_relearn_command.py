"""Promises of `cld probe relearn`: what a few steps bring back is told beside everything that judges."""

from __future__ import annotations

import pytest

from agent.measured import suite_file
from agent.store import commands
from monitors.probes.suites import Suite, read_probe, write_suite
from monitors.relearned import asked_again, halves
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated

ITEMS = [{"id": f"i{n:02}", "scorer": "match", "prompt": f"{n}?", "answer": "x"} for n in range(40)]
SUITE = Suite(suite="mine", role="general", items=tuple(map(read_probe, ITEMS)))
RIGHT = {"v0": 4, "v1": 36, "v2": 8}
AFTER = {"v0": 3, "v2": 15}


def measure(world: Operated, steps: int = 20) -> None:
    again = asked_again(SUITE, steps)
    for version, right in RIGHT.items():
        world.measure(version, SUITE, [float(place < right) for place in range(len(SUITE.items))])
    for version, right in AFTER.items():
        world.measure(version, again, [float(place < right) for place in range(len(again.items))])


@pytest.fixture
def updated(operated: Operated) -> Operated:
    """v0 -> v1 -> v2, which serves, and a suite; nothing is measured."""
    operated.publish("v1", "v0")
    operated.publish("v2", "v1")
    operated.serve("v1")
    operated.serve("v2")
    write_suite(operated.layout.suites / "mine.yaml", SUITE)
    return operated


def test_what_came_back_is_told_beside_what_the_initial_version_gained(cld: Cld, updated: Operated):
    measure(updated)
    found = cld("probe", "relearn", "mine", "--json").json["relearn"]
    assert (found["version"], found["since"], found["initial"], found["unmeasured"]) == ("v2", "v1", "v0", 0)
    assert found["told"]["items"] == len(halves(SUITE)[1]) == 20
    assert (found["told"]["before"], found["told"]["forgotten"], found["told"]["after"]) == (0.9, 0.2, 0.75)
    said = cld("probe", "relearn", "mine").out
    assert "lost since v1: -0.700" in said and "79% of it came back" in said
    assert "v0 gained +0.050 in the same steps" in said


def test_without_a_clear_loss_nothing_is_said_to_come_back(cld: Cld, updated: Operated):
    measure(updated)
    said = cld("probe", "relearn", "mine", "--since", "v0").out
    assert "no clear loss" in said and "came back" not in said and "(initial)" not in said


def test_what_is_not_measured_waits_for_the_daemon_and_is_asked_once(cld: Cld, updated: Operated):
    first, second = (cld("probe", "relearn", "mine", "--steps", "5", "--json").json for _ in range(2))
    assert (first["outcome"], second["outcome"]) == ("queued", "queued")
    assert first["data"]["unmeasured"] == 3 * 40 + 2 * 20
    with updated.store.read() as tx:
        (row,) = commands.pending(tx)
    assert {name: row.args[name] for name in ("relearn", "target", "since", "steps")} == {
        "relearn": "mine", "target": "v2", "since": "v1", "steps": 5,
    }  # fmt: skip


def test_other_steps_are_another_question(cld: Cld, updated: Operated):
    measure(updated)
    assert "40 measurements" in cld("probe", "relearn", "mine", "--steps", "10", "--dry-run").out


def test_the_matrix_does_not_see_what_was_trained_for_a_question(cld: Cld, updated: Operated):
    measure(updated)
    suites = cld("probe", "matrix", "--json").json["matrix"]["suites"]
    assert [row["suite"] for row in suites] == ["mine"]


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("mine", "v0"), 4, "v0 is the initial version: it lost nothing"),
        (("mine", "v1", "--since", "v2"), 4, "v1 does not come from v2; it comes from v0"),
        (("mine", "--since", "v9"), 3, "v9"),
        (("generel",), 3, "did you mean 'general'?"),
        (("safety",), 4, "half of them teach and half ask"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(cld: Cld, updated: Operated, words, code, part):
    assert suite_file(updated.layout, "safety").is_file()
    said = cld("probe", "relearn", *words)
    assert (said.code, part in said.err) == (code, True), said.err


def test_an_endpoint_that_serves_versions_as_they_are_is_refused(
    cld: Cld, updated: Operated, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CLD_ENGINE__KIND", "openai")
    monkeypatch.setenv("CLD_ENGINE__ENDPOINT", "http://127.0.0.1:9/v1")
    said = cld("probe", "relearn", "mine")
    assert said.code == 4 and "set kind to 'transformers' or 'vllm'" in said.err
