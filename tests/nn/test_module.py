"""Module: what it registers, saves, loads, calls and converts. More programs run beside PyTorch in tests/parity."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


class Scale(nn.Module):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = nn.Parameter(mg.tensor([factor]))
        self.register_buffer("calls", mg.zeros(1))
        self.inner = nn.Linear(2, 2)

    def forward(self, x, bias=0.0):
        return self.inner(x) * self.factor + bias


def names(pairs):
    return [name for name, _ in pairs]


# ---------------------------------------------------------------------- registration
def test_assignment_registers_parameters_modules_and_buffers():
    model = Scale()
    assert names(model.named_parameters()) == ["factor", "inner.weight", "inner.bias"]
    assert names(model.named_buffers()) == ["calls"]
    assert names(model.named_modules()) == ["", "inner"]
    assert list(model.state_dict()) == ["factor", "calls", "inner.weight", "inner.bias"]
    assert {"factor", "calls", "inner"} <= set(dir(model))


def test_a_name_moves_between_kinds_and_is_never_registered_twice():
    model = Scale()
    model.factor = None
    assert model.factor is None and "factor" not in model.state_dict()
    model.inner = None
    model.calls = mg.ones(3)
    assert model.state_dict()["calls"].tolist() == [1, 1, 1]
    model.plain = 3
    model.plain = nn.ReLU()
    assert names(model.named_children()) == ["plain"]
    del model.plain
    with pytest.raises(AttributeError, match="'Scale' object has no attribute 'plain'"):
        model.plain  # noqa: B018 - reading it is the test


@pytest.mark.parametrize(
    "act, error, message",
    [
        (lambda m: setattr(m, "factor", mg.ones(1)), TypeError, "cannot assign .* as parameter 'factor'"),
        (lambda m: setattr(m, "inner", 3), TypeError, "cannot assign 'int' as child module 'inner'"),
        (lambda m: setattr(m, "calls", 3), TypeError, "cannot assign 'int' as buffer 'calls'"),
        (lambda m: m.register_parameter("a.b", None), KeyError, "t contain"),
        (lambda m: m.register_parameter("", None), KeyError, "t be empty"),
        (lambda m: m.register_parameter("forward", None), KeyError, "already exists"),
        (lambda m: m.register_parameter("p", m.factor * 2), TypeError, "Parameter or None required"),
        (lambda m: m.add_module("x", 3), TypeError, "not a Module subclass"),
        (lambda m: m.register_buffer("x", [1]), TypeError, "Tensor or None required"),
        (lambda m: m.train(1), ValueError, "boolean"),
        (lambda m: m.to(mg.int32), TypeError, "floating point"),
        (lambda m: m.to(object()), TypeError, "object"),
        (lambda m: m.get_submodule("nothing"), AttributeError, "has no attribute `nothing`"),
        (lambda m: nn.Module()(1), NotImplementedError, 'missing the required "forward"'),
    ],
)
def test_errors_leave_the_module_as_it_was(act, error, message):
    model = Scale()
    before = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
    with pytest.raises(error, match=message):
        act(model)
    assert {name: tensor.tolist() for name, tensor in model.state_dict().items()} == before
    assert names(model.named_modules()) == ["", "inner"]


@pytest.mark.parametrize("part", [lambda: nn.Parameter(mg.ones(1)), nn.ReLU])
def test_parts_assigned_before_init_are_refused(part):
    class Unfinished(nn.Module):
        def __init__(self):
            self.part = part()

    with pytest.raises(AttributeError, match="before Module.__init__"):
        Unfinished()


def test_buffer_class_and_persistence():
    layer = nn.Module()
    layer.kept = nn.Buffer(mg.ones(1))
    layer.scratch = nn.Buffer(mg.ones(1), persistent=False)
    assert isinstance(layer.kept, nn.Buffer) and not isinstance(mg.ones(1), nn.Buffer)
    assert names(layer.named_buffers()) == ["kept", "scratch"] and list(layer.state_dict()) == ["kept"]


# ---------------------------------------------------------------------- saving and loading
def test_state_dict_round_trip_keeps_identity_and_shares_memory():
    model, other = Scale(), Scale(5.0)
    weight = other.inner.weight
    assert repr(other.load_state_dict(model.state_dict())) == "<All keys matched successfully>"
    assert other.inner.weight is weight and weight.requires_grad
    np.testing.assert_array_equal(weight.detach().numpy(), model.inner.weight.detach().numpy())
    state = model.state_dict()
    assert not state["factor"].requires_grad
    with mg.no_grad():
        model.factor.fill_(7.0)
    assert state["factor"].item() == 7.0


def test_load_reports_every_problem_and_loads_what_fits():
    model = Scale()
    state = Scale(3.0).state_dict()
    state["inner.weight"] = mg.ones(3, 3)
    state["extra"] = mg.ones(1)
    del state["inner.bias"]
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(state)
    text = str(caught.value)
    assert text.startswith("Error(s) in loading state_dict for Scale:")
    assert (
        'Missing key(s) in state_dict: "inner.bias". ' in text and 'Unexpected key(s) in state_dict: "extra". ' in text
    )
    assert "size mismatch for inner.weight: copying a param with shape minigrad.Size([3, 3]) from checkpoint" in text
    assert model.factor.item() == 3.0
    state.pop("inner.weight")
    found = model.load_state_dict(state, strict=False)
    assert found.missing_keys == ["inner.weight", "inner.bias"] and found.unexpected_keys == ["extra"]


def test_load_assign_takes_the_tensors():
    model = Scale()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    assert model.calls is state["calls"] and isinstance(model.factor, nn.Parameter)
    assert np.shares_memory(model.factor.detach().numpy(), state["factor"].numpy())


def test_old_batch_norm_files_get_a_batch_count():
    layer = nn.BatchNorm1d(2)
    state = layer.state_dict()
    del state["num_batches_tracked"], state._metadata
    layer.load_state_dict(state)
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        state = layer.state_dict()
        del state["num_batches_tracked"]
        layer.load_state_dict(state)


# ---------------------------------------------------------------------- hooks
def test_forward_hooks_run_in_order_and_change_arguments_and_result():
    model, order = nn.Identity(), []
    model.register_forward_pre_hook(lambda module, args: order.append("second"))
    model.register_forward_pre_hook(lambda module, args: order.append("first") or (args[0] + 1,), prepend=True)
    handle = model.register_forward_hook(lambda module, args, out: out * 10)
    assert model(mg.ones(1)).item() == 20.0
    handle.remove()
    assert model(mg.ones(1)).item() == 2.0
    assert order == ["first", "second"] * 2


def test_hooks_with_kwargs_and_always_call():
    model, seen = Scale(), []
    model.register_forward_pre_hook(lambda m, args, kwargs: (args, {"bias": kwargs["bias"] + 1}), with_kwargs=True)
    model.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True, always_call=True)
    model(mg.ones(1, 2), bias=1.0)
    with pytest.raises(RuntimeError):
        model(mg.ones(1, 3), bias=5.0)
    assert seen == [{"bias": 2.0}, {"bias": 6.0}]


def test_full_backward_hooks_see_and_replace_gradients():
    layer, seen = nn.Linear(2, 1, bias=False), []
    with mg.no_grad():
        layer.weight.copy_(mg.tensor([[3.0, 4.0]]))
    layer.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
    layer.register_full_backward_hook(
        lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)) or (grad_input[0] + 1,)
    )
    x = mg.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.tolist() == [[7.0, 9.0]] and layer.weight.grad.tolist() == [[2.0, 2.0]]
    (grad_input,), (grad_output,) = seen[0]
    assert grad_input.tolist() == [[6.0, 8.0]] and grad_output.tolist() == [[2.0]]


def test_backward_hooks_without_input_gradient_and_second_derivatives():
    layer, seen = nn.Linear(2, 1), []
    handle = layer.register_full_backward_hook(lambda module, gi, go: seen.append((gi, go[0].requires_grad)))
    layer(mg.ones(1, 2)).sum().backward()
    assert seen == [((None,), False)]
    x = mg.ones(1, 2, requires_grad=True)
    (gradient,) = mg.autograd.grad((layer(x) ** 2).sum(), x, create_graph=True)
    gradient.sum().backward()
    assert x.grad is not None and any(tracked for _, tracked in seen)
    handle.remove()
    with pytest.raises(RuntimeError, match="Cannot use both"):
        layer.register_backward_hook(print)


def test_global_hooks_see_every_module():
    seen = []
    with nn.modules.module.register_module_forward_hook(lambda module, args, out: seen.append(type(module).__name__)):
        nn.Sequential(nn.ReLU(), nn.Identity())(mg.ones(1))
    nn.ReLU()(mg.ones(1))
    assert seen == ["ReLU", "Identity", "Sequential"]


# ---------------------------------------------------------------------- conversion, copies, memory
def test_conversion_keeps_parameters_and_converts_gradients():
    model = Scale()
    weight = model.inner.weight
    model(mg.ones(1, 2)).sum().backward()
    model.register_buffer("count", mg.tensor([1]))
    model.double()
    assert model.inner.weight is weight and weight.dtype == weight.grad.dtype == model.calls.dtype == mg.float64
    assert model.count.dtype == mg.int64
    assert model.to("cpu", mg.float16).inner.weight.dtype == mg.float16
    assert model.to(mg.ones(1)) is model and weight.dtype == mg.float32


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_independent_and_keep_ties(duplicate):
    model = nn.Sequential(Scale(), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].inner.weight
    model.eval()
    twin = duplicate(model)
    assert twin[1].weight is twin[0].inner.weight and not twin.training and repr(twin) == repr(model)
    with mg.no_grad():
        twin[0].factor.zero_()
    assert model[0].factor.item() == 2.0


def test_share_memory_puts_values_in_a_shared_map():
    model = Scale().share_memory()
    assert model.factor.item() == 2.0
    model(mg.ones(1, 2)).sum().backward()
    assert model.inner.weight.grad is not None
    weight = model.inner.weight.array
    assert model.share_memory().inner.weight.array is weight


def test_a_module_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU())
        model[0].register_full_backward_hook(lambda module, gi, go: None)
        model(mg.randn(3, 2)).sum().backward()
        alive = [weakref.ref(part) for part in (model, model[0], model[0].weight)]
        del model
        assert [ref() for ref in alive] == [None] * 3
    finally:
        gc.enable()


def test_zero_grad_and_requires_grad():
    model = Scale()
    model(mg.ones(1, 2)).sum().backward()
    gradient = model.factor.grad
    model.zero_grad(set_to_none=False)
    assert model.factor.grad is gradient and gradient.item() == 0.0
    model.zero_grad()
    assert model.factor.grad is None
    assert not any(p.requires_grad for p in model.requires_grad_(False).parameters())


# ---------------------------------------------------------------------- containers
def test_containers():
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    model.append(nn.ELU()).insert(0, nn.GELU())
    assert [type(m).__name__ for m in model] == ["GELU", "ReLU", "Tanh", "ELU"] and len(model[1:3]) == 2
    del model[0]
    assert list(model._modules) == ["0", "1", "2"]
    layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
    assert repr(layers) == ("ModuleList(\n  (0-2): 3 x Linear(in_features=1, out_features=1, bias=True)\n)")
    choices = nn.ModuleDict({"a": nn.ReLU()})
    choices["b"] = nn.Tanh()
    assert list(choices) == ["a", "b"] and "a" in choices
    assert len(list(nn.ParameterList([mg.ones(1), mg.ones(2)]).parameters())) == 2
    with pytest.raises(IndexError, match="index 5 is out of range"):
        model[5]


def test_lazy_layers_materialise_once():
    layer = nn.LazyLinear(3)
    weight = layer.weight
    with pytest.raises(RuntimeError, match="uninitialized parameter"):
        weight.shape  # noqa: B018 - reading it is the test
    assert copy.deepcopy(layer)(mg.ones(1, 7)).shape == (1, 3)
    layer(mg.ones(2, 5))
    assert type(layer) is nn.Linear and layer.weight is weight and type(weight) is nn.Parameter
    assert weight.shape == (3, 5) and not layer._forward_pre_hooks
