"""Dropout layers."""

from minigrad.nn.module import Module
from minigrad.ops import dropout as functions

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Module):
    """Settings that all dropout layers share: p (probability of being dropped) and inplace."""

    __constants__ = ["p", "inplace"]

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        functions.check_probability(p)
        self.p = p
        self.inplace = inplace

    def extra_repr(self):
        """Return the settings."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Sets elements to zero with probability p while training, the others times 1 / (1 - p).

    Arguments: p, inplace. ValueError for a p outside [0, 1].
    Source: Srivastava et al. 2014; https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html

    >>> import minigrad as mg
    >>> mg.nn.Dropout(0.5).eval()(mg.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input):
        """Return the input with elements dropped."""
        return functions.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """Drops whole channels of (N, C, L) or (C, L) with probability p while training.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html
    """

    def forward(self, input):
        """Return the input with channels dropped."""
        return functions.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Drops whole channels of (N, C, H, W) with probability p while training.

    Source: Tompson et al. 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html
    """

    def forward(self, input):
        """Return the input with channels dropped."""
        return functions.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Drops whole channels of (N, C, D, H, W) or (C, D, H, W) with probability p while training.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout3d.html
    """

    def forward(self, input):
        """Return the input with channels dropped."""
        return functions.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean and variance of SELU activations.

    Source: Klambauer et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html
    """

    def forward(self, input):
        """Return the input with elements dropped."""
        return functions.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_DropoutNd):
    """AlphaDropout of whole channels.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FeatureAlphaDropout.html
    """

    def forward(self, input):
        """Return the input with channels dropped."""
        return functions.feature_alpha_dropout(input, self.p, self.training, self.inplace)
