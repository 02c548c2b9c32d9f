"""How training rows look to people: what is learned stands in brackets, and in colour on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agent.cli import console

__all__ = ["rows"]

_MEANINGS: Final = {
    "new": "new",
    "forgotten": "forgotten: made less likely",
    "rehearsed": "may be rehearsed",
    "chosen": "preferred: made likelier",
    "rejected": "not preferred: made less likely",
    "approved": "approved: made likelier",
    "disapproved": "disapproved: made less likely",
    "prompt": "answered by the model itself, and rewarded",
}


def rows(found: Mapping[str, Any]) -> None:
    """The first rows of a plan's training material."""
    title = (
        f"plan of {found['cycle']}, {found['stage']} with {found['method']}: \u27e6learned\u27e7, the rest is only read"
    )
    console.lines(title, _counts(found))
    for warning in found["warnings"]:
        console.say(f"  warning: {warning}")
    for number, view in enumerate(found["views"], start=1):
        console.say(
            f"\n{number}. {_MEANINGS[view['role']]}: {view['learned_tokens']} of {view['tokens']} tokens learned"
        )
        console.marked((piece["text"], piece["learned"]) for piece in view["pieces"])


def _counts(found: Mapping[str, Any]) -> dict[str, Any]:
    known = {} if found["overlap"] is None else {"words known from those": f"{found['overlap']:.0%}"}
    return {
        "new rows": found["rows"],
        "tokens of the new rows": f"{found['tokens']}, of which {found['learned_tokens']} are learned",
        "rows to rehearse from": found["remembered"],
        **known,
    }
