"""Networks whose layers can be made eight-bit ones: with modules for their sums, and ReLU where others have ReLU6."""
import minigrad
from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation, SqueezeExcitation
from models import googlenet as googlenet_parts
from models import inception as inception_parts
from models import mobilenetv2 as mobilenetv2_parts
from models import mobilenetv3 as mobilenetv3_parts
from models import shufflenetv2 as shufflenetv2_parts
from models.registry import register
from models.resnet import BasicBlock, Bottleneck, ResNet

__all__ = [
    "QuantizableBasicBlock",
    "QuantizableBottleneck",
    "QuantizableGoogLeNet",
    "QuantizableInception3",
    "QuantizableMobileNetV2",
    "QuantizableMobileNetV3",
    "QuantizableResNet",
    "QuantizableShuffleNetV2",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "quantize_model",
    "resnet18",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]


NORM_EPS = 0.001  # of MobileNetV3's batch norms


def quantize_model(model, backend):
    """Make a network an eight-bit one in place: fuse its layers, see a batch of noise, convert.

    Args:
        model: a network of this package.
        backend: "fbgemm" (weights with a scale for each channel) or "qnnpack" (one for all), also how is rounded from
            then on: minigrad.backends.quantized.engine.

    Raises:
        RuntimeError: for another backend.
    """
    _prepare(model, backend)
    model(minigrad.rand(1, model.in_channels, model.image_size, model.image_size))
    minigrad.ao.quantization.convert(model, inplace=True)


def _prepare(model, backend):
    """Fuse a network's layers and put observers between them."""
    if backend not in ("fbgemm", "qnnpack"):
        raise RuntimeError(f"Quantized backend not supported: it is 'fbgemm' or 'qnnpack', but got {backend!r}")
    minigrad.backends.quantized.engine = backend
    quantization = minigrad.ao.quantization  # imported at first use, as functions dispatch from then on
    weight = quantization.default_weight_observer
    if backend == "fbgemm":
        weight = quantization.default_per_channel_weight_observer
    model.eval()
    model.qconfig = quantization.QConfig(activation=quantization.default_observer, weight=weight)
    model.fuse_model()
    quantization.prepare(model, inplace=True)


def _fuse_modules(model, modules_to_fuse, is_qat, **kwargs):
    """torchvision's: minigrad.ao.quantization.fuse_modules, in eval mode only."""
    if model.training if is_qat is None else is_qat:
        raise NotImplementedError(
            f"{type(model).__name__}: layers are fused in eval mode, is_qat=False; minigrad does not train networks "
            "with quantization in mind"
        )
    return minigrad.ao.quantization.fuse_modules(model, modules_to_fuse, **kwargs)


class _Quantizable:
    """What the networks of this package have beside those they are: places where numbers become eight-bit and back."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.quant = minigrad.ao.quantization.QuantStub()
        self.dequant = minigrad.ao.quantization.DeQuantStub()

    def forward(self, x):
        return self.dequant(super().forward(self.quant(x)))

    def fuse_model(self, is_qat=None):
        """Make convolutions, batch norms and ReLUs one layer each, in place; in eval mode only.

        Raises:
            NotImplementedError: for is_qat=True, or None in training mode.
        """
        for module in list(self.modules()):
            if module is not self and hasattr(module, "fuse_model"):
                module.fuse_model(is_qat)

    def in_form(self, state):
        """A published state_dict in the form of this network's own, if it is an eight-bit one."""
        own = self.state_dict()
        if not any(isinstance(value, tuple) for value in own.values()):
            return state
        if any(name.endswith(".weight_fake_quant.scale") for name in state):
            return _trained_state(self, state)
        made = {}
        for name, value in state.items():
            last = name.rpartition(".")[2]
            packed = name.removesuffix(last).removesuffix("_packed_params.") + "_packed_params."
            if last in ("weight", "bias") and f"{packed}_packed_params" in own:  # of older versions
                pair = made.setdefault(f"{packed}_packed_params", [None, None])
                pair[last == "bias"] = value
                made.setdefault(f"{packed}dtype", minigrad.qint8)
            else:
                made[name] = value
        made = {name: tuple(value) if isinstance(value, list) else value for name, value in made.items()}
        for name, value in own.items():  # one number may lie in one or in no dimension
            if isinstance(value, minigrad.Tensor) and value.numel() == 1 and not value.is_quantized:
                found = made.get(name)
                if isinstance(found, (int, float)):  # scales of old files
                    found = minigrad.tensor(found)
                if isinstance(found, minigrad.Tensor) and found.numel() == 1:
                    made[name] = found.reshape(value.shape)
        return made


def _trained_state(model, state):
    """The state_dict of an eight-bit network from that of one trained with quantization in mind, as MobileNetV3 is."""
    made = {}
    for prefix, module in ((f"{name}.", module) for name, module in model.named_modules()):
        seen = f"{prefix}activation_post_process.activation_post_process."
        if isinstance(module, (nn.quantized.Conv2d, nn.quantized.Linear)):
            weight, bias = state[f"{prefix}weight"], state.get(f"{prefix}bias")
            if f"{prefix}bn.weight" in state:
                norm = [state[f"{prefix}bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
                weight, bias = nn.utils.fuse_conv_bn_weights(weight, bias, *norm[:2], NORM_EPS, *norm[2:])
            looked = f"{prefix}weight_fake_quant."
            observer = minigrad.ao.quantization.MovingAverageMinMaxObserver(
                dtype=minigrad.qint8, qscheme=minigrad.per_tensor_symmetric
            )
            _set_range(observer, state, f"{looked}activation_post_process.")
            if state[f"{looked}observer_enabled"].any():
                observer(weight)
            weight = nn.quantized.quantize_weight(weight, observer)
            bias = None if bias is None else bias.detach()
            if isinstance(module, nn.quantized.Conv2d):
                made[f"{prefix}weight"], made[f"{prefix}bias"] = weight, bias
            else:
                made[f"{prefix}_packed_params.dtype"] = minigrad.qint8
                made[f"{prefix}_packed_params._packed_params"] = weight, bias
        if hasattr(module, "scale"):
            observer = minigrad.ao.quantization.MinMaxObserver()
            _set_range(observer, state, seen)
            scale, zero_point = observer.calculate_qparams()
            one = isinstance(module, nn.quantized.Quantize)
            made[f"{prefix}scale"] = scale if one else scale[0]
            made[f"{prefix}zero_point"] = zero_point if one else zero_point[0]
    return made


def _set_range(observer, state, prefix):
    observer.min_val, observer.max_val = (state[f"{prefix}{name}"].reshape(()) for name in ("min_val", "max_val"))


# ---------------------------------------------------------------- ResNet
class QuantizableBasicBlock(BasicBlock):
    """BasicBlock whose sum is a module's."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.add_relu = nn.quantized.FloatFunctional()

    def forward(self, x):
        if self.stochastic_depth is not None:
            return super().forward(x)
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.add_relu.add_relu(self.bn2(self.convolved(x)), shortcut)

    def fuse_model(self, is_qat=None):
        """Fuse the convolutions with what follows them."""
        _fuse_modules(self, [["conv1", "bn1", "relu"], ["conv2", "bn2"]], is_qat, inplace=True)
        if self.downsample is not None:
            _fuse_modules(self.downsample, ["0", "1"], is_qat, inplace=True)


class QuantizableBottleneck(Bottleneck):
    """Bottleneck whose sum is a module's and whose ReLUs are several."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.skip_add_relu = nn.quantized.FloatFunctional()
        self.relu1 = nn.ReLU(inplace=False)
        self.relu2 = nn.ReLU(inplace=False)

    def forward(self, x):
        if self.stochastic_depth is not None:
            return super().forward(x)
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        return self.skip_add_relu.add_relu(self.bn3(self.conv3(out)), shortcut)

    def fuse_model(self, is_qat=None):
        """Fuse the convolutions with what follows them."""
        rows = [["conv1", "bn1", "relu1"], ["conv2", "bn2", "relu2"], ["conv3", "bn3"]]
        _fuse_modules(self, rows, is_qat, inplace=True)
        if self.downsample is not None:
            _fuse_modules(self.downsample, ["0", "1"], is_qat, inplace=True)


class QuantizableResNet(_Quantizable, ResNet):
    """ResNet; arguments as of it."""

    def fuse_model(self, is_qat=None):
        """Make convolutions, batch norms and ReLUs one layer each; see the other networks."""
        _fuse_modules(self, ["conv1", "bn1", "relu"], is_qat, inplace=True)
        super().fuse_model(is_qat)


# ---------------------------------------------------------------- GoogLeNet and Inception v3
class _Basic:
    def fuse_model(self, is_qat=None):
        """Fuse the three layers."""
        _fuse_modules(self, ["conv", "bn", "relu"], is_qat, inplace=True)


class _GoogLeNetConv(_Basic, googlenet_parts.BasicConv2d):
    """BasicConv2d of GoogLeNet."""


class _GoogLeNetInception(googlenet_parts.Inception):
    def __init__(self, *args, **kw):
        super().__init__(*args, conv_block=_GoogLeNetConv, **kw)
        self.cat = nn.quantized.FloatFunctional()

    def forward(self, x):
        return self.cat.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class _GoogLeNetAux(googlenet_parts.InceptionAux):
    def __init__(self, *args, **kw):
        super().__init__(*args, conv_block=_GoogLeNetConv, **kw)
        self.relu = nn.ReLU()


class QuantizableGoogLeNet(_Quantizable, googlenet_parts.GoogLeNet):
    """GoogLeNet; arguments as of it."""

    def __init__(self, *args, **kw):
        blocks = [_GoogLeNetConv, _GoogLeNetInception, _GoogLeNetAux]
        super().__init__(*args, **{"blocks": blocks, **kw})

    def forward(self, x):
        x = self._transformed(x) if self.transform_input else x
        return self.dequant(self._forward(self.quant(x)))


class _InceptionConv(_Basic, inception_parts.BasicConv2d):
    """BasicConv2d of Inception v3."""


def _quantizable(name, joints):
    """One of Inception's modules, whose concatenations are the modules called joints, that of all ways the last."""
    kind = getattr(inception_parts, name)

    def __init__(self, *args, **kw):
        kind.__init__(self, *args, conv_block=_InceptionConv, **kw)
        for joint in joints:
            setattr(self, joint, nn.quantized.FloatFunctional())

    def _joined(self, outputs, way=None):
        forks = [one for one in self._ways if not isinstance(one[-1], str)]
        joint = joints[-1] if way is None else joints[forks.index(way)]
        return getattr(self, joint).cat(outputs, 1)

    return type(f"Quantizable{name}", (kind,), {"__init__": __init__, "_joined": _joined, "__module__": __name__})


_INCEPTION_MODULES = [
    *(_quantizable(f"Inception{letter}", ("myop",)) for letter in "ABCD"),
    _quantizable("InceptionE", ("myop1", "myop2", "myop3")),
]


class _InceptionAux(inception_parts.InceptionAux):
    def __init__(self, *args, **kw):
        super().__init__(*args, conv_block=_InceptionConv, **kw)


class QuantizableInception3(_Quantizable, inception_parts.Inception3):
    """Inception3; arguments as of it."""

    def __init__(self, *args, **kw):
        blocks = [_InceptionConv, *_INCEPTION_MODULES, _InceptionAux]
        super().__init__(*args, **{"inception_blocks": blocks, **kw})

    def forward(self, x):
        x = self._transformed(x) if self.transform_input else x
        return self.dequant(self._forward(self.quant(x)))


# ---------------------------------------------------------------- MobileNets
class _MobileNetV2Block(mobilenetv2_parts.InvertedResidual):
    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.skip_add = nn.quantized.FloatFunctional()

    def forward(self, x):
        return self.skip_add.add(x, self.conv(x)) if self.use_res_connect else self.conv(x)

    def fuse_model(self, is_qat=None):
        """Fuse the last convolution with its batch norm."""
        for index, layer in enumerate(self.conv):
            if type(layer) is nn.Conv2d:
                _fuse_modules(self.conv, [str(index), str(index + 1)], is_qat, inplace=True)


class _MobileNet(_Quantizable):
    def fuse_model(self, is_qat=None):
        """Make convolutions, batch norms and ReLUs one layer each; see the other networks."""
        for module in list(self.modules()):
            if type(module) is Conv2dNormActivation:
                row = ["0", "1", "2"] if len(module) == 3 and type(module[2]) is nn.ReLU else ["0", "1"]
                _fuse_modules(module, row, is_qat, inplace=True)
        super().fuse_model(is_qat)


class QuantizableMobileNetV2(_MobileNet, mobilenetv2_parts.MobileNetV2):
    """MobileNetV2; arguments as of it."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **{"block": _MobileNetV2Block, **kw})


class _Excitation(SqueezeExcitation):
    def __init__(self, *args, **kw):
        super().__init__(*args, **{**kw, "scale_activation": nn.Hardsigmoid})
        self.skip_mul = nn.quantized.FloatFunctional()

    def forward(self, input):
        hidden = self.activation(self.fc1(self.avgpool(input)))
        return self.skip_mul.mul(self.scale_activation(self.fc2(hidden)), input)

    def fuse_model(self, is_qat=None):
        """Fuse the first convolution with the ReLU after it."""
        _fuse_modules(self, ["fc1", "activation"], is_qat, inplace=True)


class _MobileNetV3Block(mobilenetv3_parts.InvertedResidual):
    def __init__(self, *args, **kw):
        super().__init__(*args, **{"se_layer": _Excitation, **kw})
        self.skip_add = nn.quantized.FloatFunctional()

    def forward(self, x):
        return self.skip_add.add(x, self.block(x)) if self.use_res_connect else self.block(x)


class QuantizableMobileNetV3(_MobileNet, mobilenetv3_parts.MobileNetV3):
    """MobileNetV3; arguments as of it."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **{"block": _MobileNetV3Block, **kw})


# ---------------------------------------------------------------- ShuffleNetV2
class _ShuffleBlock(shufflenetv2_parts.InvertedResidual):
    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.cat = nn.quantized.FloatFunctional()

    def forward(self, x):
        passing, convolved = x.chunk(2, dim=1) if self.stride == 1 else (self.branch1(x), x)
        return shufflenetv2_parts.channel_shuffle(self.cat.cat([passing, self.branch2(convolved)], 1), 2)

    def fuse_model(self, is_qat=None):
        """Fuse the convolutions with what follows them."""
        if len(self.branch1):
            _fuse_modules(self.branch1, [["0", "1"], ["2", "3", "4"]], is_qat, inplace=True)
        _fuse_modules(self.branch2, [["0", "1", "2"], ["3", "4"], ["5", "6", "7"]], is_qat, inplace=True)


class QuantizableShuffleNetV2(_Quantizable, shufflenetv2_parts.ShuffleNetV2):
    """ShuffleNetV2; arguments as of it."""

    def __init__(self, *args, **kw):
        super().__init__(*args, **{"inverted_residual": _ShuffleBlock, **kw})

    def fuse_model(self, is_qat=None):
        """Make convolutions, batch norms and ReLUs one layer each; see the other networks."""
        for layer in (self.conv1, self.conv5):
            _fuse_modules(layer, ["0", "1", "2"], is_qat, inplace=True)
        super().fuse_model(is_qat)


# ---------------------------------------------------------------- builders
def replace_relu(module):
    """Make every ReLU and ReLU6 within a module a ReLU that leaves its input as it is; others' subclasses stay.

    >>> layers = nn.Sequential(nn.ReLU6(inplace=True))
    >>> replace_relu(layers)
    >>> layers[0]
    ReLU()
    """
    for name, child in module.named_children():
        if type(child) in (nn.ReLU, nn.ReLU6):
            setattr(module, name, nn.ReLU(inplace=False))
        else:
            replace_relu(child)


_replace_relu = replace_relu  # torchvision's name


def _register(name, network, about, image_size=224, settings=dict, backend="fbgemm", **when_trained):
    """Register the builder "quantized_" + name.

    Args:
        name: the builder's here.
        network: the class, called with num_classes, in_channels, image_size and the rest by keyword.
        about: the builder's docstring.
        image_size: by default.
        backend: of the eight-bit network, by default.
        settings: makes a dict of the network's further arguments of what is given by keyword.
        when_trained: arguments by default if the builder is given published weights.
    """
    side = image_size

    def builder(
        num_classes=1000, *, in_channels=3, image_size=side, quantize=False, backend=backend, trained=None, **kw
    ):  # fmt: skip
        if trained is not None:
            kw = {**when_trained, **kw}
        model = network(num_classes=num_classes, in_channels=in_channels, image_size=image_size, **settings(**kw))
        replace_relu(model)
        if quantize and trained is None:
            quantize_model(model, backend)
        elif quantize:  # weights and scales are in the file
            for parameter in model.parameters():
                parameter.detach().zero_()  # they have not been drawn
            _prepare(model, backend)
            minigrad.ao.quantization.convert(model, inplace=True)
        return model

    builder.__name__ = builder.__qualname__ = f"quantized_{name}"
    builder.__doc__ = (
        f"{about} With quantize an eight-bit one, for inference on the CPU; backend: 'fbgemm' or 'qnnpack', by "
        f"default {backend!r}."
    )
    return register(builder)


def _resnet(name, block, layers, parameters, **fixed):
    def settings(**kw):
        return {"block": block, "layers": layers, **fixed, **kw}

    about = f"{name} in floating point: {parameters:,} parameters."
    return _register(name, QuantizableResNet, about, settings=settings)


def _shufflenet(name, widths, parameters):
    def settings(**kw):
        return {"stages_repeats": [4, 8, 4], "stages_out_channels": widths, **kw}

    about = f"{name} in floating point: {parameters:,} parameters."
    return _register(name, QuantizableShuffleNetV2, about, settings=settings)


def _mobilenet_v3_settings(*, width_mult=1.0, reduced_tail=False, dilated=False, **kw):
    rows, last = mobilenetv3_parts.configuration("mobilenet_v3_large", width_mult, reduced_tail, dilated)
    return {"inverted_residual_setting": rows, "last_channel": last, **kw}


googlenet = _register(
    "googlenet",
    QuantizableGoogLeNet,
    "GoogLeNet in floating point: 13,004,888 parameters, 6,624,904 without the auxiliary classifiers.",
)
inception_v3 = _register(
    "inception_v3",
    QuantizableInception3,
    "Inception v3 in floating point: 27,161,264 parameters; with published weights without the auxiliary classifier.",
    image_size=299,
    aux_logits=False,
)
mobilenet_v2 = _register(
    "mobilenet_v2", QuantizableMobileNetV2, "MobileNetV2 with ReLU: 3,504,872 parameters.", backend="qnnpack"
)
mobilenet_v3_large = _register(
    "mobilenet_v3_large",
    QuantizableMobileNetV3,
    "MobileNetV3-Large in floating point: 5,483,032 parameters.",
    settings=_mobilenet_v3_settings,
    backend="qnnpack",
)
resnet18 = _resnet("resnet18", QuantizableBasicBlock, [2, 2, 2, 2], 11689512)
resnet50 = _resnet("resnet50", QuantizableBottleneck, [3, 4, 6, 3], 25557032)
resnext101_32x8d = _resnet(
    "resnext101_32x8d", QuantizableBottleneck, [3, 4, 23, 3], 88791336, groups=32, width_per_group=8
)
resnext101_64x4d = _resnet(
    "resnext101_64x4d", QuantizableBottleneck, [3, 4, 23, 3], 83455272, groups=64, width_per_group=4
)
shufflenet_v2_x0_5 = _shufflenet("shufflenet_v2_x0_5", [24, 48, 96, 192, 1024], 1366792)
shufflenet_v2_x1_0 = _shufflenet("shufflenet_v2_x1_0", [24, 116, 232, 464, 1024], 2278604)
shufflenet_v2_x1_5 = _shufflenet("shufflenet_v2_x1_5", [24, 176, 352, 704, 1024], 3503624)
shufflenet_v2_x2_0 = _shufflenet("shufflenet_v2_x2_0", [24, 244, 488, 976, 2048], 7393996)
