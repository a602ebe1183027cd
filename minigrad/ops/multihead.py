"""Attention with several heads, from the projections of queries, keys and values to that of the result."""

import math

from minigrad.backend import REAL_CODES, xp
from minigrad.ops.attention import scaled_dot_product_attention
from minigrad.ops.define import require_tensor
from minigrad.ops.dropout import dropout
from minigrad.ops.linear import linear
from minigrad.ops.masked import choose
from minigrad.ops.pieces import cat_op
from minigrad.ops.softmax import softmax_op
from minigrad.tensor import wrap


def _additive(mask, name, dtype):
    """Return a mask as numbers to add to the scores: a bool mask hides where it is true."""
    if mask is None:
        return None
    code = mask.array.dtype.char
    if code != "?" and code not in REAL_CODES:
        raise AssertionError(f"only bool and floating types of {name} are supported, but got {mask.dtype}")
    if code != "?":
        return mask.to(dtype)
    hidden, seen = (wrap(xp(mask.array).full((), value, dtype.numpy)) for value in (-math.inf, 0.0))
    return choose(mask, hidden, seen)


def _projected(query, key, value, heads):
    """Return queries, keys and values after their linear maps. ``heads``: the settings of the whole call."""
    size = query.array.shape[-1]
    bias = heads["in_proj_bias"]
    biases = (None,) * 3 if bias is None else bias.split(size)
    if heads["use_separate_proj_weight"]:
        weights = heads["q_proj_weight"], heads["k_proj_weight"], heads["v_proj_weight"]
    else:
        weights = heads["in_proj_weight"].split(size)
        if query is key and key is value:
            return linear(query, heads["in_proj_weight"], bias).chunk(3, -1)
    return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))


def _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads):
    """Return whether the input is a batch; AssertionError for shapes that do not fit together."""
    for position, (what, tensor) in enumerate((("query", query), ("key", key), ("value", value)), 1):
        require_tensor("multi_head_attention_forward", tensor, what, position)
    ndim = query.array.ndim
    if ndim not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {ndim}-D query tensor")
    kind = "batched (3-D)" if ndim == 3 else "unbatched (2-D)"
    if key.array.ndim != ndim or value.array.ndim != ndim:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {ndim}-D but found {key.array.ndim}-D and "
            f"{value.array.ndim}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.array.ndim != ndim - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {ndim - 1}-D but found "
            f"{key_padding_mask.array.ndim}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask.array.ndim not in (2, 3):
            raise AssertionError(
                f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.array.ndim}-D "
                "tensor instead"
            )
        if ndim == 2 and attn_mask.array.ndim == 3:
            expected = (num_heads, query.array.shape[0], key.array.shape[0])
            if attn_mask.array.shape != expected:
                raise AssertionError(
                    f"Expected `attn_mask` shape to be {expected} but got {tuple(attn_mask.array.shape)}"
                )
    return ndim == 3


def _score_mask(attn_mask, key_padding_mask, shape):
    """Return one mask (N, heads, L, S) to add to the scores, or None. # shape: (N, heads, L, S)"""
    batch, heads, targets, sources = shape
    if attn_mask is not None:
        if attn_mask.array.ndim == 2:
            if attn_mask.array.shape != (targets, sources):
                raise RuntimeError(
                    f"The shape of the 2D attn_mask is {tuple(attn_mask.shape)}, but should be {(targets, sources)}."
                )
        else:
            if attn_mask.array.shape != (batch * heads, targets, sources):
                raise RuntimeError(
                    f"The shape of the 3D attn_mask is {tuple(attn_mask.shape)}, but should be "
                    f"{(batch * heads, targets, sources)}."
                )
            attn_mask = attn_mask.reshape(batch, heads, targets, sources)
    if key_padding_mask is None:
        return attn_mask
    if key_padding_mask.array.shape != (batch, sources):
        raise AssertionError(
            f"expecting key_padding_mask shape of {(batch, sources)}, but got {tuple(key_padding_mask.shape)}"
        )
    padding = key_padding_mask.reshape(batch, 1, 1, sources)
    return padding if attn_mask is None else attn_mask + padding


def _extended_mask(mask, count=1):
    """Return a mask with ``count`` more source positions, all visible."""
    if mask is None:
        return None
    return cat_op(mask, mask.new_zeros((*mask.shape[:-1], count)), dim=-1)


def multi_head_attention_forward(
    query,
    key,
    value,
    embed_dim_to_check,
    num_heads,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p,
    out_proj_weight,
    out_proj_bias,
    training=True,
    key_padding_mask=None,
    need_weights=True,
    attn_mask=None,
    use_separate_proj_weight=False,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    average_attn_weights=True,
    is_causal=False,
):
    """Return (attention of several heads (L, N, E), its weights or None); nn.MultiheadAttention says what it computes.

    Arguments: query (L, N, E), key, value (S, N, …) or all without N; the projections; key_padding_mask (N, S) and
    attn_mask (L, S) or (N heads, L, S): bool, true where attention is not allowed, or numbers that are added.
    static_k and static_v (N heads, S, E / heads) stand for projected keys and values.
    Source: https://github.com/pytorch/pytorch (torch.nn.functional.multi_head_attention_forward)
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    if not batched:
        same = (query is key, key is value)
        query = query.unsqueeze(1)
        key = query if same[0] else key.unsqueeze(1)
        value = key if same[1] else value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    targets, batch, size = query.array.shape
    if size != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {size}")
    width = size // num_heads
    if width * num_heads != size:
        raise AssertionError(f"embed_dim {size} not divisible by num_heads {num_heads}")
    settings = {
        "in_proj_weight": in_proj_weight,
        "in_proj_bias": in_proj_bias,
        "use_separate_proj_weight": use_separate_proj_weight,
        "q_proj_weight": q_proj_weight,
        "k_proj_weight": k_proj_weight,
        "v_proj_weight": v_proj_weight,
    }
    q, k, v = _projected(query, key, value, settings)
    attn_mask = _additive(attn_mask, "attn_mask", q.dtype)
    key_padding_mask = _additive(key_padding_mask, "key_padding_mask", q.dtype)
    if bias_k is not None and bias_v is not None:
        k, v = (cat_op(x, bias.expand(1, batch, size), dim=0) for x, bias in ((k, bias_k), (v, bias_v)))
        attn_mask, key_padding_mask = _extended_mask(attn_mask), _extended_mask(key_padding_mask)

    def split(x):  # (L, N, E) → (N, heads, L, E / heads)
        return x.reshape(x.array.shape[0], batch, num_heads, width).permute(1, 2, 0, 3)

    q = split(q)
    k, v = (
        split(x) if static is None else static.reshape(batch, num_heads, -1, width)
        for x, static in ((k, static_k), (v, static_v))
    )
    if add_zero_attn:
        zeros = k.new_zeros((batch, num_heads, 1, width))
        k, v = cat_op(k, zeros, dim=2), cat_op(v, zeros, dim=2)
        attn_mask, key_padding_mask = _extended_mask(attn_mask), _extended_mask(key_padding_mask)
    mask = _score_mask(attn_mask, key_padding_mask, (batch, num_heads, targets, k.array.shape[2]))
    probability = dropout_p if training else 0.0
    weights = None
    if need_weights:
        scores = (q * (1 / math.sqrt(width))) @ k.transpose(-1, -2)
        weights = softmax_op(scores if mask is None else scores + mask, dim=-1)
        weights = dropout(weights, probability, training=probability > 0)
        out = weights @ v
    else:
        out = scaled_dot_product_attention(q, k, v, mask, probability)
    out = linear(out.permute(2, 0, 1, 3).reshape(targets, batch, size), out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if not batched:
        out, weights = out.squeeze(1), None if weights is None else weights.squeeze(0)
    return out, weights
