"""What trained networks are worth: averaged probabilities, accuracies with their intervals, confusion."""
import dataclasses
import math

import minigrad
from minigrad.nn.functional import softmax
from minigrad.recipes import confusion_matrix, topk_accuracy
from models.training import split_outputs

Z95 = 1.959963984540054  # 95 % of a normal distribution lies within this many standard deviations


def binomial_interval(successes, count):
    """The 95 % interval of a fraction, from so many successes of count trials (Wilson 1927): low and high.

    >>> low, high = binomial_interval(98, 100)
    >>> round(low, 4), round(high, 4)
    (0.93, 0.9945)
    """
    if not count:
        return 0.0, 1.0
    fraction, square = successes / count, Z95 * Z95
    middle = (fraction + square / (2 * count)) / (1 + square / count)
    half = Z95 / (1 + square / count) * math.sqrt(fraction * (1 - fraction) / count + square / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


@minigrad.no_grad()
def crop_probabilities(model, images):
    """A network's probabilities (N, K), averaged over the crops of each image.

    Args:
        model: in evaluation mode.
        images: (N, C, S, S), or (N, M, C, S, S) with M crops of each.
    """
    crops = images.flatten(0, 1) if images.ndim == 5 else images  # (N·M, C, S, S)
    found = softmax(split_outputs(model(crops))[0], dim=1)
    return found.unflatten(0, (len(images), -1)).mean(1)


def probabilities(model, batches, device="cpu", after_batch=None):
    """The probabilities (N, K) that a network gives the images of a whole set, on the CPU, and the labels (N,).

    Args:
        model, batches, device: what is asked about which (images, labels), and where.
        after_batch: called with the number of images so far.
    """
    model.eval()
    found, actual = [], []
    for images, labels in batches:
        found.append(crop_probabilities(model, images.to(device)).cpu())
        actual.append(labels)
        if after_batch is not None:
            after_batch(sum(map(len, actual)))
    return minigrad.cat(found), minigrad.cat(actual)


@dataclasses.dataclass(frozen=True)
class Share:
    """So many of count images are right: a fraction with its 95 % interval."""

    right: int
    count: int

    @property
    def fraction(self):
        return self.right / self.count if self.count else math.nan

    @property
    def interval(self):
        return binomial_interval(self.right, self.count)

    def __str__(self):
        low, high = self.interval
        return f"{100 * self.fraction:.2f} % ({100 * low:.2f} to {100 * high:.2f})"

    def as_dict(self):
        low, high = self.interval
        fraction = self.fraction if self.count else None
        return {"accuracy": fraction, "right": self.right, "images": self.count, "low": low, "high": high}


@dataclasses.dataclass(frozen=True)
class Report:
    """Accuracies of probabilities (N, K) against labels (N,), and the confusion matrix (K, K), rows true classes."""

    top1: Share
    top5: Share | None  # where there are more than five classes
    per_class: list
    confusion: object

    @classmethod
    def of(cls, found, labels):
        count, classes = found.shape
        confusion = confusion_matrix(found, labels, num_classes=classes)
        per_class = [Share(int(row[number]), int(row.sum())) for number, row in enumerate(confusion)]
        shares = topk_accuracy(found, labels, k=(1, min(5, classes)))
        top1, top5 = (Share(round(share * count), count) for share in shares)
        return cls(top1, top5 if classes > 5 else None, per_class, confusion)

    def line(self):
        return f"top-1 {self.top1}" + (f"  top-5 {self.top5}" if self.top5 is not None else "")

    def as_dict(self, classes):
        return {
            "top1": self.top1.as_dict(),
            "top5": self.top5.as_dict() if self.top5 is not None else None,
            "per_class": {name: share.as_dict() for name, share in zip(classes, self.per_class)},
            "confusion": self.confusion.tolist(),
        }
