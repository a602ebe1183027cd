"""Tensors on a GPU whose memory lies channels last without anyone having asked, as cuDNN's results do."""

import pytest

import minigrad as mg
from minigrad.backend import cupy_module, np
from minigrad.tensor import wrap


def channels_last(gpu, *shape):
    """Return (a GPU tensor that lies channels last, its values)."""
    cupy_module()
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    order = (0, *range(2, len(shape)), 1)
    back = (0, len(shape) - 1, *range(1, len(shape) - 1))
    array = gpu.asarray(np.ascontiguousarray(values.transpose(order))).transpose(back)
    assert not array.flags.c_contiguous
    return wrap(array), values


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4), (2, 3, 2, 2, 3)])
def test_a_view_that_flattens_works_and_shares_memory(gpu, shape):
    x, values = channels_last(gpu, *shape)
    flat = x.view(shape[0], -1)
    assert flat.array.get().tolist() == values.reshape(shape[0], -1).tolist()
    assert x.is_contiguous() and x.array.get().tolist() == values.tolist()
    flat[0, 0] = 100
    x[1] = -1
    assert x[(0,) * len(shape)].item() == 100 and flat[1].array.get().tolist() == [-1] * flat.shape[1]


@pytest.mark.parametrize("shape", [(2, 3, 20), (2, 1, 3, 4, 5), (2, 3, 2, 2, 5), (1, 2, 3, 4, 5)])
def test_a_view_that_the_strides_allow_leaves_the_memory_alone(gpu, shape):
    x, values = channels_last(gpu, 2, 3, 4, 5)
    before = x.array
    assert x.view(*shape).array.get().tolist() == values.reshape(shape).tolist()
    assert x.array is before and x.stride() == (60, 1, 15, 3) and not x.is_contiguous()
    assert x.is_contiguous(memory_format=mg.channels_last)


def test_view_as_and_its_gradient(gpu):
    x, values = channels_last(gpu, 2, 3, 4, 5)
    x.requires_grad_(True)
    y = (x * 2).view_as(mg.ones(2, 60))
    (y * y).sum().backward()
    assert x.grad.array.get().tolist() == (8 * values).tolist()


def test_tracked_writes_through_the_view_reach_the_tensor_and_its_gradient(gpu):
    x, values = channels_last(gpu, 2, 3, 4, 5)
    x.requires_grad_(True)
    y = x * x
    flat = y.view(2, -1)
    flat.mul_(3)
    y.sum().backward()
    assert y.array.get().tolist() == (3 * values**2).tolist()
    assert x.grad.array.get().tolist() == (6 * values).tolist()


@pytest.mark.parametrize("alias", ["detach", "view", "slice"])
def test_memory_that_others_look_at_is_not_left_behind(gpu, alias):
    x, values = channels_last(gpu, 2, 3, 4, 5)
    other = {"detach": x.detach, "view": lambda: x.view(2, 3, 20), "slice": lambda: x[:1]}[alias]()
    before = x.array
    with pytest.raises(RuntimeError, match=r"Use .reshape\(...\) instead"):
        x.view(2, -1)
    assert x.array is before and x.reshape(2, -1).array.get().tolist() == values.reshape(2, -1).tolist()
    x.fill_(7)
    assert float(other.array.get().min()) == 7


def test_shapes_that_do_not_fit_are_errors(gpu):
    x, _ = channels_last(gpu, 2, 3, 4, 5)
    before = x.array
    with pytest.raises(RuntimeError, match="invalid for input of size 120"):
        x.view(7, -1)
    assert x.array is before


def test_other_orders_are_refused(gpu):
    cupy_module()
    x = wrap(gpu.asarray(np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)).transpose(2, 1, 0))
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        x.view(-1)
