"""What PyTorch calls the operation of a node of the graph: ``NllLossBackward0`` where the operation here is another."""

from minigrad.rules import PICK

_SAME = {
    "apply_noise": "Mul", "cast": "ToCopy", "cholesky": "LinalgCholeskyEx", "clamp_number": "Clamp:1",
    "contiguous": "Clone", "col2im": "Col2Im", "convolution_input": "Convolution", "det": "LinalgDet",
    "gru_step": "Add", "huber_loss": "SmoothL1Loss", "im2col": "Im2Col", "inv": "LinalgInvEx", "log1p": "Log1P",
    "logsigmoid": "LogSigmoid", "lstm_step": "Mul",
    "max_along": "Max", "median_of_all": "Median", "min_along": "Min", "norm": "LinalgVectorNorm",
    "pad": "ConstantPadNd", "pow": "Pow:1", "power_scalar": "Pow", "prelu": "PreluKernel", "scatter_fill": "Scatter:1",
    "solve": "LinalgSolveEx", "square": "Pow", "unfold_windows": "Unfold", "broadcast_to": "Expand",
}  # fmt: skip
_ELEMENTWISE_LOSS = {"mean": "Mean", "sum": "Sum", "none": "Abs"}


def _shape_of(edge):
    shape = getattr(edge, "shape", None)
    return shape if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape) else None


def _getitem(node):
    """PyTorch takes an index apart from left to right; the last part names the node."""
    index = node.params["index"]
    parts = [part for part in (index if isinstance(index, tuple) else (index,)) if part is not Ellipsis]
    last = parts[-1] if parts else ...
    return {type(None): "Unsqueeze", slice: "Slice", type(...): "Alias"}.get(type(last), "Select")


def _linear(node):
    given = node.edges[2] is not None if node.saved is None else node.saved[2] is not None
    if len(node.shape) == 2:
        return "Addmm" if given else "Mm"
    return "View" if given else "UnsafeView" if len(node.shape) > 2 else "Squeeze:4"


def _after_matmul(name):
    """A product with a vector, or of many matrices with one, is a product of matrices here, in another shape."""

    def rule(node):
        before = getattr(node.edges[0], "op", None)
        if before is None or before.name != "matmul":
            return name(node) if callable(name) else name
        return ("Dot", "Mv")[len(node.shape)] if len(node.shape) < 2 else "UnsafeView"

    return rule


def _squeeze(node):
    return "Squeeze:1" if 1 in node.shape else "Squeeze"


def _normalization(node):
    axes, view = node.params["axes"], node.params["view"]
    if not node.params["centred"]:
        return "Mul"
    if node.params["fixed"] or 0 in axes:
        return "NativeBatchNorm"
    return {1: "NativeLayerNorm", 2: "NativeGroupNorm"}[len(axes)] if axes[0] != 2 or len(view) > 3 else "View"


def _pool(kind):
    def rule(node):
        kernel = node.params["kernel"]
        before = _shape_of(node.edges[0]) or ()
        if kind == "AvgPool" and len(kernel) > 1 and tuple(before[-len(kernel) :]) == tuple(kernel):
            return "Mean:1"  # to one value a channel: what adaptive pooling gives
        end = "WithIndices" if kind == "MaxPool" else ""
        return "Squeeze:1" if len(kernel) == 1 else f"{kind}{len(kernel)}D{end}"

    return rule


def _negative_log_likelihood(node):
    if node.params.get("smoothing"):
        return "Add"
    return "NllLoss" if len(node.params["shape"]) < 2 else "NllLoss2D"


def _sorted_part(node):
    before, dim = _shape_of(node.edges[0]), node.params["dim"]
    whole = before is None or len(before) != len(node.shape) or before[dim] == node.shape[dim]
    return "Sort" if whole else "Topk"


_RULES = {
    **dict.fromkeys(
        ("sum", "mean", "prod"), lambda node: node.op.name.title() + ":1" * (node.params["dim"] is not None)
    ),
    **dict.fromkeys(("cross_entropy", "nll_loss"), _negative_log_likelihood),
    "amax": lambda node: "Max:1" if node.params["dim"] is None else "Amax",
    "amin": lambda node: "Min:1" if node.params["dim"] is None else "Amin",
    "average_pool": _pool("AvgPool"),
    "getitem": _getitem,
    "l1_loss": lambda node: _ELEMENTWISE_LOSS[node.params["reduction"]],
    "linear": _linear,
    "matmul": lambda node: "Mm" if len(node.shape) == 2 else "UnsafeView",
    "max_pool": _pool("MaxPool"),
    "normalization": _normalization,
    "reshape": _after_matmul("View"),
    "squeeze": _after_matmul(_squeeze),
    "take_along": _sorted_part,
}


def name_of(node):
    """Return PyTorch's name for what a node does, which follows from its arguments too.

    >>> import minigrad as mg
    >>> x = mg.ones(2, 3, requires_grad=True)
    >>> [y.grad_fn.name() for y in (x[0], x[:, 1:], x.sum(), x.sum(1), x @ x.T)]
    ['SelectBackward0', 'SliceBackward0', 'SumBackward0', 'SumBackward1', 'MmBackward0']
    """
    if node.op is PICK:  # one of several outputs
        return name_of(node.edges[0])
    if getattr(node.op, "node_name", None):
        return node.op.node_name
    name = node.op.name
    name = _RULES[name](node) if name in _RULES else _SAME.get(name)
    name = name or "".join(part.capitalize() for part in node.op.name.split("_"))
    name, _, number = name.partition(":")
    return f"{name}Backward{number or 0}"
