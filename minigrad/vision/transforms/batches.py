"""Transforms of a whole batch (images, labels), which mix images and their labels."""

import math

from minigrad.nn import Module
from minigrad.nn.functional import one_hot
from minigrad.tensor import Tensor
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms.draws import whole

_LABELS = ("label", "labels")


def _find_labels(inputs):
    """Return the labels of a batch: the second of two, or the entry called label or labels (in any case) of a dict."""
    if isinstance(inputs, (list, tuple)) and len(inputs) > 1:
        inputs = inputs[1]
        if not isinstance(inputs, dict):
            return inputs
    if isinstance(inputs, dict):
        for wanted in _LABELS:
            for key in inputs:
                if isinstance(key, str) and key.lower() == wanted:
                    return inputs[key]
    raise ValueError("Could not infer where the labels are in the sample. Try passing a callable as labels_getter")


def _leaves(value):
    """Yield what nested lists, tuples and dicts hold."""
    if isinstance(value, dict):
        value = list(value.values())
    elif not isinstance(value, (list, tuple)):
        yield value
        return
    for part in value:
        yield from _leaves(part)


def _exchanged(value, new):
    """Return nested lists, tuples and dicts with the objects whose ids are keys of ``new`` exchanged."""
    if isinstance(value, dict):
        return type(value)({key: _exchanged(part, new) for key, part in value.items()})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_exchanged(part, new) for part in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_exchanged(part, new) for part in value)
    return new.get(id(value), value)


class _BatchMixing(Module):
    """Base of MixUp and CutMix: finds images and labels, checks them, mixes the labels."""

    def __init__(self, *, alpha=1.0, num_classes=None, labels_getter="default"):
        super().__init__()
        if not float(alpha) > 0:
            raise ValueError(f"alpha should be positive, but got {alpha}")
        if labels_getter != "default" and not callable(labels_getter):
            raise ValueError(f"labels_getter should be 'default' or callable, but got {labels_getter!r}")
        self.alpha = float(alpha)
        self.num_classes = num_classes
        self._labels_getter = labels_getter

    def forward(self, *inputs):
        inputs = inputs if len(inputs) > 1 else inputs[0]
        labels = (_find_labels if self._labels_getter == "default" else self._labels_getter)(inputs)
        self._check_labels(labels)
        images = next((leaf for leaf in _leaves(inputs) if isinstance(leaf, Tensor) and leaf is not labels), None)
        if images is None:
            raise ValueError(f"{type(self).__name__}() needs a batch of images (N, C, H, W) as a tensor")
        if images.ndim != 4:
            raise ValueError(f"Expected a batched input with 4 dims, but got {images.ndim} dimensions instead.")
        if len(images) != len(labels):
            raise ValueError(
                "The batch size of the image or video does not match the batch size of the labels: "
                f"{len(images)} != {len(labels)}."
            )
        mixed, share = self.mix(images, float(current_generator().numpy.beta(self.alpha, self.alpha)))
        return _exchanged(inputs, {id(images): mixed, id(labels): self._mix_labels(labels, share)})

    def _check_labels(self, labels):
        if not isinstance(labels, Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels should be index based with shape (batch_size,) or probability based with shape "
                f"(batch_size, num_classes), but got a tensor of shape {tuple(labels.shape)} instead."
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")
        if labels.ndim == 2 and self.num_classes is not None and labels.shape[-1] != self.num_classes:
            raise ValueError(
                "When passing 2D labels, the number of elements in last dimension must match num_classes: "
                f"{labels.shape[-1]} != {self.num_classes}. You can leave num_classes to None."
            )

    def _mix_labels(self, labels, share):
        """Return share * labels + (1 - share) * the labels of the images mixed in, one-hot and float."""
        if labels.ndim == 1:
            labels = one_hot(labels, self.num_classes)
        labels = labels if labels.is_floating_point() else labels.float()
        return labels * share + labels.roll(1, 0) * (1.0 - share)

    def __repr__(self):
        classes = "" if self.num_classes is None else f", num_classes={self.num_classes}"
        return f"{type(self).__name__}(alpha={self.alpha}{classes})"


class MixUp(_BatchMixing):
    """Every image of a batch mixed with its neighbour, the labels in the same shares, drawn from Beta(alpha, alpha).

    Called with a batch (images (N, C, H, W), labels (N,) or (N, num_classes)), or a dict with an entry "labels"; gives
    the same with float labels (N, num_classes), for :class:`minigrad.nn.CrossEntropyLoss`. ``labels_getter``: function
    that finds the labels of other batches. Raises ValueError for labels and images that do not fit.
    Source: Zhang et al. (2018); https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.MixUp.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> images, labels = transforms.MixUp(num_classes=2)(mg.zeros(4, 3, 8, 8), mg.tensor([0, 1, 1, 0]))
    >>> labels.shape, bool((labels.sum(1) - 1).abs().max() < 1e-6)
    (minigrad.Size([4, 2]), True)
    """

    def mix(self, images, share):
        """Return share * images + (1 - share) * their neighbours, and the share; TypeError for integers."""
        if not images.is_floating_point():
            raise TypeError(f"MixUp needs images of floats, but got {images.dtype}; use ConvertImageDtype first")
        return images * share + images.roll(1, 0) * (1.0 - share), share


class CutMix(_BatchMixing):
    """A random rectangle of every image of a batch taken from its neighbour, the labels mixed as the areas are.

    Called as :class:`MixUp`. The rectangle's share of the area is 1 - a, a drawn from Beta(alpha, alpha), less what
    hangs over the border. Raises ValueError for labels and images that do not fit.
    Source: Yun et al. (2019); https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.CutMix.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> both = mg.stack([mg.zeros(1, 4, 4), mg.ones(1, 4, 4)])
    >>> images, labels = transforms.CutMix(num_classes=2)(both, mg.tensor([0, 1]))
    >>> bool((images[0].mean() - labels[0, 1]).abs() < 1e-6)
    True
    """

    def mix(self, images, share):
        """Return the images with a rectangle of about 1 - share of the area from their neighbours, and the rest."""
        height, width = images.shape[-2:]
        x, y = whole(0, width - 1), whole(0, height - 1)
        half = 0.5 * math.sqrt(1.0 - share)
        half_width, half_height = int(half * width), int(half * height)
        left, top = max(x - half_width, 0), max(y - half_height, 0)
        right, bottom = min(x + half_width, width), min(y + half_height, height)
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return mixed, 1.0 - (right - left) * (bottom - top) / (width * height)
