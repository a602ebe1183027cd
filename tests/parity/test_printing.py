"""The text of random tensors is PyTorch's, but for the package's name."""

import random
import re
import warnings

import numpy as np
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")

DTYPES = "float32 float64 float16 int64 int32 int8 uint8 bool complex64 complex128".split()
KINDS = "normal small big integral wild special".split()
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0]


def random_array(rng, numbers, kind, shape, dtype):
    """Return numbers that call for one notation or another."""
    values = numbers.standard_normal(shape)
    if kind == "small":
        values = values * 10.0 ** numbers.integers(-8, 0)
    elif kind == "big":
        values = values * 10.0 ** numbers.integers(0, 10)
    elif kind == "integral":
        values = np.round(values * 10.0 ** numbers.integers(0, 5))
    elif kind == "wild":
        values = values * 10.0 ** numbers.integers(-4, 6, size=shape)
    elif kind == "special":
        values = np.where(numbers.random(shape) < 0.3, numbers.choice(SPECIAL, size=shape), values)
    values = np.asarray(values)
    with np.errstate(all="ignore"):
        if dtype.startswith("complex"):
            return (values + 1j * numbers.standard_normal(shape)).astype(dtype)
        if dtype == "bool":
            return values > 0
        if not dtype.startswith("float"):
            values = np.clip(np.nan_to_num(values), 0, 120)
        return values.astype(dtype)


def texts(seed):
    """Return PyTorch's and minigrad's text of a random tensor, without line breaks that the package's name moves."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    ndim = rng.randrange(5)
    longest = (1, 60, 12, 6, 4)[ndim]
    shape = tuple(rng.randrange(0 if rng.random() < 0.1 else 1, longest + 1) for _ in range(ndim))
    if rng.random() < 0.1:
        shape = rng.choice([(1001,), (40, 30), (7, 12, 13), (2000, 1), (1, 1, 1200), (8, 1, 200)])
    dtype, kind = rng.choice(DTYPES), rng.choice(KINDS)
    array = random_array(rng, numbers, kind, shape, dtype)
    requires_grad = dtype in ("float32", "float64") and rng.random() < 0.3
    result = []
    derived, swapped = rng.random() < 0.5, rng.random() < 0.3
    for lib in (torch, mg):
        tensor = lib.tensor(array, requires_grad=requires_grad)
        if requires_grad and derived:
            tensor = tensor.clone()
        if swapped and tensor.ndim > 1:
            tensor = tensor.transpose(0, 1)
        text = repr(tensor).replace("torch.", "minigrad.").replace("TransposeBackward0", "CloneBackward0")
        # "minigrad." is longer than "torch.", so the facts after the values may move to a line of their own.
        result.append(re.sub(r",\n {7}(dtype|requires_grad|grad_fn|size)=", r", \1=", text))
    return result


@pytest.mark.parametrize("block", range(6))
def test_random_tensors(block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(block * 150, block * 150 + 150):
            theirs, ours = texts(seed)
            assert ours == theirs, f"seed {seed}"


@pytest.mark.parametrize(
    "options",
    [
        {"precision": 2},
        {"sci_mode": True},
        {"sci_mode": False},
        {"threshold": 10, "edgeitems": 1},
        {"threshold": 5, "edgeitems": 0},
        {"linewidth": 40},
        {"profile": "short"},
        {"profile": "full"},
    ],
)
def test_options(options):
    arrays = [np.linspace(-1000, 2000, 60).reshape(6, 10), np.arange(12.0), np.array(1e-7), np.array([1e-5, 1.0])]
    arrays.append(np.arange(2000).reshape(40, 50))
    try:
        for lib in (torch, mg):
            lib.set_printoptions(**options)
        for array in arrays:
            array = array.astype("float32") if array.dtype == "float64" else array
            assert repr(mg.tensor(array)) == repr(torch.tensor(array))
    finally:
        for lib in (torch, mg):
            lib.set_printoptions(profile="default")


def test_default_dtype_is_not_named():
    try:
        for lib in (torch, mg):
            lib.set_default_dtype(lib.float64)
        for array in (np.ones(2), np.ones(2, "float32"), np.ones((0, 3))):
            assert repr(mg.tensor(array)) == repr(torch.tensor(array)).replace("torch.", "minigrad.")
    finally:
        for lib in (torch, mg):
            lib.set_default_dtype(lib.float32)
