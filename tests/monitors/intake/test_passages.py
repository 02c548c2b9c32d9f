"""Promises of passages: bounded, in order, nothing lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.intake.passages import first_heading, split_passages


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab .#\n`~é", max_size=600), st.integers(10, 80))
def test_passages_are_bounded_and_lose_nothing_but_blanks(text, bound):
    passages = split_passages(text, bound)
    assert all(0 < len(passage) <= bound for passage in passages)
    assert "".join("".join(passages).split()) == "".join(text.split())


def test_passages_end_at_headings_and_keep_headings_with_their_text():
    text = "# A\n\n## B\n\none\n\ntwo\n\n## C\n\nthree"
    assert split_passages(text, 100) == ["# A\n\n## B\n\none\n\ntwo", "## C\n\nthree"]


def test_a_code_fence_is_not_cut_at_blank_lines_or_comments():
    text = "before\n\n```\n# no heading\n\nx = 1\n```\n\nafter"
    assert split_passages(text, 40) == ["before\n\n```\n# no heading\n\nx = 1\n```", "after"]
    assert first_heading(text) is None


def test_long_paragraphs_are_cut_at_sentences():
    assert split_passages("One two three four. Five six seven eight. Nine ten.", 45) == [
        "One two three four. Five six seven eight.", "Nine ten."]  # fmt: skip


@pytest.mark.parametrize("line", ["# a" + " " * 200_000 + "b", "#" * 200_000, "x" * 2_000_000, ". " * 200_000])
def test_cutting_is_linear_in_hostile_lines(line):
    passages = split_passages(line, 1600)
    assert sum(map(len, passages)) <= len(line)
