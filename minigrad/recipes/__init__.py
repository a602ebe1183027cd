"""Recipes around a training loop of one's own: ensembles, metrics, intervals over seeds.

Each is a function or a small class to be called from the loop; none of them runs it.
"""

from minigrad.recipes.ensembles import Ensemble, Snapshots
from minigrad.recipes.intervals import Interval, mean_interval, t_quantile
from minigrad.recipes.metrics import (
    average_precision,
    best_thresholds,
    confusion_matrix,
    mean_average_precision,
    multilabel_decisions,
    precision_recall_f1,
    topk_accuracy,
)

__all__ = [
    "Ensemble",
    "Interval",
    "Snapshots",
    "average_precision",
    "best_thresholds",
    "confusion_matrix",
    "mean_average_precision",
    "mean_interval",
    "multilabel_decisions",
    "precision_recall_f1",
    "t_quantile",
    "topk_accuracy",
]
