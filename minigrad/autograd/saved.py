"""What a node of the graph keeps for its gradients, under PyTorch's names: ``y.grad_fn._saved_self`` and the like."""

from minigrad.rules import PICK, unpacked, unpacked_out
from minigrad.variable import MODE, overwritten, written_since

# Names of arguments and parameters here -> PyTorch's; a name of its own for one op has "op." before it.
_NAMES = {
    "x": "self", "a": "self", "b": "other", "base": "self", "log_p": "self", "y": "target", "weights": "weight",
    "atan2.y": "other", "where.x": "x", "matmul.b": "mat2", "convolution.x": "input", "convolution.w": "weight",
    "linear.x": "mat1", "linear.weight": "mat2", "index.index": "indices", "embedding.index": "indices",
    "leaky_relu.slope": "negative_slope", "clamp_number.low": "min", "clamp_number.high": "max",
    "hardtanh.low": "min_val", "hardtanh.high": "max_val", "average_pool.kernel": "kernel_size", "norm.p": "ord",
    "average_pool.divisor": "divisor_override", "average_pool.count": "count_include_pad",
    "normalization.x": "input", "normalization.mean": "result1", "normalization.rstd": "result2",
    "cross_entropy.log_p": "result", "cross_entropy.class_weight": "weight", "cross_entropy.weights": "weights",
}  # fmt: skip
_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def _name(op, own):
    return _NAMES.get(f"{op.name}.{own}") or _NAMES.get(own, own)


def places(node):
    """Return {name of what a node keeps: (kind, where it is)}."""
    while node.op is PICK:
        node = node.edges[0]
    op, found = node.op, {}
    for name in node.params:
        found[_name(op, name)] = "parameter", name
    if not hasattr(op, "keep"):  # a Function: its saved_tensors
        return node, {}
    for position, own in enumerate(op.names):
        if op.keep[position] == "array":
            found[_name(op, own)] = "array", position
        if op.keep[position]:
            found[_name(op, own) + "_sym_sizes"] = "shape", position
    if op.keep_out:
        found["result"] = "result", None
    return node, found


def names(node):
    """Return the attributes of a node for what it keeps."""
    return [f"_saved_{name}" for name in places(node)[1]]


def value(node, attribute):
    """Return what a node keeps under an attribute ``_saved_NAME``: a tensor, in its graph, or a plain value.

    AttributeError for names it has not, RuntimeError for tensors that were freed or written since.
    Source: https://docs.pytorch.org/tutorials/intermediate/autograd_saved_tensors_hooks_tutorial.html

    >>> import minigrad as mg
    >>> x = mg.ones(2, requires_grad=True)
    >>> x.log().grad_fn._saved_self is x
    True
    """
    node, found = places(node)
    if attribute.removeprefix("_saved_") not in found:
        raise AttributeError(
            f"'{node.name()}' object has no attribute '{attribute}': it keeps {', '.join(names(node)) or 'nothing'}"
        )
    kind, place = found[attribute.removeprefix("_saved_")]
    if kind == "parameter":
        kept = node.params[place]
        return _REDUCTIONS[kept] if place == "reduction" else kept
    if node.saved is None and node.restore is not None:
        node.restore(node)
    if node.saved is None:
        raise RuntimeError(
            "Trying to backward through the graph a second time (or directly access saved tensors after they have "
            "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
            "autograd.grad(). Specify retain_graph=True if you need them afterwards."
        )
    kept = node.out if kind == "result" else node.saved[place]
    if kind == "shape":
        return tuple(kept[0] if type(kept) is tuple else getattr(kept, "shape", ()))
    for array in kept if type(kept) is tuple else (kept,):
        if hasattr(array, "flags") and written_since(array, node.saved_at or node.number):
            raise overwritten(node, array, is_result=kind == "result")
    before, MODE.grad = MODE.grad, True
    try:
        return unpacked_out(node) if kind == "result" else unpacked(kept, node.edges[place])
    finally:
        MODE.grad = before
