"""Promises of likeness: groups that dispute one question in two wordings are heard, and other questions stay apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from learners.parts.judgements import judgements, prompt_key
from learners.records import Record
from monitors.alike import alike
from monitors.disagreement import Tally
from monitors.embedding import Vectors, embed, installed
from tests.thumbs import pair, thumb

ASK, AGAIN = "Can I cancel my order?", "Is it possible to cancel my order?"


def near(texts: Sequence[str]) -> Vectors:
    """An embedder to which everything means the same."""
    return np.ones((len(texts), 1), dtype=np.float32)


def key(record: Record) -> str:
    return judgements(record)[0].prompt


US, DE = thumb(ASK, "Sure.", True, "us"), thumb(AGAIN, "Sure.", False, "de")


def test_two_wordings_of_a_disputed_question_are_the_one_that_was_asked_first():
    assert alike([US, DE], near) == {key(DE): key(US)}
    assert alike([DE, US], near) == {key(US): key(DE)}


@pytest.mark.parametrize(
    "other",
    [
        thumb(AGAIN, "Sure.", True, "de"),
        thumb(AGAIN, "Yes.", False, "de"),
        thumb(AGAIN, "Sure.", False, "us"),
        thumb(AGAIN, "Sure.", False),
        thumb("Can I cancel my order 12?", "Sure.", False, "de"),
        thumb("Can I not cancel my order?", "Sure.", False, "de"),
    ],
    ids=["same side", "other answer", "same group", "no group", "another number", "it says no"],
)
def test_what_disputes_nothing_or_asks_something_else_is_not_even_embedded(other: Record):
    def refused(texts: Sequence[str]) -> Vectors:
        raise AssertionError(texts)

    assert alike([US, other], refused) == {}


def test_what_was_said_before_must_be_the_same():
    said = [{"role": "user", "content": "I bought a lamp."}, {"role": "assistant", "content": "Fine."}]
    content = {**DE.content, "prompt": [*said, *DE.content["prompt"]]}
    assert alike([US, DE.model_copy(update={"content": content})], near) == {}
    assert prompt_key(content["prompt"]) != key(DE)


def test_wordings_that_hang_together_are_one_question():
    third = thumb("May I cancel the order?", "Sure.", True, "us")
    assert alike([US, DE, third], near) == {key(DE): key(US), key(third): key(US)}


def test_the_tally_counts_both_wordings_together_and_tells_them():
    records = [US, thumb(ASK, "Sure.", True, "at"), DE, pair(AGAIN, "No.", "Sure.", "de")]
    assert not Tally(records).disputed()
    (found,) = Tally(records, alike(records, near)).disputes()
    assert (found.prompt, found.wordings) == (ASK, (AGAIN,))
    assert {side.group: (side.wanted, side.judged) for side in found.answers[0].sides} == {
        "at": (1, 1), "de": (0, 2), "us": (1, 1),
    }  # fmt: skip


@pytest.mark.skipif(not installed(), reason="the embedder's weights are not installed")
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ASK, AGAIN, True),
        ("How do I return a broken lamp?", "How can I send back a broken lamp?", True),
        ("Do you ship to Austria?", "Can you deliver to Austria?", True),
        ("Do you ship to Austria?", "Do you ship to Australia?", False),
        (ASK, "Can I change my order?", False),
        ("Is it allowed to enter?", "Is it forbidden to enter?", False),
    ],
)
def test_the_shipped_embedder_tells_wordings_from_other_questions(one: str, other: str, same: bool):
    records = [thumb(one, "Sure.", True, "us"), thumb(other, "Sure.", False, "de")]
    assert bool(alike(records, embed)) is same
