"""A convolution directly before a ReLU in a Sequential: one kernel, and nothing else is different."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.kernels import conv as kernels
from minigrad.nn import pairs
from minigrad.nn.utils.fusion import call_pair


@pytest.fixture
def fused(monkeypatch):
    """How often the kernel was asked to apply the ReLU."""
    calls = []
    convolve = kernels.convolve

    def counted(*args, relu=False, **given):
        if relu:
            calls.append(args[0].shape)
        return convolve(*args, relu=relu, **given)

    monkeypatch.setattr(kernels, "convolve", counted)
    return calls


def one_by_one(model, x):
    """What a Sequential computes, without it."""
    for module in model:
        x = module(x)
    return x


def gradients(model, forward, x):
    """Return (output, gradients, and gradients of the sum of their squares) of the input and all parameters."""
    x = x.detach().clone().requires_grad_()
    inputs = [x, *model.parameters()]
    y = forward(x)
    first = mg.autograd.grad((y * y).sum(), inputs, create_graph=True)
    second = mg.autograd.grad(sum((g * g).sum() for g in first), inputs, allow_unused=True)
    return [y, *first, *second]


NETWORKS = {
    "2d": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.ReLU()), 2),
    "in place": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, bias=False), nn.ReLU(inplace=True)), 1),
    "1d, groups": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3, groups=2, padding="same"), nn.ReLU(), nn.Tanh()), 1),
    "3d, dilated": (lambda: nn.Sequential(nn.Identity(), nn.Conv3d(2, 3, 2, dilation=2), nn.ReLU()), 1),
    "nested": (lambda: nn.Sequential(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()), nn.Conv2d(3, 1, 1)), 1),
    "two convolutions, then relu": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 1), nn.ReLU()), 1),
    "batch norm between": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()), 0),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 3), nn.ReLU()), 0),
    "other padding": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), nn.ReLU()), 0),
}
SIZES = {"1d, groups": (3, 2, 7), "3d, dilated": (1, 2, 4, 3, 5)}


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients_are_those_of_the_modules_alone(fused, name, dtype):
    make, count = NETWORKS[name]
    mg.manual_seed(0)
    model = make().to(dtype)
    x = mg.randn(*SIZES.get(name, (2, 2, 5, 6)), dtype=dtype)
    together = gradients(model, model, x)
    assert len(fused) == count
    alone = gradients(model, lambda x: one_by_one(model, x), x)
    for a, b in zip(together, alone, strict=True):
        assert a.dtype is b.dtype
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    with mg.no_grad():
        before = x.clone()
        np.testing.assert_array_equal(model(x).numpy(), alone[0].detach().numpy())
        np.testing.assert_array_equal(x.numpy(), before.numpy())


def nodes(tensor):
    """Return the names of the graph's nodes, from the result on."""
    found, waiting = [], [tensor.grad_fn]
    while waiting:
        node = waiting.pop(0)
        if node is not None:
            found.append(node.name())
            waiting += [child for child, _ in node.next_functions]
    return found


def test_the_graph_is_that_of_the_two_operations(fused):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU())
    x = mg.randn(1, 2, 4, 4)
    assert nodes(model(x)) == nodes(one_by_one(model, x)) and fused
    assert nodes(model(x))[:2] == ["ReluBackward0", "ConvolutionBackward0"]
    model[0].requires_grad_(False)
    assert not model(x).requires_grad
    with mg.no_grad():
        assert model(x).grad_fn is None
    y = model(x.requires_grad_())
    y.add_(1)  # rebinds: the value that backward needs stays
    y.sum().backward()
    assert x.grad.shape == x.shape


def test_nan_passes_and_gets_its_gradient():
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU())
    x = mg.tensor([[[[float("nan"), -1.0, 2.0]]]], requires_grad=True)
    with mg.no_grad():
        model[0].weight.fill_(1.0)
    y = model(x)
    y.sum().backward()
    np.testing.assert_array_equal(y.detach().numpy().ravel(), [np.nan, 0, 2])
    np.testing.assert_array_equal(x.grad.numpy().ravel(), [1, 0, 1])


class Halved(nn.ReLU):
    def forward(self, input):
        return super().forward(input) / 2


class OtherConv(nn.Conv2d):
    def forward(self, input):
        return super().forward(input) * 2


def test_subclasses_hooks_and_replaced_methods_are_heeded(fused, monkeypatch):
    mg.manual_seed(0)
    conv, relu = nn.Conv2d(2, 3, 3), nn.ReLU()
    model, x = nn.Sequential(conv, relu), mg.randn(1, 2, 4, 4)
    plain = model(x).detach().numpy()
    assert len(fused) == 1
    np.testing.assert_array_equal(nn.Sequential(conv, Halved())(x).detach().numpy(), plain / 2)
    other = OtherConv(2, 3, 3)
    other.load_state_dict(conv.state_dict())
    np.testing.assert_allclose(nn.Sequential(other, relu)(x).detach().numpy(), plain * 2, rtol=1e-6)
    seen = []
    for module in (conv, relu):
        for register in ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"):
            handle = getattr(module, register)(lambda module, *args: seen.append(type(module).__name__))
            model(x.clone().requires_grad_()).sum().backward()
            handle.remove()
    assert seen == ["Conv2d"] * 3 + ["ReLU"] * 3
    handle = nn.modules.module.register_module_forward_hook(lambda module, *args: seen.append(module))
    model(x)
    handle.remove()
    assert seen[6:] == [conv, relu, model]
    relu.forward = lambda input: input * 0
    assert not model(x).detach().numpy().any()
    del relu.forward
    conv._conv_forward = lambda input, weight, bias: input * 0
    assert not model(x).detach().numpy().any()
    del conv._conv_forward
    with monkeypatch.context() as patch:
        patch.setattr(nn.ReLU, "forward", lambda self, input: input * 0)
        assert not model(x).detach().numpy().any()
    assert len(fused) == 1
    np.testing.assert_array_equal(model(x).detach().numpy(), plain)
    assert len(fused) == 2


def test_recorders_of_the_graph_and_other_dtypes_see_both_operations(fused):
    model, x = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()), mg.randn(1, 2, 4, 4)
    with mg.autograd.detect_anomaly(check_nan=False):
        model(x)
    mg.summary(model, (2, 4, 4))
    assert not fused
    model.to(mg.float16)(x.to(mg.float16))
    assert not fused


def test_errors_are_those_of_the_convolution():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU())
    for x in (mg.ones(1, 3, 4, 4), mg.ones(2, 2), mg.ones(1, 2, 2, 2), mg.ones(1, 2, 4, 4, dtype=mg.float64)):
        with pytest.raises(RuntimeError) as alone:
            model[0](x)
        with pytest.raises(RuntimeError) as together:
            model(x)
        assert str(together.value) == str(alone.value)
    with pytest.raises(TypeError):
        model([1.0])


def test_a_pair_is_found_only_where_a_relu_follows():
    norms = {nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d}
    assert pairs.BEFORE_RELU == {nn.Conv1d, nn.Conv2d, nn.Conv3d} | norms
    model = nn.Sequential(nn.Conv2d(2, 3, 3))
    assert (model(mg.randn(4, 2, 6, 6)) < 0).any()
    assert nn.Sequential()("anything") == "anything"


def test_watched_products_are_all_seen():
    """Counting, or not computing, products works on a pair as on its two operations."""
    net = mg.nn.Sequential(mg.nn.Conv2d(1, 2, 3), mg.nn.ReLU())
    counted = []
    with mg.no_grad(), mg.utils.products.watch_products(lambda op, count, shapes: counted.append(count), compute=False):
        result = net(mg.ones(1, 1, 5, 5))
    assert counted == [9 * 9 * 2] and (result == 0).all()


@pytest.mark.parametrize("shape", [(8, 16, 40, 40), (2, 3, 5, 5)], ids=["large", "small"])
@pytest.mark.parametrize("residual", [False, True], ids=["alone", "residual"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_batch_norm_and_relu_are_the_two_modules(shape, residual, training):
    mg.manual_seed(0)
    norm = nn.BatchNorm2d(shape[1]).train(training)
    norm.weight.data.uniform_(-1, 1)
    norm.bias.data.uniform_(-1, 1)
    alone, relu = copy.deepcopy(norm), nn.ReLU(inplace=True)
    x, shortcut, g = (mg.randn(*shape) for _ in range(3))
    found = []
    for module, paired in ((norm, True), (alone, False)):
        inputs = [value.clone().requires_grad_() for value in (x, shortcut)[: 1 + residual]]
        if paired:
            y = call_pair(module, relu, *inputs)
        else:
            y = relu(module(inputs[0]) + inputs[1] if residual else module(inputs[0]))
        y.backward(g)
        state = (*module.state_dict().values(), module.weight.grad, module.bias.grad)
        found.append([y.detach(), *(value.grad for value in inputs), *state])
    for ours, theirs in zip(*found, strict=True):
        assert mg.equal(ours, theirs)


def test_batch_norm_and_relu_to_second_order():
    norm, relu = nn.BatchNorm2d(4).double(), nn.ReLU()
    x = mg.randn(8, 4, 48, 48, dtype=mg.float64, requires_grad=True)
    y = call_pair(norm, relu, x)
    expected = relu(norm(x))
    g = mg.randn(*y.shape, dtype=mg.float64)
    firsts = [mg.autograd.grad(value, x, g, create_graph=True)[0] for value in (y, expected)]
    seconds = [mg.autograd.grad((first**2).sum(), x)[0] for first in firsts]
    assert mg.allclose(*seconds)
