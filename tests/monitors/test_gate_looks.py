"""Promises of looks: more is measured only while it is unclear, and looking again lets no more losses through."""

import random

import pytest
from gate_samples import GOOD, PARENT, POLICY, ask, flipped_items, measured, scores, verdict, version
from hypothesis import given
from hypothesis import strategies as st

from monitors.gate import judge
from monitors.gate.looks import asked, chosen, sizes
from monitors.probes.suites import Suite, read_probe


def suite(items, slices=4, name="big"):
    probes = [
        read_probe({"id": f"{name}-{n:03}", "slice": f"s{n % slices}", "scorer": "choice", "prompt": f"{n}?",
                    "choices": ["a", "b", "c", "d"][: 2 + 2 * (n % 2)], "answer": 0})
        for n in range(items)
    ]  # fmt: skip
    return Suite(suite=name, role="general", items=tuple(probes))


@pytest.mark.parametrize("items, expected", [
    (64, (64,)), (128, (128,)), (190, (190,)), (300, (128, 300)), (512, (128, 256, 512)), (5000, (128, 256, 512)),
])  # fmt: skip
def test_looks_double_up_to_the_suite_or_the_budget(items, expected):
    assert sizes(items, 128, 512) == expected


@given(st.integers(1, 4000), st.integers(10, 500), st.integers(10, 3000))
def test_looks_rise_and_end_at_the_budget(items, first, most):
    found = sizes(items, first, most)
    assert list(found) == sorted(set(found))
    assert found[-1] == min(items, max(first, most))


def test_more_items_contain_the_fewer_and_every_length_is_even_over_slices():
    big = suite(400)
    few, more = chosen(big, 100), chosen(big, 200)
    assert {probe.id for probe in few} < {probe.id for probe in more}
    assert sorted(probe.slice for probe in few) == sorted(f"s{n % 4}" for n in range(100))


def test_the_items_of_a_look_are_no_fixed_stretch_of_the_file():
    numbers = [int(probe.id[-3:]) for probe in chosen(suite(400, slices=1), 100)]
    assert 150 < sum(numbers) / 100 < 250


def test_what_is_asked_knows_its_chance_its_looks_and_its_reserve():
    facts = asked(suite(400), POLICY, 1)
    assert (len(facts.probes), facts.looks, facts.reserve) == (128, 3, 272)
    assert facts.chance == pytest.approx(0.375, abs=0.01)
    last = asked(suite(400), POLICY, 3)
    assert (len(last.probes), last.reserve) == (400, 0)
    assert asked(suite(400), POLICY, 9) == last


def test_a_suite_whose_items_only_workers_know_is_taken_as_it_was_measured():
    whole = ask("general", 0)
    assert verdict(asked=[whole]).verdict == "promote"
    lacking = [one for one in GOOD if one.probe != "general-007"]
    assert "measured on one side only: 'general-007'" in verdict(lacking, asked=[whole]).reasons[0]
    assert verdict(asked=[ask("general", 0, digest="d2")]).verdict == "hold"


def test_an_unclear_suite_with_items_left_is_named_and_nothing_else():
    unclear = version("v2", facts=16, general=120 * 6 // 10)
    found = verdict(unclear, asked=[ask("general", 120, reserve=120, looks=2)])
    assert (found.verdict, found.more) == ("hold", ("general",))
    assert verdict(unclear, asked=[ask("general", 120)]).more == ()


@pytest.mark.parametrize("change", [{"safety": 10}, {"leave_out": ["instruction"]}])
def test_no_more_is_measured_where_it_could_not_lead_to_a_promotion(change):
    candidate = version("v2", facts=16, general=120 * 6 // 10, **change)
    assert verdict(candidate, asked=[ask("general", 120, reserve=120, looks=2)]).more == ()


def test_an_unclear_target_asks_for_more_of_every_target():
    found = verdict(version("v2", facts=5), asked=[ask("facts", 20, role="target", reserve=20, looks=2)])
    assert found.more == ("facts",)


def test_a_suite_with_more_looks_needs_a_clearer_result():
    once = verdict(version("v2", facts=16, general=78), asked=[ask("general", 120)])
    often = verdict(version("v2", facts=16, general=78), asked=[ask("general", 120, looks=3, reserve=360)])
    one, three = (next(row for row in found.suites if row.suite == "general") for found in (once, often))
    assert three.low < one.low < one.high < three.high


@pytest.mark.slow
@pytest.mark.parametrize("loss, at_most", [(0.20, 0.02), (0.10, 0.20)])
def test_looking_again_lets_no_more_losses_through(loss, at_most):
    draw, trials = random.Random(3), 60
    before = scores(358, 512)
    endings = [sequential(before, flipped_items(before, 0.15, loss, draw)) for _ in range(trials)]
    assert endings.count("promote") / trials <= at_most


ORDER = random.Random(1).sample(range(512), 512)
REST = [[one for one in side if one.suite != "general"] for side in (GOOD, PARENT, version("v0"))]


def sequential(before, after):
    """The last verdict of a cycle that measures more of `general` for as long as the gate asks for it."""
    for count in (128, 256, 512):
        probes = tuple(f"general-{number:03}" for number in sorted(ORDER[:count]))
        facts = ask("general", looks=3, reserve=512 - count).model_copy(update={"probes": probes})
        sides = [
            rest + measured(name, "general", side)
            for rest, name, side in zip(REST, ("v2", "v1", "v0"), (after, before, before), strict=True)
        ]
        found = judge(*sides, ["facts"], POLICY, asked=[facts])
        if not found.more:
            return found.verdict
    raise AssertionError("a fourth look was asked for")
