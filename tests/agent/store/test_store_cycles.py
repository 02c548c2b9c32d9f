"""Cycles walk only the arrows of the table, one at a time, each from where the caller saw it."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from agent.errors import NotFound
from agent.store import ActiveCycleExists, IllegalTransition, StaleState, Store, cycles, events
from agent.store.cycles import ENDINGS, LEGAL, CycleState

Walk = Callable[[str], str]


def test_the_table_covers_every_state_and_every_state_can_end() -> None:
    assert set(LEGAL) == set(get_args(CycleState))
    for state in set(LEGAL) - ENDINGS:
        assert {"failed", "aborted"} <= LEGAL[state]


def test_every_state_is_reachable() -> None:
    found, front = {"diagnosing"}, ["diagnosing"]
    while front:
        new = LEGAL[front.pop()] - found  # type: ignore[index]
        found |= new
        front += new
    assert found == set(LEGAL)


def test_at_most_one_cycle_is_active(store: Store, cycle_in: Walk) -> None:
    cycle = cycle_in("planning")
    with pytest.raises(ActiveCycleExists, match=f"cld cycle abort {cycle}"), store.write() as tx:
        cycles.create(tx, "data", "daemon", "another")


def test_the_database_itself_refuses_a_second_active_cycle(store: Store, cycle_in: Walk) -> None:
    from sqlalchemy.exc import IntegrityError

    from agent.store.tables import Cycle

    cycle_in("planning")
    with pytest.raises(IntegrityError), store.write() as tx:
        tx.add(Cycle(id="c9", number=9, state="planning", active=True, trigger="data"))


def test_an_arrow_that_is_not_in_the_table_is_refused(store: Store, cycle_in: Walk) -> None:
    cycle = cycle_in("planning")
    with pytest.raises(IllegalTransition, match="'promoting'"), store.write() as tx:
        cycles.transition(tx, cycle, "planning", "promoting", "daemon", "skipping")


def test_a_transition_from_a_stale_view_is_refused(store: Store, cycle_in: Walk) -> None:
    cycle = cycle_in("training")
    with pytest.raises(StaleState, match="moved on"), store.write() as tx:
        cycles.transition(tx, cycle, "planning", "curating", "daemon", "late")


def test_a_transition_records_who_why_and_what(store: Store, cycle_in: Walk) -> None:
    cycle = cycle_in("planning")
    with store.write() as tx:
        row = cycles.transition(tx, cycle, "planning", "curating", "ann", "go", stage="cit", method="replay")
        assert (row.state, row.stage, row.method, row.reason) == ("curating", "cit", "replay", "go")
        event = events.listing(tx, cycle)[-1]
    assert (event.who, event.why, event.detail) == ("ann", "go", {"before": "planning", "after": "curating"})


def test_an_ended_cycle_leaves_the_place_free(store: Store, cycle_in: Walk) -> None:
    cycle = cycle_in("planning")
    with store.write() as tx:
        ended = cycles.transition(tx, cycle, "planning", "aborted", "ann", "wrong data")
        assert (ended.ended_at is not None, cycles.active(tx)) == (True, None)
        assert cycles.create(tx, "data", "daemon", "next").id == "c2"
        assert [row.id for row in cycles.listing(tx)] == ["c2", "c1"]


def test_waiting_for_approval_must_say_what_follows(store: Store, cycle_in: Walk) -> None:
    cycle = cycle_in("planning")
    with pytest.raises(IllegalTransition, match="resume_state"), store.write() as tx:
        cycles.transition(tx, cycle, "planning", "awaiting_approval", "daemon", "a person must look")


def test_approval_leads_only_where_it_was_asked_for(store: Store, cycle_in: Walk) -> None:
    cycle = cycle_in("planning")
    with store.write() as tx:
        cycles.transition(tx, cycle, "planning", "awaiting_approval", "daemon", "ask", resume_state="curating")
    with pytest.raises(IllegalTransition, match="leads nowhere else"), store.write() as tx:
        cycles.transition(tx, cycle, "awaiting_approval", "promoting", "ann", "yes")
    with store.write() as tx:
        assert cycles.transition(tx, cycle, "awaiting_approval", "curating", "ann", "yes").resume_state is None


def test_an_unknown_cycle_or_column_is_named(store: Store, cycle_in: Walk) -> None:
    cycle = cycle_in("planning")
    with pytest.raises(NotFound, match="cld cycle list"), store.read() as tx:
        cycles.get(tx, "c99")
    with pytest.raises(IllegalTransition, match="mood"), store.write() as tx:
        cycles.transition(tx, cycle, "planning", "curating", "daemon", "x", mood="good")
