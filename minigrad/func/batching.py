"""vmap: a function of single items made one of batches."""

import functools

from minigrad.backend import DRAWS
from minigrad.ops.join import stack
from minigrad.ops.split import unbind
from minigrad.tensor import Tensor
from minigrad.utils._pytree import _broadcast_to_and_flatten, tree_flatten, tree_unflatten

RANDOMNESS = ("error", "different", "same")


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """Return a function that applies func to every slice of its tensors and stacks the results.

    It runs func once per slice, so it costs what the Python loop costs and is right for every operation, in-place
    writes (slice after slice) and branches on values included; PyTorch's batches each operation instead.

    Arguments: func; in_dims (dimension to slice of each input: an int, None for an input that is not sliced, or a
    tuple of them matching the arguments, nested as these are; keyword arguments are never sliced); out_dims (where
    the new dimension goes in each output; None for an output that is the same for every slice); randomness ("error":
    drawing random numbers is a RuntimeError; "different" or "same" for each slice); chunk_size (how many slices
    PyTorch takes at once: checked, the result does not depend on it).
    Raises ValueError for dimensions that don't fit the inputs or outputs.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.vmap.html

    >>> import minigrad as mg
    >>> mg.func.vmap(mg.dot)(mg.ones(3, 2), mg.arange(6.0).reshape(3, 2))
    tensor([1., 5., 9.])
    """
    check_randomness(randomness)
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    name = getattr(func, "__name__", repr(func))

    @functools.wraps(func)
    def mapped(*args, **kwargs):
        slices, count, spec = _sliced_inputs(name, in_dims, args)
        results, output_spec = [], None
        with Draws(randomness) as draws:
            for index in range(max(count, 1)):
                draws.next()
                sliced = tree_unflatten([leaf[index] for leaf in slices], spec)
                leaves, this_spec = tree_flatten(func(*sliced, **kwargs))
                if output_spec is not None and this_spec != output_spec:
                    raise ValueError(
                        f"vmap({name}, ...): the outputs of the slices differ in structure: {output_spec} and "
                        f"{this_spec}"
                    )
                output_spec = this_spec
                results.append(leaves)
        dims = _output_dims(name, out_dims, output_spec)
        columns = zip(zip(*results, strict=True), dims, strict=True)
        return tree_unflatten([_joined(name, column, dim, count) for column, dim in columns], output_spec)

    return mapped


def check_randomness(randomness):
    """RuntimeError unless randomness is a word that vmap knows."""
    if randomness not in RANDOMNESS:
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")


class Draws:
    """Watches the random numbers drawn in a block that runs a function once per slice; ``next()`` starts a slice."""

    def __init__(self, randomness):
        self.randomness = randomness
        self.first = {}  # generator -> its state before it was first used, in any slice
        self.seen = set()  # the generators used in this slice

    def __enter__(self):
        self.outer = DRAWS.observer
        if self.randomness != "different":
            DRAWS.observer = self
        return self

    def __exit__(self, *exception):
        DRAWS.observer = self.outer

    def next(self):
        """Start the next slice."""
        self.seen.clear()

    def __call__(self, generator, module):
        if self.outer is not None:
            self.outer(generator, module)
        if self.randomness == "error":
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
                "'different' randomness flags on vmap or perform the randomness operation out of vmap"
            )
        if generator in self.seen:
            return
        self.seen.add(generator)
        if generator in self.first:
            generator.set_state_bytes(self.first[generator])
        else:
            self.first[generator] = generator.state_bytes()


def _sliced_inputs(name, in_dims, args):
    """Return (for each leaf of the arguments its slices, their number, the spec)."""
    where = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{where}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
            f"got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
            "function with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{where}in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    sizes = []
    for leaf, dim in zip(leaves, dims, strict=True):
        _check_in_dim(where, leaf, dim)
        if dim is not None:
            sizes.append(leaf.shape[dim])
    if not sizes:
        raise ValueError(f"{where}at least one input must be mapped over, but every in_dim is None")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the "
            "mapped dimension"
        )
    count = sizes[0]
    pairs = zip(leaves, dims, strict=True)
    return [_slices(leaf, dim, count) for leaf, dim in pairs], count, spec


def _check_in_dim(where, leaf, dim):
    """ValueError where a leaf can't be sliced along dim."""
    if dim is None:
        return
    if not isinstance(dim, int):
        raise ValueError(
            f"{where}Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
        )
    if not isinstance(leaf, Tensor):
        raise ValueError(
            f"{where}Got in_dim={dim} for an input but the input is of type {type(leaf)}. We cannot vmap over "
            "non-Tensor arguments, please use None as the respective in_dim"
        )
    if not -leaf.ndim <= dim < leaf.ndim:
        raise ValueError(
            f"{where}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {leaf.ndim} so "
            f"expected in_dim to satisfy -{leaf.ndim} <= in_dim < {leaf.ndim}."
        )


def _slices(leaf, dim, count):
    """Return what func is given of a leaf, for each slice; for an empty batch one slice of zeros shows the shapes."""
    if dim is None:
        return [leaf] * max(count, 1)
    if count == 0:
        shape = list(leaf.shape)
        del shape[dim]
        return [leaf.new_zeros(shape)]
    return unbind(leaf, dim)


def _output_dims(name, out_dims, spec):
    """Return where the new dimension goes for each leaf of the outputs."""
    if not isinstance(out_dims, (int, tuple, list, dict, type(None))):
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints "
            "representing where in the outputs the vmapped dimension should appear."
        )
    if spec.is_leaf() and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    dims = _broadcast_to_and_flatten(out_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of "
            f"`outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but outputs has structure {spec}."
        )
    return dims


def _joined(name, column, dim, count):
    """Return one output of all slices."""
    first = column[0]
    if dim is None:
        if not all(_same(first, value) for value in column[1:]):
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None: the slices' "
                "outputs differ"
            )
        return first
    for value in column:
        if not isinstance(value, Tensor):
            raise ValueError(
                f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(value)}. Did you mean to set "
                "out_dims= to None for output?"
            )
    result = stack(column, dim)
    return result if count else result.narrow(dim, 0, 0)


def _same(a, b):
    """Return whether two outputs are the same, NaNs included."""
    if a is b:
        return True
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        alike = a.shape == b.shape and a.dtype == b.dtype
        return alike and bool(((a.array == b.array) | (a.array != a.array) & (b.array != b.array)).all())
    return not isinstance(a, Tensor) and not isinstance(b, Tensor) and a == b
