"""Losses that are no mean over the tokens of a batch, in several processes: what one process learns, they learn."""

import pytest

from learners import ranks
from learners.loop import Extended
from tests.learners.runs import CHATS, TEXTS, text, train
from tests.learners.several import ROUNDING, apart, forked, prepare

pytestmark = pytest.mark.slow

SHORT = {"epochs": 2, "batch_size": 3, "checkpoint_steps": 1, "learning_rate": 1e-2}  # of 4 or 5 rows, 3 and the rest
UNEVEN = [text(" ".join(["Paris is the capital of France."] * 12)), *TEXTS]
REASONS = ("It is known.", "So it says.", "The office is hers.", "Badges of Quill are.")
EXPLAINED = [
    one.model_copy(update={"content": {**one.content, "rationale": why}})
    for one, why in zip(CHATS, REASONS, strict=True)
]
VIEWS = {"rationale_tokens": 0, "epochs": 1}


@pytest.mark.parametrize(("stage", "method", "records", "options"), [
    ("cpt", "l2", UNEVEN, {"penalty_weight": 10}),  # a penalty counts once, whatever part of a batch a process has
    ("cit", "rationale_cl", EXPLAINED, VIEWS),
    ("cpt", "distill", UNEVEN, {"distance": "hidden"}),
    ("cpt", "distill", UNEVEN, {"distance": "relational", "temperature": 0.05}),
    ("cpt", "das", UNEVEN, {"contrast_weight": 1, "learning_rate": 1e-3}),
    ("cpt", "prompt_pool", UNEVEN, {"pairs": 6, "chosen": 2}),  # a term uses weights that the forward pass does not
])  # fmt: skip
def test_two_processes_learn_with_every_term_what_one_does(base, tmp_path, stage, method, records, options):
    alone, version, shared = _both(base, tmp_path, stage, method, records, options)
    assert apart(version, shared / "version") < ROUNDING
    assert f'"tokens": {alone.tokens},' in (shared / "result.json").read_text()


def test_two_processes_carry_over_what_a_donor_learned_as_one_does(base, tmp_path):
    donor = train(tmp_path / "donor", base, "cpt", "finetune", TEXTS[:2], **SHORT)[1]
    _, version, shared = _both(base, tmp_path, "cpt", "recycle", UNEVEN, {"donor": donor.name})
    assert apart(version, shared / "version") < ROUNDING


def test_views_that_are_weighed_by_their_tokens_would_be_noticed(base, tmp_path, monkeypatch):
    """The planted fault: each process has a part of the batch, and with it a part of the views."""
    monkeypatch.setattr(Extended, "_parted", property(lambda self: ranks.count() > 1))
    monkeypatch.setattr("learners.together.by_rows", lambda read, rows: read(rows))
    _, version, shared = _both(base, tmp_path, "cit", "rationale_cl", EXPLAINED, VIEWS)
    assert apart(version, shared / "version") > 1e-3


def _both(base, tmp_path, stage, method, records, options):
    """What one process says and makes, and the output folder of two."""
    folder = tmp_path / "shared"
    prepare(folder, base, stage, method, records, **SHORT | options)
    alone, version = train(tmp_path / "alone", base, stage, method, records, **SHORT | options)
    assert forked(folder) == [0, 0], (folder / "failure.json").read_text()
    return alone, version, folder / "output"
