"""Metrics of continual learning, every published variant under its own name.

    table          METRICS: name -> function, source, range, sign; `summary` of a score matrix
    score_matrix   R[t, i], indexed as in the papers, with cells that may be missing
    accuracy       ACC, its curve OP_t, MAA, learning accuracy, plasticity
    transfer       FWT and BWT: GEM's paper and code, TRACE, CITB, SAPT, the survey as printed
    retention      forgetting: since learned, Chaudhry's, Mammoth's; recovery@k
    deltas         GAD, IFD, SD, over-refusal, slice by slice
    knowledge      FUAR
    norms          a changed norm: adoption, retention, residual, over-generalisation
    interval       bounds by the paired bootstrap

Plain numbers in, plain numbers out: these modules store nothing and decide nothing. Called by `gate`, by
`monitors.matrix` and by reports. The same name with different formulas is common in this field, and the difference is
often larger than the effect that is reported; the headline metrics are ACC, BWT and FWT by GEM's paper, learning
accuracy, forgetting since learned, GAD, IFD, SD and the over-refusal delta.
"""

from monitors.metrics.accuracy import (
    average_accuracy,
    average_accuracy_curve,
    learning_accuracy,
    mean_average_accuracy,
    plasticity,
)
from monitors.metrics.deltas import (
    SliceDelta,
    delta_per_slice,
    delta_survey_as_printed,
    mean_delta,
    overrefusal_delta,
)
from monitors.metrics.interval import bootstrap_interval
from monitors.metrics.knowledge import fuar
from monitors.metrics.norms import norm_adoption, norm_overgeneralisation, norm_residual, norm_retention
from monitors.metrics.retention import forgetting_chaudhry, forgetting_mammoth, forgetting_since_learned, recovery
from monitors.metrics.score_matrix import Cell, MissingCells, ScoreMatrix, cells_read
from monitors.metrics.table import METRICS, Metric, Reading, Takes, summary
from monitors.metrics.transfer import (
    bwt_gem,
    bwt_gem_code,
    fwt_citb,
    fwt_gem,
    fwt_gem_code,
    fwt_sapt,
    fwt_survey_as_printed,
)

__all__ = [
    "METRICS",
    "Cell",
    "Metric",
    "MissingCells",
    "Reading",
    "ScoreMatrix",
    "SliceDelta",
    "Takes",
    "average_accuracy",
    "average_accuracy_curve",
    "bootstrap_interval",
    "bwt_gem",
    "bwt_gem_code",
    "cells_read",
    "delta_per_slice",
    "delta_survey_as_printed",
    "forgetting_chaudhry",
    "forgetting_mammoth",
    "forgetting_since_learned",
    "fuar",
    "fwt_citb",
    "fwt_gem",
    "fwt_gem_code",
    "fwt_sapt",
    "fwt_survey_as_printed",
    "learning_accuracy",
    "mean_average_accuracy",
    "mean_delta",
    "norm_adoption",
    "norm_overgeneralisation",
    "norm_residual",
    "norm_retention",
    "overrefusal_delta",
    "plasticity",
    "recovery",
    "summary",
]
