"""Convolution as matrix products, a block of images or image rows at a time, the blocks shared among the threads.

Everything here is a correlation, y[n, o, j] = Σ w[o, c, k] x[n, c, j·stride + k·dilation - before] with x zero outside:
the convolution itself, and the gradient to the input, for which every residue of a position modulo the stride sees a
part of the reversed kernel. The cut depends on the shapes alone, so results do not depend on the number of threads.
"""

from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

from minigrad.backend import np, parallel_for, parallel_ranges, scratch, xp
from minigrad.kernels.im2col import window_count

BLOCK_BYTES = 2**21  # columns made at a time: about the second-level cache
FEWEST_COLUMNS = 512  # enough of them that reading a large weight matrix once per block costs little
TASK_FLOP = 2**24  # what is worth a task of its own: some 100 µs
TASKS = 8  # pieces that a weight's gradient is cut into, so that threads end at about the same time
PIECES = 2  # of the outputs of a block that is alone
FEWEST_ROWS = 32  # of a weight matrix: with fewer, products are slow
SMALL_WEIGHT = 2**15  # elements of a weight that are put in another order in next to no time
PARTIAL_SIZE = 2**20  # elements of all partial sums of a weight's gradient


class Geometry(NamedTuple):
    """Which elements of x the kernel's elements meet: one int per spatial dimension each."""

    kernel: tuple
    stride: tuple
    dilation: tuple
    before: tuple  # zeros before the first element; negative: elements left out
    out: tuple  # positions of the output


class Piece(NamedTuple):
    """Adjacent groups, or with one group some of its outputs (or channels)."""

    groups: slice
    rows: slice  # outputs within each group
    channels: slice
    outputs: slice


class Blocks:
    """How a batch is cut: several whole images per block, or a band of rows (of the first dimension) of one image."""

    def __init__(self, batch, out, depth, flop_each, itemsize):
        rows, columns = out[0], prod(out)  # per image
        wanted = max(FEWEST_COLUMNS, BLOCK_BYTES // (itemsize * depth))
        alone = columns >= FEWEST_COLUMNS and flop_each >= TASK_FLOP
        images = batch if alone else min(batch, -(-batch * columns // wanted))
        bands = min(rows, -(-columns // wanted)) if images == batch else 1
        if flop_each * batch >= 2 * TASK_FLOP:  # as many blocks for one of two threads as for the other
            images = min(batch, images + images % 2 * (images > 1))
            bands = min(rows, bands + images * bands % 2 * (bands > 1))
        self.list = [(*image, *band) for image in even_ranges(batch, images) for band in even_ranges(rows, bands)]


def even_ranges(length, pieces):
    """(start, stop) of that many nearly equal pieces of range(length)."""
    return [(index * length // pieces, (index + 1) * length // pieces) for index in range(pieces)]


def is_shared(positions, weight_size):
    """Whether products of a weight with all ``positions`` (N, channels, *size) are shared among threads."""
    products = weight_size * positions.shape[0] * prod(positions.shape[2:])
    return xp(positions) is np and products >= TASK_FLOP


def share_out(count, flop, work):
    """Call work(index) for every index below count: on all threads if the whole is large enough for that."""
    if flop < 2 * TASK_FLOP:
        for index in range(count):
            work(index)
    else:
        parallel_for(count, work)


# ------------------------------------------------------------------ windows of a block


def columns_of(x, geometry, block, groups):
    """Columns (groups, C / groups * prod(kernel), columns) of a block; a view of x where that is possible.

    First windows along all dimensions but the first, row by row of x: then a window along the first dimension is a run
    of such rows, whose copy is long.
    """
    kernel, stride, dilation, before, out = geometry
    image, end_image, row, end_row = block
    images, channels, count = end_image - image, x.shape[1] // groups, end_row - row
    run = prod(out[1:])
    if images == 1 and is_identity(geometry, x.shape[2:]) and x.flags.c_contiguous:
        return x[image].reshape(groups, channels, -1)[..., row * run : end_row * run]
    residues = sorted({k * dilation[0] % stride[0] for k in range(kernel[0])})
    height = count + (kernel[0] - 1) * dilation[0] // stride[0]
    others = prod(kernel[1:])
    rows = scratch("conv rows", (len(residues), groups, channels, others, images, height, *out[1:]), x.dtype)
    for target, residue in zip(rows, residues, strict=True):
        start = row * stride[0] + residue - before[0]
        fill_rows(target.transpose(2, 0, 1, *range(3, target.ndim)), x[image:end_image], geometry, start)
    if kernel[0] == 1:
        return rows.reshape(groups, channels * others, -1)
    rows = rows.reshape(len(residues), groups, channels, others, images, height * run)
    columns = scratch("conv columns", (groups, channels, kernel[0], others, images, count * run), x.dtype)
    for k in range(kernel[0]):
        first, residue = divmod(k * dilation[0], stride[0])
        part = rows[residues.index(residue), ..., first * run : (first + count) * run]
        np.copyto(columns[:, :, k], part)
    return columns.reshape(groups, channels * prod(kernel), images * count * run)


def is_identity(geometry, size):
    """Whether the columns are x itself."""
    once = all(k == 1 for k in geometry.kernel) and all(s == 1 for s in geometry.stride)
    return once and not any(geometry.before) and geometry.out == tuple(size)


def fill_rows(target, x, geometry, start):
    """Fill target (prod(kernel[1:]), groups, C / groups, images, height, *out[1:]) with windows of x's rows.

    x is (images, C, *size); its rows are those from ``start`` on, every stride-th; outside x there are zeros.
    """
    x = x.swapaxes(0, 1).reshape(*target.shape[1:3], x.shape[0], *x.shape[2:])
    rows, source = seen(start, geometry.stride[0], target.shape[4], x.shape[3])
    for here, (edges, places, sources) in zip(target, inner_places(geometry, x.shape[4:]), strict=True):
        if rows.start > 0:
            here[:, :, :, : rows.start] = 0
        if rows.stop < target.shape[4]:
            here[:, :, :, rows.stop :] = 0
        for edge in edges:
            here[edge] = 0
        np.copyto(here[(..., rows, *places)], x[(..., source, *sources)])


@lru_cache(maxsize=256)
def inner_places(geometry, size):
    """For every offset in kernel[1:]: (indices of what lies outside x, which positions are inside, what they see)."""
    _, stride, dilation, before, out = geometry
    found = []
    for offset in product(*(range(k) for k in geometry.kernel[1:])):
        edges, places, sources = [], [], []
        for dim, k in enumerate(offset, 1):
            inside, source = seen(k * dilation[dim] - before[dim], stride[dim], out[dim], size[dim - 1])
            places.append(inside)
            sources.append(source)
            later = (slice(None),) * (len(out) - 1 - dim)
            if inside.start > 0:
                edges.append((..., slice(0, inside.start), *later))
            if inside.stop < out[dim]:
                edges.append((..., slice(inside.stop, None), *later))
        found.append((edges, tuple(places), tuple(sources)))
    return found


def seen(start, step, count, size):
    """(slice of range(count), slice of range(size)): which positions start + i·step are inside, and what they see."""
    first = min(count, max(0, -(start // step)))
    last = max(first, min(count, (size - 1 - start) // step + 1))
    begin = start + first * step
    return slice(first, last), slice(begin, begin + (last - first) * step, step) if last > first else slice(0, 0)


# ------------------------------------------------------------------ correlation


class ByColumns:
    """A correlation as one product with the columns: the weight lies as it must."""

    def __init__(self, weight, geometry, y):
        """weight: (groups, O / groups, C / groups * prod(kernel)); y: contiguous (N, O, *out), to be filled."""
        self.weight, self.geometry = weight, geometry
        self.y = y.reshape(y.shape[0], *weight.shape[:2], -1)
        self.depth = weight.shape[0] * weight.shape[2]

    def compute(self, x, piece, block, shift, relu):
        """Fill y where the block and the piece say, for x (N, C, *size) of the piece; shift and relu as in `finish`."""
        image, end_image, row, end_row = block
        run = prod(self.geometry.out[1:])
        weight = self.weight[piece.groups, piece.rows]
        columns = columns_of(x, self.geometry, block, len(weight))
        part = self.y[image:end_image, piece.groups, piece.rows, row * run : end_row * run]
        if len(part) == 1:
            np.matmul(weight, columns, out=part[0])
            finish(part[0], shift, relu)
            return
        values = scratch("conv product", (*weight.shape[:2], columns.shape[2]), x.dtype)
        np.matmul(weight, columns, out=values)
        finish(values, shift, relu)
        np.copyto(part.transpose(1, 2, 0, 3), values.reshape(*weight.shape[:2], *part.shape[::3]))


def finish(values, shift, relu):
    """Add the bias (groups, O / groups), if any, to values (groups, O / groups, columns); with relu, max(values, 0)."""
    if shift is not None:
        values += shift[..., None]
    if relu:
        values.clip(values.dtype.type(0), np.inf, out=values)  # three times as fast as maximum


class ByRows:
    """A correlation as products of kernel rows and image rows, summed where they belong: no columns, for few outputs.

    Rows are along the first spatial dimension. A row of x meets all kernel rows k with one residue of
    k·dilation - before (mod stride): one product with these gives what the row adds to as many rows of y.
    """

    def __init__(self, w, geometry, y):
        """w: (groups, O / groups, C / groups, *kernel); y: (N, O, *out), to be filled; both may be strided."""
        self.geometry = geometry
        self.y = y.reshape(y.shape[0], *w.shape[:2], *geometry.out)
        self.straight = y.flags.c_contiguous
        kernel, stride, dilation, before, _ = geometry
        self.depth = w.shape[0] * (w.shape[2] * prod(kernel[1:]) + w.shape[1] * kernel[0])
        chosen = {}
        for k in range(kernel[0]):
            move, residue = divmod(k * dilation[0] - before[0], stride[0])
            chosen.setdefault(residue, []).append((k, move))
        self.products = []
        for residue, pairs in chosen.items():
            moves = [(index, move) for index, (_, move) in enumerate(pairs)]
            moves.sort(key=lambda pair: abs(pair[1]))  # the first most likely reaches all rows
            self.products.append((residue, moves, kernel_rows(w, [k for k, _ in pairs])))
        self.products.sort(key=lambda product: abs(product[1][0][1]))

    def compute(self, x, piece, block, shift, relu):
        """Fill y where the block and the piece say, for x (N, C, *size) of the piece; shift and relu as in `finish`."""
        image, end_image, row, end_row = block
        run = prod(self.geometry.out[1:])
        part = self.y[image:end_image, piece.groups, piece.rows, row:end_row]
        part = part.transpose(1, 2, 0, *range(3, part.ndim))  # (groups, O / groups, images, *rows)
        flat = (*part.shape[:3], (end_row - row) * run)
        total = part.reshape(flat) if self.straight else scratch("conv total", flat, x.dtype)
        empty = True
        for residue, moves, weight in self.products:
            values, first, end = self._product(x, residue, moves, weight[piece.groups, :, piece.rows], block)
            for index, move in moves:
                start, stop = max(row, first - move), min(end_row, end - move)
                whole = (start, stop) == (row, end_row)
                if empty and not whole:
                    total[...] = 0
                rows = total[..., (start - row) * run : (stop - row) * run]
                moved = values[:, index, :, :, (start + move - first) * run : (stop + move - first) * run]
                if empty and whole:
                    np.copyto(rows, moved)
                elif start < stop:
                    rows += moved
                empty = False
        if shift is not None:
            total += shift[..., None, None]
        if relu:
            total.clip(total.dtype.type(0), np.inf, out=total)
        if not self.straight:
            np.copyto(part, total.reshape(part.shape))

    def _product(self, x, residue, moves, weight, block):
        """Products (groups, len(moves), O / groups, images, rows) and which rows of the residue: the first, the end."""
        image, end_image, row, end_row = block
        kernel, stride, _, _, out = self.geometry
        groups, kinds, outputs, depth = weight.shape
        shifts = [move for _, move in moves]
        first = max(0, row + min(shifts))
        height = max(0, min(len(range(residue, x.shape[2], stride[0])), end_row + max(shifts)) - first)
        inner = (end_image - image, height, *out[1:])
        rows = scratch("conv rows", (groups, prod(kernel[1:]), depth // prod(kernel[1:]), *inner), x.dtype)
        fill_rows(rows.swapaxes(0, 1), x[image:end_image], self.geometry, first * stride[0] + residue)
        values = scratch("conv product", (groups, kinds, outputs, *inner), x.dtype)
        if weight.flags.c_contiguous:
            weight = weight.reshape(groups, 1, kinds * outputs, depth)
        np.matmul(weight, rows.reshape(groups, 1, depth, -1), out=values.reshape(*weight.shape[:3], -1))
        return values.reshape(*values.shape[:4], -1), first, first + height


def kernel_rows(w, positions):
    """Rows of the kernels w (groups, O, C, *kernel) as matrices (groups, len(positions), O, prod(kernel[1:]) * C)."""
    if prod(w.shape[3:]) == 1:
        return w.reshape(w.shape[0], 1, *w.shape[1:3])
    step = positions[1] - positions[0] if len(positions) > 1 else 1
    source = w[:, :, :, positions[0] : positions[-1] + 1 : step]
    source = source.transpose(0, 3, 1, *range(4, w.ndim), 2)
    rows = np.empty(source.shape, w.dtype)
    grain = max(1, 2**16 * len(w) * w.shape[1] // max(1, w.size))
    parallel_ranges(w.shape[1], grain, lambda start, stop: np.copyto(rows[:, :, start:stop], source[:, :, start:stop]))
    return rows.reshape(*rows.shape[:3], -1)


def pieces_of(channels, outputs, groups, wanted, by_channels=False):
    """Cut the groups, or a single one's outputs or channels, into about so many pieces."""
    everything = slice(None)
    if groups > 1:
        inner, outer = channels // groups, outputs // groups
        ranges = even_ranges(groups, max(1, min(groups, wanted)))
        return [
            Piece(slice(a, b), everything, slice(a * inner, b * inner), slice(a * outer, b * outer)) for a, b in ranges
        ]
    length = channels if by_channels else outputs
    ranges = even_ranges(length, max(1, min(length // FEWEST_ROWS, wanted)))
    if by_channels:
        return [Piece(everything, everything, slice(a, b), everything) for a, b in ranges]
    return [Piece(everything, slice(a, b), everything, slice(a, b)) for a, b in ranges]


def correlate(x, parts, groups, flop, bias=None, relu=False):
    """Fill y of every part; the first part has the most positions. bias is (O,) or None."""
    first = parts[0]
    batch, outputs = first.y.shape[0], first.y.shape[1] * first.y.shape[2]
    if not first.y.size:
        return
    depth = max(part.depth for part in parts)
    work_each = flop // batch
    blocks = Blocks(batch, first.geometry.out, depth, work_each, x.itemsize).list
    # Pieces of the outputs make the same columns again: only a single block is cut so.
    pieces = pieces_of(x.shape[1], outputs, groups, PIECES if len(blocks) == 1 and flop >= 2 * TASK_FLOP else 1)
    shifts = None if bias is None else bias.reshape(groups, -1)

    def work(index):
        piece, block = pieces[index % len(pieces)], blocks[index // len(pieces)]
        shift = None if bias is None else shifts[piece.groups, piece.rows]
        for part in parts:
            rows = min(block[2], part.geometry.out[0]), min(block[3], part.geometry.out[0])
            if rows[1] > rows[0]:
                part.compute(x[:, piece.channels], piece, (*block[:2], *rows), shift, relu)

    share_out(len(pieces) * len(blocks), flop, work)


def forward_blocked(x, w, bias, stride, padding, dilation, groups, relu=False):
    """Return y = w * x + bias, (N, O, *out); with relu, max(y, 0)."""
    batch, outputs, kernel = x.shape[0], w.shape[0], w.shape[2:]
    out = window_count(x.shape[2:], kernel, stride, padding, dilation)
    y = np.empty((batch, outputs, *out), x.dtype)
    geometry = Geometry(kernel, stride, dilation, padding, out)
    each = outputs // groups
    depth = w.shape[1] * prod(kernel[1:])
    if kernel[0] > 1 and (4 * each <= depth or 3 * each <= 2 * depth and w.size <= SMALL_WEIGHT):
        part = ByRows(w.reshape(groups, each, *w.shape[1:]), geometry, y)
    else:
        part = ByColumns(w.reshape(groups, each, -1), geometry, y)
    correlate(x, [part], groups, 2 * w.size * batch * prod(out), bias, relu)
    return y


# ------------------------------------------------------------------ gradients


def input_blocked(g, w, size, stride, padding, dilation, groups):
    """Return the gradient to the input, (N, C, *size).

    Positions of one residue (mod stride) see the elements of the kernel of one residue: each such part is a
    correlation with stride 1 of g and these elements, last first.
    """
    gx = np.empty((g.shape[0], w.shape[1] * groups, *size), g.dtype)
    turned = w.reshape(groups, -1, *w.shape[1:]).swapaxes(1, 2)  # (groups, C / groups, O / groups, *kernel)
    parts = []
    missing = False
    for residues in product(*(range(s) for s in stride)):
        target = gx[(..., *(slice(r, None, s) for r, s in zip(residues, stride, strict=True)))]
        dims = [sub_kernel(*each) for each in zip(residues, w.shape[2:], stride, padding, dilation, strict=True)]
        if None in dims or not target.size:
            missing = True
            continue
        chosen, step, before = zip(*dims, strict=True)
        weight = turned[(..., *chosen)]
        geometry = Geometry(weight.shape[3:], (1,) * len(size), step, before, target.shape[2:])
        if prod(w.shape[2:]) == prod(stride) == 1:
            parts.append(ByColumns(weight.reshape(weight.shape[:3]), geometry, target))
        else:
            parts.append(ByRows(weight, geometry, target))
    if missing:
        grain = max(1, 2**18 * len(gx) // max(1, gx.size))
        parallel_ranges(len(gx), grain, lambda start, stop: gx[start:stop].fill(0))
    if parts:
        correlate(g, parts, groups, 2 * w.size * g.shape[0] * prod(g.shape[2:]))
    return gx


def sub_kernel(residue, kernel, stride, padding, dilation):
    """Which elements of a kernel positions ≡ residue (mod stride) see: (their slice, their dilation, zeros before).

    Position stride·m + residue meets element k at g's position m + (residue + padding - k·dilation) / stride.
    """
    shift = residue + padding
    chosen = [k for k in range(kernel - 1, -1, -1) if (shift - k * dilation) % stride == 0]
    if not chosen:
        return None
    last, first = chosen[0], chosen[-1]
    step = last - chosen[1] if len(chosen) > 1 else stride
    before = (last * dilation - shift) // stride
    return slice(last, first - 1 if first else None, -step), max(1, step * dilation // stride), before


def weight_blocked(g, x, kernel, stride, padding, dilation, groups):
    """Return the gradient to the weight, (O, C / groups, *kernel)."""
    batch, outputs, *out = g.shape
    channels, outputs_each = x.shape[1] // groups, outputs // groups
    depth = channels * prod(kernel)
    geometry = Geometry(kernel, stride, dilation, padding, tuple(out))
    flop = 2 * outputs * depth * batch * prod(out)
    blocks = Blocks(batch, geometry.out, depth * groups, flop // batch, x.itemsize).list
    tasks = min(TASKS, flop // TASK_FLOP)
    chunks = max(1, min(tasks, len(blocks), PARTIAL_SIZE // (outputs * depth)))
    chunks -= chunks % 2 * (chunks > 1)  # as many for one of two threads as for the other
    ranges = even_ranges(len(blocks), chunks)
    pieces = pieces_of(x.shape[1], outputs, groups, -(-tasks // chunks), by_channels=True)
    turned = depth > outputs_each  # a product is faster with the larger matrix on the left
    shape = (groups, depth, outputs_each) if turned else (groups, outputs_each, depth)
    partial = np.empty((chunks, *shape), x.dtype)
    matrices = g.reshape(batch, outputs, -1).swapaxes(0, 1)  # (O, N, positions)
    if any(end - first > 1 for first, end, _, _ in blocks):
        merged = np.empty(matrices.shape, g.dtype)
        grain = max(1, 2**16 * outputs // max(1, g.size))
        parallel_ranges(outputs, grain, lambda a, b: np.copyto(merged[a:b], matrices[a:b]))
        matrices = merged

    def work(index):
        piece, chunk = pieces[index % len(pieces)], index // len(pieces)
        total = partial[chunk].swapaxes(1, 2) if turned else partial[chunk]  # (groups, O / groups, depth)
        if groups > 1:
            total = total[piece.groups]
        elif piece.channels.stop is not None:
            total = total[..., piece.channels.start * prod(kernel) : piece.channels.stop * prod(kernel)]
        start, stop = ranges[chunk]
        sum_weight(matrices[piece.outputs], x[:, piece.channels], geometry, blocks[start:stop], total, turned)

    share_out(chunks * len(pieces), flop, work)
    gw = partial[0] if chunks == 1 else partial.sum(axis=0)
    if turned:
        turned_back = np.empty((groups, outputs_each, depth), x.dtype)
        source = gw.swapaxes(1, 2)
        grain = max(1, 2**17 // (groups * depth))
        parallel_ranges(outputs_each, grain, lambda a, b: np.copyto(turned_back[:, a:b], source[:, a:b]))
        gw = turned_back
    return gw.reshape(outputs, channels, *kernel)


def sum_weight(g, x, geometry, blocks, total, turned):
    """Set total (groups, O / groups, depth) to the sum over blocks of g (O, N, positions) times columns' transpose.

    If ``turned``, it is computed as its transpose, which is how it lies in memory.
    """
    run = prod(geometry.out[1:])
    for number, block in enumerate(blocks):
        image, end_image, row, end_row = block
        columns = columns_of(x, geometry, block, len(total))
        gradient = g[:, image:end_image, row * run : end_row * run].reshape(*total.shape[:2], -1)
        left, right, target = (columns, gradient, total.swapaxes(1, 2)) if turned else (gradient, columns, total)
        if number == 0:
            np.matmul(left, right.swapaxes(1, 2), out=target)
        else:
            target += np.matmul(left, right.swapaxes(1, 2), out=scratch("conv product", target.shape, g.dtype))
