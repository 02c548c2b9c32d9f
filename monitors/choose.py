"""The `choose` job: let a language model pick one of several options and say why, as checked JSON.

Owns the schema, the token budget and the check of the answer; the constraint is the engine's. The choice is advice:
`agent` validates it again against the plan's rules, and nothing in the answer is ever run. Called by
`python -m monitors JOB_DIR`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from learners.failures import InvalidInput
from monitors.engines import Prompt, Turn, open_engines
from monitors.job import ChooseResult, ChooseSpec, VersionRef

if TYPE_CHECKING:
    from pathlib import Path

    from learners.worker import Job

__all__ = ["answer_schema", "choose"]

MAX_PROMPT_CHARACTERS = 40_000
JSON_TOKENS = 64
"""Tokens for braces, keys and the choice, beside those of the reason (at most one a character)."""


def choose(spec: dict[str, Any], job: Job) -> ChooseResult:
    """Ask the model of `spec.version`, or the endpoint of `spec.engine`, for one of the options.

    Args:
        spec: a `ChooseSpec`.
        job: told the progress.

    Raises:
        InvalidInput: the prompt is too long, there are no options, or the answer is not what the schema demands.
    """
    asked = ChooseSpec.model_validate(spec)
    _check(asked)
    version = asked.version or _endpoint_version(asked, job.folder)
    job.progress(0, 1, f"asking {asked.engine.model or version.id} to choose among {len(asked.options)} options")
    engine = open_engines(asked.engine)(version)
    schema = answer_schema(asked.options, asked.reason_characters)
    budget = JSON_TOKENS + asked.reason_characters + max(map(len, asked.options))
    answer = _checked(engine.choose(Prompt((Turn("user", asked.prompt),)), schema, budget), asked)
    job.progress(1, 1, f"chose {answer.choice}")
    return answer


def answer_schema(options: tuple[str, ...], reason_characters: int) -> dict[str, Any]:
    """JSON schema of the answer: {"choice": one of `options`, "reason": a sentence of at most `reason_characters`}.

    The reason must begin like a sentence: a small model left alone answers with a number or a bracket.
    """
    return {
        "type": "object",
        "properties": {
            "choice": {"type": "string", "enum": list(options)},
            "reason": {"type": "string", "pattern": f"^[A-Z][a-z]{{1,11}} [a-z][ -~]{{12,{reason_characters - 14}}}$"},
        },
        "required": ["choice", "reason"],
        "additionalProperties": False,
    }


def _check(asked: ChooseSpec) -> None:
    if not asked.options or len(set(asked.options)) < len(asked.options):
        raise InvalidInput(f"options must be different and at least one, found {list(asked.options)!r}")
    if len(asked.prompt) > MAX_PROMPT_CHARACTERS:
        raise InvalidInput(f"the prompt has {len(asked.prompt)} characters, at most {MAX_PROMPT_CHARACTERS} are sent")


def _endpoint_version(asked: ChooseSpec, folder: Path) -> VersionRef:
    if asked.engine.kind == "transformers":
        raise InvalidInput("engine kind 'transformers' needs `version`: the folder of the model that chooses")
    return VersionRef(id=asked.engine.model or asked.engine.kind, path=folder)


def _checked(text: str, asked: ChooseSpec) -> ChooseResult:
    try:
        answer = ChooseResult.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InvalidInput(f"the model's answer is no JSON of choice and reason: {text!r:.200} ({error})") from error
    if answer.choice not in asked.options:
        raise InvalidInput(f"the model chose {answer.choice!r:.80}, which is none of {', '.join(asked.options)}")
    if len(answer.reason) > asked.reason_characters:
        raise InvalidInput(f"the reason has {len(answer.reason)} characters, at most {asked.reason_characters} may be")
    return answer
