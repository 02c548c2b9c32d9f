"""Requests to forget, the records they withdraw, and their certificates (promises P4, P9, P10).

request:  open -> done (certified) | ended (its cycle was rejected, failed or aborted)
record:   waiting | learned | refused | set_aside -> forgotten     for good: its id stays known, so it never comes again

A forgotten record keeps its row. Where its content is redacted, a text of the same shape says so in its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import events
from agent.store.errors import StaleState
from agent.store.once import chunks
from agent.store.tables import ForgetCertificate, ForgetRequest, IntakeFileRow, PooledRecord, now
from learners.records import Kind

__all__ = [
    "REDACTED", "ForgetCertificate", "ForgetRequest", "certificate_of", "certify", "create", "digest", "end",
    "files_of", "find_by_cycle", "get", "ids_of", "learned_beside", "listing", "matching", "redact", "saying",
    "tombstone", "withdraw",
]  # fmt: skip

REDACTED: Final = "[forgotten]"
"""What stands in the place of redacted content."""

_READ_ROWS = 1000
_LEAST_PREFIX = 6


def matching(
    tx: Session, *, prefixes: Iterable[str] = (), sources: Iterable[str] = (), states: Iterable[str] = ()
) -> list[PooledRecord]:
    """Records whose id begins with one of `prefixes`, or that came from one of `sources`, in order of arrival.

    Args:
        prefixes: of ids; each must be one record's alone.
        states: only records in one of these; any where empty.

    Raises:
        NotFound: a prefix is no record's, or several records'.
    """
    found = {row.seq: row for prefix in prefixes for row in [_named(tx, prefix)]}
    if names := sorted(set(sources)):
        found |= {row.seq: row for row in tx.scalars(select(PooledRecord).where(PooledRecord.source.in_(names)))}
    wanted = frozenset(states)
    return [found[seq] for seq in sorted(found) if not wanted or found[seq].state in wanted]


def saying(tx: Session, words: str) -> list[PooledRecord]:
    """Records that hold `words` somewhere in their content, whatever the case, in order of arrival."""
    wanted = " ".join(words.split()).lower()
    query = select(PooledRecord).where(PooledRecord.state != "forgotten").order_by(PooledRecord.seq)
    rows = tx.scalars(query.execution_options(yield_per=_READ_ROWS))
    return [row for row in rows if wanted in " ".join(" ".join(_strings(row.content)).split()).lower()]


def learned_beside(tx: Session, ids: Iterable[str], limit: int) -> list[PooledRecord]:
    """Learned records other than `ids`, newest first, at most `limit`."""
    without = frozenset(ids)
    query = select(PooledRecord).where(PooledRecord.state == "learned").order_by(PooledRecord.seq.desc())
    rows = tx.scalars(query.limit(limit + len(without)))
    return [row for row in rows if row.id not in without][:limit]


def ids_of(tx: Session) -> frozenset[str]:
    """Ids of every forgotten record."""
    return frozenset(tx.scalars(select(PooledRecord.id).where(PooledRecord.state == "forgotten")))


def create(
    tx: Session,
    *,
    who: str,
    why: str,
    asked: Mapping[str, Any],
    records: Sequence[str],
    learned: Sequence[str],
    method: str | None,
    redact: bool,
    cycle: str | None,
) -> ForgetRequest:
    """Record a request, open."""
    number = (tx.scalar(select(func.max(ForgetRequest.number))) or 0) + 1
    row = ForgetRequest(
        id=f"f{number}", number=number, state="open", who=who, why=why, asked=dict(asked), records=list(records),
        learned=list(learned), method=method, redact=redact, cycle=cycle,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    counts = {"records": len(records), "learned": len(learned)}
    events.record(tx, "forget.asked", row.id, who, why, cycle=cycle, method=method, **counts)
    return row


def get(tx: Session, request_id: str) -> ForgetRequest:
    """One request.

    Raises:
        NotFound: no such request.
    """
    row = tx.get(ForgetRequest, request_id, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no request {request_id!r}; `cld forget list` shows those there are")
    return row


def find_by_cycle(tx: Session, cycle: str) -> ForgetRequest | None:
    """The request that a cycle works for, None for every cycle that learns."""
    return tx.scalar(select(ForgetRequest).where(ForgetRequest.cycle == cycle))


def listing(tx: Session, limit: int = 100) -> list[ForgetRequest]:
    """The newest requests, newest first."""
    return list(tx.scalars(select(ForgetRequest).order_by(ForgetRequest.number.desc()).limit(limit)))


def withdraw(tx: Session, ids: Iterable[str], request_id: str, who: str, why: str) -> int:
    """Mark records as forgotten; return how many were not before. Their cycle stays on record.

    Raises:
        StaleState: a cycle has claimed one of them.
    """
    changed = 0
    for chunk in chunks(sorted(set(ids))):
        mine = PooledRecord.id.in_(chunk)
        rows = list(tx.scalars(select(PooledRecord).where(mine)))
        if claimed := [row.id for row in rows if row.state == "claimed"]:
            raise StaleState(f"record {claimed[0]!r} is being learned by a cycle: `cld cycle abort` it first, or wait")
        changed += sum(row.state != "forgotten" for row in rows)
        values = update(PooledRecord).where(mine).values(state="forgotten")
        tx.execute(values.execution_options(synchronize_session="fetch"))
    if changed:
        events.record(tx, "pool.forgotten", request_id, who, why, records=changed)
    return changed


def redact(tx: Session, ids: Iterable[str], request_id: str, who: str, why: str) -> int:
    """Put a tombstone of the same shape in the place of each record's content; return how many."""
    count = 0
    for chunk in chunks(sorted(set(ids))):
        for row in tx.scalars(select(PooledRecord).where(PooledRecord.id.in_(chunk))).all():
            values = {"content": tombstone(row.kind), "origin": REDACTED}
            which = update(PooledRecord).where(PooledRecord.seq == row.seq).values(**values)
            tx.execute(which.execution_options(synchronize_session="fetch"))
            count += 1
    events.record(tx, "records.redacted", request_id, who, why, records=count)
    return count


def tombstone(kind: Kind) -> dict[str, Any]:
    """What a redacted record of a kind holds: `REDACTED` in every place that has to be there."""
    asked, said = [{"role": "user", "content": REDACTED}], [{"role": "assistant", "content": REDACTED}]
    return {
        "text": {"text": REDACTED, "title": None},
        "instruction": {"messages": [*asked, *said]},
        "tool": {"messages": [*asked, *said]},
        "preference": {"prompt": asked, "chosen": said, "rejected": said},
        "feedback": {"prompt": asked, "completion": said, "label": False},
    }[kind]


def end(tx: Session, request_id: str, state: str, who: str, why: str) -> ForgetRequest:
    """Close a request as `done` or `ended`. A request that is closed stays as it is."""
    row = get(tx, request_id)
    if row.state == "open":
        values = {"state": state, "reason": why, "ended_at": now()}
        tx.execute(update(ForgetRequest).where(ForgetRequest.id == request_id).values(**values))
        events.record(tx, f"forget.{state}", request_id, who, why)
    return get(tx, request_id)


def certify(tx: Session, request_id: str, document: Mapping[str, Any], who: str, why: str) -> ForgetCertificate:
    """Append the certificate of a request. The first one stands; a second call changes nothing."""
    row = certificate_of(tx, request_id)
    if row is not None:
        return row
    row = ForgetCertificate(request=request_id, document=dict(document), digest=digest(document))
    tx.add(row)
    tx.flush()
    events.record(tx, "forget.certified", request_id, who, why, digest=row.digest)
    return row


def certificate_of(tx: Session, request_id: str) -> ForgetCertificate | None:
    """The certificate of a request, None before it has one."""
    return tx.scalar(select(ForgetCertificate).where(ForgetCertificate.request == request_id))


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a certificate's canonical JSON: sorted keys, no spaces."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def files_of(tx: Session, intakes: Iterable[int]) -> list[str]:
    """Paths of the files that some intakes read, each once."""
    query = select(IntakeFileRow.path).where(IntakeFileRow.intake.in_(sorted(set(intakes)))).distinct()
    return sorted(tx.scalars(query))


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in cast(Mapping[str, Any], value).values():
            yield from _strings(inner)
    elif isinstance(value, Sequence):
        for inner in cast(Sequence[Any], value):
            yield from _strings(inner)


def _named(tx: Session, prefix: str) -> PooledRecord:
    if len(prefix) < _LEAST_PREFIX:
        raise NotFound(f"{prefix!r} is too short for a record's id: give its first {_LEAST_PREFIX} characters or more")
    which = PooledRecord.id.startswith(prefix, autoescape=True)
    found = list(tx.scalars(select(PooledRecord).where(which).order_by(PooledRecord.seq).limit(2)))
    if len(found) == 1:
        return found[0]
    what = "several records' ids" if found else "no record's id"
    raise NotFound(f"{prefix!r} begins {what}; `cld forget --query TEXT --dry-run` shows ids")
