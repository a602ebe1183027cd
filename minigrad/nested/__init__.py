"""Nested tensors: batches of tensors of different lengths, of the layouts jagged and strided.

A nested tensor is one dense tensor of all values and what divides it into parts: offsets (jagged) or sizes (strided).
It is a subclass of Tensor whose ``__torch_function__`` gives each function the dense values, or the parts one by one.
Every result is therefore composed of dense operations, from which gradients of all orders come; no operation knows of
nested tensors, and programs without them run none of this, since the module is imported on first use.
Source: https://docs.pytorch.org/docs/stable/nested.html
"""

import functools

from minigrad import autograd
from minigrad.absent import getter
from minigrad.nested import functions, layers, shapes  # noqa: F401 - these say what functions do
from minigrad.nested.tensors import Jagged, NestedTensor, Strided, as_strided_parts, packed, plain
from minigrad.ops.layout import jagged, strided
from minigrad.tensor import Tensor

__all__ = [
    "as_nested_tensor", "masked_select", "narrow", "nested_tensor", "nested_tensor_from_jagged", "to_padded_tensor",
]  # fmt: skip


def nested_tensor(tensor_list, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Return a nested tensor with copies of a list's parts, without their history.

    Arguments: tensor_list (tensors, or data for them, of one number of dimensions), layout (strided, or jagged for
    parts that differ in one dimension). RuntimeError for parts that do not fit, TypeError for what is no list.
    Source: https://docs.pytorch.org/docs/stable/nested.html#torch.nested.nested_tensor

    >>> import minigrad as mg
    >>> nt = mg.nested.nested_tensor([mg.ones(2, 3), mg.zeros(1, 3)], layout=mg.jagged)
    >>> nt.dim(), nt.size(0), nt.offsets()
    (3, 2, tensor([0, 2, 3]))
    """
    if not isinstance(tensor_list, (list, tuple)):
        raise TypeError("Only lists (List[Tensor] and List[List...[Scalar]]) are accepted in nested_tensor")
    if layout not in (None, strided, jagged):
        raise RuntimeError(f"Specified layout is unsupported for nested tensors: {layout}")
    parts = [plain.as_tensor(part).detach() for part in tensor_list]
    nested = _joined(parts, dtype, device, layout, copied=True)
    if pin_memory:
        nested = nested.pin_memory()
    return nested.requires_grad_() if requires_grad else nested


def as_nested_tensor(ts, dtype=None, device=None, layout=None):
    """Return a nested tensor of a list's parts, or of a tensor's slices, with their history.

    A nested tensor is returned as it is, in another dtype or on another device if asked. TypeError for other things
    than tensors, RuntimeError for parts that do not fit and for nested tensors of another layout.
    Source: https://docs.pytorch.org/docs/stable/nested.html#torch.nested.as_nested_tensor

    >>> import minigrad as mg
    >>> a = mg.ones(2, requires_grad=True)
    >>> (mg.nested.as_nested_tensor([a, mg.ones(3)]) * 2).sum().backward()
    >>> a.grad
    tensor([2., 2.])
    """
    listed = isinstance(ts, (list, tuple)) and all(isinstance(part, Tensor) for part in ts)
    if not isinstance(ts, Tensor) and not listed:
        raise TypeError("as_nested_tensor(): Expected first argument to be a tensor or a list / tuple of tensors")
    if layout not in (None, strided, jagged):
        raise RuntimeError(f"Specified layout is unsupported for nested tensors: {layout}")
    if isinstance(ts, NestedTensor):
        if layout is not ts.layout:
            raise RuntimeError("as_nested_tensor(): Converting between nested tensor layouts is not supported")
        return ts.to(device=device, dtype=dtype)
    if listed:
        return _joined(list(ts), dtype, device, layout)
    if ts.dim() < 2:
        raise RuntimeError("as_nested_tensor(): Expected tensor argument to have dim() > 1")
    ts = ts.to(device=device, dtype=dtype)
    batch, length = ts.shape[:2]
    if layout is not jagged:
        return Strided(ts.reshape(-1), [tuple(ts.shape[1:])] * batch)
    offsets = plain.arange(batch + 1, device=ts.device) * length
    return Jagged(ts.contiguous().flatten(0, 1), offsets, bounds=(length, length))


def _joined(parts, dtype, device, layout, copied=False):
    """Return parts as a nested tensor of a layout, the values no part's own memory if they are to be copied."""
    for number, part in enumerate(parts):
        if part.dim() != parts[0].dim():
            raise RuntimeError(
                "All Tensors given to nested_tensor must have the same dimension. Found dimension "
                f"{part.dim()} for Tensor at index {number} and dimension {parts[0].dim()} for Tensor at index 0."
            )
    if layout is jagged:
        ragged = _ragged_of(parts)
    dtype = dtype or (parts[0].dtype if parts else None)
    parts = [part.to(device=device, dtype=dtype) for part in parts]
    nested = packed(parts, ragged) if layout is jagged else as_strided_parts(parts)
    return nested.clone() if copied and len(parts) == 1 else nested


def _ragged_of(parts):
    """Return the dimension of a jagged tensor in which its parts differ; RuntimeError where there are several."""
    if not parts:
        raise RuntimeError("Cannot construct a nested tensor from an empty tensor list")
    for what in ("dtype", "device"):
        if len({str(getattr(part, what)) for part in parts}) != 1:
            raise RuntimeError(f"When constructing a nested tensor, all tensors in list must have the same {what}")
    if parts[0].dim() == 0:
        raise RuntimeError("Cannot construct a nested tensor from a list of zero-dim tensors")
    differing = [dim for dim, lengths in enumerate(zip(*[part.shape for part in parts])) if len(set(lengths)) > 1]
    if len(differing) > 1:
        raise RuntimeError(
            "Cannot represent given tensor list as a nested tensor with the jagged layout. Note that the jagged layout "
            f"only allows for a single ragged dimension, but the shapes are {[list(part.shape) for part in parts]}"
        )
    return differing[0] + 1 if differing else 1


def nested_tensor_from_jagged(values, offsets=None, lengths=None, jagged_dim=None, min_seqlen=None, max_seqlen=None):
    """Return the jagged nested tensor that looks at values through offsets.

    Arguments: values (…, sum of lengths, …), offsets (B + 1,): where the parts begin, and the end, or lengths (B,);
    with both there are holes behind the parts. jagged_dim (of the nested tensor, default 1), min_seqlen, max_seqlen
    (least and largest length, if known). RuntimeError without offsets and lengths, ValueError for jagged_dim < 1.
    Source: https://docs.pytorch.org/docs/stable/nested.html#torch.nested.nested_tensor_from_jagged

    >>> import minigrad as mg
    >>> nt = mg.nested.nested_tensor_from_jagged(mg.arange(5), mg.tensor([0, 2, 5]))
    >>> nt.unbind()
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    if offsets is None:
        if lengths is None:
            raise RuntimeError("nested_tensor_from_jagged(): At least one of offsets or lengths is required.")
        offsets, lengths = plain.cat([lengths.new_zeros(1), lengths.cumsum(0)]), None
    ragged = 1 if jagged_dim is None else jagged_dim
    if ragged < 1:
        raise ValueError(f"Expected jagged_dim >=1, but got {jagged_dim}.")
    if offsets.dim() != 1:
        raise AssertionError(f"offsets must be 1D, but got {offsets.dim()}D")
    if isinstance(values, NestedTensor):
        raise AssertionError("values must not be a NestedTensor")
    if values.device != offsets.device:
        raise AssertionError(
            f"values and offsets must be on the same device, but are on {values.device} and {offsets.device}"
        )
    if lengths is not None and lengths.shape[0] != offsets.shape[0] - 1:
        raise AssertionError(
            f"offsets and lengths must be of one batch, but have {offsets.shape[0]} and {lengths.shape[0]} elements"
        )
    if ragged > values.dim():
        raise IndexError(f"jagged_dim={ragged} is out of range for values of {values.dim()} dimensions")
    seen = values.view_as(values) if values.requires_grad else values.detach()
    return Jagged(seen, offsets, lengths, ragged, (min_seqlen, max_seqlen))


def to_padded_tensor(input, padding, output_size=None, out=None):
    """Return the dense tensor of a nested one, with the padding behind each part.

    Arguments: padding (number), output_size (that of the result; default the largest lengths). RuntimeError for a size
    that is too small (strided), and for parts with holes between them.
    Source: https://docs.pytorch.org/docs/stable/nested.html#torch.nested.to_padded_tensor

    >>> import minigrad as mg
    >>> mg.nested.to_padded_tensor(mg.nested.nested_tensor([[1, 2], [3]]), 0)
    tensor([[1, 2],
            [3, 0]])
    """
    if not isinstance(input, NestedTensor):
        raise NotImplementedError("to_padded_tensor: the input must be a nested tensor")
    padded = input.to_padded_tensor(padding, output_size)
    return padded if out is None else out.copy_(padded)


def narrow(tensor, dim, start, length, layout=strided):
    """Return the nested tensor of slices [start, start + length) of a dense tensor, one of each of its rows.

    Arguments: dim (jagged: 1; strided: 0, the batch), start and length (numbers; for jagged also a tensor (B,) each:
    every row has its own, and the result looks at the tensor's memory, with holes). RuntimeError for other things.
    Source: https://docs.pytorch.org/docs/stable/nested.html#torch.nested.narrow

    >>> import minigrad as mg
    >>> x = mg.arange(6).reshape(2, 3)
    >>> mg.nested.narrow(x, 1, mg.tensor([0, 1]), mg.tensor([1, 2]), layout=mg.jagged).unbind()
    (tensor([0]), tensor([4, 5]))
    """
    for name, value in (("start", start), ("length", length)):
        if not isinstance(value, (int, Tensor)):
            raise RuntimeError(f"{name} must be an integer or a tensor")
    if layout is strided:
        if isinstance(start, Tensor) or isinstance(length, Tensor):
            raise RuntimeError("start and length must be integers for the strided layout NT impl")
        return as_nested_tensor(tensor.unbind(), layout=strided).narrow(dim, start, length)
    if layout is not jagged:
        raise RuntimeError(f"Specified layout is unsupported for nested narrow: {layout}")
    if dim != 1:
        raise RuntimeError("jagged layout only supports dim=1")
    batch, longest = tensor.shape[:2]
    starts, lengths = (
        plain.as_tensor(value, device=tensor.device).to(plain.int64).reshape(-1).expand(batch).contiguous()
        for value in (start, length)
    )
    offsets = plain.arange(batch, device=tensor.device) * longest + starts
    offsets = plain.cat([offsets, offsets[-1:] + lengths[-1:]])
    ends = starts + lengths
    if batch and (int(starts.min()) < 0 or int(lengths.min()) < 0 or int(ends.max()) > longest):
        raise RuntimeError(f"narrow: start and start + length must lie in [0, {longest}]")
    values = tensor.reshape(batch * longest, *tensor.shape[2:])
    if not values.requires_grad:
        values = values.detach()
    return Jagged(values, offsets, lengths)


def masked_select(tensor, mask):
    """Return the jagged nested tensor of what a mask selects in each of a dense tensor's rows.

    Arguments: tensor (…, D), mask (bool; broadcast to it). RuntimeError for nested or sparse tensors.
    Source: https://docs.pytorch.org/docs/stable/nested.html#torch.nested.masked_select

    >>> import minigrad as mg
    >>> mg.nested.masked_select(mg.arange(4).reshape(2, 2), mg.tensor([[True, True], [False, True]])).unbind()
    (tensor([0, 1]), tensor([3]))
    """
    for what, given in (("tensor", tensor), ("mask", mask)):
        if given.layout is not strided or given.is_nested:
            raise RuntimeError(f"torch.nested.masked_select requires a strided {what}, given {given.layout}")
    lengths = mask.expand(tensor.shape).sum(dim=tensor.dim() - 1).reshape(-1)
    return Jagged(tensor.masked_select(mask), plain.cat([lengths.new_zeros(1), lengths.cumsum(0)]))


def _dense(value):
    """Return an argument of autograd.grad with the values of nested tensors in their place."""
    if isinstance(value, (list, tuple)):
        return [_dense(item) for item in value]
    return value._values if isinstance(value, NestedTensor) else value


def _taking_nested(plain_function):
    """Return autograd.grad or autograd.backward for nested tensors too; gradients of nested inputs are nested."""

    @functools.wraps(plain_function)
    def taking_nested(*args, **kwargs):
        if functions.first_nested((*args, *kwargs.values())) is None:
            return plain_function(*args, **kwargs)
        found = plain_function(*map(_dense, args), **{key: _dense(value) for key, value in kwargs.items()})
        if found is None:
            return None
        inputs = kwargs["inputs"] if "inputs" in kwargs else args[1]
        inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return tuple(
            one._with(gradient) if isinstance(one, NestedTensor) and gradient is not None else gradient
            for one, gradient in zip(inputs, found)
        )

    return taking_nested


autograd.grad, autograd.backward = _taking_nested(autograd.grad), _taking_nested(autograd.backward)
__getattr__ = getter(__name__)
