"""How far new text lies from what is remembered, and whether there is enough of it: known before a token is spent.

Owns the overlap of two corpora and two warnings, each from a study that names no algorithm: Gogoulou et al. 2023,
Continual Learning Under Language Shift (arXiv:2311.01200): what training does to an earlier language is explained by
how much of it stands in the later corpus, and by likeness of syntax; and Yildiz et al. 2024, Investigating Continual
Pretraining in Large Language Models (arXiv:2402.17400): a model of seven billion parameters got worse on domains of
less than about 100 MB, where models below one and a half billion gained. Called by `learners.viewing` and
by the planner; refuses nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from learners.records import Record

__all__ = ["far_shift", "overlap", "text_bytes", "too_little"]

_WORD = re.compile(r"\w+")
_FAR = 0.2
"""Against 77 short English answers: English handbooks 0.41 to 0.49, Python code 0.29, German 0.00 of the words."""
_BIG_PARAMETERS = 1_500_000_000
_ENOUGH_BYTES = 100_000_000

_Gram = tuple[str, ...]


def overlap(new: Iterable[str], old: Iterable[str], *, words: int = 1) -> float | None:
    """The share of the new texts' n-grams, each as often as it occurs, that occur anywhere in the old texts.

    Args:
        new, old: texts; case and punctuation do not count.
        words: n. Single words tell languages and subjects apart; word pairs also tell apart what is said with them.

    Returns:
        In [0, 1]; None where either has no n-gram.
    """
    known = {gram for text in old for gram in _grams(text, words)}
    counts = Counter(gram for text in new for gram in _grams(text, words))
    total = counts.total()
    return sum(count for gram, count in counts.items() if gram in known) / total if known and total else None


def _grams(text: str, words: int) -> Iterable[_Gram]:
    found = _WORD.findall(text.casefold())
    return zip(*(found[start:] for start in range(words)), strict=False)


def far_shift(shared: float | None) -> str | None:
    """What to do about new text that has little in common with what is remembered; None where nothing is to be done.

    Args:
        shared: `overlap` of single words.
    """
    if shared is None or shared >= _FAR:
        return None
    return (
        f"{shared:.0%} of the words occur in what is remembered: a strong shift, after which much is forgotten; a "
        "method that rehearses a quarter of each batch (rewarm_replay, replay_share = 0.25) keeps most of it"
    )


def text_bytes(records: Iterable[Record]) -> int:
    """How much text records hold, in UTF-8."""
    return sum(len(str(value).encode()) for record in records for value in record.content.values())


def too_little(text_bytes: int, parameters: int) -> str | None:
    """What to do about a corpus too small for a big model; None where it is not."""
    if parameters <= _BIG_PARAMETERS or text_bytes >= _ENOUGH_BYTES:
        return None
    return (
        f"{text_bytes / 1e6:.1f} MB of text for {parameters / 1e9:.1f} billion parameters: of less than about 100 MB a "
        "model of seven billion got worse on its own domain; train an adapter, not full weights, and let the gate judge"
    )
