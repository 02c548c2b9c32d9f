"""What is measured, by which engine, after which revision and by which judge: [probes], [engine], [revise], [judge]."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from agent.config.notations import Cron, Endpoint, SuiteEntry
from agent.config.section import Section

__all__ = ["Engine", "Judge", "Probes", "Revise"]


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
        "and decides nothing but what [gate] hold_exposed_canaries says.",
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


class Revise(Section):
    """Answers are drafted, looked up and revised before they are scored, where `passages` are named."""

    passages: Path | None = Field(
        default=None,
        description="File of JSON lines with a `text` each, where evidence for a draft is looked up. Scores compare "
        "only under the same name: new passages are a new file.",
    )
    count: int = Field(default=5, ge=1, le=50, description="Passages for each draft.")
    endpoint: Endpoint | None = Field(
        default=None,
        description="Base URL of an OpenAI-compatible endpoint that revises; the version itself does when unset.",
    )
    model: str | None = Field(default=None, min_length=1, description="Name under which the endpoint serves it.")
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z_][A-Z0-9_]*$", description="Name of the variable that holds the endpoint's key."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.endpoint is None) != (self.model is None):
            raise ValueError("a reviser needs both endpoint and model")
        if self.passages is not None and not self.passages.is_absolute():
            raise ValueError(f"passages is {str(self.passages)!r}; it must be an absolute path")
        return self
