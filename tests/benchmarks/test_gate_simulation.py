"""Promises of the simulated judgements: true to the losses they claim, repeatable, stored, and told with intervals."""

from __future__ import annotations

import random

import pytest

from benchmarks.gate import stored
from benchmarks.gate.rates import rate
from benchmarks.gate.report import detects, report, section
from benchmarks.gate.simulation import WORLDS, Part, Point, _changed, _scores, simulate
from monitors.gate import GatePolicy

POLICY = GatePolicy(resamples=100)
SHIPPED, MORE = WORLDS[0], WORLDS[2]


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_simulated_candidates_lose_what_they_are_said_to_lose(loss):
    part, draw = Part(20_000, 0.7, 0.1), random.Random(1)
    before = _scores(part.items, part.right)
    after = _changed(before, part, loss, draw)
    assert sum(before) / part.items == pytest.approx(0.7, abs=1e-3)
    assert (sum(after) - sum(before)) / part.items == pytest.approx(-loss, abs=0.01)
    flipped = sum(new != old for new, old in zip(after, before, strict=True)) / part.items
    assert flipped == pytest.approx(max(0.1, loss), abs=0.01)


def test_a_large_loss_is_refused_and_none_is_mostly_promoted():
    nothing, much = (simulate(SHIPPED, loss, POLICY, 12) for loss in (0.0, 0.3))
    assert nothing.promote >= 9 and nothing.reject == 0
    assert (much.promote, much.reject) == (0, 12)


def test_equal_seeds_give_equal_points():
    assert simulate(SHIPPED, 0.1, POLICY, 5) == simulate(SHIPPED, 0.1, POLICY, 5)


def test_more_items_are_measured_only_where_it_is_unclear():
    clear, unclear = (simulate(MORE, loss, POLICY, 5) for loss in (0.0, 0.1))
    assert clear.items < 200 < 350 < unclear.items


def test_what_is_stored_is_not_simulated_again_and_another_policy_forgets_it(tmp_path, monkeypatch):
    calls = []

    def fake(world, loss, policy, judgements):
        calls.append((world.name, loss))
        return Point(world=world.name, loss=loss, promote=judgements, hold=0, reject=0, items=1.0)

    monkeypatch.setattr(stored, "simulate", fake)
    monkeypatch.setattr(stored, "EFFECTS", (0.0, 0.1))
    path, quiet = tmp_path / "s.json", {"fresh": False, "say": lambda _: None}
    first = stored.simulated(path, POLICY, 10, **quiet)
    assert len(calls) == len(first) == 2 * len(WORLDS)
    assert stored.simulated(path, POLICY, 10, **quiet) == first and len(calls) == len(first)
    stored.simulated(path, POLICY.stricter(0.5), 10, **quiet)
    assert len(calls) == 2 * len(first)
    stored.simulated(path, POLICY.stricter(0.5), 10, fresh=True, say=lambda _: None)
    assert len(calls) == 3 * len(first)


@pytest.mark.parametrize("count, n, low, high", [
    (0, 20, 0.0, 0.1611), (1, 20, 0.0089, 0.2361), (20, 20, 0.8389, 1.0), (5, 10, 0.2366, 0.7634),
])  # fmt: skip
def test_intervals_are_wilsons(count, n, low, high):
    found = rate(count, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_without_a_case_nothing_is_known():
    assert (rate(0, 0).rate, rate(0, 0).low, rate(0, 0).high) == (None, 0.0, 1.0)
    with pytest.raises(ValueError, match="3 of 2"):
        rate(3, 2)


def points(*promoted):
    return [Point(world="w", loss=n / 10, promote=one, hold=0, reject=1000 - one, items=1.0)
            for n, one in enumerate(promoted)]  # fmt: skip


def test_what_can_be_detected_holds_from_there_on():
    found = detects(points(950, 8, 400, 9, 0))
    assert (found.kept_out, found.refused, found.promoted_without_loss) == (0.3, 0.3, 0.95)
    assert detects(points(950, 400)).kept_out is None


def test_the_picture_is_the_same_for_the_same_numbers(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `bench` installs matplotlib")
    from benchmarks.gate import curve

    for name in ("a.svg", "b.svg"):
        curve.draw(points(900, 100, 0), tmp_path / name, 0.1)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_the_section_tells_the_command_and_what_is_detected(tmp_path):
    text = section(report([], points(950, 8, 0)), "python -m benchmarks.gate", tmp_path / "p.svg")
    assert "python -m benchmarks.gate" in text and "a loss of 0.100 or more is promoted at most 1 time in 100" in text
