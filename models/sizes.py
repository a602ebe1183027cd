"""How large feature maps are, and how many channels they have."""
from minigrad import nn

SMALL = 64  # images up to this side get a first layer that keeps their resolution


def first_stride(image_size):
    """The stride of the first convolution: 2, or 1 for images of at most 64 pixels, which would shrink to nothing."""
    return 1 if image_size <= SMALL else 2


def make_divisible(value, divisor, least=None):
    """The multiple of divisor nearest to value, at least ``least`` (or divisor), and never below 0.9 · value.

    Source: the MobileNet papers' released code; torchvision counts channels by it.

    >>> make_divisible(28.8, 8), make_divisible(11, 8), make_divisible(1, 8)
    (32, 16, 8)
    """
    rounded = max(divisor if least is None else least, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def side_after(layers, side):
    """The side of the square maps that a stack of convolutions and poolings makes of a square image; 0 if none is left.

    Args:
        layers: a Sequential; layers other than convolutions and poolings keep the side.
        side: of the image, in pixels.

    >>> side_after(nn.Sequential(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2)), 227)
    27
    """
    for layer in layers:
        if not isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            continue
        kernel, stride, padding = (_first(getattr(layer, name)) for name in ("kernel_size", "stride", "padding"))
        rest = side + 2 * padding - kernel
        if getattr(layer, "ceil_mode", False):
            rest += stride - 1
        if rest < 0:
            return 0
        side = rest // stride + 1
    return side


def _first(value):
    return value[0] if isinstance(value, tuple) else value
