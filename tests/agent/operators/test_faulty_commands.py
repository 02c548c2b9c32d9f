"""A command that meets a fault of cld is answered with it, once, and holds nothing up."""

from __future__ import annotations

from typing import cast

import pytest

from agent.context import Context, Log
from agent.operators import commands, verbs
from agent.probing import sweep
from agent.store import commands as rows
from agent.work.jobs import JobRunner
from monitors.probes.suites import SuiteError
from tests.agent.fake_jobs import FakeJobs, Lines
from tests.agent.operating import Operated


class Watched(FakeJobs):
    """Fake workers that keep which cycles were abandoned."""

    abandoned: tuple[str, ...] = ()

    def abandon(self, cycle: str, reason: str) -> None:
        """Keep it."""
        self.abandoned += (cycle,)


@pytest.fixture
def jobs(operated: Operated) -> Watched:
    return Watched(operated.layout, operated.store)


@pytest.fixture
def context(operated: Operated, jobs: Watched) -> Context:
    return Context(operated.layout, operated.config, operated.store, cast(JobRunner, jobs), cast(Log, Lines()))


@pytest.fixture
def _faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setitem(cast(dict[str, object], verbs.VERBS), "pin", fault)


def asked(world: Operated, verb: str, **args: str) -> int:
    with world.store.write() as tx:
        return rows.submit(tx, verb, args, "ada").id


def answered(world: Operated, row: int) -> rows.Command:
    with world.store.read() as tx:
        return rows.get(tx, row)


@pytest.mark.usefixtures("_faulty")
def test_a_fault_is_raised_once_with_its_row_answered(operated: Operated, context: Context):
    row, resume = asked(operated, "pin", target="v0"), asked(operated, "pause")
    with pytest.raises(KeyError, match="planted"):
        commands.execute_pending(context)
    found = answered(operated, row)
    assert (found.outcome, found.data and found.data["kind"]) == ("refused", "key_error")
    assert "a fault of cld" in (found.message or "") and "planted" in (found.message or "")
    assert commands.execute_pending(context) and answered(operated, resume).outcome == "applied"


@pytest.mark.usefixtures("_faulty")
def test_what_was_answered_before_a_fault_has_its_consequences(operated: Operated, context: Context, jobs: Watched):
    cycle = operated.cycle_in()
    asked(operated, "cycle_abort", target=cycle)
    asked(operated, "pin", target="v0")
    with pytest.raises(KeyError, match="planted"):
        commands.execute_pending(context)
    assert jobs.abandoned == (cycle,)


def test_a_day_that_no_calendar_has_does_not_stop_the_daemon(operated: Operated, context: Context):
    row = asked(operated, "norm_add", target="kind", statement="Be kind.", date="0001-01-01T00:00+14:00")
    assert commands.execute_pending(context)
    found = answered(operated, row)
    assert (found.outcome, found.data and found.data["kind"]) == ("refused", "invalid_value")


@pytest.mark.parametrize(("error", "raised"), [(SuiteError("planted"), False), (KeyError("planted"), True)])
def test_a_sweep_that_cannot_be_ordered_is_answered(
    operated: Operated, context: Context, monkeypatch: pytest.MonkeyPatch, error: Exception, raised: bool
):
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(sweep.measured, "standing_suites", broken)
    row = asked(operated, "probe_run")
    if raised:
        with pytest.raises(KeyError):
            sweep.advance(context)
    else:
        assert sweep.advance(context)
    assert answered(operated, row).outcome == "refused"
    assert not sweep.advance(context)
