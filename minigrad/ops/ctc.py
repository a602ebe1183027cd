"""The loss of connectionist temporal classification."""

from minigrad import engine
from minigrad.backend import np, to_numpy, xp
from minigrad.inplace import read_positions
from minigrad.kernels import ctc as kernels
from minigrad.op import Op
from minigrad.ops.define import require_tensor
from minigrad.ops.loss import reduced
from minigrad.ops.masked import choose, keep_where
from minigrad.ops.pieces import stack_op
from minigrad.precision import autocasting
from minigrad.tensor import Tensor, wrap


def _ctc(log_p, losses, alphas, labels, skip, input_lengths, target_lengths, *, zero_infinity):
    if zero_infinity:
        return xp(losses).where(losses == float("inf"), 0, losses).astype(losses.dtype)
    return losses.copy()


def _ctc_rule(g, log_p, losses, alphas, labels, skip, input_lengths, target_lengths, zero_infinity, needs):
    if isinstance(g, Tensor):
        losses, labels, skip, input_lengths, target_lengths = (
            part.array for part in (losses, labels, skip, input_lengths, target_lengths)
        )
        counted = wrap((losses < float("inf")).astype(losses.dtype)) if zero_infinity else 1
        composed = _composed(log_p, labels, skip, input_lengths, target_lengths)
        (gradient,) = engine.grad(composed, log_p, g * counted, create_graph=True)
        return gradient, *(None,) * 6
    gradient = kernels.gradient(g, log_p, alphas, losses, labels, skip, input_lengths, target_lengths, zero_infinity)
    return gradient, *(None,) * 6


_NEVER = -1e30  # a log probability of zero that sums without NaN


def _composed(log_p, labels, skip, input_lengths, target_lengths):
    """Return the losses (N,) as recorded operations, with the term Σ p that PyTorch's gradient has."""
    x = log_p.array
    module, (steps, batch, _) = xp(x), x.shape
    positions = module.arange(steps)[:, None, None] * x.shape[1] * x.shape[2]
    positions = positions + module.arange(batch)[None, :, None] * x.shape[2] + labels[None]
    emitted = read_positions(log_p, wrap(positions))  # (T, N, S)
    never = wrap(module.full((), _NEVER, x.dtype))
    states = module.arange(labels.shape[1])
    start = (states == 0) | ((states == 1) & (target_lengths > 0)[:, None])
    alpha = choose(wrap(start), emitted[0], never)
    for t in range(1, steps):
        ways = [alpha]
        for shift, allowed in ((1, states >= 1), (2, skip)):
            moved = alpha[:, wrap(module.maximum(states - shift, 0))]
            ways.append(choose(wrap(module.broadcast_to(allowed, labels.shape)), moved, never))
        following = emitted[t] + stack_op(*ways, dim=0).logsumexp(0)
        alpha = choose(wrap(module.broadcast_to((input_lengths > t)[:, None], labels.shape)), following, alpha)
    last = 2 * target_lengths[:, None]
    end = (states == last) | ((states == last - 1) & (last > 0))
    used = module.arange(steps)[:, None] < input_lengths[None]
    total = keep_where(log_p.exp(), wrap(used[:, :, None])).sum((0, 2))
    return total - choose(wrap(end), alpha, never).logsumexp(1)


ctc_op = Op(_ctc, joint=_ctc_rule, name="ctc_loss")


def _lengths(name, lengths, batch):
    """Return lengths (tensor or sequence of ints) as a raw int64 array of the batch's size."""
    array = np.asarray(to_numpy(lengths.array) if isinstance(lengths, Tensor) else lengths)
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral")
    if array.reshape(-1).size != batch:
        raise RuntimeError(
            f"Expected {name} to have value per batch element, but got {array.size} for a batch of {batch}"
        )
    return array.reshape(-1).astype(np.int64)


@autocasting
def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """Return minus the log probability of the target sequence, summed over its alignments with the input.

    Arguments: log_probs (T, N, C) or (T, C), log probabilities; targets (N, S), or all targets in one row;
    input_lengths, target_lengths (N,): how much of each is used; blank (the label of "no label"); reduction ("mean":
    each loss over its target's length, then their mean; "sum", "none"); zero_infinity (impossible targets count
    nothing). As in PyTorch the gradient takes log_probs to be a log_softmax. RuntimeError for lengths that do not fit.
    Source: Graves et al. 2006; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.ctc_loss.html

    >>> import minigrad as mg
    >>> log_probs = mg.full((2, 1, 2), 0.5).log()
    >>> mg.nn.functional.ctc_loss(log_probs, mg.tensor([[1]]), [2], [1], reduction="sum").exp()
    tensor(1.3333)
    """
    require_tensor("ctc_loss", log_probs)
    require_tensor("ctc_loss", targets, "targets", 2)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if log_probs.array.dtype.char not in "fd":
        raise RuntimeError(f"ctc_loss: not implemented for {log_probs.dtype}: use float32 or float64")
    if targets.array.dtype.kind not in "iu":
        raise RuntimeError("targets must be integral")
    single = log_probs.array.ndim == 2
    if single:
        log_probs = log_probs.unsqueeze(1)
    if log_probs.array.ndim != 3:
        raise RuntimeError(f"ctc_loss: log_probs must be (T, N, C) or (T, C), but has shape {list(log_probs.shape)}")
    steps, batch, classes = log_probs.array.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    inputs = _lengths("input_lengths", input_lengths, batch)
    lengths = _lengths("target_lengths", target_lengths, batch)
    if inputs.size and (int(inputs.max()) > steps or int(inputs.min()) < 0):
        raise RuntimeError(f"Expected input_lengths to have value at most {steps}, but got value {int(inputs.max())}")
    if lengths.size and int(lengths.min()) < 0:
        raise RuntimeError(f"Expected target_lengths to have value at least 0, but got value {int(lengths.min())}")
    rows = to_numpy(targets.array)
    padded = _padded(rows.reshape(1, -1) if single and rows.ndim == 1 else rows, lengths, blank, classes)
    module = xp(log_probs.array)
    padded, inputs, lengths = (module.asarray(part) for part in (padded, inputs, lengths))
    labels, skip = kernels.extended(padded, lengths, blank)
    losses, alphas = kernels.forward(log_probs.array, labels, skip, inputs, lengths)
    losses = losses.astype(log_probs.array.dtype, copy=False)
    out = ctc_op(log_probs, losses, alphas, labels, skip, inputs, lengths, zero_infinity=zero_infinity)
    if reduction == "mean":
        return (out / wrap(module.maximum(lengths, 1).astype(log_probs.array.dtype))).mean()
    out = out.squeeze(0) if single else out
    return reduced(out, reduction)


def _padded(targets, lengths, blank, classes):
    """Return the targets as a matrix of the longest length, the rest of each row blank; refuse what does not fit."""
    longest = int(lengths.max()) if lengths.size else 0
    out = np.full((lengths.size, longest), blank, np.int64)
    if targets.ndim == 1:
        if targets.size != int(lengths.sum()):
            raise RuntimeError(
                f"Expected targets to have length {int(lengths.sum())}, the sum of target_lengths, but got "
                f"{targets.size}"
            )
        rows = np.split(targets, np.cumsum(lengths)[:-1]) if lengths.size else []
    else:
        if targets.shape[0] != lengths.size or targets.shape[1] < longest:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size {list(targets.shape)} "
                "for "
                f"a batch of {lengths.size} (while checking arguments for ctc_loss)"
            )
        rows = targets
    for row, target, length in zip(out, rows, lengths, strict=True):
        row[:length] = target[:length]
    wrong = out[(out < 0) | (out >= classes)]
    if wrong.size:
        raise IndexError(f"ctc_loss: target {wrong[0]} is out of range for {classes} classes (blank is one of them)")
    return out
