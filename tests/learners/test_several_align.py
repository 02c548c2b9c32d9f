"""Alignment and forgetting in several processes: losses over whole batches are those of one process."""

import pytest

from tests.learners.runs import OLD, PREFERENCES, steps_taken, train
from tests.learners.several import ROUNDING, apart, forked, prepare

pytestmark = pytest.mark.slow

SHORT = {"epochs": 2, "batch_size": 3, "checkpoint_steps": 1, "learning_rate": 1e-2}  # of 4 rows, 3 and 1
ANSWERED = {"answers": 4, "answer_tokens": 4, "rewards": [{"kind": "pattern", "pattern": "^[A-L]"}]}


@pytest.mark.parametrize(("stage", "method", "records", "options"), [
    ("ca", "dpo_replay", PREFERENCES, {}),
    ("ca", "dpo", PREFERENCES, {"full_weights": True}),
    ("ca", "kto", PREFERENCES, {}),
    ("ca", "cppo", PREFERENCES, ANSWERED),
    ("ca", "copr", PREFERENCES, {}),
    ("forget", "npo", OLD[:4], {}),
    ("forget", "eul", OLD[:4], {"learning_rate": 1e-3}),  # its divergence begins at zero, where rounding decides
    ("forget", "idk_dpo", OLD[:4], {}),
])  # fmt: skip
def test_two_processes_learn_from_a_whole_batch_what_one_does(base, tmp_path, stage, method, records, options):
    folder = tmp_path / "shared"
    prepare(folder, base, stage, method, records, **SHORT | options)
    alone, version = train(tmp_path / "alone", base, stage, method, records, **SHORT | options)
    assert forked(folder) == [0, 0], (folder / "failure.json").read_text()
    assert apart(version, folder / "output" / "version") < ROUNDING
    assert f'"tokens": {alone.tokens},' in (folder / "output" / "result.json").read_text()


@pytest.mark.parametrize(("method", "options"), [("copr", {}), ("cppo", ANSWERED)])
def test_processes_that_align_and_were_killed_go_on_from_their_checkpoint(base, tmp_path, method, options):
    """Multipliers, answers and the draws of the next ones are those of a run that was never killed."""
    folder = tmp_path / "shared"
    prepare(folder, base, "ca", method, PREFERENCES, **SHORT | options)
    _, version = train(tmp_path / "alone", base, "ca", method, PREFERENCES, **SHORT | options)
    assert 0 not in forked(folder, crash="train:halfway")
    assert forked(folder) == [0, 0]
    assert len(steps_taken(folder)) == len(set(steps_taken(folder))) + 1
    assert apart(version, folder / "output" / "version") < ROUNDING


def test_rows_that_the_others_are_not_told_of_would_be_noticed(base, tmp_path, monkeypatch):
    """The planted fault: each process takes the rows that it did not read to be worth nothing."""

    def alone(ctx, own, places, number):
        ctx.places = places
        return own.new_zeros((number, *own.shape[1:])).index_copy(0, places, own)

    monkeypatch.setattr("learners.together._Whole.forward", staticmethod(alone))
    folder = tmp_path / "shared"
    prepare(folder, base, "ca", "copr", PREFERENCES, **SHORT)
    _, version = train(tmp_path / "alone", base, "ca", "copr", PREFERENCES, **SHORT)
    assert forked(folder) == [0, 0]
    assert apart(version, folder / "output" / "version") > 1e-3
