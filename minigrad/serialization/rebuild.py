"""Makes the tensors of a checkpoint: views on its storages, what they are checked for, and their attributes."""

from pickle import UnpicklingError

from minigrad.backend import dtype, np, xp
from minigrad.serialization.names import QUANTIZED
from minigrad.serialization.placeholders import Name, expect
from minigrad.serialization.storages import Storage
from minigrad.tensor import Size, Tensor, wrap
from minigrad.variable import Parameter, check_can_require_grad, promote

TENSOR = 100  # what a tensor is charged: its description in the file has some 60 bytes, which allow four times as much


def _view(storage, dtype_name, offset, shape, strides):
    """Return the raw array of a shape and strides (in elements) on a storage; UnpicklingError beyond its end."""
    expect(storage, Storage)
    shape, strides = tuple(expect(shape, tuple, list, Size)), tuple(expect(strides, tuple, list, Size))
    if len(shape) != len(strides) or len(shape) > 64:
        raise UnpicklingError(f"the checkpoint has a tensor of shape {shape[:9]} with {len(strides)} strides")
    for number in (offset, *shape, *strides):
        if expect(number, int) < 0 or number >= 1 << 62:
            raise UnpicklingError(f"the checkpoint has a tensor with the size, stride or offset {number}")
    flat = storage.array(dtype_name)
    count = 1
    for length in shape:
        count *= length
    if count >= 1 << 62:
        raise UnpicklingError(f"the checkpoint has a tensor of {count} elements")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides)) if count else 0
    if last >= len(flat) and count:
        raise UnpicklingError(
            f"the checkpoint has a tensor of shape {shape} that ends at element {last} of a storage with {len(flat)}"
        )
    if not count:
        return flat[:0].reshape(shape)
    # A dimension of length 1 may name any stride; NumPy wants one that stays small.
    steps = tuple(0 if length == 1 else stride * flat.itemsize for length, stride in zip(shape, strides))
    part = flat[offset : offset + count] if _is_row_major(shape, strides) else None
    if part is not None:
        return part.reshape(shape)
    if isinstance(flat, np.ndarray):
        return np.ndarray(shape, flat.dtype, flat, offset * flat.itemsize, steps)
    return xp(flat).lib.stride_tricks.as_strided(flat[offset:], shape, steps)


def _is_row_major(shape, strides):
    step = 1
    for length, stride in zip(reversed(shape), reversed(strides)):
        if length != 1 and stride != step:
            return False
        step *= length
    return True


def _tensor(storage, dtype_name, offset, shape, strides, requires_grad, metadata=None):
    """Return a tensor on a storage, which knows from then on who looks at it."""
    array = _view(storage, dtype_name, offset, shape, strides)
    tensor = wrap(array)
    if metadata:
        storage.when_filled(lambda: setattr(tensor, "array", _resolved(array, metadata)))
    if expect(requires_grad, bool, int):
        _check_grad(array)
        promote(tensor, requires_grad=True)
    storage.tensors.append(tensor)
    if len(storage.tensors) > 1:  # the memory is shared: in-place writes to one are seen by the others
        for other in storage.tensors[0 if len(storage.tensors) == 2 else -1 :]:
            other._aliased = True
    return tensor


def _check_grad(array):
    try:
        check_can_require_grad(array)
    except RuntimeError as error:
        raise UnpicklingError(f"the checkpoint is damaged: {error}") from None


def _resolved(array, metadata):
    """Apply PyTorch's lazy conjugation and negation."""
    for name in expect(metadata, dict):
        if name == "conj":
            array = array.conj()
        elif name == "neg":
            array = -array
        else:
            raise UnpicklingError(f"the checkpoint has a tensor with the unknown property {str(name)[:40]}")
    return array


def _typed(storage):
    """Return the name of the dtype of a storage."""
    name = expect(storage, Storage).dtype_name
    if name is None:
        raise UnpicklingError("the checkpoint is damaged: a tensor on untyped bytes without a dtype")
    if name in QUANTIZED:
        raise UnpicklingError(f"the checkpoint is damaged: a tensor on {name} numbers without a scale")
    return name


def rebuild_tensor(unpickler, storage, offset, shape, strides):
    unpickler.charge(TENSOR)
    return _tensor(storage, _typed(storage), offset, shape, strides, False)


def rebuild_tensor_v2(unpickler, storage, offset, shape, strides, requires_grad, hooks, metadata=None):
    unpickler.charge(TENSOR)
    return _tensor(storage, _typed(storage), offset, shape, strides, requires_grad, metadata)


def rebuild_qtensor(unpickler, storage, offset, shape, strides, parameters, requires_grad, hooks):
    """Make a quantized tensor; parameters: (scheme, scale, zero point), or (scheme, scales, zero points, axis)."""
    from minigrad import quantized  # at first use

    unpickler.charge(TENSOR)
    name = expect(storage, Storage).dtype_name
    if name not in QUANTIZED or expect(requires_grad, bool, int):
        raise UnpicklingError(f"the checkpoint is damaged: a quantized tensor of {name} numbers")
    scheme, *parameters = expect(parameters, tuple)
    kinds = {quantized.per_tensor_affine: (float, int), quantized.per_channel_affine: (None, None, int)}.get(scheme)
    if kinds is None or len(parameters) != len(kinds):
        raise UnpicklingError(f"the checkpoint has a tensor quantized by the unknown scheme {str(scheme)[:40]}")
    for index, kind in enumerate(kinds):
        if kind is not None:
            expect(parameters[index], kind)
        elif type(parameters[index]) is list:  # files of PyTorch 1.3
            unpickler.charge(len(parameters[index]))
            parameters[index] = wrap(np.array([expect(one, int, float) for one in parameters[index]]))
        else:
            _expect_tensor(parameters[index])
    numbers = wrap(_view(storage, name, offset, shape, strides))
    if not isinstance(numbers.array, np.ndarray):
        raise RuntimeError("the checkpoint has quantized tensors, which live on the CPU: use map_location='cpu'")
    try:  # in the older format the numbers come later, into the same memory
        return quantized.made_of(numbers, getattr(quantized, name), *parameters)
    except (RuntimeError, NotImplementedError) as error:
        raise UnpicklingError(f"the checkpoint is damaged: {error}") from None


def _no_dtype(kind):
    raise UnpicklingError(f"the checkpoint is damaged: {kind.name} where a dtype belongs")


def rebuild_tensor_v3(unpickler, storage, offset, shape, strides, requires_grad, hooks, kind, metadata=None):
    if not isinstance(kind, dtype):
        _no_dtype(expect(kind, Name))
    unpickler.charge(TENSOR)
    return _tensor(storage, kind.name, offset, shape, strides, requires_grad, metadata)


def make_parameter(unpickler, data, requires_grad=True):
    """Make the Parameter of a file from before PyTorch 0.4; set_parameter_state follows."""
    return rebuild_parameter(unpickler, data, requires_grad, None)


def set_parameter_state(parameter, state):
    """Do what a Parameter's state in such files says: (requires_grad, volatile, hooks), alone or after the data."""
    if type(state) is tuple and len(state) == 5:  # data, gradient, hooks, requires_grad, volatile
        parameter.array = _expect_tensor(state[0]).array
        state = state[3], state[4], state[2]
    if type(state) is not tuple or len(state) != 3 or type(state[0]) is not bool:
        raise UnpicklingError("the checkpoint is damaged: a Parameter without its state")
    if state[0]:
        _check_grad(parameter.array)
    parameter._requires_grad = state[0]


def rebuild_parameter(unpickler, data, requires_grad, hooks):
    tensor = _expect_tensor(data)
    if requires_grad:
        _check_grad(tensor.array)
    promote(tensor)
    tensor._requires_grad = bool(requires_grad)
    tensor.__class__ = Parameter
    return tensor


def rebuild_parameter_with_state(unpickler, data, requires_grad, hooks, state):
    return _set_attributes(rebuild_parameter(unpickler, data, requires_grad, hooks), state)


def rebuild_from_type(unpickler, function, kind, arguments, state):
    """Make a tensor that carries attributes."""
    if expect(kind, Name).name not in ("torch.Tensor", "torch.nn.parameter.Parameter"):
        raise UnpicklingError(f"the checkpoint has a tensor of the class {kind.name}, which is not allowed")
    if not expect(function, Name).name.startswith("torch._utils._rebuild"):
        raise UnpicklingError(f"the checkpoint makes a tensor with {function.name}, which is not allowed")
    return _set_attributes(_expect_tensor(unpickler.called(function, arguments)), state)


def _expect_tensor(value):
    if not isinstance(value, Tensor):
        raise UnpicklingError(f"the checkpoint is damaged: a {type(value).__name__} where a tensor belongs")
    return value


def _set_attributes(tensor, state):
    """Give a tensor the attributes that its user had set; private ones of PyTorch are left out."""
    if type(state) is tuple and len(state) == 2:
        state = state[0]
    for name, value in expect(state, dict).items():
        if hasattr(type(tensor), expect(name, str)) and not name.startswith("_"):
            raise UnpicklingError(f"the checkpoint sets the attribute {name} of a tensor, which is not allowed")
        if not name.startswith("_"):
            tensor.__dict__[name] = value
    return tensor
