"""Convolution by im2col and product for one block of images or image rows at a time: columns stay in the cache.

With stride 1 the gradient to the input is such a convolution too, of g with the reversed kernel.
"""

from math import prod
from typing import NamedTuple

from minigrad.backend import np
from minigrad.kernels.im2col import add_windows, crop, window_count, windows

BLOCK_BYTES = 2**21  # columns made at a time: about the second-level cache
FEWEST_COLUMNS = 512  # but enough of them that reading a large weight matrix once per block costs little
LARGE_WEIGHT = 2**15  # elements of a weight matrix that is worth reusing


class Blocks:
    """How a batch is cut: several images per block, or a band of rows (of the first spatial dimension) of one image.

    ``layout`` says how a block's columns lie: "images", one matrix (depth, columns) per image; "merged", the columns of
    all images side by side in one matrix, image after image; "batch last", the same with the images' values adjacent,
    so that small images are copied and summed in long runs all the same.
    """

    def __init__(self, batch, out, depth, weight_size, itemsize):
        columns = prod(out)  # per image
        wanted = BLOCK_BYTES // (itemsize * depth)
        if weight_size > LARGE_WEIGHT:
            wanted = max(wanted, FEWEST_COLUMNS)
        self.batch = batch
        self.rows = out[0]
        self.images_each = max(1, min(batch, wanted // columns))
        self.rows_each = out[0] if wanted >= columns else max(1, min(out[0], -(-wanted * out[0] // columns)))
        self.layout = "images"
        if columns < FEWEST_COLUMNS and self.images_each > 1:
            self.layout = "batch last" if self.images_each >= 8 else "merged"

    def __iter__(self):
        """(first image, end image, first row, end row) of every block."""
        for image in range(0, self.batch, self.images_each):
            for row in range(0, self.rows, self.rows_each):
                yield image, min(image + self.images_each, self.batch), row, min(row + self.rows_each, self.rows)

    def arrange(self, view, leading):
        """Transpose an array (images, ``leading`` dimensions, *out) to the layout's order of dimensions."""
        if self.layout == "merged":
            return view.transpose(*range(1, 1 + leading), 0, *range(1 + leading, view.ndim))
        if self.layout == "batch last":
            return view.transpose(*range(1, view.ndim), 0)
        return view

    def restore(self, array, leading):
        """View of an array in the layout's order as (images, ``leading`` dimensions, *out)."""
        if self.layout == "merged":
            return array.transpose(leading, *range(leading), *range(1 + leading, array.ndim))
        if self.layout == "batch last":
            return array.transpose(array.ndim - 1, *range(array.ndim - 1))
        return array

    def zeros(self, shape, dtype):
        """Zeros (images, C, *size) whose memory follows the layout."""
        if self.layout == "batch last":
            return self.restore(np.zeros((*shape[1:], shape[0]), dtype), 1)
        return np.zeros(shape, dtype)

    def matrix(self, view, leading, groups, depth):
        """Copy of an array (images, ``leading`` dimensions, *out) as matrices ([images,] groups, depth, columns)."""
        if self.layout == "images":
            return view.reshape(view.shape[0], groups, depth, -1)
        return self.arrange(view, leading).reshape(groups, depth, -1)


class Columns:
    """The windows of a batch of images, one block at a time, in buffers that are used again."""

    def __init__(self, x, kernel, stride, padding, dilation, groups, blocks, out):
        self.x, self.groups, self.blocks, self.out = x, groups, blocks, out
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation
        self.depth = x.shape[1] // groups * prod(kernel)
        self.padded = self.buffer = None

    def fill(self, image, end_image, row, end_row):
        """Columns (images, groups, depth, columns), or with all images in one (groups, depth, columns)."""
        count = (end_row - row, *self.out[1:])
        view = windows(self._source(image, end_image, row, end_row), self.kernel, self.stride, self.dilation, count)
        view = self.blocks.arrange(view, 1 + len(self.kernel))
        if self.buffer is None:
            self.buffer = np.empty(view.size, view.dtype)  # the first block is a largest one
        columns = self.buffer[: view.size].reshape(view.shape)
        np.copyto(columns, view)
        if self.blocks.layout == "images":
            return columns.reshape(end_image - image, self.groups, self.depth, prod(count))
        return columns.reshape(self.groups, self.depth, (end_image - image) * prod(count))

    def _source(self, image, end_image, row, end_row):
        """Zero-padded input rows that these output rows see: (images, C, rows, *padded size)."""
        size, stride, padding = self.x.shape[2:], self.stride, self.padding
        start = row * stride[0] - padding[0]
        stop = (end_row - 1) * stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1 - padding[0]
        x = self.x[image:end_image]
        if not any(padding) and self.blocks.layout != "batch last":
            return x[:, :, start:stop]
        shape = (end_image - image, x.shape[1], stop - start, *(s + 2 * p for s, p in zip(size[1:], padding[1:])))
        inside = tuple(slice(p, p + s) for s, p in zip(size[1:], padding[1:]))
        if self.padded is None or self.padded.shape != shape:
            self.padded = self.blocks.zeros(shape, x.dtype)  # its left and right borders stay zero
        first, last = max(start, 0), max(min(stop, size[0]), 0)
        self.padded[:, :, : first - start] = 0
        self.padded[:, :, max(last - start, 0) :] = 0
        if last > first:
            self.padded[(slice(None), slice(None), slice(first - start, last - start), *inside)] = x[:, :, first:last]
        return self.padded


def forward_blocked(x, w, bias, stride, padding, dilation, groups, y=None):
    batch, outputs, kernel = x.shape[0], w.shape[0], w.shape[2:]
    out = window_count(x.shape[2:], kernel, stride, padding, dilation)
    if y is None:
        y = np.empty((batch, outputs, *out), x.dtype)
    for group in group_slices(x.shape[1], outputs, kernel, out, groups, x.itemsize):
        part = None if bias is None else bias[group.outputs]
        _forward_groups(
            x[:, group.channels], w[group.outputs], part, stride, padding, dilation, group.count, y[:, group.outputs]
        )
    return y


def _forward_groups(x, w, bias, stride, padding, dilation, groups, y):
    outputs, kernel, out = w.shape[0], w.shape[2:], y.shape[2:]
    weight = w.reshape(groups, outputs // groups, -1)
    shift = None if bias is None else bias.reshape(groups, -1, 1)
    blocks = Blocks(x.shape[0], out, x.shape[1] * prod(kernel), weight[0].size, x.itemsize)
    columns = Columns(x, kernel, stride, padding, dilation, groups, blocks, out)
    for image, end_image, row, end_row in blocks:
        matrix = columns.fill(image, end_image, row, end_row)
        part = y[image:end_image, :, row:end_row]
        if blocks.layout == "images":
            rows = as_matrices(part, groups)
            np.matmul(weight, matrix, out=rows)
            if shift is not None:
                rows += shift
            continue
        product = np.matmul(weight, matrix)
        if shift is not None:
            product += shift
        np.copyto(part, blocks.restore(product.reshape(blocks.arrange(part, 1).shape), 1))


def as_matrices(part, groups):
    """View of rows of y, (images, O, *rows), as matrices (images, groups, O / groups, columns)."""
    shape = (part.shape[0], groups, part.shape[1] // groups, prod(part.shape[2:]))
    flat = part.reshape(shape)
    assert np.may_share_memory(flat, part), "rows of an image are one run of memory"
    return flat


def weight_blocked(g, x, kernel, stride, padding, dilation, groups):
    outputs, out = g.shape[1], g.shape[2:]
    depth = x.shape[1] // groups * prod(kernel)
    gw = np.zeros((outputs, depth), x.dtype)
    for group in group_slices(x.shape[1], outputs, kernel, out, groups, x.itemsize):
        part = x[:, group.channels]
        blocks = Blocks(x.shape[0], out, depth * group.count, outputs // groups * depth, x.itemsize)
        columns = Columns(part, kernel, stride, padding, dilation, group.count, blocks, out)
        total = gw[group.outputs].reshape(group.count, outputs // groups, depth)
        for block in blocks:
            image, end_image, row, end_row = block
            rows = g[image:end_image, group.outputs, row:end_row]
            gradient = blocks.matrix(rows, 1, group.count, outputs // groups)
            product = np.matmul(gradient, columns.fill(*block).swapaxes(-1, -2))
            total += product.sum(axis=0) if blocks.layout == "images" else product
    return gw.reshape(outputs, x.shape[1] // groups, *kernel)


def input_blocked(g, w, size, stride, padding, dilation, groups):
    """Columns of the gradient, block by block, summed where their windows lie (col2im)."""
    batch, outputs, kernel, out = g.shape[0], w.shape[0], w.shape[2:], g.shape[2:]
    channels = w.shape[1] * groups
    gx = np.empty((batch, channels, *size), g.dtype)
    for group in group_slices(channels, outputs, kernel, out, groups, g.itemsize):
        _input_groups(
            g[:, group.outputs], w[group.outputs], stride, padding, dilation, group.count, gx[:, group.channels]
        )
    return gx


def _input_groups(g, w, stride, padding, dilation, groups, gx):
    outputs, kernel, out = w.shape[0], w.shape[2:], g.shape[2:]
    channels, size = gx.shape[1], gx.shape[2:]
    weight = w.reshape(groups, outputs // groups, -1).swapaxes(1, 2)
    multiply = np.multiply if outputs == groups else np.matmul  # a product of depth 1 is elementwise
    blocks = Blocks(g.shape[0], out, channels * prod(kernel), weight[0].size, g.itemsize)
    for image, end_image, row, end_row in blocks:
        if row == 0:
            shape = (end_image - image, channels, *(s + 2 * p for s, p in zip(size, padding)))
            padded = blocks.zeros(shape, g.dtype)
        rows = g[image:end_image, :, row:end_row]
        columns = multiply(weight, blocks.matrix(rows, 1, groups, outputs // groups))
        order = blocks.arrange(np.broadcast_to(rows[:, :1], (len(rows), 1, *rows.shape[2:])), 1).shape[1:]
        if blocks.layout == "images":
            columns = columns.reshape(len(rows), channels, *kernel, *rows.shape[2:])
        else:
            columns = blocks.restore(columns.reshape(channels, *kernel, *order), 1 + len(kernel))
        add_windows(padded[:, :, row * stride[0] :], columns, kernel, stride, dilation)
        if end_row == blocks.rows:
            gx[image:end_image] = crop(padded, padding, size)


class Groups(NamedTuple):
    """Some adjacent groups: how many, and their slices of the input's and the output's channels."""

    count: int
    channels: slice
    outputs: slice


def group_slices(channels, outputs, kernel, out, groups, itemsize):
    """Cut the groups so that the columns of a few images, or of a band of a large one, fit the cache."""
    depth = channels // groups * prod(kernel)
    columns = min(16 * prod(out), 4096)
    each = groups if groups == 1 else max(1, min(groups, BLOCK_BYTES // (itemsize * depth * max(columns, 1))))
    for start in range(0, groups, each):
        count = min(each, groups - start)
        inner, outer = channels // groups, outputs // groups
        yield Groups(
            count, slice(start * inner, (start + count) * inner), slice(start * outer, (start + count) * outer)
        )


def flipped_weight(w, groups):
    """Weight of the convolution that is the gradient to the input: (C, O / groups, *kernel), kernel reversed."""
    outputs, channels, *kernel = w.shape
    by_group = w.reshape(groups, outputs // groups, channels, *kernel).swapaxes(1, 2)
    reverse = (slice(None),) * 3 + (slice(None, None, -1),) * len(kernel)
    return np.ascontiguousarray(by_group[reverse]).reshape(groups * channels, outputs // groups, *kernel)
