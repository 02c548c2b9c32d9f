"""Where everything lies in a data root, and the one way from an id to a path.

    ROOT/
        cld.toml         the configuration
        cld.db           the database, the only truth (unless [store] url names another)
        inbox/           the default watched folder
        suites/          probe suites of your own
        versions/<id>/   immutable versions
        jobs/<id>/       what workers were asked and what they answered
        index/           search index: a cache, rebuilt when it differs
        logs/            daemon.jsonl and, once it is full, daemon.jsonl.1; daemon.out, history.out: standard error
        run/             daemon.lock

Owns the paths and the creation of the folders (mode 0700). It reads no file and opens no database. Every part of
`agent` builds its paths here: an id is checked before it becomes one, so nothing outside the root can be named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from agent.errors import InvalidId, NoDataRoot

__all__ = ["Layout", "check_id", "discover"]

_ID = re.compile(r"[a-z0-9-]{1,64}")
_FOLDERS = ("inbox", "suites", "versions", "jobs", "index", "logs", "run")


def check_id(value: str) -> str:
    """Return `value` if it may become a file name.

    Raises:
        InvalidId: it is not made of 1 to 64 characters of a-z, 0-9 and '-'.
    """
    if not _ID.fullmatch(value):
        raise InvalidId(f"{value[:80]!r} is not an id: 1 to 64 characters of a-z, 0-9 and '-' are")
    return value


class Layout:
    """The paths of one data root.

    Args:
        root: the data root; made absolute. It need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.config_file = self.root / "cld.toml"
        self.database = self.root / "cld.db"
        self.inbox = self.root / "inbox"
        self.suites = self.root / "suites"
        self.versions = self.root / "versions"
        self.jobs = self.root / "jobs"
        self.index = self.root / "index"
        self.logs = self.root / "logs"
        self.log_file = self.logs / "daemon.jsonl"
        self.console_file = self.logs / "daemon.out"
        self.history_file = self.logs / "history.out"
        self.run = self.root / "run"
        self.lock_file = self.run / "daemon.lock"

    def __repr__(self) -> str:
        return f"Layout({str(self.root)!r})"

    def version(self, version_id: str) -> Path:
        """Folder of a version. Raises `InvalidId`."""
        return self.versions / check_id(version_id)

    def job(self, job_id: str) -> Path:
        """Folder of a job. Raises `InvalidId`."""
        return self.jobs / check_id(job_id)

    def aside(self, folder: Path) -> Path:
        """A name beside `folder` that nothing has yet, for what lies there and belongs to another history."""
        names = (folder.with_name(f"aside-{folder.name}-{number}") for number in count(1))
        return next(path for path in names if not path.exists())

    def create(self) -> bool:
        """Make the root and its folders, readable by their owner alone; return whether anything was missing."""
        missing = [folder for folder in (self.root, *(self.root / name for name in _FOLDERS)) if not folder.is_dir()]
        for folder in missing:
            folder.mkdir(mode=0o700, parents=True)
            folder.chmod(0o700)
        return bool(missing)


def discover(root: Path | None = None, environment: Mapping[str, str] = os.environ) -> Layout:
    """Find the data root: `--root`, then CLD_ROOT, then the current folder.

    Raises:
        NoDataRoot: the place named, or the current folder, holds no cld.toml.
    """
    named = root or (Path(environment["CLD_ROOT"]) if environment.get("CLD_ROOT") else None)
    layout = Layout(named or Path.cwd())
    if layout.config_file.is_file():
        return layout
    place = "--root" if root else "CLD_ROOT" if named else "the current folder"
    raise NoDataRoot(
        f"{str(layout.root)!r} ({place}) holds no cld.toml, so it is not a data root; "
        f"make one with `cld --root {layout.root} init`, or name one with --root or CLD_ROOT"
    )
