"""__torch_function__: what subclasses of Tensor keep, who is asked, and when nobody answers, as in PyTorch."""

import importlib

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402


def classes(t):
    """A subclass of Tensor, one that notes calls, one of that, and two classes that are no tensors."""

    class Plain(t.Tensor):
        pass

    class Noting(t.Tensor):
        calls = []

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            Noting.calls.append((func.__name__, [kind.__name__ for kind in types]))
            return super().__torch_function__(func, types, args, kwargs or {})

    class Inner(Noting):
        pass

    class Answer:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return "answer", func.__name__, len(args), sorted(kwargs or {})

    class Silent:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    return Plain, Noting, Inner, Answer, Silent


KEPT = {
    "sum": lambda t, a: a.sum(),
    "plus number": lambda t, a: a + 1,
    "number plus": lambda t, a: 1 + a,
    "tensor plus": lambda t, a: t.ones(2) + a,
    "tracked plus": lambda t, a: t.ones(2, requires_grad=True) + a,
    "parameter plus": lambda t, a: t.nn.Parameter(t.ones(2)) * a,
    "function": lambda t, a: t.add(t.ones(2), a),
    "functional": lambda t, a: t.nn.functional.softmax(a, dim=0),
    "linalg": lambda t, a: t.linalg.norm(a),
    "linear": lambda t, a: t.nn.Linear(2, 2)(a),
    "conv": lambda t, a: t.nn.Conv1d(1, 1, 1)(a.view(1, 1, 2)),
    "loss": lambda t, a: t.nn.MSELoss()(a, t.zeros(2)),
    "network": lambda t, a: t.nn.Sequential(t.nn.Linear(2, 3), t.nn.ReLU(), t.nn.Dropout())(a),
    "item of": lambda t, a: a[0],
    "mask": lambda t, a: a[a > 0],
    "view": lambda t, a: a.view(1, 2),
    "values and indices": lambda t, a: tuple(a.max(0)),
    "split": lambda t, a: a.split(1),
    "iteration": lambda t, a: tuple(a),
    "detach": lambda t, a: a.detach(),
    "cat": lambda t, a: t.cat([t.ones(2), a]),
    "comparison": lambda t, a: a == a,
    "as_subclass": lambda t, a: a.as_subclass(t.Tensor),
    "clone": lambda t, a: a.clone(),
    "zeros_like": lambda t, a: t.zeros_like(a),
    "T": lambda t, a: a.view(1, 2).T,
    "data": lambda t, a: a.data,
    "as_tensor": lambda t, a: t.as_tensor(a),
    "where": lambda t, a: t.where(t.ones(2) > 0, t.ones(2), a),
    "double": lambda t, a: a.double(),
    "in place": lambda t, a: a.add_(1),
    "product": lambda t, a: a @ a,
    "number of": lambda t, a: a.sum().item(),
    "size": lambda t, a: tuple(a.size()),
}


def kinds(value, plain, t):
    if isinstance(value, (tuple, list)):
        return [kinds(item, plain, t) for item in value]
    return "Plain" if isinstance(value, plain) else "Tensor" if isinstance(value, t.Tensor) else value


@pytest.mark.parametrize("name", KEPT)
def test_what_stays_a_subclass(name):
    found = []
    for t in (minigrad, torch):
        plain = classes(t)[0]
        found.append(kinds(KEPT[name](t, t.ones(2).as_subclass(plain)), plain, t))
    assert found[0] == found[1]


def noted(t):
    _, noting, inner, _, _ = classes(t)
    x, y = t.ones(2).as_subclass(noting), t.ones(2).as_subclass(inner)
    w = t.ones(2, requires_grad=True)
    _ = x + 1
    t.add(x, 1)
    _ = 1 - x
    x.sum()
    _ = x[0]
    t.stack([x, x])
    x.add_(1)
    t.nn.functional.linear(x, t.ones(2, 2))
    _ = w * x
    x.mean(dim=0, keepdim=True)
    _ = -x, x @ x, x == 1
    kind = type(x + y) is inner, type(y + x) is inner
    return noting.calls, kind


def test_who_is_asked():
    assert noted(minigrad) == noted(torch)


def asked(t):
    plain, _, _, answer, silent = classes(t)
    t.ones(1).as_subclass(plain)
    return [
        t.add(answer(), 1), t.stack([answer()]), t.sigmoid(answer()), t.ones(2) + answer(),
        t.add(t.ones(2), other=answer()), t.add(silent(), answer()), t.ones(2).add(answer()),
    ]  # fmt: skip


def test_classes_that_are_no_tensors():
    assert asked(minigrad) == asked(torch)


@pytest.mark.parametrize("t", [minigrad, torch], ids=["minigrad", "torch"])
def test_nobody_answers(t):
    plain, noting, _, _, silent = classes(t)
    with pytest.raises(TypeError):
        t.add(silent(), 1)
    with pytest.raises(TypeError):
        t.ones(2).as_subclass(plain) + t.ones(2).as_subclass(noting)


def registered(t):
    """The registry of the page on extending PyTorch: functions by themselves, registered before any class exists."""
    handled = {}

    def implements(function):
        return lambda implementation: handled.setdefault(function, implementation)

    @implements(t.mean)
    def mean(number):
        return number.value / number.count

    class Number:
        def __init__(self, count, value):
            self.count, self.value = count, value

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func not in handled or not all(issubclass(kind, (t.Tensor, Number)) for kind in types):
                return NotImplemented
            return handled[func](*args, **(kwargs or {}))

    overrides = importlib.import_module(t.__name__ + ".overrides")
    classes(t)
    number, tensor = Number(4, 2.0), t.ones(2)
    return [
        t.mean(number),
        [overrides.is_tensor_like(value) for value in (number, tensor, [])],
        overrides.has_torch_function((tensor, number)), overrides.has_torch_function((tensor, t.nn.Parameter(tensor))),
        overrides.handle_torch_function(t.mean, (number,), number), overrides.resolve_name(t.add).split(".")[-1],
        overrides.is_tensor_method_or_property(t.Tensor.add), overrides.is_tensor_method_or_property(t.add),
    ]  # fmt: skip


def test_registry():
    assert registered(minigrad) == registered(torch)


def wrapped(t):
    overrides = importlib.import_module(t.__name__ + ".overrides")
    answer = classes(t)[3]

    @overrides.wrap_torch_function(lambda a, b=None: (a, b))
    def both(a, b=None):
        return "both"

    return both(1), both(answer()), both(1, b=answer())


def test_wrap_torch_function():
    assert wrapped(minigrad) == wrapped(torch)


def mode(t):
    overrides = importlib.import_module(t.__name__ + ".overrides")
    names = []

    class Names(overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    x = t.ones(2)
    with Names(), overrides.BaseTorchFunctionMode():
        y = t.nn.functional.relu(t.sub(x, 3)).exp()
    t.sub(x, 1)
    return names, y.tolist()


def test_mode():
    assert mode(minigrad) == mode(torch)


def written(t):
    plain = classes(t)[0]
    base = t.zeros(4).as_subclass(plain)
    base[:2].add_(1)
    x = t.ones(4, requires_grad=True)
    y = (x * 2).as_subclass(plain) * 1
    view = y[:2]
    view.mul_(3)
    (y.sum() + view.sum()).backward()
    leaf = plain([1.0, 2.0]).requires_grad_()
    (leaf * leaf).sum().backward()
    return base.tolist(), x.grad.tolist(), leaf.grad.tolist(), isinstance(view, plain)


def test_views_and_gradients():
    assert written(minigrad) == written(torch)


def test_tensors_of_another_library_are_not_asked():
    """PyTorch's would call the function again, and so for ever; it needs a subclass to dispatch at all."""
    minigrad.overrides.install()
    theirs = torch.arange(3.0)
    assert minigrad.from_dlpack(theirs).tolist() == [0.0, 1.0, 2.0]
    assert minigrad.add(minigrad.ones(3), minigrad.from_dlpack(theirs)).tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(TypeError):
        minigrad.add(theirs, minigrad.ones(3), alpha="none")


@pytest.mark.parametrize("path", ["fft.rfft", "special.bessel_j0", "special.erf", "linalg.vector_norm"])
def test_functions_of_modules_keep_subclasses(path):
    found = []
    for t in (torch, minigrad):
        Plain = classes(t)[0]
        space, _, name = path.partition(".")
        found.append(type(getattr(getattr(t, space), name)(t.ones(4).as_subclass(Plain))).__name__)
    assert found == ["Plain", "Plain"]
