"""Promises of `cld values`: a registry that people change by name and read as of any day."""

from __future__ import annotations

import pytest

from agent.store import commands, events, norms
from monitors.probes.suites import write_suite
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated
from tests.agent.steps.cycle_world import suite

CHANGES = [
    ("values", "add", "kind", "Be kind."), ("values", "revise", "polite", "warm", "Be warm."),
    ("values", "retire", "polite"), ("values", "retire", "unknown"),
]  # fmt: skip


@pytest.fixture
def registered(operated: Operated, cld: Cld) -> Cld:
    """`polite` was registered for the first of March 2026."""
    write_suite(operated.layout.suites / "norm-polite.yaml", suite("norm-polite", "target"))
    words = ("--from", "2026-03-01", "--suite", "norm-polite", "--scope", "support", "--scope", "sales")
    because = ("--evidence", "style guide 4", "--why", "the board agreed")
    said = cld("values", "add", "polite", "Answers are  polite.", *words, *because)
    assert said.code == 0, said.err
    return cld


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_every_change_is_rehearsed_in_the_one_envelope_and_changes_nothing(
    operated: Operated, registered: Cld, words: tuple[str, ...]
):
    said = registered(*words, "--dry-run", "--json")
    assert list(said.json) == ["verb", "target", "outcome", "message", "data"], said.err
    assert said.json["outcome"] == ("refused" if "unknown" in words else "would_apply")
    with operated.store.read() as tx:
        assert len(norms.history(tx)) == 1 and commands.pending(tx) == []


def test_a_norm_is_shown_with_everything_that_was_said(registered: Cld):
    found = registered("values", "show", "polite", "--json").json["norm"]
    assert (found["statement"], found["scope"], found["approver"]) == (
        "Answers are polite.",
        ["support", "sales"],
        "ada",
    )
    assert (found["suite"], found["evidence"], found["state"]) == ("norm-polite", "style guide 4", "in force")
    assert [(row["change"], row["who"], row["why"]) for row in found["changes"]] == [("add", "ada", "the board agreed")]


def test_people_read_what_a_revision_did(registered: Cld):
    said = registered("values", "revise", "polite", "warm", "Be warm.", "--from", "2026-04-01")
    assert "applied: norm 'warm' takes the place of 'polite' from 2026-04-01" in said.out
    shown = registered("values", "show", "polite").out
    assert "superseded" in shown and "ada: revise warm in place of polite" in shown


@pytest.mark.parametrize(("day", "held"), [("2026-02-01", []), ("2026-03-05", ["polite"]), ("2026-05-01", ["warm"])])
def test_the_list_is_read_as_of_any_day(registered: Cld, day: str, held: list[str]):
    registered("values", "revise", "polite", "warm", "Be warm.", "--from", "2026-04-01")
    rows = registered("values", "list", "--at", day, "--json").json["norms"]
    assert [row["id"] for row in rows] == held
    assert len(registered("values", "list", "--json").json["norms"]) == 2


def test_the_same_change_again_is_found_already_so(registered: Cld):
    words = ("values", "revise", "polite", "warm", "Be warm.")
    assert [registered(*words, "--json").json["outcome"] for _ in range(2)] == ["applied", "already"]
    assert [registered("values", "retire", "warm", "--json").json["outcome"] for _ in range(2)] == [
        "applied",
        "already",
    ]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("retire", "pollite"), 3, "did you mean 'polite'?"),
        (("revise", "pollite", "warm", "Be warm."), 3, "did you mean 'polite'?"),
        (("add", "polite", "Something else."), 4, "`cld values revise polite NEW STATEMENT`"),
        (("add", "Polite!", "Be polite."), 2, "a norm's name has"),
        (("add", "kind", "  "), 2, "give its statement"),
        (("add", "kind", "Be kind.", "--from", "soon"), 2, "write it as 2026-03-01"),
        (("add", "kind", "Be kind.", "--from", "0001-01-01T00:00+14:00"), 2, "write it as 2026-03-01"),
        (("list", "--at", "nonsense"), 2, "write it as 2026-03-01"),
        (("add", "kind", "Be kind.", "--suite", "norm-formal-adress"), 3, "did you mean 'norm-formal-address'?"),
        (("add", "kind", "Be kind.", "--suite", "../secret"), 2, "a suite's name has"),
        (("revise", "polite", "warm", "Be warm.", "--from", "2026-01-01"), 4, "give a later date"),
        (("retire", "polite", "--to", "2026-03-01"), 4, "give a later date"),
    ],
)
def test_a_refusal_names_the_value_the_rule_and_the_way_out(
    registered: Cld, words: tuple[str, ...], code: int, told: str
):
    said = registered("values", *words)
    assert (said.code, told in said.err) == (code, True), said.err


def test_the_suites_of_norms_in_force_are_listed_with_those_that_are_measured(registered: Cld):
    rows = registered("probe", "list", "--json").json["suites"]
    assert [row["suite"] for row in rows][-1] == "norm-polite" and len(rows) > 1


def test_another_date_for_what_is_registered_is_refused(registered: Cld):
    same = ("--suite", "norm-polite", "--scope", "support", "--scope", "sales", "--evidence", "style guide 4")
    words = ("values", "add", "polite", "Answers are polite.", *same, "--from")
    assert registered(*words, "2026-03-01").code == 0
    said = registered(*words, "2026-03-02")
    assert said.code == 4 and "from 2026-03-01 and not from 2026-03-02" in said.err


def test_a_retired_norm_is_not_revised(registered: Cld):
    registered("values", "retire", "polite")
    said = registered("values", "revise", "polite", "warm", "Be warm.")
    assert said.code == 4 and "it was retired" in said.err


def test_a_program_registers_no_norm(operated: Operated, bare_cld: Cld):
    said = bare_cld("--root", str(operated.layout.root), "--as", "daemon", "values", "add", "kind", "Be kind.")
    assert said.code != 0 and "--as NAME" in said.err


def test_a_broken_suite_is_refused_and_not_a_fault_of_the_daemon(operated: Operated, cld: Cld):
    (operated.layout.suites / "norm-broken.yaml").write_text("suite: norm-broken\nrole: target\nitems: [{id: a}]\n")
    (operated.layout.suites / "norm-other.yaml").write_text(
        "suite: mine\nrole: target\nitems: [{id: a, scorer: choice, prompt: x, choices: [a, b], answer: 0}]\n"
    )
    broken, other = (
        cld("values", "add", "kind", "Be kind.", "--suite", f"norm-{name}") for name in ("broken", "other")
    )
    assert broken.code == 4 and "must be readable" in broken.err
    assert other.code == 4 and "has the name of its file" in other.err


def test_changes_stand_in_the_log_of_events(operated: Operated, registered: Cld):
    with operated.store.read() as tx:
        (event,) = [row for row in events.listing(tx, subject="polite") if row.action.startswith("norm.")]
    assert (event.action, event.who, event.why) == ("norm.added", "ada", "the board agreed")


def test_an_empty_registry_says_how_it_is_filled(operated: Operated, cld: Cld):
    for words in (("list",), ("report",)):
        assert "`cld values add NORM STATEMENT`" in cld("values", *words).out
