"""Items that what was learned gives away: measured like the others, and left out of the gate's evidence.

Diagnosing compares the standing suites with the records it is given (`monitors.contamination`) and its job's result
keeps what it found. An item counts as given away once a plan has chosen the record that does so; it stays so for every
later version down to the anchor, since the record was learned by them all. Shared by the steps that judge and by
`agent.reads.facts`, which names the items; reads the store alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.config import Config
from agent.store import Session, jobs, plans, versions
from agent.store.cycles import Cycle
from monitors.evidence import Asked
from monitors.gate import Verdict
from monitors.job import Contaminated, ContaminationPolicy, DiagnoseResult, Measurement

__all__ = ["SetAside", "in_cycle", "of_cycle", "policy"]

_NAMED = 3


@dataclass(frozen=True)
class SetAside:
    """The contaminated items of a judgement."""

    items: tuple[Contaminated, ...] = ()

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        """Suite and probe of each."""
        return frozenset((item.suite, item.probe) for item in self.items)

    def without(self, rows: Iterable[Measurement]) -> list[Measurement]:
        """Measurements of all other items."""
        return [row for row in rows if (row.suite, row.probe) not in self.keys]

    def narrowed(self, asked: Sequence[Asked]) -> list[Asked]:
        """What suites were asked, without these items; a suite that has no others stays, and so counts as missing."""
        left = [(one, tuple(p for p in one.probes if (one.suite, p) not in self.keys)) for one in asked]
        return [one.model_copy(update={"probes": probes}) if probes else one for one, probes in left]

    def remarked(self, verdict: Verdict) -> Verdict:
        """The verdict with a remark on each suite that lost items."""
        return verdict.model_copy(update={"remarks": (*verdict.remarks, *self._remarks())})

    def _remarks(self) -> Iterator[str]:
        for suite in dict.fromkeys(item.suite for item in self.items):
            mine = [item for item in self.items if item.suite == suite]
            named = ", ".join(f"{item.probe!r} (in record {item.record[:12]})" for item in mine[:_NAMED])
            more = f" and {len(mine) - _NAMED} more" if len(mine) > _NAMED else ""
            yield f"{suite}: {len(mine)} item(s) set aside, because training data give them away: {named}{more}"


def policy(config: Config) -> ContaminationPolicy:
    """When an item counts as given away, from [probes]."""
    probes = config.probes
    return ContaminationPolicy(
        ngram_words=probes.contamination_ngram_words,
        ngram_share=probes.contamination_ngram_share,
        similarity=probes.contamination_similarity,
    )


def of_cycle(tx: Session, cycle: Cycle) -> SetAside:
    """What must not count when the candidate of a cycle is judged against its parent and anchor."""
    found: dict[tuple[str, str], Contaminated] = {}
    for item in _given_away(tx, _line(tx, cycle)):
        found.setdefault((item.suite, item.probe), item)
    return SetAside(tuple(found[key] for key in sorted(found)))


def in_cycle(tx: Session, cycle_id: str) -> tuple[Contaminated, ...]:
    """The items that the records chosen in one cycle give away."""
    return tuple(_given_away(tx, [cycle_id]))


def _given_away(tx: Session, cycle_ids: Sequence[str]) -> Iterator[Contaminated]:
    """The items that the records chosen in some cycles give away, in the order of the cycles."""
    answers = jobs.results(tx, cycle_ids, "diagnosing")
    for cycle_id in cycle_ids:
        # Of years of cycles few gave anything away: the others cost no plan and no parsing.
        if answers.get(cycle_id, {}).get("contaminated") and (chosen := plans.find(tx, cycle_id)) is not None:
            learned = frozenset(chosen.plan.get("records", ()))
            found = DiagnoseResult.model_validate(answers[cycle_id]).contaminated
            yield from (item for item in found if item.record in learned)


def _line(tx: Session, cycle: Cycle) -> list[str]:
    """The cycle, and those that made its parent and what came before, as far as the anchor."""
    older = versions.line(tx, cycle.parent, until=cycle.anchor) if cycle.parent else []
    return [cycle.id, *(row.cycle for row in older if row.cycle is not None)]
