"""Operators of a program's own: what is registered is what runs, and wrong use says what is wrong."""

import numpy as np
import pytest

import minigrad as mg

library = mg.library


def define(name, fn, **options):
    return library.custom_op(f"tried::{name}", fn, **{"mutates_args": (), **options})


def cube(x: mg.Tensor, by: float = 1.0) -> mg.Tensor:
    return mg.from_numpy(x.numpy() ** 3 * by)


def with_gradient(operator):
    def set_up(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.by = inputs[1]

    operator.register_autograd(lambda ctx, g: (3 * ctx.saved_tensors[0] ** 2 * ctx.by * g, None), setup_context=set_up)
    return operator


def test_gradients_of_both_orders():
    operator = with_gradient(define("cube", cube))
    x = mg.tensor([1.0, -2.0], dtype=mg.float64, requires_grad=True)
    assert mg.autograd.gradcheck(lambda x: operator(x, 2.0), x)
    assert mg.autograd.gradgradcheck(lambda x: operator(x, by=2.0), x)
    assert mg.ops.tried.cube is operator.default and operator.name() == "tried::cube"
    assert not operator(x.detach()).requires_grad


def test_kernels_by_device_and_none():
    operator = define("by_device", lambda x: x + 1, device_types="cuda", schema="(Tensor x) -> Tensor")
    with pytest.raises(NotImplementedError, match="Could not run 'tried::by_device' on the device 'cpu'.*cuda"):
        operator(mg.ones(2))
    operator.register_kernel("cpu")(lambda x: x + 2)
    assert operator(mg.ones(2)).tolist() == [3, 3]
    with pytest.raises(ValueError, match="cpu and cuda"):
        operator.register_kernel("xpu", lambda x: x)


def test_written_arguments_are_noticed_by_backward():
    def fill(x: mg.Tensor) -> None:
        x.numpy()[:] = 7

    operator = define("fill", fill, mutates_args={"x"})
    assert operator._schema == "(Tensor(a0!) x) -> ()"
    w, weights = mg.ones(2, requires_grad=True), mg.zeros(2)
    y = (w * weights).sum()
    operator(weights)
    assert weights.tolist() == [7, 7] and weights._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    with pytest.raises(RuntimeError, match="non-functional operator"):
        operator.register_autograd(lambda ctx, grad: grad)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda f: f(), RuntimeError, "missing value for argument 'x'"),
        (lambda f: f(mg.ones(1), 1.0, 2), RuntimeError, "takes 2 arguments by position, but got 3"),
        (lambda f: f(mg.ones(1), x=mg.ones(1)), RuntimeError, "several values for argument 'x'"),
        (lambda f: f(mg.ones(1), other=1), RuntimeError, "unexpected keyword argument 'other'"),
        (lambda f: define("same", lambda x: x, schema="(Tensor x) -> Tensor")(mg.ones(1)), RuntimeError, "not alias"),
        (lambda f: f(mg.ones(1, requires_grad=True)).backward(), RuntimeError, "no autograd formula was registered"),
        (lambda f: library.custom_op("name", cube, mutates_args=()), ValueError, "mylib::add"),
        (lambda f: define("wrong", cube, mutates_args={"z"}), ValueError, "no parameter"),
        (lambda f: define("wrong", cube, tags=(1,)), ValueError, "tags"),
        (lambda f: define("wrong", cube, schema="x"), ValueError, "no schema"),
        (lambda f: define("wrong", cube, schema="(x) -> Tensor"), ValueError, "no argument"),
        (lambda f: define("wrong", lambda x: x), ValueError, "Parameter x must have a type annotation"),
        (lambda f: library.custom_op("loss::a", cube, mutates_args=()), RuntimeError, "a part of minigrad"),
        (lambda f: library.define("tried::plain", "(Tensor x) -> Tensor"), RuntimeError, "defined already"),
        (lambda f: library.register_fake("tried::none", cube), RuntimeError, "does not exist"),
        (lambda f: library.Library("a", "NEW"), ValueError, "Unsupported kind"),
        (lambda f: library.Library("tried", "IMPL").impl("plain", 3), TypeError, "callable"),
        (lambda f: library.register_vmap, AttributeError, "once per slice"),
    ],
)
def test_wrong_use(call, error, match):
    with pytest.raises(error, match=match):
        call(define("plain", cube))


def test_schemas_of_annotations():
    def many(
        x: mg.Tensor, ys: list[mg.Tensor], n: int, flag: bool | None = None, *, name: str = "a", k: mg.dtype = mg.int8
    ) -> tuple[mg.Tensor, mg.Tensor]: ...

    expected = '(Tensor x, Tensor[] ys, SymInt n, bool? flag=None, *, str name="a", ScalarType k=int8)'
    assert library.infer_schema(many, mutates_args=()) == expected + " -> (Tensor, Tensor)"


def test_libraries_composites_and_their_gradients():
    lib = library.Library("sketched", "DEF")
    assert lib.define("mix(Tensor x, Tensor[] ys, float a=1.5, *, int[] k=[1, 2]) -> Tensor") == "mix"
    lib.impl("mix", lambda x, ys, a=0.0, k=(): x * a + sum(ys) * sum(k), "CompositeImplicitAutograd")
    x = mg.ones(2, requires_grad=True)
    y = mg.ops.sketched.mix(x, [x, x])
    y.sum().backward()
    assert y.tolist() == [7.5, 7.5] and x.grad.tolist() == [7.5, 7.5]
    library.impl("sketched::mix", "Autograd", lambda *args, **kwargs: "called instead")
    assert mg.ops.sketched.mix(x, [x]) == "called instead"


def test_opcheck_finds_what_is_wrong():
    def doubled(x: mg.Tensor) -> mg.Tensor:
        return x * 2

    def writes(x: mg.Tensor) -> mg.Tensor:
        x.zero_()
        return x + 1

    x = mg.ones(3, requires_grad=True)
    good = define("good", doubled)
    good.register_autograd(lambda ctx, grad: grad * 2)
    found = library.opcheck(good, (x,), raise_exception=False)
    assert found.pop("test_faketensor").args[0].startswith("There was no fake impl")
    good.register_fake(lambda x: mg.empty_like(x))
    assert set(library.opcheck(good, (x,)).values()) == set(found.values()) == {"SUCCESS"}
    good.register_fake(lambda x: mg.empty(4))
    with pytest.raises(library.OpCheckError, match="test_faketensor failed with .*says .4,."):
        library.opcheck(good, (x,))
    with pytest.raises(library.OpCheckError, match="x is not defined as mutable but was mutated"):
        library.opcheck(define("bad", writes), (mg.ones(2),), test_utils="test_schema")
    with pytest.raises(ValueError, match="test_utils are"):
        library.opcheck(good, (x,), test_utils="test_all")
    np.testing.assert_array_equal(x.detach().numpy(), [1, 1, 1])
