"""Transforms of functions: what PyTorch's torch.func returns or raises, and how transforms nest."""

import collections

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402

Pair = collections.namedtuple("Pair", "p q")


def doubled_in_place(x):
    x.mul_(2)
    return x.sum()


class Data:
    """What the programs below share, in one of the two frameworks."""

    def __init__(self, t):
        self.t = t
        self.x = t.tensor([0.0, 1.0, 2.0])
        self.y = self.x.clone()
        self.w = t.tensor(2.0, requires_grad=True)
        self.a = t.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])
        self.m = t.nn.Linear(2, 2)
        with t.no_grad():
            self.m.weight.fill_(0.5)
            self.m.bias.fill_(0.25)


def without_grad(d, f):
    with d.t.no_grad():
        return f.grad(lambda x: (d.w * x**2).sum())(d.x)


def constant_inside(d, x):
    with d.t.no_grad():
        y = x * 2
    return (y * x).sum()


def twice(pull, x):
    return pull(x), pull(x)


def writes_a_view(x):
    y = x * 1
    y.view(-1)[1:].mul_(x.sum())
    return y


def without_statistics(d, f, module):
    module = f.replace_all_batch_norm_modules_(module)
    x = d.t.arange(6.0).reshape(2, 3) ** 2
    return module(x), module.eval()(x), list(module.state_dict())


# Each a function of the data and of torch.func or minigrad.func; what it returns or raises is compared.
PROGRAMS = {
    "grad": lambda d, f: f.grad(lambda x: (x**3).sum())(d.x),
    "grad of no scalar": lambda d, f: f.grad(lambda x: x * 2)(d.x),
    "grad of one element": lambda d, f: f.grad(lambda x: x.sum().reshape(1))(d.x),
    "grad of no tensor": lambda d, f: f.grad(lambda x: 2.0)(d.x),
    "grad of a constant": lambda d, f: f.grad(lambda x: d.t.tensor(1.0))(d.x),
    "grad argnums out of range": lambda d, f: f.grad(lambda x: x.sum(), argnums=1)(d.x),
    "grad argnums negative": lambda d, f: f.grad(lambda x, y: (x * y).sum(), argnums=-1)(d.x, d.x + 1),
    "grad argnums repeated": lambda d, f: f.grad(lambda x, y: (x * y).sum(), argnums=(0, -2))(d.x, d.x),
    "grad argnums float": lambda d, f: f.grad(lambda x: x.sum(), argnums=0.0)(d.x),
    "grad argnums both": lambda d, f: f.grad(lambda x, y: (x * x * y).sum(), argnums=(1, 0))(d.x, d.x),
    "grad of integers": lambda d, f: f.grad(lambda x: x.sum())(d.t.arange(3)),
    "grad of a number": lambda d, f: f.grad(lambda x: x)(2.0),
    "grad unused": lambda d, f: f.grad(lambda x, y: x.sum(), argnums=(0, 1))(d.x, d.x),
    "grad aux": lambda d, f: f.grad(lambda x: (x.sum(), {"a": x * 2}), has_aux=True)(d.x),
    "grad aux missing": lambda d, f: f.grad(lambda x: x.sum(), has_aux=True)(d.x),
    "grad aux three": lambda d, f: f.grad(lambda x: (x.sum(), x, x), has_aux=True)(d.x),
    "grad aux text": lambda d, f: f.grad(lambda x: (x.sum(), "hi"), has_aux=True)(d.x),
    "grad and value": lambda d, f: f.grad_and_value(lambda x: ((x * x).sum(), x), has_aux=True)(d.x),
    "grad in place": lambda d, f: (f.grad(doubled_in_place)(d.y), d.y),
    "grad tree": lambda d, f: f.grad(lambda p: (p["a"][0] * p["b"].q * p["b"].p).sum())(
        {"a": [d.x, d.x], "b": Pair(d.x, d.x)}
    ),
    "grad of tracked": lambda d, f: f.grad(lambda x: (x**3).sum())(d.x.clone().requires_grad_()),
    "grad with tracked": lambda d, f: f.grad(lambda x: (d.w * x**2).sum())(d.x),
    "grad with tracked, aux": lambda d, f: f.grad(lambda x: ((x**2).sum(), (d.w * x, x)), has_aux=True)(d.x),
    "grad under no_grad": without_grad,
    "grad over no_grad": lambda d, f: f.grad(lambda x: constant_inside(d, x))(d.x),
    "grad keywords": lambda d, f: f.grad(lambda x, *, k: (x * k).sum())(d.x, k=d.x),
    "third derivative": lambda d, f: f.grad(f.grad(f.grad(lambda x: x**4)))(d.t.tensor(2.0)),
    "levels apart": lambda d, f: f.grad(lambda x: x * f.grad(lambda y: x * y)(d.t.tensor(3.0)))(d.t.tensor(2.0)),
    "levels apart, same": lambda d, f: f.grad(lambda x: f.grad(lambda y: x * y * y)(x) * x)(d.t.tensor(2.0)),
    "vmap in place": lambda d, f: (f.vmap(doubled_in_place)(d.y), d.y),
    "vmap no inputs": lambda d, f: f.vmap(lambda: d.x)(),
    "vmap number": lambda d, f: f.vmap(lambda x, y: x * y)(d.x, 2.0),
    "vmap number None": lambda d, f: f.vmap(lambda x, y: x * y, in_dims=(0, None))(d.x, 2.0),
    "vmap keyword": lambda d, f: f.vmap(lambda x, s=1: x * s)(d.x, s=d.x),
    "vmap in_dims None": lambda d, f: f.vmap(lambda x: x, in_dims=None)(d.x),
    "vmap in_dims (None,)": lambda d, f: f.vmap(lambda x: x, in_dims=(None,))(d.x),
    "vmap in_dims out of range": lambda d, f: f.vmap(lambda x: x, in_dims=3)(d.x),
    "vmap in_dims text": lambda d, f: f.vmap(lambda x: x, in_dims="a")(d.x),
    "vmap in_dims float": lambda d, f: f.vmap(lambda x: x, in_dims=(1.5,))(d.x),
    "vmap in_dims too few": lambda d, f: f.vmap(lambda x, y: x, in_dims=(0,))(d.x, d.x),
    "vmap in_dims list for tuple": lambda d, f: f.vmap(lambda x: x[0], in_dims=([0, 0],))((d.x, d.x)),
    "vmap in_dims of a namedtuple": lambda d, f: f.vmap(lambda n: (n.p, n.q), in_dims=(Pair(0, None),))(Pair(d.x, d.x)),
    "vmap in_dims 1": lambda d, f: f.vmap(lambda x: x * 2, in_dims=1)(d.a),
    "vmap in_dims -1": lambda d, f: f.vmap(lambda x: (x, x.sum()), in_dims=-1, out_dims=(1, 0))(d.a),
    "vmap sizes": lambda d, f: f.vmap(lambda x, y: x)(d.x, d.t.ones(4)),
    "vmap scalar": lambda d, f: f.vmap(lambda x: x)(d.t.tensor(1.0)),
    "vmap empty": lambda d, f: f.vmap(lambda x: x * 2, out_dims=-1)(d.t.ones(0, 3)),
    "vmap returns number": lambda d, f: f.vmap(lambda x: 2.0)(d.x),
    "vmap returns constant": lambda d, f: f.vmap(lambda x: d.t.ones(2))(d.x),
    "vmap out_dims None": lambda d, f: f.vmap(lambda x: x, out_dims=None)(d.x),
    "vmap out_dims None, constant": lambda d, f: f.vmap(lambda x: d.t.ones(2), out_dims=None)(d.x),
    "vmap out_dims None, number": lambda d, f: f.vmap(lambda x: (x, 3), out_dims=(0, None))(d.x),
    "vmap out_dims out of range": lambda d, f: f.vmap(lambda x: x, out_dims=2)(d.x),
    "vmap out_dims text": lambda d, f: f.vmap(lambda x: x, out_dims="x")(d.x),
    "vmap out_dims too many": lambda d, f: f.vmap(lambda x: (x, x), out_dims=(0, 0, 0))(d.x),
    "vmap dict": lambda d, f: f.vmap(lambda v: {"o": v["a"] * 2})({"a": d.x}),
    "vmap chunk_size": lambda d, f: f.vmap(lambda x: x * x, chunk_size=2)(d.x),
    "vmap chunk_size 0": lambda d, f: f.vmap(lambda x: x, chunk_size=0)(d.x),
    "vmap randomness": lambda d, f: f.vmap(lambda x: x, randomness="x")(d.x),
    "vmap draws": lambda d, f: f.vmap(lambda x: x + d.t.randn(()))(d.x),
    "vmap draws of a generator": lambda d, f: f.vmap(lambda x: x + d.t.randn((), generator=d.t.Generator()))(d.x),
    "vmap dropout": lambda d, f: f.vmap(lambda x: d.t.nn.functional.dropout(x))(d.x),
    "vmap dropout off": lambda d, f: f.vmap(lambda x: d.t.nn.functional.dropout(x, training=False))(d.x),
    "vmap vmap": lambda d, f: f.vmap(f.vmap(lambda a, b: a * b, in_dims=(0, None)), in_dims=(None, 0))(d.x, d.x),
    "vmap max": lambda d, f: tuple(f.vmap(lambda x: x.max(0))(d.a)),
    "vmap sort": lambda d, f: tuple(f.vmap(lambda x: x.sort(descending=True))(d.a)),
    "vmap conv": lambda d, f: f.vmap(lambda x: d.t.nn.functional.conv1d(x.reshape(1, 1, 3), d.t.ones(1, 1, 2)))(d.a),
    "jvp no tuple": lambda d, f: f.jvp(lambda x: x * 2, d.x, d.x),
    "jvp shapes": lambda d, f: f.jvp(lambda x: x * 2, (d.x,), (d.t.ones(4),)),
    "jvp nothing": lambda d, f: f.jvp(lambda x: x * 2, (), ()),
    "jvp structures": lambda d, f: f.jvp(lambda x: x * 2, (d.x,), (d.x, d.x)),
    "jvp of no tensor": lambda d, f: f.jvp(lambda x: 2.0, (d.x,), (d.x,)),
    "jvp of a constant": lambda d, f: f.jvp(lambda x: d.t.ones(2), (d.x,), (d.x,)),
    "jvp aux": lambda d, f: f.jvp(lambda x: (x * 2, x), (d.x,), (d.x,), has_aux=True),
    "jvp trees": lambda d, f: f.jvp(
        lambda x, y: (x["k"] * y, {"s": y.sum()}), ({"k": d.x}, d.x), ({"k": d.x + 1}, d.x)
    ),
    "vjp": lambda d, f: f.vjp(lambda x: x * 2, d.x)[1](d.x),
    "vjp shapes": lambda d, f: f.vjp(lambda x: x * 2, d.x)[1](d.t.ones(4)),
    "vjp structures": lambda d, f: f.vjp(lambda x: x * 2, d.x)[1]((d.x, d.x)),
    "vjp twice": lambda d, f: twice(f.vjp(lambda x: x * x, d.x)[1], d.x),
    "vjp two outputs": lambda d, f: f.vjp(lambda x, y: (x * y, x), d.x, d.x)[1]((d.x, d.x)),
    "vjp of no tensor": lambda d, f: f.vjp(lambda x: 2.0, d.x),
    "vjp no cotangent": lambda d, f: f.vjp(lambda x: x, d.x)[1](),
    "vjp aux": lambda d, f: f.vjp(lambda x: (x * 2, x), d.x, has_aux=True)[::2],
    "jacrev dict out": lambda d, f: f.jacrev(lambda x: {"a": x * x})(d.x),
    "jacrev argnums": lambda d, f: f.jacrev(lambda x, y: x * y, argnums=(0, 1))(d.x, d.x + 1),
    "jacrev dict in": lambda d, f: f.jacrev(lambda x: x["a"] * x["b"])({"a": d.x, "b": d.x}),
    "jacrev of no tensor": lambda d, f: f.jacrev(lambda x: 3)(d.x),
    "jacrev chunk_size": lambda d, f: f.jacrev(lambda x: x, chunk_size=0)(d.x),
    "jacrev aux": lambda d, f: f.jacrev(lambda x: (x * 2, x), has_aux=True)(d.x),
    "jacrev matrix": lambda d, f: f.jacrev(lambda a: a.T @ a)(d.a),
    "jacfwd dict out": lambda d, f: f.jacfwd(lambda x: {"a": x * x})(d.x),
    "jacfwd argnums": lambda d, f: f.jacfwd(lambda x, y: x * y, argnums=(0, 1))(d.x, d.x + 1),
    "jacfwd dict in": lambda d, f: f.jacfwd(lambda x: x["a"] * x["b"])({"a": d.x, "b": d.x}),
    "jacfwd draws": lambda d, f: f.jacfwd(lambda x: x * d.t.randn(()))(d.x),
    "jacfwd aux": lambda d, f: f.jacfwd(lambda x: (x * 2, x), has_aux=True)(d.x),
    "jacfwd matrix": lambda d, f: f.jacfwd(lambda a: a.T @ a)(d.a),
    "hessian": lambda d, f: f.hessian(lambda x: (x**3).sum())(d.x),
    "hessian argnums": lambda d, f: f.hessian(lambda a, b: (a**2 * b).sum(), argnums=(0, 1))(d.x, d.x + 1),
    "jacfwd jacrev": lambda d, f: f.jacfwd(f.jacrev(lambda x: x**3))(d.x),
    "jacrev jacfwd": lambda d, f: f.jacrev(f.jacfwd(lambda x: x.sin()))(d.x),
    "jacrev jacrev": lambda d, f: f.jacrev(f.jacrev(lambda x: x.exp()))(d.x),
    "jacfwd jacfwd": lambda d, f: f.jacfwd(f.jacfwd(lambda x: x.exp()))(d.x),
    "linearize": lambda d, f: f.linearize(lambda x: x * x, d.x)[1](d.x),
    "linearize shapes": lambda d, f: f.linearize(lambda x: x * x, d.x)[1](d.t.ones(4)),
    "linearize structures": lambda d, f: f.linearize(lambda x: x * x, d.x)[1](d.x, d.x),
    "per-sample gradients": lambda d, f: f.vmap(f.grad(lambda w, x: (w * x).sum() ** 2), in_dims=(None, 0))(d.x, d.a),
    "grad vmap": lambda d, f: f.grad(lambda w: f.vmap(lambda a: (w * a).sum())(d.a).prod())(d.x),
    "vmap jacrev": lambda d, f: f.vmap(f.jacrev(lambda x: x**2))(d.a),
    "vmap hessian": lambda d, f: f.vmap(f.hessian(lambda x: (x**3).sum()))(d.a),
    "jvp grad": lambda d, f: f.jvp(f.grad(lambda x: (x**3).sum()), (d.x,), (d.x,)),
    "vmap vjp": lambda d, f: f.vmap(lambda v: f.vjp(lambda x: x**3, d.x)[1](v))(d.t.eye(3)),
    "grad jvp": lambda d, f: f.grad(lambda x: f.jvp(lambda y: (y**3).sum(), (x,), (x,))[1])(d.x),
    "call": lambda d, f: f.functional_call(d.m, {"weight": d.t.ones(2, 2)}, d.t.ones(1, 2)),
    "call unknown": lambda d, f: f.functional_call(d.m, {"wht": d.t.ones(2, 2)}, d.t.ones(1, 2)),
    "call strict": lambda d, f: f.functional_call(d.m, {"weight": d.t.ones(2, 2)}, d.t.ones(1, 2), strict=True),
    "call list": lambda d, f: f.functional_call(d.m, [1], d.t.ones(1, 2)),
    "call number": lambda d, f: f.functional_call(d.m, {"weight": 3}, d.t.ones(1, 2)),
    "call repeated": lambda d, f: f.functional_call(d.m, ({"weight": d.x}, {"weight": d.x}), d.t.ones(1, 2)),
    "call keyword": lambda d, f: f.functional_call(d.m, {"bias": d.t.zeros(2)}, None, {"input": d.t.ones(1, 2)}),
    "call grad": lambda d, f: f.grad(lambda p: f.functional_call(d.m, p, (d.t.ones(1, 2),)).sum())(
        {name: value.detach() for name, value in d.m.named_parameters()}
    ),
    "stack": lambda d, f: [(name, t.shape) for name, t in f.stack_module_state([d.m, d.m])[0].items()],
    "stack values": lambda d, f: f.stack_module_state([d.m, d.m]),
    "stack nothing": lambda d, f: f.stack_module_state([]),
    "stack classes": lambda d, f: f.stack_module_state([d.m, d.t.nn.ReLU()]),
    "stack modes": lambda d, f: f.stack_module_state([d.m, d.t.nn.Linear(2, 2).eval()]),
    "functionalize": lambda d, f: f.functionalize(lambda x: x.clone().mul_(2)[0])(d.x),
    "functionalize views": lambda d, f: f.functionalize(writes_a_view, remove="mutations_and_views")(d.x),
    "functionalize of an argument": lambda d, f: (f.functionalize(lambda x: x.add_(1))(d.x), d.x),
    "functionalize grad": lambda d, f: f.grad(f.functionalize(lambda x: writes_a_view(x).sum()))(d.x),
    "functionalize remove": lambda d, f: f.functionalize(lambda x: x, remove="views")(d.x),
    "functionalize remove of a wrong class": lambda d, f: f.functionalize(lambda x: x, remove=1)(d.x),
    "replace_all_batch_norm_modules_": lambda d, f: without_statistics(d, f, d.t.nn.BatchNorm1d(3)),
    "replace_all_batch_norm_modules_ inside": lambda d, f: without_statistics(
        d, f, d.t.nn.Sequential(d.t.nn.Sequential(d.t.nn.BatchNorm1d(3, affine=False)), d.t.nn.ReLU())
    ),
    "replace_all_batch_norm_modules_ of instances": lambda d, f: without_statistics(
        d, f, d.t.nn.InstanceNorm1d(3, track_running_stats=True)
    ),
}


def described(value):
    if isinstance(value, (torch.Tensor, minigrad.Tensor)):
        values = value.detach().reshape(-1).tolist()
        if isinstance(value, torch.Tensor):
            values = pytest.approx(values, rel=1e-5, abs=1e-6)
        return tuple(value.shape), str(value.dtype).split(".")[-1], value.requires_grad, value.is_leaf, values
    if isinstance(value, dict):
        return {key: described(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__ if type(value) is not torch.Size else "Size", *map(described, value)]
    return value


def outcome(program, t):
    data = Data(t)
    try:
        return described(program(data, t.func))
    except Exception as error:  # the class is the result
        return type(error).__name__


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    assert outcome(PROGRAMS[name], minigrad) == outcome(PROGRAMS[name], torch)


def per_sample_gradients(t, state, images, labels):
    """The tutorial's program: the gradients of every sample's loss, and of an ensemble."""
    f = t.func
    model = t.nn.Sequential(
        t.nn.Conv2d(1, 3, 3), t.nn.ReLU(), t.nn.MaxPool2d(2), t.nn.Flatten(), t.nn.Linear(12, 4)
    )  # fmt: skip
    model.load_state_dict({name: t.from_numpy(value) for name, value in state.items()})
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    buffers = {name: value.detach() for name, value in model.named_buffers()}

    def loss(parameters, buffers, sample, target):
        predictions = f.functional_call(model, (parameters, buffers), (sample.unsqueeze(0),))
        return t.nn.functional.cross_entropy(predictions, target.unsqueeze(0))

    images, labels = t.from_numpy(images), t.from_numpy(labels)
    each = f.vmap(f.grad(loss), in_dims=(None, None, 0, 0))(parameters, buffers, images, labels)
    stacked, stacked_buffers = f.stack_module_state([model, model])
    ensemble = f.vmap(lambda p, b, x: f.functional_call(model, (p, b), (x,)), in_dims=(0, 0, None))
    predictions = ensemble(stacked, stacked_buffers, images)
    predictions.sum().backward()
    return each, predictions, {name: value.grad for name, value in stacked.items()}


def test_per_sample_gradients_of_the_tutorial(rng):
    shapes = {"0.weight": (3, 1, 3, 3), "0.bias": (3,), "4.weight": (4, 12), "4.bias": (4,)}
    state = {name: rng.standard_normal(shape).astype("float32") for name, shape in shapes.items()}
    images, labels = rng.standard_normal((5, 1, 6, 6)).astype("float32"), rng.integers(0, 4, 5)
    expected = described(per_sample_gradients(torch, state, images, labels))
    assert described(per_sample_gradients(minigrad, state, images, labels)) == expected
