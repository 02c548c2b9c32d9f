"""Rules that every ingested item passes, whatever its format.

Owns what makes an item refused (`Refused`), what is stripped from text, and how refused matter is shown to people.
Never reads files.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from typing import Any, Never, cast

__all__ = ["MAX_DEPTH", "Refused", "clean_text", "excerpt", "parse_json", "require_shallow", "shown"]

MAX_DEPTH = 12
_EXCERPT_CHARACTERS = 200


class Refused(ValueError):
    """The item breaks a rule; the message is the reason kept beside it in quarantine."""


def clean_text(text: str) -> str:
    """Text as records keep it: line ends as \\n, no control characters but \\n and \\t.

    Form feeds and vertical tabs become line ends, so page borders stay borders.

    Raises:
        Refused: NUL (a binary file under a text name) or lone surrogates (bytes that were not valid UTF-8).
    """
    if "\x00" in text:
        raise Refused("holds a NUL character, so it is not text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused(f"is not valid UTF-8 at character {error.start}") from error
    text = text.replace("\r\n", "\n").translate(_CONTROLS)
    return text.strip()


def excerpt(matter: bytes | str) -> str:
    """At most 200 printable characters of refused matter, on one line."""
    head = matter[: 4 * _EXCERPT_CHARACTERS]
    text = head.decode("utf-8", "replace") if isinstance(head, bytes) else head
    flat = "".join(char if _visible(char) else " " for char in text)
    return " ".join(flat.split())[:_EXCERPT_CHARACTERS]


def shown(value: object) -> str:
    """A foreign value inside a reason: its short, printable `repr`."""
    text = excerpt(repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__)
    return text if len(text) <= 60 else text[:57] + "..."


def parse_json(text: str | bytes) -> Any:
    """Parse strict JSON: UTF-8 only, no NaN or infinities, nesting of at most `MAX_DEPTH`.

    Raises:
        Refused: with the reason.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(decoded, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Refused(f"is not valid UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise Refused(f"is nested deeper than {MAX_DEPTH} levels") from error
    except json.JSONDecodeError as error:
        raise Refused(f"is not valid JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:
        raise Refused(f"is not valid JSON: {error}") from error
    require_shallow(value)
    return value


def require_shallow(value: object) -> None:
    """Refuse lists and objects nested deeper than `MAX_DEPTH`, without recursion."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return
    raise Refused(f"is nested deeper than {MAX_DEPTH} levels")


def _inner(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast(dict[object, object], value).values()
    return cast(list[object], value) if isinstance(value, list) else ()


def _refuse_constant(name: str) -> Never:
    raise Refused(f"holds {name}, which JSON does not know")


def _visible(char: str) -> bool:
    return char == " " or unicodedata.category(char)[0] in "LMNPS"


_CONTROLS: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0))),
    **{ord(char): "\n" for char in "\r\v\f\x85"},
    ord("\n"): "\n",
    ord("\t"): "\t",
}
