"""torch.library: the same operators in both frameworks give the same results, gradients, schemas and errors."""

import warnings

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402


def scale(t):
    def fn(x, by=2.0, *, add=0):
        return t.from_numpy(x.numpy() * by) + add

    fn.__annotations__ = {"x": t.Tensor, "by": float, "add": int, "return": t.Tensor}
    operator = t.library.custom_op("paired::scale", fn, mutates_args=())

    @operator.register_fake
    def _(x, by=2.0, *, add=0):
        return t.empty_like(x)

    def set_up(ctx, inputs, output, keyword_only_inputs):
        ctx.by = inputs[1] + keyword_only_inputs["add"]

    operator.register_autograd(lambda ctx, grad: (grad * ctx.by, None), setup_context=set_up)
    return operator, fn


def custom(t):
    operator, fn = scale(t)
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = t.ops.paired.scale(x, 3.0, add=1)
    y.sum().backward()
    return (
        y.tolist(), x.grad.tolist(), operator(x.detach()).tolist(), t.ops.paired.scale.default(x).tolist(),
        t.library.opcheck(operator, (x,)), t.library.infer_schema(fn, mutates_args=()),
    )  # fmt: skip


def libraries(t):
    lib = t.library.Library("paired2", "DEF")
    name = lib.define("weighted(Tensor x, Tensor y, float alpha=1.0, int[] k=[1, 2]) -> Tensor")
    lib.impl("weighted", lambda x, y, alpha=1.0, k=(1, 2): x + y * alpha, "CPU")
    t.library.define("paired2::wave", "(Tensor x) -> Tensor")
    t.library.impl("paired2::wave", "cpu")(lambda x: x.sin())
    t.library.register_autograd(
        "paired2::wave", lambda ctx, grad: grad * ctx.saved_tensors[0].cos(),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
    )  # fmt: skip
    x = t.ones(2, dtype=t.float64, requires_grad=True)
    weighted = t.ops.paired2.weighted(x.detach(), x.detach(), alpha=2.0).tolist()
    del lib
    return name, weighted, t.autograd.gradcheck(t.ops.paired2.wave, x)


def written(t):
    def fn(x):
        x.numpy()[:] = 7

    fn.__annotations__ = {"x": t.Tensor, "return": None}
    operator = t.library.custom_op("paired::fill", fn, mutates_args={"x"})
    x = t.zeros(2)
    operator(x)
    return x.tolist(), x._version


def without_gradient(t):
    def fn(x):
        return x + 1

    fn.__annotations__ = {"x": t.Tensor, "return": t.Tensor}
    t.library.custom_op("paired::bare", fn, mutates_args=())(t.ones(2, requires_grad=True)).sum().backward()


def same_memory(t):
    def fn(x):
        return x

    fn.__annotations__ = {"x": t.Tensor, "return": t.Tensor}
    t.library.custom_op("paired::same", fn, mutates_args=())(t.ones(2))


def outcome(program, t):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return program(t)
        except Exception as error:
            return type(error)


PROGRAMS = [
    custom, libraries, written, without_gradient, same_memory,
    lambda t: scale(t)[0](), lambda t: scale(t)[0](t.ones(1), wrong=1), lambda t: scale(t)[0](t.ones(1), 1.0, 1),
    lambda t: t.library.infer_schema(lambda x: x, mutates_args=()), lambda t: t.library.Library("a", "NEW"),
    lambda t: t.library.register_fake("paired::none", lambda x: x),
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(program):
    assert outcome(program, minigrad) == outcome(program, torch)
