"""Quantization after training, eager mode: fuse_modules, prepare, run some data through the network, convert.

Observers see the smallest and the largest value; histograms, dynamic quantization and training with quantization in
mind are absent.
Source: https://docs.pytorch.org/docs/stable/quantization.html
"""

import copy
import functools
from collections import namedtuple

from minigrad import nn
from minigrad.absent import getter
from minigrad.backend import DTYPES
from minigrad.nn import intrinsic, quantized
from minigrad.nn.intrinsic import quantized as fused
from minigrad.nn.utils.fusion import fuse_conv_bn_eval
from minigrad.quantized import (
    per_channel_affine,
    per_channel_symmetric,
    per_tensor_affine,
    per_tensor_symmetric,
    qint8,
    quint8,
)
from minigrad.registry import FUNCTIONS

__all__ = [
    "DeQuantStub", "MinMaxObserver", "MovingAverageMinMaxObserver", "PerChannelMinMaxObserver", "QConfig",
    "QuantStub", "convert", "default_observer", "default_per_channel_weight_observer", "default_qconfig",
    "default_weight_observer", "fuse_modules", "prepare", "quantize",
]  # fmt: skip
_INFINITY = float("inf")


def _tensor(value, dtype="float32"):
    return FUNCTIONS["tensor"](value, dtype=DTYPES[dtype])


class QConfig(namedtuple("QConfig", ["activation", "weight"])):
    """What observes a layer's output and what its weight: two functions that make observers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.qconfig.QConfig.html
    """

    __slots__ = ()


# ---------------------------------------------------------------------- observers
class MinMaxObserver(nn.Module):
    """Remembers the least and the largest value that goes through it; calculate_qparams makes scale and zero point.

    Arguments: dtype (quint8, qint8), qscheme (per_tensor_affine, or per_tensor_symmetric: zero point 0, or 128 for
    quint8), reduce_range (one bit less), quant_min and quant_max (least and largest number, both or none), eps (least
    scale). NotImplementedError for other schemes.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.observer.MinMaxObserver.html

    >>> import minigrad as mg
    >>> observer = mg.ao.quantization.MinMaxObserver()
    >>> _ = observer(mg.tensor([-1.0, 1.55]))
    >>> [value.item() for value in observer.calculate_qparams()]
    [0.009999999776482582, 100]
    """

    _version = 3
    _schemes = per_tensor_affine, per_tensor_symmetric

    def __init__(
        self, dtype=quint8, qscheme=per_tensor_affine, reduce_range=False, quant_min=None, quant_max=None,
        factory_kwargs=None, eps=2.0**-23,
    ):  # fmt: skip
        super().__init__()
        if qscheme not in self._schemes:
            raise NotImplementedError(f"{type(self).__name__}: qscheme {qscheme} is not supported")
        if dtype not in (qint8, quint8):
            raise NotImplementedError(f"{type(self).__name__}: dtype {dtype} is not supported, only qint8 and quint8")
        self.dtype, self.qscheme = dtype, qscheme
        if quant_min is None or quant_max is None:
            least, most = (-128, 127) if dtype is qint8 else (0, 255)
            quant_min, quant_max = (least // 2, most // 2) if reduce_range else (least, most)
        if not quant_min <= 0 <= quant_max or quant_min >= quant_max:
            raise AssertionError("quant_min must be below quant_max, and 0 between them")
        self.quant_min, self.quant_max = quant_min, quant_max
        self.register_buffer("eps", _tensor([eps]))
        self.register_buffer("min_val", _tensor(_INFINITY))
        self.register_buffer("max_val", _tensor(-_INFINITY))

    @classmethod
    def with_args(cls, **kwargs):
        """Return a function that makes observers with these arguments."""
        return functools.partial(cls, **kwargs)

    def forward(self, x_orig):
        """Look at a tensor and return it."""
        if x_orig.numel():
            self._see(*self._range(x_orig.detach().to(DTYPES["float32"])))
        return x_orig

    def _range(self, x):
        return x.amin(), x.amax()

    def _see(self, least, most):
        self.min_val = FUNCTIONS["minimum"](self.min_val, least)
        self.max_val = FUNCTIONS["maximum"](self.max_val, most)

    def calculate_qparams(self):
        """Return scale, float32, and zero point, int64, of (1,) or (C,); 1 and 0 if nothing has been seen."""
        least, most = self.min_val.reshape(-1), self.max_val.reshape(-1)
        if not len(least) or bool((least > most).any()):
            return _tensor([1.0]), _tensor([0], "int64")
        least, most = least.clamp(max=0), most.clamp(min=0)
        steps = float(self.quant_max - self.quant_min)
        if self.qscheme in (per_tensor_symmetric, per_channel_symmetric):
            scale = FUNCTIONS["maximum"](FUNCTIONS["maximum"](-least, most) / (steps / 2), self.eps)
            zero = 128 if self.dtype is quint8 else 0
            return scale, FUNCTIONS["full"](scale.shape, zero, dtype=DTYPES["int64"])
        scale = FUNCTIONS["maximum"]((most - least) / steps, self.eps)
        zero = self.quant_min - FUNCTIONS["round"](least / scale)
        return scale, zero.clamp(self.quant_min, self.quant_max).to(DTYPES["int64"])

    def reset_min_max_vals(self):
        """Forget what has been seen."""
        self.min_val, self.max_val = _tensor(_INFINITY), _tensor(-_INFINITY)

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}"


class MovingAverageMinMaxObserver(MinMaxObserver):
    """Remembers moving averages of the least and the largest values: m + averaging_constant · (new - m).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.observer.MovingAverageMinMaxObserver.html
    """

    def __init__(self, averaging_constant=0.01, **kwargs):
        super().__init__(**kwargs)
        self.averaging_constant = averaging_constant

    def _see(self, least, most):
        if self.min_val > self.max_val:
            self.min_val, self.max_val = least, most
        else:
            self.min_val = self.min_val + self.averaging_constant * (least - self.min_val)
            self.max_val = self.max_val + self.averaging_constant * (most - self.max_val)


class PerChannelMinMaxObserver(MinMaxObserver):
    """Remembers the least and the largest value of each index of dimension ch_axis; the rest as MinMaxObserver.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.observer.PerChannelMinMaxObserver.html
    """

    _schemes = per_channel_affine, per_channel_symmetric

    def __init__(self, ch_axis=0, dtype=quint8, qscheme=per_channel_affine, **kwargs):
        super().__init__(dtype, qscheme, **kwargs)
        self.ch_axis = ch_axis
        self.reset_min_max_vals()

    def _range(self, x):
        rows = x.movedim(self.ch_axis, 0).flatten(1)
        return rows.amin(1), rows.amax(1)

    def _see(self, least, most):
        if not len(self.min_val):
            self.min_val, self.max_val = least, most
        else:
            super()._see(least, most)

    def reset_min_max_vals(self):
        self.min_val, self.max_val = _tensor([]), _tensor([])


default_observer = MinMaxObserver.with_args(quant_min=0, quant_max=127)
default_weight_observer = MinMaxObserver.with_args(dtype=qint8, qscheme=per_tensor_symmetric)
default_per_channel_weight_observer = PerChannelMinMaxObserver.with_args(dtype=qint8, qscheme=per_channel_symmetric)
default_qconfig = QConfig(default_observer, default_weight_observer)


# ---------------------------------------------------------------------- places in a network
class QuantStub(nn.Module):
    """Where a network's input becomes eight-bit: the identity until convert replaces it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.QuantStub.html
    """

    def __init__(self, qconfig=None):
        super().__init__()
        if qconfig:
            self.qconfig = qconfig

    def forward(self, x):
        return x


class DeQuantStub(QuantStub):
    """Where a network's output becomes floating-point again: the identity until convert replaces it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.DeQuantStub.html
    """


# ---------------------------------------------------------------------- steps
def _with_relu(layer, relu):
    kinds = {nn.Conv1d: intrinsic.ConvReLU1d, nn.Conv2d: intrinsic.ConvReLU2d, nn.Conv3d: intrinsic.ConvReLU3d}
    return {**kinds, nn.Linear: intrinsic.LinearReLU}[type(layer)](layer, relu)


def _fused(modules):
    """Return what does the work of modules in a row: a convolution and a batch norm, a ReLU after it or a layer."""
    layer, *rest = modules
    kinds = [type(module) for module in rest]
    convolution = type(layer) in (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    norms = nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d
    if convolution and kinds and kinds[0] in norms:
        layer = fuse_conv_bn_eval(layer, rest[0])
        kinds = kinds[1:]
    if kinds == [nn.ReLU] and type(layer) in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear):
        return _with_relu(layer, rest[-1])
    if kinds or not rest:
        names = ", ".join(type(module).__name__ for module in modules)
        raise NotImplementedError(f"Cannot fuse modules: {names}")
    return layer


def fuse_modules(model, modules_to_fuse, inplace=False):
    """Replace modules that follow each other by one of the same effect, the others by Identity, in eval mode.

    Arguments: modules_to_fuse (dotted names in a row, or a list of such lists: a convolution, a batch norm, a ReLU; or
    two of these, or a Linear and a ReLU), inplace (change the model, not a copy). Returns the model. AssertionError in
    training mode, NotImplementedError for other modules.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.fuse_modules.fuse_modules.html

    >>> import minigrad as mg
    >>> model = mg.nn.Sequential(mg.nn.Conv2d(1, 1, 1), mg.nn.BatchNorm2d(1), mg.nn.ReLU()).eval()
    >>> [type(layer).__name__ for layer in mg.ao.quantization.fuse_modules(model, ["0", "1", "2"])]
    ['ConvReLU2d', 'Identity', 'Identity']
    """
    model = model if inplace else copy.deepcopy(model)
    several = all(isinstance(group, (list, tuple)) for group in modules_to_fuse)
    for names in modules_to_fuse if several else [modules_to_fuse]:
        places = [name.rpartition(".")[::2] for name in names]
        made = _fused([model.get_submodule(name) for name in names])
        for index, (owner, name) in enumerate(places):
            setattr(model.get_submodule(owner), name, nn.Identity() if index else made.train(model.training))
    return model


# Layers in floating point -> eight-bit ones.
_LAYERS = {
    nn.Conv2d: quantized.Conv2d, nn.Linear: quantized.Linear, nn.Hardswish: quantized.Hardswish,
    nn.ReLU6: quantized.ReLU6, nn.Dropout: quantized.Dropout, QuantStub: quantized.Quantize,
    DeQuantStub: quantized.DeQuantize, quantized.FloatFunctional: quantized.QFunctional,
    intrinsic.ConvReLU2d: fused.ConvReLU2d, intrinsic.LinearReLU: fused.LinearReLU,
}  # fmt: skip
_WITHOUT = frozenset((nn.ReLU6, nn.Dropout, DeQuantStub))  # those that observe nothing
_MISSING = (
    nn.BatchNorm2d, nn.BatchNorm3d, nn.Conv1d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.ELU, nn.Embedding, nn.EmbeddingBag, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
    nn.LayerNorm, nn.LeakyReLU, nn.LSTM, nn.PReLU, nn.Sigmoid, nn.Softmax, nn.MultiheadAttention, nn.GRU,
    intrinsic.ConvReLU1d, intrinsic.ConvReLU3d,
)  # fmt: skip


def _observe(module, args, output):
    return module.activation_post_process(output)


def prepare(model, inplace=False):
    """Put observers after the layers that convert will replace, as the nearest ``qconfig`` on the way to them says.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.prepare.html
    """
    model = model if inplace else copy.deepcopy(model)
    _prepare(model, getattr(model, "qconfig", None))
    return model


def _prepare(module, qconfig):
    for child in module.children():
        own = getattr(child, "qconfig", qconfig)
        kind = type(child)
        if own is None or kind not in _LAYERS:
            _prepare(child, own)
            continue
        child.qconfig = own
        if kind not in _WITHOUT:
            child.activation_post_process = own.activation()
        if kind not in _WITHOUT and kind is not quantized.FloatFunctional:
            child._observing = child.register_forward_hook(_observe)


def convert(model, inplace=False):
    """Replace observed layers by eight-bit ones, with the scales that their observers have found.

    NotImplementedError for layers that have a qconfig and no eight-bit form here.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.convert.html
    """
    model = model if inplace else copy.deepcopy(model)
    _convert(model, getattr(model, "qconfig", None))
    for module in model.modules():
        vars(module).pop("qconfig", None)
    return model


def _convert(module, qconfig):
    for name, child in list(module.named_children()):
        own = getattr(child, "qconfig", qconfig)
        if own is not None and isinstance(child, _MISSING):
            raise NotImplementedError(
                f"convert: {type(child).__name__} has no eight-bit layer here; fuse batch norms with their "
                "convolutions, and set qconfig = None on what is to stay in floating point"
            )
        if own is not None and type(child) in _LAYERS:
            module._modules[name] = _LAYERS[type(child)].from_float(child).train(child.training)
        else:
            _convert(child, own)


def quantize(model, run_fn, run_args, inplace=False):
    """Prepare a model, call run_fn(model, *run_args), which runs data through it, and convert it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.quantization.quantize.html

    >>> import minigrad as mg
    >>> stubs = mg.ao.quantization.QuantStub(), mg.ao.quantization.DeQuantStub()
    >>> model = mg.nn.Sequential(stubs[0], mg.nn.Linear(2, 3), stubs[1]).eval()
    >>> model.qconfig = mg.ao.quantization.default_qconfig
    >>> small = mg.ao.quantization.quantize(model, lambda model, x: model(x), [mg.rand(8, 2)])
    >>> small[1].weight().dtype
    minigrad.qint8
    """
    model = prepare(model, inplace).eval()
    run_fn(model, *run_args)
    return convert(model, inplace=True)


__getattr__ = getter(__name__)
