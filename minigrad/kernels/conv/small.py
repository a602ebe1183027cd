"""Convolution of small images in 2 dimensions: the images' values adjacent, and products of overlapping rows.

In memory ordered (row, channel, horizontal tap, column, image) the windows of one row of outputs, over all their
vertical taps, are one matrix already: (KH C KW, OW n), and the next row's begins one row further on. So the columns are
copied for the horizontal taps only, KH times fewer than im2col makes, and in runs of whole batches. The gradient to the
input goes the other way: rows of g overlap in the products, and only the horizontal taps are added up; with larger
strides all taps are, which is also the fastest for images of few channels and for an image alone.
"""

from math import prod

from minigrad.backend import np, parallel_for, scratch

LARGEST = 2**13  # elements of what one image needs: as much as fits the cache together with that of some more images
LARGEST_PRODUCTS = 10_000  # elements per image of the products of `input_small_strided`, for the same reason
LARGEST_OF_FEW = 2**21  # of a single image or few channels, where they may be as many as memory is worth
FEW_CHANNELS = 3
PIECE = 2**17  # elements of a piece of the batch
SHARED = 5  # pieces that are worth waking another thread for


def is_small(w_shape, stride, dilation, groups, out):
    """Whether windows of adjacent rows overlap, and an image's arrays are so small that calls and copies take time."""
    if len(w_shape) != 4 or groups != 1 or dilation != (1, 1) or w_shape[2] <= stride[0]:
        return False
    return _largest(w_shape, stride, out) <= LARGEST


def suits_strided(g_shape, w_shape, dilation, groups):
    """Whether `input_small_strided` is the fastest for a gradient of shape (N, O, OH, OW)."""
    if len(w_shape) != 4 or groups != 1 or dilation != (1, 1):
        return False
    few = g_shape[0] == 1 or w_shape[1] <= FEW_CHANNELS
    return prod(w_shape[1:]) * prod(g_shape[2:]) <= (LARGEST_OF_FEW if few else LARGEST_PRODUCTS)


def _largest(w_shape, stride, out):
    """Elements per image of the largest array that is made: columns, or rows of g between zeros."""
    outputs, channels, kernel_rows, taps = w_shape
    rows = (out[0] - 1) * stride[0] + kernel_rows
    return out[1] * max(rows * channels * taps, (rows + kernel_rows) * outputs)


def _pieces(batch, largest):
    """Slices of the batch, each of which fits the cache."""
    if batch == 1:
        return [slice(0, 1)]
    count = min(batch, -(-batch * largest // PIECE))
    return [slice(batch * i // count, batch * (i + 1) // count) for i in range(count)]


def _each(pieces, work):
    """Call work(index, slice) for the pieces of a batch, shared among the threads if they are many."""
    if len(pieces) >= SHARED:
        parallel_for(len(pieces), lambda index: work(index, pieces[index]))
    else:
        for index, piece in enumerate(pieces):
            work(index, piece)


def _windows(x, kernel, stride, padding, out):
    """The matrices (OH, KH C KW, OW n) of the windows of x (n, C, H, W), which overlap in memory of this thread."""
    n, channels, height, width = x.shape
    item = x.itemsize
    shape = ((out[0] - 1) * stride[0] + kernel[0], channels, kernel[1], out[1], n)
    columns = scratch("small columns", shape, x.dtype)
    if n == 1 and padding == (0, 0) and x.flags.c_contiguous:
        source, row, plane, place = x, width * item, height * width * item, item
    else:
        source = _images_last(x, (height + 2 * padding[0], channels, width + 2 * padding[1], n), padding)
        row, plane, place, _ = source.strides
    strides = (row, plane, place, place * stride[1], item)
    columns[...] = np.ndarray(shape, x.dtype, source, 0, strides)
    row = channels * kernel[1] * out[1] * n
    shape = (out[0], kernel[0] * channels * kernel[1], out[1] * n)
    return np.ndarray(shape, x.dtype, columns, 0, (stride[0] * row * item, shape[2] * item, item))


def _images_last(x, shape, start):
    """x (n, C, H, W) from a row and column on within zeros (rows, C, columns, n)."""
    source = scratch("small images", shape, x.dtype)
    inside = source[start[0] : start[0] + x.shape[2], :, start[1] : start[1] + x.shape[3]]
    if inside.shape[0] != shape[0] or inside.shape[2] != shape[2]:
        source[...] = 0
    inside[...] = x.transpose(2, 1, 3, 0)
    return source


def forward_small(x, w, bias, stride, padding, out):
    outputs = w.shape[0]
    y = np.empty((x.shape[0], outputs, *out), x.dtype)
    weight = w.transpose(0, 2, 1, 3).reshape(outputs, -1)  # (O, KH C KW)
    shift = None if bias is None else bias.reshape(-1, 1)

    def work(_, images):
        matrices = _windows(x[images], w.shape[2:], stride, padding, out)
        product = scratch("small products", (out[0], outputs, matrices.shape[2]), x.dtype)
        np.matmul(weight, matrices, out=product)
        if shift is not None:
            product += shift
        y[images] = product.reshape(out[0], outputs, out[1], -1).transpose(3, 1, 0, 2)

    _each(_pieces(len(x), _largest(w.shape, stride, out)), work)
    return y


def weight_small(g, x, kernel, stride, padding):
    outputs, channels, out = g.shape[1], x.shape[1], g.shape[2:]
    pieces = _pieces(len(x), _largest((outputs, channels, *kernel), stride, out))
    parts = np.empty((len(pieces), kernel[0] * channels * kernel[1], outputs), x.dtype)

    def work(index, images):
        matrices = _windows(x[images], kernel, stride, padding, out)
        rows = scratch("small gradients", (out[0], outputs, out[1], matrices.shape[2] // out[1]), x.dtype)
        rows[...] = g[images].transpose(2, 1, 3, 0)
        rows = rows.reshape(out[0], outputs, -1)
        if outputs < 8:  # BLAS is quicker with the longer side first, but not with so short a second one
            np.matmul(rows, matrices.swapaxes(1, 2)).sum(axis=0, out=parts[index].T)
        else:
            np.matmul(matrices, rows.swapaxes(1, 2)).sum(axis=0, out=parts[index])

    _each(pieces, work)
    total = parts[0] if len(parts) == 1 else parts.sum(axis=0)
    return np.ascontiguousarray(total.reshape(kernel[0], channels, kernel[1], outputs).transpose(3, 1, 0, 2))


def input_small(g, w, size, padding):
    """For stride 1."""
    outputs, channels, kernel_rows, taps = w.shape
    (height, width), (above, left) = size, padding
    gx = np.empty((g.shape[0], channels, *size), g.dtype)
    g = g[:, :, : height + above]  # rows further down lie in the padding alone
    weight = w[:, :, ::-1].transpose(1, 3, 2, 0).reshape(channels * taps, kernel_rows * outputs)

    def work(_, images):
        part = g[images]
        n, _, _, columns = part.shape
        rows = _images_last(part, (height + above + kernel_rows - 1, outputs, columns, n), (kernel_rows - 1, 0))
        row, _, _, item = rows.strides
        shape = (height, kernel_rows * outputs, columns * n)
        matrices = np.ndarray(shape, g.dtype, rows, above * row, (row, shape[2] * item, item))
        product = scratch("small products", (height, channels * taps, shape[2]), g.dtype)
        np.matmul(weight, matrices, out=product)
        product = product.reshape(height, channels, taps, columns, n)
        padded = scratch("small columns", (height, channels, width + 2 * left, n), g.dtype)
        padded[...] = 0
        for tap in range(taps):
            padded[:, :, tap : tap + columns] += product[:, :, tap]
        gx[images] = padded[:, :, left : left + width].transpose(3, 1, 0, 2)

    _each(_pieces(len(g), _largest(w.shape, (1, 1), g.shape[2:])), work)
    return gx


def input_small_strided(g, w, size, stride, padding):
    """For larger strides: rows of outputs do not overlap in memory, so products are added up along both dimensions."""
    outputs, channels, *kernel = w.shape
    rows, columns = g.shape[2:]
    taps = kernel[0] * kernel[1]
    gx = np.empty((g.shape[0], channels, *size), g.dtype)
    weight = w.transpose(2, 3, 1, 0).reshape(taps * channels, outputs)
    (height, width), (above, left) = size, padding

    def work(_, images):
        part = g[images]
        n = len(part)
        last = scratch("small gradients", (outputs, rows, columns, n), g.dtype)
        last[...] = part.transpose(1, 2, 3, 0)
        product = scratch("small products", (taps * channels, rows * columns * n), g.dtype)
        np.matmul(weight, last.reshape(outputs, -1), out=product)
        product = product.reshape(taps, channels, rows, columns, n)
        padded = scratch("small columns", (channels, height + 2 * above, width + 2 * left, n), g.dtype)
        padded[...] = 0
        for tap in range(taps):
            row, column = divmod(tap, kernel[1])
            along_rows = slice(row, row + (rows - 1) * stride[0] + 1, stride[0])
            along_columns = slice(column, column + (columns - 1) * stride[1] + 1, stride[1])
            padded[:, along_rows, along_columns] += product[tap]
        gx[images] = padded[:, above : above + height, left : left + width].transpose(3, 0, 1, 2)

    _each(_pieces(len(g), taps * channels * rows * columns), work)
    return gx
