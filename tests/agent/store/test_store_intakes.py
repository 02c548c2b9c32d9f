"""Every item that an intake read is accounted for (promise P9)."""

from __future__ import annotations

import pytest
from store_world import intake_result, make_records, take_in

from agent.errors import NotFound
from agent.store import AccountingError, Store, events, intakes, pool
from agent.store.intakes import Accounting, FileStamp
from monitors.intake_job import Quarantined

PATHS = ["/inbox/a.txt", "/inbox/b.txt"]


def test_an_intake_adds_up(store: Store) -> None:
    with store.write() as tx:
        assert take_in(tx, make_records(3), duplicate=1, quarantined=2) == Accounting(6, 3, 1, 2)
        assert intakes.accounting(tx) == {"inbox": Accounting(6, 3, 1, 2)}
        assert pool.counts(tx) == {"text": 3}
        assert [item.reason for item in intakes.quarantine_listing(tx)] == ["not UTF-8"] * 2


def test_a_record_seen_before_counts_as_a_duplicate(store: Store) -> None:
    with store.write() as tx:
        take_in(tx, make_records(3))
        assert take_in(tx, make_records(5)) == Accounting(read=5, kept=2, duplicate=3, quarantined=0)
        assert intakes.accounting(tx) == {"inbox": Accounting(8, 5, 3, 0)}


def test_numbers_that_do_not_add_up_keep_nothing(store: Store) -> None:
    with pytest.raises(AccountingError, match="must add up"), store.write() as tx:
        intake = intakes.claim(tx, "inbox", [("/inbox/a.txt", 10, 20)])
        intakes.record(tx, intake.number, intake_result(5), [], [Quarantined(origin="a", reason="b")])
    with store.read() as tx:
        assert (pool.counts(tx), intakes.quarantine_listing(tx)) == ({}, [])


def test_recording_an_intake_twice_changes_nothing(store: Store) -> None:
    with store.write() as tx:
        first = take_in(tx, make_records(3), quarantined=1)
        again = intakes.record(tx, 1, intake_result(9), make_records(9), [])
        assert (again, pool.counts(tx)) == (first, {"text": 3})
        assert len(events.listing(tx, "intake-1")) == 2


def test_a_claimed_file_is_known_before_and_after_it_was_read(store: Store) -> None:
    with store.write() as tx:
        intake = intakes.claim(tx, "inbox", [("/inbox/a.txt", 1, 2)])
        assert intakes.known_files(tx, "inbox", PATHS) == {"/inbox/a.txt": FileStamp(1, 2, None)}
        assert [row.job_id for row in intakes.open_listing(tx)] == ["intake-1"]
        intakes.record(tx, intake.number, intake_result(1), make_records(1), [])
        assert intakes.known_files(tx, "inbox", PATHS) == {"/inbox/a.txt": FileStamp(10, 20, "f" * 64)}
        assert (intakes.open_listing(tx), intakes.known_files(tx, "elsewhere", PATHS)) == ([], {})


def test_a_failed_intake_is_accounted_for_and_its_files_are_not_tried_again(store: Store) -> None:
    with store.write() as tx:
        intake = intakes.claim(tx, "inbox", [("/inbox/a.txt", 1, 2), ("/inbox/b.txt", 3, 4)])
        for _ in range(2):
            assert intakes.fail(tx, intake.number, "out of memory") == Accounting(2, 0, 0, 2)
        assert {row.origin for row in intakes.quarantine_listing(tx)} == {"/inbox/a.txt", "/inbox/b.txt"}
        assert (intakes.open_listing(tx), set(intakes.known_files(tx, "inbox", PATHS))) == (
            [],
            {"/inbox/a.txt", "/inbox/b.txt"},
        )


def test_an_unknown_intake_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="7"), store.write() as tx:
        intakes.record(tx, 7, intake_result(0), [], [])
