"""The pool consumes every record once (promise P9)."""

from __future__ import annotations

import pytest
from store_world import make_records, take_in

from agent.store import StaleState, Store, cycles, pool


def test_waiting_records_come_in_order_of_arrival(store: Store) -> None:
    records = make_records(5)
    with store.write() as tx:
        take_in(tx, records)
        rows = pool.waiting(tx, limit=3)
        assert [row.record for row in rows] == records[:3]
        assert pool.newest_received_at(tx) == pool.get(tx, [records[4].id])[0].received_at


def test_a_record_is_claimed_by_one_cycle_only(store: Store) -> None:
    with store.write() as tx:
        take_in(tx, make_records(4))
        ids = [row.id for row in pool.waiting(tx, 3)]
        cycles.create(tx, "data", "daemon", "enough", ids)
        assert [row.id for row in pool.records_of(tx, "c1")] == ids
    with pytest.raises(StaleState, match="consumed once"), store.write() as tx:
        pool.claim(tx, "c1", ids)


def test_a_released_record_waits_again(store: Store) -> None:
    with store.write() as tx:
        take_in(tx, make_records(2))
        cycles.create(tx, "data", "daemon", "enough", [row.id for row in pool.waiting(tx, 2)])
        assert pool.release(tx, "c1", "training failed") == 2
        assert pool.release(tx, "c1", "training failed") == 0
        assert (pool.counts(tx), pool.records_of(tx, "c1")) == ({"text": 2}, [])


@pytest.mark.parametrize("outcome", ["learned", "refused", "set_aside"])
def test_a_settled_record_never_comes_back(store: Store, outcome) -> None:
    with store.write() as tx:
        take_in(tx, make_records(2))
        cycles.create(tx, "data", "daemon", "enough", [row.id for row in pool.waiting(tx, 2)])
        assert pool.settle(tx, "c1", outcome) == 2
        assert pool.settle(tx, "c1", "refused") == pool.release(tx, "c1", "again") == 0
        assert {row.state for row in pool.records_of(tx, "c1")} == {outcome}
        assert (take_in(tx, make_records(2)).kept, pool.counts(tx)) == (0, {})


def test_a_record_whose_cycles_fail_twice_is_refused(store: Store) -> None:
    with store.write() as tx:
        take_in(tx, make_records(1))
        for expected in ("waiting", "refused"):
            cycle = cycles.create(tx, "data", "daemon", "enough", [row.id for row in pool.waiting(tx, 1)])
            cycles.transition(tx, cycle.id, "diagnosing", "failed", "daemon", "crashed")
            pool.settle(tx, cycle.id, "failed")
            assert pool.get(tx, [make_records(1)[0].id])[0].state == expected


def test_thousands_of_records_are_one_transaction(store: Store) -> None:
    with store.write() as tx:
        assert take_in(tx, make_records(5000)).kept == 5000
        ids = [row.id for row in pool.waiting(tx, 5000)]
        assert pool.claim(tx, cycles.create(tx, "data", "daemon", "x").id, ids) == 5000
        assert len(pool.get(tx, ids)) == 5000
