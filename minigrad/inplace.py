"""What an in-place write means.

- On untracked values it is one: the memory changes, and everything that looks at it sees the change.
- On tracked values the new value is computed out of place. If nothing else looks at the old memory the tensor is
  simply rebound to the new array and node, and whatever was saved of the old one stays valid. Otherwise the value is
  also written through to the memory, and the graph is mended: a write to a view rewrites its base's node, and every
  view reads its node out of the rewritten base (variable.View). A value that was saved and is now overwritten is
  found by the clock of variable.touch and reported in backward.
"""

from minigrad.backend import REAL_CODES, WATCHED, array_device, can_cast, memory_root, np, solely_held, xp
from minigrad.backend.placement import on_different_devices
from minigrad.backend.switches import GPUS
from minigrad.interception import watched
from minigrad.kernels.scatter import scatter_add_flat
from minigrad.op import Op
from minigrad.operands import CENTRAL
from minigrad.rules import NO_PARAMS, alias_node
from minigrad.tensor import Tensor, data_pointer
from minigrad.variable import MODE, Node, View, is_tracked, promote, rebind, touch, version_of


def _positions(view, base):
    """Return, for each element of a raw view, its position in base counted in row-major order. # view.shape

    The elements of base are numbered in a buffer laid out like base, and the numbers read where the view looks.
    """
    module = xp(base)
    step = base.itemsize
    strides = [stride // step for stride in base.strides]
    reach = 1 + sum((length - 1) * stride for length, stride in zip(base.shape, strides, strict=True))
    numbers = module.empty(max(reach, 1), "int64")
    _window(numbers, base.shape, strides)[...] = module.arange(base.size).reshape(base.shape)
    offset = (data_pointer(view) - data_pointer(base)) // step if view.size else 0
    return _window(numbers[offset:], view.shape, [stride // step for stride in view.strides]).copy()


def _window(flat, shape, strides):
    """Return the view of a flat array with the given shape and strides (in elements)."""
    return xp(flat).lib.stride_tricks.as_strided(flat, shape, [stride * flat.itemsize for stride in strides])


def _cleared(x, positions):
    """Return a copy of x with zeros at the positions."""
    out = x.copy().reshape(-1)
    out[positions] = 0
    return out.reshape(x.shape)


def _read_positions(x, positions):
    return x.reshape(-1)[positions]


def _add_positions(g, positions, *, shape):
    out = xp(g).zeros(shape, g.dtype)
    scatter_add_flat(out.reshape(-1), positions, g)
    return out


def _overwrite(base, value, positions):
    out = base.copy().reshape(-1)
    out[positions] = value
    return out.reshape(base.shape)


read_positions = Op(
    _read_positions, [lambda g, x_shape, positions: add_positions(g, positions, shape=x_shape), None]
)
add_positions = Op(_add_positions, [lambda g, positions: read_positions(g, positions), None])
clear_positions = Op(_cleared, [lambda g, positions: clear_positions(g, positions), None], name="clear_positions")
overwrite_positions = Op(
    _overwrite,
    [lambda g, positions: clear_positions(g, positions), lambda g, positions: read_positions(g, positions), None],
    name="overwrite_positions",
)


def _read_from_base(view, base):
    """Return the node that reads a view out of its rewritten base."""
    with_graph = MODE.grad
    MODE.grad = True
    try:
        return read_positions(base, _positions(view.array, base.array)).node
    finally:
        MODE.grad = with_graph


View.read_from_base = staticmethod(_read_from_base)


def check_writable(tensor, name):
    """RuntimeError if a tensor may not be written in place: a leaf that requires grad, or a view of one."""
    if not MODE.grad:
        return
    for owner, what in ((tensor, "a leaf Variable"), (tensor._base, "a view of a leaf Variable")):
        if owner is not None and is_tracked(owner) and owner.is_leaf:
            raise RuntimeError(
                f"{name}: {what} that requires grad is being used in an in-place operation. "
                "Write under minigrad.no_grad(), or compute a new tensor."
            )


# What joins tensors has an error of another class in PyTorch where out= can't hold the result.
_JOINING = frozenset("cat concat concatenate stack hstack vstack row_stack dstack column_stack".split())


def check_result_type(value, tensor, name):
    """RuntimeError if a result's dtype is of a higher category than the tensor it is written into."""
    if value.array.dtype != tensor.array.dtype and not can_cast(value.dtype, tensor.dtype):
        error = TypeError if name in _JOINING else RuntimeError
        raise error(f"{name}: result type {value.dtype} can't be cast to the desired output type {tensor.dtype}")


def assign(tensor, value, name="assign"):
    """Write value (a Tensor of the same shape) into tensor, in place, and return tensor.

    RuntimeError where the shape or type of the value does not fit, or the tensor is a leaf that requires grad.
    """
    if value is tensor:
        return tensor
    check_writable(tensor, name)
    check_result_type(value, tensor, name)
    if value.array.shape != tensor.array.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(tensor.shape)} doesn't match the broadcast shape {list(value.shape)}"
        )
    return overwrite_tensor(tensor, value)


def write_over(op, compute, tensor, *others, name):
    """Run an op with its result in the memory of its first argument and return that, or None where this can't be.

    It can if nothing is recorded, or if nothing but the tensor refers to the memory: then no other tensor and no saved
    value sees the change. ``compute(array, *others, out=array)`` is the op's kernel on arrays of its result's shape and
    dtype; its gradients must need no argument.
    """
    array = tensor.array
    if type(array) is not np.ndarray or array.dtype.char not in REAL_CODES or (WATCHED and MODE.watchers):
        return None
    if not MODE.grad or not (is_tracked(tensor) or tensor._base is not None or any(is_tracked(y) for y in others)):
        check_no_overlap(array)
        compute(array, *[other.array for other in others], out=array)
        touch(array)
        return tensor
    if not is_tracked(tensor) or tensor._base is not None or tensor._aliased or tensor.node is None:
        return None
    if not solely_held(array, 2):  # by the tensor and here
        return None
    arrays = [array, *[other.array for other in others]]
    compute(*arrays, out=array)
    rebind(tensor, op.record((tensor, *others), arrays, {}, array).node)
    tensor._written += 1
    return tensor


class OVERWRITE:
    """What watchers of ops see where a tensor is given another value in place."""

    name = "overwrite"


def overwrite_tensor(tensor, value):
    """Make tensor hold value, of the same shape, whatever its dtype: memory and graph (checks are the caller's)."""
    if WATCHED and MODE.watchers:
        return watched(OVERWRITE, (tensor, value), NO_PARAMS, lambda: overwrite_tensor(tensor, value))
    base = tensor._base
    tracked = is_tracked(value) or is_tracked(tensor) or (base is not None and is_tracked(base))
    if not (tracked and MODE.grad):
        return write_memory(tensor, value.array)
    if value.array.dtype != tensor.array.dtype:
        value = CENTRAL["cast"](value, dtype=tensor.array.dtype)
    if base is None and not tensor._aliased:
        # An array that others can reach must not become this tensor's own memory.
        array = value.array
        own = value._base is None and not value._aliased and array.base is None and is_tracked(value)
        tensor._written = version_of(tensor) + 1
        tensor.array = array if own else array.copy()
        promote(tensor)
        rebind(tensor, _node_of(value))
        return tensor
    _keep_old_values(value, tensor.array)
    write_memory(tensor, value.array)
    if base is None:
        promote(tensor)
        rebind(tensor, _node_of(value))
        tensor._generation += 1
        return tensor
    rewrite_base(tensor, base, value)
    return tensor


def _keep_old_values(value, array):
    """Copy what the operations that have just computed value saved of the memory that is about to be written.

    ``view.mul_(view)`` needs the old values for its gradient. Only the newest few nodes are looked at: those of the
    function whose in-place variant this is.
    """
    root, nodes = memory_root(array), [value.node] if is_tracked(value) else []
    for _ in range(_NODES_OF_ONE_FUNCTION):
        if not nodes:
            return
        node = nodes.pop(0)
        if not isinstance(node, Node) or node.saved is None:
            continue
        if any(_lies_in(saved, root) for saved in node.saved):
            node.saved = tuple([saved.copy() if _lies_in(saved, root) else saved for saved in node.saved])
        nodes.extend(node.edges)


_NODES_OF_ONE_FUNCTION = 8


def _lies_in(saved, root):
    return hasattr(saved, "flags") and hasattr(saved, "base") and memory_root(saved) is root


def _node_of(value):
    """Return a node that hands gradients to a tracked value, so that another tensor can take its place."""
    if not is_tracked(value):
        return None
    return value.node or alias_node(value, value.array.shape)


def rewrite_base(view, base, value):
    """Record that the memory of base now holds value where view looks."""
    promote(base)
    arrays = (base.array, value.array, _positions(view.array, base.array))
    recorded = overwrite_positions.record((base, value, None), arrays, {}, base.array)
    rebind(base, recorded.node if is_tracked(recorded) else None)
    base._generation += 1


def write_memory(tensor, array):
    """Copy a raw array into the tensor's memory; RuntimeError where elements overlap or it is read-only."""
    target = tensor.array
    check_no_overlap(target)
    if array is not target:
        xp(target).copyto(target, array, casting="unsafe")
    touch(target)
    return tensor


def check_no_overlap(array):
    """RuntimeError if a raw array can't be written: an expanded one shows the same element several times."""
    writeable = getattr(array.flags, "writeable", True)
    repeats = 0 in array.strides and any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True))
    if not writeable or (repeats and array.size):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location"
            f"{'' if writeable else ', or its memory is read-only'}. Please clone() the tensor before performing "
            "the operation."
        )


def check_out(out, result, arguments, name, exact):
    """RuntimeError if an out= lies on the memory of an argument, or (``exact``) has not the result's dtype."""
    if isinstance(result, tuple):
        for target, value in zip(out, result, strict=False):
            check_out(target, value, arguments, name, exact)
        return
    if not isinstance(out, Tensor):
        return  # write_out says so
    if exact:
        _check_same_dtype(result, out, name)
    check_no_overlap(out.array)
    for argument in arguments:
        for tensor in argument if isinstance(argument, (list, tuple)) else (argument,):
            if not isinstance(tensor, Tensor) or type(tensor.array) is not type(out.array):
                continue
            if tensor is out or _is_dense(tensor.array) and _is_dense(out.array) and _share(tensor.array, out.array):
                raise RuntimeError(
                    f"{name}: unsupported operation: some elements of the input tensor and the written-to tensor refer "
                    "to a single memory location. Please clone() the tensor before performing the operation."
                )


def _check_same_dtype(result, out, name):
    if out.array.dtype != result.array.dtype:
        raise RuntimeError(f"{name}: Expected out tensor to have dtype {result.dtype}, but got {out.dtype} instead")


def _is_dense(array):
    return array.flags.c_contiguous or array.flags.f_contiguous


def _share(one, other):
    """Return whether two dense arrays have memory in common."""
    if not one.size or not other.size:
        return False
    start, end = data_pointer(one), data_pointer(other)
    return start < end + other.nbytes and end < start + one.nbytes


# Functions whose out= must have the dtype of the result, as in PyTorch; the others convert to a wider one.
_CREATION = frozenset("zeros ones empty full arange linspace logspace eye rand randn".split())
_OF_LINALG = (
    "cholesky cholesky_ex cross det eigh eigvalsh inv inv_ex ldl_factor ldl_factor_ex ldl_solve lu lu_factor "
    "lu_factor_ex lu_solve matmul matrix_norm multi_dot norm qr slogdet solve solve_ex solve_triangular svd "
    "svdvals vecdot vector_norm"
)
_SAME_DTYPE = _CREATION.union([f"linalg.{name}" for name in _OF_LINALG.split()]).union(
    (
        "addbmm addmm addmv alias_copy amax amin argmax argmin as_strided_copy avg_pool2d avg_pool3d baddbmm "
        "bitwise_not bmm bucketize ceil conj_physical cross cummax cummin det diag diagonal_copy dot expand_copy "
        "floor frac frexp gelu hardshrink heaviside histc histogram index_add index_copy index_reduce inverse "
        "isin isneginf isposinf linear log_softmax logcumsumexp logsigmoid lu_solve lu_unpack matmul mm mode "
        "msort mv nan_to_num nanquantile narrow_copy native_batch_norm neg nonzero norm ormqr permute_copy qr "
        "quantile renorm round scatter scatter_add scatter_reduce searchsorted sgn sign signbit slice_scatter "
        "slogdet softmax softplus softshrink sort split_with_sizes_copy squeeze_copy svd t_copy take_along_dim "
        "tensordot topk transpose_copy triangular_solve tril triu trunc unbind_copy unfold_copy unsqueeze_copy "
        "vdot view_copy where"
    ).split()
)
_RESIZE_SILENTLY = _CREATION.union("addbmm logsigmoid lu narrow_copy".split()).difference(["arange"])


def write_out(out, result, name):
    """Write a function's result (a Tensor or tuple of them) into out=, and return out."""
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(result)} Tensors")
        for target, value in zip(out, result, strict=True):
            if name in ("max", "min") and isinstance(target, Tensor):
                _check_same_dtype(value, target, name)
            write_out(target, value, name)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if (is_tracked(result) or is_tracked(out)) and MODE.grad:
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    if name in _SAME_DTYPE:
        _check_same_dtype(result, out, name)
    check_result_type(result, out, name)
    if GPUS and array_device(out.array) != array_device(result.array):
        raise on_different_devices(name, [result.array, out.array])
    if out.array.shape != result.array.shape:
        if out.array.size and name not in _RESIZE_SILENTLY:
            import warnings

            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not "
                f"match the required output shape {list(result.shape)}.",
                stacklevel=3,
            )
        out._written = version_of(out) + 1
        out.array = result.array.astype(out.array.dtype)
        return out
    return write_memory(out, result.array)
