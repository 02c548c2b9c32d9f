"""Which runs of a comparison are missing, and starting them, one after another or several at once.

Owns the results' folders: `RESULTS/<setup>/<method>-order<n>/`. A run that has its result is never started again
unless asked to; one that failed is started anew by the next call. Called by the command alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.lab import base_version
from benchmarks.methods.one_run import RESULT
from benchmarks.methods.setup import MULTI_TASK, PLAIN, ZERO_SHOT, Run, RunResult, Setup
from learners.durable import write_atomic
from learners.meter import ENERGY_VARIABLE
from learners.methods import methods

__all__ = ["Comparison", "compare"]

Say = Callable[[str], None]

_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Comparison:
    """What came of all runs of one setup; `failed` says why, by method and order."""

    setup: Setup
    results: list[RunResult] = field(default_factory=list[RunResult])
    failed: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])


def compare(
    setup: Setup, names: Sequence[str], orders: int, folder: Path, *, threads: int, country: str, fresh: bool, say: Say,
    processes: int = 1,
) -> Comparison:  # fmt: skip
    """Run what is missing and collect everything.

    Args:
        names: methods; the references come by themselves.
        orders: so many of the stream's orders, from the first.
        folder: of all results.
        threads: of each run.
        country: ISO 3166 alpha-3 code, for codecarbon.
        fresh: forget earlier results of these runs.
        say: told what is run and what came of it.
        processes: runs at the same time. Scores are those of one at a time; times and energy are not.
    """
    found = Comparison(setup)
    base = base_version(setup.model, folder / "base")
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), ENERGY_VARIABLE: country}
    told = partial(_told, folder=folder / setup.name, environment=environment, fresh=fresh, say=say)
    bare = Run(setup=setup, method=ZERO_SHOT, order=1, base=base, processes=processes)
    _collect(found, bare, told(bare))
    known = _zero_shot(found)
    runs = [
        bare.model_copy(update={"method": method, "order": order, "zero_shot": known})
        for method, order in _runs(setup, names, orders)
    ]
    with ThreadPoolExecutor(processes) as pool:
        for run, result in zip(runs, pool.map(told, runs), strict=True):
            _collect(found, run, result)
    return found


def _told(run: Run, *, folder: Path, environment: dict[str, str], fresh: bool, say: Say) -> RunResult | str:
    say(f"{run.setup.name}: {run.method}, order {run.order}")
    result = _result(run, folder / f"{run.method}-order{run.order}", environment, fresh=fresh)
    if isinstance(result, str):
        say(f"  {run.method}, order {run.order} failed: {result}")
    return result


def _collect(found: Comparison, run: Run, result: RunResult | str) -> None:
    if isinstance(result, str):
        found.failed[run.method, run.order] = result
    else:
        found.results.append(result)


def _zero_shot(found: Comparison) -> dict[str, float] | None:
    """The base's score on each task, where its run went well."""
    if not found.results:
        return None
    asked = zip(found.results[0].tasks, found.results[0].scores[0], strict=True)
    return {name: score for name, score in asked if score is not None}


def _runs(setup: Setup, names: Sequence[str], orders: int) -> list[tuple[str, int]]:
    """The upper reference first; one order is enough for it, since it has none."""
    references = [(MULTI_TASK, 1)] if PLAIN[setup.stage] in methods() else []
    return references + [(name, order) for order in range(1, orders + 1) for name in names]


def _result(run: Run, folder: Path, environment: dict[str, str], *, fresh: bool) -> RunResult | str:
    """The run's result, stored or made now; the reason where there is none."""
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    if not (folder / RESULT).exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "run.json", run.model_dump_json(indent=2))
        with (folder / "log.txt").open("ab") as log:
            command = [sys.executable, "-m", "benchmarks.methods.one_run", str(folder)]
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=_ROOT,
                check=False,
            ).returncode  # fmt: skip
        if code != 0:
            return _last_line(folder / "log.txt") or f"ended with {code}"
    return RunResult.model_validate_json((folder / RESULT).read_bytes())


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:400] if lines else ""
