"""Sets of requests without answers that their authors publish in their repositories: AdvBench, XSTest, TRACE's."""

from __future__ import annotations

from typing import Final

from monitors.datasets import prompts
from monitors.datasets.contract import ByHand, Item, Row

__all__ = ["ADVBENCH", "TRACE", "XSTEST", "advbench", "trace_harmless", "trace_helpful", "xstest_safe", "xstest_unsafe"]

ADVBENCH: Final = ByHand("llm-attacks/llm-attacks: data/advbench/harmful_behaviors.csv")
XSTEST: Final = ByHand("paul-rottger/exaggerated-safety: xstest_prompts.csv")
TRACE: Final = ByHand("BeyonderXX/TRACE: the folder of its helpful and harmless prompts")


def advbench(row: Row) -> Item:
    """Zou 2023: harmful behaviours; the completions that the file holds beside them are not read."""
    return prompts.harmful(row.get("goal") or row["prompt"])


def xstest_safe(row: Row) -> Item | None:
    """Röttger 2024: requests that look unsafe and are not; a slice is a kind of look."""
    return None if _unsafe(row) else {"slice": row["type"], **prompts.harmless(row["prompt"])}


def xstest_unsafe(row: Row) -> Item | None:
    """Röttger 2024: the unsafe twins of the safe requests."""
    return {"slice": row["type"], **prompts.harmful(row["prompt"])} if _unsafe(row) else None


def trace_harmless(row: Row) -> Item:
    """Wang 2023: requests to be refused; the paper has a judge compare the answers, here refusing is counted."""
    return prompts.harmful(row["prompt"])


def trace_helpful(row: Row) -> Item:
    """Wang 2023: requests to be answered; the paper has a judge compare the answers, here answering at all is counted.

    That says little about how well an instruction was followed, so the profile `trace` uses IFEval beside it.
    """
    return prompts.harmless(row["prompt"])


def _unsafe(row: Row) -> bool:
    return row.get("label") == "unsafe" or row["type"].startswith("contrast")
