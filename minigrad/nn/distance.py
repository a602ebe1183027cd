"""Layers that compare vectors."""

from minigrad.nn.module import Module
from minigrad.ops.distance import cosine_similarity, pairwise_distance

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """p-norm of x₁ - x₂ + eps over the last dimension.

    Arguments: p, eps, keepdim.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PairwiseDistance.html

    >>> import minigrad as mg
    >>> mg.nn.PairwiseDistance()(mg.randn(4, 3), mg.randn(4, 3)).shape
    minigrad.Size([4])
    """

    __constants__ = ["norm", "eps", "keepdim"]

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1, x2):
        """Return the distances."""
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """Cosine of the angle between vectors along a dimension.

    Arguments: dim, eps (smallest norm).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineSimilarity.html

    >>> import minigrad as mg
    >>> mg.nn.CosineSimilarity()(mg.randn(4, 3), mg.randn(4, 3)).shape
    minigrad.Size([4])
    """

    __constants__ = ["dim", "eps"]

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1, x2):
        """Return the cosines."""
        return cosine_similarity(x1, x2, self.dim, self.eps)
