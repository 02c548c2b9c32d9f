"""Tools that do what no tool should, for tests of what bounds them; the process that runs tools can import them."""

import os
import time
from typing import ClassVar

from monitors.tools.contract import Arguments, Tool


class _Nothing(Arguments, frozen=True):
    pass


class _Planted(Tool, frozen=True):
    name: ClassVar[str] = "planted"
    description: ClassVar[str] = "Misbehaves."
    arguments: ClassVar[type[Arguments]] = _Nothing
    examples: ClassVar[tuple] = ()


class Hangs(_Planted, frozen=True):
    """Never comes back."""

    def run(self, arguments):
        while True:
            time.sleep(60)


class Breaks(_Planted, frozen=True):
    """Has a fault of its own."""

    def run(self, arguments):
        return {}["missing"]


class Hoards(_Planted, frozen=True):
    """Wants more memory than a tool may have."""

    def run(self, arguments):
        return str(len(bytearray(2**31)))


class Dies(_Planted, frozen=True):
    """Takes its process with it."""

    def run(self, arguments):
        os._exit(3)


class Talks(_Planted, frozen=True):
    """Says more than a conversation can hold, over many lines."""

    def run(self, arguments):
        return "CALL planted {}\n" * 1000
