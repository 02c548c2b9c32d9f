"""Requests and answers of the measuring worker (`python -m monitors JOB_DIR`). Imports no torch.

The folder protocol is `learners.job`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learners.records import Kind

__all__ = [
    "ChooseResult",
    "ChooseSpec",
    "Contaminated",
    "ContaminationPolicy",
    "DiagnoseResult",
    "DiagnoseSpec",
    "EngineSettings",
    "Gap",
    "InformationKind",
    "IntakeResult",
    "IntakeSpec",
    "MeasureResult",
    "MeasureSpec",
    "Measurement",
    "Quarantined",
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


class DiagnoseSpec(_Frozen):
    """Find what `version` does not know, in `suites` (role target) and in `records` (JSON lines of `Record`).

    Attributes:
        suite: name of the suite that the made probes become.
        probes_per_document: most cloze/question probes made from one text record.
        held_out_share: share of instruction, tool and preference records that become probes instead of data.
        standing: suites that judge the cycle; their items are looked for in `records`.
        first_items: how many items of a target suite that is a task of lm-evaluation-harness are asked.
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
    """

    gaps: tuple[Gap, ...]
    held_out: tuple[str, ...]
    held_out_records: tuple[str, ...]
    probes: int
    failed: int
    contaminated: tuple[Contaminated, ...] = ()


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


class IntakeSpec(_Frozen):
    """Read files of one source into records.

    Attributes:
        files: absolute paths of settled regular files; opened without following links.
        max_line_bytes, max_file_bytes: larger ones are quarantined, with the reason.
        passage_characters: bound of one `text` record; longer text is cut at headings and paragraphs.
    """

    source: str
    files: tuple[Path, ...]
    max_line_bytes: int = 1_000_000
    max_file_bytes: int = 50_000_000
    passage_characters: int = Field(default=1600, ge=100)


class Quarantined(_Frozen):
    """One refused item: where it stood and why; `excerpt` holds at most 200 printable characters."""

    origin: str
    reason: str
    excerpt: str = ""


class IntakeFile(_Frozen):
    """Accounting of one file (promise P9): read = kept + duplicate + quarantined.

    Attributes:
        path, size_bytes, mtime_ns, sha256: the ledger's key and the state of the file that was read; the
            hash is empty where the file was refused unread.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    read: int
    kept: int
    duplicate: int
    quarantined: int

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        found = self.kept + self.duplicate + self.quarantined
        if self.read != found:
            raise ValueError(f"{self.path!r}: {self.read} items read but {found} accounted for")
        return self


class IntakeResult(_Frozen):
    """Answer of an `intake` job: `output/records.jsonl` (`Record`) and `output/quarantine.jsonl` (`Quarantined`).

    Attributes:
        deferred: path to reason, for files that vanished, changed while they were read, or were replaced by
            something else; nothing of them counts, and a later scan finds them again.
    """

    files: tuple[IntakeFile, ...]
    deferred: dict[str, str] = Field(default_factory=dict)
    kinds: dict[Kind, int] = Field(default_factory=dict)
    notes: dict[str, Any] = Field(default_factory=dict)
