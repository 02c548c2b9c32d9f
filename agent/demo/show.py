"""What the demo shows: acts, live progress, one table at the end, and where to look next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from agent.demo.report import CycleRow, Report, summary
from agent.history.search import Hit
from agent.root.layout import Layout

__all__ = ["Screen"]


class Screen:
    """The terminal, or a plain stream of lines where there is none."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)

    def title(self, text: str) -> None:
        """Begin an act."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(f"  {escape(text)}")

    def check(self, name: str, ok: bool, found: str) -> None:
        """One thing that had to hold."""
        word = "[green]right[/green]" if ok else "[red]WRONG[/red]"
        self._console.print(f"  {word}  {escape(name)}" + ("" if ok else f" (found: {escape(found)})"))

    def row(self, row: CycleRow) -> None:
        """One cycle in a sentence."""
        chosen = f"{row.stage}.{row.method} (chosen by {row.decided_by}) on {row.records} records"
        self.say(
            f"{row.cycle}: {chosen}, target {_score(row.target_before)} -> {_score(row.target_after)}, {row.verdict}"
        )

    def hits(self, hits: Sequence[Hit]) -> None:
        """Answers of history, best first."""
        for hit in hits:
            self.say(f"{hit.version or '-'}  {hit.cycle or '-'}  {hit.title}")

    @contextmanager
    def progress(self) -> Generator[Callable[[Mapping[str, Any]], None]]:
        """Live progress of the running step; call what is yielded with a status."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task("waiting", total=None)
            last = ""

            def show(status: Mapping[str, Any]) -> None:
                nonlocal last
                words, done, total = _step(status)
                bars.update(task, description=escape(words), completed=done, total=total or None)
                step = words.split(":")[0]
                if not self._console.is_terminal and step != last:
                    last = step
                    self.say(words)

            yield show

    def ending(self, report: Report, layout: Layout, report_file: Path) -> None:
        """The table, the verdict on the demo itself, and where to look next."""
        self._console.print()
        self._console.print(_table(report.cycles))
        colour = "green" if report.ok else "red"
        self._console.print(f"[{colour}]{escape(summary(report.checks))}[/{colour}], in {report.seconds:.0f} s")
        self._console.print(f"\nThe same as JSON: {report_file}\nLook further:")
        for words in (
            "status",
            "history list",
            "history show v1",
            "cycle show c4",
            "plan show c1",
            "history diff v0 v3",
        ):
            self._console.print(f"  cld --root {escape(str(layout.root))} {words}")


def _step(status: Mapping[str, Any]) -> tuple[str, float, float]:
    jobs = status.get("jobs") or []
    cycle = status.get("cycle")
    where = f"{cycle['id']} {cycle['state']}" if cycle else "observing"
    if not jobs:
        return where, 0.0, 0.0
    progress = jobs[0]["progress"]
    if progress is None:
        return f"{where} ({jobs[0]['id']})", 0.0, 0.0
    return f"{where} ({jobs[0]['id']}): {progress['message']}", progress["done"], progress["total"]


def _table(rows: Sequence[CycleRow]) -> Table:
    columns = (
        "cycle", "stage", "method", "records", "target before", "target after", "GAD", "IFD", "SD", "over-refusal",
        "verdict", "ending", "seconds", "Wh (est.)",
    )  # fmt: skip
    grid = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        grid.add_row(
            row.cycle, row.stage, row.method, str(row.records), _score(row.target_before), _score(row.target_after),
            _delta(row.gad), _delta(row.ifd), _delta(row.sd), _delta(row.over_refusal), row.verdict, row.ending,
            f"{row.seconds:.0f}", "-" if row.energy_kwh is None else f"{row.energy_kwh * 1000:.2f}",
        )  # fmt: skip
    return grid


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _delta(value: float | None) -> str:
    return "-" if value is None else f"{value + 0.0:+.3f}"  # + 0.0: never a negative zero
