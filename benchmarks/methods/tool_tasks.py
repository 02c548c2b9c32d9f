"""The tasks of tool learning: one tool each, learned from calls, and questions that no tool is due for.

Questions and calls are made by a seeded generator: nobody publishes small calls of `monitors.tools`' tools. Of every
four items one is a plain question, so that a model which calls always scores a quarter of nothing. Prompts name no
tool: when to call which must be in the weights, and each suite leaves all three to choose from. The score is exact:
the right tool with the right arguments, or no call. Questions of the test are none of the training.
"""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from benchmarks.methods.setup import Setup
from benchmarks.methods.tasks import Task, record
from learners.failures import InvalidInput
from learners.parts.calls import marker
from learners.records import Record
from monitors.probes.scorers.tool_call import Call, ToolCall
from monitors.probes.suites import Suite

__all__ = ["task"]

_PLAIN_EVERY: Final = 4
_MAX_NEW_TOKENS: Final = 48

Item = tuple[str, Call | None, str]
"""A question, the call that is due, and the whole answer."""

_TOOLS: Final[dict[str, dict[str, Any]]] = {"calculator": {}, "date": {}, "lookup": {"entries": {"A-100": "in stock"}}}

_SUMS: Final = (
    ("What is {a} plus {b}?", "{a} + {b}"),
    ("How much is {a} times {b}?", "{a} * {b}"),
    ("Subtract {b} from {a}.", "{a} - {b}"),
    ("Divide {a} by {b}.", "{a} / {b}"),
    ("Work out {a} times {b} plus {c}.", "{a} * {b} + {c}"),
)
_DATES: Final = (
    ("Which date is {days} days after {date}?", "add"),
    ("What day of the week is {date}?", "weekday"),
    ("How many days lie between {date} and {other}?", "between"),
)
_ORDERS: Final = (
    "What is the state of order {key}?",
    "Look up article {key}.",
    "Do we have {key} in stock?",
    "Tell me about parcel {key}.",
)
_OPPOSITES: Final[Mapping[str, str]] = {
    "hot": "cold", "big": "small", "up": "down", "early": "late", "wet": "dry", "full": "empty", "old": "new",
    "slow": "fast", "day": "night", "open": "closed", "light": "dark", "hard": "soft", "long": "short", "near": "far",
    "rich": "poor", "loud": "quiet", "first": "last", "left": "right", "true": "false", "sweet": "sour",
}  # fmt: skip
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def task(name: str, setup: Setup) -> Task:
    """Make a task: `calculator`, `date` or `lookup`.

    Raises:
        learners.failures.InvalidInput: a stage other than cit; calls are answers of conversations.
    """
    if setup.stage != "cit":
        raise InvalidInput(f"stream 'tools' is learned by stage 'cit', not {setup.stage!r}; add --stage cit")
    made = _different(name, setup.seed)
    tests = [next(made) for _ in range(setup.test_items)]
    return Task(
        name=name,
        records=[_record(name, *next(made)) for _ in range(setup.items)],
        suite=Suite(suite=name, role="target", items=tuple(_probe(name, n, one) for n, one in enumerate(tests))),
    )


def _different(name: str, seed: int) -> Iterator[Item]:
    """Items without end; a question that calls stands once, plain ones are fewer and come again."""
    draw = random.Random(f"{seed}:{name}:tools")  # noqa: S311 - sampling, not secrecy
    seen: set[str] = set()
    count = 0
    while True:
        item = _plain(draw) if count % _PLAIN_EVERY == _PLAIN_EVERY - 1 else _MAKERS[name](draw)
        if item[1] is None or item[0] not in seen:
            seen.add(item[0])
            count += 1
            yield item


def _called(question: str, name: str, **arguments: Any) -> Item:
    return question, Call(name=name, arguments=arguments), f"{marker(name)} {json.dumps(arguments)}"


def _sum(draw: random.Random) -> Item:
    question, expression = draw.choice(_SUMS)
    numbers = {"a": draw.randint(100, 999), "b": draw.randint(2, 99), "c": draw.randint(2, 99)}
    return _called(question.format(**numbers), "calculator", expression=expression.format(**numbers))


def _date(draw: random.Random) -> Item:
    question, operation = draw.choice(_DATES)
    first = datetime.date(draw.randint(2001, 2029), 1, 1) + datetime.timedelta(days=draw.randrange(365))
    days = draw.randint(2, 90)
    other = first + datetime.timedelta(days=days)
    asked = question.format(days=days, date=first, other=other)
    more: dict[str, Any] = {"add": {"days": days}, "between": {"other": str(other)}}.get(operation, {})
    return _called(asked, "date", operation=operation, date=str(first), **more)


def _order(draw: random.Random) -> Item:
    key = f"{draw.choice('ABCDEFGH')}-{draw.randint(100, 999)}"
    return _called(draw.choice(_ORDERS).format(key=key), "lookup", key=key)


def _plain(draw: random.Random) -> Item:
    if draw.random() < 0.5:
        word = draw.choice(sorted(_OPPOSITES))
        return f"What is the opposite of {word}?", None, f"{_OPPOSITES[word].capitalize()}."
    month = draw.randrange(len(_MONTHS))
    return f"Which month comes after {_MONTHS[month]}?", None, f"{_MONTHS[(month + 1) % len(_MONTHS)]}."


_MAKERS: Final[Mapping[str, Callable[[random.Random], Item]]] = {"calculator": _sum, "date": _date, "lookup": _order}


def _record(name: str, question: str, call: Call | None, answer: str) -> Record:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return record(name, "tool" if call else "instruction", {"messages": turns})


def _probe(name: str, number: int, item: Item) -> ToolCall:
    question, call, _ = item
    return ToolCall(
        id=f"{name}-{number}", slice="call" if call else "none", prompt=question, expect=call, tools=_TOOLS, told=False,
        max_new_tokens=_MAX_NEW_TOKENS,
    )  # fmt: skip
