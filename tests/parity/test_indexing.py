"""Random indices of every kind, read and written: values, gradients and errors as PyTorch's."""

import random
import warnings

import numpy as np
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")


def random_item(rng, shape, dim):
    """Return (item, dimensions it uses): an int, slice, None, mask, list, array or tensor, sometimes out of range."""
    length = shape[dim] if dim < len(shape) else 1
    kind = rng.choice("int slice slice none full list array tensor mask bool scalar mask2".split())
    if kind == "int":
        return rng.randrange(-length, length) if rng.random() < 0.97 and length else length + 1, 1
    if kind == "slice":
        ends = [rng.choice([None, rng.randrange(-length - 1, length + 2)]) for _ in range(2)]
        return slice(*ends, rng.choice([None, 1, 2, 3])), 1
    if kind == "full":
        return slice(None), 1
    if kind == "none":
        return None, 0
    if kind == "bool":
        return rng.random() < 0.7, 0
    low = -length if rng.random() < 0.98 else -length - 1
    picks = [rng.randrange(low, max(length, 1)) for _ in range(rng.choice([1, 2, 2]))] if length else []
    if kind == "list":
        return list(picks), 1
    if kind == "array":
        return np.array(picks, dtype=rng.choice([np.int64, np.int32])), 1
    if kind == "tensor":
        array = np.array([picks, picks]) if rng.random() < 0.3 else np.array(picks)
        return ("tensor", array.astype(np.int64)), 1
    if kind == "scalar":
        return ("tensor", np.array(picks[0] if picks else 0)), 1
    if kind == "mask2" and dim + 1 < len(shape):
        rows = [[rng.random() < 0.5 for _ in range(shape[dim + 1])] for _ in range(length)]
        return ("tensor", np.array(rows, dtype=bool)), 2
    return ("tensor", np.array([rng.random() < 0.5 for _ in range(length)], dtype=bool)), 1


def random_index(rng, shape):
    """Return an index for a shape: one item or a tuple, perhaps with an Ellipsis or one item too many."""
    items, dim = [], 0
    count = rng.randrange(0, len(shape) + 2)
    while len(items) < count:
        item, used = random_item(rng, shape, dim)
        if dim + used > len(shape) and rng.random() < 0.95:
            break
        items.append(item)
        dim += used
    if rng.random() < 0.3:
        # What stands after the Ellipsis was drawn for other dimensions: errors are welcome too.
        items.insert(rng.randrange(len(items) + 1), Ellipsis)
    return items[0] if len(items) == 1 and rng.random() < 0.7 else tuple(items)


def for_library(lib, index):
    """Return the index with its tensors made by a library."""
    if isinstance(index, tuple) and index and isinstance(index[0], str):
        return lib.tensor(index[1])
    return tuple(for_library(lib, item) for item in index) if isinstance(index, tuple) else index


def outcome(action):
    """Return (result, None) or (None, error)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return action(), None
        except Exception as error:  # noqa: BLE001 - its class is what is compared
            return None, error


def same_error(expected, got, what):
    """Assert that both libraries raised errors of one class."""
    assert (expected is None) == (got is None), f"{what}: PyTorch {expected!r}, minigrad {got!r}"
    if expected is not None:
        kinds = (IndexError, TypeError, ValueError, RuntimeError)
        theirs, ours = (next(kind for kind in kinds if isinstance(error, kind)) for error in (expected, got))
        assert theirs is ours, f"{what}: PyTorch {expected!r}, minigrad {got!r}"


def draw(seed):
    rng = random.Random(seed)
    shape = tuple(rng.randrange(1, 5) if rng.random() < 0.95 else 0 for _ in range(rng.randrange(0, 5)))
    return rng, shape, np.random.default_rng(seed).standard_normal(shape), random_index(rng, shape)


def read(seed):
    """Compare reading at a random index, its gradient, and whether the result is a view."""
    rng, shape, array, index = draw(seed)
    transposed = rng.random() < 0.3
    results = []
    for lib in (torch, mg):
        leaf = lib.tensor(array, requires_grad=True)
        x = leaf
        if transposed:
            x = x.transpose(0, -1).contiguous().transpose(0, -1) if x.ndim else x
        results.append((lib, leaf, *outcome(lambda x=x, lib=lib: x[for_library(lib, index)])))
    (_, leaf, expected, error), (_, own_leaf, got, own_error) = results
    what = f"seed {seed}: {shape}[{index}]"
    if own_error is not None and error is None and expected.numel() == 0:
        return "stricter"  # PyTorch does not look at indices where no element is read
    same_error(error, own_error, what)
    if error is not None:
        return "error"
    np.testing.assert_array_equal(got.detach().numpy(), expected.detach().numpy(), err_msg=what)
    (expected * expected).sum().backward()
    (got * got).sum().backward()
    np.testing.assert_allclose(own_leaf.grad.numpy(), leaf.grad.numpy(), err_msg=what)
    return "value"


def write(seed):
    """Compare writing at a random index: a number or a tensor that broadcasts (or not), tracked or not."""
    rng, shape, array, index = draw(seed)
    found, _ = outcome(lambda: torch.tensor(array)[for_library(torch, index)])
    target = tuple(found.shape) if found is not None else ()
    value_shape = target[rng.randrange(len(target) + 1) :] if rng.random() < 0.9 else (2, 3)
    value_shape = tuple(1 if rng.random() < 0.2 else length for length in value_shape)
    value = np.random.default_rng(seed + 1).standard_normal(value_shape)
    number, tracked, as_view = rng.random() < 0.3, rng.random() < 0.6, rng.random() < 0.3
    # Where an element is written twice, which value stays is not defined.
    if found is not None and found.numel() and not number:
        places = torch.arange(array.size).reshape(shape)[for_library(torch, index)]
        if places.unique().numel() < found.numel():
            return "ambiguous"
    results = []
    for lib in (torch, mg):
        leaf = lib.tensor(array, requires_grad=tracked)
        other = 1.5 if number else lib.tensor(value, requires_grad=tracked)
        x = leaf * 2.0 if tracked else leaf.clone()
        y = x.reshape(1, *shape)[0] if as_view else x

        def assign(y=y, lib=lib, other=other):
            y[for_library(lib, index)] = other

        results.append((leaf, other, x, outcome(assign)[1]))
    (leaf, other, x, error), (own_leaf, own_other, own_x, own_error) = results
    what = f"seed {seed}: {shape}[{index}] = {value_shape}"
    if own_error is not None and error is None and found.numel() == 0:
        return "stricter"
    if found is None and error is not None:  # with a wrong index the value may be wrong too: either may be named
        assert own_error is not None, what
    else:
        same_error(error, own_error, what)
    if error is not None:  # PyTorch may have written some elements by then
        np.testing.assert_array_equal(own_x.detach().numpy(), array * 2 if tracked else array, err_msg=what)
        return "error"
    np.testing.assert_array_equal(own_x.detach().numpy(), x.detach().numpy(), err_msg=what)
    if tracked:
        (x * x).sum().backward()
        (own_x * own_x).sum().backward()
        np.testing.assert_allclose(own_leaf.grad.numpy(), leaf.grad.numpy(), err_msg=what)
        if not number and other.grad is not None:
            np.testing.assert_allclose(own_other.grad.numpy(), other.grad.numpy(), err_msg=what)
    return "value"


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("compare", [read, write])
def test_random_indices(compare, block):
    endings = [compare(seed) for seed in range(block * 250, block * 250 + 250)]
    assert endings.count("value") > 100, {ending: endings.count(ending) for ending in endings}
