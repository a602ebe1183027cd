"""Images blurred, and partly erased."""

import numbers

from minigrad.tensor import Tensor
from minigrad.vision.transforms import tensor_image
from minigrad.vision.transforms.functional.conversions import pil_to_tensor, to_pil_image
from minigrad.vision.transforms.functional.images import check_image, takes_arrays


def _blur_arguments(kernel_size, sigma):
    """Return ([taps along x, along y], [sigma along x, along y]); TypeError and ValueError for wrong ones."""
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}")
    counts = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(counts) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(counts)}")
    if any(count % 2 == 0 or count < 0 for count in counts):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {kernel_size}")
    if sigma is None:
        sigma = [count * 0.15 + 0.35 for count in counts]
    if not isinstance(sigma, (numbers.Real, list, tuple)):
        raise TypeError(f"sigma should be either float or sequence of floats. Got {type(sigma)}")
    sigmas = [float(sigma)] * 2 if isinstance(sigma, numbers.Real) else list(sigma) * (2 if len(sigma) == 1 else 1)
    if len(sigmas) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(sigmas)}")
    if any(value <= 0 for value in sigmas):
        raise ValueError(f"sigma should have positive values. Got {sigma}")
    return counts, sigmas


@takes_arrays
def gaussian_blur(img, kernel_size, sigma=None):
    """Return an image blurred with a Gaussian, the image mirrored at its border.

    Args: ``kernel_size``: odd number of taps, or (along x, along y); ``sigma``: standard deviation in pixels, or
    (along x, along y); default 0.15 * kernel_size + 0.35. Raises TypeError and ValueError for wrong arguments,
    RuntimeError for an image not larger than half the kernel.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.gaussian_blur.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.gaussian_blur(mg.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]]), (3, 1), sigma=1.0)
    tensor([[[0.0000, 0.2741, 0.4519, 0.2741, 0.0000]]])
    """
    counts, sigmas = _blur_arguments(kernel_size, sigma)
    check_image(img)
    if isinstance(img, Tensor):
        return tensor_image.gaussian_blur(img, counts, sigmas)
    return to_pil_image(tensor_image.gaussian_blur(pil_to_tensor(img), counts, sigmas), mode=img.mode)


@takes_arrays
def erase(img, i, j, h, w, v, inplace=False):
    """Return a tensor with the rectangle of h rows from i on and w columns from j on set to v.

    ``v``: a number, or a tensor that broadcasts to (C, h, w), for arrays too. Raises TypeError for a PIL image.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.erase.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.erase(mg.ones(1, 2, 3), i=0, j=1, h=1, w=2, v=0)
    tensor([[[1., 0., 0.],
             [1., 1., 1.]]])
    """
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    if isinstance(v, Tensor) and v.device != img.device:
        v = v.to(img.device)
    if not inplace:
        img = img.clone()
    img[..., i : i + h, j : j + w] = v
    return img
