"""How a comparison is told: a table in the terminal, a section of docs/benchmarks.md, one JSON value.

Owns words and columns. No number is made here.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table

from benchmarks import options
from benchmarks.lab import EMBEDDED
from benchmarks.methods.ca_report import alignment_section, alignment_table
from benchmarks.methods.ca_standings import aligned
from benchmarks.methods.lacking import Lack, lacking
from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import PLAIN, REFERENCES, Setup
from benchmarks.methods.standings import METRICS, Standing, best, other_orders, standings
from learners.methods import methods

__all__ = ["as_json", "command", "described", "own_standings", "section", "tables", "verdict"]

_COLUMNS = (
    "method", "orders", "ACC", "BWT", "FWT", "forgetting", "learning acc.", "plasticity", "trained parameters",
    "tokens/s", "peak GB", "Wh (est.)", "minutes",
)  # fmt: skip


def tables(found: Comparison) -> list[Table]:
    """The rows for a terminal; of stage ca, what was read beside the scores, too."""
    grid = Table(*_COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False, title=described(found.setup), title_justify="left")
    for cells in _rows(found):
        grid.add_row(*cells)
    grid.caption, grid.caption_justify = _not_comparable(found).replace("`", "") or None, "left"
    beside = alignment_table(found.results)
    return [grid, beside] if beside else [grid]


def section(found: Comparison, command: str, plots: Sequence[str]) -> str:
    """The section of docs/benchmarks.md.

    Args:
        command: that made it.
        plots: file names below docs/benchmarks/.
    """
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|"]
    lines += ["| " + " | ".join(cells) + " |" for cells in _rows(found)]
    failures = [f"- `{method}`, order {order}: {why}" for (method, order), why in sorted(found.failed.items())]
    parts = [
        f"## Methods, stage {found.setup.stage}: {found.setup.title}",
        f"`{command}`",
        f"{described(found.setup)} {_LEGEND} {_machine(found)}".rstrip(),
        "\n".join(lines),
        _not_comparable(found),
        verdict(found),
        alignment_section(found.results),
        "\n\n".join(f"![{name}](benchmarks/{name})" for name in plots),
        "Not run:\n\n" + "\n".join(failures) if failures else "",
    ]
    return "\n\n".join(part for part in parts if part)


def command(found: Comparison, threads: int) -> str:
    """The command that makes every row, whichever calls made them one after another.

    Args:
        threads: of each run.
    """
    setup = found.setup
    names = list(dict.fromkeys(one.method for one in found.results if one.method not in REFERENCES))
    words = ["--stage", setup.stage, "--stream", setup.stream]
    words += [] if setup.tasks is None else ["--tasks", str(setup.tasks)]
    words += ["--items", str(setup.items), "--test-items", str(setup.test_items)]
    words += [] if setup.model == EMBEDDED else ["--model", setup.model]
    words += options.words(setup.settings)
    words += ["--seed", str(setup.seed)] if setup.seed else []
    words += ["--methods", ",".join(names)] if names else []
    words += ["--orders", str(max((one.order for one in found.results), default=1)), "--threads", str(threads)]
    return shlex.join(["python", "-m", "benchmarks.methods", *words, "--publish"])


_LEGEND = (
    "Scores are in [0, 1], mean ± standard deviation over orders. ACC, BWT, FWT: the GEM paper's; forgetting: fall "
    "since a task was learned; learning accuracy: score on each task just after it was learned; plasticity: its gain "
    "over the score just before. `zero_shot` is the base model, `multi_task` plain training on all tasks at once. "
    "Tokens per second count whole training jobs, loading included; energy is codecarbon's estimate for one order."
)


def _machine(found: Comparison) -> str:
    """What computed, where it was no plain CPU alone."""
    devices = sorted({result.device for result in found.results})
    most = max((result.processes for result in found.results), default=1)
    shared = f" shared by {most} runs at a time, so times and energy are above those of a run alone" if most > 1 else ""
    return f"Computed on {', '.join(devices)}{shared}." if shared or devices != ["cpu"] else ""


def described(setup: Setup) -> str:
    """What was held equal."""
    told = ", ".join(f"{key} {value}" for key, value in setup.shared.items()) or "defaults"
    own = "".join(f", {key} {value}" for key, value in setup.settings.items() if key not in setup.shared)
    first = "all tasks" if setup.tasks is None else f"first {setup.tasks} tasks"
    return (
        f"Stage {setup.stage}, stream {setup.stream} ({first}), at most {setup.items} training and {setup.test_items} "
        f"test items of each, seed {setup.seed}; settings of every method: {told}{own}."
    )


def verdict(found: Comparison) -> str:
    """Who forgets least among those that learn as well as plain training, in one sentence."""
    plain = PLAIN[found.setup.stage]
    winner = best(own_standings(found), found.setup.stage)
    if winner is None:
        return f"Without `{plain}` among the results there is nothing to compare forgetting with."
    if winner.method == plain:
        return f"No method that learns as well forgets less than `{plain}` ({winner.plain_forgetting:.3f})."
    share = "" if winner.ratio is None else f", {winner.ratio:.0%} of"
    return (
        f"At equal learning accuracy `{winner.method}` forgets least: {winner.forgetting:.3f}{share or ' against'} "
        f"`{plain}`'s {winner.plain_forgetting:.3f}."
    )


def as_json(found: Comparison, command: str) -> dict[str, Any]:
    """Everything, the score matrices included."""
    rows = standings(found.results)
    winner, lacks = best(own_standings(found), found.setup.stage), lacking(found.setup)
    known = methods()
    return {
        "command": command,
        "setup": found.setup.model_dump(mode="json"),
        "methods": [
            {
                **row.as_dict(),
                "paper": known[row.method].paper if row.method in known else None,
                "not_comparable": lacks[row.method].why if row.method in lacks else None,
            }
            for row in rows
        ],
        "best": asdict(winner) if winner else None,
        "alignment": [row.as_dict() for row in aligned(found.results)],
        "runs": [result.model_dump(mode="json") for result in found.results],
        "failed": [{"method": name, "order": order, "why": why} for (name, order), why in found.failed.items()],
    }


def own_standings(found: Comparison) -> list[Standing]:
    """Rows of the methods whose numbers can be compared with plain training's, and of the references."""
    apart = {*lacking(found.setup), *other_orders(found.results, found.setup.stage)}
    return [row for row in standings(found.results) if row.method not in apart]


def _rows(found: Comparison) -> list[tuple[str, ...]]:
    """Cells of every row; a method whose numbers are not its own has a mark."""
    lacks = lacking(found.setup)
    cells = [_cells(row) for row in standings(found.results)]
    return [(f"{name}*" if name in lacks else name, *rest) for name, *rest in cells]


def _not_comparable(found: Comparison) -> str:
    """Why marked rows say nothing of their methods, and who has none."""
    lacks, shown = lacking(found.setup), {result.method for result in found.results}
    told = [
        ("(*) Not comparable here", [name for name in lacks if name in shown]),
        ("Left out", [name for name, lack in lacks.items() if name not in shown and not lack.runs]),
    ]
    reasons = [f"{head}: {_reasons(lacks, names)}." for head, names in told if names]
    if uneven := other_orders(found.results, found.setup.stage):
        names = ", ".join(f"`{name}`" for name in uneven)
        reasons.append(f"Not ranked, since they learned other orders than `{PLAIN[found.setup.stage]}`: {names}.")
    return " ".join(reasons)


def _reasons(lacks: Mapping[str, Lack], names: Sequence[str]) -> str:
    reasons = dict.fromkeys(lacks[name].why for name in names)
    return "; ".join(f"{', '.join(f'`{name}`' for name in names if lacks[name].why == why)}: {why}" for why in reasons)


def _cells(row: Standing) -> tuple[str, ...]:
    spreads = [row.metrics.get(name) for name in METRICS]
    several = row.orders > 1
    shown = ["-" if s is None else f"{s.mean:.3f}" + (f" ± {s.deviation:.3f}" if several else "") for s in spreads]
    costs = ("-",) * 4
    if row.trainable_parameters:
        energy = "-" if row.energy_kwh is None else f"{row.energy_kwh * 1000:.2f}"
        peak = f"{row.peak_memory_bytes / 2**30:.2f}"
        costs = (f"{row.trainable_parameters:,}", f"{row.tokens_per_second:.0f}", peak, energy)
    return (row.method, str(row.orders), *shown, *costs, f"{row.seconds / 60:.1f}")
