"""The order of the tests, and what none of them may leave behind.

Imports nothing of the project: it is read before the environment of a folder's tests is set.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long a draw takes says what else runs on the machine, and nothing of what is tested.
settings.register_profile("shared_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared_machine")


def pytest_collection() -> None:
    """What is imported while tests are collected stays: looking for garbage in it takes a tenth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Garbage is looked for again, but never among all that stands by now."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demo on the real model goes first: it takes as long as all others, which a second process does meanwhile.

    Of two processes the first is given the first half of the list. The other one ends its own half with what is slow,
    and then takes over the quick tests that still wait behind the demo.
    """
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.get_closest_marker("smollm2"):
        return 0 if item.nodeid.startswith("tests/e2e/") else 1
    return 3 if item.get_closest_marker("slow") else 2


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """A process that outlives its test takes time from the others, and nobody waits for its end."""
    before = _children()
    yield
    left = [_command(pid) for pid in sorted(_children() - before)]
    left = [command for command in left if "multiprocessing.resource_tracker" not in command]
    assert not left, f"the test left processes: {left}"


def _children() -> set[int]:
    """Ids of this process's children, with those that ended and were not waited for."""
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            found |= {int(pid) for pid in task.read_text().split()}
    return found


def _command(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") or f"ended {pid}"
    return f"gone {pid}"
