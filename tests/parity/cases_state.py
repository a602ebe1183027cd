"""Automatic differentiation, random numbers, settings, devices, data, files: what is no operator and no layer."""

import contextlib
import io

import torch.autograd.forward_ad
import torch.distributions
import torch.nn.attention
import torch.optim.swa_utils
import torch.overrides
import torch.utils.checkpoint
import torch.utils.data.distributed

from tests.parity.claimed import R, X

CASES = {}


def cases(prefix, **named):
    CASES.update({f"{prefix}.{name}" if prefix else name: value for name, value in named.items()})


def restored(getter, setter):
    """Run a program and put a setting back."""

    def wrap(function):
        def run(t):
            before = getter(t)
            try:
                return function(t)
            finally:
                setter(t, before)

        return run

    return wrap


def setting(get, put, values, inside=""):
    """Setting each value, reading it, and the setter's result; the old value is put back."""

    def run(t, value):
        owner = t
        for part in inside.split("."):
            owner = getattr(owner, part) if part else owner
        getter, setter = getattr(owner, get), getattr(owner, put)
        before = getter()
        try:
            result = setter(getattr(t, value[1:]) if isinstance(value, str) and value.startswith(".") else value)
            return [result, getter()]
        finally:
            setter(before)

    return [lambda t, value=value: run(t, value) for value in values]


# -- automatic differentiation


def within(context, function):
    with context:
        return function()


def power(t):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return x**3 * scale

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x**2 * ctx.scale, None

    return Cube


def applied(t, *arguments):
    x = R(t, 3)
    y = power(t).apply(x, 2.0)
    y.sum().backward()
    return [y, x.grad, ctx_needs(t)]


def ctx_needs(t):
    seen = []

    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.mark_non_differentiable(b)
            seen.append(ctx.needs_input_grad)
            return a * 2, b

        @staticmethod
        def backward(ctx, g, h):
            return g * 2, None

    one, two = F.apply(R(t, 2), X(t, 2))
    return [list(seen[0]), one.requires_grad, two.requires_grad]


def wrong(t, result):
    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return result(g)

    x = R(t, 3)
    F.apply(x).sum().backward()
    return x.grad


def f(x):
    return (x**3).sum()


def g(x):
    return x**2 * x.sum()


def h(x, y):
    return (x * y).sum() + (x**2).sum()


def anomaly(t, **options):
    with t.autograd.detect_anomaly(**options):
        x = t.tensor([-1.0], requires_grad=True)
        y = x.sqrt() * 0
        y.sum().backward()
    return x.grad


cases(
    "autograd",
    Function=[
        applied,
        ctx_needs,
        lambda t: wrong(t, lambda g: g[:1]),
        lambda t: wrong(t, lambda g: (g, g)),
        lambda t: wrong(t, lambda g: None),
        lambda t: wrong(t, lambda g: 3),
        lambda t: power(t)()(R(t, 3)),
        lambda t: power(t).apply(X(t, 3), 2).requires_grad,
        lambda t: t.autograd.Function.forward(None, 1),
    ],
    NestedIOFunction=[lambda t: isinstance(t.autograd.NestedIOFunction, type)],
    Variable=[
        lambda t: t.autograd.Variable(X(t, 2)),
        lambda t: t.autograd.Variable(X(t, 2), requires_grad=True).requires_grad,
        lambda t: isinstance(t.autograd.Variable(X(t, 2)), t.Tensor),
        lambda t: isinstance(X(t, 2), t.autograd.Variable),
    ],
    backward=[
        lambda t: (lambda x: (t.autograd.backward((x * x).sum()), x.grad)[1])(R(t, 3)),
        lambda t: (
            lambda x: (t.autograd.backward([x * x, x * 2], [t.ones(3).double(), t.ones(3).double()]), x.grad)[1]
        )(R(t, 3)),
        lambda t: t.autograd.backward(R(t, 3)),
        lambda t: t.autograd.backward([R(t, 3)], [None]),
        lambda t: t.autograd.backward(X(t, 1)),
        lambda t: (lambda x, y: (t.autograd.backward((x * y).sum(), inputs=[x]), x.grad, y.grad)[1:])(
            R(t, 3), R(t, 3, seed=1)
        ),
        lambda t: t.autograd.backward([R(t, 3)], [t.ones(2)]),
        lambda t: t.autograd.backward([]),
        lambda t: t.autograd.backward(R(t, 1), inputs=[]),
        lambda t: t.autograd.backward(3),
    ],
    grad=[
        lambda t: t.autograd.grad(f(x := R(t, 3)), x),
        lambda t: t.autograd.grad(f(R(t, 3)), R(t, 3)),
        lambda t: t.autograd.grad(f(R(t, 3)), R(t, 3), allow_unused=True),
        lambda t: t.autograd.grad(f(R(t, 3)), R(t, 3), materialize_grads=True),
        lambda t: t.autograd.grad(f(R(t, 3)), R(t, 3), allow_unused=False, materialize_grads=True),
        lambda t: t.autograd.grad(g(x := R(t, 3)), x, t.ones(3).double()),
        lambda t: t.autograd.grad(g(x := R(t, 3)), x),
        lambda t: t.autograd.grad(g(x := R(t, 3)), x, t.ones(2)),
        lambda t: t.autograd.grad(f(x := R(t, 3)), [x], create_graph=True)[0].requires_grad,
        lambda t: t.autograd.grad(g(x := R(t, 3)), x, t.eye(3).double(), is_grads_batched=True),
        lambda t: t.autograd.grad(X(t, 1).sum(), X(t, 1)),
        lambda t: t.autograd.grad(f(R(t, 3)), ()),
        lambda t: t.autograd.grad(f(R(t, 3)), X(t, 3)),
        lambda t: t.autograd.grad(outputs=[f(x := R(t, 3)), f(x)], inputs=[x]),
        lambda t: t.autograd.grad((y := R(t, 3) * 2).sum(), y),
    ],
    detect_anomaly=[
        anomaly,
        lambda t: anomaly(t, check_nan=False),
        lambda t: within(t.autograd.detect_anomaly(), t.is_anomaly_enabled),
    ],
    set_detect_anomaly=[
        lambda t: within(t.autograd.set_detect_anomaly(True), t.is_anomaly_enabled),
        lambda t: within(t.autograd.set_detect_anomaly(False), t.is_anomaly_enabled),
        lambda t: within(t.autograd.set_detect_anomaly(True, check_nan=False), t.is_anomaly_check_nan_enabled),
    ],
    **{
        name: [
            lambda t, name=name: within(getattr(t.autograd, name)(), t.is_grad_enabled),
            lambda t, name=name: within(getattr(t.autograd, name)(), lambda: (R(t, 2) * 2).requires_grad),
            lambda t, name=name: getattr(t.autograd, name)()(t.is_grad_enabled)(),
        ]
        for name in ("enable_grad", "no_grad", "inference_mode")
    },
    set_grad_enabled=[
        lambda t: within(t.autograd.set_grad_enabled(False), t.is_grad_enabled),
        lambda t: within(t.set_grad_enabled(mode=True), t.is_grad_enabled),
        lambda t: t.set_grad_enabled(False)(t.is_grad_enabled)(),
        restored(lambda t: t.is_grad_enabled(), lambda t, v: t.set_grad_enabled(v))(
            lambda t: (t.set_grad_enabled(False), t.is_grad_enabled())[1]
        ),
        lambda t: t.set_grad_enabled("a"),
    ],
    enforce_grad_layout_policy=[lambda t: callable(t.autograd.enforce_grad_layout_policy)],
    set_multithreading_enabled=[
        lambda t: within(
            t.autograd.set_multithreading_enabled(False), lambda: (lambda x: (f(x).backward(), x.grad)[1])(R(t, 3))
        )
    ],
    variable=[lambda t: t.autograd.variable is not None],
    gradcheck=[
        lambda t: t.autograd.gradcheck(lambda x: x**2, R(t, 3)),
        lambda t: t.autograd.gradcheck(lambda x: x.detach() * x, R(t, 3)),
        lambda t: t.autograd.gradcheck(lambda x: x.detach() * x, R(t, 3), raise_exception=False),
        lambda t: t.autograd.gradcheck(lambda x: x, X(t, 3)),
        lambda t: t.autograd.gradcheck(lambda x, y: x @ y, (R(t, 2, 3), R(t, 3, 2))),
        lambda t: t.autograd.gradcheck(h, (R(t, 2), R(t, 2)), fast_mode=True),
        lambda t: t.autograd.gradcheck(g, R(t, 3), eps=1e-5, atol=1e-4, rtol=1e-3),
    ],
    gradgradcheck=[
        lambda t: t.autograd.gradgradcheck(lambda x: x**3, R(t, 3)),
        lambda t: t.autograd.gradgradcheck(lambda x: x.detach() * x**2, R(t, 3), raise_exception=False),
        lambda t: t.autograd.gradgradcheck(lambda x: x.detach() * x**2, R(t, 3)),
    ],
)
cases(
    "autograd.functional",
    **{
        name: [
            lambda t, name=name: getattr(t.autograd.functional, name)(
                g if name in ("jacobian", "vjp", "jvp") else f, X(t, 3, dtype="float64"), *tail(t, name)
            ),
            lambda t, name=name: getattr(t.autograd.functional, name)(
                g if name in ("jacobian", "vjp", "jvp") else f,
                X(t, 3, dtype="float64"),
                *tail(t, name),
                create_graph=True,
            ),
            lambda t, name=name: getattr(t.autograd.functional, name)(
                h, (X(t, 3, dtype="float64"), X(t, 3, dtype="float64", seed=3)), *tail(t, name, 2)
            ),
            lambda t, name=name: getattr(t.autograd.functional, name)(
                lambda x: x.detach().sum(), X(t, 3, dtype="float64"), *tail(t, name), strict=True
            ),
            lambda t, name=name: getattr(t.autograd.functional, name)(
                lambda x: 3, X(t, 3, dtype="float64"), *tail(t, name)
            ),
            lambda t, name=name: getattr(t.autograd.functional, name)(f, 3, *tail(t, name)),
            lambda t, name=name: (
                getattr(t.autograd.functional, name)(f, X(t, 3, dtype="float64"), t.ones(2).double())
                if name not in ("jacobian", "hessian")
                else None
            ),
            lambda t, name=name: (
                getattr(t.autograd.functional, name)(f, X(t, 3, dtype="float64"), vectorize=True)
                if name in ("jacobian", "hessian")
                else None
            ),
            lambda t, name=name: (
                getattr(t.autograd.functional, name)(g, X(t, 3, dtype="float64")) if name not in ("jacobian",) else None
            ),
        ]
        for name in ("hessian", "hvp", "jacobian", "jvp", "vhp", "vjp")
    },
)


def tail(t, name, count=1):
    if name in ("hessian", "jacobian"):
        return ()
    if name == "vjp":
        return (t.ones(3).double(),) if count == 1 else (t.tensor(2.0).double(),)
    one = X(t, 3, dtype="float64", seed=8)
    return (one,) if count == 1 else ((one, one * 2),)


def graph(t):
    x = R(t, 3)
    y = (x * 2).exp()
    node = y.grad_fn
    return [
        isinstance(node, t.autograd.graph.Node),
        len(node.next_functions),
        isinstance(node.name(), str),
        node.metadata,
    ]


def bumped(t):
    x = R(t, 3)
    y = x.exp()
    t.autograd.graph.increment_version(y.detach())
    y.sum().backward()
    return x.grad


def dual(t):
    fw = t.autograd.forward_ad
    with fw.dual_level():
        x = fw.make_dual(X(t, 3, dtype="float64"), X(t, 3, dtype="float64", seed=4))
        one = fw.unpack_dual(x * x)
        return [one.primal, one.tangent, isinstance(one, fw.UnpackedDualTensor), len(one)]


def levels(t):
    fw = t.autograd.forward_ad
    level = fw.enter_dual_level()
    x = fw.make_dual(X(t, 3, dtype="float64"), X(t, 3, dtype="float64", seed=4))
    tangent = fw.unpack_dual(x.sin()).tangent
    fw.exit_dual_level()
    return [level, tangent]


cases(
    "autograd.graph",
    Node=[graph],
    increment_version=[
        bumped,
        lambda t: (lambda x: t.autograd.graph.increment_version(x))(X(t, 2)),
        lambda t: (lambda x: t.autograd.graph.increment_version([x, x]))(X(t, 2)),
    ],
)
cases(
    "autograd.forward_ad",
    UnpackedDualTensor=[dual],
    exit_dual_level=[
        levels,
        lambda t: t.autograd.forward_ad.exit_dual_level(),
        lambda t: t.autograd.forward_ad.make_dual(X(t, 2), X(t, 2)),
    ],
)


def profiled(t):
    with t.autograd.profiler.profile() as profile:
        X(t, 3).exp()
    events = profile.function_events
    return [
        isinstance(events, t.autograd.profiler.EventList),
        all(isinstance(one, t.autograd.profiler.FunctionEvent) for one in events),
        len(events) > 0,
    ]


cases("autograd.profiler", EventList=[profiled], FunctionEvent=[profiled])


# -- random numbers

DRAWS = {
    "rand": [(2, 3), ((2, 3),), (), (0,), (-1,), (2.5,)],
    "randperm": [(5,), (0,), (1,), (-1,), (2.5,)],
}


def spread(t, draw, *quantiles):
    """Whether quantiles of a draw lie near those wanted."""
    t.manual_seed(5)
    values = draw(t).double().flatten().sort().values
    scale = max(abs(value) for _, value in quantiles) or 1.0
    return [bool(abs(values[int(len(values) * q)].item() - value) <= 0.08 * scale) for q, value in quantiles]


def repeated(t, draw):
    t.manual_seed(4)
    one = draw(t)
    t.manual_seed(4)
    two = draw(t)
    return [bool(t.equal(one, two)), bool(t.equal(two, draw(t)))]


def generated(t, draw):
    a, b = t.Generator().manual_seed(9), t.Generator().manual_seed(9)
    one, two = draw(t, a), draw(t, b)
    return [bool(t.equal(one, two)), one.dtype, tuple(one.shape)]


def state_kept(t, get, put):
    before = get()
    one = t.rand(3)
    put(before)
    return [bool(t.equal(one, t.rand(3))), before.dtype, before.dim()]


def forked(t, **options):
    t.manual_seed(1)
    with t.random.fork_rng(**options):
        t.rand(3)
    one = t.rand(3)
    t.manual_seed(1)
    return bool(t.equal(one, t.rand(3)))


cases(
    "",
    rand=[lambda t, a=a: [tuple(t.rand(*a).shape), t.rand(*a).dtype] for a in DRAWS["rand"]]
    + [
        lambda t: spread(t, lambda t: t.rand(4000), (0.1, 0.1), (0.5, 0.5), (0.99, 0.99)),
        lambda t: t.rand(2, dtype=t.int64),
        lambda t: t.rand(2, dtype=t.float16).dtype,
        lambda t: generated(t, lambda t, g: t.rand(3, generator=g)),
        lambda t: repeated(t, lambda t: t.rand(5)),
        lambda t: t.rand(2, requires_grad=True).requires_grad,
        lambda t: t.rand(size=(2, 3)).shape,
        lambda t: (lambda o: t.rand(3, out=o) is o)(t.empty(3)),
        lambda t: t.rand(2, dtype=t.complex64).dtype,
    ],
    randperm=[lambda t, a=a: [t.randperm(*a).sort().values, t.randperm(*a).dtype] for a in DRAWS["randperm"]]
    + [
        lambda t: t.randperm(4, dtype=t.float32).sort().values,
        lambda t: t.randperm(300, dtype=t.uint8),
        lambda t: generated(t, lambda t, g: t.randperm(9, generator=g)),
        lambda t: repeated(t, lambda t: t.randperm(50)),
        lambda t: t.randperm(n=3).shape,
        lambda t: (lambda o: t.randperm(3, out=o) is o)(t.empty(3, dtype=t.int64)),
        lambda t: t.randperm(3, dtype=t.bool),
        lambda t: t.randperm(3, dtype=t.int32, device="cpu").dtype,
    ],
    poisson=[
        lambda t: spread(t, lambda t: t.poisson(t.full((4000,), 9.0)), (0.16, 6), (0.5, 9), (0.84, 12)),
        lambda t: t.poisson(t.zeros(3)),
        lambda t: t.poisson(t.tensor([-1.0])),
        lambda t: t.poisson(t.ones(2, dtype=t.int64)),
        lambda t: generated(t, lambda t, g: t.poisson(t.ones(3) * 4, generator=g)),
        lambda t: t.poisson(R(t, 3, low=1)).requires_grad,
        lambda t: t.poisson(t.ones(2, 3).half()).dtype,
    ],
    binomial=[
        lambda t: spread(
            t, lambda t: t.binomial(t.full((4000,), 20.0), t.full((4000,), 0.4)), (0.2, 6), (0.5, 8), (0.8, 10)
        ),
        lambda t: t.binomial(t.ones(3), t.zeros(3)),
        lambda t: t.binomial(t.ones(3) * 4, t.ones(3)),
        lambda t: t.binomial(t.ones(3), t.tensor(1.0)),
        lambda t: t.binomial(t.ones(3, dtype=t.int64), t.ones(3)),
        lambda t: t.binomial(t.ones(3), t.ones(2)),
        lambda t: t.binomial(count=t.ones(2), prob=t.ones(2)),
    ],
    Generator=[
        lambda t: t.Generator().manual_seed(3).initial_seed(),
        lambda t: isinstance(t.Generator().seed(), int),
        lambda t: t.Generator(device="cpu").device,
        lambda t: (lambda g: state_kept_by(t, g))(t.Generator()),
        lambda t: t.Generator().manual_seed("a"),
        lambda t: t.Generator().manual_seed(-1).initial_seed(),
        lambda t: t.Generator("nothing"),
        lambda t: isinstance(t.default_generator, t.Generator),
        lambda t: t.Generator().initial_seed(),
        lambda t: t.Generator().set_state(t.zeros(3)),
        lambda t: t.Generator().get_state().dtype,
        lambda t: (lambda g: bool(t.equal(t.rand(2, generator=g.clone_state()), t.rand(2, generator=g))))(
            t.Generator()
        ),
    ],
    default_generator=[
        lambda t: (t.manual_seed(8), t.default_generator.initial_seed())[1],
        lambda t: (t.default_generator.manual_seed(8), t.initial_seed())[1],
    ],
    manual_seed=[
        lambda t: t.manual_seed(3) is t.default_generator,
        lambda t: t.manual_seed(-1).initial_seed(),
        lambda t: t.manual_seed(2**64),
        lambda t: t.manual_seed("a"),
        lambda t: t.manual_seed(2**63).initial_seed(),
        lambda t: t.manual_seed(3.7).initial_seed(),
        lambda t: t.manual_seed(seed=3).initial_seed(),
        lambda t: t.manual_seed(t.tensor(3)).initial_seed(),
    ],
    initial_seed=[lambda t: (t.manual_seed(8), t.initial_seed())[1]],
    seed=[lambda t: isinstance(t.seed(), int), lambda t: t.seed() == t.initial_seed()],
    get_rng_state=[lambda t: state_kept(t, t.get_rng_state, t.set_rng_state)],
    set_rng_state=[
        lambda t: t.set_rng_state(3),
        lambda t: t.set_rng_state(t.zeros(3)),
        lambda t: state_kept(t, t.random.get_rng_state, t.set_rng_state),
    ],
)
cases(
    "random",
    fork_rng=[
        forked,
        lambda t: forked(t, enabled=True),
        lambda t: forked(t, enabled=False),
        lambda t: forked(t, devices=[]),
    ],
    initial_seed=[lambda t: (t.random.manual_seed(8), t.random.initial_seed())[1]],
    manual_seed=[lambda t: t.random.manual_seed(8).initial_seed()],
    seed=[lambda t: isinstance(t.random.seed(), int)],
    get_rng_state=[lambda t: state_kept(t, t.random.get_rng_state, t.random.set_rng_state)],
    set_rng_state=[lambda t: t.random.set_rng_state(t.zeros(3))],
)


def state_kept_by(t, generator):
    before = generator.get_state()
    one = t.rand(3, generator=generator)
    generator.set_state(before)
    return bool(t.equal(one, t.rand(3, generator=generator)))


# -- settings

BOTH = [True, False]
cases(
    "",
    get_default_dtype=setting(
        "get_default_dtype", "set_default_dtype", [".float64", ".float16", ".float32", ".int64", 3]
    ),
    set_default_tensor_type=[
        restored(lambda t: t.get_default_dtype(), lambda t, v: t.set_default_dtype(v))(
            lambda t, n=n: (t.set_default_tensor_type(getattr(t, n)), t.ones(1).dtype)[1]
        )
        for n in ("DoubleTensor", "FloatTensor", "LongTensor")
    ],
    get_default_device=[lambda t: t.get_default_device()],
    set_default_device=[
        restored(lambda t: None, lambda t, v: t.set_default_device(None))(
            lambda t: (t.set_default_device("cpu"), t.ones(1).device)[1]
        ),
        lambda t: t.set_default_device("nothing"),
    ],
    get_device_module=[
        lambda t: t.get_device_module("cpu").__name__,
        lambda t: t.get_device_module("cuda").__name__,
        lambda t: t.get_device_module("nothing"),
        lambda t: t.get_device_module(3),
    ],
    get_num_threads=setting("get_num_threads", "set_num_threads", [1, 2, 0, -1, 1.5, "a"]),
    set_num_threads=setting("get_num_threads", "set_num_threads", [2]),
    get_num_interop_threads=[lambda t: isinstance(t.get_num_interop_threads(), int)],
    set_num_interop_threads=[lambda t: t.set_num_interop_threads(0), lambda t: t.set_num_interop_threads("a")],
    get_float32_matmul_precision=setting(
        "get_float32_matmul_precision", "set_float32_matmul_precision", ["high", "medium", "highest", "nothing"]
    ),
    set_float32_matmul_precision=[
        lambda t: t.set_float32_matmul_precision(3),
        lambda t: t.set_float32_matmul_precision("highest"),
    ],
    are_deterministic_algorithms_enabled=setting(
        "are_deterministic_algorithms_enabled", "use_deterministic_algorithms", BOTH
    ),
    use_deterministic_algorithms=[
        restored(lambda t: False, lambda t, v: t.use_deterministic_algorithms(False))(
            lambda t: (
                t.use_deterministic_algorithms(True, warn_only=True),
                t.is_deterministic_algorithms_warn_only_enabled(),
                t.get_deterministic_debug_mode(),
            )[1:]
        )
    ],
    is_deterministic_algorithms_warn_only_enabled=[lambda t: t.is_deterministic_algorithms_warn_only_enabled()],
    get_deterministic_debug_mode=setting(
        "get_deterministic_debug_mode",
        "set_deterministic_debug_mode",
        [0, 1, 2, "default", "warn", "error", 3, "nothing", 1.5],
    ),
    set_deterministic_debug_mode=[lambda t: t.set_deterministic_debug_mode(0)],
    is_warn_always_enabled=setting("is_warn_always_enabled", "set_warn_always", BOTH),
    set_warn_always=[lambda t: t.set_warn_always(3)],
    set_flush_denormal=[lambda t: isinstance(t.set_flush_denormal(False), bool)],
    is_autocast_enabled=[
        lambda t: t.is_autocast_enabled(),
        lambda t: t.is_autocast_enabled("cpu"),
        lambda t: t.is_autocast_enabled("nothing"),
        lambda t: within(t.autocast("cpu", dtype=t.float16), lambda: t.is_autocast_enabled("cpu")),
    ],
    is_autocast_cpu_enabled=[
        lambda t: t.is_autocast_cpu_enabled(),
        lambda t: within(t.autocast("cpu", dtype=t.float16), t.is_autocast_cpu_enabled),
    ],
    is_autocast_cache_enabled=setting("is_autocast_cache_enabled", "set_autocast_cache_enabled", BOTH),
    set_autocast_cache_enabled=[lambda t: t.set_autocast_cache_enabled(True)],
    get_autocast_dtype=[
        lambda t: t.get_autocast_dtype("cpu"),
        lambda t: t.get_autocast_dtype("cuda"),
        lambda t: t.get_autocast_dtype("nothing"),
        lambda t: within(t.autocast("cpu", dtype=t.float16), lambda: t.get_autocast_dtype("cpu")),
    ],
    get_autocast_cpu_dtype=setting("get_autocast_cpu_dtype", "set_autocast_cpu_dtype", [".float16", ".bfloat16"]),
    set_autocast_cpu_dtype=[lambda t: t.set_autocast_cpu_dtype("a")],
    get_autocast_gpu_dtype=setting("get_autocast_gpu_dtype", "set_autocast_gpu_dtype", [".float16", ".bfloat16"]),
    set_autocast_gpu_dtype=[lambda t: t.set_autocast_gpu_dtype("a")],
    set_autocast_dtype=[
        restored(lambda t: t.get_autocast_dtype("cpu"), lambda t, v: t.set_autocast_dtype("cpu", v))(
            lambda t: (t.set_autocast_dtype("cpu", t.float16), t.get_autocast_dtype("cpu"))[1]
        ),
        lambda t: t.set_autocast_dtype("nothing", t.float16),
    ],
    set_autocast_enabled=[
        restored(lambda t: False, lambda t, v: t.set_autocast_enabled("cpu", False))(
            lambda t: (t.set_autocast_enabled("cpu", True), t.is_autocast_enabled("cpu"))[1]
        )
    ],
    set_autocast_cpu_enabled=[
        restored(lambda t: False, lambda t, v: t.set_autocast_cpu_enabled(False))(
            lambda t: (t.set_autocast_cpu_enabled(True), t.is_autocast_cpu_enabled())[1]
        )
    ],
    autocast_increment_nesting=[
        lambda t: [
            t.autocast_increment_nesting(),
            t.autocast_increment_nesting(),
            t.autocast_decrement_nesting(),
            t.autocast_decrement_nesting(),
        ]
    ],
    autocast_decrement_nesting=[lambda t: [t.autocast_increment_nesting(), t.autocast_decrement_nesting()]],
    clear_autocast_cache=[lambda t: t.clear_autocast_cache()],
    autocast=[
        lambda t: within(t.autocast("cpu", dtype=t.float16), lambda: (X(t, 2, 2) @ X(t, 2, 2)).dtype),
        lambda t: within(t.autocast("cpu", enabled=False), lambda: (X(t, 2, 2) @ X(t, 2, 2)).dtype),
        lambda t: t.autocast("nothing"),
        lambda t: t.autocast(3),
        lambda t: t.autocast("cpu", dtype=t.float16)(lambda: (X(t, 2, 2) @ X(t, 2, 2)).dtype)(),
    ],
    set_printoptions=[
        lambda t, o=o: printed(t, **o)
        for o in (
            {},
            {"precision": 2},
            {"threshold": 2, "edgeitems": 1},
            {"linewidth": 20},
            {"sci_mode": True},
            {"sci_mode": False},
            {"profile": "short"},
            {"profile": "full"},
            {"profile": "nothing"},
            {"edgeitems": 2, "threshold": 3, "precision": 1},
        )
    ],
    save=[
        lambda t: stored(t, {"a": X(t, 2, 3), "b": [1, 2.5, "c", None, True]}),
        lambda t: stored(t, X(t, 2, 3).T),
        lambda t: t.save(X(t, 2), 3),
    ],
    load=[
        lambda t: stored(t, [X(t, 2, dtype=d) for d in ("float64", "float16", "int64", "uint8", "bool", "complex64")]),
        lambda t: t.load(io.BytesIO(b"")),
        lambda t: t.load(io.BytesIO(b"nothing of the kind")),
        lambda t: t.load("/nowhere/at/all"),
        lambda t: t.load(3),
        lambda t: stored(t, R(t, 2).detach()),
    ],
    UntypedStorage=[
        lambda t: t.UntypedStorage(4).nbytes(),
        lambda t: t.UntypedStorage([1, 2, 3]).tolist(),
        lambda t: t.UntypedStorage().nbytes(),
        lambda t: X(t, 2).untyped_storage().nbytes(),
        lambda t: t.UntypedStorage([1, 2])[1],
        lambda t: t.UntypedStorage([1, 2])[5],
        lambda t: len(t.UntypedStorage(3)),
        lambda t: t.UntypedStorage([1, 2]).clone().tolist(),
        lambda t: t.UntypedStorage("a"),
        lambda t: t.UntypedStorage([1, 2, 3]).resize_(2).tolist(),
        lambda t: t.UntypedStorage([1, 2]).element_size(),
    ],
    TypedStorage=[
        lambda t: isinstance(X(t, 2).storage(), t.TypedStorage),
        lambda t: list(X(t, 3).storage()),
        lambda t: X(t, 3).storage().dtype,
        lambda t: X(t, 3).storage().tolist(),
        lambda t: len(X(t, 3).storage()),
        lambda t: X(t, 3).storage().size(),
        lambda t: X(t, 3).storage().nbytes(),
        lambda t: X(t, 3).storage().untyped().nbytes(),
        lambda t: X(t, 3).storage().data_ptr() > 0,
        lambda t: X(t, 3).storage().element_size(),
        lambda t: X(t, 3).storage().clone().tolist(),
        lambda t: X(t, 3).storage().float().dtype,
    ],
    vmap=[
        lambda t: t.vmap(lambda x: x.sum())(X(t, 3, 4)),
        lambda t: t.vmap(t.dot)(X(t, 3, 4), X(t, 3, 4)),
        lambda t: t.vmap(lambda x: x * 2, in_dims=1, out_dims=1)(X(t, 3, 4)),
        lambda t: t.vmap(t.dot)(X(t, 3, 4), X(t, 2, 4)),
        lambda t: t.vmap(lambda x: x)(3),
        lambda t: t.vmap(lambda x, y: x * y, in_dims=(0, None))(X(t, 3, 4), X(t, 4)),
        lambda t: t.vmap(lambda x: x, in_dims=5)(X(t, 3)),
    ],
    from_file=[
        lambda t: t.from_file("/nowhere/at/all", size=3),
        lambda t: from_file(t),
        lambda t: from_file(t, dtype=t.float64),
    ],
)


def from_file(t, **options):
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        X(t, 6, dtype="float64").numpy().tofile(file.name)
        return t.from_file(file.name, size=4, **options).clone()


def printed(t, **options):
    try:
        t.set_printoptions(**options)
        return repr(X(t, 4, 5))
    finally:
        t.set_printoptions(profile="default")


def stored(t, value, **options):
    file = io.BytesIO()
    t.save(value, file, **options)
    file.seek(0)
    return t.load(file)


# -- devices: only what means something without one

QUIET = """
empty_cache ipc_collect synchronize reset_peak_memory_stats reset_max_memory_allocated reset_max_memory_cached
memory_allocated max_memory_allocated memory_reserved max_memory_reserved memory_cached max_memory_cached
get_arch_list get_gencode_flags device_count is_available is_initialized manual_seed_all seed_all seed
initial_seed current_device current_stream default_stream get_rng_state get_rng_state_all memory_stats
memory_summary mem_get_info get_device_name get_device_properties get_device_capability is_tf32_supported init
""".split()


def quietly(t, name, *arguments):
    if torch.cuda.is_available():
        return None  # what these say depends on the device then
    function = getattr(t.cuda, name)
    try:
        return function(*arguments)
    except (RuntimeError, AssertionError, AttributeError) as error:
        return "RuntimeError" if t is torch or isinstance(error, RuntimeError) else repr(error)


cases(
    "cuda",
    **{name: [lambda t, name=name: quietly(t, name, *([3] if name == "manual_seed_all" else []))] for name in QUIET},
)
cases(
    "cuda",
    manual_seed=[lambda t: t.cuda.manual_seed(3)],
    is_bf16_supported=[lambda t: isinstance(t.cuda.is_bf16_supported(), bool)],
    device=[lambda t: within(t.cuda.device(-1), lambda: 1), lambda t: t.cuda.device("cpu")],
    device_of=[lambda t: within(t.cuda.device_of(X(t, 2)), lambda: 1)],
    stream=[lambda t: within(t.cuda.stream(None), lambda: 1)],
    StreamContext=[lambda t: within(t.cuda.StreamContext(None), lambda: 1)],
    set_device=[lambda t: t.cuda.set_device(-1), lambda t: t.cuda.set_device("cpu")],
    default_generators=[lambda t: len(t.cuda.default_generators) >= 0],
    has_half=[lambda t: bool(t.cuda.has_half)],
    has_magma=[lambda t: isinstance(t.cuda.has_magma, bool)],
)

# -- mixed precision


def custom(t):
    class Double(t.autograd.Function):
        @staticmethod
        @t.amp.custom_fwd(device_type="cpu", cast_inputs=t.float32)
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @t.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            return g * 2

    x = X(t, 3, dtype="float16").requires_grad_()
    with t.autocast("cpu", dtype=t.float16):
        y = Double.apply(x)
    y.sum().backward()
    return [y, x.grad]


cases(
    "amp",
    custom_fwd=[custom],
    custom_bwd=[custom],
    is_autocast_available=[
        lambda t: t.amp.is_autocast_available("cpu"),
        lambda t: t.amp.is_autocast_available("nothing"),
        lambda t: t.amp.is_autocast_available(3),
    ],
)

cases(
    "",
    GradScaler=[
        lambda t: t.GradScaler("cpu").get_scale(),
        lambda t: t.GradScaler("cpu", enabled=False).is_enabled(),
        lambda t: t.GradScaler("cpu", init_scale=8.0).scale(X(t, 2)),
        lambda t: t.GradScaler is t.amp.GradScaler,
    ],
)

# -- data


def counted(t, n=10):
    class Count(t.utils.data.Dataset):
        def __len__(self):
            return n

        def __getitem__(self, index):
            return index

    return Count()


def streamed(t, n=5):
    class Stream(t.utils.data.IterableDataset):
        def __iter__(self):
            return iter(range(n))

    return Stream()


def batches(t, data=None, **options):
    return list(t.utils.data.DataLoader(counted(t) if data is None else data, **options))


D = "utils.data"
cases(
    D,
    ChainDataset=[
        lambda t: list(t.utils.data.ChainDataset([streamed(t), streamed(t, 2)])),
        lambda t: len(t.utils.data.ChainDataset([streamed(t)])),
        lambda t: list(t.utils.data.ChainDataset([counted(t)])),
        lambda t: list(streamed(t) + streamed(t)),
    ],
    IterableDataset=[
        lambda t: batches(t, streamed(t), batch_size=2),
        lambda t: batches(t, streamed(t), shuffle=True),
        lambda t: batches(t, streamed(t), sampler=[1]),
        lambda t: batches(t, streamed(t), batch_size=None),
        lambda t: batches(t, streamed(t), batch_size=2, drop_last=True),
        lambda t: len(t.utils.data.DataLoader(streamed(t))),
        lambda t: streamed(t)[0],
        lambda t: len(streamed(t)),
        lambda t: isinstance(streamed(t), t.utils.data.Dataset),
    ],
    Dataset=[
        lambda t: t.utils.data.Dataset()[0],
        lambda t: len(t.utils.data.Dataset()),
        lambda t: len(counted(t) + counted(t)),
        lambda t: (counted(t) + counted(t))[12],
    ],
    Sampler=[
        lambda t: isinstance(t.utils.data.SequentialSampler([1]), t.utils.data.Sampler),
        lambda t: list(t.utils.data.Sampler()),
        lambda t: len(t.utils.data.Sampler()),
    ],
    SequentialSampler=[
        lambda t: list(t.utils.data.SequentialSampler(counted(t))),
        lambda t: len(t.utils.data.SequentialSampler(counted(t))),
    ],
    RandomSampler=[
        lambda t: sorted(t.utils.data.RandomSampler(counted(t))),
        lambda t: len(list(t.utils.data.RandomSampler(counted(t), replacement=True, num_samples=25))),
        lambda t: len(list(t.utils.data.RandomSampler(counted(t), num_samples=25))),
        lambda t: t.utils.data.RandomSampler(counted(t), replacement=3),
        lambda t: t.utils.data.RandomSampler(counted(t), num_samples=-1),
        lambda t: len(t.utils.data.RandomSampler(counted(t, 0))),
        lambda t: list(t.utils.data.RandomSampler(counted(t, 0))),
        lambda t: t.utils.data.RandomSampler(counted(t), num_samples=0),
    ],
    SubsetRandomSampler=[
        lambda t: sorted(t.utils.data.SubsetRandomSampler([3, 1, 2])),
        lambda t: len(t.utils.data.SubsetRandomSampler([3, 1, 2])),
    ],
    WeightedRandomSampler=[
        lambda t: list(t.utils.data.WeightedRandomSampler([0, 0, 1.0], 4)),
        lambda t: t.utils.data.WeightedRandomSampler([1.0], 0),
        lambda t: t.utils.data.WeightedRandomSampler([1.0], 2, replacement="a"),
        lambda t: sorted(t.utils.data.WeightedRandomSampler([1.0, 1.0], 2, False)),
        lambda t: list(t.utils.data.WeightedRandomSampler([1.0, 1.0], 3, False)),
        lambda t: t.utils.data.WeightedRandomSampler([[1.0]], 2),
        lambda t: len(t.utils.data.WeightedRandomSampler([1.0], 5)),
    ],
    BatchSampler=[
        lambda t, d=d: [
            list(t.utils.data.BatchSampler(t.utils.data.SequentialSampler(counted(t)), 4, d)),
            len(t.utils.data.BatchSampler(t.utils.data.SequentialSampler(counted(t)), 4, d)),
        ]
        for d in (True, False)
    ]
    + [
        lambda t: t.utils.data.BatchSampler([1], 0, True),
        lambda t: t.utils.data.BatchSampler([1], 2, 3),
        lambda t: t.utils.data.BatchSampler([1], 2.5, True),
        lambda t: list(t.utils.data.BatchSampler(range(5), 2, False)),
        lambda t: t.utils.data.BatchSampler([1], True, False),
    ],
    Subset=[
        lambda t: list(t.utils.data.Subset(counted(t), [3, 1])),
        lambda t: len(t.utils.data.Subset(counted(t), [3, 1])),
        lambda t: t.utils.data.Subset(counted(t), [3, 1])[[0, 1]],
        lambda t: t.utils.data.Subset(counted(t), [3, 1])[5],
        lambda t: t.utils.data.Subset(counted(t), [3, 1]).__getitems__([0]),
    ],
    TensorDataset=[
        lambda t: t.utils.data.TensorDataset(X(t, 3, 2), X(t, 3))[1],
        lambda t: len(t.utils.data.TensorDataset(X(t, 3, 2))),
        lambda t: t.utils.data.TensorDataset(X(t, 3), X(t, 2)),
        lambda t: t.utils.data.TensorDataset(X(t, 3, 2))[1:],
        lambda t: t.utils.data.TensorDataset(X(t, 3, 2))[7],
    ],
    ConcatDataset=[
        lambda t: t.utils.data.ConcatDataset([counted(t, 2), counted(t, 3)])[-1],
        lambda t: t.utils.data.ConcatDataset([]),
        lambda t: t.utils.data.ConcatDataset([streamed(t)]),
        lambda t: t.utils.data.ConcatDataset([counted(t)])[-11],
        lambda t: t.utils.data.ConcatDataset([counted(t)])[11],
        lambda t: t.utils.data.ConcatDataset([counted(t, 2), counted(t, 3)]).cumulative_sizes,
    ],
    StackDataset=[
        lambda t: t.utils.data.StackDataset(counted(t), counted(t))[2],
        lambda t: t.utils.data.StackDataset(a=counted(t), b=counted(t))[2],
        lambda t: t.utils.data.StackDataset(counted(t, 2), counted(t)),
        lambda t: t.utils.data.StackDataset(),
        lambda t: t.utils.data.StackDataset(counted(t), a=counted(t)),
        lambda t: len(t.utils.data.StackDataset(counted(t))),
    ],
    DataLoader=[
        batches,
        lambda t: batches(t, batch_size=3),
        lambda t: batches(t, batch_size=3, drop_last=True),
        lambda t: batches(t, batch_size=None),
        lambda t: sorted(int(one) for one in batches(t, shuffle=True)),
        lambda t: batches(t, sampler=[1, 2]),
        lambda t: batches(t, batch_sampler=[[1, 2], [3]]),
        lambda t: batches(t, collate_fn=lambda b: [b, 1], batch_size=4),
        lambda t: batches(t, shuffle=True, sampler=[1]),
        lambda t: batches(t, batch_sampler=[[1]], batch_size=2),
        lambda t: batches(t, batch_size=0),
        lambda t: batches(t, batch_size=-1),
        lambda t: batches(t, num_workers=-1),
        lambda t: batches(t, timeout=-1),
        lambda t: batches(t, prefetch_factor=2),
        lambda t: batches(t, persistent_workers=True),
        lambda t: batches(t, batch_size=None, drop_last=True),
        lambda t: len(t.utils.data.DataLoader(counted(t), batch_size=3)),
        lambda t: len(t.utils.data.DataLoader(counted(t), batch_size=3, drop_last=True)),
        lambda t: t.utils.data.DataLoader(counted(t), batch_size=3).batch_size,
        lambda t: t.utils.data.DataLoader(counted(t), batch_sampler=[[1]]).batch_size,
        lambda t: batches(t, [(1, 2.5), (3, 4.5)], batch_size=2),
        lambda t: batches(t, [{"a": 1}, {"a": 2}], batch_size=2),
        lambda t: batches(t, ["a", "b"], batch_size=2),
        lambda t: batches(t, X(t, 4, 2), batch_size=2),
        lambda t: batches(t, [None], batch_size=1),
        lambda t: batches(t, []),
        lambda t: batches(t, [], shuffle=True),
        lambda t: batches(t, batch_size=2.5),
        lambda t: batches(t, [X(t, 2), X(t, 3)], batch_size=2),
        lambda t: batches(t, batch_size="a"),
        lambda t: batches(t, sampler=[50]),
        lambda t: setattr(t.utils.data.DataLoader(counted(t)), "batch_size", 3),
        lambda t: t.utils.data.DataLoader(counted(t)).drop_last,
        lambda t: batches(t, pin_memory=True, batch_size=5) if False else None,
        lambda t: batches(t, generator=t.Generator().manual_seed(1), batch_size=5),
        lambda t: batches(t, multiprocessing_context="fork"),
        lambda t: batches(t, [[1, 2], [3, 4]], batch_size=2),
        lambda t: batches(t, [[1, 2], [3]], batch_size=2),
    ],
    DistributedSampler=[
        lambda t, r=r, d=d: [
            list(t.utils.data.DistributedSampler(counted(t), 3, r, shuffle=False, drop_last=d)),
            len(t.utils.data.DistributedSampler(counted(t), 3, r, drop_last=d)),
        ]
        for r in (0, 1, 2, 3, -1)
        for d in (True, False)
    ],
    default_collate=[
        lambda t, b=b: t.utils.data.default_collate(b(t))
        for b in (
            lambda t: [1, 2],
            lambda t: [1.5, 2],
            lambda t: [X(t, 2), X(t, 2)],
            lambda t: [(1, "a"), (2, "b")],
            lambda t: [{"a": 1, "b": [2]}, {"a": 3, "b": [4]}],
            lambda t: [X(t, 2).numpy()] * 2,
            lambda t: [True, False],
            lambda t: [None],
            lambda t: [X(t, 2), X(t, 3)],
            lambda t: [],
            lambda t: [[1], [1, 2]],
            lambda t: ["a", "b"],
            lambda t: [{1}],
            lambda t: [__import__("numpy").float32(1), __import__("numpy").float32(2)],
            lambda t: [1j],
            lambda t: [t.Size([1, 2])] * 2,
        )
    ],
    default_convert=[
        lambda t, b=b: t.utils.data.default_convert(b(t))
        for b in (
            lambda t: 1,
            lambda t: X(t, 2),
            lambda t: X(t, 2).numpy(),
            lambda t: [X(t, 2).numpy(), 1],
            lambda t: {"a": X(t, 2).numpy()},
            lambda t: "a",
            lambda t: (1, 2),
            lambda t: __import__("numpy").float32(2),
        )
    ],
    get_worker_info=[lambda t: t.utils.data.get_worker_info()],
    random_split=[
        lambda t, l=l: [len(one) for one in t.utils.data.random_split(counted(t), l)]
        for l in (
            [3, 7],
            [0.5, 0.5],
            [0.33, 0.33, 0.34],
            [3, 3],
            [0.5, 0.6],
            [10],
            [0, 10],
            [1.0],
            [-0.1, 1.1],
            [0.25, 0.25, 0.5],
        )
    ]
    + [
        lambda t: sorted(i for one in t.utils.data.random_split(counted(t), [4, 6]) for i in one),
        lambda t: (
            t.utils.data.random_split(counted(t), [4, 6], generator=t.Generator().manual_seed(1))[0][0] in range(10)
        ),
    ],
)
cases(D + ".distributed", DistributedSampler=CASES[D + ".DistributedSampler"])


# -- checkpoints of activations


def checkpointed(t, run):
    x, w = R(t, 3), R(t, 3, seed=2)
    y = run(t, lambda a: (a * w).exp(), x)
    y.sum().backward()
    return [y, x.grad, w.grad]


C = "utils.checkpoint"
cases(
    C,
    checkpoint=[
        lambda t, o=o: checkpointed(t, lambda t, f, x: t.utils.checkpoint.checkpoint(f, x, **o))
        for o in (
            {"use_reentrant": False},
            {"use_reentrant": True},
            {"use_reentrant": False, "preserve_rng_state": False},
        )
    ]
    + [lambda t: t.utils.checkpoint.checkpoint(lambda a, b: a * b, X(t, 2), b=3, use_reentrant=False)],
    get_device_states=[lambda t: t.utils.checkpoint.get_device_states(X(t, 2), [X(t, 3)], 4)],
    set_device_states=[lambda t: t.utils.checkpoint.set_device_states([], [])],
    checkpoint_sequential=[
        lambda t, n=n, r=r: checkpointed(
            t, lambda t, f, x: t.utils.checkpoint.checkpoint_sequential([f, lambda a: a * 2, f], n, x, use_reentrant=r)
        )
        for n in (1, 2, 3)
        for r in (True, False)
    ],
    noop_context_fn=[
        lambda t: [within(one, lambda: 1) for one in t.utils.checkpoint.noop_context_fn()],
        lambda t: checkpointed(
            t,
            lambda t, f, x: t.utils.checkpoint.checkpoint(
                f, x, use_reentrant=False, context_fn=t.utils.checkpoint.noop_context_fn
            ),
        ),
    ],
    CheckpointError=[lambda t: issubclass(t.utils.checkpoint.CheckpointError, RuntimeError)],
    set_checkpoint_debug_enabled=[
        lambda t: within(
            t.utils.checkpoint.set_checkpoint_debug_enabled(False),
            lambda: checkpointed(t, lambda t, f, x: t.utils.checkpoint.checkpoint(f, x, use_reentrant=False)),
        )
    ],
)

# -- optimizers


def fitted(t, make, steps=4, sparse=False):
    p = t.nn.Parameter(X(t, 4, 3, dtype="float64"))
    optimizer = make([p])
    for _ in range(steps):
        optimizer.zero_grad()
        (p**2).sum().backward()
        optimizer.step()
    return [p, sorted(optimizer.state_dict()), sorted(optimizer.defaults)]


def own(t):
    class Plain(t.optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with t.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(p.grad * group["lr"])

    return Plain


def groups(t, edit):
    optimizer = own(t)([t.nn.Parameter(t.ones(2))])
    return [edit(t, optimizer), len(optimizer.param_groups), repr(optimizer)]


cases(
    "optim",
    Adafactor=[
        lambda t, o=o: fitted(t, lambda p: t.optim.Adafactor(p, **o))
        for o in (
            {},
            {"lr": 0.1},
            {"weight_decay": 0.1},
            {"d": 0.5},
            {"beta2_decay": -0.5},
            {"eps": (1e-3, 1e-2)},
            {"lr": -1},
            {"maximize": True},
            {"beta2_decay": 0.5},
        )
    ],
    SparseAdam=[
        lambda t, o=o: t.optim.SparseAdam([t.nn.Parameter(t.ones(2))], **o).defaults["lr"]
        for o in ({}, {"lr": -1.0}, {"betas": (1.5, 0.9)}, {"eps": -1})
    ],
    Optimizer=[
        lambda t: fitted(t, lambda p: own(t)(p)),
        lambda t: own(t)([]),
        lambda t: own(t)(t.nn.Parameter(t.ones(1))),
        lambda t: own(t)([t.ones(1) * R(t, 1)]),
        lambda t: own(t)([3]),
        lambda t: own(t)([{"params": [t.nn.Parameter(t.ones(1))], "lr": 3}]).param_groups[0]["lr"],
        lambda t: groups(t, lambda t, o: o.add_param_group({"params": t.nn.Parameter(t.ones(1))})),
        lambda t: groups(t, lambda t, o: o.add_param_group({"params": o.param_groups[0]["params"]})),
        lambda t: groups(t, lambda t, o: o.add_param_group(3)),
        lambda t: groups(t, lambda t, o: o.add_param_group({"params": {t.ones(1)}})),
        lambda t: groups(t, lambda t, o: o.load_state_dict({"state": {}, "param_groups": []})),
        lambda t: groups(t, lambda t, o: o.load_state_dict(o.state_dict())),
        lambda t: groups(t, lambda t, o: sorted(o.state_dict())),
        lambda t: t.optim.Optimizer([t.nn.Parameter(t.ones(1))], {}).step(),
        lambda t: groups(t, lambda t, o: o.zero_grad(set_to_none=False)),
        lambda t: own(t)([("a", t.nn.Parameter(t.ones(1)))]).param_groups[0]["param_names"],
        lambda t: own(t)([("a", t.nn.Parameter(t.ones(1))), t.nn.Parameter(t.ones(1))]),
        lambda t: hooked_steps(t),
    ],
)
cases(
    "optim.lr_scheduler",
    LRScheduler=[
        lambda t: isinstance(
            t.optim.lr_scheduler.StepLR(t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=1.0), 2),
            t.optim.lr_scheduler.LRScheduler,
        ),
        lambda t: t.optim.lr_scheduler.LRScheduler(3),
        lambda t: halving(t),
        lambda t: t.optim.lr_scheduler.LRScheduler(t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=1.0)),
        lambda t: t.optim.lr_scheduler.StepLR(t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=1.0), 2, last_epoch=3),
    ],
)


def hooked_steps(t):
    optimizer, seen = t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=1.0), []
    handles = [
        optimizer.register_step_pre_hook(lambda o, a, k: seen.append("pre")),
        optimizer.register_step_post_hook(lambda o, a, k: seen.append("post")),
    ]
    optimizer.step()
    for handle in handles:
        handle.remove()
    optimizer.step()
    return seen


def halving(t):
    class Half(t.optim.lr_scheduler.LRScheduler):
        def get_lr(self):
            return [group["initial_lr"] * 0.5**self.last_epoch for group in self.optimizer.param_groups]

    optimizer = t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=1.0)
    scheduler, seen = Half(optimizer), []
    for _ in range(3):
        optimizer.step()
        scheduler.step()
        seen.append(scheduler.get_last_lr())
    return [seen, scheduler.last_epoch, sorted(scheduler.state_dict())]


def averaged(t, name):
    function = getattr(t.optim.swa_utils, name)()
    one, two = X(t, 3, dtype="float64"), X(t, 3, dtype="float64", seed=4)
    if "multi" in name:
        function([one], [two], 3)
        return one
    return function(one, two, 3)


def updated(t):
    net = t.nn.Sequential(t.nn.BatchNorm1d(3, momentum=0.3))
    t.optim.swa_utils.update_bn([X(t, 5, 3), X(t, 5, 3, seed=9)], net)
    pairs = t.nn.Sequential(t.nn.BatchNorm1d(3))
    t.optim.swa_utils.update_bn([(X(t, 5, 3), 1)], pairs.eval())
    return [net[0].running_mean, net[0].running_var, net[0].momentum, pairs[0].running_mean, pairs.training]


cases(
    "optim.swa_utils",
    get_swa_avg_fn=[lambda t: averaged(t, "get_swa_avg_fn")],
    get_swa_multi_avg_fn=[lambda t: averaged(t, "get_swa_multi_avg_fn")],
    update_bn=[updated, lambda t: t.optim.swa_utils.update_bn([], t.nn.Linear(1, 1))],
)

# -- the rest


def divergence(t):
    class Odd(t.distributions.Normal):
        pass

    @t.distributions.kl.register_kl(Odd, Odd)
    def _(p, q):
        return t.tensor(42.0)

    return t.distributions.kl_divergence(Odd(0.0, 1.0), Odd(0.0, 1.0))


cases(
    "distributions",
    Transform=[
        lambda t: t.distributions.Transform(cache_size=0).sign,
        lambda t: t.distributions.ExpTransform() == t.distributions.ExpTransform(),
        lambda t: t.distributions.ExpTransform().inv(X(t, 3, low=0.5)),
        lambda t: isinstance(t.distributions.ExpTransform(), t.distributions.Transform),
    ],
    register_kl=[divergence],
)
cases(
    "linalg",
    LinAlgError=[
        lambda t: issubclass(t.linalg.LinAlgError, RuntimeError),
        lambda t: t.linalg.cholesky(-t.eye(2)),
        lambda t: t.linalg.inv(t.zeros(2, 2)),
        lambda t: raised(lambda: t.linalg.inv(t.zeros(2, 2)), t.linalg.LinAlgError),
    ],
)
cases(
    "special",
    gammainc=[
        lambda t: t.special.gammainc(X(t, 4, low=0.1), X(t, 4, low=0.1, seed=2)),
        lambda t: t.special.gammainc(t.tensor(2), t.tensor(3.0)),
    ],
    gammaincc=[
        lambda t: t.special.gammaincc(X(t, 4, low=0.1, dtype="float64"), X(t, 4, low=0.1, seed=2, dtype="float64"))
    ],
)
for _name in ("fftfreq", "rfftfreq"):
    cases(
        "fft",
        **{
            _name: [lambda t, n=_name, a=a: getattr(t.fft, n)(*a) for a in ((5,), (4, 0.5), (1,), (0,), (6, 2))]
            + [
                lambda t, n=_name: getattr(t.fft, n)(4, dtype=t.float64),
                lambda t, n=_name: getattr(t.fft, n)(n=3, d=2.0),
                lambda t, n=_name: getattr(t.fft, n)(2.5),
                lambda t, n=_name: getattr(t.fft, n)(4, requires_grad=True).requires_grad,
            ]
        },
    )


def raised(function, kind):
    with contextlib.suppress(kind):
        function()
        return "nothing"
    return "raised"


S = "serialization"
cases(
    S,
    LoadEndianness=[lambda t: sorted(one.name for one in t.serialization.LoadEndianness)],
    add_safe_globals=[lambda t: t.serialization.add_safe_globals([])],
    clear_safe_globals=[lambda t: t.serialization.clear_safe_globals()],
    get_safe_globals=[lambda t: len(t.serialization.get_safe_globals()) >= 0],
    safe_globals=[lambda t: within(t.serialization.safe_globals([]), lambda: 1)],
    default_restore_location=[],
    get_crc32_options=setting("get_crc32_options", "set_crc32_options", BOTH, S),
    get_default_load_endianness=[lambda t: t.serialization.get_default_load_endianness()],
    set_default_load_endianness=[lambda t: t.serialization.set_default_load_endianness(3)],
    get_default_mmap_options=[lambda t: int(t.serialization.get_default_mmap_options())],
    set_default_mmap_options=[lambda t: t.serialization.set_default_mmap_options(99)],
    location_tag=[lambda t: t.serialization.location_tag(X(t, 2).untyped_storage())],
    get_unsafe_globals_in_checkpoint=[
        lambda t: t.serialization.get_unsafe_globals_in_checkpoint(saved(t, {"a": X(t, 2)}))
    ],
    load=[lambda t: t.serialization.load(saved(t, X(t, 2)))],
    save=[lambda t: t.serialization.save(X(t, 2), io.BytesIO())],
    register_package=[lambda t: callable(t.serialization.register_package)],
    skip_data=[lambda t: callable(t.serialization.skip_data)],
)
CASES = {name: value for name, value in CASES.items() if value}


def saved(t, value):
    file = io.BytesIO()
    t.save(value, file)
    file.seek(0)
    return file


cases(
    "overrides",
    get_ignored_functions=[lambda t: len(t.overrides.get_ignored_functions()) > 0],
    get_overridable_functions=[lambda t: isinstance(t.overrides.get_overridable_functions(), dict)],
)
cases(
    "utils",
    swap_tensors=[lambda t: (lambda a, b: (t.utils.swap_tensors(a, b), a, b)[1:])(X(t, 2), X(t, 3, dtype="float64"))],
)
