"""Quantized tensors: whole numbers of 8 or 32 bits that stand for value = scale · (number - zero point).

They hold the weights and the activations of eight-bit networks (minigrad.nn.quantized) on the CPU, and are made by
quantize_per_tensor and quantize_per_channel. What moves elements works on them, and what such networks compute; all
other functions raise NotImplementedError: ``dequantize()`` first. Numbers are rounded as PyTorch rounds them.
Source: https://docs.pytorch.org/docs/stable/quantization.html
"""

import sys
from collections.abc import Callable

from minigrad.backend import DTYPES, QUANTIZED, np
from minigrad.backend import dtype as _dtype
from minigrad.kernels import quantized as kernels
from minigrad.ops import pool
from minigrad.ops.sizes import spatial_ints
from minigrad.printing import tensor_string
from minigrad.registry import FUNCTIONS, METHODS
from minigrad.tensor import Tensor, wrap

__all__ = [
    "dequantize", "int_repr", "per_channel_affine", "per_channel_symmetric", "per_tensor_affine",
    "per_tensor_symmetric", "q_per_channel_axis", "q_per_channel_scales", "q_per_channel_zero_points", "q_scale",
    "q_zero_point", "qint32", "qint8", "qscheme", "quantize_per_channel", "quantize_per_tensor", "quint8",
]  # fmt: skip


class QuantizedType(_dtype):
    """The dtype of quantized tensors: qint8, quint8 or qint32."""

    __slots__ = ("numbers",)

    def __init__(self, name):
        self.name = name
        self.numbers = np.dtype(name.replace("q", "", 1))  # what lies in memory
        self.itemsize = self.numbers.itemsize
        self.is_floating_point = self.is_complex = False

    @property
    def dtype(self):
        maker = f"{_dtype.package}.quantize_per_tensor"
        raise RuntimeError(f"{self!r} is a dtype of quantized tensors only, which {maker} makes")

    @property
    def is_signed(self):
        raise RuntimeError("isSignedType not supported for quantized types")

    def __reduce__(self):
        return self.name


class qscheme:  # noqa: N801 - PyTorch's name
    """How the numbers of a quantized tensor become values: one scale for all of them, or one for each channel."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"{_dtype.package}.{self.name}"

    def __reduce__(self):
        return self.name

    def __deepcopy__(self, memo):
        return self


qint8, quint8, qint32 = QuantizedType("qint8"), QuantizedType("quint8"), QuantizedType("qint32")
per_tensor_affine, per_channel_affine = qscheme("per_tensor_affine"), qscheme("per_channel_affine")
per_tensor_symmetric, per_channel_symmetric = qscheme("per_tensor_symmetric"), qscheme("per_channel_symmetric")


def _of_integers(name: str) -> Callable:
    """A method that answers for the integers, `_q`."""

    def method(self, *args, **kwargs):
        return getattr(self._q, name)(*args, **kwargs)

    method.__name__ = name
    return method


class QuantizedTensor(Tensor):
    """Integers (a plain tensor) with a scale (float) and a zero point (int), or with tensors of these along an axis."""

    def __new__(cls, numbers, dtype, scale, zero_point, axis=None):
        self = object.__new__(cls)
        self.__dict__.update(_q=numbers, _type=dtype, _scale=scale, _zero=zero_point, _axis=axis)
        return self

    # ------------------------------------------------------------------ what it is
    @property
    def array(self):
        raise _unsupported(sys._getframe(1).f_code.co_name)

    shape = property(lambda self: self._q.shape, doc="Size of the tensor.")
    ndim = property(lambda self: self._q.ndim, doc="Number of dimensions.")
    dtype = property(lambda self: self._type, doc="qint8, quint8 or qint32.")
    device = property(lambda self: self._q.device, doc="Device of the tensor: the CPU.")
    layout = property(lambda self: self._q.layout, doc="How the elements are stored: strided.")
    is_quantized = property(lambda self: True, doc="Whether the tensor is quantized: always.")
    is_cuda = property(lambda self: False)
    is_cpu = property(lambda self: True)
    requires_grad = property(lambda self: False)
    is_leaf = property(lambda self: True)
    grad = grad_fn = property(lambda self: None)
    retains_grad = property(lambda self: False)
    data = property(lambda self: self.detach())
    T = property(lambda self: self._with(self._q.T))
    names = property(lambda self: self._q.names)
    itemsize = property(lambda self: self._q.itemsize)
    nbytes = property(lambda self: self._q.nbytes)

    size, dim, ndimension, numel, nelement, __len__ = map(
        _of_integers, "size dim ndimension numel nelement __len__".split()
    )
    element_size, stride, is_contiguous, storage_offset, get_device, data_ptr = map(
        _of_integers, "element_size stride is_contiguous storage_offset get_device data_ptr".split()
    )

    def is_floating_point(self):
        return False

    is_complex = is_floating_point

    def is_signed(self):
        return self._type.is_signed

    def requires_grad_(self, requires_grad=True):
        if requires_grad:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        return self

    def type(self, dtype=None):
        """Return the name of the type, torch.quantized.QUInt8Tensor."""
        if dtype is not None:
            raise _unsupported("type")
        return f"torch.quantized.{ {'qint8': 'QInt8', 'quint8': 'QUInt8', 'qint32': 'QInt32'}[self._type.name] }Tensor"

    # ------------------------------------------------------------------ scale and zero point
    def qscheme(self):
        return per_tensor_affine if self._axis is None else per_channel_affine

    def q_scale(self):
        return self._checked(per_tensor_affine)._scale

    def q_zero_point(self):
        return self._checked(per_tensor_affine)._zero

    def q_per_channel_scales(self):
        return self._checked(per_channel_affine)._scale

    def q_per_channel_zero_points(self):
        return self._checked(per_channel_affine)._zero

    def q_per_channel_axis(self):
        return self._checked(per_channel_affine)._axis

    def _checked(self, scheme):
        if self.qscheme() is not scheme:
            raise RuntimeError(f"the tensor is quantized {self.qscheme().name}, and only {scheme.name} ones have this")
        return self

    # ------------------------------------------------------------------ values
    def int_repr(self):
        return self._q.clone()

    def dequantize(self):
        if self._axis is None:
            return wrap(kernels.dequantize(self._q.array, self._scale, self._zero))
        return wrap(kernels.dequantize_channels(self._q.array, self._scale.array, self._zero.array, self._axis))

    def item(self):
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return self.dequantize().item()

    def tolist(self):
        raise _unsupported("tolist")

    def numpy(self, *, force=False):
        raise TypeError(f"Got unsupported ScalarType {self.type()[16:-6]}: take int_repr().numpy() or dequantize()")

    def equal(self, other):
        """Return whether another tensor is quantized in the same way and has the same numbers."""
        same = isinstance(other, QuantizedTensor) and (self._type, self._axis) == (other._type, other._axis)
        if not same or self.shape != other.shape or not self._q.equal(other._q):
            return False
        if self._axis is None:
            return (self._scale, self._zero) == (other._scale, other._zero)
        return self._scale.equal(other._scale) and self._zero.equal(other._zero)

    def __repr__(self, *, tensor_contents=None):
        facts = [f"size={tuple(self.shape)}", f"dtype={self._type}", f"quantization_scheme={self.qscheme()}"]
        facts += [f"scale={self._scale}", f"zero_point={self._zero}"]
        facts += [] if self._axis is None else [f"axis={self._axis}"]
        return tensor_string(self.dequantize(), facts)

    __str__ = __repr__

    def __format__(self, spec):
        return format(self.item(), spec) if self.ndim == 0 else repr(self)

    __hash__ = Tensor.__hash__

    # ------------------------------------------------------------------ other forms of it
    def _with(self, numbers):
        return QuantizedTensor(numbers, self._type, self._scale, self._zero, self._axis)

    def detach(self):
        return self._with(self._q.detach())

    __copy__ = detach

    def clone(self, *, memory_format=None):
        return self._with(self._q.clone())

    def contiguous(self, memory_format=None):
        return self._with(self._q.contiguous())

    def __deepcopy__(self, memo):
        return memo.setdefault(id(self), self.clone())

    def __reduce_ex__(self, protocol):
        return QuantizedTensor, (self._q, self._type, self._scale, self._zero, self._axis)

    def cpu(self, memory_format=None):
        return self

    def to(self, *args, **kwargs):
        """Return the tensor itself: it lies on the CPU; NotImplementedError for another dtype or device."""
        options = {**kwargs, **{"device" if str(one) == "cpu" else "dtype": one for one in args}}
        if str(options.pop("device", None) or "cpu") != "cpu" or options.pop("dtype", None) not in (None, self._type):
            raise _unsupported("to")
        return self

    def cuda(self, device=None, non_blocking=False):
        raise NotImplementedError("quantized tensors are computed with on the CPU only")

    def float(self):
        raise _unsupported("float")

    @classmethod
    def __torch_function__(cls, func, kinds, args=(), kwargs=None):
        name = func.__name__
        known = _FUNCTIONS.get(name)
        if known is not None:
            return known(*args, **(kwargs or {}))
        first = args[0] if args else None
        if isinstance(first, cls) and name in vars(cls):
            return vars(cls)[name](*args, **(kwargs or {}))
        if isinstance(first, cls) and name in _MOVES:
            return _moved(name, *args, **(kwargs or {}))
        raise _unsupported(name)


def _unsupported(name):
    return NotImplementedError(f"{name}: not supported for quantized tensors; give it tensor.dequantize()")


# What only moves elements, and so is done to the numbers.
_MOVES = frozenset(
    "reshape view flatten unflatten permute transpose swapaxes swapdims movedim t squeeze unsqueeze chunk split "
    "tensor_split unbind narrow select index_select expand broadcast_to flip roll __getitem__ expand_as unfold".split()
)


def _moved(name, tensor, *args, **kwargs):
    tensor._checked(per_tensor_affine)
    function = METHODS.get(name) or FUNCTIONS.get(name) or vars(Tensor)[name]._function
    found = function(tensor._q, *args, **kwargs)
    return tuple(map(tensor._with, found)) if isinstance(found, (tuple, list)) else tensor._with(found)


# ---------------------------------------------------------------------- making them
def _check_type(dtype):
    if not isinstance(dtype, QuantizedType):
        raise RuntimeError(f"the dtype of a quantized tensor is qint8, quint8 or qint32, but got {dtype}")


def _check_float(input):
    if not isinstance(input, Tensor):
        raise TypeError(f"argument 'input' must be Tensor, not {type(input).__name__}")
    if isinstance(input, QuantizedTensor) or input.dtype is not DTYPES["float32"]:
        raise RuntimeError(f"Quantize only works on Float Tensor, got {input.dtype}")
    if input.is_cuda:
        raise NotImplementedError("quantized tensors are computed with on the CPU only: quantize input.cpu()")


def _check_zero_points(dtype, least, most):
    limits = np.iinfo(dtype.numbers)
    if most > limits.max:
        raise RuntimeError(f"zero_point {most} is above upper bound.")
    if least < limits.min:
        raise RuntimeError(f"zero_point {least} is below lower bound.")


def quantize_per_tensor(input, scale, zero_point, dtype):
    """Return float32 input as the numbers round(input / scale) + zero_point of dtype (qint8, quint8, qint32).

    Arguments: scale (number or tensor of one), zero_point (int or tensor of one, that dtype holds); or a list of
    tensors with tensors of both. What dtype does not hold becomes its nearest number. RuntimeError for other dtypes.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.quantize_per_tensor.html

    >>> import minigrad as mg
    >>> mg.quantize_per_tensor(mg.tensor([-1.0, 0.0, 1.0]), 0.1, 10, mg.quint8).int_repr()
    tensor([ 0, 10, 20], dtype=minigrad.uint8)
    """
    if isinstance(input, (list, tuple)):
        each = zip(input, scale, zero_point, strict=True)
        return tuple(quantize_per_tensor(one, float(s), int(z), dtype) for one, s, z in each)
    _check_type(dtype)
    _check_float(input)
    scale, zero_point = float(scale), int(zero_point)
    _check_zero_points(dtype, zero_point, zero_point)
    numbers = kernels.quantize(input.array, scale, zero_point, dtype.numbers)
    return QuantizedTensor(wrap(numbers), dtype, scale, zero_point)


def quantize_per_channel(input, scales, zero_points, axis, dtype):
    """Return float32 input as numbers with a scale and a zero point for each index of dimension axis.

    Arguments: scales (C,), zero_points (C,) of integers, axis (int), dtype (qint8, quint8, qint32). RuntimeError for
    other lengths or dtypes.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.quantize_per_channel.html

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0, 2.0], [1.0, 2.0]])
    >>> mg.quantize_per_channel(x, mg.tensor([1.0, 0.5]), mg.tensor([0, 0]), 0, mg.qint8).int_repr().tolist()
    [[1, 2], [2, 4]]
    """
    _check_type(dtype)
    _check_float(input)
    scales, zero_points = (one.clone() for one in checked_channels(input.shape, scales, zero_points, axis))
    if len(zero_points):
        _check_zero_points(dtype, int(zero_points.min()), int(zero_points.max()))
    numbers = kernels.quantize_channels(input.array, scales.array, zero_points.array, axis, dtype.numbers)
    return QuantizedTensor(wrap(numbers), dtype, scales, zero_points, axis)


def checked_channels(shape, scales, zero_points, axis):
    """Return scales and zero points as tensors of float64 and int64; RuntimeError where they do not fit the shape."""
    if not 0 <= axis < len(shape):
        raise RuntimeError(
            f"Channel axis out of range in per channel affine quantization. Got: {axis} Expected: [0, {len(shape)})"
        )
    if zero_points.is_floating_point():
        raise NotImplementedError("zero points of channels that are no integers are not supported: zero_points.long()")
    if scales.is_complex() or zero_points.is_complex():
        raise RuntimeError("scales and zero points of channels are real")
    for name, given in (("scales", scales), ("zero_points", zero_points)):
        if given.ndim != 1 or len(given) != shape[axis]:
            raise RuntimeError(f"length of {name} must equal to channel, expected {shape[axis]} got, {given.numel()}")
    return wrap(scales.array.astype(np.float64, copy=False)), wrap(zero_points.array.astype(np.int64, copy=False))


def made_of(numbers, dtype, scale, zero_point, axis=None):
    """Return the quantized tensor of given numbers, a plain tensor; RuntimeError where the parts do not fit."""
    if axis is None:
        _check_zero_points(dtype, zero_point, zero_point)
        return QuantizedTensor(numbers, dtype, float(scale), int(zero_point))
    return QuantizedTensor(numbers, dtype, *checked_channels(numbers.shape, scale, zero_point, axis), axis)


def dequantize(tensor):
    """Return the values of a quantized tensor, or of several, in float32; other tensors as float32.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.dequantize.html

    >>> import minigrad as mg
    >>> mg.dequantize(mg.quantize_per_tensor(mg.tensor([0.26]), 0.1, 0, mg.qint8))
    tensor([0.3000])
    """
    if isinstance(tensor, (list, tuple)):
        return tuple(map(dequantize, tensor))
    return tensor.dequantize() if isinstance(tensor, QuantizedTensor) else tensor.to(DTYPES["float32"])


def _of_quantized_only(name):
    def function(input):
        if isinstance(input, QuantizedTensor):
            return getattr(input, name)()
        raise NotImplementedError(f"{name}: only quantized tensors have it, which quantize_per_tensor makes")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"Return {_ABOUT[name]} of a quantized tensor; NotImplementedError for others.\n\n"
        "    Source: https://docs.pytorch.org/docs/stable/quantization-support.html\n    "
    )
    return function


_ABOUT = {
    "int_repr": "the numbers", "q_scale": "the scale", "q_zero_point": "the zero point",
    "q_per_channel_scales": "the scales", "q_per_channel_zero_points": "the zero points",
    "q_per_channel_axis": "the dimension of the channels",
}  # fmt: skip
int_repr, q_scale, q_zero_point, q_per_channel_scales, q_per_channel_zero_points, q_per_channel_axis = map(
    _of_quantized_only, _ABOUT
)


# ---------------------------------------------------------------------- what eight-bit networks compute
def _affine(x, name):
    """Return a quint8 tensor that is quantized as a whole; errors that name the function."""
    if not isinstance(x, QuantizedTensor):
        raise NotImplementedError(f"{name}: expected a quantized tensor, but got one of {getattr(x, 'dtype', type(x))}")
    if x._type is not quint8 or x._axis is not None:
        raise NotImplementedError(f"{name}: activations are quint8 and per_tensor_affine, but got {x._type}")
    return x


def _new(array, scale, zero_point):
    return QuantizedTensor(wrap(array), quint8, scale, zero_point)


def conv2d(x, weight, bias, stride, padding, dilation, groups, scale, zero_point, relu=False, engine=None):
    """Return a convolution of x (N, C, H, W), quint8, with weight (O, C / groups, KH, KW), qint8, at another scale.

    Arguments: bias (O,) float32 or None; pairs stride, padding, dilation; scale and zero_point of the result; relu;
    engine (how the result is rounded; None for that of minigrad.backends.quantized). RuntimeError for other shapes.
    """
    _affine(x, "conv2d")
    if x.ndim != 4 or x.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"quantized conv2d: the weight of size {list(weight.shape)} with groups={groups} expects an input (N, "
            f"{weight.shape[1] * groups}, H, W), but got {list(x.shape)}"
        )
    reach = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(dilation, weight.shape[2:], padding)]
    if any(length < least for length, least in zip(x.shape[2:], reach)):
        raise RuntimeError(
            f"quantized conv2d: Kernel size can't be greater than actual input size: it needs {reach}, but the input "
            f"is {list(x.shape)}"
        )
    sums = kernels.convolution(x._q.array, x._zero, weight._q.array, stride, padding, dilation, groups)
    return _finished(sums, x, weight, bias, (scale, zero_point), relu, engine, 1)


def linear(x, weight, bias, scale, zero_point, relu=False, engine=None):
    """Return x (…, K), quint8, times the transposed weight (O, K), qint8, at another scale; arguments as of conv2d."""
    _affine(x, "linear")
    if x.shape[-1:] != weight.shape[1:]:
        raise RuntimeError(
            f"quantized linear: the weight of size {list(weight.shape)} expects an input (…, {weight.shape[1]}), but "
            f"got {list(x.shape)}"
        )
    sums = kernels.product(x._q.array, x._zero, weight._q.array)
    return _finished(sums, x, weight, bias, (scale, zero_point), relu, engine, -1)


def check_weight(weight, engine=None):
    """Raise for weights that the layers can't use: RuntimeError, NotImplementedError."""
    if not isinstance(weight, QuantizedTensor) or weight._type is not qint8:
        found = getattr(weight, "dtype", type(weight).__name__)
        raise RuntimeError(f"the weight of a quantized layer is a qint8 tensor, but got {found}")
    if weight._axis not in (None, 0):
        raise RuntimeError(f"the weight of a quantized layer has its channels along dimension 0, not {weight._axis}")
    zeros = weight._zero if weight._axis is None else weight._zero.array
    if np.any(np.asarray(zeros)):
        raise NotImplementedError("weights with a zero point other than 0 are not supported: quantize symmetrically")


def _finished(sums, x, weight, bias, after, relu, engine, axis):
    scales = np.atleast_1d(weight._scale if weight._axis is None else weight._scale.array).astype(np.float32)
    bias = None if bias is None else bias.array
    product = np.float32(x._scale) * scales
    return _new(kernels.requantize(sums, bias, product, after, engine or QUANTIZED.engine, relu, axis), *after)


def add(x, y, scale, zero_point, relu=False):
    """Return the sum of two quint8 tensors, with relu max(sum, 0), at another scale."""
    total = _values(x, "add") + _values(y, "add")
    if relu:
        np.maximum(total, np.float32(0), out=total)
    return _new(kernels.rounded(total, scale, zero_point, np.uint8), scale, zero_point)


def mul(x, y, scale, zero_point):
    """Return the product of two quint8 tensors at another scale."""
    a, b = (_affine(one, "mul")._q.array.astype(np.int32) - np.int32(one._zero) for one in (x, y))
    factor = np.float32(x._scale * y._scale * (1.0 / scale))
    return _new(kernels.scaled(a * b, factor, zero_point, np.uint8), scale, zero_point)


def _values(x, name):
    return kernels.values(_affine(x, name)._q.array, x._scale, x._zero)


def cat(tensors, dim=0, scale=None, zero_point=None):
    """Return quint8 tensors one after the other, at another scale (that of the first)."""
    if not tensors:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    first = _affine(tensors[0], "cat")
    scale, zero_point = (first._scale, first._zero) if scale is None else (scale, zero_point)
    parts = []
    for one in tensors:
        same = (_affine(one, "cat")._scale, one._zero) == (scale, zero_point)
        moved = one._q.array if same else kernels.rounded(_values(one, "cat"), scale, zero_point, np.uint8)
        parts.append(wrap(moved))
    return QuantizedTensor(FUNCTIONS["cat"](parts, dim), quint8, scale, zero_point)


def relu(x, inplace=False):
    """Return the numbers of at least the zero point."""
    _affine(x, "relu")
    return x._with(wrap(np.maximum(x._q.array, np.uint8(x._zero), out=x._q.array if inplace else None)))


def relu6(x, inplace=False):
    """Return the numbers from the zero point to that of 6."""
    _affine(x, "relu6")
    top = kernels.quantize(np.full(1, 6, np.float32), x._scale, x._zero, np.uint8)[0]
    return x._with(wrap(np.clip(x._q.array, np.uint8(x._zero), top, out=x._q.array if inplace else None)))


def _six(values):
    return np.minimum(np.maximum(values + np.float32(3), np.float32(0)), np.float32(6))


def hardswish(x, scale, zero_point):
    """Return x · min(max(x + 3, 0), 6) / 6 at another scale."""
    before = _affine(x, "hardswish")._scale, x._zero
    after = float(scale), int(zero_point)
    return _new(kernels.mapped(lambda v: v * _six(v) / np.float32(6), x._q.array, before, after, np.uint8), *after)


def hardsigmoid(x, inplace=False):
    """Return min(max(x + 3, 0), 6) / 6 at the scale 1 / 256."""
    before, after = (_affine(x, "hardsigmoid")._scale, x._zero), (1.0 / 256, 0)
    return _new(kernels.mapped(lambda v: _six(v) / np.float32(6), x._q.array, before, after, np.uint8), *after)


def max_pool2d(x, *args, **kwargs):
    """Return the maxima of windows; arguments as of max_pool2d of other tensors."""
    _affine(x, "max_pool2d")
    if kwargs.get("return_indices"):
        raise _unsupported("max_pool2d with return_indices=True")
    found = pool.max_pool2d(x._q.to(DTYPES["float32"]), *args, **kwargs)
    return x._with(found.to(DTYPES["uint8"]))


def _means(x, sums, count, fused, even=True):
    """Return sums of count values as means at the same scale; even: whether all means have that count."""
    factor = np.float32(1.0 / count)
    if QUANTIZED.engine == "qnnpack" and even:
        fused, factor = False, np.float32(x._scale) / (np.float32(x._scale) * np.float32(count))
    return kernels.scaled(sums, factor, x._zero, np.uint8, fused)


def _centred(x, name):
    return _affine(x, name)._q.array.astype(np.int64) - x._zero


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """Return the means of windows; arguments as of avg_pool2d of other tensors, the last three by default only."""
    kernel = spatial_ints(kernel_size, 2, "avg_pool2d", "kernel_size")
    if ceil_mode or divisor_override is not None or not (count_include_pad or padding in (0, (0, 0))):
        raise _unsupported("avg_pool2d with ceil_mode, count_include_pad or divisor_override")
    whole = wrap(_centred(x, "avg_pool2d").astype(np.float64))
    sums = pool.avg_pool2d(whole, kernel, stride, padding, divisor_override=1)
    return x._with(wrap(_means(x, sums.array, kernel[0] * kernel[1], False)))


def adaptive_avg_pool2d(x, output_size):
    """Return the means of output_size windows, which cover (N, C, H, W) or (C, H, W)."""
    numbers = _centred(x, "adaptive_avg_pool2d")
    height, width = x.shape[-2:]
    pair = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    rows, columns = (given or length for given, length in zip(pair, (height, width)))
    even = height % rows == 0 == width % columns
    found = np.empty((*x.shape[:-2], rows, columns), np.uint8)
    for i in range(rows):
        top, bottom = i * height // rows, -(-(i + 1) * height // rows)
        for j in range(columns):
            left, right = j * width // columns, -(-(j + 1) * width // columns)
            sums = numbers[..., top:bottom, left:right].sum(axis=(-2, -1))
            found[..., i, j] = _means(x, sums, (bottom - top) * (right - left), True, even)
    return x._with(wrap(found))


def mean(x, dim=None, keepdim=False, *, dtype=None):
    """Return the means of (N, C, H, W) over H and W: those of the values, rounded again."""
    over = sorted(d % x.ndim for d in dim) if isinstance(dim, (tuple, list)) else None
    if dtype is not None or x.ndim != 4 or over != [2, 3]:
        raise _unsupported("mean over other dimensions than H and W of (N, C, H, W)")
    _affine(x, "mean")
    n, channels, height, width = x.shape
    if QUANTIZED.engine == "qnnpack":
        found = _means(x, _centred(x, "mean").sum(axis=(2, 3)), height * width, True)
    else:
        rows = kernels.dequantize(x._q.array, x._scale, x._zero).reshape(n, channels, height * width).transpose(0, 2, 1)
        found = kernels.quantize(kernels.column_means(np.ascontiguousarray(rows)), x._scale, x._zero, np.uint8)
    return x._with(wrap(found.reshape(n, channels, 1, 1) if keepdim else found))


def dropout(x, p=0.5, training=True, inplace=False):
    """Return x: eight-bit networks only infer."""
    if training:
        raise _unsupported("dropout in training")
    return x


def _compare(name):
    def compare(x, y):
        x, y = (one.dequantize() if isinstance(one, QuantizedTensor) else one for one in (x, y))
        return FUNCTIONS[name](x, y)

    return compare


_FUNCTIONS = {
    "dequantize": dequantize, "relu": relu, "relu_": lambda x: relu(x, True), "relu6": relu6, "cat": cat,
    "hardsigmoid": hardsigmoid, "max_pool2d": max_pool2d, "avg_pool2d": avg_pool2d, "mean": mean, "dropout": dropout,
    "adaptive_avg_pool2d": adaptive_avg_pool2d, "equal": QuantizedTensor.equal,
    **{name: _compare(name) for name in ("eq", "ne")},
}  # fmt: skip
QuantizedTensor.__eq__ = _compare("eq")
QuantizedTensor.__ne__ = _compare("ne")
