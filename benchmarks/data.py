"""Where the real data of the benchmarks lies, and how its files are read.

Owns the folder named by CLD_SHARED_DATA and the two file formats in it. Copies nothing: the samples stay as their
authors publish them. Called by every benchmark that needs real data.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

__all__ = ["VARIABLE", "DataMissing", "folder", "read"]

VARIABLE = "CLD_SHARED_DATA"
_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


class DataMissing(FileNotFoundError):
    """A data set is not there; the message names the file and the variable that says where to look."""


def folder() -> Path:
    """The data folder: CLD_SHARED_DATA, else `shared/data` beside the project."""
    return Path(os.environ.get(VARIABLE) or _DEFAULT)


def read(name: str) -> Any:
    """Read one gzipped file of JSON (`.json.gz`) or JSON lines (`.jsonl.gz`, as a list).

    Args:
        name: below the data folder, e.g. `superni/task875_emotion_classification/train.json.gz`.

    Raises:
        DataMissing: no such file.
    """
    path = folder() / name
    if not path.is_file():
        raise DataMissing(f"no {name!r} in {str(folder())!r}; set {VARIABLE} to the folder that holds it")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file] if name.endswith(".jsonl.gz") else json.load(file)
