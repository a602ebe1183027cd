"""Unfold and Fold: images to columns of windows, and back."""

from minigrad.nn.module import Module
from minigrad.ops.conv import fold, unfold

__all__ = ["Fold", "Unfold"]


class Unfold(Module):
    """Sliding windows of (N, C, H, W) as columns (N, C · KH · KW, positions).

    Arguments: kernel_size, dilation, padding, stride (ints or pairs).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Unfold.html

    >>> import minigrad as mg
    >>> mg.nn.Unfold((2, 3))(mg.ones(2, 5, 3, 4)).shape
    minigrad.Size([2, 30, 4])
    """

    __constants__ = ["kernel_size", "dilation", "padding", "stride"]

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        """Return the windows as columns."""
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        """Return the settings."""
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Images (N, C, *output_size) as the sum of their windows, given as columns (N, C · KH · KW, positions).

    Arguments: output_size, kernel_size, dilation, padding, stride (ints or pairs).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html

    >>> import minigrad as mg
    >>> mg.nn.Fold((4, 5), (2, 2))(mg.ones(1, 12, 12)).shape
    minigrad.Size([1, 3, 4, 5])
    """

    __constants__ = ["output_size", "kernel_size", "dilation", "padding", "stride"]

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        """Return the images."""
        return fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        """Return the settings."""
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
