"""Quantized tensors, the layers of eight-bit networks, and the steps that make such networks."""

import copy
import io
import pickle
import warnings
import zipfile

import pytest

import minigrad as mg
import models
from minigrad import nn
from minigrad import quantized as Q
from minigrad.ao import quantization
from models import registry

WIDE = {"qint8": (-128, 127), "quint8": (0, 255), "qint32": (-(2**31), 2**31 - 1)}


@pytest.fixture(autouse=True)
def seeded():
    mg.manual_seed(0)
    yield
    mg.backends.quantized.engine = "fbgemm"


def per_tensor(shape=(2, 3, 4, 5), scale=0.1, zero_point=20, most=128):
    numbers = mg.randint(0, most, shape).to(mg.uint8)
    return Q.made_of(numbers, mg.quint8, scale, zero_point)


def per_channel(outputs=4, rest=(3, 3, 3)):
    scales = mg.rand(outputs, dtype=mg.float64) * 0.02 + 0.01
    return mg.quantize_per_channel(mg.randn(outputs, *rest), scales, mg.zeros(outputs, dtype=mg.int64), 0, mg.qint8)


# ---------------------------------------------------------------- making them
@pytest.mark.parametrize("name", WIDE)
def test_rounding_and_clamping(name):
    least, most = WIDE[name]
    x = mg.tensor([0.5, 1.5, 2.5, -0.5, 1e30, -1e30, float("inf"), -float("inf"), 7.3])
    q = mg.quantize_per_tensor(x, 1.0, 10, getattr(mg, name))
    assert q.int_repr().tolist() == [10, 12, 12, 10, most, least, most, least, 17]  # 10.5 is halfway to the even 10
    assert q.int_repr().dtype is getattr(mg, name[1:] if name != "quint8" else "uint8")
    assert q.dequantize().tolist()[:4] == [0.0, 2.0, 2.0, 0.0]
    # a plain formula, away from halves
    values = mg.randn(300) * 20
    found = mg.quantize_per_tensor(values, 0.37, 3, getattr(mg, name)).int_repr().tolist()
    assert found == [min(max(round(value / 0.37) + 3, least), most) for value in values.tolist()]


def test_channels():
    x = mg.tensor([[1.0, 2.0], [1.0, 2.0], [-3.0, 0.3]])
    scales, zeros = mg.tensor([1.0, 0.5, 0.1]), mg.tensor([0, 1, 2])
    q = mg.quantize_per_channel(x, scales, zeros, 0, mg.qint8)
    assert q.int_repr().tolist() == [[1, 2], [3, 5], [-28, 5]]
    scales[0] = 9
    assert q.q_per_channel_scales().dtype is mg.float64 and q.q_per_channel_scales()[0] == 1
    assert q.q_per_channel_zero_points().tolist() == [0, 1, 2] and q.q_per_channel_axis() == 0
    assert mg.allclose(q.dequantize(), x) and q.qscheme() is mg.per_channel_affine
    q = mg.quantize_per_channel(x.t(), scales, zeros, 1, mg.quint8)
    assert q.q_per_channel_axis() == 1 and q.shape == (2, 3)


def test_several_and_scalars():
    first, second = mg.quantize_per_tensor(
        [mg.ones(2), mg.ones(3)], mg.tensor([0.5, 0.25]), mg.tensor([1, 2]), mg.quint8
    )
    assert first.q_scale() == 0.5 and second.q_zero_point() == 2
    assert mg.quantize_per_tensor(mg.ones(1), mg.tensor(0.5), mg.tensor(1), mg.quint8).item() == 1.0
    assert [x.tolist() for x in mg.dequantize([first, mg.ones(1)])] == [[1.0, 1.0], [1.0]]


@pytest.mark.parametrize(
    "kind, call, match",
    [
        (RuntimeError, lambda q, c: mg.quantize_per_tensor(mg.ones(2), 1, 300, mg.quint8), "300 is above upper bound"),
        (RuntimeError, lambda q, c: mg.quantize_per_tensor(mg.ones(2), 1, -1, mg.quint8), "-1 is below lower bound"),
        (RuntimeError, lambda q, c: mg.quantize_per_tensor(mg.ones(2).double(), 1, 0, mg.quint8), "Float Tensor"),
        (RuntimeError, lambda q, c: mg.quantize_per_tensor(q, 1, 0, mg.quint8), "Float Tensor"),
        (RuntimeError, lambda q, c: mg.quantize_per_tensor(mg.ones(2), 1, 0, mg.int8), "qint8, quint8 or qint32"),
        (RuntimeError, lambda q, c: mg.quantize_per_channel(mg.ones(2, 3), mg.ones(3), mg.zeros(2).long(), 0, mg.qint8),
         "length of scales"),
        (RuntimeError, lambda q, c: mg.quantize_per_channel(mg.ones(2), mg.ones(2), mg.zeros(2).long(), 1, mg.qint8),
         "out of range"),
        (NotImplementedError, lambda q, c: mg.quantize_per_channel(mg.ones(2), mg.ones(2), mg.ones(2), 0, mg.qint8),
         "zero_points.long"),
        (RuntimeError, lambda q, c: q.q_per_channel_scales(), "per_tensor_affine"),
        (RuntimeError, lambda q, c: c.q_scale(), "per_channel_affine"),
        (RuntimeError, lambda q, c: c.reshape(-1), "per_channel_affine"),
        (NotImplementedError, lambda q, c: mg.ones(2).int_repr(), "int_repr: only quantized"),
        (NotImplementedError, lambda q, c: mg.q_scale(mg.ones(2)), "q_scale: only quantized"),
        (NotImplementedError, lambda q, c: q + q, "add: not supported for quantized"),
        (NotImplementedError, lambda q, c: q.sum(), "sum: not supported"),
        (NotImplementedError, lambda q, c: mg.exp(q), "exp: not supported"),
        (NotImplementedError, lambda q, c: nn.functional.softmax(q, 1), "softmax: not supported"),
        (NotImplementedError, lambda q, c: nn.Conv2d(3, 2, 1)(q), "conv2d: not supported"),
        (NotImplementedError, lambda q, c: q.float(), "float: not supported"),
        (NotImplementedError, lambda q, c: q.mean(), "mean over other"),
        (NotImplementedError, lambda q, c: q.tolist(), "tolist: not supported"),
        (NotImplementedError, lambda q, c: nn.functional.relu(c), "activations are quint8"),
        (TypeError, lambda q, c: q.numpy(), "QUInt8"),
        (RuntimeError, lambda q, c: mg.zeros(2, dtype=mg.qint8), "quantize_per_tensor makes"),
        (RuntimeError, lambda q, c: mg.ones(2).to(mg.quint8), "quantize_per_tensor makes"),
        (RuntimeError, lambda q, c: q.requires_grad_(), "floating point"),
        (AttributeError, lambda q, c: mg.ones(2).qscheme(), "only quantized tensors have it"),
        (RuntimeError, lambda q, c: setattr(mg.backends.quantized, "engine", "tpu"), "tpu is not supported"),
    ],
)  # fmt: skip
def test_errors(kind, call, match):
    with pytest.raises(kind, match=match):
        call(per_tensor(), per_channel())


def test_what_it_is():
    q = per_tensor()
    assert q.is_quantized and not mg.ones(1).is_quantized and q.dtype is mg.quint8 and not q.is_floating_point()
    assert q.shape == (2, 3, 4, 5) and q.size(1) == 3 and q.dim() == 4 and q.numel() == 120 and len(q) == 2
    assert q.element_size() == 1 and q.stride() == (60, 20, 5, 1) and str(q.device) == "cpu" and q.grad is None
    assert q.type() == "torch.quantized.QUInt8Tensor" and isinstance(mg.qint8, mg.dtype) and mg.qint32.itemsize == 4
    assert q.qscheme() is mg.per_tensor_affine and isinstance(q.qscheme(), mg.qscheme)
    assert (q.q_scale(), q.q_zero_point()) == (0.1, 20) and mg.int_repr(q).equal(q.int_repr())
    assert not q.requires_grad and q.is_leaf and q.to("cpu") is q and q.cpu() is q


def test_moving_elements():
    q = per_tensor()
    numbers = q.int_repr()
    for move in (
        lambda x: x.reshape(6, 20), lambda x: x.view(-1), lambda x: x.permute(3, 1, 0, 2), lambda x: x.transpose(0, 2),
        lambda x: x.flatten(1), lambda x: x[1], lambda x: x[:, 1:, ..., 0], lambda x: x.unsqueeze(0).squeeze(0),
        lambda x: mg.flatten(x, 1), lambda x: x.chunk(2, 3)[1], lambda x: mg.split(x, 2, 2)[0],
        lambda x: x.contiguous(), lambda x: x.clone(), lambda x: x.detach(),
    ):  # fmt: skip
        assert move(q).int_repr().equal(move(numbers)) and move(q).q_scale() == 0.1
    assert q.reshape(-1)._q.data_ptr() == q.data_ptr()  # a view


def test_equality_and_copies():
    q, c = per_tensor(), per_channel()
    assert q.equal(q.clone()) and mg.equal(q, q.clone()) and not q.equal(per_tensor(scale=0.2))
    assert not q.equal(q.int_repr()) and not q.equal(c) and c.equal(c.clone())
    assert (q == q).all() and (q == q.dequantize()).all() and not (q != q).any()
    for one in (q, c):
        assert copy.deepcopy(one).equal(one) and copy.copy(one).equal(one)
        assert pickle.loads(pickle.dumps(one)).equal(one)
    pair = copy.deepcopy([q, q])
    assert pair[0] is pair[1] and pair[0] is not q
    for one in (mg.quint8, mg.per_tensor_affine):
        assert copy.deepcopy(one) is one and pickle.loads(pickle.dumps(one)) is one


def test_printing():
    q = mg.quantize_per_tensor(mg.tensor([-1.0, 0.26]), 0.1, 10, mg.quint8)
    assert repr(q) == (
        "tensor([-1.0000,  0.3000], size=(2,), dtype=minigrad.quint8,\n"
        "       quantization_scheme=minigrad.per_tensor_affine, scale=0.1, zero_point=10)"
    )
    assert f"{q[0]:.2f}" == "-1.00" and str(mg.per_channel_affine) == "minigrad.per_channel_affine"
    assert "zero_point=tensor([0, 0]), axis=0)" in repr(per_channel(2, (1,)))


# ---------------------------------------------------------------- files
CONTENT = {
    "q": per_tensor(), "c": per_channel(), "t": mg.quint8, "s": mg.per_channel_affine,
    "v": per_tensor().permute(3, 2, 1, 0),
}  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
def test_files(zipped):
    file = io.BytesIO()
    mg.save(CONTENT, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    found = mg.load(file)
    assert all(found[name].equal(CONTENT[name]) for name in "qcv")
    assert found["t"] is mg.quint8 and found["s"] is mg.per_channel_affine


def test_tensors_of_one_memory_stay_so():
    file = io.BytesIO()
    q = per_tensor()
    mg.save([q, q.reshape(-1), q], file)
    file.seek(0)
    first, second, third = mg.load(file)
    assert first is third and first.data_ptr() == second.data_ptr()


def damaged(old, new, value=CONTENT):
    file, out = io.BytesIO(), io.BytesIO()
    mg.save(value, file)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                assert old in data
                data = data.replace(old, new)
            target.writestr(name, data)
    out.seek(0)
    return out


@pytest.mark.parametrize(
    "old, new, match",
    [
        (b"per_tensor_affine", b"per_channel_affine", "a float where|a quantized tensor|damaged|unknown scheme"),
        (b"per_tensor_affine", b"per_tensor_symmetric", "unknown scheme"),
        (b"QUInt8Storage", b"ByteStorage", "a quantized tensor of uint8 numbers"),
        (b"DoubleStorage", b"QInt8Storage", "damaged|end"),
        (b"ctorch._utils\n_rebuild_qtensor", b"ctorch._utils\n_rebuild_tensor_v2", "damaged"),
        (b"K\x14\x87", b"J\xff\xff\xff\xff\x87", "zero_point -1 is below"),
    ],
)
def test_damaged_files(old, new, match):
    with pytest.raises(pickle.UnpicklingError, match=match):
        mg.load(damaged(old, new))


def test_a_plain_tensor_on_quantized_numbers_is_refused():
    file = damaged(b"CharStorage", b"QInt8Storage", mg.ones(2, dtype=mg.int8))
    with pytest.raises(pickle.UnpicklingError, match="qint8 numbers without a scale"):
        mg.load(file)


# ---------------------------------------------------------------- what networks compute
def test_functions_are_the_float_ones_rounded():
    x, y = per_tensor(), per_tensor(scale=0.07, zero_point=60)
    a, b = x.dequantize(), y.dequantize()
    functional = nn.functional
    cases = [
        (Q.add(x, y, 0.2, 30), a + b), (Q.add(x, y, 0.2, 30, True), mg.relu(a + b)), (Q.mul(x, y, 0.3, 70), a * b),
        (Q.cat([x, y], 1, 0.15, 25), mg.cat([a, b], 1)), (mg.cat([x, y], 2), mg.cat([a, b], 2)),
        (mg.relu(x), mg.relu(a)), (Q.relu6(x), functional.relu6(a)), (Q.hardswish(x, 0.1, 9), functional.hardswish(a)),
        (functional.hardsigmoid(x), functional.hardsigmoid(a)),
        (functional.max_pool2d(x, 3, 2, 1), functional.max_pool2d(a, 3, 2, 1)),
        (nn.MaxPool2d(2, ceil_mode=True)(x), nn.MaxPool2d(2, ceil_mode=True)(a)),
        (functional.avg_pool2d(x, 3, 1, 1), functional.avg_pool2d(a, 3, 1, 1)),
        (functional.adaptive_avg_pool2d(x, (3, 2)), functional.adaptive_avg_pool2d(a, (3, 2))),
        (nn.AdaptiveAvgPool2d(1)(x), a.mean([2, 3], keepdim=True)), (x.mean([2, 3]), a.mean([2, 3])),
        (x.mean((-1, -2), keepdim=True), a.mean((-1, -2), keepdim=True)), (nn.Dropout().eval()(x), a),
    ]  # fmt: skip
    for index, (found, expected) in enumerate(cases):
        low, high = -found.q_scale() * found.q_zero_point(), found.q_scale() * (255 - found.q_zero_point())
        distance = (found.dequantize() - expected.clamp(low, high)).abs().max()
        assert found.shape == expected.shape and distance <= found.q_scale() * 0.501, index


def whole(numbers):
    return numbers.to(mg.float64)


@pytest.mark.parametrize("engine", ["fbgemm", "qnnpack"])
@pytest.mark.parametrize("groups, stride, padding, dilation", [(1, 1, 1, 1), (2, 2, 0, 1), (4, 1, 2, 2)])
def test_convolution(engine, groups, stride, padding, dilation):
    mg.backends.quantized.engine = engine
    x, w, bias = per_tensor((2, 8, 9, 7)), per_channel(12, (8 // groups, 3, 3)), mg.randn(12)
    layer = nn.quantized.Conv2d(8, 12, 3, stride, padding, dilation, groups)
    layer.set_weight_bias(w, bias)
    layer.scale, layer.zero_point = 0.21, 70
    sums = nn.functional.conv2d(
        whole(x.int_repr()) - 20, whole(w.int_repr()), None, stride, padding, dilation, groups
    )
    scale = (0.1 * w.q_per_channel_scales()).reshape(-1, 1, 1)
    exact = (sums * scale + whole(bias).reshape(-1, 1, 1)) / 0.21 + 70
    found = layer(x)
    assert (whole(found.int_repr()) - exact.clamp(0, 255)).abs().max() < 0.503  # of qnnpack the bias is rounded too
    assert found.q_scale() == 0.21 and found.q_zero_point() == 70 and found.dtype is mg.quint8
    both = nn.intrinsic.quantized.ConvReLU2d(8, 12, 3, stride, padding, dilation, groups)
    both.load_state_dict(layer.state_dict())
    assert both(x).int_repr().equal(found.int_repr().clamp(min=70))


def test_sums_beyond_the_digits_of_float32_are_exact():
    count = 2000
    x = Q.made_of(mg.full((3, count), 255).to(mg.uint8), mg.quint8, 1.0, 0)
    w = mg.full((2, count), 127).to(mg.int8)
    w[1, 0] = 126
    layer = nn.quantized.Linear(count, 2)
    layer.set_weight_bias(Q.made_of(w, mg.qint8, 1.0, 0), None)
    sums = 255 * 127 * count
    assert sums > 1 << 24
    from minigrad.kernels import quantized as kernels

    assert kernels.product(x._q.array, 0, w.array).tolist() == [[sums, sums - 255]] * 3
    image, kernel = x._q.array.reshape(3, count, 1, 1), w.array.reshape(2, count, 1, 1)
    assert kernels.convolution(image, 0, kernel, (1, 1), (0, 0), (1, 1), 1).reshape(3, 2).tolist() == [
        [sums, sums - 255]
    ] * 3


def test_empty_batches():
    x = per_tensor((0, 3, 4, 5))
    assert nn.quantized.Conv2d(3, 4, 3)(x).shape == (0, 4, 2, 3) and nn.quantized.Linear(5, 2)(x).shape == (0, 3, 4, 2)
    assert x.mean([2, 3]).shape == (0, 3) and nn.functional.adaptive_avg_pool2d(x, 1).shape == (0, 3, 1, 1)
    assert "size=(0, 3, 4, 5)" in repr(x)


def test_winograd_is_not_used(monkeypatch):
    from minigrad.kernels import conv

    monkeypatch.setattr(conv, "forward_winograd", None)
    x = per_tensor((1, 64, 32, 32))
    nn.quantized.Conv2d(64, 64, 3, padding=1)(x)


def test_linear_and_its_relu():
    x, w, bias = per_tensor((5, 30)), per_channel(7, (30,)), mg.randn(7)
    layer = nn.quantized.Linear(30, 7)
    layer.set_weight_bias(w, bias)
    layer.scale, layer.zero_point = 0.1, 90
    exact = (whole(x.dequantize()) @ whole(w.dequantize()).T + whole(bias)) / 0.1 + 90
    assert (whole(layer(x).int_repr()) - exact.clamp(0, 255)).abs().max() < 0.501
    both = nn.intrinsic.quantized.LinearReLU(30, 7)
    both.load_state_dict(layer.state_dict())
    assert both(x).int_repr().equal(layer(x).int_repr().clamp(min=90))


# ---------------------------------------------------------------- layers
def test_keys_and_versions():
    layer = nn.quantized.Linear(3, 2)
    state = layer.state_dict()
    assert list(state) == ["scale", "zero_point", "_packed_params.dtype", "_packed_params._packed_params"]
    assert list(nn.quantized.Conv2d(1, 1, 1).state_dict()) == ["weight", "bias", "scale", "zero_point"]
    assert list(nn.quantized.Quantize(1.0, 0, mg.quint8).state_dict()) == ["scale", "zero_point"]
    assert list(nn.quantized.QFunctional().state_dict()) == ["scale", "zero_point"]
    assert list(nn.quantized.FloatFunctional().state_dict()) == []
    assert list(nn.quantized.Hardswish(1.0, 0).state_dict()) == ["scale", "zero_point"]
    weight, bias = per_channel(2, (3,)), mg.randn(2)
    scaled = {"scale": mg.tensor(0.5), "zero_point": mg.tensor(3)}
    packed = "_packed_params."
    for old in (
        {"weight": weight, "bias": bias},
        {f"{packed}weight": weight, f"{packed}bias": bias, f"{packed}dtype": mg.qint8},
        {f"{packed}_packed_params": (weight, bias), f"{packed}dtype": mg.qint8},
    ):
        fresh = nn.quantized.Linear(3, 2)
        fresh.load_state_dict({**scaled, **old})
        assert fresh.weight().equal(weight) and fresh.bias().equal(bias)
        assert (fresh.scale, fresh.zero_point) == (0.5, 3)


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda s: s.pop("weight"), r"Missing key\(s\) in state_dict: \"weight\""),
        (lambda s: s.pop("scale"), r"Missing key\(s\) in state_dict: \"scale\""),
        (lambda s: s.update(more=mg.ones(1)), r"Unexpected key\(s\) in state_dict: \"more\""),
        (lambda s: s.update(weight=mg.ones(2, 3, 1, 1)), "is a qint8 tensor, but got"),
        (lambda s: s.update(weight=per_channel(2, (4, 1, 1))), r"must be of size \(2, 3, 1, 1\)"),
        (lambda s: s.update(bias=mg.ones(5)), r"bias must be of size \(2,\)"),
    ],
)
def test_states_that_do_not_fit(change, match):
    layer = nn.quantized.Conv2d(3, 2, 1)
    state = layer.state_dict()
    change(state)
    with pytest.raises(RuntimeError, match=match):
        nn.quantized.Conv2d(3, 2, 1).load_state_dict(state)


@pytest.mark.parametrize(
    "kind, call, match",
    [
        (NotImplementedError, lambda: nn.quantized.Conv2d(1, 1, 1, padding_mode="reflect"), "reflect"),
        (ValueError, lambda: nn.quantized.Conv2d(3, 4, 1, groups=2), "divisible by groups"),
        (RuntimeError, lambda: nn.quantized.Conv2d(3, 4, 1)(per_tensor((2, 4, 3, 3))), r"\(N, 3, H, W\)"),
        (RuntimeError, lambda: nn.quantized.Linear(3, 4)(per_tensor((2, 4))), r"\(…, 3\)"),
        (RuntimeError, lambda: nn.quantized.Conv2d(3, 4, 3)(per_tensor((1, 3, 2, 5))), "Kernel size can't be greater"),
        (ValueError, lambda: nn.quantized.QFunctional().cat([]), "non-empty list"),
        (NotImplementedError, lambda: nn.quantized.Linear(3, 4)(mg.ones(2, 3)), "expected a quantized tensor"),
        (NotImplementedError, lambda: nn.quantized.QFunctional().add_scalar(per_tensor(), 1.0), "not supported"),
        (RuntimeError, lambda: nn.quantized.FloatFunctional()(mg.ones(1)), "has no forward"),
        (AttributeError, lambda: nn.quantized.LSTM, "LSTM"),
        (NotImplementedError, lambda: nn.quantized.Linear(2, 2).set_weight_bias(
            Q.made_of(mg.ones(2, 2, dtype=mg.int8), mg.qint8, 1.0, 3), None), "zero point other than 0"),
    ],
)  # fmt: skip
def test_errors_of_layers(kind, call, match):
    with pytest.raises(kind, match=match):
        call()


def test_functionals():
    f, a, b = nn.quantized.FloatFunctional(), mg.tensor([1.0, -2.0]), mg.tensor([3.0, 1.0])
    assert f.add(a, b).tolist() == [4, -1] and f.add_relu(a, b).tolist() == [4, 0] and f.mul(a, b).tolist() == [3, -2]
    assert f.cat([a, b]).tolist() == [1, -2, 3, 1] and f.add_scalar(a, 1.0).tolist() == [2, -1]
    assert f.mul_scalar(a, 2.0).tolist() == [2, -4] and f.matmul(a, b) == 1


# ---------------------------------------------------------------- making networks
def test_observers():
    observer = quantization.MinMaxObserver()
    assert [v.tolist() for v in observer.calculate_qparams()] == [[1.0], [0]]
    observer(mg.tensor([0.5, 2.55]))
    observer(mg.tensor([[1.0], [2.0]]))
    scale, zero = observer.calculate_qparams()
    assert scale.item() == pytest.approx(0.01) and zero.item() == 0 and zero.dtype is mg.int64
    moving = quantization.MovingAverageMinMaxObserver(averaging_constant=0.5)
    moving(mg.tensor([-1.0, 1.0]))
    moving(mg.tensor([-3.0, 5.0]))
    assert (moving.min_val.item(), moving.max_val.item()) == (-2, 3)
    each = quantization.default_per_channel_weight_observer()
    each(mg.tensor([[1.0, -2.0], [0.1, 0.2]]))
    scale, zero = each.calculate_qparams()
    assert mg.allclose(scale, mg.tensor([2.0, 0.2]) / 127.5) and zero.tolist() == [0, 0]
    each.reset_min_max_vals()
    assert each.min_val.numel() == 0
    half = quantization.MinMaxObserver(dtype=mg.quint8, qscheme=mg.per_tensor_symmetric, reduce_range=True)
    half(mg.ones(2))
    assert half.quant_max == 127 and half.calculate_qparams()[1].item() == 128
    for call, kind in (
        (lambda: quantization.MinMaxObserver(qscheme=mg.per_channel_affine), NotImplementedError),
        (lambda: quantization.MinMaxObserver(dtype=mg.int8), NotImplementedError),
        (lambda: quantization.MinMaxObserver(quant_min=3, quant_max=9), AssertionError),
    ):
        with pytest.raises(kind):
            call()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv, self.bn, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.same = nn.Conv2d(8, 8, 1)
        self.sum = nn.quantized.FloatFunctional()
        self.act = nn.Hardswish()
        self.fc1, self.relu1, self.fc2 = nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)

    def forward(self, x):
        x = self.relu(self.bn(self.conv(self.quant(x))))
        x = self.act(self.sum.add(x, self.same(x)))
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.dequant(self.fc2(self.relu1(self.fc1(x))))


def trained():
    net = Net()
    for _ in range(3):
        net(mg.randn(8, 3, 8, 8) * 2 + 1)
    return net.eval()


def test_steps():
    net, x = trained(), mg.randn(16, 3, 8, 8)
    expected = net(x)
    fused = quantization.fuse_modules(net, [["conv", "bn", "relu"], ["fc1", "relu1"]])
    assert mg.allclose(fused(x), expected, atol=1e-5) and isinstance(net.bn, nn.BatchNorm2d)
    assert isinstance(fused.conv, nn.intrinsic.ConvReLU2d) and isinstance(fused.bn, nn.Identity)
    fused.qconfig = quantization.default_qconfig
    prepared = quantization.prepare(fused)
    prepared(x)
    eight = quantization.convert(prepared)
    assert mg.allclose(prepared(x), expected, atol=1e-5)  # a copy was converted
    kinds = {name: type(module).__name__ for name, module in eight.named_children()}
    assert kinds["conv"] == "ConvReLU2d" and kinds["sum"] == "QFunctional" and kinds["act"] == "Hardswish"
    assert eight.fc1.weight().dtype is mg.qint8 and not hasattr(eight, "qconfig")
    error = (eight(x) - expected).abs().max()
    assert 0 < error < 0.15 * (expected.max() - expected.min())
    again = quantization.quantize(fused, lambda model, x: model(x), [x])
    assert again(x).equal(eight(x))
    fresh = copy.deepcopy(eight)
    fresh.load_state_dict(again.state_dict())
    assert fresh(x).equal(eight(x)) and pickle.loads(pickle.dumps(eight))(x).equal(eight(x))


def test_errors_of_steps():
    net = trained()
    with pytest.raises(AssertionError, match="eval"):
        quantization.fuse_modules(copy.deepcopy(net).train(), ["conv", "bn"])
    with pytest.raises(NotImplementedError, match="Cannot fuse modules: Linear, Linear"):
        quantization.fuse_modules(net, ["fc1", "fc2"])
    net.qconfig = quantization.default_qconfig
    with pytest.raises(NotImplementedError, match="BatchNorm2d has no eight-bit layer"):
        quantization.convert(quantization.prepare(net))
    net.bn.qconfig = None
    for name in ("quantize_dynamic", "prepare_qat", "HistogramObserver", "get_default_qconfig"):
        with pytest.raises(AttributeError, match=name):
            getattr(quantization, name)


# ---------------------------------------------------------------- networks
NETWORKS = {
    "resnet18": {"image_size": 32}, "resnet50": {"image_size": 32},
    "googlenet": {"image_size": 32, "aux_logits": False},
    "inception_v3": {"image_size": 64, "aux_logits": False}, "mobilenet_v2": {"width_mult": 0.25, "image_size": 32},
    "mobilenet_v3_large": {"width_mult": 0.25, "image_size": 32}, "shufflenet_v2_x0_5": {"image_size": 32},
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, tmp_path):
    settings = {"num_classes": 5, **NETWORKS[name]}
    model = models.build(f"quantized_{name}", quantize=True, **settings)
    side = settings["image_size"]
    x = mg.rand(2, 3, side, side)
    assert model(x).shape == (2, 5) and not model.training
    assert mg.backends.quantized.engine == ("qnnpack" if name.startswith("mobile") else "fbgemm")
    kinds = {type(module) for module in model.modules()}
    assert not kinds & {nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.quantized.FloatFunctional}
    path = tmp_path / "weights.pth"
    mg.save(model.state_dict(), path)
    loaded = models.build(f"quantized_{name}", quantize=True, weights=path, **settings)
    assert loaded(x).equal(model(x))
    with pytest.raises(RuntimeError, match="of another network"):
        models.build(f"quantized_{name}", weights=path, **settings)


def test_fusing_keeps_the_function():
    model = models.quantization.resnet18(num_classes=3, image_size=32)
    model(mg.randn(4, 3, 32, 32))
    model.eval()
    x = mg.randn(2, 3, 32, 32)
    expected = model(x)
    model.fuse_model()
    assert mg.allclose(model(x), expected, atol=1e-4) and isinstance(model.layer1[0].bn1, nn.Identity)
    with pytest.raises(NotImplementedError, match="is_qat=False"):
        models.quantization.resnet18(num_classes=3, image_size=32).eval().fuse_model(is_qat=True)
    with pytest.raises(RuntimeError, match="'fbgemm' or 'qnnpack'"):
        models.quantization.resnet18(quantize=True, backend="tpu", image_size=32)


def test_files_of_older_versions():
    settings = {"num_classes": 3, "image_size": 32, "quantize": True}
    model = models.build("quantized_resnet18", **settings)
    state = model.state_dict()
    weight, bias = state.pop("fc._packed_params._packed_params")
    state.pop("fc._packed_params.dtype")
    x = mg.rand(1, 3, 32, 32)
    for old in ("fc.", "fc._packed_params."):
        other = models.build("quantized_resnet18", **settings)
        registry.fit_state(other, {**state, f"{old}weight": weight, f"{old}bias": bias}, "file")
        assert other(x).equal(model(x))
    scalars = {name: v.reshape(1) if v.numel() == 1 and not v.is_quantized else v for name, v in state.items()}
    registry.fit_state(other, {**scalars, "fc.weight": weight, "fc.bias": bias}, "file")
    assert other(x).equal(model(x))
    numbers = {name: v.item() if v.numel() == 1 and not v.is_quantized else v for name, v in state.items()}
    registry.fit_state(other, registry.state_of({**numbers, "fc.weight": weight, "fc.bias": bias}, "file"), "file")
    assert other(x).equal(model(x))
    with pytest.raises(NotImplementedError, match="summary: eight-bit networks"):
        mg.summary(model, (1, 3, 32, 32))
    with pytest.raises(ValueError, match="has no parameters, as eight-bit"):
        models.optimize_for_inference(model)
    with pytest.raises(RuntimeError, match="does not fit QuantizableResNet"):
        registry.fit_state(other, {**state, "fc.weight": per_channel(3, (4,)), "fc.bias": bias}, "file")


def test_files_of_training_with_quantization_in_mind():
    settings = {"num_classes": 3, "image_size": 32, "width_mult": 0.25}
    model = models.quantization.mobilenet_v3_large(quantize=True, **settings)
    modules = dict(models.quantization.mobilenet_v3_large(**settings).eval().named_modules())
    seen = nn.Conv2d, nn.Linear, nn.Hardswish, quantization.QuantStub, nn.quantized.FloatFunctional
    state = {}
    for name, module in modules.items():
        if isinstance(module, seen):
            state[f"{name}.activation_post_process.activation_post_process.min_val"] = mg.tensor(-1.0)
            state[f"{name}.activation_post_process.activation_post_process.max_val"] = mg.tensor(3.0)
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            state.update((f"{name}.{key}", value) for key, value in module.state_dict().items())
            norm = modules.get(f"{name[:-1]}1")
            if isinstance(norm, nn.BatchNorm2d):
                state.update((f"{name}.bn.{key}", value) for key, value in norm.state_dict().items())
            looked = f"{name}.weight_fake_quant."
            state[f"{looked}scale"] = mg.ones(1)
            state[f"{looked}observer_enabled"] = mg.tensor([int(isinstance(module, nn.Linear))])
            state[f"{looked}activation_post_process.min_val"] = mg.tensor(-2.0)
            state[f"{looked}activation_post_process.max_val"] = mg.tensor(2.0)
    registry.fit_state(model, state, "file")
    first, last = model.features[0][0], model.classifier[3]
    for layer in (first, last, model.features[4].skip_add, model.classifier[1]):
        assert float(layer.scale) == pytest.approx(4 / 255) and int(layer.zero_point) == 64
    assert model.quant.scale.shape == (1,) and model.quant.zero_point.item() == 64
    assert first.weight().q_scale() == pytest.approx(2 / 127.5)  # not observed any more
    newest = modules["classifier.3"].weight.abs().max().item()
    assert last.weight().q_scale() < 2 / 127.5 and newest < 1
    expected = modules["features.0.0"].weight / mg.sqrt(mg.tensor(1.001))  # folded with a fresh batch norm
    assert mg.allclose(first.weight().dequantize(), expected, atol=1.01 / 127.5)
    assert mg.isfinite(model(mg.rand(4, 3, 32, 32))).all()


def test_import_is_lazy():
    import subprocess
    import sys

    code = "import sys, minigrad; print([n for n in sys.modules if 'quantized' in n or n.startswith('minigrad.ao')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "['minigrad.backends.quantized']"


def test_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.quantized.Conv2d(1, 1, 1)(per_tensor((1, 1, 2, 2)))


def test_networks_without_quantized_tensors_pay_nothing():
    """Quantized tensors are a subclass of Tensor, from which on functions ask for their arguments' classes."""
    import subprocess
    import sys

    code = "import models, minigrad; models.lenet5(); print('__torch_function__' in vars(minigrad.Tensor))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "False"
