"""Dropout layers."""

from minigrad.nn.module import Module
from minigrad.ops import dropout as functions

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout", "PlainDropout"]


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

    Arguments: p (default 0.5), inplace (bool).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html

    >>> import minigrad as mg
    >>> mg.nn.Dropout1d(0.2).eval()(mg.ones(2, 3, 4)).sum()
    tensor(24.)
    >>> mg.nn.Dropout1d(0.2)(mg.ones(2, 3, 4)).shape
    minigrad.Size([2, 3, 4])
    """

    def forward(self, input):
        """Return the input with channels dropped."""
        return functions.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """Drops whole channels of (N, C, H, W) with probability p while training.

    Arguments: p (default 0.5), inplace (bool).
    Source: Tompson et al. 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html

    >>> import minigrad as mg
    >>> mg.nn.Dropout2d(0.2).eval()(mg.ones(2, 3, 4, 4)).sum()
    tensor(96.)
    >>> mg.nn.Dropout2d(0.2)(mg.ones(2, 3, 4, 4)).shape
    minigrad.Size([2, 3, 4, 4])
    """

    def forward(self, input):
        """Return the input with channels dropped."""
        return functions.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """Drops whole channels of (N, C, D, H, W) or (C, D, H, W) with probability p while training.

    Arguments: p (default 0.5), inplace (bool).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout3d.html

    >>> import minigrad as mg
    >>> mg.nn.Dropout3d(0.2).eval()(mg.ones(2, 3, 4, 4, 4)).sum()
    tensor(384.)
    >>> mg.nn.Dropout3d(0.2)(mg.ones(2, 3, 4, 4, 4)).shape
    minigrad.Size([2, 3, 4, 4, 4])
    """

    def forward(self, input):
        """Return the input with channels dropped."""
        return functions.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean and variance of SELU activations.

    Arguments: p (default 0.5), inplace (bool). Shape: any.
    Source: Klambauer et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html

    >>> import minigrad as mg
    >>> mg.nn.AlphaDropout(0.2).eval()(mg.ones(2, 3)).sum()
    tensor(6.)
    >>> mg.nn.AlphaDropout(0.2)(mg.ones(2, 3)).shape
    minigrad.Size([2, 3])
    """

    def forward(self, input):
        """Return the input with elements dropped."""
        return functions.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_DropoutNd):
    """AlphaDropout of whole channels.

    Arguments: p (default 0.5), inplace (bool). Shape: (N, C, …).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FeatureAlphaDropout.html

    >>> import minigrad as mg
    >>> mg.nn.FeatureAlphaDropout(0.2).eval()(mg.ones(2, 3, 4, 4)).sum()
    tensor(96.)
    >>> mg.nn.FeatureAlphaDropout(0.2)(mg.ones(2, 3, 4, 4)).shape
    minigrad.Size([2, 3, 4, 4])
    """

    def forward(self, input):
        """Return the input with channels dropped."""
        return functions.feature_alpha_dropout(input, self.p, self.training, self.inplace)


class PlainDropout(_DropoutNd):
    """Dropout as first published: sets elements to zero while training, multiplies by 1 - p at test.

    `Dropout` is the inverted form, whose test is free: it divides by 1 - p while training instead. The two differ by
    that constant factor. Arguments: p (default 0.5), inplace (bool). Not part of PyTorch. Source: Hinton et al. 2012.

    >>> import minigrad as mg
    >>> layer = mg.nn.PlainDropout(0.25)
    >>> layer.eval()(mg.ones(2))
    tensor([0.7500, 0.7500])
    >>> sorted(set(layer.train()(mg.ones(1000)).tolist()))
    [0.0, 1.0]
    """

    def forward(self, input):
        """Return the input with elements dropped, or scaled at test."""
        return functions.plain_dropout(input, self.p, self.training, self.inplace)
