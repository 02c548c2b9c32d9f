"""What the planner foresees of a training job's tokens, against what the job takes on the tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import Config, StageTraining, Training
from agent.planner.candidates import Outcome, Situation, propose
from agent.planner.costs import counted, estimated_tokens, settings_of
from agent.planner.plan import Candidate
from learners.methods import conpet, replay
from learners.parts.memory import ReplayMemory
from learners.parts.mix import Order, Replay, plan_batches, within
from learners.records import Record
from monitors.job import Gap
from tests.learners.runs import CHATS, text, train
from tests.tiny import SENTENCES, UNKNOWN, chat, tiny_base

METHODS = ("finetune", "replay", "conpet")
LONG = [chat(question, " ".join(SENTENCES[:3])) for question in UNKNOWN]
"""Records that are longer than what the tiny model remembers."""
WITHIN = 0.3


def foreseen(base: Path, records: list[Record], outcomes: list[Outcome]) -> dict[str | None, Candidate]:
    """What training the tiny model on some records would cost, by method."""
    config = Config()
    remembered = [item.record for item in ReplayMemory.read(base / "memory").items]
    gap = Gap(id="g", topic="t", information_kind="task", severity=1.0, evidence=("p",), records=("r",))
    situation = Situation(
        gaps=[gap], records=records, tokens=estimated_tokens(records), replayable=len(remembered), tokens_left=None,
        epochs={"cpt": 1, "cit": config.training.cit.epochs, "ca": 1}, tolerated_loss=1.0, outcomes=outcomes,
        named=METHODS, counted=lambda stage, method: counted(config, stage, method, records, remembered),
    )  # fmt: skip
    return {one.method: one for one in propose(situation) if one.stage == "cit"}


@pytest.mark.slow
def test_what_a_job_takes_is_foreseen_once_another_was_trained_on_the_model(tmp_path: Path):
    base = tiny_base(tmp_path / "versions")

    def taken(method: str, records: list[Record], folder: str) -> int:
        told = settings_of(Config(), "cit", method).model_dump()
        return train(tmp_path / folder, base, "cit", method, records, **told)[0].tokens

    guessed = foreseen(base, CHATS, [])["finetune"].estimated_tokens
    seen = [Outcome("cit", "finetune", gain=0.5, loss=0.0, cost=taken("finetune", CHATS, "first") / guessed)]
    planned = {method: foreseen(base, LONG, seen)[method].cost_tokens for method in METHODS}
    used = {method: taken(method, LONG, method) for method in METHODS}
    off = {method: planned[method] / used[method] - 1 for method in METHODS}
    assert all(abs(share) <= WITHIN for share in off.values()), (planned, used)
    assert used["conpet"] > 1.5 * used["finetune"]


def test_what_is_rehearsed_is_counted_as_long_as_it_is():
    short, long = [text("Snow is white.")] * 4, [text(" ".join(SENTENCES))] * 4
    costs = {name: counted(Config(), "cpt", "replay", new, old) for name, new, old in (
        ("short", short, short), ("long", short, long))}  # fmt: skip
    assert costs["short"] is not None and costs["long"] is not None and costs["long"] > 2 * costs["short"]


def test_a_batch_of_three_rehearses_two_rows_for_each_new_one_where_half_is_asked_for():
    alone, beside = (counted(Config(), "cit", "conpet", CHATS, old) for old in ([], CHATS))
    assert alone is not None and beside == pytest.approx(3 * alone)


def test_what_a_method_says_it_reads_is_what_its_batches_hold():
    order = Order(lengths=[5] * 37, remembered=[5] * 40, batch_size=3, epochs=3, seed=1)
    told = {"batch_size": 3, "epochs": 3, "replay_share": 0.4}
    held = {
        conpet.reads(conpet.Settings(**told), 37, 40): conpet._balanced([range(20), range(20, 40)], 0.4, 500, order),
        replay.reads(replay.Settings(**told), 37, 40): plan_batches([5] * 37, 3, 3, 1, Replay(40, 0.4)),
        replay.reads(replay.Settings(**told, placement="within"), 37, 40): within(order, 0.4),
    }
    for reads, batches in held.items():
        rows = (sum(len(batch.new) for batch in batches), sum(len(batch.replayed) for batch in batches))
        assert rows == pytest.approx(tuple(reads), rel=0.05)  # the last batch of an epoch may be smaller


def test_a_method_that_does_not_tell_what_it_reads_is_not_counted():
    assert counted(Config(), "cit", "ewc", CHATS, CHATS) is None


def test_a_method_that_refuses_a_value_of_the_configuration_is_no_candidate_and_says_which():
    cit = StageTraining(replay_weight=0.0)
    config = Config(training=Training(cit=cit))
    situation = Situation(
        gaps=[], records=CHATS, tokens=100, epochs={"cpt": 1, "cit": 1, "ca": 1}, replayable=9, tokens_left=None,
        tolerated_loss=1.0, named=METHODS, counted=lambda stage, method: counted(config, stage, method, CHATS, CHATS),
    )  # fmt: skip
    refused = {one.method: one.refused or "" for one in propose(situation) if one.stage == "cit"}
    assert "refuses what [training.cit] says: replay_weight = 0.0" in refused["replay"]
    assert "refuses" not in refused["conpet"] + refused["finetune"]


def test_what_earlier_jobs_took_corrects_what_is_foreseen():
    base = {"gaps": [], "records": CHATS, "tokens": 100, "epochs": {"cpt": 1, "cit": 1, "ca": 1}, "replayable": 0,
            "tokens_left": None, "tolerated_loss": 1.0, "named": ("finetune", "ewc")}  # fmt: skip
    seen = [Outcome("cit", "ewc", 0.5, 0.0, cost=3.0), Outcome("cit", "l2", 0.5, 0.0, cost=1.0),
            Outcome("cpt", "finetune", 0.5, 0.0, cost=9.0), Outcome("cit", "ewc", 0.5, 0.0)]  # fmt: skip
    found = {one.id: one for one in propose(Situation(**base, outcomes=seen))}
    assert (found["cit.finetune"].estimated_tokens, found["cit.finetune"].cost_tokens) == (100, 200)
    assert found["cit.ewc"].cost_tokens == round(130 * (2.0 + 3.0) / 2)
