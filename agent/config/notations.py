"""Values that are written in a notation of their own: calendar times, hours, endpoints, names."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated

from pydantic import AfterValidator, Field

__all__ = ["Cron", "Endpoint", "Hours", "Name", "SuiteEntry", "SuiteName"]


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
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
SuiteEntry = Annotated[
    str, Field(pattern=r"^([a-z0-9-]{1,64}(\.yaml|\.jsonl)?|lm_eval: [A-Za-z0-9][A-Za-z0-9_.-]{0,95})$")
]
SuiteName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
