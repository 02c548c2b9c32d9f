"""Every metric by name: its function, whose formula it is, its range and its sign.

Two rows with one function are two sources that agree; the name still says whose number is meant. The formula stands
in the function's docstring. A metric is added with a function and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Literal

from monitors.metrics.accuracy import average_accuracy, learning_accuracy, mean_average_accuracy, plasticity
from monitors.metrics.deltas import delta_per_slice, delta_survey_as_printed, mean_delta, overrefusal_delta
from monitors.metrics.knowledge import fuar
from monitors.metrics.norms import norm_adoption, norm_overgeneralisation, norm_residual, norm_retention
from monitors.metrics.retention import forgetting_chaudhry, forgetting_mammoth, forgetting_since_learned, recovery
from monitors.metrics.score_matrix import Cell, ScoreMatrix, cells_read
from monitors.metrics.transfer import (
    bwt_gem,
    bwt_gem_code,
    fwt_citb,
    fwt_gem,
    fwt_gem_code,
    fwt_sapt,
    fwt_survey_as_printed,
)

__all__ = ["METRICS", "Metric", "Reading", "Takes", "summary"]

Takes = Literal[
    "matrix",
    "matrix and single-task scores",
    "suites",
    "suites and tasks",
    "items",
    "facts",
    "relearning",
    "norms",
]
Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        function: computes it; its docstring has the formula.
        takes: what the function is given: a `ScoreMatrix`, scores of probe suites or items after and before, facts,
            the three scores of forgetting and relearning one task,
            scores of a norm's items.
        source: who publishes this formula.
        low, high: least and greatest value where every score is in [0, 1].
        better: which direction is good.
        headline: whether it is shown first; the others are for comparison with papers that use them.
    """

    function: Callable[..., Any]
    takes: Takes
    source: str
    low: float
    high: float
    better: Better
    headline: bool = False


METRICS: Final[Mapping[str, Metric]] = {
    "acc": Metric(average_accuracy, "matrix", "GEM paper; survey eq. 3; TRACE's OP; CITB", 0, 1, "higher", True),
    "maa": Metric(mean_average_accuracy, "matrix", "CoIN", 0, 1, "higher"),
    "learning_accuracy": Metric(learning_accuracy, "matrix", "Riemer 2019", 0, 1, "higher", True),
    "plasticity": Metric(plasticity, "matrix", "cld", -1, 1, "higher"),
    "fwt_gem": Metric(fwt_gem, "matrix", "GEM paper", -1, 1, "higher", True),
    "fwt_gem_code": Metric(fwt_gem_code, "matrix", "GEM code", -1, 1, "higher"),
    "fwt_citb": Metric(fwt_citb, "matrix", "CITB code, no baseline", 0, 1, "higher"),
    "fwt_survey_as_printed": Metric(fwt_survey_as_printed, "matrix", "survey eq. 1 as printed", -1, 1, "higher"),
    "fwt_sapt": Metric(fwt_sapt, "matrix and single-task scores", "SAPT", -1, 1, "higher"),
    "bwt_gem": Metric(bwt_gem, "matrix", "GEM paper", -1, 1, "higher", True),
    "bwt_survey": Metric(bwt_gem, "matrix", "survey eq. 2", -1, 1, "higher"),
    "bwt_citb": Metric(bwt_gem, "matrix", "CITB code", -1, 1, "higher"),
    "bwt_gem_code": Metric(bwt_gem_code, "matrix", "GEM code", -1, 1, "higher"),
    "bwt_trace": Metric(bwt_gem_code, "matrix", "TRACE", -1, 1, "higher"),
    "bwt_sapt": Metric(bwt_gem_code, "matrix", "SAPT code", -1, 1, "higher"),
    "forgetting_since_learned": Metric(forgetting_since_learned, "matrix", "SAPT code", -1, 1, "lower", True),
    "forgetting_chaudhry": Metric(forgetting_chaudhry, "matrix", "Chaudhry 2018 eq. 3", -1, 1, "lower"),
    "forgetting_mammoth": Metric(forgetting_mammoth, "matrix", "Mammoth code", 0, 1, "lower"),
    "gad": Metric(mean_delta, "suites", "TRACE, general suites", -1, 1, "higher", True),
    "ifd": Metric(mean_delta, "suites", "TRACE, instruction suites", -1, 1, "higher", True),
    "sd": Metric(mean_delta, "suites", "TRACE, safety suites", -1, 1, "higher", True),
    "gad_survey_as_printed": Metric(delta_survey_as_printed, "suites and tasks", "survey eq. 4", -inf, inf, "higher"),
    "ifd_survey_as_printed": Metric(delta_survey_as_printed, "suites and tasks", "survey eq. 5", -inf, inf, "higher"),
    "sd_survey_as_printed": Metric(delta_survey_as_printed, "suites and tasks", "survey eq. 6", -inf, inf, "higher"),
    "overrefusal": Metric(overrefusal_delta, "suites", "cld, over-refusal suites", -1, 1, "lower", True),
    "delta_per_slice": Metric(delta_per_slice, "items", "cld, each slice", -1, 1, "higher"),
    "fuar": Metric(fuar, "facts", "CKL", 0, inf, "lower"),
    "recovery": Metric(recovery, "relearning", "cld, after Cossu 2022", -inf, inf, "higher"),
    "norm_adoption": Metric(norm_adoption, "norms", "cld, value revision", 0, 1, "higher"),
    "norm_retention": Metric(norm_retention, "norms", "cld, value revision", 0, 1, "higher"),
    "norm_residual": Metric(norm_residual, "norms", "cld, value revision", 0, 1, "lower"),
    "norm_overgeneralisation": Metric(norm_overgeneralisation, "norms", "cld, value revision", 0, 1, "lower"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric of one matrix: its value, or None with why not and the cells (update, task) that it lacks."""

    value: float | None
    why_not: str = ""
    missing: tuple[Cell, ...] = ()


def summary(r: ScoreMatrix) -> dict[str, Reading]:
    """Every metric that takes a matrix alone, under its name; what cannot be computed says why."""
    return {name: _read(metric, r) for name, metric in METRICS.items() if metric.takes == "matrix"}


def _read(metric: Metric, r: ScoreMatrix) -> Reading:
    try:
        read = cells_read(metric.function, r.tasks)
    except ValueError as too_short:
        return Reading(None, str(too_short))
    if lacking := sorted(read & r.missing):
        return Reading(None, f"{len(lacking)} of the {len(read)} scores that it reads are missing", tuple(lacking))
    return Reading(metric.function(r))
