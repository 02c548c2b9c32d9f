"""The loop: a model answers, its first call is run, the result is put behind it, and it goes on.

Owns what a conversation with tools is: the turns that are added, the caps, and the transcript. Works with any engine of
`monitors.engines`, by its `generate`; a model that chose a tool without writing its arguments (a toolken version: the
choice is one token) is asked for them by `choose`, under the tool's JSON schema and after the tool's examples.
Conversations go on side by side, so that an engine can batch them. The spelling of calls is `learners.parts.calls`'s.

As GeneGPT does it (Jin et al. 2023, arXiv:2304.09667): decode, stop at the call, run it, append the result, go on. With
`Asked.ways`, as ToolLLM does it (Qin et al. 2023, arXiv:2307.16789), depth first with a way back: a call that fails and
a path that the model gives up are taken back, and it is shown what was tried there and asked for something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from learners.parts.calls import calls_in, described, marker, told_of
from monitors.engines import Engine, Prompt, Turn, in_order
from monitors.tools.contract import Tool
from monitors.tools.nearest import nearest, solved
from monitors.tools.running import Result, Runner

__all__ = ["Asked", "Limits", "Made", "Transcript", "converse", "last_words", "opens_call"]

_RESULT: Final = "RESULT "
_GIVE_UP: Final = "GIVE UP"
_ELSE: Final = f"Do something else. Where nothing else can help, write {_GIVE_UP}."
_OPEN = re.compile(r"(?P<call>CALL[ \t]+(?P<name>[A-Za-z_][\w.-]*))[ \t]*\Z")


class Limits(BaseModel, frozen=True):
    """What a conversation may use.

    Attributes:
        calls: it ends with the result of the last of so many, those that were taken back included.
        seconds: of one call.
        result_characters: longer results are cut.
        argument_tokens: of arguments that are asked for.
    """

    model_config = ConfigDict(extra="forbid")

    calls: int = Field(default=4, ge=1)
    seconds: float = Field(default=2.0, gt=0)
    result_characters: int = Field(default=500, ge=1)
    argument_tokens: int = Field(default=96, ge=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and the tools it may be answered with.

    Attributes:
        told: describe the tools in the prompt; False for a model that knows them already.
        calls: fewer calls than `Limits.calls`, where so many are enough.
        nearest: describe only so many of the tools, those nearest to the question; any of them can be called.
        examples: show so many of the described tools' examples as solved calls, those nearest to the question.
        ways: how many different turns are tried at one place, where the others led nowhere; with 1 there is no way
            back, and the model reads what was wrong with a call.
    """

    prompt: Prompt
    tools: tuple[Tool, ...]
    told: bool = True
    calls: int | None = None
    nearest: int | None = None
    examples: int = 0
    ways: int = 1

    @property
    def question(self) -> str:
        """What was asked last."""
        return self.prompt.turns[-1].content if self.prompt.turns else self.prompt.text

    def described(self) -> tuple[Tool, ...]:
        """The tools that the prompt describes."""
        if not self.told:
            return ()
        return self.tools if self.nearest is None else nearest(self.question, self.tools, self.nearest)


@dataclass(frozen=True, slots=True)
class Made:
    """One call: its arguments are None where they were no JSON object."""

    name: str
    arguments: dict[str, Any] | None
    result: Result


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation that is over.

    Attributes:
        text: all that was said, calls and results in their place.
        answer: what was said after the last result; empty where the cap on calls ended it.
    """

    text: str
    answer: str
    made: tuple[Made, ...]


def converse(
    engine: Engine, asked: Sequence[Asked], max_new_tokens: Sequence[int], limits: Limits | None = None
) -> Iterator[tuple[int, Transcript]]:
    """Hold conversations; yield (index of the question, transcript) as they end.

    Args:
        max_new_tokens: longest turn of each.
    """
    limits = limits or Limits()
    going = {index: _Talk(one, limits) for index, one in enumerate(asked)}
    with Runner(limits.seconds) as runner:
        while going:
            prompts = [talk.prompt() for talk in going.values()]
            said = in_order(engine.generate(prompts, [max_new_tokens[index] for index in going]), len(prompts))
            for (index, talk), text in zip(list(going.items()), said, strict=True):
                if not talk.goes_on(text, engine, runner):
                    yield index, talk.transcript()
                    del going[index]


@dataclass(slots=True)
class _Talk:
    """A conversation in progress.

    Attributes:
        said, made: the model's turns so far, and the calls that ended them.
        spent: calls that were run, those that were taken back included.
        tried: turns that were taken back, at each place of the path from its beginning.
    """

    asked: Asked
    limits: Limits
    said: list[str] = field(default_factory=list[str])
    made: list[Made] = field(default_factory=list[Made])
    answer: str = ""
    spent: int = 0
    tried: list[list[str]] = field(default_factory=lambda: [[]])
    specs: list[dict[str, Any]] = field(init=False)
    shown: str = field(init=False)

    def __post_init__(self) -> None:
        tools = self.asked.described()
        self.specs = [tool.spec() for tool in tools]
        self.shown = "".join(f"\n\n{one}" for one in solved(self.asked.question, tools, self.asked.examples))

    def prompt(self) -> Prompt:
        """The question, the tools, and what was said and found since."""
        given, specs = self.asked.prompt, self.specs
        stop = (*given.stop, f"\n{_RESULT}")
        if not given.turns:
            opening = f"{described(specs)}{self.shown}\n\n{given.text}" if specs else given.text
            return Prompt(text=opening + "".join(f"{part}\n" for part in [*self._parts(), *self._warned()]), stop=stop)
        turns = told_of(specs, [{"role": turn.role, "content": turn.content} for turn in given.turns])
        turns[0]["content"] += self.shown
        later = [
            turn
            for said, made in zip(self.said, self.made, strict=True)
            for turn in (Turn("assistant", said), Turn("tool", made.result.text))
        ]
        later += [Turn("user", warning) for warning in self._warned()]
        return replace(given, turns=(*(Turn(turn["role"], turn["content"]) for turn in turns), *later), stop=stop)

    def _warned(self) -> list[str]:
        """What was tried from here, where anything was."""
        return ["\n".join(["This was tried and led nowhere:", *self.tried[-1], _ELSE])] if self.tried[-1] else []

    def goes_on(self, text: str, engine: Engine, runner: Runner) -> bool:
        """Take the model's turn; False where it was the last."""
        call = self._call_in(text, engine)
        if call is None:
            if self.asked.ways > 1 and _GIVE_UP in text:
                return self._goes_back(None)
            self.answer = text
            return False
        said, name, arguments = call
        result = self._result(name, arguments, runner)
        cut = " ".join(result.text.split())[: self.limits.result_characters]  # one line: a result is no turn
        self.spent += 1
        left = self.spent < min(self.limits.calls, self.asked.calls or self.limits.calls)
        if result.failed and self.asked.ways > 1:
            return self._goes_back(said) and left
        self.said.append(said)
        self.made.append(Made(name, arguments, result._replace(text=f"ERROR: {cut}" if result.failed else cut)))
        self.tried.append([])
        return left

    def _goes_back(self, said: str | None) -> bool:
        """To the last place where there is something else to try; False where there is none.

        Args:
            said: the turn that led nowhere; None for the one that led here.
        """
        if said is not None:
            self.tried[-1].append(said)
        while said is None or len(self.tried[-1]) >= self.asked.ways:
            if not self.made:
                return False
            self.tried.pop()
            self.made.pop()
            said = self.said.pop()
            self.tried[-1].append(said)
        return True

    def _call_in(self, text: str, engine: Engine) -> tuple[str, str, dict[str, Any] | None] | None:
        """The turn up to the end of its first call, the tool and the arguments; None where it calls nothing."""
        for call in calls_in(text)[:1]:
            return text[: call.end], call.name, call.arguments
        chosen = _OPEN.search(text)
        if chosen is None:
            return None
        name, before = chosen["name"], text[: chosen.start()]
        before = f"{before}\n" if before and not before.endswith("\n") else before
        arguments = self._asked_for(name, before, engine)
        written = "" if arguments is None else f" {json.dumps(arguments, ensure_ascii=False)}"
        return f"{before}{marker(name)}{written}", name, arguments

    def _asked_for(self, name: str, before: str, engine: Engine) -> dict[str, Any] | None:
        """Arguments of a call that came without them."""
        tool = self._tool(name)
        if tool is None:
            return None
        found = "".join(f"{part}\n" for part in [*self._parts(), before] if part)
        examples = [(asked, tool.written(arguments)) for asked, arguments in tool.examples]
        shown = [*examples, (f"{self.asked.question}\n{found}", "")]
        text = "\n\n".join(f"Question: {asked.strip()}\nArguments of {name}:\n{written}" for asked, written in shown)
        written = engine.choose(Prompt(text=text), tool.schema_of_arguments(), self.limits.argument_tokens)
        calls = calls_in(f"{marker(name)} {written}")
        return calls[0].arguments if calls else None

    def _result(self, name: str, arguments: dict[str, Any] | None, runner: Runner) -> Result:
        tool = self._tool(name)
        if tool is None:
            known = ", ".join(tool.name for tool in self.asked.tools)
            return Result(f"no tool is called {name}; there are: {known or 'none'}", failed=True)
        if arguments is None:
            return Result(f"the arguments of {name} are no JSON object", failed=True)
        return runner.run(tool, arguments)

    def _tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.asked.tools if tool.name == name), None)

    def _parts(self) -> list[str]:
        return [
            part
            for said, made in zip(self.said, self.made, strict=True)
            for part in (said, f"{_RESULT}{made.result.text}")
        ]

    def transcript(self) -> Transcript:
        """All of it, once it is over."""
        return Transcript("\n".join([*self._parts(), self.answer]).rstrip("\n"), self.answer, tuple(self.made))


def last_words(transcript: str) -> str:
    """What stands behind the last result of a transcript's text."""
    _, _, after = f"\n{transcript}".rpartition(f"\n{_RESULT}")
    return after.partition("\n")[2] if f"\n{_RESULT}" in f"\n{transcript}" else transcript


def opens_call(text: str) -> bool:
    """Whether a text ends with a call that has no arguments yet, as a toolken version writes it."""
    return _OPEN.search(text) is not None
