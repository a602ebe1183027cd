"""Methods and attributes of Tensor that PyTorch's operator database does not run."""

import numpy as np

from tests.parity.claimed import ALL, COMPLEX, FLOATS, R, Spec, X, calls

KINDS = [*ALL, *COMPLEX]


def attribute(name, inputs=KINDS):
    return [lambda t, one=one: getattr(one.make(t), name) for one in inputs]


def method(name, *lists, inputs=KINDS):
    return calls(f"Tensor.{name}", *lists, inputs=inputs)


def on(function, inputs=KINDS):
    """The same small program on every input."""
    return [lambda t, one=one: function(t, one.make(t)) for one in inputs]


def hooked(t, change):
    """Gradients with a hook on a leaf and on an intermediate result."""
    x = R(t, 3)
    y = x * 2
    seen = []
    first = x.register_hook(lambda g: change(g) if change else seen.append(g))
    y.register_hook(lambda g: seen.append(g))
    (y * y).sum().backward()
    gradient = x.grad
    first.remove()
    x.grad = None
    (x * 3).sum().backward()
    return [gradient, x.grad, len(seen)]


def accumulated(t):
    x, seen = R(t, 3), []
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    return [seen, x.grad]


def retained(t):
    x = R(t, 3)
    y = x * 2
    before = y.retains_grad
    y.retain_grad()
    (y * y).sum().backward()
    return [before, y.retains_grad, y.grad, x.grad]


def backward(*arguments, **keywords):
    def run(t):
        x = R(t, 2, 3)
        y = x * x
        y.backward(*[one.make(t) if isinstance(one, Spec) else one for one in arguments], **keywords)
        return x.grad

    return run


def chained(t):
    x = R(t, 3)
    (x * x).sum().backward(retain_graph=True, create_graph=True)
    x.grad.sum().backward()
    return x.grad


def twice(t):
    y = (R(t, 3) ** 2).sum()
    y.backward()
    y.backward()


def drawn(name, *arguments, dtype="float64", size=4000):
    """Sorted quantiles of an in-place draw, rounded: the distribution within sampling error."""

    def run(t):
        t.manual_seed(3)
        x = t.zeros(size, dtype=getattr(t, dtype))
        result = getattr(x, name)(*arguments)
        ordered = np.sort(x.double().numpy())
        spread = ordered[int(size * 0.9)] - ordered[int(size * 0.1)]
        wanted = QUANTILES[name, arguments, dtype]
        close = all(abs(ordered[int(size * q)] - value) <= 0.12 * max(spread, 1e-9) for q, value in wanted.items())
        return [result is x, x.dtype, tuple(x.shape), close]

    return run


QUANTILES = {
    ("bernoulli_", (0.3,), "float64"): {0.1: 0, 0.65: 0, 0.75: 1, 0.9: 1},
    ("bernoulli_", (), "int64"): {0.1: 0, 0.45: 0, 0.55: 1, 0.9: 1},
    ("random_", (10,), "int64"): {0.15: 1, 0.55: 5, 0.95: 9},
    ("random_", (5, 10), "float64"): {0.1: 5, 0.5: 7, 0.9: 9},
    ("random_", (0, 2), "bool"): {0.1: 0, 0.9: 1},
    ("random_", (), "uint8"): {0.25: 64, 0.5: 128, 0.75: 192},
}


def copied(t, target, source, **options):
    x = target.make(t)
    result = x.copy_(source.make(t) if isinstance(source, Spec) else source, **options)
    return [x, result is x]


def copied_within_graph(t):
    x, y = R(t, 3), R(t, 3, seed=5)
    z = x * 1
    z.copy_(y * 2)
    (z * z).sum().backward()
    return [z, x.grad, y.grad]


def viewed(t, change):
    """A view taken before an in-place change sees it."""
    x = X(t, 3, 4)
    row = x[1]
    change(t, x)
    return [x, row]


COPIES = [
    lambda t, a=a, b=b: copied(t, a, b)
    for a in [
        Spec((3, 4)),
        Spec((3, 4), "float64", "transposed"),
        Spec((3, 4), "int64"),
        Spec((3, 4), "bool"),
        Spec((3, 4), "complex64"),
    ]
    for b in [
        Spec((3, 4), seed=1),
        Spec((4,), "float64", seed=1),
        Spec((), "int64", seed=1),
        Spec((3, 1), "bool", seed=1),
        Spec((4, 3), seed=1),
        Spec((2, 3, 4), seed=1),
        2.5,
        Spec((3, 4), "complex64", seed=1),
    ]
]

CASES = {
    name: attribute(name)
    for name in """
dtype shape ndim device is_cpu is_cuda is_ipu is_maia is_meta is_mkldnn is_mps is_mtia is_nested is_quantized
is_sparse is_sparse_csr is_vulkan is_xla is_xpu itemsize layout name nbytes output_nr requires_grad
retains_grad is_leaf grad
""".split()
}
CASES |= {
    name: method(name)
    for name in """
dense_dim detach detach_ dim dim_order element_size get_device is_complex is_conj is_contiguous is_distributed
is_floating_point is_inference is_neg is_nonzero is_pinned is_shared is_signed ndimension nelement numel relu
relu_ sparse_dim stride storage_offset to_dense tolist cpu share_memory_ bfloat16 cdouble cfloat hardshrink
slogdet
""".split()
    if name not in ("dense_dim", "sparse_dim")
}
CASES["slogdet"] = method("slogdet", inputs=[Spec((3, 3)), Spec((2, 3, 3), "float64", grad=True), Spec((3, 4))])
CASES["dense_dim"] = method("dense_dim")
CASES["sparse_dim"] = method("sparse_dim")
CASES["is_nonzero"] += method("is_nonzero", inputs=[Spec((1, 1)), Spec((1,), "bool"), Spec((), "complex64")])
CASES["hardshrink"] += method("hardshrink", (1.0,), {"lambd": 0.1}, inputs=FLOATS)
CASES["prelu"] = method("prelu", (Spec((1,)),), (Spec((4,)),), (Spec((3,)),), {"weight": Spec((1,))}, inputs=FLOATS)
CASES["is_contiguous"] += [
    lambda t: X(t, 1, 2, 3, 3).is_contiguous(memory_format=t.channels_last),
    lambda t: X(t, 1, 2, 3, 3).contiguous(memory_format=t.channels_last).is_contiguous(memory_format=t.channels_last),
    lambda t: X(t, 0, 3).T.is_contiguous(),
    lambda t: X(t, 1, 3).T.is_contiguous(),
    lambda t: X(t, 3, 3).T.is_contiguous(),
]
CASES["stride"] += method("stride", (0,), (-1,), (2,), {"dim": 1})
CASES["dim_order"] += [
    lambda t: X(t, 2, 3, 4, 5).contiguous(memory_format=t.channels_last).dim_order(),
    lambda t: X(t, 2, 3).T.dim_order(),
    lambda t: X(t, 2, 3, 4).transpose(0, 2).dim_order(),
]
CASES["storage_offset"] += on(lambda t, x: x[1:].storage_offset() if x.ndim else None)
CASES["grad"] += [
    lambda t: after_backward(t).grad,
    lambda t: set_grad(t, X(t, 2, 3)),
    lambda t: set_grad(t, X(t, 2, 3, dtype="float64")),
    lambda t: set_grad(t, X(t, 3, 2, dtype="float64")),
    lambda t: set_grad(t, None),
    lambda t: set_grad(t, 1.0),
    lambda t: deleted_grad(t),
]
CASES["is_leaf"] += [
    lambda t: (R(t, 2) * 2).is_leaf,
    lambda t: X(t, 2).requires_grad_().is_leaf,
    lambda t: (R(t, 2) * 2).detach().is_leaf,
]
CASES["requires_grad"] += [
    lambda t: set_requires(t, X(t, 2), True),
    lambda t: set_requires(t, X(t, 2, dtype="int64"), True),
    lambda t: set_requires(t, R(t, 2) * 2, False),
    lambda t: set_requires(t, R(t, 2), False),
    lambda t: (R(t, 2) * 2).requires_grad,
    lambda t: (R(t, 2) > 2).requires_grad,
]
CASES["name"] += [lambda t: named(t)]
CASES["shape"] += on(lambda t, x: x.shape.numel()) + on(lambda t, x: isinstance(x.shape, t.Size))
CASES["output_nr"] += [lambda t: [one.output_nr for one in R(t, 4).split(2)]]


def named(t):
    x = X(t, 2)
    x.name = "a"
    return x.name


def after_backward(t):
    x = R(t, 2, 3)
    (x * x).sum().backward()
    return x


def set_grad(t, value):
    x = R(t, 2, 3)
    x.grad = value
    return x.grad


def deleted_grad(t):
    x = after_backward(t)
    del x.grad
    return x.grad


def set_requires(t, x, value):
    x.requires_grad = value
    return [x.requires_grad, x.is_leaf]


def set_data(t, value):
    x = R(t, 2, 3)
    x.data = value
    return [x, x.requires_grad, x.is_leaf]


def write_data(t):
    x = R(t, 2, 3)
    y = (x * x).sum()
    x.data.mul_(2)
    y.backward()
    return [x, x.grad, x.data.requires_grad]


CASES |= {
    "T": [],
    "data": [
        *attribute("data"),
        lambda t: set_data(t, X(t, 2, 3, dtype="float64")),
        lambda t: set_data(t, X(t, 4, dtype="float64")),
        lambda t: set_data(t, X(t, 4)),
        lambda t: set_data(t, X(t, 2, dtype="int64")),
        lambda t: set_data(t, 2.0),
        write_data,
    ],
    "data_ptr": [
        lambda t: X(t, 2).data_ptr() > 0,
        lambda t: (lambda x: x[1:].data_ptr() - x.data_ptr())(X(t, 2, 3)),
        lambda t: (lambda x: x.view(-1).data_ptr() == x.data_ptr())(X(t, 2, 3)),
        lambda t: (lambda x: x.clone().data_ptr() == x.data_ptr())(X(t, 2, 3)),
        lambda t: X(t, 0).data_ptr(),
    ],
    "const_data_ptr": [lambda t: (lambda x: x.const_data_ptr() == x.data_ptr())(X(t, 2, 3))],
    "device": attribute("device"),
    "apply_": [
        *on(lambda t, x: (lambda r: [r, x, r is x])(x.apply_(lambda v: v * 2))),
        *on(lambda t, x: x.apply_(lambda v: "a")),
        *on(lambda t, x: x.apply_(3)),
        lambda t: viewed(t, lambda t, x: x.apply_(abs)),
    ],
    "map_": [
        *on(lambda t, x: (lambda r: [r, x, r is x])(x.map_(x.detach().clone(), lambda a, b: a + 2 * b))),
        lambda t: X(t, 2, 3).map_(X(t, 3), lambda a, b: a - b),
        lambda t: X(t, 2, 3).map_(X(t, 2), lambda a, b: a - b),
        lambda t: X(t, 3).map_(X(t, 3, dtype="int64"), lambda a, b: a),
    ],
    "map2_": [
        *on(
            lambda t, x: (lambda r: [r, x, r is x])(
                x.map2_(x.detach().clone(), x.detach().clone(), lambda a, b, c: a + 2 * b - c)
            )
        ),
        lambda t: X(t, 2, 3).map2_(X(t, 3), X(t, 2, 1), lambda a, b, c: a - b * c),
    ],
    "as_subclass": [
        lambda t: isinstance(X(t, 2).as_subclass(type("Sub", (t.Tensor,), {})), t.Tensor),
        lambda t: type(X(t, 2).as_subclass(type("Sub", (t.Tensor,), {}))).__name__,
        lambda t: X(t, 2).as_subclass(int),
        lambda t: X(t, 2).as_subclass(t.Tensor),
    ],
    "backward": [
        backward(),
        backward(Spec((2, 3), "float64")),
        backward(Spec((3,), "float64")),
        backward(Spec((2, 3), "float32")),
        backward(gradient=Spec((2, 3), "float64")) if False else backward(Spec((2, 3), "float64"), True),
        chained,
        twice,
        lambda t: X(t, 2).sum().backward(),
        lambda t: (lambda x: ((x * 2).sum().backward(inputs=[x]), x.grad)[1])(R(t, 3)),
        lambda t: (lambda x: (x.sum().backward(), x.sum().backward(), x.grad)[2])(R(t, 3)),
        lambda t: (lambda x: (x.backward(), x.grad)[1])(R(t)),
        lambda t: (lambda x: (x.sum().backward(inputs=[]), x.grad)[1])(R(t, 2)),
        lambda t: (lambda x: (x.sum().backward(inputs=x), x.grad)[1])(R(t, 2)),
        lambda t: R(t, 2).sum().backward(3),
        lambda t: (R(t, 2) > 0).sum().backward(),
    ],
    "bernoulli_": [
        drawn("bernoulli_", 0.3),
        drawn("bernoulli_", dtype="int64"),
        *method(
            "bernoulli_",
            (0.0,),
            (1.0,),
            (1.5,),
            (-0.1,),
            {"p": 1},
            (Spec((3, 4), low=0, high=0),),
            (Spec((4,), low=1, high=1),),
        ),
        lambda t: X(t, 3).bernoulli_(0.5, generator=t.Generator().manual_seed(1)).shape,
    ],
    "random_": [
        drawn("random_", 10, dtype="int64"),
        drawn("random_", 5, 10),
        drawn("random_", 0, 2, dtype="bool"),
        drawn("random_", dtype="uint8"),
        *[
            lambda t, a=a, d=d: t.zeros(3, dtype=getattr(t, d)).random_(*a).shape
            for a in ((), (5,), (2, 9), (5, 5), (9, 2), (0,), (-3, 300))
            for d in ("int64", "float32", "uint8", "bool", "float16")
        ],
        *method("random_", (1,), (4, 5), {"from": 2, "to": 3} if True else ()),
    ],
    "copy_": [
        *COPIES,
        copied_within_graph,
        lambda t: copied(t, Spec((2,)), Spec((2,)), non_blocking=True),
        lambda t: copied(t, Spec((2,), grad=True), Spec((2,))),
        lambda t: copied(t, Spec((2,)), [1, 2]),
        lambda t: viewed(t, lambda t, x: x.copy_(x.flip(0))),
    ],
    "cuda": [lambda t: X(t, 2).cuda() if not t.cuda.is_available() else 0 / 0],
    "fill_diagonal_": method(
        "fill_diagonal_",
        (2.5,),
        (1, True),
        (True,),
        {"fill_value": 3, "wrap": True},
        (1j,),
        inputs=[*KINDS, Spec((7, 3)), Spec((3, 3, 3)), Spec((2, 3, 3)), Spec((7, 3), "float32", "transposed")],
    ),
    "grad_fn": [
        lambda t: R(t, 2).grad_fn,
        lambda t: (R(t, 2) * 2).grad_fn is None,
        lambda t: X(t, 2).grad_fn,
        lambda t: (R(t, 2) * 2).detach().grad_fn,
    ],
    "is_same_size": method("is_same_size", (Spec((3, 4)),), (Spec(()),), {"other": Spec((2, 3), "int64")}),
    "is_set_to": [
        lambda t: (
            lambda x: [
                x.is_set_to(x),
                x.is_set_to(x.clone()),
                x.is_set_to(x[:]),
                x.is_set_to(x[1:]),
                x.is_set_to(x.view(-1)),
                x.is_set_to(x.detach()),
            ]
        )(X(t, 2, 3))
    ],
    "module_load": [
        lambda t: X(t, 2).module_load(X(t, 2, seed=4)),
        lambda t: X(t, 2).module_load(X(t, 2, seed=4), assign=True),
    ],
    "new": [
        lambda t: X(t, 2).new([1, 2]),
        lambda t: X(t, 2).new(2, 3).shape,
        lambda t: X(t, 2, dtype="int64").new(2).dtype,
        lambda t: X(t, 2).new().shape,
        lambda t: X(t, 2, dtype="bool").new([1, 0]),
    ],
    "new_tensor": [
        lambda t, d=d, o=o: o.make(t).new_tensor(d) for o in KINDS for d in (1, 2.5, [1, 2], [True], np.arange(3), [])
    ]
    + [
        lambda t: X(t, 2).new_tensor([1], dtype=t.int64),
        lambda t: X(t, 2).new_tensor([1.0], requires_grad=True).requires_grad,
        lambda t: X(t, 2).new_tensor(X(t, 3)),
        lambda t: X(t, 2).new_tensor("a"),
        lambda t: X(t, 2).new_tensor(data=[1]),
    ],
    "numpy": [
        *on(lambda t, x: x.detach().numpy()),
        *on(lambda t, x: x.numpy()),
        *on(lambda t, x: x.numpy(force=True)),
        lambda t: (R(t, 2) * 2).numpy(),
        lambda t: (lambda x: (x.numpy().fill(3), x)[1])(X(t, 2)),
        lambda t: X(t, 2, 3).T.numpy().strides,
        lambda t: np.asarray(X(t, 2)),
        lambda t: np.asarray(X(t, 2), dtype="float64"),
        lambda t: np.array(R(t, 2)),
        lambda t: np.sin(X(t, 2)),
        lambda t: np.ones(2) * 1.0 if t is None else np.add(X(t, 2), 1),
    ],
    "pin_memory": [],
    "register_hook": [
        lambda t: hooked(t, None),
        lambda t: hooked(t, lambda g: g * 3),
        lambda t: hooked(t, lambda g: g[:1]),
        lambda t: X(t, 2).register_hook(print),
        lambda t: hooked(t, lambda g: 3),
    ],
    "register_post_accumulate_grad_hook": [
        accumulated,
        lambda t: (R(t, 2) * 2).register_post_accumulate_grad_hook(print),
        lambda t: X(t, 2).register_post_accumulate_grad_hook(print),
    ],
    "requires_grad_": [
        *on(lambda t, x: (x.requires_grad_() is x, x.requires_grad)),
        *on(lambda t, x: x.requires_grad_(False).requires_grad),
        lambda t: (R(t, 2) * 2).requires_grad_(False),
        lambda t: (R(t, 2) * 2).requires_grad_(),
        lambda t: X(t, 2).requires_grad_(requires_grad=True).requires_grad,
        lambda t: X(t, 2).requires_grad_(1).requires_grad,
    ],
    "resize": [lambda t: X(t, 2, 3).resize(3, 2), lambda t: X(t, 2, 3).resize((6,)), lambda t: X(t, 2, 3).resize(7)],
    "resize_as": [lambda t: X(t, 2, 3).resize_as(X(t, 6)), lambda t: X(t, 2, 3).resize_as(X(t, 3, 2))],
    "retain_grad": [
        retained,
        lambda t: X(t, 2).retain_grad(),
        lambda t: (lambda x: (x.retain_grad(), x.retains_grad)[1])(R(t, 2)),
    ],
    "retains_grad": attribute("retains_grad"),
    "set_": [
        lambda t: (lambda x, y: [x.set_(y), x.is_set_to(y)])(X(t, 2), X(t, 3, 4)),
        lambda t: X(t, 2).set_().shape,
        lambda t: X(t, 2).set_(X(t, 6).untyped_storage(), 1, (2, 2), (2, 1)),
        lambda t: X(t, 2).set_(X(t, 3, dtype="int64")),
        lambda t: (lambda x, y: (x.set_(y), y.fill_(5), x)[2])(X(t, 2), X(t, 3)),
        lambda t: X(t, 2).set_(X(t, 6), 2, (2,), (1,)),
    ],
    "size": method("size", (), (0,), (-1,), (2,), {"dim": 0}, ("a",), (1.0,)),
    "storage": [
        lambda t: len(X(t, 3, 4).storage()),
        lambda t: X(t, 3).storage().tolist(),
        lambda t: X(t, 3).storage()[1],
        lambda t: X(t, 3).storage().dtype,
        lambda t: X(t, 6)[2:4].storage().size(),
        lambda t: X(t, 3, dtype="int64").storage().nbytes(),
        lambda t: X(t, 3, dtype="int64").storage().element_size(),
    ],
    "untyped_storage": [
        lambda t: X(t, 3, 4).untyped_storage().nbytes(),
        lambda t: len(X(t, 3, 4).untyped_storage()),
        lambda t: (lambda x: x.untyped_storage().data_ptr() == x[1:].untyped_storage().data_ptr())(X(t, 3)),
        lambda t: X(t, 2, dtype="uint8").untyped_storage().tolist(),
        lambda t: t.is_storage(X(t, 2).untyped_storage()),
        lambda t: X(t, 2).untyped_storage().size(),
        lambda t: X(t, 2).untyped_storage().device,
    ],
    "tolist": CASES["tolist"],
    "type": [
        *on(lambda t, x: x.type().rpartition(".")[2]),
        *on(lambda t, x: x.type(t.float64)),
        *on(lambda t, x: x.type(t.int64)),
        *on(lambda t, x: x.type(t.bool)),
        lambda t: X(t, 2).type("torch.LongTensor" if t.__name__ == "torch" else "minigrad.LongTensor"),
        lambda t: X(t, 2).type(dtype=t.float16),
        lambda t: X(t, 2).type("nothing"),
        lambda t: X(t, 2).type(t.IntTensor),
        lambda t: (lambda x: x.type(t.float32) is x)(X(t, 2)),
    ],
    "type_as": [
        *method("type_as", (Spec((2,), "int64"),), (Spec((), "float64"),), (Spec((), "bool"),), {"other": Spec((1,))}),
        lambda t: (lambda x: x.type_as(x) is x)(X(t, 2)),
    ],
    "unsafe_split_with_sizes": method(
        "unsafe_split_with_sizes", ([1, 2],), ([1, 3], 1), ([1, 3], -1), ([2],), {"split_sizes": [3], "dim": 0}
    ),
}
CASES["pin_memory"] = [lambda t: X(t, 2).pin_memory().shape if t.cuda.is_available() else None]
del CASES["T"]

# -- what operators and Python's protocols do with a tensor
OPERANDS = [
    2,
    2.5,
    True,
    0,
    -1,
    1j,
    Spec((4,), "float64", seed=3),
    Spec((3, 1), "int64", seed=3),
    Spec((), "float64", seed=3),
    Spec((4,), "bool", seed=3),
    np.float32(1.5),
    np.int64(2),
    np.float64(0.5),
    np.bool_(True),
    "a",
    None,
    [1, 2, 3, 4],
]
SYMBOLS = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift eq ne lt le gt ge".split()
CASES |= {
    f"__{name}__": [
        lambda t, name=name, one=one, other=other: operate(
            name, one.make(t), other.make(t) if isinstance(other, Spec) else other
        )
        for one in [
            Spec((3, 4)),
            Spec((3, 4), "float64", "transposed"),
            Spec((3, 4), "int64"),
            Spec((), "float32"),
            Spec((3, 4), "bool"),
            Spec((4,), "uint8"),
            Spec((4,), "float16"),
            Spec((4,), "complex64"),
        ]
        for other in OPERANDS
    ]
    for name in SYMBOLS
}
CASES |= {
    f"__r{name}__": [
        lambda t, name=name, one=one, other=other: operate(name, other, one.make(t))
        for one in [
            Spec((3, 4)),
            Spec((3, 4), "int64"),
            Spec((), "float32"),
            Spec((3, 4), "bool"),
            Spec((4,), "uint8"),
            Spec((4,), "float16"),
            Spec((4,), "complex64"),
        ]
        for other in [2, 2.5, True, 0, 1j, np.float32(1.5), np.int64(2), "a", None]
    ]
    for name in SYMBOLS[:13]
}
CASES |= {
    f"__i{name}__": [
        lambda t, name=name, one=one, other=other: operate(
            "i" + name, one.make(t), other.make(t) if isinstance(other, Spec) else other
        )
        for one in [
            Spec((3, 4)),
            Spec((3, 4), "float64", "transposed"),
            Spec((3, 4), "int64"),
            Spec((), "float32"),
            Spec((3, 4), "bool"),
            Spec((4,), "uint8"),
        ]
        for other in OPERANDS
        if name != "matmul"
    ]
    for name in SYMBOLS[:13]
    if name != "matmul"
}
CASES |= {
    "__len__": on(lambda t, x: len(x)),
    "__iter__": on(lambda t, x: list(x)),
    "__bool__": on(lambda t, x: bool(x)) + [lambda t: bool(X(t, 1)), lambda t: bool(X(t, 1, 1, dtype="bool"))],
    "__float__": on(lambda t, x: float(x)) + [lambda t: float(X(t, 1, 1))],
    "__int__": on(lambda t, x: int(x)) + [lambda t: int(X(t, 1))],
    "__index__": on(lambda t, x: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9][x]) + [lambda t: range(5)[t.tensor(2)]],
    "__complex__": on(lambda t, x: complex(x)),
    "__contains__": on(lambda t, x: 1 in x) + on(lambda t, x: "a" in x) + on(lambda t, x: t.tensor(1) in x),
    "__neg__": method("__neg__"),
    "__pos__": method("__pos__"),
    "__abs__": method("__abs__"),
    "__invert__": method("__invert__"),
    "__reversed__": on(lambda t, x: reversed(x)),
    "__hash__": on(lambda t, x: hash(x) == hash(x)),
    "__format__": on(lambda t, x: f"{x:.3f}")
    + [
        lambda t: f"{t.tensor(2.5):6.2f}",
        lambda t: f"{t.tensor(3):d}",
        lambda t: f"{t.tensor(True)}",
        lambda t: f"{t.tensor([1, 2])}",
    ],
    "__deepcopy__": [
        lambda t: __import__("copy").deepcopy(R(t, 2)).requires_grad,
        lambda t: __import__("copy").deepcopy(R(t, 2) * 2),
        lambda t: __import__("copy").deepcopy(X(t, 2, 3).T).stride(),
    ],
    "__array__": on(lambda t, x: x.__array__()) + on(lambda t, x: np.array(x)),
    "__round__": [],
    "__setstate__": [],
}
CASES = {name: cases for name, cases in CASES.items() if cases}


def operate(name, one, other):
    import operator

    result = getattr(operator, {"and": "and_", "or": "or_", "iand": "iand"}.get(name, name))(one, other)
    return [result, result is one] if name.startswith("i") and name not in ("index",) else result
