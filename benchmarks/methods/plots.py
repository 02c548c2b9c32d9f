"""The curves of a comparison, as SVG files. Needs matplotlib (`pip install -e '.[bench]'`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.methods.ca_standings import COLLAPSE_NATS
from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import MULTI_TASK, REFERENCES, ZERO_SHOT
from benchmarks.methods.standings import Standing, curve, standings

__all__ = ["draw"]


def draw(found: Comparison, folder: Path) -> list[str]:
    """Draw accuracy over the tasks learned, forgetting against learning accuracy, and of stage ca the margins.

    Returns:
        The file names written into `folder`.
    """
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "cld"  # equal results give equal files
    folder.mkdir(parents=True, exist_ok=True)
    name = f"methods-{found.setup.name}"
    drawn: dict[str, Callable[[Comparison, Any], None]] = {
        f"{name}-accuracy.svg": _accuracy,
        f"{name}-forgetting.svg": _forgetting,
    }
    if any(result.alignment for result in found.results):
        drawn[f"{name}-margins.svg"] = _margins
    for file, function in drawn.items():
        _figure(found, folder / file, function)
    return list(drawn)


def _figure(found: Comparison, path: Path, function: Callable[[Comparison, Any], None]) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4.5))
    function(found, axes)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _accuracy(found: Comparison, axes: Any) -> None:
    rows = {row.method: row for row in standings(found.results)}
    for method in rows:
        points = [] if method in REFERENCES else curve(found.results, method)
        if points:
            axes.plot(range(1, len(points) + 1), points, marker="o", markersize=3, label=method)
    for reference, style in ((MULTI_TASK, "--"), (ZERO_SHOT, ":")):
        if reference in rows and "acc" in rows[reference].metrics:
            axes.axhline(rows[reference].metrics["acc"].mean, linestyle=style, color="grey", label=reference)
    axes.set_xlabel("tasks learned")
    axes.set_ylabel("mean score on the tasks learned so far")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7, ncol=2)


def _forgetting(found: Comparison, axes: Any) -> None:
    for row in standings(found.results):
        if "forgetting_since_learned" in row.metrics:
            x, y = _point(row)
            axes.scatter(x, y, s=18)
            axes.annotate(row.method, (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
    axes.axhline(0.0, color="grey", linewidth=0.5)
    axes.set_xlabel("learning accuracy (right is better)")
    axes.set_ylabel("forgetting (down is better)")


def _point(row: Standing) -> tuple[float, float]:
    return row.metrics["learning_accuracy"].mean, row.metrics["forgetting_since_learned"].mean


def _margins(found: Comparison, axes: Any) -> None:
    """How far the first task's margin stands over the base model's after each update: what is left of a preference."""
    for result in found.results:
        if result.alignment and result.order == 1 and result.method not in REFERENCES:
            firsts = [row[0].margin_nats for row in result.alignment.pairs if row[0]]
            axes.plot([nats - firsts[0] for nats in firsts], marker="o", markersize=3, label=result.method)
            axes.set_ylabel(f"margin of {result.tasks[0]} over the base model (nats)")
    axes.axhline(COLLAPSE_NATS, linestyle=":", color="grey", label="preference collapse")
    axes.set_xlabel("tasks learned")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7, ncol=2)
