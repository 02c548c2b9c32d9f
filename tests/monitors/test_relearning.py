"""Light tuning tells what was forgotten from what is gone: half of a suite teaches, the other half asks."""

import pytest

from learners.failures import InvalidInput
from learners.versions import read_version
from monitors.job import Measurement, VersionRef
from monitors.measure import key
from monitors.probes.scorers import Choice, Match, Perplexity, Refusal
from monitors.probes.suites import Suite, SuiteError, write_suite
from monitors.relearned import BATCH, RelearnSpec, asked_again, halves, lessons, told
from monitors.relearning import relearn
from tests.learners.runs import job_at
from tests.learners.symbol_runs import learner
from tests.symbols import OWN, symbol_base, task

CAPITALS = [
    Match(id=f"c{number}", slice="capitals", prompt=f"Capital {number}?", answer=("Rome", "Roma"), system="Be brief.")
    for number in range(5)
]
SUMS = [
    Choice(id=f"s{number}", slice="sums", prompt=f"1 + {number}?", choices=("0", "9"), answer=1) for number in (1, 2)
]
SUITE = Suite(suite="mine", role="general", items=(*CAPITALS, *SUMS))


def suite_of(*items):
    return Suite(suite="mine", role="general", items=items)


def test_every_other_item_of_each_slice_teaches_and_the_others_ask():
    taught, asked = halves(SUITE)
    assert [probe.id for probe in taught] == ["c0", "c2", "c4", "s1"]
    assert [probe.id for probe in asked] == ["c1", "c3", "s2"]


def test_items_without_an_answer_in_words_or_in_another_form_do_neither():
    others = (
        Refusal(id="r", prompt="How is a lock picked?", refuse="No.", comply="Sure."),
        Match(id="p", prompt="Year?", mode="regex", answer=("[0-9]+",)),
        Perplexity(id="t", passage="A dog has four legs."),
    )
    assert halves(suite_of(*others[:2], *SUITE.items, others[2])) == halves(SUITE)
    with pytest.raises(SuiteError, match="'mine' has 1 items whose right answer is known"):
        halves(suite_of(*others))


def test_a_step_has_four_lessons_and_they_are_given_again_and_again():
    given = lessons(SUITE, 3)
    assert len(given) == 3 * BATCH and given[0] == given[4] and len({one.id for one in given}) == 4
    assert given[0].content["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Capital 0?"},
        {"role": "assistant", "content": "Rome"},
    ]
    assert given[3].content["messages"][-1]["content"] == "9"


def test_a_plain_text_is_taught_as_a_text():
    passages = [Perplexity(id=f"t{number}", prompt="Dogs: ", passage=f"{number} legs.") for number in range(4)]
    (first, *_) = lessons(suite_of(*passages), 1)
    assert (first.kind, first.content) == ("text", {"text": "Dogs: 0 legs."})


def test_other_steps_and_other_lessons_are_other_measurements():
    taught = SUITE.items[0].model_copy(update={"answer": ("Paris",)})
    digests = {
        asked_again(SUITE, 20).digest,
        asked_again(SUITE, 10).digest,
        asked_again(suite_of(taught, *SUITE.items[1:]), 20).digest,
    }
    assert len(digests) == 3 and SUITE.digest not in digests


def scores(**versions):
    return {version: {f"i{n}": float(n < right) for n in range(20)} for version, right in versions.items()}


def test_what_came_back_is_told_as_a_part_of_what_was_lost_beside_what_the_initial_version_gained():
    items = [f"i{n}" for n in range(20)]
    found = told(items, scores(v0=4, v1=18, v2=6), scores(v2=15, v0=5), "v2", "v1", "v0")
    assert (found.before, found.forgotten, found.after) == (0.9, 0.3, 0.75)
    assert found.recovery == pytest.approx(0.75) and found.is_clear
    assert (found.initial, found.initial_after) == (0.2, 0.25)


def test_one_item_in_twenty_is_no_clear_loss():
    items = [f"i{n}" for n in range(20)]
    found = told(items, scores(v0=18, v1=17), scores(v1=18), "v1", "v0")
    assert not found.is_clear and found.initial is None


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory):
    """Versions by id: v1 learned a task of symbols, and v2 another one after it, without rehearsal; and the suite."""
    folder = tmp_path_factory.mktemp("relearning")
    base = symbol_base(folder / "versions")
    learn = learner(folder / "learned", base)
    first = learn("finetune", 1)
    turns = [[turn["content"] for turn in one.content["messages"]] for one in task(1, 64, symbols=OWN[1], seed=11)]
    items = [
        Perplexity(id=f"i{number}", prompt=question, template="chat", passage=answer)
        for number, (question, answer) in enumerate(turns)
    ]
    write_suite(folder / "mine.jsonl", suite_of(*items))
    return {"v0": base, "v1": first, "v2": learn("finetune", 2, first)}, folder / "mine.jsonl", suite_of(*items)


def asked(forgetful, steps=20, tuned=("v2", "v0"), **more):
    versions, file, _ = forgetful
    known = {name: VersionRef(id=name, path=path) for name, path in versions.items()}
    chosen = tuple(known[name] for name in tuned)
    return RelearnSpec(versions=tuple(known.values()), tuned=chosen, suite=file, steps=steps, **more)


def done(job, spec):
    relearn(spec.model_dump(mode="json"), job)
    lines = (job.output / "measurements.jsonl").read_text().splitlines()
    return [Measurement.model_validate_json(line) for line in lines]


def by_item(rows, suite, of=lambda row: row.score):
    found = {}
    for row in rows:
        if row.suite_digest == suite.digest:
            found.setdefault(row.version, {})[row.probe] = of(row)
    return found


@pytest.mark.slow
def test_twenty_steps_bring_back_most_of_what_an_update_without_rehearsal_lost(forgetful, tmp_path):
    """The card's bound is 0.70 of the loss in nats; measured 0.88. The model that never knew the task gains little."""
    suite = forgetful[2]
    rows, again = done(job_at(tmp_path / "job", "relearn"), asked(forgetful)), asked_again(suite, 20)
    items = [probe.id for probe in again.items]
    in_nats = told(
        items, by_item(rows, suite, lambda row: row.margin), by_item(rows, again, lambda row: row.margin), "v2", "v1"
    )
    assert in_nats.recovery > 0.7
    found = told(items, by_item(rows, suite), by_item(rows, again), "v2", "v1", "v0")
    assert found.is_clear and found.forgotten < 0.05 < 0.3 < found.after
    assert found.initial_after < found.after / 4


@pytest.mark.slow
def test_a_job_that_was_cut_off_trains_nothing_twice_and_leaves_nothing_that_serves(forgetful, tmp_path, monkeypatch):
    job, spec = job_at(tmp_path / "job", "relearn"), asked(forgetful, steps=1)
    rows = done(job, spec)
    before = {path: read_version(path).spec for path in forgetful[0].values()}
    monkeypatch.setattr("learners.training.train", lambda *_: pytest.fail("trained again"))
    assert done(job, spec) == rows
    assert [path.name for path in job.output.iterdir()] == ["measurements.jsonl"]
    assert {path: read_version(path).spec for path in forgetful[0].values()} == before


@pytest.mark.slow
def test_what_is_stored_is_not_measured_again(forgetful, tmp_path):
    suite = forgetful[2]
    stored = frozenset(key(version, suite.suite, probe.id) for version in forgetful[0] for probe in suite.items)
    rows = done(job_at(tmp_path / "job", "relearn"), asked(forgetful, steps=1, tuned=("v2",), skip=stored))
    assert {(row.version, row.suite) for row in rows} == {("v2", "mine-relearned")} and len(rows) == 32


def test_a_version_whose_answers_are_stored_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr("learners.training.train", lambda *_: pytest.fail("trained again"))
    write_suite(tmp_path / "mine.jsonl", SUITE)
    initial = VersionRef(id="v0", path=tmp_path / "v0")
    stored = frozenset(
        key("v0", suite.suite, probe.id) for suite in (SUITE, asked_again(SUITE, 1)) for probe in suite.items
    )
    spec = RelearnSpec(versions=(initial,), tuned=(initial,), suite=tmp_path / "mine.jsonl", steps=1, skip=stored)
    assert done(job_at(tmp_path / "job", "relearn"), spec) == []


def test_a_suite_that_cannot_teach_is_refused_by_name(tmp_path):
    write_suite(tmp_path / "mine.jsonl", suite_of(*CAPITALS[:3]))
    spec = RelearnSpec(versions=(), tuned=(), suite=tmp_path / "mine.jsonl", steps=1)
    with pytest.raises(InvalidInput, match="'mine' has 3 items"):
        relearn(spec.model_dump(mode="json"), job_at(tmp_path / "job", "relearn"))
