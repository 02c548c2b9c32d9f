"""FUAR: how many facts were forgotten for each that was updated or acquired. Owns the formula only."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["fuar"]


def fuar(
    retained: Sequence[tuple[float, float] | None], updated: Sequence[float], acquired: Sequence[float]
) -> float | None:
    """Forgotten over updated and acquired ratio (CKL, Jang 2022, 2110.03215): facts lost per fact gained; 0 is best.

    With gap(X, a, b) = X_a - X_b, the score of model a on facts X less that of model b, and models 0..n:
    sum_{i<n} max(0, gap(F_i, i, n)) / sum_{i<n} (max(0, gap(U, n, i)) + max(0, gap(A, n, i))), where both sums leave
    out an i whose corpus defines no invariant facts F_i.

    Args:
        retained: for every earlier corpus i < n, the score on its time-invariant facts of models i and n; None where
            corpus i defines none.
        updated: score of models 0..n on the facts that corpus n updates.
        acquired: score of models 0..n on the facts that corpus n adds.

    Returns:
        The ratio, or None where nothing was gained: a loss without a gain has no ratio.

    Raises:
        ValueError: not n + 1 scores of updated and acquired facts for n >= 1 earlier corpora.
    """
    corpora = len(retained)
    if corpora == 0 or not len(updated) == len(acquired) == corpora + 1:
        raise ValueError(f"{corpora} earlier corpora need {corpora + 1} scores each of updated and acquired facts; "
                         f"found {len(updated)} and {len(acquired)}")  # fmt: skip
    defined = [(i, pair) for i, pair in enumerate(retained) if pair is not None]
    lost = sum(max(0.0, early - late) for _, (early, late) in defined)
    gained = sum(max(0.0, facts[-1] - facts[i]) for i, _ in defined for facts in (updated, acquired))
    return lost / gained if gained > 0 else None
