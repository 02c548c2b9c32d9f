"""The systemd unit that `cld service` prints.

Owns the text. Why each guard stands there:

    Type=notify, WatchdogSec     the daemon says when it serves and pets the watchdog after each turn of its main loop;
                                 a turn may have to hash all of a large version, on a disk that others use, too
    NotifyAccess=main            workers cannot speak for the daemon
    RestartPreventExitStatus=78  a wrong cld.toml does not become a restart loop
    KillMode=mixed               the daemon drains its workers; what is left after TimeoutStopSec is killed
    Protect*, Restrict*, ...     data and models can reach the data root and nothing else, and no network but sockets
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from agent.root.layout import Layout

__all__ = ["unit"]

_UNIT = """\
# Written by `cld service`. Install:
#   cld service | sudo tee /etc/systemd/system/cld.service && sudo systemctl enable --now cld
[Unit]
Description=cld, the continual-learning daemon ({root})
After=network.target
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={command} --root {root} start --foreground
User={user}
WorkingDirectory={root}
Environment=HF_HUB_OFFLINE=1
WatchdogSec=900
TimeoutStartSec=120
TimeoutStopSec=90
KillMode=mixed
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=78

UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={root}
PrivateTmp=yes
PrivateDevices={private_devices}
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
"""


def unit(layout: Layout, *, user: str | None = None, gpu: bool = False) -> str:
    """The unit file for one data root.

    Args:
        user: account that the daemon runs as; the calling one when None.
        gpu: leave the devices of the machine visible.
    """
    command = f"{_quoted(sys.executable)} -m agent.cli"
    return _UNIT.format(
        root=_quoted(str(layout.root)),
        command=command,
        user=user or getpass.getuser(),
        private_devices="no" if gpu else "yes",
    )


def _quoted(path: str) -> str:
    """A path as systemd reads it: '%' begins a specifier, and blanks separate words."""
    escaped = Path(path).as_posix().replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if any(character in escaped for character in ' \t"') else escaped
