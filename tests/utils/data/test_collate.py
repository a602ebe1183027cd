"""Batches out of examples."""

import collections

import numpy as np
import pytest

import minigrad as mg
from minigrad.utils.data import default_collate, default_convert
from minigrad.utils.data.collate import collate, default_collate_fn_map, pin_memory

Pair = collections.namedtuple("Pair", "x y")


def test_tensors_stack():
    batch = default_collate([mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0])])
    assert batch.dtype == mg.float32
    assert batch.tolist() == [[1, 2], [3, 4]]


def test_tracked_tensors_keep_the_graph():
    x = mg.ones(2, requires_grad=True)
    default_collate([x, x * 2]).sum().backward()
    assert x.grad.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("examples", "dtype", "values"),
    [
        ([1, 2], mg.int64, [1, 2]),
        ([True, False], mg.bool, [True, False]),
        ([1.5, 2.5], mg.float64, [1.5, 2.5]),
        ([1.5, 2], mg.float64, [1.5, 2.0]),
        ([1, 2.5], mg.float32, [1.0, 2.5]),
        ([np.float32(1), np.float32(2)], mg.float32, [1.0, 2.0]),
        ([np.float64(1), np.float64(2)], mg.float64, [1.0, 2.0]),
        ([np.int16(1), np.int16(2)], mg.int16, [1, 2]),
        ([np.bool_(True)], mg.bool, [True]),
        ([np.array([1, 2], np.uint8)] * 2, mg.uint8, [[1, 2], [1, 2]]),
        ([np.array(3.0)] * 2, mg.float64, [3.0, 3.0]),
        ([mg.tensor(3), mg.tensor(4)], mg.int64, [3, 4]),
        ([mg.zeros(0), mg.zeros(0)], mg.float32, [[], []]),
    ],
)
def test_numbers_and_arrays(examples, dtype, values):
    batch = default_collate(examples)
    assert batch.dtype == dtype
    assert batch.tolist() == values


def test_containers():
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate([b"a", b"b"]) == [b"a", b"b"]
    x, names = default_collate([(1, "a"), (2, "b")])
    assert x.tolist() == [1, 2]
    assert names == ("a", "b")
    pair = default_collate([Pair(1, 2.0), Pair(3, 4.0)])
    assert isinstance(pair, Pair)
    assert pair.x.tolist() == [1, 3]
    nested = default_collate([{"a": [1, {"b": 2}]}, {"a": [3, {"b": 4}]}])
    assert nested["a"][0].tolist() == [1, 3]
    assert nested["a"][1]["b"].tolist() == [2, 4]


def test_containers_keep_their_type_and_the_example():
    first = collections.defaultdict(list, {"x": 1})
    batch = default_collate([first, collections.defaultdict(list, {"x": 2})])
    assert type(batch) is collections.defaultdict
    assert batch.default_factory is list
    assert batch["x"].tolist() == [1, 2]
    assert first == {"x": 1}
    row = collections.deque([1, 2])
    batch = default_collate([collections.UserList([1, 2]), collections.UserList([3, 4])])
    assert type(batch) is collections.UserList
    assert [column.tolist() for column in batch] == [[1, 3], [2, 4]]
    assert row == collections.deque([1, 2])
    assert [column.tolist() for column in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("examples", "error", "text"),
    [
        ([mg.zeros(2), mg.zeros(3)], RuntimeError, "equal size"),
        ([[1, 2], [1]], RuntimeError, "each element in list of batch should be of equal size"),
        ([object()], TypeError, "batch must contain tensors, numpy arrays, numbers, dicts or lists; found"),
        ([None], TypeError, "NoneType"),
        ([np.array(["a"])], TypeError, "found <U1"),
        ([np.array([object()])], TypeError, "found object"),
        ([1.0, "2"], TypeError, "str"),
        ([2**70], ValueError, "int64"),
    ],
)
def test_errors(examples, error, text):
    with pytest.raises(error, match=text):
        default_collate(examples)


def test_own_functions_by_type():
    class Point:
        pass

    assert collate([Point()] * 3, collate_fn_map={Point: lambda batch, *, collate_fn_map: len(batch)}) == 3
    with pytest.raises(TypeError):
        collate([1])
    default_collate_fn_map[Point] = lambda batch, *, collate_fn_map: "points"
    try:
        assert default_collate([(1, Point())])[1] == "points"
    finally:
        del default_collate_fn_map[Point]


def test_batches_do_not_share_memory_with_examples():
    example = mg.zeros(2)
    batch = default_collate([example])
    batch += 1
    assert example.tolist() == [0, 0]


def test_convert():
    array = np.arange(3)
    converted = default_convert([array, {"a": np.float32(2)}, "text", Pair(np.zeros(1), None)])
    array[0] = 7
    assert converted[0].tolist() == [7, 1, 2]  # no copy
    assert converted[1]["a"].dtype == mg.float32
    assert converted[2] == "text"
    assert isinstance(converted[3], Pair)
    assert isinstance(converted[3].x, mg.Tensor)
    assert default_convert(np.array(["a"])).dtype.kind == "U"
    assert isinstance(default_convert((1, 2)), list)


def test_pinning_reaches_every_tensor(monkeypatch):
    """What is done to each array needs a GPU; that it is done to each does not."""
    monkeypatch.setattr(mg.Tensor, "pin_memory", lambda tensor: tensor + 1)

    class Own:
        def pin_memory(self):
            return "pinned"

    batch = pin_memory([mg.zeros(1), {"a": (mg.zeros(1), "text")}, Pair(mg.zeros(1), Own()), collections.UserList([3])])
    assert batch[0].tolist() == [1]
    assert batch[1]["a"][0].tolist() == [1]
    assert batch[1]["a"][1] == "text"
    assert batch[2].x.tolist() == [1]
    assert batch[2].y == "pinned"
    assert batch[3] == collections.UserList([3])


def test_array_with_a_dtype_no_tensor_has():
    with pytest.raises(TypeError, match="can't convert np.ndarray"):
        default_collate([np.zeros(2, ">i4")] if np.little_endian else [np.zeros(2, "<i4")])
