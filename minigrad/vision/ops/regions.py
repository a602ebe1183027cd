"""Regions of interest: parts of feature maps brought to one size.

Source: https://docs.pytorch.org/vision/stable/ops.html#roi-poolings
"""

from minigrad.autograd.function import Function
from minigrad.backend import np, to_numpy, xp
from minigrad.kernels.regions import averaged, cell_bounds, gather_bins, largest_of_bins, sampled, spread_bins
from minigrad.nn.module import Module
from minigrad.ops.creation import full_like
from minigrad.ops.join import cat
from minigrad.tensor import Tensor, wrap

__all__ = [
    "PSRoIAlign",
    "PSRoIPool",
    "RoIAlign",
    "RoIPool",
    "ps_roi_align",
    "ps_roi_pool",
    "roi_align",
    "roi_pool",
]


class _Bins:
    """What the bins of K regions look at: each one's image, and weights of rows and columns."""

    def __init__(self, batch, rows, columns, sensitive, shape):
        self.batch = batch
        self.rows = rows
        self.columns = columns
        self.sensitive = sensitive
        self.shape = shape

    def run(self, kernel, array, *shape):
        """Call a kernel with the bins, in at least float32."""
        wide = array.astype(np.float32, copy=False) if array.dtype.itemsize < 4 else array
        rows, columns = (weights.astype(wide.dtype, copy=False) for weights in (self.rows, self.columns))
        return wrap(kernel(wide, self.batch, rows, columns, self.sensitive, *shape).astype(array.dtype, copy=False))


class _Gather(Function):
    """Maps into bins; its adjoint is _Spread."""

    @staticmethod
    def forward(ctx, maps, bins):
        ctx.bins = bins
        return bins.run(gather_bins, maps.array)

    @staticmethod
    def backward(ctx, gradient):
        return _Spread.apply(gradient, ctx.bins), None


class _Spread(Function):
    """Bins onto maps; its adjoint is _Gather."""

    @staticmethod
    def forward(ctx, values, bins):
        ctx.bins = bins
        return bins.run(spread_bins, values.array, bins.shape)

    @staticmethod
    def backward(ctx, gradient):
        return _Gather.apply(gradient, ctx.bins), None


def _pair(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def _regions(name, input, boxes):
    """The regions' images as a list, and (x1, y1, x2, y2) as four arrays (K,) of at least float32.

    AssertionError for boxes of other shapes, RuntimeError for an input that is no batch of maps or images that are
    not in it.
    """
    if isinstance(boxes, (list, tuple)):
        if any(part.ndim != 2 or part.shape[1] != 4 for part in boxes):
            raise AssertionError("The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]")
        boxes = cat([cat([full_like(part[:, :1], i), part], 1) for i, part in enumerate(boxes)], 0)
    elif not isinstance(boxes, Tensor):
        raise AssertionError("boxes is expected to be a Tensor[L, 5] or a List[Tensor[K, 4]]")
    elif boxes.ndim != 2 or boxes.shape[1] != 5:
        raise AssertionError("The boxes tensor shape is not correct as Tensor[K, 5]")
    if input.ndim != 4:
        raise RuntimeError(f"{name}: input must be (N, C, H, W), but got {tuple(input.shape)}")
    if boxes.dtype != input.dtype:
        raise RuntimeError(
            f"{name}: Expected tensor for input to have the same type as tensor for rois; but type {input.dtype} does "
            f"not equal {boxes.dtype}"
        )
    array = boxes.detach().array
    array = array.astype(np.float32, copy=False) if array.dtype.itemsize < 4 else array
    batch = to_numpy(array[:, 0]).astype(np.int64).tolist()
    if batch and not 0 <= min(batch) <= max(batch) < input.shape[0]:
        raise RuntimeError(f"{name}: boxes are of images {min(batch)} to {max(batch)}, but there are {input.shape[0]}")
    return batch, [xp(array).ascontiguousarray(array[:, column]) for column in range(1, 5)]


def _check_channels(name, input, size):
    if input.shape[1] % (size[0] * size[1]) != 0:
        raise RuntimeError(
            f"{name}: input channels must be a multiple of pooling height * pooling width, but {input.shape[1]} is no "
            f"multiple of {size[0]} * {size[1]}"
        )


def roi_align(input, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """Return regions of maps at one size, (K, C, *output_size): means of bilinear samples in each bin.

    Args:
        input: (N, C, H, W).
        boxes: (K, 5) of the image's index and x1, y1, x2, y2; or a list of N tensors (L, 4).
        output_size: (height, width) or one number for both.
        spatial_scale: what boxes are multiplied by, that is the maps' side over the images'.
        sampling_ratio: samples per bin along each axis; -1 for as many as the bin is pixels long, rounded up.
        aligned: whether pixel 0 has its centre at 0.5 of the boxes' coordinates, as it should, rather than at 0.

    Gradients reach the input, not the boxes. AssertionError for boxes of other shapes, RuntimeError for another dtype.
    Source: He et al. 2017, https://arxiv.org/abs/1703.06870;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.roi_align.html

    >>> import minigrad as mg
    >>> maps = mg.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(maps, [mg.tensor([[0.0, 0.0, 4.0, 4.0]])], 2, aligned=True).flatten()
    tensor([ 2.5000,  4.5000, 10.5000, 12.5000])
    """
    size = _pair(output_size)
    batch, (x1, y1, x2, y2) = _regions("roi_align", input, boxes)
    offset = 0.5 if aligned else 0.0
    weights = []
    for low, high, bins, side in ((y1, y2, size[0], input.shape[2]), (x1, x2, size[1], input.shape[3])):
        extent = (high * spatial_scale - offset) - (low * spatial_scale - offset)
        extent = extent if aligned else extent.clip(1.0, None)
        weights.append(sampled(low * spatial_scale - offset, extent, bins, side, sampling_ratio))
    return _Gather.apply(input, _Bins(batch, *weights, False, tuple(input.shape)))


def ps_roi_align(input, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1):
    """Return regions of maps at one size, (K, C / (PH·PW), PH, PW), where every bin has maps of its own.

    Arguments, gradients and errors as of roi_align; RuntimeError for channels that are no multiple of PH·PW.
    Source: Li et al. 2017, https://arxiv.org/abs/1711.07264;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.ps_roi_align.html

    >>> import minigrad as mg
    >>> ps_roi_align(mg.arange(4.0).reshape(1, 4, 1, 1), mg.tensor([[0.0, 0.0, 0.0, 1.0, 1.0]]), 2).flatten()
    tensor([0., 1., 2., 3.])
    """
    size = _pair(output_size)
    batch, (x1, y1, x2, y2) = _regions("ps_roi_align", input, boxes)
    _check_channels("ps_roi_align", input, size)
    weights = []
    for low, high, bins, side in ((y1, y2, size[0], input.shape[2]), (x1, x2, size[1], input.shape[3])):
        start, end = low * spatial_scale - 0.5, high * spatial_scale - 0.5
        weights.append(sampled(start, end - start, bins, side, sampling_ratio))
    return _Gather.apply(input, _Bins(batch, *weights, True, tuple(input.shape)))


def ps_roi_pool(input, boxes, output_size, spatial_scale=1.0):
    """Return the mean of the whole pixels in each bin, (K, C / (PH·PW), PH, PW), where every bin has its own maps.

    Arguments, gradients and errors as of ps_roi_align.
    Source: Dai et al. 2016, https://arxiv.org/abs/1605.06409;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.ps_roi_pool.html

    >>> import minigrad as mg
    >>> maps = mg.arange(16.0).reshape(1, 1, 4, 4)
    >>> ps_roi_pool(maps, mg.tensor([[0.0, 0.0, 0.0, 2.0, 2.0]]), 1).flatten()
    tensor([2.5000])
    """
    size = _pair(output_size)
    batch, (x1, y1, x2, y2) = _regions("ps_roi_pool", input, boxes)
    _check_channels("ps_roi_pool", input, size)
    rows = averaged(y1 * spatial_scale, y2 * spatial_scale, size[0], input.shape[2])
    columns = averaged(x1 * spatial_scale, x2 * spatial_scale, size[1], input.shape[3])
    return _Gather.apply(input, _Bins(batch, rows, columns, True, tuple(input.shape)))


def roi_pool(input, boxes, output_size, spatial_scale=1.0):
    """Return regions of maps at one size, (K, C, *output_size): the largest of the whole pixels in each bin.

    Arguments, gradients and errors as of roi_align; bins without pixels are 0.
    Source: Girshick 2015, https://arxiv.org/abs/1504.08083;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.roi_pool.html

    >>> import minigrad as mg
    >>> maps = mg.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_pool(maps, mg.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]]), 2).flatten()
    tensor([ 5.,  7., 13., 15.])
    """
    size = _pair(output_size)
    batch, (x1, y1, x2, y2) = _regions("roi_pool", input, boxes)
    rows = cell_bounds(y1 * spatial_scale, y2 * spatial_scale, size[0], input.shape[2], True)
    columns = cell_bounds(x1 * spatial_scale, x2 * spatial_scale, size[1], input.shape[3], True)
    place = wrap(largest_of_bins(input.detach().array, batch, *rows, *columns))
    return input.flatten()[place.clamp(min=0)] * (place >= 0).to(input.dtype)


class _Region(Module):
    """A function of regions with its settings."""

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self._settings)})"

    def forward(self, input, rois):
        """Return the regions (K, C, *output_size) of input (N, C, H, W)."""
        return self._function(input, rois, **{name: getattr(self, name) for name in self._settings})


class RoIAlign(_Region):
    """See roi_align.

    >>> RoIAlign(7, 0.25, 2)
    RoIAlign(output_size=7, spatial_scale=0.25, sampling_ratio=2, aligned=False)
    """

    _settings = ("output_size", "spatial_scale", "sampling_ratio", "aligned")
    _function = staticmethod(roi_align)

    def __init__(self, output_size, spatial_scale, sampling_ratio, aligned=False):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned


class PSRoIAlign(_Region):
    """See ps_roi_align.

    >>> PSRoIAlign(7, 0.25, 2)
    PSRoIAlign(output_size=7, spatial_scale=0.25, sampling_ratio=2)
    """

    _settings = ("output_size", "spatial_scale", "sampling_ratio")
    _function = staticmethod(ps_roi_align)

    def __init__(self, output_size, spatial_scale, sampling_ratio):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio


class RoIPool(_Region):
    """See roi_pool.

    >>> RoIPool(7, 0.25)
    RoIPool(output_size=7, spatial_scale=0.25)
    """

    _settings = ("output_size", "spatial_scale")
    _function = staticmethod(roi_pool)

    def __init__(self, output_size, spatial_scale):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale


class PSRoIPool(RoIPool):
    """See ps_roi_pool.

    >>> PSRoIPool(7, 0.25)
    PSRoIPool(output_size=7, spatial_scale=0.25)
    """

    _function = staticmethod(ps_roi_pool)
