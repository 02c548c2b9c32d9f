"""Promises of `cld probe hidden`: what is hidden and what is erased, beside everything that judges."""

from __future__ import annotations

import pytest

from agent.store import commands
from monitors.hidden import disguised
from monitors.probes.suites import Suite, read_probe, write_suite
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated

ITEMS = [
    {"id": name, "scorer": "match", "prompt": f"{name}?", "answer": "x"} for name in ("kept", "hid", "lost", "never")
]
SUITE = Suite(suite="mine", role="general", items=tuple(map(read_probe, ITEMS)))
SOLVED = {
    "v0": {"kept:plain", "hid:plain", "lost:plain"},
    "v1": {"kept:plain", "hid:pig_latin", "never:capitals"},
}


def measure(world: Operated, version: str) -> None:
    suite = disguised(SUITE)
    world.measure(version, suite, [float(probe.id in SOLVED[version]) for probe in suite.items])


@pytest.fixture
def updated(operated: Operated) -> Operated:
    """v0 -> v1, which serves, and a suite; nothing is measured."""
    operated.publish("v1", "v0", operated.cycle_in("planning", "no_action"))
    operated.serve("v1")
    write_suite(operated.layout.suites / "mine.yaml", SUITE)
    return operated


def test_what_only_a_disguise_brings_back_is_hidden_and_the_rest_of_what_was_lost_is_erased(
    cld: Cld, updated: Operated
):
    for version in ("v0", "v1"):
        measure(updated, version)
    found = cld("probe", "hidden", "mine", "--json").json["hidden"]
    assert (found["version"], found["parent"], found["unmeasured"]) == ("v1", "v0", 0)
    assert found["told"]["hidden"] == {"hid": "pig_latin"} and found["told"]["erased"] == ["lost"]
    said = cld("probe", "hidden", "mine").out
    assert "hid (pig_latin)" in said and "erased, of what v0 could: 1 items" in said


def test_what_is_not_measured_waits_for_the_daemon_and_is_asked_once(cld: Cld, updated: Operated):
    first, second = (cld("probe", "hidden", "mine", "--json").json for _ in range(2))
    assert (first["outcome"], second["outcome"]) == ("queued", "queued")
    assert first["data"]["unmeasured"] == 2 * len(disguised(SUITE).items)
    with updated.store.read() as tx:
        (row,) = commands.pending(tx)
    assert row.args["hidden"] == "mine" and row.args["target"] == "v1"


def test_a_dry_run_asks_for_nothing(cld: Cld, updated: Operated):
    assert "would be made" in cld("probe", "hidden", "mine", "--dry-run").out
    with updated.store.read() as tx:
        assert commands.pending(tx) == []


def test_the_matrix_does_not_see_suites_in_disguises(cld: Cld, updated: Operated):
    for version in ("v0", "v1"):
        measure(updated, version)
    assert cld("probe", "matrix", "--json").json["matrix"]["suites"] == []


def test_a_suite_that_is_not_there_is_named_with_those_that_are(cld: Cld, updated: Operated):
    said = cld("probe", "hidden", "generel")
    assert said.code == 3 and "did you mean 'general'?" in said.err
