"""Swin Transformer (Liu et al., "Hierarchical Vision Transformer using Shifted Windows", 2021) and its version 2
(Liu et al., "Swin Transformer V2: Scaling Up Capacity and Resolution", 2021)."""
import math
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision.ops import MLP, Permute, StochasticDepth
from models.registry import variant
from models.shifted_windows import WindowAttention, initialize_linear, relative_position_index, stages
from models.sizes import SMALL

__all__ = ["SwinTransformer", "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t"]

HIDDEN = 512  # of the network that gives version 2's position biases


# ---------------------------------------------------------------- windows
class ShiftedWindowAttention(WindowAttention):
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

    axes = 2

    def __init__(self, dim, window_size, *args, **kw):
        super().__init__(dim, window_size, *args, **kw)
        self.register_buffer("relative_position_index", relative_position_index(window_size).flatten())

    def _table(self):
        return self.relative_position_bias_table

    def get_relative_position_bias(self):
        """The biases of all pairs of positions: (1, num_heads, L, L)."""
        length = self.window_size[0] * self.window_size[1]
        bias = self._table()[self.relative_position_index].reshape(length, length, -1)
        return bias.permute(2, 0, 1).unsqueeze(0)

    def _bias(self, window):
        return self.get_relative_position_bias()


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Version 2: cosine similarity with a learnt temperature, and biases that a small network gives for the offsets.

    Source: Liu et al. 2021 (V2), sections 3.2 and 3.3

    >>> tuple(ShiftedWindowAttentionV2(8, [2, 2], [1, 1], 2)(minigrad.zeros(1, 5, 5, 8)).shape)
    (1, 5, 5, 8)
    """

    def __init__(self, dim, window_size, shift_size, num_heads, *args, **kw):
        super().__init__(dim, window_size, shift_size, num_heads, *args, **kw)
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
        blocks, dim = stages(
            block, embed_dim, depths, num_heads, window_size, downsample_layer=downsample_layer, norm_layer=norm_layer,
            stochastic_depth_prob=stochastic_depth_prob, mlp_ratio=mlp_ratio, dropout=dropout,
            attention_dropout=attention_dropout,
        )  # fmt: skip
        self.features = nn.Sequential(*layers, *blocks)
        self.norm = norm_layer(dim)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(dim, num_classes)
        initialize_linear(self)

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
