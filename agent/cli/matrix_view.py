"""How the matrix of versions x suites looks to people; `views` shows every other fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.cli import console

__all__ = ["matrix"]

Facts = Mapping[str, Any]

_DELTAS = ("GAD", "IFD", "SD", "over-refusal")
_NEVER = "not measured"


def matrix(found: Facts, limit: int) -> None:
    """The scores of the anchor and the newest versions, GAD, IFD and SD of each update, and the chain's metrics.

    Args:
        limit: most versions to show beside the anchor.
    """
    newest = {*found["versions"][-limit:], found["anchor"]}
    shown = [version for version in found["versions"] if version in newest]
    if len(shown) < len(found["versions"]):
        console.say(f"the anchor and the newest of {len(found['versions'])} versions; --limit shows more")
    _scores(found, shown)
    _deltas(found, shown)
    _chain(found["chain"])


def _scores(found: Facts, shown: Sequence[str]) -> None:
    columns = ("suite", "role", "items", *(_head(found, version) for version in shown), "since anchor", "worst step")
    rows = [
        (row["suite"], row["role"], row["items"], *(_cell(cell) for cell in row["cells"] if cell["version"] in shown),
         _since_anchor(row["drift"]), _signed(row["drift"]["worst_step"]))
        for row in found["suites"]
    ]  # fmt: skip
    console.table(columns, rows, empty="no promoted version was measured yet; `cld probe run` measures the serving one")
    for row in found["suites"]:
        _comeback(row["suite"], row["drift"]["comeback"])
        for cell in row["cells"]:
            if cell["version"] in shown and cell["missing"] not in ("", _NEVER):
                console.say(f"  ?  {cell['version']} on {row['suite']}: {cell['missing']}")
    others = [f"{name} ({count} scores)" for name, count in found["engines"].items() if name != found["engine"]]
    if others:
        console.say(f"  engine setting {found['engine']}; --engine shows another: {', '.join(others)}")


def _head(found: Facts, version: str) -> str:
    marks = {
        "anchor": version == found["anchor"],
        "serves": version == found["serving"],
        "rolled back": version not in found["line"] and version != found["anchor"],
    }
    words = ", ".join(word for word, holds in marks.items() if holds)
    return f"{version} ({words})" if words else version


def _cell(cell: Facts) -> str:
    if cell["mean"] is None:
        return "-" if cell["missing"] == _NEVER else "?"
    return f"{cell['mean']:.3f}"


def _since_anchor(row: Facts) -> str:
    change = _signed(row["since_anchor"])
    if row["low"] is None:
        return change
    noise = ", within noise" if row["low"] <= 0 <= row["high"] else ""
    return f"{change} ({_signed(row['low'])} to {_signed(row['high'])}{noise})"


def _comeback(suite: str, found: Facts | None) -> None:
    if found:
        lost = f"of what {found['forgotten']} lost of {suite} since {found['before']}"
        when = f"came back by {found['newest']}, {found['updates']} update(s) later"
        console.say(f"  {found['recovery']:.0%} {lost} {when}")


def _deltas(found: Facts, shown: Sequence[str]) -> None:
    rows: list[list[str]] = []
    for version in found["line"]:
        for against, deltas in found["deltas"].get(version, {}).items() if version in shown else ():
            rows.append([version, against, *(_signed(delta["value"]) for delta in deltas)])
    if rows:
        console.table(("version", "against", *_DELTAS), rows, empty="")


def _chain(chain: Facts) -> None:
    links = [f"{link['version']} learned {link['suite']}" for link in chain["links"][1:]]
    console.say(f"the line that serves: {'; '.join(links) or 'nothing learned yet'}")
    if chain["skipped"]:
        console.say(f"  measured on no suite of their own, so no tasks: {', '.join(chain['skipped'])}")
    if links:
        _metrics(chain["readings"])


def _metrics(readings: Sequence[Facts]) -> None:
    console.table(
        ("metric", "value", "better", "by"),
        [
            (row["metric"], _signed(row["value"]), row["better"], row["source"])
            for row in readings
            if row["value"] is not None
        ],
        empty="no metric of the line can be computed",
    )
    for row in readings:
        if row["value"] is None and row["headline"]:
            lacking = ", ".join(f"{version} on {suite}" for version, suite in row["missing"])
            console.say(f"  {row['metric']}: {row['why_not']}{f': {lacking}' if lacking else ''}")


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"
