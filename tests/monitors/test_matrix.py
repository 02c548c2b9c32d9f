"""Promises of the matrix and of what follows from it: only like is compared, what is missing says so, decay shows."""

import pytest
from gate_samples import POLICY, measured, row, scores, version
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.chain import Link, chain, drift, role_deltas
from monitors.gate import judge
from monitors.matrix import ItemScore, version_matrix
from monitors.metrics import METRICS, ScoreMatrix


def items(version, suite, right, of=10, *, role="general", digest="d1", engine="e1", start=0):
    """A version's scores on a suite: the first `right` of its items are right."""
    return [
        ItemScore(version, suite, digest, role, engine, f"p{number:03}", float(number < right))
        for number in range(start, of)
    ]


def cells(matrix, suite):
    return {version: cell.mean if cell.scores else cell.missing for version, cell in matrix.row(suite).cells.items()}


# --- the matrix -------------------------------------------------------------------------------------------------


def test_every_version_stands_in_every_row_and_what_is_missing_says_so():
    matrix = version_matrix([*items("v0", "arc", 9), *items("v2", "arc", 7)], ["v0", "v1", "v2"])
    assert cells(matrix, "arc") == {"v0": 0.9, "v1": "not measured", "v2": 0.7}
    assert (matrix.row("arc").probes[0], len(matrix.row("arc").probes)) == ("p000", 10)
    assert matrix.row("arc").cell("v9").missing == "not measured"


def test_versions_that_are_not_asked_for_stand_nowhere():
    matrix = version_matrix([*items("v0", "arc", 9), *items("v9", "refused", 1, engine="e2")], ["v0"])
    assert (matrix.versions, [one.suite for one in matrix.suites], matrix.engines) == (("v0",), ["arc"], {"e1": 10})


def test_all_scores_are_of_the_engine_setting_that_the_newest_version_was_last_measured_under():
    old = [*items("v0", "arc", 9, engine="e1"), *items("v1", "arc", 8, engine="e1"), *items("v2", "arc", 1)]
    new = [*items("v0", "arc", 6, engine="e2"), *items("v2", "arc", 5, engine="e2")]
    matrix = version_matrix(old + new, ["v0", "v1", "v2"])
    assert (matrix.engine, matrix.engines) == ("e2", {"e1": 30, "e2": 20})
    assert cells(matrix, "arc") == {"v0": 0.6, "v1": "measured under e1 only", "v2": 0.5}
    assert cells(version_matrix(old + new, ["v0", "v1", "v2"], "e1"), "arc") == {"v0": 0.9, "v1": 0.8, "v2": 0.1}


def test_a_suite_that_was_edited_is_another_suite():
    before = [*items("v0", "arc", 9, digest="old"), *items("v1", "arc", 9, digest="old")]
    matrix = version_matrix(before + items("v1", "arc", 2, digest="new"), ["v0", "v1"])
    assert matrix.row("arc").digest == "new"
    assert cells(matrix, "arc") == {"v0": "measured with another file of the suite only", "v1": 0.2}


def test_a_row_keeps_the_items_that_all_its_versions_share():
    matrix = version_matrix([*items("v0", "arc", 5, of=40), *items("v1", "arc", 5, of=10)], ["v0", "v1"])
    assert cells(matrix, "arc") == {"v0": 0.5, "v1": 0.5}
    assert matrix.row("arc").change("v1", "v0") == 0.0


def test_a_version_with_none_of_the_items_is_missing():
    matrix = version_matrix([*items("v0", "arc", 40, of=40, start=20), *items("v1", "arc", 5)], ["v0", "v1"])
    assert cells(matrix, "arc") == {"v0": "measured on other items only", "v1": 0.5}


@pytest.mark.parametrize("bad", [float("nan"), 1.5, -0.1])
def test_a_version_with_a_score_that_is_none_is_missing(bad):
    spoiled = [score._replace(score=bad) if score.probe == "p003" else score for score in items("v1", "arc", 5)]
    assert "not in [0, 1]: 'p003'" in cells(version_matrix(spoiled, ["v1"]), "arc")["v1"]


def test_suites_stand_by_role_and_then_by_name():
    found = [("c1-target", "target"), ("xs", "overrefusal"), ("b", "general"), ("a", "general"), ("adv", "safety")]
    matrix = version_matrix([one for name, role in found for one in items("v0", name, 1, role=role)], ["v0"])
    assert [one.suite for one in matrix.suites] == ["a", "b", "adv", "xs", "c1-target"]


def test_nothing_measured_is_an_empty_matrix():
    matrix = version_matrix([], ["v0"])
    assert (matrix.suites, matrix.engine, matrix.versions) == ((), "", ("v0",))


# --- decay ------------------------------------------------------------------------------------------------------

LINE = [f"v{number}" for number in range(11)]


def decaying(step, start=90, of=100):
    """Ten updates, each `step` items worse than the one before."""
    return [one for place, name in enumerate(LINE) for one in items(name, "arc", start - step * place, of)]


def test_slow_decay_is_a_large_sum_of_small_steps():
    (found,) = drift(version_matrix(decaying(4), LINE), LINE, "v0")
    assert (found.since_anchor, found.worst_step) == (pytest.approx(-0.40), pytest.approx(-0.04))
    assert found.low < -0.40 < found.high < 0


def test_a_line_that_stands_still_has_drifted_nowhere_within_noise():
    (found,) = drift(version_matrix(decaying(0), LINE), LINE, "v0")
    assert found.since_anchor == found.worst_step == 0.0
    assert found.low < 0 < found.high


@settings(deadline=None)
@given(right=st.lists(st.integers(0, 100), min_size=2, max_size=11))
def test_a_line_never_lost_more_than_its_worst_step_times_its_updates(right):
    scored = [one for name, count in zip(LINE, right, strict=False) for one in items(name, "arc", count, of=100)]
    line = LINE[: len(right)]
    (found,) = drift(version_matrix(scored, line), line, "v0")
    assert found.since_anchor == pytest.approx((right[-1] - right[0]) / 100)
    assert found.since_anchor >= found.worst_step * (len(right) - 1) - 1e-9
    assert found.low <= found.since_anchor + 1e-9 and found.high >= found.since_anchor - 1e-9


def test_drift_counts_from_the_anchor_and_over_the_versions_that_were_measured():
    matrix = version_matrix([one for one in decaying(4) if one.version not in ("v0", "v7")], LINE)
    (found,) = drift(matrix, LINE, "v5")
    assert found.since_anchor == pytest.approx(-0.20)
    assert drift(matrix, LINE, "v0")[0].since_anchor is None
    assert drift(matrix, LINE[:6], "v5")[0] == drift(matrix, ["v5"], "v5")[0]


def test_the_deltas_are_traces_over_the_suites_that_both_versions_share():
    found = [*items("v0", "a", 8), *items("v0", "b", 6), *items("v1", "a", 6), *items("v1", "b", 6)]
    found += [
        *items("v1", "new", 1),
        *items("v0", "xs", 10, role="overrefusal"),
        *items("v1", "xs", 7, role="overrefusal"),
    ]
    deltas = {one.metric: one for one in role_deltas(version_matrix(found, ["v0", "v1"]), "v1", "v0")}
    assert (deltas["gad"].value, deltas["gad"].suites) == (pytest.approx(-0.1), ("a", "b"))
    assert deltas["overrefusal"].value == pytest.approx(0.3)
    assert deltas["sd"].value is None and deltas["ifd"].suites == ()


# --- the chain --------------------------------------------------------------------------------------------------

ROWS = [[1, 2, 3], [9, 3, 2], [6, 8, 4], [5, 7, 9]]
LINKS = [Link("v0"), Link("v1", "t1"), Link("v2", "t2"), Link("v3", "t3")]


def learned(rows=ROWS, leave_out=()):
    return version_matrix(
        [
            one
            for update, row_ in enumerate(rows)
            for task, right in enumerate(row_, start=1)
            if (update, task) not in leave_out
            for one in items(f"v{update}", f"t{task}", right, role="target")
        ],
        [link.version for link in LINKS],
    )


def readings(matrix, line=LINKS):
    return {one.metric: one for one in chain(matrix, line).readings}


def test_the_chain_of_a_whole_matrix_has_every_metric():
    whole = ScoreMatrix([[right / 10 for right in row_] for row_ in ROWS])
    for name, found in readings(learned()).items():
        assert found.value == pytest.approx(METRICS[name].function(whole), abs=1e-6)
        assert (found.source, found.missing) == (METRICS[name].source, ())


def test_a_metric_that_lacks_a_score_is_not_computed_and_names_it():
    found = readings(learned(leave_out=[(3, 1)]))
    assert found["bwt_gem"].value is None
    assert found["bwt_gem"].missing == (("v3", "t1"),)
    assert found["learning_accuracy"].value == pytest.approx(2.6 / 3)
    assert found["fwt_gem"].value == pytest.approx(0.1)


def test_a_version_without_a_suite_of_its_own_is_no_link_and_is_named():
    line = [LINKS[0], Link("v1", "never-measured"), *LINKS[2:]]
    found = chain(learned(), line)
    assert (found.skipped, [link.version for link in found.links]) == (("v1",), ["v0", "v2", "v3"])
    assert {one.metric: one.value for one in found.readings}["bwt_gem"] == pytest.approx(0.7 - 0.8)


@pytest.mark.parametrize("line", [LINKS[:1], [LINKS[0], Link("v1")]])
def test_a_line_that_learned_nothing_has_no_metrics_and_says_why(line):
    found = readings(learned(), line)
    assert len(found) > 10 and all(one.value is None and "set out to learn" in one.why_not for one in found.values())


@settings(deadline=None)
@given(right=st.lists(st.integers(0, 10), min_size=3, max_size=3))
def test_a_line_whose_scores_never_change_transfers_and_forgets_nothing(right):
    found = readings(learned([right] * 4))
    assert {found[name].value for name in found if name[:3] in ("bwt", "for") or name == "plasticity"} == {0.0}


# --- the gate ---------------------------------------------------------------------------------------------------


def decayed(step, *, facts):
    """The version after `step` updates that each lost 0.04 on the general suite, from 0.90 on."""
    rest = version(f"v{step}", facts=facts, leave_out=["general"])
    return rest + measured(f"v{step}", "general", scores(225 - 10 * step, 250), role="general")


def judged(step, anchor):
    """The verdict on one of ten updates that each learned what they set out to."""
    sides = decayed(step, facts=16), decayed(step - 1, facts=2), decayed(anchor, facts=2)
    return judge(*sides, ["facts"], POLICY)


def test_ten_updates_of_minus_four_points_are_refused_for_the_anchors_comparison_alone():
    verdicts = [judged(step, anchor=0) for step in range(1, 11)]
    assert [row(found, "general", "parent").delta for found in verdicts] == pytest.approx([-0.04] * 10)
    assert {row(found, "general", "parent").outcome for found in verdicts} == {"pass"}
    assert verdicts[0].verdict == "promote" and "promote" not in {found.verdict for found in verdicts[3:]}
    assert {found.verdict for found in verdicts[4:]} == {"reject"}
    assert all(found.reasons[0].startswith("general against the anchor: 0.90 -> ") for found in verdicts[4:])


def test_without_the_anchors_comparison_each_of_the_ten_would_be_promoted():
    """The planted fault: the parent stands in the anchor's place, so the last version is all that is compared with."""
    assert {judged(step, anchor=step - 1).verdict for step in range(1, 11)} == {"promote"}
