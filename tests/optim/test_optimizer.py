"""Optimizers by themselves: groups, state, hooks, flags, memory; values are compared with PyTorch in tests/parity."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.kernels import optimizer as kernel
from minigrad.optim.optimizer import required
from minigrad.optim.pointwise import PointwiseOptimizer

POINTWISE = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD"]
OPTIONS = {"SGD": {"momentum": 0.9}, "RMSprop": {"momentum": 0.5, "centered": True}, "Adam": {"amsgrad": True}}


def parameter(*shape, dtype=np.float64, seed=0):
    return mg.Parameter(mg.tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype)))


def make(name, parameters, **options):
    return getattr(optim, name)(parameters, **{**OPTIONS.get(name, {}), **options})


def descend(optimizer, parameters, steps):
    """Steps on the sum of squares."""
    for _ in range(steps):
        optimizer.zero_grad()
        for p in parameters:
            (p * p).sum().backward()
        optimizer.step()


def every_option(state_dict):
    return [{k: v for k, v in group.items() if k != "params"} for group in state_dict["param_groups"]]


# ---------------------------------------------------------------- the methods
@pytest.mark.parametrize("name", POINTWISE)
def test_minimises_and_maximises(name):
    ours = parameter(4)
    optimizer = make(name, [ours], lr=0.05)
    before = (ours * ours).sum().item()
    descend(optimizer, [ours], 20)
    assert (ours * ours).sum().item() < before
    for group in optimizer.param_groups:
        group["maximize"] = True
    before = (ours * ours).sum().item()
    descend(optimizer, [ours], 60)
    assert (ours * ours).sum().item() > before


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", POINTWISE)
def test_dtypes_are_kept(name, dtype):
    ours = parameter(5, dtype=dtype)
    optimizer = make(name, [ours], weight_decay=0.1) if name != "Rprop" else make(name, [ours])
    descend(optimizer, [ours], 3)
    assert ours.array.dtype == dtype
    assert np.isfinite(ours.array).all()
    for key, value in optimizer.state[ours].items():
        assert value.array.dtype == (np.float32 if value.ndim == 0 else dtype), key


WHOLE = kernel.BLOCK_SIZE


def small_blocks(monkeypatch, size):
    """Have arrays of more than one element cut into blocks of so many, and any number of blocks shared out."""
    monkeypatch.setattr(kernel, "BLOCK_SIZE", size)
    monkeypatch.setattr(kernel, "SERIAL_SIZE", 1 if size < WHOLE else WHOLE)
    monkeypatch.setattr(kernel, "PARALLEL_SIZE", 1)


@pytest.mark.parametrize("name", POINTWISE)
def test_blocks_layouts_and_threads_change_nothing(name, monkeypatch):
    values = np.random.default_rng(1).standard_normal((37, 11))
    layouts = {
        "whole": lambda a: a.copy(),
        "transposed": lambda a: np.asfortranarray(a),
        "gaps": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    }
    results = {}
    for layout, lay_out in layouts.items():
        for block, threads in ((WHOLE, 1), (50, 1), (50, 3)):
            small_blocks(monkeypatch, block)
            monkeypatch.setattr(mg.backend.threads._Threads, "count", threads)
            ours = mg.Parameter(mg.from_numpy(lay_out(values)))
            optimizer = make(name, [ours])
            for step in range(4):
                ours.grad = mg.from_numpy(lay_out(np.cos(values + step)))
                optimizer.step()
            results[layout, block, threads] = ours.detach().numpy()
    reference = results["whole", WHOLE, 1]
    for key, result in results.items():
        np.testing.assert_allclose(result, reference, rtol=1e-12, err_msg=str(key))


@given(st.sampled_from(POINTWISE), st.lists(st.integers(0, 4), max_size=3), st.integers(1, 7))
def test_any_shape_and_block(name, shape, block):
    values = np.random.default_rng(2).standard_normal(shape)
    results = []
    for size in (block, WHOLE):
        with pytest.MonkeyPatch.context() as patch:
            small_blocks(patch, size)
            ours = mg.Parameter(mg.tensor(values))
            optimizer = make(name, [ours])
            descend(optimizer, [ours], 2)
        assert ours.shape == values.shape
        results.append(ours.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-12)


@pytest.mark.parametrize("name", POINTWISE)
def test_infinite_gradients_are_silent(name):
    ours = parameter(3)
    optimizer = make(name, [ours])
    ours.grad = mg.tensor(np.array([np.inf, np.nan, 0.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()
        optimizer.step()


def test_parameters_without_gradient_stay():
    first, second = parameter(2), parameter(2, seed=1)
    optimizer = optim.Adam([first, second])
    kept = second.tolist()
    (first * first).sum().backward()
    optimizer.step()
    assert second.tolist() == kept
    assert second not in optimizer.state


def test_a_saved_value_that_a_step_overwrites_is_found():
    weight = parameter(2)
    optimizer = optim.SGD([weight], lr=0.1)
    loss = (weight * weight).sum()
    weight.grad = mg.ones(2, dtype=mg.float64)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_views_see_the_step():
    values = np.ones(3)
    weight = mg.Parameter(mg.from_numpy(values))
    optim.SGD([weight], lr=0.5).step()
    weight.grad = mg.ones(3, dtype=mg.float64)
    optim.SGD([weight], lr=0.5).step()
    assert values.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("overlapping", [False, True])
def test_parameters_in_one_memory_are_moved_one_after_the_other(overlapping, monkeypatch):
    """On several threads the order of the updates would be left to chance."""
    used = []

    def parallel_for(count, work):
        used.append(count)
        for index in reversed(range(count)):
            work(index)

    monkeypatch.setattr(kernel, "parallel_for", parallel_for)
    small_blocks(monkeypatch, 8)
    memory = np.zeros(300)
    second = memory[50:250] if overlapping else np.zeros(200)
    parameters = [mg.Parameter(mg.from_numpy(array)) for array in (memory, second)]
    for ours in parameters:
        ours.grad = mg.ones_like(ours.detach())
    optim.SGD(parameters, lr=1.0).step()
    assert used == ([] if overlapping else [38 + 25])
    assert memory[[0, 100, 299]].tolist() == [-1.0, -2.0 if overlapping else -1.0, -1.0]


# ---------------------------------------------------------------- differentiable steps
@pytest.mark.parametrize("name", POINTWISE)
def test_differentiable_step(name):
    def moved(value, gradient):
        """The parameter after two steps, as a function of where it began and of its gradient."""
        ours = value.clone()
        ours.grad = gradient
        optimizer = make(name, [ours], lr=0.1, differentiable=True)
        optimizer.step()
        ours.grad = gradient * 0.5
        optimizer.step()
        return ours

    value = parameter(3).detach().requires_grad_()
    gradient = (parameter(3, seed=5).detach() + 2).requires_grad_()
    assert mg.autograd.gradcheck(moved, (value, gradient))
    # The same numbers as the ordinary step.
    plain = mg.Parameter(value.detach().clone())
    optimizer = make(name, [plain], lr=0.1)
    for factor in (1.0, 0.5):
        plain.grad = gradient.detach() * factor
        optimizer.step()
    np.testing.assert_allclose(moved(value, gradient).detach().numpy(), plain.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "option"), [("SGD", "lr"), ("SGD", "weight_decay"), ("Adam", "lr"), ("Adam", "betas")]
)
def test_differentiable_options(name, option):
    def moved(learned):
        ours = parameter(3).detach().clone()
        value = (learned, learned * 0.5 + 0.4) if option == "betas" else learned
        optimizer = make(name, [ours], differentiable=True, **{option: value})
        for _ in range(2):
            ours.grad = mg.tensor([1.0, -2.0, 3.0], dtype=mg.float64)
            optimizer.step()
        return ours

    assert mg.autograd.gradcheck(moved, (mg.tensor(0.3, dtype=mg.float64, requires_grad=True),))


def test_differentiable_step_refuses_leaves():
    weight = parameter(2)
    optimizer = optim.SGD([weight], differentiable=True)
    weight.grad = mg.ones(2, dtype=mg.float64)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        optimizer.step()


# ---------------------------------------------------------------- groups
def test_groups_take_defaults_and_keep_their_own():
    first, second, third = parameter(1), parameter(1), parameter(1)
    optimizer = optim.SGD([{"params": first}, {"params": [second], "lr": 0.5, "note": "mine"}], lr=0.1)
    optimizer.add_param_group({"params": [third], "momentum": 0.9})
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5, 0.1]
    assert [group["momentum"] for group in optimizer.param_groups] == [0, 0, 0.9]
    assert optimizer.param_groups[1]["note"] == "mine"
    assert optimizer.defaults["lr"] == 0.1


def test_named_parameters():
    model = {"weight": parameter(2), "bias": parameter(1)}
    optimizer = optim.Adam(list(model.items()))
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    other = optim.Adam([("w", parameter(2)), ("b", parameter(1))])
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["param_names"] == ["weight", "bias"]


def groups_of(bad):
    good = parameter(1)
    return {
        "tensor": (TypeError, good, "an iterable of Tensors or dicts"),
        "empty": (ValueError, [], "empty parameter list"),
        "no tensor": (TypeError, [1.0], "can only optimize Tensors, but one of the params is float"),
        "set": (TypeError, [{"params": {good}}], "ordered collections"),
        "non-leaf": (ValueError, [good * 2], "can't optimize a non-leaf Tensor"),
        "twice": (ValueError, [{"params": good}, {"params": good}], "more than one parameter group"),
        "half named": (ValueError, [("w", good), parameter(1)], "Some param names are missing"),
        "groups half named": (
            ValueError,
            [{"params": [("w", good)]}, {"params": [parameter(1)]}],
            "cannot add param group without names",
        ),
    }[bad]


@pytest.mark.parametrize(
    "bad", ["tensor", "empty", "no tensor", "set", "non-leaf", "twice", "half named", "groups half named"]
)
def test_bad_parameters(bad):
    error, params, message = groups_of(bad)
    with pytest.raises(error, match=message):
        optim.SGD(params, lr=0.1)


def test_a_refused_group_leaves_everything_as_it_was():
    weight = parameter(1)
    optimizer = optim.SGD([weight], lr=0.1)
    group = {"params": (p for p in [weight])}
    with pytest.raises(ValueError, match="more than one"):
        optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1
    assert list(group) == ["params"]
    with pytest.raises(TypeError, match="param_group must be a dict"):
        optimizer.add_param_group([weight])


def test_duplicates_warn_and_required_options():
    weight = parameter(1)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([weight, weight])

    class NeedsRate(optim.Optimizer):
        def __init__(self, params, rate=required):
            super().__init__(params, {"rate": rate})

    with pytest.raises(ValueError, match="required optimization parameter rate"):
        NeedsRate([parameter(1)])
    assert NeedsRate([{"params": [parameter(1)], "rate": 2}]).param_groups[0]["rate"] == 2
    with pytest.raises(NotImplementedError, match="NeedsRate does not define step"):
        NeedsRate([weight], 1).step()


BAD_OPTIONS = [
    ("SGD", {"lr": -1.0}, "Invalid learning rate: -1.0"),
    ("SGD", {"lr": float("nan")}, "Invalid learning rate: nan"),
    ("SGD", {"momentum": -0.5}, "Invalid momentum value: -0.5"),
    ("SGD", {"weight_decay": -0.5}, "Invalid weight_decay value: -0.5"),
    ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ("Adam", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
    ("Adam", {"betas": (0.5, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
    ("Adam", {"betas": (0, 0.9)}, "betas must be either both floats or both Tensors"),
    ("Adam", {"eps": -1.0}, "Invalid epsilon value: -1.0"),
    ("AdamW", {"weight_decay": -1.0}, "Invalid weight_decay value: -1.0"),
    ("RMSprop", {"alpha": -1.0}, "Invalid alpha value: -1.0"),
    ("Adagrad", {"lr_decay": -1.0}, "Invalid lr_decay value: -1.0"),
    ("Adadelta", {"rho": 1.1}, "Invalid rho value: 1.1"),
    ("Adamax", {"betas": (0.9, 1.5)}, "Invalid beta parameter at index 1: 1.5"),
    ("NAdam", {"momentum_decay": -0.2}, "Invalid momentum_decay value: -0.2"),
    ("RAdam", {"eps": -0.2}, "Invalid epsilon value: -0.2"),
    ("Rprop", {"etas": (1.0, 0.5)}, "Invalid eta values: 1.0, 0.5"),
    ("ASGD", {"weight_decay": -0.2}, "Invalid weight_decay value: -0.2"),
    ("LBFGS", {"lr": -0.2}, "Invalid learning rate: -0.2"),
    ("SparseAdam", {"eps": 0.0}, "Invalid epsilon value: 0.0"),
]


@pytest.mark.parametrize(("name", "options", "message"), BAD_OPTIONS)
def test_bad_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(optim, name)([parameter(1)], **options)


def test_contradicting_flags():
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        optim.Adam([parameter(1)], fused=True, foreach=True)
    with pytest.raises(RuntimeError, match="`fused` does not support `differentiable`"):
        optim.SGD([parameter(1)], fused=True, differentiable=True)


def test_capturable_is_refused_on_the_cpu_before_anything_changes():
    first, second = parameter(2), parameter(2)
    optimizer = optim.Adam([{"params": first}, {"params": second, "capturable": True}])
    first.grad, second.grad = mg.ones(2, dtype=mg.float64), mg.ones(2, dtype=mg.float64)
    before = first.tolist()
    with pytest.raises(AssertionError, match="supported devices"):
        optimizer.step()
    assert first.tolist() == before
    assert not optimizer.state


def test_integers_are_refused_before_anything_changes():
    weight, counter = parameter(2), mg.tensor([1, 2])
    optimizer = optim.SGD([weight, counter])
    weight.grad = mg.ones(2, dtype=mg.float64)
    counter.grad = mg.tensor([1, 1])
    before = weight.tolist()
    with pytest.raises(RuntimeError, match="floating-point parameters"):
        optimizer.step()
    assert weight.tolist() == before


def test_sparse_adam_refuses_dense_gradients():
    weight = parameter(2)
    optimizer = optim.SparseAdam([weight])
    optimizer.step()
    weight.grad = mg.ones(2, dtype=mg.float64)
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        optimizer.step()


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_sparse_gradients_move_their_entries_only(name):
    """Entries of the same index are added first; each kept row moves as it would by itself."""
    weight, twin = parameter(5, 2), parameter(2, 2)
    start = weight.detach().clone()
    twin.data.copy_(weight[[3, 1]])
    optimizers = [getattr(optim, name)([one], lr=0.1) for one in (weight, twin)]
    for _ in range(3):
        weight.grad = mg.sparse_coo_tensor([[3, 1, 3]], [[1.0, 2.0], [3.0, -4.0], [5.0, 6.0]], (5, 2), dtype=mg.float64)
        twin.grad = mg.sparse_coo_tensor([[0, 1]], [[6.0, 8.0], [3.0, -4.0]], (2, 2), dtype=mg.float64)
        for optimizer in optimizers:
            optimizer.step()
    assert weight[[3, 1]].tolist() == twin.tolist() != start[[3, 1]].tolist()
    assert weight[[0, 2, 4]].tolist() == start[[0, 2, 4]].tolist()


# ---------------------------------------------------------------- gradients, closures, hooks
def test_zero_grad():
    weight = parameter(2)
    optimizer = optim.SGD([weight, parameter(1)])
    weight.grad = gradient = mg.ones(2, dtype=mg.float64)
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad is gradient
    assert gradient.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert weight.grad is None


def test_zero_grad_of_broadcast_and_of_recorded_gradients():
    weight = parameter(2)
    optimizer = optim.SGD([weight])
    weight.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    (weight**3).sum().backward(create_graph=True)
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad.tolist() == [0.0, 0.0]
    assert not weight.grad.requires_grad


@pytest.mark.parametrize("name", POINTWISE)
def test_closure(name):
    weight = parameter(2)
    optimizer = make(name, [weight])

    def closure():
        assert mg.is_grad_enabled()
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    expected = (weight * weight).sum().item()
    with mg.no_grad():
        assert optimizer.step(closure).item() == expected
        assert not mg.is_grad_enabled()
    assert optimizer.step() is None


def test_step_hooks():
    calls = []
    weight = parameter(1)
    optimizer = optim.SGD([weight])
    handles = [
        optim.register_optimizer_step_pre_hook(lambda *arguments: calls.append("global pre")),
        optimizer.register_step_pre_hook(lambda *arguments: calls.append("pre")),
        optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("post", o is optimizer, kwargs))),
        optim.register_optimizer_step_post_hook(lambda *arguments: calls.append("global post")),
    ]
    optimizer.step(closure=None)
    assert calls == ["global pre", "pre", ("post", True, {"closure": None}), "global post"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(calls) == 4


def test_a_pre_hook_may_change_the_arguments():
    optimizer = optim.SGD([parameter(1)])
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o,), {"closure": lambda: "from the hook"}))
    assert optimizer.step() == "from the hook"
    optimizer.register_step_pre_hook(lambda *arguments: "nonsense")
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()


def test_hooks_run_once_around_a_subclass_that_calls_super():
    class Noisy(optim.SGD):
        def step(self, closure=None):
            return super().step(closure)

    calls = []
    optimizer = Noisy([parameter(1)])
    optimizer.register_step_post_hook(lambda *arguments: calls.append(1))
    optimizer.step()
    assert calls == [1]


def test_a_wrapper_that_does_not_call_init():
    """As published Lookahead optimizers are written."""

    class EveryOther(optim.Optimizer):
        def __init__(self, optimizer):
            self.optimizer = optimizer
            self.param_groups = optimizer.param_groups
            self.state = optimizer.state
            self.calls = 0

        def step(self, closure=None):
            self.calls += 1
            if self.calls % 2:
                self.optimizer.step(closure)

    weight = mg.Parameter(mg.tensor([1.0]))
    optimizer = EveryOther(optim.SGD([weight], lr=0.25))
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(4):
        optimizer.zero_grad()
        weight.sum().backward()
        optimizer.step()
    scheduler.step()
    assert weight.item() == 0.5
    assert optimizer.optimizer.param_groups[0]["lr"] == 0.125
    assert optimizer.state_dict()["param_groups"][0]["lr"] == 0.125


@pytest.mark.parametrize("name", POINTWISE)
def test_numpy_numbers_as_options_widen_nothing(name):
    options = {"lr": 0.01} if name == "Rprop" else {"lr": 0.01, "weight_decay": 0.1}
    results = []
    for number in (float, np.float64):
        ours = parameter(3, dtype=np.float32)
        optimizer = make(name, [ours])
        for group in optimizer.param_groups:
            group.update({key: number(value) for key, value in options.items()})
            if "betas" in group:
                group["betas"] = [number(beta) for beta in group["betas"]]
        descend(optimizer, [ours], 3)
        results.append(ours.tolist())
    assert results[0] == results[1]


def test_a_method_of_ones_own():
    def signs(parameter, gradient, *, lr):
        parameter -= lr * gradient / abs(gradient)

    class SignSGD(PointwiseOptimizer):
        formula = staticmethod(signs)

        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

    weight = mg.Parameter(mg.tensor([1.0, -2.0]))
    optimizer = SignSGD([weight], lr=0.5)
    (weight * weight).sum().backward()
    optimizer.step()
    assert weight.tolist() == [0.5, -1.5]


# ---------------------------------------------------------------- saving and loading
@pytest.mark.parametrize("name", POINTWISE)
def test_state_dict_round_trip_continues_alike(name):
    first = [parameter(3), parameter(2, 2, seed=1)]
    second = [mg.Parameter(p.detach().clone()) for p in first]
    optimizers = make(name, first), make(name, second, lr=0.7)
    descend(optimizers[0], first, 3)
    for ours, theirs in zip(second, first):
        with mg.no_grad():
            ours.copy_(theirs)
    saved = pickle.loads(pickle.dumps(optimizers[0].state_dict()))
    optimizers[1].load_state_dict(saved)
    for parameters, optimizer in zip((first, second), optimizers):
        descend(optimizer, parameters, 3)
    for ours, theirs in zip(second, first):
        assert ours.tolist() == theirs.tolist()
    assert every_option(optimizers[0].state_dict()) == every_option(optimizers[1].state_dict())


def test_loading_copies_and_casts():
    weight, half = parameter(2), parameter(2, dtype=np.float16)
    optimizer, other = optim.Adam([weight]), optim.Adam([half])
    descend(optimizer, [weight], 1)
    saved = optimizer.state_dict()
    other.load_state_dict(saved)
    assert other.state[half]["exp_avg"].dtype == mg.float16
    assert other.state[half]["step"].dtype == mg.float32
    before = saved["state"][0]["step"].item()
    descend(other, [half], 1)
    assert saved["state"][0]["step"].item() == before
    assert other.state[half]["step"].item() == before + 1


def test_loading_what_does_not_fit_changes_nothing():
    weight = parameter(2)
    optimizer = optim.Adam([weight], lr=0.1)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({"state": {}, "param_groups": []})
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        optimizer.load_state_dict({"state": {}, "param_groups": [{"params": [0, 1], "lr": 3.0}]})
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.param_groups[0]["params"][0] is weight


def test_loading_an_old_state_dict_fills_in_the_options_and_steps():
    weight = parameter(2)
    optimizer = optim.Adam([weight])
    group = {"params": [0], "lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}
    moments = {"step": 3, "exp_avg": mg.zeros(2), "exp_avg_sq": mg.zeros(2)}
    optimizer.load_state_dict({"state": {0: moments}, "param_groups": [group]})
    assert optimizer.param_groups[0]["maximize"] is False
    descend(optimizer, [weight], 1)
    assert optimizer.state[weight]["step"].item() == 4


def test_state_dict_hooks():
    optimizer = optim.SGD([parameter(1)], lr=0.1)
    calls = []
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("pre"))
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "extra": 1})
    saved = optimizer.state_dict()
    assert calls == ["first", "pre"]
    assert saved["extra"] == 1

    def double(optimizer, state):
        return {**state, "param_groups": [{**group, "lr": 2 * group["lr"]} for group in state["param_groups"]]}

    optimizer.register_load_state_dict_pre_hook(double)
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append("loaded"))
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.2
    assert calls[-1] == "loaded"


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@pytest.mark.parametrize("name", [*POINTWISE, "LBFGS"])
def test_copies_continue_alike(name, duplicate):
    weight = parameter(3)
    optimizer = make(name, [weight])

    def closure(optimizer=optimizer, weight=weight):
        optimizer.zero_grad()
        loss = (weight**4).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    clone = duplicate(optimizer)
    (twin,) = clone.param_groups[0]["params"]
    assert twin is not weight
    for _ in range(2):
        optimizer.step(closure)
        clone.step(lambda: closure(clone, twin))
    assert twin.tolist() == weight.tolist()


def test_repr():
    optimizer = optim.SGD([{"params": [parameter(1)]}, {"params": [parameter(1)], "lr": 0.5}], lr=0.1)
    lines = repr(optimizer).splitlines()
    assert lines[:3] == ["SGD (", "Parameter Group 0", "    dampening: 0"]
    assert lines[-1] == ")"
    assert "    lr: 0.5" in lines


def test_tensor_learning_rate():
    weight, twin = parameter(2), parameter(2)
    rate = mg.tensor(0.25, dtype=mg.float64)
    optimizers = optim.Adam([weight], lr=rate), optim.Adam([twin], lr=0.25)
    descend(optimizers[0], [weight], 2)
    descend(optimizers[1], [twin], 2)
    assert weight.tolist() == twin.tolist()
    scheduler = optim.lr_scheduler.ExponentialLR(optimizers[0], 0.5)
    optimizers[0].step()
    scheduler.step()
    assert optimizers[0].param_groups[0]["lr"] is rate
    assert rate.item() == 0.125
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        optim.Adam([weight], lr=mg.tensor([0.1, 0.2]))


# ---------------------------------------------------------------- L-BFGS
def test_lbfgs_solves_a_least_squares_problem():
    rng = np.random.default_rng(0)
    matrix, target = mg.tensor(rng.standard_normal((12, 4))), mg.tensor(rng.standard_normal(12))
    weight, unused = parameter(4), parameter(2)
    optimizer = optim.LBFGS([weight, unused], line_search_fn="strong_wolfe", max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = ((matrix @ weight - target) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    solution = np.linalg.lstsq(matrix.numpy(), target.numpy(), rcond=None)[0]
    np.testing.assert_allclose(weight.detach().numpy(), solution, atol=1e-6)
    evaluations = optimizer.state[weight]["func_evals"]
    optimizer.step(closure)
    assert optimizer.state[weight]["func_evals"] <= evaluations + 2


def test_lbfgs_refusals():
    weight = parameter(2)
    with pytest.raises(ValueError, match="doesn't support per-parameter options"):
        optim.LBFGS([{"params": [weight]}, {"params": [parameter(1)]}])
    optimizer = optim.LBFGS([weight], line_search_fn="armijo")
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        optimizer.step(lambda: (weight * weight).sum())


def test_lbfgs_complex_parameters():
    weight = mg.Parameter(mg.tensor(np.array([1 + 2j, 3 - 1j])))
    optimizer = optim.LBFGS([weight], line_search_fn="strong_wolfe")

    def closure():
        difference = weight.detach() - (2 + 1j)
        weight.grad = 2 * difference
        return mg.tensor((np.abs(difference.numpy()) ** 2).sum())

    optimizer.step(closure)
    np.testing.assert_allclose(weight.detach().numpy(), [2 + 1j, 2 + 1j], atol=1e-8)
