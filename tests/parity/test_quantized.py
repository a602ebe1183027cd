"""Quantized tensors and eight-bit layers give PyTorch's numbers, in memory and through files, both ways."""

import io
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
from minigrad import quantized as Q  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
ENGINES = [engine for engine in ("fbgemm", "qnnpack") if engine in torch.backends.quantized.supported_engines]
OPS = torch.ops.quantized
F, G = torch.nn.functional, mg.nn.functional


@pytest.fixture(autouse=True)
def engines():
    before = torch.backends.quantized.engine
    yield
    torch.backends.quantized.engine, mg.backends.quantized.engine = before, "fbgemm"


def set_engine(name):
    torch.backends.quantized.engine = mg.backends.quantized.engine = name


def same(theirs, ours, quanta=0, share=0.0):
    """The numbers agree, but for a share of them by so many steps; and so do scale, zero point, dtype."""
    assert (theirs.q_scale(), theirs.q_zero_point()) == (ours.q_scale(), ours.q_zero_point())
    assert str(theirs.dtype).rpartition(".")[2] == ours.dtype.name and tuple(theirs.shape) == tuple(ours.shape)
    distance = np.abs(theirs.int_repr().numpy().astype(np.int64) - ours.int_repr().numpy().astype(np.int64))
    assert distance.max(initial=0) <= quanta and (distance > 0).mean() <= share


def pair(rng, shape, most=128):
    """One quint8 tensor in both libraries; up to 127, as beyond it some kernels of FBGEMM's add up in 16 bits."""
    numbers = rng.integers(0, most, shape).astype(np.uint8)
    scale, zero_point = float(rng.uniform(0.02, 0.2)), int(rng.integers(0, 100))
    theirs = torch._make_per_tensor_quantized_tensor(torch.from_numpy(numbers), scale, zero_point)
    if len(shape) == 4:
        theirs = theirs.contiguous(memory_format=torch.channels_last)  # as eight-bit networks have it
    return theirs, Q.made_of(mg.tensor(numbers), mg.quint8, scale, zero_point)


@pytest.mark.parametrize("name", ["qint8", "quint8", "qint32"])
def test_making(name):
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = rng.normal(0, 9, (3, 5, 40)).astype(np.float32)
        scale, zero = float(rng.uniform(0.01, 0.5)), int(rng.integers(0, 50))
        theirs = torch.quantize_per_tensor(torch.from_numpy(x), scale, zero, getattr(torch, name))
        ours = mg.quantize_per_tensor(mg.tensor(x), scale, zero, getattr(mg, name))
        same(theirs, ours)
        np.testing.assert_array_equal(theirs.dequantize().numpy(), ours.dequantize().numpy())
        scales, zeros = rng.uniform(0.01, 0.5, 5), rng.integers(0, 50, 5)
        theirs = torch.quantize_per_channel(
            torch.from_numpy(x), torch.tensor(scales), torch.tensor(zeros), 1, getattr(torch, name)
        )
        ours = mg.quantize_per_channel(mg.tensor(x), mg.tensor(scales), mg.tensor(zeros), 1, getattr(mg, name))
        np.testing.assert_array_equal(theirs.int_repr().numpy(), ours.int_repr().numpy())
        np.testing.assert_allclose(theirs.dequantize().numpy(), ours.dequantize().numpy(), rtol=2e-7)
    values = [float("inf"), -float("inf"), 1e30, -1e30, 0.0]
    theirs, ours = (t.quantize_per_tensor(t.tensor(values), 0.1, 3, getattr(t, name)) for t in (torch, mg))
    same(theirs, ours)


def test_halves():
    """Where a value lies halfway, within rounding, between two numbers, compilers and processors differ by one step."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        scale, zero = float(rng.uniform(0.01, 2)), int(rng.integers(0, 100))
        x = ((rng.integers(-90, 90, 500) + 0.5) * scale).astype(np.float32)
        theirs, ours = (t.quantize_per_tensor(t.tensor(x), scale, zero, t.quint8) for t in (torch, mg))
        same(theirs, ours, 1, 1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda t, q, c: (t.q_scale(q), t.q_zero_point(q), t.int_repr(q).tolist(), t.dequantize(q).tolist()),
        lambda t, q, c: (t.q_per_channel_scales(c).tolist(), t.q_per_channel_zero_points(c).tolist()),
        lambda t, q, c: (t.q_per_channel_axis(c), c.q_per_channel_axis(), c.q_per_channel_scales().dtype),
        lambda t, q, c: (c.q_per_channel_zero_points().dtype, q.q_scale(), q.q_zero_point(), q.qscheme(), c.qscheme()),
        lambda t, q, c: (q, c, q.reshape(-1), q[0], q.t(), q.type(), q.is_quantized, q.element_size(), q.stride()),
        lambda t, q, c: (q == q, q.equal(q.clone()), t.equal(q, q.clone()), q.chunk(3, 1)[1]),
        lambda t, q, c: (t.qint8, t.quint8, t.qint32, t.qscheme, t.per_tensor_affine, t.per_channel_affine),
        lambda t, q, c: (t.per_tensor_symmetric, t.per_channel_symmetric, t.dequantize([q, q])[1].tolist()),
        lambda t, q, c: t.quantize_per_tensor(t.ones(2), 0.1, 300, t.quint8),
        lambda t, q, c: t.quantize_per_tensor(t.ones(2).double(), 0.1, 3, t.quint8),
        lambda t, q, c: t.quantize_per_tensor(t.ones(2), 0.1, 3, t.int8),
        lambda t, q, c: t.quantize_per_channel(t.ones(2, 3), t.ones(3), t.zeros(3).long(), 0, t.qint8),
        lambda t, q, c: t.quantize_per_channel(t.ones(2, 3), t.ones(2), t.zeros(2).long(), 5, t.qint8),
        lambda t, q, c: t.ones(2).int_repr(), lambda t, q, c: t.ones(2).q_scale(), lambda t, q, c: q.sum(),
        lambda t, q, c: q.numpy(), lambda t, q, c: q.q_per_channel_scales(), lambda t, q, c: c.q_scale(),
    ],
)  # fmt: skip
def test_names(call):
    def outcome(t):
        q = t.quantize_per_tensor(t.tensor([[1.0, 2.0, 3.0], [-1.0, 0.3, 0.5]]), 0.1, 10, t.quint8)
        scales, zeros = t.tensor([0.1, 0.2]), t.tensor([0, 5])
        c = t.quantize_per_channel(t.tensor([[1.0, 2.0], [-1.0, 0.3]]), scales, zeros, 0, t.qint8)
        try:
            return repr(call(t, q, c))
        except Exception as error:
            return type(error)

    ours = outcome(mg)
    if isinstance(ours, str):
        ours = ours.replace("minigrad.quantized.", "torch.").replace("minigrad.", "torch.")
    assert ours == outcome(torch)


@pytest.mark.parametrize("engine", ENGINES)
def test_functions(engine):
    set_engine(engine)
    rng = np.random.default_rng(2)
    for _ in range(5):
        shape = (2, int(rng.integers(1, 4)) * 8, int(rng.integers(3, 15)), int(rng.integers(3, 15)))
        (a, x), (b, y) = pair(rng, shape), pair(rng, shape)
        scale, zero = float(rng.uniform(0.02, 0.3)), int(rng.integers(0, 100))
        plain = a.contiguous()  # PyTorch's relu6 of QNNPACK mixes channels up otherwise
        cases = [
            (OPS.add(a, b, scale, zero), Q.add(x, y, scale, zero)),
            (OPS.add_relu(a, b, scale, zero), Q.add(x, y, scale, zero, True)),
            (OPS.mul(a, b, scale, zero), Q.mul(x, y, scale, zero)),
            (OPS.cat([a, b], 1, scale, zero), Q.cat([x, y], 1, scale, zero)),
            (torch.cat([a, b], 1), mg.cat([x, y], 1)), (F.relu(a), G.relu(x)), (OPS.relu6(plain, False), Q.relu6(x)),
            (OPS.hardswish(a, scale, zero), Q.hardswish(x, scale, zero)), (F.hardsigmoid(a), G.hardsigmoid(x)),
            (F.max_pool2d(a, 3, 2, 1, 1, True), G.max_pool2d(x, 3, 2, 1, 1, True)),
            (F.avg_pool2d(a, 3, 1, 1), G.avg_pool2d(x, 3, 1, 1)), (a.mean([2, 3]), x.mean([2, 3])),
            (F.adaptive_avg_pool2d(a, 1), G.adaptive_avg_pool2d(x, 1)),
        ]  # fmt: skip
        for theirs, ours in cases:
            same(theirs, ours, 1, 0.001)  # halves
        same(F.adaptive_avg_pool2d(a, (3, 2)), G.adaptive_avg_pool2d(x, (3, 2)), 1, 0.1)


def nets(t, with_functional):
    nn, q = t.nn, t.ao.quantization

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.quant, self.dequant = q.QuantStub(), q.DeQuantStub()
            self.conv, self.bn, self.relu = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
            self.conv2, self.act = nn.Conv2d(16, 16, 3, padding=1, groups=4), nn.Hardswish()
            self.deep = nn.Conv2d(16, 16, (1, 5), stride=2, padding=(0, 2), groups=16)
            self.add, self.mul, self.cat = (with_functional() for _ in range(3))
            self.gate, self.drop = nn.Hardsigmoid(), nn.Dropout()
            self.fc1, self.relu1, self.fc = nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 5)

        def forward(self, x):
            x = self.relu(self.bn(self.conv(self.quant(x))))
            y = self.act(self.conv2(x))
            z = self.add.add_relu(x, y)
            z = self.mul.mul(self.gate(z), z)
            z = self.deep(self.cat.cat([z, y], 1)[:, 8:24])
            z = nn.functional.adaptive_avg_pool2d(z, (1, 2)).flatten(1)
            return self.dequant(self.fc(self.relu1(self.fc1(self.drop(z)))))

    return Net().eval()


def converted(t, net, x, engine):
    q = t.ao.quantization
    q.fuse_modules(net, [["conv", "bn", "relu"], ["fc1", "relu1"]], inplace=True)
    weight = q.default_per_channel_weight_observer if engine == "fbgemm" else q.default_weight_observer
    net.qconfig = q.QConfig(activation=q.default_observer, weight=weight)
    q.prepare(net, inplace=True)
    net(x)
    return q.convert(net, inplace=True)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("engine", ENGINES)
def test_networks_and_files(engine, zipped):
    set_engine(engine)
    torch.manual_seed(0)
    theirs = nets(torch, torch.ao.nn.quantized.FloatFunctional)
    ours = nets(mg, mg.nn.quantized.FloatFunctional)
    with torch.no_grad():
        theirs.bn.running_mean.normal_(), theirs.bn.running_var.uniform_(0.5, 2), theirs.bn.weight.normal_()
    ours.load_state_dict({name: mg.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    x = torch.rand(8, 3, 12, 12) * 2 - 1
    y = mg.tensor(x.numpy())
    theirs, ours = converted(torch, theirs, x, engine), converted(mg, ours, y, engine)
    found, expected = ours.state_dict(), theirs.state_dict()
    assert list(found) == list(expected)
    assert {k: v["version"] for k, v in found._metadata.items()} == {
        k: v["version"] for k, v in expected._metadata.items()
    }
    assert repr(ours).replace("minigrad.", "").splitlines()[0] == repr(theirs).splitlines()[0]
    np.testing.assert_allclose(ours.conv.scale, theirs.conv.scale, rtol=1e-5)
    file = io.BytesIO()
    torch.save(expected, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    assert str(ours.load_state_dict(mg.load(file))) == "<All keys matched successfully>"
    with torch.no_grad():
        want, got = theirs(x).numpy(), ours(y).numpy()
    assert np.abs(want - got).max() <= theirs.fc.scale * 1.01 and (want != got).mean() < 0.05
    file = io.BytesIO()
    mg.save(ours.state_dict(), file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    back = torch.load(file, weights_only=True)
    for name, value in expected.items():
        if isinstance(value, tuple):
            assert torch.equal(back[name][0], value[0]) and torch.equal(back[name][1], value[1])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(back[name], value) and back[name].dtype is value.dtype
        else:
            assert back[name] is value
    theirs.load_state_dict(back)
    np.testing.assert_array_equal(theirs(x).detach().numpy(), want)


@pytest.mark.parametrize("engine", ENGINES)
def test_layers(engine):
    set_engine(engine)
    rng = np.random.default_rng(3)
    torch.manual_seed(0)
    for groups, kernel, stride, padding in ((1, 3, 1, 1), (8, 3, 2, 1), (1, 1, 1, 0), (2, (1, 7), 1, (0, 3))):
        a, x = pair(rng, (2, 8, 9, 10))
        for kind in ("Conv2d", "ConvReLU2d"):
            place = "ao.nn.quantized" if kind == "Conv2d" else "ao.nn.intrinsic.quantized"
            layers = []
            for t in (torch, mg):
                space = t
                for part in place.split("."):
                    space = getattr(space, part)
                layers.append(getattr(space, kind)(8, 16, kernel, stride, padding, groups=groups))
            scales = torch.rand(16, dtype=torch.float64) * 0.02 + 0.005
            weight = torch.randn(layers[0].weight().shape)
            if engine == "fbgemm":
                weight = torch.quantize_per_channel(weight, scales, torch.zeros(16, dtype=torch.long), 0, torch.qint8)
            else:
                weight = torch.quantize_per_tensor(weight, 0.02, 0, torch.qint8)
            layers[0].set_weight_bias(weight, torch.randn(16))
            layers[0].scale, layers[0].zero_point = 0.125, 60
            file = io.BytesIO()
            torch.save(layers[0].state_dict(), file)
            file.seek(0)
            layers[1].load_state_dict(mg.load(file))
            same(layers[0](a), layers[1](x), 1, 0.001)
            assert repr(layers[0]) == repr(layers[1])


def test_observers():
    rng = np.random.default_rng(4)
    x = rng.normal(0, 3, (4, 6)).astype(np.float32)
    kinds = [
        lambda q: q.MinMaxObserver(), lambda q: q.MinMaxObserver(reduce_range=True), lambda q: q.default_observer(),
        lambda q: q.default_weight_observer(), lambda q: q.default_per_channel_weight_observer(),
        lambda q: q.PerChannelMinMaxObserver(ch_axis=1), lambda q: q.MovingAverageMinMaxObserver(),
    ]  # fmt: skip
    for make in kinds:
        found = []
        for t in (torch, mg):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                observer = make(t.ao.quantization)
            for part in (x, x * 1.5):
                observer(t.tensor(part))
            found += [[value.numpy() for value in observer.calculate_qparams()], sorted(observer.state_dict())]
        np.testing.assert_allclose(found[0][0], found[2][0], rtol=1e-6)
        np.testing.assert_array_equal(found[0][1], found[2][1])
        assert found[1] == found[3]
