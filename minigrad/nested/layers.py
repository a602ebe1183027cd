"""What layers compute of nested tensors: products, norms, attention."""

import itertools

from minigrad.nested.functions import aligned, by_parts, handler, name_of, together, unsupported
from minigrad.nested.tensors import Jagged, NestedTensor, Strided, as_strided_parts, packed, plain
from minigrad.overrides import dispatching


def _rows(func, input, *args, **kwargs):
    """Return a strided nested tensor of what a function makes of its last dimension, all rows at once."""
    last = input.size(-1)
    values = func(input._values.reshape(-1, last), *args, **kwargs)
    return Strided(values.reshape(-1), [(*size[:-1], values.shape[-1]) for size in input._sizes])


@handler("linear")
def _linear(func, input, weight, bias=None):
    if not isinstance(input, NestedTensor) or isinstance(weight, NestedTensor):
        raise RuntimeError("linear(): only the input can be a nested tensor")
    if isinstance(input, Strided):
        return _rows(func, input, weight, bias)
    if input._ragged_idx == input.dim() - 1:
        raise ValueError("linear(): not supported for NestedTensor on ragged dim: the last dimension is ragged")
    return input._with(func(input._values, weight, bias))


@handler("embedding")
def _embedding(func, input, weight, *args, **kwargs):
    values = func(input._values, weight, *args, **kwargs)
    if isinstance(input, Strided):
        return Strided(values.reshape(-1), [(*size, values.shape[-1]) for size in input._sizes])
    return input._with(values)


@handler("embedding_bag")
def _embedding_bag(func, input, weight, offsets=None, *args, **kwargs):
    if not isinstance(input, Jagged) or input.dim() != 2 or offsets is not None or input._lengths is not None:
        raise RuntimeError("embedding_bag: a nested input must be jagged, (B, j), without holes and offsets=")
    weights = kwargs.pop("per_sample_weights", None)
    if weights is not None:
        kwargs["per_sample_weights"] = aligned("embedding_bag", input, weights)
    return func(input._values, weight, input._offsets[:-1], *args, **kwargs)


@handler("layer_norm")
def _layer_norm(func, input, normalized_shape, weight=None, bias=None, eps=1e-5, *unused):
    if input.dim() <= 2:
        raise RuntimeError("layer_norm(): not supported for NestedTensor objects with 2 or fewer dimensions")
    shape = list(normalized_shape)
    if len(shape) >= input.dim():
        raise RuntimeError("layer_norm(): not supported when normalizing over the batch dimension for NestedTensor")
    if isinstance(input, Strided):
        return by_parts(lambda part: func(part, shape, weight, bias, eps), input)
    if input.dim() - len(shape) > input._ragged_idx:
        return input._with(func(input._values, shape, weight, bias, eps))
    if tuple(shape) != tuple(input.shape)[input.dim() - len(shape) :]:
        raise RuntimeError(f"layer_norm(): {shape} is not the end of the input's shape {tuple(input.shape)}")
    if input._lengths is not None or weight is not None or bias is not None:
        raise RuntimeError(
            "layer_norm(): not supported with holes, weight or bias if operating on the ragged dimension for "
            "NestedTensor"
        )
    return by_parts(lambda part: func(part, part.shape[-len(shape):], None, None, eps), input)


@handler("rms_norm")
def _rms_norm(func, input, normalized_shape, weight=None, eps=None):
    if isinstance(input, Strided):
        return by_parts(lambda part: func(part, normalized_shape, weight, eps), input)
    if len(normalized_shape) > input.dim() - input._ragged_idx - 1:
        raise ValueError(
            "rms_norm(): Normalization over the ragged dim not supported for nested tensors"
        )
    return input._with(func(input._values, normalized_shape, weight, eps))


@handler("prelu")
def _prelu(func, input, weight):
    if isinstance(input, Strided):
        raise unsupported("prelu", input)
    if weight.numel() == 1:
        return input._with(func(input._values, weight))
    if input._ragged_idx == 1:
        raise RuntimeError("prelu: dimension 1, that of the channels, is ragged; use a weight of one element")
    return input._with(func(input._values.unsqueeze(0), weight).squeeze(0))


@handler("conv1d", "conv2d", "conv3d")
def _conv(func, input, weight, *args, **kwargs):
    if isinstance(input, Strided) or input._ragged_idx != 1:
        raise unsupported(name_of(func), input)
    return input._with(func(input._values, weight, *args, **kwargs))  # (sum of lengths, C, …): a ragged second batch


# ---------------------------------------------------------------------- products and attention
@handler("matmul", "rmatmul", "bmm")
def _matmul(func, input, other=None, mat2=None):
    name, other = name_of(func), mat2 if other is None else other
    if name == "bmm":
        for what, tensor in (("input", input), ("mat2", other)):
            if tensor.dim() != 3:
                raise ValueError(f"bmm(): {what} must be 3D")
    if name == "rmatmul":
        input, other = other, input
    nested = [isinstance(tensor, NestedTensor) for tensor in (input, other)]
    if any(isinstance(tensor, Strided) for tensor in (input, other)):
        return _matmul_parts(input, other, nested)
    product = None
    if nested == [True, False]:
        product = _jagged_by_dense(input, other)
    elif nested == [False, True]:
        product = _dense_by_jagged(input, other)
    elif min(input.dim(), other.dim()) > 3 and input._ragged_idx < input.dim() - 2 and input._alike(other):
        product = input._with(plain.matmul(input._values, other._values))
    elif input._ragged_idx == input.dim() - 1 and other._ragged_idx == other.dim() - 2 and _same_length(input, other):
        product = plain.stack([plain.matmul(a, b) for a, b in zip(input.unbind(), other.unbind())])
    if product is None:
        shapes = [tuple(tensor.shape) for tensor in (input, other)]
        raise RuntimeError(f"matmul(): not supported between inputs of shapes {shapes[0]} and {shapes[1]}")
    return product


def _same_length(a, b):
    return a._symbol() == b._symbol() and a._lengths is None


def _jagged_by_dense(input, other):
    """Return the product along dense dimensions of a jagged tensor, as last dimension, and a dense one; None if not so.

    A matrix for all: (B, j, D) @ (D, E); one for each part: (B, j, D) @ (B, D, E).
    """
    if input._ragged_idx >= input.dim() - 1:
        return None
    if other.dim() == 2 and input.dim() > 2:
        return input._with(plain.matmul(input._values, other))
    if other.dim() == input.dim() >= 3 and input._lengths is None:
        return input._from_padded(plain.matmul(input._padded(0), other))
    return None


def _dense_by_jagged(input, other):
    if other._ragged_idx < 2:
        return None
    if input.dim() == 2 and other.dim() > 2:
        return other._with(plain.matmul(input, other._values))
    if input.dim() == other.dim() >= 3 and other._lengths is None:
        return other._from_padded(plain.matmul(input, other._padded(0)))
    return None


def _matmul_parts(input, other, nested):
    batch = {tensor.size(0) for tensor, is_nested in zip((input, other), nested) if is_nested}
    columns = []
    for tensor, is_nested in zip((input, other), nested):
        if is_nested:
            columns.append(tensor.unbind())
        elif tensor.dim() < 3:
            columns.append(itertools.repeat(tensor, max(batch)))
        else:
            columns.append(tensor.unbind())
            batch.add(tensor.shape[0])
    if len(batch) != 1:
        raise RuntimeError(f"matmul: Expected size for the 1st dimension of both to be the same, but got {batch}")
    if min(input.dim(), other.dim()) < 3 and all(nested):
        raise RuntimeError("matmul: For nested tensors, only inputs with >= 3 dims are currently supported.")
    return as_strided_parts([plain.matmul(a, b) for a, b in zip(*columns)])


@handler("scaled_dot_product_attention")
def _attention(
    func, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):  # fmt: skip
    three = (query, key, value)
    settings = {"dropout_p": dropout_p, "is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    is_jagged = any(isinstance(tensor, Jagged) for tensor in three)
    if is_jagged:
        _check_attention(three, attn_mask)
    elif attn_mask is not None:
        raise RuntimeError(
            "Scaled_dot_product_attention: Nested tensors for query / key are not supported when an explicit attn_mask "
            "is set"
        )
    batches = {tensor.size(0) for tensor in three}
    if len(batches) != 1:
        raise RuntimeError(f"scaled_dot_product_attention: the batches of query, key and value differ: {batches}")
    if is_jagged and query._ragged_idx == 1 and min(tensor.dim() for tensor in three) > 3:
        if not (query._alike(key) and query._alike(value)):
            raise RuntimeError("scaled_dot_product_attention: a ragged second batch must be the same for all three")
        return query._with(func(*[tensor._values for tensor in three], **settings))
    parts = [func(*those, **settings) for those in zip(*[tensor.unbind() for tensor in three])]
    return packed(parts, query._ragged_idx, query) if is_jagged else as_strided_parts(parts)


def _check_attention(three, attn_mask):
    """ValueError for what attention of jagged tensors does not take."""
    if not all(isinstance(tensor, Jagged) for tensor in three):
        kinds = ", ".join(str(isinstance(tensor, NestedTensor)) for tensor in three)
        raise ValueError(f"Expected query, key, and value to be nested tensors, but is_nested of each is: {kinds}")
    for what in ("dtype", "device"):
        if len({str(getattr(tensor, what)) for tensor in three}) != 1:
            raise ValueError(f"Expected query, key, and value to have the same {what}")
    if min(tensor.dim() for tensor in three) < 3:
        raise ValueError("Expected query, key, and value to all be at least 3 dimensional")
    if len({tensor._ragged_idx for tensor in three}) != 1:
        raise ValueError("Expected query, key, and value to all be ragged on the same dimension")
    if attn_mask is not None:
        raise ValueError("Masks are not yet supported!")


def attended(query, key, value, attention, batch_first, masked, need_weights):
    """Return what MultiheadAttention makes of nested tensors: (nested output, weights padded with zeros or None).

    ``attention(query, key, value)`` is the layer's for tensors (length, batch, E). AssertionError for masks, layers
    that are not batch_first, and tensors that are not all nested and of 3 dimensions.
    """
    three = query, key, value
    refusal = None
    if not batch_first:
        refusal = "batch_first was not True"
    elif masked:
        refusal = "masks are not supported with NestedTensor input"
    elif not all(isinstance(tensor, NestedTensor) and tensor.dim() == 3 for tensor in three):
        refusal = "query, key and value must all be nested tensors of 3 dimensions"
    if refusal:
        raise AssertionError(f"MultiheadAttention does not support NestedTensor here: {refusal}")
    results = [attention(*[part.unsqueeze(1) for part in those]) for those in zip(*[one.unbind() for one in three])]
    outputs = together(query, [out.squeeze(1) for out, _ in results])
    if not need_weights:
        return outputs, None
    weights = [weights.squeeze(0) for _, weights in results]
    return outputs, as_strided_parts(weights).to_padded_tensor(0.0)


NestedTensor.attended = attended  # called by MultiheadAttention
NestedTensor.activated = lambda self, function: dispatching(function)(self)  # of functions taken before this import
