"""Results that are published: small files in the repository, from which docs/choosing.md is written.

Owns `benchmarks/results/methods/<setup>/`: the setup, and a result for each method and order. Trains nothing. Called by
the command with `--publish` and by the page.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import RunResult, Setup
from learners.durable import write_atomic

__all__ = ["folder", "keep", "published"]

_SETUP = "setup.json"


def folder(page: Path) -> Path:
    """Where the results behind a `docs/benchmarks.md` lie."""
    return page.parents[1] / "benchmarks" / "results" / "methods"


def keep(found: Comparison, folder: Path) -> Comparison:
    """Write a comparison's results; those of methods and orders that it did not run stay.

    Returns:
        The comparison with everything that is published of its setup.
    """
    place = folder / found.setup.name
    place.mkdir(parents=True, exist_ok=True)
    write_atomic(place / _SETUP, found.setup.model_dump_json(indent=1) + "\n")
    for result in found.results:
        name = f"{result.method}-order{result.order}.json"
        write_atomic(place / name, result.model_dump_json(indent=1) + "\n")
    return Comparison(found.setup, _results(place), found.failed)


def published(folder: Path) -> list[Comparison]:
    """Every published comparison, by the name of its setup."""
    return [
        Comparison(Setup.model_validate_json(setup.read_bytes()), _results(setup.parent))
        for setup in sorted(folder.glob(f"*/{_SETUP}"))
    ]


def _results(place: Path) -> list[RunResult]:
    paths = [path for path in sorted(place.glob("*.json")) if path.name != _SETUP]
    return [RunResult.model_validate_json(path.read_bytes()) for path in paths]
