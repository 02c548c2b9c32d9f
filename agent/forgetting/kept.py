"""What must be kept while other records are forgotten: the learned records nearest to them.

Training keeps them (`TrainSpec.retain`), and the proof asks whether it did. Left out are those that say the same: a
record with the same secret and most of the same words would teach what is to be forgotten; the preview names them, so
that an operator can ask for them too. Called by `training`, `proving` and what shows requests and plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.forgetting.lineage import holdings
from agent.store import Session, deployment, forgetting, pool
from learners.records import Record
from monitors.privacy.lookalikes import Vocabulary, secrets_of
from monitors.privacy.membership import passage
from monitors.privacy.neighbours import nearest

__all__ = ["Kept", "kept", "retained"]

_READ = 2000
_SAME = 0.5
_SECRETS = 2


@dataclass(frozen=True)
class Kept:
    """Learned records beside those to be forgotten, nearest first: `records` to keep, `same` that say the same."""

    records: tuple[Record, ...]
    same: tuple[Record, ...]


def kept(tx: Session, forgotten: Sequence[Record], most: int) -> Kept:
    """At most `most` records to keep, of the newest two thousand that the serving version knows."""
    ids = [record.id for record in forgotten]
    beside = [row.record for row in forgetting.learned_beside(tx, ids, _READ)]
    known = holdings(tx, [record.id for record in beside])[deployment.current(tx).version]
    found = nearest(forgotten, [record for record in beside if record.id in known], _READ)
    vocabulary = Vocabulary.of([*forgotten, *beside])
    secrets = {secret.text.lower() for record in forgotten for secret in secrets_of(record, vocabulary, _SECRETS)}
    same = tuple(record for record, near in found if near >= _SAME and _says_one(record, secrets))
    others = (record for record, _ in found if record not in same)
    return Kept(tuple(others)[:most], same)


def retained(tx: Session, forgotten: Iterable[str], most: int) -> tuple[Record, ...]:
    """What training keeps while it forgets the records of these ids."""
    return kept(tx, [row.record for row in pool.get(tx, forgotten)], most).records


def _says_one(record: Record, secrets: set[str]) -> bool:
    said = passage(record)[1].lower()
    return any(secret in said for secret in secrets)
