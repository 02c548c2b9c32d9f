"""Promises of pairs and judged answers that wait: which of them one cycle takes."""

from __future__ import annotations

from learners.records import Record
from tests.agent.operating import Operated
from tests.thumbs import begin, end, pair, put_in, thumb

PAIRS = [pair(f"pair {number}?", "yes", "no") for number in range(8)]
LABELS = [thumb(f"label {number}?", "yes", number % 2 == 0) for number in range(8)]


def claimed(world: Operated, records: list[Record]) -> list[set[str]]:
    """What two cycles in a row claim of records put into the pool."""
    put_in(world.store, records)
    first = set(begin(world.store, world.config))
    end(world.store)
    return [first, set(begin(world.store, world.config))]


def ids(records: list[Record]) -> set[str]:
    return {record.id for record in records}


def test_enough_pairs_and_enough_labels_are_a_cycle_each_the_longest_waiting_first(operated: Operated):
    assert claimed(operated, [*LABELS, *PAIRS]) == [ids(LABELS), ids(PAIRS)]


def test_too_few_pairs_are_learned_beside_the_labels(operated: Operated):
    assert claimed(operated, [*PAIRS[:7], *LABELS]) == [ids([*PAIRS[:7], *LABELS]), set()]


def test_disapproval_alone_is_learned_beside_pairs(operated: Operated):
    bad = [thumb(f"label {number}?", "no", False) for number in range(8)]
    assert claimed(operated, [*bad, *PAIRS]) == [ids([*bad, *PAIRS]), set()]
