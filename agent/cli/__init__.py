"""The command line of cld: `main` runs it, one module per noun holds its commands.

Owns words and exit codes. A command parses, calls one function of `agent`, and renders; everything it shows goes
through `agent.cli.console`. Heavy imports stand inside commands, so that `cld --help` starts fast.
"""

from __future__ import annotations

from agent.cli.main import main

__all__ = ["main"]
