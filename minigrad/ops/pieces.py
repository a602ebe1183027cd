"""The ops that slice, join and split: adjoint pairs."""

from minigrad.backend import xp
from minigrad.op import Op


# ---------------------------------------------------------------------- ops: slices (adjoint pairs)
def _slice(x, *, dim, start, stop, step):
    return x[(slice(None),) * dim + (slice(start, stop, step),)]


def _unslice(g, *, shape, dim, start, stop, step):
    out = xp(g).zeros(shape, g.dtype)
    out[(slice(None),) * dim + (slice(start, stop, step),)] = g
    return out


slice_op = Op(
    _slice,
    [lambda g, x_shape, dim, start, stop, step: unslice(g, shape=x_shape, dim=dim, start=start, stop=stop, step=step)],
    name="slice",
    view=True,
)
unslice = Op(
    _unslice,
    [lambda g, dim, start, stop, step: slice_op(g, dim=dim, start=start, stop=stop, step=step)],
    name="unslice",
)


def _select(x, *, dim, index):
    return x[(slice(None),) * dim + (index, Ellipsis)]


def _unselect(g, *, shape, dim, index):
    out = xp(g).zeros(shape, g.dtype)
    out[(slice(None),) * dim + (index,)] = g
    return out


select_op = Op(
    _select, [lambda g, x_shape, dim, index: unselect(g, shape=x_shape, dim=dim, index=index)], name="select", view=True
)
unselect = Op(_unselect, [lambda g, dim, index: select_op(g, dim=dim, index=index)], name="unselect")


# ---------------------------------------------------------------------- ops: joining and splitting
def _cat(*arrays, dim):
    return xp(arrays[0]).concatenate(arrays, dim)


def _cat_gradients(g, inputs_shape, dim, needs):
    gradients, start = [], 0
    for shape, needed in zip(inputs_shape, needs, strict=True):
        stop = start + shape[dim]
        gradients.append(slice_op(g, dim=dim, start=start, stop=stop, step=1) if needed else None)
        start = stop
    return tuple(gradients)


cat_op = Op(_cat, joint=_cat_gradients, name="cat", promote="same")


def _stack(*arrays, dim):
    expand = (slice(None),) * dim + (None,)
    return xp(arrays[0]).concatenate([array[expand] for array in arrays], dim)


def _stack_gradients(g, dim, needs):
    return tuple([select_op(g, dim=dim, index=index) if needed else None for index, needed in enumerate(needs)])


stack_op = Op(_stack, joint=_stack_gradients, name="stack", promote="same")


def _split(x, *, dim, sizes):
    lead, start, parts = (slice(None),) * dim, 0, []
    for size in sizes:
        parts.append(x[lead + (slice(start, start + size),)])
        start += size
    return tuple(parts)


split_op = Op(_split, joint=lambda g, dim: (cat_op(*g, dim=dim),), name="split", view=True)


def _unbind(x, *, dim):
    lead = (slice(None),) * dim
    return tuple([x[lead + (index, Ellipsis)] for index in range(x.shape[dim])])


unbind_op = Op(_unbind, joint=lambda g, dim: (stack_op(*g, dim=dim),), name="unbind", view=True)
