"""The database harness itself: PyTorch standing in for minigrad agrees, and planted faults are found."""

import pickle
import types

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # torch.testing._internal needs it

from tests.parity.convert import Converter, translate  # noqa: E402
from tests.parity.moduleinfo import LayerChecker, every_info  # noqa: E402
from tests.parity.opinfo import Checker, op_db, operator_name  # noqa: E402


class Standin(types.ModuleType):
    """PyTorch under another name, with some functions replaced."""

    def __init__(self, **replaced):
        super().__init__("standin")
        self.__dict__.update(replaced)

    def __getattr__(self, name):
        return getattr(torch, name)


def run(name, module, **settings):
    op = next(op for op in op_db if operator_name(op) == name)
    return Checker(op, module, max_samples=3, **settings).run()


def checks(report):
    return {mismatch.check for mismatch in report.mismatches}


@pytest.mark.parametrize(
    "name",
    [
        "add",
        "max/reduction_with_dim",
        "split",
        "where",
        "nn.functional.layer_norm",
        "transpose",
        "nn.functional.dropout",
        "linalg.svd",
        "einsum",
        "cat",
        "new_empty",
        "uniform",
    ],
)
def test_agrees_with_itself(name):
    report = run(name, Standin())
    assert report.status == "ok", report.line()


class Halved(torch.autograd.Function):
    """exp with half its gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(out := x.exp())
        return out

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0] * 0.5


def raising(error):
    def call(*args, **kwargs):
        raise error

    return call


def writing(input, *args, **kwargs):
    result = torch.exp(input)
    if input.is_floating_point() and not input.requires_grad:
        input.add_(1)
    return result


FAULTS = [
    ("exp", "exp", lambda x, out=None: torch.exp(x, out=out) * 1.001, "value"),
    ("exp", "exp", lambda x, out=None: torch.exp(x).double(), "dtype"),
    ("exp", "exp", lambda x, out=None: torch.exp(x)[None], "shape"),
    ("exp", "exp", lambda x, out=None: [torch.exp(x)], "structure"),
    ("exp", "exp", lambda x, out=None: Halved.apply(x), "grad"),
    ("exp", "exp", lambda x, out=None: torch.exp(x.detach()), "grad"),
    ("exp", "exp", raising(ValueError("no")), "error"),
    ("exp", "exp", writing, "mutated"),
    ("exp", "exp", lambda x, out=None: torch.exp(x), "out="),
    ("transpose", "transpose", lambda x, a, b: torch.transpose(x, a, b).clone(), "view"),
    (
        "add",
        "add",
        lambda x, y, alpha=1, out=None: torch.add(x, y, alpha=alpha, out=out).add(0) if x.is_contiguous() else x * 0,
        "noncontiguous",
    ),
    ("max/reduction_with_dim", "max", lambda *a, **k: tuple(torch.max(*a, **k)), "structure"),
    ("gather", "gather", lambda *a, **k: a[0], "error_inputs"),
    ("bernoulli", "bernoulli", lambda x, **k: torch.ones_like(x), "distribution"),
]


@pytest.mark.parametrize("name, replaced, fault, check", FAULTS, ids=[f"{fault[0]}-{fault[3]}" for fault in FAULTS])
def test_planted_faults_are_found(name, replaced, fault, check):
    assert check in checks(run(name, Standin(**{replaced: fault})))


def test_faults_of_methods_are_found():
    class Tensor:
        exp = staticmethod(lambda x: torch.exp(x) + 1)
        exp_ = staticmethod(lambda x: torch.exp(x))

    class Meta(type):
        def __instancecheck__(cls, value):
            return isinstance(value, torch.Tensor)

    standin = Standin(Tensor=Meta("Tensor", (), dict(vars(Tensor))))
    assert {"method", "inplace"} <= checks(run("exp", standin))


class Linear(torch.nn.Linear):
    """A layer with another initialisation and repr."""

    def reset_parameters(self):
        torch.nn.init.normal_(self.weight)
        torch.nn.init.zeros_(self.bias) if self.bias is not None else None

    def extra_repr(self):
        return "wrong"

    def __reduce__(self):
        raise pickle.PicklingError("no")


def test_faults_of_layers_are_found():
    layers = dict(every_info())
    functional = types.SimpleNamespace(Linear=Linear, Parameter=torch.nn.Parameter)
    report = LayerChecker("Linear", layers["Linear"], Standin(nn=functional)).run()
    assert {"init", "repr", "copy"} <= checks(report)
    assert LayerChecker("Linear", layers["Linear"], Standin()).run().status == "ok"


def test_conversion_keeps_strides_values_and_identity():
    base = torch.arange(24.0).reshape(4, 6)
    for tensor in (base.t(), base[1:, ::2], base[:, :1].expand(4, 3), base[0, 0], base[:0], base.permute(1, 0)[1]):
        convert = Converter(Standin())
        one, other = convert([tensor, tensor])
        assert one is other
        assert torch.equal(one, tensor)
        assert one.stride() == tensor.stride() or not tensor.numel()
        assert one.data_ptr() != tensor.data_ptr() or not tensor.numel()


def test_wrappers_are_translated():
    op = next(op for op in op_db if op.name == "where")
    calls = []
    standin = Standin(where=lambda *args: calls.append(args))
    translate(op.op, standin)(1, 2, 3)
    assert calls == [(2, 1, 3)]
