"""ConvNeXt (Liu et al., "A ConvNet for the 2020s", 2022)."""
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation, Permute, StochasticDepth
from models.registry import variant
from models.sizes import SMALL

__all__ = ["ConvNeXt", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny"]


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W)."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A 7x7 convolution of each channel by itself, layer norm, 1x1 to four times the channels, GELU, 1x1 back.

    Args:
        dim: channels.
        layer_scale: initial factor of the branch, one per channel, learnt.
        stochastic_depth_prob: with which the branch is dropped.
        norm_layer: makes a normalisation of the last axis; None for nn.LayerNorm with eps 1e-6.

    >>> tuple(CNBlock(8, 1e-6, 0.0)(minigrad.zeros(1, 8, 4, 4)).shape)
    (1, 8, 4, 4)
    """

    def __init__(self, dim, layer_scale, stochastic_depth_prob, norm_layer=None):
        super().__init__()
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim),
            Permute([0, 2, 3, 1]),
            norm_layer(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(minigrad.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input):
        return self.stochastic_depth(self.layer_scale * self.block(input)) + input


class CNBlockConfig:
    """A stage: channels, channels after it (None for the last stage) and number of blocks.

    >>> CNBlockConfig(96, 192, 3)
    CNBlockConfig(input_channels=96, out_channels=192, num_layers=3)
    """

    def __init__(self, input_channels, out_channels, num_layers):
        self.input_channels = input_channels
        self.out_channels = out_channels
        self.num_layers = num_layers

    def __repr__(self):
        said = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({said})"


class ConvNeXt(nn.Module):
    """Patches of 4x4 pixels, four stages of blocks with 2x2 convolutions between, layer norm and one linear layer.

    Args:
        block_setting: list of CNBlockConfig.
        stochastic_depth_prob: drop probability of the last of the B blocks; block i has i/(B - 1) of it.
        layer_scale: see CNBlock.
        num_classes: number of outputs.
        block: makes a block; None for CNBlock.
        norm_layer: makes a normalisation of so many channels; None for LayerNorm2d with eps 1e-6.
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the patches are 2x2.

    Raises:
        ValueError, TypeError: for a setting that is empty or holds something else.

    Source: Liu et al. 2022; https://docs.pytorch.org/vision/stable/models/convnext.html

    >>> model = ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=10, image_size=32)
    >>> tuple(model(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        block_setting,
        stochastic_depth_prob=0.0,
        layer_scale=1e-6,
        num_classes=1000,
        block=None,
        norm_layer=None,
        *,
        in_channels=3,
        image_size=224,
    ):
        super().__init__()
        stages = block_setting
        if not stages:
            raise ValueError("The block_setting should not be empty")
        if not isinstance(stages, (list, tuple)) or not all(isinstance(stage, CNBlockConfig) for stage in stages):
            raise TypeError("The block_setting should be List[CNBlockConfig]")
        block = block or CNBlock
        norm_layer = norm_layer or partial(LayerNorm2d, eps=1e-6)
        self.in_channels = in_channels
        self.image_size = image_size
        patch = 2 if image_size <= SMALL else 4
        first = {"kernel_size": patch, "stride": patch, "padding": 0, "bias": True}
        width = stages[0].input_channels
        layers = [Conv2dNormActivation(in_channels, width, norm_layer=norm_layer, activation_layer=None, **first)]
        blocks = sum(stage.num_layers for stage in stages)
        count = 0
        for stage in stages:
            made = []
            for _ in range(stage.num_layers):
                made.append(block(stage.input_channels, layer_scale, stochastic_depth_prob * count / (blocks - 1.0)))
                count += 1
            layers.append(nn.Sequential(*made))
            width = stage.input_channels
            if stage.out_channels is not None:
                narrower = nn.Conv2d(width, stage.out_channels, kernel_size=2, stride=2)
                layers.append(nn.Sequential(norm_layer(width), narrower))
                width = stage.out_channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(norm_layer(width), nn.Flatten(1), nn.Linear(width, num_classes))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.features(x)  # (N, C, S/32, S/32)
        return self.classifier(self.avgpool(x))


def _convnext(name, widths, blocks, stochastic_depth_prob, parameters):
    stages = [CNBlockConfig(*row) for row in zip(widths, [*widths[1:], None], blocks)]
    about = f"ConvNeXt with {blocks} blocks of widths {widths}: {parameters:,} parameters."
    return variant(name, ConvNeXt, about, {"block_setting": stages}, stochastic_depth_prob=stochastic_depth_prob)


convnext_tiny = _convnext("convnext_tiny", (96, 192, 384, 768), (3, 3, 9, 3), 0.1, 28589128)
convnext_small = _convnext("convnext_small", (96, 192, 384, 768), (3, 3, 27, 3), 0.4, 50223688)
convnext_base = _convnext("convnext_base", (128, 256, 512, 1024), (3, 3, 27, 3), 0.5, 88591464)
convnext_large = _convnext("convnext_large", (192, 384, 768, 1536), (3, 3, 27, 3), 0.5, 197767336)
