"""Promises of the benchmarks' command lines: what they refuse, what they print, what they publish."""

import json
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import lab, pages, sequential_updates
from benchmarks.methods import __main__ as methods_command
from benchmarks.methods import published
from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import RunResult
from benchmarks.training import __main__ as training_command
from benchmarks.training.contenders import Lap, able


def answer(function, *words):
    app = typer.Typer()
    app.command()(function)
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Publishing goes to a page of the test's own."""
    path = tmp_path / "docs" / "benchmarks.md"
    monkeypatch.setattr(pages, "PAGE", path)
    return path


@pytest.fixture
def compared(monkeypatch):
    """The comparisons asked for; nothing is trained."""
    asked = []

    def compare(setup, names, orders, folder, **options):
        asked.append((setup, list(names), orders))
        scores = ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0))
        result = RunResult(method="finetune", order=1, tasks=("a", "b"), scores=scores, seconds=1.0)
        return Comparison(setup, [result])

    monkeypatch.setattr(methods_command, "compare", compare)
    return asked


def test_the_small_form_is_three_tasks_of_sixty_items_and_ten_methods_at_most(compared, tmp_path):
    said = answer(methods_command.main, "--quick", "--results", str(tmp_path))
    ((setup, names, orders),) = compared
    assert said.exit_code == 0 and (setup.tasks, setup.items, orders) == (3, 60, 1)
    assert "finetune" in names and 2 < len(names) <= 10


def test_the_full_form_is_every_method_of_the_stage_over_three_orders_of_both_streams(compared, tmp_path):
    answer(methods_command.main, "--stage", "cpt", "--results", str(tmp_path))
    assert [(setup.stream, orders) for setup, _, orders in compared] == [("superni", 3), ("long_sequence", 3)]
    assert {"finetune", "replay", "ewc"} <= set(compared[0][1]) and "dpo_replay" not in compared[0][1]


def test_what_a_stream_cannot_teach_is_left_out_unless_it_is_named(compared, tmp_path):
    answer(methods_command.main, "--stage", "ca", "--stream", "pairs", "--results", str(tmp_path))
    answer(methods_command.main, "--stage", "ca", "--stream", "pairs", "--methods", "ppo", "--results", str(tmp_path))
    (_, unasked, _), (_, named, _) = compared
    assert "dpo" in unasked and "ppo" not in unasked and named == ["ppo"]


def test_settings_reach_every_method_as_values(compared, tmp_path):
    answer(methods_command.main, "--set", "epochs=7", "--stream", "short", "--results", str(tmp_path))
    assert compared[0][0].settings == {"epochs": 7}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--methods", "replai"], "did you mean 'replay'"),
        (["--methods", "dpo_replay"], "cannot train stage cit"),
        (["--stage", "rlhf"], "is no stage"),
        (["--set", "epochs"], "KEY=VALUE"),
        (["--stream", "short", "--tasks", "1", "--orders", "2"], "1 order(s)"),
    ],
)
def test_a_wrong_word_is_refused_with_the_right_one(compared, words, hint):
    said = answer(methods_command.main, *words)
    assert said.exit_code == 2 and hint in " ".join(said.output.replace("│", " ").split()) and not compared


def test_publishing_writes_the_section_and_its_plots(compared, tmp_path, page):
    answer(methods_command.main, "--stream", "short", "--publish", "--results", str(tmp_path))
    assert "## Methods, stage cit: short" in page.read_text()
    assert len(list((page.parent / "benchmarks").glob("methods-cit-short-*.svg"))) == 2
    assert [one.results[0].method for one in published.published(published.folder(page))] == ["finetune"]


def test_what_was_published_before_stays_in_the_table_beside_what_is_new(compared, tmp_path, page, monkeypatch):
    words = ("--stream", "short", "--set", "learning_rate=1.0e-05", "--threads", "1", "--results", str(tmp_path))
    answer(methods_command.main, *words, "--publish")
    scores = ((0.0, 0.0), (1.0, 0.0), (0.9, 1.0))
    later = RunResult(method="replay", order=2, tasks=("a", "b"), scores=scores, seconds=1.0)
    monkeypatch.setattr(methods_command, "compare", lambda setup, *_, **__: Comparison(setup, [later]))
    answer(methods_command.main, *words, "--publish")
    written = page.read_text()
    assert "| finetune | 1 |" in written and "| replay | 1 |" in written
    assert str(tmp_path) not in written


def test_the_published_command_asks_for_the_published_setup(compared, tmp_path, page):
    given = ("--quick", "--set", "learning_rate=1.0e-05", "--set", "o_lora.targets=[q, v]", "--seed", "3")
    answer(methods_command.main, *given, "--publish", "--results", str(tmp_path))
    (said,) = [line.strip("`") for line in page.read_text().splitlines() if line.startswith("`python")]
    answer(methods_command.main, *shlex.split(said)[3:], "--results", str(tmp_path))
    (asked, _, _), (again, names, orders) = compared
    assert again == asked and names == ["finetune"] and orders == 1


def test_one_json_value_alone_is_printed_on_request(compared, tmp_path):
    said = answer(methods_command.main, "--stream", "short", "--json", "--results", str(tmp_path))
    (found,) = json.loads(said.stdout)
    assert found["methods"][0]["method"] == "finetune" and found["runs"][0]["scores"][2] == [0.5, 1.0]


def test_trainers_take_turns_at_going_first(monkeypatch, tmp_path, page, base):
    order = []

    def lap(heat, folder, threads):
        order.append(heat.contender)
        return Lap(
            contender=heat.contender, tokens_per_second=100.0, tokens_per_cpu_second=50.0, read_share=1.1,
            peak_memory_bytes=2**30, losses=(1.0,),
        )  # fmt: skip

    monkeypatch.setattr(training_command, "_lap", lap)
    words = ("--stages", "cit", "--rounds", "4", "--model", str(base), "--results", str(tmp_path), "--publish")
    assert answer(training_command.main, *words).exit_code == 0
    count = len(able())
    assert [order[place] for place in range(0, 4 * count, count)] == able()[:4]
    assert "| answers learned | cld | 100 | 1.00 | 50 | 1.10 | 1.00 | 0.0e+00 |" in page.read_text()


def test_both_methods_of_sequential_updates_stand_in_one_table(monkeypatch, shared, tmp_path, page, base):
    def updated(method, learned, *_):
        rows = ((0.1,) * len(learned),) * (len(learned) + 1)
        return sequential_updates.Updates(method=method, scores={"choice": rows}, tokens=1, seconds=1.0)

    monkeypatch.setattr(sequential_updates, "updated", updated)
    words = ("--passages", "2", "--questions", "3", "--model", str(base), "--results", str(tmp_path), "--publish")
    said = answer(sequential_updates.main, *words, "--json")
    found = json.loads(said.stdout)
    assert [row["method"] for row in found["methods"]] == ["finetune", "replay"] and found["goal"] == 0.95
    assert found["methods"][0]["kept_of_first"] == {"choice": 1.0}
    assert "| replay | choice | 0.10 | 0.10 | 0.10 | 100% | 0.10 | 0.10 | 0.00 |" in page.read_text()


def test_every_model_is_imported_into_a_place_of_its_own(monkeypatch, tmp_path):
    def imported(spec, job):
        Path(spec["destination"]).mkdir(parents=True)
        (Path(spec["destination"]) / "source").write_text(spec["source"])

    monkeypatch.setattr(lab, "import_base", imported)
    sources = (lab.EMBEDDED, str(tmp_path / "one" / "model"), str(tmp_path / "two" / "model"))
    places = [lab.base_version(source, tmp_path / "results") for source in (*sources, *sources)]
    assert [(place / "source").read_text() for place in places] == [*sources, *sources]
    assert places[0] == tmp_path / "results" / "versions" / lab.BASE
