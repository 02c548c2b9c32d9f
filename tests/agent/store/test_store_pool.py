"""The pool accounts for every item and consumes every record once (promise P9)."""

from __future__ import annotations

import pytest
from store_world import intake_result, make_records, take_in

from agent.errors import NotFound
from agent.store import AccountingError, StaleState, Store, cycles, events, pool
from agent.store.pool import Accounting, FileStamp
from monitors.job import Quarantined


def test_an_intake_adds_up(store: Store) -> None:
    with store.write() as tx:
        assert take_in(tx, make_records(3), duplicate=1, quarantined=2) == Accounting(6, 3, 1, 2)
        assert pool.accounting(tx) == {"inbox": Accounting(6, 3, 1, 2)}
        assert pool.counts(tx) == {"text": 3}
        assert [item.reason for item in pool.quarantine_listing(tx)] == ["not UTF-8"] * 2


def test_a_record_seen_before_counts_as_a_duplicate(store: Store) -> None:
    with store.write() as tx:
        take_in(tx, make_records(3))
        assert take_in(tx, make_records(5)) == Accounting(read=5, kept=2, duplicate=3, quarantined=0)
        assert pool.accounting(tx) == {"inbox": Accounting(8, 5, 3, 0)}


def test_numbers_that_do_not_add_up_keep_nothing(store: Store) -> None:
    with pytest.raises(AccountingError, match="must add up"), store.write() as tx:
        intake = pool.claim_intake(tx, "inbox", [("/inbox/a.txt", 10, 20)])
        pool.record_intake(tx, intake.number, intake_result(5), [], [Quarantined(origin="a", reason="b")])
    with store.read() as tx:
        assert (pool.counts(tx), pool.quarantine_listing(tx)) == ({}, [])


def test_recording_an_intake_twice_changes_nothing(store: Store) -> None:
    with store.write() as tx:
        first = take_in(tx, make_records(3), quarantined=1)
        again = pool.record_intake(tx, 1, intake_result(9), make_records(9), [])
        assert (again, pool.counts(tx)) == (first, {"text": 3})
        assert len(events.listing(tx, "intake-1")) == 2


def test_a_claimed_file_is_known_before_and_after_it_was_read(store: Store) -> None:
    with store.write() as tx:
        intake = pool.claim_intake(tx, "inbox", [("/inbox/a.txt", 1, 2)])
        assert pool.known_files(tx, "inbox") == {"/inbox/a.txt": FileStamp(1, 2, None)}
        assert [row.job_id for row in pool.open_intakes(tx)] == ["intake-1"]
        pool.record_intake(tx, intake.number, intake_result(1), make_records(1), [])
        assert pool.known_files(tx, "inbox") == {"/inbox/a.txt": FileStamp(10, 20, "f" * 64)}
        assert (pool.open_intakes(tx), pool.known_files(tx, "elsewhere")) == ([], {})


def test_a_failed_intake_is_accounted_for_and_its_files_are_not_tried_again(store: Store) -> None:
    with store.write() as tx:
        intake = pool.claim_intake(tx, "inbox", [("/inbox/a.txt", 1, 2), ("/inbox/b.txt", 3, 4)])
        for _ in range(2):
            assert pool.fail_intake(tx, intake.number, "out of memory") == Accounting(2, 0, 0, 2)
        assert {row.origin for row in pool.quarantine_listing(tx)} == {"/inbox/a.txt", "/inbox/b.txt"}
        assert (pool.open_intakes(tx), set(pool.known_files(tx, "inbox"))) == ([], {"/inbox/a.txt", "/inbox/b.txt"})


def test_an_unknown_intake_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="7"), store.write() as tx:
        pool.record_intake(tx, 7, intake_result(0), [], [])


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
