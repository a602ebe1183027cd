"""Sampling images at the points of a grid: affine_grid and grid_sample."""

import math
from itertools import product

from minigrad.backend import REAL_CODES, asarray_like, np, xp
from minigrad.interception import composite
from minigrad.kernels.scatter import scatter_add_flat
from minigrad.op import Op
from minigrad.ops.arguments import warn_of_call
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import keep_where, zeroed
from minigrad.ops.shape import reshape_op
from minigrad.ops.where import where_op
from minigrad.precision import autocasting
from minigrad.registry import function
from minigrad.tensor import wrap


def _read_points(x, index):
    """x (N, C, A) at positions index (N, P): (N, C, P)."""
    places = xp(x).broadcast_to(index[:, None], (*x.shape[:2], index.shape[1]))
    return xp(x).take_along_axis(x, places, axis=2)


def _add_points(g, index, *, area):
    """Adjoint of read_points: sum g (N, C, P) at positions index (N, P) into zeros (N, C, area)."""
    batch, channels = g.shape[:2]
    wide = np.float32 if g.dtype == np.float16 else g.dtype
    out = xp(g).zeros(batch * channels * area, wide)
    start = (xp(g).arange(batch * channels) * area).reshape(batch, channels, 1)
    scatter_add_flat(out, xp(g).broadcast_to(index[:, None] + start, g.shape), g.astype(wide, copy=False))
    return out.reshape(batch, channels, area).astype(g.dtype, copy=False)


read_points = Op(
    _read_points, [lambda g, x_shape, index: add_points(g, index, area=x_shape[2]), None], name="read_points"
)
add_points = Op(_add_points, [lambda h, index: read_points(h, index), None], name="add_points")


def _unnormalized(coordinate, size, align_corners):
    """Pixel position of a coordinate in -1 … 1."""
    if align_corners:
        return (coordinate + 1) * ((size - 1) / 2)
    return ((coordinate + 1) * size - 1) * 0.5


def _clipped(position, size):
    """Position moved into 0 … size - 1; no gradient where it was moved, nor at the border itself."""
    array = position.array
    inside = where_op(wrap(array > 0), position, 0.0)
    return where_op(wrap(~(array >= size - 1)), inside, float(size - 1))


def _reflected(position, size, align_corners):
    """Position reflected at the borders (their pixels' centres if align_corners, else their outer edges)."""
    low, high = (0.0, 2.0 * (size - 1)) if align_corners else (-1.0, 2.0 * size - 1)
    if low == high:
        return zeroed(position)
    start, span = low / 2, (high - low) / 2
    array = position.array - start
    distance = xp(array).abs(array)
    flips = xp(array).floor(distance / span)
    away = flips % 2 == 1
    # distance = sign · (position - start), and what is left after the flips, turned around if they are odd
    sign = xp(array).where(array < 0, -1.0, 1.0).astype(array.dtype)
    left = (position - start) * wrap(sign) - wrap((flips * span).astype(array.dtype))
    return where_op(wrap(away), span - left, left) + start


def _bounded(position, size, padding_mode, align_corners):
    if padding_mode == "border":
        return _clipped(position, size)
    if padding_mode == "reflection":
        return _clipped(_reflected(position, size, align_corners), size)
    return position


def _flat_index(corner, sizes):
    """(flat positions (N, P) int64 with outside ones moved in, mask of those inside or None) of integer positions."""
    index, inside, scale = 0, True, 1
    for place, size in zip(reversed(corner), reversed(sizes), strict=True):
        good = (place >= 0) & (place < size)
        inside = inside & good
        index = index + xp(place).where(good, place, 0).astype(np.int64) * scale
        scale *= size
    batch = index.shape[0]
    return index.reshape(batch, -1), inside.reshape(batch, 1, -1)


def _value(image, corner, sizes):
    """Values (N, C, P) of the flattened image at integer positions, zero outside."""
    index, inside = _flat_index(corner, sizes)
    values = read_points(image, index)
    return values if inside.all() else keep_where(values, inside)


def _linear(image, positions, sizes):
    """Weighted sum over the corners around each position."""
    batch = positions[0].shape[0]
    lows = [xp(p.array).floor(p.array) for p in positions]
    parts = [p - wrap(low) for p, low in zip(positions, lows, strict=True)]
    total = None
    for corner in product((0, 1), repeat=len(sizes)):
        weight = None
        for up, part in zip(corner, parts, strict=True):
            factor = part if up else 1 - part
            weight = factor if weight is None else weight * factor
        places = [low + up for low, up in zip(lows, corner, strict=True)]
        term = _value(image, places, sizes) * reshape_op(weight, shape=(batch, 1, math.prod(weight.shape[1:])))
        total = term if total is None else total + term
    return total


def _cubic_weights(part, a=-0.75):
    """Weights of the four neighbours at distances 1 + part, part, 1 - part, 2 - part (Keys 1981)."""

    def near(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d):
        return ((d - 5) * d + 8) * d * a - 4 * a

    return far(part + 1), near(part), near(1 - part), far(2 - part)


def _cubic(image, positions, sizes, padding_mode, align_corners):
    batch = positions[0].shape[0]
    lows = [xp(p.array).floor(p.array) for p in positions]
    weights = [_cubic_weights(p - wrap(low)) for p, low in zip(positions, lows, strict=True)]
    total = None
    for corner in product(range(4), repeat=2):
        places = []
        for low, step, size in zip(lows, corner, sizes, strict=True):
            bounded = _bounded(wrap(low + (step - 1)), size, padding_mode, align_corners).array
            places.append(xp(bounded).rint(bounded))
        weight = weights[0][corner[0]] * weights[1][corner[1]]
        term = _value(image, places, sizes) * reshape_op(weight, shape=(batch, 1, math.prod(weight.shape[1:])))
        total = term if total is None else total + term
    return total


def _check_grid(input, grid, mode, padding_mode):
    require_tensor("grid_sample", input)
    require_tensor("grid_sample", grid, "grid", 2)
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    x, points = list(input.shape), list(grid.shape)
    text = f"but got input with sizes {x} and grid with sizes {points}"
    if input.array.dtype != grid.array.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has {input.dtype} and grid "
            f"has {grid.dtype}"
        )
    if len(x) not in (4, 5) or len(x) != len(points):
        raise RuntimeError(f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, {text}")
    if x[0] != points[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {text}")
    if points[-1] != len(x) - 2:
        raise RuntimeError(f"grid_sampler(): expected grid to have size {len(x) - 2} in last dimension, {text}")
    if 0 in x[2:]:
        raise RuntimeError(f"grid_sampler(): expected input to have non-empty spatial dimensions, {text}")
    if mode == "bicubic" and len(x) != 4:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


@autocasting
@composite
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Return the input's values at the points of a grid, interpolated.

    Arguments: input (N, C, H, W) or (N, C, D, H, W); grid (N, …, 2 or 3): x, y(, z) of each output point, -1 and 1
    being the borders of the image; mode ("bilinear", "nearest", "bicubic"); padding_mode for points outside ("zeros",
    "border", "reflection"); align_corners (-1 and 1 are the centres of the corner pixels rather than their corners).
    Output (N, C, …). ValueError for unknown modes, RuntimeError for shapes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html

    >>> import minigrad as mg
    >>> image = mg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> mg.nn.functional.grid_sample(image, mg.zeros(1, 1, 1, 2), align_corners=True)
    tensor([[[[2.5000]]]])
    """
    _check_grid(input, grid, mode, padding_mode)
    if align_corners is None:
        warn_of_call(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
            "Please specify "
            "align_corners=True if the old behavior is desired."
        )
    if grid.array.dtype.char == "E":  # positions need more digits
        return grid_sample(input.float(), grid.float(), mode, padding_mode, align_corners).bfloat16()
    align = bool(align_corners)
    shape = input.array.shape
    sizes, points = shape[2:], grid.array.shape[1:-1]
    if 0 in shape[:2] or 0 in points:
        empty = xp(input.array).zeros((*shape[:2], *points), input.array.dtype)
        return wrap(empty) + (zeroed(input).sum() + zeroed(grid).sum())
    image = reshape_op(input, shape=(*shape[:2], math.prod(sizes)))
    spatial = len(sizes)
    positions = [_unnormalized(grid[..., spatial - 1 - i], size, align) for i, size in enumerate(sizes)]
    if mode == "bicubic":
        values = _cubic(image, positions, sizes, padding_mode, align)
    else:
        positions = [_bounded(p, size, padding_mode, align) for p, size in zip(positions, sizes, strict=True)]
        if mode == "nearest":
            values = _value(image, [xp(p.array).rint(p.array) for p in positions], sizes)
            if grid.requires_grad:  # piecewise constant: a gradient of zeros
                values = values + zeroed(grid).sum()
        else:
            values = _linear(image, positions, sizes)
    return reshape_op(values, shape=(*shape[:2], *points))


@function()
def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """Return `grid_sample` with modes as numbers: 0 bilinear, 1 nearest, 2 bicubic; 0 zeros, 1 border, 2 reflection.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html

    >>> import minigrad as mg
    >>> image, grid = mg.tensor([[[[5.0]]]]), mg.zeros(1, 1, 1, 2)
    >>> mg.grid_sampler(image, grid, 0, 0, False)
    tensor([[[[5.]]]])
    """
    return grid_sample(
        input,
        grid,
        ("bilinear", "nearest", "bicubic")[interpolation_mode],
        ("zeros", "border", "reflection")[padding_mode],
        align_corners,
    )


@function()
def grid_sampler_2d(input, grid, interpolation_mode, padding_mode, align_corners):
    """Return `grid_sampler` of an image batch (N, C, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html

    >>> import minigrad as mg
    >>> image, grid = mg.tensor([[[[5.0]]]]), mg.zeros(1, 1, 1, 2)
    >>> mg.grid_sampler_2d(image, grid, 0, 0, False)
    tensor([[[[5.]]]])
    """
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


@function()
def grid_sampler_3d(input, grid, interpolation_mode, padding_mode, align_corners):
    """Return `grid_sampler` of a batch of volumes (N, C, D, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html

    >>> import minigrad as mg
    >>> volume, grid = mg.tensor([[[[[5.0]]]]]), mg.zeros(1, 1, 1, 1, 3)
    >>> mg.grid_sampler_3d(volume, grid, 0, 0, False)
    tensor([[[[[5.]]]]])
    """
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


def _base_coordinates(length, align_corners):
    """Centres of the pixels of one dimension in -1 … 1."""
    if length <= 1:
        return np.zeros(length)
    ends = np.linspace(-1.0, 1.0, length)
    return ends if align_corners else ends * ((length - 1) / length)


def affine_grid(theta, size, align_corners=None):
    """Return the grid (N, H, W, 2) or (N, D, H, W, 3) of points that affine maps take the output's pixels to.

    Arguments: theta (N, 2, 3) or (N, 3, 4), size (N, C, H, W) or (N, C, D, H, W) of the output, align_corners as in
    `grid_sample`. RuntimeError, NotImplementedError or ValueError for shapes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html

    >>> import minigrad as mg
    >>> theta = mg.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> mg.nn.functional.affine_grid(theta, (1, 1, 1, 3), align_corners=True)[0, 0, :, 0]
    tensor([-1.,  0.,  1.])
    """
    require_tensor("affine_grid", theta)
    if theta.array.dtype.char not in REAL_CODES:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = tuple(size)
    if len(size) not in (4, 5):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {size}"
        )
    spatial = len(size) - 2
    if theta.array.ndim != 3 or tuple(theta.shape[-2:]) != (spatial, spatial + 1):
        raise ValueError(
            f"Expected a batch of {spatial}D affine matrices of shape Nx{spatial}x{spatial + 1} for size {size}. "
            f"Got {tuple(theta.shape)}."
        )
    if any(length < 1 for length in size):
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if theta.shape[0] != size[0]:
        raise RuntimeError(f"affine_grid: theta holds {theta.shape[0]} maps, but size {size} asks for {size[0]}")
    if align_corners is None:
        warn_of_call(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
            "Please specify "
            "align_corners=True if the old behavior is desired."
        )
    base = np.ones((*size[2:], spatial + 1))
    for axis, length in enumerate(size[2:]):
        column = _base_coordinates(length, bool(align_corners))
        base[..., spatial - 1 - axis] = column.reshape(-1, *(1,) * (spatial - 1 - axis))
    flat = wrap(asarray_like(base.reshape(-1, spatial + 1), theta.array))
    return (flat @ theta.transpose(1, 2)).reshape(size[0], *size[2:], spatial)


@function()
def affine_grid_generator(theta, size, align_corners):
    """Return `affine_grid` of the same arguments.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html

    >>> import minigrad as mg
    >>> theta = mg.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> mg.affine_grid_generator(theta, (1, 1, 1, 2), False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    return affine_grid(theta, size, align_corners)
