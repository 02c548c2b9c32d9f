"""Two judges of one answer: how their verdicts are kept beside the score, and how often they agree.

Owns the tag that the scorers with two judges put first into a measurement's `output`, so that it needs no column of
its own, and the agreement of a run: raw share and Cohen's kappa. The first judge decides the score, always; an item on
which the second differs is flagged `judges_disagree` and decides nothing. Called by the scorers `refusal`,
`compliance` and `judge`, by `agent.reads.facts` and by whoever reports a run. Judges nothing itself; reads no files.

Cohen 1960, "A coefficient of agreement for nominal scales": kappa = (raw - chance) / (1 - chance).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from monitors.job import Measurement

__all__ = ["AGREE", "DISAGREE", "Agreement", "agreements", "kappa", "sentence", "tagged"]

AGREE = "[judges_agree]"
DISAGREE = "[judges_disagree]"


class Agreement(BaseModel):
    """How two judges agree on the items of one suite on one version, under one engine setting.

    Attributes:
        items: items that both have judged.
        raw: share of items on which they agree.
        kappa: Cohen's kappa; None where chance alone explains all agreement (both gave one verdict to every item).
        disagreeing: ids of the items flagged `judges_disagree`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    suite: str
    engine: str
    items: int
    raw: float
    kappa: float | None
    disagreeing: tuple[str, ...] = ()


def tagged(agree: bool, text: str) -> str:
    """What is kept of an answer that two judges have read: their agreement, then `text`.

    The scorer's tag stands first, so a model that writes one of its own changes nothing.
    """
    return f"{AGREE if agree else DISAGREE} {text}"


def agreements(rows: Iterable[Measurement]) -> tuple[Agreement, ...]:
    """The agreement per version, suite and engine setting, in the order of the rows.

    Suites without two judges are left out, and so are the items of a suite that a judge had nothing to say about.
    """
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for row in rows:
        if row.output.startswith((AGREE, DISAGREE)):
            groups.setdefault((row.version, row.suite_digest, row.engine), []).append(row)
    return tuple(_agreement(judged) for judged in groups.values())


def sentence(found: Agreement) -> str:
    """The agreement for people."""
    measure = "kappa is not defined" if found.kappa is None else f"kappa {found.kappa:.2f}"
    differ = f"; judges_disagree: {', '.join(found.disagreeing)}" if found.disagreeing else ""
    return f"judges of {found.suite} on {found.version} agree on {found.raw:.0%} of {found.items} ({measure}){differ}"


def kappa(first: Sequence[bool], second: Sequence[bool]) -> float | None:
    """Cohen's kappa of two verdicts on the same items; None where it is not defined.

    Raises:
        ValueError: the sequences differ in length or are empty.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"two judges judge the same items: found {len(first)} and {len(second)} verdicts")
    raw = sum(one == other for one, other in zip(first, second, strict=True)) / len(first)
    ones, others = sum(first) / len(first), sum(second) / len(second)
    chance = ones * others + (1 - ones) * (1 - others)
    return None if chance == 1.0 else (raw - chance) / (1 - chance)


def _agreement(rows: Sequence[Measurement]) -> Agreement:
    disagreeing = tuple(row.probe for row in rows if row.output.startswith(DISAGREE))
    first = [row.score > 0.5 for row in rows]
    second = [verdict != row.output.startswith(DISAGREE) for verdict, row in zip(first, rows, strict=True)]
    return Agreement(
        version=rows[0].version,
        suite=rows[0].suite,
        engine=rows[0].engine,
        items=len(rows),
        raw=1 - len(disagreeing) / len(rows),
        kappa=kappa(first, second),
        disagreeing=disagreeing,
    )
