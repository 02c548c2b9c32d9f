"""Promises of wordings: a question that two groups ask in other words is disputed, and a word on it stands for both."""

from __future__ import annotations

from typing import Any

import pytest

from agent import disagreement
from agent.operators.commands import ask
from agent.store import contested, events, pool
from learners.parts.judgements import judgements
from learners.records import Record
from monitors.disagreement import dispute_id
from monitors.embedding import installed
from tests.agent.operating import Operated
from tests.thumbs import begin, end, put_in, thumb

pytestmark = pytest.mark.skipif(not installed(), reason="the embedder's weights are not installed")

ASK, AGAIN, LATE = "Can I cancel my order?", "Is it possible to cancel my order?", "Could I cancel my order, please?"
US, DE = thumb(ASK, "Sure.", True, "us"), thumb(AGAIN, "Sure.", False, "de")
PEACE = [thumb(f"{n}?", "Yes.", n % 2 == 0, "de") for n in range(4)]


def states(world: Operated, *records: Record) -> list[str]:
    with world.store.read() as tx:
        found = {row.id: row.state for row in pool.get(tx, [record.id for record in records])}
    return [found[record.id] for record in records]


def settle(world: Operated, target: str, **args: Any) -> str:
    said = {"target": target, "why": "we asked them", **args}
    return ask(world.store, world.layout, world.config, "settle", said, "ada").outcome or ""


def prompt_id(record: Record) -> str:
    return dispute_id(judgements(record)[0].prompt)


@pytest.fixture
def disputed(operated: Operated) -> Operated:
    """Two groups judge one answer to one question in opposite ways, each in its own words."""
    put_in(operated.store, [US, DE, *PEACE])
    assert set(begin(operated.store, operated.config)) == {record.id for record in PEACE}
    end(operated.store)
    return operated


def test_both_wordings_are_kept_out_of_the_cycle_and_shown_together(disputed: Operated):
    assert states(disputed, US, DE) == ["contested", "contested"]
    with disputed.store.read() as tx:
        (found,) = disagreement.report(tx, disputed.config)
    assert (found["prompt"], found["wordings"], found["kept"]) == (ASK, (AGAIN,), 2)


def test_compared_by_their_words_alone_both_would_be_learned(operated: Operated, monkeypatch: pytest.MonkeyPatch):
    """The fault that this is for, planted."""
    monkeypatch.setattr(disagreement, "_alike", lambda records: {})
    put_in(operated.store, [US, DE, *PEACE])
    assert {US.id, DE.id} <= set(begin(operated.store, operated.config))


@pytest.mark.parametrize("words", [ASK, AGAIN])
def test_a_word_on_either_wording_stands_for_both(disputed: Operated, words: str):
    assert settle(disputed, words, group="us") == "applied"
    assert states(disputed, US, DE) == ["waiting", "refused"]


def test_a_wording_that_arrives_later_follows_and_the_log_says_whose_word_it_was(disputed: Operated):
    settle(disputed, ASK, group="us")
    late = thumb(LATE, "Sure.", False, "fr")
    put_in(disputed.store, [late])
    begin(disputed.store, disputed.config)
    assert states(disputed, US, late) == ["waiting", "refused"]
    with disputed.store.read() as tx:
        followed = [one for one in events.listing(tx, limit=1000) if one.action == "disagreement.followed"]
        decision = contested.decisions(tx, [prompt_id(late)])[prompt_id(late)]
    assert [(one.subject, one.who) for one in followed] == [(prompt_id(DE), "ada"), (prompt_id(late), "daemon")]
    assert (decision.who, decision.group) == ("ada", "us")


@pytest.mark.parametrize("words", [ASK, AGAIN])
def test_who_thinks_again_does_so_for_both_although_one_side_is_gone(disputed: Operated, words: str):
    settle(disputed, ASK, group="us")
    assert settle(disputed, words, group="de") == "applied"
    put_in(disputed.store, [later := thumb(AGAIN, "Of course.", False, "us")])
    begin(disputed.store, disputed.config)
    with disputed.store.read() as tx:
        found = contested.decisions(tx, [prompt_id(US), prompt_id(DE)])
    assert {one.group for one in found.values()} == {"de"}
    assert states(disputed, US, later) == ["refused", "refused"]


def test_apart_each_wording_is_learned_with_its_group(disputed: Operated):
    settle(disputed, AGAIN)
    begin(disputed.store, disputed.config)
    with disputed.store.read() as tx:
        found = disagreement.stated(tx, pool.get(tx, [US.id, DE.id]))
    assert [one.content["prompt"][0]["content"] for one in found] == [
        "You answer the group us.", "You answer the group de.",
    ]  # fmt: skip
