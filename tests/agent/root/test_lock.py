"""Promises of `agent.root.lock`: one holder per data root, known by name, and a dead one is in nobody's way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import AlreadyRunning
from agent.root.layout import Layout
from agent.root.lock import daemon_alive, lock

HOLD = """
import sys, time
from pathlib import Path
from agent.root.layout import Layout
from agent.root.lock import lock
with lock(Layout(Path(sys.argv[1])), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def other_process(root: Path, role: str = "daemon") -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(root), role]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_holds_the_root_and_since_when(tmp_path: Path):
    before = time.time() - 1
    told = pytest.raises(AlreadyRunning, match="cld stop")
    with other_process(tmp_path) as holder, told as caught, lock(Layout(tmp_path)):
        pass
    assert caught.value.pid == holder.pid
    assert before <= caught.value.start_time <= time.time()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path):
    layout = Layout(tmp_path)
    with other_process(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert json.loads(layout.lock_file.read_text())["pid"] == holder.pid, "the dead one's text is still there"
    assert daemon_alive(layout) is None
    with lock(layout) as mine:
        assert mine.pid == os.getpid()


def test_the_running_daemon_is_found_without_taking_its_lock(tmp_path: Path):
    layout = Layout(tmp_path)
    with other_process(tmp_path) as holder:
        found = daemon_alive(layout)
        assert found is not None and found.pid == holder.pid
        with pytest.raises(AlreadyRunning), lock(layout):
            pass


def test_a_command_that_holds_the_root_is_no_daemon(tmp_path: Path):
    with other_process(tmp_path, "command"):
        assert daemon_alive(Layout(tmp_path)) is None


def test_another_process_with_the_same_pid_is_not_mistaken_for_the_daemon(tmp_path: Path):
    layout = Layout(tmp_path)
    layout.create()
    stale = {"pid": os.getpid(), "start_time": 1.0, "since": 0.0, "role": "daemon"}
    layout.lock_file.write_text(json.dumps(stale))
    assert daemon_alive(layout) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_lock_file_with_any_text_blocks_nobody(tmp_path: Path, text: str):
    layout = Layout(tmp_path)
    layout.create()
    layout.lock_file.write_text(text)
    assert daemon_alive(layout) is None
    with lock(layout):
        assert daemon_alive(layout) is not None


def test_after_the_block_nobody_holds_the_root(tmp_path: Path):
    layout = Layout(tmp_path)
    with lock(layout):
        pass
    assert daemon_alive(layout) is None
    with lock(layout):
        pass


def test_a_child_of_the_holder_does_not_inherit_the_lock(tmp_path: Path):
    layout = Layout(tmp_path)
    with lock(layout):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with lock(layout):
            pass
    finally:
        child.kill()
        child.wait()
