"""Tasks of lm-evaluation-harness: the same scores as the harness itself gives, item by item, and no code from data."""

from __future__ import annotations

import json
from functools import partial

import pytest

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")

from learners.failures import InvalidInput, StopRequested
from monitors.engines import EngineError, Likelihood, open_engines
from monitors.harness.items import answered, load_items
from monitors.job import EngineSettings, MeasureSpec, VersionRef
from monitors.measure import measure
from monitors.probes.harness_suite import HarnessSuite, entry_file
from monitors.probes.suites import SuiteError, copy_suite, load_suite
from tests.monitors.harness_tasks import KINDS, write_tasks
from tests.monitors.test_measure import Stopping, job_in, rows_of
from tests.tiny import tiny_base

HEADER = "suite: mine\nrole: general\nlm_eval: {}\ninclude_path: tasks\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A version, a folder of suites with local tasks, and what the harness's own hf backend makes of each task."""
    folder = tmp_path_factory.mktemp("harness")
    write_tasks(folder / "tasks")
    return folder, VersionRef(id="v0", path=tiny_base(folder))


@pytest.fixture(scope="module")
def engine(world):
    return open_engines(EngineSettings())(world[1])


@pytest.fixture(scope="module")
def harness(world):
    """Per-item results of the harness itself, by task."""
    from contextlib import chdir

    import lm_eval
    from lm_eval.tasks import TaskManager

    folder, version = world
    manager = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    with chdir(folder / "tasks"):
        tasks = manager.load(sorted(manager.all_tasks))["tasks"]
    results = lm_eval.simple_evaluate(
        model="hf", model_args={"pretrained": str(version.path / "weights"), "dtype": "float32"}, device="cpu",
        batch_size=4, tasks=list(tasks.values()), bootstrap_iters=0, task_manager=manager,
    )  # fmt: skip
    return results["samples"]


def suite_of(folder, task, more=""):
    path = folder / f"{task.replace('_', '-')}.yaml"
    path.write_text(HEADER.format(task) + more)
    return load_suite(path)


def own(world, engine, task, more=""):
    """Our items and scores of a task, in the order of its documents."""
    items = load_items(suite_of(world[0], task, more))
    found = {item.id: score for item, score in answered(engine, world[1], items)}
    return [(item, found[item.id]) for item in items]


def of_harness(samples, kept):
    return sorted((one for one in samples if one["filter"] == kept), key=lambda one: one["doc_id"])


@pytest.mark.slow
@pytest.mark.parametrize("task", ["tiny_choice", "tiny_words", "tiny_ending", "tiny_written", "tiny_rambling"])
def test_scores_equal_those_of_the_harness_item_by_item(world, engine, harness, task):
    ours = own(world, engine, task)
    first = harness[task][0]["filter"]
    theirs = of_harness(harness[task], first)
    metric = next(name for name in theirs[0]["metrics"] if name != "perplexity")
    assert [score.score for _, score in ours] == [float(one[metric]) for one in theirs]
    assert len(ours) == len(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["tiny_choice", "tiny_words", "tiny_ending", "tiny_text"])
def test_log_likelihoods_equal_those_of_the_harness(world, engine, harness, task):
    from monitors.harness.model import EngineLM

    items = load_items(suite_of(world[0], task))
    model = EngineLM(engine, world[1].path / "weights")
    requests = [instance for item in items for instance in item.instances]
    ours = dict(model.answers(requests))
    theirs = [answer[0] for one in of_harness(harness[task], "none") for answer in one["resps"]]
    for index, expected in enumerate(theirs):
        found = ours[index]
        assert found == pytest.approx(expected, abs=2e-3), requests[index].args
        if isinstance(expected, tuple):
            assert found[1] == expected[1]


@pytest.mark.slow
def test_generated_texts_equal_those_of_the_harness(world, engine, harness):
    ours = own(world, engine, "tiny_rambling", "metric: exact_match,flexible\n")
    theirs = of_harness(harness["tiny_rambling"], "flexible")
    assert [score.output for _, score in ours] == [one["resps"][0][0] for one in theirs]
    assert [score.score for _, score in ours] == [one["exact_match"] for one in theirs]


@pytest.mark.slow
def test_the_harness_can_evaluate_our_engine_as_one_of_its_models(world, engine, harness):
    import lm_eval
    from lm_eval.tasks import TaskManager

    from monitors.harness.model import EngineLM

    items = load_items(suite_of(world[0], "tiny_choice"))
    model = EngineLM(engine, world[1].path / "weights")
    manager = TaskManager(include_path=str(world[0] / "tasks"), include_defaults=False)
    results = lm_eval.simple_evaluate(model=model, tasks=[items[0].task], bootstrap_iters=0, task_manager=manager)
    ours, theirs = (of_harness(one["tiny_choice"], "none") for one in (results["samples"], harness))
    assert [(one["acc"], one["acc_norm"]) for one in ours] == [(one["acc"], one["acc_norm"]) for one in theirs]


def spec_of(world, tasks, **more):
    for task in tasks:
        (world[0] / f"{task}.yaml").write_text(HEADER.format(task).replace("mine", task.replace("_", "-")))
    files = tuple(world[0] / f"{task}.yaml" for task in tasks)
    return MeasureSpec(versions=(world[1],), suites=files, **more).model_dump(mode="json")


@pytest.mark.slow
def test_a_measure_job_makes_a_measurement_of_every_document_of_every_kind(world, tmp_path):
    job = job_in(tmp_path / "job")
    measure(spec_of(world, KINDS), job)
    rows = rows_of(job).values()
    assert {row.suite for row in rows} == {task.replace("_", "-") for task in KINDS}
    assert {row.scorer for row in rows} == {"lm_eval"}
    assert all(0 <= row.score <= 1 for row in rows)
    assert {row.slice: row.suite_digest for row in rows}.keys() == KINDS.keys()
    assert any(row.score == 1 for row in rows if row.suite == "tiny-written")


@pytest.mark.slow
def test_a_measure_job_of_tasks_goes_on_where_it_was_cut_off(world, tmp_path, monkeypatch):
    folder, asked = tmp_path / "job", []
    job_in(folder)
    with pytest.raises(StopRequested):
        measure(spec_of(world, ["tiny_choice"]), Stopping(folder, job_in(folder).request))
    begun = len((folder / "work" / "measurements.jsonl").read_text().splitlines())
    monkeypatch.setattr("monitors.measure.answered", lambda e, v, items: asked.extend(items) or answered(e, v, items))
    measure(spec_of(world, ["tiny_choice"]), job_in(folder))
    assert begun > 0
    assert len(asked) == 12 - begun
    assert len(rows_of(job_in(folder))) == 12


def test_limits_shots_and_most_items_are_kept(world):
    items = load_items(suite_of(world[0], "tiny_choice", "limit: 5\nnum_fewshot: 1\n"))
    assert len(items) == 5
    assert items[0].instances[0].args[0].count("Answer:") == 2


def test_an_items_id_follows_what_is_asked(world):
    plain, shots = (load_items(suite_of(world[0], "tiny_choice", more)) for more in ("", "num_fewshot: 1\n"))
    assert len({item.id for item in plain}) == 12
    assert not {item.id for item in plain} & {item.id for item in shots}


def test_the_digest_follows_tasks_data_and_settings(tmp_path):
    write_tasks(tmp_path / "tasks")
    before = suite_of(tmp_path, "tiny_choice").digest
    assert suite_of(tmp_path, "tiny_choice", "description: other words\n").digest == before
    assert suite_of(tmp_path, "tiny_choice", "limit: 3\n").digest != before
    with (tmp_path / "tasks" / "tiny_choice-test.jsonl").open("a") as data:
        data.write("{}\n")
    assert suite_of(tmp_path, "tiny_choice").digest != before


def test_a_copied_suite_has_its_tasks_and_its_digest(tmp_path):
    write_tasks(tmp_path / "tasks")
    suite = suite_of(tmp_path, "tiny_choice")
    (tmp_path / "copy").mkdir()
    assert load_suite(copy_suite(tmp_path / "tiny-choice.yaml", tmp_path / "copy")).digest == suite.digest


def test_an_entry_becomes_a_suite_file_that_may_be_edited(tmp_path):
    path = entry_file("lm_eval: arc_easy", tmp_path)
    suite = load_suite(path)
    assert isinstance(suite, HarnessSuite)
    assert (suite.suite, suite.role, suite.lm_eval) == ("lm-eval-arc-easy", "general", "arc_easy")
    path.write_text(path.read_text() + "limit: 7\n")
    assert load_suite(entry_file("lm_eval: arc_easy", tmp_path)).limit == 7


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("doc_to_target: !function evil.run", "is data"),
        ("class: os.system", "names Python code"),
        ("include: ../other.yaml", "in the same folder"),
        ("metric_list: [{metric: acc, hf_evaluate: true}]", "names Python code"),
    ],
)
def test_a_local_task_that_names_code_is_refused_before_it_is_loaded(tmp_path, line, expected):
    write_tasks(tmp_path / "tasks")
    (tmp_path / "tasks" / "evil.yaml").write_text(f"task: evil\n{line}\n")
    (tmp_path / "tasks" / "evil.py").write_text("raise SystemExit('imported')")
    with pytest.raises(SuiteError, match=expected):
        suite_of(tmp_path, "evil")


def test_a_template_cannot_reach_python(tmp_path, engine, world):
    write_tasks(tmp_path / "tasks")
    task = tmp_path / "tasks" / "tiny_ending.yaml"
    task.write_text(task.read_text().replace("{{start}}", "{{ ''.__class__.__mro__ }}"))
    with pytest.raises(Exception, match="unsafe"):
        load_items(suite_of(tmp_path, "tiny_ending"))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("limit: 0\n", "greater than or equal to 1"),
        ("include_path: ../tasks\n", "key 'include_path'"),
        ("lm_eval: /etc/passwd\n", "key 'lm_eval'"),
        ("fewshot: 3\n", "Extra inputs"),
        ("folder: /etc\n", "cannot be given"),
    ],
)
def test_a_wrong_key_is_refused_with_the_rule(tmp_path, more, expected):
    lines = {line.split(":")[0]: line for line in (HEADER.format("x") + more).splitlines()}
    lines.pop("include_path") if "include_path" not in more else None
    (tmp_path / "mine.yaml").write_text("\n".join(lines.values()))
    with pytest.raises(SuiteError, match=expected):
        load_suite(tmp_path / "mine.yaml")


def test_an_unknown_task_is_refused_with_near_names(world, monkeypatch):
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr("lm_eval.tasks.TaskManager", partial(TaskManager, include_defaults=False))
    with pytest.raises(InvalidInput, match=r"no task 'tiny_choise'; near: .*tiny_choice"):
        load_items(suite_of(world[0], "tiny_choise"))


def test_a_metric_of_many_documents_is_refused_with_those_of_one(world, engine):
    task = world[0] / "tasks" / "tiny_words.yaml"
    plain = task.read_text()
    task.write_text(plain.replace("{metric: acc}", "{metric: f1}"))
    with pytest.raises(InvalidInput, match=r"metric 'f1' gives .* not a number in \[0, 1\].*acc_norm,none"):
        own(world, engine, "tiny_words", "metric: f1\n")
    task.write_text(plain)


def test_a_task_that_samples_is_refused(world, engine):
    task = world[0] / "tasks" / "tiny_rambling.yaml"
    plain = task.read_text()
    task.write_text(plain.replace("do_sample: false, temperature: 0.0", "do_sample: true, temperature: 0.7"))
    with pytest.raises(InvalidInput, match="measures greedily"):
        own(world, engine, "tiny_rambling")
    task.write_text(plain)


def test_a_missing_package_is_named_with_its_command(tmp_path, monkeypatch):
    import importlib.metadata

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    with pytest.raises(SuiteError, match=r"pip install -c constraints.txt -e '\.\[lm-eval\]'"):
        load_suite(entry_file("lm_eval: gsm8k", tmp_path))


def test_an_engine_that_cannot_tell_greedy_tokens_is_refused(world):
    class Blind:
        def loglikelihood(self, pairs):
            yield from ((index, Likelihood(-1.0, 1)) for index in range(len(pairs)))

    with pytest.raises(EngineError, match="likeliest token"):
        own(world, Blind(), "tiny_ending")


def test_a_text_longer_than_the_context_loses_its_beginning_as_in_the_harness(world, engine):
    from monitors.harness.model import EngineLM

    model = EngineLM(engine, world[1].path / "weights")
    prompt, after = model._pair((list(range(600)), [1, 2]))
    assert (len(prompt.tokens), prompt.tokens[-1], after) == (model.max_length - 1, 599, (1, 2))
    with pytest.raises(InvalidInput, match="1 to 512"):
        model._pair(([1], list(range(513))))


def test_rows_are_json_that_a_gate_reads(world, tmp_path):
    job = job_in(tmp_path / "job")
    measure(spec_of(world, ["tiny_ending"], most_per_suite=2), job)
    rows = [json.loads(line) for line in (job.output / "measurements.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert all(row["margin"] < 0 and row["role"] == "general" for row in rows)
