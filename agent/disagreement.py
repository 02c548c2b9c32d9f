"""Disagreement between groups: kept and shown until a person decides, never averaged away by training on both sides.

    keep_back   before a cycle claims records: what is disputed leaves the pool as `contested`, what was decided follows
                the decision
    report      what is disputed now, with the counts of each group
    settle      the verb: one group's side for all, or every side with its group stated
    stated      records as a cycle learns them: where sides stay apart, the group stands in the system turn

Records that name a norm are left out: `agent.store.norms` says what of a norm is learned. Learned judgements count as
evidence, the newest of them. Prompts that ask the same in other words are one where an answer to them is disputed
(`monitors.alike`); a person sees every wording, and the word said about one is kept for each. Called by
`agent.trigger`, the steps, `agent.operators.verbs` and the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from agent.config import Config
from agent.context import DAEMON
from agent.errors import NotFound, Refused
from agent.requests import Reply, Request
from agent.store import Session, contested
from agent.store.contested import Decision
from agent.store.tables import PooledRecord, RecordState
from learners.parts.judgements import judgements, prompt_key
from learners.records import Record
from monitors.disagreement import Tally, dispute_id

__all__ = ["keep_back", "report", "settle", "stated"]

_ID = re.compile(r"[0-9a-f]{12}")
_OPEN: Final = ("waiting", "contested")
_PAST: Final = ("claimed", "learned")


class _Evidence:
    """The newest judgements at hand.

    Attributes:
        open: prompt -> records that a decision can still move, waiting or contested.
        tally: what groups say in them, and said in what is being learned or was.
    """

    def __init__(self, tx: Session, config: Config) -> None:
        limit = 10 * config.cycle.max_records
        self.open: dict[str, list[PooledRecord]] = {}
        rows = [row for state in _OPEN for row in contested.rows(tx, state, limit)]
        rows += [row for state in _PAST for row in contested.rows(tx, state, limit, grouped=True)]
        ordered = sorted(_free(rows), key=lambda row: row.seq)
        same = _alike([row.record for row in ordered])
        self._first = {dispute_id(key): dispute_id(first) for key, first in same.items()}
        for row in ordered:
            if row.state in _OPEN:
                self.open.setdefault(self.prompt(_prompt(row.record)), []).append(row)
        self.tally = Tally((row.record for row in ordered), same)

    def prompt(self, name: str) -> str:
        """Id of the first prompt that asks the same as one; its own where none does."""
        return self._first.get(name, name)

    def wordings(self, prompt: str) -> list[str]:
        """Ids of all prompts that ask the same as the first of them, which leads."""
        return [prompt, *(name for name, first in self._first.items() if first == prompt)]

    def decided(self, tx: Session, prompts: Iterable[str]) -> dict[str, Decision]:
        """The newest word on each prompt, whichever of its wordings it was said about."""
        owner = {name: prompt for prompt in prompts for name in self.wordings(prompt)}
        found: dict[str, Decision] = {}
        for name, decision in sorted(contested.decisions(tx, owner).items(), key=lambda item: item[1].at):
            found[owner[name]] = decision
        return found

    def ids(self, prompt: str, state: RecordState) -> list[str]:
        """The records about a prompt that are in one state."""
        return [row.id for row in self.open.get(prompt, ()) if row.state == state]


def keep_back(tx: Session, config: Config) -> int:
    """Keep waiting records that groups dispute out of the coming cycle; return how many.

    Records about a prompt that somebody decided on follow the decision: those on the other side are refused.
    """
    if not contested.rows(tx, "waiting", 1):
        return 0
    evidence = _Evidence(tx, config)
    decided = evidence.decided(tx, evidence.open)
    for prompt, decision in decided.items():
        _follow(tx, evidence.wordings(prompt), decision)
        _refuse(tx, evidence, prompt, decision, DAEMON, _told(decision))
    disputed = (evidence.open.keys() & evidence.tally.disputed()) - decided.keys()
    kept = [name for prompt in sorted(disputed) for name in evidence.ids(prompt, "waiting")]
    why = "groups judge them in opposite ways: `cld data disagreement` shows how"
    return contested.move(tx, "waiting", "contested", kept, DAEMON, why)


def report(tx: Session, config: Config) -> list[dict[str, Any]]:
    """What groups dispute: prompts, answers, counts per group, and what was decided."""
    evidence = _Evidence(tx, config)
    disputes = evidence.tally.disputes()
    decided = evidence.decided(tx, [one.id for one in disputes])
    return [
        {
            **asdict(one),
            "kept": len(evidence.ids(one.id, "contested")),
            "waiting": len(evidence.ids(one.id, "waiting")),
            "settled": asdict(decided[one.id]) if one.id in decided else None,
        }
        for one in disputes
    ]


def settle(tx: Session, request: Request) -> Reply:
    """Decide what is learned of a disputed prompt.

    Args:
        request: `target` is the prompt's id or its words; `args` has `group`, or nothing to keep the sides apart.

    Raises:
        NotFound: nobody disputes that prompt. Refused: the group has no side.
    """
    target, group = request.target or "", request.args.get("group")
    evidence = _Evidence(tx, request.config)
    prompt = evidence.prompt(contested.asked_as(tx, _addressed(target)))
    before = evidence.decided(tx, [prompt]).get(prompt)
    kept = evidence.ids(prompt, "contested")
    if before is not None and before.group == group and not kept:
        return Reply(prompt, "already", f"{prompt} is settled already: {_told(before)}")
    # Who decided before may think again, although the records of the other side are no evidence any more.
    if before is None:
        _require_side(evidence.tally, prompt, group, target)
    decision = contested.decide(tx, prompt, group, request.who, request.why)
    for other in evidence.wordings(prompt)[1:]:
        contested.follow(tx, other, decision, prompt, request.who)
    refused = _refuse(tx, evidence, prompt, decision, request.who, request.why)
    contested.move(tx, "contested", "waiting", kept, request.who, request.why)
    learned = len(evidence.ids(prompt, "waiting"))
    message = f"{_told(decision)}; {learned} record(s) wait to be learned, {refused} are refused"
    return Reply(prompt, "applied", message, {"group": group, "learned": learned, "refused": refused})


def stated(tx: Session, rows: Sequence[PooledRecord]) -> list[Record]:
    """Records as they are learned: of prompts whose sides stay apart, each with its group in the system turn."""
    judged = [row.record for row in _free(rows) if row.kind in contested.JUDGED and "group" in row.content]
    prompts = {record.id: _prompt(record) for record in judged}
    apart = {name for name, one in contested.decisions(tx, set(prompts.values())).items() if one.group is None}
    return [_stated(row.record) if prompts.get(row.id) in apart else row.record for row in rows]


def _follow(tx: Session, wordings: Sequence[str], decision: Decision) -> None:
    """Keep a word for the wordings that have none yet, so that each is known without the others at hand."""
    known = contested.decisions(tx, wordings)
    asked_as = next(name for name in wordings if name in known)
    for name in wordings:
        if name not in known:
            contested.follow(tx, name, decision, asked_as, DAEMON)


def _alike(records: Sequence[Record]) -> dict[str, str]:
    """Prompts that ask the same, by their words alone where no embedder is installed (`cld doctor` tells)."""
    from monitors.alike import alike
    from monitors.embedding import embed, installed

    return alike(records, embed) if installed() else {}


def _require_side(tally: Tally, name: str, group: str | None, target: str) -> None:
    """A decision needs a dispute, and the group that it follows a side in it."""
    if name not in tally.disputed():
        raise NotFound(f"no groups disagree about {target!r}; `cld data disagreement` lists the prompts")
    if group is not None and group not in (sides := tally.groups(name)):
        raise Refused(f"{group!r} has no side in {name}: its groups are {', '.join(sorted(sides))}")


def _stated(record: Record) -> Record:
    """The record with its group stated before everything else that is asked."""
    said = f"You answer the group {record.content['group']}."
    first, *others = record.content["prompt"]
    if first["role"] == "system":
        turns = [{**first, "content": f"{said}\n\n{first['content']}"}, *others]
    else:
        turns = [{"role": "system", "content": said}, first, *others]
    return record.model_copy(update={"content": {**record.content, "prompt": turns}})


def _refuse(tx: Session, evidence: _Evidence, prompt: str, decision: Decision, who: str, why: str) -> int:
    """Refuse the open records about a prompt that a decision leaves unlearned; return how many."""
    rows = evidence.open.get(prompt, ())
    ids = [row.id for row in rows if not _learned(row.record, decision, evidence.tally)]
    return sum(contested.move(tx, state, "refused", ids, who, why) for state in _OPEN)


def _learned(record: Record, decision: Decision, tally: Tally) -> bool:
    """One group's side: its own judgements and what agrees with them. Apart: whatever names a group."""
    group = record.content.get("group")
    if decision.group is None:
        return group is not None
    return group == decision.group or tally.agrees(record, decision.group)


def _told(decision: Decision) -> str:
    side = (
        f"the side of {decision.group} is learned for all" if decision.group else "each side is learned with its group"
    )
    return f"{side} ({decision.who})"


def _addressed(target: str) -> str:
    """The id that a target is, or that of the prompt it says."""
    if _ID.fullmatch(target):
        return target
    return dispute_id(prompt_key([{"role": "user", "content": target}]))


def _prompt(record: Record) -> str:
    return dispute_id(judgements(record)[0].prompt)


def _free(rows: Iterable[PooledRecord]) -> list[PooledRecord]:
    """The rows that the registry of values has no say in."""
    return [row for row in rows if "norm" not in row.content and "prompt" in row.content]
