"""Distances and angles between vectors."""

from minigrad.backend import REAL_CODES, np, xp
from minigrad.ops.core import broadcast_to
from minigrad.ops.define import require_tensor
from minigrad.ops.index import take_op
from minigrad.registry import function
from minigrad.tensor import wrap

_MATRIX_PRODUCT_FROM = 25  # rows from which cdist(p=2) uses a matrix product, as in PyTorch


@function()
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """Return x₁ · x₂ / (max(‖x₁‖, eps) max(‖x₂‖, eps)) along a dimension.

    Arguments: x1, x2 (broadcast, floating point), dim, eps > 0. RuntimeError for integers.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html

    >>> import minigrad as mg
    >>> mg.cosine_similarity(mg.tensor([[3.0, 4.0]]), mg.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """
    require_tensor("cosine_similarity", x1, "x1", 1)
    require_tensor("cosine_similarity", x2, "x2", 2)
    if x1.array.dtype.char not in REAL_CODES and x2.array.dtype.char not in REAL_CODES:
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {x1.dtype} (cosine_similarity)"
        )
    if x1.array.dtype != x2.array.dtype:
        common = np.result_type(*(t.array.dtype for t in (x1, x2) if t.array.dtype.char in REAL_CODES))
        x1, x2 = x1.to(common), x2.to(common)
    if x1.array.shape != x2.array.shape:
        shape = np.broadcast_shapes(x1.array.shape, x2.array.shape)
        x1, x2 = broadcast_to(x1, shape=shape), broadcast_to(x2, shape=shape)
    norms = [x.norm(2, dim=dim, keepdim=True).clamp(min=eps) for x in (x1, x2)]
    return ((x1 / norms[0]) * (x2 / norms[1])).sum(dim)


@function()
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """Return the p-norm of x₁ - x₂ + eps over the last dimension.

    Arguments: x1, x2 (…, D) (broadcast), p, eps (avoids a zero norm), keepdim.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pairwise_distance.html

    >>> import minigrad as mg
    >>> mg.pairwise_distance(mg.tensor([[3.0, 4.0]]), mg.zeros(1, 2))
    tensor([5.0000])
    """
    require_tensor("pairwise_distance", x1, "x1", 1)
    require_tensor("pairwise_distance", x2, "x2", 2)
    return (x1 - x2 + eps).norm(p, dim=-1, keepdim=keepdim)


@function()
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """Return the p-norms between all pairs of rows. # (…, P, D), (…, R, D) → (…, P, R)

    Arguments: p ≥ 0, compute_mode (whether the Euclidean distance may use a matrix product, which is faster and less
    exact: "use_mm_for_euclid_dist_if_necessary" for more than 25 rows, "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist"). RuntimeError for shapes or a p that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cdist.html

    >>> import minigrad as mg
    >>> mg.cdist(mg.tensor([[0.0, 0.0]]), mg.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes and compute_mode not in (None, 0, 1, 2):
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    mode = compute_mode if isinstance(compute_mode, str) else modes[compute_mode or 0]
    for position, tensor in enumerate((x1, x2), 1):
        require_tensor("cdist", tensor, f"x{position}", position)
        if tensor.array.dtype.char not in REAL_CODES:
            raise RuntimeError(f"cdist only supports floating-point dtypes, X{position} got: {tensor.dtype}")
        if tensor.array.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, X{position} got: {tensor.array.ndim}D")
    if x1.array.shape[-1] != x2.array.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.array.shape[-1]} X2: {x2.array.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    rows = max(x1.array.shape[-2], x2.array.shape[-2])
    if p == 2 and (mode == modes[1] or mode == modes[0] and rows > _MATRIX_PRODUCT_FROM) and x1.array.shape[-1]:
        return _euclidean_by_product(x1, x2)
    return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, dim=-1)


def _euclidean_by_product(x1, x2):
    """Return √(|a|² + |b|² - 2 a·b) of all pairs of rows; rounding may leave a tiny negative, hence the bound."""
    squares = (x1 * x1).sum(-1, keepdim=True) + (x2 * x2).sum(-1).unsqueeze(-2) - 2 * (x1 @ x2.transpose(-1, -2))
    return squares.clamp(min=1e-30).sqrt()


@function()
def pdist(input, p=2.0):
    """Return the p-norms between all pairs of different rows, as a vector of n (n - 1) / 2. # (N, D)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pdist.html

    >>> import minigrad as mg
    >>> mg.pdist(mg.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]))
    tensor([5., 3., 4.])
    """
    require_tensor("pdist", input)
    if input.array.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.array.ndim}D")
    if input.array.dtype.char not in REAL_CODES:
        raise RuntimeError(f"pdist only supports floating-point dtypes, got: {input.dtype}")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = (wrap(index) for index in xp(input.array).triu_indices(input.array.shape[0], 1))
    return (take_op(input, first, dim=0) - take_op(input, second, dim=0)).norm(p, dim=-1)


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """Return input / max(‖input‖_p, eps) along a dimension (or several).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html

    >>> import minigrad as mg
    >>> mg.nn.functional.normalize(mg.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    require_tensor("normalize", input)
    norms = input.norm(p, dim=dim, keepdim=True).clamp(min=eps)
    if out is None:
        return input / norms
    from minigrad.inplace import write_out

    return write_out(out, input / norms, "normalize")
