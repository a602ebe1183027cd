"""Recipes around a training loop of one's own: transfer, ensembles, early stopping, metrics,
intervals over seeds.

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
from minigrad.recipes.stopping import EarlyStopping
from minigrad.recipes.transfer import freeze, freeze_batch_norm, parameter_groups, replace_head, unfreeze

__all__ = [
    "EarlyStopping",
    "Ensemble",
    "Interval",
    "Snapshots",
    "average_precision",
    "best_thresholds",
    "confusion_matrix",
    "freeze",
    "freeze_batch_norm",
    "mean_average_precision",
    "mean_interval",
    "multilabel_decisions",
    "parameter_groups",
    "precision_recall_f1",
    "replace_head",
    "t_quantile",
    "topk_accuracy",
    "unfreeze",
]
