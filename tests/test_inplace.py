"""In-place writes: memory, views, gradients, and the errors that keep a gradient from being silently wrong."""

import copy

import numpy as np
import pytest

import minigrad as mg


def leaf(*shape):
    """Return a leaf of distinct values that requires grad."""
    return (mg.arange(int(np.prod(shape)), dtype=mg.float64).reshape(shape) / 7 + 0.3).requires_grad_()


# ---------------------------------------------------------------------- plain memory
def test_views_see_writes_and_the_base_sees_writes_to_views():
    base = mg.zeros(3, 4)
    row, column, flat = base[1], base[:, 2], base.view(-1)
    row += 1
    column.mul_(5)
    flat[0] = 7
    base.t()[3, 2] = 9
    assert base.tolist() == [[7, 0, 0, 0], [1, 1, 5, 1], [0, 0, 0, 9]]
    assert row.tolist() == [1, 1, 5, 1] and column.tolist() == [0, 5, 0] and flat[11] == 9


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x[0],
        lambda x: x[:, 1:],
        lambda x: x.t(),
        lambda x: x.view(3, 2),
        lambda x: x.unsqueeze(0),
        lambda x: x.diagonal(),
        lambda x: x.unbind(0)[1],
        lambda x: x.split(1)[0],
        lambda x: x.unfold(1, 2, 1)[:, 0],
        lambda x: x.as_strided((2,), (3,), 1),
        lambda x: x.narrow(1, 1, 2),
        lambda x: x.expand(2, 3),
        lambda x: x.detach(),
        lambda x: x.movedim(0, 1),
    ],
)
def test_views_share_memory_and_gradients_follow(make):
    """Writing through a view changes its base, and the base's gradient knows of it."""
    x = leaf(2, 3)
    base = x * 1.0
    view = make(base)
    with mg.no_grad():
        before = base.clone()
        shared = make(base)
        assert mg.tensor(shared.storage_offset()) >= 0 and shared.data_ptr() >= base.data_ptr()
    detached = not view.requires_grad
    if detached:
        view.mul_(0)
        assert base.tolist() == [[0, 0, 0], [0, 0, 0]]
        return
    view.mul_(3.0)
    touched = base.detach() != before
    assert touched.any()
    base.sum().backward()
    expected = mg.where(touched, 3.0, 1.0).to(mg.float64)
    assert (x.grad == expected).all()


@pytest.mark.parametrize(
    "make", [lambda x: x[[0, 1]], lambda x: x[x > -9], lambda x: x.flip(0), lambda x: x.repeat(1, 1)]
)
def test_copies_do_not(make):
    x = mg.arange(6.0).reshape(2, 3)
    make(x).zero_()
    assert x.sum() == 15


def test_a_value_of_another_dtype_is_cast():
    integers = mg.arange(4)
    integers[1] = 2.9
    integers[2:] = mg.tensor([5.5, -1.5])
    assert integers.tolist() == [0, 2, 5, -1]
    x = leaf(2)
    integers[0] = x[0] * 10
    assert integers.dtype is mg.int64 and not integers.requires_grad
    floats = mg.zeros(2)
    floats[0] = x[1]
    floats.sum().backward()
    assert floats.dtype is mg.float32 and x.grad.tolist() == [0, 1] and x.grad.dtype is mg.float64


def test_a_result_of_a_higher_category_is_refused():
    integers = mg.arange(3)
    for write in (lambda: integers.mul_(0.5), lambda: integers.add_(mg.ones(3)), lambda: integers.div_(2)):
        with pytest.raises(RuntimeError, match="result type"):
            write()
    assert integers.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(mg.ones(2, 2, 3)),
        lambda x: x.__setitem__(0, mg.ones(4)),
        lambda x: x.__setitem__(mg.tensor([0, 1]), mg.ones(3, 3)),
        lambda x: x.copy_(mg.ones(4)),
        lambda x: x.fill_(mg.ones(2)),
        lambda x: x.expand(4, 2, 3).add_(1),
        lambda x: x.expand(4, 2, 3).zero_(),
        lambda x: x[:1].expand(2, 3).__setitem__(0, 1.0),
    ],
)
def test_errors_leave_the_tensor_as_it_was(write):
    x = mg.arange(6.0).reshape(2, 3)
    with pytest.raises(RuntimeError):
        write(x)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


# ---------------------------------------------------------------------- with a graph
def test_leaves_are_protected():
    x = leaf(3)
    writes = (lambda: x.add_(1), lambda: x.__setitem__(0, 1.0), lambda: x[:1].zero_(), lambda: x.view(3, 1).mul_(2))
    for write in writes:
        with pytest.raises(RuntimeError, match="leaf"):
            write()
    with mg.no_grad():
        x.add_(1)
        x[0] = 5
        x[1:].zero_()
    assert x.is_leaf and x.tolist() == [5, 0, 0]


def test_a_loop_that_fills_a_buffer():
    """``out[t] = h`` for every step, the way recurrent networks are written."""
    weight = leaf(3)
    out = mg.zeros(4, 3, dtype=mg.float64)
    h = mg.ones(3, dtype=mg.float64)
    for step in range(4):
        h = h * weight
        out[step] = h
    out.sum().backward()
    w = weight.detach()
    expected = 1 + 2 * w + 3 * w**2 + 4 * w**3
    np.testing.assert_allclose(weight.grad.numpy(), expected.numpy())


def test_write_to_a_view_made_before_and_read_through_one_made_after():
    x = leaf(4)
    base = mg.zeros(4, dtype=mg.float64)
    early = base[:2]
    base[1:3] = x[1:3] ** 2
    late = base[2:]
    (early.sum() + 10 * late.sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 2 * x[1].item(), 20 * x[2].item(), 0])


def test_second_derivative_through_writes():
    def run(x):
        y = x.clone()
        y[0] = x[1] ** 3
        y[mg.tensor([2, 0])] = x[:2] * y[1]
        y[1:].mul_(x[2])
        return y.sum()

    x = leaf(3)
    assert mg.autograd.gradcheck(run, x) and mg.autograd.gradgradcheck(run, x)


@pytest.mark.parametrize(
    "save, write, factor",
    [
        (lambda y: y.exp(), lambda y, z: z.mul_(2), 2),
        (lambda y: y * y, lambda y, z: y.view(-1).zero_(), 1),
        (lambda y: y.sin(), lambda y, z: y[0].zero_(), 1),
    ],
)
def test_a_saved_value_written_afterwards(save, write, factor):
    """PyTorch's error, or the right gradient where the saved value is still there."""
    x = leaf(3)
    y = x * 1.0
    z = save(y)
    expected = mg.autograd.grad(z.sum(), x, retain_graph=True)[0]
    write(y, z)
    try:
        got = mg.autograd.grad(z.sum(), x)[0]
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:
        np.testing.assert_allclose(got.numpy(), factor * expected.numpy())


def test_no_grad_write_to_a_saved_value_is_noticed():
    x = leaf(3)
    weight = mg.ones(3, dtype=mg.float64)
    y = (x * weight).sum()
    with mg.no_grad():
        weight.fill_(5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_values_no_gradient_needs_may_be_written():
    """``x * 2`` does not need x, and ``x * weight`` not x where the weight needs no gradient."""
    x = leaf(2, 3)
    y = x * 1.0
    weight = mg.full((3,), 4.0, dtype=mg.float64)
    z = y * 2 + y * weight
    y.view(-1).zero_()
    z.sum().backward()
    assert (x.grad == 6).all()


def test_in_place_variants_that_need_the_old_value():
    for name, slope in (("sin_", np.cos), ("exp_", np.exp), ("square_", lambda v: 2 * v), ("sigmoid_", None)):
        x = leaf(4)
        base = x * 1.0
        getattr(base[1:3], name)()
        base.sum().backward()
        values = x.detach().numpy()
        if slope is None:
            slope = lambda v: np.exp(-v) / (1 + np.exp(-v)) ** 2  # noqa: E731
        np.testing.assert_allclose(x.grad.numpy(), [1, *slope(values[1:3]), 1])


def test_shape_changes_in_place():
    x = mg.arange(6.0).reshape(2, 3)
    assert x.t_().shape == (3, 2) and x.unsqueeze_(0).shape == (1, 3, 2) and x.squeeze_().shape == (3, 2)
    assert x.transpose_(0, 1).tolist() == [[0, 1, 2], [3, 4, 5]]
    y = leaf(2, 3)
    z = (y * 2).t_()
    (z * mg.arange(6.0).reshape(3, 2)).sum().backward()
    assert y.grad.tolist() == [[0, 4, 8], [2, 6, 10]]
    assert mg.arange(6).resize_(2, 2).tolist() == [[0, 1], [2, 3]] and mg.zeros(2).resize_(3, 3).shape == (3, 3)
    with pytest.raises(RuntimeError, match="require grad"):
        leaf(2).resize_(3)


def parameter_data(x):
    return mg.nn.Parameter(x).data


def given_data(x):
    y = mg.zeros(3)
    y.data = x
    return y


@pytest.mark.parametrize(
    "alias",
    [
        lambda x: x.detach(),
        lambda x: x.data,
        lambda x: x.numpy() is not None and mg.from_numpy(x.numpy()),
        lambda x: mg.Variable(x),
        lambda x: x.view(3)[:],
        copy.copy,
        parameter_data,
        given_data,
    ],
)
def test_a_tracked_value_is_written_through_to_every_tensor_of_the_memory(alias):
    x = mg.ones(3)
    other = alias(x)
    p = mg.full((3,), 3.0, requires_grad=True)
    other.mul_(p)
    assert x.tolist() == other.tolist() == [3.0, 3.0, 3.0]
    other.sum().backward()
    assert p.grad.tolist() == [1.0, 1.0, 1.0]


def test_data_given_to_a_view_takes_it_from_its_base():
    x = mg.ones(4)
    view = x[:2]
    view.data = mg.zeros(3)
    view.add_(mg.ones(3, requires_grad=True))
    assert view.tolist() == [1.0, 1.0, 1.0] and view.requires_grad and x.tolist() == [1.0] * 4


def test_out_may_not_lie_on_an_input():
    x = mg.arange(6.0)
    index = mg.tensor([0, 1, 2])
    for call in (
        lambda: mg.gather(x, 0, index, out=x[3:]),
        lambda: mg.take(x, index, out=x[:3]),
        lambda: mg.cat([x, x], out=x),
        lambda: mg.index_select(x, 0, index, out=mg.zeros(1).expand(3)),
        lambda: mg.masked_select(x, x > 2, out=mg.zeros(3, dtype=mg.float64)),
    ):
        with pytest.raises(RuntimeError, match="single memory location|dtype"):
            call()
    assert x.tolist() == [0, 1, 2, 3, 4, 5]
    assert mg.take(x, index, out=mg.zeros(3)).tolist() == [0, 1, 2]


def test_versions_follow_memory():
    """What the tensor, its views and what was detached from it write is counted, also where memory is replaced."""
    x = leaf(3)
    y = x * 2.0
    y.add_(1)  # new memory: nothing else looks at the old
    y.relu_()
    early = y.detach()
    assert (x._version, y._version, early._version) == (0, 2, 2)
    y[1:].mul_(2)
    early.zero_()
    assert (y._version, early._version, y[:1]._version) == (4, 4, 4)
    assert y.clone()._version == mg.nn.Parameter(mg.zeros(2))._version == 0
    wide = mg.ones(50_000, requires_grad=True) * 2
    wide.add_(1).sub_(1)  # in the memory that nothing else holds
    assert wide._version == 2


def test_the_error_names_versions():
    x = leaf(3)
    y = x.exp()
    with mg.no_grad():
        y.mul_(2)
    message = r"\[float64 tensor \[3\]\], which is output 0 of ExpBackward0, is at version 1; expected version 0 inst"
    with pytest.raises(RuntimeError, match=message):
        y.sum().backward()
    weight = mg.ones(3, dtype=mg.float64)
    z = (x * weight).sum()
    weight.add_(1).add_(1)
    with pytest.raises(RuntimeError, match="which MulBackward0 saved, is at version 2; expected an earlier version"):
        z.backward()


def test_memory_given_by_data_was_not_written():
    x, lowest = mg.tensor([1.0, 3.0], requires_grad=True), mg.zeros(())
    for _ in range(2):
        y = x * 2
        least = y.min()
        lowest.data = least  # least is kept for the gradient of min
        ((y - least) * mg.tensor([1.0, 2.0])).sum().backward()
    assert x.grad.tolist() == [-8.0, 8.0] and lowest.item() == 2
    lowest.add_(1)
    assert least.item() == 3
