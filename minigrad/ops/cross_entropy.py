"""Cross-entropy and negative log likelihood of class indices, as one operation each."""

import math

from minigrad.backend import REAL_CODES, np, xp
from minigrad.backend.placement import check_device
from minigrad.kernels import loss as kernels
from minigrad.op import Op
from minigrad.ops.arguments import as_int, warn_of_call
from minigrad.ops.core import broadcast_to, cast
from minigrad.ops.define import require_tensor
from minigrad.ops.linear import linear
from minigrad.ops.reduce import sum_op
from minigrad.ops.shape import reshape_op
from minigrad.ops.softmax import log_softmax_op
from minigrad.ops.unary import exp_op
from minigrad.precision import autocasting
from minigrad.tensor import Tensor, wrap


def reduction_name(reduction, size_average=None, reduce=None):
    """Return "none", "mean" or "sum", from the deprecated size_average and reduce too; ValueError for anything else."""
    if size_average is not None or reduce is not None:
        size_average = True if size_average is None else size_average
        reduce = True if reduce is None else reduce
        reduction = ("mean" if size_average else "sum") if reduce else "none"
        warn_of_call(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead."
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


# ---------------------------------------------------------------------- the two operations
def _reduced(losses, reduction, divisor, shape):
    """Return losses (N, L) in the shape of the target, or their sum, or their sum over the divisor."""
    if reduction == "none":
        return losses.reshape(shape)
    total = losses.sum()
    return total if reduction == "sum" else total / divisor


def _finite(divisor, counted):
    """Return the divisor for a gradient: where nothing counts the mean is NaN, but its gradient 0, as in PyTorch.

    ``counted`` (N, L) is zero where the target is ignored; None means that all targets count.
    """
    nothing = divisor != divisor and counted is not None and not counted.any()
    return math.inf if nothing else divisor


def _position_gradient(g, target, reduction, divisor):
    """Return the gradient of the losses, which broadcasts with (N, L), from that of the reduced loss."""
    return g.reshape(target.shape) if reduction == "none" else g if reduction == "sum" else g / divisor


def _nll(log_p, target, weights, *, view, reduction, divisor, shape):
    losses = -kernels.picked(log_p.reshape(view), target)
    if weights is not None:
        losses = xp(losses).where(weights == 0, xp(losses).zeros((), losses.dtype), losses * weights)
    return _reduced(losses, reduction, divisor, shape)


def _nll_gradient(g, target, weights, *, view, reduction, divisor, shape, input_shape):
    out = xp(g).zeros(view, g.dtype)
    scale = xp(g).asarray(_position_gradient(g, target, reduction, _finite(divisor, weights)), g.dtype)
    if weights is not None:
        scale = weights * scale
    kernels.add_at_target(out, target, -scale)
    return out.reshape(input_shape)


nll_op = Op(
    _nll,
    [
        lambda g, target, weights, view, reduction, divisor, shape, log_p_shape: nll_gradient(
            g, target, weights, view=view, reduction=reduction, divisor=divisor, shape=shape, input_shape=log_p_shape
        ),
        None,
        None,
    ],
    name="nll_loss",
)
nll_gradient = Op(
    _nll_gradient,
    [
        lambda h, target, weights, view, reduction, divisor, shape: nll_op(
            h, target, weights, view=view, reduction=reduction, divisor=divisor, shape=shape
        ),
        None,
        None,
    ],
    name="nll_loss_gradient",
)


def _cross_entropy(x, log_p, target, weights, valid, class_weight, *, view, smoothing, reduction, divisor, shape):
    losses = kernels.cross_entropy(log_p, target, weights, valid, class_weight, smoothing)
    return _reduced(losses, reduction, divisor, shape).astype(x.dtype, copy=False)


def _cross_entropy_rule(
    g, x, log_p, target, weights, valid, class_weight, view, smoothing, reduction, divisor, shape, needs
):
    """Return the gradient, by the fused kernel or, when the pass is itself recorded, composed of simple operations."""
    if isinstance(g, Tensor):
        return (
            _composed_gradient(g, x, target, weights, valid, class_weight, view, smoothing, reduction, divisor),
            *(None,) * 5,
        )
    g = xp(log_p).asarray(_position_gradient(g, target, reduction, _finite(divisor, valid)), log_p.dtype)
    out = kernels.cross_entropy_gradient(g, log_p, target, weights, valid, class_weight, smoothing)
    return out.reshape(x.shape).astype(x.dtype, copy=False), *(None,) * 5


def _composed_gradient(g, x, target, weights, valid, class_weight, view, smoothing, reduction, divisor):
    """Return g (Σ q softmax(x) - q), q the target distribution, as recorded operations."""
    target = target.array
    weights, valid, class_weight = (None if part is None else part.array for part in (weights, valid, class_weight))
    module = xp(x.array)
    dtype = _float(x.array)
    q = module.zeros(view, dtype)
    weights = module.ones(target.shape, dtype) if weights is None else weights
    kernels.add_at_target(q, target, weights * (1 - smoothing))
    if smoothing:
        share = smoothing / view[1]
        spread = module.full(view, share, dtype) if class_weight is None else share * class_weight[None, :, None]
        q = q + (spread if valid is None else spread * valid[:, None, :])
    g = reshape_op(g, shape=(view[0], 1, view[2]) if reduction == "none" else ())
    g = g * (1 / _finite(divisor, valid)) if reduction == "mean" else g
    p = exp_op(log_softmax_op(reshape_op(x, shape=view), dim=1))
    q = q.astype(x.array.dtype, copy=False)
    result = (p * wrap(q.sum(axis=1, keepdims=True)) - wrap(q)) * g
    return reshape_op(result, shape=x.shape)


# log_p, the log-softmax of x, is an argument so that it is computed once; the gradient goes to x alone.
cross_entropy_op = Op(_cross_entropy, joint=_cross_entropy_rule, name="cross_entropy")


# ---------------------------------------------------------------------- both on a GPU, where nothing is read back
def _unseen_loss(x, loss, target, class_weight, state, divisor, *, view, ignore, smoothing):
    return loss


def _unseen_loss_rule(g, x, target, class_weight, state, divisor, view, ignore, smoothing, needs):
    if isinstance(g, Tensor):
        target, class_weight, divisor = (
            part.array if isinstance(part, Tensor) else part for part in (target, class_weight, divisor)
        )
        return _composed_unseen_gradient(g, x, target, class_weight, state, divisor, view, ignore, smoothing), *_NONE
    g = g.reshape(target.shape) if g.ndim else g
    out = kernels.unseen_gradient(g, x.reshape(view), target, class_weight, state, divisor, ignore, smoothing)
    return out.reshape(x.shape), *_NONE


_NONE = (None,) * 5


def _composed_unseen_gradient(g, x, target, class_weight, state, divisor, view, ignore, smoothing):
    """Return g (Σ q softmax(x) - q), or -g q for logarithms of probabilities; q comes from the kernel."""
    ones = xp(target).ones((), x.array.dtype)
    # Without a state the kernel returns -q, over the divisor of a mean.
    q = -kernels.unseen_gradient(ones, x.array.reshape(view), target, class_weight, None, divisor, ignore, smoothing)
    g = reshape_op(g, shape=(view[0], 1, view[2])) if g.ndim else g
    if state is None:
        return reshape_op(g * wrap(-q), shape=x.shape)
    p = exp_op(log_softmax_op(reshape_op(x, shape=view), dim=1))
    return reshape_op((p * wrap(q.sum(axis=1, keepdims=True)) - wrap(q)) * g, shape=x.shape)


# The loss is an argument because what the gradient needs is made with it; the gradient goes to x alone.
unseen_loss_op = Op(_unseen_loss, joint=_unseen_loss_rule, name="unseen_loss")


def _unseen(x):
    """Return whether targets are not looked at on the CPU: scores are on a GPU, which would be waited for."""
    return type(x) is not np.ndarray and x.size > 0


def _without_a_look(name, input, target, weight, ignore_index, reduction, logits, smoothing=0.0):
    """Return the loss by kernels that do not tell the CPU of targets out of range: the loss is NaN then."""
    x, t = input.array, target.array
    view, shape = _checked_shapes(name, input, target, weight)
    t = t.reshape(view[0], view[2]).astype("int64", copy=False)
    weight = None if weight is None else weight.array
    loss, state, divisor = kernels.unseen_loss(
        x.reshape(view), t, weight, int(ignore_index), reduction, logits, smoothing
    )
    loss = loss.reshape(shape) if reduction == "none" else loss
    return unseen_loss_op._general(
        input, loss, t, weight, state, divisor, view=view, ignore=int(ignore_index), smoothing=smoothing
    )


# ---------------------------------------------------------------------- their arguments
def _checked_shapes(name, input, target, weight):
    """Return (view (N, C, L) of the input, target's shape); errors for shapes and dtypes that do not fit."""
    x, t = input.array, target.array
    batched = x.ndim > 1
    classes = x.shape[1] if batched else x.shape[0]
    if batched and t.ndim and x.shape[0] != t.shape[0]:
        raise ValueError(f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({t.shape[0]}).")
    expected = (x.shape[0], *x.shape[2:]) if batched else ()
    if t.shape != expected:
        if not batched:
            raise RuntimeError(f"size mismatch (got input: {list(x.shape)}, target: {list(t.shape)})")
        if x.ndim == 2:
            raise RuntimeError(f"{name}: 0D or 1D target tensor expected, multi-target not supported: {list(t.shape)}")
        raise RuntimeError(f"Expected target size {list(expected)}, got {list(t.shape)}")
    if weight is not None and weight.array.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list(weight.shape)}"
        )
    if weight is not None and weight.array.dtype != x.dtype:
        raise RuntimeError(f"expected scalar type {input.dtype} but found {weight.dtype}: the weight's dtype differs")
    positions = math.prod(expected[1:])
    return (x.shape[0] if batched else 1, classes, positions), expected


def _prepared(name, input, target, weight, ignore_index):
    """Return (target (N, L) in range, valid mask or None, weights (N, L) or None, view (N, C, L), target's shape)."""
    view, expected = _checked_shapes(name, input, target, weight)
    classes = view[1]
    x, t = input.array, target.array.reshape(view[0], view[2])
    valid = None
    ignore_index = as_int(ignore_index, name)
    if 0 <= ignore_index < classes or kernels.beyond(t, classes):
        valid = t != ignore_index
        wrong = ((t < 0) | (t >= classes)) & valid
        if wrong.any():
            raise IndexError(f"Target {int(t[wrong][0])} is out of bounds.")
        t = xp(t).where(valid, t, 0)
    weights = kernels.position_weights(t, valid, None if weight is None else weight.array, _float(x))
    return t, valid, weights, view, expected


def _float(x):
    """Return the dtype losses are computed in: float32 for half precision."""
    return xp(x).float32 if x.dtype.char in "eE" else x.dtype


def _check_inputs(name, input, target, weight):
    require_tensor(name, input)
    require_tensor(name, target, "target", 2)
    check_device(name, input, target, weight)
    if input.array.dtype.char not in REAL_CODES:
        raise RuntimeError(f"{name}: not implemented for {input.dtype}: the input has to be floating point")
    if input.array.ndim < 1:
        raise ValueError(f"Expected 1 or more dimensions (got {input.array.ndim})")


def _check_indices(target):
    if target.array.dtype.char not in "lqB":
        raise RuntimeError(f"expected scalar type Long but found {target.dtype}: class indices have to be int64")


@autocasting
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """Return the negative log likelihood -weight[t] x[n, t] of the targets.

    Arguments: input (N, C), (N, C, d1, …) or (C,), log probabilities; target (N, d1, …) int64 class indices; weight
    (C,); ignore_index (a target that counts nothing); reduction ("mean": weighted, "sum", "none").
    IndexError for a target out of range (on a GPU, which is not waited for, the loss is NaN instead), ValueError or
    RuntimeError for shapes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.nll_loss(mg.tensor([[-1.0, -2.0]]), mg.tensor([1]))
    tensor(2.)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    _check_inputs("nll_loss", input, target, weight)
    _check_indices(target)
    return _nll_loss(input, target, weight, ignore_index, reduction)


def _nll_loss(input, target, weight, ignore_index, reduction):
    if _unseen(input.array):
        return _without_a_look("nll_loss", input, target, weight, ignore_index, reduction, False)
    wide = cast(input, dtype=_float(input.array)) if input.array.dtype.char in "eE" else input
    t, _, weights, view, shape = _prepared("nll_loss", input, target, weight, ignore_index)
    divisor = 1.0
    if reduction == "mean":
        divisor = float(t.size if weights is None else weights.sum())
    result = nll_op(wide, t, weights, view=view, reduction=reduction, divisor=_safe(divisor), shape=shape)
    return result if wide is input else cast(result, dtype=input.array.dtype)


def _safe(divisor):
    """Return a divisor that turns 0 / 0 into NaN without an exception."""
    return divisor if divisor else float("nan")


@autocasting
def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """Return -Σ_c q_c weight_c log softmax(x)_c, with q the target distribution mixed with the uniform one.

    Arguments: input (N, C), (N, C, d1, …) or (C,), unnormalised scores; target (N, d1, …) int64 class indices, or
    probabilities of input's shape; weight (C,); ignore_index (for class indices); reduction; label_smoothing in [0, 1].
    IndexError for a target out of range (on a GPU, which is not waited for, the loss is NaN instead), ValueError or
    RuntimeError for shapes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html

    >>> import minigrad as mg
    >>> mg.nn.functional.cross_entropy(mg.zeros(1, 2), mg.tensor([1]))
    tensor(0.6931)
    """
    if size_average is not None or reduce is not None or reduction not in ("mean", "sum", "none"):
        reduction = reduction_name(reduction, size_average, reduce)
    _check_inputs("cross_entropy_loss", input, target, weight)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if target.array.shape == input.array.shape and target.array.dtype.char in REAL_CODES:
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    if target.array.dtype.char in REAL_CODES and target.array.ndim == input.array.ndim:
        raise RuntimeError(
            f"cross_entropy: a target of probabilities has to have the input's shape {list(input.shape)}, but has "
            f"{list(target.shape)}"
        )
    _check_indices(target)
    if _unseen(input.array):
        smoothing = float(label_smoothing)
        return _without_a_look("cross_entropy", input, target, weight, ignore_index, reduction, True, smoothing)
    t, valid, weights, view, shape = _prepared("cross_entropy", input, target, weight, ignore_index)
    log_p = kernels.log_softmax(input.array.reshape(view))
    divisor = 1.0
    if reduction == "mean":
        divisor = float(t.size if weights is None else weights.sum())
    return cross_entropy_op._general(
        input, log_p, t, weights, valid, None if weight is None else weight.array.astype(log_p.dtype, copy=False),
        view=view, smoothing=label_smoothing, reduction=reduction, divisor=_safe(divisor), shape=shape,
    )  # fmt: skip


def _soft_cross_entropy(input, target, weight, ignore_index, reduction, smoothing):
    """Return the cross-entropy with a target of probabilities, differentiable in both."""
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    dim = 1 if input.array.ndim > 1 else 0
    classes = input.array.shape[dim]
    if weight is not None and weight.array.shape != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes but got "
            "weight "
            f"tensor of shape: {list(weight.shape)}"
        )
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    log_p = log_softmax_op(input, dim=dim)
    terms = log_p * target
    if weight is not None:
        shape = tuple(classes if axis == dim else 1 for axis in range(input.array.ndim))
        terms = terms * broadcast_to(reshape_op(weight, shape=shape), shape=input.array.shape)
    if reduction == "none":
        return -sum_op(terms, dim=(dim,), keepdim=False)
    total = -sum_op(terms, dim=None, keepdim=False)
    return total if reduction == "sum" else total / _safe(input.array.size / classes if classes else 0)


def check_class_options(classes, weight, label_smoothing):
    """RuntimeError unless there is one weight per class and the smoothing is in [0, 1]."""
    if weight is not None and weight.array.shape != (classes,):
        raise RuntimeError(f"expected weight shape to be {(classes,)}, got {tuple(weight.shape)}")
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")


def linear_cross_entropy(
    input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean", ignore_index=None,
    label_smoothing=0.0, options=None,
):  # fmt: skip
    """Return cross_entropy(linear(input, linear_weight, linear_bias), target, …).

    Arguments: input (N, in) or (in,); linear_weight (C, in) or, for targets (N, d1, …), (C, d1, …, in); linear_bias of
    its shape without in; the others as for cross_entropy (ignore_index None: -100); options (how PyTorch divides the
    work to save memory; the values are the same). RuntimeError for shapes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear_cross_entropy.html

    >>> import minigrad as mg
    >>> mg.nn.functional.linear_cross_entropy(mg.zeros(1, 3), mg.ones(2, 3), mg.tensor([1]))
    tensor(0.6931)
    """
    tensors = (("input", input), ("linear_weight", linear_weight), ("target", target))
    for position, (name, tensor) in enumerate(tensors, 1):
        require_tensor("linear_cross_entropy", tensor, name, position)
    if input.array.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.array.ndim}")
    if linear_weight.array.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.array.ndim}")
    classes = linear_weight.array.shape[:-1]
    if linear_bias is not None and linear_bias.array.shape != classes:
        raise RuntimeError(f"expected linear_bias shape {classes}, got {tuple(linear_bias.shape)}")
    check_class_options(classes[0], weight, label_smoothing)
    if input.array.ndim > 1 and target.array.ndim and input.array.shape[0] != target.array.shape[0]:
        raise ValueError(
            f"Expected input batch_size ({input.array.shape[0]}) to match target batch_size ({target.array.shape[0]})."
        )
    if len(classes) > 1:
        if input.array.ndim != 2:
            raise RuntimeError(
                f"linear_cross_entropy(): a weight of shape {list(linear_weight.shape)} needs an input "
                f"(N, in_features), but got {list(input.shape)}"
            )
        linear_weight = reshape_op(linear_weight, shape=(math.prod(classes), linear_weight.array.shape[-1]))
        linear_bias = None if linear_bias is None else reshape_op(linear_bias, shape=(math.prod(classes),))
    scores = linear(input, linear_weight, linear_bias)
    if len(classes) > 1:
        scores = reshape_op(scores, shape=(input.array.shape[0], *classes))
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(
        scores, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )
