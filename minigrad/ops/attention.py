"""Attention: weighted sums of values, the weights from products of queries and keys."""

import math

from minigrad.backend import REAL_CODES, xp
from minigrad.ops.define import require_tensor
from minigrad.ops.dropout import dropout
from minigrad.ops.masked import choose
from minigrad.ops.softmax import softmax_op
from minigrad.precision import autocasting
from minigrad.tensor import wrap


@autocasting
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """Return softmax(query keyᵀ · scale + mask) value, with dropout of the weights.

    Arguments: query (…, L, E), key (…, S, E), value (…, S, V), attn_mask (broadcasts to (…, L, S): bool, true where
    attention is allowed, or numbers that are added), dropout_p, is_causal (position i sees keys up to i; no attn_mask
    then), scale (default 1/√E), enable_gqa (groups of query heads share a key and value head). Result (…, L, V).
    RuntimeError for shapes or dtypes that do not fit.
    Source: Vaswani et al. 2017;
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html

    >>> import minigrad as mg
    >>> x = mg.ones(1, 2, 3)
    >>> mg.nn.functional.scaled_dot_product_attention(x, x, x)[0, 0]
    tensor([1., 1., 1.])
    """
    for position, (what, tensor) in enumerate((("query", query), ("key", key), ("value", value)), 1):
        require_tensor("scaled_dot_product_attention", tensor, what, position)
        if tensor.array.dtype != query.array.dtype:
            raise RuntimeError(
                "Expected query, key, and value to have the same dtype, but got query.dtype: "
                f"{query.dtype}, key.dtype: {key.dtype}, and value.dtype: {value.dtype} instead."
            )
        if tensor.array.ndim < 2:
            raise RuntimeError(
                f"Expected query, key, and value to all be at least 2 dimensional, but got {what} of shape "
                f"{list(tensor.shape)}"
            )
    if attn_mask is not None and is_causal:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if query.array.dtype.char in "eE":  # products and softmax in float32, rounded once
        wide = scaled_dot_product_attention(
            query.float(), key.float(), value.float(), attn_mask, dropout_p, is_causal, scale, enable_gqa
        )
        return wide.to(query.dtype)
    if enable_gqa:
        repeat = query.array.shape[-3] // key.array.shape[-3]
        key, value = key.repeat_interleave(repeat, -3), value.repeat_interleave(repeat, -3)
    scale = 1 / math.sqrt(query.array.shape[-1]) if scale is None and query.array.shape[-1] else scale or 1.0
    scores = (query * scale) @ key.transpose(-1, -2)
    lengths = query.array.shape[-2], key.array.shape[-2]
    if is_causal:
        attn_mask = wrap(xp(scores.array).tri(*lengths, dtype=bool))
    weights = _weights(scores, attn_mask)
    return dropout(weights, dropout_p, training=dropout_p > 0) @ value


def _weights(scores, attn_mask):
    """Return the softmax of the scores, masked; a position that may see nothing gets weights of zero."""
    if attn_mask is None:
        return softmax_op(scores, dim=-1)
    if attn_mask.array.dtype.kind != "b":
        if attn_mask.array.dtype != scores.array.dtype and attn_mask.array.dtype.char not in REAL_CODES:
            raise RuntimeError(
                f"Expected attn_mask dtype to be bool or float or to match query dtype, but got {attn_mask.dtype} and "
                f"query of {scores.dtype} instead."
            )
        return softmax_op(scores + attn_mask.to(scores.dtype), dim=-1)
    hidden = choose(attn_mask, scores, wrap(xp(scores.array).full((), -math.inf, scores.array.dtype)))
    blind = ~attn_mask.array.any(axis=-1, keepdims=True)
    if not bool(blind.any()):
        return softmax_op(hidden, dim=-1)
    zeros = wrap(xp(scores.array).zeros((), scores.array.dtype))
    weights = softmax_op(choose(wrap(blind), scores, hidden), dim=-1)
    return choose(wrap(~blind), weights, zeros)
