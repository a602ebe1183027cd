"""Pooling with windows placed to give a wanted size: adaptive mean and maximum, fractional maximum."""

import math

from minigrad.backend import REAL_CODES, np, xp
from minigrad.kernels import pool as kernels
from minigrad.kernels.resample import adaptive_windows, mean_taps
from minigrad.op import Op
from minigrad.ops.define import require_tensor
from minigrad.ops.pool import average_pool, plane_scatter, sliding_max
from minigrad.ops.random import rand
from minigrad.ops.resample import resample
from minigrad.ops.sizes import batched, spatial_ints, unbatched
from minigrad.precision import autocasting
from minigrad.registry import function

# Maxima over windows of any place and length, with their flat positions in the plane.
table_max = Op(
    lambda x, *, tables: kernels.table_max(x, tables),
    joint=lambda g, x_shape, out, tables: (plane_scatter(g[0], out[1], size=x_shape[len(x_shape) - len(tables) :]),),
    name="table_max",
)

# ---------------------------------------------------------------------- adaptive pooling


def _adaptive_size(name, input, spatial, output_size, *, none_allowed=True):
    """Output size, None standing for the input's; RuntimeError where the input is empty or has another rank."""
    require_tensor(name, input)
    shape = input.array.shape
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * spatial
    sizes = shape[len(shape) - spatial :]
    if isinstance(output_size, (tuple, list)) and len(given) >= len(shape):
        raise ValueError(f"Input dimension should be at least {len(given) + 1}")
    if len(given) != spatial:
        raise RuntimeError(f"{name}: internal error: output_size.size() must be {spatial}, but got {len(given)} sizes")
    if len(shape) not in (spatial + 1, spatial + 2):
        raise RuntimeError(f"{name}: Expected {spatial + 1}D or {spatial + 2}D tensor, but got {list(shape)}")
    if any(length == 0 for length in shape[1:]):
        raise RuntimeError(
            f"{name}: Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(shape)}"
        )
    given = tuple(length if wanted is None else wanted for wanted, length in zip(given, sizes, strict=True))
    for wanted in given:
        if isinstance(wanted, bool) or not hasattr(wanted, "__index__"):
            raise TypeError(f"{name}(): argument 'output_size' must be tuple of ints, not {type(wanted).__name__}")
    out = tuple(wanted.__index__() for wanted in given)
    if any(wanted < 0 for wanted in out):
        raise RuntimeError(f"{name}: elements of output_size must be greater than or equal to 0, but got {list(out)}")
    return out


def _even(sizes, out):
    """Kernel of the ordinary pooling that an adaptive one is where all its windows are alike, or None."""
    if any(wanted == 0 or length % wanted for length, wanted in zip(sizes, out, strict=True)):
        return None
    return tuple(length // wanted for length, wanted in zip(sizes, out, strict=True))


def adaptive_average(input, out):
    """Means over windows that divide the last len(out) dimensions into ``out`` parts."""
    sizes = input.array.shape[input.array.ndim - len(out) :]
    kernel = _even(sizes, out)
    if kernel is not None:
        return average_pool(
            input, kernel=kernel, stride=kernel, padding=(0,) * len(out), count=out, divisor=math.prod(kernel)
        )
    return resample(input, maps=tuple(mean_taps(length, wanted) for length, wanted in zip(sizes, out, strict=True)))


def _adaptive_avg_pool(name, spatial, input, output_size):
    out = _adaptive_size(name, input, spatial, output_size)
    if input.array.dtype.char not in REAL_CODES:
        raise NotImplementedError(f"{name}: not implemented for {input.dtype}: convert to a floating point dtype")
    return adaptive_average(input, out)


@function()
def adaptive_avg_pool1d(input, output_size):
    """Return output_size means over windows of (N, C, L) or (C, L); see `adaptive_avg_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool1d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.adaptive_avg_pool1d(mg.tensor([[1.0, 2.0, 3.0]]), 2)
    tensor([[1.5000, 2.5000]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """Return the means over output_size windows: window i covers ⌊i H / OH⌋ … ⌈(i + 1) H / OH⌉ - 1.

    Arguments: input (N, C, H, W) or (C, H, W); output_size (int, or a pair in which None keeps the input's).
    RuntimeError for empty inputs or another rank.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.adaptive_avg_pool2d(mg.ones(1, 3, 7, 5), (1, None)).shape
    minigrad.Size([1, 3, 1, 5])
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


@autocasting
def adaptive_avg_pool3d(input, output_size):
    """Return the means over output_size windows of (N, C, D, H, W) or (C, D, H, W); see `adaptive_avg_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool3d.html
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


def _adaptive_max_pool(name, spatial, input, output_size, return_indices):
    out = _adaptive_size(name, input, spatial, output_size)
    array = input.array
    if array.dtype.char not in REAL_CODES:
        raise NotImplementedError(f"{name}: not implemented for {input.dtype}: convert to a floating point dtype")
    sizes = array.shape[array.ndim - spatial :]
    kernel = _even(sizes, out)
    if kernel is not None:
        return sliding_max(name, spatial, input, kernel, kernel, 0, 1, False, return_indices)
    tables = tuple(adaptive_windows(length, wanted)[0] for length, wanted in zip(sizes, out, strict=True))
    values, index = table_max(input, tables=tables)
    return (values, index) if return_indices else values


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """Return the maxima of output_size windows of (N, C, L) or (C, L); see `adaptive_max_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool1d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.adaptive_max_pool1d(mg.tensor([[1.0, 2.0, 0.0]]), 2)
    tensor([[2., 2.]])
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """Return the maxima of output_size windows, placed as those of `adaptive_avg_pool2d`.

    Arguments: input (N, C, H, W) or (C, H, W), output_size (int or pair, None keeps the input's), return_indices (also
    return the maxima's flat positions in their plane). RuntimeError for empty inputs or another rank.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool2d.html
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


@autocasting
def adaptive_max_pool3d(input, output_size, return_indices=False):
    """Return the maxima of output_size windows of (N, C, D, H, W) or (C, D, H, W); see `adaptive_max_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool3d.html
    """
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def _with_indices(pool, name):
    """Return the variant of an adaptive maximum that also returns where the maxima are."""

    def with_indices(input, output_size, return_indices=False):
        return pool(input, output_size, True)

    with_indices.__name__ = with_indices.__qualname__ = name
    with_indices.__doc__ = f"Return (values, indices) of `{pool.__name__}`, whatever return_indices says."
    return with_indices


adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d, "adaptive_max_pool1d_with_indices")
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d, "adaptive_max_pool2d_with_indices")
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d, "adaptive_max_pool3d_with_indices")


@function(name="adaptive_max_pool1d")
def _torch_adaptive_max_pool1d(input, output_size):
    """Return `minigrad.nn.functional.adaptive_max_pool1d` with the indices, as PyTorch's top namespace does.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool1d.html

    >>> import minigrad as mg
    >>> mg.adaptive_max_pool1d(mg.tensor([[1.0, 3.0, 2.0, 4.0]]), 2)
    (tensor([[3., 4.]]), tensor([[1, 3]]))
    """
    return adaptive_max_pool1d(input, output_size, return_indices=True)


# ---------------------------------------------------------------------- fractional max pooling


def _fractional_starts(samples, size, out, kernel):
    """First positions (planes…, out) of windows of one dimension for random numbers in [0, 1) (Graham 2014)."""
    module = xp(samples)
    last = module.full((*samples.shape, 1), size - kernel, np.int64)
    if out == 1:
        return last
    alpha = samples.dtype.type((size - kernel) / (out - 1))
    steps = module.arange(out - 1).astype(samples.dtype)
    first = ((steps + samples[..., None]) * alpha).astype(np.int64) - (samples[..., None] * alpha).astype(np.int64)
    return module.concatenate([first, last], axis=-1)


def _fractional_max_pool(name, spatial, input, kernel_size, output_size, output_ratio, return_indices, samples, order):
    require_tensor(name, input)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    kernel = spatial_ints(kernel_size, spatial, name, "kernel_size")
    x, added = batched(input, spatial)
    shape = x.array.shape
    if len(shape) != spatial + 2 or 0 in shape[1:]:
        raise RuntimeError(
            f"{name}: Expected {spatial + 1}D or {spatial + 2}D tensor with non-zero dimensions, but got "
            f"{list(input.shape)}"
        )
    sizes = shape[2:]
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * spatial
        if any(not 0 < ratio < 1 for ratio in ratios):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")
        output_size = tuple(int(length * ratio) for length, ratio in zip(sizes, ratios, strict=True))
    out = spatial_ints(output_size, spatial, name, "output_size")
    for length, k, wanted in zip(sizes, kernel, out, strict=True):
        if wanted < 1 or k < 1 or wanted + k - 1 > length:
            raise RuntimeError(
                f"{name}: pool size {k} too large relative to input size {length} and output size {wanted}"
            )
    if samples is None:
        samples = rand(shape[0], shape[1], spatial, dtype=x.dtype, device=x.device)
    require_tensor(name, samples, "_random_samples", 6)
    if samples.ndim != 3 or samples.shape[0] < shape[0] or tuple(samples.shape[1:]) != (shape[1], spatial):
        raise RuntimeError(
            f"{name}: Expect _random_samples of shape {[shape[0], shape[1], spatial]}, got {list(samples.shape)}"
        )
    numbers = samples.array[: shape[0]]
    tables = []
    for axis, (length, k, wanted) in enumerate(zip(sizes, kernel, out, strict=True)):
        starts = _fractional_starts(numbers[..., order[axis]], length, wanted, k)  # (N, C, out)
        tables.append(starts + xp(starts).arange(k).reshape(-1, 1, 1, 1))  # (kernel, N, C, out)
    values, index = table_max(x, tables=tuple(tables))
    values = unbatched(values, added)
    return (values, unbatched(index, added)) if return_indices else values


@autocasting
def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Return the maxima of windows whose distances are random (Graham 2014).

    Arguments: input (N, C, H, W) or (C, H, W), kernel_size, output_size or output_ratio (in 0 … 1), return_indices,
    _random_samples ((N, C, 2), in [0, 1)). ValueError for ratios, RuntimeError for sizes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.fractional_max_pool2d.html

    >>> import minigrad as mg
    >>> mg.nn.functional.fractional_max_pool2d(mg.ones(1, 1, 5, 5), 2, output_ratio=0.6).shape
    minigrad.Size([1, 1, 3, 3])
    """
    return _fractional_max_pool(
        "fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples,
        (1, 0),
    )  # fmt: skip


@autocasting
def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Return the maxima of windows of (N, C, D, H, W) whose distances are random; see `fractional_max_pool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html
    """
    return _fractional_max_pool(
        "fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples,
        (0, 1, 2),
    )  # fmt: skip


def _fractional_with_indices(pool, name):
    """Return the variant of a fractional maximum that also returns where the maxima are."""

    def with_indices(
        input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
    ):
        return pool(input, kernel_size, output_size, output_ratio, True, _random_samples)

    with_indices.__name__ = with_indices.__qualname__ = name
    with_indices.__doc__ = f"Return (values, indices) of `{pool.__name__}`, whatever return_indices says."
    return with_indices


fractional_max_pool2d_with_indices = _fractional_with_indices(
    fractional_max_pool2d, "fractional_max_pool2d_with_indices"
)
fractional_max_pool3d_with_indices = _fractional_with_indices(
    fractional_max_pool3d, "fractional_max_pool3d_with_indices"
)
