"""Losses: regression, binary, margin and embedding losses."""

import math

from minigrad.backend import np, xp
from minigrad.op import Op
from minigrad.ops.arguments import as_number, rounds_once, warn_of_call
from minigrad.ops.core import broadcast_to
from minigrad.ops.cross_entropy import reduction_name
from minigrad.ops.define import require_tensor
from minigrad.ops.distance import pairwise_distance
from minigrad.ops.masked import keep_where
from minigrad.ops.unary import inside_op, sgn, sigmoid_op
from minigrad.precision import autocasting
from minigrad.tensor import Tensor, wrap


def reduced(losses, reduction):
    """Return the losses, their mean or their sum."""
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


# ---------------------------------------------------------------------- losses as one operation
def _fused_loss(name, value, slopes):
    """Return an op: value(x, y) per element, then reduced; slopes(x, y, …) are its derivatives by x and by y.

    The reduction is part of the operation: one node instead of two or three.
    """

    def forward(x, y, *, reduction, setting):
        losses = value(x, y, setting)
        if reduction == "none":
            return losses
        if losses.dtype.char == "e":
            total = losses.sum(dtype=np.float32)
            return (total / losses.size if reduction == "mean" else total).astype(np.float16)
        return losses.mean() if reduction == "mean" else losses.sum()

    def rule(g, x, y, reduction, setting, needs):
        if reduction == "mean":
            g = g * (1.0 / math.prod(x.shape)) if math.prod(x.shape) else g
        by_x, by_y = slopes(x, y, setting, needs)
        return by_x * g if needs[0] else None, by_y * g if needs[1] else None

    forward.__name__ = name
    return Op(forward, joint=rule, promote="same", name=name)


def _of_difference(slope):
    """Return the slopes of a loss of x - y: slope(x - y), and its negative for y."""

    def slopes(x, y, setting, needs):
        by_x = slope(x - y, setting)
        return by_x, -by_x if needs[1] else None

    return slopes


def _square(x, y, setting):
    d = x - y
    return d * d


clipped = Op(
    lambda x, *, limit: xp(x).clip(x, -limit, limit),
    [lambda g, x, limit: keep_where(g, inside_op(x, low=-limit, high=limit))],
    name="clipped",
)


def _huber(x, y, delta):
    d = x - y
    inner = xp(x).clip(d, -delta, delta)
    return inner * (d - 0.5 * inner)  # d²/2 inside, delta (|d| - delta/2) outside


def _bce(x, y, setting):
    module = xp(x)
    if module is np and x.size and not bool(((x >= 0) & (x <= 1)).all()):  # a GPU is not waited for
        raise RuntimeError("all elements of input should be between 0 and 1")
    return (y - 1) * module.maximum(module.log1p(-x), -100) - y * module.maximum(module.log(x), -100)


# 1 / max(x, low), constant below low.
bounded_reciprocal = Op(
    lambda x, *, low: 1 / xp(x).maximum(x, low),
    [lambda g, x, out, low: keep_where(-g * out * out, inside_op(x, low=low, high=math.inf))],
    name="bounded_reciprocal",
)
# log(1 - x) - log(x), each logarithm not below -100: the derivative of binary cross-entropy by its target.
negative_logit = Op(
    lambda x: xp(x).maximum(xp(x).log1p(-x), -100) - xp(x).maximum(xp(x).log(x), -100),
    [lambda g, x: -g * bounded_reciprocal((1 - x) * x, low=1e-12)],
    name="negative_logit",
)


def _bce_slopes(x, y, setting, needs):
    by_x = (x - y) * bounded_reciprocal((1 - x) * x, low=1e-12) if needs[0] else None
    return by_x, negative_logit(x) if needs[1] else None


def _bce_logits(x, y, setting):
    module = xp(x)
    out = module.log1p(module.exp(-abs(x)))
    out += module.maximum(x, 0)
    return out - x * y


mse_op = _fused_loss("mse_loss", _square, _of_difference(lambda d, setting: d * 2))
l1_op = _fused_loss("l1_loss", lambda x, y, setting: abs(x - y), _of_difference(lambda d, setting: sgn(d)))
huber_op = _fused_loss("huber_loss", _huber, _of_difference(lambda d, delta: clipped(d, limit=delta)))
bce_op = _fused_loss("binary_cross_entropy", _bce, _bce_slopes)
bce_logits_op = _fused_loss(
    "binary_cross_entropy_with_logits",
    _bce_logits,
    lambda x, y, setting, needs: (sigmoid_op(x) - y if needs[0] else None, -x if needs[1] else None),
)


def _broadcast(name, input, target, warn=True):
    """Return input and target in one shape; warns where they had two, as that is often a mistake."""
    require_tensor(name, input)
    require_tensor(name, target, "target", 2)
    a, b = input.array.shape, target.array.shape
    if a == b:
        return input, target
    if warn:
        warn_of_call(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            "likely "
            "lead to incorrect results due to broadcasting. Please ensure they have the same size."
        )
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        for dim in range(1, min(len(a), len(b)) + 1):
            if a[-dim] != b[-dim] and 1 not in (a[-dim], b[-dim]):
                raise RuntimeError(
                    f"{name}: The size of tensor a ({a[-dim]}) must match the size of tensor b ({b[-dim]}) at "
                    "non-singleton "
                    f"dimension {max(len(a), len(b)) - dim}"
                ) from None
        raise
    return tuple(t if t.array.shape == shape else broadcast_to(t, shape=shape) for t in (input, target))


def _check_weight(name, weight, input):
    """ValueError unless a weight, where there is one, has the shape of the losses."""
    if weight is not None and weight.array.shape != input.array.shape:
        raise ValueError("Weights and input must have the same size.")


def _weighted(losses, weight, reduction):
    """Return weighted losses; their mean is over the weights' sum."""
    losses = losses * weight
    if reduction == "mean":
        return losses.sum() / weight.sum()
    return reduced(losses, reduction)


@autocasting
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Return the squared error (x - y)².

    Arguments: input, target (one shape; broadcast with a warning), reduction ("mean", "sum", "none"), weight (that
    shape: the mean is then over the weights' sum).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.mse_loss(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 4.0]))
    tensor(2.)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    return _difference_loss("mse_loss", mse_op, None, input, target, reduction, weight)


@autocasting
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Return the absolute error |x - y|.

    Arguments: input, target (one shape; broadcast with a warning), reduction ("mean", "sum", "none"), weight (that
    shape).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.l1_loss(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 4.0]))
    tensor(1.)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    return _difference_loss("l1_loss", l1_op, None, input, target, reduction, weight)


def _difference_loss(name, op, setting, input, target, reduction, weight):
    """Run a fused loss, weighted or not."""
    if not (isinstance(target, Tensor) and isinstance(input, Tensor) and input.array.shape == target.array.shape):
        input, target = _broadcast(name, input, target)
    if weight is None:
        return op._general(input, target, reduction=reduction, setting=setting)
    _check_weight(name, weight, input)
    return _weighted(op(input, target, reduction="none", setting=setting), weight, reduction)


@autocasting
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Return (x - y)²/2 where |x - y| ≤ delta and delta (|x - y| - delta/2) elsewhere.

    Arguments: input, target (one shape; broadcast with a warning), reduction, delta > 0, weight (that shape).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.huber_loss(mg.tensor([0.5, 3.0]), mg.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = reduction_name(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    return _difference_loss("huber_loss", huber_op, float(delta), input, target, reduction, weight)


@autocasting
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """Return (x - y)²/(2 beta) where |x - y| < beta and |x - y| - beta/2 elsewhere.

    Arguments: input, target (one shape; broadcast with a warning), reduction, beta ≥ 0 (0: the absolute error).
    Source: Girshick 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.smooth_l1_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.smooth_l1_loss(mg.tensor([0.5, 3.0]), mg.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = reduction_name(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return _difference_loss("smooth_l1_loss", l1_op, None, input, target, reduction, None)
    loss = _difference_loss("smooth_l1_loss", huber_op, float(beta), input, target, reduction, None)
    return loss if beta == 1 else loss / beta


# ---------------------------------------------------------------------- two classes
@autocasting
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Return -(y log x + (1 - y) log(1 - x)); the logarithms are not below -100.

    Arguments: input (probabilities), target (the same shape), weight (broadcasts), reduction. ValueError for two
    shapes, RuntimeError for an input outside [0, 1].
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy.html

    >>> import minigrad as mg
    >>> mg.nn.functional.binary_cross_entropy(mg.tensor([0.5]), mg.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    require_tensor("binary_cross_entropy", input)
    require_tensor("binary_cross_entropy", target, "target", 2)
    if input.array.shape != target.array.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if target.array.dtype != input.array.dtype:
        raise RuntimeError(f"Found dtype {target.dtype} but expected {input.dtype}: convert the target with .to(dtype)")
    if weight is None:
        return bce_op(input, target, reduction=reduction, setting=None)
    return reduced(bce_op(input, target, reduction="none", setting=None) * weight, reduction)


@autocasting
@rounds_once
def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """Return binary cross-entropy of sigmoid(x), computed without overflow.

    Arguments: input (logits), target (the same shape), weight (broadcasts), pos_weight (factor of the positive term;
    broadcasts), reduction. ValueError for two shapes.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html

    >>> import minigrad as mg
    >>> mg.nn.functional.binary_cross_entropy_with_logits(mg.tensor([0.0]), mg.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    require_tensor("binary_cross_entropy_with_logits", input)
    require_tensor("binary_cross_entropy_with_logits", target, "target", 2)
    if input.array.shape != target.array.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if weight is None and pos_weight is None:
        return bce_logits_op(input, target, reduction=reduction, setting=None)
    if pos_weight is None:
        losses = bce_logits_op(input, target, reduction="none", setting=None)
    else:
        ones = broadcast_to(input.new_ones(()), shape=input.array.shape)
        positive = bce_logits_op(input, ones, reduction="none", setting=None)  # softplus(-x)
        losses = (1 - target) * input + ((pos_weight - 1) * target + 1) * positive
    if weight is not None:
        losses = losses * weight
    return reduced(losses, reduction)


@autocasting
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Return log(1 + exp(-y x)) for targets y of 1 and -1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.soft_margin_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.soft_margin_loss(mg.tensor([0.0]), mg.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    input, target = _broadcast("soft_margin_loss", input, target, warn=False)
    return reduced((-target * input).exp().log1p(), reduction)


@autocasting
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """Return x where the target is 1 and max(0, margin - x) where it is -1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hinge_embedding_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.hinge_embedding_loss(mg.tensor([0.3, 0.3]), mg.tensor([1, -1]), reduction="none")
    tensor([0.3000, 0.7000])
    """
    reduction = reduction_name(reduction, size_average, reduce)
    require_tensor("hinge_embedding_loss", input)
    require_tensor("hinge_embedding_loss", target, "target", 2)
    apart = keep_where((margin - input).clamp(min=0), target != 1)
    together = keep_where(input, target != -1)
    return reduced(apart + together, reduction)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Return the mean over classes of binary cross-entropy with logits.

    Arguments: input, target (N, C) or (C,), weight (C,), reduction.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_soft_margin_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.multilabel_soft_margin_loss(mg.zeros(1, 2), mg.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    input, target = _broadcast("multilabel_soft_margin_loss", input, target, warn=False)
    losses = bce_logits_op(input, target, reduction="none", setting=None)
    if weight is not None:
        losses = losses * weight
    return reduced(losses.mean(-1), reduction)


# ---------------------------------------------------------------------- distributions
@autocasting
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """Return the Kullback-Leibler divergence y (log y - x) of log probabilities x.

    Arguments: input (log probabilities), target (probabilities, or their logarithms with log_target), reduction
    ("mean", "sum", "none", or "batchmean": the sum over the batch size, which is the divergence proper).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html

    >>> import minigrad as mg
    >>> mg.nn.functional.kl_div(mg.tensor([[0.0]]), mg.tensor([[1.0]]), reduction="batchmean")
    tensor(0.)
    """
    require_tensor("kl_div", input)
    require_tensor("kl_div", target, "target", 2)
    if reduction == "mean" and size_average is None and reduce is None:
        warn_of_call(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release."
        )
    batchmean = reduction == "batchmean" and size_average is None and reduce is None
    reduction = "sum" if batchmean else reduction_name(reduction, size_average, reduce)
    losses = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    result = reduced(losses, reduction)
    return result / input.array.shape[0] if batchmean and input.array.ndim else result


@autocasting
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """Return the negative log likelihood of counts: exp(x) - y x, or x - y log(x + eps) without log_input.

    Arguments: input, target (broadcast), full (add Stirling's y log y - y + log(2 π y)/2 for y > 1), reduction.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.poisson_nll_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.poisson_nll_loss(mg.zeros(1), mg.ones(1))
    tensor(1.)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    require_tensor("poisson_nll_loss", input)
    require_tensor("poisson_nll_loss", target, "target", 2)
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        losses = losses + keep_where(stirling, target > 1)
    return reduced(losses, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """Return (log var + (x - y)² / var) / 2, the variance not below eps.

    Arguments: input (the means), target (broadcast), var (≥ 0: a number, input's shape, or that with one
    dimension 1 or the last one missing), full (add log(2 π)/2), reduction. ValueError for a var that does not fit or
    is negative.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gaussian_nll_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.gaussian_nll_loss(mg.zeros(1), mg.ones(1), mg.ones(1))
    tensor(0.5000)
    """
    require_tensor("gaussian_nll_loss", input)
    require_tensor("gaussian_nll_loss", target, "target", 2)
    if isinstance(var, (int, float)) and not isinstance(var, bool):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = broadcast_to(input.new_full((), var), shape=input.array.shape)
    elif type(var.array) is np.ndarray and bool((var.array < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.array.shape != input.array.shape:
        wanted, given = input.array.shape, var.array.shape
        if wanted[:-1] == given:
            var = var.unsqueeze(-1)
        elif len(wanted) != len(given) or [b for a, b in zip(wanted, given, strict=True) if a != b] != [1]:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    # The bound moves the value, not the gradient: a variance below eps is still pulled by its loss.
    var = var + wrap((as_number(eps) - var.array).clip(0, None).astype(var.array.dtype))
    losses = 0.5 * (var.log() + (input - target) ** 2 / var)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction)


# ---------------------------------------------------------------------- margins
@autocasting
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """Return max(0, -y (x₁ - x₂) + margin) for targets y of 1 (x₁ ranks higher) and -1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.margin_ranking_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.margin_ranking_loss(mg.zeros(1), mg.ones(1), mg.ones(1))
    tensor(1.)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    for position, tensor in enumerate((input1, input2, target), 1):
        require_tensor("margin_ranking_loss", tensor, ("input1", "input2", "target")[position - 1], position)
    if not input1.array.ndim == input2.array.ndim == target.array.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced((-target * (input1 - input2) + float(margin)).clamp(min=0), reduction)


def _class_scores(name, input, target):
    """Return (scores (N, C), targets (N, …)) of a sample or a batch; RuntimeError for other shapes."""
    require_tensor(name, input)
    require_tensor(name, target, "target", 2)
    if input.array.ndim not in (0, 1, 2) or input.array.ndim and input.array.shape[-1] == 0:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    return input.reshape(1, -1) if input.array.ndim < 2 else input


@autocasting
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Return Σ_{c ≠ t} weight[t] max(0, margin - x_t + x_c)^p / C.

    Arguments: input (N, C) or (C,), target (N,) or () int64, p (1 or 2), weight (C,), reduction.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.multi_margin_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.multi_margin_loss(mg.tensor([[0.1, 0.2, 0.4, 0.8]]), mg.tensor([3]))
    tensor(0.3250)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    scores = _class_scores("multi_margin_loss", input, target)
    count, classes = scores.array.shape
    if weight is not None and weight.array.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    if weight is not None and weight.array.size != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    if target.array.dtype.kind not in "iu":
        raise RuntimeError(f"expected scalar type Long but found {target.dtype}")
    if target.array.size != count or target.array.ndim > 1:
        raise RuntimeError(f"inconsistent target size, expected {count} but got {list(target.shape)}")
    index = target.reshape(-1, 1)
    if count and type(index.array) is np.ndarray and bool(((index.array < 0) | (index.array >= classes)).any()):
        raise RuntimeError("target out of range")
    margins = (margin - scores.gather(1, index) + scores).clamp(min=0)
    if p == 2:
        margins = margins * margins
    if weight is not None:
        margins = margins * weight.reshape(-1)[index]
    others = xp(scores.array).arange(classes) != index.array
    losses = keep_where(margins, wrap(others)).sum(1) / classes
    if reduction == "none" and target.array.ndim == 0:
        return losses.reshape(())
    return reduced(losses, reduction)


@autocasting
def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Return Σ max(0, 1 - (x_t - x_c)) / C over a sample's target classes t and its other classes c.

    Arguments: input (N, C) or (C,), target (the same shape) int64: the classes, ended by -1; reduction.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_margin_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.multilabel_margin_loss(mg.tensor([[0.1, 0.2, 0.4, 0.8]]), mg.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    scores = _class_scores("multilabel_margin_loss", input, target)
    if target.array.shape != input.array.shape:
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    if target.array.dtype.kind not in "iu":
        raise RuntimeError(f"expected scalar type Long but found {target.dtype}")
    classes = scores.array.shape[1]
    labels = target.array.reshape(-1, classes)
    if labels.size and type(labels) is np.ndarray and bool((labels >= classes).any() or (labels < -1).any()):
        raise RuntimeError("argument 'target' is out of range")
    module = xp(labels)
    listed = module.cumsum(labels < 0, axis=1) == 0  # the entries before the first -1
    is_target = ((labels[:, :, None] == module.arange(classes)) & listed[:, :, None]).any(axis=1)
    chosen = scores.gather(1, wrap(module.where(listed, labels, 0)))
    pairs = (1 - chosen.unsqueeze(2) + scores.unsqueeze(1)).clamp(min=0)  # (N, label, class)
    losses = keep_where(pairs, wrap(listed[:, :, None] & ~is_target[:, None, :])).sum((1, 2)) / classes
    if reduction == "none" and input.array.ndim < 2:
        return losses.reshape(())
    return reduced(losses, reduction)


# ---------------------------------------------------------------------- embeddings
@autocasting
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """Return 1 - cos(x₁, x₂) where the target is 1 and max(0, cos(x₁, x₂) - margin) where it is -1.

    Arguments: input1, input2 (N, D) or (D,), target (N,) or (), margin, reduction.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_embedding_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.cosine_embedding_loss(mg.ones(1, 2), mg.ones(1, 2), mg.ones(1))
    tensor(0.)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    for position, tensor in enumerate((input1, input2, target), 1):
        require_tensor("cosine_embedding_loss", tensor, ("input1", "input2", "target")[position - 1], position)
    if target.array.ndim not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.array.ndim != target.array.ndim + 1 or input2.array.ndim != target.array.ndim + 1:
        kind, size = ("1D", "0D") if target.array.ndim == 0 else ("2D", "1D")
        raise RuntimeError(
            f"{size} target tensor expects {kind} input tensors, but found inputs with sizes {list(input1.shape)} and "
            f"{list(input2.shape)}."
        )
    similarity = _cosine(input1, input2)
    together = keep_where(1 - similarity, target == 1)
    apart = keep_where((similarity - margin).clamp(min=0), target == -1)
    return reduced(together + apart, reduction)


def _cosine(a, b):
    """Return the cosine of the angle between vectors in the last dimension; the squared norms not quite zero."""
    tiny = 1e-12
    squares = ((a * a).sum(-1) + tiny) * ((b * b).sum(-1) + tiny)
    return (a * b).sum(-1) / squares.sqrt()


@autocasting
def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    """Return max(0, d(a, p) - d(a, n) + margin), d the p-norm of the difference.

    Arguments: anchor, positive, negative (N, D) or (D,), margin > 0, p, eps, swap (use the positive's distance to the
    negative where that is smaller), reduction.
    Source: Balntas et al. 2016;
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.triplet_margin_loss(mg.zeros(1, 2), mg.zeros(1, 2), mg.zeros(1, 2))
    tensor(1.)
    """
    reduction = reduction_name(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    dims = [tensor.array.ndim for tensor in (anchor, positive, negative)]
    if len(set(dims)) != 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {dims[0]}D, positive {dims[1]}D, and negative {dims[2]}D inputs"
        )
    return _triplet(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """Return max(0, d(a, p) - d(a, n) + margin) for any distance function d (default: pairwise_distance).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_with_distance_loss.html

    >>> import minigrad as mg
    >>> mg.nn.functional.triplet_margin_with_distance_loss(mg.zeros(1, 2), mg.zeros(1, 2), mg.zeros(1, 2))
    tensor(1.)
    """
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    dims = [tensor.array.ndim for tensor in (anchor, positive, negative)]
    if len(set(dims)) != 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {dims[0]}D, positive {dims[1]}D, and negative {dims[2]}D inputs"
        )
    return _triplet(
        anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction_name(reduction)
    )


def _triplet(anchor, positive, negative, distance, margin, swap, reduction):
    near = distance(anchor, positive)
    far = distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((near - far + margin).clamp(min=0), reduction)
