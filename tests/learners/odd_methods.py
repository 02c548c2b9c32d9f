"""Methods that only tests use: each is what a third party's module would be."""

import torch

from learners.methods import contract
from learners.methods.contract import Recipe
from learners.parts.penalties import trainable_copy


class Settings(contract.Settings):
    """How the method misbehaves, or what it does after a step."""

    broken_loss: float | None = None
    frozen: bool = False


def compose(run):
    """Add a constant to the loss at every step but the first five, or undo every step."""
    start = trainable_copy(run.model)
    steps = []

    def constant(model, step):
        steps.append(1)
        return torch.tensor(run.settings.broken_loss if len(steps) > 5 else 0.0)

    def undo(model, moment):
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in start:
                    weight.copy_(start[name])

    return Recipe(
        losses=() if run.settings.broken_loss is None else (constant,),
        after_step=(undo,) if run.settings.frozen else (),
    )
