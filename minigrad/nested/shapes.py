"""Nested tensors in other shapes, pieces of them, and several as one."""

import math

from minigrad.nested.functions import aligned, by_parts, first_nested, handler, inner_dim, name_of, unsupported
from minigrad.nested.tensors import NestedTensor, Strided, as_strided_parts, packed, plain
from minigrad.tensor import Tensor, normalize_dim


@handler("transpose", "swapaxes", "swapdims")
def _transpose(func, input, dim0, dim1):
    dims = [normalize_dim(dim, input.dim()) for dim in (dim0, dim1)]
    if isinstance(input, Strided):
        if 0 in dims:
            raise RuntimeError("Nested tensor dimension 0 cannot be transposed")
        return by_parts(plain.transpose, input, dims[0] - 1, dims[1] - 1)
    if dims == [0, 0]:
        return input
    if 0 in dims:
        if input._ragged_idx in dims:
            raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
        raise RuntimeError("transpose(): not supported for NestedTensor on dim=0")
    ragged = {dims[0]: dims[1], dims[1]: dims[0]}.get(input._ragged_idx, input._ragged_idx)
    return input._with(input._values.transpose(dims[0] - 1, dims[1] - 1), ragged)


@handler("permute")
def _permute(func, input, *dims, **kwargs):
    dims = kwargs.get("dims", dims)
    dims = dims[0] if len(dims) == 1 and isinstance(dims[0], (list, tuple)) else dims
    if len(dims) != input.dim():
        raise ValueError(
            f"permute(): number of dimensions in the tensor input ({input.dim()}) does not match the length of the "
            f"desired ordering of dimensions ({len(dims)})."
        )
    dims = [normalize_dim(dim, input.dim()) for dim in dims]
    if len(set(dims)) != len(dims):
        raise ValueError("permute(): duplicate dims are not allowed.")
    if dims[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    inner = [dim - 1 for dim in dims[1:]]
    if isinstance(input, Strided):
        return by_parts(plain.permute, input, inner)
    if input._lengths is not None:
        raise ValueError("permute(): not supported on jagged layout nested tensor with holes")
    return input._with(input._values.permute(inner), dims.index(input._ragged_idx))


@handler("unsqueeze")
def _unsqueeze(func, input, dim):
    inner = inner_dim("unsqueeze", input, dim, ragged=True, more=1)
    if isinstance(input, Strided):
        return by_parts(plain.unsqueeze, input, inner)
    return input._with(input._values.unsqueeze(inner), input._ragged_idx + (inner <= input._axis()))


@handler("squeeze")
def _squeeze(func, input, dim=None):
    dims = range(1, input.dim()) if dim is None else dim if isinstance(dim, (list, tuple)) else [dim]
    dims = [normalize_dim(one, input.dim()) for one in dims]
    if isinstance(input, Strided):
        inner = tuple(inner_dim("squeeze", input, one) for one in dims)
        return by_parts(plain.squeeze, input, inner)
    if dim is None:
        dims = [one for one in dims if one != input._ragged_idx]
    inner = sorted(inner_dim("squeeze", input, one) for one in dims)
    gone = [one for one in inner if input._values.shape[one] == 1]
    before = sum(one < input._axis() for one in gone)
    return input._with(input._values.squeeze(tuple(gone)), input._ragged_idx - before)


def _numbers(size):
    """Return sizes given one by one, or as a list or Size."""
    return list(size[0]) if len(size) == 1 and isinstance(size[0], (list, tuple)) else list(size)


@handler("view", "reshape", "view_as", "reshape_as")
def _view(func, input, *size, **kwargs):
    name = name_of(func).replace("_as", "")
    if "_as" in name_of(func):
        size = [size[0].shape]
    size = _numbers(size) if size else list(kwargs.get("shape", kwargs.get("size")))
    if isinstance(input, Strided):
        return _view_parts(name, input, size)
    shape = tuple(input.shape)
    if input._ragged_idx != 1 and tuple(size) != shape:
        raise RuntimeError(
            f"{name}(): does not support ragged_idx != 1 except when inp._size == size. inp._size is ({shape}) and "
            f"size is ({size})."
        )
    if len(size) < 3 or not _same_start(input, size):
        if tuple(size) == shape:
            return input
        raise RuntimeError(f"{name}(): cannot view shape {shape} as {size}")
    inner = [*size[1:]]
    inner[input._axis()] = input._values.shape[input._axis()]
    return input._with(getattr(input._values, name)(*inner))


def _same_start(tensor, size):
    """Return whether a size is a jagged tensor's own up to its ragged dimension; -1 stands for any length."""
    end = tensor._ragged_idx + 1
    own = tuple(tensor.shape)[:end]
    return len(size) >= end and all(one == -1 or one == other for one, other in zip(size, own))


def _view_parts(name, input, size):
    """Return the parts in another shape: -1 keeps a length that is there, as in PyTorch's nested tensors."""
    if not size or size[0] not in (len(input._sizes), -1):
        raise RuntimeError(f"{name}: For now nested {name} cannot change or infer the implicit batch dimension")
    if len(size) < 2:
        raise RuntimeError(f"{name}: shape {size} has no dimensions for the parts")
    sizes = []
    for own in input._sizes:
        new = [own[i] if length == -1 and i < len(own) else length for i, length in enumerate(size[1:])]
        if math.prod(new) != math.prod(own):
            raise RuntimeError(f"shape '{size}' is invalid for input of size {math.prod(own)}")
        sizes.append(new)
    return Strided(input._values, sizes)


@handler("unflatten")
def _unflatten(func, input, dim, sizes):
    inner = inner_dim("unflatten", input, dim)
    if isinstance(input, Strided):
        return by_parts(plain.unflatten, input, inner, sizes)
    ragged = input._ragged_idx + (len(sizes) - 1 if inner < input._axis() else 0)
    return input._with(plain.unflatten(input._values, inner, sizes), ragged)


@handler("flatten")
def _flatten(func, input, start_dim=0, end_dim=-1):
    start = inner_dim("flatten", input, start_dim)
    end = inner_dim("flatten", input, end_dim)
    if isinstance(input, Strided):
        return by_parts(plain.flatten, input, start, end)
    axis = input._axis()
    if start <= axis <= end and start != end:
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    ragged = input._ragged_idx - (end - start if end < axis else 0)
    return input._with(plain.flatten(input._values, start, end), ragged)


@handler("expand", "broadcast_to", "expand_as")
def _expand(func, input, *size, **kwargs):
    if name_of(func) == "expand_as":
        other = size[0] if size else kwargs["other"]
        if not isinstance(input, NestedTensor):
            return other._with(input.expand_as(other._values))
        size = tuple(other.shape)
    size = _numbers(size) if size else list(kwargs["size"])
    if isinstance(input, Strided):
        raise unsupported(name_of(func), input)
    if len(size) > input.dim():
        raise ValueError(f"{name_of(func)}(): a nested tensor is not broadcast to more dimensions")
    if not _same_start(input, size) or len(size) != input.dim():
        raise RuntimeError(f"expand(): cannot expand shape {tuple(input.shape)} -> {size}")
    inner = [*size[1:]]
    inner[input._axis()] = -1
    return input._with(input._values.expand(inner))


@handler("broadcast_tensors")
def _broadcast_tensors(func, *tensors):
    like = first_nested(tensors)
    tensors = _numbers(tensors)
    if isinstance(like, Strided):
        raise unsupported("broadcast_tensors", like)
    values = func(*[like._values if one is like else aligned("broadcast_tensors", like, one) for one in tensors])
    return tuple(like._with(value) for value in values)


@handler("chunk", "unsafe_chunk")
def _chunk(func, input, chunks, dim=0):
    place = normalize_dim(dim, input.dim())
    if isinstance(input, Strided):
        if place != input.dim() - 1:
            raise RuntimeError("Chunk for nested tensors is currently only supported for the last dimension.")
        last = input.size(-1)
        pieces = [part.chunk(chunks, -1) for part in input.unbind()]
        if last % chunks:
            raise RuntimeError(f"Chunk for nested tensors is only supported for nested tensors with trailing dimension "
                               f"divisible by chunks, got: {last} % {chunks} != 0")  # fmt: skip
        return tuple(as_strided_parts(column) for column in zip(*pieces))
    if place:
        inner = inner_dim("chunk", input, dim)
        return tuple(input._with(values) for values in input._values.chunk(chunks, inner))
    parts = input.unbind()
    step = max(math.ceil(len(parts) / chunks), 1)
    return tuple(packed(parts[start:start + step], input._ragged_idx) for start in range(0, len(parts), step))


@handler("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "tensor_split")
def _split(func, input, split_size=None, dim=0, **kwargs):
    if split_size is None:
        split_size = next(iter(kwargs.values()))
    inner = inner_dim(name_of(func), input, dim)
    if isinstance(input, Strided):
        pieces = [func(part, split_size, inner) for part in input.unbind()]
        return tuple(as_strided_parts(column) for column in zip(*pieces, strict=True))
    return tuple(input._with(values) for values in func(input._values, split_size, inner))


@handler("narrow")
def _narrow(func, input, dim, start, length):
    if isinstance(input, Strided):
        if dim != 0:
            raise RuntimeError(f"narrow(): only dim=0 supported for nested tensors, but got: {dim}")
        return as_strided_parts(input.unbind()[start:start + length])
    return input._with(func(input._values, inner_dim("narrow", input, dim), start, length))


@handler("select")
def _select(func, input, dim, index):
    if normalize_dim(dim, input.dim()) == 0:
        parts = input.unbind()
        if not -len(parts) <= index < len(parts):
            raise IndexError(f"index {index} is out of bounds for dimension 0 with size {len(parts)}")
        return parts[index]
    inner = inner_dim("select", input, dim)
    if isinstance(input, Strided):
        return by_parts(plain.select, input, inner, index)
    if input._lengths is not None:
        raise ValueError("select(): not yet supported on dim != 0 for non-contiguous nested tensor with holes")
    return input._with(input._values.select(inner, index), input._ragged_idx - (inner < input._axis()))


@handler("getitem")
def _getitem(func, input, index):
    index = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(item, Tensor) or not isinstance(item, (int, slice, type(None), type(...))) for item in index):
        raise unsupported("indexing with other than numbers and slices", input)
    if ... in index:
        place, used = index.index(...), sum(item is not None and item is not ... for item in index)
        index[place:place + 1] = [slice(None)] * (input.dim() - used)
    if isinstance(index[0], int):
        part = _select(func, input, 0, index[0])
        return part[tuple(index[1:])] if index[1:] else part
    if index[0] != slice(None):
        name = "unsqueeze" if index[0] is None else "slice"
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    if sum(item is not None for item in index) > input.dim():
        raise IndexError(f"too many indices for tensor of dimension {input.dim()}")
    inner = tuple(index[1:])
    if isinstance(input, Strided):
        return as_strided_parts([part[inner] for part in input.unbind()])
    dim, ragged = 0, input._ragged_idx
    for item in inner:
        if item is None:
            ragged += dim <= input._axis()
            continue
        if dim == input._axis() and item != slice(None):
            name = "select" if isinstance(item, int) else "slice"
            raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
        ragged -= isinstance(item, int) and dim < input._axis()
        dim += 1
    return input._with(input._values[inner] if inner else input._values, ragged)


@handler("index_put", "index_put_")
def _index_put(func, input, indices, values, accumulate=False):
    """Put values at (batch, …) indices: of the values where the ragged dimension is among them, else of the padded."""
    if isinstance(input, Strided):
        raise unsupported(name_of(func), input)
    if len(indices) > input.dim():
        raise AssertionError(f"Too many indices: got {len(indices)} but tensor has {input.dim()} dimensions")
    ragged = input._ragged_idx
    if len(indices) <= ragged:
        if not input.is_contiguous():
            raise RuntimeError(
                "index_put(): If ragged dimension is not part of indices, this only works on contiguous NJTs"
            )
        result = input._from_padded(plain.index_put(input._padded(0), indices, values, accumulate))._values
    else:
        lengths = plain.tensor(input._part_lengths(), device=input.device)
        if bool((indices[ragged] >= lengths[indices[0]]).any()):
            raise RuntimeError("Some indices in the ragged dimension are out of bounds!")
        places = (*indices[1:ragged], input._offsets[indices[0]] + indices[ragged], *indices[ragged + 1 :])
        result = plain.index_put(input._values, places, values, accumulate)
    if not func.__name__.endswith("_"):
        return input._with(result)
    input._values.copy_(result)
    return input


@handler("cat", "concat", "concatenate")
def _cat(func, tensors, dim=0, **kwargs):
    first, dim = first_nested(tensors), kwargs.get("axis", dim)
    if isinstance(first, Strided):
        if normalize_dim(dim, first.dim()) or not all(isinstance(one, Strided) for one in tensors):
            raise RuntimeError("cat(): nested tensors of the strided layout are joined along the batch only")
        return as_strided_parts([part for one in tensors for part in one.unbind()])
    inner = inner_dim("cat", first, dim)
    values = []
    for one in tensors:
        if isinstance(one, NestedTensor):
            values.append(aligned("cat", first, one))
        else:
            values.append(one.expand(*first._values.shape[:inner], *one.shape[inner - first._values.dim():]))
    return first._with(func(values, inner))


@handler("stack")
def _stack(func, tensors, dim=0):
    first = first_nested(tensors)
    if isinstance(first, Strided):
        raise unsupported("stack", first)
    for one in tensors:
        if not isinstance(one, NestedTensor):
            raise RuntimeError("stack(): expected all nested tensors inputs")
        if one.dim() != first.dim():
            raise RuntimeError("stack(): expected all nested tensors to have the same dim")
        if not first._alike(one):
            raise RuntimeError("stack(): expected all nested tensors to have the same nested structure")
    inner = inner_dim("stack", first, dim, more=1)
    return first._with(func([one._values for one in tensors], inner), first._ragged_idx + (inner <= first._axis()))
