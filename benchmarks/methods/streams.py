"""Which tasks are learned one after another, and in which orders.

Owns the literal table. The orders are published ones, less the tasks that the data folder does not hold, so that
results can be set beside the papers'.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from math import factorial
from typing import Final

from benchmarks.methods import preferences, tasks, tool_tasks
from benchmarks.methods.preferences import SUPERSEDED_BY
from benchmarks.methods.setup import Setup
from benchmarks.methods.tasks import Task
from learners.failures import InvalidInput
from learners.job import Stage

__all__ = ["DEFAULT_STREAMS", "QUICK_STREAMS", "STREAMS", "in_force", "order_names", "possible_orders", "stream_tasks"]

_LONG = (
    # Orders 4 to 6 of O-LoRA (Wang et al. 2023, arXiv:2310.14152, appendix), less dbpedia, imdb, multirc, yahoo and
    # yelp; the sixth is also that of `logs_and_outputs/long/` in github.com/cmnfriend/O-LoRA. Progressive Prompts
    # (Razdaibiedina et al. 2023, arXiv:2301.12314) had them first, as orders 8 to 10.
    "mnli cb wic copa qqp boolq rte amazon sst2 agnews",
    "boolq wic mnli cb copa qqp rte sst2 agnews amazon",
    "amazon mnli cb copa qqp rte sst2 agnews boolq wic",
)
_SUPERNI = (
    # The two orders of SAPT (Zhao et al. 2024, arXiv:2401.08295), as `gen_script_superni_t5.py` in
    # github.com/circle-hit/SAPT has them, less quoref and its tasks of dialogue and summaries; the first one
    # backwards is our third.
    "task363 task181 task1510 task073 task748 task591 task1687 task875",
    "task748 task073 task1687 task591 task363 task1510 task181 task875",
    "task875 task1687 task591 task748 task073 task1510 task181 task363",
)
_SHORT = (
    # Three kinds of answer, short prompts: the small form.
    "task1510 sst2 task875",
    "task875 task1510 sst2",
    "sst2 task875 task1510",
)
_TOOLS = (
    "calculator lookup date",
    "lookup date calculator",
    "date calculator lookup",
)
_PREFERENCES = (
    # Form, truth and safety in the order of their difficulty; a norm is revised in every order after it was learned.
    "format concise detailed truthful safe",
    "safe concise truthful detailed format",
    "concise truthful safe format detailed",
)
_PAIRS = (
    "helpful harmless brief thorough",
    "brief thorough helpful harmless",
    "thorough harmless brief helpful",
)
_RULES = (
    "words comma opening",
    "opening words comma",
    "comma opening words",
)

STREAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "superni": _SUPERNI,
    "long_sequence": _LONG,
    "short": _SHORT,
    "preferences": _PREFERENCES,
    "pairs": _PAIRS,
    "rules": _RULES,
    "tools": _TOOLS,
}
"""Orders of each stream, as the short names of its tasks."""

DEFAULT_STREAMS: Final[Mapping[Stage, tuple[str, ...]]] = {
    "cpt": ("superni", "long_sequence"),
    "cit": ("superni", "long_sequence"),
    "ca": ("preferences", "pairs", "rules"),
}
QUICK_STREAMS: Final[Mapping[Stage, str]] = {"cpt": "short", "cit": "short", "ca": "preferences"}


def order_names(setup: Setup, order: int) -> list[str]:
    """Short names of the tasks of one order; what revises a norm stays behind what taught it.

    Orders beyond the listed ones are shuffles by their number, and so is a listed one that without the tasks that are
    left out is no other than an earlier one: a mean over orders counts each sequence once.

    Args:
        order: from 1, up to `possible_orders`.

    Raises:
        learners.failures.InvalidInput: these tasks have fewer orders.
    """
    if order > possible_orders(setup):
        tasks = f"{len(_kept(setup))} task(s) of stream {setup.stream!r}"
        raise InvalidInput(
            f"{tasks} have {possible_orders(setup)} order(s), not {order}; ask for fewer, or for more tasks"
        )
    found: list[list[str]] = []
    for number in range(1, order + 1):
        found.append(next(names for names in _drawn(setup, number) if names not in found))
    return found[-1]


def possible_orders(setup: Setup) -> int:
    """How many sequences the tasks have; what revises a norm stands behind it in all of them."""
    kept = _kept(setup)
    revisions = sum(old in kept and new in kept for old, new in SUPERSEDED_BY.items())
    return factorial(len(kept)) >> revisions


def _kept(setup: Setup) -> list[str]:
    return list[str](STREAMS[setup.stream][0].split())[: setup.tasks]


def _drawn(setup: Setup, number: int) -> Iterator[list[str]]:
    """The listed order of this number, where there is one; then shuffles without end."""
    listed, kept = STREAMS[setup.stream], _kept(setup)
    if number <= len(listed):
        yield [name for name in listed[number - 1].split() if name in kept]
    draw = random.Random(number)  # noqa: S311 - an order, not secrecy
    while True:
        names: list[str] = draw.sample(kept, len(kept))
        for old, new in SUPERSEDED_BY.items():
            if old in names and new in names:
                earlier, later = sorted((names.index(old), names.index(new)))
                names[earlier], names[later] = old, new
        yield names


def stream_tasks(setup: Setup, order: int) -> list[Task]:
    """The tasks of one order, each with the same items whatever the order.

    Raises:
        benchmarks.data.DataMissing: the data folder does not hold them.
    """
    made = tool_tasks.task if setup.stream == "tools" else tasks.task
    make = preferences.task if setup.stage == "ca" else made
    return [make(name, setup) for name in order_names(setup, order)]


def in_force(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that none of the others revises: what a model should be able to do after all of them."""
    names = {task.name for task in tasks}
    return [task for task in tasks if SUPERSEDED_BY.get(task.name) not in names]
