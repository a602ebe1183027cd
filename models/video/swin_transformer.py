"""Video Swin Transformer (Liu et al., "Video Swin Transformer", 2021)."""
from functools import partial

import minigrad
from minigrad import nn
from models.registry import variant
from models.sizes import SMALL
from models.swin_transformer import HEADS, PatchMerging, SwinTransformerBlock

__all__ = ["SwinTransformer3d", "swin3d_b", "swin3d_s", "swin3d_t"]


# ---------------------------------------------------------------- windows
def relative_position_index(window):
    """For each pair of positions of a window [T, H, W], which offset they have: (T·H·W, T·H·W) integers.

    >>> relative_position_index([1, 1, 2])
    tensor([[1, 0],
            [2, 1]])
    """
    axes = minigrad.meshgrid(*(minigrad.arange(size) for size in window), indexing="ij")
    index = 0
    for size, axis in zip(window, axes):
        place = axis.flatten()
        index = index * (2 * size - 1) + place.unsqueeze(1) - place.unsqueeze(0) + size - 1
    return index


def window_partition(x, window):
    """(N, T, H, W, C) as (N·windows, positions of a window, C)."""
    n, time, height, width, channels = x.shape
    t, h, w = window
    x = x.reshape(n, time // t, t, height // h, h, width // w, w, channels)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, t * h * w, channels)


def window_merge(x, window, size):
    """What window_partition undoes: (N, *size, C)."""
    (time, height, width), (t, h, w) = size, window
    channels = x.shape[-1]
    x = x.reshape(-1, time // t, height // h, width // w, t, h, w, channels)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, time, height, width, channels)


def shift_mask(size, window, shift, like):
    """0 where two positions of a shifted window were neighbours before, -100 where not: (windows, L, L)."""
    labels = minigrad.zeros(1, 1, 1, dtype=like.dtype, device=like.device)
    for axis, (side, length, step) in enumerate(zip(size, window, shift)):
        regions = minigrad.zeros(side, dtype=like.dtype, device=like.device)
        if step:  # the last window has what came from the other end in it
            regions[side - length :] = 1
            regions[side - step :] = 2
        shape = [1, 1, 1]
        shape[axis] = side
        labels = labels * 3 + regions.reshape(shape)
    labels = window_partition(labels.reshape(1, *size, 1), window).squeeze(-1)  # (windows, L)
    return (labels.unsqueeze(1) != labels.unsqueeze(2)).to(like.dtype) * -100.0


class ShiftedWindowAttention3d(nn.Module):
    """Attention within windows of a video, shifted by half in every other block, with learnt biases of the offsets.

    A window is no longer than the video, along each axis by itself, and is not shifted where it is as long.

    Args:
        dim: channels of the input (N, T, H, W, dim).
        window_size, shift_size: lists [time, height, width].
        num_heads: of the attention.
        qkv_bias, proj_bias: whether the linear layers have biases.
        attention_dropout, dropout: probabilities.

    Raises:
        ValueError: for window or shift sizes that are no triples.

    Source: Liu et al. 2021, section 3.2

    >>> tuple(ShiftedWindowAttention3d(8, [2, 2, 2], [1, 1, 1], 2)(minigrad.zeros(1, 3, 5, 5, 8)).shape)
    (1, 3, 5, 5, 8)
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
        if len(window_size) != 3 or len(shift_size) != 3:
            raise ValueError("window_size and shift_size must be of length 3")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        time, height, width = window_size
        offsets = (2 * time - 1) * (2 * height - 1) * (2 * width - 1)
        self.relative_position_bias_table = nn.Parameter(minigrad.zeros(offsets, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", relative_position_index(window_size))

    def get_relative_position_bias(self, window_size):
        """The biases of all pairs of positions of a window of that size: (1, num_heads, L, L).

        A smaller window has those of as many first positions of the whole one, as torchvision's.
        """
        length = window_size[0] * window_size[1] * window_size[2]
        index = self.relative_position_index[:length, :length].flatten()
        bias = self.relative_position_bias_table[index].reshape(length, length, -1)
        return bias.permute(2, 0, 1).unsqueeze(0)

    def forward(self, x):
        n, time, height, width, channels = x.shape
        window, shift = [], []
        for side, length, step in zip((time, height, width), self.window_size, self.shift_size):
            window.append(min(side, length))
            shift.append(0 if side <= length else step)
        pads = [-side % length for side, length in zip((time, height, width), window)]
        x = nn.functional.pad(x, (0, 0, 0, pads[2], 0, pads[1], 0, pads[0]))
        size = (time + pads[0], height + pads[1], width + pads[2])
        shifted = sum(shift) > 0
        if shifted:
            x = minigrad.roll(x, shifts=tuple(-step for step in shift), dims=(1, 2, 3))
        x = window_partition(x, window)  # (N·windows, L, C)
        rows, length, _ = x.shape
        qkv = self.qkv(x).reshape(rows, length, 3, self.num_heads, channels // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (N·windows, heads, L, C/heads)
        attention = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + self.get_relative_position_bias(window)
        if shifted:
            mask = shift_mask(size, window, shift, x)  # (windows, L, L)
            attention = attention.reshape(n, -1, self.num_heads, length, length) + mask.unsqueeze(1)
            attention = attention.reshape(rows, self.num_heads, length, length)
        attention = nn.functional.dropout(attention.softmax(-1), p=self.attention_dropout, training=self.training)
        x = (attention @ v).transpose(1, 2).reshape(rows, length, channels)
        x = nn.functional.dropout(self.proj(x), p=self.dropout, training=self.training)
        x = window_merge(x, window, size)
        if shifted:
            x = minigrad.roll(x, shifts=tuple(shift), dims=(1, 2, 3))
        return x[:, :time, :height, :width, :]


# ---------------------------------------------------------------- the network
class PatchEmbed3d(nn.Module):
    """Each patch of a video (N, C, T, H, W) as embed_dim channels, (N, T/t, H/h, W/w, embed_dim), normalised.

    Args:
        patch_size: list [t, h, w].
        in_channels: of the video.
        embed_dim: of the output.
        norm_layer: makes a normalisation of the last axis; None for none.

    >>> tuple(PatchEmbed3d([2, 4, 4], embed_dim=8)(minigrad.zeros(1, 3, 3, 6, 8)).shape)
    (1, 2, 2, 2, 8)
    """

    def __init__(self, patch_size, in_channels=3, embed_dim=96, norm_layer=None):
        super().__init__()
        self.tuple_patch_size = tuple(patch_size)
        patch = self.tuple_patch_size
        self.proj = nn.Conv3d(in_channels, embed_dim, kernel_size=patch, stride=patch)
        self.norm = nn.Identity() if norm_layer is None else norm_layer(embed_dim)

    def forward(self, x):
        time, height, width = (-side % length for side, length in zip(x.shape[-3:], self.tuple_patch_size))
        x = nn.functional.pad(x, (0, width, 0, height, 0, time))
        return self.norm(self.proj(x).permute(0, 2, 3, 4, 1))


class SwinTransformer3d(nn.Module):
    """Patches, stages of blocks with attention within windows, 2x2 patches of a frame merged between them, a mean.

    Args:
        patch_size, window_size: lists [time, height, width].
        embed_dim: channels of the first stage; each further one has twice as many.
        depths, num_heads: blocks and heads of each stage.
        mlp_ratio: hidden width of the perceptrons over their input's.
        dropout, attention_dropout: probabilities.
        stochastic_depth_prob: drop probability of the last of the B blocks; block i has i/(B - 1) of it.
        num_classes: number of outputs.
        norm_layer: makes a normalisation of the last axis; None for nn.LayerNorm.
        block: makes a block; None for the image network's SwinTransformerBlock.
        downsample_layer: makes the merging.
        patch_embed: makes the patches; None for PatchEmbed3d.
        in_channels: channels of the frames; other than 3 is given to patch_embed.

    Source: Liu et al. 2021; https://docs.pytorch.org/vision/stable/models/video_swin_transformer.html

    >>> model = SwinTransformer3d([2, 2, 2], 8, [1, 1], [2, 2], [2, 4, 4], num_classes=5).eval()
    >>> tuple(model(minigrad.zeros(2, 3, 4, 16, 16)).shape)
    (2, 5)
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
        num_classes=400,
        norm_layer=None,
        block=None,
        downsample_layer=PatchMerging,
        patch_embed=None,
        *,
        in_channels=3,
    ):
        super().__init__()
        block = block or SwinTransformerBlock
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        self.num_classes = num_classes
        self.in_channels = in_channels
        channels = {} if in_channels == 3 else {"in_channels": in_channels}
        make_patches = patch_embed or PatchEmbed3d
        self.patch_embed = make_patches(patch_size=patch_size, embed_dim=embed_dim, norm_layer=norm_layer, **channels)
        self.pos_drop = nn.Dropout(p=dropout)
        layers = []
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
                        attn_layer=ShiftedWindowAttention3d,
                    )
                )
                count += 1
            layers.append(nn.Sequential(*made))
        self.features = nn.Sequential(*layers)
        self.num_features = dim
        self.norm = norm_layer(dim)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(dim, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.features(self.pos_drop(self.patch_embed(x)))  # (N, T/2, S/32, S/32, dim)
        x = self.norm(x).permute(0, 4, 1, 2, 3)
        return self.head(self.avgpool(x).flatten(1))


def _swin3d(*, image_size, **kw):
    """A SwinTransformer3d whose patches are 2x2x2 for frames of at most 64 pixels and 2x4x4 otherwise."""
    side = 2 if image_size <= SMALL else 4
    return SwinTransformer3d([2, side, side], **kw)


def _register(name, embed_dim, depth, parameters):
    fixed = {
        "embed_dim": embed_dim,
        "depths": [2, 2, depth, 2],
        "num_heads": HEADS[embed_dim],
        "window_size": [8, 7, 7],
    }
    about = f"Video Swin Transformer of {fixed['depths']} blocks: {parameters:,} parameters."
    return variant(name, _swin3d, about, fixed, classes=400, stochastic_depth_prob=0.1)


swin3d_t = _register("swin3d_t", 96, 6, 28158070)
swin3d_s = _register("swin3d_s", 96, 18, 49816678)
swin3d_b = _register("swin3d_b", 128, 18, 88048984)
