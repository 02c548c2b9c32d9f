"""What a request concerns: what waits is withdrawn for good; only what is known needs training."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from agent.errors import InvalidValue, MissingDependency, NotFound
from agent.forgetting import matching
from agent.forgetting.lineage import holdings, trace
from agent.forgetting.matching import select
from agent.forgetting.preview import preview, request
from agent.history.search import shipped
from agent.store import cycles, events, forgetting, pool, versions
from tests.agent.forgetting.forget_world import IDS, Forgetful, note


def letters(texts):
    """Vectors by the letters of a text: enough to tell near from far."""
    vectors = np.zeros((len(texts), 384), dtype=np.float32)
    for row, text in enumerate(texts):
        for letter in text.lower():
            vectors[row, ord(letter) % 384] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_what_waits_is_withdrawn_and_never_comes_in_again(world: Forgetful):
    world.take_in([note(0), note(1)])
    answer = world.forget(note(0).id)
    assert (answer.outcome, world.states(note(0).id)) == ("applied", ["forgotten"])
    again = world.take_in([note(0)], "/inbox/again.txt")
    assert (again.kept, again.duplicate) == (0, 1)
    with world.world.store.read() as tx:
        assert [row.id for row in pool.waiting(tx, 10)] == [note(1).id]
        assert cycles.active(tx) is None


def test_what_no_version_knows_is_certified_at_once_without_training(world: Forgetful):
    world.take_in([note(0)])
    world.forget(note(0).id)
    document = world.certificate()
    assert (document["records"], document["never_learned"]) == ([note(0).id], [note(0).id])
    assert (document["unlearned_by"], document["learned_by"]) == ([], [])
    assert [row["where"] for row in document["still_held"]][:2] == ["/inbox/notes.txt", "jobs/intake-1"]


def test_one_request_withdraws_what_waits_and_unlearns_what_is_known(taught: Forgetful):
    taught.take_in([note(20)], "/inbox/later.txt")
    answer = taught.forget(IDS[0], note(20).id)
    assert (answer.data["learned"], answer.data["withdrawn"]) == (1, 1)
    assert taught.states(IDS[0], note(20).id) == ["learned", "forgotten"]


def test_asking_again_changes_nothing(forgetful: Forgetful):
    assert forgetful.forget(IDS[0]).outcome == "already"
    assert "one at a time" in world_busy(forgetful, IDS).message


def world_busy(world: Forgetful, ids: list[str]):
    world.forget(ids[1])
    return world.forget(ids[2])


def test_a_rehearsal_changes_nothing(taught: Forgetful):
    assert taught.forget(IDS[0], dry_run=True).outcome == "would_apply"
    with taught.world.store.read() as tx:
        assert forgetting.listing(tx) == [] and cycles.active(tx) is None


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"records": []}, "no record is meant"),
        ({"records": ["f" * 64]}, "there is no record"),
        ({"method": "finetune"}, "no method of unlearning"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_way_out(taught: Forgetful, args: dict, said: str):
    answer = taught.tell("forget", **{"records": IDS[:1], **args})
    assert answer.outcome == "refused" and said in answer.message


def test_a_month_without_tokens_left_is_refused_with_the_key_that_helps(taught: Forgetful):
    taught.configure(limits={"monthly_train_tokens": 15})
    answer = taught.forget(IDS[0])
    assert answer.outcome == "refused" and "limits.monthly_train_tokens" in answer.message


def test_what_the_workers_were_given_is_named_although_nothing_was_trained_on_it(world: Forgetful):
    world.take_in([note(number) for number in range(4)])
    world.holding_out = 1
    world.learn_waiting()
    assert world.forget(note(0).id).data["learned"] == 0
    assert any(row["where"].startswith("jobs/c1-diagnosing") for row in world.certificate()["still_held"])


def test_a_record_that_is_being_learned_is_refused(world: Forgetful):
    world.take_in([note(0)])
    world.tell("cycle_run")
    assert "being learned by c1" in world.forget(note(0).id).message


def test_a_preview_shows_what_exact_forgetting_would_train_again_and_its_cost(taught: Forgetful):
    taught.take_in([note(30)], "/inbox/more.txt")
    taught.learn_waiting()
    with taught.world.store.read() as tx:
        found = preview(tx, taught.world.layout, taught.context.config, matching.Selection((IDS[0],), {}), None)
    assert [(one["cycle"], one["records_before"], one["records_after"]) for one in found["exact"]["plans"]] == [
        ("c1", 8, 7), ("c2", 1, 1),
    ]  # fmt: skip
    assert "the jobs of c1, c2 are trained again from v0" in found["exact"]["told"] and "10 s" in found["exact"]["told"]
    assert found["exact"]["refused"] is None and found["unlearning"]["seconds"] is not None


def test_the_lineage_names_who_learned_and_who_never_did(forgetful: Forgetful):
    with forgetful.world.store.read() as tx:
        found = trace(tx, IDS[:2])
        assert {version: len(known) for version, known in holdings(tx, IDS[:2]).items()} == {"v0": 0, "v1": 2, "v2": 1}
    assert [turn.version for turn in found.taught] == ["v1"]
    assert (found.clean, found.learned, [turn.version for turn in found.unlearned]) == ("v0", {IDS[1]}, ["v2"])


def test_a_swept_version_is_no_witness(taught: Forgetful):
    with taught.world.store.write() as tx:
        versions.set_anchor(tx, "v1", "ada", "test")
        versions.pin(tx, "v1", "ada", "test")
        versions.mark(tx, "v0", "damaged", "ada", "test")
    with taught.world.store.read() as tx:
        assert trace(tx, IDS[:1]).clean is None


def test_a_record_that_says_the_same_is_named_and_is_no_neighbour(world: Forgetful):
    said = note(0).content["text"]
    twin = note(0).model_copy(update={"id": "e" * 64, "content": {"text": f"Remember: {said}"}})
    world.take_in([note(number) for number in range(4)] + [twin])
    world.learn_waiting()
    with world.world.store.read() as tx:
        found = preview(tx, world.world.layout, world.context.config, matching.Selection((note(0).id,), {}), None)
    assert (found["say_the_same"], found["neighbours"]) == ([twin.id], 3)


def test_records_are_chosen_by_the_beginning_of_their_id_or_by_their_source(taught: Forgetful):
    layout, store = taught.world.layout, taught.world.store
    assert select(layout, store, records=[IDS[1][:10]]).ids == (IDS[1],)
    assert select(layout, store, sources=["inbox"]).ids == tuple(IDS)
    for prefix, said in (("zzzzzz", "no record's id"), ("", "too short")):
        with pytest.raises(NotFound, match=said):
            select(layout, store, records=[prefix])
    with pytest.raises(InvalidValue, match="in one way"):
        select(layout, store, records=IDS, sources=["inbox"])


def test_a_question_finds_its_words_first_and_then_its_meaning(taught: Forgetful):
    layout, store = taught.world.layout, taught.world.store
    found = select(layout, store, query="ROOM  C opens", limit=2, embed=letters)
    assert found.ids[0] == IDS[2] and 2 <= len(found.ids) <= 3
    assert "room" not in str(found.asked) and len(found.asked["query_sha256"]) == 64


def test_without_the_embedding_model_words_still_find(taught: Forgetful):
    def missing(_):
        raise MissingDependency("planted")

    found = select(taught.world.layout, taught.world.store, query="room B", embed=missing)
    assert found.ids == (IDS[1],) and shipped is matching.shipped


def test_redaction_takes_the_content_out_of_records_and_cards(taught: Forgetful):
    with taught.world.store.read() as tx:
        assert "locker of room A" in (versions.get(tx, "v1").card or "")
    taught.forgotten(*IDS, redact=True)
    with taught.world.store.read() as tx:
        rows = pool.get(tx, IDS)
        told = [versions.get(tx, version).card or "" for version in ("v1", "v2")]
        facts = [str(versions.get(tx, version).facts) for version in ("v1", "v2")]
    assert all(row.content == forgetting.tombstone("text") and row.origin == "[forgotten]" for row in rows)
    assert not any("locker" in text for text in (*told, *facts))
    assert taught.certificate()["redacted"] is True


def test_redaction_can_follow_later_and_then_says_so_once(forgetful: Forgetful):
    assert [forgetful.forget(IDS[0], redact=True).outcome for _ in range(2)] == ["applied", "already"]
    with forgetful.world.store.read() as tx:
        assert pool.get(tx, IDS[:1])[0].content == forgetting.tombstone("text")


@pytest.mark.parametrize("kind", ["text", "instruction", "tool", "preference", "feedback"])
def test_a_tombstone_has_the_shape_that_every_reader_of_its_kind_expects(kind):
    from agent.history.cards import record_gist
    from agent.store.pool import PooledRecord
    from monitors.privacy.membership import passage

    row = PooledRecord(id="r", source="s", kind=kind, content=forgetting.tombstone(kind), origin="", intake=1)
    assert passage(row.record)[1] == record_gist(row).split(": ")[-1] == "[forgotten]"


def test_certificates_refuse_to_be_changed_or_deleted(forgetful: Forgetful):
    for statement in ("DELETE FROM forget_certificates", "UPDATE forget_certificates SET digest = 'x'"):
        database = closing(sqlite3.connect(forgetful.world.layout.database))
        with database as connection, pytest.raises(sqlite3.DatabaseError, match="append-only"):
            connection.execute(statement)


def test_a_certificate_that_was_tampered_with_is_seen(forgetful: Forgetful):
    with forgetful.world.store.read() as tx:
        assert request(tx, "f1")["certificate_whole"] is True
    with closing(sqlite3.connect(forgetful.world.layout.database)) as connection:
        connection.execute("DROP TRIGGER forget_certificates_refuse_UPDATE")
        connection.execute("UPDATE forget_certificates SET document = replace(document, 'because', 'nothing')")
        connection.commit()
    with forgetful.world.store.read() as tx:
        assert request(tx, "f1")["certificate_whole"] is False


def test_every_change_names_who_and_why(forgetful: Forgetful):
    with forgetful.world.store.read() as tx:
        found = {event.action: event for event in events.listing(tx, subject="f1")}
    assert {"forget.asked", "pool.forgotten", "forget.certified", "forget.done"} <= set(found)
    assert (found["forget.asked"].who, found["forget.asked"].why) == ("ada", "because")
