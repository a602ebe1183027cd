"""Warnings point at the line of the program that called, through modules and wrappers."""

import warnings

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

X = mg.ones(2, 3)
SCALARS = mg.ones(2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: F.softmax(X), "Implicit dimension choice"),
        (lambda: nn.Softmax()(X), "Implicit dimension choice"),
        (lambda: F.log_softmax(X), "Implicit dimension choice"),
        (lambda: F.softmin(X), "Implicit dimension choice"),
        (lambda: F.mse_loss(X[:, :1], SCALARS), "Using a target size"),
        (lambda: nn.MSELoss()(X[:, :1], SCALARS), "Using a target size"),
        (lambda: nn.Sequential(nn.L1Loss())[0](X[:, :1], SCALARS), "Using a target size"),
        (lambda: nn.KLDivLoss()(X, X), "batchmean"),
        (lambda: nn.CrossEntropyLoss(size_average=False), "reduction='sum'"),
        (lambda: F.grid_sample(mg.ones(1, 1, 2, 2), mg.zeros(1, 2, 2, 2)), "align_corners"),
        (lambda: F.affine_grid(mg.zeros(1, 2, 3), (1, 1, 2, 2)), "align_corners"),
        (lambda: mg.ones(1).std(), "degrees of freedom"),
        (lambda: mg.var(mg.ones(1)), "degrees of freedom"),
        (lambda: mg.where(mg.ones(2, dtype=mg.uint8), 1.0, SCALARS), "uint8"),
    ],
)
def test_warnings_point_at_the_program(call, text):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    assert [warning.filename for warning in seen if text in str(warning.message)] == [__file__]
