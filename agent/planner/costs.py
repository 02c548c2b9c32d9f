"""What training would take, in tokens as workers count them: all that go through the model, padding left out.

A method that tells which rows it goes through (`reads`, see `learners.methods.contract`) is counted row by row: what is
rehearsed may be longer than what is learned, and its share of a small batch is not the share that was set. Any other
takes what its table says, relative to plain fine-tuning. How many tokens a record is, is guessed from its characters,
until training jobs show what became of such guesses (`agent.planner.candidates`). Called by `situation` and by what
foresees the cost of forgetting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from agent.config import Config
from agent.errors import ConfigError
from agent.planner.plan import Candidate
from agent.planner.settings import configured_settings
from learners.job import Stage
from learners.methods import load_method, settings_for
from learners.methods.contract import Reads, Settings
from learners.records import Record

__all__ = ["counted", "estimated_tokens", "settings_of"]

_CHARACTERS_PER_TOKEN = 4.0


def settings_of(config: Config, stage: Stage, method: str) -> Settings:
    """The settings with which a method would train a stage.

    Raises:
        ConfigError: it refuses a value that other methods of the stage take.
    """
    candidate = Candidate(id=f"{stage}.{method}", action="train", stage=stage, method=method)
    try:
        return settings_for(method, stage, configured_settings(config, candidate))
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, one['loc']))} = {one['input']!r}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"method {method!r} refuses what [training.{stage}] says: {'; '.join(wrong)}") from error


def estimated_tokens(records: Iterable[Record]) -> int:
    """About how many tokens one pass over the records is."""
    characters = sum(len(record.model_dump_json(include={"content"})) for record in records)
    return round(characters / _CHARACTERS_PER_TOKEN)


def counted(
    config: Config, stage: Stage, method: str, records: Sequence[Record], remembered: Sequence[Record]
) -> float | None:
    """About how many tokens a method goes through; None of one that does not tell which rows it reads.

    Args:
        remembered: what the parent's replay memory holds.

    Raises:
        ConfigError: the method refuses a value of the configuration.
    """
    module, settings = load_method(method), settings_of(config, stage, method)
    if not hasattr(module, "reads"):
        return None
    new, old = (_rows(found, settings.max_length_tokens) for found in (records, remembered))
    reads: Reads = module.reads(settings, len(new), len(old))
    return reads.new * _mean(new) + reads.remembered * _mean(old)


def _rows(records: Iterable[Record], limit: int) -> list[float]:
    """Tokens of each training row: a text is split at the limit, anything else is cut there."""
    rows: list[float] = []
    for record in records:
        tokens = estimated_tokens([record])
        pieces = max(1, math.ceil(tokens / limit)) if record.kind == "text" else 1
        rows += [min(tokens / pieces, limit)] * pieces
    return rows


def _mean(rows: Sequence[float]) -> float:
    return sum(rows) / len(rows) if rows else 0.0
