"""Versions of documents: what a new one says that the one before did not.

Owns the difference between two texts and `memory/snapshots.jsonl`, the text of every document as it was last learned.
A longest common subsequence over normalised lines finds what stayed; where lines changed, a second one over sentences
does. What was removed is no news and is left out.

Source: Jang et al. 2022, TemporalWiki (arXiv:2204.14211). The released differ is greedy and loses text before the first
and after the last common line; this one loses none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from learners.records import Record

__all__ = ["added", "key_of", "normal", "read", "write"]

_FILE = "snapshots.jsonl"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_PUNCTUATION = re.compile(r"[^\w\s]")


def added(old: str, new: str) -> str:
    """The sentences of `new` that `old` does not have, in order, one line each; empty when nothing is new.

    Two sentences are the same when they differ in case, punctuation or white space alone.
    """
    kept: list[str] = []
    before, after = _lines(old), _lines(new)
    for changed, ours, theirs in _changes(before, after):
        if changed:
            kept += _added_sentences(" ".join(ours), " ".join(theirs))
    return "\n".join(kept)


def _added_sentences(old: str, new: str) -> list[str]:
    before, after = ([part for part in _SENTENCE_END.split(text) if part.strip()] for text in (old, new))
    return [sentence for changed, _, theirs in _changes(before, after) if changed for sentence in theirs]


def _changes(old: Sequence[str], new: Sequence[str]) -> list[tuple[bool, Sequence[str], Sequence[str]]]:
    """The runs of both sequences, each with whether it changed."""
    matcher = SequenceMatcher(None, [normal(part) for part in old], [normal(part) for part in new], autojunk=False)
    return [(tag != "equal", old[a:b], new[c:d]) for tag, a, b, c, d in matcher.get_opcodes()]


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def normal(text: str) -> str:
    """What counts of a text when two are compared: its words, without case, punctuation and spacing."""
    return " ".join(_PUNCTUATION.sub("", text).lower().split())


def key_of(record: Record) -> str | None:
    """What names a document through its versions: source and title, else source and origin; None without either."""
    name = record.content.get("title") or record.origin
    return json.dumps([record.source, str(name)]) if name else None


def read(folder: Path) -> dict[str, str]:
    """The documents of a `memory/` folder by key; none where it has none."""
    path = folder / _FILE
    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as lines:
        return {entry["key"]: entry["text"] for entry in map(json.loads, lines)}


def write(folder: Path, documents: Mapping[str, str]) -> None:
    """Write documents into a `memory/` folder that is being built."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"key": key, "text": text}) + "\n" for key, text in sorted(documents.items())]
    (folder / _FILE).write_text("".join(lines), encoding="utf-8")
