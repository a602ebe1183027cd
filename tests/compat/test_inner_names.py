"""Names of PyTorch's inside that programs use: torch.ops.aten, return_types, fx.passes, scatter_gather and others."""

import subprocess
import sys

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.compat.importer import target_of
from minigrad.distributions import utils
from minigrad.nn import functional as F

aten = mg.ops.aten
X = mg.arange(6.0).reshape(2, 3) - 2
Y = mg.tensor([0, 1])
ATEN = {
    "add.Tensor": ((X, X), lambda: X + X),
    "relu.default": ((X,), lambda: X.relu()),
    "sum.dim_IntList": ((X, [1], True), lambda: X.sum(1, keepdim=True)),
    "_softmax": ((X, 1, False), lambda: X.softmax(1)),
    "_log_softmax.default": ((X, 1, False), lambda: X.log_softmax(1)),
    "slice.Tensor": ((X, 1, 0, 2), lambda: X[:, :2]),
    "index.Tensor": ((X, [None, mg.tensor([1])]), lambda: X[:, [1]]),
    "where.self": ((X > 0, X, -X), lambda: X.abs()),
    "gelu": ((X,), lambda: F.gelu(X)),
    "mse_loss": ((X, X * 2, 2), lambda: F.mse_loss(X, X * 2, reduction="sum")),
    "cross_entropy_loss": ((X, Y, None, 0), lambda: F.cross_entropy(X, Y, reduction="none")),
    "view": ((X, [3, 2]), lambda: X.view(3, 2)),
    "alias": ((X,), lambda: X),
    "_unsafe_view": ((X, [6]), lambda: X.reshape(6)),
}  # fmt: skip


@pytest.mark.parametrize("name", ATEN)
def test_operations_by_the_names_of_the_library(name):
    arguments, expected = ATEN[name]
    found = aten
    for part in name.split("."):
        found = getattr(found, part)
    mg.testing.assert_close(found(*arguments), expected())


def test_operations_are_told_apart():
    assert aten.add.Tensor is aten.add.Tensor and aten.add is aten.add and aten.add.Tensor is not aten.add.Scalar
    assert (str(aten.add.Tensor), repr(aten.add)) == ("aten.add.Tensor", "<OpOverloadPacket(op='aten.add')>")
    assert repr(aten.add.Tensor) == "<OpOverload(op='aten.add', overload='Tensor')>"
    x = X.clone()
    assert aten.relu_(x) is x and (x >= 0).all()
    for half_to_float, dtype in ((False, mg.float16), (True, mg.float32)):
        for softmax in (aten._softmax, aten._log_softmax):
            assert softmax(X.half(), -1, half_to_float).dtype is dtype
    copied = aten._to_copy(X, dtype=mg.float64)
    assert copied.dtype == mg.float64
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = aten.nothing
    with pytest.raises(AttributeError, match="no overload name 'nothing'"):
        _ = aten.add.nothing
    with pytest.raises(AttributeError):
        _ = aten.soft_margin_loss  # its options are positional numbers in PyTorch
    with pytest.raises(TypeError, match="at most 3"):
        aten.mse_loss(X, X, 1, 2)


def test_classes_of_results():
    assert isinstance(X.max(0), mg.return_types.max) and isinstance(mg.linalg.svd(X), mg.return_types.linalg_svd)
    assert repr(mg.linalg.slogdet(mg.eye(1))).startswith("minigrad.return_types.linalg_slogdet(\nsign=")
    assert {"sort", "topk", "linalg_qr", "linalg_lu_factor"} <= set(dir(mg.return_types))
    with pytest.raises(AttributeError, match="has no attribute 'nothing': it has"):
        _ = mg.return_types.nothing


def test_parts_for_devices():
    scatter_kwargs = nn.parallel.scatter_kwargs
    assert target_of("torch.nn.parallel.scatter_gather") == "minigrad.nn.parallel"
    inputs, keywords = scatter_kwargs((X, 2), {"scale": X}, ["cpu"])
    assert inputs[0][0] is X and inputs[0][1] == 2 and keywords[0]["scale"] is X
    with pytest.raises(RuntimeError, match="one device"):
        scatter_kwargs((X,), {}, [0, 1])


def test_imports_of_programs():
    program = (
        "from torch.nn.parallel.scatter_gather import scatter_kwargs; from torch.fx.passes.shape_prop import ShapeProp;"
        "from torch.nn.parallel.replicate import replicate as a; import torch;"
        "from torch.nn.parallel.data_parallel import DataParallel; from torch.return_types import sort;"
        "from torch.utils.checkpoint import get_device_states, set_device_states;"
        "assert torch.nn.parallel.replicate is a and callable(torch.nn.parallel.data_parallel)"
    )
    subprocess.run([sys.executable, "-c", "import minigrad.compat.torch;" + program], check=True, timeout=60)


def test_shapes_of_a_graph():
    traced = mg.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    result = mg.fx.passes.shape_prop.ShapeProp(traced).propagate(mg.ones(4, 2))
    notes = [node.meta["tensor_meta"] for node in traced.graph.nodes]
    assert [tuple(note.shape) for note in notes] == [(4, 2), (4, 3), (4, 3), (4, 3)] and result.shape == (4, 3)
    assert notes[1].dtype == mg.float32 and notes[1].requires_grad and notes[1].stride == (3, 1)
    with pytest.raises(RuntimeError, match="ShapeProp error for: node=%_?0"):
        mg.fx.passes.shape_prop.ShapeProp(traced).propagate(mg.ones(4, 5))


def test_step_hooks_of_a_step_given_later():
    class Descent(mg.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

    calls = []
    Descent.step = lambda self, closure=None: calls.append("step")
    optimizer = Descent([mg.ones(1, requires_grad=True)])
    optimizer._patch_step_function()
    optimizer._patch_step_function()
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.step()
    assert calls == ["before", "step"]


def test_numbers_of_distributions():
    mg.manual_seed(0)
    drawn = utils._standard_normal((1000,), mg.float64, mg.device("cpu"))
    assert drawn.dtype == mg.float64 and abs(drawn.mean().item()) < 0.2
    assert utils._sum_rightmost(mg.ones(2, 3, 4), 2).tolist() == [12.0, 12.0]
    assert utils._sum_rightmost(X, 0) is X and f"{utils.euler_constant:.4f}" == "0.5772"


def test_states_of_gpus():
    from minigrad.utils.checkpoint import get_device_states, set_device_states

    assert get_device_states(X, [X], 3) == ([], [])
    set_device_states([], [])
    assert mg.cuda._initialized == mg.cuda.is_initialized()


def test_a_number_of_a_tensor_with_gradient_warns_once(monkeypatch):
    from minigrad import variable

    x = mg.tensor(2.5, requires_grad=True)
    monkeypatch.setattr(variable, "_warned_of_conversion", False)
    assert (int(x), x.item(), bool(x), float(x.detach())) == (2, 2.5, True, 2.5)
    with mg.no_grad():
        assert float(x) == 2.5
    assert not variable._warned_of_conversion
    with pytest.warns(UserWarning, match="Converting a tensor with requires_grad=True to a scalar"):
        assert float(x) == 2.5
    assert complex(x * 2) == 5 and float(x) == 2.5
