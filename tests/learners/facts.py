"""Memorised facts, `id NAME` = DIGITS, on the tiny model: what the tests of forgetting share.

Digits say nothing by themselves, so a fact that is not known can only be guessed.
"""

import random
from functools import cache

from learners import durable, training, weights
from learners.records import write_records
from monitors.privacy.canaries import exposure
from tests.learners.runs import correct, job_at, spec, train
from tests.tiny import chat

_FILLS = 255
_DRAW = random.Random(3)


def _facts(names):
    return {f"id {name}": "".join(_DRAW.choices("0123456789", k=4)) for name in names.split()}


FACTS = _facts("Bado Cufi Dela Fomu Gitu Hape Jori Kusa Lemo Mavi Nepu Pigo Rotu Suka Tefi Vamo")
FORGOTTEN = dict(list(FACTS.items())[:4])
NEXT = dict(list(FACTS.items())[4:7])
"""What a second deletion forgets."""
NEVER = _facts("Wabe Xogi Yule Zapo Bemi Cato Dusi Fane Gopu Hiro Jemu Kilo Luta Mene Nogi Pula")
"""Facts that no version was trained on."""


def records(facts):
    return [chat(question, answer) for question, answer in facts.items()]


def besides(*several):
    """The facts but for some."""
    left_out = {question for facts in several for question in facts}
    return {question: answer for question, answer in FACTS.items() if question not in left_out}


def memorised(folder, base):
    """A version that knows all facts, and still what the tiny model knows."""
    settings = {"learning_rate": 3e-3, "epochs": 80, "batch_size": 12, "replay_share": 0.25, "replay_weight": 1.0,
                "full_weights": True, "checkpoint_steps": 1000}  # fmt: skip
    version = train(folder, base, "cit", "replay", records(FACTS), **settings)[1]
    return version.rename(version.with_name("v1"))  # a later version's adapter stands on it by this name


def order(folder, parent, method, forgotten, *, retain=(), unrehearsed=(), version="v2", **settings):
    """The spec of a job that forgets, as plain JSON."""
    given = spec(folder, parent, "forget", method, forgotten, version=version, **settings)
    write_records(folder / "retain.jsonl", retain)
    return given | {"retain": str(folder / "retain.jsonl"), "unrehearsed": list(unrehearsed)}


def forget(folder, parent, method, forgotten, **options):
    """Run one such job in this process; publish the version beside its parent, under a name of its own."""
    job = job_at(folder)
    result = training.train(order(folder, parent, method, forgotten, checkpoint_steps=1000, **options), job)
    final = parent.parent / f"{result.version_id}-{folder.name}-of-{parent.name}"
    durable.publish(job.output / "version", final)
    return result, final


def exposure_bits(version, facts):
    """Mean exposure of the facts' digits among random ones."""
    import torch

    loaded = weights.load(version, verify=False)
    found = []
    with torch.inference_mode():
        for question, answer in facts.items():
            turn = [{"role": "user", "content": question}]
            prompt = loaded.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            whole = [prompt + fill for fill in (answer, *_fills(answer))]
            ids = torch.tensor(loaded.tokenizer(whole, add_special_tokens=False)["input_ids"])
            likely = loaded.model(input_ids=ids).logits[:, -5:-1].log_softmax(-1)
            secret, *others = likely.gather(2, ids[:, -4:, None]).sum(dim=(1, 2)).tolist()
            found.append(exposure(secret, others))
    return sum(found) / len(found)


@cache
def _fills(answer):
    draw, drawn = random.Random(answer), set()
    while len(drawn) < _FILLS:
        drawn.add("".join(draw.choices("0123456789", k=4)))
        drawn.discard(answer)
    return tuple(sorted(drawn))


def shares(version, forgotten, known):
    """Right answers: of what is forgotten, of the facts besides, of what is known."""
    return correct(version, forgotten), correct(version, besides(forgotten)), correct(version, known)
