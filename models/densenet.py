"""DenseNet (Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", 2016)."""
from collections import OrderedDict

import minigrad
from minigrad import nn
from minigrad.utils.checkpoint import checkpoint
from models.registry import OldNames, variant
from models.sizes import SMALL

__all__ = ["DenseNet", "densenet121", "densenet161", "densenet169", "densenet201"]


class _DenseLayer(nn.Module):
    """norm relu conv1x1 norm relu conv3x3: the new features of all that the layers before it made."""

    def __init__(self, num_input_features, growth_rate, bn_size, drop_rate, memory_efficient=False):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, bn_size * growth_rate, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def _narrowed(self, *features):
        return self.conv1(self.relu1(self.norm1(minigrad.cat(features, 1))))  # (N, bn_size·growth_rate, H, W)

    def forward(self, features):
        features = [features] if isinstance(features, minigrad.Tensor) else features
        if self.memory_efficient and any(part.requires_grad for part in features):
            x = checkpoint(self._narrowed, *features, use_reentrant=False)
        else:
            x = self._narrowed(*features)
        x = self.conv2(self.relu2(self.norm2(x)))  # (N, growth_rate, H, W)
        if self.drop_rate > 0:
            x = nn.functional.dropout(x, p=self.drop_rate, training=self.training)
        return x


class _DenseBlock(nn.ModuleDict):
    """Layers each of which sees the outputs of all before it."""

    def __init__(self, num_layers, num_input_features, bn_size, growth_rate, drop_rate, memory_efficient=False):
        super().__init__()
        for index in range(num_layers):
            inputs = num_input_features + index * growth_rate
            self[f"denselayer{index + 1}"] = _DenseLayer(inputs, growth_rate, bn_size, drop_rate, memory_efficient)

    def forward(self, x):
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return minigrad.cat(features, 1)  # (N, num_input_features + num_layers·growth_rate, H, W)


class _Transition(nn.Sequential):
    """Half the channels and half the size: norm relu conv1x1 pool."""

    def __init__(self, num_input_features, num_output_features):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(OldNames, nn.Module):
    """Four dense blocks with transitions between them.

    Args:
        growth_rate: channels that each layer adds (k in the paper).
        block_config: layers in each block.
        num_init_features: filters of the first convolution.
        bn_size: the 1x1 convolution of a layer has bn_size·growth_rate filters.
        drop_rate: dropout after each layer.
        num_classes: number of outputs.
        memory_efficient: compute the concatenations again in the backward pass rather than keep them.
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the first convolution is 3x3 of stride 1 without pooling.

    Source: Huang et al. 2016, table 1; https://docs.pytorch.org/vision/stable/models/densenet.html

    >>> model = DenseNet(8, (2, 2), 16, num_classes=10, image_size=32)
    >>> tuple(model(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    # the files published with torchvision have names with a dot too many, from before dots were forbidden in names
    old_names = ((r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2"),)

    def __init__(
        self,
        growth_rate=32,
        block_config=(6, 12, 24, 16),
        num_init_features=64,
        bn_size=4,
        drop_rate=0,
        num_classes=1000,
        memory_efficient=False,
        *,
        in_channels=3,
        image_size=224,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.image_size = image_size
        small = image_size <= SMALL
        first = {"kernel_size": 3, "padding": 1} if small else {"kernel_size": 7, "stride": 2, "padding": 3}
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(in_channels, num_init_features, bias=False, **first),
                norm0=nn.BatchNorm2d(num_init_features),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.Identity() if small else nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
        )
        channels = num_init_features
        for number, layers in enumerate(block_config, start=1):
            block = _DenseBlock(layers, channels, bn_size, growth_rate, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{number}", block)
            channels += layers * growth_rate
            if number < len(block_config):
                self.features.add_module(f"transition{number}", _Transition(channels, channels // 2))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x):
        x = nn.functional.relu(self.features(x), inplace=True)  # (N, channels, S/32, S/32)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1)
        return self.classifier(x)


def _densenet(name, growth_rate, block_config, num_init_features, parameters):
    fixed = {"growth_rate": growth_rate, "block_config": block_config, "num_init_features": num_init_features}
    about = f"DenseNet with growth rate {growth_rate} and {block_config} layers: {parameters:,} parameters."
    return variant(name, DenseNet, about, fixed)


densenet121 = _densenet("densenet121", 32, (6, 12, 24, 16), 64, 7978856)
densenet161 = _densenet("densenet161", 48, (6, 12, 36, 24), 96, 28681000)
densenet169 = _densenet("densenet169", 32, (6, 12, 32, 32), 64, 14149480)
densenet201 = _densenet("densenet201", 32, (6, 12, 48, 32), 64, 20013928)
