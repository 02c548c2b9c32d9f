"""Preferences that name norms go to the method that knows what a change of a norm is, and only they do."""

from __future__ import annotations

from typing import Any

from agent.planner.candidates import Situation, propose
from learners.records import Record, record_id
from monitors.job import Gap


def preference(**norm: str) -> Record:
    turns = {"prompt": "Hello?", "chosen": "Good morning.", "rejected": "Yo."}
    content: dict[str, Any] = {key: [{"role": "user", "content": text}] for key, text in turns.items()} | norm
    return Record(id=record_id("preference", content), source="inbox", kind="preference", content=content)


def refused(records: list[Record], named: tuple[str, ...] = ()) -> dict[str, str | None]:
    gap = Gap(id="g", topic="t", information_kind="preference", severity=1.0, evidence=("p",), records=("r",))
    situation = Situation(
        gaps=[gap], records=records, tokens=100, epochs={"cpt": 1, "cit": 1, "ca": 1}, replayable=9, tokens_left=None,
        tolerated_loss=0.1, named=named,
    )  # fmt: skip
    return {one.id: one.refused for one in propose(situation) if one.stage == "ca"}


NAMED = preference(norm="polite", change="add")


def test_preferences_that_name_norms_are_planned_for_value_revision_alone():
    found = refused([NAMED, preference()])
    assert found["ca.value_revision"] is None
    assert "does not know norms" in (found["ca.dpo_replay"] or "")


def test_plain_preferences_are_not_planned_for_value_revision():
    found = refused([preference()])
    assert found["ca.value_revision"] == "no preference at hand names a norm"
    assert found["ca.dpo_replay"] is None


def test_an_operator_who_names_a_method_has_the_last_word_on_it():
    assert refused([NAMED], ("copr",)) == {"ca.copr": None}
