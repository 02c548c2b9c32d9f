"""Promises of reading pairs: no answer's number depends on what is read beside it, and a norm says what to say."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy
from trl.trainer.dpo_trainer import DataCollatorForPreference

from learners.methods.value_revision import Revising
from learners.parts import pairs
from learners.parts.likelihood import nats
from learners.parts.views import pair_rows
from tests.learners.runs import PREFERENCES, preference, train
from tests.learners.test_alignment_methods import ALONE, LONG, likelihoods
from tests.tiny import KNOWN

QUESTIONS = list(KNOWN)
UNLIKE = [
    preference(question, " ".join(["Red"] * (1 + 7 * place)), "Two") for place, question in enumerate(QUESTIONS[:4])
]


def batch_of(records, tokenizer):
    rows = [row for one in records for row in pair_rows(one, tokenizer, 200)]
    return DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id)(rows)


def test_an_answer_reads_the_same_alone_as_in_a_batch_of_other_lengths(model, tokenizer):
    together = torch.stack(pairs.answer_nats(model, batch_of(UNLIKE, tokenizer)), dim=1)
    alone = [torch.stack(pairs.answer_nats(model, batch_of([one], tokenizer)), dim=1) for one in UNLIKE]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)
    assert len(set(together.flatten().tolist())) == 2 * len(UNLIKE)


def test_no_forward_pass_reads_more_rows_than_a_few_nor_their_common_padding(model, tokenizer, monkeypatch):
    seen = []
    monkeypatch.setattr(pairs, "nats", lambda model, rows: seen.append(rows["input_ids"].shape) or nats(model, rows))
    pairs.answer_nats(model, batch_of(UNLIKE, tokenizer))
    assert [rows for rows, _ in seen] == [4, 4]
    assert seen[0][1] < seen[1][1]


def revising_loss(model, batch, retired, chosen_weight):
    zero = torch.zeros(len(retired))
    marked = {**batch, "ref_chosen_logps": zero, "ref_rejected_logps": zero, "retired": torch.tensor(retired)}
    return float(Revising({}, beta=0.1, chosen_weight=chosen_weight)(model, SimpleNamespace(new=marked)).detach())


@pytest.mark.parametrize("retired", [[False, False, False, False], [True, False, True, False]])
def test_the_likelihood_counts_the_tokens_of_preferred_answers_that_hold(model, tokenizer, retired):
    batch = batch_of(UNLIKE, tokenizer)
    held = [place for place, gone in enumerate(retired) if not gone]
    labels = batch["input_ids"].masked_fill(~batch["completion_mask"].bool(), -100)[held]
    with torch.inference_mode():
        logits = model(batch["input_ids"][held], attention_mask=batch["attention_mask"][held]).logits
    expected = float(cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()))
    found = revising_loss(model, batch, retired, 2.0) - revising_loss(model, batch, retired, 0.0)
    assert found == pytest.approx(2 * expected, abs=1e-3)


def test_where_everything_is_retired_no_likelihood_is_asked_for(model, tokenizer):
    batch = batch_of(UNLIKE, tokenizer)
    losses = [revising_loss(model, batch, [True] * 4, weight) for weight in (0.0, 5.0)]
    assert losses[0] == losses[1] > 0


@pytest.mark.slow
def test_a_norm_teaches_what_to_say_and_not_only_what_to_avoid(base, tmp_path):
    """DPO alone widens the margin; both answers may become less likely by it."""
    said = {
        weight: train(
            tmp_path / f"{weight}", base, "ca", "value_revision", PREFERENCES, **ALONE, **LONG, chosen_weight=weight
        )[1]
        for weight in (0.0, 1.0)
    }
    wanted = {weight: sum(likelihoods(version, PREFERENCES)[::2]) for weight, version in said.items()}
    assert wanted[1.0] > wanted[0.0] + 1
