"""Augmentation whose changes are drawn from a list: AutoAugment, RandAugment, TrivialAugment, AugMix.

They take PIL images, and tensors and arrays of uint8.
"""

import functools
import math
from enum import Enum

from minigrad.backend import np
from minigrad.nn import Module
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.draws import chance, whole
from minigrad.vision.transforms.functional.images import takes_arrays
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode
from minigrad.vision.transforms.pil_image import is_pil_image
from minigrad.vision.transforms.tensor_image import like
from minigrad.vision.transforms.warps import fills


class AutoAugmentPolicy(Enum):
    """The data sets that policies were found for.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.AutoAugmentPolicy.html

    >>> from minigrad.vision.transforms import AutoAugmentPolicy
    >>> AutoAugmentPolicy("cifar10").name
    'CIFAR10'
    """

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# The policies of Cubuk et al. (2019), tables 7 to 9: a line is two changes with their probabilities, strengths 0 … 9.
_POLICIES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize 0.4 8 Rotate 0.6 9
        Solarize 0.6 5 AutoContrast 0.6
        Equalize 0.8 Equalize 0.6
        Posterize 0.6 7 Posterize 0.6 6
        Equalize 0.4 Solarize 0.2 4
        Equalize 0.4 Rotate 0.8 8
        Solarize 0.6 3 Equalize 0.6
        Posterize 0.8 5 Equalize 1.0
        Rotate 0.2 3 Solarize 0.6 8
        Equalize 0.6 Posterize 0.4 6
        Rotate 0.8 8 Color 0.4 0
        Rotate 0.4 9 Equalize 0.6
        Equalize 0.0 Equalize 0.8
        Invert 0.6 Equalize 1.0
        Color 0.6 4 Contrast 1.0 8
        Rotate 0.8 8 Color 1.0 2
        Color 0.8 8 Solarize 0.8 7
        Sharpness 0.4 7 Invert 0.6
        ShearX 0.6 5 Equalize 1.0
        Color 0.4 0 Equalize 0.6
        Equalize 0.4 Solarize 0.2 4
        Solarize 0.6 5 AutoContrast 0.6
        Invert 0.6 Equalize 1.0
        Color 0.6 4 Contrast 1.0 8
        Equalize 0.8 Equalize 0.6
    """,
    AutoAugmentPolicy.CIFAR10: """
        Invert 0.1 Contrast 0.2 6
        Rotate 0.7 2 TranslateX 0.3 9
        Sharpness 0.8 1 Sharpness 0.9 3
        ShearY 0.5 8 TranslateY 0.7 9
        AutoContrast 0.5 Equalize 0.9
        ShearY 0.2 7 Posterize 0.3 7
        Color 0.4 3 Brightness 0.6 7
        Sharpness 0.3 9 Brightness 0.7 9
        Equalize 0.6 Equalize 0.5
        Contrast 0.6 7 Sharpness 0.6 5
        Color 0.7 7 TranslateX 0.5 8
        Equalize 0.3 AutoContrast 0.4
        TranslateY 0.4 3 Sharpness 0.2 6
        Brightness 0.9 6 Color 0.2 8
        Solarize 0.5 2 Invert 0.0
        Equalize 0.2 AutoContrast 0.6
        Equalize 0.2 Equalize 0.6
        Color 0.9 9 Equalize 0.6
        AutoContrast 0.8 Solarize 0.2 8
        Brightness 0.1 3 Color 0.7 0
        Solarize 0.4 5 AutoContrast 0.9
        TranslateY 0.9 9 TranslateY 0.7 9
        AutoContrast 0.9 Solarize 0.8 3
        Equalize 0.8 Invert 0.1
        TranslateY 0.7 9 AutoContrast 0.9
    """,
    AutoAugmentPolicy.SVHN: """
        ShearX 0.9 4 Invert 0.2
        ShearY 0.9 8 Invert 0.7
        Equalize 0.6 Solarize 0.6 6
        Invert 0.9 Equalize 0.6
        Equalize 0.6 Rotate 0.9 3
        ShearX 0.9 4 AutoContrast 0.8
        ShearY 0.9 8 Invert 0.4
        ShearY 0.9 5 Solarize 0.2 6
        Invert 0.9 AutoContrast 0.8
        Equalize 0.6 Rotate 0.9 3
        ShearX 0.9 4 Solarize 0.3 3
        ShearY 0.8 8 Invert 0.7
        Equalize 0.9 TranslateY 0.6 6
        Invert 0.9 Equalize 0.6
        Contrast 0.3 3 Rotate 0.8 4
        Invert 0.8 TranslateY 0.0 2
        ShearY 0.7 6 Solarize 0.4 8
        Invert 0.6 Rotate 0.8 4
        ShearY 0.3 7 TranslateX 0.9 3
        ShearX 0.1 6 Invert 0.6
        Solarize 0.7 2 TranslateY 0.6 7
        ShearY 0.8 4 Invert 0.8
        ShearX 0.7 9 TranslateY 0.8 3
        ShearY 0.8 5 AutoContrast 0.7
        ShearX 0.7 2 Invert 0.1
    """,
}


def _change(name, probability, strength=None):
    return name, float(probability), None if strength is None else int(strength)


def _parsed(policy):
    """Return a policy as a list of pairs of (name, probability, number of the strength or None)."""
    pairs = []
    for line in _POLICIES[policy].strip().splitlines():
        words = line.split()
        second = next(place for place in range(2, len(words)) if words[place][0].isalpha())
        pairs.append((_change(*words[:second]), _change(*words[second:])))
    return pairs


def apply_change(img, name, strength, interpolation, fill):
    """Return an image after the change of that name and strength."""
    warp = functools.partial(F.affine, img, 0.0, interpolation=interpolation, fill=fill)
    tilt = math.degrees(math.atan(strength))
    changes = {
        "Identity": lambda: img,
        "ShearX": lambda: warp(translate=[0, 0], scale=1.0, shear=[tilt, 0.0], center=[0, 0]),
        "ShearY": lambda: warp(translate=[0, 0], scale=1.0, shear=[0.0, tilt], center=[0, 0]),
        "TranslateX": lambda: warp(translate=[int(strength), 0], scale=1.0, shear=[0.0, 0.0]),
        "TranslateY": lambda: warp(translate=[0, int(strength)], scale=1.0, shear=[0.0, 0.0]),
        "Rotate": lambda: F.rotate(img, strength, interpolation, fill=fill),
        "Brightness": lambda: F.adjust_brightness(img, 1.0 + strength),
        "Color": lambda: F.adjust_saturation(img, 1.0 + strength),
        "Contrast": lambda: F.adjust_contrast(img, 1.0 + strength),
        "Sharpness": lambda: F.adjust_sharpness(img, 1.0 + strength),
        "Posterize": lambda: F.posterize(img, int(strength)),
        "Solarize": lambda: F.solarize(img, strength),
        "AutoContrast": lambda: F.autocontrast(img),
        "Equalize": lambda: F.equalize(img),
        "Invert": lambda: F.invert(img),
    }
    return changes[name]()


@functools.lru_cache(maxsize=32)
def strengths(bins, shear, shift, angle, factor, lost_bits):
    """Return {name: (bins strengths, from weak to strong, or None; whether either sign)}.

    shear: largest tangent; shift: largest (x, y) in pixels; angle: in degrees; factor: largest change of brightness,
    colour, contrast and sharpness; lost_bits: of posterize. The table is kept for the next image: do not change it.
    """
    table = {
        "ShearX": (np.linspace(0.0, shear, bins), True),
        "ShearY": (np.linspace(0.0, shear, bins), True),
        "TranslateX": (np.linspace(0.0, shift[0], bins), True),
        "TranslateY": (np.linspace(0.0, shift[1], bins), True),
        "Rotate": (np.linspace(0.0, angle, bins), True),
    }
    for name in ("Brightness", "Color", "Contrast", "Sharpness"):
        table[name] = (np.linspace(0.0, factor, bins), True)
    table["Posterize"] = (8 - np.rint(np.arange(bins) / ((bins - 1) / lost_bits)), False)
    table["Solarize"] = (np.linspace(255.0, 0.0, bins), False)
    table["AutoContrast"] = table["Equalize"] = (None, False)
    return table


class _FromList(Module):
    """Base: the interpolation and fill colour of the changes."""

    def __init__(self, interpolation, fill):
        super().__init__()
        self.interpolation = interpolation_mode(interpolation)
        self.fill = fill

    def _apply(self, img, name, table, number, negative):
        """Return the image after a change of the numbered strength of the table, of the other sign where it has one."""
        values, signed = table[name]
        strength = 0.0 if values is None or number is None else float(values[number])
        if signed and negative:
            strength = -strength
        return apply_change(img, name, strength, self.interpolation, fills(img, self.fill))


class AutoAugment(_FromList):
    """One of a data set's 25 pairs of changes, found by search to help on it, each with its probability and strength.

    Raises ValueError for another policy than those of AutoAugmentPolicy.
    Source: Cubuk et al. (2019); https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.AutoAugment.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.AutoAugment()(mg.full((3, 8, 9), 100, dtype=mg.uint8)).shape
    minigrad.Size([3, 8, 9])
    """

    def __init__(self, policy=AutoAugmentPolicy.IMAGENET, interpolation=InterpolationMode.NEAREST, fill=None):
        super().__init__(interpolation, fill)
        if not isinstance(policy, AutoAugmentPolicy):
            raise ValueError(f"The provided policy {policy} is not recognized.")
        self.policy = policy
        self.policies = _parsed(policy)

    def forward(self, img):
        _, height, width = F.get_dimensions(img)
        shift = 150.0 / 331.0 * width, 150.0 / 331.0 * height
        table = strengths(10, 0.3, shift, 30.0, 0.9, 4) | {"Invert": (None, False)}
        for name, probability, number in self.policies[whole(0, len(self.policies) - 1)]:
            if chance(probability):
                img = self._apply(img, name, table, number, chance(0.5))
        return img

    def __repr__(self):
        return f"{type(self).__name__}(policy={self.policy}, fill={self.fill})"


class RandAugment(_FromList):
    """``num_ops`` changes drawn from a list of 14, all of the same strength.

    Args: ``magnitude``: the number of the strength, 0 … num_magnitude_bins - 1. Raises ValueError for another one.
    Source: Cubuk et al. (2020); https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandAugment.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandAugment()(mg.full((3, 8, 9), 100, dtype=mg.uint8)).shape
    minigrad.Size([3, 8, 9])
    """

    def __init__(
        self, num_ops=2, magnitude=9, num_magnitude_bins=31, interpolation=InterpolationMode.NEAREST, fill=None
    ):
        super().__init__(interpolation, fill)
        if not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(f"magnitude should be 0 … {num_magnitude_bins - 1}, but got {magnitude}")
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img):
        _, height, width = F.get_dimensions(img)
        shift = 150.0 / 331.0 * width, 150.0 / 331.0 * height
        table = {"Identity": (None, False)} | strengths(self.num_magnitude_bins, 0.3, shift, 30.0, 0.9, 4)
        for _ in range(self.num_ops):
            name = list(table)[whole(0, len(table) - 1)]
            img = self._apply(img, name, table, self.magnitude, chance(0.5))
        return img

    def __repr__(self):
        return (
            f"{type(self).__name__}(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, fill={self.fill})"
        )


class TrivialAugmentWide(_FromList):
    """One change drawn from a list of 14, of random strength.

    Source: Müller and Hutter (2021);
    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.TrivialAugmentWide.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.TrivialAugmentWide()(mg.full((3, 8, 9), 100, dtype=mg.uint8)).shape
    minigrad.Size([3, 8, 9])
    """

    def __init__(self, num_magnitude_bins=31, interpolation=InterpolationMode.NEAREST, fill=None):
        super().__init__(interpolation, fill)
        if num_magnitude_bins < 2:
            raise ValueError(f"num_magnitude_bins should be 2 or more, but got {num_magnitude_bins}")
        self.num_magnitude_bins = num_magnitude_bins
        table = strengths(num_magnitude_bins, 0.99, (32.0, 32.0), 135.0, 0.99, 6)
        self._table = {"Identity": (None, False)} | table

    def forward(self, img):
        name = list(self._table)[whole(0, len(self._table) - 1)]
        return self._apply(img, name, self._table, whole(0, self.num_magnitude_bins - 1), chance(0.5))

    def __repr__(self):
        return (
            f"{type(self).__name__}(num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )


class AugMix(_FromList):
    """A mean, with random weights, of an image and several chains of one to three mild changes of it.

    Args:
        severity: the changes' strengths are the weakest of 10, as many as this number says.
        mixture_width: number of chains; chain_depth: changes of a chain, or 0 and less for a random number.
        alpha: of the Dirichlet distributions of the weights: the smaller, the more unequal they are.
        all_ops: whether brightness, colour, contrast and sharpness are changed as well.
    Raises ValueError for a severity beyond 1 … 10 or numbers that are not positive.
    Source: Hendrycks et al. (2020); https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.AugMix.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.AugMix()(mg.full((3, 8, 9), 100, dtype=mg.uint8)).shape
    minigrad.Size([3, 8, 9])
    """

    def __init__(
        self,
        severity=3,
        mixture_width=3,
        chain_depth=-1,
        alpha=1.0,
        all_ops=True,
        interpolation=InterpolationMode.BILINEAR,
        fill=None,
    ):
        super().__init__(interpolation, fill)
        if not 1 <= severity <= 10:
            raise ValueError(f"The severity must be between [1, 10]. Got {severity} instead.")
        if mixture_width < 1 or not alpha > 0:
            raise ValueError(f"mixture_width and alpha should be positive, but got {mixture_width} and {alpha}")
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def _table(self, img):
        """Return the table of strengths for an image."""
        _, height, width = F.get_dimensions(img)
        table = dict(strengths(10, 0.3, (width / 3.0, height / 3.0), 30.0, 0.9, 4))
        table["Posterize"] = (table["Posterize"][0] - 4, False)
        if not self.all_ops:
            for name in ("Brightness", "Color", "Contrast", "Sharpness"):
                del table[name]
        return table

    def forward(self, img):
        if is_pil_image(img):
            return F.to_pil_image(self._mixture(F.pil_to_tensor(img)), mode=img.mode)
        return takes_arrays(self._mixture)(img)

    def _mixture(self, img):
        table = self._table(img)
        batch = img.reshape(*[1] * max(4 - img.ndim, 0), *img.shape)  # (N, …, C, H, W): each image has its own weights
        generator = current_generator().numpy
        kept, changed = generator.dirichlet([self.alpha] * 2, len(batch)).T
        weights = generator.dirichlet([self.alpha] * self.mixture_width, len(batch)).T * changed
        mixture = None
        for weight in (kept, *weights):
            weight = like(weight.astype(np.float32).reshape(-1, *[1] * (batch.ndim - 1)), batch)
            mixture = batch * weight if mixture is None else mixture + self._chain(batch, table) * weight
        return mixture.reshape(img.shape).to(img.dtype)

    def _chain(self, img, table):
        """Return images after a random chain of changes."""
        for _ in range(self.chain_depth if self.chain_depth > 0 else whole(1, 3)):
            name = list(table)[whole(0, len(table) - 1)]
            img = self._apply(img, name, table, whole(0, self.severity - 1), chance(0.5))
        return img

    def __repr__(self):
        names = ("severity", "mixture_width", "chain_depth", "alpha", "all_ops", "interpolation", "fill")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in names)})"
