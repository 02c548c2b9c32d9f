"""What a version hides of a suite: the suite in disguises, what is measured of it, and what that tells.

Reads the store and the suite files; it measures nothing. `cld probe hidden SUITE` shows the report, and
`agent.probing.sweep` measures what it lacks. The disguised suite is never written beside the operator's own, and
neither the gate nor the matrix sees it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from agent import measured
from agent.config import Config
from agent.errors import NotFound, Refused
from agent.root.layout import Layout
from agent.store import Session, measurements, versions
from learners.nearest import did_you_mean
from monitors.hidden import Told, disguised, told
from monitors.measure import key
from monitors.probes.harness_suite import HarnessSuite
from monitors.probes.suites import Suite, load_suite

__all__ = ["HiddenReport", "compared", "plain_suite", "report", "suite_of"]


@dataclass(frozen=True)
class HiddenReport:
    """What is stored of a suite in disguises.

    Attributes:
        parent: the version that it is compared with; None for the base model.
        unmeasured: measurements that are still to be made, of both versions.
        told: None until everything is measured.
    """

    suite: str
    version: str
    parent: str | None
    unmeasured: int
    told: Told | None

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def suite_of(layout: Layout, config: Config, name: str) -> Suite:
    """A suite in all disguises, by the name of the plain one. Raises as `plain_suite`."""
    return disguised(plain_suite(layout, config, name))


def plain_suite(layout: Layout, config: Config, name: str) -> Suite:
    """A suite by its name.

    Raises:
        NotFound: there is no such suite. Refused: its questions are not cld's own.
    """
    path = measured.suite_file(layout, name)
    if not path.is_file():
        hint = did_you_mean(name, config.probes.suites, f"[probes] suites are {', '.join(config.probes.suites)}")
        raise NotFound(f"there is no suite {name!r}; {hint}")
    suite = load_suite(path)
    if isinstance(suite, HarnessSuite):
        raise Refused(
            f"{name!r} is a task of lm-evaluation-harness, which asks its questions itself: name another suite"
        )
    return suite


def compared(tx: Session, version_id: str) -> list[str]:
    """The version and its parent; the base model has none.

    Raises:
        NotFound: there is no such version.
    """
    parent = versions.get(tx, version_id).parent
    return [version_id, *([parent] if parent else [])]


def report(tx: Session, layout: Layout, config: Config, name: str, version_id: str) -> HiddenReport:
    """What is stored of a suite in disguises on a version and its parent.

    Raises:
        NotFound: there is no such suite or version. Refused: the suite cannot be disguised.
    """
    suite, wanted = suite_of(layout, config, name), compared(tx, version_id)
    engine = measured.engine_settings(config).digest()
    rows = {one: measurements.of(tx, one, [suite.digest], engine) for one in wanted}
    open_ = {key(one, suite.suite, probe.id) for one in wanted for probe in suite.items}
    open_ -= {key(row.version, row.suite, row.probe) for found in rows.values() for row in found}
    before = rows[wanted[1]] if wanted[1:] else []
    return HiddenReport(
        suite=name,
        version=version_id,
        parent=wanted[1] if wanted[1:] else None,
        unmeasured=len(open_),
        told=None if open_ else told(rows[version_id], before, {probe.id: probe.chance for probe in suite.items}),
    )
