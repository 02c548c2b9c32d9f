"""How the alignment of a comparison is told: a second table of stage ca, and the score matrix of each method.

Owns words and columns; the numbers are `ca_standings`'s. Called by `benchmarks.methods.report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.table import Table

from benchmarks.methods.ca_standings import COLLAPSE_NATS, Aligned, aligned
from benchmarks.methods.preferences import SUPERSEDED_BY
from benchmarks.methods.rule_tasks import RULES
from benchmarks.methods.setup import RunResult

__all__ = ["alignment_section", "alignment_table"]

_COLUMNS: Final = {
    "ACC by sum": "acc_by_sum",
    "margin over parent": "margin_over_parent",
    "greatest margin": "greatest_margin",
    "entropy": "entropy",
    "GAD": "gad",
    "IFD": "ifd",
    "SD": "sd",
    "over-refusal": "overrefusal",
    "old norm learned": "old_norm",
    "adoption": "adoption",
    "residual": "residual",
    "retention": "retention",
}
_NATS: Final = frozenset({"margin_over_parent", "greatest_margin", "entropy"})

_OF_PAIRS: Final = "ACC in the table above counts a pair where the preferred answer is the likelier one per token"
_OF_RULES: Final = "ACC in the table above is the share of the model's own greedy answers that keep the rule asked for"
_LEGEND: Final = (
    "ACC by sum counts a held-out pair where the preferred answer's whole log-probability is the higher one, which "
    "favours short answers. Margins are in nats, of whole answers: "
    "what an update adds to the margin of its own task over its parent, and the most that a margin stands above the "
    f"base model's at the end; beyond {COLLAPSE_NATS:.0f} it is marked as a preference collapse (*). Entropy: of the "
    "predictions of the next token over the preferred held-out answers, in nats, after the last update. GAD, IFD, SD "
    "and over-refusal: change of the suites general, instruction, safety and overrefusal from the base model to the "
    "last version; a rise of over-refusal is damage, a fall of the others is. Means over orders."
)


def alignment_table(results: Sequence[RunResult]) -> Table | None:
    """The rows for a terminal; None where nothing was read but scores."""
    rows = aligned(results)
    if not rows:
        return None
    names = _shown(rows)
    grid = Table("method", *names, box=box.SIMPLE_HEAD, pad_edge=False, title="Alignment", title_justify="left")
    for row in rows:
        grid.add_row(row.method, *_cells(row, names))
    return grid


def alignment_section(results: Sequence[RunResult]) -> str:
    """What stage ca adds to its section of docs/benchmarks.md; empty where nothing was read but scores."""
    rows = aligned(results)
    if not rows:
        return ""
    names = _shown(rows)
    table = _grid(("method", *names), [(row.method, *_cells(row, names)) for row in rows])
    matrices = "\n\n".join(_matrix(result) for result in results if result.order == 1 and len(result.learned) > 1)
    ruled = any(name in RULES for result in results for name in result.tasks)
    parts = [f"{_OF_RULES if ruled else _OF_PAIRS}. {_LEGEND}", _changes(results), table]
    if matrices:
        parts.append(f"<details><summary>Score after each task, order 1</summary>\n\n{matrices}\n\n</details>")
    return "\n\n".join(part for part in parts if part)


def _shown(rows: Sequence[Aligned]) -> list[str]:
    """Titles of the columns that any method has a number for."""
    return [title for title, name in _COLUMNS.items() if any(name in row.readings for row in rows)]


def _cells(row: Aligned, titles: Sequence[str]) -> list[str]:
    return [_cell(row, _COLUMNS[title]) for title in titles]


def _cell(row: Aligned, name: str) -> str:
    found = row.readings.get(name)
    if found is None:
        return "-"
    mark = "*" if name == "greatest_margin" and row.collapsed else ""
    return (f"{found.mean:.1f}" if name in _NATS - {"entropy"} else f"{found.mean:.3f}") + mark


def _changes(results: Sequence[RunResult]) -> str:
    """Which norms were changed on purpose, and where that is told."""
    tasks = {name for result in results for name in result.tasks}
    pairs = [f"`{new}` revises `{old}`" for old, new in SUPERSEDED_BY.items() if {old, new} <= tasks]
    if not pairs:
        return ""
    return (
        f"A change of mind: {', '.join(pairs)} on the same requests, so losing the old task is no forgetting, and it "
        "counts in none of the numbers above. Old norm learned: its score after its own update; adoption: the new "
        "one's after the revision; residual: the old one's then, 0 is best; retention: what is left then of the other "
        "tasks learned before. `multi_task` is not trained on the old task."
    )


def _matrix(result: RunResult) -> str:
    rows = [
        (f"{f'after {result.tasks[place - 1]}' if place else 'base'}", *(_score(score) for score in scores))
        for place, scores in enumerate(result.scores)
    ]
    return _grid((f"`{result.method}`", *result.tasks), rows)


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in rows)])
