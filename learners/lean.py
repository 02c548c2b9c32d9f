"""Importing a training library without what no worker needs of it, because every job waits for its imports.

transformers imports scikit-learn, and with it pandas and scipy.stats, for assisted generation, and scipy.optimize for
the losses of object detection, wherever it finds them: 1.6 of the 6.6 CPU seconds before the embedded engine is ready.
And while hundreds of thousands of objects come into being that all stay, Python looks through them for garbage, again
and again: 1.2 seconds more. Owns what is left out. Called by `learners.worker` around the import of a job's handler and
by `monitors.engines` around that of an engine.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["lean"]

_UNNEEDED = ("scipy", "sklearn")


@contextmanager
def lean() -> Generator[None]:
    """While entered, no garbage is collected, and scipy and sklearn are not found unless they are imported already.

    Afterwards they can be imported as ever; lm-evaluation-harness needs them.
    """
    hidden = [name for name in _UNNEEDED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType] - Python's way to say that it is not there
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        for name in hidden:
            sys.modules.pop(name, None)
