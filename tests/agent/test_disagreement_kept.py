"""Promises of disagreement: what groups dispute is kept out of cycles, and a person's word on it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.context import Context
from agent.daemon.logs import open_log
from agent.disagreement import report, stated
from agent.operators.commands import Answer, ask
from agent.store import events, pool
from agent.trigger import Trigger
from agent.work.jobs import JobRunner
from learners.records import Record
from tests.agent.operating import Operated
from tests.thumbs import begin, end, pair, put_in, thumb

ASK = "May I say du?"
US = thumb(ASK, "Sure.", True, "us")
DE = thumb(ASK, "Sure.", False, "de")
PEACE = [thumb(f"{n}?", "Yes.", n % 2 == 0, "de") for n in range(4)]


@pytest.fixture
def states(operated: Operated) -> Callable[..., list[str]]:
    """States of records, in the order asked for."""

    def read(*records: Record) -> list[str]:
        with operated.store.read() as tx:
            found = {row.id: row.state for row in pool.get(tx, [record.id for record in records])}
        return [found[record.id] for record in records]

    return read


def settle(world: Operated, target: str, group: str | None = None, who: str = "ada") -> Answer:
    args = {"target": target, "why": "we asked them", **({"group": group} if group else {})}
    return ask(world.store, world.layout, world.config, "settle", args, who)


def test_disputed_judgements_stay_out_of_a_cycle_and_the_rest_is_learned(
    operated: Operated, states: Callable[..., list[str]]
):
    bystander = thumb(ASK, "Perhaps.", True)
    put_in(operated.store, [US, DE, bystander, *PEACE])
    assert set(begin(operated.store, operated.config)) == {record.id for record in PEACE}
    assert states(US, DE, bystander) == ["contested"] * 3


def test_a_judgement_that_contradicts_what_was_learned_is_kept_too(
    operated: Operated, states: Callable[..., list[str]]
):
    put_in(operated.store, [US, *PEACE])
    begin(operated.store, operated.config)
    end(operated.store)
    put_in(operated.store, [DE])
    assert begin(operated.store, operated.config) == []
    assert states(US, DE) == ["learned", "contested"]


def test_the_side_of_a_group_is_learned_for_all_and_the_other_is_refused(
    operated: Operated, states: Callable[..., list[str]]
):
    same, silent = thumb("may i say DU", "Sure.", True), pair(ASK, "No.", "Never.", "de")
    put_in(operated.store, [US, DE, same, silent, *PEACE])
    begin(operated.store, operated.config)
    end(operated.store)
    answer = settle(operated, ASK, "us")
    assert (answer.outcome, answer.data["learned"], answer.data["refused"]) == ("applied", 2, 2)
    assert states(US, DE, same, silent) == ["waiting", "refused", "waiting", "refused"]


def test_what_arrives_later_follows_the_word(operated: Operated, states: Callable[..., list[str]]):
    put_in(operated.store, [US, DE, *PEACE])
    settle(operated, ASK, "us")
    late = pair(ASK, "Never.", "Sure.", "de")
    put_in(operated.store, [late])
    assert US.id in begin(operated.store, operated.config)
    assert states(US, DE, late) == ["claimed", "refused", "refused"]


def test_apart_every_side_is_learned_with_its_group_in_the_system_turn(
    operated: Operated, states: Callable[..., list[str]]
):
    nameless = thumb(ASK, "Sure.", True)
    put_in(operated.store, [US, DE, nameless, *PEACE])
    begin(operated.store, operated.config)
    end(operated.store)
    assert settle(operated, ASK).outcome == "applied"
    assert begin(operated.store, operated.config) and states(US, DE, nameless) == ["claimed", "claimed", "refused"]
    with operated.store.read() as tx:
        us, de, peace = stated(tx, [*pool.get(tx, [US.id]), *pool.get(tx, [DE.id]), *pool.get(tx, [PEACE[0].id])])
    assert us.content["prompt"] == [{"role": "system", "content": "You answer the group us."}, *US.content["prompt"]]
    assert de.content["prompt"][0]["content"] == "You answer the group de." and de.content["label"] is False
    assert peace == PEACE[0]


def test_a_group_is_stated_before_a_system_turn_that_is_there(operated: Operated):
    rules = {"role": "system", "content": "Be brief."}
    rows = [
        one.model_copy(update={"content": {**one.content, "prompt": [rules, *one.content["prompt"]]}})
        for one in (US, DE)
    ]
    put_in(operated.store, rows)
    with operated.store.read() as tx:
        (found,) = report(tx, operated.config)
    settle(operated, found["id"])
    with operated.store.read() as tx:
        us = stated(tx, pool.get(tx, [US.id]))[0]
    assert us.content["prompt"][0] == {"role": "system", "content": "You answer the group us.\n\nBe brief."}


def test_what_a_registered_norm_is_about_is_left_to_the_registry(operated: Operated):
    put_in(operated.store, [US, pair(ASK, "No.", "Sure.", "de", norm="tone", change="add"), *PEACE])
    with operated.store.read() as tx:
        assert report(tx, operated.config) == []


def test_a_word_can_be_changed_and_said_twice_without_harm(operated: Operated, states: Callable[..., list[str]]):
    put_in(operated.store, [US, DE])
    assert [settle(operated, ASK, group).outcome for group in ("us", "us", "de")] == ["applied", "already", "applied"]
    assert states(US, DE) == ["refused", "refused"]
    with operated.store.read() as tx:
        assert sum(event.action == "disagreement.settled" for event in events.listing(tx, limit=1000)) == 2


@pytest.mark.parametrize(
    ("target", "group", "reason"),
    [("What?", "us", "no groups disagree about 'What?'"), (ASK, "fr", "its groups are de, us")],
)
def test_a_word_on_no_dispute_or_for_no_side_is_refused(operated: Operated, target: str, group: str, reason: str):
    put_in(operated.store, [US, DE])
    answer = settle(operated, target, group)
    assert answer.outcome == "refused" and reason in answer.message


def test_no_program_settles_a_disagreement(operated: Operated):
    put_in(operated.store, [US, DE])
    assert settle(operated, ASK, "us", who="daemon").outcome == "refused"


def test_labels_that_cannot_be_learned_wait_and_the_operator_is_told_what_is_missing(
    operated: Operated, states: Callable[..., list[str]]
):
    bad = [thumb(f"{n}?", "No.", False) for n in range(3)]
    put_in(operated.store, [*bad, US, DE])
    assert begin(operated.store, operated.config) == []
    assert states(*bad) == ["waiting"] * 3
    answer = ask(operated.store, operated.layout, operated.config, "cycle_run", {}, "ada")
    assert answer.outcome == "refused"
    assert "all 3 judged answers are disapproved" in answer.message and "disagree about 2" in answer.message
    good = thumb("9?", "Yes.", True)
    put_in(operated.store, [good])
    assert set(begin(operated.store, operated.config)) == {record.id for record in (*bad, good)}


def test_the_daemon_says_once_what_is_missing_and_looks_again_when_something_arrives(operated: Operated):
    bad = [thumb(f"{n}?", "No.", False) for n in range(8)]
    put_in(operated.store, bad)
    log = open_log(operated.layout.log_file, "info")
    context = Context(
        operated.layout,
        operated.config,
        operated.store,
        JobRunner(operated.layout, operated.config, operated.store),
        log,
    )
    trigger = Trigger(context)
    assert not any(trigger.turn(moment) for moment in (0.0, 100.0, 200.0))
    assert operated.layout.log_file.read_text().count("all 8 judged answers are disapproved") == 1
    put_in(operated.store, [thumb("9?", "Yes.", True)])
    assert not trigger.turn(300.0) and trigger.turn(400.0)
