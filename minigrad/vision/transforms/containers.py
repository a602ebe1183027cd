"""Transforms made of transforms."""

from minigrad.backend import np
from minigrad.nn import Module
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms.draws import chance


def _one_by_one(transforms, inputs):
    """Return what transforms make of an image one after the other, or of the parts of a sample."""
    for transform in transforms:
        outputs = transform(*inputs)
        inputs = outputs if len(inputs) > 1 else (outputs,)
    return inputs if len(inputs) > 1 else inputs[0]


class Compose:
    """Several transforms one after the other; those of v2 take several arguments, the parts of a sample.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Compose.html

    >>> import numpy as np, minigrad as mg
    >>> from minigrad.vision import transforms
    >>> pipeline = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    >>> pipeline(np.array([[0, 255]], np.uint8))
    tensor([[[-1.,  1.]]])
    """

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, *inputs):
        return _one_by_one(self.transforms, inputs)

    def __repr__(self):
        return "\n".join([f"{type(self).__name__}(", *[f"    {transform}" for transform in self.transforms], ")"])


class Lambda:
    """A function as a transform. Raises TypeError for what cannot be called.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Lambda.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.Lambda(lambda image: image * 2)(mg.ones(1))
    tensor([2.])
    """

    def __init__(self, lambd):
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img):
        return self.lambd(img)

    def __repr__(self):
        return f"{type(self).__name__}()"


class _RandomTransforms:
    """Base of random choices from a sequence of transforms."""

    def __init__(self, transforms):
        if not isinstance(transforms, (list, tuple)):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    __repr__ = Compose.__repr__


class RandomApply(Module):
    """All of some transforms one after the other with probability ``p``, otherwise none of them.

    Arguments: transforms (list), p (0 … 1).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomApply.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> flip = transforms.RandomApply([transforms.RandomHorizontalFlip(p=1.0)], p=1.0)
    >>> flip(mg.tensor([[[1.0, 2.0]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(self, transforms, p=0.5):
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, *inputs):
        return _one_by_one(self.transforms if chance(self.p) else (), inputs)

    def __repr__(self):
        lines = [f"{type(self).__name__}(", f"    p={self.p}", *[f"    {transform}" for transform in self.transforms]]
        return "\n".join([*lines, ")"])


class RandomOrder(_RandomTransforms):
    """Some transforms in a random order.

    Argument: transforms (list).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomOrder.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> flips = [transforms.RandomHorizontalFlip(1.0), transforms.RandomVerticalFlip(1.0)]
    >>> transforms.RandomOrder(flips)(mg.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[4., 3.],
             [2., 1.]]])
    """

    def __call__(self, *inputs):
        order = current_generator().numpy.permutation(len(self.transforms)).tolist()
        return _one_by_one([self.transforms[position] for position in order], inputs)


class RandomChoice(_RandomTransforms):
    """One of some transforms, chosen with probabilities proportional to ``p`` (default: equal).

    Arguments: transforms (list), p (list of as many numbers).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomChoice.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> flips = [transforms.RandomHorizontalFlip(1.0), transforms.RandomVerticalFlip(1.0)]
    >>> transforms.RandomChoice(flips, p=[1, 0])(mg.tensor([[[1.0, 2.0]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        if p is not None and not isinstance(p, (list, tuple)):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, *inputs):
        shares = None if self.p is None else np.array(self.p, float) / sum(self.p)
        chosen = current_generator().numpy.choice(len(self.transforms), p=shares)
        return self.transforms[chosen](*inputs)

    def __repr__(self):
        return f"{super().__repr__()}(p={self.p})"
