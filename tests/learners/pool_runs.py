"""Requests to versions with a pool of adapters: what the tests of its methods and of its routers share."""

import torch

from learners import weights
from learners.parts import extensions
from learners.parts.extensions.adapter_pool import prompt_tokens
from learners.parts.views import rehearsal_rows
from tests.symbols import OWN, task

QUICK = {"learning_rate": 2e-3, "epochs": 2, "batch_size": 2}


def rows(version, number, seed=9, count=64):
    """Questions of a task that were not learned: model, ids, labels."""
    loaded = weights.load(version, verify=False)
    found = [row for one in task(number, count, symbols=OWN[number], seed=seed)
             for row in rehearsal_rows(one, loaded.tokenizer, 64)]  # fmt: skip
    return loaded.model, *(torch.tensor([row[name] for row in found]) for name in ("input_ids", "labels"))


def routes(version, number):
    """Weights of all slots for questions of a task (questions x slots)."""
    model, ids, labels = rows(version, number)
    with torch.inference_mode():
        return extensions.attached(model).route(model, ids, prompt_tokens(labels, torch.ones_like(ids)))


def answered(version, number):
    """Logits of questions of a task and their answers, each routed by its question."""
    model, ids, labels = rows(version, number)
    with torch.inference_mode():
        return model(input_ids=ids, labels=labels).logits


def greedy(loaded, prompt, limit):
    """A plain loop of whole forward passes, in which the prompt alone is read by the router."""
    ids = torch.tensor([prompt])
    for _ in range(limit):
        labels = torch.where(torch.arange(ids.shape[1]) < len(prompt), -100, ids)
        with torch.inference_mode():
            token = loaded.model(input_ids=ids, labels=labels).logits[0, -1].argmax()
        ids = torch.cat([ids, token[None, None]], dim=1)
    return loaded.tokenizer.decode(ids[0, len(prompt) :], skip_special_tokens=True)


def said(loaded, question):
    turn = [{"role": "user", "content": question}]
    text = loaded.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    with torch.inference_mode():
        return loaded.model(**loaded.tokenizer(text, return_tensors="pt")).logits
