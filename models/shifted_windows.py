"""Attention within windows of images or videos, shifted by half in every other block, and stages of such blocks."""
import math

import minigrad
from minigrad import nn


def relative_position_index(window):
    """For each pair of positions of a window, which offset they have: (L, L) integers, L the product of its sides.

    >>> relative_position_index([1, 2])
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
    """(N, *sides, C) as (N·windows, positions of a window, C)."""
    n, *sides, channels = x.shape
    split = [part for side, length in zip(sides, window) for part in (side // length, length)]
    within = range(2, 2 * len(window) + 1, 2)
    x = x.reshape(n, *split, channels).permute(0, *(axis - 1 for axis in within), *within, -1)
    return x.reshape(-1, math.prod(window), channels)


def window_merge(x, window, sides):
    """What window_partition undoes: (N, *sides, C)."""
    channels, axes = x.shape[-1], len(window)
    x = x.reshape(-1, *(side // length for side, length in zip(sides, window)), *window, channels)
    order = [axis for pair in zip(range(1, axes + 1), range(axes + 1, 2 * axes + 1)) for axis in pair]
    return x.permute(0, *order, -1).reshape(-1, *sides, channels)


def shift_mask(sides, window, shift, like):
    """0 where two positions of a shifted window were neighbours before, -100 where not: (windows, L, L)."""
    labels = minigrad.zeros((1,) * len(sides), dtype=like.dtype, device=like.device)
    for axis, (side, length, step) in enumerate(zip(sides, window, shift)):
        regions = minigrad.zeros(side, dtype=like.dtype, device=like.device)
        if step:  # the last window has what came from the other end in it
            regions[side - length :] = 1
            regions[side - step :] = 2
        shape = [1] * len(sides)
        shape[axis] = side
        labels = labels * 3 + regions.reshape(shape)
    labels = window_partition(labels.reshape(1, *sides, 1), window).squeeze(-1)  # (windows, L)
    return (labels.unsqueeze(1) != labels.unsqueeze(2)).to(like.dtype) * -100.0


class WindowAttention(nn.Module):
    """Attention within windows, with learnt biases of the offsets; a subclass says in how many ``axes``.

    Args:
        dim: channels of the input (N, *sides, dim).
        window_size, shift_size: lists with a side for each axis.
        num_heads: of the attention.
        qkv_bias, proj_bias: whether the linear layers have biases.
        attention_dropout, dropout: probabilities.

    Raises:
        ValueError: for window or shift sizes with more or fewer axes.
    """

    axes = 0

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
        if len(window_size) != self.axes or len(shift_size) != self.axes:
            raise ValueError(f"window_size and shift_size must be of length {self.axes}")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self._define_table()

    def _define_table(self):
        offsets = math.prod(2 * size - 1 for size in self.window_size)
        self.relative_position_bias_table = nn.Parameter(minigrad.zeros(offsets, self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def _window(self, sides):
        """The sides of the windows on maps of these sides."""
        return self.window_size

    def _bias(self, window):
        """The biases of all pairs of positions of such a window: (1, num_heads, L, L)."""
        raise NotImplementedError

    def _projected(self, x):
        return self.qkv(x)

    def _similarity(self, q, k):
        return (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)

    def forward(self, x):
        n, *sides, channels = x.shape
        window = self._window(sides)
        pads = [-side % length for side, length in zip(sides, window)]
        x = nn.functional.pad(x, (0, 0, *(part for pad in reversed(pads) for part in (0, pad))))
        padded = [side + pad for side, pad in zip(sides, pads)]
        # a window as large as the maps needs no shift
        shift = [0 if length >= side else step for length, side, step in zip(window, padded, self.shift_size)]
        shifted, axes = sum(shift) > 0, tuple(range(1, self.axes + 1))
        if shifted:
            x = minigrad.roll(x, shifts=tuple(-step for step in shift), dims=axes)
        x = window_partition(x, window)  # (N·windows, L, C)
        rows, length, _ = x.shape
        qkv = self._projected(x).reshape(rows, length, 3, self.num_heads, channels // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (N·windows, heads, L, C/heads)
        attention = self._similarity(q, k) + self._bias(window)
        if shifted:
            mask = shift_mask(padded, window, shift, x)  # (windows, L, L)
            attention = attention.reshape(n, -1, self.num_heads, length, length) + mask.unsqueeze(1)
            attention = attention.reshape(rows, self.num_heads, length, length)
        attention = nn.functional.dropout(attention.softmax(-1), p=self.attention_dropout, training=self.training)
        x = (attention @ v).transpose(1, 2).reshape(rows, length, channels)
        x = nn.functional.dropout(self.proj(x), p=self.dropout, training=self.training)
        x = window_merge(x, window, padded)
        if shifted:
            x = minigrad.roll(x, shifts=tuple(shift), dims=axes)
        return x[(slice(None), *(slice(side) for side in sides))]


def stages(
    block, dim, depths, num_heads, window_size, *, downsample_layer, norm_layer, stochastic_depth_prob, **options
):  # fmt: skip
    """The stages of a network, with merging between them, as a list of modules, and the channels of the last.

    Args:
        block: makes a block of (dim, heads, window_size=…, shift_size=…, stochastic_depth_prob=…, norm_layer=…,
            **options).
        dim: channels of the first stage; each further one has twice as many.
        depths, num_heads: blocks and heads of each stage.
        downsample_layer: makes the merging, of (dim, norm_layer).
        stochastic_depth_prob: drop probability of the last of the B blocks; block i has i/(B - 1) of it.
    """
    layers, count, total = [], 0, sum(depths)
    for stage, (depth, heads) in enumerate(zip(depths, num_heads)):
        if stage > 0:
            layers.append(downsample_layer(dim, norm_layer))
            dim *= 2
        made = []
        for index in range(depth):
            shift = [0 if index % 2 == 0 else size // 2 for size in window_size]
            drop = stochastic_depth_prob * count / (total - 1)
            made.append(
                block(
                    dim, heads, window_size=window_size, shift_size=shift, stochastic_depth_prob=drop,
                    norm_layer=norm_layer, **options,
                )
            )  # fmt: skip
            count += 1
        layers.append(nn.Sequential(*made))
    return layers, dim


def initialize_linear(network):
    """Draw the weights of all linear layers anew; their biases become 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
