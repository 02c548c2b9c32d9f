"""`python -m benchmarks.sequential_updates`: passages learned one after another, and what is left of the first.

SEAL's setting in small (Zweiger et al. 2025, arXiv:2506.10943, section 4.2): every update is one SQuAD passage, read
as text; its questions are asked without it, after its own update and after each later one. SEAL lets the model write
implications of a passage to learn from; here every sentence is learned once more under the passage's title, which
needs no writer and is the same for every method. Two scores of a question: `choice` - the right answer is likelier, per
token, than the passage's other answers - and `match` - the generated line holds it.

Owns the protocol and the table. A method that was run is kept below `--results` and not run again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import data, options, pages
from benchmarks.lab import EMBEDDED, Lab, base_version, device_name
from benchmarks.methods.tasks import ShortAnswer, chosen, record
from learners.durable import write_atomic
from learners.records import Record
from learners.versions import read_version
from monitors.metrics import ScoreMatrix, average_accuracy, forgetting_since_learned, learning_accuracy
from monitors.probes.scorers.choice import Choice
from monitors.probes.suites import Suite

__all__ = ["Passage", "Updates", "kept_share", "main", "passages", "updated"]

RESULTS = Path("benchmark-results")
GOAL = 0.95
"""Share of what the first passage's own update brought that must be left at the end."""

_SCORES = ("choice", "match")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"(])")
_LEAST_ANSWERS = 3


class Updates(BaseModel):
    """What came of one method: R[t, i] of both scores, as in `monitors.metrics`; task i is passage i."""

    model_config = ConfigDict(frozen=True)

    method: str
    scores: dict[str, tuple[tuple[float, ...], ...]]
    tokens: int
    seconds: float
    device: str = "cpu"


@dataclass(frozen=True)
class Passage:
    """One update: what is learned and the two suites of its questions."""

    records: Sequence[Record]
    suites: dict[str, Suite]


def main(
    methods: Annotated[str, typer.Option(help="Ids, with commas.")] = "finetune,replay",
    count: Annotated[int, typer.Option("--passages", min=2, help="Updates in a row.")] = 8,
    questions: Annotated[int, typer.Option(min=1, help="Most questions of a passage.")] = 10,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over each passage.")] = 10,
    model: Annotated[str, typer.Option(help="Embedded model, model folder or version folder.")] = EMBEDDED,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Of every method.")] = None,
    seed: int = 0,
    results: Annotated[Path, typer.Option(help="Folder of all results.")] = RESULTS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget stored results.")] = False,
    publish: Annotated[bool, typer.Option("--publish", help="Write docs/benchmarks.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Learn passages one after another by each method, and show what is left of the first."""
    told = {"epochs": epochs, **options.settings(settings)}
    setup = {"passages": count, "questions": questions, **told, "model": model, "seed": seed}
    name = hashlib.sha256(json.dumps(setup, sort_keys=True).encode()).hexdigest()[:8]
    base = base_version(model, results.resolve() / "base")
    found: list[Updates] = []
    for method in methods.split(","):
        folder = results.resolve() / f"sequential-{name}" / method
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        found.append(updated(method, passages(count, questions, seed), base, folder, told, seed))
    Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else 150).print(_table(found))
    if as_json:
        answer = [{**one.model_dump(), "kept_of_first": _kept(one)} for one in found]
        Console().print_json(json.dumps({"command": _command(), "setup": setup, "goal": GOAL, "methods": answer}))
    if publish:
        pages.write_section("sequential-updates", _section(found, setup))


def passages(count: int, questions: int, seed: int) -> list[Passage]:
    """So many passages of different articles, each with at least that many answers to tell apart.

    Raises:
        benchmarks.data.DataMissing: the data folder does not hold SEAL's file.
        ValueError: it holds fewer.
    """
    able = [item for item in data.read("squad_seal/squad_val.json.gz") if len(_answers(item)) >= _LEAST_ANSWERS]
    most = sorted(chosen(able, len(able), f"{seed}:passages"), key=lambda item: -min(len(_answers(item)), questions))
    by_title = {item["title"]: item for item in reversed(most)}
    found = sorted(by_title.values(), key=most.index)[:count]
    if len(found) < count:
        raise ValueError(f"{count} passages are asked for and {len(found)} articles have enough answers; ask for fewer")
    return [_passage(number, item, questions) for number, item in enumerate(found, start=1)]


def updated(
    method: str, learned: Sequence[Passage], base: Path, folder: Path, settings: dict[str, Any], seed: int
) -> Updates:
    """Learn the passages in a row, measuring all of them after each; a stored result is read."""
    stored = folder / "result.json"
    if stored.exists():
        return Updates.model_validate_json(stored.read_bytes())
    lab = Lab.over(base, folder)
    parent = read_version(base, verify=False).spec.id
    suites = [suite for passage in learned for suite in passage.suites.values()]
    rows = [lab.scores(parent, suites)]
    costs = []
    for number, passage in enumerate(learned, start=1):
        costs.append(lab.learn(f"p{number}", parent, "cpt", method, passage.records, settings, seed))
        parent = f"p{number}"
        rows.append(lab.scores(parent, suites))
    result = Updates(
        method=method,
        scores={
            score: tuple(tuple(row[passage.suites[score].suite] for passage in learned) for row in rows)
            for score in _SCORES
        },
        tokens=sum(cost.tokens for cost in costs),
        seconds=sum(cost.seconds for cost in costs),
        device=device_name(),
    )
    write_atomic(stored, result.model_dump_json(indent=2))
    lab.clear()
    return result


def kept_share(matrix: ScoreMatrix, passage: int = 1) -> float | None:
    """What the last version still scores on a passage, as a share of what its own update left; None where that is 0."""
    own = matrix[passage, passage]
    return matrix[matrix.tasks, passage] / own if own else None


def _answers(item: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(asked["answer"] for asked in item["questions"] if asked["answer"].strip()))


def _passage(number: int, item: dict[str, Any], questions: int) -> Passage:
    title, context = str(item["title"]).replace("_", " "), str(item["context"])
    texts = [context, *(f"{title}: {sentence}" for sentence in _SENTENCE.split(context))]
    records = [record(f"passage-{number}", "text", {"title": title, "text": text}) for text in texts]
    asked = [one for one in item["questions"] if one["answer"].strip()][:questions]
    answers = _answers(item)
    prompts = [f"{title}\n\nQuestion: {one['question']}\nAnswer:" for one in asked]
    choice = [
        Choice(
            id=f"q{place}", prompt=prompt, template="plain", choices=tuple(f" {answer}" for answer in answers),
            answer=answers.index(one["answer"]),
        )
        for place, (prompt, one) in enumerate(zip(prompts, asked, strict=True))
    ]  # fmt: skip
    match = [
        ShortAnswer(
            id=f"q{place}", prompt=prompt, template="plain", mode="contains", answer=one["answer"], max_new_tokens=24
        )
        for place, (prompt, one) in enumerate(zip(prompts, asked, strict=True))
    ]
    suites = {name: _suite(f"{name}-{number}", items) for name, items in (("choice", choice), ("match", match))}
    return Passage(records, suites)


def _suite(name: str, items: Sequence[Any]) -> Suite:
    return Suite(suite=name, role="target", items=tuple(items))


def _kept(found: Updates) -> dict[str, float | None]:
    return {score: kept_share(ScoreMatrix(rows)) for score, rows in found.scores.items()}


_COLUMNS = (
    "method", "score", "passage 1 before", "after its own", "after all", "kept", "all, after own", "all, at the end",
    "forgetting",
)  # fmt: skip


def _rows(found: Sequence[Updates]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in found:
        for score, scores in one.scores.items():
            r = ScoreMatrix(scores)
            own = learning_accuracy(r)
            kept = kept_share(r)
            share = "-" if kept is None else f"{kept:.0%}{'' if kept >= GOAL else f' (goal {GOAL:.0%})'}"
            first = (f"{r[stage, 1]:.2f}" for stage in (0, 1, r.tasks))
            overall = (f"{number:.2f}" for number in (own, average_accuracy(r), forgetting_since_learned(r)))
            rows.append((one.method, score, *first, share, *overall))
    return rows


def _table(found: Sequence[Updates]) -> Table:
    grid = Table(*_COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False)
    for cells in _rows(found):
        grid.add_row(*cells)
    return grid


def _section(found: Sequence[Updates], setup: dict[str, Any]) -> str:
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    lines += ["| " + " | ".join(cells) + " |" for cells in _rows(found)]
    told = ", ".join(f"{key} {value}" for key, value in setup.items())
    devices = ", ".join(sorted({one.device for one in found}))
    words = (
        f"SQuAD passages learned one after another and asked about without them ({told}). `choice`: the right answer "
        "is likelier than the passage's others; `match`: the generated line holds it. Goal: passage 1 keeps "
        f"{GOAL:.0%} of what it had after its own update. Computed on {devices}."
    )
    return "\n\n".join(("## Sequential updates", f"`{_command()}`", words, "\n".join(lines)))


def _command() -> str:
    return shlex.join(["python", "-m", "benchmarks.sequential_updates", *sys.argv[1:]])


if __name__ == "__main__":
    typer.run(main)
