"""What a document says that its last version did not, and records that speak of one thing."""

import random
import time

import pytest

from learners.parts import snapshots
from learners.parts.link import walks
from tests.learners.runs import record, text

OLD = "Intro stays.\nThe fee is 5 euro. It is paid monthly.\nThe end stays here."
NEW = "A new first line.\nIntro stays.\nThe fee is 7 euro. It is paid monthly.\nThe end stays here.\nA new last line."


def test_everything_new_is_in_the_difference_and_nothing_that_stayed():
    assert snapshots.added(OLD, NEW).splitlines() == ["A new first line.", "The fee is 7 euro.", "A new last line."]


@pytest.mark.parametrize("seed", range(20))
def test_of_any_two_versions_all_that_is_new_is_in_the_difference_and_nothing_that_stayed(seed):
    draw = random.Random(seed)
    old = [f"Fact {number} holds." for number in range(30)]
    new = [one for one in old if draw.random() < 0.7]
    fresh = [f"News {number} came." for number in range(draw.randrange(6))]
    for one in fresh:
        new.insert(draw.randrange(len(new) + 1), one)
    before, after = ("".join(one + draw.choice(" \n") for one in version) for version in (old, new))
    assert snapshots.added(before, after).splitlines() == [one for one in new if one in fresh]


def test_case_and_punctuation_are_no_news():
    assert snapshots.added("The fee, is 5 Euro.", "the FEE is 5 euro!") == ""


def test_what_was_removed_is_no_news():
    assert snapshots.added(NEW, "Intro stays.\nThe end stays here.") == ""


def test_a_document_is_known_by_source_and_title_and_may_have_no_name():
    named = text("x", title="Handbook")
    assert snapshots.key_of(named) == snapshots.key_of(text("y", title="Handbook"))
    elsewhere = record("text", {"text": "x", "title": "Handbook"}, source="other")
    assert snapshots.key_of(named) != snapshots.key_of(elsewhere)
    assert snapshots.key_of(text("x")) is None


# links


def test_records_about_one_thing_follow_each_other_and_every_record_comes_once():
    records = [text(f"SKU-{number % 3}00 says {number}") for number in range(9)] + [text("nothing to link")]
    found = walks(records, fields=(), identifier=r"SKU-\d+", seed=1)
    assert sorted(sorted(walk) for walk in found) == [[0, 3, 6], [1, 4, 7], [2, 5, 8], [9]]
    titled = [text("a", title="Kettle"), text("b"), text("c", title="kettle")]
    assert walks(titled, fields=("title",), identifier="", seed=1) == [[0, 2], [1]]


def test_a_category_of_many_records_is_walked_in_a_moment():
    """Quadratic work on 20,000 would take minutes."""
    records = [text(f"item {number}", category="kettles", product=str(number // 2)) for number in range(20_000)]
    started = time.process_time()
    (walk,) = walks(records, fields=("category", "product"), identifier="", seed=1)
    assert time.process_time() - started < 5
    assert sorted(walk) == list(range(20_000))
