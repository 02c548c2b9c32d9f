"""Promises of `cld start` and `cld stop`, with the real daemon in its own process (paused, so it loads no model)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from agent.daemon import background
from agent.root.lock import daemon_alive
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated


@pytest.fixture
def paused(operated: Operated, cld: Cld) -> Iterator[Operated]:
    """A root whose daemon has nothing to do, and which no test leaves running."""
    cld("pause", "--why", "the test wants quiet")
    yield operated
    background.stop(operated.layout, now=True)


def test_the_daemon_serves_once_start_says_so_and_is_gone_once_stop_says_so(paused: Operated, cld: Cld):
    started = cld("start", "--json")
    assert started.json["outcome"] == "applied", started.err
    holder = daemon_alive(paused.layout)
    assert holder is not None and holder.pid == started.json["data"]["pid"]
    assert cld("status", "--json").json["daemon"]["up"]
    assert cld("start", "--json").json["outcome"] == "already"
    assert cld("stop", "--json").json["outcome"] == "applied"
    assert daemon_alive(paused.layout) is None


def test_a_command_is_executed_by_the_running_daemon(paused: Operated, cld: Cld):
    cld("start")
    assert cld("pin", "v0", "--json").json["outcome"] == "applied"
    assert "pin: v0 is pinned" in cld("logs").out


def test_a_killed_daemon_is_seen_as_down_and_started_again(paused: Operated, cld: Cld):
    pid = cld("start", "--json").json["data"]["pid"]
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while daemon_alive(paused.layout) is not None and time.monotonic() < until:
        time.sleep(0.02)
    assert not cld("status", "--json").json["daemon"]["up"]
    assert cld("start", "--json").json["outcome"] == "applied"


def test_a_second_daemon_in_the_foreground_is_told_who_runs(paused: Operated, cld: Cld):
    pid = cld("start", "--json").json["data"]["pid"]
    said = cld("start", "--foreground")
    assert said.code == 6 and f"pid {pid}" in said.err


def test_a_daemon_that_cannot_serve_says_why(operated: Operated, cld: Cld):
    operated.store.close()
    operated.layout.database.write_bytes(b"not a database" * 1000)
    said = cld("start")
    assert said.code == 7 and "cld restore" in said.err
