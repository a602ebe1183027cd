"""Transforms of colours."""

from minigrad.nn import Module
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.draws import chance


class Grayscale(Module):
    """The luminance of an RGB image, in 1 channel or 3 equal ones.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Grayscale.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.Grayscale()(mg.ones(3, 4, 4)).shape
    minigrad.Size([1, 4, 4])
    """

    def __init__(self, num_output_channels=1):
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img):
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self):
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class RandomGrayscale(Module):
    """Grayscale, in as many channels as the image has, with probability ``p``.

    Argument: p (0 … 1). Shape: (…, 3, H, W) for a tensor.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomGrayscale.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomGrayscale(p=1.0)(mg.ones(3, 4, 5)).shape
    minigrad.Size([3, 4, 5])
    """

    def __init__(self, p=0.1):
        super().__init__()
        self.p = p

    def forward(self, img):
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img)) if chance(self.p) else img

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"
