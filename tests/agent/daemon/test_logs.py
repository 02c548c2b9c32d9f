"""Promises of the log: one JSON line per event, and no log is worth a daemon."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from agent.daemon.logs import open_log


class Full:
    """A stream on a full disk."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def write(self, text: str) -> int:
        """As on a full disk."""
        self.said.append(text)
        raise OSError(28, "No space left on device")


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event_is_one_line_with_a_sentence_an_action_a_level_and_a_time(tmp_path: Path):
    open_log(tmp_path / "log", "info").warning("two\nlines", action="daemon.paused")
    (line,) = lines(tmp_path / "log")
    assert (line["event"], line["action"], line["level"]) == ("two\nlines", "daemon.paused", "warning")
    assert line["timestamp"].endswith("Z")


def test_what_is_less_severe_than_configured_is_left_out(tmp_path: Path):
    log = open_log(tmp_path / "log", "error")
    log.warning("no")
    log.error("yes")
    assert [line["event"] for line in lines(tmp_path / "log")] == ["yes"]


def test_a_fault_is_logged_with_its_traceback(tmp_path: Path):
    try:
        raise ZeroDivisionError("planted")
    except ZeroDivisionError as error:
        open_log(tmp_path / "log", "info").error("a turn failed", exc_info=error)
    (line,) = lines(tmp_path / "log")
    assert "test_logs.py" in line["exception"] and "ZeroDivisionError: planted" in line["exception"]


def test_a_log_that_is_rotated_away_goes_on_in_a_new_file(tmp_path: Path):
    log = open_log(tmp_path / "log", "info")
    log.info("old")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.info("new")
    assert [line["event"] for line in lines(tmp_path / "log")] == ["new"]


def test_an_unwritable_file_costs_one_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = open_log(tmp_path, "info")
    for _ in range(3):
        log.info("hello")
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_a_standard_error_that_is_full_too_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(sys, "stderr", Full(said))
    open_log(tmp_path, "info").info("hello")
    assert said


def test_text_that_no_encoding_knows_is_logged(tmp_path: Path):
    open_log(tmp_path / "log", "info").info("a name \udcff")
    assert lines(tmp_path / "log")[0]["event"] == "a name \udcff"
