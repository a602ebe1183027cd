"""Random sizes for training and many crops for testing: how ResNet was trained and tested on ImageNet."""

from minigrad.backend import np
from minigrad.nn import Module
from minigrad.ops.join import stack
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.crops import RandomCrop, pair
from minigrad.vision.transforms.draws import whole
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode
from minigrad.vision.transforms.pil_image import is_pil_image


class _RandomSize(Module):
    """Base of transforms that draw a size and resize the image to it."""

    def __init__(self, interpolation, antialias):
        super().__init__()
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias

    def _detail(self):
        return f"interpolation={self.interpolation.value}, antialias={self.antialias}"


class RandomResize(_RandomSize):
    """An image resized so that its shorter edge is a random number of min_size … max_size - 1 pixels.

    Raises ValueError unless 0 < min_size < max_size.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomResize.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomResize(6, 7)(mg.ones(3, 8, 16)).shape
    minigrad.Size([3, 6, 12])
    """

    def __init__(self, min_size, max_size, interpolation=InterpolationMode.BILINEAR, antialias=True):
        super().__init__(interpolation, antialias)
        if not 0 < min_size < max_size:
            raise ValueError(f"min_size should be positive and below max_size, but they are {min_size} and {max_size}")
        self.min_size = min_size
        self.max_size = max_size

    def forward(self, img):
        size = whole(self.min_size, self.max_size - 1)
        return F.resize(img, [size], self.interpolation, antialias=self.antialias)

    def __repr__(self):
        return f"{type(self).__name__}(min_size={self.min_size}, max_size={self.max_size}, {self._detail()})"


class RandomShortestSize(_RandomSize):
    """An image resized so that its shorter edge is one of ``min_size``, and its longer one at most ``max_size``.

    Arguments: min_size (list of ints, or one), max_size (int, or None for no limit).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomShortestSize.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomShortestSize([6], max_size=9)(mg.ones(3, 8, 16)).shape
    minigrad.Size([3, 4, 9])
    """

    def __init__(self, min_size, max_size=None, interpolation=InterpolationMode.BILINEAR, antialias=True):
        super().__init__(interpolation, antialias)
        self.min_size = [min_size] if isinstance(min_size, int) else list(min_size)
        if not self.min_size or min(self.min_size) < 1:
            raise ValueError(f"min_size should be one or more positive numbers, but got {min_size}")
        self.max_size = max_size

    def forward(self, img):
        _, height, width = F.get_dimensions(img)
        ratio = self.min_size[whole(0, len(self.min_size) - 1)] / min(height, width)
        if self.max_size is not None:
            ratio = min(ratio, self.max_size / max(height, width))
        return F.resize(img, [int(height * ratio), int(width * ratio)], self.interpolation, antialias=self.antialias)

    def __repr__(self):
        return f"{type(self).__name__}(min_size={self.min_size}, max_size={self.max_size}, {self._detail()})"


class ScaleJitterCrop(_RandomSize):
    """A random rectangle of ``size`` from an image whose shorter edge was resized to a random length of ``scales``.

    Args: ``size``: of the rectangle, an int or (H, W); ``scales``: bounds of the length, both included; ResNet had
    those of the default, VGG (256, 512), and both mirrored the result at random. Raises TypeError unless scales is a
    pair, ValueError for bounds below the size or out of order.
    Source: He et al., Deep Residual Learning for Image Recognition (2015), section 3.4.

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.ScaleJitterCrop(16, scales=(18, 24))(mg.ones(3, 20, 30)).shape
    minigrad.Size([3, 16, 16])
    """

    def __init__(self, size=224, scales=(256, 480), interpolation=InterpolationMode.BILINEAR, antialias=True):
        super().__init__(interpolation, antialias)
        self.size = pair(size, "Please provide only two dimensions (h, w) for size.")
        if not isinstance(scales, (list, tuple)) or len(scales) != 2:
            raise TypeError(f"scales should be a pair (low, high), but got {scales!r}")
        if not max(self.size) <= scales[0] <= scales[1]:
            raise ValueError(f"scales should be (low, high) with size <= low <= high, but got {scales} for {self.size}")
        self.scales = scales

    def forward(self, img):
        resized = F.resize(img, [whole(*self.scales)], self.interpolation, antialias=self.antialias)
        return F.crop(resized, *RandomCrop.get_params(resized, self.size))

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, scales={self.scales}, {self._detail()})"


class MultiScaleTenCrop(_RandomSize):
    """Ten crops at each of several scales, stacked, for the mean of a network's answers at test time.

    The image is resized so that its shorter edge is each of ``scales`` (S of them) in turn; TenCrop takes corners,
    middle and their mirror images. A PIL image gives a float tensor (10 S, C, H, W) of 0 … 1, as ToTensor does, a
    tensor one of its own dtype, a batch of them (N, 10 S, C, H, W), an array an array (10 S, H, W[, C]).
    Raises ValueError for a scale below the size.
    Source: He et al., Deep Residual Learning for Image Recognition (2015), section 3.4 (there fully convolutional).

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.MultiScaleTenCrop(8, scales=(8, 10))(mg.ones(3, 12, 16)).shape
    minigrad.Size([20, 3, 8, 8])
    """

    def __init__(
        self,
        size=224,
        scales=(224, 256, 384, 480, 640),
        vertical_flip=False,
        interpolation=InterpolationMode.BILINEAR,
        antialias=True,
    ):
        super().__init__(interpolation, antialias)
        self.size = pair(size, "Please provide only two dimensions (h, w) for size.")
        if not scales or min(scales) < max(self.size):
            raise ValueError(f"scales should be one or more lengths not below the size {self.size}, but got {scales}")
        self.scales = tuple(scales)
        self.vertical_flip = vertical_flip

    def forward(self, img):
        crops = []
        for scale in self.scales:
            resized = F.resize(img, [scale], self.interpolation, antialias=self.antialias)
            crops += F.ten_crop(resized, self.size, self.vertical_flip)
        if isinstance(img, np.ndarray):
            return np.stack(crops)
        return stack([F.to_tensor(crop) for crop in crops] if is_pil_image(img) else crops, -4)

    def __repr__(self):
        detail = f"size={self.size}, scales={self.scales}, vertical_flip={self.vertical_flip}, {self._detail()}"
        return f"{type(self).__name__}({detail})"
