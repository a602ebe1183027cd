"""Layers, functions of layers, initialisation and nn.utils that PyTorch's databases do not run."""

import numpy as np
import torch.nn.utils.prune  # not an attribute before

from tests.parity.claimed import ALL, FLOATS, R, Spec, X, call, calls

PICTURES = [Spec((2, 4, 6, 6)), Spec((2, 4, 6, 6), "float64", grad=True), Spec((4, 6, 6), "float32", "stepped")]
LINES = [Spec((2, 6, 8)), Spec((2, 6, 8), "float64", grad=True), Spec((6, 8), "float32", "transposed")]
VOLUMES = [Spec((1, 2, 4, 6, 4)), Spec((2, 4, 6, 4), "float64", grad=True)]


def f(name, *lists, inputs=ALL):
    return calls(f"nn.functional.{name}", *lists, inputs=inputs)


def fed(t, layer, *inputs, grad=True):
    """A layer in float64 with the same deterministic parameters, run on inputs: outputs and parameters' gradients."""
    layer = layer.double()
    with t.no_grad():
        for index, parameter in enumerate(layer.parameters()):
            parameter.copy_(X(t, *parameter.shape, dtype="float64", seed=index + 20))
    made = [one.make(t) if isinstance(one, Spec) else one for one in inputs]
    result = layer(*made)
    total = sum(
        one.sum() for one in (result if isinstance(result, (tuple, list)) else [result]) if one.is_floating_point()
    )
    if grad and total.requires_grad:
        total.backward()
    return [result, [p.grad for p in layer.parameters()], [name for name, _ in layer.named_parameters()]]


def pooled(t, n, indices=True, **options):
    pool = getattr(t.nn, f"MaxPool{n}d")(2, return_indices=True)
    unpool = getattr(t.nn, f"MaxUnpool{n}d")(2, **options)
    x = R(t, 2, 3, *([6] * n))
    y, where = pool(x)
    result = unpool(y, where)
    (result * result).sum().backward()
    return [result, x.grad, repr(unpool)]


def statistics(t, name, shape, *arguments, dtype="float32", **options):
    """Initialise and say whether mean and spread are what PyTorch's are, which are returned rounded coarsely."""
    x = t.empty(*shape, dtype=getattr(t, dtype))
    result = getattr(t.nn.init, name)(x, *arguments, **options)
    values = x.double().numpy()
    spread = values.std()
    # Logarithmic steps of a quarter: sampling errors of 2 % stay inside unless PyTorch's own value lies on an edge.
    return [
        result is x,
        str(x.dtype).rpartition(".")[2],
        bool(abs(values.mean()) < 0.1 * spread + 1e-9),
        spread,
        np.abs(values).max(),
    ]


class Statistics:
    """Both libraries' draws, compared within sampling error: see test_claimed.py."""

    def __init__(self, name, shape, *arguments, **options):
        self.inner = (name, shape, arguments, options)
        self.text = f"{name}{shape}{arguments}{options}"

    def __call__(self, t):
        name, shape, arguments, options = self.inner
        flags = statistics(t, name, shape, *arguments, **options)
        *rest, spread, largest = flags
        torch.manual_seed(1)
        *_, wanted, bound = statistics(torch, name, shape, *arguments, **options)
        close = abs(spread - wanted) <= 0.06 * wanted + 1e-9 and largest <= 1.3 * bound + 1e-9
        return [*rest, bool(close)]


def exact(name, *lists, shapes=((3, 4), (4, 3), (5,), (2, 3, 4), (4, 4, 3, 3), (2, 2, 3, 3, 3), (0, 3), ())):
    def made(shape, arguments):
        def run(t):
            x = X(t, *shape)
            keywords = arguments if isinstance(arguments, dict) else {}
            result = getattr(t.nn.init, name)(x, *(() if keywords else arguments), **keywords)
            return [x, result is x, x.requires_grad]

        return run

    return [made(shape, arguments) for shape in shapes for arguments in lists]


def shapes_of(name, *lists):
    """Errors and shapes of random initialisation (values are drawn)."""

    def made(shape, arguments):
        def run(t):
            x = X(t, *shape)
            result = getattr(t.nn.init, name)(x, *arguments)
            return [tuple(x.shape), result is x]

        return run

    return [made(shape, arguments) for shape in ((3, 4), (5,), (2, 3, 4), (), (0, 3)) for arguments in lists]


RANDOM_INIT = {
    "uniform": [(), (1.0, 3.0), (3.0, 1.0)],
    "normal": [(), (1.0, 0.5), (0.0, -1.0)],
    "trunc_normal": [(), (0.0, 1.0, -0.5, 0.5), (3.0, 1.0, -1, 1)],
    "xavier_uniform": [(), (2.0,)],
    "xavier_normal": [(), (0.5,)],
    "kaiming_uniform": [
        (),
        (1.0,),
        (0, "fan_out"),
        (0, "fan_in", "relu"),
        (0, "nothing"),
        (0, "fan_in", "nothing"),
        (0, "fan_in", "tanh"),
        (0.2, "fan_out", "leaky_relu"),
    ],
    "kaiming_normal": [
        (),
        (1.0,),
        (0, "fan_out"),
        (0, "fan_in", "relu"),
        (0, "nothing"),
        (0, "FAN_OUT", "selu"),
        (True,),
    ],
    "orthogonal": [(), (2.0,)],
    "sparse": [(0.5,), (0.1, 2.0), (1.0,)],
}
CASES = {}
for _name, _lists in RANDOM_INIT.items():
    # The names without an underscore are the old, deprecated ones.
    cases = shapes_of(_name + "_", *_lists)
    if _name not in ("orthogonal", "sparse"):
        for _shape in ((80, 120), (20, 30, 3, 4)):
            for _arguments in _lists:
                cases.append(Statistics(_name + "_", _shape, *_arguments))
    CASES[f"nn.init.{_name}_"] = cases
    if _name != "trunc_normal":
        CASES[f"nn.init.{_name}"] = shapes_of(_name, *_lists)


def orthonormal(t, *shape, gain=1):
    x = t.empty(*shape, dtype=t.float64)
    t.nn.init.orthogonal_(x, gain)
    flat = x.reshape(shape[0], -1)
    product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    return product


def zeros_per_column(t, sparsity):
    x = t.empty(10, 6)
    t.nn.init.sparse_(x, sparsity)
    return (x == 0).sum(0)


CASES["nn.init.orthogonal_"] += [lambda t, s=s: orthonormal(t, *s) for s in ((3, 5), (5, 3), (4, 4), (3, 2, 2))] + [
    lambda t: orthonormal(t, 3, 4, gain=2)
]
CASES["nn.init.sparse_"] += [lambda t, s=s: zeros_per_column(t, s) for s in (0.1, 0.5, 0.55, 0.99, 0.0)]
CASES |= {
    "nn.init.calculate_gain": [
        lambda t, n=n, p=p: t.nn.init.calculate_gain(n, *p)
        for n in "linear conv1d conv2d conv_transpose2d sigmoid tanh relu leaky_relu selu nothing".split()
        for p in ((), (0.3,), (1,), (True,), ("a",))
    ],
    "nn.init.constant_": exact("constant_", (2.5,), {"val": -1}, (True,)),
    "nn.init.constant": exact("constant", (2.5,)),
    "nn.init.ones_": exact("ones_", ()),
    "nn.init.zeros_": exact("zeros_", ()),
    "nn.init.eye_": exact("eye_", ()),
    "nn.init.eye": exact("eye", ()),
    "nn.init.dirac_": exact("dirac_", (), (2,), (3,), {"groups": 4}),
    "nn.init.dirac": exact("dirac", (), (2,)),
}

CASES |= {
    f"nn.functional.{name}": f(name, *lists, inputs=inputs)
    for name, lists, inputs in [
        ("celu_", [(), (0.5,)], ALL),
        ("elu_", [(), (0.5,), {"alpha": 2}], ALL),
        ("relu_", [()], ALL),
        ("selu_", [()], ALL),
        ("hardtanh_", [(), (-0.5, 0.5), {"min_val": 0, "max_val": 6}, (1, -1)], ALL),
        ("leaky_relu_", [(), (0.2,), {"negative_slope": -0.5}], ALL),
        ("rrelu_", [(0.25, 0.25), (0.1, 0.3), (0.5, 0.25)][:1] + [(0.1, 0.3, False)], ALL),
        ("threshold_", [(0.5, 1.0), (0.1, 20), (1,)], ALL),
        (
            "dropout1d",
            [(0.0,), (1.0,), (0.5, False), (1.5,), (-1,), {"p": 0.0, "inplace": True}],
            [Spec((2, 3, 4)), Spec((2, 3, 4), "float64", grad=True)],
        ),
        ("native_channel_shuffle", [(2,), (4,), (3,)], PICTURES[:2]),
        ("gumbel_softmax", [(1.0, False, 1e-10, 5)], FLOATS),
        ("lp_pool1d", [(2, 3), (1, 2, 1), (2.5, (2,), None, True), (2, 9), (2, 0)], LINES),
        ("lp_pool2d", [(2, 3), (1, (2, 3), 1), (2.5, 2, None, True), (2, 9)], PICTURES),
        ("lp_pool3d", [(2, 2), (1, (2, 3, 1), 1)], VOLUMES),
        (
            "upsample",
            [
                ((8, 7),),
                (None, 2),
                (None, 1.5, "bilinear", True),
                ((3, 3), None, "bicubic"),
                (None, None),
                ((3, 3), 2),
                (None, (2, 3)),
                ((3,),),
            ],
            PICTURES[:2],
        ),
        (
            "fold",
            [((4, 5), (2, 2)), ((4, 5), 2), ((3, 3), 2, 1, 1), ((9, 9), 3)],
            [Spec((2, 12, 12)), Spec((12, 12)), Spec((2, 12, 12), "float64", grad=True)],
        ),
        *[
            (
                f"max_pool{n}d_with_indices",
                [
                    (2,),
                    (3, 2, 1),
                    (2, 1, 0, 1),
                    (3, 2, 1, 1, True),
                    (3, 1, 2),
                    (9,),
                    {"kernel_size": 2, "return_indices": True},
                ],
                i,
            )
            for n, i in ((1, LINES), (2, PICTURES), (3, VOLUMES))
        ],
        *[
            (
                f"adaptive_max_pool{n}d_with_indices",
                [(2,), ([3] * n,), ([1] * (n + 1),), (-1,), {"output_size": 2, "return_indices": True}],
                i,
            )
            for n, i in ((1, LINES), (2, PICTURES), (3, VOLUMES))
        ],
    ]
}


def gumbel(t, **options):
    logits = t.log(t.tensor([0.1, 0.2, 0.7])).expand(20000, 3)
    t.manual_seed(0)
    result = t.nn.functional.gumbel_softmax(logits, **options)
    mean = result.mean(0)
    wanted = t.tensor([0.1, 0.2, 0.7])
    close = (
        bool(((mean - wanted).abs() < 0.02).all())
        if options.get("hard")
        else bool(((result.sum(1) - 1).abs() < 1e-5).all())
    )
    return [tuple(result.shape), result.dtype, close]


CASES["nn.functional.gumbel_softmax"] = [
    lambda t: gumbel(t, hard=True),
    lambda t: gumbel(t, tau=0.5),
    lambda t: gumbel(t, hard=True, dim=-1, tau=2.0),
    lambda t: t.nn.functional.gumbel_softmax(R(t, 3, 4), hard=True).requires_grad,
]
for _n in (2, 3):
    CASES[f"nn.functional.fractional_max_pool{_n}d_with_indices"] = [
        lambda t, n=_n, o=o: t.nn.functional.__dict__[f"fractional_max_pool{n}d_with_indices"](
            X(t, 2, 3, *([7] * n)), 2, _random_samples=X(t, 2, 3, n, low=0, high=0.99), **o
        )
        for o in (
            {"output_size": 3},
            {"output_ratio": 0.5},
            {},
            {"output_size": 3, "output_ratio": 0.5},
            {"output_size": 9},
            {"output_ratio": 1.5},
        )
    ]
CASES |= {
    "nn.functional.conv_tbc": [
        call(
            "nn.functional.conv_tbc",
            Spec((5, 2, 3), "float64", grad=True),
            Spec((2, 3, 4), "float64"),
            Spec((4,), "float64"),
            1,
        )
    ],
    "nn.functional.affine_grid": [
        call("nn.functional.affine_grid", Spec(shape, "float64", grad=True), size, align)
        for shape, size in (
            ((2, 2, 3), (2, 1, 3, 4)),
            ((1, 3, 4), (1, 1, 2, 3, 2)),
            ((2, 2, 3), (1, 1, 3, 4)),
            ((2, 2, 2), (2, 1, 3, 4)),
            ((2, 2, 3), (2, 1, 3)),
            ((2, 2, 3), (2, 1, 0, 4)),
            ((2, 2, 3), (2, 1, 1, 1)),
        )
        for align in (None, True, False)
    ]
    + [call("nn.functional.affine_grid", Spec((2, 2, 3), "int64"), (2, 1, 3, 4))],
    # -- layers
    **{
        f"nn.MaxUnpool{n}d": [
            lambda t, n=n: pooled(t, n),
            lambda t, n=n: pooled(t, n, stride=2, padding=0),
            lambda t, n=n: getattr(t.nn, f"MaxUnpool{n}d")(2)(X(t, 2), t.zeros(2, dtype=t.int64)),
            lambda t, n=n: getattr(t.nn, f"MaxUnpool{n}d")(2)(X(t, 1, 1, *([2] * n)), t.full((1, 1) + (2,) * n, 999)),
            lambda t, n=n: getattr(t.nn, f"MaxUnpool{n}d")(2)(X(t, 1, 1, *([2] * n)), X(t, 1, 1, *([2] * n))),
        ]
        for n in (1, 2, 3)
    },
    **{
        f"nn.{name}": [lambda t, name=name, shape=shape: lazily(t, name, shape)]
        + [lambda t, name=name: repr(getattr(t.nn, name)()), lambda t, name=name: getattr(t.nn, name)()(X(t, 2))]
        for name, shape in (
            ("LazyBatchNorm3d", (2, 3, 2, 2, 2)),
            ("LazyInstanceNorm1d", (2, 3, 4)),
            ("LazyInstanceNorm3d", (2, 3, 2, 2, 2)),
        )
    },
    "nn.NLLLoss2d": [
        lambda t: t.nn.NLLLoss2d()(X(t, 2, 3, 4, 4), t.zeros(2, 4, 4, dtype=t.int64)),
        lambda t: t.nn.NLLLoss2d(weight=t.ones(3), ignore_index=0)(X(t, 2, 3, 1, 1), t.ones(2, 1, 1, dtype=t.int64)),
    ],
    "nn.DataParallel": [
        lambda t: fed(t, t.nn.DataParallel(t.nn.Linear(3, 2)), Spec((4, 3), "float64")),
        lambda t: list(t.nn.DataParallel(t.nn.Linear(3, 2)).state_dict()),
    ],
    "nn.SyncBatchNorm": [
        lambda t: t.nn.SyncBatchNorm.convert_sync_batchnorm(t.nn.Linear(2, 2)).weight.shape,
        lambda t: t.nn.SyncBatchNorm(3)(X(t, 2, 3)),
    ],
    "nn.TransformerDecoder": [
        lambda t: fed(
            t,
            t.nn.TransformerDecoder(t.nn.TransformerDecoderLayer(8, 2, 16, 0.0), 2),
            Spec((5, 2, 8), "float64"),
            Spec((4, 2, 8), "float64", seed=2),
        ),
        lambda t: fed(
            t,
            t.nn.TransformerDecoder(
                t.nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True), 1, t.nn.LayerNorm(8)
            ),
            Spec((2, 5, 8), "float64"),
            Spec((2, 4, 8), "float64", seed=2),
        ),
        lambda t: list(t.nn.TransformerDecoder(t.nn.TransformerDecoderLayer(8, 2, 16), 2).state_dict()),
        lambda t: fed(
            t,
            t.nn.TransformerDecoder(t.nn.TransformerDecoderLayer(8, 2, 16, 0.0), 1),
            Spec((5, 2, 8), "float64"),
            Spec((4, 2, 8), "float64"),
            t.nn.Transformer.generate_square_subsequent_mask(5).double(),
        ),
    ],
    "nn.RNNBase": [
        lambda t: recurrent(t, "LSTM"),
        lambda t: recurrent(t, "GRU"),
        lambda t: recurrent(t, "RNN_TANH"),
        lambda t: recurrent(t, "nothing"),
        lambda t: isinstance(t.nn.LSTM(2, 3), t.nn.RNNBase),
        lambda t: t.nn.RNNBase("LSTM", 2.5, 3),
        lambda t: t.nn.RNNBase("LSTM", 2, 0),
        lambda t: t.nn.RNNBase("LSTM", 2, 3, dropout=2),
        lambda t: t.nn.RNNBase("GRU", 2, 3, proj_size=1),
    ],
    "nn.RNNCellBase": [
        lambda t: [list(p.shape) for p in t.nn.RNNCellBase(2, 3, True, 4).parameters()],
        lambda t: repr(t.nn.RNNCellBase(2, 3, True, 4)),
        lambda t: isinstance(t.nn.GRUCell(2, 3), t.nn.RNNCellBase),
    ],
    "nn.Buffer": [
        lambda t: isinstance(t.nn.Buffer(t.ones(2)), t.Tensor),
        lambda t: buffered(t, True),
        lambda t: buffered(t, False),
        lambda t: t.nn.Buffer().shape,
        lambda t: isinstance(t.nn.Buffer(t.ones(1)), t.nn.Buffer),
        lambda t: isinstance(t.ones(1), t.nn.Buffer),
        lambda t: isinstance(t.nn.Parameter(t.ones(1)), t.nn.Buffer),
    ],
    "nn.Parameter": [
        lambda t: t.nn.Parameter(t.ones(2)),
        lambda t: t.nn.Parameter(t.ones(2)).requires_grad,
        lambda t: t.nn.Parameter(t.ones(2), False).requires_grad,
        lambda t: t.nn.Parameter(t.ones(2, dtype=t.int64)),
        lambda t: t.nn.Parameter(t.ones(2, dtype=t.int64), requires_grad=False),
        lambda t: t.nn.Parameter([1.0]),
        lambda t: t.nn.Parameter().shape,
        lambda t: t.nn.Parameter(R(t, 2) * 2).is_leaf,
        lambda t: isinstance(t.nn.Parameter(t.ones(1)), t.nn.Parameter),
        lambda t: isinstance(t.ones(1), t.nn.Parameter),
        lambda t: type(__import__("copy").deepcopy(t.nn.Parameter(t.ones(1)))).__name__,
        lambda t: type(t.nn.Parameter(t.ones(1)) * 1).__name__,
        lambda t: type(t.nn.Parameter(t.ones(1)).data).__name__,
        lambda t: repr(t.nn.Parameter(t.ones(2))),
        lambda t: isinstance(t.nn.Parameter(t.ones(1)), t.nn.parameter.Parameter),
    ],
    "nn.UninitializedParameter": [
        lambda t: uninitialized(t, "Parameter"),
        lambda t: t.nn.UninitializedParameter().shape,
        lambda t: t.nn.UninitializedParameter() + 1,
        lambda t: t.nn.UninitializedParameter(requires_grad=False).requires_grad,
        lambda t: repr(t.nn.UninitializedParameter()),
        lambda t: t.nn.parameter.is_lazy(t.nn.UninitializedParameter()),
    ],
    "nn.UninitializedBuffer": [
        lambda t: uninitialized(t, "Buffer"),
        lambda t: t.nn.UninitializedBuffer().shape,
        lambda t: t.nn.UninitializedBuffer(dtype=t.float64).dtype,
    ],
    "nn.parameter.is_lazy": [
        lambda t: t.nn.parameter.is_lazy(t.nn.Parameter(t.ones(1))),
        lambda t: t.nn.parameter.is_lazy(t.nn.UninitializedBuffer()),
        lambda t: t.nn.parameter.is_lazy(3),
    ],
    "nn.attention.sdpa_kernel": [
        lambda t: attention(t, t.nn.attention.SDPBackend.MATH),
        lambda t: attention(t, [t.nn.attention.SDPBackend.MATH, t.nn.attention.SDPBackend.FLASH_ATTENTION]),
    ],
    "nn.attention.SDPBackend": [
        lambda t: sorted(
            one
            for one in ("ERROR", "MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION")
            if hasattr(t.nn.attention.SDPBackend, one)
        ),
        lambda t: [one.name for one in (t.nn.attention.SDPBackend.MATH,)],
    ],
    # -- containers
    "nn.Sequential": [
        lambda t: fed(t, t.nn.Sequential(t.nn.Linear(3, 4), t.nn.ReLU(), t.nn.Linear(4, 2)), Spec((5, 3), "float64")),
        lambda t: repr(t.nn.Sequential(t.nn.ReLU(), t.nn.Tanh())),
        lambda t: repr(stack(t)[1:]),
        lambda t: repr(stack(t)[-1]),
        lambda t: stack(t)[5],
        lambda t: len(stack(t)),
        lambda t: repr(stack(t).append(t.nn.ELU())),
        lambda t: repr(stack(t).insert(1, t.nn.ELU())),
        lambda t: repr(stack(t).extend([t.nn.ELU()])),
        lambda t: repr(stack(t).pop(0)),
        lambda t: repr(stack(t) + stack(t)),
        lambda t: repr(stack(t) * 2),
        lambda t: stack(t) * 0,
        lambda t: repr(deleted(stack(t), 1)),
        lambda t: t.nn.Sequential(3),
        lambda t: stack(t).insert(9, t.nn.ELU()),
        lambda t: repr(t.nn.Sequential(__import__("collections").OrderedDict(a=t.nn.ReLU()))),
        lambda t: stack(t)["a"],
        lambda t: [type(one).__name__ for one in stack(t)],
        lambda t: list(t.nn.Sequential(t.nn.Linear(1, 1)).state_dict()),
        lambda t: stack(t) + [t.nn.ReLU()],
        lambda t: repr(t.nn.Sequential()),
        lambda t: t.nn.Sequential()(X(t, 2)),
        lambda t: t.nn.Sequential()(),
        lambda t: repr(changed(stack(t), 0, t.nn.ELU())),
    ],
    "nn.ModuleList": [
        lambda t: repr(layers(t)),
        lambda t: repr(layers(t)[1:]),
        lambda t: layers(t)[7],
        lambda t: repr(layers(t).append(t.nn.ELU())),
        lambda t: repr(layers(t).extend([t.nn.ELU()])),
        lambda t: layers(t).extend(3),
        lambda t: repr(layers(t) + layers(t)),
        lambda t: repr(deleted(layers(t), 0)),
        lambda t: layers(t)(X(t, 2)),
        lambda t: t.nn.ModuleList([3]),
        lambda t: repr(t.nn.ModuleList()),
        lambda t: repr(layers(t).pop(0)),
        lambda t: (lambda l: (l.insert(0, t.nn.ELU()), repr(l))[1])(layers(t)),
        lambda t: repr(t.nn.ModuleList([t.nn.ReLU() for _ in range(4)])),
        lambda t: len(layers(t)),
    ],
    "nn.ModuleDict": [
        lambda t: repr(named(t)),
        lambda t: list(named(t)),
        lambda t: list(named(t).keys()),
        lambda t: "a" in named(t),
        lambda t: named(t)["z"],
        lambda t: repr(named(t).pop("a")),
        lambda t: (lambda d: (d.update({"c": t.nn.ELU()}), repr(d))[1])(named(t)),
        lambda t: named(t).update([1]),
        lambda t: named(t).update(3),
        lambda t: (lambda d: (d.clear(), len(d))[1])(named(t)),
        lambda t: [key for key, _ in named(t).items()],
        lambda t: t.nn.ModuleDict({"a.b": t.nn.ReLU()}),
        lambda t: t.nn.ModuleDict({"": t.nn.ReLU()}),
        lambda t: t.nn.ModuleDict({1: t.nn.ReLU()}),
        lambda t: named(t)(1),
        lambda t: repr(t.nn.ModuleDict([("a", t.nn.ReLU())])),
        lambda t: t.nn.ModuleDict({"keys": t.nn.ReLU()}),
        lambda t: repr(deleted(named(t), "a")),
    ],
    "nn.ParameterList": [
        lambda t: repr(t.nn.ParameterList([t.ones(2), t.zeros(3)])),
        lambda t: [p.requires_grad for p in t.nn.ParameterList([t.ones(2)])],
        lambda t: repr(t.nn.ParameterList([t.ones(2), 3, "a"])),
        lambda t: len(t.nn.ParameterList([t.ones(2)]).append(t.ones(1))),
        lambda t: t.nn.ParameterList(3),
        lambda t: t.nn.ParameterList([t.ones(2)])[3],
        lambda t: list(t.nn.ParameterList([t.ones(2), t.ones(1)]).state_dict()),
        lambda t: len(t.nn.ParameterList([t.ones(2), t.ones(1)])[1:]),
        lambda t: t.nn.ParameterList([t.ones(2)]).extend(3),
        lambda t: t.nn.ParameterList([t.ones(2)])(1),
        lambda t: t.nn.ParameterList([t.ones(2)])[-1],
    ],
    "nn.ParameterDict": [
        lambda t: repr(parameters(t)),
        lambda t: list(parameters(t)),
        lambda t: parameters(t)["a"],
        lambda t: parameters(t)["z"],
        lambda t: parameters(t).pop("a"),
        lambda t: parameters(t).popitem()[0],
        lambda t: list(parameters(t).copy()),
        lambda t: parameters(t).get("z"),
        lambda t: parameters(t).get("z", 3),
        lambda t: parameters(t).setdefault("c", t.ones(2)),
        lambda t: (lambda d: (d.update({"c": t.ones(1)}), list(d))[1])(parameters(t)),
        lambda t: parameters(t).update(3),
        lambda t: list(parameters(t) | parameters(t)),
        lambda t: list(parameters(t).fromkeys(["x", "y"], 3)),
        lambda t: list(reversed(parameters(t))),
        lambda t: parameters(t)(1),
        lambda t: list(parameters(t).state_dict()),
        lambda t: "a" in parameters(t),
        lambda t: len(parameters(t)),
    ],
}


def lazily(t, name, shape):
    layer = getattr(t.nn, name)()
    before = list(layer.state_dict())
    result = layer(X(t, *shape))
    return [result, type(layer).__name__, repr(layer), before, list(layer.state_dict())]


def recurrent(t, mode):
    base = t.nn.RNNBase(mode, 3, 4, 2, bidirectional=True)
    return [
        [[name, list(p.shape)] for name, p in base.named_parameters()],
        repr(base),
        base.mode,
        len(base.all_weights),
    ]


def buffered(t, persistent):
    layer = t.nn.Module()
    layer.a = t.nn.Buffer(t.ones(2), persistent=persistent)
    return [list(layer.state_dict()), [name for name, _ in layer.named_buffers()], layer.a]


def uninitialized(t, kind):
    x = getattr(t.nn, f"Uninitialized{kind}")()
    x.materialize((2, 3))
    return [tuple(x.shape), x.dtype, isinstance(x, t.nn.Parameter)]


def attention(t, backend):
    with t.nn.attention.sdpa_kernel(backend):
        return t.nn.functional.scaled_dot_product_attention(X(t, 2, 3, 4), X(t, 2, 3, 4, seed=1), X(t, 2, 3, 4, seed=2))


def stack(t):
    return t.nn.Sequential(t.nn.ReLU(), t.nn.Tanh(), t.nn.Dropout(0.5))


def layers(t):
    return t.nn.ModuleList([t.nn.ReLU(), t.nn.Tanh(), t.nn.Linear(2, 3)])


def named(t):
    return t.nn.ModuleDict({"a": t.nn.ReLU(), "b": t.nn.Tanh()})


def parameters(t):
    return t.nn.ParameterDict({"a": t.ones(2), "b": t.zeros(3)})


def deleted(container, key):
    del container[key]
    return container


def changed(container, key, value):
    container[key] = value
    return container


# -- Module's own methods


def network(t):
    net = t.nn.Sequential(
        t.nn.Linear(3, 4), t.nn.BatchNorm1d(4), t.nn.Sequential(t.nn.ReLU(), t.nn.Linear(4, 2, bias=False))
    )
    net.register_buffer("count", t.zeros(2), persistent=False)
    with t.no_grad():
        for index, parameter in enumerate(net.parameters()):
            parameter.copy_(X(t, *parameter.shape, seed=index))
    return net


def hooks(t, kind, change):
    net, seen = t.nn.Linear(3, 2).double(), []
    with t.no_grad():
        net.weight.copy_(X(t, 2, 3, dtype="float64"))
        net.bias.zero_()
    handle = getattr(net, kind)(lambda *a, **k: change(seen, *a, **k))
    x = R(t, 4, 3)
    net(x).sum().backward()
    handle.remove()
    net(x)
    return [len(seen), x.grad, net.weight.grad]


def loaded(t, edit, **options):
    net = network(t)
    state = net.state_dict()
    edit(t, state)
    result = network(t).load_state_dict(state, **options)
    return [list(result.missing_keys), list(result.unexpected_keys), repr(result)]


for _name in ("Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"):
    CASES[f"nn.parameter.{_name}"] = [lambda t, name=_name: getattr(t.nn.parameter, name) is getattr(t.nn, name)]
MODULE = [
    lambda t: repr(network(t)),
    lambda t: list(network(t).state_dict()),
    lambda t: [n for n, _ in network(t).named_modules()],
    lambda t: [n for n, _ in network(t).named_modules(prefix="x")],
    lambda t: [n for n, _ in network(t).named_children()],
    lambda t: [n for n, _ in network(t).named_parameters()],
    lambda t: [n for n, _ in network(t).named_parameters(recurse=False)],
    lambda t: [n for n, _ in network(t).named_parameters(prefix="m")],
    lambda t: [n for n, _ in network(t).named_buffers()],
    lambda t: [n for n, _ in network(t).named_buffers(recurse=False)],
    lambda t: list(network(t).state_dict(prefix="a.")),
    lambda t: list(network(t).state_dict(keep_vars=True).values())[0].requires_grad,
    lambda t: len(list(network(t).modules())),
    lambda t: len(list(network(t).children())),
    lambda t: [
        network(t).train().training,
        network(t).eval().training,
        network(t).eval()[2][0].training,
        network(t).train(False)[1].training,
    ],
    lambda t: network(t).train(3),
    lambda t: network(t).train(mode="a"),
    lambda t: network(t).double()[0].weight.dtype,
    lambda t: [network(t).half()[0].weight.dtype, network(t).float()[0].weight.dtype],
    lambda t: network(t).to(t.float64)[1].num_batches_tracked.dtype,
    lambda t: network(t).to("cpu")[0].weight.dtype,
    lambda t: network(t).to(t.int64),
    lambda t: network(t).to(dtype=t.float64)[1].running_mean.dtype,
    lambda t: network(t).to(t.zeros(1, dtype=t.float64))[0].bias.dtype,
    lambda t: network(t).to(3),
    lambda t: network(t).to(),
    lambda t: network(t).type(t.float64)[0].weight.dtype,
    lambda t: network(t).requires_grad_(False)[0].weight.requires_grad,
    lambda t: network(t).get_submodule("2.1").weight.shape,
    lambda t: network(t).get_submodule("").training,
    lambda t: network(t).get_submodule("9"),
    lambda t: network(t).get_submodule("count"),
    lambda t: network(t).get_parameter("0.weight"),
    lambda t: network(t).get_parameter("count"),
    lambda t: network(t).get_parameter("0.nothing"),
    lambda t: network(t).get_buffer("1.running_mean"),
    lambda t: network(t).get_buffer("0.weight"),
    lambda t: network(t).get_buffer("count"),
    lambda t: network(t).set_submodule("2.1", t.nn.ReLU()),
    lambda t: (lambda n: (n.set_submodule("2.1", t.nn.ReLU()), repr(n))[1])(network(t)),
    lambda t: network(t).set_submodule("", t.nn.ReLU()),
    lambda t: network(t).set_submodule("7.1", t.nn.ReLU()),
    lambda t: network(t).nothing,
    lambda t: network(t)(X(t, 5, 3)),
    lambda t: network(t)(X(t, 5, 4)),
    lambda t: network(t).eval()(X(t, 1, 3)),
    lambda t: network(t)(X(t, 1, 3)),
    lambda t: t.nn.Module()(1),
    lambda t: repr(t.nn.Module()),
    lambda t: t.nn.Module().extra_repr(),
    lambda t: t.nn.Module(3),
    lambda t: t.nn.Module().register_parameter("a.b", None),
    lambda t: t.nn.Module().register_parameter("", None),
    lambda t: t.nn.Module().register_parameter("a", t.ones(1)),
    lambda t: t.nn.Module().register_parameter("training", None),
    lambda t: t.nn.Module().register_parameter(3, None),
    lambda t: t.nn.Module().register_parameter("a", t.nn.Parameter(t.ones(1)) * 1),
    lambda t: t.nn.Module().register_buffer("a.b", None),
    lambda t: t.nn.Module().register_buffer("", None),
    lambda t: t.nn.Module().register_buffer("a", 3),
    lambda t: t.nn.Module().register_buffer("forward", None),
    lambda t: t.nn.Module().register_buffer(3, None),
    lambda t: t.nn.Module().add_module("a.b", None),
    lambda t: t.nn.Module().add_module("", None),
    lambda t: t.nn.Module().add_module("a", 3),
    lambda t: t.nn.Module().add_module(3, None),
    lambda t: t.nn.Module().register_module("a", t.nn.ReLU()),
    lambda t: t.nn.Module().add_module("training", None),
    lambda t: setattr(network(t)[0], "weight", t.ones(2)),
    lambda t: setattr(network(t)[0], "weight", None),
    lambda t: setattr(network(t)[1], "running_mean", 3),
    lambda t: setattr(network(t), "0", 3),
    lambda t: (lambda n: (setattr(n, "count", t.ones(3)), n.count)[1])(network(t)),
    lambda t: (lambda n: (delattr(n[0], "bias"), list(n.state_dict()))[1])(network(t)),
    lambda t: (lambda n: (delattr(n, "0"), repr(n))[1])(network(t)),
    lambda t: delattr(network(t), "nothing"),
    lambda t: loaded(t, lambda t, s: None),
    lambda t: loaded(t, lambda t, s: s.pop("0.bias")),
    lambda t: loaded(t, lambda t, s: s.pop("0.bias"), strict=False),
    lambda t: loaded(t, lambda t, s: s.update(x=1), strict=False),
    lambda t: loaded(t, lambda t, s: s.update(x=t.ones(1))),
    lambda t: loaded(t, lambda t, s: s.update({"0.bias": t.ones(5)})),
    lambda t: loaded(t, lambda t, s: s.update({"0.bias": t.ones(5)}), strict=False),
    lambda t: loaded(t, lambda t, s: s.update({"0.bias": 3})),
    lambda t: loaded(t, lambda t, s: s.update({"0.bias": t.ones(4, dtype=t.float64)})),
    lambda t: loaded(t, lambda t, s: None, assign=True),
    lambda t: network(t).load_state_dict(3),
    lambda t: network(t).load_state_dict([("a", 1)]),
    lambda t: hooks(t, "register_forward_hook", lambda seen, m, a, o: seen.append(1)),
    lambda t: hooks(t, "register_forward_hook", lambda seen, m, a, o: o * 2),
    lambda t: hooks(t, "register_forward_pre_hook", lambda seen, m, a: (a[0] * 3,)),
    lambda t: hooks(t, "register_forward_pre_hook", lambda seen, m, a: a[0] * 3),
    lambda t: hooks(t, "register_full_backward_hook", lambda seen, m, i, o: (i[0] * 2,)),
    lambda t: hooks(t, "register_full_backward_hook", lambda seen, m, i, o: seen.append(1)),
    lambda t: hooks(t, "register_full_backward_pre_hook", lambda seen, m, o: (o[0] * 2,)),
    lambda t: hooks(t, "register_full_backward_hook", lambda seen, m, i, o: (1, 2, 3)),
    lambda t: hooks(t, "register_forward_pre_hook", lambda seen, m, a: 3),
    lambda t: (
        lambda n: (
            n.apply(lambda m: t.nn.init.constant_(m.weight, 2) if isinstance(m, t.nn.Linear) else None),
            n[0].weight,
        )[1]
    )(network(t)),
    lambda t: (lambda n: (n(X(t, 5, 3)).sum().backward(), n.zero_grad(), n[0].weight.grad)[2])(network(t)),
    lambda t: (lambda n: (n(X(t, 5, 3)).sum().backward(), n.zero_grad(set_to_none=False), n[0].weight.grad)[2])(
        network(t)
    ),
    lambda t: "0" in dir(network(t)),
    lambda t: network(t).share_memory()[0].weight.is_shared(),
    lambda t: network(t).to_empty(device="cpu")[0].weight.shape,
    lambda t: network(t).to_empty(),
    lambda t: network(t).cpu()[0].weight.dtype,
    lambda t: t.nn.Module().forward(1),
    lambda t: network(t)[0].extra_repr(),
    lambda t: hasattr(network(t), "forward"),
    lambda t: [type(m).__name__ for m in network(t).modules()],
    lambda t: [n for n, _ in t.nn.ModuleList([(lambda l: l)(t.nn.Linear(1, 1))] * 2).named_parameters()],
    lambda t: [
        n for n, _ in (lambda l: t.nn.ModuleList([l, l]))(t.nn.Linear(1, 1)).named_parameters(remove_duplicate=False)
    ],
    lambda t: t.nn.Linear(2, 3, device="cpu", dtype=t.float64).weight.dtype,
    lambda t: t.nn.Linear(2, 3, dtype=t.int64),
    lambda t: t.nn.Linear(2.5, 3),
    lambda t: t.nn.Linear("a", 3),
    lambda t: t.nn.Linear(-1, 3),
]
CASES["nn.Module"] = MODULE


# -- nn.utils


def sequences(t):
    return [R(t, 4, 2), R(t, 2, 2, seed=1), R(t, 3, 2, seed=2)]


def packed_values(p):
    return [p.data, p.batch_sizes, p.sorted_indices, p.unsorted_indices, type(p).__name__]


RNN = {
    "PackedSequence": [
        lambda t: packed_values(pack(t).to(t.float32)),
        lambda t: [pack(t).is_cuda, pack(t).is_pinned()],
        lambda t: packed_values(t.nn.utils.rnn.PackedSequence(X(t, 5, 2), t.tensor([3, 2]))),
        lambda t: repr(pack(t))[:15],
        lambda t: packed_values(pack(t).double()),
        lambda t: packed_values(pack(t).int()),
        lambda t: len(pack(t)),
        lambda t: pack(t)._replace(data=X(t, 9, 1)).data,
        lambda t: t.nn.utils.rnn.PackedSequence(X(t, 5, 2)),
        lambda t: pack(t).cpu().data,
    ],
    "invert_permutation": [
        lambda t: t.nn.utils.rnn.invert_permutation(t.tensor([2, 0, 1])),
        lambda t: t.nn.utils.rnn.invert_permutation(None),
    ],
    "pack_padded_sequence": [
        lambda t, l=l, o=o: packed_values(
            t.nn.utils.rnn.pack_padded_sequence(
                X(t, 4, 3, 2), l if not l or isinstance(l[0], str) else t.tensor(l), **o
            )
        )
        for l in ([4, 3, 1], [1, 4, 2], [4, 4, 4], [0, 1, 2], [5, 1, 1], [4, 3], [2, 1, 1])
        for o in ({}, {"enforce_sorted": False}, {"batch_first": True})
    ]
    + [
        lambda t: packed_values(t.nn.utils.rnn.pack_padded_sequence(X(t, 4, 2, 2), [4, 2])),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(X(t, 4, 2), t.tensor([2.0, 1.0])).data,
    ],
    "pack_sequence": [
        lambda t: packed_values(t.nn.utils.rnn.pack_sequence(sequences(t), enforce_sorted=False)),
        lambda t: t.nn.utils.rnn.pack_sequence(sequences(t)),
        lambda t: packed_values(t.nn.utils.rnn.pack_sequence(sequences(t)[:2])),
        lambda t: t.nn.utils.rnn.pack_sequence([]),
    ],
    "pad_packed_sequence": [
        lambda t, o=o: t.nn.utils.rnn.pad_packed_sequence(pack(t), **o)
        for o in (
            {},
            {"batch_first": True},
            {"padding_value": 7},
            {"total_length": 6},
            {"total_length": 2},
            {"batch_first": True, "total_length": 5, "padding_value": -1},
        )
    ],
    "pad_sequence": [
        lambda t, o=o: t.nn.utils.rnn.pad_sequence(sequences(t), **o)
        for o in (
            {},
            {"batch_first": True},
            {"padding_value": 7},
            {"padding_side": "left"},
            {"padding_side": "middle"},
            {"batch_first": True, "padding_side": "left", "padding_value": 1.5},
        )
    ]
    + [
        lambda t: t.nn.utils.rnn.pad_sequence([]),
        lambda t: t.nn.utils.rnn.pad_sequence([X(t, 2, 3), X(t, 2, 2)]),
        lambda t: t.nn.utils.rnn.pad_sequence(X(t, 3, 2)),
        lambda t: t.nn.utils.rnn.pad_sequence(3),
        lambda t: t.nn.utils.rnn.pad_sequence([t.tensor([1, 2]), t.tensor([3])]),
        lambda t: padded_gradient(t),
        lambda t: t.nn.utils.rnn.pad_sequence([t.tensor(1.0)]),
        lambda t: t.nn.utils.rnn.pad_sequence((X(t, 2), X(t, 0))),
    ],
    "unpack_sequence": [lambda t: t.nn.utils.rnn.unpack_sequence(pack(t))],
    "unpad_sequence": [
        lambda t: t.nn.utils.rnn.unpad_sequence(X(t, 4, 3, 2), t.tensor([4, 2, 3])),
        lambda t: t.nn.utils.rnn.unpad_sequence(X(t, 3, 4, 2), t.tensor([4, 2, 3]), batch_first=True),
    ],
}
CASES |= {f"nn.utils.rnn.{name}": cases for name, cases in RNN.items()}


def pack(t):
    return t.nn.utils.rnn.pack_sequence([one.detach() for one in sequences(t)], enforce_sorted=False)


def padded_gradient(t):
    given = sequences(t)
    result = t.nn.utils.rnn.pad_sequence(given)
    (result * result).sum().backward()
    return [one.grad for one in given]


def clipped(t, name, *arguments, **options):
    parameters = [t.nn.Parameter(X(t, 3, seed=s)) for s in (1, 2)] + [t.nn.Parameter(t.ones(1))]
    for p in parameters[:2]:
        p.grad = p.detach() * 3
    result = getattr(t.nn.utils, name)(parameters, *arguments, **options)
    return [result, [p.grad for p in parameters]]


def infinite(t, **options):
    p = t.nn.Parameter(t.ones(2))
    p.grad = t.tensor([float("inf"), 1.0])
    return [t.nn.utils.clip_grad_norm_([p], 1.0, **options), p.grad]


def spectral(t, new, **options):
    layer = t.nn.Linear(4, 3)
    wrap = t.nn.utils.parametrizations.spectral_norm if new else t.nn.utils.spectral_norm
    t.manual_seed(0)
    layer = wrap(layer, n_power_iterations=60, **options)
    layer(X(t, 2, 4))
    largest = t.linalg.matrix_norm(layer.weight.detach(), 2)
    return [
        sorted(layer.state_dict()),
        bool(abs(largest.item() - 1) < 1e-3),
        sorted(n for n, _ in layer.named_parameters()),
        sorted(n for n, _ in layer.named_buffers()),
    ]


NORMS = [(1.0,), (0.1, 1.0), (2.0, float("inf")), (100.0, 2.0), (1.0, 0.5)]
CASES |= {
    "nn.utils.clip_grad_norm_": [lambda t, a=a: clipped(t, "clip_grad_norm_", *a) for a in NORMS]
    + [
        lambda t: infinite(t),
        lambda t: infinite(t, error_if_nonfinite=True),
        lambda t: t.nn.utils.clip_grad_norm_([], 1.0),
        lambda t: t.nn.utils.clip_grad_norm_(iter([]), 1.0),
        lambda t: clipped(t, "clip_grad_norm_", max_norm=1, norm_type=2, foreach=False),
        lambda t: clipped(t, "clip_grad_norm_", "a"),
    ],
    "nn.utils.clip_grad_norm": [lambda t, a=a: clipped(t, "clip_grad_norm", *a) for a in NORMS],
    "nn.utils.clip_grads_with_norm_": [
        lambda t, a=a: clipped(t, "clip_grads_with_norm_", a[0], t.tensor(3.0)) for a in NORMS
    ],
    "nn.utils.clip_grad_value_": [lambda t, v=v: clipped(t, "clip_grad_value_", v) for v in (0.5, 10, 0.0, -1, "a")],
    "nn.utils.spectral_norm": [
        lambda t: spectral(t, False),
        lambda t: spectral(t, False, dim=1),
        lambda t: t.nn.utils.spectral_norm(t.nn.ReLU()),
        lambda t: t.nn.utils.spectral_norm(t.nn.Linear(2, 2), n_power_iterations=0),
    ],
    "nn.utils.remove_spectral_norm": [
        lambda t: sorted(t.nn.utils.remove_spectral_norm(t.nn.utils.spectral_norm(t.nn.Linear(2, 2))).state_dict()),
        lambda t: t.nn.utils.remove_spectral_norm(t.nn.Linear(2, 2)),
    ],
    "nn.utils.parametrizations.spectral_norm": [
        lambda t: spectral(t, True),
        lambda t: spectral(t, True, dim=1),
        lambda t: t.nn.utils.parametrizations.spectral_norm(t.nn.ReLU()),
        lambda t: t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(2, 2), n_power_iterations=0),
    ],
    "nn.utils.parametrize.ParametrizationList": [
        lambda t: type(parametrized(t).parametrizations.weight).__name__,
        lambda t: parametrized(t).parametrizations.weight.original,
        lambda t: len(parametrized(t).parametrizations.weight),
        lambda t: repr(parametrized(t)),
        lambda t: list(parametrized(t).state_dict()),
    ],
    "nn.utils.parametrize.type_before_parametrizations": [
        lambda t: t.nn.utils.parametrize.type_before_parametrizations(parametrized(t)).__name__,
        lambda t: t.nn.utils.parametrize.type_before_parametrizations(t.nn.Linear(1, 1)).__name__,
        lambda t: type(parametrized(t)).__name__,
    ],
    "nn.utils.parametrize.transfer_parametrizations_and_params": [
        lambda t: (lambda m: [m.weight, list(m.state_dict())])(
            t.nn.utils.parametrize.transfer_parametrizations_and_params(parametrized(t), t.nn.Linear(3, 2))
        )
    ],
    "nn.utils.prune.CustomFromMask": [
        lambda t: (
            lambda m: (t.nn.utils.prune.CustomFromMask.apply(m, "weight", t.tensor([[1, 0, 1], [0, 1, 1]])), m.weight)[
                1
            ]
        )(fixed(t))
    ],
    "nn.utils.prune.RandomStructured": [
        lambda t, a=a, d=d: (
            lambda m: (t.nn.utils.prune.RandomStructured.apply(m, "weight", a, d), (m.weight_mask == 0).sum())[1]
        )(fixed(t))
        for a in (1, 0.5, 5, 1.5, 0)
        for d in (0, -1, 3)
    ],
    "nn.utils.prune.RandomUnstructured": [
        lambda t, a=a: (
            lambda m: (t.nn.utils.prune.RandomUnstructured.apply(m, "weight", a), (m.weight_mask == 0).sum())[1]
        )(fixed(t))
        for a in (1, 0.5, 50, 1.5, 0, 4)
    ],
}


def fixed(t):
    layer = t.nn.Linear(3, 2)
    with t.no_grad():
        layer.weight.copy_(X(t, 2, 3))
        layer.bias.zero_()
    return layer


def parametrized(t):
    class Double(t.nn.Module):
        def forward(self, x):
            return x * 2

        def right_inverse(self, x):
            return x / 2

    layer = fixed(t)
    t.nn.utils.parametrize.register_parametrization(layer, "weight", Double())
    return layer
