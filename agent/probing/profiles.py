"""A profile on one version: which suites are there, what is measured, and the deltas against the initial model.

Reads the store and the suite files; it measures nothing. `cld probe run --profile NAME` shows the report, and
`agent.probing.sweep` measures what it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent import measured
from agent.config import Config
from agent.errors import NotFound, Refused
from agent.history.diff import line
from agent.root.layout import Layout
from agent.steps.judging import gate_policy
from agent.store import Session, measurements, versions
from learners.nearest import did_you_mean
from monitors.evidence import Asked
from monitors.gate import judge
from monitors.gate.comparison import SuiteComparison
from monitors.gate.deltas import RoleDelta
from monitors.gate.looks import asked
from monitors.job import Measurement
from monitors.measure import key
from monitors.probes.scorers.ifeval import accuracies
from monitors.probes.suites import Suite, load_suite
from monitors.profiles import Profile, load_profile, profiles

__all__ = ["ProfileReport", "compared", "named", "report", "suite_files"]


@dataclass(frozen=True)
class ProfileReport:
    """What a profile says of a version.

    Attributes:
        initial: the version that everything grew from, which the deltas are against.
        missing: suites of the profile that are not there.
        unmeasured: measurements that are still to be made, of both versions.
        deltas: of every delta with a measured suite; blind suites stand in none.
        suites: the comparisons that they rest on.
        ifeval: the four accuracies of IFEval on the version, where it was measured.
    """

    profile: str
    version: str
    initial: str
    missing: tuple[str, ...]
    unmeasured: int
    deltas: tuple[RoleDelta, ...]
    suites: tuple[SuiteComparison, ...]
    ifeval: dict[str, float] | None

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            **asdict(self),
            "fetch": [f"cld data fetch {name}" for name in self.missing],
            "deltas": [one.model_dump() for one in self.deltas],
            "suites": [row.model_dump() for row in self.suites],
        }


def named(name: str) -> Profile:
    """A shipped profile.

    Raises:
        NotFound: there is none of that name.
    """
    if name in profiles():
        return load_profile(name)
    hint = did_you_mean(name, profiles(), f"there are {', '.join(profiles())}")
    raise NotFound(f"{name!r} is no profile; {hint}")


def compared(tx: Session, version_id: str) -> tuple[str, str]:
    """The version, and the initial one that it grew from.

    Raises:
        NotFound: there is no such version.
    """
    return version_id, line(tx, versions.get(tx, version_id))[-1].id


def suite_files(layout: Layout, profile: Profile) -> dict[str, Path]:
    """Files of the profile's suites that are there, by name.

    Raises:
        Refused: a suite has another role than its delta is about.
    """
    found: dict[str, Path] = {}
    for delta in profile.deltas:
        for name in delta.suites:
            path = measured.suite_file(layout, name)
            if path.is_file():
                _require_role(load_suite(path), delta.role, path)
                found[name] = path
    return found


def report(tx: Session, layout: Layout, config: Config, profile: Profile, version_id: str) -> ProfileReport:
    """What is stored of a profile.

    Raises:
        NotFound: there is no such version. Refused: none of the profile's suites is there.
    """
    files = suite_files(layout, profile)
    missing = tuple(name for name in profile.suites if name not in files)
    if not files:
        fetch = "; ".join(f"cld data fetch {name}" for name in missing)
        raise Refused(f"none of the suites of profile {profile.profile!r} is there: {fetch}")
    version, initial = compared(tx, version_id)
    suites = [load_suite(path) for path in files.values()]
    engine = measured.engine_settings(config).digest()
    rows = {one: measurements.of(tx, one, [suite.digest for suite in suites], engine) for one in (version, initial)}
    done = _measured_on_both(suites, rows[version], rows[initial])
    deltas, table = _judged(config, done, rows[version], rows[initial])
    return ProfileReport(
        profile=profile.profile,
        version=version,
        initial=initial,
        missing=missing,
        unmeasured=_open(suites, rows),
        deltas=deltas,
        suites=table,
        ifeval=_ifeval([row for row in rows[version] if row.scorer == "ifeval"]),
    )


def _require_role(suite: Suite, role: str, path: Path) -> None:
    if suite.role != role:
        raise Refused(f"{str(path)!r} has the role {suite.role!r}, but the profile measures {role!r} with it")


def _open(suites: Sequence[Suite], rows: dict[str, list[Measurement]]) -> int:
    wanted = {key(version, suite.suite, probe.id) for version in rows for suite in suites for probe in suite.entries}
    return len(wanted - {key(row.version, row.suite, row.probe) for found in rows.values() for row in found})


def _measured_on_both(suites: Sequence[Suite], after: list[Measurement], before: list[Measurement]) -> list[Suite]:
    both = {(row.suite, row.probe) for row in after} & {(row.suite, row.probe) for row in before}
    measured_suites = {name for name, _ in both}
    return [
        suite
        for suite in suites
        if suite.suite in measured_suites and {(suite.suite, probe.id) for probe in suite.entries} <= both
    ]


def _judged(
    config: Config, suites: Sequence[Suite], after: list[Measurement], before: list[Measurement]
) -> tuple[tuple[RoleDelta, ...], tuple[SuiteComparison, ...]]:
    """The gate's deltas and comparisons against the initial model; its word on them is not asked for."""
    names = {suite.suite for suite in suites}
    if not names:
        return (), ()
    policy = gate_policy(config).model_copy(update={"profile": "trace", "most_items": 10**9, "first_items": 10**9})
    new, old = ([row for row in rows if row.suite in names] for rows in (after, before))
    everything: list[Asked] = [asked(suite, policy) for suite in suites]
    verdict = judge(new, old, old, [], policy, asked=everything)
    against = [delta for delta in verdict.deltas if delta.against == "anchor" and delta.outcome != "missing"]
    return tuple(against), tuple(row for row in verdict.suites if row.against == "anchor" and row.role != "target")


def _ifeval(rows: Sequence[Measurement]) -> dict[str, float] | None:
    return asdict(accuracies(row.output for row in rows)) if rows else None
