"""Swin Transformer (Liu et al., "Hierarchical Vision Transformer using Shifted Windows", 2021) and its version 2
(Liu et al., "Swin Transformer V2: Scaling Up Capacity and Resolution", 2021)."""
import math
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision.ops import MLP, Permute, StochasticDepth
from models.registry import variant
from models.sizes import SMALL

__all__ = ["SwinTransformer", "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t"]

HIDDEN = 512  # of the network that gives version 2's position biases


# ---------------------------------------------------------------- windows
def relative_position_index(height, width):
    """For each pair of positions of a window, which offset they have: (height·width, height·width) integers.

    >>> relative_position_index(1, 2)
    tensor([[1, 0],
            [2, 1]])
    """
    rows = minigrad.arange(height).repeat_interleave(width)
    columns = minigrad.arange(width).repeat(height)
    down = rows.unsqueeze(1) - rows.unsqueeze(0) + height - 1
    across = columns.unsqueeze(1) - columns.unsqueeze(0) + width - 1
    return down * (2 * width - 1) + across


def window_partition(x, window):
    """(N, H, W, C) as (N·windows, positions of a window, C)."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height // window[0], window[0], width // window[1], window[1], channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window[0] * window[1], channels)


def window_merge(x, window, height, width):
    """What window_partition undoes: (N, height, width, C)."""
    channels = x.shape[-1]
    x = x.reshape(-1, height // window[0], width // window[1], window[0], window[1], channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)


def shift_mask(height, width, window, shift, like):
    """0 where two positions of a shifted window were neighbours before, -100 where not: (windows, L, L)."""

    def regions(size, window, shift):
        labels = minigrad.zeros(size, dtype=like.dtype, device=like.device)
        labels[size - window :] = 1
        # without a shift of this axis torchvision's last slice is the whole axis: one region
        labels[size - shift if shift else 0 :] = 2
        return labels

    rows = regions(height, window[0], shift[0])
    columns = regions(width, window[1], shift[1])
    labels = rows.unsqueeze(1) * 3 + columns  # (H, W)
    labels = window_partition(labels.reshape(1, height, width, 1), window).squeeze(-1)  # (windows, L)
    return (labels.unsqueeze(1) != labels.unsqueeze(2)).to(like.dtype) * -100.0


class ShiftedWindowAttention(nn.Module):
    """Attention within windows, which are shifted by half in every other block, with learnt biases of the offsets.

    Args:
        dim: channels of the input (N, H, W, dim).
        window_size, shift_size: lists [height, width].
        num_heads: of the attention.
        qkv_bias, proj_bias: whether the linear layers have biases.
        attention_dropout, dropout: probabilities.

    Raises:
        ValueError: for window or shift sizes that are no pairs.

    Source: Liu et al. 2021, section 3.2

    >>> tuple(ShiftedWindowAttention(8, [2, 2], [1, 1], 2)(minigrad.zeros(1, 5, 5, 8)).shape)
    (1, 5, 5, 8)
    """

    def __init__(
        self,
        dim,
        window_size,
        shift_size,
        num_heads,
        qkv_bias=True,
        proj_bias=True,
        attention_dropout=0.0,
        dropout=0.0,
    ):
        super().__init__()
        if len(window_size) != 2 or len(shift_size) != 2:
            raise ValueError("window_size and shift_size must be of length 2")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self._define_table()
        self.register_buffer("relative_position_index", relative_position_index(*window_size).flatten())

    def _define_table(self):
        height, width = self.window_size
        table = minigrad.zeros((2 * height - 1) * (2 * width - 1), self.num_heads)
        self.relative_position_bias_table = nn.Parameter(table)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def _table(self):
        return self.relative_position_bias_table

    def get_relative_position_bias(self):
        """The biases of all pairs of positions: (1, num_heads, L, L)."""
        length = self.window_size[0] * self.window_size[1]
        bias = self._table()[self.relative_position_index].reshape(length, length, -1)
        return bias.permute(2, 0, 1).unsqueeze(0)

    def _projected(self, x):
        return self.qkv(x)

    def _similarity(self, q, k):
        return (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)

    def forward(self, x):
        n, height, width, channels = x.shape
        window = self.window_size
        below, right = -height % window[0], -width % window[1]
        x = nn.functional.pad(x, (0, 0, 0, right, 0, below))
        sides = height + below, width + right
        # a window as large as the maps needs no shift
        shift = [0 if size >= side else step for size, side, step in zip(window, sides, self.shift_size)]
        shifted = sum(shift) > 0
        if shifted:
            x = minigrad.roll(x, shifts=(-shift[0], -shift[1]), dims=(1, 2))
        x = window_partition(x, window)  # (N·windows, L, C)
        rows, length, _ = x.shape
        qkv = self._projected(x).reshape(rows, length, 3, self.num_heads, channels // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (N·windows, heads, L, C/heads)
        attention = self._similarity(q, k) + self.get_relative_position_bias()
        if shifted:
            mask = shift_mask(*sides, window, shift, x)  # (windows, L, L)
            attention = attention.reshape(n, -1, self.num_heads, length, length) + mask.unsqueeze(1)
            attention = attention.reshape(rows, self.num_heads, length, length)
        attention = nn.functional.dropout(attention.softmax(-1), p=self.attention_dropout, training=self.training)
        x = (attention @ v).transpose(1, 2).reshape(rows, length, channels)
        x = nn.functional.dropout(self.proj(x), p=self.dropout, training=self.training)
        x = window_merge(x, window, *sides)
        if shifted:
            x = minigrad.roll(x, shifts=tuple(shift), dims=(1, 2))
        return x[:, :height, :width, :]


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Version 2: cosine similarity with a learnt temperature, and biases that a small network gives for the offsets.

    Source: Liu et al. 2021 (V2), sections 3.2 and 3.3

    >>> tuple(ShiftedWindowAttentionV2(8, [2, 2], [1, 1], 2)(minigrad.zeros(1, 5, 5, 8)).shape)
    (1, 5, 5, 8)
    """

    def __init__(
        self,
        dim,
        window_size,
        shift_size,
        num_heads,
        qkv_bias=True,
        proj_bias=True,
        attention_dropout=0.0,
        dropout=0.0,
    ):
        super().__init__(dim, window_size, shift_size, num_heads, qkv_bias, proj_bias, attention_dropout, dropout)
        self.logit_scale = nn.Parameter(minigrad.full((num_heads, 1, 1), math.log(10.0)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, num_heads, bias=False)
        )

    def _define_table(self):
        offsets = []
        for size in self.window_size:
            offset = minigrad.arange(-(size - 1), size, dtype=minigrad.float32) * (8 / (size - 1))
            offsets.append(offset.sign() * (offset.abs() + 1.0).log2() / 3.0)  # log-spaced, in [-log2(9)/3, log2(9)/3]
        grid = minigrad.stack(minigrad.meshgrid(*offsets, indexing="ij"), -1)
        self.register_buffer("relative_coords_table", grid.unsqueeze(0))  # (1, 2H - 1, 2W - 1, 2)

    def _table(self):
        return 16 * minigrad.sigmoid(self.cpb_mlp(self.relative_coords_table).reshape(-1, self.num_heads))

    def _projected(self, x):
        bias = self.qkv.bias
        if bias is not None:  # the keys have none
            third = bias.shape[0] // 3
            bias = minigrad.cat([bias[:third], minigrad.zeros_like(bias[:third]), bias[2 * third :]])
        return nn.functional.linear(x, self.qkv.weight, bias)

    def _similarity(self, q, k):
        q, k = nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1)
        return q @ k.transpose(-2, -1) * self.logit_scale.clamp(max=math.log(100.0)).exp()


# ---------------------------------------------------------------- the network
class PatchMerging(nn.Module):
    """2x2 positions side by side, normalised, then half of their channels: (N, H/2, W/2, 2·dim).

    >>> tuple(PatchMerging(4)(minigrad.zeros(1, 5, 6, 4)).shape)
    (1, 3, 3, 8)
    """

    def __init__(self, dim, norm_layer=nn.LayerNorm):
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(self._normalised * dim)

    _normalised = 4

    def _merged(self, x):
        height, width = x.shape[-3:-1]
        x = nn.functional.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        corners = [x[..., row::2, column::2, :] for column in (0, 1) for row in (0, 1)]
        return minigrad.cat(corners, -1)  # (N, H/2, W/2, 4·dim)

    def forward(self, x):
        return self.reduction(self.norm(self._merged(x)))


class PatchMergingV2(PatchMerging):
    """Version 2 normalises after the linear layer.

    >>> tuple(PatchMergingV2(4)(minigrad.zeros(1, 5, 6, 4)).shape)
    (1, 3, 3, 8)
    """

    _normalised = 2

    def forward(self, x):
        return self.norm(self.reduction(self._merged(x)))


class SwinTransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x)), of (N, H, W, dim).

    >>> tuple(SwinTransformerBlock(8, 2, [2, 2], [1, 1])(minigrad.zeros(1, 4, 4, 8)).shape)
    (1, 4, 4, 8)
    """

    def __init__(
        self,
        dim,
        num_heads,
        window_size,
        shift_size,
        mlp_ratio=4.0,
        dropout=0.0,
        attention_dropout=0.0,
        stochastic_depth_prob=0.0,
        norm_layer=nn.LayerNorm,
        attn_layer=ShiftedWindowAttention,
    ):
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = attn_layer(
            dim, window_size, shift_size, num_heads, attention_dropout=attention_dropout, dropout=dropout
        )
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x):
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """Version 2: x + norm(attention(x)), then x + norm(perceptron(x)).

    >>> tuple(SwinTransformerBlockV2(8, 2, [2, 2], [1, 1])(minigrad.zeros(1, 4, 4, 8)).shape)
    (1, 4, 4, 8)
    """

    def __init__(self, *args, attn_layer=ShiftedWindowAttentionV2, **kw):
        super().__init__(*args, attn_layer=attn_layer, **kw)

    def forward(self, x):
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


class SwinTransformer(nn.Module):
    """Patches, stages of blocks with merging between them, a normalisation, a mean and one linear layer.

    Args:
        patch_size, window_size: lists [height, width].
        embed_dim: channels of the first stage; each further one has twice as many.
        depths, num_heads: blocks and heads of each stage.
        mlp_ratio: hidden width of the perceptrons over their input's.
        dropout, attention_dropout: probabilities.
        stochastic_depth_prob: drop probability of the last of the B blocks; block i has i/(B - 1) of it.
        num_classes: number of outputs.
        norm_layer: makes a normalisation of the last axis; None for nn.LayerNorm.
        block: makes a block; None for SwinTransformerBlock.
        downsample_layer: makes the merging.
        in_channels: channels of the images.
        image_size: side of the images in pixels; any can be put through.

    Source: https://docs.pytorch.org/vision/stable/models/swin_transformer.html

    >>> model = SwinTransformer([2, 2], 8, [2, 2], [2, 2], [4, 4], num_classes=10, image_size=32).eval()
    >>> tuple(model(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        patch_size,
        embed_dim,
        depths,
        num_heads,
        window_size,
        mlp_ratio=4.0,
        dropout=0.0,
        attention_dropout=0.0,
        stochastic_depth_prob=0.1,
        num_classes=1000,
        norm_layer=None,
        block=None,
        downsample_layer=PatchMerging,
        *,
        in_channels=3,
        image_size=224,
    ):
        super().__init__()
        block = block or SwinTransformerBlock
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.image_size = image_size
        patch = tuple(patch_size)
        first = nn.Conv2d(in_channels, embed_dim, kernel_size=patch, stride=patch)
        layers = [nn.Sequential(first, Permute([0, 2, 3, 1]), norm_layer(embed_dim))]
        blocks = sum(depths)
        count = 0
        dim = embed_dim
        for stage, (depth, heads) in enumerate(zip(depths, num_heads)):
            if stage > 0:
                layers.append(downsample_layer(dim, norm_layer))
                dim *= 2
            made = []
            for index in range(depth):
                made.append(
                    block(
                        dim,
                        heads,
                        window_size=window_size,
                        shift_size=[0 if index % 2 == 0 else size // 2 for size in window_size],
                        mlp_ratio=mlp_ratio,
                        dropout=dropout,
                        attention_dropout=attention_dropout,
                        stochastic_depth_prob=stochastic_depth_prob * count / (blocks - 1),
                        norm_layer=norm_layer,
                    )
                )
                count += 1
            layers.append(nn.Sequential(*made))
        self.features = nn.Sequential(*layers)
        self.norm = norm_layer(dim)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(dim, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.norm(self.features(x))  # (N, S/32, S/32, dim)
        x = self.flatten(self.avgpool(self.permute(x)))
        return self.head(x)


def _swin(*, image_size, patch_size=None, **kw):
    """A SwinTransformer whose patches are 2x2 for images of at most 64 pixels and 4x4 otherwise."""
    side = 2 if image_size <= SMALL else 4
    return SwinTransformer(patch_size or [side, side], image_size=image_size, **kw)


def _register(name, embed_dim, depth, num_heads, window, stochastic_depth_prob, parameters, **pieces):
    fixed = {
        "embed_dim": embed_dim,
        "depths": [2, 2, depth, 2],
        "num_heads": num_heads,
        "window_size": [window, window],
        **pieces,
    }
    about = f"Swin Transformer of {fixed['depths']} blocks, windows of {window}x{window}: {parameters:,} parameters."
    return variant(name, _swin, about, fixed, stochastic_depth_prob=stochastic_depth_prob)


V2 = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
HEADS = {96: [3, 6, 12, 24], 128: [4, 8, 16, 32]}

swin_t = _register("swin_t", 96, 6, HEADS[96], 7, 0.2, 28288354)
swin_s = _register("swin_s", 96, 18, HEADS[96], 7, 0.3, 49606258)
swin_b = _register("swin_b", 128, 18, HEADS[128], 7, 0.5, 87768224)
swin_v2_t = _register("swin_v2_t", 96, 6, HEADS[96], 8, 0.2, 28351570, **V2)
swin_v2_s = _register("swin_v2_s", 96, 18, HEADS[96], 8, 0.3, 49737442, **V2)
swin_v2_b = _register("swin_v2_b", 128, 18, HEADS[128], 8, 0.5, 87930848, **V2)
