"""IFEval's prompts (Zhou et al. 2023), as `input_data.jsonl` of its authors' repository holds them."""

from __future__ import annotations

from typing import Final

from monitors.datasets.contract import ByHand, Item, Row

__all__ = ["SOURCE", "ifeval"]

SOURCE: Final = ByHand("google-research/instruction_following_eval: data/input_data.jsonl")

_LONGEST_TOKENS: Final = 512


def ifeval(row: Row) -> Item:
    """A prompt with its verifiable instructions; a slice is the first one's group."""
    named = zip(row["instruction_id_list"], row["kwargs"], strict=True)
    instructions = [
        {"id": name, "arguments": {key: value for key, value in given.items() if value is not None}}
        for name, given in named
    ]
    return {
        "scorer": "ifeval",
        "slice": row["instruction_id_list"][0].partition(":")[0],
        "prompt": row["prompt"],
        "instructions": instructions,
        "max_new_tokens": _LONGEST_TOKENS,
    }
