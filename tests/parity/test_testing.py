"""assert_close says what PyTorch's says, word for word; make_tensor takes the same arguments."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import minigrad  # noqa: E402

nan, inf = float("nan"), float("inf")

# Each: function of the library that returns (actual, expected), and the options.
PAIRS = {
    "close": (lambda t: (t.tensor([1.0, 2.0]), t.tensor([1.0, 2.0000001])), {}),
    "far": (lambda t: (t.tensor([1.0, 2.0, 3.0]), t.tensor([1.0, 2.1, 5.0])), {}),
    "0-d": (lambda t: (t.tensor(1.0), t.tensor(2.0)), {}),
    "integers": (lambda t: (t.tensor([1, 2]), t.tensor([1, 3])), {}),
    "small integers": (lambda t: (t.tensor([200, 2], dtype=t.uint8), t.tensor([2, 2], dtype=t.uint8)), {}),
    "integers, tolerant": (lambda t: (t.tensor([1, 2]), t.tensor([1, 3])), {"rtol": 0, "atol": 5}),
    "booleans": (lambda t: (t.tensor([True, False]), t.tensor([True, True])), {}),
    "complex": (lambda t: (t.tensor([1 + 2j]), t.tensor([1 + 3j])), {}),
    "half": (lambda t: (t.tensor([1.0]).half(), t.tensor([1.01]).half()), {}),
    "matrix": (
        lambda t: (t.tensor([[1.0, 2.0], [3.0, 4.0]]), t.tensor([[1.0, 2.0], [3.0, 9.0]])),
        {"rtol": 0, "atol": 1},
    ),
    "zeros": (lambda t: (t.ones(2, 2), t.zeros(2, 2)), {}),
    "infinite": (lambda t: (t.tensor([inf]), t.tensor([1.0])), {}),
    "nan": (lambda t: (t.tensor([nan]), t.tensor([nan])), {}),
    "equal nan": (lambda t: (t.tensor([nan]), t.tensor([nan])), {"equal_nan": True}),
    "empty": (lambda t: (t.tensor([]), t.tensor([])), {}),
    "dtype": (lambda t: (t.tensor([1.0]), t.tensor([1.0], dtype=t.float64)), {}),
    "dtype unchecked": (lambda t: (t.tensor([1]), t.tensor([1.5])), {"check_dtype": False}),
    "shape": (lambda t: (t.tensor([1.0]), t.tensor([[1.0]])), {}),
    "stride": (lambda t: (t.ones(2, 3).t(), t.ones(3, 2)), {"check_stride": True}),
    "gradient": (lambda t: (t.tensor([1.0], requires_grad=True), t.tensor([1.0])), {}),
    "subclass": (lambda t: (t.nn.Parameter(t.ones(1)), t.ones(1)), {}),
    "class": (lambda t: (t.nn.Parameter(t.ones(1)), t.ones(1)), {"allow_subclasses": False}),
    "list": (lambda t: ([t.tensor(1.0), t.tensor(2.0)], [t.tensor(1.0), t.tensor(3.0)]), {}),
    "nested": (lambda t: ([1, [2.0, t.tensor([1.0, 5.0])]], [1, [2.0, t.tensor([1.0, 6.0])]]), {}),
    "tuple and list": (lambda t: ((1.0,), [1.0]), {}),
    "dict": (lambda t: ({"a": t.tensor(1.0)}, {"a": t.tensor(3.0)}), {}),
    "keys": (lambda t: ({"a": 1, "c": 2}, {"b": 1, "a": 1}), {}),
    "lengths": (lambda t: ([1.0], [1.0, 2.0]), {}),
    "numbers": (lambda t: (1.0, 1.5), {}),
    "kinds of numbers": (lambda t: (1, 1.0), {}),
    "kinds unchecked": (lambda t: (1, 1.5), {"check_dtype": False}),
    "whole numbers": (lambda t: (1, 2), {}),
    "complex numbers": (lambda t: (1 + 1j, 1 + 2j), {}),
    "truth": (lambda t: (True, False), {}),
    "none": (lambda t: (None, 1), {}),
    "arrays": (lambda t: (np.ones(2), np.zeros(2)), {}),
    "array and tensor": (lambda t: (np.ones(2), t.zeros(2)), {}),
    "tensor and number": (lambda t: (t.ones(1), 1.0), {}),
    "text": (lambda t: ("a", "a"), {}),
    "one tolerance": (lambda t: (1.0, 1.0), {"rtol": 1}),
    "message": (lambda t: (t.ones(1), t.zeros(1)), {"msg": "mine"}),
    "message of it": (lambda t: (t.ones(1), t.zeros(1)), {"msg": lambda text: "mine: " + text}),
}


def outcome(library, name):
    values, options = PAIRS[name]
    try:
        library.testing.assert_close(*values(library), **options)
    except Exception as error:
        return type(error).__name__, plain(str(error))
    return None


def plain(text):
    for word in ("minigrad.tensor.", "minigrad.variable.", "torch.nn.parameter.", "minigrad.", "torch."):
        text = text.replace(word, "")
    return text


@pytest.mark.parametrize("name", PAIRS)
def test_assert_close(name):
    assert outcome(minigrad, name) == outcome(torch, name)


@pytest.mark.parametrize("expected", [[1.0, 2.0], [1.0, 2.1]])
def test_assert_allclose(expected):
    def run(library):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                library.testing.assert_allclose(library.tensor([1.0, 2.0]), expected)
            except AssertionError as error:
                return plain(str(error))

    assert run(minigrad) == run(torch)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64", "int64", "int8", "uint8", "bool"])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((50, 40), {}),
        ((30,), {"low": 2, "high": 5}),
        ((), {}),
        ((6, 7), {"noncontiguous": True}),
        ((400,), {"low": 0, "high": 2, "exclude_zero": True}),
        ((3,), {"requires_grad": True}),
        ((3,), {"low": 5, "high": 2}),
    ],
)
def test_make_tensor(dtype, shape, options):
    def made(library):
        try:
            t = library.testing.make_tensor(shape, dtype=getattr(library, dtype), device="cpu", **options)
        except Exception as error:
            return type(error).__name__
        values = t.detach().numpy()
        large = values.size > 300
        real = np.stack([values.real, values.imag]) if values.dtype.kind == "c" else values
        limits = (np.floor(real.min().astype("f8") + 0.2), np.ceil(real.max().astype("f8") - 0.2)) if large else None
        zero = bool((values == 0).any()) if values.dtype.kind in "iub" and large else None
        return tuple(t.shape), str(t.dtype).split(".")[1], t.stride(), t.requires_grad, limits, zero

    assert made(minigrad) == made(torch)
