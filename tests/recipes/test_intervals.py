"""Student's t and the interval over seeds; scipy's quantiles are in tests/parity/test_recipes.py."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

import minigrad as mg
from minigrad.recipes import Interval, mean_interval, t_quantile

# degrees -> the two-sided quantile at 0.95, from printed tables
TABLE = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 9: 2.2622, 10: 2.2281, 30: 2.0423, 120: 1.9799}


@pytest.mark.parametrize(("degrees", "quantile"), TABLE.items())
def test_the_printed_table(degrees, quantile):
    assert t_quantile(0.95, degrees) == pytest.approx(quantile, abs=6e-5)


@given(confidence=st.floats(0.001, 0.9999))
def test_closed_forms_of_one_and_two_degrees(confidence):
    assert t_quantile(confidence, 1) == pytest.approx(math.tan(math.pi * confidence / 2), rel=1e-9)
    assert t_quantile(confidence, 2) == pytest.approx(confidence * math.sqrt(2 / (1 - confidence**2)), rel=1e-9)


@given(degrees=st.integers(1, 300), confidence=st.floats(0.01, 0.999))
def test_fewer_values_or_more_confidence_widen(degrees, confidence):
    assert t_quantile(confidence, degrees) > t_quantile(confidence, degrees + 1)
    assert t_quantile(confidence, degrees) < t_quantile(confidence + 5e-4, degrees)


@pytest.mark.parametrize("arguments", [(0.0, 3), (1.0, 3), (95, 3), (0.95, 0), (0.95, 2.5)])
def test_quantile_refuses(arguments):
    with pytest.raises(ValueError, match="must"):
        t_quantile(*arguments)


def test_mean_interval():
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.half_width == pytest.approx(4.302652729911275 / math.sqrt(3))
    assert (interval.low + interval.high) / 2 == pytest.approx(2.0)
    assert interval.count == 3 and interval.confidence == 0.95
    assert mean_interval(mg.tensor([1.0, 2.0, 3.0])) == interval
    assert mean_interval([1.0, 2.0, 3.0], confidence=0.5).half_width < interval.half_width


def test_it_covers_the_true_mean_as_often_as_it_says(rng):
    hits = [interval.low <= 5 <= interval.high for interval in map(mean_interval, rng.normal(5, 2, (2000, 4)))]
    assert sum(hits) / len(hits) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(98.123, 0.2149, 0.95, 5), "98.12 ± 0.21"),
        (Interval(0.98123, 0.002149, 0.95, 5), "0.9812 ± 0.0021"),
        (Interval(1234.5, 67.8, 0.95, 5), "1234 ± 68"),
        (Interval(98.1, 2.96, 0.95, 5), "98.1 ± 3.0"),
        (Interval(98.1, 0.0999, 0.95, 5), "98.10 ± 0.10"),
        (Interval(50.0, 0.0, 0.95, 5), "50.00 ± 0.00"),
        (Interval(98.123, math.nan, 0.95, 1), "98.12 (n = 1)"),
    ],
)
def test_printing(interval, text):
    assert str(interval) == f"{interval}" == text


def test_format():
    interval = Interval(98.123, 0.2149, 0.95, 5)
    assert f"{interval:.1f}" == "98.1 ± 0.2"
    assert f"{mean_interval([98.123]):.1f}" == "98.1 (n = 1)"


def test_interval_refuses():
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])
    with pytest.raises(ValueError, match="finite values"):
        mean_interval([1.0, math.nan])
    with pytest.raises(ValueError, match="confidence"):
        mean_interval([1.0], confidence=95)
