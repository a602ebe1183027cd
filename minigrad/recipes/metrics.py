"""What is measured on predictions: accuracy, confusion, average precision, thresholds.

Every function takes (predictions, labels), in the order of a loss. Scores may be logits or probabilities: only their
order matters, except to the thresholds, which are in the scores' own unit. Lists and NumPy arrays are taken as tensors;
everything is computed on the device of the predictions.
"""

from collections import namedtuple

from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import DTYPES
from minigrad.ops.counting import bincount
from minigrad.ops.creation import ones_like
from minigrad.ops.from_data import as_tensor
from minigrad.ops.join import cat
from minigrad.ops.sequences import arange
from minigrad.ops.where import where

__all__ = [
    "average_precision",
    "best_thresholds",
    "confusion_matrix",
    "mean_average_precision",
    "multilabel_decisions",
    "precision_recall_f1",
    "topk_accuracy",
]

PrecisionRecallF1 = namedtuple("PrecisionRecallF1", ["precision", "recall", "f1"])


# ---------------------------------------------------------------------- one label of several classes
def _class_numbers(name, values, count=None):
    """Check that values are integers (N,) of a sensible range and return them as a tensor."""
    values = as_tensor(values)
    if values.ndim != 1 or values.is_floating_point() or values.is_complex() or values.dtype.numpy.kind == "b":
        raise ValueError(f"{name} must be class numbers of shape (N,), but are {values.dtype} {tuple(values.shape)}")
    if not len(values):
        raise ValueError(f"{name} are empty: there is nothing to measure")
    low, high = int(values.min()), int(values.max())
    if low < 0 or (count is not None and high >= count):
        wrong = low if low < 0 else high
        raise IndexError(f"{name} contain class {wrong}, which is out of range" + (f" [0, {count})" if count else ""))
    return values.long()


@no_grad()
def topk_accuracy(scores, labels, k=1):
    """Return the share of samples whose label is among the k highest scores.

    The k classes are those that ``scores.topk(k)`` returns, hence of equal scores on the border as many count as still
    fit, in no promised order: a network that gives all classes the same score gets no more than k of them right.

    Args:
        scores: (N, C) logits or probabilities.
        labels: (N,) class numbers.
        k (int or sequence of int): for several values a list of shares is returned.

    Returns float in [0, 1]. Raises ValueError for wrong shapes, no samples or a k outside [1, C], IndexError for a
    label that is no class. Source: Russakovsky et al. 2015 (top-1 and top-5 error of ImageNet).

    >>> import minigrad as mg
    >>> from minigrad.recipes import topk_accuracy
    >>> scores = mg.tensor([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]])
    >>> topk_accuracy(scores, mg.tensor([1, 2]), k=(1, 2))
    [0.5, 1.0]
    """
    scores = as_tensor(scores)
    if scores.ndim != 2:
        raise ValueError(f"scores must have shape (N, C), but have {tuple(scores.shape)}")
    count, classes = scores.shape
    wanted = [int(k)] if hasattr(k, "__index__") else list(k)
    for value in wanted:
        if not 1 <= value <= classes:
            raise ValueError(f"k must lie between 1 and the number of classes, {classes}, but is {value}")
    labels = _class_numbers("labels", labels, classes).to(scores.device)
    if len(labels) != count:
        raise ValueError(f"there are {count} rows of scores, but {len(labels)} labels")
    found = scores.topk(max(wanted)).indices == labels.unsqueeze(1)  # (N, max k), at most one True per row
    shares = [found[:, :value].sum().item() / count for value in wanted]
    return shares[0] if hasattr(k, "__index__") else shares


@no_grad()
def confusion_matrix(predictions, labels, num_classes=None, normalize=None):
    """Count how often each class was taken for each: rows are the true classes, columns the predicted ones.

    Args:
        predictions: (N,) class numbers, or (N, C) scores, of which the highest counts.
        labels: (N,) class numbers.
        num_classes (int, optional): the matrix is that large; else C, or the highest class number and one.
        normalize (str, optional): "true" divides by the rows' sums (recall on the diagonal), "pred" by the columns'
            (precision on the diagonal), "all" by N. Rows or columns without samples stay 0.

    Returns an int64 tensor (C, C), or float64 if normalized. Raises ValueError for wrong shapes or another normalize,
    IndexError for a class out of range.
    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.confusion_matrix.html

    >>> import minigrad as mg
    >>> from minigrad.recipes import confusion_matrix
    >>> confusion_matrix(mg.tensor([0, 1, 1, 2]), mg.tensor([0, 1, 2, 2]))
    tensor([[1, 0, 0],
            [0, 1, 0],
            [0, 1, 1]])
    """
    if normalize not in (None, "true", "pred", "all"):
        raise ValueError(f"normalize must be None, 'true', 'pred' or 'all', but is {normalize!r}")
    predictions = as_tensor(predictions)
    if predictions.ndim == 2:
        num_classes = predictions.shape[1] if num_classes is None else num_classes
        predictions = predictions.argmax(1)
    predictions = _class_numbers("predictions", predictions, num_classes)
    labels = _class_numbers("labels", labels, num_classes).to(predictions.device)
    if len(predictions) != len(labels):
        raise ValueError(f"there are {len(predictions)} predictions, but {len(labels)} labels")
    if num_classes is None:
        num_classes = max(int(predictions.max()), int(labels.max())) + 1
    counts = bincount(labels * num_classes + predictions, minlength=num_classes * num_classes)
    matrix = counts.reshape(num_classes, num_classes)
    if normalize is None:
        return matrix
    sums = {"true": lambda: matrix.sum(1, keepdim=True), "pred": lambda: matrix.sum(0, keepdim=True), "all": matrix.sum}
    return matrix.double() / sums[normalize]().clamp(min=1)


@no_grad()
def precision_recall_f1(predictions, labels, num_classes=None):
    """Return precision, recall and their harmonic mean F1 of every class; ``.f1.mean()`` is the macro average.

    With one label per sample the arguments are confusion_matrix's. With several labels per sample both are (N, C) of
    0 and 1 or bool, as multilabel_decisions gives. What has no samples (0 / 0) counts as 0.

    Returns a namedtuple (precision, recall, f1) of float64 tensors (C,). Raises what confusion_matrix raises.
    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_recall_fscore_support.html

    >>> import minigrad as mg
    >>> from minigrad.recipes import precision_recall_f1
    >>> precision_recall_f1(mg.tensor([0, 1, 1, 2]), mg.tensor([0, 1, 2, 2])).recall
    tensor([1.0000, 1.0000, 0.5000], dtype=minigrad.float64)
    """
    if as_tensor(labels).ndim == 2:
        predictions, labels = _zeros_and_ones("predictions", predictions), _zeros_and_ones("labels", labels)
        if predictions.shape != labels.shape or not len(labels):
            raise ValueError(
                f"predictions {tuple(predictions.shape)} and labels {tuple(labels.shape)} must have the same shape, "
                "with at least one sample"
            )
        if num_classes not in (None, labels.shape[1]):
            raise ValueError(f"num_classes is {num_classes}, but the labels have {labels.shape[1]} columns")
        labels = labels.to(predictions.device)
        right, predicted, true = (predictions * labels).sum(0), predictions.sum(0), labels.sum(0)
    else:
        matrix = confusion_matrix(predictions, labels, num_classes).double()
        right, predicted, true = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
    precision = right / predicted.clamp(min=1)
    recall = right / true.clamp(min=1)
    return PrecisionRecallF1(precision, recall, 2 * right / (predicted + true).clamp(min=1))


# ---------------------------------------------------------------------- any of several labels
def _zeros_and_ones(name, values):
    """Check that all values are 0 or 1 and return them as float64."""
    values = as_tensor(values).double()
    if not bool(((values == 0) | (values == 1)).all()):
        raise ValueError(f"{name} must be 0 or 1, or bool")
    return values


def _scores_and_labels(scores, labels):
    """Check scores and labels of one shape, (N,) or (N, C), and return them as (N, C)."""
    scores = as_tensor(scores)
    labels = _zeros_and_ones("labels", labels).to(scores.device)
    if scores.shape != labels.shape or scores.ndim not in (1, 2) or not len(scores):
        raise ValueError(
            "scores and labels must have the same shape, (N,) or (N, C) with N of at least 1, but have "
            f"{tuple(scores.shape)} and {tuple(labels.shape)}"
        )
    scores = scores if scores.is_floating_point() else scores.double()
    if bool(scores.isnan().any()):
        raise ValueError("scores contain NaN")
    return (scores, labels) if scores.ndim == 2 else (scores.unsqueeze(1), labels.unsqueeze(1))


def _ranked(scores, labels):
    """Sort every column by falling score.

    Returns the sorted scores, whether each is the last of its equals (there a threshold can lie), the sorted labels and
    the number of positives down to each; all (N, C).
    """
    ranked, order = scores.sort(dim=0, descending=True)
    last = cat([ranked[:-1] != ranked[1:], ones_like(ranked[-1:], dtype=DTYPES["bool"])])
    labels = labels.gather(0, order)
    return ranked, last, labels, labels.cumsum(0)


@no_grad()
def average_precision(scores, labels):
    """Return the area under the precision-recall curve, Σ (Rₙ - Rₙ₋₁) Pₙ over all thresholds, without interpolation.

    Equal scores share one threshold. A class without positives has no recall: its value is NaN.

    Args:
        scores: (N,) or (N, C); labels: the same shape, 0 or 1.

    Returns float64: a 0-d tensor, or (C,). Raises ValueError for wrong shapes, no samples, NaN scores or labels that
    are not 0 or 1.
    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.average_precision_score.html

    >>> import minigrad as mg
    >>> from minigrad.recipes import average_precision
    >>> average_precision(mg.tensor([0.1, 0.4, 0.35, 0.8]), mg.tensor([0, 0, 1, 1]))
    tensor(0.8333, dtype=minigrad.float64)
    """
    ranks = as_tensor(scores).ndim
    scores, labels = _scores_and_labels(scores, labels)
    count = len(scores)
    _, last, labels, positives = _ranked(scores, labels)
    place = arange(count, device=scores.device).unsqueeze(1)
    # the place of the last of each one's equals: the nearest such place at or below it
    end = where(last, place, count - 1).flip(0).cummin(0).values.flip(0)
    precision = (positives / (place + 1)).gather(0, end)
    result = (labels * precision).sum(0) / positives[-1]  # each positive raises the recall by 1 / positives
    return result if ranks == 2 else result[0]


@no_grad()
def mean_average_precision(scores, labels):
    """Return the mean of average_precision over the classes that have positives; NaN if none has.

    Args: scores (N, C), labels (N, C) of 0 and 1. Returns a 0-d float64 tensor. Raises what average_precision raises.
    Source: Everingham et al. 2010, The PASCAL visual object classes challenge.

    >>> import minigrad as mg
    >>> from minigrad.recipes import mean_average_precision
    >>> scores = mg.tensor([[0.9, 0.2, 0.5], [0.1, 0.8, 0.3]])
    >>> mean_average_precision(scores, mg.tensor([[1, 1, 0], [0, 0, 0]]))
    tensor(0.7500, dtype=minigrad.float64)
    """
    scores = as_tensor(scores)
    if scores.ndim != 2:
        raise ValueError(f"scores must have shape (N, C), but have {tuple(scores.shape)}")
    return average_precision(scores, labels).nanmean()


@no_grad()
def best_thresholds(scores, labels):
    """Return for every class the threshold that gives the highest F1 if ``scores >= threshold`` are taken as positive.

    To be chosen on validation data. It lies halfway between the lowest score taken and the next one; of equally good
    ones the highest counts. For a class without positives no threshold is good: it is inf, the class is never taken.

    Args:
        scores: (N,) or (N, C), logits or probabilities; labels: the same shape, 0 or 1.

    Returns thresholds of the scores' dtype: a 0-d tensor, or (C,). Raises what average_precision raises.
    Source: Lipton et al. 2014, Thresholding classifiers to maximize F1 score.

    >>> import minigrad as mg
    >>> from minigrad.recipes import best_thresholds
    >>> best_thresholds(mg.tensor([0.1, 0.4, 0.6, 0.8]), mg.tensor([0, 0, 1, 1]))
    tensor(0.5000)
    """
    ranks = as_tensor(scores).ndim
    scores, labels = _scores_and_labels(scores, labels)
    ranked, last, _, positives = _ranked(scores, labels)
    taken = arange(1, len(scores) + 1, device=scores.device).unsqueeze(1)
    f1 = 2 * positives / (taken + positives[-1])
    best = where(last, f1, -1.0).argmax(0, keepdim=True)  # (1, C), the first of equals
    lowest = ranked.gather(0, best)
    following = ranked.gather(0, (best + 1).clamp(max=len(scores) - 1))
    halfway = (lowest.double() / 2 + following.double() / 2).to(scores.dtype)
    # rounding may land on the next score, and halves of infinities are no number
    threshold = where((halfway > following) & (halfway <= lowest), halfway, lowest)
    threshold = where(positives[-1:] > 0, threshold, float("inf"))[0]
    return threshold if ranks == 2 else threshold[0]


def multilabel_decisions(scores, thresholds=0.5):
    """Return which classes are taken: scores >= thresholds, as a bool tensor (N, C).

    Args: scores (N, C); thresholds (float, or (C,) as from best_thresholds), in the scores' unit: 0 for logits.
    Raises ValueError unless there is one threshold or one per class.

    >>> import minigrad as mg
    >>> from minigrad.recipes import multilabel_decisions
    >>> multilabel_decisions(mg.tensor([[0.6, 0.2], [0.4, 0.7]]), mg.tensor([0.5, 0.1]))
    tensor([[ True,  True],
            [False,  True]])
    """
    scores = as_tensor(scores)
    if not isinstance(thresholds, (int, float)):
        thresholds = as_tensor(thresholds).to(scores.device)
        if thresholds.ndim and tuple(thresholds.shape) != tuple(scores.shape[-1:]):
            raise ValueError(
                f"thresholds of shape {tuple(thresholds.shape)} are not one per class of scores {tuple(scores.shape)}"
            )
    return scores >= thresholds
