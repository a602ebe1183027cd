"""ZF Net (M. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", 2013)."""
from minigrad import nn
from models.alexnet import NORM, check_choice, draw, grid_of, lecture_classifier, lecture_features
from models.registry import register
from models.sizes import SMALL

__all__ = ["ZFNet", "zfnet"]


class ZFNet(nn.Module):
    """AlexNet with a finer first layer and more filters after it, as the lecture has it.

    ::

        (N, 3, 224, 224)  CONV1 7x7/2 (96, 110, 110)    POOL1 (96, 55, 55)    NORM1
                          CONV2 5x5/2 (256, 26, 26)     POOL2 (256, 13, 13)   NORM2
                          CONV3 3x3 (512, 13, 13)       CONV4 3x3 (1024, 13, 13)
                          CONV5 3x3 (512, 13, 13)       POOL3 (512, 6, 6)
                          FC6 4096   FC7 4096   FC8 num_classes

    The layers bear the lecture's names, features.conv1 to classifier.fc8. The lecture lists CONV1 and the filters of
    CONV3 to CONV5 as the differences; the paper's CONV2 has stride 2, which makes up for the finer CONV1 and is kept
    here. For images up to 64 pixels CONV1 is 3x3 and CONV2 5x5, both with stride 1, and the classifier takes the maps
    as they come; those of all other sizes are brought to 6x6 by average pooling.

    Args:
        num_classes: number of outputs.
        dropout: probability with which the outputs of FC6 and FC7 are zeroed in training.
        in_channels: channels of the images.
        image_size: side of the images in pixels, at least 8.
        init: "kaiming" or "paper", see AlexNet2012.
        norm: "after_pool", "before_pool" or "none".
        hidden: width of FC6 and FC7; None for 4096, or 1024 for images up to 64 pixels.

    Raises:
        ValueError: for images too small, unknown norm or init.

    >>> import minigrad as mg
    >>> model = ZFNet(num_classes=10, image_size=32)
    >>> tuple(model(mg.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        num_classes=1000,
        dropout=0.5,
        *,
        in_channels=3,
        image_size=224,
        norm="after_pool",
        init="kaiming",
        hidden=None,
    ):
        super().__init__()
        check_choice("ZFNet", "norm", norm, NORM)
        check_choice("ZFNet", "init", init, ("kaiming", "paper"))
        small = image_size <= SMALL
        self.in_channels = in_channels
        self.image_size = image_size
        if small:
            conv1 = nn.Conv2d(in_channels, 96, 3, padding=1)
            conv2 = nn.Conv2d(96, 256, 5, padding=2)
        else:
            conv1 = nn.Conv2d(in_channels, 96, 7, stride=2, padding=1)
            conv2 = nn.Conv2d(96, 256, 5, stride=2)
        layers = lecture_features(conv1, (512, 1024, 512), norm=norm, conv2=conv2, ceil_mode=True)
        self.features = nn.Sequential(layers)
        grid = grid_of("ZFNet", self.features, image_size)
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        hidden = (1024 if small else 4096) if hidden is None else hidden
        self.classifier = nn.Sequential(lecture_classifier(512 * grid * grid, hidden, num_classes, dropout))
        draw(self, init)

    def forward(self, x):
        x = self.features(x)  # (N, 512, G', G')
        x = self.avgpool(x)  # (N, 512, G, G)
        return self.classifier(x.flatten(1))


@register
def zfnet(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """ZF Net, 107,627,624 parameters; the arguments are those of ZFNet."""
    return ZFNet(num_classes, in_channels=in_channels, image_size=image_size, **kw)
