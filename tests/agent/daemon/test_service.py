"""Promises of `agent.daemon.service`: a unit that systemd accepts, and that gives a hostile model little to reach."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.daemon.service import unit
from agent.errors import EXIT_CODES
from agent.root.layout import Layout


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    parser.read_string(text)
    return parser


def test_the_unit_hardens_the_daemon(tmp_path: Path):
    service = parsed(unit(Layout(tmp_path)))["Service"]
    wanted = {
        "Type": "notify", "NotifyAccess": "main", "KillMode": "mixed", "Restart": "on-failure", "UMask": "0077",
        "NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "ReadWritePaths": str(tmp_path),
    }  # fmt: skip
    assert {key: service[key] for key in wanted} == wanted
    assert int(service["WatchdogSec"]) * 100 * 10**6 > 70 * 10**9  # a turn hashes 70 GB at 100 MB a second


def test_a_wrong_configuration_is_not_restarted(tmp_path: Path):
    service = parsed(unit(Layout(tmp_path)))["Service"]
    assert int(service["RestartPreventExitStatus"]) == EXIT_CODES["ConfigError"][0]


def test_it_starts_the_foreground_daemon_of_this_root(tmp_path: Path):
    assert f"--root {tmp_path} start --foreground" in parsed(unit(Layout(tmp_path)))["Service"]["ExecStart"]


def test_blanks_and_percent_signs_in_the_root_are_quoted(tmp_path: Path):
    service = parsed(unit(Layout(tmp_path / "my data 100%")))["Service"]
    assert '/my data 100%%"' in service["ReadWritePaths"] and '/my data 100%%"' in service["ExecStart"]


def test_a_gpu_stays_visible_if_asked(tmp_path: Path):
    assert parsed(unit(Layout(tmp_path), gpu=True))["Service"]["PrivateDevices"] == "no"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path):
    file = tmp_path / "cld.service"
    file.write_text(unit(Layout(tmp_path), user="root"))
    checked = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    assert not [line for line in checked.stderr.splitlines() if "cld.service" in line], checked.stderr
