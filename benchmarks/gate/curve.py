"""The power curve as a picture. Owns the drawing; needs matplotlib, which the extra `bench` installs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.gate.simulation import Point

__all__ = ["draw"]

_COLORS = {"promote": "#2a7f3f", "hold": "#c28a0e", "reject": "#b3261e"}
_PANELS = 2


def draw(points: Sequence[Point], path: Path, tolerance: float) -> None:
    """Draw the share of each verdict over the true loss, one panel a world, as SVG.

    Args:
        points: of one or more worlds, by rising loss.
        tolerance: marked by a line.

    Raises:
        ModuleNotFoundError: matplotlib is not installed (`pip install -e '.[bench]'`).
    """
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "cld"  # equal numbers give an equal file
    from matplotlib import pyplot

    worlds = list(dict.fromkeys(one.world for one in points))
    rows = -(-len(worlds) // _PANELS)
    figure, axes = pyplot.subplots(rows, _PANELS, figsize=(9, 3.2 * rows), sharey=True, squeeze=False)
    for world, axis in zip(worlds, axes.flat, strict=False):
        own = [one for one in points if one.world == world]
        for ending, color in _COLORS.items():
            shares = [getattr(one, ending) / (one.promote + one.hold + one.reject) for one in own]
            axis.plot([one.loss for one in own], shares, marker="o", markersize=3, color=color, label=ending)
        axis.axvline(tolerance, color="#777777", linestyle=":", linewidth=1)
        axis.set_title(world, fontsize=9)
        axis.set_xlabel("true loss of the mean score")
        axis.set_ylim(-0.02, 1.02)
    judgements = points[0].promote + points[0].hold + points[0].reject
    axes.flat[0].set_ylabel(f"share of {judgements:,} judgements")
    axes.flat[0].legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
