"""`python -m benchmarks.serving_forms`: every form at every number of tasks, one table and one plot."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import pages
from benchmarks.lab import EMBEDDED, base_version
from benchmarks.serving_forms.forms import FORMS, build
from benchmarks.serving_forms.one_form import NEW_TOKENS, Served

__all__ = ["main"]

RESULTS = Path("benchmark-results")
PLOT = "serving-forms.svg"

_ROOT = Path(__file__).resolve().parents[2]
_COLUMNS = ("form", "tasks", "s per request", "x merged", "resident GB", "version MB")

Found = dict[str, dict[int, Served]]


def main(
    forms: Annotated[str, typer.Option(help="Names, with commas; else all.")] = ",".join(FORMS),
    tasks: Annotated[str, typer.Option(help="Numbers of tasks learned, with commas.")] = "1,8,32",
    rounds: Annotated[int, typer.Option(min=1, help="Processes of each; medians are shown.")] = 1,
    model: Annotated[str, typer.Option(help="Embedded model, model folder or version folder.")] = EMBEDDED,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    results: Annotated[Path, typer.Option(help="Folder of all results.")] = RESULTS,
    publish: Annotated[bool, typer.Option("--publish", help="Write docs/benchmarks.md and the plot.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Ask versions of every serving form, as 1, 8 and 32 tasks leave them, one request at a time."""
    console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else 150)
    chosen, numbers = forms.split(","), [int(number) for number in tasks.split(",")]
    for form in chosen:
        if form not in FORMS:
            raise typer.BadParameter(f"--forms {form!r}: there are {', '.join(FORMS)}")
    folder = results.resolve() / "serving-forms"
    base = base_version(model, results.resolve() / "base")
    found: Found = {form: {} for form in chosen}
    for number in numbers:
        for form in chosen:
            found[form][number] = _served(form, number, base, folder, threads, rounds)
            console.print(f"{form}, {number} tasks: {found[form][number].seconds:.2f} s")
    console.print(_table(found))
    if as_json:
        told = {form: {n: one.model_dump() for n, one in rows.items()} for form, rows in found.items()}
        Console().print_json(json.dumps({"command": _command(), "forms": told}))
    if publish:
        _draw(found, pages.PAGE.parent / "benchmarks" / PLOT)
        pages.write_section("serving-forms", _section(found))


def _served(form: str, tasks: int, base: Path, folder: Path, threads: int, rounds: int) -> Served:
    """Build a version, ask it in processes of its own, and throw it away."""
    version = build(form, tasks, base, base.parent / f"{form}-{tasks}")
    folder.mkdir(parents=True, exist_ok=True)
    file, told = folder / f"{form}-{tasks}.json", list[Served]()
    with (folder / f"{form}-{tasks}.log").open("wb") as log:
        for _ in range(rounds):
            subprocess.run(
                [sys.executable, "-m", "benchmarks.serving_forms.one_form", str(version), str(file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=_ROOT, check=True,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            )  # fmt: skip
            told.append(Served.model_validate_json(file.read_bytes()))
    shutil.rmtree(version)
    return Served(
        seconds=median(one.seconds for one in told),
        resident_bytes=int(median(one.resident_bytes for one in told)),
        version_bytes=told[0].version_bytes,
    )


def _rows(found: Found) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for form, served in found.items():
        for tasks, one in served.items():
            plain = found["merged"][tasks].seconds if "merged" in found else None
            ratio = f"{one.seconds / plain:.2f}" if plain else "-"
            memory, size = f"{one.resident_bytes / 2**30:.2f}", f"{one.version_bytes / 2**20:.0f}"
            rows.append((form, str(tasks), f"{one.seconds:.2f}", ratio, memory, size))
    return rows


def _table(found: Found) -> Table:
    grid = Table(*_COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False)
    for cells in _rows(found):
        grid.add_row(*cells)
    return grid


def _section(found: Found) -> str:
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    lines += ["| " + " | ".join(cells) + " |" for cells in _rows(found)]
    words = (
        f"One request at a time, {NEW_TOKENS} new tokens, median; each version in a process of cld's own engine. "
        "`merged`: weights with everything in them; `adapter`: one LoRA whatever was learned; `stack`: O-LoRA's one "
        "adapter, whose rank grows; `experts`: a pool with one slot a request (ELM, ConPET); `attention`: a pool with "
        "all slots (SAPT); `prompts`: a chain of prompts (Progressive Prompts). The added weights are random and tiny: "
        "what is compared is what carrying them costs."
    )
    return "\n\n".join(
        ("## Serving forms", f"`{_command()}`", words, "\n".join(lines), f"![{PLOT}](benchmarks/{PLOT})")
    )


def _draw(found: Found, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "cld"  # equal results give equal files
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4))
    _lines(left, found, lambda one: one.seconds, "seconds per request")
    _lines(right, found, lambda one: one.resident_bytes / 2**30, "resident memory, GiB")
    left.legend(fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _lines(axes: Any, found: Found, value: Any, label: str) -> None:
    for form, served in found.items():
        axes.plot(list(served), [value(one) for one in served.values()], marker="o", markersize=3, label=form)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("tasks learned")
    axes.set_ylabel(label)


def _command() -> str:
    return shlex.join(["python", "-m", "benchmarks.serving_forms", *sys.argv[1:]])


if __name__ == "__main__":
    typer.run(main)
