"""What export takes, what it writes, and what it refuses."""

import io
import warnings

import pytest

import minigrad as mg
from minigrad.backend import np
from minigrad.onnx import writing
from minigrad.onnx.errors import OnnxExporterError, OnnxExporterWarning, SymbolicValueError, UnsupportedOperatorError
from tests.test_onnx import Calls, another_batch, check, compare, randn, session_of

onnx = pytest.importorskip("onnx")
nn, F = mg.nn, mg.nn.functional
X = (3, 6)


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))


def exported(model, *args, **settings):
    """Return the ModelProto of an export into memory."""
    file = io.BytesIO()
    mg.onnx.export(model, args, file, **settings)
    return onnx.load_from_string(file.getvalue())


def names(infos):
    return [info.name for info in infos]


def shape_of(info):
    return [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]


# ---------------------------------------------------------------------- the file
def test_parameters_keep_their_names_and_values():
    model = network()
    proto = exported(model, randn(2, 3, 4, 4), input_names=["images"], output_names=["scores"])
    found = {one.name: onnx.numpy_helper.to_array(one) for one in proto.graph.initializer}
    state = model.state_dict()
    del state["1.num_batches_tracked"]
    assert set(state) <= set(found)
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())
    assert names(proto.graph.input) == ["images"] and names(proto.graph.output) == ["scores"]
    kinds = [node.op_type for node in proto.graph.node]
    assert kinds == ["Conv", "BatchNormalization", "Relu", "Reshape", "Gemm"]
    assert proto.producer_name == "minigrad" and proto.opset_import[0].version == 18


def test_dynamic_axes_and_names_of_axes():
    proto = exported(network(), randn(2, 3, 4, 4), input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    assert shape_of(proto.graph.input[0]) == ["batch", 3, 4, 4] and shape_of(proto.graph.output[0]) == ["batch", 5]
    proto = exported(
        nn.ReLU(), randn(*X), input_names=["x"], output_names=["y"], dynamic_axes={"x": [0], "y": {0: "rows"}}
    )
    assert shape_of(proto.graph.output[0]) == ["rows", 6]
    assert shape_of(exported(nn.ReLU(), randn(*X)).graph.output[0]) == [3, 6]


@pytest.mark.parametrize("shapes", [{"x": {0: "n"}}, ({0: "n"}, None), {"x": ["n", None], "y": None}])
def test_dynamic_shapes(shapes):
    def function(x, y):
        return x + y

    proto = exported(function, randn(*X), randn(6), dynamic_shapes=shapes)
    assert names(proto.graph.input) == ["x", "y"]
    assert [shape_of(one) for one in proto.graph.input] == [["n", 6], [6]]


def test_several_dynamic_axes_of_one_name_and_of_others():
    def function(x, y):
        products = (x @ y.mT).reshape(x.shape[0] * x.shape[1], -1)
        return products, x.flatten(1), x.reshape(-1, 2, x.shape[1] * 3) + x.shape[0] * x.shape[2]

    model, args = Calls(function), (randn(2, 3, 6), randn(2, 5, 6))
    axes = {"x0": {0: "batch", 1: "length"}, "x1": {0: "batch", 1: "keys"}}
    file = io.BytesIO()
    mg.onnx.export(model, args, file, input_names=["x0", "x1"], dynamic_axes=axes)
    session = session_of(file.getvalue())
    compare(session, model, args)
    compare(session, model, (randn(4, 7, 6), randn(4, 1, 6)))


def test_images_of_any_size():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip
    file = io.BytesIO()
    axes = {"x0": {0: "n", 2: "h", 3: "w"}}
    mg.onnx.export(model, randn(2, 3, 8, 12), file, input_names=["x0"], dynamic_axes=axes)
    session = session_of(file.getvalue())
    for shape in ((2, 3, 8, 12), (1, 3, 9, 30)):
        compare(session, model, [randn(*shape)])


@pytest.mark.parametrize("opset", [13, 15, 17, 18, 20, 23])
def test_versions(opset):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    check(nn.Sequential(layer, nn.LayerNorm(8)), randn(2, 5, 8), opset_version=opset)
    check(lambda x: (x.mean(1), x.sum(2), x.amax((1, 2)), x.std(1), x.split(2, 2)), randn(2, 3, 6), opset_version=opset)
    check(network(), randn(2, 3, 4, 4), opset_version=opset)


def test_without_constant_folding():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), nn.Tanh())
    folded = exported(model, randn(*X))
    assert [node.op_type for node in folded.graph.node] == ["Gemm", "Tanh"]
    check(model, randn(*X), do_constant_folding=False)
    whole = exported(model, randn(*X), do_constant_folding=False)
    assert len(whole.graph.node) > 2
    assert "0.parametrizations.weight.original1" in names(whole.graph.initializer)


def test_parameters_as_inputs():
    model = nn.Linear(6, 2)
    proto = exported(model, randn(*X), export_params=False)
    assert names(proto.graph.input) == ["input", "weight", "bias"] and not proto.graph.initializer
    proto = exported(model, randn(*X), keep_initializers_as_inputs=True)
    assert names(proto.graph.input) == ["input", "weight", "bias"] and len(proto.graph.initializer) == 2


def test_arguments_in_any_form():
    class Model(nn.Module):
        def forward(self, x, pair, scale=1.0, *, mask=None):
            return x * scale + pair[0] + pair[1]["y"] * mask

    x, a, b, mask = (randn(*X) + i for i in range(4))
    model = Model()
    wanted = model(x, (a, {"y": b}), 2.0, mask=mask)
    args = (x, (a, {"y": b}), 2.0)
    for given in ({"args": args, "kwargs": {"mask": mask}}, {"args": (*args, {"mask": mask})}):
        file = io.BytesIO()
        program = mg.onnx.export(model, f=file, **given)
        session = session_of(file.getvalue())
        assert [one.name for one in session.get_inputs()] == ["x", "pair_0", "pair_1", "mask"]
        feeds = {"x": x, "pair_0": a, "pair_1": b, "mask": mask}
        (found,) = session.run(None, {name: tensor.numpy() for name, tensor in feeds.items()})
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-6)
        assert names(program.model_proto.graph.input) == list(feeds)


def test_program_files_and_paths(tmp_path):
    path = tmp_path / "model.onnx"
    program = mg.onnx.export(nn.Linear(6, 2), (randn(*X),), path, verify=True)
    assert path.read_bytes() == program.model_proto.SerializeToString() or onnx.load(path) == program.model_proto
    program.save(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()
    assert mg.onnx.export(nn.ReLU(), randn(*X)).model_proto.graph.node[0].op_type == "Relu"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.onnx", "model.onnx"]


def test_a_failed_export_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")
    with pytest.raises(UnsupportedOperatorError):
        mg.onnx.export(Calls(mg.linalg.inv), (randn(3, 3),), path)
    assert path.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_large_weights_are_written_beside_the_file(tmp_path):
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 3))
    program = mg.onnx.export(model, randn(2, 64), input_names=["x0"])
    path = tmp_path / "model.onnx"
    writing.write(program._model, program._initializers, path, limit=10_000)
    assert path.stat().st_size < 3_000 < (tmp_path / "model.onnx.data").stat().st_size
    onnx.checker.check_model(str(path), full_check=True)
    onnxruntime = pytest.importorskip("onnxruntime")
    compare(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]), model, [randn(2, 64)])
    for f, external in ((io.BytesIO(), None), (path, False)):
        with pytest.raises(OnnxExporterError, match="larger than 2 GB"):
            writing.write(program._model, program._initializers, f, limit=10_000, external=external)


def test_verbose_prints_the_nodes(capsys):
    mg.onnx.export(nn.ReLU(), randn(*X), verbose=True)
    assert "output = Relu(input)" in capsys.readouterr().out


# ---------------------------------------------------------------------- the model
def test_the_model_is_as_it_was():
    model = nn.Sequential(network(), nn.Dropout(0.5))
    model[0][1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    exported(model, randn(2, 3, 4, 4))
    assert [module.training for module in model.modules()] == modes
    assert all(mg.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_training_mode():
    model = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.5))
    mode = mg.onnx.TrainingMode
    exported(model, randn(*X), training=mode.EVAL)
    for training in (mode.TRAINING, mode.PRESERVE):
        with pytest.raises(OnnxExporterError):
            exported(model, randn(*X), training=training)
    model = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3))
    before = model[1].running_mean.clone()
    with pytest.raises(SymbolicValueError, match="1 \\(BatchNorm1d\\): batch norm with the statistics of the batch"):
        exported(model, randn(*X), training=mode.TRAINING)
    assert mg.equal(model[1].running_mean, before) and model.training


def test_models_know_that_they_are_exported():
    seen = []

    def function(x):
        seen.append(mg.onnx.is_in_onnx_export())
        return x + 1

    exported(function, randn(*X))
    assert seen and all(seen) and not mg.onnx.is_in_onnx_export()


def test_parameters_are_written_once_and_under_no_grad_too():
    layer = nn.Linear(6, 6)
    with mg.no_grad():
        proto = exported(nn.Sequential(layer, nn.ReLU(inplace=True), layer), randn(*X))
    assert names(proto.graph.initializer) == ["0.weight", "0.bias"]


def test_in_place_on_the_input_itself():
    x = randn(*X)
    before = x.clone()
    check(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 2)), x)
    assert mg.equal(x, before)


# ---------------------------------------------------------------------- what is refused
class Stem(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.inner = Calls(function)

    def forward(self, *args):
        return self.inner(*args)


LSTM = nn.LSTM(6, 2)
REFUSED = {
    "an unknown operation": (mg.linalg.inv, (3, 3), {}, "inner \\(Calls\\) calls inv, which can't be exported"),
    "a number read by item": (lambda x: x * x.sum().item(), X, {}, "calls mul with .*item"),
    "NumPy": (lambda x: x + mg.tensor(x.detach().numpy() * 2), X, {}, "was not computed from them by operations"),
    "random numbers": (lambda x: x + mg.rand(6), X, {}, "random numbers"),
    "complex numbers": (lambda x: mg.complex(x, x).real, X, {}, "calls complex"),
    "a mask for one length": (
        lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), (2, 3, 4),
        {"dynamic_axes": {"args_0": {1: "length"}}}, "a mask made for one length",
    ),
    "another path for another size": (
        lambda x: x + 1 if x.shape[0] == 3 else x * 2, X, {"dynamic_axes": {"args_0": [0]}}, "calls add in one run"
    ),
    "a size that can't vary": (
        lambda x: x.reshape(3, 6), X, {"dynamic_axes": {"args_0": [0]}}, "does not run with"
    ),
    "the square of a size": (
        lambda x: x.sum() + mg.zeros(x.shape[0] ** 2), X, {"dynamic_axes": {"args_0": [0]}}, "sums of multiples"
    ),
    "packed sequences": (
        lambda x: LSTM(nn.utils.rnn.pack_padded_sequence(x, [2, 1]))[0].data, (2, 2, 6), {}, "packed"
    ),
    "positions of maxima": (lambda x: F.max_pool1d(x, 2, return_indices=True)[1], X, {}, "onnx.export"),
    "no tensor": (lambda x: 3, X, {}, "returned no tensor"),
    "newer operations": (lambda x: F.fold(x, (4, 4), 2), (1, 4, 9), {"opset_version": 17}, "opset_version 18 or later"),
    "memory written by NumPy": (lambda x: _written_by_numpy(x), X, {}, "written in place|was not computed"),
    "a view by NumPy": (lambda x: mg.from_numpy((x * 2).detach().numpy()[1:]) + 1, X, {}, "no operation made"),
    "writing under no_grad": (lambda x: _written_unrecorded(x), X, {}, "written in place where nothing is recorded"),
}  # fmt: skip


def _written_by_numpy(x):
    y = x * 2
    y.detach().numpy()[0] = 5
    return y + mg.tensor(y.detach().numpy())


def _written_unrecorded(x):
    y = x * 2
    with mg.no_grad():
        y.detach()[0] = 5.0
    return y + 1


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, shape, settings, message = REFUSED[name]
    with pytest.raises(OnnxExporterError, match=message):
        exported(Stem(function), randn(*shape), **settings)
    assert not mg.onnx.is_in_onnx_export()


def test_paths_that_depend_on_values_are_warned_of():
    def function(x):
        return x + 1 if float(x.sum()) == 21.0 else x * 2

    x = mg.arange(7.0)
    with pytest.warns(OnnxExporterWarning, match="depends on the values"):
        proto = exported(lambda x: x + 1 if float(x[0]) == 0 else x * 2, x)
    assert [node.op_type for node in proto.graph.node] == ["Add"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exported(function, x)


WRONG = [
    ({"opset_version": 5}, ValueError, "from 13 to 23"),
    ({"input_names": ["a", "b"]}, ValueError, "number of input names"),
    ({"output_names": ["a", "b"]}, ValueError, "number of output names"),
    ({"input_names": ["a"], "output_names": ["a"]}, ValueError, "must differ"),
    ({"dynamic_axes": {"nothing": [0]}}, ValueError, "neither an input nor an output"),
    ({"dynamic_axes": {"input": [2]}}, ValueError, "no axis 2"),
    ({"dynamic_axes": {"input": {0: "n", 1: "n"}}}, ValueError, "different lengths"),
    ({"dynamic_shapes": {"nothing": {0: "n"}}}, ValueError, "none of"),
    ({"export_modules_as_functions": True}, NotImplementedError, "leave it out"),
    ({"report": True}, NotImplementedError, "leave it out"),
    ({"operator_export_type": mg.onnx.OperatorExportTypes.ONNX_ATEN}, NotImplementedError, "only ONNX"),
]


@pytest.mark.parametrize(("settings", "error", "message"), WRONG)
def test_wrong_arguments(settings, error, message):
    with pytest.raises(error, match=message):
        exported(nn.Linear(6, 2), randn(*X), **settings)


def test_errors_of_the_model_are_its_own():
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        exported(nn.Linear(5, 2), randn(*X))


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"minigrad-cnn\[onnx\]"):
        mg.onnx.export(nn.Linear(6, 2), randn(*X))


def test_another_batch_has_other_values():
    """The comparisons of test_onnx.py use what the file was not recorded with."""
    x = randn(*X)
    assert another_batch(x, 4).shape == (4, 6) and not mg.equal(another_batch(x, 1), x[:1])


@pytest.mark.parametrize(("model", "args"), [({}, mg.ones(1, 2)), (mg.nn.Linear(2, 2), "model.onnx")])
def test_a_model_or_arguments_that_are_none_are_named(model, args):
    with pytest.raises(TypeError, match="onnx.export: (model|args) must be .* but got (dict|'model.onnx')$"):
        mg.onnx.export(model, args, io.BytesIO())
