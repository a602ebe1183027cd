"""Layers of eight-bit networks: quint8 in, qint8 weights, quint8 out, on the CPU and without gradients.

Their state has PyTorch's keys. ``scale`` and ``zero_point`` are those of the layer's output.
Source: https://docs.pytorch.org/docs/stable/quantization-support.html
"""

from minigrad import quantized as ops
from minigrad.absent import getter
from minigrad.backend import DTYPES, QUANTIZED
from minigrad.nn import activation, dropout
from minigrad.nn.conv import repeated
from minigrad.nn.linear import Identity
from minigrad.nn.module import Module
from minigrad.nn.pooling import MaxPool2d
from minigrad.registry import FUNCTIONS

__all__ = [
    "Conv2d", "DeQuantize", "Dropout", "FloatFunctional", "Hardswish", "Linear", "LinearPackedParams", "MaxPool2d",
    "QFunctional", "Quantize", "ReLU6",
]  # fmt: skip
_SCALE = ("scale", "zero_point")


def _scalar(value):
    return FUNCTIONS["tensor"](value)


def _take(state_dict, prefix, names, rest):
    """Return the values of keys, which are taken out of a state; None where one is missing, which is noted.

    rest: what _load_from_state_dict is given after these: metadata, strict, missing and unexpected keys, errors.
    """
    lacking = [prefix + name for name in names if prefix + name not in state_dict]
    rest[2].extend(lacking)
    return None if lacking else [state_dict.pop(prefix + name) for name in names]


class _Scaled(Module):
    """A module with the scale and the zero point of its output, which are numbers."""

    def __init__(self):
        super().__init__()
        self.scale, self.zero_point = 1.0, 0

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in _SCALE:
            destination[prefix + name] = _scalar(getattr(self, name))

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        found = _take(state_dict, prefix, _SCALE, rest)
        if found is not None:
            self.scale, self.zero_point = float(found[0]), int(found[1])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _observed(self, module):
        """Take scale and zero point from the observer of a module."""
        scale, zero_point = module.activation_post_process.calculate_qparams()
        self.scale, self.zero_point = float(scale), int(zero_point)
        return self


class _Weights:
    """What layers with a qint8 weight and a float32 bias share; they round as the engine at the time of packing."""

    def _pack(self, weight, bias, shape):
        ops.check_weight(weight)
        if tuple(weight.shape) != tuple(shape):
            raise RuntimeError(f"the weight must be of size {tuple(shape)}, but got {tuple(weight.shape)}")
        if bias is not None and tuple(bias.shape) != (shape[0],):
            raise RuntimeError(f"the bias must be of size {(shape[0],)}, but got {tuple(bias.shape)}")
        self._weight = weight
        self._bias = None if bias is None else bias.detach().to(DTYPES["float32"])
        self._engine = QUANTIZED.engine

    def weight(self):
        """Return the weight, a qint8 tensor."""
        return self._weight_bias()[0]

    def bias(self):
        """Return the bias, a float32 tensor or None."""
        return self._weight_bias()[1]


def _quantized_weight(weight, qconfig):
    """Return a float weight as qint8, by the observer that a qconfig has for weights."""
    observer = qconfig.weight()
    observer(weight)
    if observer.dtype is not ops.qint8:
        raise AssertionError(f"Weight observer must have a dtype of qint8, got {observer.dtype}")
    return quantize_weight(weight, observer)


def quantize_weight(weight, observer):
    """Return a float weight as qint8, by what an observer has seen."""
    scale, zero_point = observer.calculate_qparams()
    weight = weight.detach().to(DTYPES["float32"])
    if observer.qscheme in (ops.per_tensor_affine, ops.per_tensor_symmetric):
        return ops.quantize_per_tensor(weight, float(scale), int(zero_point), ops.qint8)
    return ops.quantize_per_channel(weight, scale, zero_point, observer.ch_axis, ops.qint8)


def _zeros(shape):
    numbers = FUNCTIONS["zeros"](shape, dtype=DTYPES["int8"])
    return ops.made_of(numbers, ops.qint8, 1.0, 0)


class Conv2d(_Weights, _Scaled):
    """A convolution of (N, C, H, W); arguments as of nn.Conv2d, padding_mode "zeros" only.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.quantized.Conv2d.html

    >>> import minigrad as mg
    >>> x = mg.quantize_per_tensor(mg.ones(1, 3, 8, 8), 0.1, 0, mg.quint8)
    >>> mg.nn.quantized.Conv2d(3, 8, 3, padding=1)(x).shape
    minigrad.Size([1, 8, 8, 8])
    """

    _relu = False
    _name = "QuantizedConv2d"

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise NotImplementedError(f"quantized Conv2d: padding_mode={padding_mode!r} is not supported, only 'zeros'")
        if isinstance(padding, str):
            raise NotImplementedError("quantized Conv2d: padding is a number or a pair of them")
        if out_channels <= 0 or in_channels % groups or out_channels % groups:
            raise ValueError("in_channels and out_channels must be positive and divisible by groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = repeated(kernel_size, 2), repeated(stride, 2)
        self.padding, self.dilation = repeated(padding, 2), repeated(dilation, 2)
        self.padding_mode = padding_mode
        self._shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.set_weight_bias(_zeros(self._shape), FUNCTIONS["zeros"](out_channels) if bias else None)

    def set_weight_bias(self, w, b):
        """Set the weight (O, C / groups, KH, KW), qint8, and the bias (O,) or None."""
        self._pack(w, b, self._shape)

    def _weight_bias(self):
        return self._weight, self._bias

    def forward(self, input):
        return ops.conv2d(
            input, self._weight, self._bias, self.stride, self.padding, self.dilation, self.groups, self.scale,
            self.zero_point, self._relu, self._engine,
        )  # fmt: skip

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        destination[prefix + "weight"], destination[prefix + "bias"] = self._weight_bias()
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        found = _take(state_dict, prefix, ("weight", "bias"), rest)
        _try(self.set_weight_bias, found, prefix, rest[4])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Return the layer of an observed nn.Conv2d, or of one with a ReLU behind it."""
        conv = mod[0] if cls._relu else mod
        made = cls(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation,
            conv.groups, conv.bias is not None, conv.padding_mode,
        )  # fmt: skip
        made.set_weight_bias(_quantized_weight(conv.weight, mod.qconfig), conv.bias)
        return made._observed(mod)

    def _get_name(self):
        return self._name

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", scale={self.scale}, zero_point={self.zero_point}"
        for name, usual in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text + (", bias=False" if self._bias is None else "")


def _try(method, arguments, prefix, error_msgs):
    """Call a method with what a state had, unless that was missing; errors are noted."""
    try:
        if arguments is not None:
            method(*arguments)
    except (RuntimeError, NotImplementedError, AttributeError, TypeError, ValueError) as error:
        error_msgs.append(f"While loading {prefix[:-1] or 'the layer'}: {error}")


class LinearPackedParams(_Weights, Module):
    """The weight and the bias of a Linear, as a module of their own."""

    _version = 3

    def __init__(self, dtype=ops.qint8):
        super().__init__()
        if dtype is not ops.qint8:
            raise NotImplementedError(f"quantized Linear: weights are qint8, not {dtype}")
        self.dtype = dtype
        self.set_weight_bias(_zeros((1, 1)), None)

    def set_weight_bias(self, weight, bias):
        self._pack(weight, bias, weight.shape)

    def _weight_bias(self):
        return self._weight, self._bias

    def forward(self, x):
        return x

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "dtype"] = self.dtype
        destination[prefix + "_packed_params"] = self._weight_bias()

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        kind = state_dict.pop(prefix + "dtype", self.dtype)  # since version 2
        if kind is not self.dtype:
            rest[4].append(f"While loading {prefix[:-1]}: weights are {self.dtype} here, and {kind} there")
        if prefix + "weight" in state_dict:  # before version 3
            found = _take(state_dict, prefix, ("weight", "bias"), rest)
        else:
            found = _take(state_dict, prefix, ("_packed_params",), rest)
            found = found and found[0]
        if found is not None and tuple(getattr(found[0], "shape", ())) != tuple(self._weight.shape):
            rest[4].append(
                f"size mismatch for {prefix}weight: copying a param with shape {getattr(found[0], 'shape', None)} from "
                f"checkpoint, the shape in current model is {self._weight.shape}."
            )
        else:
            _try(self.set_weight_bias, found, prefix, rest[4])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __repr__(self):
        return repr(self._weight_bias())


class Linear(_Scaled):
    """A product with a transposed weight: (…, in_features) to (…, out_features); arguments as of nn.Linear.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.quantized.Linear.html

    >>> import minigrad as mg
    >>> x = mg.quantize_per_tensor(mg.ones(2, 3), 0.1, 0, mg.quint8)
    >>> mg.nn.quantized.Linear(3, 4)(x).shape
    minigrad.Size([2, 4])
    """

    _version = 3
    _relu = False
    _name = "QuantizedLinear"

    def __init__(self, in_features, out_features, bias_=True, dtype=ops.qint8):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self._packed_params = LinearPackedParams(dtype)
        self.set_weight_bias(_zeros((out_features, in_features)), FUNCTIONS["zeros"](out_features) if bias_ else None)

    def set_weight_bias(self, w, b):
        """Set the weight (out_features, in_features), qint8, and the bias (out_features,) or None."""
        self._packed_params.set_weight_bias(w, b)

    def _weight_bias(self):
        return self._packed_params._weight_bias()

    weight, bias = _Weights.weight, _Weights.bias

    def forward(self, x):
        packed = self._packed_params
        settings = self.scale, self.zero_point, self._relu, packed._engine
        return ops.linear(x, packed._weight, packed._bias, *settings)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        for name in ("weight", "bias"):  # version 1
            if prefix + name in state_dict:
                state_dict[f"{prefix}_packed_params.{name}"] = state_dict.pop(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Return the layer of an observed nn.Linear, or of one with a ReLU behind it."""
        linear = mod[0] if cls._relu else mod
        made = cls(linear.in_features, linear.out_features)
        made.set_weight_bias(_quantized_weight(linear.weight, mod.qconfig), linear.bias)
        return made._observed(mod)

    def _get_name(self):
        return self._name

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, scale={self.scale}, "
            f"zero_point={self.zero_point}, qscheme={self.weight().qscheme()}"
        )

    def __repr__(self):
        return f"{self._get_name()}({self.extra_repr()})"


class Quantize(Module):
    """quantize_per_tensor as a module; arguments scale (float), zero_point (int), dtype.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.quantized.Quantize.html

    >>> import minigrad as mg
    >>> mg.nn.quantized.Quantize(0.5, 2, mg.quint8)(mg.ones(2)).int_repr()
    tensor([4, 4], dtype=minigrad.uint8)
    """

    def __init__(self, scale, zero_point, dtype, factory_kwargs=None):
        super().__init__()
        self.register_buffer("scale", FUNCTIONS["tensor"]([scale], dtype=DTYPES["float32"]))
        self.register_buffer("zero_point", FUNCTIONS["tensor"]([zero_point], dtype=DTYPES["int64"]))
        self.dtype = dtype

    def forward(self, X):
        return ops.quantize_per_tensor(X, float(self.scale), int(self.zero_point), self.dtype)

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        scale, zero_point = mod.activation_post_process.calculate_qparams()
        return Quantize(float(scale), int(zero_point), mod.activation_post_process.dtype)

    def extra_repr(self):
        return f"scale={self.scale}, zero_point={self.zero_point}, dtype={self.dtype}"


class DeQuantize(Module):
    """dequantize() as a module.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.quantized.DeQuantize.html

    >>> import minigrad as mg
    >>> mg.nn.quantized.DeQuantize()(mg.quantize_per_tensor(mg.ones(2), 0.5, 2, mg.quint8))
    tensor([1., 1.])
    """

    def forward(self, Xq):
        return Xq.dequantize()

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        return DeQuantize()


class _Functional(Module):
    def __init__(self):
        super().__init__()
        self.activation_post_process = Identity()

    def forward(self, x):
        raise RuntimeError(f"{type(self).__name__} has no forward: call add, add_relu, mul, cat … of it")


class FloatFunctional(_Functional):
    """Functions as a module, so that their results can be observed: add, add_relu, mul, cat, matmul, ….

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.quantized.FloatFunctional.html

    >>> import minigrad as mg
    >>> mg.nn.quantized.FloatFunctional().add_relu(mg.tensor([1.0, -5.0]), mg.ones(2))
    tensor([2., 0.])
    """

    def add(self, x, y):
        return self.activation_post_process(x + y)

    def add_scalar(self, x, y):
        return x + y

    def mul(self, x, y):
        return self.activation_post_process(x * y)

    def mul_scalar(self, x, y):
        return x * y

    def cat(self, x, dim=0):
        return self.activation_post_process(FUNCTIONS["cat"](x, dim))

    def add_relu(self, x, y):
        return self.activation_post_process(FUNCTIONS["relu"](x + y))

    def matmul(self, x, y):
        return self.activation_post_process(x @ y)


class QFunctional(_Functional, _Scaled):
    """The functions of FloatFunctional for quint8 tensors: add, add_relu, mul, cat.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.quantized.QFunctional.html

    >>> import minigrad as mg
    >>> x = mg.quantize_per_tensor(mg.ones(2), 0.5, 2, mg.quint8)
    >>> mg.nn.quantized.QFunctional().add(x, x).dequantize()
    tensor([2., 2.])
    """

    def add(self, x, y):
        return self.activation_post_process(ops.add(x, y, self.scale, self.zero_point))

    def mul(self, x, y):
        return self.activation_post_process(ops.mul(x, y, self.scale, self.zero_point))

    def cat(self, x, dim=0):
        return self.activation_post_process(ops.cat(x, dim, self.scale, self.zero_point))

    def add_relu(self, x, y):
        return self.activation_post_process(ops.add(x, y, self.scale, self.zero_point, relu=True))

    def add_scalar(self, x, y):
        raise NotImplementedError("QFunctional has add, add_relu, mul and cat; others are not supported")

    mul_scalar = matmul = add_scalar

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        return cls()._observed(mod)

    def extra_repr(self):
        return f"scale={self.scale}, zero_point={self.zero_point}"


class ReLU6(activation.ReLU6):
    """nn.ReLU6 for quint8 tensors.

    >>> import minigrad as mg
    >>> mg.nn.quantized.ReLU6()(mg.quantize_per_tensor(mg.tensor([-1.0, 7.0]), 0.5, 2, mg.quint8)).dequantize()
    tensor([0., 6.])
    """

    def forward(self, input):
        return ops.relu6(input, self.inplace)

    def _get_name(self):
        return "QuantizedReLU6"

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        return ReLU6(mod.inplace)


class Hardswish(activation.Hardswish):
    """nn.Hardswish for quint8 tensors; arguments: scale, zero_point of the output.

    >>> import minigrad as mg
    >>> mg.nn.quantized.Hardswish(0.5, 2)(mg.quantize_per_tensor(mg.tensor([4.0]), 0.5, 2, mg.quint8)).dequantize()
    tensor([4.])
    """

    def __init__(self, scale, zero_point, device=None, dtype=None):
        super().__init__()
        self.register_buffer("scale", _scalar(scale))
        self.register_buffer("zero_point", _scalar(zero_point))

    def forward(self, input):
        return ops.hardswish(input, self.scale, self.zero_point)

    def _get_name(self):
        return "QuantizedHardswish"

    @staticmethod
    def from_float(mod, use_precomputed_fake_quant=False):
        scale, zero_point = mod.activation_post_process.calculate_qparams()
        return Hardswish(float(scale), int(zero_point))


class Dropout(dropout.Dropout):
    """nn.Dropout that does nothing: eight-bit networks only infer.

    >>> import minigrad as mg
    >>> mg.nn.quantized.Dropout()(mg.quantize_per_tensor(mg.ones(1), 0.5, 2, mg.quint8)).dequantize()
    tensor([1.])
    """

    def forward(self, input):
        return input

    def _get_name(self):
        return "QuantizedDropout"

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        return cls(mod.p, mod.inplace)


__getattr__ = getter(__name__)
