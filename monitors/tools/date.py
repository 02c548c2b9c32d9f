"""Arithmetic on dates of the calendar; it knows no clock, so equal calls have equal results."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitors.tools.contract import Arguments, Tool, ToolError

__all__ = ["Date"]


class _Asked(Arguments, frozen=True):
    operation: Literal["add", "between", "weekday"]
    date: datetime.date
    days: int | None = Field(default=None, ge=-1_000_000, le=1_000_000)
    other: datetime.date | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        needed = {"add": ("days", self.days), "between": ("other", self.other)}.get(self.operation)
        if needed and needed[1] is None:
            raise ValueError(f"operation {self.operation!r} needs {needed[0]!r}")
        return self


class Date(Tool, frozen=True):
    """Days added to a date, days between two dates, and the day of the week."""

    name: ClassVar[str] = "date"
    description: ClassVar[str] = (
        "Adds days to a date, counts the days between date and other, or tells the weekday; dates are YYYY-MM-DD."
    )
    arguments: ClassVar[type[Arguments]] = _Asked
    examples: ClassVar[tuple[tuple[str, Mapping[str, Any]], ...]] = (
        ("Which date is 10 days after 2024-03-01?", {"operation": "add", "date": "2024-03-01", "days": 10}),
        (
            "How many days lie between 2023-05-02 and 2023-06-01?",
            {"operation": "between", "date": "2023-05-02", "other": "2023-06-01"},
        ),
        ("What day of the week was 2022-11-30?", {"operation": "weekday", "date": "2022-11-30"}),
    )

    def run(self, arguments: _Asked) -> str:
        """The date, the number of days, or the English name of the day.

        Raises:
            ToolError: the date lies outside of the years 1 to 9999.
        """
        if arguments.operation == "weekday":
            return f"{arguments.date:%A}"
        if arguments.other is not None and arguments.operation == "between":
            return str((arguments.other - arguments.date).days)
        try:
            return str(arguments.date + datetime.timedelta(days=arguments.days or 0))
        except OverflowError:
            raise ToolError("that date is outside of the years 1 to 9999") from None
