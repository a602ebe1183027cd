"""A small network that finds things wherever they are: LeNet's convolutions under global pooling."""
from minigrad import nn
from models.registry import register

__all__ = ["LeNetGlobal", "lenet_global"]


class LeNetGlobal(nn.Module):
    """Three 5x5 convolutions, a map per class, and the maximum of each map.

    ::

        (N, C, S, S)  conv 5x5  pool 2x2  (N, 8, S/2, S/2)
                      conv 5x5  pool 2x2  (N, 24, S/4, S/4)
                      conv 5x5            (N, 64, S/4, S/4)
                      conv 1x1            (N, K, S/4, S/4)   how much each place looks like each class
                      maximum             (N, K)             whether the class is anywhere

    A place of the maps sees 32x32 pixels, enough for a digit of 28x28. The maximum does not care where, nor how
    large the image is. Source of the idea: Oquab, Bottou, Laptev and Sivic, "Is object localization for free?", 2015.

    Args:
        num_classes: K.
        in_channels: C.
        widths: channels after each convolution.

    >>> import minigrad as mg
    >>> model = LeNetGlobal()
    >>> tuple(model.maps(mg.zeros(2, 1, 64, 64)).shape), tuple(model(mg.zeros(2, 1, 64, 64)).shape)
    ((2, 10, 16, 16), (2, 10))
    """

    def __init__(self, num_classes=10, in_channels=1, widths=(8, 24, 64)):
        super().__init__()
        first, second, third = widths
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, first, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(second, third, 5, padding=2),
            nn.ReLU(),
        )
        self.classes = nn.Conv2d(third, num_classes, 1)

    def maps(self, x):
        """How much each place looks like each class: logits (N, K, S/4, S/4)."""
        return self.classes(self.features(x))

    def forward(self, x):
        return self.maps(x).amax((2, 3))


@register
def lenet_global(num_classes=10, *, in_channels=1, image_size=64, **kw):
    """LeNet's convolutions under global pooling; the other arguments are those of LeNetGlobal.

    Raises:
        ValueError: for images of less than 4 pixels.
    """
    if image_size < 4:
        raise ValueError(f"lenet_global: image_size must be at least 4, but got {image_size}")
    return LeNetGlobal(num_classes, in_channels, **kw)
