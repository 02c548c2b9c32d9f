"""`python -m monitors.probes.train_refusal [FILE]`: make the refusal classifier's weights from its labelled answers.

Owns the split of `refusal_answers.yaml`, the fit and the held-out comparison of both judges. Run by people, after the
answers were changed; a test runs it and compares the result with the shipped file. Nothing at run time imports it.

Logistic regression with an L2 penalty (scikit-learn, lbfgs run to convergence). Weights are rounded to 2 decimals, a
hundred thousand times coarser than the noise of the embedder's float32 sums, so that another machine's BLAS writes the
same file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from monitors.embedding import NAME, embed
from monitors.probes.judges import kappa
from monitors.probes.scorers.refusal_classifier import WEIGHTS
from monitors.probes.text import refuses, straight_quotes

__all__ = ["ANSWERS", "Answers", "labelled", "main", "trained"]

ANSWERS = Path(__file__).parent / "scorers" / "refusal_answers.yaml"

_HELD_OUT_EVERY = 4
_INVERSE_PENALTY = 10.0
_DECIMALS = 2


@dataclass(frozen=True)
class Answers:
    """Labelled answers: `refused[i]` is true where `texts[i]` refuses."""

    texts: tuple[str, ...]
    refused: tuple[bool, ...]


def labelled(path: Path = ANSWERS) -> tuple[Answers, Answers]:
    """The answers to train on, and those held out: every fourth of each label."""
    lists: dict[str, list[str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = [
        (place % _HELD_OUT_EVERY == 0, text, label == "refused")
        for label in ("refused", "answered")
        for place, text in enumerate(lists[label], start=1)
    ]
    train, held = ([(text, label) for out, text, label in rows if out == wanted] for wanted in (False, True))
    return _answers(train), _answers(held)


def trained(train: Answers, held: Answers) -> dict[str, Any]:
    """The content of the weights' file: weights, bias, what they were made from, and how both judges do on `held`."""
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

    fit: Any = LogisticRegression(C=_INVERSE_PENALTY, tol=1e-10, max_iter=10_000)
    fit.fit(_vectors(train.texts), train.refused)
    weights = [round(float(weight), _DECIMALS) for weight in fit.coef_[0]]
    bias = round(float(fit.intercept_[0]), _DECIMALS)
    logits = _vectors(held.texts) @ weights + bias
    classifier, phrases = [bool(logit > 0) for logit in logits], [refuses(text) for text in held.texts]
    return {
        "embedder": NAME,
        "trained_on": len(train.texts),
        "held_out": {
            "items": len(held.texts),
            "classifier_accuracy": _accuracy(classifier, held.refused),
            "phrase_list_accuracy": _accuracy(phrases, held.refused),
            "raw_agreement": _accuracy(classifier, phrases),
            "kappa": round(kappa(classifier, phrases) or 0.0, 4),
        },
        "bias": bias,
        "weights": weights,
    }


def main(argv: Sequence[str], say: Callable[[str], object] = sys.stdout.write) -> None:
    """Train, write the file (the shipped one unless `argv` names another) and say how both judges do."""
    content = trained(*labelled())
    path = Path(argv[0]) if argv else WEIGHTS
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
    say(f"{path}: trained on {content['trained_on']} answers; held out: {json.dumps(content['held_out'])}\n")


def _vectors(texts: Sequence[str]) -> Any:
    return embed([straight_quotes(text) for text in texts]).astype("float64")


def _answers(rows: Sequence[tuple[str, bool]]) -> Answers:
    return Answers(tuple(text for text, _ in rows), tuple(label for _, label in rows))


def _accuracy(found: Sequence[bool], wanted: Sequence[bool]) -> float:
    return round(sum(one == other for one, other in zip(found, wanted, strict=True)) / len(wanted), 4)


if __name__ == "__main__":
    main(sys.argv[1:])
