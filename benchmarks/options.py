"""Options that several benchmarks share.

Owns how settings of methods are written on a command line. Called by the benchmarks that train by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer
import yaml

__all__ = ["settings", "words"]


def settings(given: Sequence[str] | None) -> dict[str, Any]:
    """What `--set KEY=VALUE` says, values read as YAML.

    Raises:
        typer.BadParameter: no `=` in it.
    """
    pairs = [one.partition("=") for one in given or ()]
    for key, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"--set {key!r}: KEY=VALUE is wanted, e.g. --set epochs=2")
    return {key: yaml.safe_load(value) for key, _, value in pairs}


def words(settings: Mapping[str, Any]) -> list[str]:
    """The words of a command line that `settings` reads as these."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={_scalar(value)}")]


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
