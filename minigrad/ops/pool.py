"""Pooling over sliding windows in 1, 2, 3 dimensions: max, average, power-average; unpooling."""

import math

from minigrad.backend import REAL_CODES, np
from minigrad.kernels import pool as kernels
from minigrad.op import Op
from minigrad.ops.define import require_tensor
from minigrad.ops.sizes import spatial_ints
from minigrad.precision import autocasting
from minigrad.registry import function
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE

# ---------------------------------------------------------------------- ops: maxima

# Maxima and, as small integers, where in its window each lies; the gradient goes there and nowhere else.
max_pool = Op(
    lambda x, *, kernel, stride, padding, dilation, count: kernels.max_pool(
        x, kernel, stride, padding, dilation, count
    ),
    joint=lambda g, x_shape, out, kernel, stride, padding, dilation: (
        max_pool_scatter(
            g[0], out[1], size=x_shape[len(x_shape) - len(kernel):], kernel=kernel, stride=stride, padding=padding,
            dilation=dilation,
        ),
    ),
    name="max_pool",
)  # fmt: skip
max_pool_scatter = Op(
    lambda g, codes, *, size, kernel, stride, padding, dilation: kernels.max_pool_scatter(
        g, codes, size, kernel, stride, padding, dilation
    ),
    [
        lambda h, codes, kernel, stride, padding, dilation: max_pool_gather(
            h, codes, kernel=kernel, stride=stride, padding=padding, dilation=dilation
        ),
        None,
    ],
    name="max_pool_scatter",
)
max_pool_gather = Op(
    lambda h, codes, *, kernel, stride, padding, dilation: kernels.max_pool_gather(
        h, codes, kernel, stride, padding, dilation
    ),
    [
        lambda g, h_shape, codes, kernel, stride, padding, dilation: max_pool_scatter(
            g, codes, size=h_shape[len(h_shape) - len(kernel):], kernel=kernel, stride=stride, padding=padding,
            dilation=dilation,
        ),
        None,
    ],
    name="max_pool_gather",
)  # fmt: skip
max_pool_values = Op(
    lambda x, *, kernel, stride, padding, dilation, count: kernels.max_pool_values(
        x, kernel, stride, padding, dilation, count
    ),
    [None],
    name="max_pool_values",
)

plane_gather = Op(
    lambda x, index, *, spatial: kernels.plane_gather(x, index, spatial),
    [lambda g, x_shape, index, spatial: plane_scatter(g, index, size=x_shape[len(x_shape) - spatial :]), None],
    name="plane_gather",
)
plane_scatter = Op(
    lambda g, index, *, size: kernels.plane_scatter(g, index, size),
    [lambda h, index, size: plane_gather(h, index, spatial=len(size)), None],
    name="plane_scatter",
)
plane_put = Op(
    lambda x, index, *, size: kernels.plane_put(x, index, size),
    [lambda g, index, size: plane_gather(g, index, spatial=len(size)), None],
    name="max_unpool",
)

# ---------------------------------------------------------------------- ops: sums

average_pool = Op(
    lambda x, *, kernel, stride, padding, count, divisor: kernels.window_mean(
        x, kernel, stride, padding, count, divisor
    ),
    [
        lambda g, x_shape, kernel, stride, padding, divisor: average_spread(
            g,
            size=x_shape[len(x_shape) - len(kernel) :],
            kernel=kernel,
            stride=stride,
            padding=padding,
            divisor=divisor,
        )
    ],
    name="average_pool",
)
average_spread = Op(
    lambda g, *, size, kernel, stride, padding, divisor: kernels.window_spread(
        g, size, kernel, stride, padding, divisor
    ),
    [
        lambda h, g_shape, kernel, stride, padding, divisor: average_pool(
            h, kernel=kernel, stride=stride, padding=padding, count=g_shape[len(g_shape) - len(kernel):],
            divisor=divisor,
        )
    ],
    name="average_spread",
)  # fmt: skip
sum_along = Op(
    lambda x, *, axis, before, after: kernels.sum_along(x, axis, before, after),
    [lambda g, axis, before, after: sum_along(g, axis=axis, before=after, after=before)],
    name="sum_along",
)


# ---------------------------------------------------------------------- arguments and checks


def _check_rank(name, input, spatial, *, empty_batch=True):
    """RuntimeError unless input is (C, *size) or (N, C, *size) with only N perhaps 0."""
    require_tensor(name, input)
    shape = input.array.shape
    ndim = len(shape)
    if ndim not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"{name}: Expected {spatial + 1}D or {spatial + 2}D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got: {list(shape)}"
        )
    if 0 in shape[1:] or (0 in shape and ndim == spatial + 1) or (0 in shape and not empty_batch):
        raise RuntimeError(
            f"{name}: Expected {spatial + 1}D or {spatial + 2}D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got: {list(shape)}"
        )


def _window(name, spatial, kernel_size, stride, padding, dilation=1):
    """(kernel, stride, padding, dilation) as tuples, checked."""
    kernel = spatial_ints(kernel_size, spatial, name, "kernel_size")
    stride = spatial_ints(stride, spatial, name, "stride", default=kernel)
    padding = spatial_ints(padding, spatial, name, "padding")
    dilation = spatial_ints(dilation, spatial, name, "dilation")
    for what, numbers in (("kernel size", kernel), ("stride", stride), ("dilation", dilation)):
        if any(number <= 0 for number in numbers):
            raise RuntimeError(f"{name}: {what} should be greater than zero, but got {list(numbers)}")
    if any(p < 0 for p in padding):
        raise RuntimeError(f"{name}: pad must be non-negative, but got pad: {min(padding)}")
    if any(p > (d * (k - 1) + 1) // 2 for p, k, d in zip(padding, kernel, dilation, strict=True)):
        raise RuntimeError(
            f"{name}: pad should be at most half of effective kernel size, but got pad={list(padding)}, "
            f"kernel_size={list(kernel)} and dilation={list(dilation)}"
        )
    return kernel, stride, padding, dilation


def _count(shape, kernel, stride, padding, dilation, ceil_mode):
    """Output size; RuntimeError where it is empty."""
    spatial = len(kernel)
    count = kernels.pooled_size(shape[len(shape) - spatial :], kernel, stride, padding, dilation, bool(ceil_mode))
    if any(n < 1 for n in count):

        def given(sizes):
            return "x".join(str(size) for size in sizes)

        channels = shape[len(shape) - spatial - 1]
        raise RuntimeError(
            f"Given input size: ({given((channels, *shape[len(shape) - spatial :]))}). Calculated output size: "
            f"({given((channels, *count))}). Output size is too small"
        )
    return count


def _is_recorded(input):
    return MODE.grad and type(input) is not Tensor and input.requires_grad


# ---------------------------------------------------------------------- max pooling


def sliding_max(name, spatial, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    kernel, stride, padding, dilation = _window(name, spatial, kernel_size, stride, padding, dilation)
    _check_rank(name, input, spatial)
    array = input.array
    if array.dtype.kind == "b":
        raise NotImplementedError(f"{name}: not implemented for {input.dtype}: the input has to be a number")
    count = _count(array.shape, kernel, stride, padding, dilation, ceil_mode)
    given = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    if not return_indices and not _is_recorded(input):
        return max_pool_values(input, count=count, **given)
    values, codes = max_pool(input, count=count, **given)
    if not return_indices:
        return values
    size = array.shape[array.ndim - spatial :]
    return values, wrap(kernels.flat_index(codes.array, size, **given))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Return the maxima of windows of length kernel_size; arguments, result and errors as those of `max_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.max_pool1d(mg.tensor([[1.0, 3.0, 2.0, 4.0, 0.0]]), 2)
    tensor([[3., 4.]])
    """
    return sliding_max("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Return the maxima of sliding windows; NaN wins, and the first of equal values takes the gradient.

    Arguments: input (N, C, H, W) or (C, H, W); kernel_size, stride (default kernel_size), padding (with -∞, at most
    half of the kernel), dilation (ints or pairs); ceil_mode (a last window may reach over the end); return_indices
    (also return the maxima's flat positions in their plane). RuntimeError for sizes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.max_pool2d(mg.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    tensor([[ 5.,  7.],
            [13., 15.]])
    """
    return sliding_max("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@autocasting
def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Return the maxima of windows of (N, C, D, H, W) or (C, D, H, W); arguments and errors as those of `max_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool3d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.max_pool3d(mg.ones(2, 4, 4, 4), 2).shape
    minigrad.Size([2, 2, 2, 2])
    """
    return sliding_max("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _with_indices(pool, name):
    """The variant of a pooling function that also returns where the maxima are."""

    def with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        return pool(input, kernel_size, stride, padding, dilation, ceil_mode, True)

    with_indices.__name__ = with_indices.__qualname__ = name
    with_indices.__doc__ = f"Return (values, indices) of `{pool.__name__}`, whatever return_indices says."
    return with_indices


max_pool1d_with_indices = _with_indices(max_pool1d, "max_pool1d_with_indices")
max_pool2d_with_indices = _with_indices(max_pool2d, "max_pool2d_with_indices")
max_pool3d_with_indices = _with_indices(max_pool3d, "max_pool3d_with_indices")


def _torch_max_pool(pool):
    """The function as it is in PyTorch's top namespace: values only."""

    def values(input, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False):
        return pool(input, kernel_size, stride, padding, dilation, ceil_mode)

    values.__name__ = values.__qualname__ = pool.__name__
    values.__doc__ = pool.__doc__
    return function()(values)


for _pool in (max_pool1d, max_pool2d, max_pool3d):
    _torch_max_pool(_pool)


@function(name="max_pool1d_with_indices")
def _torch_max_pool1d_with_indices(input, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False):
    """Return (values, indices) of `max_pool1d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html

    >>> import minigrad as mg
    >>> mg.max_pool1d_with_indices(mg.tensor([[1.0, 3.0, 2.0, 4.0]]), 2)
    (tensor([[3., 4.]]), tensor([[1, 3]]))
    """
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


# ---------------------------------------------------------------------- unpooling


def _unpool_size(shape, kernel, stride, padding, output_size):
    """Size to unpool to: the given one, checked, or the smallest that pools to the input's."""
    spatial = len(kernel)
    default = tuple(
        (length - 1) * s + k - 2 * p
        for length, s, k, p in zip(shape[len(shape) - spatial :], stride, kernel, padding, strict=True)
    )
    if output_size is None:
        return default
    size = tuple(output_size)
    if len(size) == spatial + 2:
        size = size[2:]
    if len(size) != spatial:
        raise ValueError(
            f"output_size should be a sequence containing {spatial} or {spatial + 2} elements, but it has a length of "
            f"'{len(size)}'"
        )
    for dim, (length, middle, s) in enumerate(zip(size, default, stride, strict=True)):
        if not middle - s < length < middle + s:
            raise ValueError(
                f'invalid output_size "{list(size)}" (dim {dim} must be between {middle - s} and {middle + s})'
            )
    return size


def _max_unpool(name, spatial, input, indices, kernel_size, stride, padding, output_size):
    require_tensor(name, input)
    require_tensor(name, indices, "indices", 2)
    kernel = spatial_ints(kernel_size, spatial, name, "kernel_size")
    stride = spatial_ints(stride, spatial, name, "stride", default=kernel)
    padding = spatial_ints(padding, spatial, name, "padding")
    if indices.array.dtype != np.int64:
        raise RuntimeError(f"{name}: elements in indices should be type int64 but got: {indices.dtype}")
    if input.array.ndim not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"{name}: Input to max_unpooling should be a {spatial + 1}d or {spatial + 2}d Tensor, but got a "
            f"tensor with "
            f"{input.array.ndim} dimensions"
        )
    if input.shape != indices.shape:
        raise RuntimeError(
            f"{name}: Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got "
            f"indices tensor with shape: {list(indices.shape)}"
        )
    if any(length == 0 for length in input.shape[1:]):
        raise RuntimeError(
            f"{name}: Expected input to have non-zero size for non-batch dimensions, got {list(input.shape)}"
        )
    if any(s <= 0 for s in stride):
        raise RuntimeError(f"{name}: strides should be greater than zero, but got stride: {list(stride)}")
    size = _unpool_size(input.array.shape, kernel, stride, padding, output_size)
    index = indices.array
    wrong = (index < 0) | (index >= math.prod(size))
    if wrong.any():
        raise RuntimeError(
            f"Found an invalid max index: {int(index[wrong].reshape(-1)[0])} (output volumes are of size "
            f"{'x'.join(str(length) for length in size)})"
        )
    return plane_put(input, index, size=size)


@autocasting
def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Return the partial inverse of `max_pool1d`; arguments and errors as those of `max_unpool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool1d.html
    """
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@autocasting
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Return the partial inverse of `max_pool2d`: every value where its maximum was, zeros elsewhere.

    Arguments: input (N, C, H, W) or (C, H, W), indices (int64, of input's shape: what `max_pool2d` returned),
    kernel_size, stride, padding of the pooling, output_size (where several sizes pool to the input's). RuntimeError for
    indices outside, ValueError for an output_size that does not pool to the input's size.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool2d.html

    >>> import minigrad as mg
    >>> values, where = mg.nn.functional.max_pool2d(mg.arange(4.0).reshape(1, 1, 2, 2), 2, return_indices=True)
    >>> mg.nn.functional.max_unpool2d(values, where, 2)[0, 0]
    tensor([[0., 0.],
            [0., 3.]])
    """
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@autocasting
def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Return the partial inverse of `max_pool3d`; arguments and errors as those of `max_unpool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool3d.html
    """
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


# ---------------------------------------------------------------------- average pooling


def _average_pool(name, spatial, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    kernel, stride, padding, one = _window(name, spatial, kernel_size, stride, padding)
    _check_rank(name, input, spatial)
    array = input.array
    if array.dtype.char not in REAL_CODES and array.dtype != np.int64:
        raise NotImplementedError(f"{name}: not implemented for {input.dtype}: convert to a floating point dtype")
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    count = _count(array.shape, kernel, stride, padding, one, ceil_mode)
    size = array.shape[array.ndim - spatial :]
    divisor = divisor_override
    if divisor is None:
        divisor = kernels.window_divisor(size, kernel, stride, padding, count, bool(count_include_pad))
    return average_pool(input, kernel=kernel, stride=stride, padding=padding, count=count, divisor=divisor)


@function()
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Return the means of windows of length kernel_size of (N, C, L) or (C, L); arguments as those of `avg_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool1d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.avg_pool1d(mg.tensor([[1.0, 3.0, 2.0, 4.0]]), 2)
    tensor([[2., 3.]])
    """
    return _average_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@function(out=True, public=False)
def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Return the means of sliding windows.

    Arguments: input (N, C, H, W) or (C, H, W); kernel_size, stride (default kernel_size), padding (with zeros, at most
    half of the kernel), ceil_mode (a last window may reach over the end), count_include_pad (padding counts in the
    mean), divisor_override (divide by this instead). RuntimeError for sizes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.avg_pool2d(mg.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    tensor([[ 2.5000,  4.5000],
            [10.5000, 12.5000]])
    """
    return _average_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@function(out=True, public=False)
def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Return the means of windows of (N, C, D, H, W) or (C, D, H, W); arguments and errors as those of `avg_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool3d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.avg_pool3d(mg.ones(2, 4, 4, 4), 2).shape
    minigrad.Size([2, 2, 2, 2])
    """
    return _average_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _lp_pool(average, input, norm_type, kernel_size, stride, ceil_mode, spatial, name):
    kernel = spatial_ints(kernel_size, spatial, name, "kernel_size")
    stride = kernel if stride is None else stride
    mean = average(input.pow(norm_type), kernel, stride, 0, ceil_mode)
    return ((mean.sign() * mean.abs()) * math.prod(kernel)).pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return (Σ x^p)^(1/p) over windows, p = norm_type; arguments as those of `avg_pool1d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool1d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.lp_pool1d(mg.tensor([[3.0, 4.0]]), 2, 2)
    tensor([[5.]])
    """
    return _lp_pool(avg_pool1d, input, norm_type, kernel_size, stride, ceil_mode, 1, "lp_pool1d")


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return (Σ x^p)^(1/p) over windows, p = norm_type; arguments as those of `avg_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool2d.html
    """
    return _lp_pool(avg_pool2d, input, norm_type, kernel_size, stride, ceil_mode, 2, "lp_pool2d")


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return (Σ x^p)^(1/p) over windows, p = norm_type; arguments as those of `avg_pool3d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool3d.html
    """
    return _lp_pool(avg_pool3d, input, norm_type, kernel_size, stride, ceil_mode, 3, "lp_pool3d")
