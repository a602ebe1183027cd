"""float32 convolutions without Winograd's algorithm: the error against float64 is not above ten times PyTorch's."""

import numpy as np
import pytest

from minigrad.kernels import conv

torch = pytest.importorskip("torch")

LAYERS = {  # channels, outputs, side, kernel, stride, padding, groups
    "3x3": (32, 48, 14, 3, 1, 1, 1),
    "3x3, stride 2": (32, 48, 15, 3, 2, 1, 1),
    "1x1": (128, 64, 14, 1, 1, 0, 1),
    "1x1, stride 2": (64, 96, 14, 1, 2, 0, 1),
    "7x7, stride 2": (3, 16, 64, 7, 2, 3, 1),
    "5x5, grouped": (16, 32, 13, 5, 1, 2, 2),
    "depthwise": (32, 32, 14, 3, 1, 1, 32),
    "small": (1, 6, 28, 5, 1, 2, 1),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_error_against_float64(layer, monkeypatch):
    monkeypatch.setattr(conv.CONVOLUTIONS, "winograd", False)
    channels, outputs, side, kernel, stride, padding, groups = LAYERS[layer]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, channels, side, side), np.float32)
    w = rng.standard_normal((outputs, channels // groups, kernel, kernel), np.float32)
    settings = [(number, number) for number in (stride, padding, 1)]
    y = conv.convolve(x, w, None, *settings, groups)
    g = rng.standard_normal(y.shape, np.float32)
    ours = (
        y,
        conv.convolve_input(g, w, x.shape[2:], *settings, groups),
        conv.convolve_weight(g, x, w.shape[2:], *settings, groups),
    )

    def theirs(dtype):
        tensors = [torch.from_numpy(array).to(dtype) for array in (x, w, g)]
        tensors[0].requires_grad_()
        tensors[1].requires_grad_()
        y = torch.nn.functional.conv2d(*tensors[:2], None, stride, padding, 1, groups)
        y.backward(tensors[2])
        return [value.detach().numpy() for value in (y, tensors[0].grad, tensors[1].grad)]

    for actual, single, double in zip(ours, theirs(torch.float32), theirs(torch.float64), strict=True):
        rounding = np.finfo(np.float32).eps * np.abs(double).max()  # below this, errors say nothing
        allowed = 10 * max(np.abs(single - double).max(), rounding)
        assert np.abs(actual - double).max() <= allowed
