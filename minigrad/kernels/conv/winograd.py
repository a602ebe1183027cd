"""Winograd's convolution F(4x4, 3x3) of float32 images: a quarter of the multiplications of im2col; and F(2x2, 5x5).

Images are cut into tiles of 4 x 4 (or 2 x 2) outputs, which see 6 x 6 inputs d of a channel. With the matrices below

    Y = A [ (G w Gᵀ) ⊙ (B d Bᵀ) ] Aᵀ                                          # (4, 4) = (6, 6) ⊙ (6, 6)

so that for each of the 36 places of a transformed tile there is one matrix product over the channels. A and B come as
bands over several tiles, so that the transforms are matrix products too: they pad, gather and transpose on the way.
All transformed values lie with tiles before channels: (6, 6, tiles, C).

Sources: Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms for Convolutional
Neural Networks, https://arxiv.org/abs/1509.09308.
"""

from functools import lru_cache
from typing import NamedTuple

from minigrad.backend import get_num_threads, np, parallel_for, parallel_ranges, scratch

PATCH = 6  # inputs that a tile sees along one dimension
INPUT = np.array(  # B: (6, 6)
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
POINTS = (0, 1, -1, 2, -2)  # where the polynomials are evaluated whose products these are; the sixth is infinity
FACTORS = (1 / 4, -1 / 6, -1 / 6, 1 / 24, 1 / 24)


class Method(NamedTuple):
    """The matrices for kernels of one size r: a tile has 7 - r outputs along each dimension."""

    tile: int
    output: np.ndarray  # A: (tile, 6)
    kernels: np.ndarray  # (36, r²): G along both dimensions of a kernel
    reversed_kernels: np.ndarray  # the same of a kernel that is turned around
    kernels_by_column: np.ndarray  # the 36 places counted column by column


def _method(size):
    tile = PATCH + 1 - size
    kernel = [[factor * point**power for power in range(size)] for point, factor in zip(POINTS, FACTORS, strict=True)]
    kernel.append([0] * (size - 1) + [1])
    output = [[point**power for point in POINTS] + [power == tile - 1] for power in range(tile)]
    both = np.kron(kernel, kernel).astype(np.float32)
    by_column = both.reshape(PATCH, PATCH, -1).swapaxes(0, 1).reshape(both.shape)
    return Method(tile, np.array(output, np.float32), both, np.ascontiguousarray(both[:, ::-1]), by_column)


METHODS = {(size, size): _method(size) for size in (3, 5)}

BLOCK_TILES = 160  # of a block: enough rows for a matrix product, few enough for the cache
WEIGHT_BLOCK_TILES = 392  # for the gradient to the weight: adding a product to the sum costs as much as many tiles
BLOCK_IMAGES = 8  # tiles of several images share a block before tiles far apart in one image do
FEWEST_CHANNELS = 24  # of a group: below, the transforms cost more than the products save
FEWEST_TILES = 48  # of a batch: below, transforming the kernels does
LARGE_WEIGHT = 2**16  # elements of a weight of which the threads share one gradient instead of summing one each
PRODUCT_BYTES = 2**20  # of products that are made before they are added to the sums


def suits_winograd(x, shape, stride, padding, dilation, groups, out):
    """Whether the algorithm applies to a weight of the shape, and is the fastest for so many outputs per image."""
    method = METHODS.get(shape[2:])
    if method is None or x.dtype != np.float32 or stride != (1, 1) or dilation != (1, 1) or max(padding) >= shape[2]:
        return False
    tiles = x.shape[0] * -(-out[0] // method.tile) * -(-out[1] // method.tile)
    return shape[1] >= FEWEST_CHANNELS and shape[0] // groups >= FEWEST_CHANNELS and tiles >= FEWEST_TILES


class Strip(NamedTuple):
    """Adjacent tiles along one dimension."""

    tiles: int
    inputs: slice  # of the image, without its padding
    outputs: slice
    into: np.ndarray  # (6 · tiles, inputs): B for each tile
    out: np.ndarray  # (outputs, 6 · tiles): A for each tile


@lru_cache(maxsize=256)
def strips(size, kernel, padding, each):
    """The strips of about ``each`` tiles that cover a dimension of the size."""
    method = METHODS[kernel]
    tile, out = method.tile, size + 2 * padding - kernel[0] + 1
    tiles = -(-out // tile)
    count = -(-tiles // each)
    found = []
    for index in range(count):
        first, end = index * tiles // count, (index + 1) * tiles // count
        start = tile * first - padding
        inputs = slice(max(start, 0), min(tile * end + kernel[0] - 1 - padding, size))
        outputs = slice(tile * first, min(tile * end, out))
        into = _band(INPUT, end - first, tile)[:, inputs.start - start : inputs.stop - start]
        back = _band(method.output.T, end - first, tile)[:, : outputs.stop - outputs.start].T
        found.append(Strip(end - first, inputs, outputs, np.ascontiguousarray(into), np.ascontiguousarray(back)))
    return tuple(found)


def _band(matrix, tiles, step):
    """A (6, n) matrix for each of the tiles, ``step`` columns apart: (6 · tiles, all columns)."""
    band = np.zeros((PATCH, tiles, (tiles - 1) * step + matrix.shape[1]), matrix.dtype)
    for tile in range(tiles):
        band[:, tile, tile * step : tile * step + matrix.shape[1]] = matrix
    return band.reshape(PATCH * tiles, -1)


def image_ranges(batch, each):
    count = -(-batch // each)
    return [slice(index * batch // count, (index + 1) * batch // count) for index in range(count)]


def block_sides(batch, height, width, tiles):
    """(images, tile rows, tile columns) of a block of so many tiles, for images with that many of them."""
    images = min(batch, max(BLOCK_IMAGES, tiles // (height * width)))
    wanted = max(1, tiles // images)
    rows = min(height, max(1, round(wanted**0.5)))
    columns = min(width, -(-wanted // rows))
    return images, min(height, -(-wanted // columns)), columns


def out_size(size, kernel, padding):
    return tuple(s + 2 * p - k + 1 for s, k, p in zip(size, kernel, padding, strict=True))


def all_blocks(batch, size, kernel, padding, tiles):
    """(images, vertical strip, horizontal strip) of every block of about so many tiles."""
    counts = [-(-out // METHODS[kernel].tile) for out in out_size(size, kernel, padding)]
    images, rows, columns = block_sides(batch, *counts, tiles)
    vertical = strips(size[0], kernel, padding[0], rows)
    horizontal = strips(size[1], kernel, padding[1], columns)
    return [(n, v, h) for n in image_ranges(batch, images) for v in vertical for h in horizontal]


def transformed_kernels(w, groups, reverse=False):
    """G w Gᵀ as (36, C / groups, O); reversed: the kernels of the gradient to the input, (36, O / groups, C)."""
    outputs, channels, *kernel = w.shape
    method = METHODS[tuple(kernel)]
    by_group = w.reshape(groups, outputs // groups, channels, -1)
    if not reverse:
        by_group = by_group.swapaxes(1, 2)
    rows, columns = by_group.shape[1:3]
    found = np.empty((PATCH * PATCH, rows, groups, columns), w.dtype)
    matrix = method.reversed_kernels if reverse else method.kernels

    def transform(start, stop):
        for group in range(groups):
            values = by_group[group, start:stop].swapaxes(1, 2)  # (rows, r², columns)
            np.matmul(matrix, values, out=found[:, start:stop, group].swapaxes(0, 1))

    parallel_ranges(rows, max(1, 2**16 // columns), transform)
    return found.reshape(PATCH * PATCH, rows, groups * columns)


def forward_winograd(x, w, bias, padding, groups, relu=False):
    """y = w * x + bias, with relu max(y, 0), with stride 1, (N, O, *out). More threads may round otherwise."""
    return _convolve(x, transformed_kernels(w, groups), w.shape[2:], w.shape[0], bias, padding, groups, relu)


def input_winograd(g, w, padding, groups):
    """Gradient to the input: the convolution of g with the reversed kernels."""
    kernel = w.shape[2:]
    padding = tuple(k - 1 - p for k, p in zip(kernel, padding, strict=True))
    kernels = transformed_kernels(w, groups, reverse=True)
    return _convolve(g, kernels, kernel, w.shape[1] * groups, None, padding, groups)


def _convolve(x, kernels, kernel, outputs, bias, padding, groups, relu=False):
    """The convolution of x (N, C, H, W) with transformed kernels (36, C / groups, O)."""
    x = np.ascontiguousarray(x)
    batch, _, *size = x.shape
    y = np.empty((batch, outputs, *out_size(size, kernel, padding)), x.dtype)
    blocks = all_blocks(batch, tuple(size), kernel, padding, BLOCK_TILES)
    kernels = kernels.reshape(PATCH, PATCH, *kernels.shape[1:])
    parts = 1 if len(blocks) >= get_num_threads() else min(get_num_threads(), max(1, outputs // groups // 32))
    if groups > 1:
        parts = 1

    def work(index):
        images, vertical, horizontal = blocks[index // parts]
        part = slice(index % parts * outputs // parts, (index % parts + 1) * outputs // parts)
        shift = None if bias is None else bias[part]
        _convolve_block(x[images], kernels[..., part], shift, vertical, horizontal, groups, y[images, part], relu)

    parallel_for(len(blocks) * parts, work)
    return y


def _convolve_block(x, kernels, bias, vertical, horizontal, groups, y, relu):
    images, outputs = y.shape[:2]
    channels = x.shape[1]
    tiles = vertical.tiles * horizontal.tiles * images
    columns = _by_columns(x[:, :, vertical.inputs, horizontal.inputs], horizontal.into, "winograd columns")
    patches = scratch("winograd patches", (PATCH, tiles, channels), x.dtype)
    products = scratch("winograd products", (PATCH, tiles, outputs), x.dtype)
    rows, width = vertical.out.shape[0], PATCH * horizontal.tiles
    # the bias is one more value to be summed, with weight 1
    sums = scratch("winograd sums", (rows, width + 1, images * outputs), x.dtype)
    sums[:, width] = 0 if bias is None else np.broadcast_to(bias, (images, outputs)).reshape(-1)
    by_place = sums[:, :width].reshape(rows, PATCH, horizontal.tiles * images * outputs)
    for place in range(PATCH):
        np.matmul(vertical.into, columns[:, place], out=patches.reshape(PATCH * vertical.tiles, -1))
        _multiply_groups(patches, kernels[:, place], groups, products)
        np.matmul(vertical.out, products.reshape(PATCH * vertical.tiles, -1), out=by_place[:, place])
    back = np.ones((width + 1, horizontal.out.shape[0]), x.dtype)
    back[:width] = horizontal.out.T
    part = y[:, :, vertical.outputs, horizontal.outputs]
    for target, chosen in _merged_images(part):
        np.matmul(sums[:, :, chosen].swapaxes(1, 2), back, out=target.swapaxes(0, 1))
        if relu:
            target.clip(target.dtype.type(0), np.inf, out=target)


def _by_columns(x, matrix, name):
    """d Bᵀ: x (N, C, rows, columns) with a matrix (6 · tile columns, columns) along its rows.

    The result is (rows, 6, tile columns · N · C), in scratch memory under the name.
    """
    images, channels, rows, _ = x.shape
    found = scratch(name, (rows, matrix.shape[0], images * channels), x.dtype)
    for part, chosen in _merged_images(x):
        np.matmul(matrix, part.transpose(1, 2, 0), out=found[:, :, chosen])
    return found.reshape(rows, PATCH, -1)


def _merged_images(x):
    """x (N, C, rows, columns) as (N · C, rows, columns), or image by image; each with its slice of N · C."""
    images, channels = x.shape[:2]
    if images == 1 or x.strides[0] == channels * x.strides[1]:
        yield x.reshape(images * channels, *x.shape[2:]), slice(None)
        return
    for image in range(images):
        yield x[image], slice(image * channels, (image + 1) * channels)


def _multiply_groups(patches, kernels, groups, products):
    """The products over the channels of each group, (6, tiles, O)."""
    channels, outputs = patches.shape[2] // groups, products.shape[2] // groups
    for group in range(groups):
        chosen = slice(group * outputs, (group + 1) * outputs)
        inner = patches[..., group * channels : (group + 1) * channels]
        np.matmul(inner, kernels[..., chosen], out=products[..., chosen])


def weight_winograd(g, x, kernel, padding, groups):
    """Gradient to the weight, (O, C / groups, *kernel). More threads may round otherwise."""
    x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
    outputs, channels = g.shape[1], x.shape[1] // groups
    large = channels * outputs >= LARGE_WEIGHT
    blocks = all_blocks(x.shape[0], x.shape[2:], kernel, padding, WEIGHT_BLOCK_TILES)
    threads = get_num_threads()
    parts = min(threads, outputs) if groups == 1 and large else 1
    workers = min(len(blocks), threads) if parts == 1 else 1
    sums = np.empty((workers, PATCH, PATCH, channels, outputs), x.dtype)

    def work(index):
        worker, part = divmod(index, parts)
        chosen = slice(part * outputs // parts, (part + 1) * outputs // parts)
        for number in range(worker, len(blocks), workers):
            images, vertical, horizontal = blocks[number]
            target = sums[worker, ..., chosen]
            _weight_block(x[images], g[images, chosen], vertical, horizontal, groups, target, number >= workers)

    parallel_for(workers * parts, work)
    for other in sums[1:]:
        sums[0] += other
    method = METHODS[kernel]
    gw = np.empty((outputs, channels, *kernel), x.dtype)
    flat = gw.reshape(outputs, channels, -1)
    total = sums[0].reshape(PATCH * PATCH, channels, outputs)

    def transform(start, stop):
        by_channel = total[:, start:stop].transpose(1, 2, 0)  # (channels, O, 36)
        np.matmul(by_channel, method.kernels_by_column, out=flat[:, start:stop].swapaxes(0, 1))

    parallel_ranges(channels, max(1, 2**16 // outputs), transform)
    return gw


def _weight_block(x, g, vertical, horizontal, groups, sums, add):
    """Sum over a block's tiles of transformed x times transformed g, into sums (6, 6, C / groups, O).

    The places of a transformed tile are counted column by column in it.
    """
    images, outputs = g.shape[:2]
    tiles = vertical.tiles * horizontal.tiles * images
    inner, outer = sums.shape[2], outputs // groups
    columns = _by_columns(x[:, :, vertical.inputs, horizontal.inputs], horizontal.into, "winograd columns")
    g_columns = _by_columns(g[:, :, vertical.outputs, horizontal.outputs], horizontal.out.T, "winograd sums")
    patches = scratch("winograd patches", (PATCH, tiles, x.shape[1]), x.dtype)
    g_patches = scratch("winograd products", (PATCH, tiles, outputs), x.dtype)
    each = PATCH if PATCH * inner * outer * x.itemsize <= PRODUCT_BYTES else 1
    product = scratch("winograd weight", (each, inner, outer), x.dtype)
    for place in range(PATCH):
        np.matmul(vertical.into, columns[:, place], out=patches.reshape(PATCH * vertical.tiles, -1))
        np.matmul(vertical.out.T, g_columns[:, place], out=g_patches.reshape(PATCH * vertical.tiles, -1))
        for group in range(groups):
            chosen = slice(group * outer, (group + 1) * outer)
            a = patches[..., group * inner : (group + 1) * inner].swapaxes(1, 2)  # (6, C / groups, tiles)
            b = g_patches[..., chosen]
            target = sums[place, :, :, chosen]
            if not add:
                np.matmul(a, b, out=target)
                continue
            for row in range(0, PATCH, each):
                np.matmul(a[row : row + each], b[row : row + each], out=product)
                target[row : row + each] += product
