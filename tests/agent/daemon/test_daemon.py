"""Promises of the daemon: it stops when told, tells systemd the truth, survives its own faults, and stays small."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from agent.daemon.loop import STOPPED_AT_ONCE, Daemon
from agent.operators import commands
from agent.store import StoreFull, control
from tests.agent.fake_jobs import Scene
from tests.agent.operating import Operated

MOST_BYTES = 150 * 10**6

STUCK = """
import sys, time
from pathlib import Path
from agent.daemon import loop as daemon
from agent.root.layout import Layout
from agent.root.settings import load
daemon.Daemon.turn = lambda self, now: (daemon.notify("STATUS=stuck"), time.sleep(60))
layout = Layout(Path(sys.argv[1]))
sys.exit(daemon.run(layout, load(layout)))
"""
"""A daemon whose first turn takes a minute."""


class Supervisor:
    """Listens as systemd does."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)

    def hears(self, state: str, seconds: float = 60.0) -> bool:
        """Whether `state` comes, whatever else comes before it."""
        self._socket.settimeout(seconds)
        try:
            while state not in self._socket.recv(4096).decode().split("\n"):
                pass
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A fake systemd."""
    listener = Supervisor(tmp_path)
    yield listener
    listener.close()


@pytest.fixture
def paused(bare: Operated) -> Operated:
    """A root whose base model is not imported, because an operator paused it."""
    with bare.store.write() as tx:
        control.pause(tx, "the test wants quiet", who="ada", fix="cld resume")
    return bare


@contextmanager
def process(supervisor: Supervisor, *words: str) -> Generator[subprocess.Popen[bytes]]:
    """A daemon in its own process, killed at the end if it still runs."""
    environment = {**os.environ, "NOTIFY_SOCKET": supervisor.address, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, *words], env=environment, cwd=Path(__file__).parents[3]) as started:
        try:
            yield started
        finally:
            started.kill()


def reasons(world: Operated) -> list[str]:
    with world.store.read() as tx:
        return [pause.reason for pause in control.pauses(tx)]


def test_a_signal_ends_the_daemon_with_0_and_systemd_hears_all_of_its_life(paused: Operated, supervisor: Supervisor):
    words = ("-m", "agent.cli", "--root", str(paused.layout.root), "start", "--foreground")
    with process(supervisor, *words) as daemon:
        assert supervisor.hears("READY=1") and supervisor.hears("WATCHDOG=1")
        assert psutil.Process(daemon.pid).memory_info().rss < MOST_BYTES
        daemon.send_signal(signal.SIGTERM)
        assert supervisor.hears("STOPPING=1", seconds=1.5)  # sooner than an idle loop would look
        assert daemon.wait(timeout=10.0) == 0
    assert not list(paused.layout.jobs.iterdir())
    assert '"action": "daemon.stopped"' in paused.layout.log_file.read_text()


def test_a_second_signal_ends_a_stuck_daemon_at_once(paused: Operated, supervisor: Supervisor):
    with process(supervisor, "-c", STUCK, str(paused.layout.root)) as daemon:
        assert supervisor.hears("STATUS=stuck")
        daemon.send_signal(signal.SIGTERM)
        assert not supervisor.hears("WATCHDOG=1", seconds=0.5)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=5.0) == STOPPED_AT_ONCE


def test_the_watchdog_is_not_petted_while_a_turn_is_stuck(
    operated: Operated, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NOTIFY_SOCKET", supervisor.address)
    unstuck = threading.Event()
    turns = iter([lambda: True, lambda: unstuck.wait(30.0), leave])
    monkeypatch.setattr(Daemon, "turn", lambda *_: next(turns)())
    loop = threading.Thread(target=until_left, args=(Daemon(Scene(operated).context),))
    loop.start()
    assert supervisor.hears("WATCHDOG=1")
    assert not supervisor.hears("WATCHDOG=1", seconds=0.5)
    unstuck.set()
    assert supervisor.hears("WATCHDOG=1") and supervisor.hears("STOPPING=1")
    loop.join()


def test_an_unexpected_exception_pauses_the_loop_with_its_name_and_the_loop_goes_on(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
):
    scene = Scene(operated)
    turns = iter([fail, lambda: True, leave])
    monkeypatch.setattr(Daemon, "turn", lambda *_: next(turns)())
    monkeypatch.setattr("agent.daemon.loop._IDLE_TICK_SECONDS", 0.0)
    with pytest.raises(SystemExit):
        Daemon(scene.context).loop()
    assert reasons(operated) == ["fault: ZeroDivisionError: planted"]
    assert scene.log.of("daemon.fault") == ["a turn failed: ZeroDivisionError('planted')"]
    assert scene.jobs.stopped == 1


def test_a_fault_that_cannot_even_be_recorded_does_not_end_the_loop(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
):
    scene = Scene(operated)
    turns = iter([fail, leave])
    monkeypatch.setattr(Daemon, "turn", lambda *_: next(turns)())
    monkeypatch.setattr("agent.daemon.loop._IDLE_TICK_SECONDS", 0.0)
    monkeypatch.setattr("agent.daemon.loop.control.pause", full)
    with pytest.raises(SystemExit):
        Daemon(scene.context).loop()
    assert any("was not recorded" in line for line in scene.log.of("daemon.fault"))


def test_a_paused_daemon_answers_commands_and_starts_nothing(paused: Operated):
    scene = Scene(paused)
    assert not Daemon(scene.context).turn(0.0)
    assert scene.jobs.specs == {}
    commands.ask(paused.store, paused.layout, paused.config, "resume", {}, "ada")
    Daemon(scene.context).turn(0.0)
    assert list(scene.jobs.specs) == ["import-1"]


def test_signal_handlers_are_put_back(operated: Operated):
    before = signal.getsignal(signal.SIGTERM)
    with Daemon(Scene(operated).context).signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_daemon_imports_nothing_heavy_not_even_to_configure_a_method():
    code = (
        "import sys, agent.daemon.loop, agent.cycle, agent.intake, agent.probing.sweep\n"
        "from learners.methods import load_method, methods\n"
        "assert all(load_method(name).Settings for name in methods())\n"
        "heavy = {'torch', 'transformers', 'datasets', 'trl', 'peft', 'sentence_transformers', 'numpy'}\n"
        "sys.exit(', '.join(sorted(heavy & sys.modules.keys())) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], stderr=subprocess.PIPE)
    assert found.returncode == 0, found.stderr.decode()


def leave() -> bool:
    raise SystemExit


def until_left(daemon: Daemon) -> None:
    with suppress(SystemExit):
        daemon.loop()


def fail() -> bool:
    raise ZeroDivisionError("planted")


def full(*_: object, **__: object) -> None:
    raise StoreFull("planted")
