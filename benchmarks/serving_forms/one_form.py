"""One version asked, in a process of its own: `python -m benchmarks.serving_forms.one_form VERSION FILE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict

from benchmarks.lab import engine_settings
from learners.durable import write_atomic
from monitors.engines import Prompt, Turn, in_order, open_engines
from monitors.job import VersionRef

__all__ = ["NEW_TOKENS", "Served", "main"]

NEW_TOKENS = 24
_REQUESTS = (
    "Tell the story of a lighthouse keeper who finds a letter in a bottle, in many words.",
    "Explain at length how rain is made, from the sea to the roof of a house.",
    "Describe a long walk through an old town, street by street, and what is sold there.",
    "Write a long speech for the opening of a library, and thank everyone who helped.",
    "Tell in detail how bread is baked, from the grain to the table, and by whom.",
)


class Served(BaseModel):
    """What serving cost.

    Attributes:
        seconds: of one request, median, prompt and `NEW_TOKENS` new tokens.
        resident_bytes: memory of the process after its requests.
        version_bytes: what the version adds on disk.
    """

    model_config = ConfigDict(frozen=True)

    seconds: float
    resident_bytes: int
    version_bytes: int


def main(folder: Path, file: Path) -> None:
    """Open a version and ask it one request at a time; the first is not counted."""
    engine = open_engines(engine_settings())(VersionRef(id=folder.name, path=folder))
    seconds: list[float] = []
    for text in (_REQUESTS[0], *_REQUESTS):
        started = time.perf_counter()
        in_order(engine.generate([Prompt((Turn("user", text),))], [NEW_TOKENS]), 1)
        seconds.append(time.perf_counter() - started)
    own = sum(path.stat().st_size for part in ("adapter", "extension", "weights") for path in folder.glob(f"{part}/*"))
    served = Served(seconds=median(seconds[1:]), resident_bytes=_resident_bytes(), version_bytes=own)
    write_atomic(file, served.model_dump_json())


def _resident_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
