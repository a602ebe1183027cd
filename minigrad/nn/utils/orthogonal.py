"""Orthogonal matrices as a parametrisation."""

from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import np
from minigrad.nn.module import Module
from minigrad.nn.utils.parametrize import register_parametrization
from minigrad.ops.decomposition import solve
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Tensor

_MAPS = ("matrix_exp", "cayley", "householder")


def _identity_like(x):
    return FUNCTIONS["eye"](x.size(-1), dtype=x.dtype, device=x.device)


def _is_orthogonal(q):
    tolerance = 10 * q.size(-1) * float(np.finfo(q.dtype.numpy).eps)
    return FUNCTIONS["allclose"](q.mH @ q, _identity_like(q), atol=tolerance)


def _made_orthogonal(a):
    """Return the orthogonal factor Q of A = QR whose R has a positive diagonal."""
    reflectors, tau = FUNCTIONS["geqrf"](a)
    q = FUNCTIONS["orgqr"](reflectors, tau)
    return q * reflectors.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    """Maps any (…, N, K) matrix to one with orthonormal columns (rows if N < K)."""

    def __init__(self, weight, orthogonal_map, use_trivialization):
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map, self.use_trivialization = weight.shape, orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def _orthogonal(self, x):
        """Return the orthogonal matrix of a tall one. # (…, N, K) with N ≥ K"""
        n, k = x.size(-2), x.size(-1)
        if self.orthogonal_map == "householder":
            a = x.tril(-1)
            tau = 2.0 / (1.0 + (a * a).sum(-2))
            signs = x.detach().diagonal(dim1=-2, dim2=-1).trunc()
            return FUNCTIONS["orgqr"](a, tau) * signs.unsqueeze(-2)
        x = x.tril()
        if n != k:
            x = FUNCTIONS["cat"]([x, x.new_zeros((*x.shape[:-1], n - k))], -1)
        skew = x - x.mH
        if self.orthogonal_map == "matrix_exp":
            q = FUNCTIONS["matrix_exp"](skew)
        else:
            identity = _identity_like(skew)
            q = solve(identity - 0.5 * skew, identity + 0.5 * skew)
        return q[..., :k]

    def forward(self, x):
        """Return the orthogonal matrix of a parameter."""
        wide = x.size(-2) < x.size(-1)
        q = self._orthogonal(x.mT if wide else x)
        if self.use_trivialization:
            q = self.base @ q
        return q.mT if wide else q

    @no_grad()
    def right_inverse(self, q):
        """Return the parameter that gives an orthogonal matrix (of any matrix: the one it is made into)."""
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}."
            )
        wide = q.size(-2) < q.size(-1)
        given, q = q, q.mT if wide else q
        n, k = q.size(-2), q.size(-1)
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            a, tau = FUNCTIONS["geqrf"](q)
            diagonal = a.diagonal(dim1=-2, dim2=-1)
            diagonal.sign_()
            diagonal[tau == 0.0] *= -1
            return a.mT if wide else a
        if n != k:
            noise = FUNCTIONS["randn"](*q.shape[:-1], n - k, dtype=q.dtype, device=q.device)
            q = _made_orthogonal(FUNCTIONS["cat"]([q, noise], -1))
        else:
            q = q.clone() if _is_orthogonal(q) else _made_orthogonal(q)
        self.base = q
        start = FUNCTIONS["zeros_like"](given)  # minus the identity, which each of the maps takes to the identity
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return start


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """Keep a matrix of a module orthogonal (its columns orthonormal, or its rows where it has fewer); returns module.

    Arguments: orthogonal_map ("matrix_exp": exp(A), "cayley": (I + A/2)(I - A/2)⁻¹ of a skew-symmetric A, or
    "householder"; by default matrix_exp for square and complex matrices, else householder), use_trivialization (keep
    the value there was and learn a rotation of it). ValueError for another name, map, or fewer than two dimensions.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.orthogonal.html

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.parametrizations.orthogonal(mg.nn.Linear(3, 5))
    >>> mg.allclose(layer.weight.T @ layer.weight, mg.eye(3), atol=1e-5)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions.")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(f'orthogonal_map has to be one of "{", ".join(_MAPS)}". Got: {orthogonal_map}')
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
