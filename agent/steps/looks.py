"""The looks of a cycle: which items of which suites each of its measuring jobs was asked, written in the job's folder.

A cycle has one measuring job for each look: `c3-measuring`, then `c3-measuring-2` while the gate finds that more items
would tell. The job's row says that the look was begun, its `asked.json` what was asked, its `suites/` hold the suite
files as they were: so judging reads the same facts after a crash, an edited suite or a changed cld.toml. Shared by the
steps `measuring`, `judging` and `watching`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agent.context import Context
from agent.store import jobs
from agent.store.cycles import Cycle
from learners.durable import write_atomic
from monitors.evidence import Asked
from monitors.job import EngineSettings
from monitors.measure import key
from monitors.probes.suites import Suite, load_suite

__all__ = ["Look", "asked", "beyond", "first", "job_id", "newest", "suite_files", "suites", "write"]

STEP = "measuring"
_FILE = "asked.json"


class Look(BaseModel):
    """`asked.json`: what one measuring job was asked, under which engine settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: EngineSettings
    suites: tuple[Asked, ...]


def job_id(cycle: Cycle, number: int) -> str:
    """Id of a look's measuring job; looks are numbered from 1."""
    return f"{cycle.id}-{STEP}" if number == 1 else f"{cycle.id}-{STEP}-{number}"


def newest(context: Context, cycle: Cycle) -> int:
    """Number of the look that was begun last, 1 before any."""
    with context.store.read() as tx:
        begun = [row for row in jobs.of_cycle(tx, cycle.id) if row.step == STEP]
    return max(1, len(begun))


def write(folder: Path, look: Look) -> None:
    """Write down what a job is asked."""
    write_atomic(folder / _FILE, look.model_dump_json(indent=2))


def first(context: Context, cycle: Cycle) -> Look:
    """The first look, which names every suite."""
    return _read(context, cycle, 1)


def asked(context: Context, cycle: Cycle, last: int) -> list[Asked]:
    """What each suite was asked at the latest look that it had, up to look `last`."""
    found: dict[str, Asked] = {}
    for number in range(1, last + 1):
        found |= {one.suite: one for one in _read(context, cycle, number).suites}
    return list(found.values())


def suite_files(context: Context, cycle: Cycle) -> list[Path]:
    """Files of the suites that judge a cycle, as they were when its first measuring job was asked."""
    folder = context.layout.job(job_id(cycle, 1)) / "suites"
    return sorted(path for path in folder.iterdir() if path.is_file())


def suites(context: Context, cycle: Cycle) -> list[Suite]:
    """The suites that judge a cycle, whatever became of the operator's files since."""
    return [load_suite(path) for path in suite_files(context, cycle)]


def beyond(version_ids: Iterable[str], suites: Sequence[Suite], probes: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Keys of all probes of `suites` but the (suite, probe) pairs in `probes`, as a `MeasureSpec` skips them."""
    wanted = set(probes)
    items = [(suite.suite, entry.id) for suite in suites for entry in suite.entries]
    left = [item for item in items if item not in wanted]
    return frozenset(key(version, suite, probe) for version in version_ids for suite, probe in left)


def _read(context: Context, cycle: Cycle, number: int) -> Look:
    path = context.layout.job(job_id(cycle, number)) / _FILE
    return Look.model_validate_json(path.read_text(encoding="utf-8"))
