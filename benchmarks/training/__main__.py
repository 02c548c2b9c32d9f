"""`python -m benchmarks.training`: rounds of contenders, one table."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import pages
from benchmarks.lab import EMBEDDED, base_version
from benchmarks.training.contenders import Contender, Heat, Lap, able
from learners.durable import write_atomic
from monitors.precision import native_dtype

__all__ = ["compared", "main"]

RESULTS = Path("benchmark-results")

_OWN_ORDER = ("trl", "trl_liger")
_ROOT = Path(__file__).resolve().parents[2]
_COLUMNS = (
    "rows",
    "trainer",
    "tokens/s",
    "x trl",
    "tokens/CPU s",
    "read of each token",
    "peak GB",
    "largest difference of a step's loss from cld_float32",
)


def main(
    stages: Annotated[str, typer.Option(help="cit (answers learned), cpt (every token learned), or both.")] = "cit,cpt",
    rows: Annotated[int, typer.Option(min=2, help="Rows of one pass.")] = 96,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Every trainer once a round, in turn.")] = 3,
    model: Annotated[str, typer.Option(help="Embedded model, model folder or version folder.")] = EMBEDDED,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    results: Annotated[Path, typer.Option(help="Folder of all results.")] = RESULTS,
    publish: Annotated[bool, typer.Option("--publish", help="Write docs/benchmarks.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Train the same rows with our trainer and with plain trl, in turn; compare speed, memory and every loss."""
    console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else 150)
    base = base_version(model, results.resolve() / "base")
    found: dict[str, dict[str, Any]] = {}
    for stage in stages.split(","):
        if stage not in ("cit", "cpt"):
            raise typer.BadParameter(f"--stages {stage!r}: cit and cpt are trained here")
        heat = Heat(contender="cld", stage=stage, rows=rows - rows % batch_size, batch_size=batch_size, base=base)
        laps = _race(heat, rounds, results.resolve() / "training", threads, console)
        found[stage] = compared(laps)
    console.print(_table(found))
    if as_json:
        Console().print_json(json.dumps({"command": _command(), "stages": found}))
    if publish:
        pages.write_section("training", _section(found))


def _race(heat: Heat, rounds: int, folder: Path, threads: int, console: Console) -> list[Lap]:
    names = able()
    laps: list[Lap] = []
    for number in range(rounds):
        turn = names[number % len(names) :] + names[: number % len(names)]
        for name in turn:
            lap = _lap(heat.model_copy(update={"contender": name}), folder / f"{heat.stage}-{name}", threads)
            console.print(f"{heat.stage}, round {number + 1}, {name}: {lap.tokens_per_second:.0f} tokens/s")
            laps.append(lap)
    return laps


def _lap(heat: Heat, folder: Path, threads: int) -> Lap:
    """One contender's lap, in a process that starts with an empty memory and finds no checkpoint of an earlier lap."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_atomic(folder / "heat.json", heat.model_dump_json())
    with (folder / "log.txt").open("wb") as log:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.training.contenders", str(folder)], stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": str(threads)}, cwd=_ROOT,
            check=True,
        )  # fmt: skip
    return Lap.model_validate_json((folder / "lap.json").read_bytes())


def compared(laps: Sequence[Lap]) -> dict[str, Any]:
    """By contender: median speed and its ratio to trl's, what is read, peak, and how far losses are from cld's.

    Losses are compared with those of `cld_float32`; those of trl's own order belong to other batches and are left out.
    """
    of: dict[Contender, list[Lap]] = {}
    for lap in laps:
        of.setdefault(lap.contender, []).append(lap)
    usual = median(lap.tokens_per_second for lap in of["trl"])
    return {
        name: {
            "tokens_per_second": (speed := median(lap.tokens_per_second for lap in of[name])),
            "times_trl": speed / usual,
            "tokens_per_cpu_second": median(lap.tokens_per_cpu_second for lap in of[name]),
            "read_share": of[name][0].read_share,
            "peak_memory_bytes": max(lap.peak_memory_bytes for lap in of[name]),
            "largest_loss_difference": None if name in _OWN_ORDER else _difference(of["cld_float32"][0], of[name]),
            "losses": list(of[name][0].losses),
        }
        for name in of
    }


def _difference(first: Lap, others: Sequence[Lap]) -> float:
    return max(abs(a - b) for lap in others for a, b in zip(first.losses, lap.losses, strict=True))


def _cells(stage: str, name: str, row: dict[str, Any]) -> tuple[str, ...]:
    difference = row["largest_loss_difference"]
    return (
        {"cit": "answers learned", "cpt": "every token learned"}[stage],
        name,
        f"{row['tokens_per_second']:.0f}",
        f"{row['times_trl']:.2f}",
        f"{row['tokens_per_cpu_second']:.0f}",
        f"{row['read_share']:.2f}",
        f"{row['peak_memory_bytes'] / 2**30:.2f}",
        "other batches" if difference is None else f"{difference:.1e}",
    )


def _rows(found: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    return [_cells(stage, name, rows[name]) for stage, rows in found.items() for name in rows]


def _table(found: dict[str, dict[str, Any]]) -> Table:
    grid = Table(*_COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False)
    for cells in _rows(found):
        grid.add_row(*cells)
    return grid


def _section(found: dict[str, dict[str, Any]]) -> str:
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    lines += ["| " + " | ".join(cells) + " |" for cells in _rows(found)]
    words = (
        "Same model, LoRA weights, rows, optimizer and number of steps, trainers in turn. `trl` is SFTTrainer with the "
        "settings it comes with (gradient checkpointing); both compute in bfloat16 where the machine does, here "
        f"{native_dtype()}. "
        "`trl_matched` gets cld's batches in float32, so its losses must be those of `cld_float32`."
    )
    return "\n\n".join(("## Training", f"`{_command()}`", words, "\n".join(lines)))


def _command() -> str:
    return shlex.join(["python", "-m", "benchmarks.training", *sys.argv[1:]])


if __name__ == "__main__":
    typer.run(main)
