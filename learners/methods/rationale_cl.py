"""RationaleCL: a record in three views (answer; reasons and answer; answer from reasons), and exemplars of each class.

Xiong et al. 2023, Rationale-Enhanced Language Models are Better Continual Relation Learners (arXiv:2310.06547). The
teacher is told the answer and explains it. Of every class, which is an answer, a few typical records are kept; where
the parent's features of two classes nearly coincide, the teacher is asked once why it is the one *instead of* the
other, and the exemplars are learned with that. When all epochs of the new records are done, those of the exemplars of
all classes follow.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import exemplars, rationales, select
from learners.parts.mix import Batch, Order, in_turn
from learners.parts.rows import Row
from learners.parts.views import chat_rows, rehearsal_rows
from learners.parts.weighted_views import ViewLikelihood
from learners.records import Record

if TYPE_CHECKING:
    import torch

__all__ = ["Settings", "compose", "prepare"]

_LOOK_ALIKES = "look_alikes.json"
_EXPLAIN = "Explain, then answer."

View = tuple[str, Row]
Groups = dict[str, list[Record]]


class Settings(contract.Settings):
    """RationaleCL.

    Attributes:
        answer_weight: alpha, of the view that is asked at inference; 1 leaves the other two out, and without exemplars
            it is plain fine-tuning.
        reasons_weight: beta, of reasons and answer against answer from reasons, in the rest.
        exemplars: records kept of each class, together never more than `memory_records`, so that of more classes than
            that some are drawn; 0 keeps none.
        look_alike: cosine of two classes' mean features from which on they look alike.
        rationale_tokens: longest rationale that the parent writes, its answer included; 0: none is written.
        rationales: most new records that the parent writes one for.
    """

    answer_weight: float = Field(default=0.6, gt=0, le=1)
    reasons_weight: float = Field(default=0.5, ge=0, le=1)
    exemplars: int = Field(default=10, ge=0)
    look_alike: float = Field(default=0.97, gt=0, le=1)
    rationale_tokens: int = Field(default=160, ge=0)
    rationales: int = Field(default=500, ge=0)

    @property
    def weights(self) -> dict[str, float]:
        """View -> its weight, without those that have none."""
        rest = 1 - self.answer_weight
        shares = {"reasons": rest * self.reasons_weight, "hinted": rest * (1 - self.reasons_weight)}
        return {"answer": self.answer_weight, **{view: share for view, share in shares.items() if share > 0}}


def prepare(sources: Sources) -> Material:
    """Explain the new records, choose exemplars, tell look-alikes apart, and lay out all views."""
    settings: Settings = sources.settings
    material = sources.material()
    folder = sources.memory_folder
    kept = exemplars.read(folder)
    known = rationales.read(folder)
    if settings.epochs:
        reasons = len(settings.weights) > 1
        teacher = rationales.parent(sources, settings.rationale_tokens if reasons else 0)
        if reasons:
            known = rationales.gathered(
                material.records, known, teacher, lambda one: _why(one, ()), settings.rationales
            )
        if settings.exemplars:
            chosen, alike = _chosen(sources, kept, material.records)
            if teacher:
                known = told_apart(chosen, alike, _read(folder), known, teacher)
            exemplars.write(folder, chosen)
            (folder / _LOOK_ALIKES).write_text(json.dumps(alike, sort_keys=True) + "\n", encoding="utf-8")
        rationales.write(folder, known)
    past = _readable([record for records in kept.values() for record in records], sources)
    new, old = (_flat(_laid_out(group, known, sources)) for group in (material.records, past))
    return replace(material, rows=[row for _, row in new], remembered=[row for _, row in old])


def told_apart(
    groups: Mapping[str, Sequence[Record]],
    alike: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[str]],
    known: dict[str, str],
    teacher: rationales.Teacher,
) -> dict[str, str]:
    """Ask why it is this class and not its look-alikes, for the exemplars of classes whose look-alikes changed.

    Args:
        groups: class -> exemplars.
        alike, before: class -> classes that look like it, now and when they were last told apart.
        known: record id -> rationale.

    Returns:
        `known` with the new rationales over the old ones; where the new one is not accepted the old one stays.
    """
    changed = {name for name, others in alike.items() if others and list(before.get(name, ())) != list(others)}
    records = [record for name in sorted(changed) for record in groups[name]]
    if not records:
        return known
    rest = {key: why for key, why in known.items() if key not in {record.id for record in records}}
    bare = [one.model_copy(update={"content": {"messages": one.content["messages"]}}) for one in records]
    return known | rationales.gathered(bare, rest, teacher, lambda one: _why(one, alike[_class(one)]))


def _why(record: Record, others: Sequence[str]) -> str:
    answer = rationales.answer_of(record)
    instead = f" and not {' or '.join(others)}" if others else ""
    return f"The answer is {answer}. Explain why it is{instead}. Then write one last line: Answer: {answer}"


def _class(record: Record) -> str:
    return rationales.answer_of(record).casefold()


def _read(folder: Path) -> dict[str, list[str]]:
    path = folder / _LOOK_ALIKES
    return json.loads(path.read_bytes()) if path.exists() else {}


def _chosen(sources: Sources, kept: Groups, records: Sequence[Record]) -> tuple[Groups, dict[str, list[str]]]:
    """Class -> exemplars, and class -> look-alikes, both by the parent's features."""
    settings: Settings = sources.settings
    limit = settings.max_length_tokens
    readable = {name: _readable(members, sources) for name, members in kept.items()}
    groups: Groups = {name: members for name, members in readable.items() if members}
    held = {record.id for members in groups.values() for record in members}
    for record in records:
        if record.kind == "instruction" and record.id not in held:
            groups.setdefault(_class(record), []).append(record)
    if len(groups) > settings.memory_records:
        draw = random.Random(f"{sources.seed}:classes")  # noqa: S311 - sampling, not secrecy
        groups = {name: groups[name] for name in sorted(draw.sample(list(groups), settings.memory_records))}
    most = min(settings.exemplars, settings.memory_records // max(1, len(groups)))
    model = sources.model()
    features: dict[str, torch.Tensor] = {}
    chosen: Groups = {}
    for name, members in groups.items():
        rows = [row for record in members for row in rehearsal_rows(record, sources.tokenizer, limit)]
        features[name] = select.embedded(model, rows)
        chosen[name] = [members[index] for index in exemplars.central(features[name], most)]
    return chosen, exemplars.look_alikes(features, settings.look_alike)


def _readable(records: Sequence[Record], sources: Sources | Run) -> list[Record]:
    """Those that have a row; an ancestor may have read longer ones."""
    limit = sources.settings.max_length_tokens
    return [record for record in records if rehearsal_rows(record, sources.tokenizer, limit)]


def _laid_out(records: Sequence[Record], known: Mapping[str, str], sources: Sources | Run) -> list[list[View]]:
    """The views of each record, the plain answer first."""
    settings: Settings = sources.settings
    tokenizer, limit = sources.tokenizer, settings.max_length_tokens
    found: list[list[View]] = []
    for record in records:
        views: list[View] = [("answer", row) for row in rehearsal_rows(record, tokenizer, limit)]
        why = known.get(record.id)
        if why and record.kind == "instruction":
            *turns, question, answer = record.content["messages"]
            reasons = {**answer, "content": rationales.reasoned(why, str(answer["content"]))}
            for view, request, target in (("reasons", _EXPLAIN, reasons), ("hinted", f"Reasons: {why}", answer)):
                asked = {**question, "content": f"{question['content']}\n\n{request}"}
                if view in settings.weights:
                    views += [(view, row) for row in chat_rows([*turns, asked, target], tokenizer, limit)]
        found.append(views)
    return found


def _flat(views: Sequence[Sequence[View]]) -> list[View]:
    return [view for own in views for view in own]


def compose(run: Run) -> Recipe:
    """Batches of records with all their views: those of the new ones, then those of the exemplars of all classes."""
    settings: Settings = run.settings
    known, groups = rationales.read(run.memory_folder), exemplars.read(run.memory_folder)
    kept = exemplars.read(run.parent.memory)
    past = _readable([record for records in kept.values() for record in records], run)
    new, old = _laid_out(run.records, known, run), _laid_out(past, known, run)
    chosen = {record.id for records in groups.values() for record in records}
    again = [place for place, record in enumerate(run.records) if record.id in chosen]

    def plan(order: Order) -> list[Batch]:
        by_record = replace(order, lengths=[_tokens(views) for views in new], remembered=[_tokens(v) for v in old])
        turns: list[tuple[Sequence[int], Sequence[int]]] = [(range(len(new)), [])]
        if old and settings.exemplars:
            turns.append((again, range(len(old))))
        starts = _starts(new), _starts(old)
        return [
            Batch(_rows(batch.new, new, starts[0]), _rows(batch.replayed, old, starts[1]))
            for batch in in_turn(by_record, turns)
        ]

    every = _flat([*new, *old])
    plain = all(view == "answer" for view, _ in every)
    loss = None if plain else ViewLikelihood(every, settings.weights)
    return Recipe(plan=plan, joined=True, stage_loss=loss, whole=not plain)


def _tokens(views: Sequence[View]) -> int:
    return len(views[0][1]["input_ids"])


def _starts(views: Sequence[Sequence[View]]) -> list[int]:
    """Number of each record's first row."""
    counts = [0]
    for own in views:
        counts.append(counts[-1] + len(own))
    return counts


def _rows(records: Sequence[int], views: Sequence[Sequence[View]], starts: Sequence[int]) -> tuple[int, ...]:
    return tuple(starts[one] + place for one in records for place in range(len(views[one])))
