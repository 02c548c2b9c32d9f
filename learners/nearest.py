"""The word that was probably meant, for every message about an unknown name. Called wherever a name may be misspelt."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean", "nearest"]


def nearest(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """At most `most` of the known words that are much like `word`, the likest first; empty where none is."""
    return get_close_matches(word, list(known), n=most)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The question that a message about an unknown word ends with.

    Args:
        otherwise: what it says where no known word is like it, e.g. which words are legal.
    """
    near = nearest(word, known)
    return f"did you mean {near[0]!r}?" if near else otherwise
