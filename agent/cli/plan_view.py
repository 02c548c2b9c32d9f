"""How a plan looks to people: what was chosen, then every option it was chosen from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.cli import console, values_view

__all__ = ["plan"]

Facts = Mapping[str, Any]

_TOLD: Final = {
    "action", "stage", "method", "settings", "records", "held_out", "held_out_records", "cost_tokens", "predicted_gain",
    "predicted_loss", "decided_by", "reason", "alternatives", "warnings", "norms", "replay",
}  # fmt: skip
"""Keys of a plan that are told in words of their own; any other is shown as it is."""


def plan(found: Facts) -> None:
    """A plan, the norms it touches, the jobs it repeats, and the options that were considered."""
    document: Facts = found["plan"]
    chosen = _name(document)
    others = {key: value for key, value in document.items() if key not in _TOLD and value not in (None, "", [], {})}
    told = {"learns": _learned(document), "costs": f"{document.get('cost_tokens', 0):,} tokens",
            "expected": _expected(document), **others, "settings": _settings(document)}  # fmt: skip
    why = {"decided by": found["decided_by"], "reason": found["reason"]}
    console.lines(f"plan of {found['cycle']}: {chosen}", {**told, **why})
    for warning in document.get("warnings", ()):
        console.say(f"  warning: {warning}")
    values_view.touched(document.get("norms", ()))
    for job in document.get("replay", ()):
        console.say(f"  trained again: {_again(job)}")
    _options(document.get("alternatives", ()), chosen)


def _name(document: Facts) -> str:
    if document.get("action") != "train":
        return str(document.get("action"))
    return f"{document.get('stage')}.{document.get('method')}"


def _learned(document: Facts) -> str:
    asked = len(document.get("held_out_records", ()))
    kept_out = len(document.get("held_out", ()))
    told = [f"{len(document.get('records', ()))} records"]
    if asked:
        told.append(f"{asked} more are held out and asked")
    if kept_out:
        told.append(f"{kept_out} probed sentences are kept out of training")
    return "; ".join(told)


def _expected(document: Facts) -> str:
    gain, loss = document.get("predicted_gain", 0.0), document.get("predicted_loss", 0.0)
    return f"targets +{gain:.2f}, general {-loss:.2f}"


def _again(job: Facts) -> str:
    left = f"{len(job['records'])} of {job['records_before']} records"
    return f"{job['cycle']} ({job['stage']}.{job['method']}), {left}, seed {job['seed']}"


def _options(options: Sequence[Facts], chosen: str) -> None:
    """The chosen one first, then those that could have been, then the others with the reason."""
    ordered = sorted(options, key=lambda one: (one["id"] != chosen, one["refused"] is not None))
    columns = ("option", "gain", "loss", "tokens", "chosen, or why it cannot be")
    console.table(columns, [_option(one, chosen) for one in ordered], empty="  no other option was considered")


def _settings(document: Facts) -> str:
    return ", ".join(f"{key} = {value}" for key, value in document.get("settings", {}).items())


def _option(option: Facts, chosen: str) -> tuple[object, ...]:
    if option["action"] == "train":
        numbers = (f"+{option['predicted_gain']:.2f}", f"{-option['predicted_loss']:.2f}", f"{option['cost_tokens']:,}")
    else:
        numbers = ("", "", "")
    standing = "chosen" if option["id"] == chosen else option["refused"] or ""
    return option["id"], *numbers, standing
