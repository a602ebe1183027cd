"""The pieces that networks share."""

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.vision import ops


def kinds(layers):
    return [type(layer).__name__ for layer in layers]


def test_convolution_norm_activation():
    layers = ops.Conv2dNormActivation(3, 8, kernel_size=(3, 5), dilation=2, activation_layer=nn.GELU, inplace=None)
    assert kinds(layers) == ["Conv2d", "BatchNorm2d", "GELU"] and layers.out_channels == 8
    assert tuple(layers(mg.zeros(2, 3, 9, 9)).shape) == (2, 8, 9, 9)
    assert layers[0].bias is None
    layers = ops.Conv3dNormActivation(3, 8, norm_layer=None, dilation=(1, 2, 1))
    assert kinds(layers) == ["Conv3d", "ReLU"] and layers[0].bias is not None and layers[1].inplace
    assert tuple(layers(mg.zeros(2, 3, 4, 5, 6)).shape) == (2, 8, 4, 5, 6)
    with pytest.warns(UserWarning, match="Don't use ConvNormActivation directly"):
        ops.ConvNormActivation(3, 8, padding=0, bias=True)


def test_frozen_batch_norm_is_batch_norm_in_evaluation():
    mg.manual_seed(0)
    norm, frozen = nn.BatchNorm2d(3, eps=1e-3), ops.FrozenBatchNorm2d(3, eps=1e-3)
    for value in (*norm.parameters(), norm.running_mean, norm.running_var):
        nn.init.uniform_(value, 0.5, 2.0)
    frozen.load_state_dict(norm.state_dict())  # num_batches_tracked included
    x = mg.randn(2, 3, 4, 4)
    assert mg.allclose(frozen.train()(x), norm.eval()(x), atol=1e-6)
    assert list(frozen.parameters()) == []


def test_squeeze_and_excitation():
    mg.manual_seed(0)
    layer = ops.SqueezeExcitation(4, 2)
    x = mg.randn(2, 4, 3, 3, dtype=mg.float64, requires_grad=True)
    layer.double()
    hidden = nn.functional.relu(x.mean((2, 3)) @ layer.fc1.weight[..., 0, 0].T + layer.fc1.bias)
    scale = mg.sigmoid(hidden @ layer.fc2.weight[..., 0, 0].T + layer.fc2.bias)
    assert mg.allclose(layer(x), x * scale[..., None, None])
    assert mg.autograd.gradcheck(layer, (x,))


def test_perceptron():
    layers = ops.MLP(4, [8, 6, 2], norm_layer=nn.LayerNorm, inplace=True, dropout=0.1, bias=False)
    names = ["Linear", "LayerNorm", "ReLU", "Dropout"]
    assert kinds(layers) == names * 2 + ["Linear", "Dropout"]
    assert layers[0].bias is None and layers[2].inplace and layers[3].p == 0.1


def test_permute():
    assert tuple(ops.Permute([2, 0, 1])(mg.zeros(2, 3, 4)).shape) == (4, 2, 3)
