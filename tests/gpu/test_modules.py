"""Every layer and loss, and networks, on the CPU and on a GPU: outputs, first and second gradients."""
import numpy as np
import pytest

import minigrad as mg
import models
from minigrad import nn

ON_A_GPU = mg.cuda.is_available()
LINE, PLANE, SPACE, ROWS = (2, 4, 10), (2, 4, 8, 8), (2, 4, 4, 4, 4), (3, 5)


def each(names, arguments, *inputs, **options):
    return dict.fromkeys(names.split(), (arguments, options, inputs))


def classes(high, *shape):
    return lambda: (mg.arange(int(np.prod(shape))) * 7 % high).reshape(shape)


def signs(*shape):
    return lambda: mg.where(mg.arange(int(np.prod(shape))) % 3 == 0, 1.0, -1.0).reshape(shape).double()


def between(*shape):
    return lambda: mg.rand(*shape, dtype=mg.float64) * 0.8 + 0.1


# Name → (arguments, keywords, inputs): shapes of random numbers, or functions that make an input.
LAYERS = {
    **each(
        "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish PReLU ReLU ReLU6 "
        "SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink Flatten",
        (),
        ROWS,
    ),
    **each("LogSoftmax Softmax Softmin", (1,), ROWS),
    **each("Softmax2d", (), PLANE),
    **each("GLU", (1,), (3, 6)),
    **each("Threshold", (0.1, 0.0), ROWS),
    **each("AvgPool1d MaxPool1d", (3, 2, 1), LINE),
    **each("AvgPool2d MaxPool2d", (3, 2, 1), PLANE),
    **each("AvgPool3d MaxPool3d", (2, 2), SPACE),
    **each("LPPool1d", (2, 3), LINE),
    **each("LPPool2d", (2, 3), PLANE),
    **each("LPPool3d", (2, 2), SPACE),
    **each("AdaptiveAvgPool1d AdaptiveMaxPool1d", (3,), LINE),
    **each("AdaptiveAvgPool2d AdaptiveMaxPool2d", ((3, 2),), PLANE),
    **each("AdaptiveAvgPool3d AdaptiveMaxPool3d", (2,), SPACE),
    **each("BatchNorm1d", (4,), LINE),
    **each("BatchNorm2d", (4,), PLANE),
    **each("BatchNorm3d", (4,), SPACE),
    **each("InstanceNorm1d", (4,), LINE, affine=True),
    **each("InstanceNorm2d", (4,), PLANE, affine=True, track_running_stats=True),
    **each("InstanceNorm3d", (4,), SPACE),
    **each("GroupNorm", (2, 4), PLANE),
    **each("LayerNorm", ((8, 8),), PLANE),
    **each("RMSNorm", (8,), PLANE),
    **each("LocalResponseNorm CrossMapLRN2d", (3,), PLANE),
    **each("Conv1d ConvTranspose1d", (4, 6, 3), LINE, stride=2, padding=1),
    **each("Conv2d", (4, 6, 3), PLANE, padding=1, groups=2),
    **each("ConvTranspose2d", (4, 6, 3), PLANE, stride=2, output_padding=1),
    **each("Conv3d ConvTranspose3d", (4, 2, 2), SPACE),
    **each("Linear", (5, 4), ROWS),
    **each("Bilinear", (5, 4, 3), ROWS, (3, 4)),
    **each("Embedding", (10, 4), classes(10, 3, 5)),
    **each("EmbeddingBag", (10, 4), classes(10, 3, 5), mode="mean"),
    **each("RNN GRU LSTM", (5, 4), (3, 2, 5), num_layers=2, bidirectional=True),
    **each("RNNCell GRUCell LSTMCell", (5, 4), ROWS),
    **each("MultiheadAttention", (8, 2), (3, 2, 8), (3, 2, 8), (3, 2, 8)),
    **each("TransformerEncoderLayer", (8, 2, 16, 0.0), (3, 2, 8)),
    **each("TransformerDecoderLayer", (8, 2, 16, 0.0), (3, 2, 8), (4, 2, 8)),
    **each("Transformer", (8, 2, 1, 1, 16, 0.0), (3, 2, 8), (4, 2, 8)),
    **each("CircularPad1d ReflectionPad1d ReplicationPad1d", (2,), LINE),
    **each("ConstantPad1d", (2, 0.5), LINE),
    **each("CircularPad2d ReflectionPad2d ReplicationPad2d ZeroPad2d", (2,), PLANE),
    **each("CircularPad3d ReflectionPad3d ReplicationPad3d ZeroPad3d", (1,), SPACE),
    **each("ChannelShuffle", (2,), PLANE),
    **each("PixelShuffle PixelUnshuffle", (2,), PLANE),
    **each("Fold", ((4, 5), 2), (2, 8, 12)),
    **each("Unfold", (3,), PLANE, padding=1),
    **each("Unflatten", (1, (2, 2)), (3, 4)),
    **each("Upsample", (), PLANE, scale_factor=2, mode="bilinear", align_corners=False),
    **each("UpsamplingBilinear2d UpsamplingNearest2d", (), PLANE, scale_factor=2),
    **each("CosineSimilarity PairwiseDistance", (), ROWS, ROWS),
    # losses
    **each("HuberLoss L1Loss MSELoss SmoothL1Loss", (), ROWS, ROWS),
    **each("BCELoss", (), between(3, 5), between(3, 5)),
    **each("BCEWithLogitsLoss", (), ROWS, between(3, 5)),
    **each("CrossEntropyLoss", (), ROWS, classes(5, 3), label_smoothing=0.1),
    **each("NLLLoss MultiMarginLoss", (), ROWS, classes(5, 3)),
    **each("KLDivLoss", (), ROWS, between(3, 5), reduction="batchmean"),
    **each("PoissonNLLLoss", (), ROWS, between(3, 5)),
    **each("GaussianNLLLoss", (), ROWS, ROWS, between(3, 5)),
    **each("SoftMarginLoss HingeEmbeddingLoss", (), ROWS, signs(3, 5)),
    **each("MarginRankingLoss", (), (3,), (3,), signs(3)),
    **each("CosineEmbeddingLoss", (), ROWS, ROWS, signs(3)),
    **each("TripletMarginLoss TripletMarginWithDistanceLoss", (), ROWS, ROWS, ROWS),
    **each("MultiLabelSoftMarginLoss", (), ROWS, between(3, 5)),
    **each("MultiLabelMarginLoss", (), ROWS, classes(5, 3, 5)),
    **each("CTCLoss", (), (6, 2, 5), classes(4, 2, 3), lambda: mg.tensor([6, 6]), lambda: mg.tensor([3, 2])),
}


def first_of(result):
    """The tensors of a result, those in tuples too."""
    if isinstance(result, mg.Tensor):
        return [result]
    return [tensor for part in result if part is not None for tensor in first_of(part)]


def all_of(device, name):
    """Outputs, first gradients, and the gradients of their sum of squares, of inputs and parameters."""
    arguments, options, inputs = LAYERS[name]
    mg.manual_seed(3)
    layer = getattr(nn, name)(*arguments, **options).double().to(device)
    made = [given() if callable(given) else mg.randn(*given, dtype=mg.float64) for given in inputs]
    made = [tensor.to(device) for tensor in made]
    wanted = [tensor.requires_grad_() for tensor in made[:1] if tensor.is_floating_point()] + list(layer.parameters())
    outputs = first_of(layer(*made))
    if not wanted:
        return outputs
    loss = sum((out * out).sum() for out in outputs if out.requires_grad)
    first = [g for g in mg.autograd.grad(loss, wanted, create_graph=True, allow_unused=True) if g is not None]
    again = sum((g * g).sum() for g in first)
    second = mg.autograd.grad(again, wanted, allow_unused=True) if again.requires_grad else ()
    return [*outputs, *first, *(g for g in second if g is not None)]


@pytest.mark.parametrize("name", LAYERS)
def test_layers(gpu, name):
    for ours, theirs in zip(all_of("cuda", name), all_of("cpu", name), strict=True):
        assert ours.is_cuda and ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours.detach().cpu().numpy(), theirs.detach().numpy(), 1e-6, 1e-8)


# What draws random numbers (tests/gpu/test_random.py), holds other layers, or is another's subclass with nothing added.
ELSEWHERE = """
    AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout RReLU PlainDropout FractionalMaxPool2d
    FractionalMaxPool3d DataParallel Module ModuleDict ModuleList ParameterDict ParameterList Sequential RNNBase
    RNNCellBase SyncBatchNorm NLLLoss2d TransformerEncoder TransformerDecoder ConstantPad2d ConstantPad3d
    ZeroPad1d AdaptiveLogSoftmaxWithLoss LinearCrossEntropyLoss MaxUnpool1d MaxUnpool2d MaxUnpool3d
""".split()


def test_every_layer_has_a_line():
    found = {name for name, value in vars(nn).items() if isinstance(value, type) and issubclass(value, nn.Module)}
    missing = {name for name in found if not name.startswith("Lazy")} - set(LAYERS) - set(ELSEWHERE)
    assert not missing


# ---------------------------------------------------------------- networks
# The lecture's and one of each newer kind; on the stand-in, whose kernels are slow, the small ones.
NETWORKS = """lenet5 squeezenet1_1 shufflenet_v2_x0_5 mobilenet_v3_small""".split()
if ON_A_GPU:
    NETWORKS += """
        alexnet alexnet_grouped zfnet vgg11_bn vgg16 googlenet inception_v3 resnet18 resnet50 preact_resnet200
        densenet121 mnasnet1_0 mobilenet_v2 efficientnet_b0 regnet_y_400mf convnext_tiny vit_b_32 swin_t
    """.split()
SIDES = {"lenet5": 28, "inception_v3": 107, "vit_b_32": 224, "swin_t": 64}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(gpu, name):
    """In float64 and evaluation mode, for dropout draws anew on each device."""
    channels, side = 1 if name == "lenet5" else 3, SIDES.get(name, 96 if ON_A_GPU else 64)
    found = []
    mg.manual_seed(0)
    model = models.build(name, num_classes=5).double().eval()
    images = mg.randn(2, channels, side, side, dtype=mg.float64)
    for device in ("cpu", "cuda"):
        model = model.to(device)
        x = images.clone().to(device).requires_grad_()
        model.zero_grad()
        scores = model(x)
        (scores * scores).sum().backward()
        last = [parameter.grad for parameter in model.parameters()]
        found.append([tensor.detach().cpu().numpy() for tensor in (scores, x.grad, *last)])
    for on_cpu, on_device in zip(*found, strict=True):
        np.testing.assert_allclose(on_device, on_cpu, 1e-5, 1e-7 * max(1.0, np.abs(on_cpu).max()))
