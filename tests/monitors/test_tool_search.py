"""A way back: where a call failed or a path was given up, something else is tried, depth first."""

from typing import ClassVar

import pytest

from monitors.engines import Prompt, Turn
from monitors.probes.scorers import ToolCall
from monitors.tools.contract import Arguments, Tool, ToolError
from monitors.tools.loop import Asked, Limits, converse

pytestmark = pytest.mark.usefixtures("_at_once")

QUESTION = "Where is the gold?"


class _Door(Arguments, frozen=True):
    number: int


class Rooms(Tool, frozen=True):
    """Two doors in every room; a wrong one is locked, or leads into a room without a door."""

    name: ClassVar[str] = "door"
    description: ClassVar[str] = "Opens a door."
    arguments: ClassVar[type[Arguments]] = _Door
    examples: ClassVar[tuple] = ()

    def run(self, arguments):
        if arguments.number == 11:
            raise ToolError("it is locked")
        return {1: "doors 11 and 12", 12: "an empty room", 2: "doors 21 and 22", 21: "a mirror", 22: "gold"}[
            arguments.number
        ]


class Walker:
    """Opens the first door that it is not told to leave; without one it gives up, or says what it found."""

    def __init__(self):
        self.prompts = []

    def generate(self, prompts, max_new_tokens):
        self.prompts += prompts
        yield from enumerate(map(self._turn, prompts))

    def _turn(self, prompt):
        *_, said = [
            turn.content for turn in prompt.turns if turn.role in {"user", "tool"} and "tried" not in turn.content
        ]
        warned = prompt.turns[-1].content if "tried" in prompt.turns[-1].content else ""
        if said == "gold":
            return "There it is: gold."
        doors = {QUESTION: [1, 2], "doors 11 and 12": [11, 12], "doors 21 and 22": [21, 22]}.get(said, [])
        doors = [number for number in doors if f'"number": {number}}}' not in warned]
        return f'CALL door {{"number": {doors[0]}}}' if doors else "GIVE UP"


def walked(ways, calls=20):
    engine = Walker()
    asked = Asked(Prompt((Turn("user", QUESTION),)), (Rooms(),), ways=ways)
    return engine, dict(converse(engine, [asked], [64], Limits(calls=calls)))[0]


def test_what_one_way_misses_is_found_with_a_way_back():
    _, straight = walked(1)
    assert "gold" not in straight.answer
    _, found = walked(2)
    assert found.answer == "There it is: gold."
    assert [made.arguments["number"] for made in found.made] == [2, 22]


def test_it_is_told_at_each_place_what_was_tried_there_and_nothing_of_other_places():
    engine, _ = walked(2)
    told = [prompt.turns[-1].content for prompt in engine.prompts if prompt.turns[-1].content.startswith("This was")]
    assert [text.splitlines()[1:-1] for text in told] == [
        ['CALL door {"number": 11}'], ['CALL door {"number": 1}'], ['CALL door {"number": 21}'],
    ]  # fmt: skip
    assert "GIVE UP" in told[0]


def test_calls_that_were_taken_back_count():
    engine, found = walked(2, calls=4)
    assert found.answer == "" and sum("CALL" in engine._turn(prompt) for prompt in engine.prompts) == 4


def test_where_everything_was_tried_there_is_no_answer(monkeypatch):
    monkeypatch.setattr(Rooms, "run", lambda self, arguments: "an empty room")
    _, found = walked(2)
    assert (found.answer, found.made) == ("", ())


def test_a_plain_text_is_warned_in_its_own_lines():
    class Reader(Walker):
        def _turn(self, prompt):
            return "No." if "tried and led nowhere" in prompt.text else 'CALL door {"number": 11}'

    engine = Reader()
    asked = Asked(Prompt(text="Q: which door?\n"), (Rooms(),), told=False, ways=2)
    assert dict(converse(engine, [asked], [64]))[0].answer == "No."
    assert engine.prompts[1].text.splitlines()[1:3] == ["This was tried and led nowhere:", 'CALL door {"number": 11}']


def test_a_probe_says_how_many_ways_there_are():
    probe = ToolCall(id="a", prompt="?", expect=None, tools={"calculator": {}}, answer="7", ways=3)
    assert probe.asks().conversation.ways == 3
