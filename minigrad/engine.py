"""The backward pass: gradients flow through the recorded nodes, newest first. It knows no operation.

A node's number grows with time and every node is newer than its inputs, so a heap on the numbers visits a node only
after all its consumers: no recursion, no separate sort. Gradients are raw arrays, or Variables under create_graph.
"""

import functools
import warnings
from heapq import heappop, heappush

from minigrad.backend import array_device, cupy_module, memory_root, np, solely_held, xp
from minigrad.backend.placement import on_different_devices
from minigrad.backend.switches import GPUS
from minigrad.kernels import elementwise
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE, AccumulateGrad, GradientEdge, Node, Variable, is_tracked


def _keeping_gpu(function):
    """Make a function that works on the GPUs of its tensors leave the current one as it was."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        if not GPUS or GPUS[0] == 1:
            return function(*args, **kwargs)
        gpu = cupy_module().cuda.Device()
        try:
            return function(*args, **kwargs)
        finally:
            gpu.use()

    return call


@_keeping_gpu
def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Accumulate the gradients of the tensors' sum into ``.grad`` of the graph's leaves (or of ``inputs``).

    Arguments: tensors (Tensor or sequence), grad_tensors (gradient of each; may be None for scalars), retain_graph
    (keep the graph for another pass; default create_graph), create_graph (record the pass, for higher derivatives),
    inputs (the only tensors to receive gradients). RuntimeError for a tensor without a graph, a root that is no
    scalar and comes without a gradient, a graph already freed, or a saved value changed in place.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.backward.html

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> mg.autograd.backward((x * x).sum())
    >>> x.grad
    tensor([2., 4.])
    """
    tensors = _as_tuple(tensors)
    keep_graph = create_graph if retain_graph is None else retain_graph
    if inputs is not None:
        inputs = _as_tuple(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    roots = _root_gradients(tensors, grad_tensors, create_graph)
    seen = _memories(roots)
    if inputs is None:
        leaves = _run(roots, create_graph, keep_graph)
        for leaf, gradient in leaves.items():
            if isinstance(leaf, Tensor):
                _accumulate_into(leaf, gradient, seen)
        if MODE.afterwards:
            _finish()
        return
    targets = [_target(tensor) for tensor in inputs]
    found = _run(roots, create_graph, keep_graph, targets)
    for tensor, target in zip(inputs, targets, strict=True):
        if target in found:
            _accumulate_into(tensor, found[target], seen)
    if MODE.afterwards:
        _finish()


def queue_callback(callback):
    """Call a function without arguments at the end of the backward pass in which a hook calls this."""
    MODE.afterwards = [*MODE.afterwards, callback]


def _finish():
    """Run what hooks have queued for the end of backward, unless this is a pass within another one."""
    while MODE.afterwards and MODE.backward is None:
        callback, *MODE.afterwards = MODE.afterwards
        callback()


@_keeping_gpu
def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """Return the gradients of the outputs' sum with respect to the inputs, as a tuple; ``.grad`` is left alone.

    Arguments as for backward; allow_unused (return None for an input that no output depends on, instead of raising
    RuntimeError), materialize_grads (return zeros there), only_inputs (old; False is the same, and warns),
    is_grads_batched (the gradients have one more dimension, in front: one pass for each entry, and the results are
    stacked). An input may also be a GradientEdge.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad.html

    >>> import minigrad as mg
    >>> x = mg.tensor(3.0, requires_grad=True)
    >>> mg.autograd.grad(x * x, x)
    (tensor(6.),)
    """
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for "
            "other parts of the graph, please use autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    if is_grads_batched:
        settings = {"allow_unused": allow_unused, "materialize_grads": materialize_grads}
        return batched(outputs, inputs, grad_outputs, retain_graph, create_graph, settings)
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got: False")
    allow_unused = bool(materialize_grads) if allow_unused is None else allow_unused
    outputs, inputs = _as_tuple(outputs), _as_tuple(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    targets = [_target(tensor) for tensor in inputs]
    keep_graph = create_graph if retain_graph is None else retain_graph
    roots = _root_gradients(outputs, grad_outputs, create_graph)
    seen = _memories(roots)
    found = _run(roots, create_graph, keep_graph, targets)
    result = []
    for position, (tensor, target) in enumerate(zip(inputs, targets, strict=True)):
        gradient = found.get(target)
        if gradient is None and not allow_unused:
            shape = f", shape {list(tensor.shape)}" if isinstance(tensor, Tensor) else ""
            raise RuntimeError(
                f"One of the differentiated Tensors (inputs[{position}]{shape}) appears to not have been used in the "
                "graph. Set allow_unused=True if this is the desired behavior."
            )
        if gradient is None:
            if materialize_grads and not isinstance(tensor, Tensor):
                raise RuntimeError("materialize_grads can't make zeros for a GradientEdge, whose dtype is not known")
            result.append(wrap(xp(tensor.array).zeros_like(tensor.array)) if materialize_grads else None)
        else:
            like = tensor.array if isinstance(tensor, Tensor) else gradient
            result.append(_as_result(gradient, like, seen))
    return tuple(result)


def batched(outputs, inputs, grad_outputs, retain_graph, create_graph, settings):
    """Return grad for every entry of batched grad_outputs (set by autograd/batched.py, which knows how to stack)."""
    raise NotImplementedError


def _as_tuple(tensors):
    return (tensors,) if isinstance(tensors, (Tensor, GradientEdge)) else tuple(tensors)


def _target(tensor):
    """Return what stands for a tensor in the graph: its node, or itself for a leaf."""
    if isinstance(tensor, GradientEdge):
        return tensor.node.variable if isinstance(tensor.node, AccumulateGrad) else tensor.node
    if not isinstance(tensor, Tensor):
        raise TypeError(f"expected a Tensor to differentiate with respect to, but got {type(tensor).__name__}")
    if not is_tracked(tensor):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return tensor.node or tensor


def _root_gradients(tensors, gradients, create_graph):
    """Return [(node or leaf, gradient)] for the tensors that backward starts from."""
    if gradients is None and len(tensors) == 1 and not create_graph:
        tensor = tensors[0]
        if type(tensor) is Variable and tensor._requires_grad and tensor.array.size == 1:
            array = tensor.array
            if GPUS and GPUS[0] > 1:
                use_gpu_of(array)
            return [(tensor.node or tensor, xp(array).ones(array.shape, array.dtype))]
    if gradients is None or isinstance(gradients, Tensor):
        gradients = (gradients,) * len(tensors) if gradients is None else (gradients,)
    gradients = tuple(gradients)
    for gradient in gradients:
        if gradient is not None and not isinstance(gradient, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
    if len(gradients) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(gradients)} gradients")
    roots = []
    for tensor, gradient in zip(tensors, gradients, strict=True):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"backward() expects tensors, but got {type(tensor).__name__}")
        if not is_tracked(tensor):
            raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
        roots.append((tensor.node or tensor, _root_gradient(tensor, gradient, create_graph)))
    return roots


def _root_gradient(tensor, gradient, create_graph):
    """Return the gradient one root starts with, as the pass wants it (raw array or Tensor)."""
    array = tensor.array
    if GPUS and GPUS[0] > 1:
        use_gpu_of(array)
    if gradient is None:
        if array.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, but this one has shape {list(array.shape)}; "
                "pass the gradient of the result, or reduce it first (for example with .sum())"
            )
        gradient = wrap(xp(array).ones_like(array))
    if GPUS and array_device(gradient.array) != array_device(array):
        raise on_different_devices("backward", [array, gradient.array])
    if gradient.array.shape != array.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {gradient.shape} and output[0] has a shape of "
            f"{tensor.shape}."
        )
    if gradient.array.dtype != array.dtype:
        if create_graph and is_tracked(gradient):
            raise RuntimeError(f"the gradient's dtype {gradient.dtype} is not the output's, {tensor.dtype}")
        gradient = wrap(gradient.array.astype(array.dtype))
    return gradient if create_graph else gradient.array


def _run(roots, create_graph, keep_graph, targets=None):
    """Push gradients from the roots down; return {leaf or target: gradient}. Only paths to the targets are walked."""
    wanted = None if targets is None else set(targets)
    useful = None if targets is None else _nodes_towards([root for root, _ in roots], wanted)
    receiving = None if targets is None else useful | wanted  # a wanted node gets a gradient, but passes none on
    pending, heap, found = {}, [], {}
    for root, gradient in roots:
        if root in pending:
            pending[root] = _sum(pending[root], gradient)
        else:
            pending[root] = gradient
            if isinstance(root, Node):
                heappush(heap, (-root.number, root))
    check_nan = MODE.check_nan
    before, MODE.grad = MODE.grad, create_graph
    outer, MODE.backward = MODE.backward, (roots, receiving)
    try:
        while heap:
            node = heappop(heap)[1]
            gradient = pending.pop(node)
            if node.observed:
                gradient = _observed(node, gradient, create_graph)
            if wanted is not None:
                if node in wanted:
                    found[node] = gradient
                if node not in useful:
                    continue
            if GPUS and GPUS[0] > 1:
                use_gpu_of(gradient)
            edges, op = node.edges, node.op
            gradients = op.pull(node, gradient, create_graph, receiving)
            if node.observed and node.post_hooks:
                gradients = _run_post_hooks(node, gradients, gradient, create_graph)
            if check_nan:
                _check_nan(node, gradients)
            if not keep_graph:
                op.free(node)
            for edge, gradient in zip(edges, gradients, strict=False):
                if gradient is None or edge is None:
                    continue
                waiting = pending.get(edge)
                if waiting is not None:
                    if GPUS and GPUS[0] > 1:
                        use_gpu_of(gradient)
                    pending[edge] = _sum(waiting, gradient)
                    continue
                pending[edge] = gradient
                if isinstance(edge, Node):
                    heappush(heap, (-edge.number, edge))
            gradients = gradient = waiting = None  # so that what was summed up is gone before the next node computes
        for leaf, gradient in pending.items():
            found[leaf] = gradient if leaf._hooks is None else _run_hooks(leaf._hooks, gradient, create_graph)
    finally:
        MODE.grad, MODE.backward = before, outer
    if wanted is None:
        return found
    return {target: gradient for target, gradient in found.items() if target in wanted}


def use_gpu_of(gradient):
    """Make the GPU of a gradient (or another tensor), or of the gradients of several outputs, the current one."""
    if type(gradient) is dict:
        gradient = next(iter(gradient.values()))
    if isinstance(gradient, Tensor):
        gradient = gradient._values() if gradient.is_sparse else gradient
    array = gradient.array if isinstance(gradient, Tensor) else gradient
    if not isinstance(array, (np.ndarray, np.generic)):  # a sum of 0-d arrays is NumPy's scalar
        array.device.use()


def _sum(waiting, gradient):
    """Return the sum of two gradients; of an operation with several outputs they are {output: gradient}."""
    if type(gradient) is not dict:
        if type(waiting) is np.ndarray and waiting.size >= _OVERWRITTEN and _may_hold_sum(waiting, gradient):
            return elementwise.apply(np.add, waiting, gradient, out=waiting)
        return waiting + gradient
    for index, part in gradient.items():
        waiting[index] = waiting[index] + part if index in waiting else part
    return waiting


_OVERWRITTEN = 2**14  # elements from which on new memory costs more than finding out that none is needed


def _may_hold_sum(waiting, gradient):
    """Return whether a gradient may be overwritten by its sum with another: only the backward pass refers to it."""
    same = type(gradient) is np.ndarray and gradient.dtype == waiting.dtype and gradient.shape == waiting.shape
    # Its names: in pending, in _run, in _sum and here.
    return same and waiting.flags.c_contiguous and waiting.flags.writeable and solely_held(waiting, 4)


def _observed(node, gradient, create_graph):
    """Return the gradient after a node's hooks, and store it where retain_grad asked for it."""
    if node.hooks is not None:
        gradient = _run_hooks(node.hooks, gradient, create_graph)
    if node.retained is not None:
        _retain(node, gradient)
    return gradient


def _nodes_towards(roots, wanted):
    """Return the nodes from which some wanted node or leaf can be reached, together with the wanted leaves."""
    useful, visited, stack = {leaf for leaf in wanted if not isinstance(leaf, Node)}, set(), []
    stack.extend((root, False) for root in roots if isinstance(root, Node))
    while stack:
        node, children_done = stack.pop()
        if children_done:
            if any(edge is not None and (edge in useful or edge in wanted) for edge in node.edges):
                useful.add(node)
            continue
        if node in visited:
            continue
        visited.add(node)
        stack.append((node, True))
        stack.extend((edge, False) for edge in node.edges if isinstance(edge, Node) and edge not in visited)
    return useful


def _as_tensor(gradient):
    """Return a raw or tracked gradient as a Tensor that users see."""
    return gradient if isinstance(gradient, Tensor) else wrap(_as_array(gradient))


def _as_array(gradient):
    """Return a raw gradient as an array: NumPy's arithmetic turns 0-d arrays into scalars."""
    return xp(gradient).asarray(gradient)


def _run_hooks(hooks, gradient, create_graph):
    """Return the gradient after the user's hooks have seen, and perhaps replaced, it."""
    for hook in list(hooks.values()):
        before = _as_tensor(gradient)
        after = hook(before)
        if after is None:
            continue
        if not isinstance(after, Tensor):
            raise TypeError(f"a tensor hook must return a Tensor or None, but got {type(after).__name__}")
        if after.shape != before.shape:
            raise RuntimeError(f"hook has changed the size of value: {list(before.shape)} to {list(after.shape)}")
        if after.dtype != before.dtype:
            raise RuntimeError(f"hook has changed the type of value: {before.dtype} to {after.dtype}")
        gradient = after if create_graph or after.is_sparse else after.array
    return gradient


def _run_post_hooks(node, gradients, gradient, create_graph):
    """Return the gradients of a node's inputs after the user's hooks have seen, and perhaps replaced, them."""
    parts = [gradient.get(i) for i in range(len(node.shape))] if type(gradient) is dict else [gradient]
    outputs = tuple(None if part is None else _as_tensor(part) for part in parts)
    for hook in list(node.post_hooks.values()):
        inputs = tuple(None if part is None else _as_tensor(part) for part in gradients)
        result = hook(inputs, outputs)
        if result is None:
            continue
        result = result if isinstance(result, tuple) else (result,)
        if len(result) != len(inputs):
            raise RuntimeError(f"hook has returned an incorrect number of values: {len(result)} for {len(inputs)}")
        gradients = [part if part is None or create_graph else part.array for part in result]
    return gradients


def _retain(node, gradient):
    """Store the gradient of a non-leaf that asked for it."""
    tensor = node.retained()
    if tensor is not None:
        tensor._grad = gradient if isinstance(gradient, Tensor) else wrap(_as_array(gradient).copy())


def _as_result(gradient, like, seen):
    """Return a gradient as a Tensor of its own memory and of the dtype of what it belongs to.

    A rule may hand on the array it was given (addition does), so one array can reach several tensors: all but the
    first get a copy. ``seen`` holds the ids of the memories given away; the arrays outlive it.
    """
    if isinstance(gradient, Tensor):
        if gradient.is_sparse and gradient is not like:
            return gradient.to(wrap(like).dtype)
        return gradient
    array = _as_array(gradient)
    if array.dtype != like.dtype:
        return wrap(array.astype(like.dtype))
    root = id(memory_root(array))
    if root in seen or not array.flags.c_contiguous or not getattr(array.flags, "writeable", True):
        return wrap(array.copy())
    seen.add(root)
    return wrap(array)


def _memories(roots):
    """Return the ids of the memories of the gradients that users passed in."""
    return {id(memory_root(g)) for _, g in roots if not isinstance(g, Tensor)}


def _accumulate_into(tensor, gradient, seen):
    """Add a gradient to ``tensor.grad``: in place on plain values, as a new tensor when it is part of a graph."""
    if GPUS and GPUS[0] > 1:
        use_gpu_of(tensor)
    previous = tensor._grad
    if previous is None and isinstance(gradient, Tensor):
        gradient = gradient.clone()  # a recorded gradient may be a view, or belong to others too
    elif previous is None and tensor._hooks:
        gradient = _as_array(gradient).copy()  # a hook may have kept what it was given
    gradient = _as_result(gradient, tensor.array, seen) if previous is None else _as_tensor(gradient)
    if previous is None:
        tensor._grad = gradient
    elif previous.is_sparse or gradient.is_sparse:
        tensor._grad = previous + gradient if gradient.is_sparse else gradient + previous
    elif is_tracked(previous) or is_tracked(gradient):
        tensor._grad = previous + gradient
    else:
        previous += gradient
    if tensor._post_accumulate_hooks is not None:
        for hook in list(tensor._post_accumulate_hooks.values()):
            hook(tensor)


def _check_nan(node, gradients):
    """RuntimeError naming the operation whose gradient is the first that is not a number."""
    for position, gradient in enumerate(gradients):
        if gradient is None:
            continue
        parts = gradient.values() if isinstance(gradient, dict) else (gradient,)
        for part in parts:
            part = part._values() if isinstance(part, Tensor) and part.is_sparse else part
            array = part.array if isinstance(part, Tensor) else part
            if array is not None and bool(xp(array).isnan(array).any()):
                where = ""
                if node.traceback is not None:
                    where = "\nTraceback of the forward call that caused it:\n" + node.traceback
                if MODE.first_nan is not None:
                    name, made_at = MODE.first_nan
                    where += f"\nThe first NaN was made in the forward pass already, by '{name}', called at:\n{made_at}"
                raise RuntimeError(f"Function '{node.name()}' returned nan values in its {position}th output.{where}")
