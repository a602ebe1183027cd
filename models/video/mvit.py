"""MViT (Fan et al., "Multiscale Vision Transformers", 2021) and its version 2 (Li et al., "MViTv2: Improved Multiscale
Vision Transformers for Classification and Detection", 2021)."""
import math
from dataclasses import dataclass
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision.ops import MLP, StochasticDepth
from models.registry import variant

__all__ = ["MViT", "mvit_v1_b", "mvit_v2_s"]


@dataclass
class MSBlockConfig:
    """One block: its heads and channels, and the kernels and strides [time, height, width] of the poolings.

    An empty list is no pooling.
    """

    num_heads: int
    input_channels: int
    output_channels: int
    kernel_q: list
    kernel_kv: list
    stride_q: list
    stride_kv: list


# ---------------------------------------------------------------- attention
class Pool(nn.Module):
    """A pooling or convolution of the positions, which lets the class token pass.

    Args:
        pool: module of (N, C, T, H, W).
        norm: normalisation of the channels, or None.
        activation: module after norm, or None.
        norm_before_pool: whether these two come before the pooling.

    >>> x, thw = Pool(nn.MaxPool3d((1, 2, 2)), None)(minigrad.zeros(2, 1 + 2 * 4 * 4, 8), (2, 4, 4))
    >>> tuple(x.shape), thw
    ((2, 9, 8), (2, 2, 2))
    """

    def __init__(self, pool, norm, activation=None, norm_before_pool=False):
        super().__init__()
        self.pool = pool
        layers = [layer for layer in (norm, activation) if layer is not None]
        self.norm_act = nn.Sequential(*layers) if layers else None
        self.norm_before_pool = norm_before_pool

    def forward(self, x, thw):
        """The pooled positions and their number along each axis.

        Args:
            x: (N, 1 + T·H·W, C), or (N, heads, 1 + T·H·W, C).
            thw: tuple (T, H, W).
        """
        if x.ndim not in (3, 4):
            raise ValueError(f"Unsupported input dimension {tuple(x.shape)}")
        heads = x if x.ndim == 4 else x.unsqueeze(1)
        n, count, _, channels = heads.shape
        token, places = heads[:, :, :1], heads[:, :, 1:]
        places = places.transpose(2, 3).reshape(n * count, channels, *thw)
        if self.norm_before_pool and self.norm_act is not None:
            places = self.norm_act(places)
        places = self.pool(places)  # (N·heads, C, T', H', W')
        thw = tuple(places.shape[2:])
        places = places.reshape(n, count, channels, -1).transpose(2, 3)
        pooled = minigrad.cat((token, places), 2)
        if not self.norm_before_pool and self.norm_act is not None:
            pooled = self.norm_act(pooled)
        return (pooled if x.ndim == 4 else pooled.squeeze(1)), thw


def _offsets(table, q_size, k_size):
    """The rows of a table of relative positions for each pair of a query and a key: (q_size, k_size, C)."""
    length = 2 * max(q_size, k_size) - 1
    if table.shape[0] != length:
        table = nn.functional.interpolate(table.t().unsqueeze(0), size=length, mode="linear").squeeze(0).t()
    q_step = max(k_size / q_size, 1.0)
    k_step = max(q_size / k_size, 1.0)
    queries = minigrad.arange(q_size, device=table.device).unsqueeze(1) * q_step
    keys = (minigrad.arange(k_size, device=table.device).unsqueeze(0) + (1.0 - k_size)) * k_step
    return table[(queries - keys).long()]


def relative_positions(q, q_thw, k_thw, rel_pos_h, rel_pos_w, rel_pos_t):
    """How well each query's place goes with each key's: (N, heads, positions of q, positions of k).

    Args:
        q: queries (N, heads, positions, C), without the class token's.
        q_thw, k_thw: numbers of positions in time, height and width.
        rel_pos_h, rel_pos_w, rel_pos_t: tables (offsets, C), interpolated where there are other sizes.

    Source: Li et al. 2021, equation 4
    """
    n, heads, _, channels = q.shape
    t, h, w = k_thw
    q = q.reshape(n, heads, *q_thw, channels)
    along_h = minigrad.einsum("bythwc,hkc->bythwk", q, _offsets(rel_pos_h, q_thw[1], h))
    along_w = minigrad.einsum("bythwc,wkc->bythwk", q, _offsets(rel_pos_w, q_thw[2], w))
    along_t = minigrad.einsum("bythwc,tkc->bythwk", q, _offsets(rel_pos_t, q_thw[0], t))
    total = along_h[..., None, :, None] + along_w[..., None, None, :] + along_t[..., :, None, None]
    return total.reshape(n, heads, math.prod(q_thw), t * h * w)


class MultiscaleAttention(nn.Module):
    """Attention whose queries, keys and values are pooled: (N, 1 + T·H·W, embed_dim), fewer positions after it.

    Args:
        input_size: positions [T, H, W]; how large the tables of relative positions are.
        embed_dim, output_dim: channels of the input and the output.
        num_heads: of the attention.
        kernel_q, kernel_kv, stride_q, stride_kv: of the poolings; empty for none.
        residual_pool: whether the pooled queries are added to the result.
        residual_with_cls_embed: whether the class token's is, too.
        rel_pos_embed: whether there are relative positions.
        dropout: after the projection.
        norm_layer: makes a normalisation of so many channels.

    Source: Fan et al. 2021, section 3.1; Li et al. 2021, section 4.1
    """

    def __init__(
        self,
        input_size,
        embed_dim,
        output_dim,
        num_heads,
        kernel_q,
        kernel_kv,
        stride_q,
        stride_kv,
        residual_pool,
        residual_with_cls_embed,
        rel_pos_embed,
        dropout=0.0,
        norm_layer=nn.LayerNorm,
    ):
        super().__init__()
        self.embed_dim = embed_dim
        self.output_dim = output_dim
        self.num_heads = num_heads
        self.head_dim = output_dim // num_heads
        self.scaler = 1.0 / math.sqrt(self.head_dim)
        self.residual_pool = residual_pool
        self.residual_with_cls_embed = residual_with_cls_embed
        self.qkv = nn.Linear(embed_dim, 3 * output_dim)
        layers = [nn.Linear(output_dim, output_dim)]
        if dropout > 0.0:
            layers.append(nn.Dropout(dropout, inplace=True))
        self.project = nn.Sequential(*layers)
        self.pool_q = self._pool(kernel_q, stride_q, norm_layer)
        self.pool_k = self._pool(kernel_kv, stride_kv, norm_layer)
        self.pool_v = self._pool(kernel_kv, stride_kv, norm_layer)
        self.rel_pos_h = self.rel_pos_w = self.rel_pos_t = None
        if rel_pos_embed:
            side = max(input_size[1:])
            sides = [side // stride[1] if len(stride) > 0 else side for stride in (stride_q, stride_kv)]
            for name, size in (("h", max(sides)), ("w", max(sides)), ("t", input_size[0])):
                table = nn.Parameter(minigrad.zeros(2 * size - 1, self.head_dim))
                nn.init.trunc_normal_(table, std=0.02)
                setattr(self, f"rel_pos_{name}", table)

    def _pool(self, kernel, stride, norm_layer):
        """A convolution of each channel by itself; None where it would do nothing."""
        if math.prod(kernel) == 1 and math.prod(stride) == 1:
            return None
        dim = self.head_dim
        padding = tuple(side // 2 for side in kernel)
        conv = nn.Conv3d(dim, dim, tuple(kernel), tuple(stride), padding, groups=dim, bias=False)
        return Pool(conv, norm_layer(dim))

    def forward(self, x, thw):
        """The attention's output and its positions (T, H, W)."""
        n, length, _ = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.transpose(1, 3).unbind(2)  # (N, heads, L, C)
        k, k_thw = (k, thw) if self.pool_k is None else self.pool_k(k, thw)
        if self.pool_v is not None:
            v, _ = self.pool_v(v, thw)
        if self.pool_q is not None:
            q, thw = self.pool_q(q, thw)
        attention = (self.scaler * q) @ k.transpose(2, 3)
        if self.rel_pos_h is not None:
            bias = relative_positions(q[:, :, 1:], thw, k_thw, self.rel_pos_h, self.rel_pos_w, self.rel_pos_t)
            attention = attention + nn.functional.pad(bias, (1, 0, 1, 0))  # nothing for the class token
        x = attention.softmax(-1) @ v
        if self.residual_pool:
            x = x + q if self.residual_with_cls_embed else minigrad.cat((x[:, :, :1], x[:, :, 1:] + q[:, :, 1:]), 2)
        x = x.transpose(1, 2).reshape(n, -1, self.output_dim)
        return self.project(x), thw


# ---------------------------------------------------------------- the network
class MultiscaleBlock(nn.Module):
    """x pooled + attention(norm(x)), then x + perceptron(norm(x)), where channels or positions change or not.

    Args:
        input_size: positions [T, H, W].
        cnf: an MSBlockConfig.
        residual_pool, residual_with_cls_embed, rel_pos_embed: of MultiscaleAttention.
        proj_after_attn: whether the attention changes the number of channels, rather than the perceptron.
        dropout, stochastic_depth_prob: probabilities.
        norm_layer: makes a normalisation of so many channels.
    """

    def __init__(
        self,
        input_size,
        cnf,
        residual_pool,
        residual_with_cls_embed,
        rel_pos_embed,
        proj_after_attn,
        dropout=0.0,
        stochastic_depth_prob=0.0,
        norm_layer=nn.LayerNorm,
    ):
        super().__init__()
        self.proj_after_attn = proj_after_attn
        self.pool_skip = None
        if math.prod(cnf.stride_q) > 1:
            kernel = tuple(stride + 1 if stride > 1 else stride for stride in cnf.stride_q)
            padding = tuple(side // 2 for side in kernel)
            self.pool_skip = Pool(nn.MaxPool3d(kernel, stride=tuple(cnf.stride_q), padding=padding), None)
        dim = cnf.output_channels if proj_after_attn else cnf.input_channels
        self.norm1 = norm_layer(cnf.input_channels)
        self.norm2 = norm_layer(dim)
        self.needs_transposal = isinstance(self.norm1, nn.BatchNorm1d)
        self.attn = MultiscaleAttention(
            input_size,
            cnf.input_channels,
            dim,
            cnf.num_heads,
            cnf.kernel_q,
            cnf.kernel_kv,
            cnf.stride_q,
            cnf.stride_kv,
            residual_pool,
            residual_with_cls_embed,
            rel_pos_embed,
            dropout,
            norm_layer,
        )
        self.mlp = MLP(dim, [4 * dim, cnf.output_channels], activation_layer=nn.GELU, dropout=dropout, inplace=None)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.project = None
        if cnf.input_channels != cnf.output_channels:
            self.project = nn.Linear(cnf.input_channels, cnf.output_channels)

    def _normalised(self, norm, x):
        return norm(x.transpose(1, 2)).transpose(1, 2) if self.needs_transposal else norm(x)

    def forward(self, x, thw):
        """The block's output and its positions (T, H, W)."""
        normalised = self._normalised(self.norm1, x)
        attended, new_thw = self.attn(normalised, thw)
        if self.project is not None and self.proj_after_attn:
            x = self.project(normalised)
        if self.pool_skip is not None:
            x, _ = self.pool_skip(x, thw)
        x = x + self.stochastic_depth(attended)
        normalised = self._normalised(self.norm2, x)
        if self.project is not None and not self.proj_after_attn:
            x = self.project(normalised)
        return x + self.stochastic_depth(self.mlp(normalised)), new_thw


class PositionalEncoding(nn.Module):
    """The class token in front of the positions, and, without rel_pos_embed, learnt places in space and time added."""

    def __init__(self, embed_size, spatial_size, temporal_size, rel_pos_embed):
        super().__init__()
        self.spatial_size = spatial_size
        self.temporal_size = temporal_size
        self.class_token = nn.Parameter(minigrad.zeros(embed_size))
        self.spatial_pos = self.temporal_pos = self.class_pos = None
        if not rel_pos_embed:
            self.spatial_pos = nn.Parameter(minigrad.zeros(spatial_size[0] * spatial_size[1], embed_size))
            self.temporal_pos = nn.Parameter(minigrad.zeros(temporal_size, embed_size))
            self.class_pos = nn.Parameter(minigrad.zeros(embed_size))

    def forward(self, x):
        x = minigrad.cat((self.class_token.expand(x.shape[0], -1).unsqueeze(1), x), 1)
        if self.spatial_pos is None:
            return x
        places = self.temporal_pos.unsqueeze(1) + self.spatial_pos.unsqueeze(0)  # (T, H·W, C)
        places = minigrad.cat((self.class_pos.unsqueeze(0), places.flatten(0, 1)), 0)
        return x + places.unsqueeze(0)


class MViT(nn.Module):
    """Patches of a video, blocks of attention with fewer positions and more channels on the way, a linear layer.

    Args:
        spatial_size: (H, W) of the frames.
        temporal_size: number of frames.
        block_setting: MSBlockConfig of each block.
        residual_pool, residual_with_cls_embed, rel_pos_embed, proj_after_attn: of MultiscaleBlock.
        dropout: before the last layer.
        attention_dropout: within the blocks.
        stochastic_depth_prob: drop probability of the last of the B blocks; block i has i/(B - 1) of it.
        num_classes: number of outputs.
        block: makes a block; None for MultiscaleBlock.
        norm_layer: makes a normalisation of the last axis; None for nn.LayerNorm of eps 1e-6.
        patch_embed_kernel, patch_embed_stride, patch_embed_padding: of the first convolution.
        in_channels: channels of the frames.

    Raises:
        ValueError: if there are no blocks.

    Source: Fan et al. 2021; https://docs.pytorch.org/vision/stable/models/video_mvit.html

    >>> first = MSBlockConfig(1, 8, 16, [], [3, 3, 3], [], [1, 2, 2])
    >>> second = MSBlockConfig(2, 16, 16, [3, 3, 3], [], [1, 2, 2], [])
    >>> model = MViT((16, 16), 4, [first, second], False, False, False, False, num_classes=5).eval()
    >>> tuple(model(minigrad.zeros(2, 3, 4, 16, 16)).shape)
    (2, 5)
    """

    def __init__(
        self,
        spatial_size,
        temporal_size,
        block_setting,
        residual_pool,
        residual_with_cls_embed,
        rel_pos_embed,
        proj_after_attn,
        dropout=0.5,
        attention_dropout=0.0,
        stochastic_depth_prob=0.0,
        num_classes=400,
        block=None,
        norm_layer=None,
        patch_embed_kernel=(3, 7, 7),
        patch_embed_stride=(2, 4, 4),
        patch_embed_padding=(1, 3, 3),
        *,
        in_channels=3,
    ):
        super().__init__()
        if len(block_setting) == 0:
            raise ValueError("The configuration parameter can't be empty.")
        block = block or MultiscaleBlock
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.in_channels = in_channels
        width = block_setting[0].input_channels
        self.conv_proj = nn.Conv3d(in_channels, width, patch_embed_kernel, patch_embed_stride, patch_embed_padding)
        size = [side // step for side, step in zip((temporal_size, *spatial_size), self.conv_proj.stride)]
        self.pos_encoding = PositionalEncoding(width, (size[1], size[2]), size[0], rel_pos_embed)
        self.blocks = nn.ModuleList()
        for index, cnf in enumerate(block_setting):
            made = block(
                input_size=size,
                cnf=cnf,
                residual_pool=residual_pool,
                residual_with_cls_embed=residual_with_cls_embed,
                rel_pos_embed=rel_pos_embed,
                proj_after_attn=proj_after_attn,
                dropout=attention_dropout,
                stochastic_depth_prob=stochastic_depth_prob * index / max(len(block_setting) - 1, 1),
                norm_layer=norm_layer,
            )
            self.blocks.append(made)
            if len(cnf.stride_q) > 0:
                size = [side // step for side, step in zip(size, cnf.stride_q)]
        self.norm = norm_layer(block_setting[-1].output_channels)
        last = nn.Linear(block_setting[-1].output_channels, num_classes)
        self.head = nn.Sequential(nn.Dropout(dropout, inplace=True), last)
        self._initialize()

    def _initialize(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, PositionalEncoding):
                for places in module.parameters():
                    nn.init.trunc_normal_(places, std=0.02)

    def forward(self, x):
        if x.ndim == 4:  # one frame
            x = x.unsqueeze(2)
        if x.ndim != 5:
            raise ValueError(f"Unsupported input dimension {tuple(x.shape)}")
        x = self.conv_proj(x).flatten(2).transpose(1, 2)  # (N, T/2·H/4·W/4, C)
        x = self.pos_encoding(x)
        thw = (self.pos_encoding.temporal_size, *self.pos_encoding.spatial_size)
        for block in self.blocks:
            x, thw = block(x, thw)
        return self.head(self.norm(x)[:, 0])  # of the class token


# ---------------------------------------------------------------- the builders
WIDTHS = (96, 192, 384, 768)  # channels of the four stages, each of which starts with 2x2 of the queries' positions
KEY_STRIDES = (8, 4, 2, 1)  # a key's side in positions: 8 of the first stage's are as long as 1 of the last one's


def _setting(depths, early):
    """The blocks of four stages.

    Args:
        depths: how many each has.
        early: whether a stage's last block has the next stage's channels already, and only the first blocks of stages
            pool their queries, as in version 1; otherwise its first block changes them, and all have convolutions.
    """
    stages = [stage for stage, depth in enumerate(depths) for _ in range(depth)]
    rows = []
    for index, stage in enumerate(stages):
        first = index > 0 and stages[index - 1] != stage
        before = WIDTHS[stage] if early or index == 0 else WIDTHS[stages[index - 1]]
        after = WIDTHS[stages[min(index + 1, len(stages) - 1)]] if early else WIDTHS[stage]
        pooled = first or not early
        side = KEY_STRIDES[stage]
        rows.append(
            MSBlockConfig(
                num_heads=2**stage,
                input_channels=before,
                output_channels=after,
                kernel_q=[3, 3, 3] if pooled else [],
                kernel_kv=[3, 3, 3],
                stride_q=([1, 2, 2] if first else [1, 1, 1]) if pooled else [],
                stride_kv=[1, side, side],
            )
        )
    return rows


def _mvit(*, image_size, **kw):
    return MViT(spatial_size=(image_size, image_size), **kw)


def _register(name, about, depths, early, fixed, **defaults):
    always = {"temporal_size": 16, "residual_with_cls_embed": False, "block_setting": _setting(depths, early), **fixed}
    return variant(name, _mvit, about, always, classes=400, stochastic_depth_prob=0.2, **defaults)


mvit_v1_b = _register(
    "mvit_v1_b",
    "MViT version 1, base, for videos of 16 frames of 224 pixels: 36,610,672 parameters.",
    (1, 2, 11, 2),
    True,
    {"residual_pool": False},
    rel_pos_embed=False,
    proj_after_attn=False,
)
mvit_v2_s = _register(
    "mvit_v2_s",
    "MViT version 2, small, for videos of 16 frames of 224 pixels: 34,537,744 parameters.",
    (1, 2, 11, 2),
    False,
    {"residual_pool": True, "rel_pos_embed": True, "proj_after_attn": True},
)
