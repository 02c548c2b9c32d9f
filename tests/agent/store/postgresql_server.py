"""A private PostgreSQL server that listens on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["MARKS", "Server", "served"]

_BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(_BIN is None, reason="PostgreSQL is not installed (apt install postgresql)"),
]


class Server:
    """Starts and stops one server.

    Attributes:
        url: of an empty database.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if as_user:
            shutil.chown(folder, "postgres")
        self._run = [*as_user, f"{_BIN}/pg_ctl", "-D", str(folder / "data"), "-s", "-w"]
        self._control("init", "-o", "-A trust -U cld")
        self.url = f"postgresql+psycopg://cld@/postgres?host={folder}"

    def start(self) -> None:
        """Serve."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self._folder} -c fsync=off"
        self._control("-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Serve no more; what was committed stays."""
        self._control("-m", "fast", "stop")

    def _control(self, *words: str) -> None:
        subprocess.run([*self._run, *words], check=True, stdout=subprocess.DEVNULL, cwd=self._folder)


@contextmanager
def served() -> Generator[Server]:
    """A server that runs for the length of a `with` block."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install -e '.[postgresql]')")
    folder = Path(tempfile.mkdtemp(prefix="cld-pg-"))
    server = Server(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)
