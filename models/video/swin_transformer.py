"""Video Swin Transformer (Liu et al., "Video Swin Transformer", 2021)."""
from functools import partial

from minigrad import nn
from models.registry import variant
from models.shifted_windows import WindowAttention, initialize_linear, relative_position_index, stages
from models.sizes import SMALL
from models.swin_transformer import HEADS, PatchMerging, SwinTransformerBlock

__all__ = ["SwinTransformer3d", "swin3d_b", "swin3d_s", "swin3d_t"]


# ---------------------------------------------------------------- windows
class ShiftedWindowAttention3d(WindowAttention):
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

    >>> import minigrad
    >>> tuple(ShiftedWindowAttention3d(8, [2, 2, 2], [1, 1, 1], 2)(minigrad.zeros(1, 3, 5, 5, 8)).shape)
    (1, 3, 5, 5, 8)
    """

    axes = 3

    def __init__(self, dim, window_size, *args, **kw):
        super().__init__(dim, window_size, *args, **kw)
        self.register_buffer("relative_position_index", relative_position_index(window_size))

    def _window(self, sides):
        return [min(side, length) for side, length in zip(sides, self.window_size)]

    def get_relative_position_bias(self, window_size):
        """The biases of all pairs of positions of a window of that size: (1, num_heads, L, L).

        A smaller window has those of as many first positions of the whole one, as torchvision's.
        """
        length = window_size[0] * window_size[1] * window_size[2]
        index = self.relative_position_index[:length, :length].flatten()
        bias = self.relative_position_bias_table[index].reshape(length, length, -1)
        return bias.permute(2, 0, 1).unsqueeze(0)

    def _bias(self, window):
        return self.get_relative_position_bias(window)


# ---------------------------------------------------------------- the network
class PatchEmbed3d(nn.Module):
    """Each patch of a video (N, C, T, H, W) as embed_dim channels, (N, T/t, H/h, W/w, embed_dim), normalised.

    Args:
        patch_size: list [t, h, w].
        in_channels: of the video.
        embed_dim: of the output.
        norm_layer: makes a normalisation of the last axis; None for none.

    >>> import minigrad
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

    >>> import minigrad
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
        layers, dim = stages(
            block, embed_dim, depths, num_heads, window_size, downsample_layer=downsample_layer, norm_layer=norm_layer,
            stochastic_depth_prob=stochastic_depth_prob, mlp_ratio=mlp_ratio, dropout=dropout,
            attention_dropout=attention_dropout, attn_layer=ShiftedWindowAttention3d,
        )  # fmt: skip
        self.features = nn.Sequential(*layers)
        self.num_features = dim
        self.norm = norm_layer(dim)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(dim, num_classes)
        initialize_linear(self)

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
