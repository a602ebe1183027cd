"""torch.autograd.graph, forward_ad and batched gradients: what programs return or raise in both frameworks."""

import importlib

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402


def leaf(t, *values):
    return t.tensor(values, requires_grad=True)


def packed_to_numbers(t):
    seen, x = [], leaf(t, 2.0, 3.0)

    def pack(value):
        seen.append(tuple(value.shape))
        return value.tolist()

    with t.autograd.graph.saved_tensors_hooks(pack, t.tensor):
        y = (x * x).exp().sum()
    y.backward()
    return x.grad, len(seen) > 0


def packed_function(t):
    class Square(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * ctx.saved_tensors[0] * grad

    x = leaf(t, 2.0)
    with t.autograd.graph.saved_tensors_hooks(lambda v: v + 0, lambda v: v * 10):
        Square.apply(x).sum().backward()
    return x.grad


def unpacked_wrongly(t):
    x = leaf(t, 2.0)
    with t.autograd.graph.saved_tensors_hooks(lambda v: v, lambda v: 3):
        y = x.exp().sum()
    y.backward()


def packed_in_place(t):
    with t.autograd.graph.saved_tensors_hooks(lambda v: v.add_(1), lambda v: v):
        (leaf(t, 2.0) * 2).exp()


def hooks_disabled(t):
    with t.autograd.graph.disable_saved_tensors_hooks("not now"):
        with t.autograd.graph.saved_tensors_hooks(lambda v: v, lambda v: v):
            pass


def freed_after_backward(t):
    x = leaf(t, 2.0)
    with t.autograd.graph.saved_tensors_hooks(lambda v: v, lambda v: v):
        y = x.exp().sum()
    y.backward()
    y.backward()


def second_derivative_through_hooks(t):
    x = leaf(t, 2.0, 3.0)
    with t.autograd.graph.save_on_cpu():
        y = (x**3).sum()
        (g,) = t.autograd.grad(y, x, create_graph=True)
        g.sum().backward()
    return x.grad


def mutation_allowed(t):
    w, x = leaf(t, 1.0, 1.0), t.tensor([2.0, 3.0])
    with t.autograd.graph.allow_mutation_on_saved_tensors():
        y = (w * x).exp().sum()
        x.zero_()
        y.backward()
    return w.grad


def all_gradients(t):
    seen, a, b = [], leaf(t, 1.0, 2.0), leaf(t, 3.0, 4.0)
    c, d = a * b, a * b
    handle = t.autograd.graph.register_multi_grad_hook((a, b, c, d), lambda grads: seen.append(list(grads)))
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    (c + d).sum().backward(retain_graph=True)
    handle.remove()
    c.sum().backward()
    return seen


def any_gradient(t):
    seen, a, b = [], leaf(t, 1.0, 2.0), leaf(t, 3.0, 4.0)
    c = a * b
    t.autograd.graph.register_multi_grad_hook((a, c, t.ones(2)), seen.append, mode="any")
    c.sum().backward(retain_graph=True)
    c.sum().backward()
    return seen


def node_hooks(t):
    seen, x, y = [], leaf(t, 1.0, 2.0), leaf(t, 3.0, 4.0)
    z = x * y
    handle = z.grad_fn.register_hook(lambda inputs, outputs: seen.append((inputs, outputs)))
    z.grad_fn.register_hook(lambda inputs, outputs: tuple(g * 10 for g in inputs))
    z.sum().backward(retain_graph=True)
    handle.remove()
    z.sum().backward(retain_graph=True)
    z.grad_fn.register_hook(lambda inputs, outputs: inputs[:1])
    with pytest.raises(RuntimeError):
        z.sum().backward()
    return seen, x.grad, y.grad


def edges(t):
    x = leaf(t, 1.0, 2.0)
    y = x * x
    z = y.exp().sum()
    get = t.autograd.graph.get_gradient_edge
    by_hand = t.autograd.graph.GradientEdge(*z.grad_fn.next_functions[0])
    return t.autograd.grad(z, [get(y), get(x), by_hand]), type(get(x).node).__name__, get(y).output_nr


def forward_ad_of(t):
    return importlib.import_module(t.__name__ + ".autograd.forward_ad")


def dual(t, function):
    forward_ad = forward_ad_of(t)
    with forward_ad.dual_level():
        return function(forward_ad, t.tensor([1.0, 2.0]), t.tensor([3.0, -1.0]))


def left_level(t):
    forward_ad = forward_ad_of(t)
    with forward_ad.dual_level():
        y = forward_ad.make_dual(t.ones(2), t.ones(2)) * 2
    return forward_ad.unpack_dual(y)[1]


def dual_of_tracked(t):
    w = leaf(t, 2.0, 3.0)
    primal, tangent = dual(t, lambda f, x, v: f.unpack_dual(f.make_dual(x, v) ** 2 * w))
    tangent.sum().backward()
    return primal, tangent, w.grad


PROGRAMS = {
    "pack": packed_to_numbers,
    "pack Function": packed_function,
    "unpack no tensor": unpacked_wrongly,
    "pack in place": packed_in_place,
    "hooks disabled": hooks_disabled,
    "freed": freed_after_backward,
    "second derivative": second_derivative_through_hooks,
    "mutation": mutation_allowed,
    "all gradients": all_gradients,
    "any gradient": any_gradient,
    "multi hook mode": lambda t: t.autograd.graph.register_multi_grad_hook((leaf(t, 1.0),), print, mode="some"),
    "node hooks": node_hooks,
    "edges": edges,
    "edge of untracked": lambda t: t.autograd.graph.get_gradient_edge(t.ones(2)),
    "dual": lambda t: dual(t, lambda f, x, v: f.unpack_dual(f.make_dual(x, v).sin() * x)),
    "dual matrix": lambda t: dual(t, lambda f, x, v: f.unpack_dual(f.make_dual(x, v).outer(x).softmax(1))),
    "dual two": lambda t: dual(t, lambda f, x, v: f.unpack_dual(f.make_dual(x, v) * f.make_dual(x + 1, v * 2))),
    "dual none": lambda t: dual(t, lambda f, x, v: f.unpack_dual(x)[1]),
    "dual itself": lambda t: dual(t, lambda f, x, v: f.unpack_dual(f.make_dual(x, v))),
    "dual shapes": lambda t: dual(t, lambda f, x, v: f.make_dual(x, t.ones(3))),
    "dual integers": lambda t: dual(t, lambda f, x, v: f.make_dual(x.long(), v.long())),
    "dual twice": lambda t: dual(t, lambda f, x, v: f.make_dual(f.make_dual(x, v), v)),
    "dual nested": lambda t: dual(t, lambda f, x, v: f.enter_dual_level()),
    "dual outside": lambda t: forward_ad_of(t).make_dual(*leaf(t, 1.0, 2.0)),
    "dual left": left_level,
    "dual tracked": dual_of_tracked,
    "multithreading": lambda t: t.autograd.is_multithreading_enabled(),
    "batched": lambda t: (lambda x: t.autograd.grad(x.exp(), x, t.eye(2), is_grads_batched=True))(leaf(t, 1.0, 2.0)),
    "batched none": lambda t: (lambda x: t.autograd.grad(x.exp(), x, is_grads_batched=True))(leaf(t, 1.0, 2.0)),
    "batched scalar": lambda t: (lambda x: t.autograd.grad(x, x, t.tensor(1.0), is_grads_batched=True))(leaf(t, 1.0)),
    "batched unused": lambda t: (
        lambda x, y: t.autograd.grad(x * 2, (x, y), t.ones(3, 1), is_grads_batched=True, allow_unused=True)
    )(leaf(t, 1.0), leaf(t, 2.0)),
}


def described(value):
    if isinstance(value, (torch.Tensor, minigrad.Tensor)):
        values = value.detach().reshape(-1).tolist()
        return tuple(value.shape), pytest.approx(values, rel=1e-5) if isinstance(value, torch.Tensor) else values
    return [described(item) for item in value] if isinstance(value, (list, tuple)) else value


def outcome(program, t):
    try:
        return described(program(t))
    except Exception as error:  # the class is the result
        return type(error).__name__


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    assert outcome(PROGRAMS[name], minigrad) == outcome(PROGRAMS[name], torch)
