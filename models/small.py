"""Small networks of this project's own, which two CPU cores train in minutes: for the experiments and for CIFAR-10."""
from minigrad import nn
from minigrad.nn.utils.fusion import call_pair
from minigrad.vision.ops import StochasticDepth
from models.registry import register
from models.resnet import BasicBlock, conv1x1, conv3x3, drop_probabilities, initialize

__all__ = ["SmallCNN", "SmallResNet", "small_cnn", "small_resnet"]

DROPOUTS = {"inverted": nn.Dropout, "plain": nn.PlainDropout}


class SmallCNN(nn.Module):
    """Stages of convolution, ReLU and pooling, then two linear layers with dropout between.

    ::

        (N, C, S, S)  conv 3x3, pool 2x2  (N, w1, S/2, S/2)  …  linear (N, hidden)  dropout  linear (N, num_classes)

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: side S of the square images in pixels.
        widths: channels of each stage.
        hidden: values between the linear layers.
        dropout: probability of dropping one of these.
        dropout_kind: "inverted" (scaled at training) or "plain" (scaled at test).
        channel_dropout: probability of dropping a whole channel after a pooling.

    Raises:
        ValueError: for an unknown kind of dropout, or images that are smaller than the pooling needs.

    >>> import minigrad as mg
    >>> tuple(SmallCNN(image_size=28, in_channels=1)(mg.zeros(2, 1, 28, 28)).shape)
    (2, 10)
    """

    def __init__(
        self,
        num_classes=10,
        *,
        in_channels=3,
        image_size=32,
        widths=(32, 64, 64),
        hidden=128,
        dropout=0.0,
        dropout_kind="inverted",
        channel_dropout=0.0,
    ):
        super().__init__()
        if dropout_kind not in DROPOUTS:
            raise ValueError(f"SmallCNN: dropout_kind must be one of {', '.join(DROPOUTS)}, but got {dropout_kind!r}")
        side = image_size // 2 ** len(widths)
        if side < 1:
            raise ValueError(f"SmallCNN: {len(widths)} stages need images of {2 ** len(widths)} pixels")
        layers = []
        for before, after in zip((in_channels, *widths), widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            if channel_dropout:
                layers.append(nn.Dropout2d(channel_dropout))
        self.features = nn.Sequential(*layers)
        self.fc1 = nn.Linear(widths[-1] * side * side, hidden)
        self.dropout = DROPOUTS[dropout_kind](dropout)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x):
        x = self.features(x).flatten(1)  # (N, w·s·s)
        return self.fc2(self.dropout(nn.functional.relu(self.fc1(x))))


class SmallResNet(nn.Module):
    """A ResNet of few and narrow stages for images of about 32 pixels.

    ::

        (N, C, S, S)  conv 3x3, norm, ReLU, pool 2x2  (N, w0, S/2, S/2)   residual blocks  (N, w1, S/2, S/2)
                      residual blocks, stride 2       (N, w2, S/4, S/4)   …  mean, dropout, linear (N, num_classes)

    Args:
        num_classes: number of outputs.
        in_channels: channels of the images.
        image_size: side S of the square images in pixels, at least 2 to the number of stages.
        widths: channels of the first convolution and of each stage of residual blocks.
        blocks: residual blocks per stage.
        dropout: probability of dropping one of the values that the linear layer sees.
        stochastic_depth_prob: drop probability of the last residual block, growing linearly from the first.
        stochastic_depth_mode: "batch" as in the paper, or "row": each image by itself.

    Raises:
        ValueError: for images that are too small, or an impossible probability.

    >>> import minigrad as mg
    >>> tuple(SmallResNet()(mg.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        num_classes=10,
        *,
        in_channels=3,
        image_size=32,
        widths=(16, 32, 64, 128),
        blocks=1,
        dropout=0.0,
        stochastic_depth_prob=0.0,
        stochastic_depth_mode="batch",
    ):
        super().__init__()
        first, *stages = widths
        if image_size < 2 ** len(stages):
            raise ValueError(f"SmallResNet: {len(stages)} stages need images of at least {2 ** len(stages)} pixels")
        self.conv1 = conv3x3(in_channels, first)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(2)
        probabilities = iter(drop_probabilities(blocks * len(stages), stochastic_depth_prob, "SmallResNet"))
        layers = []
        for before, after in zip(widths, stages):
            for index in range(blocks):
                stride = 2 if index == 0 and layers else 1
                drop = StochasticDepth(next(probabilities), stochastic_depth_mode) if stochastic_depth_prob else None
                layers.append(self._block(after if index else before, after, stride, drop))
        self.blocks = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(stages[-1], num_classes)
        initialize(self)

    @staticmethod
    def _block(before, after, stride, drop):
        downsample = None
        if stride != 1 or before != after:
            downsample = nn.Sequential(conv1x1(before, after, stride), nn.BatchNorm2d(after))
        return BasicBlock(before, after, stride, downsample, stochastic_depth=drop)

    def forward(self, x):
        x = self.maxpool(call_pair(self.bn1, self.relu, self.conv1(x)))  # (N, w0, S/2, S/2)
        x = self.avgpool(self.blocks(x)).flatten(1)  # (N, w)
        return self.fc(self.dropout(x))


@register
def small_cnn(num_classes=10, *, in_channels=3, image_size=32, **kw):
    """Three convolutions and two linear layers; the other arguments are those of SmallCNN."""
    return SmallCNN(num_classes, in_channels=in_channels, image_size=image_size, **kw)


@register
def small_resnet(num_classes=10, *, in_channels=3, image_size=32, **kw):
    """Three residual blocks; the other arguments are those of SmallResNet."""
    return SmallResNet(num_classes, in_channels=in_channels, image_size=image_size, **kw)
