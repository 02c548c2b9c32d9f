"""How far a lineage may learn from what it says itself: which of its texts are rehearsed, and for how many versions.

Owns `memory/generations.json`: how many versions of a lineage rehearsed what their parent said, and how likely the
first of them, which had heard only real texts, found its own. A lineage that drifts finds its own texts ever more
likely; those outside the first one's range are refused, and so is a version that mostly says such. The gate, which
compares with the anchor, looks on beside it.

Measured on a small model that learned 96 of its own texts (`top_k` 20) five versions in a row: loss on what it once
knew rose from 2.78 to 3.61 nats, while 88, 59, 40, 38 and 20 of the 96 texts were in range. Without the others it rose
to 3.44: refusing slows the drift and does not end it, so the generations are counted, and few of them are allowed.

The range is not that of real texts: of an untouched SmolLM2-135M-Instruct every text that it says (`top_k` 20) is
likelier to it than a page of documentation, 2.0 nats a token against 5.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from learners.failures import InvalidInput
from learners.parts.rows import Row
from learners.parts.select import novelty

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Heard", "check_depth", "passing", "read"]

_FILE = "generations.json"
_FEWEST = 20  # texts that a range is taken from; a twentieth lies beyond each of its ends
_LEAST_SHARE = 0.5
_ADVICE = "rehearse remembered records instead (method replay), or go back to a version before it drifted"


class Heard(BaseModel):
    """What a version's memory knows of its lineage.

    Attributes:
        generations: versions up to this one that rehearsed what their parent said.
        low, high: nats a token of the texts that the first of these parents said; None where these were too few.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    generations: int = 0
    low: float | None = None
    high: float | None = None


def read(folder: Path) -> Heard:
    """What a version's `memory/` folder says."""
    path = folder / _FILE
    return Heard.model_validate_json(path.read_bytes()) if path.exists() else Heard()


def check_depth(folder: Path, most: int) -> None:
    """Refuse one more generation than `most`.

    Raises:
        InvalidInput: the lineage has heard itself as often already.
    """
    if (found := read(folder).generations) >= most:
        raise InvalidInput(
            f"{found} versions of this lineage have learned what their parents said, and most_generations is {most!r}: "
            f"a lineage that hears itself drifts from what it once knew; {_ADVICE}, or raise most_generations"
        )


def passing(folder: Path, model: PreTrainedModel, generated: Sequence[Row]) -> list[Row]:
    """The generated rows as likely as those of the lineage's first generation; this one is counted.

    Args:
        folder: `memory/` of the version that is being built, a copy of its parent's.
        model: that generated them.

    Raises:
        InvalidInput: less than half of the rows passes.
    """
    heard, losses = read(folder), novelty(model, generated)
    if heard.low is None and len(losses) >= _FEWEST:
        ordered, beyond = sorted(losses), len(losses) // 20
        heard = heard.model_copy(update={"low": ordered[beyond], "high": ordered[-1 - beyond]})
    found = _between(generated, losses, heard)
    if len(found) < _LEAST_SHARE * len(generated):
        raise InvalidInput(
            f"of {len(generated)} texts that the parent says by itself {len(found)} are as likely to it "
            f"({heard.low:.2f} to {heard.high:.2f} nats a token) as those of the first version of this lineage that "
            f"was rehearsed so, and half must be: it has drifted, or top_k and temperature were changed; {_ADVICE}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    counted = heard.model_copy(update={"generations": heard.generations + bool(found)})
    (folder / _FILE).write_text(counted.model_dump_json() + "\n", encoding="utf-8")
    return found


def _between(rows: Sequence[Row], losses: Sequence[float], heard: Heard) -> list[Row]:
    if heard.low is None or heard.high is None:
        return list(rows)
    return [row for row, loss in zip(rows, losses, strict=True) if heard.low <= loss <= heard.high]
