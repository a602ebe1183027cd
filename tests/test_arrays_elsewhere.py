"""pandas and matplotlib take tensors as they take arrays, and say PyTorch's words for tensors that require grad."""

import pytest

import minigrad as mg

MATRIX = mg.arange(6.0).reshape(3, 2)
VECTOR = mg.arange(3.0)
MATCH = "Can't call numpy\\(\\) on Tensor that requires grad"


def column(pandas):
    frame = pandas.DataFrame({"x": [1, 2, 3]})
    frame["y"] = VECTOR
    return frame


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda pandas: pandas.DataFrame(MATRIX), [[0, 1], [2, 3], [4, 5]]),
        (lambda pandas: pandas.DataFrame({"a": VECTOR, "b": VECTOR}), [[0, 0], [1, 1], [2, 2]]),
        (lambda pandas: pandas.Series(VECTOR), [0, 1, 2]),
        (column, [[1, 0], [2, 1], [3, 2]]),
    ],
)
def test_pandas(make, expected):
    pandas = pytest.importorskip("pandas")
    frame = make(pandas)
    assert frame.to_numpy().tolist() == expected
    assert "float32" in str(frame.dtypes)
    assert mg.tensor(frame.to_numpy()).tolist() == expected


def test_pandas_refuses_what_requires_grad():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(RuntimeError, match=MATCH):
        pandas.Series(VECTOR.clone().requires_grad_())


PLOTS = {
    "plot": lambda axes, v: axes.plot(v, v),
    "scatter": lambda axes, v: axes.scatter(v, v),
    "bar": lambda axes, v: axes.bar(v, v),
    "hist": lambda axes, v: axes.hist(v),
    "fill_between": lambda axes, v: axes.fill_between(v, v, v + 1),
    "errorbar": lambda axes, v: axes.errorbar(v, v, yerr=v),
    "boxplot": lambda axes, v: axes.boxplot(v),
    "axhline": lambda axes, v: axes.axhline(v[1]),
    "imshow": lambda axes, v: axes.imshow(v.expand(3, 3)),
    "contour": lambda axes, v: axes.contour(v.outer(v)),
}


@pytest.mark.parametrize("name", PLOTS)
def test_matplotlib(name):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), dpi=40)
    PLOTS[name](figure.subplots(), VECTOR)
    figure.canvas.draw()
    if name != "axhline":
        with pytest.raises(RuntimeError, match=MATCH):
            PLOTS[name](figure.subplots(), VECTOR.clone().requires_grad_())
