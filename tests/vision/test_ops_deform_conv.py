"""Deformable convolution: without offsets a convolution, with whole ones a shift, otherwise by loops."""

import math

import pytest

import minigrad as mg
from minigrad.vision import ops

SETTINGS = [
    {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2},
]


def arguments(groups, offset_groups, stride, padding, dilation):
    mg.manual_seed(0)
    input = mg.randn(2, 4, 6, 7, dtype=mg.float64)
    weight = mg.randn(6, 4 // groups, 3, 2, dtype=mg.float64)
    bias = mg.randn(6, dtype=mg.float64)
    plain = mg.nn.functional.conv2d(input, weight, bias, stride, padding, dilation, groups)
    offset = mg.randn(2, 2 * offset_groups * 6, *plain.shape[2:], dtype=mg.float64) * 2
    mask = mg.rand(2, offset_groups * 6, *plain.shape[2:], dtype=mg.float64)
    return input, weight, bias, plain, offset, mask


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("offset_groups", [1, 2])
def test_without_offsets_it_is_a_convolution(settings, offset_groups):
    groups = settings["groups"]
    rest = {name: value for name, value in settings.items() if name != "groups"}
    input, weight, bias, plain, offset, mask = arguments(groups, offset_groups, **rest)
    found = ops.deform_conv2d(input, offset * 0, weight, bias, **rest)
    assert mg.allclose(found, plain)
    halved = ops.deform_conv2d(input, offset * 0, weight, bias, **rest, mask=mask * 0 + 0.5)
    assert mg.allclose(halved - bias.reshape(-1, 1, 1), 0.5 * (plain - bias.reshape(-1, 1, 1)))


def test_whole_offsets_shift_the_image():
    input, weight, _, plain, offset, _ = arguments(1, 1, 1, 0, 1)
    offset = offset * 0
    offset[:, 0::2] = 1
    offset[:, 1::2] = -2
    moved = mg.nn.functional.pad(input, (2, 0, 0, 1))[:, :, 1:, :7]  # up by 1, right by 2
    expected = mg.nn.functional.conv2d(moved, weight)
    assert mg.allclose(ops.deform_conv2d(input, offset, weight), expected)


def look(plane, y, x):
    """The plane between pixels, 0 outside."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < len(plane) and 0 <= column < len(plane[0]):
                total += plane[row][column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


@pytest.mark.parametrize("settings", SETTINGS)
def test_by_loops(settings):
    groups, rest = settings["groups"], {name: value for name, value in settings.items() if name != "groups"}
    input, weight, bias, plain, offset, mask = arguments(groups, 2, **rest)
    stride, padding, dilation = ((v, v) if isinstance(v, int) else v for v in rest.values())
    found = ops.deform_conv2d(input, offset, weight, bias, **rest, mask=mask)
    images = input.tolist()
    for n, o, i, j in [(0, 0, 0, 0), (1, 5, 1, 2), (0, 3, plain.shape[2] - 1, plain.shape[3] - 1), (1, 2, 0, 4)]:
        total = bias[o].item()
        for c in range(4 // groups):
            channel = o // (6 // groups) * (4 // groups) + c
            for a in range(3):
                for b in range(2):
                    cell = channel // 2 * 6 + a * 2 + b
                    y = i * stride[0] - padding[0] + a * dilation[0] + offset[n, 2 * cell, i, j].item()
                    x = j * stride[1] - padding[1] + b * dilation[1] + offset[n, 2 * cell + 1, i, j].item()
                    value = look(images[n][channel], y, x) * mask[n, cell, i, j].item()
                    total += weight[o, c, a, b].item() * value
        assert found[n, o, i, j].item() == pytest.approx(total, abs=1e-9)


def test_gradients():
    mg.manual_seed(1)
    input = mg.randn(1, 2, 4, 4, dtype=mg.float64, requires_grad=True)
    weight = mg.randn(2, 1, 2, 2, dtype=mg.float64, requires_grad=True)
    bias = mg.randn(2, dtype=mg.float64, requires_grad=True)
    offset = (mg.rand(1, 8, 3, 3, dtype=mg.float64) * 0.8 + 0.1).requires_grad_()
    mask = mg.rand(1, 4, 3, 3, dtype=mg.float64, requires_grad=True)

    def function(input, offset, weight, bias, mask):
        return ops.deform_conv2d(input, offset, weight, bias, mask=mask)

    assert mg.autograd.gradcheck(function, (input, offset, weight, bias, mask))
    assert mg.autograd.gradgradcheck(function, (input, offset, weight, bias, mask))


def test_the_layer():
    mg.manual_seed(0)
    layer = ops.DeformConv2d(4, 6, (3, 2), stride=2, padding=1, dilation=2, groups=2, bias=False)
    assert repr(layer) == (
        "DeformConv2d(4, 6, kernel_size=(3, 2), stride=(2, 2), padding=(1, 1), dilation=(2, 2), groups=2, bias=False)"
    )
    x = mg.randn(2, 4, 7, 8)
    plain = mg.nn.functional.conv2d(x, layer.weight, None, 2, 1, 2, 2)
    assert mg.allclose(layer(x, mg.zeros(2, 12, *plain.shape[2:])), plain, atol=1e-5)
    bounded = ops.DeformConv2d(4, 6, 3)
    assert bounded.bias.abs().max() <= 1 / 6 and bounded.weight.abs().max() <= 1 / 6
    for channels in ((3, 4), (4, 3)):
        with pytest.raises(ValueError, match="must be divisible by groups"):
            ops.DeformConv2d(*channels, 3, groups=2)


@pytest.mark.parametrize(
    "shapes, message",
    [
        (((2, 4, 5), (1, 18, 3, 3), (6, 4, 3, 3)), "must be 4 dimensional"),
        (((1, 4, 5, 5), (1, 9, 3, 3), (6, 4, 3, 3)), "Got offset.shape\\[1\\]=9"),
        (((1, 4, 5, 5), (1, 18, 4, 3), (6, 4, 3, 3)), r"offset must have shape \(1, 18, 3, 3\), but got"),
        (((1, 4, 5, 5), (1, 18, 3, 3), (6, 3, 3, 3)), "4 channels do not fit"),
    ],
)
def test_shapes_that_do_not_fit(shapes, message):
    with pytest.raises(RuntimeError, match=message):
        ops.deform_conv2d(*(mg.zeros(*shape) for shape in shapes))
    input, weight, _, plain, offset, mask = arguments(1, 1, 1, 0, 1)
    with pytest.raises(RuntimeError, match="mask must have shape"):
        ops.deform_conv2d(input, offset, weight, mask=mask[:, 1:])
