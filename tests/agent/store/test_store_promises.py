"""In any order of operators, cycles and crashes, the store keeps P1, P3, P4 and P5."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from store_world import make_records, take_in, walk_to

from agent.errors import CldError
from agent.store import (
    Session,
    Store,
    control,
    cycles,
    decisions,
    deployment,
    events,
    intakes,
    pool,
    verdicts,
    versions,
)
from agent.store.cycles import ENDINGS, LEGAL

CRASH = st.sampled_from([False, False, True])
LIVED_RECORDS = 3


class _Crash(Exception):
    """The process died inside its transaction."""


class StoreLife(RuleBasedStateMachine):
    """A daemon, two operators and crashes, all at work on one real SQLite file, a copy of `template`."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        shutil.copyfile(self.template, self.folder / "cld.db")
        self.store = self._open()
        self.moves: list[tuple[int, str]] = []
        self.seen_events: list[tuple[int, str]] = []
        self.records = LIVED_RECORDS

    def _open(self) -> Store:
        return Store(f"sqlite:///{self.folder / 'cld.db'}")

    def teardown(self) -> None:
        try:
            self._p3_every_promotion_had_a_verdict_or_a_named_person()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def _attempt(self, crash: bool, change: Any) -> None:
        """Make a change; the store may refuse it, or the process may die before the commit."""
        with contextlib.suppress(CldError, _Crash), self.store.write() as tx:
            change(tx)
            if crash:
                raise _Crash

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self._open()

    @rule(count=st.integers(1, 3), crash=CRASH)
    def data_arrives(self, count: int, crash: bool) -> None:
        self.records += count
        self._attempt(crash, lambda tx: take_in(tx, make_records(self.records)[-count:]))

    @rule(state=st.sampled_from(["diagnosing", "training", "judging", "promoting", "watching"]), crash=CRASH)
    def a_cycle_runs(self, state: str, crash: bool) -> None:
        def change(tx: Session) -> None:
            cycle = walk_to(tx, state)
            pool.claim(tx, cycle, [row.id for row in pool.waiting(tx, 5)])

        self._attempt(crash, change)

    @rule(
        index=st.integers(0, 3),
        legal=st.sampled_from([True, True, False]),
        crash=CRASH,
        outcome=st.sampled_from(["learned", "refused", "failed"]),
    )
    def step(self, index: int, legal: bool, crash: bool, outcome: Any) -> None:
        def change(tx: Session) -> None:
            cycle = cycles.active(tx)
            if cycle is not None:
                after = sorted(LEGAL[cycle.state] if legal else LEGAL)
                to = after[index % len(after)]
                found = {"resume_state": "promoting"} if to == "awaiting_approval" else {}
                cycles.transition(tx, cycle.id, cycle.state, to, "daemon", "x", **found)
                if to in ENDINGS:
                    pool.settle(tx, cycle.id, outcome)

        self._attempt(crash, change)

    @rule(outcome=st.sampled_from(["promote", "hold", "reject"]), phase=st.sampled_from(["judging", "watching"]))
    def judge(self, outcome: str, phase: Any) -> None:
        def change(tx: Session) -> None:
            newest = cycles.listing(tx, 1)
            if newest:
                verdicts.save(tx, newest[0].id, {"verdict": outcome}, phase=phase)

        self._attempt(False, change)

    def _some_version(self, tx: Session, index: int) -> str:
        known = versions.listing(tx)
        return known[index % len(known)].id

    @rule(index=st.integers(0, 3), who=st.sampled_from(["ann", "daemon"]), word=st.sampled_from(["approve", "reject"]))
    def decide(self, index: int, who: str, word: Any) -> None:
        self._attempt(
            False, lambda tx: decisions.record(tx, None, word, who, "x", version=self._some_version(tx, index))
        )

    @rule(
        index=st.integers(0, 3),
        behind=st.sampled_from([0, 0, 1]),
        crash=CRASH,
        cause=st.sampled_from(["promote", "rollback", "initial"]),
    )
    def move(self, index: int, behind: int, crash: bool, cause: Any) -> None:
        def change(tx: Session) -> None:
            seen = deployment.current(tx).generation - behind
            deployment.move(tx, self._some_version(tx, index), seen, "ann", "x", cause)
            assert not behind, "a move from a stale view succeeded"

        self._attempt(crash, change)

    @rule(index=st.integers(0, 3), state=st.sampled_from(["kept", "damaged", "swept"]), crash=CRASH)
    def mark(self, index: int, state: Any, crash: bool) -> None:
        self._attempt(crash, lambda tx: versions.mark(tx, self._some_version(tx, index), state, "daemon", "x"))

    @rule(pause=st.booleans(), crash=CRASH)
    def pause_or_resume(self, pause: bool, crash: bool) -> None:
        if pause:
            self._attempt(crash, lambda tx: control.pause(tx, "holiday", "ann", "cld resume"))
        else:
            self._attempt(crash, lambda tx: control.resume(tx, "ann", "back"))

    @invariant()
    def p1_the_current_version_is_kept_and_its_digest_known(self) -> None:
        with self.store.read() as tx:
            current = deployment.find(tx)
            if current is not None:
                version = versions.get(tx, current.version)
                assert (version.state, len(version.digest)) == ("kept", 64)
                assert version.base is None or versions.get(tx, version.base).state != "swept"

    def _p3_every_promotion_had_a_verdict_or_a_named_person(self) -> None:
        """Looked at once, at the end: the log only grows (P4), so its end holds every promotion with what led to it."""
        with self.store.read() as tx:
            log = events.listing(tx, limit=10_000)
        approved: set[str] = set()
        passed: dict[str, bool] = {}
        for event in log:
            if event.action in ("decision.approve", "decision.reject"):
                assert event.who == "ann"
                (approved.add if event.action == "decision.approve" else approved.discard)(event.subject)
            if event.action == "verdict.recorded":
                passed[event.detail["version"]] = event.detail["verdict"] == "promote"
            if event.action == "deployment.moved" and event.detail["cause"] == "promote":
                assert event.subject in approved or passed.get(event.subject)

    @invariant()
    def p4_history_only_grows(self) -> None:
        with self.store.read() as tx:
            moves = [(move.generation, move.version) for move in reversed(deployment.history(tx, 10_000))]
            log = [(event.seq, event.action) for event in events.listing(tx, limit=10_000)]
        assert moves[: len(self.moves)] == self.moves
        assert log[: len(self.seen_events)] == self.seen_events
        assert [generation for generation, _ in moves] == list(range(1, len(moves) + 1))
        self.moves, self.seen_events = moves, log

    @invariant()
    def p4_one_transaction_leads_back_to_any_version_that_served(self) -> None:
        with self.store.read() as tx:
            current = deployment.find(tx)
            served = {version for _, version in self.moves} - {current.version if current else ""}
            whole = [id for id in served if versions.get(tx, id).state == "kept"]
        for id in whole:
            with contextlib.suppress(_Crash), self.store.write() as tx:
                deployment.move(tx, id, current.generation if current else 0, "ann", "back", "rollback")
                raise _Crash

    @invariant()
    def p5_at_most_one_cycle_is_active(self) -> None:
        with self.store.read() as tx:
            active = [cycle for cycle in cycles.listing(tx, 10_000) if cycle.active]
            assert len(active) <= 1
            assert all((cycle.state in ENDINGS) != bool(cycle.active) for cycle in cycles.listing(tx, 10_000))

    @invariant()
    def p9_every_record_is_in_one_state(self) -> None:
        with self.store.read() as tx:
            kept = sum(total.kept for total in intakes.accounting(tx).values())
            active = cycles.active(tx)
            rows = pool.get(tx, [record.id for record in make_records(self.records)])
            assert kept == len(rows)
            claimed = [row.cycle for row in rows if row.state == "claimed"]
            assert all(active is not None and cycle == active.id for cycle in claimed)


@pytest.fixture
def lived(store: Store) -> Path:
    """v0 served, v1 was promoted over it and serves, v2 was trained on three records and nobody has judged it."""
    with store.write() as tx:
        first = walk_to(tx, "promoting")
        verdicts.save(tx, first, {"verdict": "promote"})
        deployment.move(tx, "v1", 1, "daemon", "passed", "promote")
        cycles.transition(tx, first, "promoting", "watching", "daemon", "x")
        cycles.transition(tx, first, "watching", "done", "daemon", "x")
        take_in(tx, make_records(LIVED_RECORDS))
        pool.claim(tx, walk_to(tx, "judging"), [row.id for row in pool.waiting(tx, LIVED_RECORDS)])
    store.close()
    assert store.path is not None
    return store.path


@pytest.mark.slow
def test_the_promises_hold_in_any_order(lived: Path) -> None:
    StoreLife.template = lived
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        StoreLife,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
