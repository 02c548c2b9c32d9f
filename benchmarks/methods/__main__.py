"""`python -m benchmarks.methods`: the command."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import options, pages
from benchmarks.lab import EMBEDDED
from benchmarks.methods import plots, published, report
from benchmarks.methods.lacking import left_out
from benchmarks.methods.running import Comparison, compare
from benchmarks.methods.setup import PLAIN, Setup
from benchmarks.methods.streams import DEFAULT_STREAMS, QUICK_STREAMS, STREAMS, order_names
from learners.failures import InvalidInput
from learners.job import Stage
from learners.methods import methods
from learners.nearest import did_you_mean
from monitors.precision import native_dtype

__all__ = ["main"]

RESULTS = Path("benchmark-results")

MOST_USED: dict[Stage, tuple[str, ...]] = {
    "cpt": ("finetune", "replay", "rewarm_replay", "ewc", "l2", "recadam", "mix_review", "distill", "das", "k_adapter"),
    "cit": ("finetune", "replay", "o_lora", "osf", "ewc", "l2", "distill", "mix_review", "llama_pro", "average"),
    "ca": ("dpo", "dpo_replay", "kto", "copr", "copf", "value_revision"),
}
"""What --quick compares, as far as the table of methods has them."""

QUICK_SETTINGS = {"epochs": 2, "batch_size": 4, "precision": native_dtype()}
"""Small batches: as many steps as four passes in batches of eight, in half the time; the fast number format.
"""


def main(
    stage: Annotated[str, typer.Option(help="cpt, cit or ca.")] = "cit",
    names: Annotated[str, typer.Option("--methods", help="Ids, with commas; else all of the stage.")] = "",
    stream: Annotated[str, typer.Option(help=f"One of {', '.join(STREAMS)}; else the stage's own.")] = "",
    orders: Annotated[int | None, typer.Option(min=1, help="How many orders; else 3, with --quick 1.")] = None,
    tasks: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    items: Annotated[int | None, typer.Option(min=1, help="Most training items of a task; else 400.")] = None,
    test_items: Annotated[int | None, typer.Option(min=1, help="Most test items of a task; else 100.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="3 tasks, 60 and 20 items, the most used methods.")] = False,
    model: Annotated[str, typer.Option(help="Embedded model, model folder or version folder.")] = EMBEDDED,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="[METHOD.]KEY=VALUE", help="Of every method, or of one.")
    ] = None,
    seed: int = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of each run; else 2, with --quick 1.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Runs at once; else 1, with --quick 2.")] = None,
    country: Annotated[str, typer.Option(help="ISO 3166 alpha-3 code, for the energy estimate.")] = "DEU",
    results: Annotated[Path, typer.Option(help="Folder of all results.")] = RESULTS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget stored results of these runs.")] = False,
    publish: Annotated[bool, typer.Option("--publish", help="Write docs/benchmarks.md and its plots.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Compare methods on sequences of real tasks; runs that are stored already are not run again."""
    known = _stage(stage)
    threads = threads or (1 if quick else 2)
    chosen = _methods(known, names, quick=quick)
    given = {**(QUICK_SETTINGS if quick else {}), **options.settings(settings)}
    streams = [stream] if stream else [QUICK_STREAMS[known]] if quick else list(DEFAULT_STREAMS[known])
    console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else 190)
    setups = [
        Setup(
            stage=known, stream=name, tasks=tasks or (3 if quick else None), items=items or (60 if quick else 400),
            test_items=test_items or (20 if quick else 100), model=model, settings=given, seed=seed,
        )
        for name in streams
    ]  # fmt: skip
    orders = _orders(orders or (1 if quick else 3), setups)
    found = [
        compare(
            setup, [name for name in chosen if names or name not in left_out(setup)], orders,
            results.resolve(), threads=threads, country=country, fresh=fresh, say=console.print,
            processes=processes or (2 if quick else 1),
        )
        for setup in setups
    ]  # fmt: skip
    for comparison in found:
        _tell(comparison, console)
        if comparison.results and publish:
            _publish(comparison, threads)
        elif comparison.results:
            plots.draw(comparison, results / comparison.setup.name)
    if as_json:
        Console().print_json(json.dumps([report.as_json(comparison, _command()) for comparison in found]))
    if any(comparison.failed for comparison in found):
        raise typer.Exit(1)


def _stage(word: str) -> Stage:
    for stage in PLAIN:
        if stage == word:
            return stage
    raise typer.BadParameter(f"{word!r} is no stage; there are {', '.join(PLAIN)}")


def _methods(stage: Stage, names: str, *, quick: bool) -> list[str]:
    able = [name for name, info in sorted(methods().items()) if stage in info.stages]
    if not names:
        return [name for name in (MOST_USED[stage] if quick else able) if name in able]
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in able:
            hint = "" if name in methods() else did_you_mean(name, able, "none is like it;") + " "
            raise typer.BadParameter(f"{name!r} cannot train stage {stage}; {hint}those that can: {', '.join(able)}")
    return wanted


def _orders(wanted: int, setups: list[Setup]) -> int:
    for setup in setups:
        try:
            order_names(setup, wanted)
        except InvalidInput as few:
            raise typer.BadParameter(str(few)) from few
    return wanted


def _tell(found: Comparison, console: Console) -> None:
    for table in report.tables(found):
        console.print(table)
    console.print(report.verdict(found))


def _publish(found: Comparison, threads: int) -> None:
    whole = published.keep(found, published.folder(pages.PAGE))
    drawn = plots.draw(whole, pages.PAGE.parent / "benchmarks")
    pages.write_section(f"methods-{whole.setup.name}", report.section(whole, report.command(whole, threads), drawn))


def _command() -> str:
    return shlex.join(["python", "-m", "benchmarks.methods", *sys.argv[1:]])


if __name__ == "__main__":
    typer.run(main)
