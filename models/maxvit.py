"""MaxViT (Tu et al., "MaxViT: Multi-Axis Vision Transformer", 2022)."""
from collections import OrderedDict
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from models.registry import variant
from models.shifted_windows import relative_position_index, window_merge, window_partition

__all__ = ["MaxVit", "maxvit_t"]


class MBConv(nn.Module):
    """norm, 1x1 to more channels, 3x3 of each by itself, squeeze and excitation, 1x1 to few, beside a shortcut."""

    def __init__(
        self,
        in_channels,
        out_channels,
        expansion_ratio,
        squeeze_ratio,
        stride,
        activation_layer,
        norm_layer,
        p_stochastic_dropout=0.0,
    ):
        super().__init__()
        self.proj = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            pool = [nn.AvgPool2d(kernel_size=3, stride=stride, padding=1)] if stride == 2 else []
            self.proj = nn.Sequential(*pool, nn.Conv2d(in_channels, out_channels, kernel_size=1))
        self.stochastic_depth = nn.Identity()
        if p_stochastic_dropout:
            self.stochastic_depth = StochasticDepth(p_stochastic_dropout, mode="row")
        hidden = int(out_channels * expansion_ratio)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation_layer, inplace=None)
        self.layers = nn.Sequential(
            OrderedDict(
                pre_norm=norm_layer(in_channels),
                conv_a=conv(in_channels, hidden, kernel_size=1),
                conv_b=conv(hidden, hidden, kernel_size=3, stride=stride, groups=hidden),
                squeeze_excitation=SqueezeExcitation(hidden, int(out_channels * squeeze_ratio), activation=nn.SiLU),
                conv_c=nn.Conv2d(hidden, out_channels, kernel_size=1),
            )
        )

    def forward(self, x):
        return self.proj(x) + self.stochastic_depth(self.layers(x))


class RelativePositionalMultiHeadAttention(nn.Module):
    """Attention within each of G groups of L positions, (N, G, L, feat_dim), with learnt biases of the offsets."""

    def __init__(self, feat_dim, head_dim, max_seq_len):
        super().__init__()
        if feat_dim % head_dim != 0:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        self.n_heads = feat_dim // head_dim
        self.head_dim = head_dim
        self.max_seq_len = max_seq_len
        self.size = round(max_seq_len**0.5)
        self.to_qkv = nn.Linear(feat_dim, feat_dim * 3)
        self.scale_factor = feat_dim**-0.5
        self.merge = nn.Linear(feat_dim, feat_dim)
        self.relative_position_bias_table = nn.Parameter(minigrad.empty((2 * self.size - 1) ** 2, self.n_heads))
        self.register_buffer("relative_position_index", relative_position_index([self.size, self.size]))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x):
        n, groups, length, channels = x.shape
        qkv = self.to_qkv(x).reshape(n, groups, length, 3, self.n_heads, self.head_dim)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)  # (N, G, heads, L, head_dim)
        index = self.relative_position_index.flatten()
        bias = self.relative_position_bias_table[index].reshape(self.max_seq_len, self.max_seq_len, -1)
        attention = (q @ (k * self.scale_factor).transpose(-2, -1) + bias.permute(2, 0, 1)).softmax(-1)
        x = (attention @ v).transpose(2, 3).reshape(n, groups, length, channels)
        return self.merge(x)


class PartitionAttentionLayer(nn.Module):
    """Attention and perceptron on windows of neighbours, or on grids of positions that stand apart.

    Args:
        in_channels, head_dim: channels, and those of one head.
        partition_size: side of a window, or of the grid.
        partition_type: "window" or "grid".
        grid_size: (height, width) of the maps.
        mlp_ratio: hidden width of the perceptron over the channels.
        activation_layer, norm_layer: make an activation and a normalisation.
        attention_dropout, mlp_dropout, p_stochastic_dropout: probabilities.

    Raises:
        ValueError: for another partition_type.
        AssertionError: when called, for maps that the partitions do not fill.
    """

    def __init__(
        self,
        in_channels,
        head_dim,
        partition_size,
        partition_type,
        grid_size,
        mlp_ratio,
        activation_layer,
        norm_layer,
        attention_dropout,
        mlp_dropout,
        p_stochastic_dropout,
    ):
        super().__init__()
        if partition_type not in ("grid", "window"):
            raise ValueError("partition_type must be either 'grid' or 'window'")
        self.partition_type = partition_type
        self.grid_size = grid_size
        self.p = partition_size if partition_type == "window" else grid_size[0] // partition_size
        self.attn_layer = nn.Sequential(
            norm_layer(in_channels),
            RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2),
            nn.Dropout(attention_dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(in_channels),
            nn.Linear(in_channels, in_channels * mlp_ratio),
            activation_layer(),
            nn.Linear(in_channels * mlp_ratio, in_channels),
            nn.Dropout(mlp_dropout),
        )
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, mode="row")

    def forward(self, x):
        if any(side % self.p for side in self.grid_size):
            raise AssertionError(
                "Grid size must be divisible by partition size. "
                f"Got grid size of {self.grid_size} and partition size of {self.p}"
            )
        n, channels, height, width = x.shape
        window = (self.p, self.p)
        x = window_partition(x.permute(0, 2, 3, 1), window).reshape(n, -1, self.p**2, channels)
        if self.partition_type == "grid":  # the positions of one place in every window
            x = x.transpose(1, 2)
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        if self.partition_type == "grid":
            x = x.transpose(1, 2)
        x = window_merge(x.reshape(-1, self.p**2, channels), window, (height, width))
        return x.permute(0, 3, 1, 2)


class MaxVitLayer(nn.Module):
    """MBConv, attention in windows, attention in grids."""

    def __init__(self, in_channels, out_channels, stride, p_stochastic_dropout, grid_size, settings):
        super().__init__()
        conv = MBConv(
            in_channels,
            out_channels,
            settings["expansion_ratio"],
            settings["squeeze_ratio"],
            stride,
            settings["activation_layer"],
            settings["norm_layer"],
            p_stochastic_dropout,
        )
        names = ("head_dim", "partition_size", "mlp_ratio", "activation_layer", "attention_dropout", "mlp_dropout")
        attention = partial(
            PartitionAttentionLayer,
            out_channels,
            grid_size=grid_size,
            norm_layer=nn.LayerNorm,
            p_stochastic_dropout=p_stochastic_dropout,
            **{name: settings[name] for name in names},
        )
        self.layers = nn.Sequential(
            OrderedDict(
                MBconv=conv,
                window_attention=attention(partition_type="window"),
                grid_attention=attention(partition_type="grid"),
            )
        )

    def forward(self, x):
        return self.layers(x)


class MaxVitBlock(nn.Module):
    """Layers of one size; the first halves it."""

    def __init__(self, in_channels, out_channels, grid_size, probabilities, settings):
        super().__init__()
        self.grid_size = grid_size
        self.layers = nn.ModuleList()
        for index, p in enumerate(probabilities):
            stride = 2 if index == 0 else 1
            self.layers.append(MaxVitLayer(in_channels, out_channels, stride, p, grid_size, settings))
            in_channels = out_channels

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class MaxVit(nn.Module):
    """Two convolutions, blocks of convolution and two kinds of attention, a mean and three last layers.

    Args:
        input_size: (height, width) of the images; others cannot be put through.
        stem_channels: filters of the two convolutions.
        partition_size: side of the windows and grids.
        block_channels, block_layers: lists, one entry per block.
        head_dim: channels of one head.
        stochastic_depth_prob: drop probability of the last layer; they grow evenly from 0.
        norm_layer: makes a normalisation; None for nn.BatchNorm2d with eps 0.001 and momentum 0.01.
        activation_layer: makes an activation.
        squeeze_ratio, expansion_ratio: of the MBConv.
        mlp_ratio: of the perceptrons.
        mlp_dropout, attention_dropout: probabilities.
        num_classes: number of outputs.
        in_channels: channels of the images.

    Raises:
        ValueError: for an input_size whose maps the partitions do not fill.

    Source: Tu et al. 2022; https://docs.pytorch.org/vision/stable/models/maxvit.html

    >>> model = MaxVit((32, 32), 8, 2, [8, 16], [1, 1], 8, 0.0, num_classes=10)
    >>> tuple(model(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        input_size,
        stem_channels,
        partition_size,
        block_channels,
        block_layers,
        head_dim,
        stochastic_depth_prob,
        norm_layer=None,
        activation_layer=nn.GELU,
        squeeze_ratio=0.25,
        expansion_ratio=4,
        mlp_ratio=4,
        mlp_dropout=0.0,
        attention_dropout=0.0,
        num_classes=1000,
        *,
        in_channels=3,
    ):
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        sizes = []
        size = tuple((side + 1) // 2 for side in input_size)
        for index in range(len(block_channels)):
            size = tuple((side + 1) // 2 for side in size)
            sizes.append(size)
            if any(side % partition_size for side in size):
                raise ValueError(
                    f"Input size {size} of block {index} is not divisible by partition size {partition_size}. "
                    "Consider changing the partition size or the input size."
                )
        self.in_channels = in_channels
        self.image_size = input_size[0]
        self.partition_size = partition_size
        settings = {
            "norm_layer": norm_layer,
            "activation_layer": activation_layer,
            "squeeze_ratio": squeeze_ratio,
            "expansion_ratio": expansion_ratio,
            "mlp_ratio": mlp_ratio,
            "mlp_dropout": mlp_dropout,
            "attention_dropout": attention_dropout,
            "head_dim": head_dim,
            "partition_size": partition_size,
        }
        pieces = {"norm_layer": norm_layer, "activation_layer": activation_layer, "bias": False, "inplace": None}
        plain = {"norm_layer": None, "activation_layer": None, "bias": True}
        self.stem = nn.Sequential(
            Conv2dNormActivation(in_channels, stem_channels, 3, stride=2, **pieces),
            Conv2dNormActivation(stem_channels, stem_channels, 3, stride=1, **plain),
        )
        layers = sum(block_layers)
        probabilities = iter([stochastic_depth_prob * index / max(1, layers - 1) for index in range(layers)])
        self.blocks = nn.ModuleList()
        inputs = [stem_channels, *block_channels[:-1]]
        for channels, width, count, grid in zip(inputs, block_channels, block_layers, sizes):
            chosen = [next(probabilities) for _ in range(count)]
            self.blocks.append(MaxVitBlock(channels, width, grid, chosen, settings))
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, num_classes, bias=False),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.stem(x)  # (N, stem_channels, S/2, S/2)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)  # of (N, C, S/32, S/32)


def _maxvit(*, image_size, input_size=None, **kw):
    return MaxVit(input_size or (image_size, image_size), **kw)


TINY = {
    "stem_channels": 64,
    "block_channels": [64, 128, 256, 512],
    "block_layers": [2, 2, 5, 2],
    "head_dim": 32,
    "stochastic_depth_prob": 0.2,
    "partition_size": 7,
}
maxvit_t = variant("maxvit_t", _maxvit, "MaxViT-T, for images of 224 pixels or multiples: 30,919,624 parameters.", TINY)
