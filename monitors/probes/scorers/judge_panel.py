"""Asks a judge model for verdicts, through the same engine seam that answers probes.

Owns the schema of a verdict and the check of what came back. Any engine can judge: a local version, or an
OpenAI-compatible endpoint; the constraint is the engine's, and an endpoint that ignores it is refused, not guessed at.
Called by whoever measures, once per generated answer; knows no probe but through `Probe.comparisons`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from learners.failures import InvalidInput
from monitors.engines import Engine, Prompt
from monitors.probes.probe import Probe

__all__ = ["VERDICT_TOKENS", "verdicts"]

VERDICT_TOKENS = 16


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    better: Literal["A", "B"]


def verdicts(judge: Engine | None, probe: Probe, text: str) -> tuple[str, ...]:
    """What the judge says to each of the probe's questions about `text`; empty without a judge or questions.

    Raises:
        InvalidInput: the judge's answer is not `{"better": "A"}` or `{"better": "B"}`; the probe is named by its id.
    """
    if judge is None:
        return ()
    return tuple(_verdict(judge, probe.id, prompt) for prompt in probe.comparisons(text))


def _verdict(judge: Engine, probe_id: str, prompt: Prompt) -> str:
    said = judge.choose(prompt, _Verdict.model_json_schema(), VERDICT_TOKENS)
    try:
        return _Verdict.model_validate_json(said).better
    except ValidationError:
        raise InvalidInput(
            f"the judge's verdict on probe {probe_id!r} has {len(said)} characters and is not "
            '{"better": "A"} or {"better": "B"}: use an engine that enforces JSON schemas'
        ) from None
