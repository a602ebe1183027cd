"""Stochastic depth: dropout for layers."""

from minigrad.nn.module import Module
from minigrad.ops.creation import empty
from minigrad.ops.define import require_tensor

__all__ = ["StochasticDepth", "stochastic_depth"]

MODES = ("batch", "row")


def stochastic_depth(input, p, mode, training=True):
    """Return zeros with probability p, input / (1 - p) otherwise, when training; input itself when not.

    It stands at the end of a residual branch F: ``x + stochastic_depth(F(x), p, "batch")`` passes by the branch with
    probability p. The paper (Huang et al.) leaves a surviving branch as it is, ``x + b·F(x)`` with b = 0 or 1, and at
    test time multiplies every branch by its survival probability: ``x + (1 - p)·F(x)``. As torchvision does, the
    survivors are here divided by 1 - p instead, as in inverted dropout: the mean over b is F(x) at training, so that
    at test time nothing is to be done. What the branch adds on average is the same in training and at test either way;
    with the paper's rule both are smaller by the factor 1 - p.

    Args:
        input: (N, …), what the residual branch computed.
        p: probability of dropping, in [0, 1].
        mode: "batch" drops the branch for the whole batch, as in the paper; "row" for each of the N samples by itself.
        training: whether to drop at all.

    Raises:
        ValueError: for a p outside [0, 1] or another mode.
        TypeError: for an input that is no tensor.

    Source: Huang et al. 2016, Deep Networks with Stochastic Depth, https://arxiv.org/abs/1603.09382;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.stochastic_depth.html

    >>> import minigrad as mg
    >>> generator = mg.manual_seed(0)
    >>> stochastic_depth(mg.ones(6, 1), 0.5, "row").flatten().unique()
    tensor([0., 2.])
    >>> stochastic_depth(mg.ones(3), 0.5, "batch", training=False)
    tensor([1., 1., 1.])
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in MODES:
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    require_tensor("stochastic_depth", input)
    if not training or p == 0.0:
        return input
    survival = 1.0 - p
    shape = [1] * input.ndim  # (1, 1, …), or (N, 1, …) by rows
    if mode == "row":
        shape[0] = input.shape[0]
    kept = empty(shape, dtype=input.dtype, device=input.device)
    kept.bernoulli_(survival)
    if survival > 0.0:
        kept /= survival
    return input * kept


class StochasticDepth(Module):
    """Drops what a residual branch computed with probability p while training; see ``stochastic_depth``.

    Args:
        p: probability of dropping, in [0, 1].
        mode: "batch" (all samples or none) or "row" (each sample by itself).

    Raises:
        ValueError: when called, for a p outside [0, 1] or another mode.

    Source: Huang et al. 2016; https://docs.pytorch.org/vision/stable/generated/torchvision.ops.StochasticDepth.html

    >>> import minigrad as mg
    >>> layer = StochasticDepth(1.0, "row")
    >>> layer
    StochasticDepth(p=1.0, mode=row)
    >>> layer(mg.ones(2))
    tensor([0., 0.])
    >>> layer.eval()(mg.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, p, mode):
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input):
        """Return the input, or zeros in its place."""
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p}, mode={self.mode})"
