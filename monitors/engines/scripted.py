"""The engine that answers from a table: the in-memory twin of a model, for tests and dry runs. Imports no torch.

A script is a JSON file:

    {"answers": {"What is 2 + 2?": "4"},                       text generated for a prompt, by its last turn
     "logprobs": {"Sky?": {"blue": -0.5, "green": -3.0}},      of a continuation, in nats, counted as one token
     "default": "I do not know.",                              answer to any other prompt; without it, an error
     "versions": {"v1": {"answers": {"Sky?": "blue"}}}}        what one version says otherwise
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitors.engines import Continuation, EngineError, Likelihood, OpenEngine, Prompt, before_stop
from monitors.job import EngineSettings, VersionRef

__all__ = ["Answers", "Script", "ScriptedEngine", "engines"]

UNKNOWN_LOGPROB = -10.0


class Answers(BaseModel):
    """What is answered, by prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: dict[str, str] = Field(default_factory=dict)
    logprobs: dict[str, dict[str, float]] = Field(default_factory=dict)
    default: str | None = None


class Script(Answers):
    """Answers of every version, and what single versions answer otherwise."""

    versions: dict[str, Answers] = Field(default_factory=dict)

    def of(self, version_id: str) -> Answers:
        """The answers of one version."""
        own = self.versions.get(version_id, Answers())
        return Answers(
            answers=self.answers | own.answers,
            logprobs=self.logprobs | own.logprobs,
            default=self.default if own.default is None else own.default,
        )


def engines(settings: EngineSettings) -> OpenEngine:
    """Answer for every version from the file `settings.script`."""
    if settings.script is None:
        raise EngineError("engine kind 'scripted' answers from a file: set engine.script to its path")
    try:
        script = Script.model_validate_json(settings.script.read_bytes())
    except (OSError, ValidationError) as error:
        raise EngineError(f"engine.script {str(settings.script)!r} cannot be used: {error}") from error

    def open_engine(version: VersionRef) -> ScriptedEngine:
        return ScriptedEngine(script.of(version.id))

    return open_engine


class ScriptedEngine:
    """Answers for one version; `asked` counts the requests, so that a test can show what was not asked again."""

    def __init__(self, script: Answers) -> None:
        self._script = script
        self.asked = 0

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Yield the scripted text, cut to `max_new_tokens` words."""
        for index, (prompt, limit) in enumerate(zip(prompts, max_new_tokens, strict=True)):
            self.asked += 1
            yield index, before_stop(" ".join(self._answer(prompt).split(" ")[:limit]), prompt.stop)

    def loglikelihood(self, pairs: Sequence[tuple[Prompt, Continuation]]) -> Iterator[tuple[int, Likelihood]]:
        """Yield the scripted number; a continuation that the script does not name has -10 nats."""
        for index, (prompt, continuation) in enumerate(pairs):
            self.asked += 1
            known = self._script.logprobs.get(_last(prompt), {})
            logprob = known.get(continuation, UNKNOWN_LOGPROB) if isinstance(continuation, str) else UNKNOWN_LOGPROB
            yield index, Likelihood(logprob, 1, logprob == max(known.values(), default=None), (logprob,))

    def choose(self, prompt: Prompt, schema: Mapping[str, Any], max_new_tokens: int) -> str:
        """Return the scripted text as it stands, valid or not: callers must check it."""
        self.asked += 1
        return self._answer(prompt)

    def _answer(self, prompt: Prompt) -> str:
        text = self._script.answers.get(_last(prompt), self._script.default)
        if text is None:
            digest = hashlib.sha256(_last(prompt).encode()).hexdigest()[:12]
            raise EngineError(f"the script has no answer to the prompt of digest {digest}; add it, or set `default`")
        return text


def _last(prompt: Prompt) -> str:
    return prompt.turns[-1].content if prompt.turns else prompt.text
