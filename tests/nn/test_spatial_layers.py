"""Convolution, pooling, padding and resampling layers: settings, repr, state, lazy ones, what they compute."""

import copy
import math
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

F = nn.functional


@pytest.mark.parametrize(
    "layer, text",
    [
        (
            lambda: nn.Conv2d(4, 4, 3, padding=1, dilation=2, groups=2, bias=False, padding_mode="reflect"),
            "Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(2, 2), groups=2, bias=False, "
            "padding_mode=reflect)",
        ),
        (lambda: nn.Conv1d(1, 2, 3, padding="same"), "Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=same)"),
        (
            lambda: nn.ConvTranspose2d(2, 2, 3, 2, 1, 1),
            "ConvTranspose2d(2, 2, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1))",
        ),
        (lambda: nn.LazyConv2d(3, 2), "LazyConv2d(0, 3, kernel_size=(2, 2), stride=(1, 1))"),
        (lambda: nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
        (lambda: nn.MaxUnpool1d(2), "MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
        (lambda: nn.AvgPool1d(2), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
        (lambda: nn.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
        (lambda: nn.LPPool2d(2, 3), "LPPool2d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)"),
        (lambda: nn.ReflectionPad2d(2), "ReflectionPad2d((2, 2, 2, 2))"),
        (lambda: nn.ConstantPad2d(1, 3.5), "ConstantPad2d(padding=(1, 1, 1, 1), value=3.5)"),
        (lambda: nn.Upsample(scale_factor=2), "Upsample(scale_factor=2.0, mode='nearest')"),
        (lambda: nn.Fold((4, 5), 2), "Fold(output_size=(4, 5), kernel_size=2, dilation=1, padding=0, stride=1)"),
        (lambda: nn.PixelShuffle(2), "PixelShuffle(upscale_factor=2)"),
    ],
)
def test_repr(layer, text):
    assert repr(layer()) == text


@pytest.mark.parametrize("name", ["Conv1d", "Conv2d", "Conv3d"])
def test_a_convolution_layer_is_its_function(name, rng):
    spatial = int(name[4])
    layer = getattr(nn, name)(4, 6, 3, stride=2, padding=1, dilation=1, groups=2).double()
    x = mg.from_numpy(rng.standard_normal((2, 4, 7, 6, 5)[: spatial + 2]))
    expected = getattr(F, f"conv{spatial}d")(x, layer.weight, layer.bias, 2, 1, 1, 2)
    np.testing.assert_array_equal(layer(x).detach().numpy(), expected.detach().numpy())
    assert tuple(layer.weight.shape) == (6, 2, *(3,) * spatial)
    np.testing.assert_allclose(layer(x[0]).detach().numpy(), expected[0].detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("mode, numpy_mode", [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
@pytest.mark.parametrize("padding", [(1, 2), "same"])
def test_padding_modes(mode, numpy_mode, padding, rng):
    layer = nn.Conv2d(1, 1, (3, 4), padding=padding, padding_mode=mode, bias=False).double()
    x = rng.standard_normal((1, 1, 6, 7))
    sides = ((1, 1), (1, 2)) if padding == "same" else ((1, 1), (2, 2))
    around = np.pad(x, ((0, 0), (0, 0), *sides), numpy_mode)
    expected = F.conv2d(mg.from_numpy(around), layer.weight)
    np.testing.assert_allclose(layer(mg.from_numpy(x)).detach().numpy(), expected.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("layer", [nn.Conv2d(16, 32, 3), nn.Conv1d(8, 64, 5, groups=2), nn.ConvTranspose2d(16, 32, 3)])
def test_default_initialisation(layer):
    bound = 1 / math.sqrt(math.prod(layer.weight.shape[1:]))
    for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert abs(values).max() <= bound
        assert abs(values).max() > 0.8 * bound
        assert abs(values.mean()) < 0.3 * bound


def test_transposed_convolution_reaches_the_asked_size(rng):
    x = mg.from_numpy(rng.standard_normal((1, 3, 12, 11)).astype("float32"))
    down = nn.Conv2d(3, 3, 3, stride=2, padding=1)
    up = nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1)
    assert tuple(up(down(x), output_size=x.shape).shape) == (1, 3, 12, 11)
    assert tuple(up(down(x), output_size=(11, 11)).shape) == (1, 3, 11, 11)
    for size in [(20, 20), (12,)]:
        with pytest.raises(ValueError, match="output"):
            up(down(x), output_size=size)


@pytest.mark.parametrize("name", ["LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose2d"])
def test_lazy_layers_become_ordinary_ones(name):
    spatial = int(name[-2])
    layer = getattr(nn, name)(6, 2, groups=2)
    loaded = copy.deepcopy(layer)
    x = mg.ones(2, 4, *(5,) * spatial)
    y = layer(x)
    assert type(layer) is getattr(nn, name.removeprefix("Lazy"))
    assert layer.in_channels == 4
    loaded.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(loaded(x).detach().numpy(), y.detach().numpy())
    with pytest.raises(RuntimeError, match="Expected"):
        getattr(nn, name)(3, 2)(mg.ones(3))


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), "out_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 4, 3, groups=0), "groups must be a positive integer"),
        (lambda: nn.Conv2d(4, 4, 3, padding="full"), "Invalid padding string"),
        (lambda: nn.Conv2d(4, 4, 3, padding="same", stride=2), "not supported for strided convolutions"),
        (lambda: nn.Conv2d(4, 4, 3, padding_mode="mirror"), "padding_mode must be one of"),
        (lambda: nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect"), 'Only "zeros" padding mode'),
        (lambda: nn.FractionalMaxPool2d(2), "requires specifying either"),
        (lambda: nn.FractionalMaxPool2d(2, 3, 0.5), "only one of"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio=2.0), "between 0 and 1"),
        (lambda: nn.CircularPad1d(1)(mg.ones(3)), "expected 2D or 3D input"),
    ],
)
def test_wrong_settings(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_pooling_and_unpooling_are_inverse_at_the_maxima(rng):
    x = mg.from_numpy(rng.standard_normal((2, 3, 6, 8)))
    values, where = nn.MaxPool2d(2, return_indices=True)(x)
    back = nn.MaxUnpool2d(2)(values, where)
    assert back.shape == x.shape
    kept = back != 0
    np.testing.assert_array_equal(back[kept].numpy(), x[kept].numpy())
    np.testing.assert_array_equal(nn.MaxPool2d(2)(back.clamp(min=0)).numpy(), values.clamp(min=0).numpy())


def test_layers_agree_with_each_other(rng):
    x = mg.from_numpy(rng.standard_normal((2, 4, 6, 6)))
    same = [
        (nn.AdaptiveAvgPool2d(3), nn.AvgPool2d(2)),
        (nn.AdaptiveMaxPool2d(3), nn.MaxPool2d(2)),
        (nn.ZeroPad2d((1, 2, 0, 1)), nn.ConstantPad2d((1, 2, 0, 1), 0.0)),
        (nn.UpsamplingNearest2d(scale_factor=2), nn.Upsample(size=(12, 12))),
        (nn.UpsamplingBilinear2d(size=9), nn.Upsample(size=9, mode="bilinear", align_corners=True)),
        (nn.Sequential(nn.PixelShuffle(2), nn.PixelUnshuffle(2)), nn.Identity()),
        (nn.Sequential(nn.ChannelShuffle(2), nn.ChannelShuffle(2)), nn.Identity()),
        (nn.Sequential(nn.Unfold(2, stride=2), nn.Fold(6, 2, stride=2)), nn.Identity()),
        (nn.LPPool2d(2, 2), lambda x: (nn.AvgPool2d(2)(x * x) * 4).sqrt()),
    ]
    for one, other in same:
        np.testing.assert_allclose(one(x).numpy(), other(x).numpy(), rtol=1e-12, atol=1e-12, err_msg=str(one))


def test_convolution_as_unfold_and_product(rng):
    x, layer = mg.from_numpy(rng.standard_normal((2, 3, 7, 7))), nn.Conv2d(3, 4, 3, padding=1).double()
    columns = nn.Unfold(3, padding=1)(x)
    y = (layer.weight.reshape(4, -1) @ columns + layer.bias.reshape(-1, 1)).reshape(2, 4, 7, 7)
    np.testing.assert_allclose(layer(x).detach().numpy(), y.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_layers_are_pickled_and_read_back():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReflectionPad2d(1), nn.ConvTranspose2d(2, 1, 2))
    again = pickle.loads(pickle.dumps(net))
    x = mg.ones(1, 1, 8, 8)
    np.testing.assert_array_equal(net(x).detach().numpy(), again(x).detach().numpy())


def test_second_derivative_of_a_small_network(rng):
    """The gradient penalty of a convolutional network trains its first layer."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 1))
    x = mg.from_numpy(rng.standard_normal((3, 1, 6, 6)).astype("float32")).requires_grad_()
    (gradient,) = mg.autograd.grad(net(x).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert net[0].weight.grad.dtype is mg.float32
    assert abs(net[0].weight.grad.numpy()).max() > 0


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"groups": True}, TypeError),
        ({"stride": 1.0}, TypeError),
        ({"stride": (1.0, 1)}, TypeError),
        ({"padding": False}, TypeError),
        ({"dilation": [1, True]}, TypeError),
        ({"padding": "full"}, RuntimeError),
        ({"padding": -1}, RuntimeError),
    ],
    ids=str,
)
def test_settings_are_checked_after_equal_ones_were_right(wrong, error):
    """Right settings are remembered; 1.0 and True equal 1 but are wrong."""
    x, w = mg.ones(1, 1, 4, 4), mg.ones(1, 1, 3, 3)
    F.conv2d(x, w, stride=(1, 1), padding=0, dilation=1, groups=1)
    F.conv2d(x, w, stride=[1, 1], padding=(0, 0), dilation=[1, 1])
    with pytest.raises(error):
        F.conv2d(x, w, **wrong)
