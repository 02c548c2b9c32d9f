"""The demo's acts: what is put into the inbox, and which ending is the right one. No number is written down here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

__all__ = ["ACTS", "CONFIGURATION", "QUESTIONS", "STREAM", "Act", "Question"]

STREAM: Final = Path(__file__).parent / "stream"
CONFIGURATION: Final = Path(__file__).parent / "cld.toml"

Ending = Literal["done", "rejected"]


@dataclass(frozen=True)
class Act:
    """One batch of the stream.

    Attributes:
        folder: subfolder of `STREAM` that is copied into the inbox.
        ending: how its cycle must end; what must end as rejected may be held by the gate, and then a person refuses it.
        approved: whether a person's approval of the plan is part of the act.
    """

    folder: str
    title: str
    ending: Ending
    approved: bool = False


@dataclass(frozen=True)
class Question:
    """A question about history in plain words, and the act (by number, from 1) whose version must be the answer."""

    text: str
    act: int


ACTS: Final = (
    Act("1-handbook", "New facts: a company's handbook and product pages", "done"),
    Act("2-tasks", "A new task and a new tool-call format, by example", "done"),
    Act("3-norm", "A new norm: refuse harmful requests (a person must approve)", "done", approved=True),
    Act("4-harmful", "A batch that would undo the norm and damage the model", "rejected"),
)

QUESTIONS: Final = (
    Question("when did it learn about the return window of the Halden kettle?", 1),
    Question("which version learned to sort support messages into queues and to call tools?", 2),
    Question("when did it learn to refuse harmful requests?", 3),
)
