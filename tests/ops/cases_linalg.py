"""Cases of matrix products and decompositions."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def well_conditioned(name, index=None):
    """Return the op applied to A + 4 I; index picks one of several results."""

    def run(a, *rest):
        result = OPS[name](a + 4 * mg.eye(a.shape[-1], dtype=a.dtype), *rest)
        return result if index is None else result[index]

    return run


def symmetric(name, shift=0.0, **params):
    """Return the op applied to A + Aᵀ + a diagonal that keeps the eigenvalues apart."""

    def run(a):
        spread = mg.diag(mg.arange(a.shape[-1]).to(a.dtype) * 3 + shift)
        return OPS[name](a + a.mT + spread, **params)

    return run


def signless(result):
    """Return what does not depend on the signs of singular or eigenvectors."""
    return [part * part for part in result]


CASES = {
    "swap_last": [case(op("swap_last"), (2, 3, 4), reference=lambda x: x.swapaxes(-1, -2))],
    "matmul": [
        case(op("matmul"), (2, 3), (3, 4), reference=np.matmul),
        case(op("matmul"), (5, 1, 2, 3), (4, 3, 2), reference=np.matmul),
        case(op("matmul"), (2, 3), (4, 3, 2), reference=np.matmul),
        case(op("matmul"), (2, 0), (0, 3), reference=np.matmul),
        case(mg.matmul, (3,), (3,), reference=np.matmul),
        case(mg.matmul, (3,), (2, 3, 4), reference=np.matmul),
        case(mg.matmul, (2, 4, 3), (3,), reference=np.matmul),
        case(mg.matmul, (2, 2, 3), (3, 2), reference=np.matmul),
        case(lambda a, b: mg.einsum("bij,bjk->bik", a, b), (2, 2, 3), (2, 3, 2), reference=np.matmul),
        case(lambda a: mg.einsum("ii->", a + 0) * mg.einsum("ij->", a @ a), (3, 3)),
        case(
            lambda a, b, c: mg.einsum("...i,ij,...j->...", a, b, c),
            (2, 3),
            (3, 2),
            (2, 2),
            reference=lambda a, b, c: np.einsum("...i,ij,...j->...", a, b, c),
        ),
        case(lambda a, b: mg.tensordot(a, b, ([0, 2], [1, 0])), (2, 3, 2), (2, 2, 4)),
        case(lambda m, a, b: mg.addmm(m, a, b, beta=0.5, alpha=2.0), (4,), (2, 3), (3, 4)),
    ],
    "inv": [case(well_conditioned("inv"), (2, 3, 3), reference=lambda a: np.linalg.inv(a + 4 * np.eye(3)))],
    "solve": [
        case(well_conditioned("solve"), (3, 3), (3, 2)),
        case(well_conditioned("solve"), (2, 3, 3), (3, 1)),
    ],
    "det": [
        case(well_conditioned("det"), (2, 3, 3), domain=(-1, 1), reference=lambda a: np.linalg.det(a + 4 * np.eye(3)))
    ],
    "slogdet": [case(well_conditioned("slogdet"), (2, 3, 3), domain=(-1, 1))],
    "cholesky": [case(symmetric("cholesky", 8.0), (2, 3, 3), domain=(-1, 1))],
    "eigh": [
        case(lambda a: symmetric("eigh")(a)[0], (3, 3), domain=(-0.4, 0.4)),
        case(lambda a: signless(symmetric("eigh")(a)), (2, 3, 3), domain=(-0.4, 0.4)),
    ],
    "lu": [
        case(lambda a: mg.linalg.lu(a + 3 * mg.eye(3, dtype=a.dtype))[1:], (2, 3, 3), domain=(-1, 1)),
        case(lambda a: mg.linalg.lu(a + 3 * mg.eye(2, 4, dtype=a.dtype))[1:], (2, 4), domain=(-1, 1)),
        case(lambda a: mg.linalg.lu_factor(a + 3 * mg.eye(4, 2, dtype=a.dtype))[0], (4, 2), domain=(-1, 1)),
        case(lambda a: OPS["lu"](a.flip(0) + a, pivot=False)[1:3], (3, 3), domain=(1, 2), order=0),
    ],
    "qr": [
        case(
            lambda a: signless(OPS["qr"](a + 4 * mg.eye(2, 4, dtype=a.dtype), mode="reduced")), (2, 4), domain=(-1, 1)
        ),
        case(
            lambda a: signless(OPS["qr"](a + 4 * mg.eye(2, 4, dtype=a.dtype), mode="complete")), (2, 4), domain=(-1, 1)
        ),
        case(
            lambda a: signless(OPS["qr"](a + 4 * mg.eye(4, 3, dtype=a.dtype), mode="reduced")), (4, 3), domain=(-1, 1)
        ),
        case(
            lambda a: signless(OPS["qr"](a + 4 * mg.eye(3, dtype=a.dtype), mode="reduced")), (2, 3, 3), domain=(-1, 1)
        ),
    ],
    "eigvalsh": [
        case(symmetric("eigvalsh"), (2, 3, 3), domain=(-0.4, 0.4)),
        case(lambda a: OPS["eigvalsh"](a * 0 + mg.eye(3, dtype=a.dtype) * 2), (3, 3), order=1),
    ],
    "svdvals": [
        case(OPS["svdvals"], (3, 2), reference=lambda a: np.linalg.svd(a, compute_uv=False)),
        case(OPS["svdvals"], (2, 3, 4), reference=lambda a: np.linalg.svd(a, compute_uv=False)),
    ],
    "svd": [
        case(lambda a: signless(OPS["svd"](a * mg.arange(1.0, 3.0).to(a.dtype) ** 3, full=True))[1:], (4, 2)),
        case(lambda a: OPS["svd"](a)[1], (3, 2), reference=lambda a: np.linalg.svd(a, compute_uv=False)),
        case(lambda a: signless(OPS["svd"](a + mg.diag(mg.arange(3.0).to(a.dtype) * 4))), (3, 3), domain=(-0.4, 0.4)),
        case(lambda a: signless(OPS["svd"](a * mg.arange(1.0, 3.0).to(a.dtype) ** 3)), (4, 2)),
        case(lambda a: signless(OPS["svd"]((a * mg.arange(1.0, 3.0).to(a.dtype) ** 3).mT)), (4, 2)),
    ],
    "pinv": [
        case(op("pinv", atol=0.0, rtol=1e-12), (4, 2), reference=np.linalg.pinv),
        case(op("pinv", atol=0.0, rtol=1e-12), (2, 2, 4), reference=np.linalg.pinv),
    ],
    "lower_half": [case(op("lower_half"), (2, 3, 3))],
    "off_diagonal_reciprocal": [case(op("off_diagonal_reciprocal"), (2, 3, 3), domain=(0.5, 2))],
    "diagonal_matrix": [case(op("diagonal_matrix"), (2, 3), reference=lambda x: x[..., None] * np.eye(3))],
    "matrix_diagonal": [case(op("matrix_diagonal"), (2, 3, 3), reference=lambda x: x.diagonal(0, 1, 2))],
    "unsqueeze_two": [case(op("unsqueeze_two"), (2,), reference=lambda x: x[:, None, None])],
    "squeeze_two": [case(op("squeeze_two"), (2, 1, 1), reference=lambda x: x[:, 0, 0])],
    "as_row": [case(op("as_row"), (2, 3), reference=lambda x: x[:, None, :])],
    "from_row": [case(op("from_row"), (2, 1, 3), reference=lambda x: x[:, 0, :])],
    "as_column": [case(op("as_column"), (2, 3), reference=lambda x: x[:, :, None])],
    "from_column": [case(op("from_column"), (2, 3, 1), reference=lambda x: x[:, :, 0])],
}
