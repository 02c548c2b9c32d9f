"""Tells systemd how the daemon is: one datagram to $NOTIFY_SOCKET, nothing where the variable is unset.

Owns the protocol of sd_notify(3). The daemon calls it from its main loop, after its own health check, so that a loop
that hangs stops petting the watchdog.
"""

from __future__ import annotations

import os
import socket

__all__ = ["notify"]


def notify(*states: str) -> bool:
    """Send states such as `READY=1`, `STATUS=training`, `WATCHDOG=1` or `STOPPING=1`.

    Returns:
        Whether there was a socket to send to that took the message; a supervisor that is gone is no fault of cld's.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto("\n".join(states).encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError:
            return False
    return True
