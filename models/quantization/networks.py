"""Networks whose layers could be made eight-bit ones: in floating point, and with ReLU where others have ReLU6."""
from minigrad import nn
from models.googlenet import GoogLeNet
from models.inception import Inception3
from models.mobilenetv2 import MobileNetV2
from models.mobilenetv3 import MobileNetV3, configuration
from models.registry import register
from models.resnet import BasicBlock, Bottleneck, ResNet
from models.shufflenetv2 import ShuffleNetV2

__all__ = [
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
    "resnet18",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]


class _Quantizable:
    """What the networks of this package have beside those they are."""

    def fuse_model(self, is_qat=None):
        """Raises NotImplementedError: layers are fused for eight-bit numbers, for which there are no kernels."""
        raise NotImplementedError(
            f"{type(self).__name__}.fuse_model prepares for int8 kernels, which minigrad does not have; use "
            "models.optimize_for_inference, which fuses convolutions and batch norms in floating point"
        )


class QuantizableGoogLeNet(_Quantizable, GoogLeNet):
    """GoogLeNet; arguments as of it."""


class QuantizableInception3(_Quantizable, Inception3):
    """Inception3; arguments as of it."""


class QuantizableMobileNetV2(_Quantizable, MobileNetV2):
    """MobileNetV2; arguments as of it."""


class QuantizableMobileNetV3(_Quantizable, MobileNetV3):
    """MobileNetV3; arguments as of it."""


class QuantizableResNet(_Quantizable, ResNet):
    """ResNet; arguments as of it."""


class QuantizableShuffleNetV2(_Quantizable, ShuffleNetV2):
    """ShuffleNetV2; arguments as of it."""


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


def _register(name, network, about, image_size=224, settings=dict, **when_trained):
    """Register the builder "quantized_" + name.

    Args:
        name: the builder's here.
        network: the class, called with num_classes, in_channels, image_size and the rest by keyword.
        about: the builder's docstring.
        image_size: by default.
        settings: makes a dict of the network's further arguments of what is given by keyword.
        when_trained: arguments by default if the builder is given published weights.
    """
    side = image_size

    def builder(
        num_classes=1000, *, in_channels=3, image_size=side, quantize=False, backend=None, trained=None, **kw
    ):  # fmt: skip
        del quantize, backend  # only eight-bit networks have a backend, and the registry has refused those
        if trained is not None:
            kw = {**when_trained, **kw}
        model = network(num_classes=num_classes, in_channels=in_channels, image_size=image_size, **settings(**kw))
        replace_relu(model)
        return model

    builder.__name__ = builder.__qualname__ = f"quantized_{name}"
    builder.__doc__ = f"{about} quantize must be False; backend, of eight-bit networks only, has no effect."
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
    rows, last = configuration("mobilenet_v3_large", width_mult, reduced_tail, dilated)
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
mobilenet_v2 = _register("mobilenet_v2", QuantizableMobileNetV2, "MobileNetV2 with ReLU: 3,504,872 parameters.")
mobilenet_v3_large = _register(
    "mobilenet_v3_large",
    QuantizableMobileNetV3,
    "MobileNetV3-Large in floating point: 5,483,032 parameters.",
    settings=_mobilenet_v3_settings,
)
resnet18 = _resnet("resnet18", BasicBlock, [2, 2, 2, 2], 11689512)
resnet50 = _resnet("resnet50", Bottleneck, [3, 4, 6, 3], 25557032)
resnext101_32x8d = _resnet("resnext101_32x8d", Bottleneck, [3, 4, 23, 3], 88791336, groups=32, width_per_group=8)
resnext101_64x4d = _resnet("resnext101_64x4d", Bottleneck, [3, 4, 23, 3], 83455272, groups=64, width_per_group=4)
shufflenet_v2_x0_5 = _shufflenet("shufflenet_v2_x0_5", [24, 48, 96, 192, 1024], 1366792)
shufflenet_v2_x1_0 = _shufflenet("shufflenet_v2_x1_0", [24, 116, 232, 464, 1024], 2278604)
shufflenet_v2_x1_5 = _shufflenet("shufflenet_v2_x1_5", [24, 176, 352, 704, 1024], 3503624)
shufflenet_v2_x2_0 = _shufflenet("shufflenet_v2_x2_0", [24, 244, 488, 976, 2048], 7393996)
