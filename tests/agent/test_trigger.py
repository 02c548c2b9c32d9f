"""Promises of the trigger: a cycle starts when the pool is ripe and nothing forbids it."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest

from agent.context import Context
from agent.daemon.logs import open_log
from agent.store import control, cycles, pool
from agent.trigger import Trigger, in_quiet_hours
from agent.work.jobs import JobRunner


@pytest.fixture
def context(operated):
    runner = JobRunner(operated.layout, operated.config, operated.store)
    log = open_log(operated.layout.log_file, "info")
    return Context(operated.layout, operated.config, operated.store, runner, log)


def active(context):
    with context.store.read() as tx:
        return cycles.active(tx)


def test_a_cycle_starts_once_the_pool_is_ripe_and_has_been_quiet(operated, context):
    operated.fill_pool(8)
    trigger = Trigger(context)
    assert not trigger.turn(100.0)
    assert not trigger.turn(104.0)
    assert trigger.turn(105.0)
    cycle = active(context)
    assert cycle is not None
    with context.store.read() as tx:
        assert len(pool.records_of(tx, cycle.id)) == 8


def test_too_few_records_wait(operated, context):
    operated.fill_pool(7)
    trigger = Trigger(context)
    trigger.turn(0.0)
    assert not trigger.turn(1000.0)


def test_new_records_start_the_quiet_time_anew(operated, context):
    operated.fill_pool(8, "text")
    trigger = Trigger(context)
    trigger.turn(100.0)
    operated.fill_pool(1, "instruction")
    assert not trigger.turn(105.0)
    assert trigger.turn(110.0)


def test_a_pause_forbids_a_cycle(operated, context):
    operated.fill_pool(8)
    with context.store.write() as tx:
        control.pause(tx, "operator: maintenance", who="ada", fix="cld resume")
    trigger = Trigger(context)
    trigger.turn(0.0)
    assert not trigger.turn(1000.0)


def test_a_cycle_takes_records_of_one_stage_the_longest_waiting(operated, context):
    text = operated.fill_pool(8, "text")
    operated.fill_pool(9, "instruction")
    trigger = Trigger(context)
    trigger.turn(0.0)
    trigger.turn(1000.0)
    with context.store.read() as tx:
        claimed = [row.id for row in pool.records_of(tx, "c1")]
    assert sorted(claimed) == sorted(text)


def test_no_cycle_starts_in_quiet_hours(operated, context):
    operated.fill_pool(8)
    quiet = context.config.model_copy(
        update={"cycle": context.config.cycle.model_copy(update={"quiet_hours": "00:00-23:59"})}
    )
    trigger = Trigger(replace(context, config=quiet))
    trigger.turn(0.0)
    assert not trigger.turn(1000.0)


@pytest.mark.parametrize(
    ("hours", "now", "quiet"),
    [
        ("08:00-18:00", "12:00", True),
        ("08:00-18:00", "18:00", False),
        ("22:00-06:00", "23:30", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "12:00", False),
        (None, "12:00", False),
    ],
)
def test_quiet_hours_may_cross_midnight(hours, now, quiet):
    assert in_quiet_hours(hours, time.fromisoformat(now)) is quiet
