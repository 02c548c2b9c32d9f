"""A small true world for end-to-end tests: a data root on the tiny model, with a daemon that is turned by hand.

Workers are real processes, the store is real SQLite; only the model is small. `World.turn_until` does what the
daemon's loop does, without its sleep.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from agent.context import Context
from agent.daemon.loop import Daemon, open_context
from agent.root.layout import Layout
from agent.root.settings import load
from agent.store import cycles, deployment
from tests.tiny import KNOWN, SENTENCES, tiny_weights

ROLES = ("general", "instruction", "safety", "overrefusal")
LOOSE = {"gate__target_gain": 0.0, **{f"gate__{role}_loss": 1.0 for role in ROLES}}
"""Settings of a gate that lets everything through."""


class World:
    """A data root on the tiny model.

    Args:
        root: a folder that does not exist yet.
        copied: another world's root to begin with, its state and versions; none begins with nothing.
        settings: keys of cld.toml by dotted name, over the fast defaults of this class.
    """

    def __init__(self, root: Path, copied: Path | None = None, **settings: Any) -> None:
        self.layout = Layout(root)
        if copied is not None:
            shutil.copytree(copied, root)
        self.layout.create()
        self._write_config(settings)
        for role in ROLES:
            self.write_suite(f"tiny-{role}", role)
        self.open()

    def open(self) -> None:
        """Start anew, as a daemon that was killed does: nothing is left but the data root."""
        self.context: Context = open_context(self.layout, load(self.layout))
        self.context.store.migrate()
        self.daemon = Daemon(self.context)

    def close(self) -> None:
        """End the workers and let go of the database."""
        self.context.jobs.stop_all(0.0)
        self.context.store.close()

    def _write_config(self, settings: dict[str, Any]) -> None:
        lines = {
            "model.base": str(tiny_weights() / "weights"),
            "replay.seed_prompts": False,
            "cycle.quiet_seconds": 0.0,
            "cycle.min_records": 4,
            "intake.settle_seconds": 0.0,
            "planner.backend": "rules",
            "approval.stages": [],
            "probes.suites": [f"tiny-{role}" for role in ROLES],
            "limits.backoff_seconds": 0.0,
            "limits.threads": 1,
            "training.cit.learning_rate": 3e-3,
            "training.cit.epochs": 15,
            "energy.enabled": False,
            "gate.recheck_items": 4,
            "gate.resamples": 200,
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
        sections: dict[str, list[str]] = {}
        for key, value in lines.items():
            section, name = key.rsplit(".", 1)
            sections.setdefault(section, []).append(f"{name} = {json.dumps(value)}")
        text = "\n".join(f"[{section}]\n" + "\n".join(rows) + "\n" for section, rows in sections.items())
        self.layout.config_file.write_text(text, encoding="utf-8")

    def write_suite(self, name: str, role: str) -> None:
        """A suite of what the tiny model knows, as choices; twelve items, so that the gate has enough to judge."""
        answers = sorted(set(KNOWN.values()))
        items = [
            {
                "id": f"{role}-{number}",
                "slice": "known",
                "scorer": "choice",
                "prompt": question,
                "choices": [answer, *[other for other in answers if other != answer][:3]],
                "answer": 0,
            }
            for number, (question, answer) in enumerate(list(KNOWN.items())[:12])
        ]
        suite = {"suite": name, "role": role, "description": "What the tiny model knows.", "items": items}
        (self.layout.suites / f"{name}.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")

    def drop(self, name: str, lines: list[dict[str, Any]]) -> None:
        """Put a JSON-lines file into the inbox."""
        (self.layout.inbox / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def turn_until(self, done: Callable[[], object], seconds: float = 600.0) -> None:
        """Turn the daemon until `done()`; fails with the state of things if that takes too long."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds} s; cycles: {self.states()}; {self.log_tail()}")
            if not self.daemon.turn(time.monotonic()):
                time.sleep(0.1)

    def states(self) -> dict[str, str]:
        """State of every cycle, oldest first."""
        with self.context.store.read() as tx:
            return {cycle.id: cycle.state for cycle in reversed(cycles.listing(tx))}

    def cycle(self, cycle_id: str) -> cycles.Cycle:
        """One cycle's row."""
        with self.context.store.read() as tx:
            return cycles.get(tx, cycle_id)

    def serving(self) -> str | None:
        """Id of the version that serves."""
        with self.context.store.read() as tx:
            now = deployment.find(tx)
        return now.version if now else None

    def log_tail(self) -> str:
        """The end of the daemon's log."""
        log = self.layout.log_file
        return log.read_text(encoding="utf-8")[-1500:] if log.exists() else "no log"


def documents() -> list[dict[str, str]]:
    """Text records about invented things, each fact in three sentences."""
    facts = [("Zorbia", "Kelmar"), ("Tandria", "Vossel"), ("Quill", "Lopez"), ("Brimstal", "Arnau")]
    return [
        {
            "text": f"The capital of {land} is {city}. People who visit {land} go to {city}. "
            f"The main city of the land of {land} is {city}."
        }
        for land, city in facts
    ] + [{"text": sentence} for sentence in SENTENCES[:4]]


def examples() -> list[dict[str, str]]:
    """Instruction records that the tiny model answers wrongly today, about nothing that the suites ask."""
    return [
        {"prompt": f"{question} Say it {word}.", "completion": "Yes" if word == "now" else "No"}
        for question in list(KNOWN)[12:]
        for word in ("now", "later", "soon")
    ]
