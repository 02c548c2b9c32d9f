"""`python -m agent.history ROOT`: bring the search index up to date, at the lowest priority.

The daemon starts this after each cycle (`agent.history.refreshing`), so that a question asked after many cycles does
not wait for them to be read. Not needed for correctness: a search embeds what the index lacks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.history.index import entries, load_vectors
from agent.root.layout import Layout
from agent.root.settings import load
from agent.root.stores import open_store

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Refresh the index of the data root that is the one argument; 64 where there is none."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m agent.history ROOT\n")
        return 64
    os.nice(19)
    layout = Layout(Path(arguments[0]))
    store = open_store(layout, load(layout))
    with store.read() as tx:
        found = entries(tx)
    store.close()
    from monitors.embedding import embed

    load_vectors(layout.index, found, embed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
