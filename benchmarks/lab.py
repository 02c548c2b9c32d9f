"""A bench to learn on: versions trained and measured in this process, with the parts that the daemon uses.

Owns a folder of versions and job folders, and what one training cost. Judges nothing and knows no benchmark. What was
learned or measured is kept, so a benchmark that was cut off goes on where it stopped. Imports torch only when it
works. Called by the benchmarks that learn one thing after another.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from learners import durable
from learners.job import JobRequest, Stage
from learners.meter import Meter
from learners.models import EMBEDDED, import_base
from learners.records import Record, write_records
from learners.versions import read_version
from learners.worker import Job
from monitors.job import EngineSettings, Measurement, VersionRef
from monitors.precision import native_dtype
from monitors.probes.suites import Suite

__all__ = ["BASE", "EMBEDDED", "Lab", "Learned", "base_version", "device_name", "digest_of", "engine_settings"]

BASE = "v0"
"""Id of the version that everything starts from."""

_HIGH_WATER = Path("/proc/self/clear_refs")


class Learned(BaseModel):
    """What one training did and cost.

    Attributes:
        tokens: that went through the model, rehearsal included.
        seconds: of the whole training job, loading and the method's own preparation included.
        trainable_parameters: numbers that the training could change.
        peak_memory_bytes: resident memory of the process while it trained; on a GPU, memory of the GPU.
        energy_kwh: codecarbon's estimate; None where it is off.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    tokens: int
    steps: int
    first_loss: float
    last_loss: float
    seconds: float
    trainable_parameters: int
    peak_memory_bytes: int
    energy_kwh: float | None = None


def engine_settings() -> EngineSettings:
    """How everything is measured here: in the number format that this machine computes in at full speed."""
    return EngineSettings(dtype=native_dtype())


def device_name() -> str:
    """What computes here: the GPU's name, else `cpu`."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def base_version(source: str, folder: Path) -> Path:
    """The version folder that a benchmark starts from.

    Args:
        source: the embedded model's name, a folder with a model, or a version folder, which is used as it is.
        folder: where the embedded model becomes `versions/v0`, and every other one so in a folder of its own.
    """
    if (Path(source) / "version.json").is_file():
        return Path(source)
    own = f"{Path(source).name}-{hashlib.sha256(str(Path(source).resolve()).encode()).hexdigest()[:8]}"
    folder = folder if source == EMBEDDED else folder / own
    destination = folder / "versions" / BASE
    if not destination.exists():
        job = _job(folder / "import", "import")
        import_base({"version_id": BASE, "source": source, "destination": str(destination)}, job)
    return destination


@dataclass(frozen=True)
class Lab:
    """One line of versions in a folder of its own, over a base version that is linked into it.

    Attributes:
        folder: gets `versions/` and `jobs/`.
        engine: how versions are measured.
    """

    folder: Path
    engine: EngineSettings

    @classmethod
    def over(cls, base: Path, folder: Path, engine: EngineSettings | None = None) -> Lab:
        """Open a lab whose first version is `base`, under its own id or `v0`."""
        (folder / "versions").mkdir(parents=True, exist_ok=True)
        durable.publish(base, folder / "versions" / read_version(base, verify=False).spec.id)
        return cls(folder, engine or engine_settings())

    def version(self, version_id: str) -> Path:
        """Folder of a version."""
        return self.folder / "versions" / version_id

    def learn(
        self,
        version_id: str,
        parent: str,
        stage: Stage,
        method: str,
        records: Sequence[Record],
        settings: Mapping[str, Any],
        seed: int = 0,
    ) -> Learned:
        """Train `version_id` from `parent` on `records`; a version that is there already is not trained again.

        Raises:
            learners.failures.InvalidInput, learners.failures.Diverged: see `learners.training.train`.
        """
        folder = self.folder / "jobs" / f"learn-{version_id}"
        kept = folder / "learned.json"
        if not kept.exists():
            learned = self._train(folder, version_id, parent, stage, method, records, settings, seed)
            durable.write_atomic(kept, learned.model_dump_json(indent=2))
            shutil.rmtree(folder / "work")
        durable.publish(folder / "output" / "version", self.version(version_id))
        return Learned.model_validate_json(kept.read_bytes())

    def _train(
        self, folder: Path, version_id: str, parent: str, stage: Stage, method: str, records: Sequence[Record],
        settings: Mapping[str, Any], seed: int,
    ) -> Learned:  # fmt: skip
        from learners.training import train

        job = _job(folder, "train")
        write_records(folder / "data.jsonl", records)
        spec = {
            "version_id": version_id, "parent": str(self.version(parent)), "stage": stage, "method": method,
            "data": str(folder / "data.jsonl"), "settings": dict(settings), "seed": seed,
        }  # fmt: skip
        with _gpu_memory() as on_gpu, Meter(folder) as meter:
            _forget_high_water()
            meter.track_energy()
            started = time.monotonic()
            result = train(spec, job)
            seconds = time.monotonic() - started
            usage = meter.usage()
        return Learned(
            version=version_id, tokens=result.tokens, steps=result.steps, first_loss=result.first_loss,
            last_loss=result.last_loss, seconds=seconds, trainable_parameters=result.trainable_parameters,
            peak_memory_bytes=on_gpu() or usage.peak_memory_bytes, energy_kwh=usage.energy_kwh,
        )  # fmt: skip

    def measure(self, version_id: str, suites: Sequence[Suite]) -> list[Measurement]:
        """Ask a version every probe of `suites`; an attempt that was cut off goes on where it stopped."""
        from monitors.measure import measure_suites

        job = _job(self.folder / "jobs" / f"measure-{version_id}-{digest_of(suites)}", "measure")
        return measure_suites(job, [VersionRef(id=version_id, path=self.version(version_id))], suites, self.engine)

    def scores(self, version_id: str, suites: Sequence[Suite]) -> dict[str, float]:
        """Mean score of a version on each suite, by the suite's name."""
        found: dict[str, list[float]] = {suite.suite: [] for suite in suites}
        for row in self.measure(version_id, suites):
            if row.suite in found:
                found[row.suite].append(row.score)
        return {name: sum(scores) / len(scores) for name, scores in found.items()}

    def clear(self) -> None:
        """Free all versions, once the benchmark has its result; what each cost and scored is kept."""
        shutil.rmtree(self.folder / "versions", ignore_errors=True)
        for output in self.folder.glob("jobs/learn-*/output"):
            shutil.rmtree(output, ignore_errors=True)


def digest_of(suites: Sequence[Suite]) -> str:
    """Of what is asked: a job remembers answers by the names of suite and item, so other items are another job."""
    return hashlib.sha256(" ".join(sorted(suite.digest for suite in suites)).encode()).hexdigest()[:8]


def _job(folder: Path, kind: Literal["import", "train", "measure"]) -> Job:
    for name in ("work", "output"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Job(folder, JobRequest(job_id=folder.name, kind=kind, spec={}))


def _forget_high_water() -> None:
    """Let the kernel begin this process's peak memory anew (Linux); elsewhere the peak is that of the whole process."""
    if _HIGH_WATER.exists():
        _HIGH_WATER.write_text("5")


@contextmanager
def _gpu_memory() -> Generator[Callable[[], int]]:
    """A function that tells the peak of the GPU's memory since now; 0 without a GPU."""
    import torch

    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    yield lambda: torch.cuda.max_memory_allocated() if on_gpu else 0
