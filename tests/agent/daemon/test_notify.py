"""Promises of `agent.daemon.notify`: systemd hears what is said, and silence elsewhere costs nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from agent.daemon.notify import notify


def test_states_arrive_as_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        assert notify("READY=1", "STATUS=observing")
        assert receiver.recv(1024) == b"READY=1\nSTATUS=observing"


def test_an_abstract_socket_is_reached_too(monkeypatch: pytest.MonkeyPatch):
    name = f"cld-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        assert notify("WATCHDOG=1")
        assert receiver.recv(1024) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", [None, "", "not/absolute"])
def test_without_a_socket_nothing_happens(address: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


def test_a_supervisor_that_is_gone_does_not_end_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not notify("READY=1")
