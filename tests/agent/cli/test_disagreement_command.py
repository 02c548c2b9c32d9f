"""Promises of `cld data disagreement|settle`: who says what is shown, and a person's word is carried out."""

from __future__ import annotations

import pytest

from agent.disagreement import keep_back
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated
from tests.thumbs import put_in, thumb

ASK = "May I say du?"


@pytest.fixture
def disputed(operated: Operated) -> Operated:
    """Three of `us` approve what one of `de` disapproves, and all of it is kept out of cycles."""
    asked = (ASK, "May I say du", "may I say DU?")
    put_in(operated.store, [*(thumb(one, "Sure.", True, "us") for one in asked), thumb(ASK, "Sure.", False, "de")])
    with operated.store.write() as tx:
        keep_back(tx, operated.config)
    return operated


def test_the_table_shows_prompt_answer_counts_and_bounds(disputed: Operated, cld: Cld):
    out = cld("data", "disagreement").out
    assert ASK in out and "Sure." in out
    assert "us: 3 of 3 (0.29 to 1.00)" in out and "de: 0 of 1 (0.00 to 0.97)" in out
    assert "4 kept" in out


def test_json_holds_every_number(disputed: Operated, cld: Cld):
    (found,) = cld("data", "disagreement", "--json").json["disagreements"]
    assert (found["prompt"], found["kept"], found["settled"]) == (ASK, 4, None)
    (answer,) = found["answers"]
    assert {side["group"]: [side["wanted"], side["judged"]] for side in answer["sides"]} == {"us": [3, 3], "de": [0, 1]}
    assert answer["p_value"] == pytest.approx(0.25)


def test_status_counts_what_is_contested(disputed: Operated, cld: Cld):
    assert "4 contested (`cld data disagreement`)" in cld("status").out
    assert cld("status", "--json").json["pool"]["contested"] == 4


def test_a_word_settles_by_id_or_by_the_prompt_and_is_shown(disputed: Operated, cld: Cld):
    (found,) = cld("data", "disagreement", "--json").json["disagreements"]
    said = cld("data", "settle", found["id"], "--apart", "--json")
    assert (said.code, said.json["outcome"], said.json["data"]["learned"]) == (0, "applied", 4)
    assert "apart, by ada" in cld("data", "disagreement").out
    assert "the side of us is learned for all (ada); 3 record(s)" in cld("data", "settle", ASK, "--group", "us").out
    assert "no groups judge" in cld("data", "disagreement").out


def test_a_dry_run_says_what_would_happen_and_changes_nothing(disputed: Operated, cld: Cld):
    assert "would apply" in cld("data", "settle", ASK, "--group", "us", "--dry-run").out
    assert "4 kept" in cld("data", "disagreement").out


@pytest.mark.parametrize("words", [(), ("--apart", "--group", "us")])
def test_a_word_is_one_of_the_two(disputed: Operated, cld: Cld, words: tuple[str, ...]):
    said = cld("data", "settle", ASK, *words)
    assert said.code != 0 and "say which" in said.err


def test_an_unknown_prompt_is_answered_with_the_command_that_lists_them(disputed: Operated, cld: Cld):
    said = cld("data", "settle", "What?", "--apart")
    assert said.code == 3 and "`cld data disagreement` lists" in said.err
