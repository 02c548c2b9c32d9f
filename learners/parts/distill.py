"""Distillation: the trained model is kept near a frozen teacher in what it answers, not in what it weighs.

Owns the teacher (the weights before the stage, without a second copy of the frozen ones) and three distances between
it and the student: of the answers (`logits`), of the hidden states (`hidden`), and of how the rows of a batch
lie to each other (`relational`). Distances are zero, with zero gradient, where student and teacher are equal. The last
two compare rows and not tokens, so several processes read the rows together: of new ones, all need the whole batch
(`Recipe.whole`).

Sources: Hinton et al. 2015 (arXiv:1503.02531) for logits, T^2 included; Jin et al. 2022, Lifelong Pretraining
(arXiv:2110.08534), for all three; Castellucci et al. 2021 for the teacher-student setting over languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from learners.parts.likelihood import predicted
from learners.parts.penalties import trainable_copy

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from learners.methods.contract import Step

__all__ = ["Distance", "Distillation", "Source", "Teacher", "mean_pooled", "of_predictions"]

Distance = Literal["logits", "hidden", "relational"]
Source = Literal["new", "rehearsal"]


class Teacher:
    """The model as it is now, for as long as its trainable weights change: one copy of those, nothing else."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._weights = trainable_copy(model)

    def __call__(self, model: PreTrainedModel, **inputs: Any) -> Any:
        """The teacher's outputs, without gradients and without what only training does."""
        import torch
        from torch.func import functional_call

        from learners.together import unwrapped

        model = unwrapped(model)
        training = model.training
        model.eval()
        weights = {name: weight.to(next(model.parameters()).device) for name, weight in self._weights.items()}
        with torch.no_grad():
            outputs = functional_call(model, weights, kwargs=inputs)
        model.train(training)
        return outputs


class Distillation:
    """weight * distance(teacher, student) on the new or the rehearsed rows.

    Args:
        teacher: that the student is kept near.
        distance: which one.
        source: rows on which they are compared; a step without such rows adds nothing.
        weight: alpha.
        temperature: T of `logits`, and the tau of `relational`.
    """

    def __init__(
        self, teacher: Teacher, *, distance: Distance, source: Source, weight: float, temperature: float
    ) -> None:
        self._teacher, self._distance, self._source = teacher, distance, source
        self._weight, self._temperature = weight, temperature

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The weighted distance, a scalar."""
        import torch

        from learners.together import by_rows

        rows = step.new if self._source == "new" else step.rehearsal
        if not rows:
            return torch.zeros((), device=next(model.parameters()).device)
        if self._distance == "logits":
            taught, learned = predicted(model, rows, by=partial(self._teacher, model)), predicted(model, rows)
            return of_predictions(taught, learned, self._temperature) * self._weight
        inputs = {name: rows[name] for name in ("input_ids", "attention_mask")}
        before, now = by_rows(partial(self._pooled, model), inputs).unbind(dim=1)
        hidden = self._distance == "hidden"
        return (_of_hidden(before, now) if hidden else _relational(before, now, self._temperature)) * self._weight

    def _pooled(self, model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What teacher and student make of each row (rows x 2 x width)."""
        import torch

        options = {"use_cache": False, "output_hidden_states": True}
        both = (self._teacher(model, **inputs, **options), model(**inputs, **options))
        return torch.stack([mean_pooled(one.hidden_states[-1], inputs["attention_mask"]) for one in both], dim=1)


def mean_pooled(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of the hidden states of real tokens: rows x tokens x width -> rows x width, float32."""
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)


def of_predictions(taught: torch.Tensor, learned: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 * KL(teacher || student) of their logits (each tokens x vocabulary), the mean over tokens, in nats."""
    from torch.nn.functional import kl_div, log_softmax

    expected, given = (log_softmax(logits / temperature, dim=-1) for logits in (taught, learned))
    return kl_div(given, expected, log_target=True, reduction="batchmean") * temperature**2


def _of_hidden(taught: torch.Tensor, learned: torch.Tensor) -> torch.Tensor:
    """Squared distance of the pooled last hidden states, the mean over rows and dimensions."""
    return (learned - taught).square().mean()


def _relational(taught: torch.Tensor, learned: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL of whom each row resembles: softmax over the other rows of cosine / tau; 0 for a batch of one or two."""
    import torch
    from torch.nn.functional import kl_div, log_softmax, normalize

    if len(taught) <= 2:
        return (learned * 0).sum()
    itself = torch.eye(len(taught), dtype=torch.bool, device=taught.device)
    expected, given = (
        log_softmax((normalize(rows) @ normalize(rows).T / temperature)[~itself].view(len(rows), -1), dim=-1)
        for rows in (taught, learned)
    )
    return kl_div(given, expected, log_target=True, reduction="batchmean")
