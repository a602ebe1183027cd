"""The text of tensors, on examples; tests/parity compares hundreds with PyTorch's."""

import pytest

import minigrad as mg


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: mg.tensor(1.5), "tensor(1.5000)"),
        (lambda: mg.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (lambda: mg.tensor([1, -20]), "tensor([  1, -20])"),
        (lambda: mg.tensor([True, False]), "tensor([ True, False])"),
        (lambda: mg.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
        (lambda: mg.tensor([float("nan"), float("inf"), 1.0]), "tensor([nan, inf, 1.])"),
        (lambda: mg.tensor([]), "tensor([])"),
        (lambda: mg.zeros(0, 3), "tensor([], size=(0, 3))"),
        (lambda: mg.zeros(0, dtype=mg.int64), "tensor([], dtype=minigrad.int64)"),
        (lambda: mg.zeros(1, dtype=mg.float64), "tensor([0.], dtype=minigrad.float64)"),
        (lambda: mg.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: mg.ones(1, requires_grad=True).clone(), "tensor([1.], grad_fn=<CloneBackward0>)"),
        (lambda: mg.tensor([1 + 2j]), "tensor([1.+2.j])"),
        (lambda: mg.eye(2), "tensor([[1., 0.],\n        [0., 1.]])"),
        (lambda: mg.zeros(2, 1, 1), "tensor([[[0.]],\n\n        [[0.]]])"),
        (lambda: mg.arange(1001), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    ],
)
def test_text(make, text):
    assert repr(make()) == text
    assert str(make()) == text


def test_options_and_their_errors():
    try:
        mg.set_printoptions(precision=2, threshold=4, edgeitems=1)
        assert repr(mg.tensor([1.5, 2, 3, 4, 5])) == "tensor([1.50,  ..., 5.00])"
        mg.set_printoptions(profile="default", sci_mode=True)
        assert repr(mg.tensor([1.5])) == "tensor([1.5000e+00])"
    finally:
        mg.set_printoptions(profile="default")
    with pytest.raises(ValueError, match="profile"):
        mg.set_printoptions(profile="loud")


def test_sizes_dtypes_and_devices():
    assert repr(mg.zeros(2, 3).shape) == "minigrad.Size([2, 3])"
    assert repr(mg.float32) == "minigrad.float32"
    assert repr(mg.device("cuda:1")) == "device(type='cuda', index=1)" and str(mg.device("cuda:1")) == "cuda:1"
    assert f"{mg.ones(2)}" == "tensor([1., 1.])" and f"{mg.tensor(3)}" == "3"
