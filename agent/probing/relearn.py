"""What a few steps of training bring back of what a version lost: what is measured of it, and what that tells.

Reads the store and the suite files; it measures nothing. `cld probe relearn SUITE` shows the report, and
`agent.probing.sweep` measures what it lacks. Neither the gate nor the matrix sees the answers after the steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent import measured
from agent.config import Config
from agent.errors import Refused
from agent.history.diff import line
from agent.probing import hidden
from agent.root.layout import Layout
from agent.store import Session, measurements, versions
from monitors.job import Measurement
from monitors.measure import key
from monitors.probes.suites import Suite, SuiteError, write_suite
from monitors.relearned import Relearned, RelearnSpec, asked_again, told

__all__ = ["Asked", "RelearnReport", "asked_of", "order", "report"]


@dataclass(frozen=True)
class Asked:
    """A suite, its half after the steps, and whose answers are compared.

    Attributes:
        again: the items that ask, under the name of the answers after the steps.
        since: the earlier version; `initial` is None where it is the same.
    """

    suite: Suite
    again: Suite
    steps: int
    version: str
    since: str
    initial: str | None

    @property
    def versions(self) -> tuple[str, ...]:
        """Measured as they are."""
        return tuple(dict.fromkeys(one for one in (self.version, self.since, self.initial) if one))

    @property
    def tuned(self) -> tuple[str, ...]:
        """Measured after the steps."""
        return (self.version, self.initial) if self.initial else (self.version,)

    @property
    def keys(self) -> frozenset[str]:
        """Of every measurement that the report needs."""
        as_is = (key(one, self.suite.suite, probe.id) for one in self.versions for probe in self.suite.items)
        after = (key(one, self.again.suite, probe.id) for one in self.tuned for probe in self.again.items)
        return frozenset((*as_is, *after))


@dataclass(frozen=True)
class RelearnReport:
    """What is stored of a suite before and after the steps.

    Attributes:
        unmeasured: measurements that are still to be made.
        told: None until everything is measured.
    """

    suite: str
    steps: int
    version: str
    since: str
    initial: str | None
    unmeasured: int
    told: Relearned | None

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def asked_of(
    tx: Session, layout: Layout, config: Config, name: str, version_id: str, since: str | None, steps: int
) -> Asked:
    """What is to be asked.

    Args:
        since: the earlier version; None: the parent.

    Raises:
        NotFound: there is no such suite or version. Refused: the suite cannot teach, or there is nothing earlier.
    """
    if config.engine.kind == "openai":
        raise Refused(
            "[engine] kind is 'openai': an endpoint serves versions as they are, not what a few steps make of them; "
            "set kind to 'transformers' or 'vllm' in cld.toml"
        )
    suite = hidden.plain_suite(layout, config, name)
    ancestors = [one.id for one in line(tx, versions.get(tx, version_id))][1:]
    if not ancestors:
        raise Refused(f"{version_id} is the initial version: it lost nothing; name a later one (`cld history list`)")
    if since is not None and versions.get(tx, since).id not in ancestors:
        raise Refused(
            f"{version_id} does not come from {since}; it comes from {', '.join(ancestors)}: name one of them"
        )
    earlier = since or ancestors[0]
    try:
        again = asked_again(suite, steps)
    except SuiteError as error:
        raise Refused(str(error)) from None
    return Asked(suite, again, steps, version_id, earlier, None if earlier == ancestors[-1] else ancestors[-1])


def order(tx: Session, layout: Layout, config: Config, asked: Asked, folder: Path) -> RelearnSpec:
    """The job that measures what is not stored; the suite is written into its folder, as it was read."""
    file = folder / "suites" / f"{asked.suite.suite}.jsonl"
    file.parent.mkdir(exist_ok=True)
    write_suite(file, asked.suite)
    return RelearnSpec(
        versions=tuple(measured.reference(layout, one) for one in asked.versions),
        tuned=tuple(measured.reference(layout, one) for one in asked.tuned),
        suite=file,
        steps=asked.steps,
        engine=measured.engine_settings(config),
        skip=frozenset(key(row.version, row.suite, row.probe) for row in _stored(tx, config, asked)),
    )


def report(
    tx: Session, layout: Layout, config: Config, name: str, version_id: str, since: str | None, steps: int
) -> RelearnReport:
    """What is stored of a suite before and after the steps. Raises as `asked_of`."""
    asked = asked_of(tx, layout, config, name, version_id, since, steps)
    rows = _stored(tx, config, asked)
    open_ = asked.keys - {key(row.version, row.suite, row.probe) for row in rows}
    found = told(
        [probe.id for probe in asked.again.items], _scores(rows, asked.suite), _scores(rows, asked.again),
        asked.version, asked.since, asked.initial,
    ) if not open_ else None  # fmt: skip
    return RelearnReport(name, steps, asked.version, asked.since, asked.initial, len(open_), found)


def _stored(tx: Session, config: Config, asked: Asked) -> list[Measurement]:
    engine, digests = measured.engine_settings(config).digest(), [asked.suite.digest, asked.again.digest]
    return [row for one in asked.versions for row in measurements.of(tx, one, digests, engine)]


def _scores(rows: Iterable[Measurement], suite: Suite) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.suite_digest == suite.digest:
            found.setdefault(row.version, {})[row.probe] = row.score
    return found
