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


def keep(found: Comparison, folder: Path) -> None:
    """Write a comparison's results; those of methods that it did not run stay."""
    place = folder / found.setup.name
    place.mkdir(parents=True, exist_ok=True)
    write_atomic(place / _SETUP, found.setup.model_dump_json(indent=1) + "\n")
    for result in found.results:
        name = f"{result.method}-order{result.order}.json"
        write_atomic(place / name, result.model_dump_json(indent=1) + "\n")


def published(folder: Path) -> list[Comparison]:
    """Every published comparison, by the name of its setup."""
    return [
        Comparison(
            Setup.model_validate_json(setup.read_bytes()),
            [
                RunResult.model_validate_json(path.read_bytes())
                for path in sorted(setup.parent.glob("*.json"))
                if path.name != _SETUP
            ],
        )
        for setup in sorted(folder.glob(f"*/{_SETUP}"))
    ]
