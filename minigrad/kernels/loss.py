"""Losses on raw arrays: cross-entropy and negative log likelihood of class indices.

Scores come as (N, C, L), targets as (N, L) with class indices; positions whose target is ignored give zero.
"""

from minigrad.backend import np, xp
from minigrad.kernels import cuda

FEW = 32  # targets up to which Python's numbers are faster than two reductions: 0.3 µs against 1.9


def log_softmax(x):
    """Return the logarithm of the softmax over dimension 1 of x (N, C, L); half precision in float32."""
    module = xp(x)
    if x.dtype.char in "eE":
        x = x.astype(np.float32)
    if not x.size:
        return x.copy()
    if x.shape[2] == 1:  # the classes lie next to each other: sums over rows
        return _log_softmax(x[:, :, 0], module)[:, :, None]
    return _log_softmax(x, module)


def _log_softmax(x, module):
    out = x - x.max(axis=1, keepdims=True)
    sums = module.exp(out).sum(axis=1, keepdims=True)
    out -= module.log(sums, out=sums)
    return out


def picked(x, target):
    """Return x[n, target[n, l], l] as (N, L); targets have to be in range."""
    module = xp(x)
    if x.shape[2] == 1:
        return x[module.arange(x.shape[0]), target[:, 0], 0][:, None]
    return module.take_along_axis(x, target[:, None, :], axis=1)[:, 0]


def add_at_target(out, target, values):
    """Add values, (N, L) or a number, to out (N, C, L) at the target classes, in place: each place is named once."""
    module = xp(out)
    samples = module.arange(out.shape[0])
    if out.shape[2] == 1:
        out[samples, target[:, 0], 0] += values[:, 0] if getattr(values, "ndim", 0) else values
    else:
        out[samples[:, None], target, module.arange(out.shape[2])[None, :]] += values


def position_weights(target, valid, weight, dtype):
    """Return weight[target] (or 1) as (N, L), zero where the target is ignored; None if all are 1."""
    module = xp(target)
    if weight is None:
        return None if valid is None else valid.astype(dtype)
    chosen = weight[target].astype(dtype, copy=False)
    return chosen if valid is None else module.where(valid, chosen, module.zeros((), dtype))


def beyond(target, classes):
    """Return whether some index is negative or not below classes."""
    if not target.size:
        return False
    if target.size <= FEW and xp(target) is np:
        values = target.ravel().tolist()
        return max(values) >= classes or min(values) < 0
    if target.dtype.char in "lq":  # a negative number is a huge one without its sign: one pass instead of four
        target = target.view("uint64")
    return int(target.max()) >= classes or int(target.min()) < 0


def cross_entropy(log_p, target, weights, valid, class_weight, smoothing):
    """Return the losses (N, L): (1 - smoothing) of the target's and smoothing / C of all classes' -log p, weighted."""
    losses = -picked(log_p, target)
    if weights is not None:
        losses *= weights
    if valid is not None:  # an ignored position counts nothing, even where its score is infinite
        losses = xp(losses).where(valid, losses, xp(losses).zeros((), losses.dtype))
    if smoothing:
        losses *= 1 - smoothing
        classes = log_p if class_weight is None else log_p * class_weight[None, :, None]
        spread = classes.sum(axis=1) * (-smoothing / log_p.shape[1])
        losses += spread if valid is None else xp(spread).where(valid, spread, xp(spread).zeros((), spread.dtype))
    return losses


def cross_entropy_gradient(g, log_p, target, weights, valid, class_weight, smoothing):
    """Return the gradient (N, C, L) to the scores; g (N, L) or 0-d is the gradient of the losses."""
    out = xp(log_p).exp(log_p)
    scale = g if weights is None else weights * g
    if not smoothing:
        out *= scale[:, None, :] if scale.ndim else scale
        add_at_target(out, target, -scale)
        return out
    scale = xp(scale).broadcast_to(scale, target.shape)
    active = xp(scale).broadcast_to(g, target.shape) * (1 if valid is None else valid)
    active = active.astype(log_p.dtype, copy=False)
    classes = log_p.shape[1]
    share = smoothing / classes
    spread = smoothing if class_weight is None else share * float(class_weight.sum())
    total = scale * (1 - smoothing) + active * spread
    out *= total[:, None, :]
    if class_weight is None:
        out -= (active * share)[:, None, :]
    else:
        out -= active[:, None, :] * (class_weight * share)[None, :, None]
    add_at_target(out, target, scale * -(1 - smoothing))
    return out


# ---------------------------------------------------------------------- without a look at the targets' values
def unseen_loss(x, target, class_weight, ignore, reduction, logits, smoothing=0.0):
    """Return (loss, state, divisor) of x (N, C, L), scores or (not ``logits``) logarithms of probabilities.

    target (N, L) int64; where one is neither a class nor ignored the loss is NaN, so that nothing has to be read back
    from a GPU. The loss is (N, L) or a number of x's dtype; state and divisor go to `unseen_gradient`.
    """
    if cuda.arrays.takes(x):
        return cuda.softmax.loss(x, target, class_weight, ignore, reduction, logits, smoothing)
    log_p = log_softmax(x) if logits else x
    target, valid, wrong = _checked_later(target, ignore, x.shape[1])
    weights = position_weights(target, valid, class_weight, log_p.dtype)
    losses = cross_entropy(log_p, target, weights, valid, class_weight, smoothing)
    losses = xp(x).where(wrong, float("nan"), losses)
    if reduction == "none":
        return losses.astype(x.dtype, copy=False), log_p if logits else None, None
    divisor = weights.sum() if reduction == "mean" else None
    total = losses.sum() if divisor is None else losses.sum() / divisor
    return total.astype(x.dtype, copy=False), log_p if logits else None, divisor


def unseen_gradient(g, x, target, class_weight, state, divisor, ignore, smoothing=0.0):
    """Return the gradient to x from that of the loss, (N, L) or a number."""
    if cuda.arrays.takes(x):
        return cuda.softmax.loss_gradient(g, x, target, class_weight, state, divisor, ignore, smoothing)
    module = xp(x)
    target, valid, wrong = _checked_later(target, ignore, x.shape[1])
    log_p = module.full(x.shape, -np.inf, x.dtype) if state is None else state
    weights = position_weights(target, valid, class_weight, log_p.dtype)
    scale = module.where(valid, g if divisor is None else g / divisor, 0).astype(log_p.dtype, copy=False)
    out = cross_entropy_gradient(scale, log_p, target, weights, valid, class_weight, smoothing)
    return module.where(wrong[:, None, :], float("nan"), out).astype(x.dtype, copy=False)


def _checked_later(target, ignore, classes):
    """Return (targets with 0 for what is no class, where they count, where they are wrong), all (N, L)."""
    valid = target != ignore
    known = (target >= 0) & (target < classes)
    return xp(target).where(valid & known, target, 0), valid, valid & ~known
