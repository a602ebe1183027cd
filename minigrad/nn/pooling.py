"""Pooling layers: max, average, power-average, adaptive, fractional; unpooling."""

from minigrad.nn.conv import repeated
from minigrad.nn.module import Module
from minigrad.ops.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    fractional_max_pool2d,
    fractional_max_pool3d,
)
from minigrad.ops.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _MaxPool(Module):
    __constants__ = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input):
        """Return the maxima of the windows, and their positions if return_indices."""
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self):
        """Return the settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class _MaxUnpool(Module):
    spatial = None

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = repeated(kernel_size, self.spatial)
        self.stride = repeated(kernel_size if stride is None else stride, self.spatial)
        self.padding = repeated(padding, self.spatial)

    def forward(self, input, indices, output_size=None):
        """Return zeros with the values where their maxima were."""
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self):
        """Return the settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"]

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input):
        """Return the means of the windows."""
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self):
        """Return the settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _LPPool(Module):
    __constants__ = ["norm_type", "kernel_size", "stride", "ceil_mode"]

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input):
        """Return the norms of the windows."""
        return self._function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self):
        """Return the settings."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class _AdaptiveAvgPool(Module):
    __constants__ = ["output_size"]

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, input):
        """Return the means of the windows."""
        return self._function(input, self.output_size)

    def extra_repr(self):
        """Return the settings."""
        return f"output_size={self.output_size}"


class _AdaptiveMaxPool(Module):
    __constants__ = ["output_size", "return_indices"]

    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input):
        """Return the maxima of the windows, and their positions if return_indices."""
        return self._function(input, self.output_size, self.return_indices)

    def extra_repr(self):
        """Return the settings."""
        return f"output_size={self.output_size}"


class _FractionalMaxPool(Module):
    __constants__ = ["kernel_size", "return_indices", "output_size", "output_ratio"]
    spatial = None

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        super().__init__()
        n = self.spatial
        self.kernel_size = repeated(kernel_size, n)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else repeated(output_size, n)
        self.output_ratio = None if output_ratio is None else repeated(output_ratio, n)
        name = type(self).__name__
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input):
        """Return the maxima of the windows, and their positions if return_indices."""
        return self._function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            _random_samples=self._random_samples,
        )  # fmt: skip


class MaxPool1d(_MaxPool):
    """Maxima of sliding windows over (N, C, L) or (C, L).

    Arguments as those of `MaxPool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html

    >>> import minigrad as mg
    >>> mg.nn.MaxPool1d(2)(mg.ones(1, 2, 4)).shape
    minigrad.Size([1, 2, 2])
    """

    _function = staticmethod(max_pool1d)


class MaxPool2d(_MaxPool):
    """Maxima of sliding windows over (N, C, H, W) or (C, H, W).

    Arguments: kernel_size, stride (default kernel_size), padding (with -∞), dilation (ints or tuples), return_indices
    (also return the flat positions of the maxima in their plane), ceil_mode (a last window may reach over the end).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html

    >>> import minigrad as mg
    >>> mg.nn.MaxPool2d(2)(mg.ones(1, 2, 4, 4)).shape
    minigrad.Size([1, 2, 2, 2])
    """

    _function = staticmethod(max_pool2d)


class MaxPool3d(_MaxPool):
    """Maxima of sliding windows over (N, C, D, H, W) or (C, D, H, W).

    Arguments as those of `MaxPool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html

    >>> import minigrad as mg
    >>> mg.nn.MaxPool3d(2)(mg.ones(1, 2, 4, 4, 4)).shape
    minigrad.Size([1, 2, 2, 2, 2])
    """

    _function = staticmethod(max_pool3d)


class MaxUnpool1d(_MaxUnpool):
    """Partial inverse of `MaxPool1d`: every value where its maximum was, zeros elsewhere.

    Arguments: kernel_size, stride (default kernel_size), padding of the pooling. ``forward(input, indices,
    output_size=None)``; RuntimeError for indices outside, ValueError for an output_size that does not pool to the
    input's.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool1d.html

    >>> import minigrad as mg
    >>> pool = mg.nn.MaxPool1d(2, return_indices=True)
    >>> values, indices = pool(mg.ones(1, 3, 8))
    >>> mg.nn.MaxUnpool1d(2)(values, indices).shape
    minigrad.Size([1, 3, 8])
    """

    spatial = 1
    _function = staticmethod(max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Partial inverse of `MaxPool2d`: every value where its maximum was, zeros elsewhere.

    Arguments: kernel_size, stride (default kernel_size), padding of the pooling. ``forward(input, indices,
    output_size=None)``; RuntimeError for indices outside, ValueError for an output_size that does not pool to the
    input's.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html

    >>> import minigrad as mg
    >>> pool = mg.nn.MaxPool2d(2, return_indices=True)
    >>> values, indices = pool(mg.ones(1, 3, 8, 8))
    >>> mg.nn.MaxUnpool2d(2)(values, indices).shape
    minigrad.Size([1, 3, 8, 8])
    """

    spatial = 2
    _function = staticmethod(max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Partial inverse of `MaxPool3d`: every value where its maximum was, zeros elsewhere.

    Arguments: kernel_size, stride (default kernel_size), padding of the pooling. ``forward(input, indices,
    output_size=None)``; RuntimeError for indices outside, ValueError for an output_size that does not pool to the
    input's.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool3d.html

    >>> import minigrad as mg
    >>> pool = mg.nn.MaxPool3d(2, return_indices=True)
    >>> values, indices = pool(mg.ones(1, 3, 8, 8, 8))
    >>> mg.nn.MaxUnpool3d(2)(values, indices).shape
    minigrad.Size([1, 3, 8, 8, 8])
    """

    spatial = 3
    _function = staticmethod(max_unpool3d)


class AvgPool1d(Module):
    """Means of sliding windows over (N, C, L) or (C, L).

    Arguments as those of `AvgPool2d`, without divisor_override.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html

    >>> import minigrad as mg
    >>> mg.nn.AvgPool1d(2)(mg.tensor([[[1.0, 3.0]]]))
    tensor([[[2.]]])
    """

    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__()
        self.kernel_size = repeated(kernel_size, 1)
        self.stride = repeated(kernel_size if stride is None else stride, 1)
        self.padding = repeated(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input):
        """Return the means of the windows."""
        return avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self):
        """Return the settings."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """Means of sliding windows over (N, C, H, W) or (C, H, W).

    Arguments: kernel_size, stride (default kernel_size), padding (with zeros), ceil_mode (a last window may reach over
    the end), count_include_pad (padding counts in the mean), divisor_override (divide by this instead).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html

    >>> import minigrad as mg
    >>> mg.nn.AvgPool2d(2)(mg.ones(1, 2, 4, 4)).shape
    minigrad.Size([1, 2, 2, 2])
    """

    _function = staticmethod(avg_pool2d)


class AvgPool3d(_AvgPool):
    """Means of sliding windows over (N, C, D, H, W) or (C, D, H, W).

    Arguments as those of `AvgPool2d`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool3d.html

    >>> import minigrad as mg
    >>> mg.nn.AvgPool3d(2)(mg.ones(1, 2, 4, 4, 4)).shape
    minigrad.Size([1, 2, 2, 2, 2])
    """

    _function = staticmethod(avg_pool3d)


class LPPool1d(_LPPool):
    """(Σ x^p)^(1/p) over windows of (N, C, L) or (C, L).

    Arguments: norm_type (p), kernel_size, stride (default kernel_size), ceil_mode.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool1d.html

    >>> import minigrad as mg
    >>> mg.nn.LPPool1d(2, 2)(mg.tensor([[3.0, 4.0, 6.0, 8.0]]))
    tensor([[ 5., 10.]])
    """

    _function = staticmethod(lp_pool1d)


class LPPool2d(_LPPool):
    """(Σ x^p)^(1/p) over windows of (N, C, H, W) or (C, H, W).

    Arguments: norm_type (p), kernel_size, stride (default kernel_size), ceil_mode.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html

    >>> import minigrad as mg
    >>> mg.nn.LPPool2d(2, 4)(mg.ones(1, 3, 8, 8)).shape
    minigrad.Size([1, 3, 2, 2])
    """

    _function = staticmethod(lp_pool2d)


class LPPool3d(_LPPool):
    """(Σ x^p)^(1/p) over windows of (N, C, D, H, W) or (C, D, H, W).

    Arguments: norm_type (p), kernel_size, stride (default kernel_size), ceil_mode.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool3d.html

    >>> import minigrad as mg
    >>> mg.nn.LPPool3d(2, 4)(mg.ones(1, 3, 8, 8, 8)).shape
    minigrad.Size([1, 3, 2, 2, 2])
    """

    _function = staticmethod(lp_pool3d)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over output_size windows of (N, C, L) or (C, L).

    Arguments: output_size (int).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html

    >>> import minigrad as mg
    >>> mg.nn.AdaptiveAvgPool1d(3)(mg.ones(1, 2, 7)).shape
    minigrad.Size([1, 2, 3])
    """

    _function = staticmethod(adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over output_size windows of (N, C, H, W) or (C, H, W).

    Arguments: output_size (int, or a tuple in which None keeps the input's length).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html

    >>> import minigrad as mg
    >>> mg.nn.AdaptiveAvgPool2d(3)(mg.ones(1, 2, 7, 7)).shape
    minigrad.Size([1, 2, 3, 3])
    """

    _function = staticmethod(adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means over output_size windows of (N, C, D, H, W) or (C, D, H, W).

    Arguments: output_size (int, or a tuple in which None keeps the input's length).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html

    >>> import minigrad as mg
    >>> mg.nn.AdaptiveAvgPool3d(3)(mg.ones(1, 2, 7, 7, 7)).shape
    minigrad.Size([1, 2, 3, 3, 3])
    """

    _function = staticmethod(adaptive_avg_pool3d)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of output_size windows of (N, C, L) or (C, L).

    Arguments: output_size (int), return_indices (also return the maxima's flat
    positions in their plane).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html

    >>> import minigrad as mg
    >>> mg.nn.AdaptiveMaxPool1d(3)(mg.ones(1, 2, 7)).shape
    minigrad.Size([1, 2, 3])
    """

    _function = staticmethod(adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of output_size windows of (N, C, H, W) or (C, H, W).

    Arguments: output_size (int, or a tuple in which None keeps the input's length), return_indices (also return the
    maxima's flat positions in their plane).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html

    >>> import minigrad as mg
    >>> mg.nn.AdaptiveMaxPool2d(3)(mg.ones(1, 2, 7, 7)).shape
    minigrad.Size([1, 2, 3, 3])
    """

    _function = staticmethod(adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of output_size windows of (N, C, D, H, W) or (C, D, H, W).

    Arguments: output_size (int, or a tuple in which None keeps the input's length), return_indices (also return the
    maxima's flat positions in their plane).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool3d.html

    >>> import minigrad as mg
    >>> mg.nn.AdaptiveMaxPool3d(3)(mg.ones(1, 2, 7, 7, 7)).shape
    minigrad.Size([1, 2, 3, 3, 3])
    """

    _function = staticmethod(adaptive_max_pool3d)


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima of windows of (N, C, H, W) or (C, H, W) whose distances are random (Graham 2014).

    Arguments: kernel_size, output_size or output_ratio (in 0 … 1), return_indices, _random_samples (N, C, 2).
    ValueError for settings.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html

    >>> import minigrad as mg
    >>> mg.nn.FractionalMaxPool2d(2, output_size=5)(mg.ones(1, 3, 8, 8)).shape
    minigrad.Size([1, 3, 5, 5])
    """

    spatial = 2
    _function = staticmethod(fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """Maxima of windows of (N, C, D, H, W) or (C, D, H, W) whose distances are random (Graham 2014).

    Arguments: kernel_size, output_size or output_ratio (in 0 … 1), return_indices, _random_samples (N, C, 3).
    ValueError for settings.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html

    >>> import minigrad as mg
    >>> mg.nn.FractionalMaxPool3d(2, output_size=5)(mg.ones(1, 3, 8, 8, 8)).shape
    minigrad.Size([1, 3, 5, 5, 5])
    """

    spatial = 3
    _function = staticmethod(fractional_max_pool3d)

# PyTorch's names of the base classes
_MaxPoolNd, _MaxUnpoolNd, _AvgPoolNd, _LPPoolNd = _MaxPool, _MaxUnpool, _AvgPool, _LPPool
_AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd = _AdaptiveAvgPool, _AdaptiveMaxPool
