"""Pieces of programs as they are found in the wild, run by PyTorch and by minigrad: what they return is the same."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402


def waves(t, *shape, shift=0.0):
    """Return fixed numbers in [-1, 1] that look irregular."""
    return t.from_numpy(np.cos(np.arange(np.prod(shape)) * 1.7 + shift).reshape(shape))


def arrays_of_parameters_where_nothing_is_recorded(t):
    weight = t.nn.Parameter(waves(t, 3))
    with t.no_grad():
        before = weight.numpy().copy()
        np.asarray(weight)[0] = 5.0
        doubled = (weight * 2).numpy()
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        weight.numpy()
    return before, weight, doubled


def gradients_of_convolutions(t):
    x, w = waves(t, 2, 4, 9).requires_grad_(), waves(t, 6, 2, 3).requires_grad_()
    settings = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    g = waves(t, 2, 6, 4)
    to_x = t.nn.grad.conv1d_input(x.shape, w, g, **settings)
    to_w = t.nn.grad.conv1d_weight(x, w.shape, g, **settings)
    image, kernel = waves(t, 1, 2, 5, 6), waves(t, 3, 2, 2, 3)
    volume, cube = waves(t, 1, 1, 3, 4, 5), waves(t, 2, 1, 2, 2, 2)
    with pytest.raises(RuntimeError):
        t.nn.grad.conv1d_input((2, 4, 19), w, g, **settings)
    return [
        to_x,
        to_w,
        t.autograd.grad((to_x**2).sum(), w)[0],
        t.autograd.grad((to_w**2).sum(), x)[0],
        t.nn.grad.conv2d_input(image.shape, kernel, waves(t, 1, 3, 4, 2), stride=(1, 2)),
        t.nn.grad.conv2d_weight(image, kernel.shape, waves(t, 1, 3, 4, 2), stride=(1, 2)),
        t.nn.grad.conv3d_input(volume.shape, cube, waves(t, 1, 2, 2, 3, 4)),
        t.nn.grad.conv3d_weight(volume, cube.shape, waves(t, 1, 2, 2, 3, 4)),
    ]


def asserted(t):
    t._assert(t.ones(1) > 0, "never shown")
    with pytest.raises(AssertionError, match="^wrong size$"):
        t._assert(t.ones(2).sum() == 3, "wrong size")


def number_types_of_python(t):
    made = [t.zeros(1, dtype=kind) for kind in (float, int, bool, complex)]
    made += [t.tensor([1], dtype=float), t.ones(1).to(float), t.nn.Linear(1, 1, dtype=float).weight]
    made += [t.ones(2).sum(dtype=float), t.nn.Linear(1, 1).to(float).bias, t.tensor([1.0], dtype=complex)]
    return [str(x.dtype).partition(".")[2] for x in made]


def no_numbers(t):
    found = []
    for data in ([1, None], None, "a", [["a"]]):
        try:
            t.tensor(data)
        except Exception as error:  # its class is the result
            found.append(type(error).__name__)
    return found


def names_of_activations(t):
    return [f.__name__ for f in (t.relu, t.tanh, t.selu, t.celu, t.threshold, t.nn.functional.relu)]


PIECES = [
    arrays_of_parameters_where_nothing_is_recorded,
    gradients_of_convolutions,
    asserted,
    number_types_of_python,
    no_numbers,
    names_of_activations,
]


def same(ours, theirs):
    if isinstance(theirs, (torch.Tensor, np.ndarray)):
        ours, theirs = (x.detach().numpy() if hasattr(x, "detach") else x for x in (ours, theirs))
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
    else:
        assert ours == theirs


@pytest.mark.parametrize("piece", PIECES, ids=[piece.__name__ for piece in PIECES])
def test_the_same(piece):
    same(piece(minigrad), piece(torch))
