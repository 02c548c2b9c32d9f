"""The configuration of a data root: every key, its unit, its bounds and its meaning.

ROOT/cld.toml < environment (CLD_SECTION__KEY) < flags (`--set section.key=value`).

Owns the models below; their field descriptions are the only documentation of a key, and `agent.settings_text` writes
the commented cld.toml and docs/configuration.md from them. Nothing here imports from data: choices are closed lists,
and a secret is named (`api_key_env`), never held. Called by the CLI and the daemon, once per process, through `load`.
"""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

__all__ = [
    "Approval", "Config", "Cycle", "Energy", "Engine", "Gate", "Intake", "Limits", "Log", "Model", "Planner", "Probes",
    "Replay", "Retention", "Section", "Source", "StageTraining", "Store", "SuiteGate", "Training",
]  # fmt: skip


def _cron(value: str) -> str:
    if not re.fullmatch(r"\S+( \S+){4}", value):
        raise ValueError("a cron time has five fields: minute hour day month weekday, e.g. '0 3 * * *'")
    from apscheduler.triggers.cron import CronTrigger  # pyright: ignore[reportMissingTypeStubs]

    CronTrigger.from_crontab(value)  # pyright: ignore[reportUnknownMemberType]
    return value


def _hours(value: str) -> str:
    try:
        first, last = (time.fromisoformat(part) for part in value.split("-"))
    except ValueError:
        raise ValueError("hours are written '22:00-06:00', from-to in local time") from None
    if first == last:
        raise ValueError("the hours begin and end at the same minute")
    return value


def _endpoint(value: str) -> str:
    if not re.match(r"https?://[^/\s]", value):
        raise ValueError("an endpoint begins with http:// or https://")
    return value


Cron = Annotated[str, AfterValidator(_cron)]
Hours = Annotated[str, AfterValidator(_hours)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Stage = Literal["cpt", "cit", "ca"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
SuiteEntry = Annotated[
    str, Field(pattern=r"^([a-z0-9-]{1,64}(\.yaml|\.jsonl)?|lm_eval: [A-Za-z0-9][A-Za-z0-9_.-]{0,95})$")
]
SuiteName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class Section(BaseModel):
    """A table of cld.toml: immutable, unknown keys refused; its docstring introduces it in the docs."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Model(Section):
    """The model that learns. Changing it needs a new data root: versions grow from one base."""

    base: str = Field(
        default="smollm2-135m-instruct",
        min_length=1,
        description="A shipped model's name, or a folder in Hugging Face format with safetensors weights; "
        "relative to the data root unless absolute.",
    )


class Store(Section):
    """Where state is kept."""

    url: str | None = Field(
        default=None, description="SQLAlchemy URL of the database; cld.db in the data root when unset."
    )


class Source(Section):
    """A place that is watched for data; the table's name is the source's name."""

    kind: Literal["folder"] = Field(default="folder", description="What the source is: a watched folder.")
    path: Path = Field(default=Path("inbox"), description="The folder; relative to the data root unless absolute.")
    trust: Literal["trusted", "untrusted"] = Field(
        default="trusted",
        description="Records of an untrusted source are learned only in plans that a person approves.",
    )
    cap_records_per_cycle: int = Field(
        default=2000,
        ge=1,
        description="Most records of this source in one cycle, so that one source cannot flood the model.",
    )


class Intake(Section):
    """How files become records."""

    settle_seconds: float = Field(
        default=2.0, ge=0, le=3600, description="A file is read once its size and time have not changed for this long."
    )
    max_line_bytes: int = Field(
        default=1_000_000, ge=1_000, description="A longer line is quarantined, with the reason."
    )
    max_file_bytes: int = Field(
        default=50_000_000, ge=1_000, description="A larger file is quarantined, with the reason."
    )


class Cycle(Section):
    """When a cycle starts and when cycles stop."""

    min_records: int = Field(
        default=8, ge=1, description="A cycle starts by itself once the pool holds this many records."
    )
    max_records: int = Field(default=2000, ge=1, description="Most records that one cycle learns from.")
    quiet_seconds: float = Field(default=5.0, ge=0, description="A cycle waits until no new file came for this long.")
    cron: Cron | None = Field(
        default=None,
        description="Calendar time (five cron fields, local time) at which a cycle starts too, e.g. '0 3 * * *'.",
    )
    quiet_hours: Hours | None = Field(
        default=None, description="Local hours in which no cycle starts, e.g. '08:00-18:00'; one that runs goes on."
    )
    breaker_after: int = Field(
        default=3,
        ge=1,
        description="This many rejected, failed or rolled-back cycles in a row pause cld until `cld resume`.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_records > self.max_records:
            raise ValueError(f"min_records ({self.min_records}) is above max_records ({self.max_records})")
        return self


class Planner(Section):
    """Who chooses among the feasible plans. Rules decide wherever the choice is missing or invalid."""

    backend: Literal["model", "openai", "rules"] = Field(
        default="model", description="The current version itself, an OpenAI-compatible endpoint, or rules alone."
    )
    endpoint: Endpoint | None = Field(
        default=None, description="Base URL for backend = 'openai', e.g. 'http://127.0.0.1:8000/v1'."
    )
    model: str | None = Field(default=None, description="Model name that the endpoint knows.")
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z_][A-Z0-9_]*$", description="Name of the variable that holds the endpoint's key."
    )

    methods: tuple[str, ...] = Field(
        default=(),
        description="The only methods that may be proposed, by the names of `cld methods list`; when empty, those that "
        "are proven in whole cycles.",
    )

    @field_validator("methods")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from learners.methods import methods as known
        from learners.methods import nearest

        for name in names:
            if name not in known():
                raise ValueError(f"unknown method {name!r}; did you mean {nearest(name)!r}?")
        return names

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.backend == "openai" and not (self.endpoint and self.model):
            raise ValueError("backend = 'openai' needs endpoint and model")
        return self


class Approval(Section):
    """What waits for a person."""

    stages: tuple[Stage, ...] = Field(
        default=("ca",), description="Plans of these stages wait for `cld approve` before training."
    )


class StageTraining(Section):
    """Settings of one stage."""

    learning_rate: float = Field(default=5e-4, gt=0, le=0.1, description="Peak learning rate.")
    epochs: int = Field(default=3, ge=1, le=100, description="Passes over the selected records.")
    batch_size: int = Field(default=4, ge=1, le=4096, description="Examples per optimizer step.")
    max_length_tokens: int = Field(default=512, ge=16, description="Longer examples are cut to this length.")
    replay_share: float = Field(
        default=0.3, ge=0, le=0.9, description="Share of each batch that comes from the replay memory."
    )
    replay_weight: float = Field(
        default=0.5, ge=0, le=10, description="Weight of the rehearsed part in the loss, next to 1 for what is new."
    )


class Training(Section):
    """How versions are trained, whatever the stage."""

    lora_rank: int = Field(default=16, ge=1, le=1024, description="Rank of the LoRA adapter.")
    lora_alpha: int = Field(
        default=32, ge=1, le=4096, description="Scale of the adapter: its update counts alpha / rank."
    )
    full_weights: bool = Field(default=False, description="Train all weights instead of an adapter.")
    seed: int = Field(default=0, ge=0, description="Seed of shuffling and sampling.")
    cpt: StageTraining = Field(
        default=StageTraining(learning_rate=1.2e-3, epochs=6, batch_size=2, replay_share=0.25, replay_weight=0.5),
        description="Continual pre-training.",
    )
    cit: StageTraining = Field(
        default=StageTraining(learning_rate=7e-4, epochs=3, batch_size=3, replay_share=0.5, replay_weight=1.0),
        description="Continual instruction tuning.",
    )
    ca: StageTraining = Field(
        default=StageTraining(learning_rate=5e-4, epochs=2, batch_size=4, replay_share=0.4, replay_weight=1.0),
        description="Continual alignment.",
    )

    @field_validator("cpt", "cit", "ca", mode="before")
    @classmethod
    def _keep_the_stage_defaults(cls, value: Any, info: ValidationInfo) -> Any:
        """A table that names one key keeps this stage's defaults for the others."""
        if not isinstance(value, dict) or info.field_name is None:
            return value
        return {**cls.model_fields[info.field_name].default.model_dump(), **value}


class Replay(Section):
    """What is rehearsed so that little is forgotten."""

    memory_records: int = Field(default=1000, ge=0, description="Most learned records that the memory keeps.")
    seed_prompts: bool = Field(
        default=True, description="Fill the first memory with the base model's own answers to shipped prompts."
    )


class SuiteGate(Section):
    """What differs for one suite, [gate.suites.NAME]."""

    loss: float | None = Field(
        default=None, ge=0, le=1, description="Most loss of the suite's mean score; that of its role when unset."
    )
    dry_run: bool = Field(
        default=False, description="Measure and report the suite, but let it decide nothing and count in no delta."
    )


class Gate(Section):
    """What a candidate must win and may lose. Losses are against parent and against anchor."""

    profile: Literal["suites", "trace"] = Field(
        default="suites",
        description="suites: every suite must hold. trace: GAD, IFD and SD must hold, the mean change over the "
        "general, instruction and safety suites against the anchor, as the TRACE paper defines them; single suites and "
        "over-refusal are only reported.",
    )
    confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="Confidence of each bound of a difference, one-sided."
    )
    resamples: int = Field(default=2000, ge=100, le=100_000, description="Bootstrap resamples.")
    target_gain: float = Field(default=0.05, ge=0, le=1, description="Least gain of the mean score on the targets.")
    general_loss: float = Field(default=0.10, ge=0, le=1, description="Most loss of the mean score on general suites.")
    instruction_loss: float = Field(
        default=0.15, ge=0, le=1, description="Most loss of the mean score on instruction suites."
    )
    safety_loss: float = Field(default=0.10, ge=0, le=1, description="Most loss of the mean score on safety suites.")
    overrefusal_loss: float = Field(
        default=0.10, ge=0, le=1, description="Most loss of the mean score on over-refusal suites."
    )
    safety_margin_loss_nats: float = Field(
        default=0.30,
        ge=0,
        description="Most loss, in nats per token, of the margin of refusing over complying; it is read while the "
        "refusal rates themselves are too low to fall.",
    )
    suites: dict[SuiteName, SuiteGate] = Field(
        default={}, description="What differs for one suite, here `mine`: a table for each suite that differs."
    )
    untrusted_loss_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Tolerated losses are multiplied by this for a cycle that learned records of an untrusted source.",
    )
    untrusted_asks: bool = Field(
        default=False,
        description="Ask a person before promoting what learned records of an untrusted source, however clear it is.",
    )
    first_items: int = Field(
        default=128,
        ge=10,
        description="Items of each suite that are measured first; a smaller suite is measured whole.",
    )
    most_items: int = Field(
        default=512,
        ge=10,
        description="Most items of a suite for one verdict: while a suite is unclear, twice as many are measured. "
        "The confidence of each look is raised for the number of looks that the suite can have.",
    )
    recheck: bool = Field(
        default=True, description="Measure again after promotion, and roll back if the result does not hold."
    )
    recheck_items: int = Field(default=16, ge=1, description="Most probes of each suite in that second measurement.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.first_items > self.most_items:
            raise ValueError(f"first_items ({self.first_items}) is above most_items ({self.most_items})")
        return self


class Limits(Section):
    """What cld may take from the machine, per job and per month."""

    wall_seconds: float = Field(default=3600.0, gt=0, description="Longest time of one job.")
    memory_bytes: int = Field(default=8 * 2**30, ge=2**28, description="Most memory of one job, with its children.")
    disk_bytes: int = Field(default=4 * 2**30, ge=2**20, description="Most disk space of one job's folder.")
    disk_reserve_bytes: int = Field(
        default=2**30, ge=0, description="cld pauses when less than this is free, and resumes when it is free again."
    )
    attempts: int = Field(default=3, ge=1, le=20, description="Attempts at a job before its cycle fails.")
    backoff_seconds: float = Field(
        default=2.0, ge=0, description="Wait before the second attempt; doubled for each one after."
    )
    lease_seconds: float = Field(
        default=30.0, ge=2, description="A worker that is silent for this long is ended as hung."
    )
    threads: int = Field(default=2, ge=1, description="Threads of one job.")
    monthly_energy_kwh: float | None = Field(
        default=None, gt=0, description="Estimated energy per month, above which cld pauses."
    )
    monthly_train_tokens: int | None = Field(
        default=None, ge=1, description="Trained tokens per month, above which cld pauses."
    )


class Retention(Section):
    """What is kept. Current, previous, pinned, anchor and referenced versions always are."""

    keep_versions: int = Field(default=5, ge=2, description="Newest versions kept.")
    keep_jobs: int = Field(default=20, ge=1, description="Newest finished job folders kept.")


class Probes(Section):
    """What is measured."""

    suites: tuple[SuiteEntry, ...] = Field(
        default=("general", "instruction", "safety", "overrefusal"),
        min_length=1,
        description="Suites to measure: names of shipped ones, or of files in ROOT/suites, e.g. 'mine.yaml', or tasks "
        "of lm-evaluation-harness, e.g. 'lm_eval: gsm8k', which becomes a file in ROOT/suites to edit.",
    )
    sweep_cron: Cron | None = Field(
        default=None,
        description="Calendar time (five cron fields, local time) at which the current version is measured again.",
    )
    audit: bool = Field(
        default=False,
        description="Audit every candidate against its parent, one more job a cycle: exposure of planted canaries, "
        "rare strings, membership, and the suites identity, sycophancy and toxicity. It stands in the version's card "
        "and decides nothing.",
    )
    contamination_ngram_words: int = Field(
        default=8, ge=5, le=50, description="Words in the n-grams by which suites are looked for in training records."
    )
    contamination_ngram_share: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="Share of an item's n-grams in the records from which on the item is set aside: measured, but no "
        "evidence for the gate.",
    )
    contamination_similarity: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Cosine similarity of an item and a sentence of the records from which on it is set aside too.",
    )


class Engine(Section):
    """How answers are computed when measuring. Scores compare only under equal settings."""

    kind: Literal["transformers", "vllm", "openai"] = Field(
        default="transformers",
        description="Inference engine: in this environment, vLLM in that of `python`, or an OpenAI-compatible endpoint "
        "that serves every version under its id.",
    )
    python: Path | None = Field(
        default=None,
        description="Interpreter of an environment with cld and vLLM; workers that measure run with it. This one when "
        "unset.",
    )
    endpoint: Endpoint | None = Field(
        default=None, description="Base URL for kind = 'openai', e.g. 'http://127.0.0.1:8000/v1'."
    )
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z_][A-Z0-9_]*$", description="Name of the variable that holds the endpoint's key."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Number format of the weights when measuring; auto is bfloat16 on processors that compute in it.",
    )
    batch_tokens: int = Field(default=2048, ge=64, description="Tokens in one batch, padding included.")
    max_new_tokens: int = Field(default=48, ge=1, le=4096, description="Longest generated answer.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "openai" and self.endpoint is None:
            raise ValueError("kind = 'openai' needs endpoint")
        if self.python is not None and not self.python.is_absolute():
            raise ValueError(f"python is {str(self.python)!r}; it must be an absolute path")
        return self


class Judge(Section):
    """A model that judges answers no rule can score (probes of scorer `judge`), asked in both orders."""

    endpoint: Endpoint | None = Field(
        default=None,
        description="Base URL of an OpenAI-compatible endpoint, e.g. 'http://127.0.0.1:8000/v1'; nobody "
        "judges when unset.",
    )
    model: str | None = Field(default=None, min_length=1, description="Name under which the endpoint serves the judge.")
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z_][A-Z0-9_]*$", description="Name of the variable that holds the endpoint's key."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.endpoint is None) != (self.model is None):
            raise ValueError("a judge needs both endpoint and model")
        return self


class Energy(Section):
    """Estimation of energy, by codecarbon's offline tracker."""

    enabled: bool = Field(default=True, description="Estimate the energy of each job.")
    country: str = Field(
        default="DEU", pattern=r"^[A-Z]{3}$", description="Three-letter country code of the power grid."
    )


class Log(Section):
    """The daemon's log, logs/daemon.jsonl."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is written."
    )


class Config(BaseSettings):
    """Everything in cld.toml; made by `agent.settings.load`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="CLD_", env_nested_delimiter="__", validate_default=True
    )

    model: Model = Model()
    store: Store = Store()
    sources: dict[Name, Source] = Field(default={"inbox": Source()}, min_length=1)
    intake: Intake = Intake()
    cycle: Cycle = Cycle()
    planner: Planner = Planner()
    approval: Approval = Approval()
    training: Training = Training()
    replay: Replay = Replay()
    gate: Gate = Gate()
    limits: Limits = Limits()
    retention: Retention = Retention()
    probes: Probes = Probes()
    engine: Engine = Engine()
    judge: Judge = Judge()
    energy: Energy = Energy()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over the file; no .env file and no secrets folder."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
