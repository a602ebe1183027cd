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
