"""Lines of numbers, histograms and conversions where rounding or strides decide."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import functional as F


@pytest.mark.parametrize(
    "start, end, steps", [(0, 7, 50), (4.3, -3, 50), (-5, 5, 11), (10, 0, 7), (3, 3, 4), (2, 9, 1)]
)
def test_linspace_of_integers_truncates_the_exact_values(start, end, steps):
    start_int, end_int = int(start), int(end)
    exact = [int((start_int * (steps - 1) + (end_int - start_int) * i) / max(steps - 1, 1)) for i in range(steps)]
    expected = [start_int] if steps == 1 else exact
    assert mg.linspace(start, end, steps, dtype=mg.int64).tolist() == expected


def test_histogram_of_one_element_puts_it_where_the_float32_edges_say():
    values = np.random.default_rng(0).normal(size=100).astype(np.float32) * 5
    for value in values:
        hist, edges = mg.histogram(mg.tensor(value), 2, weight=mg.tensor(np.float32(3)))
        middle = np.float32(edges[2].item()) - (np.float32(edges[2].item()) - np.float32(edges[0].item())) / np.float32(
            2
        )
        assert edges[1].item() == middle
        assert hist.tolist() == ([0, 3] if value >= middle else [3, 0])


def test_histc_of_float16_counts_in_float32():
    x = mg.arange(-2000, 2000, dtype=mg.float32) / 200
    half = x.half()
    assert mg.histc(half, 100, -10, 10).tolist() == mg.histc(half.float(), 100, -10, 10).tolist()


def test_margin_ranking_loss_of_integers_is_a_float():
    ones = mg.ones(2, dtype=mg.int64)
    loss = F.margin_ranking_loss(ones, ones * 3, ones, reduction="sum")
    assert loss.dtype == mg.float32 and loss.item() == 4


def test_contiguous_format_alone_copies_only_channels_last():
    transposed = mg.ones(3, 2).t()
    assert transposed.float(memory_format=mg.contiguous_format) is transposed
    assert transposed.to(mg.float32, memory_format=mg.contiguous_format) is transposed
    assert transposed.double(memory_format=mg.contiguous_format).is_contiguous()
    assert transposed.to(mg.float32, copy=True, memory_format=mg.contiguous_format).is_contiguous()
    image = mg.ones(2, 3, 4, 5).contiguous(memory_format=mg.channels_last)
    assert image.float(memory_format=mg.contiguous_format).is_contiguous()


BAGS = mg.tensor([[0, 2, 4, 9, 2, 1], [1, 1, 1, 3, 0, 0], [5, 6, 7, 8, 9, 3], [0, 1, 2, 3, 4, 5]])
OF_SEVERAL_STEPS = {
    "addcmul": (lambda a, b, c: mg.addcmul(a, b, c, value=3.14), (5, 5), (5, 1), (1, 5)),
    "addcdiv": (lambda a, b, c: mg.addcdiv(a, b, c, value=3.14), (5, 5), (5, 1), (1, 5)),
    "lerp": (lambda a, b: mg.lerp(a, b, 0.4), (5, 5), ()),
    "lerp of weights": (lambda a, b, w: a.lerp(b, w), (5, 5), (5,), (5, 1)),
    "addr": (lambda a, b, c: mg.addr(a, b, c, beta=0.6, alpha=0.2), (5, 9), (5,), (9,)),
    "baddbmm": (lambda a, b, c: mg.baddbmm(a, b, c, beta=0.6, alpha=0.2), (3, 5, 9), (3, 5, 4), (3, 4, 9)),
    "addbmm": (lambda a, b, c: mg.addbmm(a, b, c), (5, 9), (30, 5, 4), (30, 4, 9)),
    "embedding_bag": (
        lambda w, a: F.embedding_bag(BAGS, w, per_sample_weights=a, mode="sum"), (10, 5), (4, 6),
    ),
    "bilinear": (lambda a, b, w, c: F.bilinear(a, b, w, c), (8, 8), (8, 8), (8, 8, 8), (8,)),
    "positive weights": (
        lambda a, b, w: F.binary_cross_entropy_with_logits(a, b, pos_weight=w, reduction="none"), (5, 5), (5, 5), (5,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [mg.float16, mg.bfloat16], ids=str)
@pytest.mark.parametrize("name", OF_SEVERAL_STEPS)
def test_formulas_of_several_steps_round_half_precision_once(name, dtype):
    if dtype == mg.bfloat16:
        pytest.importorskip("ml_dtypes")
    function, *shapes = OF_SEVERAL_STEPS[name]
    mg.manual_seed(0)
    halves = [mg.randn(shape).to(dtype) for shape in shapes]
    wide = function(*[half.float() for half in halves])
    narrow = function(*halves)
    assert narrow.dtype == dtype and narrow.float().tolist() == wide.to(dtype).float().tolist()
    leaves = [half.clone().requires_grad_() for half in halves]
    function(*leaves).sum().backward()
    assert all(leaf.grad.dtype == dtype for leaf in leaves)


def test_addcmul_of_integers_beside_floats_takes_a_float_factor():
    result = mg.addcmul(mg.ones(2, dtype=mg.int64), mg.ones(2), mg.ones(2), value=0.5)
    assert result.dtype == mg.float32 and result.tolist() == [1.5, 1.5]
    with pytest.raises(RuntimeError, match="integral"):
        mg.addcmul(*[mg.ones(2, dtype=mg.int64)] * 3, value=0.5)


@pytest.mark.parametrize("name", ["cat", "concat", "stack", "hstack", "vstack", "dstack", "column_stack"])
def test_joining_into_an_out_of_integers_is_a_type_error(name):
    out = mg.zeros(0, dtype=mg.int32)
    with pytest.raises(TypeError, match="can't be cast"):
        getattr(mg, name)((mg.ones(2), mg.ones(2)), out=out)
    assert out.shape == (0,)
