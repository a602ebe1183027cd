"""What counts as an image, and its size."""

from minigrad.tensor import Tensor
from minigrad.vision.transforms import tensor_image
from minigrad.vision.transforms.pil_image import is_pil_image


def check_image(img):
    if not is_pil_image(img) and not isinstance(img, Tensor):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    if isinstance(img, Tensor):
        tensor_image.check_image(img)


def get_dimensions(img):
    """Return [channels, height, width] of an image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_dimensions.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.get_dimensions(mg.zeros(3, 4, 5))
    [3, 4, 5]
    """
    check_image(img)
    if isinstance(img, Tensor):
        return [1 if img.ndim == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]
    return [len(img.getbands()), img.height, img.width]


def get_image_size(img):
    """Return [width, height] of an image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_image_size.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.get_image_size(mg.zeros(3, 4, 5))
    [5, 4]
    """
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img):
    """Return the number of channels of an image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_image_num_channels.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.get_image_num_channels(mg.zeros(3, 4, 5))
    3
    """
    return get_dimensions(img)[0]
