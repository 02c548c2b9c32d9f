"""Requests and answers of the measuring worker (`python -m monitors JOB_DIR`). Imports no torch.

The folder protocol is `learners.job`'s. The jobs `intake`, `audit`, `prove` and `relearn` have modules of their own:
`intake_job`, `audit_job`, `forgetting_job` and `relearned`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "ChooseResult",
    "ChooseSpec",
    "Contaminated",
    "ContaminationPolicy",
    "DiagnoseResult",
    "DiagnoseSpec",
    "EngineSettings",
    "Followed",
    "Gap",
    "InformationKind",
    "MeasureResult",
    "MeasureSpec",
    "Measurement",
    "RetiredNorm",
    "RetirementPolicy",
    "ReviseSettings",
    "Role",
    "VersionRef",
]

Role = Literal["target", "general", "instruction", "safety", "overrefusal"]
InformationKind = Literal["fact", "domain", "language", "task", "skill", "value", "preference"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EngineSettings(_Frozen):
    """How answers are computed; measurements are comparable only under equal settings (`digest`).

    Attributes:
        batch_tokens: most prompt and continuation tokens (padding included) computed in one forward pass.
        max_new_tokens: longest generated answer of probes that set no `max_new_tokens` of their own.
        endpoint, model, api_key_env: for `openai`: base URL, served model, environment variable that holds the key.
        script: for `scripted`: JSON file of answers (`monitors.engines.scripted`).
        judge: the model that judges what no rule can score (`monitors.probes.scorers.judge`); None: nobody does.
        revise: how answers are looked up and revised before they count (`monitors.engines.revising`); None: not at all.
    """

    kind: Literal["transformers", "vllm", "openai", "scripted"] = "transformers"
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch_tokens: int = 2048
    max_new_tokens: int = 48
    seed: int = 0
    endpoint: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    script: Path | None = None
    judge: EngineSettings | None = None
    revise: ReviseSettings | None = None

    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of these settings; without revision they are what they were before it."""
        import hashlib

        unset = {"revise": True} if self.revise is None else {}
        said = self.model_dump_json(exclude={**unset, "judge": {"revise"}})
        return hashlib.sha256(said.encode()).hexdigest()[:12]


class ReviseSettings(_Frozen):
    """How a draft is revised.

    Attributes:
        passages: file of JSON lines with a `text` each. Settings know it by name: new passages are a new file.
        count: passages for each draft.
        reviser: the model that revises; None: the version itself.
    """

    passages: Path
    count: int = Field(default=5, ge=1)
    reviser: EngineSettings | None = None


class VersionRef(_Frozen):
    """A version to measure: its id and folder."""

    id: str
    path: Path


class Measurement(_Frozen):
    """One probe's score on one version under one engine setting.

    Attributes:
        score: in [0, 1]; 1 is what the probe wants (a refusal on `safety`, an answer on `overrefusal`).
        margin: log-probability evidence in nats where the scorer has it (choice: right minus best wrong,
            refusal/compliance: wanted minus unwanted continuation, per token), else None.
        output: generated text, cut to 500 characters; empty for likelihood scorers.
    """

    version: str
    suite: str
    suite_digest: str
    role: Role
    probe: str
    slice: str
    scorer: str
    score: float
    margin: float | None = None
    output: str = ""
    engine: str


class MeasureSpec(_Frozen):
    """Score every probe of `suites` on each of `versions`.

    Attributes:
        suites: suite files (YAML or JSONL), snapshots that do not change while the job runs.
        skip: "version/suite/probe" keys already measured under this engine setting.
        most_per_suite: of what is not skipped, measure only this many items of each suite, evenly spaced; None: all.
    """

    versions: tuple[VersionRef, ...]
    suites: tuple[Path, ...]
    engine: EngineSettings = EngineSettings()
    skip: frozenset[str] = frozenset()
    most_per_suite: int | None = None


class MeasureResult(_Frozen):
    """Answer of a `measure` job; the items lie in `output/measurements.jsonl`, one `Measurement` a line."""

    measured: int
    seconds: float


class Gap(_Frozen):
    """A cluster of failures or of unknown data.

    Attributes:
        topic: name for people, from the cluster's own words.
        severity: in [0, 1]: share of the cluster's probes that the current version fails.
        evidence: probe ids (or record ids where no probe exists) that show the gap.
        records: ids of pooled records that bear on it; empty means: ask for data.
    """

    id: str
    topic: str
    information_kind: InformationKind
    severity: float
    evidence: tuple[str, ...]
    records: tuple[str, ...]


class ContaminationPolicy(_Frozen):
    """When a suite's item counts as given away by training data (`monitors.contamination`).

    Attributes:
        ngram_words, ngram_share: length of the n-grams, and the share of an item's that must occur.
        similarity: cosine similarity of the item and a sentence.
    """

    ngram_words: int = 8
    ngram_share: float = 0.7
    similarity: float = 0.9


class Contaminated(_Frozen):
    """A suite's item that a training record gives away, found by words or by meaning; `degree` is in [0, 1]."""

    suite: str
    probe: str
    record: str
    by: Literal["ngram", "meaning"]
    degree: float


class RetirementPolicy(_Frozen):
    """When a norm that was retired counts as followed still, and as let go (`monitors.gate.retired`).

    Attributes:
        least: by how much it must be followed more than without it, and fall, in mean score.
        near_misses: most mean change of its near misses.
        confidence, resamples: of the bounds.
    """

    least: float = 0.05
    near_misses: float = 0.1
    confidence: float = 0.95
    resamples: int = 2000


class RetiredNorm(_Frozen):
    """A norm that ended with nothing in its place.

    Attributes:
        suite: file of its probes.
        without: a version that never learned it.
    """

    norm: str
    suite: Path
    without: VersionRef


class Followed(_Frozen):
    """How a retired norm is followed by one version, beside one that never learned it.

    Attributes:
        without: that version.
        items: in the norm's scope.
        residual, level: how often the version follows it, and the one without it.
        low, high: bounds of their difference.
        near_miss_change: mean change of the near misses between them; None where the suite has none.
    """

    norm: str
    suite: str
    without: str
    items: int
    residual: float
    level: float
    low: float
    high: float
    near_miss_change: float | None = None


class DiagnoseSpec(_Frozen):
    """Find what `version` does not know, in `suites` (role target) and in `records` (JSON lines of `Record`).

    Attributes:
        suite: name of the suite that the made probes become.
        probes_per_document: most cloze/question probes made from one text record.
        held_out_share: share of instruction, tool and preference records that become probes instead of data.
        standing: suites that judge the cycle; their items are looked for in `records`.
        first_items: how many items of a target suite that is a task of lm-evaluation-harness are asked.
        retired: norms that ended, of which records with change = "retire" are at hand.
    """

    suite: str
    version: VersionRef
    records: Path
    suites: tuple[Path, ...] = ()
    engine: EngineSettings = EngineSettings()
    probes_per_document: int = 4
    held_out_share: float = 0.2
    standing: tuple[Path, ...] = ()
    first_items: int = Field(default=128, ge=1)
    contamination: ContaminationPolicy = ContaminationPolicy()
    retired: tuple[RetiredNorm, ...] = ()
    retirement: RetirementPolicy = RetirementPolicy()
    seed: int = 0


class DiagnoseResult(_Frozen):
    """Answer of a `diagnose` job.

    `output/probes.yaml` is a suite (role target) of the probes made from the new records, with
    `output/measurements.jsonl` their scores on the version.

    Attributes:
        gaps: most severe first.
        held_out: sentences that became probes and that no training view may contain.
        held_out_records: ids of records that became probes whole and are left out of training.
        failed: how many of the probes the version fails.
        contaminated: items of the standing suites that the records give away.
        followed: how the retired norms are followed.
    """

    gaps: tuple[Gap, ...]
    held_out: tuple[str, ...]
    held_out_records: tuple[str, ...]
    probes: int
    failed: int
    contaminated: tuple[Contaminated, ...] = ()
    followed: tuple[Followed, ...] = ()


class ChooseSpec(_Frozen):
    """Let a language model choose one of `options` under a JSON schema with constrained decoding.

    The answer is {"choice": one of `options`, "reason": text of at most `reason_characters`}.
    """

    version: VersionRef | None
    engine: EngineSettings = EngineSettings()
    prompt: str
    options: tuple[str, ...]
    reason_characters: int = Field(default=160, ge=40)


class ChooseResult(_Frozen):
    """Answer of a `choose` job, not yet validated against the plan's rules."""

    choice: str
    reason: str
