"""LeNet-5 (LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998).

And its convolutions under global pooling, which find a digit wherever it is.
"""
from minigrad import nn
from models.registry import register

__all__ = ["LeNet5", "LeNetGlobal", "lenet5", "lenet_global"]

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
POOLS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class LeNet5(nn.Module):
    """Convolution, pooling, convolution, pooling and three linear layers.

    ::

        (N, C, S, S)  conv 5x5  (N, 6, S', S')    pool 2x2  (N, 6, S'/2, S'/2)
                      conv 5x5  (N, 16, …, …)     pool 2x2  (N, 16, F, F)     linear 120, 84, num_classes

    The paper's images are 32x32, so that F = 5 and the first linear layer sees 16·5·5 = 400 values. Smaller images are
    padded by 2 at the first convolution, as the paper pads its 28x28 digits to 32x32.

    Differences from the paper, all customary since: every feature map of the second convolution sees all six of the
    first (the paper connects them by a hand-made table), the pooling has no learned scale, the output is a linear layer
    under softmax cross-entropy instead of radial basis functions. By default the activation is ReLU and the pooling
    takes the maximum, which learn faster; ``activation="tanh", pool="avg"`` are the paper's.

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images, 1 for grey ones.
        image_size: side S of the square images in pixels, at least 12; padded by 2 if less than 32.
        activation: "relu", "tanh" or "sigmoid".
        pool: "max" or "avg".

    Raises:
        ValueError: for an unknown activation or pool, or images too small.

    >>> import minigrad as mg
    >>> model = LeNet5()
    >>> tuple(model(mg.zeros(2, 1, 28, 28)).shape)
    (2, 10)
    >>> sum(parameter.numel() for parameter in model.parameters())
    61706
    """

    def __init__(self, num_classes=10, in_channels=1, image_size=28, activation="relu", pool="max"):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"LeNet5: activation must be one of {', '.join(ACTIVATIONS)}, but got {activation!r}")
        if pool not in POOLS:
            raise ValueError(f"LeNet5: pool must be one of {', '.join(POOLS)}, but got {pool!r}")
        padding = 2 if image_size < 32 else 0
        side = ((image_size + 2 * padding - 4) // 2 - 4) // 2
        if side < 1:
            raise ValueError(f"LeNet5: image_size must be at least 12, but got {image_size}")
        self.in_channels = in_channels
        self.image_size = image_size
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=padding)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)
        self.activation = ACTIVATIONS[activation]()
        self.pool = POOLS[pool](2)

    def forward(self, x):
        x = self.pool(self.activation(self.conv1(x)))  # (N, 6, S'/2, S'/2)
        x = self.pool(self.activation(self.conv2(x)))  # (N, 16, F, F)
        x = x.flatten(1)  # (N, 16·F·F)
        x = self.activation(self.fc1(x))
        x = self.activation(self.fc2(x))
        return self.fc3(x)


@register
def lenet5(num_classes=10, *, in_channels=1, image_size=28, **kw):
    """LeNet-5 as commonly built today; the arguments are those of LeNet5."""
    return LeNet5(num_classes, in_channels, image_size, **kw)


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
