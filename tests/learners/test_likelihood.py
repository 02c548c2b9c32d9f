"""Promises of the likelihood of rows: it is the model's own, whatever is read beside it."""

import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from learners.parts.likelihood import nats_of, negative_log_likelihood
from learners.parts.rows import learned
from learners.parts.views import rehearsal_rows, text_rows
from tests.learners.runs import CHATS, text


@pytest.fixture
def batch(tokenizer):
    """Answers and a text, of different length, in one batch."""
    rows = [row for chat in CHATS for row in rehearsal_rows(chat, tokenizer, 200)]
    rows += text_rows(text("Snow is white."), tokenizer, 200)
    return DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)(rows)


def test_the_likelihood_is_the_mean_over_labelled_tokens_of_all_rows(model, batch):
    torch.testing.assert_close(negative_log_likelihood(model, batch), model(**batch).loss)


def test_tokens_that_are_not_learned_have_no_likelihood(model, batch):
    nats, counted = nats_of(model, batch), learned(batch)
    assert nats.shape == counted.shape == (len(batch["labels"]), batch["labels"].shape[1] - 1)
    assert nats[~counted].eq(0).all()
    torch.testing.assert_close(nats.sum() / counted.sum(), model(**batch).loss)
