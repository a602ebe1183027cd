"""Convolution, pooling, padding, interpolation and grid sampling beside PyTorch: values, gradients, indices, errors."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402

TF, F = torch.nn.functional, mg.nn.functional


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def compare(run, *arrays, tolerance=1e-9):
    """The same function of both libraries: results, and gradients of a fixed weighting of the first of them."""
    found = []
    for module in (torch, mg):
        inputs = [module.from_numpy(array.copy()) for array in arrays]
        inputs = [t.requires_grad_() if t.dtype in (module.float32, module.float64) else t for t in inputs]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = run(module, module.nn.functional, *inputs)
        results = result if isinstance(result, tuple) else (result,)
        weights = np.cos(np.arange(results[0].numel())).reshape(tuple(results[0].shape))
        tracked = [t for t in inputs if t.requires_grad]
        gradients = module.autograd.grad((results[0] * module.from_numpy(weights)).sum(), tracked, allow_unused=True)
        found.append(([r.detach().numpy() for r in results], [None if g is None else g.numpy() for g in gradients]))
    (expected, expected_gradients), (actual, gradients) = found
    for one, other in zip(actual, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    for one, other in zip(gradients, expected_gradients, strict=True):
        one, other = (0 if gradient is None else gradient for gradient in (one, other))
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def ints(draw, count, low, high):
    return draw(st.tuples(*[st.integers(low, high)] * count))


@st.composite
def convolutions(draw):
    """Draw (spatial, x, w, bias, stride, padding, dilation, groups)."""
    spatial = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 2, 3]))
    kernel, stride = ints(draw, spatial, 1, 3), ints(draw, spatial, 1, 3)
    padding, dilation = ints(draw, spatial, 0, 2), ints(draw, spatial, 1, 2)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + e
        for k, d, p, e in zip(kernel, dilation, padding, ints(draw, spatial, 0, 5), strict=True)
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    inner, outer = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    batch = draw(st.sampled_from([(), (1,), (9,)]))
    x = rng.standard_normal((*batch, groups * inner, *size))
    w = rng.standard_normal((groups * outer, inner, *kernel))
    return spatial, x, w, rng.standard_normal(groups * outer), stride, padding, dilation, groups


@given(convolutions())
def test_convolution(problem):
    spatial, x, w, bias, *given_settings = problem
    compare(lambda m, f, *t: getattr(f, f"conv{spatial}d")(*t, *given_settings), x, w, bias)


@given(convolutions(), st.data())
def test_transposed_convolution(problem, data):
    spatial, x, w, _, stride, padding, dilation, groups = problem
    outer, inner = w.shape[0] // groups, w.shape[1]
    w = np.ascontiguousarray(w.reshape(groups, outer, *w.shape[1:]).swapaxes(1, 2))
    w = w.reshape(groups * inner, outer, *w.shape[3:])
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    padding = tuple(
        min(p, (d * (k - 1) + (n - 1) * s) // 2)
        for p, d, k, n, s in zip(padding, dilation, w.shape[2:], x.shape[-spatial:], stride, strict=True)
    )
    bias = np.arange(w.shape[1] * groups, dtype=float)
    name = f"conv_transpose{spatial}d"
    compare(lambda m, f, *t: getattr(f, name)(*t, stride, padding, extra, groups, dilation), x, w, bias)


@pytest.mark.parametrize("size, dilation", [(1, 1), (2, 1), (3, 2), (4, 3)])
def test_same_padding(size, dilation, rng):
    x, w = rng.standard_normal((2, 2, 7, 6)), rng.standard_normal((3, 2, size, 3))
    compare(lambda m, f, x, w: f.conv2d(x, w, padding="same", dilation=dilation), x, w)


@given(convolutions(), st.data())
@settings(max_examples=80)
def test_pooling(problem, data):
    spatial, x, w, _, stride, _, dilation, _ = problem
    kernel = w.shape[2:]
    size = tuple(max(n, d * (k - 1) + 1, 2) for n, d, k in zip(x.shape[-spatial:], dilation, kernel, strict=True))
    x = np.random.default_rng(0).integers(-4, 5, (2, 3, *size)).astype(float)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    ceil_mode, flag = data.draw(st.booleans()), data.draw(st.booleans())
    compare(lambda m, f, x: getattr(f, f"max_pool{spatial}d")(x, kernel, stride, padding, dilation, ceil_mode, True), x)
    compare(lambda m, f, x: getattr(f, f"avg_pool{spatial}d")(x, kernel, stride, padding, ceil_mode, flag), x)
    out = ints(data.draw, spatial, 1, 5)
    compare(lambda m, f, x: getattr(f, f"adaptive_avg_pool{spatial}d")(x, out), x)
    compare(lambda m, f, x: getattr(f, f"adaptive_max_pool{spatial}d")(x, out, return_indices=True), x)


@pytest.mark.parametrize("spatial", [2, 3])
def test_fractional_pooling(spatial, rng):
    x, samples = rng.standard_normal((2, 3, 9, 8, 7)[: spatial + 2]), rng.random((2, 3, spatial))
    compare(
        lambda m, f, x, s: getattr(f, f"fractional_max_pool{spatial}d")(
            x, 2, output_size=(4, 5, 3)[:spatial], return_indices=True, _random_samples=s.detach()
        ),
        x, samples,
    )  # fmt: skip


INTERPOLATIONS = [
    *[(mode, spatial, None) for mode in ("nearest", "nearest-exact", "area") for spatial in (1, 2, 3)],
    *[
        (mode, spatial, align)
        for mode, spatial in (("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3))
        for align in (None, True, False)
    ],
]


@pytest.mark.parametrize("chosen, spatial, align", INTERPOLATIONS)
def test_interpolate(chosen, spatial, align, rng):
    x = rng.standard_normal((2, 2, 5, 7, 4)[: spatial + 2])
    for size in (1, 3, 5, 8, 14):
        compare(lambda m, f, x, n=size: f.interpolate(x, size=n, mode=chosen, align_corners=align), x)
    for factor in (0.37, 0.5, 1.7, 2, 3.21):
        for again in (None, True):
            compare(
                lambda m, f, x, s=factor, r=again: f.interpolate(
                    x, scale_factor=s, mode=chosen, align_corners=align, recompute_scale_factor=r
                ),
                x,
            )


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_nearest_takes_the_same_pixels(dtype):
    """Positions are rounded on the way: sizes where another precision would choose another pixel."""
    rng = np.random.default_rng(0)
    for size, out in zip(rng.integers(1, 250, 150).tolist(), rng.integers(1, 400, 150).tolist(), strict=True):
        x = np.arange(size).astype(dtype)[None, None]
        for mode in ("nearest", "nearest-exact"):
            expected = TF.interpolate(torch.from_numpy(x), size=out, mode=mode).numpy()
            np.testing.assert_array_equal(F.interpolate(mg.from_numpy(x), size=out, mode=mode).numpy(), expected)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(3, 3), (5, 9), (12, 4), (20, 20)])
def test_antialias_and_bytes(mode, size, rng):
    x = rng.standard_normal((2, 3, 12, 10))
    compare(lambda m, f, x: f.interpolate(x, size, mode=mode, antialias=True), x, tolerance=1e-6)
    image = rng.integers(0, 256, (2, 3, 12, 10), dtype=np.uint8)
    for antialias in (False, True)[mode == "lanczos" :]:
        expected = TF.interpolate(torch.from_numpy(image), size, mode=mode, antialias=antialias).numpy()
        actual = F.interpolate(mg.from_numpy(image), size, mode=mode, antialias=antialias).numpy()
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [True, False])
def test_grid_sample(mode, padding_mode, align, rng):
    x, grid = rng.standard_normal((2, 3, 5, 4)), rng.uniform(-2.5, 2.5, (2, 6, 7, 2))
    grid[0, 0, :4] = [[-1, -1], [1, 1], [1, -1], [0, 0]]
    compare(lambda m, f, x, g: f.grid_sample(x, g, mode, padding_mode, align), x, grid)
    if mode != "bicubic":
        x, grid = rng.standard_normal((2, 2, 3, 4, 5)), rng.uniform(-1.5, 1.5, (2, 2, 3, 2, 3))
        compare(lambda m, f, x, g: f.grid_sample(x, g, mode, padding_mode, align), x, grid)


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 1, 3), (2, 3, 2, 4, 3)])
def test_affine_grid(align, size, rng):
    theta = rng.standard_normal((2, len(size) - 2, len(size) - 1))
    compare(lambda m, f, t: f.affine_grid(t, size, align_corners=align), theta)


@given(st.data())
def test_pad(data):
    mode = data.draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    spatial = data.draw(st.integers(1, 3))
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 6, 4)[: spatial + 2])
    amounts = tuple(data.draw(st.integers(-1, 3)) for _ in range(2 * spatial))
    compare(lambda m, f, x: f.pad(x, amounts, mode=mode), x)


# What must be refused, as expressions of (module, functional); a refusal of PyTorch's class is asked for.
REFUSED = {
    "channels": lambda m, f: f.conv2d(m.ones(1, 1, 5, 5), m.ones(4, 3, 3, 3)),
    "groups": lambda m, f: f.conv2d(m.ones(1, 4, 5, 5), m.ones(3, 2, 3, 3), groups=2),
    "few outputs": lambda m, f: f.conv1d(m.ones(1, 4, 5), m.ones(1, 2, 3), groups=2),
    "bias": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3), m.ones(3)),
    "kernel too large": lambda m, f: f.conv2d(m.ones(1, 3, 2, 2), m.ones(4, 3, 3, 3)),
    "rank": lambda m, f: f.conv2d(m.ones(3, 5), m.ones(4, 3, 3, 3)),
    "weight rank": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3)),
    "stride": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3), stride=0),
    "stride length": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3), stride=(1, 1, 1)),
    "stride type": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3), stride=1.5),
    "padding": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3), padding=-1),
    "padding name": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3), padding="full"),
    "same with stride": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3), padding="same", stride=2),
    "dilation": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3), dilation=0),
    "dtypes": lambda m, f: f.conv2d(m.ones(1, 3, 5, 5), m.ones(4, 3, 3, 3).double()),
    "no tensor": lambda m, f: f.conv2d([1.0], m.ones(4, 3, 3, 3)),
    "output padding": lambda m, f: f.conv_transpose2d(m.ones(1, 2, 3, 3), m.ones(2, 1, 3, 3), output_padding=1),
    "transposed channels": lambda m, f: f.conv_transpose2d(m.ones(1, 3, 3, 3), m.ones(2, 1, 3, 3)),
    "unfold": lambda m, f: f.unfold(m.ones(1, 1, 2, 2), 3),
    "fold channels": lambda m, f: f.fold(m.ones(1, 5, 4), 3, 2),
    "fold positions": lambda m, f: f.fold(m.ones(1, 4, 5), 3, 2),
    "pool padding": lambda m, f: f.max_pool2d(m.ones(1, 1, 4, 4), 2, padding=2),
    "pool output": lambda m, f: f.max_pool2d(m.ones(1, 1, 1, 1), 2),
    "pool rank": lambda m, f: f.max_pool2d(m.ones(4, 4), 2),
    "pool empty": lambda m, f: f.max_pool2d(m.ones(1, 0, 4, 4), 2),
    "avg divisor": lambda m, f: f.avg_pool2d(m.ones(1, 1, 4, 4), 2, divisor_override=0),
    "avg dtype": lambda m, f: f.avg_pool2d(m.ones(1, 1, 4, 4).int(), 2),
    "adaptive": lambda m, f: f.adaptive_avg_pool2d(m.ones(1, 1, 4, 4), (2, 2, 2)),
    "adaptive rank": lambda m, f: f.adaptive_avg_pool2d(m.ones(4, 4), 2),
    "unpool index": lambda m, f: f.max_unpool2d(m.ones(1, 1, 1, 1), m.tensor([[[[7]]]]), 2),
    "unpool dtype": lambda m, f: f.max_unpool2d(m.ones(1, 1, 1, 1), m.ones(1, 1, 1, 1), 2),
    "unpool shape": lambda m, f: f.max_unpool2d(m.ones(1, 1, 1, 1), m.tensor([[[[1, 0]]]]), 2),
    "unpool size": lambda m, f: f.max_unpool2d(m.ones(1, 1, 1, 1), m.tensor([[[[1]]]]), 2, output_size=(9, 9)),
    "fractional": lambda m, f: f.fractional_max_pool2d(m.ones(1, 1, 4, 4), 2),
    "fractional size": lambda m, f: f.fractional_max_pool2d(m.ones(1, 1, 4, 4), 2, output_size=4),
    "response norm": lambda m, f: f.local_response_norm(m.ones(2, 2), 2),
    "pad odd": lambda m, f: f.pad(m.ones(2, 2), (1, 2, 3)),
    "pad long": lambda m, f: f.pad(m.ones(2), (1, 1, 1, 1)),
    "pad mode": lambda m, f: f.pad(m.ones(1, 2, 2), (1, 1), mode="mirror"),
    "pad reflect": lambda m, f: f.pad(m.ones(1, 2, 2), (2, 0), mode="reflect"),
    "pad circular": lambda m, f: f.pad(m.ones(1, 2, 2), (3, 0), mode="circular"),
    "pad rank": lambda m, f: f.pad(m.ones(2), (1, 1), mode="reflect"),
    "pad value": lambda m, f: f.pad(m.ones(1, 2, 2), (1, 0), mode="reflect", value=2.0),
    "pad crop": lambda m, f: f.pad(m.ones(2, 2), (-3, 0)),
    "interpolate both": lambda m, f: f.interpolate(m.ones(1, 1, 2), size=2, scale_factor=2),
    "interpolate neither": lambda m, f: f.interpolate(m.ones(1, 1, 2)),
    "interpolate mode": lambda m, f: f.interpolate(m.ones(1, 1, 2), size=2, mode="bilinear"),
    "interpolate unknown": lambda m, f: f.interpolate(m.ones(1, 1, 2), size=2, mode="magic"),
    "interpolate sizes": lambda m, f: f.interpolate(m.ones(1, 1, 2), size=(2, 2)),
    "interpolate zero": lambda m, f: f.interpolate(m.ones(1, 1, 2), size=0),
    "interpolate corners": lambda m, f: f.interpolate(m.ones(1, 1, 2), size=2, align_corners=True),
    "interpolate antialias": lambda m, f: f.interpolate(m.ones(1, 1, 2), size=2, antialias=True),
    "interpolate lanczos": lambda m, f: f.interpolate(m.ones(1, 1, 2, 2), size=2, mode="lanczos"),
    "interpolate lanczos corners": lambda m, f: f.interpolate(
        m.ones(1, 1, 2, 2), size=2, mode="lanczos", align_corners=True, antialias=True
    ),
    "interpolate recompute": lambda m, f: f.interpolate(m.ones(1, 1, 2), size=2, recompute_scale_factor=True),
    "interpolate dtype": lambda m, f: f.interpolate(m.ones(1, 1, 2).long(), size=4, mode="linear"),
    "grid mode": lambda m, f: f.grid_sample(m.ones(1, 1, 2, 2), m.ones(1, 2, 2, 2), mode="magic"),
    "grid padding": lambda m, f: f.grid_sample(m.ones(1, 1, 2, 2), m.ones(1, 2, 2, 2), padding_mode="magic"),
    "grid batch": lambda m, f: f.grid_sample(m.ones(1, 1, 2, 2), m.ones(2, 2, 2, 2), align_corners=True),
    "grid last": lambda m, f: f.grid_sample(m.ones(1, 1, 2, 2), m.ones(1, 2, 2, 3), align_corners=True),
    "affine rank": lambda m, f: f.affine_grid(m.ones(1, 2, 2), (1, 1, 2, 2), align_corners=True),
    "affine size": lambda m, f: f.affine_grid(m.ones(1, 2, 3), (1, 1, 2), align_corners=True),
    "shuffle": lambda m, f: f.pixel_shuffle(m.ones(1, 3, 2, 2), 2),
    "unshuffle": lambda m, f: f.pixel_unshuffle(m.ones(1, 3, 3, 2), 2),
    "channels shuffled": lambda m, f: f.channel_shuffle(m.ones(1, 3, 2), 2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_of_pytorch_s_class(name):
    run = REFUSED[name]
    with pytest.raises(Exception) as theirs:  # noqa: B017, PT011 - whatever PyTorch raises is what is wanted
        run(torch, TF)
    with pytest.raises(theirs.type) as ours:
        run(mg, F)
    assert len(str(ours.value)) > 20


def test_the_messages_people_search_for():
    for run in (REFUSED["channels"], REFUSED["bias"], REFUSED["kernel too large"], REFUSED["pool output"]):
        with pytest.raises(RuntimeError) as theirs:
            run(torch, TF)
        with pytest.raises(RuntimeError) as ours:
            run(mg, F)
        assert str(ours.value).startswith(str(theirs.value))
