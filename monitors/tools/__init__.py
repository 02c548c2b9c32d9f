"""Tools that a model may call, and the loop in which it does.

Owns the literal table of tools. A tool is one file here with a subclass of `monitors.tools.contract.Tool`, and one line
below. `loop` asks an engine and answers its calls, `running` runs a tool under limits. Covered: arguments are validated
before a tool runs; it runs in a process of its own with bounded time, memory and processor time; calls and results are
capped; no shell, no file, no network. Not covered: what a tool added here does by itself. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from learners.nearest import did_you_mean
from monitors.tools.calculator import Calculator
from monitors.tools.contract import Tool
from monitors.tools.date import Date
from monitors.tools.lookup import Lookup

__all__ = ["TOOLS", "Tool", "tools_of"]

TOOLS: Final[Mapping[str, type[Tool]]] = {
    "calculator": Calculator,
    "date": Date,
    "lookup": Lookup,
}


def tools_of(given: Mapping[str, Mapping[str, Any]]) -> tuple[Tool, ...]:
    """Tools by name, each with its configuration.

    Raises:
        ValueError: an unknown name, or a configuration that the tool refuses.
    """
    found: list[Tool] = []
    for name, configuration in given.items():
        if name not in TOOLS:
            hint = did_you_mean(name, TOOLS, f"legal: {', '.join(TOOLS)}")
            raise ValueError(f"no tool is called {name!r}, {hint}")
        try:
            found.append(TOOLS[name].model_validate(configuration))
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
            raise ValueError(f"tool {name!r} cannot be configured so: {problems}") from None
    return tuple(found)
