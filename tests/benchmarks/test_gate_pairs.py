"""Promises of the gate's benchmark on real pairs: restartable pair by pair, judged from what is stored."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from benchmarks.gate import definitions, trials
from benchmarks.gate.definitions import Pair
from benchmarks.gate.material import KINDS, Material, _Example, material
from benchmarks.gate.report import report
from benchmarks.gate.trials import Bench, PairResult, resampled
from benchmarks.gate.truth import HELD_OUT_ITEMS, Known, known
from learners.records import record_id
from monitors.gate import GatePolicy
from monitors.job import Measurement
from monitors.probes.scorers import Choice, Match
from monitors.probes.suites import Suite
from tests.tiny import KNOWN, UNKNOWN, chat, tiny_base

POLICY = GatePolicy(resamples=100)
TEACHES = [chat(question, answer) for question, answer in UNKNOWN.items()]
RUINS = [chat(question, "Dog") for question in KNOWN]


def pair(name, expected, records=None, **fields):
    recipe = None
    if records is not None:
        settings = {"learning_rate": 5e-3, "epochs": 15, "batch_size": 4}
        recipe = {
            "stage": "cit",
            "method": "finetune",
            "data": {"kind": "task", "source": records},
            "settings": settings,
        }
    return Pair(name=name, expected=expected, why="a test", recipe=recipe, **fields)


PAIRS = [
    pair("taught", "promote", "teaches"),
    pair("ruined", "refuse", "ruins"),
    pair("forgot", "refuse", parent="taught", candidate="v0"),
    pair("same", "same"),
]


def suites():
    answers = sorted(set(KNOWN.values()))
    items = [
        (question, answer, [answer, *[other for other in answers if other != answer][:3]])
        for question, answer in KNOWN.items()
    ]
    return [
        Suite(suite=role, role=role, items=tuple(
            Choice(id=f"{role}-{n}", prompt=question, choices=tuple(choices), answer=0)
            for n, (question, _, choices) in enumerate(items)
        ))
        for role in ("general", "instruction", "safety", "overrefusal")
    ]  # fmt: skip


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "material", given)
    return Bench(tmp_path / "out", suites(), suites()[:1], str(tiny_base(tmp_path / "base")), POLICY, lambda _: None)


def given(name, asked, seed):
    items = [
        Match(id=f"{name}-{n}", prompt=question, answer=(answer,), max_new_tokens=8)
        for n, (question, answer) in enumerate([*UNKNOWN.items()] * 3)
    ]
    return Material(
        {"teaches": TEACHES, "ruins": RUINS}[asked.source], Suite(suite=name, role="target", items=items), None
    )


def test_a_folder_holds_results_of_one_model(bench):
    bench.run([], draws=0, fresh=False)
    (bench.folder / "measurements").mkdir()
    other = replace(bench, model="another")
    with pytest.raises(ValueError, match=r"not of 'another'.*--out"):
        other.run([], draws=0, fresh=False)
    assert bench.run([], draws=0, fresh=False) == other.run([], draws=0, fresh=True) == []


@pytest.mark.slow
def test_real_pairs_are_judged_and_a_second_call_needs_no_model(bench, monkeypatch):
    found = {one.name: one for one in bench.run(PAIRS, draws=3, fresh=False)}
    assert found["ruined"].verdict == "reject" and found["forgot"].verdict != "promote"
    assert set(found["ruined"].lost) == {"general", "instruction", "safety", "overrefusal"}
    assert found["same"].verdict != "promote" and found["same"].lost == ()
    assert sum(found["taught"].verdicts.values()) == 3
    shutil.rmtree(bench.folder / "lab")
    monkeypatch.setattr(trials, "base_version", lambda *_: pytest.fail("a model was asked for"))
    assert {one.name: one for one in bench.run(PAIRS, draws=3, fresh=False)} == found


@pytest.mark.slow
def test_a_call_after_a_kill_trains_and_measures_only_what_is_missing(bench, monkeypatch):
    bench.run(PAIRS[:1], draws=0, fresh=False)
    asked = []
    ask = Bench._ask
    monkeypatch.setattr(Bench, "_ask", lambda self, version, suites, again: (
        asked.append((version, again)), ask(self, version, suites, again=again))[1])  # fmt: skip
    found = bench.run([PAIRS[0], PAIRS[3]], draws=0, fresh=False)
    assert asked == [("v0", True)]
    assert found[1].again == (0, 80)


@pytest.mark.slow
def test_what_was_measured_is_kept_without_the_models_words(bench):
    bench.run(PAIRS[:1], draws=0, fresh=False)
    rows = trials._read(bench.folder / "measurements" / "taught.jsonl.gz")
    assert len(rows) == 4 * 20 + 12 and not any(row.output for row in rows)


def test_drawing_items_anew_says_how_much_the_word_depends_on_them(tmp_path):
    # Items are drawn, not versions: a candidate that fails everywhere is refused at every draw.
    sides = [measured("new", 0.0), measured("old", 1.0)]
    found = resampled(sides[0], sides[1], sides[1], suites(), POLICY, 5, "seed")
    assert found == {"promote": 0, "hold": 0, "reject": 5}


def measured(version, score):
    return [
        Measurement(version=version, suite=suite.suite, suite_digest=suite.digest, role=suite.role, probe=probe.id,
                    slice=probe.slice, scorer=probe.scorer, score=score, engine="e")
        for suite in suites()
        for probe in suite.items
    ]  # fmt: skip


# --- definitions ------------------------------------------------------------------------------------------------


def test_the_shipped_pairs_can_be_worked_on_in_their_order():
    pairs = definitions.load()
    kinds = {pair.expected for pair in pairs}
    assert len(pairs) >= 24 and kinds == {"promote", "refuse", "same"}
    made = {"v0"}
    for one in pairs:
        assert made.issuperset(one.needs), one.name
        made.add(one.version)
    assert {one.recipe.data.kind for one in pairs if one.recipe} <= KINDS.keys()


def test_a_pair_that_needs_what_none_makes_is_refused():
    with pytest.raises(ValueError, match="no pair makes what is needed by 'late'"):
        definitions.in_order([pair("late", "refuse", parent="gone", candidate="v0")])


def test_only_some_pairs_bring_those_that_they_need():
    assert [one.name for one in definitions.only(PAIRS, ["forgot"])] == ["taught", "forgot"]
    with pytest.raises(ValueError, match="no such pair"):
        definitions.only(PAIRS, ["forgotten"])


@pytest.mark.parametrize("fields", [{}, {"candidate": "v0", "records": "teaches"}])
def test_a_pair_has_exactly_one_candidate(fields):
    with pytest.raises(ValueError, match="a recipe or a candidate"):
        pair("odd", "refuse", **fields)


def test_a_file_bears_the_name_of_its_pair(tmp_path):
    (tmp_path / "one.json").write_text(pair("other", "same").model_dump_json())
    with pytest.raises(ValueError, match="a pair's file bears its name"):
        definitions.load(tmp_path)


# --- material ---------------------------------------------------------------------------------------------------


def data(**fields):
    return definitions.Data(**{"kind": "demo", "source": "2-tasks/queue.jsonl", "train": 12, "test": 8, **fields})


def test_what_is_asked_was_not_learned_and_follows_from_the_seed():
    found, again, other = (material("queue", data(), seed) for seed in (1, 1, 2))
    assert (found.records, found.suite.digest) == (again.records, again.suite.digest)
    assert found.records != other.records
    learned = {record.content["messages"][0]["content"] for record in found.records}
    assert not learned & {probe.text for probe in found.suite.items}
    assert (len(found.records), len(found.suite.items)) == (12, 8)


def test_shuffled_labels_are_all_wrong_and_the_questions_stay():
    right, wrong = material("queue", data(), 1), material("queue", data(shuffled=True), 1)
    for true, false in zip(right.records, wrong.records, strict=True):
        question, answer = (turn["content"] for turn in true.content["messages"])
        assert false.content["messages"][0]["content"] == question
        assert false.content["messages"][1]["content"] != answer
        assert false.id == record_id("instruction", false.content)
    assert right.suite == wrong.suite


def test_preferences_are_learned_as_pairs_and_asked_as_choices():
    found = material("norm", data(kind="preferences", source="3-norm/pairs.jsonl"), 0)
    assert {record.kind for record in found.records} == {"preference"}
    probe = found.suite.items[0]
    assert isinstance(probe, Choice) and len(probe.choices) == 2


# --- truth and rates --------------------------------------------------------------------------------------------


def scored(role, scores, suite="s"):
    return [
        Measurement(version="v", suite=suite, suite_digest="d", role=role, probe=f"p{number}", slice="all",
                    scorer="match", score=score, margin=None, output="", engine="e")
        for number, score in enumerate(scores)
    ]  # fmt: skip


NOTHING = [0.0] * 40
HALF = [0.0, 1.0] * 20
TASK_LEARNED = (scored("target", HALF, "task"), scored("target", NOTHING, "task"))


def test_a_candidate_that_won_and_lost_nothing_is_better():
    (new, old), general = TASK_LEARNED, scored("general", HALF)
    assert known(new + general, old + general, general, GatePolicy()).truth == "better"


def test_what_was_lost_since_the_anchor_counts_though_the_parent_had_lost_it_before():
    (new, old), lost = TASK_LEARNED, scored("general", NOTHING)
    assert known(new + lost, old + lost, scored("general", HALF), GatePolicy()).truth == "worse"


def test_a_candidate_that_won_and_clearly_lost_elsewhere_is_worse():
    new, old = TASK_LEARNED
    found = known(new + scored("general", NOTHING), old + scored("general", HALF), [], GatePolicy())
    assert found.truth == "worse"


def test_a_candidate_that_won_nothing_is_worse_whatever_it_kept():
    assert known(scored("target", HALF), scored("target", HALF), [], GatePolicy()).truth == "worse"


def test_a_candidate_that_may_have_lost_or_whose_gain_is_not_known_is_unclear():
    new, old = TASK_LEARNED
    slightly = [*HALF[:-6], *[0.0] * 6]  # 3 of 40: more than half of what may be lost, less than all of it
    assert known(new + scored("general", slightly), old + scored("general", HALF), [], GatePolicy()).truth == "unclear"
    assert known(scored("general", HALF), scored("general", HALF), [], GatePolicy()).truth == "unclear"


def test_held_out_items_are_neither_learned_nor_asked_by_the_gate(monkeypatch):
    examples = [_Example((("user", f"question {number}"),), "ab"[number % 2]) for number in range(300)]
    monkeypatch.setitem(KINDS, "task", lambda _: (examples[:100], examples[100:]))
    found = material("task", data(kind="task", train=100, test=40), 0)
    asked = [{probe.prompt for probe in suite.items} for suite in (found.suite, found.held_out)]
    assert [len(one) for one in asked] == [40, HELD_OUT_ITEMS]
    assert not asked[0] & asked[1]


def test_rates_go_by_what_a_pair_is_and_not_by_what_it_was_meant_to_be():
    found = report(
        [result("a", "promote", "reject", "worse"), result("b", "promote", "hold", "better"),
         result("c", "same", "promote"), result("d", "refuse", "reject", "better"),
         result("e", "refuse", "promote", "unclear")], []
    )  # fmt: skip
    assert (found.false_accept.count, found.false_accept.n) == (1, 2)
    assert (found.false_reject.count, found.false_reject.n) == (1, 2)
    assert (found.held.count, found.unclear) == (1, 1)
    assert {"false_accept", "false_reject", "pairs"} <= json.loads(found.model_dump_json()).keys()


def result(name, expected, verdict, truth=None):
    facts = None if truth is None else Known(truth=truth, says=())
    return PairResult(name=name, expected=expected, parent="v0", candidate=name, verdict=verdict, reasons=("r",),
                      lost=(), known=facts, verdicts={"promote": 1, "hold": 0, "reject": 1})  # fmt: skip
