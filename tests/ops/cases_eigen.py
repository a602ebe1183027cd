"""Cases of eigenvalues and eigenvectors: sums in which neither their order nor the eigenvectors' phase counts."""

import numpy as np

import minigrad as mg
import minigrad.ops.eigen  # registers its op; otherwise imported on first use
from tests.ops.table import case

WEIGHTS = mg.tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0], [2.0, 1.0, 1.0]], dtype=mg.float64)


def powers(x):
    """Return sums of powers of the eigenvalues, the traces of the matrix's powers."""
    values = mg.linalg.eigvals(x)
    return mg.stack([values.sum().real, (values**2).sum().real, (values**3).sum().real])


def projections(x):
    """Return the real numbers sum_k |w . v_k|^2 lambda_k."""
    values, vectors = mg.linalg.eig(x)
    sizes = (WEIGHTS.to(x.device, x.dtype).to(vectors.dtype) @ vectors).abs() ** 2
    return (sizes * values.abs().unsqueeze(-2)).sum(-1)


def of_complex(x):
    """Return the same of a complex matrix given as pairs."""
    values, vectors = mg.linalg.eig(mg.view_as_complex(x.contiguous()))
    return (vectors.abs() * values.abs().unsqueeze(-2)).sum(-1)


CASES = {
    "eig": [
        case(
            powers, (3, 3), reference=lambda x: np.array([np.trace(np.linalg.matrix_power(x, k)) for k in (1, 2, 3)])
        ),
        case(projections, (3, 3)),
        case(projections, (2, 3, 3), domain=(0.0, 1.0)),
        case(of_complex, (3, 3, 2)),
    ],
}
