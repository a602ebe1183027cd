"""The backward pass: what it computes, what it refuses, and what it leaves behind."""

import copy
import gc
import pickle
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg


def leaf(values, dtype=mg.float32):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


def test_gradients_add_up_over_uses_and_calls():
    x = leaf([1.0, 2.0])
    y = x * x + x
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 5.0]
    (x * 2).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]


def test_a_leaf_alone_is_its_own_gradient():
    x = leaf(3.0)
    x.backward()
    assert x.grad.item() == 1.0


def test_broadcast_gradients_are_summed_back():
    a, b = leaf(np.ones((3, 1))), leaf(np.ones((1, 4)))
    (a * b).sum().backward()
    assert a.grad.shape == (3, 1) and b.grad.shape == (1, 4)
    assert a.grad.tolist() == [[4.0]] * 3


def test_gradients_of_leaves_do_not_share_memory():
    a, b = leaf([1.0]), leaf([1.0])
    seed = mg.ones(1)
    (a + b).backward(seed)
    a.grad.zero_()
    assert b.grad.item() == 1.0 and seed.item() == 1.0


def test_recorded_gradients_can_be_written():
    x, y = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    (x + y).sum().backward(create_graph=True)
    x.grad.detach_().zero_()
    assert x.grad.tolist() == [0.0, 0.0] and y.grad.tolist() == [1.0, 1.0]


def test_gradient_is_written_in_place_when_it_exists():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad is first and first.tolist() == [4.0, 8.0]


@pytest.mark.parametrize("order", range(1, 6))
def test_any_order_of_derivative(order):
    x = leaf(0.7, mg.float64)
    y = mg.sin(x)
    for _ in range(order):
        (y,) = mg.autograd.grad(y, x, create_graph=True)
    expected = [np.sin, np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t)][order % 4](0.7)
    assert y.item() == pytest.approx(expected, abs=1e-12)


def test_grad_leaves_dot_grad_alone_and_prunes():
    x, w = leaf(2.0), leaf(3.0)
    calls = []
    y = x * w
    w.register_hook(lambda g: calls.append("w"))
    assert [g.item() for g in mg.autograd.grad(y, x)] == [3.0]
    assert x.grad is None and w.grad is None and not calls


def test_grad_of_a_non_leaf():
    x = leaf(2.0)
    h = x * x
    y = h * h
    gh, gx = mg.autograd.grad(y, (h, x))
    assert gh.item() == 8.0 and gx.item() == 32.0


def test_backward_into_chosen_inputs_only():
    x, w = leaf(2.0), leaf(3.0)
    (x * w).backward(inputs=[x])
    assert x.grad.item() == 3.0 and w.grad is None


def test_unused_inputs():
    x, z = leaf(1.0), leaf([1.0, 1.0])
    with pytest.raises(RuntimeError, match="appears to not have been used"):
        mg.autograd.grad(x * 2, (x, z))
    gx, gz = mg.autograd.grad(x * 2, (x, z), allow_unused=True)
    assert gx.item() == 2.0 and gz is None
    assert mg.autograd.grad(x * 2, (z,), materialize_grads=True)[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "run, error, text",
    [
        (lambda: (leaf([1.0, 2.0]) * 2).backward(), RuntimeError, "only for scalar outputs"),
        (lambda: mg.ones(1).backward(), RuntimeError, "does not require grad"),
        (lambda: (leaf([1.0]) * 2).backward(mg.ones(3)), RuntimeError, "Mismatch in shape"),
        (lambda: (leaf([1.0]) * 2).backward(3.0), TypeError, "not"),
        (lambda: mg.tensor([1, 2]).requires_grad_(), RuntimeError, "floating point"),
        (lambda: mg.tensor([1, 2], requires_grad=True), RuntimeError, "floating point"),
        (lambda: mg.autograd.grad(leaf(1.0) * 2, ()), RuntimeError, "cannot be empty"),
        (lambda: mg.autograd.grad(leaf(1.0) * 2, mg.ones(1)), RuntimeError, "does not require grad"),
        (lambda: (leaf(1.0) * 2).backward(inputs=[]), RuntimeError, "cannot be empty"),
        (lambda: (leaf(1.0) * 2).requires_grad_(False), RuntimeError, "leaf variables"),
        (lambda: mg.ones(2).retain_grad(), RuntimeError, "requires_grad=False"),
        (lambda: mg.ones(2).register_hook(print), RuntimeError, "doesn't require gradient"),
        (lambda: leaf([1.0]).numpy(), RuntimeError, "detach"),
        (lambda: setattr(leaf([1.0]), "grad", mg.ones(2)), RuntimeError, "different size"),
        (lambda: setattr(leaf([1.0]), "grad", mg.ones(1, dtype=mg.float64)), RuntimeError, "different type"),
        (lambda: setattr(leaf([1.0]), "grad", 3), TypeError, "Tensor or None"),
        (lambda: copy.deepcopy(leaf([1.0]) * 2), RuntimeError, "graph leaves"),
    ],
)
def test_misuse_is_refused(run, error, text):
    with pytest.raises(error, match=text):
        run()


def test_second_backward_through_a_freed_graph():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    assert x.grad.tolist() == [2.0, 4.0]
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_an_error_in_backward_leaves_gradients_alone():
    x = leaf([1.0])
    good = x * 2

    def fail(grad):
        raise KeyError("hook")

    bad = x * x
    bad.register_hook(fail)
    with pytest.raises(KeyError):
        (good + bad).sum().backward()
    assert x.grad is None and mg.is_grad_enabled()


@pytest.mark.parametrize("change", ["add_", "mul_", "zero_", "setitem", "detach", "view"])
def test_a_saved_value_that_changes_is_noticed(change):
    x, w = mg.ones(3), leaf([1.0, 2.0, 3.0])
    y = (x * w).sum()
    if change == "setitem":
        x[0] = 5.0
    elif change == "detach":
        x.detach().fill_(2.0)
    elif change == "view":
        x[1:].add_(1.0)
    elif change == "zero_":
        x.zero_()
    else:
        getattr(x, change)(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@pytest.mark.parametrize("order", ["C", "F", "view", "step", "0-d"])
def test_a_write_through_data_is_not_noticed(order):
    memory = mg.zeros(4, 6)
    x = {"C": memory, "F": memory.t(), "view": memory[1:, 2:], "step": memory[::2, ::3], "0-d": memory[1, 1]}[order]
    w = mg.full(x.shape, 3.0, requires_grad=True)
    y = (x * w).sum()
    alias = x.data
    alias[...] = 2.0
    x.data.view(x.shape).add_(mg.ones(x.shape))
    assert bool((x == 3.0).all()) and memory.sum().item() == 3.0 * x.numel()
    y.backward()
    assert bool((w.grad == 3.0).all())
    alias.requires_grad_()
    z = (alias * w).sum()
    with mg.no_grad():
        alias.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_functions_write_past_the_check_by_data():
    class Put(mg.autograd.Function):
        @staticmethod
        def forward(ctx, scratch, value, index):
            ctx.index = index
            scratch.data[index] = value
            return scratch

        @staticmethod
        def backward(ctx, grad):
            return grad, grad[ctx.index], None

    x = leaf([1.0, 2.0, 3.0])
    scratch = mg.zeros(3, 3)
    for column in range(3):
        before = scratch[:, :column].sum()
        scratch = Put.apply(scratch, x * (before + 1), (..., column))
    (scratch * mg.arange(9.0).reshape(3, 3)).sum().backward()
    expected = leaf([1.0, 2.0, 3.0])
    columns = []
    for _ in range(3):
        before = sum((part.sum() for part in columns), mg.zeros(()))
        columns.append(expected * (before + 1))
    (mg.stack(columns, 1) * mg.arange(9.0).reshape(3, 3)).sum().backward()
    assert mg.allclose(x.grad, expected.grad)


def test_lower_precision_notices_writes_through_data():
    w = mg.nn.Parameter(mg.ones(2, 2))
    x = mg.ones(2, 2)
    with mg.autocast("cpu", dtype=mg.float16):
        first = x @ w
        w.data.fill_(3.0)
        second = x @ w
    assert first.sum().item() == 8.0 and second.sum().item() == 24.0


def test_a_change_before_saving_or_of_another_tensor_is_fine():
    x, w = mg.ones(3), leaf([1.0, 2.0, 3.0])
    x.add_(1.0)
    y = (x * w).sum()
    other = mg.ones(3)
    other.add_(1.0)
    y.backward()
    assert w.grad.tolist() == [2.0, 2.0, 2.0]


def test_in_place_on_a_leaf_that_requires_grad_is_refused():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x += 1
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x[0] = 3.0
    with pytest.raises(RuntimeError, match="view of a leaf"):
        x[0:1].mul_(2)
    with mg.no_grad():
        x += 1
    assert x.tolist() == [2.0, 3.0] and x.requires_grad and x.is_leaf


def test_hooks_see_and_replace_gradients():
    x = leaf([1.0, 2.0])
    seen = []
    h = x * 3
    h.retain_grad()
    h.register_hook(lambda g: g * 2)
    handle = h.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g + 1)
    h.sum().backward()
    assert seen == [[2.0, 2.0]]
    assert h.grad.tolist() == [2.0, 2.0]
    assert x.grad.tolist() == [7.0, 7.0]
    handle.remove()
    handle.remove()


def test_a_leaf_hook_runs_once_on_the_summed_gradient():
    x = leaf(2.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 3 + x * 4).backward()
    assert seen == [7.0]


def test_post_accumulate_hook():
    x = leaf(2.0)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.item()))
    (x * 3).backward()
    handle.remove()
    (x * 3).backward()
    assert seen == [3.0]


def test_grad_modes():
    x = leaf(2.0)
    with mg.no_grad():
        assert not (x * x).requires_grad
        with mg.enable_grad():
            assert (x * x).requires_grad
    assert not mg.no_grad()(lambda: x * x)().requires_grad

    @mg.no_grad
    def without():
        return x * x

    assert not without().requires_grad
    with mg.set_grad_enabled(False):
        assert not (x * x).requires_grad
    with mg.inference_mode():
        assert not (x * x).requires_grad and mg.is_inference_mode_enabled()
    assert (x * x).requires_grad


def test_grad_mode_in_generators_and_threads():
    x = leaf(2.0)

    @mg.no_grad()
    def numbers():
        yield x * x
        yield mg.is_grad_enabled()

    generator = numbers()
    assert not next(generator).requires_grad
    assert mg.is_grad_enabled()
    assert next(generator) is False
    found = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: found.append(mg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert found == [True]


def test_detach_shares_memory_and_no_graph():
    x = leaf([1.0, 2.0])
    y = x * 1
    d = y.detach()
    assert not d.requires_grad and d.data_ptr() == y.data_ptr()
    with pytest.raises(RuntimeError):
        d.sum().backward()
    y.detach_()
    assert y.is_leaf and not y.requires_grad


def test_promotion_keeps_the_object():
    x = mg.ones(2)
    same = x
    x.requires_grad = True
    assert same is x and isinstance(x, mg.Variable) and isinstance(x, mg.Tensor)
    x.requires_grad = False
    assert isinstance(x, mg.Variable) and not (x * 2).requires_grad


def test_copies_and_pickles_keep_what_a_leaf_is():
    p = mg.Parameter(mg.ones(2))
    p.grad = mg.ones(2)
    p.tag = "kept"
    for twin in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert type(twin) is mg.Parameter and twin.requires_grad and twin.tag == "kept"
        assert twin.tolist() == [1.0, 1.0] and twin is not p
    assert copy.deepcopy(p).grad is None
    x = leaf([1.0])
    x.sum().backward()
    assert copy.deepcopy(x).grad.tolist() == [1.0]


def test_the_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(np.ones((4, 4)))
        y = (mg.exp(x @ x) * x).sum()
        nodes = [weakref.ref(y.grad_fn)]
        y.backward(retain_graph=True)
        (g,) = mg.autograd.grad((x * x * x).sum(), x, create_graph=True)
        nodes.append(weakref.ref(g.grad_fn))
        z = x * 2
        z[0] = 0.0
        row = z[1]
        row += 1
        nodes.append(weakref.ref(row.grad_fn))
        del y, g, z, row
        assert [node() for node in nodes] == [None] * 3
    finally:
        gc.enable()


def test_memory_does_not_grow_over_steps():
    w = leaf(np.ones((50, 50)))
    x = mg.ones(50, 50)

    def step():
        w.grad = None
        mg.tanh(x @ w).sum().backward()

    gc.disable()
    try:
        for _ in range(3):
            step()
        tracemalloc.start()
        step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            step()
        assert tracemalloc.get_traced_memory()[0] - before < 50_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_chain_of_100_000_ops():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 100_001.0
    del y


def test_saved_activations_are_freed_as_backward_goes():
    x = leaf(np.ones(1000))
    alive = []
    h = x
    for _ in range(5):
        h = mg.exp(h * 0.1)
        alive.append(weakref.ref(h.grad_fn))
    y = h.sum()
    y.backward()
    assert all(node() is None or node().saved is None for node in alive)


def test_gradients_that_were_summed_up_are_freed_before_the_next_node():
    made, alive = [], []

    class Branch(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            result = grad * 2
            made.append(weakref.ref(result.array))
            return result

    class Below(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            alive.append(sum(array() is not None for array in made))
            return grad * 2

    x = leaf(np.ones(1000))
    h = Below.apply(x)
    (Branch.apply(h) + Branch.apply(h)).sum().backward()
    assert x.grad.tolist() == [8.0] * 1000
    assert len(made) == 2 and alive[0] <= 1  # one if the others were added to it in place


def test_grad_fn_names_and_edges():
    x = leaf([1.0])
    y = mg.exp(x)
    assert y.grad_fn.name() == "ExpBackward0"
    (accumulate, index), = y.grad_fn.next_functions
    assert accumulate.variable is x and index == 0
    assert x.grad_fn is None


BINARY = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b * 0.5,
    "-": lambda a, b: a - b,
    "s": lambda a, b: mg.sin(a),
}


@given(st.lists(st.sampled_from("+*-s"), min_size=1, max_size=8), st.integers(0, 2**31))
def test_random_graphs_agree_with_finite_differences(program, seed):
    rng = np.random.default_rng(seed)

    def run(a, b):
        values = [a, b]
        picks = np.random.default_rng(seed)
        for letter in program:
            left, right = (values[picks.integers(len(values))] for _ in range(2))
            values.append(BINARY[letter](left, right))
        return values[-1]

    inputs = [leaf(rng.standard_normal(shape), mg.float64) for shape in ((2, 1), (1, 3))]
    assert mg.autograd.gradcheck(run, inputs)
    assert mg.autograd.gradgradcheck(run, inputs)


def test_variable_of_2018():
    x = mg.autograd.Variable(mg.ones(2, 2), requires_grad=True)
    y = (x + 2).mean()
    y.backward()
    assert x.grad.data[0][0] == 0.25
    assert isinstance(x.data, mg.Tensor) and not x.data.requires_grad
    x.data -= 0.1 * x.grad.data
    assert x.data[0, 0].item() == pytest.approx(0.975)
    plain = mg.autograd.Variable(mg.ones(1))
    assert not plain.requires_grad
    with pytest.warns(UserWarning, match="volatile"):
        mg.autograd.Variable(mg.ones(1), volatile=True)


@pytest.mark.parametrize(
    "write",
    [
        lambda y: y.mul_(3),
        lambda y: y.__setitem__(0, 7.0),
        lambda y: y.view(-1).mul_(3),
        lambda y: y[:1].zero_(),
        lambda y: y.unsqueeze_(0),
    ],
)
def test_retain_grad_stays_with_the_tensor_over_in_place_writes(write):
    x = leaf([1.0, 2.0])
    y = x * 2
    y.retain_grad()
    write(y)
    assert y.retains_grad
    (y * 5).sum().backward()
    assert y.grad.flatten().tolist() == [5.0, 5.0]


def test_retain_grad_of_a_view_stays_over_a_write_to_its_base():
    y = leaf([1.0, 2.0]) * 2
    part = y[:1]
    part.retain_grad()
    y.mul_(3)
    assert part.retains_grad
    (part * 5).sum().backward()
    assert part.grad.tolist() == [5.0]


def test_a_hook_may_not_change_the_dtype():
    x = leaf([1.0])
    x.register_hook(lambda grad: grad.double())
    with pytest.raises(RuntimeError, match="type"):
        x.sum().backward()


def test_the_gradient_of_a_non_leaf_warns():
    x = leaf([1.0])
    y = x * 2
    with pytest.warns(UserWarning, match="not a leaf"):
        assert y.grad is None
    y.retain_grad()
    assert y.grad is None and x.grad is None  # no warning


def test_closing_a_generator_runs_in_its_mode():
    seen = []

    @mg.no_grad()
    def numbers():
        try:
            yield 1
        finally:
            seen.append(mg.is_grad_enabled())

    generator = numbers()
    next(generator)
    generator.close()
    assert seen == [False] and mg.is_grad_enabled()


def test_a_pickled_non_leaf_comes_back_as_a_leaf():
    y = pickle.loads(pickle.dumps(leaf([1.0]) * 2))
    assert y.tolist() == [2.0] and y.requires_grad and y.is_leaf


class Marked(mg.Tensor):
    """A user's subclass."""

    def hello(self):
        return "hello"


def test_a_subclass_of_tensor_computes_and_receives_gradients():
    x = Marked([1.0, 2.0])
    assert x.hello() == "hello" and (x + 1).sum().item() == 5.0 and not x.requires_grad
    assert mg.nn.functional.relu(x).tolist() == [1.0, 2.0]
    x.requires_grad_()
    (x * x).sum().backward()
    assert x.requires_grad and x.is_leaf and x.grad.tolist() == [2.0, 4.0]
    clone = copy.deepcopy(x)
    assert type(clone) is Marked and clone.grad.tolist() == [2.0, 4.0]
    other = mg.ones(2).as_subclass(Marked)
    other[0] = 3.0
    assert type(other) is Marked and (other * 2).tolist() == [6.0, 2.0]
    tracked = (x * 2).as_subclass(Marked)
    tracked.sum().backward()
    assert type(tracked) is Marked and x.grad.tolist() == [4.0, 6.0]


def test_what_a_hook_keeps_is_not_written_by_the_next_pass():
    seen, x = [], mg.ones(2, requires_grad=True)
    x.register_hook(seen.append)
    for _ in range(2):
        (x * 3).sum().backward()
    assert [g.tolist() for g in seen] == [[3.0, 3.0], [3.0, 3.0]] and x.grad.tolist() == [6.0, 6.0]
