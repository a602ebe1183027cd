"""Launchers of optimizer.cu: many arrays in one launch, by a table of their addresses that is kept on the GPU."""

from collections import OrderedDict

from minigrad.backend import np, xp
from minigrad.backend.libraries import is_capturing, lasting
from minigrad.kernels.cuda.source import CACHES, Source

_SOURCE = Source("optimizer.cu", defines={"PACKED": (0, 1)})
_CHUNK = 1 << 14  # elements of a block
_BLOCK = 256
_TABLES = OrderedDict()  # bytes of a table, GPU -> its copy there, the newest last
_MOST_TABLES = 64
_PINNED = {}  # GPU -> page-locked memory through which tables go there while a graph is captured
_CAPTURED = []  # tables that captured graphs read
CACHES += [_TABLES, _PINNED, _CAPTURED]


def takes(array):
    """Return whether the kernels take an array: real floats of a GPU."""
    return type(array) is not np.ndarray and array.dtype.char in "fdeE"


def _is_dense(array):
    """Return whether the elements fill the memory, in any order of dimensions."""
    if array.flags.c_contiguous or array.flags.f_contiguous:
        return True
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return array.transpose(order).flags.c_contiguous


class Table:
    """The addresses of rows of arrays, each row of equal sizes, and the blocks that walk over them.

    ``extras``: for each row the address of something else, or nothing.
    """

    def __init__(self, rows, extras=()):
        first = rows[0][0]
        self.module, self.dtype, self.rows = xp(first), first.dtype, len(rows)
        pointers, blocks, sizes = [], [], []
        low_bits = 0
        for number, row in enumerate(rows):
            addresses = [array.data.ptr for array in row]
            for address in addresses:
                low_bits |= address
            pointers += addresses
            if extras:
                pointers.append(extras[number].data.ptr)
            size = row[0].size
            sizes.append(size)
            blocks += range(number << 32, (number << 32) + -(-size // _CHUNK))
        self.width = len(rows[0]) + bool(extras)
        self.blocks = len(blocks)
        self.packed = int(low_bits % 16 == 0)
        self.array = _on_gpu(self.module, np.array(pointers + sizes + blocks, np.int64))

    def launch(self, name, *args):
        """Launch a kernel over all blocks."""
        if self.blocks:
            kernel = _SOURCE.kernel(name, self.dtype, PACKED=self.packed)
            kernel(grid=self.blocks, block=_BLOCK, args=(self.array, self.rows, self.width, _CHUNK, *args))


def _on_gpu(module, table):
    """Return the table on the current GPU: the copy that is there, or a new one, for which nothing waits.

    While a graph is captured, a new one goes there beside it, on another stream, from memory that was page-locked
    before: the graph must not copy again what Python has long changed.
    """
    device = module.cuda.runtime.getDevice()
    key = table.tobytes(), device
    kept = _TABLES.get(key)
    capturing = is_capturing(module)
    if kept is not None:
        _TABLES.move_to_end(key)
        if capturing and not any(kept is other for other in _CAPTURED):
            _CAPTURED.append(kept)
        return kept
    if capturing:
        # In a recording's own pool it might lie where replays put activations, which come before it is read.
        with lasting(module):
            kept = module.empty(table.shape, table.dtype)
        pinned = _pinned(module, device, table.size)
        pinned[: table.size] = table
        stream = module.cuda.Stream(non_blocking=True)
        kept.set(pinned[: table.size], stream=stream)
        stream.synchronize()
        _CAPTURED.append(kept)
        return kept
    _pinned(module, device, table.size)  # for a capture to come
    with lasting(module):
        kept = _TABLES[key] = module.asarray(table)  # through page-locked memory of CuPy's own
    while len(_TABLES) > _MOST_TABLES:
        _TABLES.popitem(last=False)
    return kept


def _pinned(module, device, size):
    """Return page-locked memory for at least ``size`` numbers, which is kept."""
    memory = _PINNED.get(device)
    if memory is None or memory.size < size:
        count = 1 << max(10, (size - 1).bit_length())
        block = module.cuda.alloc_pinned_memory(8 * count)
        memory = _PINNED[device] = np.frombuffer(block, np.int64, count)
    return memory


# ------------------------------------------------------------------ steps
def update(name, work, grad_scale=None, found_inf=None):
    """Make the steps of sgd or adam; return the items of work that were not for the kernels.

    Arguments: name ("sgd" or "adam"), work (as for kernels.optimizer.update_in_place), grad_scale (0-d float32 array
    that the gradients are divided by), found_inf (0-d float32 array: not zero leaves the steps out).
    """
    groups, rest = {}, []
    for arrays, options in work:
        present = [array for array in arrays if array is not None]
        fits = all(takes(array) and array.dtype == arrays[0].dtype for array in present) and _is_dense(arrays[0])
        fits = fits and all(i == 1 or array.strides == arrays[0].strides for i, array in enumerate(present))
        if not fits:
            rest.append((arrays, options))
            continue
        key = _key(name, options), arrays[0].dtype, len(present)
        groups.setdefault(key, (options, [], []))[1].append(_like_first(present))
        groups[key][2].append(options.get("step"))
    for options, rows, steps in groups.values():
        if rows:
            _LAUNCHES[name](rows, steps, options, grad_scale, found_inf)
    return rest


def _key(name, options):
    """Return what tells launches apart: the options, without steps that lie on the GPU."""
    return tuple(
        (key, None if key == "step" and hasattr(value, "dtype") else id(value) if hasattr(value, "dtype") else value)
        for key, value in options.items()
    )


def _like_first(arrays):
    """Return the arrays with the gradient in the order of memory of the parameter."""
    parameter, gradient = arrays[:2]
    if gradient.strides != parameter.strides:
        laid = xp(parameter).empty_like(parameter)
        laid[...] = gradient
        arrays[1] = laid
    return arrays


def _rate(lr):
    """Return (the learning rate on the GPU as float64, or None, the learning rate as a number)."""
    return (lr.astype(np.float64, copy=False), 0.0) if hasattr(lr, "dtype") else (None, float(lr))


def _sgd(rows, steps, options, grad_scale, found_inf):
    lr, number = _rate(options["lr"])
    floats = (float(options[key]) for key in ("momentum", "dampening", "weight_decay"))
    flags = (bool(options[key]) for key in ("nesterov", "maximize"))
    Table(rows).launch("sgd", lr, grad_scale, found_inf, number, *floats, *flags)


def _adam(rows, steps, options, grad_scale, found_inf):
    on_gpu = hasattr(steps[0], "dtype")
    table = Table(rows, steps if on_gpu else ())
    lr, number = _rate(options["lr"])
    floats = *options["betas"], options["eps"], options["weight_decay"], 0 if on_gpu else steps[0]
    flags = (bool(options[key]) for key in ("amsgrad", "maximize", "decoupled_weight_decay"))
    table.launch("adam", lr, grad_scale, found_inf, number, *map(float, floats), *flags)


_LAUNCHES = {"sgd": _sgd, "adam": _adam}


def count_steps(steps, found_inf=None):
    """Add one to 0-d float32 arrays, unless found_inf says that the step is left out."""
    table = Table([[step] for step in steps])
    kernel = _SOURCE.kernel("count_steps", np.dtype(np.float32), PACKED=0)
    kernel(threads=table.rows, args=(table.array, table.rows, table.width, found_inf))


# ------------------------------------------------------------------ gradients
def _tables(arrays):
    """Return a Table for each dtype."""
    by_dtype = {}
    for array in arrays:
        by_dtype.setdefault(array.dtype, []).append([array])
    return [Table(rows) for rows in by_dtype.values()]


def takes_all(arrays):
    """Return whether the kernels of this section take these arrays."""
    return bool(arrays) and all(takes(array) and _is_dense(array) for array in arrays)


def unscale(arrays, scale, found_inf):
    """Divide arrays by the scale (None: leave them) in place; found_inf becomes 1 where an element is not finite."""
    for table in _tables(arrays):
        table.launch("unscale", scale, found_inf)


def update_scale(scale, growth_tracker, found_inf, growth, backoff, interval):
    """Adapt the scale of the loss, all of it on the GPU."""
    kernel = _SOURCE.kernel("update_scale", np.dtype(np.float32), PACKED=0)
    args = scale, growth_tracker, found_inf, float(growth), float(backoff), int(interval)
    kernel(threads=1, block=1, args=args)


def norm(arrays, kind):
    """Return the norm of all elements of arrays of one dtype together, of positive order, as a 0-d array of it."""
    table = Table([[array] for array in arrays])
    module, wide = table.module, np.float64 if table.dtype == np.float64 else np.float32
    parts, total = module.empty(table.blocks, wide), module.empty((), table.dtype)
    table.launch("norm_parts", parts, kind)
    kernel = _SOURCE.kernel("norm_total", table.dtype, PACKED=0)
    kernel(grid=1, block=_BLOCK, args=(parts, total, table.blocks, kind))
    return total


def clip(arrays, total, most):
    """Multiply arrays in place by min(1, most / (total + 1e-6)), total a 0-d array."""
    for table in _tables(arrays):
        table.launch("clip", total.astype(table.dtype, copy=False), float(most))
