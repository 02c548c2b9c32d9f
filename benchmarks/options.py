"""Options that several benchmarks share.

Owns how settings of methods are written on a command line. Called by the benchmarks that train by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
import yaml

__all__ = ["settings"]


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
