"""Counting and finding: unique, bincount, histc, histogram, searchsorted, bucketize, isin."""

from minigrad.backend import REAL_CODES, np, xp
from minigrad.inplace import write_out
from minigrad.kernels import order as kernels
from minigrad.ops.arguments import as_number
from minigrad.ops.define import require_operand, require_tensor
from minigrad.ops.results import named_result
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap

Histogram = named_result("histogram", ("hist", "bin_edges"))


def _together(values, wanted):
    """Return the wanted ones of (values, inverse, counts): alone, or as a tuple."""
    results = [wrap(values[0])] + [wrap(value) for value, want in zip(values[1:], wanted, strict=True) if want]
    return results[0] if len(results) == 1 else tuple(results)


def _sortable(x):
    """Return x, or its values as float32: CuPy does not sort bfloat16."""
    return x.astype(np.float32) if type(x) is not np.ndarray and x.dtype.char == "E" else x


def _runs(lines, order, shape):
    """Return (places of the runs' starts, inverse, counts) of ordered lines; order says where each came from."""
    module = xp(lines)
    starts = kernels.run_starts(lines) if len(lines) else module.zeros(0, bool)
    places = module.flatnonzero(starts)
    number = module.cumsum(starts) - 1
    inverse = module.empty(len(lines), np.int64)
    inverse[order] = number
    counts = module.diff(module.concatenate([places, module.asarray([len(lines)])]))
    return places, inverse.reshape(shape), counts


@function()
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """Return the different elements, or different slices along dim, in order.

    Arguments: input (Tensor), sorted (accepted for compatibility: the result always is), return_inverse (also the
    place of each element in the result), return_counts (also how often each occurs), dim (None: elements).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.unique.html

    >>> import minigrad as mg
    >>> mg.unique(mg.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    require_tensor("unique", input)
    x, wanted = input.array, (return_inverse, return_counts)
    module = xp(x)
    if dim is None:
        flat = x.reshape(-1)
        order = module.argsort(_sortable(flat), kind="stable")
        places, inverse, counts = _runs(flat[order], order, x.shape)
        return _together((flat[order][places], inverse, counts), wanted)
    dim = normalize_dim(dim, x.ndim)
    if not x.size and x.shape[dim]:
        raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
    moved = module.moveaxis(x, dim, 0)
    rows = moved.reshape(len(moved), -1) if x.size else moved.reshape(0, 1)
    order = module.lexsort(_sortable(rows.T[::-1]))
    places, inverse, counts = _runs(rows[order], order, (len(rows),))
    return _together((module.moveaxis(moved[order[places]], 0, dim), inverse, counts), wanted)


@function()
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """Return the elements, or slices along dim, without those equal to the one before; arguments as for unique.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unique_consecutive.html

    >>> import minigrad as mg
    >>> mg.unique_consecutive(mg.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    require_tensor("unique_consecutive", input)
    x, wanted = input.array, (return_inverse, return_counts)
    module = xp(x)
    if dim is None:
        flat = x.reshape(-1)
        places, inverse, counts = _runs(flat, module.arange(len(flat)), x.shape)
        return _together((flat[places], inverse, counts), wanted)
    dim = normalize_dim(dim, x.ndim)
    moved = module.moveaxis(x, dim, 0)
    places, inverse, counts = _runs(moved, module.arange(len(moved)), (len(moved),))
    return _together((module.moveaxis(moved[places], 0, dim), inverse, counts), wanted)


for _name, _of in (("unique", unique), ("unique_consecutive", unique_consecutive)):
    setattr(Tensor, _name, _of)


@function(method=True)
def bincount(input, weights=None, minlength=0):
    """Return how often each of 0, 1, …, max(input) occurs, or the sum of the weights of its occurrences.

    Arguments: input (1-d Tensor of non-negative integers), weights (Tensor of its shape), minlength (of the result).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.bincount.html

    >>> import minigrad as mg
    >>> mg.bincount(mg.tensor([1, 2, 2]))
    tensor([0, 1, 2])
    """
    require_tensor("bincount", input)
    x = input.array
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if x.dtype.kind not in "iu":
        raise NotImplementedError(f'"bincount_cpu" not implemented for {input.dtype}')
    if x.ndim != 1 and x.size or (x.size and int(x.min()) < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return wrap(xp(x).bincount(x.reshape(-1), minlength=minlength))
    if weights.array.shape != x.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    dtype = np.dtype(np.float32) if weights.array.dtype.char == "f" else np.dtype(np.float64)
    return wrap(xp(x).bincount(x.reshape(-1), weights.array, minlength).astype(dtype))


def _limits(x, low, high, margin):
    """Return the limits of a histogram: the data's where both are given as equal, widened where they are equal."""
    low, high = as_number(low), as_number(high)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    return (low - margin, high + margin) if low == high else (low, high)


def _bin_numbers(x, bins, low, high):
    """Return the bin of each element between the limits; the last bin includes its right edge."""
    module = xp(x)
    inside = x[(x >= low) & (x <= high)]
    wide = inside.astype(np.float32) if x.dtype.char == "e" else inside
    number = ((wide - low) / (high - low) * bins).astype(np.int64)
    return module.minimum(number, bins - 1), inside


@function(method=True, out=True)
def histc(input, bins=100, min=0, max=0):
    """Return how many elements fall into each of equal bins between min and max (both 0: the data's limits).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.histc.html

    >>> import minigrad as mg
    >>> mg.histc(mg.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    require_tensor("histc", input)
    x = input.array
    if x.dtype.char not in REAL_CODES:
        raise NotImplementedError(f'"histogram_cpu" not implemented for {input.dtype}')
    if bins < 1:
        raise RuntimeError("bins must be > 0")
    if max < min:
        raise RuntimeError("max must be larger than min")
    numbers, _ = _bin_numbers(x.reshape(-1), bins, *_limits(x, min, max, 1))
    return wrap(xp(x).bincount(numbers, minlength=bins).astype(x.dtype))


@function(method=True)
def histogram(input, bins=100, *, range=None, weight=None, density=False, out=None):
    """Return (hist, bin_edges): counts, or weights, or densities, of the elements in each bin.

    Arguments: input (float Tensor), bins (int: equal bins over range or the data's limits; or Tensor of edges), range
    ((low, high)), weight (Tensor of input's shape), density (divide by the total and the bin's width).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.histogram.html

    >>> import minigrad as mg
    >>> mg.histogram(mg.tensor([1.0, 2.0, 1.0]), bins=2).hist
    tensor([2., 1.])
    """
    require_tensor("histogram", input)
    x = input.array.reshape(-1)
    module = xp(x)
    if x.dtype.char not in "fd":
        raise NotImplementedError(f'"histogram_cpu" not implemented for {input.dtype}')
    if weight is not None and (weight.array.shape != input.array.shape or weight.array.dtype != x.dtype):
        raise RuntimeError("torch.histogram: if weight tensor is provided it should have the shape and dtype of input")
    if isinstance(bins, Tensor):
        edges = bins.array.copy()
        if edges.ndim != 1 or edges.dtype != x.dtype:
            raise RuntimeError("torch.histogram: bins tensor should have one dimension and the dtype of input")
    else:
        if bins < 1:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins}")
        if range is not None and range[0] > range[1]:
            raise RuntimeError(f"torch.histogram(): min should not exceed max, but got {range[0]} and {range[1]}")
        low, high = _limits(x, *((0.0, 0.0) if range is None else range), 0.5) if x.size or range else (0.0, 1.0)
        edges = _equal_edges(x, bins, low, high)
    hist = _counts(x, edges, None if weight is None else weight.array.reshape(-1))
    if density:
        hist = hist / (hist.sum() * module.diff(edges))
    result = Histogram(wrap(hist.astype(x.dtype)), wrap(edges))
    return result if out is None else write_out(out, result, "histogram")


def _equal_edges(x, bins, low, high):
    """Return the edges of equal bins, counted from both ends in the dtype of x, where PyTorch's rounding puts them."""
    module = xp(x)
    low, high = (module.asarray(limit, x.dtype) for limit in (low, high))
    step = (high - low) / module.asarray(bins, x.dtype)
    numbers = module.arange(bins + 1, dtype=x.dtype)
    half = (bins + 1) // 2
    return module.concatenate([low + step * numbers[:half], high - step * (bins - numbers[half:])])


def _counts(x, edges, weight):
    """Return the counts, or sums of weights, between edges; the last bin includes its right edge."""
    module, bins = xp(x), len(edges) - 1
    inside = (x >= edges[0]) & (x <= edges[-1])
    number = module.minimum(module.searchsorted(edges, x[inside], side="right") - 1, bins - 1)
    return module.bincount(number, None if weight is None else weight[inside], bins).astype(x.dtype)


def _search_arguments(name, boundaries, right, side):
    """Return whether to search from the right, after PyTorch's checks of right and side."""
    require_tensor(name, boundaries)
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
        if right and side == "left":
            raise RuntimeError("torch.searchsorted(): side and right can't be set to opposites")
        return side == "right"
    return bool(right)


@function(out=True)
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Return where values would have to be inserted to keep sequences sorted, before equal elements or after (right).

    Arguments: sorted_sequence (..., n), input (number, or Tensor of the same leading dimensions, any shape if the
    sequence is 1-d), out_int32 (result in int32), right or side ("left", "right"), sorter (order of the sequence).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.searchsorted.html

    >>> import minigrad as mg
    >>> mg.searchsorted(mg.tensor([1, 3, 5]), mg.tensor([3, 4]))
    tensor([1, 2])
    """
    right = _search_arguments("searchsorted", sorted_sequence, right, side)
    require_operand("searchsorted", input, "input", 2)
    boundaries = sorted_sequence.array
    values = input.array if isinstance(input, Tensor) else xp(boundaries).asarray(input)
    if boundaries.ndim == 0:
        raise RuntimeError("torch.searchsorted(): boundaries tensor should have positive dimension")
    if boundaries.ndim > 1 and boundaries.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            f"tensor and input value tensor must match, but we got {list(boundaries.shape)} and {list(values.shape)}"
        )
    if isinstance(input, Tensor) and boundaries.dtype != values.dtype:
        raise RuntimeError(
            "torch.searchsorted(): boundary and input value tensors should have same dtype, but got "
            f"{sorted_sequence.dtype} and {input.dtype}"
        )
    if sorter is not None:
        if sorter.array.shape != boundaries.shape:
            raise RuntimeError("torch.searchsorted(): boundary and sorter must have the same size")
        if sorter.array.dtype != np.int64:
            raise RuntimeError(f"torch.searchsorted(): sorter must be a tensor of long dtype but got {sorter.dtype}")
        if sorter.array.size and not 0 <= int(sorter.array.min()) <= int(sorter.array.max()) < boundaries.shape[-1]:
            raise RuntimeError("torch.searchsorted(): sorter index out of range")
        boundaries = xp(boundaries).take_along_axis(boundaries, sorter.array, -1)
    found = xp(boundaries).asarray(kernels.searchsorted(boundaries, values, right))
    return wrap(found.astype(np.int32 if out_int32 else np.int64, copy=False))


Tensor.searchsorted = searchsorted


@function(out=True)
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """Return the bucket of each element between 1-d sorted boundaries: bucket i ends at boundaries[i], inclusive.

    Arguments: input (Tensor or number), boundaries (1-d Tensor), out_int32, right (buckets exclude their right end).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.bucketize.html

    >>> import minigrad as mg
    >>> mg.bucketize(mg.tensor([1.0, 2.5]), mg.tensor([1.0, 2.0, 3.0]))
    tensor([0, 2])
    """
    require_operand("bucketize", input, "input", 1)
    require_tensor("bucketize", boundaries, "boundaries", 2)
    if boundaries.array.ndim != 1:
        raise RuntimeError(f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.array.ndim})")
    values = input.array if isinstance(input, Tensor) else xp(boundaries.array).asarray(input)
    found = xp(values).asarray(kernels.searchsorted(boundaries.array, values, bool(right)))
    return wrap(found.astype(np.int32 if out_int32 else np.int64, copy=False))


@function(out=True)
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Return whether each element is among the test elements (or is not: invert).

    Arguments: elements, test_elements (Tensors; one may be a number), assume_unique (both hold no element twice, which
    is faster), invert.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.isin.html

    >>> import minigrad as mg
    >>> mg.isin(mg.tensor([1, 2, 3]), mg.tensor([2, 3]))
    tensor([False,  True,  True])
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin() needs a Tensor, but got two numbers")
    a, b = (value.array if isinstance(value, Tensor) else value for value in (elements, test_elements))
    module = xp(a) if isinstance(elements, Tensor) else xp(b)
    a, b = _sortable(module.asarray(a)), _sortable(module.asarray(b))
    return wrap(module.isin(a, b, assume_unique=assume_unique, invert=invert))
