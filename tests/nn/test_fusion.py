"""nn.utils.fusion: batch norm folded into the layer in front of it, against PyTorch's and against running both."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn.utils import fusion


def lived_in(bn):
    """Give a batch norm statistics and parameters as after training; returns it in eval mode."""
    draws = np.random.default_rng(bn.num_features)
    for tensor, low, high in (
        (bn.running_mean, -1, 1), (bn.running_var, 0.5, 2), (bn.weight, -2, 2), (bn.bias, -1, 1)
    ):  # fmt: skip
        if tensor is not None:
            tensor.data.copy_(mg.from_numpy(draws.uniform(low, high, tensor.shape)))
    return bn.eval()


CONVOLUTIONS = [
    (lambda: nn.Conv1d(2, 4, 3, bias=False), nn.BatchNorm1d, (2, 2, 8), False),
    (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d, (2, 4, 6, 5), False),
    (lambda: nn.Conv2d(2, 4, 3, padding=2, padding_mode="reflect", bias=False), nn.BatchNorm2d, (2, 2, 5, 5), False),
    (lambda: nn.Conv3d(2, 3, 2), nn.BatchNorm3d, (1, 2, 3, 4, 3), False),
    (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2), nn.BatchNorm2d, (2, 3, 4, 4), True),
    (lambda: nn.ConvTranspose1d(3, 3, 3, bias=False), nn.BatchNorm1d, (2, 3, 4), True),
]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(("make", "norm", "shape", "transpose"), CONVOLUTIONS)
def test_a_fused_convolution_is_both_layers(make, norm, shape, transpose, affine):
    mg.manual_seed(0)
    conv = make().double().eval()
    bn = lived_in(norm(conv.out_channels, affine=affine, dtype=mg.float64))
    before = {name: value.clone() for name, value in conv.state_dict().items()}
    fused = fusion.fuse_conv_bn_eval(conv, bn, transpose)
    x = mg.randn(*shape, dtype=mg.float64)
    np.testing.assert_allclose(fused(x).detach().numpy(), bn(conv(x)).detach().numpy(), rtol=1e-12, atol=1e-12)
    assert type(fused) is type(conv) and fused is not conv
    assert fused.weight.requires_grad and fused.weight.is_leaf and fused.bias.is_leaf
    assert fused.bias.requires_grad is (conv.bias is not None)
    for name, value in conv.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())


def test_a_fused_linear_layer_is_both_layers():
    mg.manual_seed(0)
    for features, bias in ((4, True), (4, False), (1, True)):
        linear = nn.Linear(3, 4, bias=bias).double().eval()
        bn = lived_in(nn.BatchNorm1d(features).double())
        fused = fusion.fuse_linear_bn_eval(linear, bn)
        x = mg.randn(5, 3, dtype=mg.float64)
        y = linear(x).detach()
        expected = bn(y) if features == 4 else bn(y.reshape(-1, 1)).reshape(5, 4)
        np.testing.assert_allclose(fused(x).detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_dtypes_and_frozen_parameters_are_the_layers():
    conv, bn = nn.Conv2d(2, 3, 1, dtype=mg.float16).eval(), lived_in(nn.BatchNorm2d(3))
    conv.weight.requires_grad_(False)
    fused = fusion.fuse_conv_bn_eval(conv, bn)
    assert fused.weight.dtype is fused.bias.dtype is mg.float16
    assert not fused.weight.requires_grad and fused.bias.requires_grad


def test_what_can_not_be_fused_raises():
    conv, bn = nn.Conv2d(2, 3, 1).eval(), nn.BatchNorm2d(3).eval()
    with pytest.raises(AssertionError, match="Fusion only for eval"):
        fusion.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3))
    with pytest.raises(AssertionError, match="must not be None"):
        fusion.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3, track_running_stats=False).eval())
    with pytest.raises(RuntimeError, match="batch norm of 4 channels can't follow a convolution"):
        fusion.fuse_conv_bn_eval(conv, nn.BatchNorm2d(4).eval())
    with pytest.raises(RuntimeError, match="groups of transposed convolutions"):
        fusion.fuse_conv_bn_eval(nn.ConvTranspose2d(2, 4, 1, groups=2).eval(), nn.BatchNorm2d(4).eval(), True)
    with pytest.raises(AssertionError, match="linear.out_features=3 and bn.num_features=4"):
        fusion.fuse_linear_bn_eval(nn.Linear(2, 3).eval(), nn.BatchNorm1d(4).eval())
    assert bn.num_features == 3
