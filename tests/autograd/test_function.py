"""Functions with a gradient of the user's own."""

import gc
import weakref

import pytest

import minigrad as mg
from minigrad.autograd import Function
from minigrad.autograd.function import once_differentiable


class Scale(Function):
    """y = x * w, with a Python number in between."""

    @staticmethod
    def forward(ctx, x, factor, w):
        ctx.save_for_backward(x, w)
        ctx.factor = factor
        return x * w * factor

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        gx = grad * w * ctx.factor if ctx.needs_input_grad[0] else None
        gw = grad * x * ctx.factor if ctx.needs_input_grad[2] else None
        return gx, None, gw


class Exp(Function):
    """Saves its own result."""

    @staticmethod
    def forward(ctx, x):
        y = mg.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * y


class SinCos(Function):
    """Two outputs, and the other way of setting up the context."""

    @staticmethod
    def forward(x):
        return mg.sin(x), mg.cos(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_sin, grad_cos):
        (x,) = ctx.saved_tensors
        return grad_sin * mg.cos(x) - grad_cos * mg.sin(x)


def leaf(values):
    return mg.tensor(values, dtype=mg.float64, requires_grad=True)


@pytest.mark.parametrize(
    "run, inputs",
    [
        (lambda x, w: Scale.apply(x, 3.0, w), ([1.0, 2.0], [0.5, -1.0])),
        (Exp.apply, ([0.1, 0.2],)),
        (SinCos.apply, ([0.1, 0.2],)),
        (lambda x: SinCos.apply(x)[1], ([0.1, 0.2],)),
        (lambda x: Exp.apply(Exp.apply(x)) * x, ([0.1, 0.2],)),
    ],
)
def test_gradients_to_second_order(run, inputs):
    leaves = [leaf(values) for values in inputs]
    assert mg.autograd.gradcheck(run, leaves)
    assert mg.autograd.gradgradcheck(run, leaves)


def test_needs_input_grad_and_names():
    x, w = leaf([1.0]), mg.ones(1, dtype=mg.float64)
    y = Scale.apply(x, 2.0, w)
    assert y.grad_fn.name() == "ScaleBackward"
    y.backward()
    assert x.grad.item() == 2.0 and w.grad is None
    assert not Scale.apply(w, 2.0, w).requires_grad
    with mg.no_grad():
        assert not Scale.apply(x, 2.0, w).requires_grad


def test_saved_tensors_are_checked_and_freed():
    x, w = leaf([1.0]), mg.ones(1, dtype=mg.float64)
    y = Scale.apply(x, 2.0, w)
    w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    y = Scale.apply(x, 2.0, w)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_no_cycle_through_a_saved_output():
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(leaf([1.0]))
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()


class Wrong(Function):
    """Returns what it is told to."""

    result = None

    @staticmethod
    def forward(ctx, x, w):
        return x + w

    @staticmethod
    def backward(ctx, grad):
        return Wrong.result(grad)


@pytest.mark.parametrize(
    "result, error, text",
    [
        (lambda g: g, RuntimeError, "incorrect number of gradients"),
        (lambda g: (g, g, g), RuntimeError, "incorrect number of gradients"),
        (lambda g: (mg.ones(5, dtype=mg.float64), g), RuntimeError, "invalid gradient at index 0"),
        (lambda g: (3.0, g), RuntimeError, "expected a Tensor or None"),
    ],
)
def test_wrong_gradients_are_refused(result, error, text):
    Wrong.result = staticmethod(result)
    x, w = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    with pytest.raises(error, match=text):
        Wrong.apply(x, w).sum().backward()


def test_gradients_that_only_need_summing_are_summed():
    Wrong.result = staticmethod(lambda g: (g, g))
    x, w = leaf([[1.0], [2.0]]), leaf([1.0, 2.0])
    Wrong.apply(x, w).sum().backward()
    assert x.grad.tolist() == [[2.0], [2.0]] and w.grad.tolist() == [2.0, 2.0]


def test_once_differentiable():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, grad):
            return grad * 2 * ctx.saved_tensors[0]

    x = leaf([3.0])
    (g,) = mg.autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    assert g.item() == 6.0
    with pytest.raises(RuntimeError, match="once_differentiable"):
        mg.autograd.grad(g.sum(), x)


def test_mark_dirty_and_non_differentiable():
    class Clip(Function):
        @staticmethod
        def forward(ctx, x):
            mask = x > 1
            x.clamp_(max=1)
            ctx.mark_dirty(x)
            ctx.mark_non_differentiable(mask)
            ctx.save_for_backward(mask)
            return x, mask

        @staticmethod
        def backward(ctx, grad, _):
            return grad * ctx.saved_tensors[0].logical_not()

    x = leaf([0.5, 2.0])
    h = x * 1
    out, mask = Clip.apply(h)
    assert out is h and not mask.requires_grad
    (out * mg.tensor([3.0, 5.0], dtype=mg.float64)).sum().backward()
    assert x.grad.tolist() == [3.0, 0.0]


def test_missing_gradients_can_stay_none():
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append((a is None, b is None))
            return b * 2

    x = leaf([1.0])
    Two.apply(x)[1].sum().backward()
    assert seen == [(True, False)] and x.grad.item() == 2.0


def test_an_input_returned_as_it_is_becomes_a_new_variable():
    class Reverse(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return -grad

    x = leaf([1.0])
    y = Reverse.apply(x)
    assert y is not x
    y.sum().backward()
    assert x.grad.item() == -1.0


def test_legacy_functions_are_refused():
    with pytest.raises(RuntimeError, match="static forward method"):
        Exp()(leaf([1.0]))
    with pytest.raises(NotImplementedError):
        Function.apply(leaf([1.0]))


def test_gradient_of_a_graph_inside_forward():
    class Inner(Function):
        @staticmethod
        def forward(ctx, x):
            with mg.enable_grad():
                x = x.detach().requires_grad_()
                ctx.y = x * x
                ctx.x = x
            return ctx.y.detach()

        @staticmethod
        def backward(ctx, grad):
            return mg.autograd.grad(ctx.y, ctx.x, grad)[0]

    x = leaf([3.0])
    Inner.apply(x).backward()
    assert x.grad.item() == 6.0


class Double(Function):
    """Doubles its input in place."""

    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_mark_dirty_of_a_view_rewrites_its_base():
    x = leaf([1.0, 1.0, 1.0])
    base = x * 1
    part = base[:2]
    out = Double.apply(part)
    (out.sum() + (base * base).sum()).backward()
    assert out is part and base.tolist() == [2.0, 2.0, 1.0]
    assert x.grad.tolist() == [10.0, 10.0, 2.0]


def test_mark_dirty_leaves_no_cycle():
    base = leaf([1.0]) * 1
    out = Double.apply(base)
    gone = weakref.ref(out)
    gc.disable()
    try:
        del base, out
        assert gone() is None
    finally:
        gc.enable()


def test_outputs_that_are_no_tensors_get_none():
    seen = []

    class Labelled(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, "label", x * 3

        @staticmethod
        def backward(ctx, *grads):
            seen.extend(None if grad is None else grad.tolist() for grad in grads)
            return grads[0] * 2

    x = leaf([1.0])
    Labelled.apply(x)[0].sum().backward()
    assert seen == [[1.0], None, [0.0]]


def test_setup_context_sees_defaults_and_keywords():
    class Scale(Function):
        @staticmethod
        def forward(x, factor=3.0):
            return x * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            _, ctx.factor = inputs

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.factor, None

    x = leaf([1.0])
    (Scale.apply(x) + Scale.apply(x, 4.0) + Scale.apply(x, factor=5.0)).sum().backward()
    assert x.grad.tolist() == [12.0]
