"""Training runs on the model that copies symbols: what the tests of instruction tuning share."""

import itertools

from tests.learners.runs import train
from tests.symbols import OWN, task

_NUMBERS = itertools.count()

RECIPE = {"learning_rate": 3e-3, "epochs": 4, "batch_size": 16, "checkpoint_steps": 1000, "memory_records": 0}


def learner(folder, base):
    """(method, number of a task) -> the version that learned it, after `parent` or after the model itself."""

    def learn(method, number, parent=base, *, more=(), **settings):
        records = [*task(number, 480, symbols=OWN[number], seed=1), *more]
        job = folder / f"{next(_NUMBERS)}-{method}"
        return train(job, parent, "cit", method, records, version=f"v{number}", **RECIPE | settings)[1]

    return learn


def loss(version, number):
    """Mean loss on questions of a task that were not learned, in nats."""
    import torch

    from learners import weights
    from learners.parts.views import rehearsal_rows

    loaded = weights.load(version, verify=False)
    asked = task(number, 64, symbols=OWN[number], seed=9)
    rows = [row for one in asked for row in rehearsal_rows(one, loaded.tokenizer, 64)]
    ids, labels = (torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels"))
    with torch.inference_mode():
        return float(loaded.model(input_ids=ids, labels=labels).loss)
