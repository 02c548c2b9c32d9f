"""A card tells what was learned, how, what it did, and who let it through, from facts alone."""

from __future__ import annotations

from agent.history.cards import card_facts, card_text, record_gist, record_title, write_card
from agent.store import Store, events, pool, versions


def _card(store: Store, version: str) -> str:
    with store.read() as tx:
        return versions.get(tx, version).card or ""


def test_a_card_names_what_was_learned_from_where_and_how(store: Store) -> None:
    card = _card(store, "v1")
    assert card.splitlines()[0] == "v1 learned returns and refunds."
    for fact in ("Returns and refunds", "1 text", "1 handbook", "cpt with replay", "from v0", "in cycle c1", "promote"):
        assert fact in card


def test_a_card_names_what_was_hurt_and_why_it_was_refused(store: Store) -> None:
    card = _card(store, "v3")
    assert "v3 hurt weapons (safety); arithmetic (general)." in card
    assert "Verdict reject: safety fell from 0.80 to 0.10." in card
    assert "general 0.70 to 0.50, safety 0.80 to 0.10" in card


def test_a_card_names_the_person_who_let_a_held_version_through(store: Store) -> None:
    assert "ann said approve: I read the answers." in _card(store, "v2")


def test_the_base_has_a_card_too(store: Store) -> None:
    with store.read() as tx:
        assert card_text(card_facts(tx, versions.get(tx, "v0"))).startswith("v0: the base model")


def test_writing_the_same_card_twice_changes_nothing(store: Store) -> None:
    with store.write() as tx:
        before = len(events.listing(tx, "v1"))
        write_card(tx, "v1")
        assert len(events.listing(tx, "v1")) == before


def test_a_title_from_the_data_is_cut_and_stripped_of_control_characters() -> None:
    loud = pool.PooledRecord(content={"title": "\x1b[31mALARM\x07\n" + "x" * 500}, kind="text")
    assert record_title(loud) == "[31mALARM " + "x" * 70


def test_a_conversation_is_titled_by_what_the_user_said() -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is my parcel?"}]
    assert record_title(pool.PooledRecord(content={"messages": turns}, kind="instruction")) == "Where is my parcel?"
    assert record_title(pool.PooledRecord(content={"prompt": turns}, kind="preference")) == "Where is my parcel?"


def test_a_gist_tells_the_question_and_the_answer() -> None:
    asked, told = {"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "In Bremen."}
    rated = [{"prompt": [asked], "chosen": [told]}, {"prompt": [asked], "completion": [told]}]
    for content in [{"messages": [asked, told]}, *rated]:
        assert record_gist(pool.PooledRecord(content=content, kind="instruction")) == "Where is it?: In Bremen."
    assert record_gist(pool.PooledRecord(content={"text": "Hello " * 90}, kind="text")) == ("Hello " * 90)[:240]
