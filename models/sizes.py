"""How large the feature maps of a plain stack of layers are."""
from minigrad import nn

SMALL = 64  # images up to this side get a first layer that keeps their resolution


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
