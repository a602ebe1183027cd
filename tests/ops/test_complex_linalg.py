"""Decompositions of complex matrices: values beside NumPy's, gradients to second order beside finite differences."""

import numpy as np
import pytest

import minigrad as mg

linalg = mg.linalg


def pairs(*shape, seed=0):
    """Return random complex numbers as pairs of real ones."""
    return mg.from_numpy(np.random.default_rng(seed).normal(size=(*shape, 2))).requires_grad_()


def whole(x):
    return mg.view_as_complex(x)


def positive(x):
    """Return a Hermitian positive-definite matrix made of any."""
    return x @ x.mH + 0.5 * mg.eye(x.shape[-1], dtype=x.dtype)


def projected(u, s, vh):
    """Return what does not depend on the phases of singular vectors."""
    return u @ mg.diag_embed((s * s).to(u.dtype)) @ vh


FUNCTIONS = {
    "inv": (linalg.inv, (3, 3)),
    "det": (linalg.det, (2, 3, 3)),
    "slogdet": (lambda a: linalg.slogdet(a).sign * linalg.slogdet(a).logabsdet, (3, 3)),
    "logdet": (mg.logdet, (2, 2)),
    "solve": (lambda a: linalg.solve(a, a.mT @ a), (3, 3)),
    "cholesky": (lambda a: linalg.cholesky(positive(a)), (3, 3)),
    "cholesky_inverse": (lambda a: mg.cholesky_inverse(linalg.cholesky(positive(a))), (2, 2)),
    "eigh": (lambda a: [linalg.eigh(positive(a))[0], linalg.eigh(positive(a), "U")[1].abs()], (3, 3)),
    "eigvalsh": (lambda a: linalg.eigvalsh(a + a.mH), (3, 3)),
    "qr": (lambda a: list(linalg.qr(a)), (4, 2)),
    "wide qr": (lambda a: list(linalg.qr(a)), (2, 4)),
    "svd": (lambda a: projected(*linalg.svd(a, full_matrices=False)), (3, 3)),
    "tall svd": (lambda a: projected(*linalg.svd(a, full_matrices=False)), (4, 2)),
    "wide svd": (lambda a: projected(*linalg.svd(a, full_matrices=False)), (2, 4)),
    "svdvals": (linalg.svdvals, (3, 2)),
    "pinv": (linalg.pinv, (3, 2)),
    "hermitian pinv": (lambda a: linalg.pinv(a + a.mH, hermitian=True), (2, 2)),
    "lu": (lambda a: list(linalg.lu(a)[1:]), (3, 3)),
    "lstsq": (lambda a: linalg.lstsq(a, a * a).solution, (3, 2)),
    "var": (lambda a: a.var(0), (3, 2)),
    "std": (lambda a: a.std(), (3, 2)),
    "cov": (mg.cov, (2, 3)),
    "vecdot": (lambda a: linalg.vecdot(a, a * a), (2, 3)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name):
    function, shape = FUNCTIONS[name]

    def run(x):
        results = function(whole(x))
        results = results if isinstance(results, list) else [results]
        return tuple([mg.view_as_real(part.resolve_conj()) if part.is_complex() else part for part in results])

    x = pairs(*shape)
    assert mg.autograd.gradcheck(run, (x,)) and mg.autograd.gradgradcheck(run, (x,))


def test_values_are_those_of_numpy():
    a, b = whole(pairs(3, 3)).detach(), whole(pairs(3, 2, seed=1)).detach()
    x, y = a.numpy(), b.numpy()
    hermitian = x @ x.conj().T
    for found, expected in [
        (linalg.inv(a), np.linalg.inv(x)), (linalg.solve(a, b), np.linalg.solve(x, y)),
        (linalg.det(a), np.linalg.det(x)),
        (linalg.pinv(b), np.linalg.pinv(y)), (linalg.svdvals(b), np.linalg.svd(y, compute_uv=False)),
        (linalg.cholesky(a @ a.mH), np.linalg.cholesky(hermitian)),
        (linalg.eigvalsh(a @ a.mH), np.linalg.eigvalsh(hermitian)),
        (linalg.matrix_power(a, -2), np.linalg.matrix_power(x, -2)), (mg.cov(b), np.cov(y)),
        (mg.corrcoef(a), np.corrcoef(x)),
        (a.var(), x.var(ddof=1)), (mg.vdot(a[0], a[1]), np.vdot(x[0], x[1])),
        (mg.logsumexp(b, 0), np.log(np.exp(y).sum(0))),
        (linalg.lstsq(b, a).solution, np.linalg.lstsq(y, x, rcond=None)[0]),
        (linalg.lu_solve(*linalg.lu_factor(a), b, adjoint=True), np.linalg.solve(x.conj().T, y)),
    ]:  # fmt: skip
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)
    u, s, v = mg.svd(b)
    np.testing.assert_allclose((u @ mg.diag(s).to(u.dtype) @ v.mH).numpy(), y, atol=1e-12)
    permutation, lower, upper = linalg.lu(a)
    np.testing.assert_allclose((permutation @ lower @ upper).numpy(), x, atol=1e-12)


def test_complex_elements():
    z = mg.tensor([1 + 1j, 1 - 1j])
    assert mg.isclose(z, z.conj()).tolist() == [False, False] and mg.allclose(z, z + 1e-9j)
    assert mg.float_power(z, 2).dtype is mg.complex128
    np.testing.assert_allclose(mg.lerp(z, z * 0, 0.5j).numpy(), z.numpy() * (1 - 0.5j))
    with pytest.raises(RuntimeError, match="In-place abs"):
        z.abs_()
