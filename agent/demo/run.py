"""Plays the demo: a real daemon in a fresh data root, fed from the stream's plain files, judged by how cycles end.

It works as an operator would: it copies files into the inbox and gives commands; everything else the daemon does by
itself. Called by `cld demo`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.config import Config
from agent.daemon import background
from agent.demo.report import Check, CycleRow, Report, cycle_rows, write_report
from agent.demo.script import ACTS, CONFIGURATION, QUESTIONS, STREAM, Act, Question
from agent.demo.show import Screen
from agent.errors import CldError, Refused
from agent.history.search import search
from agent.operators import commands
from agent.reads.glance import glance
from agent.root.founding import found
from agent.root.layout import Layout
from agent.root.lock import daemon_alive
from agent.root.settings import load
from agent.root.stores import store_url
from agent.store import Store, cycles, deployment, versions

__all__ = ["run"]

_POLL_SECONDS = 0.5
_ACT_SECONDS = 1800.0
_OPERATOR = "demo-operator"
_MARK = "made-by-cld-demo"


def run(folder: Path, report_file: Path) -> int:
    """Play every act.

    Args:
        folder: the demo's data root; made anew, an older demo's root is removed, anything else is refused.
        report_file: where demo-report.json is written.

    Returns:
        0 if every ending was the right one, else 1.
    """
    started = time.monotonic()
    layout = _fresh_root(folder)
    config = load(layout)
    store = Store(store_url(layout, config))
    stage = _Stage(layout, config, store, Screen(), Report())
    try:
        background.start(layout)
        stage.play()
    except BaseException as error:
        stage.report.checks.append(Check("the demo is played to its end", ok=False, found=repr(error)))
        raise
    finally:
        background.stop(layout)
        stage.report.cycles = cycle_rows(store) if layout.database.exists() else []
        stage.report.seconds = time.monotonic() - started
        write_report(stage.report, report_file)
    stage.screen.ending(stage.report, layout, report_file)
    return 0 if stage.report.ok else 1


def _fresh_root(folder: Path) -> Layout:
    layout = Layout(folder)
    if layout.root.exists():
        if not (layout.root / _MARK).exists():
            raise Refused(f"{str(layout.root)!r} exists and is not a demo's data root; name another with --folder")
        background.stop(layout, now=True)
        shutil.rmtree(layout.root)
    layout.root.mkdir(parents=True)
    shutil.copyfile(CONFIGURATION, layout.config_file)
    found(layout)
    (layout.root / _MARK).touch()
    return layout


@dataclass
class _Stage:
    layout: Layout
    config: Config
    store: Store
    screen: Screen
    report: Report

    def play(self) -> None:
        self.screen.title("The base model becomes version v0")
        self._feed(1)
        self._wait("v0 serves", self._serving)
        for number, act in enumerate(ACTS, 1):
            self._act(number, act)
        self._roll_back()
        for question in QUESTIONS:
            self._ask(question)

    def _act(self, number: int, act: Act) -> None:
        """Feed one batch, approve if that is part of it, and check the ending and what serves afterwards."""
        self.screen.title(f"{number}. {act.title}")
        before = self._serving()
        self._feed(number)
        if act.approved:
            self._wait(
                "the plan waits for approval", lambda: self._state(number) == "awaiting_approval" or self._ended(number)
            )
            self._check(
                f"act {number}: a person is asked", self._state(number) == "awaiting_approval", str(self._state(number))
            )
            self._command("approve", f"c{number}", "refusing harmful requests is our norm")
        self._wait("it is judged", lambda: self._over(number) or self._state(number) == "watching")
        if not self._over(number):
            self._feed(number + 1)
        self._wait("the cycle ends", lambda: self._over(number))
        if self._held(number):
            self._decide(number, act)
        row = self._row(number)
        self.screen.row(row)
        self._check(f"act {number}: {act.folder} ends as {act.ending}", row.ending == act.ending, row.ending)
        wanted = f"v{number}" if act.ending == "done" else before
        self._check(f"act {number}: {wanted} serves", self._serving() == wanted, str(self._serving()))

    def _feed(self, number: int) -> None:
        """Put an act's batch into the inbox, if there is such an act and it is not there yet.

        The next one arrives while a promoted version is still watched: it is read meanwhile, and nothing stands idle.
        """
        for act in ACTS[number - 1 : number]:
            if not (self.layout.inbox / act.folder).exists():
                shutil.copytree(STREAM / act.folder, self.layout.inbox / act.folder)

    def _decide(self, number: int, act: Act) -> None:
        """What the gate held: right for what must not serve, and a person refuses it; wrong for what was to be done."""
        asked = act.ending == "rejected"
        self._check(f"act {number}: the gate {'refuses or holds' if asked else 'is clear'}", asked, "held for a person")
        why = "it would undo the norm" if asked else "the demo expects a clear verdict"
        self._command("reject", f"c{number}", why)

    def _roll_back(self) -> None:
        """The operator goes back one version, in one transaction."""
        self.screen.title(f"{len(ACTS) + 1}. The operator rolls back")
        wanted = self._parent_of_serving()
        answer = self._command("rollback", None, "the demo shows a rollback")
        self._check(f"rollback: {wanted} serves", self._serving() == wanted, answer)

    def _ask(self, question: Question) -> None:
        """What was refused was not learned, so the questions are asked of promoted versions (`--verdict promote`)."""
        self.screen.title(f"{len(ACTS) + 2}. History is asked: {question.text}")
        hits = search(self.layout, self.store, question.text, limit=3, verdict="promote")
        self.screen.hits(hits)
        found = hits[0].version if hits else None
        self.report.answers.append({"question": question.text, "hits": [hit.as_dict() for hit in hits]})
        self._check(f"history: v{question.act} is found", found == f"v{question.act}", str(found))

    def _command(self, verb: str, target: str | None, why: str) -> str:
        args = {"target": target, "why": why}
        answer = commands.ask(self.store, self.layout, self.config, verb, args, _OPERATOR, wait_seconds=60.0)
        self.screen.say(f"{verb}: {answer.message}")
        return f"{answer.outcome}: {answer.message}"

    def _wait(self, what: str, until: Callable[[], object]) -> None:
        """Show progress until it holds; a daemon that ended or paused itself ends the demo."""
        deadline = time.monotonic() + _ACT_SECONDS
        with self.screen.progress() as progress:
            while not self.layout.database.exists() or not until():
                if time.monotonic() > deadline:
                    raise CldError(f"{what}: did not happen within {_ACT_SECONDS:.0f} s; see {self.layout.log_file}")
                if daemon_alive(self.layout) is None:
                    raise CldError(f"the daemon ended; see {self.layout.console_file} and {self.layout.log_file}")
                status = glance(self.layout, self.store) if self.layout.database.exists() else {}
                if pauses := status.get("paused"):
                    raise CldError(f"the daemon paused: {pauses[0]['reason']}; see {self.layout.log_file}")
                progress(status)
                time.sleep(_POLL_SECONDS)

    def _check(self, name: str, ok: bool, found: str) -> None:
        self.report.checks.append(Check(name, ok, found))
        self.screen.check(name, ok, found)

    def _serving(self) -> str | None:
        with self.store.read() as tx:
            now = deployment.find(tx)
        return now.version if now else None

    def _parent_of_serving(self) -> str | None:
        with self.store.read() as tx:
            return versions.get(tx, deployment.current(tx).version).parent

    def _state(self, number: int) -> str | None:
        with self.store.read() as tx:
            return next((cycle.state for cycle in cycles.listing(tx) if cycle.number == number), None)

    def _held(self, number: int) -> bool:
        """Whether the gate left the candidate to a person."""
        with self.store.read() as tx:
            active = cycles.active(tx)
        return active is not None and active.number == number and active.resume_state == "promoting"

    def _ended(self, number: int) -> bool:
        return self._state(number) in cycles.ENDINGS

    def _over(self, number: int) -> bool:
        """Whether the daemon does nothing more for a cycle by itself."""
        return self._ended(number) or self._held(number)

    def _row(self, number: int) -> CycleRow:
        return next(row for row in cycle_rows(self.store) if row.cycle == f"c{number}")
