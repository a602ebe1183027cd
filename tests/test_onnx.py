"""Exported files pass ONNX's checker and give the same results in onnxruntime, also for another batch size."""

import io
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.backend import np
from minigrad.onnx.graph import BUILDERS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
nn, F = mg.nn, mg.nn.functional

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-5  # of the largest element


class Calls(nn.Module):
    """A module that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def tensors(result):
    if isinstance(result, mg.Tensor):
        return [result]
    return [tensor for part in (result.values() if isinstance(result, dict) else result) for tensor in tensors(part)]


def session_of(file):
    """Return an onnxruntime session of a file's bytes that passed the checker, on one thread, without fusions."""
    onnx.checker.check_model(onnx.load_from_string(file), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def compare(session, model, args):
    """Assert that a session and the model give the same for these arguments."""
    names = [f"x{i}" for i in range(len(args))]
    feeds = {name: arg.numpy() for name, arg in zip(names, args, strict=True)}
    asked = {one.name for one in session.get_inputs()}
    found = session.run(None, {name: array for name, array in feeds.items() if name in asked})
    training = model.training
    model.eval()
    with mg.no_grad():
        wanted = tensors(model(*[arg.clone() for arg in args]))
    model.train(training)
    assert len(found) == len(wanted)
    for one, tensor in zip(found, wanted, strict=True):
        array = tensor.numpy()
        assert one.shape == array.shape and one.dtype == array.dtype
        largest = np.abs(array).max(initial=0) if array.dtype.kind == "f" else 0
        np.testing.assert_allclose(one, array, rtol=0, atol=TOLERANCE * largest)


def another_batch(arg, count):
    return mg.cat([arg.flip(0), arg.flip(0)])[:count]


def check(model, *args, dynamic=True, **settings):
    """Export a model and compare it with its file on the example and, if dynamic, on batches of 1 and 4; its bytes."""
    if not isinstance(model, nn.Module):
        model = Calls(model)
    names = [f"x{i}" for i in range(len(args))]
    axes = {name: {0: "batch"} for name in names} if dynamic else None
    file = io.BytesIO()
    mg.onnx.export(model, args, file, input_names=names, dynamic_axes=axes, **settings)
    session = session_of(file.getvalue())
    compare(session, model, args)
    for count in (1, 4) if dynamic else ():
        compare(session, model, [another_batch(arg, count) for arg in args])
    return file.getvalue()


def randn(*shape):
    return mg.randn(*shape, generator=mg.Generator().manual_seed(len(shape)))


X, V, Q, C = (3, 6), (2, 4, 9), (2, 4, 8, 7), (2, 3, 5, 6, 4)  # shapes of examples: rows, sequences, images, volumes

MODULES = {
    "Linear": (nn.Linear(6, 4), X),
    "Linear of sequences": (nn.Linear(9, 4), V),
    "Linear without bias": (nn.Linear(9, 4, bias=False), Q[:2] + (9,)),
    "Bilinear": (nn.Bilinear(6, 6, 3), X, X),
    "Conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2), V),
    "Conv2d": (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2), Q),
    "Conv2d same": (nn.Conv2d(4, 6, 4, padding="same"), Q),
    "Conv2d reflect": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), Q),
    "Conv3d": (nn.Conv3d(3, 2, 3, padding=1, bias=False), C),
    "ConvTranspose1d": (nn.ConvTranspose1d(4, 3, 3, stride=2, padding=1, output_padding=1), V),
    "ConvTranspose2d": (nn.ConvTranspose2d(4, 6, 3, stride=(2, 3), groups=2, dilation=2, bias=False), Q),
    "ConvTranspose3d": (nn.ConvTranspose3d(3, 2, 2, stride=2), C),
    "MaxPool1d": (nn.MaxPool1d(3, 2, 1), V),
    "MaxPool2d": (nn.MaxPool2d(3, 2, ceil_mode=True), Q),
    "MaxPool2d dilated": (nn.MaxPool2d(3, 1, 1, dilation=2), Q),
    "MaxPool3d": (nn.MaxPool3d(2), C),
    "AvgPool1d": (nn.AvgPool1d(3, 2, 1), V),
    "AvgPool2d": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), Q),
    "AvgPool2d ceil": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), Q),
    "AvgPool2d divisor": (nn.AvgPool2d(2, divisor_override=3), Q),
    "AvgPool3d": (nn.AvgPool3d(2), C),
    "LPPool2d": (nn.LPPool2d(2, 2), Q),
    "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d(3), V),
    "AdaptiveAvgPool2d to one": (nn.AdaptiveAvgPool2d(1), Q),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d((3, 5)), Q),
    "AdaptiveAvgPool3d": (nn.AdaptiveAvgPool3d((2, 3, 1)), C),
    "AdaptiveMaxPool1d": (nn.AdaptiveMaxPool1d(3), V),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d((3, 5)), Q),
    "AdaptiveMaxPool2d even": (nn.AdaptiveMaxPool2d((4, 7)), Q),
    "BatchNorm1d": (nn.BatchNorm1d(6), X),
    "BatchNorm1d of sequences": (nn.BatchNorm1d(4), V),
    "BatchNorm2d": (nn.BatchNorm2d(4, affine=False), Q),
    "BatchNorm3d": (nn.BatchNorm3d(3), C),
    "InstanceNorm1d": (nn.InstanceNorm1d(4), V),
    "InstanceNorm2d": (nn.InstanceNorm2d(4, affine=True), Q),
    "InstanceNorm2d running": (nn.InstanceNorm2d(4, track_running_stats=True), Q),
    "GroupNorm": (nn.GroupNorm(2, 4), Q),
    "LayerNorm": (nn.LayerNorm(9), V),
    "LayerNorm of images": (nn.LayerNorm((8, 7)), Q),
    "LayerNorm plain": (nn.LayerNorm(9, elementwise_affine=False), V),
    "RMSNorm": (nn.RMSNorm(9), V),
    "LocalResponseNorm": (nn.LocalResponseNorm(3), Q),
    "LocalResponseNorm even": (nn.LocalResponseNorm(2, alpha=0.3), Q),
    "Flatten": (nn.Flatten(), Q),
    "Unflatten": (nn.Unflatten(1, (2, 2)), Q),
    "PixelShuffle": (nn.PixelShuffle(2), Q),
    "PixelUnshuffle": (nn.PixelUnshuffle(2), (2, 3, 8, 6)),
    "ChannelShuffle": (nn.ChannelShuffle(2), Q),
    "Fold": (nn.Fold((8, 7), 3, padding=1), (2, 18, 56)),
    "Unfold": (nn.Unfold((3, 2), padding=1, stride=2), Q),
    "ZeroPad2d": (nn.ZeroPad2d((1, 2, 0, 3)), Q),
    "ConstantPad1d": (nn.ConstantPad1d((2, -1), 3.5), V),
    "ReflectionPad2d": (nn.ReflectionPad2d((1, 2, 3, 0)), Q),
    "ReplicationPad3d": (nn.ReplicationPad3d(1), C),
    "CircularPad2d": (nn.CircularPad2d((1, 2, 3, 4)), Q),
    "Upsample nearest": (nn.Upsample(scale_factor=2), Q),
    "Upsample nearest to a size": (nn.Upsample(size=(11, 5)), Q),
    "Upsample nearest-exact": (nn.Upsample(scale_factor=1.5, mode="nearest-exact"), Q),
    "Upsample linear": (nn.Upsample(scale_factor=2, mode="linear"), V),
    "Upsample bilinear": (nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), Q),
    "Upsample bilinear smaller": (nn.Upsample(size=(3, 1), mode="bilinear"), Q),
    "Upsample bilinear aligned": (nn.Upsample(size=(11, 5), mode="bilinear", align_corners=True), Q),
    "Upsample bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), Q),
    "Upsample trilinear": (nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True), C),
    "Dropout": (nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.2), nn.AlphaDropout()), Q),
    "LSTM": (nn.LSTM(9, 5, batch_first=True), V),
    "LSTM deep": (nn.LSTM(9, 5, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3), V),
    "LSTM without bias": (nn.LSTM(9, 5, bias=False, batch_first=True), V),
    "GRU": (nn.GRU(9, 5, num_layers=2, batch_first=True), V),
    "GRU bidirectional": (nn.GRU(9, 5, bidirectional=True, batch_first=True), V),
    "RNN": (nn.RNN(9, 5, batch_first=True), V),
    "RNN relu": (nn.RNN(9, 5, nonlinearity="relu", bidirectional=True, batch_first=True), V),
    "LSTMCell": (nn.LSTMCell(6, 5), X),
    "GRUCell": (nn.GRUCell(6, 5), X),
    "MultiheadAttention": (nn.MultiheadAttention(8, 2, batch_first=True), (2, 5, 8), (2, 6, 8), (2, 6, 8)),
    "TransformerEncoder": (nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), (2, 5, 8)),
    "TransformerEncoderLayer first": (
        nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True), (2, 5, 8)
    ),
    "Transformer": (nn.Transformer(8, 2, 1, 1, 16, batch_first=True), (2, 5, 8), (2, 4, 8)),
    "TransformerDecoderLayer": (nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), (2, 5, 8), (2, 4, 8)),
    "PReLU": (nn.PReLU(4), Q),
    "PReLU of one": (nn.PReLU(), X),
    "GLU": (nn.GLU(1), Q),
    "Softmax2d": (nn.Softmax2d(), Q),
    "CosineSimilarity": (nn.CosineSimilarity(1), X, X),
    "PairwiseDistance": (nn.PairwiseDistance(), X, X),
    "EmbeddingBag free": (nn.Sequential(nn.Linear(6, 8), nn.utils.parametrizations.weight_norm(nn.Linear(8, 3))), X),
}  # fmt: skip
_OWN_TEST = {"GLU", "MultiheadAttention", "PReLU", "Softmax2d"}
ACTIVATIONS = [name for name in nn.activation.__all__ if name not in _OWN_TEST]
_ARGUMENTS = {"Threshold": (0.1, -2.0), "Softmax": (1,), "LogSoftmax": (1,), "Softmin": (1,)}

FUNCTIONS = {
    "arithmetic": (lambda x, y: (x + y * 2 - 1) / (y.abs() + 0.5), X, X),
    "numbers first": (lambda x: 2 - x + 3 / (x.abs() + 1), X),
    "powers": (lambda x: x**2 + x.abs() ** 0.5 + x.abs().pow(x) + 2**x, X),
    "division": (lambda x: (x // 0.3, x % 0.3, mg.fmod(x, 0.3), mg.div(x, 0.3, rounding_mode="trunc")), X),
    "functions": (lambda x: sum(getattr(mg, name)(x.abs() + 0.1) for name in POSITIVE), X),
    "functions of any sign": (lambda x: [getattr(mg, name)(x * 2) for name in ANY_SIGN], X),
    "inside 1": (lambda x: [getattr(mg, name)(x.tanh() * 0.9) for name in ("asin", "acos", "atanh", "erf")], X),
    "logit": (lambda x: mg.logit(x.sigmoid(), 1e-3), X),
    "round": (lambda x: (mg.round(x), mg.round(x, decimals=2)), X),
    "clamp": (lambda x: (x.clamp(-0.5, 0.5), x.clamp(min=0), x.clamp(max=x.mean(1, keepdim=True))), X),
    "extremes": (lambda x, y: (mg.maximum(x, y), mg.minimum(x, y), mg.fmax(x, y)), X, X),
    "comparisons": (lambda x, y: (x > y, x >= 0, x < y, x <= 0.1, x == y, x != y), X, X),
    "logical": (lambda x: ((x > 0) & (x < 1) | ~(x > -1)) ^ (x > 0.5), X),
    "logical functions": (lambda x: mg.logical_and(x, x > 0).logical_or(x.long()).logical_not(), X),
    "where": (lambda x, y: (mg.where(x > 0, x, y), mg.where(x > 0, x, 0.0), x.masked_fill(x > 0, -1e9)), X, X),
    "not a number": (lambda x: ((x / 0).isnan(), (x / 0).isinf(), (x / 0).isfinite(), mg.nan_to_num(x / 0)), X),
    "combinations": (
        lambda x, y: (mg.hypot(x, y), mg.logaddexp(x, y), mg.lerp(x, y, 0.3), mg.xlogy(x, y.abs())), X, X
    ),
    "casts": (lambda x: (x.long(), x.double(), x.bool(), x.int().float(), x.half().float()), X),
    "integers": (lambda x: (x.long() * 10 // 3, x.long() * 10 % 3, -x.long(), x.long() + 0.5), X),
    "in place": (lambda x: (x * 1).add_(1).mul_(2).relu_().clamp_(max=3), X),
    "in place on a view": (lambda x: _write_columns(x), X),
    "in place with views before": (lambda x: _write_with_views(x), X, False),
    "sums": (lambda x: (x.sum(1), x.mean((2, 3)), x.sum((1, 2, 3), keepdim=True), x.prod(3), x.norm(dim=1)), Q),
    "reductions of all": (lambda x: (x.sum(), x.mean(), x.amax(), x.std(), x.argmax(), x.norm(), x.max()), X, False),
    "reductions of rows": (
        lambda x: (x.amax(1), x.amin((2, 3)), x.max(1), x.min(1, keepdim=True), x.argmax(1), x.argmin(2)), Q
    ),
    "variances": (lambda x: (x.var(1), x.std((2, 3)), x.var(1, unbiased=False, keepdim=True)), Q),
    "more reductions": (
        lambda x: (x.logsumexp(1), (x > 0).any(1), (x > 0).all(2), x.norm(1, dim=1), x.norm(3, dim=1), x.cumsum(1)), Q
    ),
    "counts": (lambda x: ((x > 0).sum(1), mg.count_nonzero(x.relu(), dim=1)), X),
    "softmax": (lambda x: (x.softmax(1), x.log_softmax(-1), F.softmin(x, 2)), Q),
    "normalize": (lambda x: F.normalize(x, dim=1), Q),
    "matmul": (lambda x, y: (x @ y.transpose(1, 2), x.matmul(y[0].t()), x @ y[0, 0]), V, V),
    "bmm": (lambda x, y: (mg.bmm(x, y.mT), mg.baddbmm(x @ y.mT, x, y.mT, beta=0.5, alpha=2)), V, V),
    "einsum": (lambda x, y: mg.einsum("nct,ndt->ncd", x, y), V, V),
    "attention": (lambda x, y: F.scaled_dot_product_attention(x, y, y), V, V),
    "causal attention": (lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), V),
    "reshape": (lambda x: (x.view(x.size(0), -1), x.reshape(-1, 4, 56), x.flatten(2), x.reshape(x.size(0) * 4, -1)), Q),
    "reshape to sizes": (lambda x: x.reshape(x.size(0) * 2, 2, x.size(0) * 0 + 8, 7).view(x.size(0), 2, 2, 8, 7), Q),
    "permute": (lambda x: (x.permute(0, 2, 3, 1), x.transpose(1, 2), x.movedim(1, -1), x.mT, x.swapaxes(0, 1)), Q),
    "expand": (lambda x: (x.unsqueeze(1).expand(-1, 3, -1), x[:, :1].expand_as(x), x.unsqueeze(0).squeeze(0)), X),
    "repeat": (lambda x: (x.repeat(2, 3), x.repeat_interleave(2, 1), mg.tile(x, (1, 2))), X),
    "class token": (lambda x: mg.cat([mg.ones(1, 1, 9).expand(x.shape[0], -1, -1), x], 1), V),
    "made of sizes": (
        lambda x: x + mg.zeros(x.shape[0], 6) + mg.full_like(x, 2.0) + mg.arange(x.shape[0]).unsqueeze(1), X
    ),
    "divided by the size": (lambda x: x.sum(0) / x.shape[0], X),
    "indexing": (lambda x: (x[:, 1], x[:, -1], x[:, 1:3, ::2], x[..., 2:-1], x[:, None, 0], x[:, :, 1, -2:]), Q),
    "indexing by tensors": (
        lambda x: (x[:, mg.tensor([2, 0, 0])], x.index_select(1, mg.tensor([1, 3])), x[..., mg.tensor([[0], [1]])]), Q
    ),
    "indexing by several tensors": (
        lambda x: (
            x[:, mg.tensor([0, 1]), mg.tensor([1, 2])], x[:, x.argmax(1)[0, :, 0], :, mg.tensor([1])],
            x[mg.arange(x.shape[0]), x[:, :, 0, 0].argmax(1)],
            x[:, mg.tensor([True, False, True, False]), mg.tensor([0, 1])],
        ), Q
    ),
    "assigning by a mask": (lambda x: _write_where(x), X),
    "rows by index": (
        lambda x: (x.index_fill(1, mg.tensor([0, 2]), 3.0), x.index_add(1, mg.tensor([0, 2]), x[:, :2] * 2)), X
    ),
    "one hot": (lambda x: F.one_hot(x.argmax(1), 8).float() + F.one_hot((x > 0).long(), 8).sum(1), X),
    "order": (lambda x: (x.median(1), x.kthvalue(2, 1), x.median(1, keepdim=True).values), X),
    "angles": (lambda x, y: (mg.atan2(x, y), mg.atan2((x * 0).abs(), y), mg.isclose(x, x + 1e-7)), X, X),
    "grid": (lambda x, y: F.grid_sample(x, y[..., :2].tanh(), align_corners=False), Q, Q),
    "grid bicubic": (
        lambda x, y: F.grid_sample(x, y[..., :2].tanh(), "bicubic", "reflection", align_corners=True), Q, Q
    ),
    "padding mask": (
        lambda x, y: F.multi_head_attention_forward(
            x.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1), 8, 2, mg.eye(8).repeat(3, 1), None, None, None,
            False, 0.0, mg.eye(8), None, training=False, key_padding_mask=y > 0.5,
        )[0].transpose(0, 1), (2, 5, 8), (2, 5),
    ),
    "embeddings": (lambda x: F.embedding(x.argmax(2), mg.arange(27.0).reshape(9, 3), padding_idx=0), V),
    "gather": (lambda x: (x.gather(1, x.argsort(1)), mg.take_along_dim(x, x.argmax(1, keepdim=True), 1)), X),
    "scatter": (lambda x: mg.zeros_like(x).scatter(1, x.argmax(1, keepdim=True), 1.0), X),
    "sorting": (lambda x: (x.topk(2, 1), x.sort(1, descending=True), x.topk(3, 1, largest=False)), X),
    "joining": (lambda x, y: (mg.cat([x, y], 1), mg.stack([x, y], 2), mg.hstack([x, y]), mg.cat([x, y])), X, X),
    "splitting": (lambda x: (x.chunk(2, 1), x.split([1, 5], 1), x.unbind(1), x.narrow(1, 2, 3)), X),
    "moving": (lambda x: (x.flip(1, 2), x.roll(2, 1), x.roll((1, -2), (2, 3)), mg.rot90(x, 1, (2, 3))), Q),
    "rolling all": (lambda x: x.roll(5), X, False),
    "triangles": (lambda x: (x.tril(), x.triu(1)), Q),
    "windows": (lambda x: x.unfold(2, 3, 2), V),
    "diagonal": (lambda x: x.diagonal(), (3, 3), False),
    "fill": (lambda x: (mg.zeros_like(x) + x, x.fill_(2.0) if False else x * 0 + 2), X),
    "padding": (lambda x: (F.pad(x, (1, 1, 2, 0)), F.pad(x, (1, 1), value=2.0), F.pad(x, (2, 1), mode="circular")), V),
    "area": (lambda x: F.interpolate(x, (3, 4), mode="area"), Q),
    "antialias": (lambda x: F.interpolate(x, (3, 4), mode="bilinear", antialias=True), Q),
    "input unused": (lambda x, y: x * 2, X, X),
    "input as output": (lambda x: (x, x + 1), X),
    "twice": (lambda x: (y := x + 1, y, y.detach()), X),
    "outputs in a dict": (lambda x: {"a": x + 1, "b": [x - 1]}, X),
    "no batch": (lambda x: F.max_pool2d(F.conv2d(x, mg.ones(2, 4, 2, 2)), 2), Q[1:], False),
}  # fmt: skip
POSITIVE = ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "square", "digamma")[:-1]
ANY_SIGN = (
    "exp", "exp2", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh", "atan", "abs", "sign", "neg", "ceil",
    "floor", "trunc", "frac", "sigmoid", "erfc", "deg2rad", "rad2deg", "relu",
)  # fmt: skip


def _write_columns(x):
    out = mg.zeros(x.shape[0], 8)
    out[:, 1:7] = x
    out[:, 0] = x[:, 0]
    out[:, -1] += 3
    return out


def _write_where(x):
    y = x.clone()
    y[y < 0] = 0.5
    y[y > 1] = x.mean()
    return y


def _write_with_views(x):
    y = x * 1
    column = y[:, 2]
    y[:, 1:3] = 5.0
    column.mul_(2)
    return y, column + 1


@pytest.mark.parametrize("name", MODULES)
def test_modules(name):
    model, *shapes = MODULES[name]
    if isinstance(model, (nn.modules.batchnorm._BatchNorm, nn.InstanceNorm2d)) and model.running_var is not None:
        model.running_mean.uniform_(-1, 1)
        model.running_var.uniform_(0.5, 2)
    check(model, *[randn(*shape) for shape in shapes])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    model = getattr(nn, name)(*_ARGUMENTS.get(name, ()))
    check(model, randn(3, 5, 4) * 3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    function, *shapes = FUNCTIONS[name]
    dynamic = shapes[-1] is not False
    check(function, *[randn(*shape) for shape in shapes if shape is not False], dynamic=dynamic)


def supported_table():
    """Return the table of docs/onnx.md from the exporter's own."""
    families = {}
    for name, (builder, _) in BUILDERS.items():
        families.setdefault(builder.__module__.rpartition(".")[2], set()).add(name)
    lines = ["| file | operations |", "|---|---|"]
    for family, names in sorted(families.items()):
        lines.append(f"| `minigrad/onnx/{family}.py` | {', '.join(f'`{name}`' for name in sorted(names))} |")
    return "\n".join(lines)


def test_the_documentation_lists_what_is_supported():
    assert supported_table() in (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8")


def test_every_name_of_the_table_is_an_operation():
    from minigrad.op import OPS

    composites = {"_read_arrays", "batch_norm", "grid_sample", "interpolate", "recurrent_layers"}
    assert set(BUILDERS) <= set(OPS) | composites
