"""Functions as PyTorch's C++ library has them: reductions are numbers (0 none, 1 mean, 2 sum), weights lie in lists.

PyTorch declares 1 as the reductions' default, but its parser of arguments reads the word as 0; so do these.
"""

import math

from minigrad.backend import np, xp
from minigrad.inplace import write_out
from minigrad.kernels import norm as kernels
from minigrad.ops import loss
from minigrad.ops.ctc import ctc_loss as _ctc_loss
from minigrad.ops.define import require_tensor
from minigrad.ops.dropout import _kept, apply_noise, check_probability
from minigrad.ops.embedding import _bags, _renormalise
from minigrad.ops.embedding import embedding_bag as _embedding_bag
from minigrad.ops.norm import _normalized_view, batch_norm, group_norm, layer_norm
from minigrad.ops.recurrent import recurrent_layers
from minigrad.tensor import normalize_dim, wrap

_REDUCTIONS = ("none", "mean", "sum")


def _reduction(name, number):
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name}(): argument 'reduction' must be int (0 none, 1 mean, 2 sum), not {number!r}")
    if not 0 <= number < len(_REDUCTIONS):
        raise RuntimeError(f"{number} is not a valid value for reduction: 0 none, 1 mean, 2 sum")
    return _REDUCTIONS[number]


# ---------------------------------------------------------------------- losses
def kl_div(input, target, reduction=0, *, log_target=False):
    """Return nn.functional.kl_div with a numbered reduction: 0 none (default), 1 mean, 2 sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html

    >>> import minigrad as mg
    >>> mg.kl_div(mg.tensor([0.0, 0.0]), mg.tensor([1.0, 1.0]), 2)
    tensor(0.)
    """
    require_tensor("kl_div", input)
    require_tensor("kl_div", target, "target", 2)
    losses = target.exp() * (target - input) if log_target else target.xlogy(target) - target * input
    return loss.reduced(losses, _reduction("kl_div", reduction))


def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    """Return nn.functional.poisson_nll_loss with a numbered reduction: 0 none (default), 1 mean, 2 sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.poisson_nll_loss.html

    >>> import minigrad as mg
    >>> mg.poisson_nll_loss(mg.zeros(2), mg.ones(2), True, False, 1e-8, 2)
    tensor(2.)
    """
    reduction = _reduction("poisson_nll_loss", reduction)
    return loss.poisson_nll_loss(input, target, log_input, full, None, eps, None, reduction)


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction=0):
    """Return nn.functional.cosine_embedding_loss with a numbered reduction: 0 none (default), 1 mean, 2 sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_embedding_loss.html

    >>> import minigrad as mg
    >>> mg.cosine_embedding_loss(mg.eye(2), mg.eye(2), -mg.ones(2), 0.25, 2)
    tensor(1.5000)
    """
    reduction = _reduction("cosine_embedding_loss", reduction)
    return loss.cosine_embedding_loss(input1, input2, target, margin, None, None, reduction)


def hinge_embedding_loss(input, target, margin=1.0, reduction=0):
    """Return nn.functional.hinge_embedding_loss with a numbered reduction: 0 none (default), 1 mean, 2 sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hinge_embedding_loss.html

    >>> import minigrad as mg
    >>> mg.hinge_embedding_loss(mg.tensor([0.25]), mg.tensor([-1.0]))
    tensor([0.7500])
    """
    return loss.hinge_embedding_loss(input, target, margin, None, None, _reduction("hinge_embedding_loss", reduction))


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction=0):
    """Return nn.functional.margin_ranking_loss with a numbered reduction: 0 none (default), 1 mean, 2 sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.margin_ranking_loss.html

    >>> import minigrad as mg
    >>> mg.margin_ranking_loss(mg.zeros(2), mg.ones(2), mg.ones(2), 0.0, 2)
    tensor(2.)
    """
    reduction = _reduction("margin_ranking_loss", reduction)
    return loss.margin_ranking_loss(input1, input2, target, margin, None, None, reduction)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-06, swap=False, reduction=0):
    """Return nn.functional.triplet_margin_loss with a numbered reduction: 0 none (default), 1 mean, 2 sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_loss.html

    >>> import minigrad as mg
    >>> mg.triplet_margin_loss(mg.zeros(1, 2), mg.zeros(1, 2), mg.zeros(1, 2))
    tensor([1.])
    """
    reduction = _reduction("triplet_margin_loss", reduction)
    return loss.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, None, None, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=0):
    """Return nn.functional.binary_cross_entropy_with_logits with a numbered reduction: 0 none (default), 1 mean, 2 sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html

    >>> import minigrad as mg
    >>> mg.binary_cross_entropy_with_logits(mg.zeros(2), mg.ones(2), reduction=1)
    tensor(0.6931)
    """
    reduction = _reduction("binary_cross_entropy_with_logits", reduction)
    return loss.binary_cross_entropy_with_logits(input, target, weight, None, None, reduction, pos_weight)


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction=0, zero_infinity=False):
    """Return nn.functional.ctc_loss with a numbered reduction: 0 none (default), 1 mean, 2 sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.ctc_loss.html

    >>> import minigrad as mg
    >>> mg.ctc_loss(mg.full((2, 1, 2), 0.5).log(), mg.tensor([[1]]), [2], [1], reduction=2).exp()
    tensor(1.3333)
    """
    reduction = _reduction("ctc_loss", reduction)
    return _ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)


# ---------------------------------------------------------------------- embeddings
def embedding_bag(
    weight, indices, offsets, scale_grad_by_freq=False, mode=0, sparse=False, per_sample_weights=None,
    include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """Return (bags, bag of each index, size of each bag, indices of the largest) as nn.functional.embedding_bag's bags.

    Arguments: weight (rows, D), indices (N,), offsets (B,), mode (0 sum, 1 mean, 2 max) and those of
    nn.functional.embedding_bag. The last result is (B, D) for mode 2, the sizes for mode 1, else zeros (B,).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html

    >>> import minigrad as mg
    >>> mg.embedding_bag(mg.tensor([[1.0], [2.0]]), mg.tensor([0, 1]), mg.tensor([0]))[0]
    tensor([[3.]])
    """
    require_tensor("embedding_bag", weight, "weight", 1)
    if mode not in (0, 1, 2):
        raise RuntimeError(f"embedding_bag: mode must be 0 (sum), 1 (mean) or 2 (max), but got {mode}")
    padding = None if padding_idx == -1 else padding_idx
    out = _embedding_bag(
        indices, weight, offsets, None, 2.0, scale_grad_by_freq, ("sum", "mean", "max")[mode], sparse,
        per_sample_weights, include_last_offset, padding,
    )  # fmt: skip
    bag, count = _bags(indices, offsets, include_last_offset)
    index, module = indices.array.reshape(-1), xp(weight.array)
    counted = module.ones(index.shape, bool) if padding is None else index != padding % weight.array.shape[0]
    sizes = module.bincount(bag[counted], minlength=count)
    largest = module.zeros((count, weight.array.shape[1]) if mode == 2 else count, np.int64)
    if mode == 2:
        for position in range(count):
            rows = index[(bag == position) & counted]
            if rows.size:
                largest[position] = rows[weight.array[rows].argmax(axis=0)]
    return out, wrap(bag), wrap(sizes), wrap(sizes.copy() if mode == 1 else largest)


def embedding_renorm_(input, indices, max_norm, norm_type):
    """Scale the rows that indices name, in place, so that their norm is at most max_norm; returns the tensor.

    Arguments: input (rows, D), indices (integers of any shape), max_norm, norm_type (the order of the norm).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html

    >>> import minigrad as mg
    >>> mg.embedding_renorm_(mg.tensor([[3.0, 4.0]]), mg.tensor([0]), 1.0, 2.0)
    tensor([[0.6000, 0.8000]])
    """
    require_tensor("embedding_renorm_", input)
    _renormalise("embedding_renorm_", input, indices.array.reshape(-1), max_norm, norm_type)
    return input


# ---------------------------------------------------------------------- recurrent networks
def _recurrent(mode, name, arguments, settings):
    """Run layers on (input, hx, params, …, batch_first) or (data, batch_sizes, hx, params, …)."""
    names = ("has_biases", "num_layers", "dropout", "train", "bidirectional")
    lstm = mode == "LSTM"
    packed = len(arguments) > 2 and hasattr(arguments[1], "array") and (lstm or hasattr(arguments[2], "array"))
    input, *rest = arguments
    sizes = rest.pop(0) if packed else None
    names = names if packed else (*names, "batch_first")
    if len(rest) < 2 or len(rest) - 2 + len(settings) != len(names) or set(names[len(rest) - 2 :]) != set(settings):
        raise TypeError(
            f"{name}() takes (input, hx, params, {', '.join(names)}), or (data, batch_sizes, hx, params, …) for packed "
            f"sequences; got {len(arguments)} arguments and {sorted(settings)}"
        )
    hx, params, *values = rest
    given = {**dict(zip(names, values, strict=False)), **settings}
    states = tuple(hx) if lstm else (hx,)
    projected = lstm and states[0].shape[-1] != states[1].shape[-1]
    count = 2 + 2 * bool(given["has_biases"]) + projected
    directions = 2 if given["bidirectional"] else 1
    if len(params) != given["num_layers"] * directions * count:
        raise RuntimeError(
            f"{name}: expected {given['num_layers'] * directions} groups of {count} weights, but got {len(params)}"
        )
    weights = []
    for start in range(0, len(params), count):
        group = list(params[start : start + count])
        w_hr = group.pop() if projected else None
        weights.append((*group, *(None,) * (4 - len(group)), w_hr))
    if given.get("batch_first"):
        input = input.transpose(0, 1)
    probability = given["dropout"] if given["train"] else 0.0
    batch_sizes = None if sizes is None else tuple(sizes.tolist())
    output, states = recurrent_layers(mode, input, states, weights, batch_sizes, directions == 2, probability)
    return (output.transpose(0, 1) if given.get("batch_first") else output), *states


def _recurrent_function(name, mode, states, gates):
    def public(*arguments, **settings):
        return _recurrent(mode, name, arguments, settings)

    public.__name__ = public.__qualname__ = name
    hx = "(mg.zeros(1, 1, 2), mg.zeros(1, 1, 2))" if mode == "LSTM" else "mg.zeros(1, 1, 2)"
    layer = mode.partition("_")[0]
    public.__doc__ = f"""Return (output, {states}) of the layers of nn.{layer}, whose weights are given in a list.

    Arguments: input (T, N, I), or (N, T, I) with batch_first; hx ({states}); params (w_ih, w_hh, b_ih, b_hh of each
    layer and direction); has_biases, num_layers, dropout, train, bidirectional, batch_first. For packed sequences
    (data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.{layer}.html

    >>> import minigrad as mg
    >>> weights = [mg.zeros({2 * gates}, 3), mg.zeros({2 * gates}, 2)]
    >>> mg.{name}(mg.ones(4, 1, 3), {hx}, weights, False, 1, 0.0, False, False, False)[0].shape
    minigrad.Size([4, 1, 2])
    """
    return public


lstm = _recurrent_function("lstm", "LSTM", "h, c", 4)
gru = _recurrent_function("gru", "GRU", "h", 3)
rnn_tanh = _recurrent_function("rnn_tanh", "RNN_TANH", "h", 1)
rnn_relu = _recurrent_function("rnn_relu", "RNN_RELU", "h", 1)


# ---------------------------------------------------------------------- normalisation and dropout with what they saved
def _moments(x, axes, eps):
    """Return (mean, 1 / sqrt(variance + eps)) over the axes, in the array's dtype."""
    mean, variance = kernels.moments(x, axes)
    return mean.astype(x.dtype), (1 / xp(x).sqrt(variance + eps)).astype(x.dtype)


def native_layer_norm(input, normalized_shape, weight, bias, eps):
    """Return (layer_norm, mean, 1 / sqrt(variance + eps)). # the latter (…, 1, …)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html

    >>> import minigrad as mg
    >>> mg.native_layer_norm(mg.tensor([[1.0, 3.0]]), (2,), None, None, 0.0)[1]
    tensor([[2.]])
    """
    out = layer_norm(input, normalized_shape, weight, bias, eps)
    view, _ = _normalized_view("native_layer_norm", input, normalized_shape)
    mean, rstd = _moments(input.array.reshape(view), (1,), eps)
    shape = input.array.shape
    last = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    shape = shape[: len(shape) - last] + (1,) * last
    return out, wrap(mean.reshape(shape)), wrap(rstd.reshape(shape))


def native_group_norm(input, weight, bias, N, C, HxW, group, eps):
    """Return (group_norm, mean, 1 / sqrt(variance + eps)). # the latter (N, group)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.group_norm.html

    >>> import minigrad as mg
    >>> mg.native_group_norm(mg.tensor([[1.0, 3.0]]), None, None, 1, 2, 1, 1, 0.0)[1]
    tensor([[2.]])
    """
    require_tensor("native_group_norm", input)
    if tuple(input.array.shape[:2]) != (N, C) or input.array.size != N * C * HxW:
        raise RuntimeError(f"native_group_norm: an input of shape {list(input.shape)} has not N={N}, C={C}, HxW={HxW}")
    groups = input.reshape(N, group, C // group * HxW)
    mean, rstd = groups.mean(2), (groups.var(2, correction=0) + eps).rsqrt()
    return group_norm(input, group, weight, bias, eps), mean, rstd


def native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, *, out=None):
    """Return (batch_norm, mean, 1 / sqrt(variance + eps)) of the batch; the latter are empty unless training. # (C,)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html

    >>> import minigrad as mg
    >>> mg.native_batch_norm(mg.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 1e-5)[1]
    tensor([2.])
    """
    normalised = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    x = input.array
    mean = rstd = xp(x).zeros(0, x.dtype)
    if training:
        mean, rstd = _moments(x.reshape(*x.shape[:2], math.prod(x.shape[2:])), (0, 2), eps)
    result = normalised, wrap(mean.reshape(-1)), wrap(rstd.reshape(-1).copy())
    return result if out is None else write_out(out, result, "native_batch_norm")


def native_dropout(input, p, train):
    """Return (input with elements dropped and the rest scaled by 1 / (1 - p), which were kept).

    Arguments: input, p (probability of dropping), train (False: everything is kept). RuntimeError for p outside [0, 1].
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html

    >>> import minigrad as mg
    >>> mg.native_dropout(mg.ones(2), 0.5, False)
    (tensor([1., 1.]), tensor([True, True]))
    """
    require_tensor("native_dropout", input)
    check_probability(p)
    if train is False or p == 0:
        return input.clone(), wrap(xp(input.array).ones(input.array.shape, bool))
    kept = wrap(_kept(input.array, p, input.array.shape))
    return apply_noise(input, kept.to(input.dtype) * (1 / (1 - p) if p < 1 else 0.0)), kept.to(bool)


def norm_except_dim(v, pow=2, dim=0):
    """Return the norm of a tensor over all its dimensions but one (dim=-1: over all); their lengths are 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.weight_norm.html

    >>> import minigrad as mg
    >>> mg.norm_except_dim(mg.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[5.],
            [2.]])
    """
    require_tensor("norm_except_dim", v)
    if dim == -1:
        return v.norm(pow)
    kept = normalize_dim(dim, v.array.ndim)
    # Without other dimensions each element is its own norm.
    return v.norm(pow, [d for d in range(v.array.ndim) if d != kept], keepdim=True) if v.array.ndim > 1 else v.abs()


# ---------------------------------------------------------------------- copies
def slice_copy(input, dim=0, start=None, end=None, step=1, *, out=None):
    """Return a copy of the elements start, start + step, … before end along a dimension.

    Source: https://docs.pytorch.org/docs/stable/torch.html

    >>> import minigrad as mg
    >>> mg.slice_copy(mg.arange(6), 0, 1, 6, 2)
    tensor([1, 3, 5])
    """
    require_tensor("slice_copy", input)
    if not input.array.ndim:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, input.array.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    index = (slice(None),) * dim + (slice(start, end, step),)
    result = input[index].clone()
    return result if out is None else write_out(out, result, "slice_copy")
