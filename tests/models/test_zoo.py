"""The networks of torchvision: names and shapes of their weights, outputs on small images, old names, errors.

``zoo.tsv`` was made with torchvision 0.28: network, parameters, entries of the state_dict, and the first 16 digits of
the SHA-256 of the lines "name (shape)" of its entries in their order.
"""
import hashlib
from pathlib import Path

import pytest

import minigrad as mg
import models
from minigrad import nn
from models import efficientnet, inception, mobilenetv3, registry, regnet, swin_transformer, vision_transformer

TABLE = [line.split("\t") for line in (Path(__file__).parent / "zoo.tsv").read_text().splitlines()]


@pytest.mark.parametrize("name, parameters, entries, digest", TABLE, ids=[row[0] for row in TABLE])
def test_state_dicts_are_torchvisions(name, parameters, entries, digest, undrawn):
    model = models.build(name)
    state = model.state_dict()
    lines = "\n".join(f"{key} {tuple(value.shape)}" for key, value in state.items())
    assert len(state) == int(entries)
    assert sum(parameter.numel() for parameter in model.parameters()) == int(parameters)
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == digest


# One of each family, as small as its arguments make it: what the others run is the same code.
SMALL = [
    ("squeezenet1_0", {}, 64),
    ("densenet121", {"memory_efficient": True}, 32),
    ("mobilenet_v2", {"width_mult": 0.25}, 32),
    ("mobilenet_v3_large", {"width_mult": 0.25}, 32),
    ("mobilenet_v3_small", {"reduced_tail": True, "dilated": True}, 32),
    ("shufflenet_v2_x0_5", {}, 32),
    ("mnasnet0_5", {}, 32),
    ("efficientnet_b0", {}, 32),
    ("efficientnet_v2_s", {}, 32),
    ("regnet_x_400mf", {}, 32),
    ("regnet_y_400mf", {}, 32),
    ("convnext_tiny", {}, 32),
    ("vit_b_32", {"representation_size": 8}, 32),
    ("swin_t", {}, 32),
    ("swin_v2_t", {}, 24),
    ("inception_v3", {"aux_logits": False}, 39),
]


@pytest.mark.parametrize("name, settings, size", SMALL, ids=[row[0] for row in SMALL])
def test_small_images_of_two_channels(name, settings, size):
    """Forward and backward in training mode; every parameter that matters to the output gets a gradient."""
    mg.manual_seed(0)
    model = models.build(name, num_classes=5, in_channels=2, image_size=size, **settings)
    assert (model.in_channels, model.image_size) == (2, size)
    output = model(mg.randn(2, 2, size, size))
    assert tuple(output.shape) == (2, 5)
    output.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_maxvit_of_other_sizes():
    mg.manual_seed(0)
    model = models.MaxVit((32, 32), 8, 2, [8, 16], [1, 2], 8, 0.2, num_classes=5)
    assert tuple(model(mg.randn(2, 3, 32, 32)).shape) == (2, 5)
    with pytest.raises(ValueError, match=r"Input size \(50, 50\) of block 0 is not divisible by partition size 7"):
        models.maxvit_t(image_size=200)
    with pytest.raises(AssertionError, match="Grid size must be divisible"):
        layer = models.maxvit.PartitionAttentionLayer(8, 8, 2, "grid", (5, 5), 4, nn.GELU, nn.LayerNorm, 0.0, 0.0, 0.0)
        layer(mg.zeros(1, 8, 5, 5))


def test_inception_with_its_helper():
    mg.manual_seed(0)
    model = models.inception_v3(3, init_weights=False)
    x = mg.randn(1, 3, 299, 299)
    with mg.no_grad():
        model.train()
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):  # of one image 1x1 there is no variance
                layer.eval()
        logits, aux = model(x)
        assert tuple(logits.shape) == tuple(aux.shape) == (1, 3)
        assert isinstance(model.eval()(x), mg.Tensor)
    with pytest.raises(ValueError, match="the auxiliary classifier needs larger images than 224 pixels"):
        models.inception_v3(image_size=224)


# ---------------------------------------------------------------- published names of before
DENSE = ((".norm1.", ".norm.1."), (".norm2.", ".norm.2."), (".conv1.", ".conv.1."), (".conv2.", ".conv.2."))
VIT = ((".mlp.0.", ".mlp.linear_1."), (".mlp.3.", ".mlp.linear_2."))


@pytest.mark.parametrize(
    "make, names, shape",
    [
        (lambda: models.DenseNet(4, (2, 1), 4, num_classes=3, image_size=32), DENSE, (2, 3, 32, 32)),
        (lambda: models.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=3), VIT, (2, 3, 8, 8)),
    ],
    ids=["densenet", "vit"],
)
def test_old_names_are_read(make, names, shape):
    mg.manual_seed(0)
    first = make().eval()
    nn.init.normal_(first.get_parameter([name for name, _ in first.named_parameters()][-2]))  # ViT's head starts at 0
    old = first.state_dict()
    for new_part, old_part in names:
        assert any(new_part in name for name in old)
        old = {name.replace(new_part, old_part): value for name, value in old.items()}
    x = mg.randn(*shape)
    second, third = make().eval(), make().eval()
    assert not mg.equal(first(x), second(x))
    second.load_state_dict(old)
    registry.fit_state(third, old, "a.pth")
    assert mg.equal(first(x), second(x)) and mg.equal(first(x), third(x))


def test_positions_are_resampled():
    model = models.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=3)
    larger = models.VisionTransformer(16, 4, 1, 2, 8, 16, num_classes=3)
    state = models.interpolate_embeddings(16, 4, model.state_dict())
    larger.load_state_dict(state)
    corners = larger.encoder.pos_embedding[0, [0, 1, 4, 13, 16]]
    assert mg.allclose(corners, model.encoder.pos_embedding[0], atol=1e-6)
    assert "heads.head.weight" not in models.interpolate_embeddings(16, 4, model.state_dict(), reset_heads=True)
    with pytest.raises(ValueError, match="not a perfect square"):
        models.interpolate_embeddings(16, 4, {"encoder.pos_embedding": mg.zeros(1, 4, 8)})


# ---------------------------------------------------------------- errors
@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: models.SqueezeNet("2_0"), ValueError, "Unsupported SqueezeNet version 2_0: 1_0 or 1_1 expected"),
        (lambda: models.squeezenet1_0(version="1_1"), TypeError, "multiple values for keyword argument 'version'"),
        (lambda: models.Inception3(inception_blocks=[1]), ValueError, "should be 7 instead of 1"),
        (lambda: models.inception_v3(in_channels=1, transform_input=True), ValueError, "needs 3 channels"),
        (lambda: models.inception_v3(image_size=70, aux_logits=False), ValueError, "nothing is left of images of 70"),
        (lambda: inception.InceptionAux(8), TypeError, "num_classes"),
        (lambda: models.MobileNetV2(inverted_residual_setting=[]), ValueError, "should be non-empty"),
        (lambda: models.mobilenetv2.InvertedResidual(8, 8, 3, 1), ValueError, "stride should be 1 or 2 instead of 3"),
        (lambda: models.MobileNetV3([], 8), ValueError, "should not be empty"),
        (lambda: models.MobileNetV3([1], 8), TypeError, "InvertedResidualConfig"),
        (lambda: mobilenetv3.configuration("mobilenet_v4"), ValueError, "Unsupported model type mobilenet_v4"),
        (lambda: models.ShuffleNetV2([1], [8] * 5), ValueError, "list of 3 positive ints"),
        (lambda: models.ShuffleNetV2([1] * 3, [8]), ValueError, "list of 5 positive ints"),
        (lambda: models.shufflenetv2.InvertedResidual(8, 8, 4), ValueError, "illegal stride value"),
        (lambda: models.shufflenetv2.InvertedResidual(8, 16, 1), ValueError, "Invalid combination of stride 1"),
        (lambda: models.MNASNet(0.0), ValueError, "alpha should be greater than 0.0"),
        (lambda: models.EfficientNet([], 0.2), ValueError, "should not be empty"),
        (lambda: models.EfficientNet([1], 0.2), TypeError, "MBConvConfig"),
        (
            lambda: efficientnet.MBConv(efficientnet.MBConvConfig(1, 3, 3, 8, 8, 1), 0.0, nn.BatchNorm2d),
            ValueError,
            "illegal stride",
        ),
        (lambda: regnet.BlockParams.from_init_params(4, 7, 8.0, 2.0, 8), ValueError, "Invalid RegNet settings"),
        (lambda: models.ConvNeXt([]), ValueError, "should not be empty"),
        (lambda: models.ConvNeXt([1]), TypeError, "CNBlockConfig"),
        (lambda: models.vit_b_16(image_size=30), AssertionError, "indivisible by patch size"),
        (
            lambda: models.VisionTransformer(8, 4, 1, 2, 8, 16)(mg.zeros(1, 3, 4, 8)),
            AssertionError,
            "Wrong image height! Expected 8 but got 4!",
        ),
        (lambda: swin_transformer.ShiftedWindowAttention(8, [2], [1, 1], 2), ValueError, "must be of length 2"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(make, error, message, undrawn):
    with pytest.raises(error, match=message):
        make()


def test_a_stem_of_convolutions():
    config = vision_transformer.ConvStemConfig
    model = models.VisionTransformer(
        8, 4, 1, 2, 8, 16, num_classes=3, conv_stem_configs=[config(4, 3, 2), config(8, 3, 2)]
    )
    assert tuple(model(mg.randn(2, 3, 8, 8)).shape) == (2, 3)
    assert "conv_proj.conv_bn_relu_1.1.running_var" in model.state_dict()


# ---------------------------------------------------------------- pixels and videos
@pytest.mark.parametrize("aux_loss", [None, True])
@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large"])
def test_pixels_have_classes(name, aux_loss):
    mg.manual_seed(0)
    model = models.build(name, num_classes=4, in_channels=2, image_size=40, aux_loss=aux_loss)
    output = model(mg.randn(2, 2, 40, 36))
    assert list(output) == (["out", "aux"] if aux_loss else ["out"])
    assert all(tuple(maps.shape) == (2, 4, 40, 36) for maps in output.values())
    sum(maps.square().mean() for maps in output.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_pixels_have_classes_in_lraspp():
    mg.manual_seed(0)
    model = models.segmentation.lraspp_mobilenet_v3_large(4, image_size=40)
    assert tuple(model(mg.randn(2, 3, 40, 36))["out"].shape) == (2, 4, 40, 36)
    with pytest.raises(NotImplementedError, match="does not use auxiliary loss"):
        models.segmentation.lraspp_mobilenet_v3_large(aux_loss=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        models.segmentation.fcn_resnet50(width=3)


def test_backbones_have_weights_of_their_own(monkeypatch, undrawn):
    asked = []

    def state(self, **kw):
        asked.append(repr(self))
        return models.build(self.builder).state_dict()

    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", state)
    models.segmentation.fcn_resnet50(weights_backbone="DEFAULT")
    with pytest.warns(UserWarning, match="'weights_backbone'"):
        models.segmentation.lraspp_mobilenet_v3_large(pretrained_backbone=True)
    assert asked == ["ResNet50_Weights.IMAGENET1K_V2", "MobileNet_V3_Large_Weights.IMAGENET1K_V1"]


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_videos_have_classes(name):
    mg.manual_seed(0)
    model = models.build(name, num_classes=4, in_channels=2, image_size=16)
    output = model(mg.randn(1, 2, 2, 16, 16))
    assert tuple(output.shape) == (1, 4)
    output.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_video_network_of_bottlenecks():
    resnet = models.video.resnet
    mg.manual_seed(0)
    make = [resnet.Conv2Plus1D] * 4
    model = resnet.VideoResNet(resnet.Bottleneck, make, [1] * 4, resnet.R2Plus1dStem, 3, True)
    assert tuple(model(mg.randn(2, 3, 2, 16, 16)).shape) == (2, 3)
    assert not model.layer1[0].conv3[1].weight.any()


def test_layers_that_are_not_there():
    with pytest.raises(ValueError, match="return_layers are not present in model"):
        models._utils.IntermediateLayerGetter(nn.Sequential(nn.ReLU()), {"1": "out"})
