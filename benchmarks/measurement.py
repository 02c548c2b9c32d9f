"""`python -m benchmarks.measurement`: how fast our engine measures, beside lm-evaluation-harness's own hf backend.

Both answer the same requests of the same tasks, built by the harness, with the same weights in the same number format
and threads, in one process, taking turns. Three kinds of items: multiple choice after five worked examples, written
answers after four, and the likelihood of a last word. Answers are compared item by item, for speed is worth nothing
where they differ. A turn of both is stored as soon as it is there; what is stored already is not timed again.

    seconds       wall clock of one turn over all items of a kind, tokenization included
    CPU seconds   of this process; on a busy machine they tell more than the wall clock
"""

from __future__ import annotations

import json
import random
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks import pages
from benchmarks.lab import EMBEDDED, base_version
from learners.durable import write_atomic
from monitors.precision import native_dtype

__all__ = ["Comparison", "Timing", "compare", "main", "section", "write_tasks"]

RESULTS = Path("benchmarks/results/measurement")
AIM = 2.0
TOLERANCE = {"float32": 2e-3, "bfloat16": 0.5}
"""Most difference of a log-likelihood, in nats, that rounding explains in sums of this length."""

Backend = Literal["cld", "harness"]

_HEADER = "dataset_path: json\ndataset_kwargs: {{data_files: {{test: {0}.jsonl, train: {0}.jsonl}}}}\ntask: {0}\n"
TASKS = {
    "choice": """
output_type: multiple_choice
fewshot_config: {sampler: first_n}
description: "The following are multiple choice questions (with answers) about everyday sums.\\n\\n"
doc_to_text: "{{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\nD. {{choices[3]}}\\nAnswer:"
doc_to_choice: ["A", "B", "C", "D"]
doc_to_target: gold
num_fewshot: 5
metric_list: [{metric: acc}]
""",
    "generation": """
output_type: generate_until
fewshot_config: {sampler: first_n}
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{steps}} #### {{result}}"
num_fewshot: 4
generation_kwargs: {until: ["Question:", "\\n\\n"], do_sample: false, max_gen_toks: 48}
filter_list: [{name: strict-match, filter: [{function: regex, regex_pattern: "#### (\\\\d+)"}, {function: take_first}]}]
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "loglikelihood": """
output_type: loglikelihood
doc_to_text: "{{start}}"
doc_to_target: " {{ending}}"
metric_list: [{metric: acc}]
""",
}


class Timing(BaseModel):
    """One turn of one backend over all items of a kind."""

    model_config = ConfigDict(frozen=True)

    kind: str
    backend: Backend
    turn: int
    items: int
    seconds: float
    cpu_seconds: float


class Comparison(BaseModel):
    """Medians over the turns of one kind.

    Attributes:
        ratio, cpu_ratio: how many times as many items ours measures, by the clock and by CPU time.
        equal: items on which both gave the same answer, up to rounding.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    items: int
    turns: int
    cld_items_per_second: float
    harness_items_per_second: float
    ratio: float
    cpu_ratio: float
    equal: int


class Stored(BaseModel):
    """What is kept of a kind: its timings, and how many items were answered alike."""

    timings: list[Timing] = []
    equal: dict[str, int] = {}


def main(
    model: Annotated[str, typer.Option(help="Embedded model, model folder or version folder.")] = EMBEDDED,
    items: Annotated[int, typer.Option(min=4, help="Items of each kind.")] = 16,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each backend.")] = 3,
    dtype: Annotated[str, typer.Option(help="Number format of the weights in both: auto, float32, bfloat16.")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Batch size of the harness's backend.")] = 8,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of all results.")] = RESULTS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget stored results and measure anew.")] = False,
    publish: Annotated[bool, typer.Option("--publish", help="Write docs/benchmarks.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Time our transformers engine beside the harness's hf backend on the same items, taking turns."""
    chosen = native_dtype() if dtype == "auto" else dtype
    path = out.resolve() / f"{Path(model).name}-{chosen}-{items}-{batch}-{threads}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = Stored() if fresh or not path.exists() else Stored.model_validate_json(path.read_bytes())
    console = Console(stderr=as_json, highlight=False)
    if any(not _is_complete(stored, kind, turns) for kind in TASKS):
        version = base_version(model, out.resolve() / "lab")
        _measure(stored, path, version, items, turns, chosen, batch, threads, console)
    found = [compare(stored, kind) for kind in TASKS]
    _show(found, chosen, console)
    if publish:
        pages.write_section("measurement", section(found, chosen, threads, shlex.join(_COMMAND + sys.argv[1:])))
    if as_json:
        geometric = statistics.geometric_mean(one.ratio for one in found)
        kinds = {one.kind: one.model_dump() for one in found}
        Console().print_json(data={"ratio": geometric, "aim": AIM, "dtype": chosen, "kinds": kinds})


def compare(stored: Stored, kind: str) -> Comparison:
    """The medians of a kind's stored timings."""
    ours, theirs = ([one for one in stored.timings if (one.kind, one.backend) == (kind, name)] for name in _BACKENDS)
    count = ours[0].items
    clock = [statistics.median(one.seconds for one in rows) for rows in (ours, theirs)]
    cpu = [statistics.median(one.cpu_seconds for one in rows) for rows in (ours, theirs)]
    return Comparison(
        kind=kind, items=count, turns=min(len(ours), len(theirs)), cld_items_per_second=count / clock[0],
        harness_items_per_second=count / clock[1], ratio=clock[1] / clock[0], cpu_ratio=cpu[1] / cpu[0],
        equal=stored.equal[kind],
    )  # fmt: skip


_BACKENDS: tuple[Backend, Backend] = ("cld", "harness")


def _is_complete(stored: Stored, kind: str, turns: int) -> bool:
    return kind in stored.equal and all(
        sum((one.kind, one.backend) == (kind, name) for one in stored.timings) >= turns for name in _BACKENDS
    )


def _measure(
    stored: Stored, path: Path, version: Path, items: int, turns: int, dtype: str, batch: int, threads: int,
    console: Console,
) -> None:  # fmt: skip
    """Time what is not stored yet; every turn is written before the next begins."""
    import torch

    torch.set_num_threads(threads)
    backends = dict(zip(_BACKENDS, (_ours(version, dtype), _theirs(version, dtype, batch)), strict=True))
    for kind, requests, documents in _requests(items):
        for turn in range(turns):
            taken = {one.backend for one in stored.timings if (one.kind, one.turn) == (kind, turn)}
            if kind in stored.equal and taken == set(_BACKENDS):
                continue
            timings: list[Timing] = []
            answers: dict[Backend, list[Any]] = {}
            for name in _BACKENDS if turn % 2 == 0 else _BACKENDS[::-1]:
                timing, answers[name] = _timed(kind, name, turn, documents, backends[name], requests)
                timings.append(timing)
                console.print(f"{kind}, turn {turn + 1}, {name}: {timing.seconds:.1f} s")
            # Both at once: a turn of which one half was kept would never have its answers compared.
            stored.timings += timings
            stored.equal[kind] = _equal_items(answers["cld"], answers["harness"], documents, TOLERANCE[dtype])
            write_atomic(path, stored.model_dump_json(indent=1))


Answering = Callable[[Sequence[Any]], list[Any]]


def _ours(version: Path, dtype: str) -> Answering:
    from learners.versions import read_version
    from monitors.engines import in_order, open_engines
    from monitors.harness.model import EngineLM
    from monitors.job import EngineSettings, VersionRef

    settings = EngineSettings.model_validate({"dtype": dtype})
    engine = open_engines(settings)(VersionRef(id="measured", path=version))
    model = EngineLM(engine, read_version(version, verify=False).weights)
    return lambda requests: in_order(model.answers(requests), len(requests))


def _theirs(version: Path, dtype: str, batch: int) -> Answering:
    from lm_eval.models import huggingface

    from learners.versions import read_version

    weights = read_version(version, verify=False).weights
    hf: Any = huggingface.HFLM
    model = hf(pretrained=str(weights), dtype=dtype, device="cpu", batch_size=batch)

    def answering(requests: Sequence[Any]) -> list[Any]:
        ask = model.generate_until if requests[0].request_type == "generate_until" else model.loglikelihood
        return ask(list(requests), disable_tqdm=True)

    return answering


def _requests(items: int) -> Iterator[tuple[str, list[Any], int]]:
    """Each kind with its requests, document by document, as the harness builds them."""
    from monitors.harness.items import load_items
    from monitors.probes.suites import load_suite

    with tempfile.TemporaryDirectory() as folder:
        for kind, path in write_tasks(Path(folder), items).items():
            found = load_items(load_suite(path))  # pyright: ignore[reportArgumentType] - each is a HarnessSuite
            yield kind, [request for item in found for request in item.instances], len(found)


def _timed(
    kind: str, name: Backend, turn: int, documents: int, answering: Answering, requests: Sequence[Any]
) -> tuple[Timing, list[Any]]:
    started, cpu = time.perf_counter(), time.process_time()
    answers = answering(requests)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    timing = Timing(kind=kind, backend=name, turn=turn, items=documents, seconds=seconds, cpu_seconds=cpu_seconds)
    return timing, answers


def _equal_items(ours: Sequence[Any], theirs: Sequence[Any], documents: int, tolerance: float) -> int:
    """On how many documents both answered all requests alike."""
    alike = [_alike(one, other, tolerance) for one, other in zip(ours, theirs, strict=True)]
    each = len(alike) // documents
    return sum(all(alike[number * each : (number + 1) * each]) for number in range(documents))


def _alike(ours: Any, theirs: Any, tolerance: float) -> bool:
    return ours == theirs if isinstance(ours, str) else abs(ours[0] - theirs[0]) <= tolerance


def write_tasks(folder: Path, items: int) -> dict[str, Path]:
    """Write the three tasks and their data, the same on every machine; return their suite files by kind."""
    (folder / "tasks").mkdir()
    draw = random.Random(0)  # noqa: S311
    files: dict[str, Path] = {}
    for kind, text in TASKS.items():
        rows = [_row(kind, draw) for _ in range(items + 5)]
        (folder / "tasks" / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "tasks" / f"{kind}.yaml").write_text(
            _HEADER.format(kind) + "test_split: test\nfewshot_split: train\n" + text
        )
        files[kind] = folder / f"{kind}.yaml"
        suite = f"suite: {kind}\nrole: general\nlm_eval: {kind}\ninclude_path: tasks\nlimit: {items}\n"
        files[kind].write_text(suite)
    return files


_PLACES = ("market", "library", "harbour", "orchard", "workshop", "bakery")
_THINGS = ("apples", "candles", "letters", "baskets", "bottles", "lamps", "ropes", "chairs")
_NAMES = ("Mara", "Tomas", "Ines", "Olek", "Ruth", "Sami")


def _row(kind: str, draw: random.Random) -> dict[str, Any]:
    name, place, thing = draw.choice(_NAMES), draw.choice(_PLACES), draw.choice(_THINGS)
    first, second = draw.randint(11, 80), draw.randint(11, 80)
    story = f"{name} brought {first} {thing} to the {place} on Monday and {second} {thing} on Tuesday."
    if kind == "loglikelihood":
        more = " ".join(f"On day {day} {draw.choice(_NAMES)} counted them twice." for day in range(draw.randint(2, 6)))
        return {"start": f"{story} {more} In the end nobody else had brought any", "ending": thing}
    total, gold = first + second, draw.randrange(4)
    question = f"{story} How many {thing} did {name} bring to the {place} in all?"
    choices = [str(total + 3 * (place - gold)) for place in range(4)]
    steps = f"{name} brought {first} {thing} and then {second} more, which makes {first} + {second} = {total} {thing}."
    return {"question": question, "choices": choices, "gold": gold, "steps": steps, "result": total}


_COMMAND = ["python", "-m", "benchmarks.measurement"]
_COLUMNS = ("items", "count", "cld items/s", "harness items/s", "ratio", "CPU ratio", "equal answers")


def _cells(one: Comparison) -> tuple[str, ...]:
    return (
        one.kind, str(one.items), f"{one.cld_items_per_second:.2f}", f"{one.harness_items_per_second:.2f}",
        f"{one.ratio:.2f}", f"{one.cpu_ratio:.2f}", f"{one.equal} of {one.items}",
    )  # fmt: skip


def section(found: Sequence[Comparison], dtype: str, threads: int, command: str) -> str:
    """The section of docs/benchmarks.md.

    Args:
        threads: of torch, in both.
        command: that measured it.
    """
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    lines += ["| " + " | ".join(_cells(one)) + " |" for one in found]
    words = (
        f"The transformers engine beside lm-evaluation-harness's own hf backend: the same requests, weights, number "
        f"format ({dtype}) and threads ({threads}), in one process, taking turns; medians of "
        f"{min(one.turns for one in found)} turns. The aim is {AIM:g} times; what gains nothing from shared "
        "prefixes or lengths, such as `loglikelihood`, is bound by the arithmetic that both have to do."
    )
    return "\n\n".join(("## Measurement", f"`{command}`", words, "\n".join(lines)))


def _show(found: Sequence[Comparison], dtype: str, console: Console) -> None:
    table = Table(*_COLUMNS)
    for one in found:
        table.add_row(*_cells(one))
    console.print(table)
    console.print(f"medians of {min(one.turns for one in found)} turns, {dtype} in both; the aim is {AIM:g} times")


if __name__ == "__main__":
    typer.run(main)
