"""Embedding matrices: keeping rows short."""

from minigrad.backend import xp


def renormalise_rows(weight, index, max_norm, norm_type):
    """Scale the named rows of weight to a norm of at most max_norm, in place."""
    module = xp(weight)
    named = module.unique(index)
    rows = weight[named]
    if norm_type == float("inf"):
        norms = abs(rows).max(axis=1)
    else:
        norms = (abs(rows) ** norm_type).sum(axis=1) ** (1.0 / norm_type)
    large = norms > max_norm
    weight[named[large]] = rows[large] * (max_norm / (norms[large] + 1e-7))[:, None].astype(weight.dtype)
