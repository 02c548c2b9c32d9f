"""The registry of values: named people change it, nothing is rewritten, and any day can be read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from store_world import intake_result, walk_to

from agent.errors import NotFound, Refused
from agent.store import Conflict, Session, Store, UnnamedChange, events, intakes, norms, pool
from learners.records import Record, record_id


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


def draft(norm: str = "polite", start: int = 1, **more: object) -> norms.Draft:
    return norms.Draft(norm, f"Answers are {norm}.", day(start), **more)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def revised(store: Store) -> Store:
    """A registry where `polite` held from the first, and `warm` took its place on the tenth."""
    with store.write() as tx:
        norms.add(tx, draft(scope=("support",), suite="norm-polite"), "ann", "the style guide")
        norms.revise(tx, "polite", draft("warm", 10, suite="norm-warm"), "bob", "the new style guide")
    return store


def test_a_revision_ends_the_old_norm_where_the_new_one_begins(revised: Store):
    with revised.read() as tx:
        old, new = norms.listing(tx)
    assert (old.id, old.valid_to, new.id, new.valid_from, new.supersedes) == (
        "polite",
        day(10),
        "warm",
        day(10),
        "polite",
    )
    assert (old.approver, new.approver, old.scope) == ("ann", "bob", ["support"])


@pytest.mark.parametrize(("on", "held"), [(1, ["polite"]), (9, ["polite"]), (10, ["warm"]), (20, ["warm"])])
def test_the_registry_is_read_as_of_any_day(revised: Store, on: int, held: list[str]):
    with revised.read() as tx:
        assert [norm.id for norm in norms.listing(tx, at=day(on))] == held


def test_before_its_first_day_a_norm_does_not_hold(revised: Store):
    with revised.read() as tx:
        assert norms.listing(tx, at=datetime(2026, 2, 28, tzinfo=UTC)) == []


def test_every_change_is_a_commit_and_an_event_with_its_name(revised: Store):
    with revised.write() as tx:
        norms.retire(tx, "warm", day(20), "cas", "nobody wanted it")
        commits = [(row.change, row.norm, row.old, row.who, row.why) for row in norms.history(tx)]
        told = [(row.action, row.subject, row.who) for row in events.listing(tx) if row.action.startswith("norm.")]
    assert commits[1:] == [("revise", "warm", "polite", "bob", "the new style guide"),
                           ("retire", "warm", None, "cas", "nobody wanted it")]  # fmt: skip
    assert told == [("norm.added", "polite", "ann"), ("norm.revised", "warm", "bob"), ("norm.retired", "warm", "cas")]


def test_the_history_of_a_norm_has_what_closed_it(revised: Store):
    with revised.read() as tx:
        assert [row.change for row in norms.history(tx, "polite")] == ["add", "revise"]


def test_a_norm_that_ended_is_revised_no_more_and_the_heir_is_named(revised: Store):
    with pytest.raises(Refused, match=r"'polite' cannot be revised.*'warm' took its place"), revised.write() as tx:
        norms.revise(tx, "polite", draft("kind", 12), "ann", "again")


def test_a_retired_norm_is_neither_revised_nor_retired_again(revised: Store):
    with revised.write() as tx:
        norms.retire(tx, "warm", day(20), "ann", "done")
    with pytest.raises(Refused, match="it was retired"), revised.write() as tx:
        norms.revise(tx, "warm", draft("kind", 25), "ann", "again")
    with pytest.raises(Refused, match="cannot be retired"), revised.write() as tx:
        norms.retire(tx, "warm", day(25), "ann", "again")


def test_a_refused_revision_leaves_no_trace(revised: Store):
    with pytest.raises(Conflict, match="never rewritten"), revised.write() as tx:
        norms.revise(tx, "warm", draft("polite", 12), "ann", "back to the old one")
    with revised.read() as tx:
        assert norms.get(tx, "warm").valid_to is None
        assert len(norms.history(tx)) == 2


@pytest.mark.parametrize("end", [10, 9])
def test_a_norm_does_not_end_before_it_began(revised: Store, end: int):
    with pytest.raises(Refused, match="give a later date"), revised.write() as tx:
        norms.retire(tx, "warm", day(end), "ann", "early")


def test_an_unknown_norm_is_answered_with_the_nearest(revised: Store):
    with pytest.raises(NotFound, match="no norm 'pollite'; did you mean 'polite'"), revised.read() as tx:
        norms.get(tx, "pollite")


@pytest.mark.parametrize("who", ["", "daemon", "Model"])
def test_no_program_changes_a_norm(revised: Store, who: str):
    with pytest.raises(UnnamedChange, match="--as NAME"), revised.write() as tx:
        norms.add(tx, draft("brief"), who, "x")
    with pytest.raises(UnnamedChange, match="--as NAME"), revised.write() as tx:
        norms.revise(tx, "warm", draft("brief", 20), who, "x")
    with pytest.raises(UnnamedChange, match="--as NAME"), revised.write() as tx:
        norms.retire(tx, "warm", day(20), who, "x")


def test_asking_for_what_is_registered_changes_nothing(revised: Store):
    with revised.write() as tx:
        norms.revise(tx, "polite", draft("warm", 11, suite="norm-warm"), "ann", "again")
        assert len(norms.history(tx)) == 2
    with pytest.raises(Conflict), revised.write() as tx:
        norms.add(tx, draft("polite", evidence="another"), "ann", "again")


@pytest.mark.parametrize(
    ("on", "in_force", "measured"),
    [(5, {"norm-polite"}, ["norm-polite"]), (15, {"norm-warm"}, ["norm-warm", "norm-polite"]), (25, set[str](), [])],
)
def test_only_norms_in_force_stand_and_their_forerunners_are_measured_too(
    revised: Store, on: int, in_force: set[str], measured: list[str]
):
    with revised.write() as tx:
        norms.retire(tx, "warm", day(20), "ann", "done")
        assert {suite for suite, holds in norms.standing(tx, day(on)).items() if holds} == in_force
        assert norms.measured_suites(tx, day(on)) == measured


def test_a_suite_that_a_norm_in_force_shares_with_the_old_one_must_hold(store: Store):
    with store.write() as tx:
        norms.add(tx, draft(suite="shared"), "ann", "x")
        norms.revise(tx, "polite", draft("warm", 10, suite="shared"), "ann", "x")
        assert norms.standing(tx, day(15)) == {"shared": True}


def preferences(tx: Session, **contents: dict[str, str]) -> list[str]:
    """Preferences in the pool, each naming what its keyword argument says; their ids."""
    records = [
        Record(id=record_id("preference", content), source="inbox", kind="preference", content=content, origin="a")
        for content in ({"prompt": name, **norm} for name, norm in contents.items())
    ]
    intake = intakes.claim(tx, "inbox", [("/inbox/a.txt", 10, 20)])
    intakes.record(tx, intake.number, intake_result(len(records)), records, [])
    return [record.id for record in records]


def test_what_was_set_aside_for_a_norm_goes_back_to_the_pool_once_it_is_known(store: Store):
    with store.write() as tx:
        ids = preferences(tx, a={"norm": "brief", "change": "add"}, b={"norm": "loud", "change": "add"}, c={})
        cycle = walk_to(tx, "diagnosing")
        pool.claim(tx, cycle, ids)
        assert pool.set_aside(tx, cycle, ids[:2], "nobody registered them") == 2
        assert norms.awaited(tx) == {"brief": 1, "loud": 1}
        assert norms.put_back(tx, "brief", ("add",), "ann", "registered") == 1
        assert [row.state for row in pool.get(tx, ids)] == ["waiting", "set_aside", "claimed"]
        assert pool.settle(tx, cycle, "learned") == 1
