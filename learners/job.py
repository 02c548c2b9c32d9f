"""What a worker process is asked (`job.json`) and what it answers (`output/result.json`).

A job is a folder:

    jobs/<job id>/
        job.json         the request, immutable; written before the worker starts
        progress.jsonl   one `Progress` a line, appended by the worker
        worker.log       everything the worker printed
        heartbeat        a number that the worker changes twice a second while it works
        work/            scratch and checkpoints, kept between attempts
        failure.json     why the last attempt failed (`Failure`); absent on success
        stopped          there if the last attempt ended because it was asked to; the next goes on from work/
        output/          the result; `result.json` in it is the typed answer
        manifest.json    sizes and SHA-256 of everything under output/, written last: its presence is success

This module imports no torch: the daemon builds requests and reads answers with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Failure", "FailureReason", "JobRequest", "Limits", "Progress", "Stage", "TrainResult", "TrainSpec", "Usage"]

Stage = Literal["cpt", "cit", "ca", "forget"]

FailureReason = Literal[
    "out_of_memory", "diverged", "hung", "killed", "timed_out", "disk_full", "invalid_input", "crashed"
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Frozen):
    """What one job may take from the machine."""

    wall_seconds: float = 3600.0
    memory_bytes: int = 8 * 2**30
    disk_bytes: int = 4 * 2**30
    threads: int = 2


class JobRequest(_Frozen):
    """`job.json`: one piece of work for a worker process.

    Attributes:
        job_id: stable name, the job folder's name, e.g. `c7-training`.
        kind: key of the worker package's handler table, e.g. `train`, `measure`, `diagnose`, `intake`, `choose`.
        spec: arguments of that kind, validated by the handler's own model (`TrainSpec`, `MeasureSpec`, ...).
    """

    job_id: str
    kind: str
    spec: dict[str, Any]
    limits: Limits = Limits()


class Progress(_Frozen):
    """One line of `progress.jsonl`."""

    done: float
    total: float
    message: str
    metrics: dict[str, float] = Field(default_factory=dict)


class Failure(_Frozen):
    """`failure.json`: why an attempt ended without a result."""

    reason: FailureReason
    message: str
    detail: str = ""


class Usage(_Frozen):
    """What a job cost; `energy_kwh` is an estimate (codecarbon's offline tracker) and None where tracking is off."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    energy_kwh: float | None = None


class TrainSpec(_Frozen):
    """Train `method` for `stage` on `data`, starting from `parent`.

    Attributes:
        parent: version folder whose weights and method memory training starts from.
        data: JSON lines of `Record`, the curated selection; of stage `forget`, what is to be forgotten.
        retain: JSON lines of `Record` that stage `forget` must keep, beside the parent's replay memory.
        unrehearsed: ids of records that were forgotten on request: they are not rehearsed, and the new version
            remembers none of them, though the parent, an earlier version perhaps, still does.
        held_out: sentences that no training view may contain (they became probes); what is to be forgotten is not cut.
        settings: the method's own settings; unknown keys are refused by its settings model.
        version_id: id the new version will carry.
    """

    version_id: str
    parent: Path
    stage: Stage
    method: str
    data: Path
    retain: Path | None = None
    unrehearsed: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0


class TrainResult(_Frozen):
    """Answer of a `train` job; the new version lies in `output/version/`, complete with its own manifest.

    Attributes:
        tokens: that went through the model, rehearsal included.
        trainable_parameters: numbers that the run could change, whatever was saved of them; 0 in an answer that was
            stored before they were counted.
        seed: of the request, without which it could not be repeated; None in an answer that was stored before it was
            kept.
        digest: of the version's manifest.
    """

    version_id: str
    records: int
    replayed_records: int
    tokens: int
    steps: int
    first_loss: float
    last_loss: float
    trainable_parameters: int = 0
    seed: int | None = None
    digest: str
