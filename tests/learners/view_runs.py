"""What methods make of records before they train: rows as text, and as a batch."""

import torch

from learners import training
from learners.job import TrainSpec
from tests.learners.runs import job_at, record, spec


def carrying(one, **content):
    """The record with more content, under an id of its own."""
    return record("instruction", {**one.content, **content})


def rows_of(folder, base, method, records, stage="cit", **settings):
    """What a job would learn, decoded."""
    order = TrainSpec.model_validate(spec(folder, base, stage, method, records, **settings))
    material = training.prepared(order, job_at(folder))
    return material, [material.tokenizer.decode(row["input_ids"]) for row in material.rows]


def batch_of(rows):
    """Rows as tensors, padded."""
    width = max(len(row["input_ids"]) for row in rows)
    padded = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    return {
        name: torch.tensor([
            [*(row.get(name) or [1] * len(row["input_ids"])), *[fill] * (width - len(row["input_ids"]))] for row in rows
        ])
        for name, fill in padded.items()
    }  # fmt: skip
