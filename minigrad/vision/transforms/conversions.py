"""Transforms from one kind of image into another."""

from minigrad.nn import Module
from minigrad.vision.transforms import functional as F


class ToTensor:
    """A PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W); uint8 is scaled to 0 … 1.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ToTensor.html

    >>> import numpy as np
    >>> from minigrad.vision import transforms
    >>> transforms.ToTensor()(np.array([[0, 51, 255]], np.uint8))
    tensor([[[0.0000, 0.2000, 1.0000]]])
    """

    def __call__(self, pic):
        return F.to_tensor(pic)

    def __repr__(self):
        return f"{type(self).__name__}()"


class PILToTensor:
    """A PIL image as a tensor (C, H, W) of its pixels, not scaled.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.PILToTensor.html

    >>> from PIL import Image
    >>> from minigrad.vision import transforms
    >>> transforms.PILToTensor()(Image.new("L", (3, 1), 7))
    tensor([[[7, 7, 7]]], dtype=minigrad.uint8)
    """

    def __call__(self, pic):
        return F.pil_to_tensor(pic)

    def __repr__(self):
        return f"{type(self).__name__}()"


class ToPILImage:
    """A tensor (C, H, W) or an array (H, W, C) as a PIL image, of ``mode`` where several fit.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ToPILImage.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> image = transforms.ToPILImage()(mg.zeros(3, 4, 5))
    >>> image.mode, image.size
    ('RGB', (5, 4))
    """

    def __init__(self, mode=None):
        self.mode = mode

    def __call__(self, pic):
        return F.to_pil_image(pic, self.mode)

    def __repr__(self):
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class ConvertImageDtype(Module):
    """A tensor in another dtype, scaled: floats are 0 … 1, integers 0 … their largest number.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ConvertImageDtype.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.ConvertImageDtype(mg.float32)(mg.full((1, 1, 1), 255, dtype=mg.uint8))
    tensor([[[1.]]])
    """

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, image):
        return F.convert_image_dtype(image, self.dtype)


class Normalize(Module):
    """(image - mean) / std per channel, of a float tensor.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Normalize.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.Normalize((0.5,), (0.5,))(mg.ones(1, 1, 2))
    tensor([[[1., 1.]]])
    """

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor):
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self):
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"
