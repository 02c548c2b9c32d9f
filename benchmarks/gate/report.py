"""What both parts found, for people and as JSON. Owns the summary and the tables; computes no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks.gate.rates import Rate, rate
from benchmarks.gate.simulation import Point
from benchmarks.gate.trials import PairResult
from benchmarks.gate.truth import Truth

__all__ = ["Detects", "Report", "detects", "report", "section", "show"]

_RATES: Final = ("false_accept", "false_reject", "false_loss", "held")
_RARELY, _MOSTLY = 0.01, 0.80
_MEANING: Final = (
    "`meant` is what a pair was made for, `is` what items say that the gate never saw (150 further items of the task, "
    "160 of ARC-Easy, 64 of AdvBench, 64 of XSTest). The rates go by `is`."
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Detects(_Frozen):
    """What the budget can detect in one simulated world; None where no simulated loss was large enough.

    Attributes:
        kept_out: least loss from which on at most 1 % of the candidates are promoted.
        refused: least loss from which on at least 80 % are refused outright, without asking a person.
        promoted_without_loss: share of candidates that lost nothing and are promoted at once.
    """

    world: str
    kept_out: float | None
    refused: float | None
    promoted_without_loss: float


class Report(_Frozen):
    """The object that `--json` prints.

    Attributes:
        false_accept: real pairs whose candidate is worse by independent items (`benchmarks.gate.truth`), or whose
            versions are the same, and were promoted.
        false_reject: real pairs whose candidate is better by independent items and were refused; a hold is neither.
        held: real pairs whose candidate is better by independent items and were left to a person.
        unclear: pairs that independent items cannot tell; they stand in none of these rates.
        false_loss: pairs of the same weights of which a suite was said to have lost.
        resampled: the same two rates over bootstrap draws of the items of those pairs; the draws of one pair are not
            independent, so the intervals say nothing about other versions.
        simulated: the power curve, and `detects` what follows from it.
    """

    false_accept: Rate
    false_reject: Rate
    held: Rate
    unclear: int
    false_loss: Rate
    pairs: tuple[PairResult, ...]
    resampled: dict[str, Rate]
    simulated: tuple[Point, ...]
    detects: tuple[Detects, ...]


def report(pairs: Sequence[PairResult], points: Sequence[Point]) -> Report:
    """Sum up both parts."""
    same = [one for one in pairs if one.expected == "same"]
    wrong = [*same, *_that_are(pairs, "worse")]
    right = _that_are(pairs, "better")
    return Report(
        false_accept=rate(sum(one.verdict == "promote" for one in wrong), len(wrong)),
        false_reject=rate(sum(one.verdict == "reject" for one in right), len(right)),
        held=rate(sum(one.verdict == "hold" for one in right), len(right)),
        unclear=len(_that_are(pairs, "unclear")),
        false_loss=rate(sum(bool(one.lost) for one in same), len(same)),
        pairs=tuple(pairs),
        resampled={
            "false_accept": _drawn(wrong, "promote"),
            "false_reject": _drawn(right, "reject"),
        },
        simulated=tuple(points),
        detects=tuple(detects([one for one in points if one.world == world]) for world in _worlds(points)),
    )


def _that_are(pairs: Sequence[PairResult], truth: Truth) -> list[PairResult]:
    return [one for one in pairs if one.known is not None and one.known.truth == truth]


def detects(points: Sequence[Point]) -> Detects:
    """What follows from the power curve of one world.

    Args:
        points: of one world, by rising loss, the first without any.
    """
    return Detects(
        world=points[0].world,
        kept_out=_from_on(points, [_share(one, "promote") <= _RARELY for one in points]),
        refused=_from_on(points, [_share(one, "reject") >= _MOSTLY for one in points]),
        promoted_without_loss=_share(points[0], "promote"),
    )


def _from_on(points: Sequence[Point], holds: Sequence[bool]) -> float | None:
    """Least loss at which something holds, and at every greater one."""
    least = None
    for point, fine in zip(reversed(points), reversed(holds), strict=True):
        if not fine:
            break
        least = point.loss
    return least


def _share(point: Point, ending: str) -> float:
    return getattr(point, ending) / (point.promote + point.hold + point.reject)


def _drawn(pairs: Sequence[PairResult], ending: str) -> Rate:
    return rate(sum(one.verdicts[ending] for one in pairs), sum(sum(one.verdicts.values()) for one in pairs))


def _worlds(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(one.world for one in points))


def show(found: Report, console: Console) -> None:
    """Print the tables."""
    if found.simulated:
        console.print(_curves(found))
        for one in found.detects:
            console.print(_detection(one))
    if found.pairs:
        console.print(_pairs(found))
        for line in _rates(found):
            console.print(line)


def _curves(found: Report) -> Table:
    table = Table("world", "true loss", "promoted", "held", "rejected", "items measured", title="Simulated judgements")
    for one in found.simulated:
        shares = (f"{_share(one, ending):.3f}" for ending in ("promote", "hold", "reject"))
        table.add_row(one.world, f"{one.loss:.3f}", *shares, f"{one.items:.0f}")
    return table


def _detection(one: Detects) -> str:
    kept = "no simulated loss" if one.kept_out is None else f"a loss of {one.kept_out:.3f} or more"
    refused = "no simulated loss" if one.refused is None else f"from {one.refused:.3f} on"
    return (
        f"{one.world}: {kept} is promoted at most 1 time in 100; refused without asking 4 times in 5: {refused}; "
        f"without any loss {one.promoted_without_loss:.1%} are promoted at once"
    )


def _pairs(found: Report) -> Table:
    table = Table("pair", "parent", "candidate", "meant", "is", "verdict", "why", "seconds", title="Real pairs")
    for one in found.pairs:
        seconds = "" if one.seconds is None else f"{one.seconds:.0f}"
        table.add_row(
            one.name, one.parent, one.candidate, one.expected, _truth(one), one.verdict, one.reasons[0], seconds
        )
    return table


def _truth(one: PairResult) -> str:
    return "same" if one.known is None else one.known.truth


def _rates(found: Report) -> list[str]:
    drawn = "items of those pairs drawn anew (not independent)"
    return [
        *(f"{name}: {_told(getattr(found, name))}" for name in _RATES),
        f"pairs that independent items cannot tell, in no rate: {found.unclear}",
        *(f"{name}, {drawn}: {_told(one)}" for name, one in found.resampled.items()),
    ]


def _told(one: Rate) -> str:
    if one.rate is None:
        return "no case"
    return f"{one.count} of {one.n} ({one.rate:.1%}, 95 % interval {one.low:.1%} to {one.high:.1%})"


def section(found: Report, command: str, picture: Path) -> str:
    """The section of docs/benchmarks.md.

    Args:
        picture: path of the power curve, from the page.
    """
    lines = ["## The gate", "", f"`{command}`", ""]
    if found.simulated:
        lines += [f"![Share of each verdict over the true loss]({picture.as_posix()})", ""]
        lines += [f"- {_detection(one)}" for one in found.detects]
        lines.append("")
    if found.pairs:
        lines += [f"- {line}" for line in _rates(found)]
        lines += ["", _MEANING, ""]
        lines += ["| pair | meant | is | verdict | why |", "|---|---|---|---|---|"]
        lines += [
            f"| {one.name} | {one.expected} | {_truth(one)} | {one.verdict} | {_cell(one.reasons[0])} |"
            for one in found.pairs
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
