"""The pointer moves only from the generation the mover saw, and only to versions that may serve (P1, P3, P4)."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier

import pytest

from agent.errors import NotFound
from agent.store import MoveRefused, StaleGeneration, Store, decisions, deployment, verdicts, versions


def _judge(store: Store, cycle: str, outcome: str) -> None:
    with store.write() as tx:
        verdicts.save(tx, cycle, {"verdict": outcome})


def _promote(store: Store, version: str = "v1", generation: int = 1) -> None:
    with store.write() as tx:
        deployment.move(tx, version, generation, "daemon", "test", "promote")


def test_nothing_serves_before_the_first_version(empty: Store) -> None:
    with empty.read() as tx:
        assert deployment.find(tx) is None
        with pytest.raises(NotFound, match="cld start"):
            deployment.current(tx)


def test_a_promote_verdict_promotes_and_the_version_is_kept(store: Store, cycle_in) -> None:
    _judge(store, cycle_in("promoting"), "promote")
    _promote(store)
    with store.read() as tx:
        now = deployment.current(tx)
        assert (now.version, now.generation, now.previous, versions.get(tx, "v1").state) == ("v1", 2, "v0", "kept")
        assert [move.cause for move in deployment.history(tx)] == ["promote", "initial"]


@pytest.mark.parametrize("outcome", ["hold", "reject", None])
def test_without_a_promote_verdict_nothing_is_promoted(store: Store, cycle_in, outcome: str | None) -> None:
    cycle = cycle_in("promoting")
    if outcome:
        _judge(store, cycle, outcome)
    with pytest.raises(MoveRefused, match="person's word"):
        _promote(store)


def test_a_named_person_can_approve_what_the_gate_holds(store: Store, cycle_in) -> None:
    cycle = cycle_in("promoting")
    _judge(store, cycle, "hold")
    with store.write() as tx:
        decisions.record(tx, cycle, "approve", "ann", "I read the answers", version="v1")
    _promote(store)


def test_approving_a_plan_does_not_approve_its_weights(store: Store, cycle_in) -> None:
    with store.write() as tx:
        decisions.record(tx, None, "approve", "ann", "a good plan")
    cycle_in("promoting")
    with pytest.raises(MoveRefused):
        _promote(store)


def test_a_persons_no_outweighs_the_gates_yes(store: Store, cycle_in) -> None:
    cycle = cycle_in("promoting")
    _judge(store, cycle, "promote")
    with store.write() as tx:
        decisions.record(tx, cycle, "reject", "ann", "wrong tone", version="v1")
    with pytest.raises(MoveRefused, match="ann rejected"):
        _promote(store)


def test_a_failed_re_check_withdraws_the_promote_verdict(store: Store, cycle_in) -> None:
    cycle = cycle_in("promoting")
    _judge(store, cycle, "promote")
    with store.write() as tx:
        verdicts.save(tx, cycle, {"verdict": "reject"}, phase="watching")
    with pytest.raises(MoveRefused):
        _promote(store)


def test_a_stale_generation_is_refused_even_if_the_pointer_came_back(store: Store, cycle_in) -> None:
    _judge(store, cycle_in("promoting"), "promote")
    _promote(store)
    with store.write() as tx:
        deployment.move(tx, "v0", 2, "ann", "back", "rollback")
    with pytest.raises(StaleGeneration, match="generation 3, not 1") as refused:
        _promote(store)
    assert refused.value.current == 3


def test_a_rollback_leads_to_a_version_that_served(store: Store, cycle_in) -> None:
    _judge(store, cycle_in("promoting"), "promote")
    with pytest.raises(MoveRefused, match="never served"), store.write() as tx:
        deployment.move(tx, "v1", 1, "ann", "back?", "rollback")
    _promote(store)
    with store.write() as tx:
        assert deployment.move(tx, "v0", 2, "ann", "back", "rollback").generation == 3


@pytest.mark.parametrize("state", ["damaged", "swept"])
def test_a_version_without_whole_files_never_serves(store: Store, cycle_in, state) -> None:
    cycle = cycle_in("promoting")
    _judge(store, cycle, "promote")
    with store.write() as tx:
        tx.execute(versions.update(versions.Version).where(versions.Version.id == "v1").values(state=state))
    with pytest.raises(MoveRefused, match=state):
        _promote(store)


@pytest.mark.parametrize(("to", "cause"), [("v0", "rollback"), ("v9", "rollback"), ("v1", "initial")])
def test_moves_that_make_no_sense_are_refused(store: Store, cycle_in, to: str, cause) -> None:
    cycle_in("promoting")
    with pytest.raises(MoveRefused), store.write() as tx:
        deployment.move(tx, to, 1, "ann", "test", cause)


def _race(url: str, barrier: Barrier, rounds: int, wins) -> None:
    store = Store(url)
    won = 0
    for generation in range(1, rounds + 1):
        barrier.wait(60)
        try:
            with store.write() as tx:
                to = "v1" if generation % 2 else "v0"
                deployment.move(tx, to, generation, "racer", "race", "rollback")
            won += 1
        except StaleGeneration:
            pass
        barrier.wait(60)
    wins.put(won)


def test_of_eight_processes_exactly_one_wins_each_generation(store: Store) -> None:
    with store.write() as tx:
        versions.register(tx, "v1", 1, "v0", "v0", "1" * 64, "cit", "replay", None)
        versions.mark(tx, "v1", "kept", "ann", "good")
    rounds, racers = 12, 8
    store.close()  # no connection is shared with a fork
    context = multiprocessing.get_context("fork")
    barrier, wins = context.Barrier(racers), context.Queue()
    arguments = (f"sqlite:///{store.path}", barrier, rounds, wins)
    processes = [context.Process(target=_race, args=arguments) for _ in range(racers)]
    for process in processes:
        process.start()
    assert sum(wins.get(timeout=120) for _ in processes) == rounds
    for process in processes:
        process.join()
    with store.read() as tx:
        assert [move.generation for move in deployment.history(tx)] == list(range(rounds + 1, 0, -1))
