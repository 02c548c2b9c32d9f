"""`python -m benchmarks.gate`: the command."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from agent.config import Probes
from benchmarks import pages
from benchmarks.gate import curve, definitions, stored
from benchmarks.gate.report import Report, report, section, show
from benchmarks.gate.trials import Bench
from benchmarks.gate.truth import independent
from benchmarks.lab import EMBEDDED
from monitors.gate import GatePolicy
from monitors.probes.suites import load_suite, shipped_suites

__all__ = ["main"]

RESULTS = Path("benchmarks/results/gate")

Part = Literal["all", "simulation", "pairs"]


def main(
    part: Annotated[Part, typer.Option(help="What to run.")] = "all",
    out: Annotated[Path, typer.Option(help="Folder of all results.")] = RESULTS,
    judgements: Annotated[int, typer.Option(min=10, help="Simulated judgements at each true loss.")] = 1000,
    draws: Annotated[int, typer.Option(min=0, help="Bootstrap draws of the items of each real pair.")] = 50,
    pairs: Annotated[Path, typer.Option(help="Folder of the definitions of real pairs.")] = definitions.FOLDER,
    only: Annotated[list[str] | None, typer.Option(help="Only this pair and those it needs; may be repeated.")] = None,
    model: Annotated[str, typer.Option(help="Embedded model, model folder or version folder.")] = EMBEDDED,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget stored results and measure anew.")] = False,
    publish: Annotated[bool, typer.Option("--publish", help="Write docs/benchmarks.md and the picture.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Publish how often the gate errs, at its default policy; what is stored already is not measured again."""
    console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else 190)
    policy, folder = GatePolicy(), out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    points = []
    if part != "pairs":
        points = stored.simulated(folder / "simulation.json", policy, judgements, fresh=fresh, say=console.print)
    results = []
    if part != "simulation":
        chosen = definitions.only(definitions.load(pairs), only or ())
        suites = [load_suite(shipped_suites()[name]) for name in Probes().suites]
        unseen = independent(folder / "independent")
        results = Bench(folder, suites, unseen, model, policy, console.print).run(chosen, draws=draws, fresh=fresh)
    found = report(results, points)
    show(found, console)
    if publish:
        _publish(found, policy)
    if as_json:
        Console().print_json(found.model_dump_json())


def _publish(found: Report, policy: GatePolicy) -> None:
    picture = pages.PAGE.parent / "benchmarks" / "gate_power.svg"
    if found.simulated:
        curve.draw(found.simulated, picture, policy.general_loss)
    command = shlex.join(["python", "-m", "benchmarks.gate", *sys.argv[1:]])
    pages.write_section("gate", section(found, command, picture.relative_to(pages.PAGE.parent)))


if __name__ == "__main__":
    typer.run(main)
