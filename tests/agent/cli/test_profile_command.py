"""Promises of `cld probe run --profile trace`: the paper's three deltas, what is missing, and how it is had."""

from __future__ import annotations

import pytest

from agent.store import commands
from monitors.datasets import SETS
from monitors.gate.deltas import TRACE_DELTAS
from monitors.job import Role
from monitors.metrics import mean_delta
from monitors.probes.suites import Suite, load_suite, read_probe, write_suite
from monitors.profiles import load_profile, profiles
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated

ITEMS = 40


def put(world: Operated, name: str, role: Role) -> None:
    """A suite of that name, as `cld data fetch` would leave it."""
    asked = [{"id": f"p{n:03}", "scorer": "match", "prompt": f"{n}?", "answer": "x"} for n in range(ITEMS)]
    write_suite(
        world.layout.suites / f"{name}.jsonl", Suite(suite=name, role=role, items=tuple(map(read_probe, asked)))
    )


def measure(world: Operated, version: str, name: str, right: int, of: int = ITEMS) -> None:
    """Store a version's scores on the first `of` items: `right` of them are right."""
    suite = load_suite(world.layout.suites / f"{name}.jsonl")
    world.measure(version, suite, [float(number < right) for number in range(of)])


@pytest.fixture
def traced(operated: Operated) -> Operated:
    """v0 -> v1, which serves; two general suites, one of instruction and one of safety, measured on both."""
    operated.publish("v1", "v0", operated.cycle_in("planning", "no_action"))
    operated.serve("v1")
    for name, role, before, after in (
        ("mmlu", "general", 30, 20),
        ("piqa", "general", 20, 22),
        ("ifeval", "instruction", 20, 20),
        ("trace-harmless", "safety", 24, 12),
    ):
        put(operated, name, role)
        measure(operated, "v0", name, before)
        measure(operated, "v1", name, after)
    return operated


def test_the_three_deltas_are_the_papers_and_have_bounds(cld: Cld, traced: Operated):
    found = cld("probe", "run", "--profile", "trace", "--json").json["profile"]
    deltas = {row["name"]: row for row in found["deltas"]}
    assert (found["version"], found["initial"], set(deltas)) == ("v1", "v0", set(TRACE_DELTAS))
    assert deltas["gad"]["delta"] == pytest.approx(mean_delta([0.5, 0.55], [0.75, 0.5]))
    assert deltas["sd"]["delta"] == pytest.approx(-0.3)
    assert all(row["low"] <= row["delta"] <= row["high"] for row in deltas.values())


def test_missing_suites_are_named_with_the_command_that_fetches_them(cld: Cld, traced: Operated):
    said = cld("probe", "run", "--profile", "trace")
    assert said.code == 0 and "missing: gsm8k: cld data fetch gsm8k" in said.out
    assert "gad" in said.out and "-0.100" in said.out


def test_another_version_can_be_named(cld: Cld, traced: Operated):
    found = cld("probe", "run", "v0", "--profile", "trace", "--json").json["profile"]
    assert (found["version"], found["initial"]) == ("v0", "v0")
    assert [row["delta"] for row in found["deltas"] if row["name"] == "gad"] == [0.0]


def test_a_suite_at_the_floor_stands_in_no_delta(cld: Cld, traced: Operated):
    put(traced, "boolq", "general")
    for version in ("v0", "v1"):
        measure(traced, version, "boolq", 0)
    found = cld("probe", "run", "--profile", "trace", "--json").json["profile"]
    (gad,) = [row for row in found["deltas"] if row["name"] == "gad"]
    assert gad["suites"] == ["mmlu", "piqa"]
    assert [row["outcome"] for row in found["suites"] if row["suite"] == "boolq"] == ["blind"]


def test_without_any_of_its_suites_a_profile_says_what_to_fetch(cld: Cld, operated: Operated):
    said = cld("probe", "run", "--profile", "trace")
    assert said.code == 4 and "cld data fetch mmlu" in said.err


def test_a_suite_of_another_role_is_refused(cld: Cld, traced: Operated):
    put(traced, "gsm8k", "target")
    said = cld("probe", "run", "--profile", "trace")
    assert said.code == 4 and "'target'" in said.err and "'general'" in said.err


def test_what_is_not_measured_waits_for_the_daemon_and_is_asked_once(cld: Cld, traced: Operated):
    put(traced, "boolq", "general")
    first, second = (cld("probe", "run", "--profile", "trace", "--json").json for _ in range(2))
    assert (first["outcome"], second["outcome"]) == ("queued", "queued")
    assert first["data"]["unmeasured"] == 2 * ITEMS
    with traced.store.read() as tx:
        (row,) = commands.pending(tx)
    assert row.args["profile"] == "trace" and row.args["target"] == "v1"


def test_a_dry_run_counts_what_would_be_measured(cld: Cld, traced: Operated):
    put(traced, "boolq", "general")
    measure(traced, "v0", "boolq", 20)
    said = cld("probe", "run", "--profile", "trace", "--dry-run")
    assert said.code == 0 and f"{ITEMS} measurements of v1 and v0" in said.out
    with traced.store.read() as tx:
        assert commands.pending(tx) == []


@pytest.mark.parametrize(
    ("words", "rule"), [(("--profile", "trase"), "did you mean 'trace'?"), (("v9", "--profile", "trace"), "v9")]
)
def test_an_unknown_profile_or_version_is_named(cld: Cld, traced: Operated, words: tuple[str, ...], rule: str):
    said = cld("probe", "run", *words)
    assert said.code == 3 and rule in said.err


@pytest.mark.parametrize("name", profiles())
def test_every_suite_of_a_shipped_profile_can_be_fetched_and_has_the_deltas_role(name: str):
    for delta in load_profile(name).deltas:
        assert {SETS[suite].role for suite in delta.suites} == {delta.role}
