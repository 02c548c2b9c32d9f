"""Request and answer of the `prove` job: were records forgotten, and nothing else? Imports no torch.

The folder protocol is `learners.job`'s. No answer holds what a record says: records are named by id.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from monitors.job import EngineSettings, VersionRef

__all__ = ["ByVersion", "Extraction", "ForgottenMembership", "Neighbours", "ProveResult", "ProveSpec"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProveSpec(_Frozen):
    """What was to be forgotten, by which version, and who can bear witness.

    Attributes:
        version: the one that should have forgotten; `parent` had learned the records.
        clean: a version of the same line that never learned them; None where none has files any more.
        forgotten: JSON lines of `Record`.
        neighbours: JSON lines of the records nearest to them that must be kept; may be empty.
        fills: random fills that stand for all that a secret could have been.
        secrets: most secrets of one record.
    """

    version: VersionRef
    parent: VersionRef
    clean: VersionRef | None = None
    forgotten: Path
    neighbours: Path
    engine: EngineSettings = EngineSettings()
    fills: int = Field(default=63, ge=31, le=4095)
    secrets: int = Field(default=2, ge=1)
    seed: int = 0


class ByVersion(_Frozen):
    """One number on each version: `clean` never learned the records, `before` had, `after` should have forgotten."""

    clean: float | None = None
    before: float
    after: float


class Extraction(_Frozen):
    """How many of the tested secrets greedy decoding says when led up to them.

    Attributes:
        records: ids of the records of which `version` says one that `clean` does not.
    """

    tested: int
    said: ByVersion
    records: tuple[str, ...]


class ForgottenMembership(_Frozen):
    """AUC of telling the records from their look-alikes by likelihood against `clean` (alone where there is none)."""

    members: int
    lookalikes: int
    before: float
    after: float
    error: float


class Neighbours(_Frozen):
    """What became of the records that must be kept.

    Attributes:
        recall: share of their secrets that greedy decoding says.
        loglikelihood: mean log-probability of their passages, nats per token.
    """

    records: int
    recall: ByVersion
    loglikelihood: ByVersion


class ProveResult(_Frozen):
    """Answer of a `prove` job.

    Attributes:
        records: how many were asked about; `silent` of them have nothing that could be said otherwise.
        exposure: mean over all secrets of log2(fills + 1) - log2(rank), bits; `suppression` the same from the last
            place, so that what was pushed below every other filling shows, too.
        expected_bits, deviation_bits: mean and standard deviation of either for a secret that is like any other.
        membership, neighbours: None where there are fewer than two records, or none.
    """

    records: int
    silent: int
    fills: int
    exposure: ByVersion | None
    suppression: ByVersion | None
    expected_bits: float
    deviation_bits: float
    extraction: Extraction
    membership: ForgottenMembership | None
    neighbours: Neighbours | None
    seconds: float
