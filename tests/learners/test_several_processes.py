"""One training job in several processes: they learn what one would, and die and go on as one."""

import pytest

from tests.learners.runs import CHATS, TEXTS, steps_taken, text, train
from tests.learners.several import ROUNDING, apart, forked, launched, prepare

SHORT = {"epochs": 3, "batch_size": 3, "checkpoint_steps": 1, "learning_rate": 1e-2}  # 6 steps; of 4 rows, 3 and 1
UNEVEN = [text(" ".join(["Paris is the capital of France."] * 12)), *TEXTS]


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "method", "records", "options"), [
    ("cpt", "finetune", UNEVEN, {}),
    ("cpt", "finetune", UNEVEN, {"packing": True, "full_weights": True}),
    ("cit", "replay", CHATS, {}),
])  # fmt: skip
def test_two_processes_learn_what_one_does(base, tmp_path, stage, method, records, options):
    folder = tmp_path / "shared"
    prepare(folder, base, stage, method, records, **SHORT, **options)
    alone, version = train(tmp_path / "alone", base, stage, method, records, **SHORT, **options)
    assert forked(folder) == [0, 0]
    assert apart(version, folder / "output" / "version") < ROUNDING
    assert f'"tokens": {alone.tokens},' in (folder / "output" / "result.json").read_text()
    assert not (folder / "work" / "process-1").exists()


@pytest.mark.slow
def test_batches_that_are_not_weighed_would_be_noticed(base, tmp_path, monkeypatch):
    """The planted fault: with every process counting the same, whatever it holds, the weights end elsewhere."""
    from learners.loop import Extended
    from learners.trainer import _RowTrainer

    monkeypatch.setattr(_RowTrainer, "_learned", Extended._learned)
    folder = tmp_path / "shared"
    prepare(folder, base, "cpt", "finetune", UNEVEN, **SHORT)
    _, version = train(tmp_path / "alone", base, "cpt", "finetune", UNEVEN, **SHORT)
    assert forked(folder) == [0, 0]
    assert apart(version, folder / "output" / "version") > 1e-3


@pytest.mark.slow
def test_a_process_that_cannot_go_on_names_the_failure_of_all(base, tmp_path):
    folder = tmp_path / "shared"
    prepare(folder, base, "cpt", "finetune", CHATS, **SHORT)
    assert forked(folder) == [1, 1]
    assert "can be learned by stage 'cpt'" in (folder / "failure.json").read_text()


@pytest.mark.slow
def test_processes_that_were_killed_go_on_from_their_checkpoint(base, tmp_path):
    folder = tmp_path / "shared"
    prepare(folder, base, "cit", "replay", CHATS, **SHORT)
    _, version = train(tmp_path / "alone", base, "cit", "replay", CHATS, **SHORT)
    assert launched(folder, crash="train:halfway") != 0
    assert not (folder / "manifest.json").exists()
    assert launched(folder) == 0, (folder / "worker.log").read_text()[-3000:]
    assert steps_taken(folder) == [1, 2, 3, 3, 4, 5, 6]
    assert apart(version, folder / "output" / "version") < ROUNDING
