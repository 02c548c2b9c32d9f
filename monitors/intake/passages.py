"""Passages: a document cut at its headings and paragraphs into pieces of bounded size.

Owns the cutting. Every word of the document is in exactly one passage, in order; only blank lines at the borders
are lost. Called by `documents`, and for long rows of tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["first_heading", "split_passages"]

_HEADING = re.compile(r"#{1,6}\s+\S")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f][\"')\]]*\s+")


def first_heading(markdown: str) -> str | None:
    """The words of the first Markdown heading outside code, at most 200 characters."""
    for block in _blocks(markdown):
        if _HEADING.match(block):
            return block.strip("# \t")[:200] or None
    return None


def split_passages(markdown: str, max_characters: int) -> list[str]:
    """Cut text into passages of at most `max_characters`.

    A passage ends where a heading follows, unless it holds nothing but headings so far; inside a section, blocks
    (paragraphs, lists, whole code fences) are packed together. A block above the bound is cut at line ends, then
    sentences, then blanks, and only then inside a word.
    """
    passages: list[str] = []
    current = ""
    for block in _blocks(markdown):
        for piece in _bounded(block, max_characters):
            joined = f"{current}\n\n{piece}" if current else piece
            if current and (len(joined) > max_characters or (_HEADING.match(piece) and not _only_headings(current))):
                passages.append(current)
                joined = piece
            current = joined
    return [*passages, current] if current else passages


def _blocks(markdown: str) -> Iterator[str]:
    """Runs of non-blank lines; a code fence stays whole, a heading stands alone."""
    block: list[str] = []
    fence: str | None = None
    for line in markdown.split("\n"):
        mark = _FENCE.match(line)
        alone = fence is None and _HEADING.match(line) is not None
        if block and fence is None and (alone or not line.strip()):
            yield "\n".join(block)
            block = []
        if mark and fence in (None, mark[1]):
            fence = mark[1] if fence is None else None
        if line.strip() or fence is not None:
            block.append(line)
        if alone:
            yield line
            block = []
    if block:
        yield "\n".join(block)


def _bounded(block: str, max_characters: int) -> Iterator[str]:
    start = 0
    while start < len(block):
        window = block[start : start + max_characters + 1]
        size = _cut(window, max_characters) if len(window) > max_characters else len(window)
        if piece := window[:size].strip():
            yield piece
        start += size


def _cut(window: str, max_characters: int) -> int:
    """Where to cut: the last line end, sentence end or blank in the second half of the window, in that order."""
    half = max_characters // 2
    sentence_ends = [match.end() for match in _SENTENCE_END.finditer(window, half)]
    for cut in (window.rfind("\n", half) + 1, sentence_ends[-1] if sentence_ends else 0, window.rfind(" ", half) + 1):
        if half < cut <= max_characters:
            return cut
    return max_characters


def _only_headings(passage: str) -> bool:
    return all(_HEADING.match(block) for block in passage.split("\n\n"))
