"""Lists as indices: of numbers one index array, of anything else the items of the index, as in PyTorch."""

import warnings

import pytest

import minigrad as mg
from minigrad.backend import np

X = mg.arange(24.0).reshape(4, 6)
I = mg.tensor([0, 2])


@pytest.mark.parametrize(
    "items",
    [
        [[0, 1], [2, 3]],
        [(0, 1), (2, 3)],
        [I, I],
        [I],
        [slice(0, 2)],
        [0, slice(None)],
        [0, None],
        [Ellipsis, 1],
        [[0, 1], 2],
        [range(2), range(2, 4)],
        [np.array([0, 1]), np.array([2, 3])],
        [[True, False, True, True]],
        [X > 5],
        [1, mg.tensor(2)],
        [[[0, 1], [2, 3]]],
    ],
)
def test_a_list_of_items_is_a_tuple_of_them(items):
    with pytest.warns(UserWarning, match="non-tuple sequence") as seen:
        found = X[items]
    assert mg.equal(found, X[tuple(items)]) and seen[0].filename == __file__
    first, second = X.clone(), X.clone()
    second[tuple(items)] = -1.0
    with pytest.warns(UserWarning, match="non-tuple sequence") as seen:
        first[items] = -1.0
    assert mg.equal(first, second) and seen[0].filename == __file__
    w = X.clone().requires_grad_()
    with pytest.warns(UserWarning, match="non-tuple sequence"):
        w[items].sum().backward()
    assert mg.equal(w.grad == 1, first == -1.0)


@pytest.mark.parametrize(
    ("items", "rows"),
    [
        ([0, 1], [0, 1]),
        ([True, False, True, True], [0, 2, 3]),
        ([np.int64(1), 2], [1, 2]),
        (range(3), [0, 1, 2]),
        ([0] * 40, [0] * 40),
        ([[0, 1]] * 32, [[0, 1]] * 32),
        ([], []),
    ],
)
def test_other_lists_are_one_index_array(items, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mg.equal(X[items], X[mg.tensor(rows, dtype=mg.int64)])
