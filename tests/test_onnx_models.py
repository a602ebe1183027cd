"""Small networks of every family in models/, as they are and prepared for inference, as ONNX files."""

import pytest

import minigrad as mg
import models
from models.convnext import CNBlockConfig
from models.efficientnet import MBConvConfig
from models.mobilenetv3 import InvertedResidualConfig
from models.regnet import BlockParams
from models.segmentation import lraspp_mobilenet_v3_large
from tests.test_onnx import check, onnx, randn

SMALL = {"num_classes": 7, "image_size": 32}
MOBILE = [
    InvertedResidualConfig(8, 3, 16, 16, True, "RE", 2, 1, 1.0),
    InvertedResidualConfig(16, 5, 24, 16, True, "HS", 1, 2, 1.0),
]
NETWORKS = {  # name -> (function that builds it, image size, whether convolutions and norms fold)
    "alexnet": (lambda: models.build("alexnet_lecture", image_size=64, hidden=16), 64, False),
    "convnext": (
        lambda: models.ConvNeXt(
            [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 2)], layer_scale=0.5, **SMALL
        ), 32, False,
    ),
    "densenet": (lambda: models.DenseNet(4, (2, 1), 4, **SMALL), 32, True),
    "efficientnet": (
        lambda: models.EfficientNet(
            [MBConvConfig(1, 3, 1, 8, 8, 1), MBConvConfig(4, 5, 2, 8, 16, 2)], 0.2, last_channel=32, **SMALL
        ), 32, True,
    ),
    "googlenet": (lambda: models.build("googlenet", **SMALL), 32, False),
    "inception": (lambda: models.Inception3(7, aux_logits=False, init_weights=False, image_size=75), 75, False),
    "lenet5": (lambda: models.build("lenet5", num_classes=7), 28, True),
    "lraspp": (lambda: lraspp_mobilenet_v3_large(num_classes=3, image_size=32), 32, False),
    "maxvit": (lambda: models.MaxVit((32, 32), 8, 2, [8, 16], [1, 2], 8, 0.2, num_classes=7), 32, True),
    "mnasnet": (lambda: models.MNASNet(0.1, **SMALL), 32, True),
    "mobilenetv2": (lambda: models.MobileNetV2(width_mult=0.1, **SMALL), 32, True),
    "mobilenetv3": (lambda: models.MobileNetV3(MOBILE, 32, **SMALL), 32, True),
    "preact_resnet": (lambda: models.build("preact_resnet18", **SMALL), 32, False),
    "regnet": (
        lambda: models.RegNet(BlockParams([1, 2], [8, 16], [4, 8], [1.0, 1.0], [2, 2], 0.25), stem_width=8, **SMALL),
        32, True,
    ),
    "resnet": (lambda: models.build("small_resnet", **SMALL), 32, True),
    "resnext": (lambda: models.ResNet(models.Bottleneck, [1, 1, 1, 1], groups=4, width_per_group=4, **SMALL), 32, True),
    "shufflenet": (lambda: models.ShuffleNetV2([1, 2, 1], [8, 16, 24, 32, 48], **SMALL), 32, True),
    "small_cnn": (lambda: models.build("small_cnn", **SMALL), 32, True),
    "squeezenet": (lambda: models.SqueezeNet("1_1", **SMALL), 32, False),
    "swin": (lambda: models.SwinTransformer([2, 2], 8, [2, 2], [2, 2], [4, 4], **SMALL), 32, False),
    "swin_v2": (lambda: _swin_v2(), 32, False),
    "vgg": (lambda: models.VGG(_vgg_features(), hidden=16, **SMALL), 32, True),
    "vit": (lambda: models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=7), 32, False),
    "zfnet": (lambda: models.build("zfnet", image_size=96, hidden=16), 96, False),
}  # fmt: skip


def _swin_v2():
    from models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

    return models.SwinTransformer(
        [2, 2], 8, [2, 2], [2, 2], [4, 4], block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2, **SMALL
    )


def _vgg_features():
    return mg.nn.Sequential(mg.nn.Conv2d(3, 8, 3, padding=1), mg.nn.BatchNorm2d(8), mg.nn.ReLU(), mg.nn.MaxPool2d(2))


def trained(model):
    """Return the model in evaluation mode with other statistics and without parameters of zeros, as after training."""
    generator = mg.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif tensor.is_floating_point() and float(tensor.abs().max()) < 1e-3:
            tensor.normal_(0, 0.1, generator=generator)
    return model.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    mg.manual_seed(0)
    build, size, folds = NETWORKS[name]
    model = trained(build())
    images = randn(2, getattr(model, "in_channels", 3), size, size)
    if name == "lenet5":
        images = images[:, :1]
    file = check(model, images)
    kinds = {node.op_type for node in onnx.load_from_string(file).graph.node}
    if not folds:
        return
    fast = models.optimize_for_inference(model, images[:1])
    kinds = [node.op_type for node in onnx.load_from_string(check(fast, images)).graph.node]
    assert kinds.count("BatchNormalization") <= sum(isinstance(m, mg.nn.BatchNorm2d) for m in fast.modules())


def _mvit():
    rows = [(1, 8, 8, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 2, 2]), (2, 8, 16, [3, 3, 3], [], [1, 2, 2], [])]
    rows = [models.video.mvit.MSBlockConfig(*row) for row in rows]
    return models.video.MViT((16, 16), 4, rows, True, False, True, True, num_classes=5)


VIDEO = {  # name -> (function that builds it, shape of a video)
    "mvit": (_mvit, (2, 3, 4, 16, 16)),
    "s3d": (lambda: models.video.S3D(5, image_size=16), (2, 3, 14, 16, 16)),
    "swin3d": (
        lambda: models.video.SwinTransformer3d([2, 4, 4], 8, [2, 1], [2, 2], [2, 3, 3], num_classes=5),
        (2, 3, 5, 22, 30),
    ),
}


@pytest.mark.parametrize("name", VIDEO)
def test_networks_of_videos(name):
    mg.manual_seed(0)
    build, shape = VIDEO[name]
    check(trained(build()), randn(*shape), dynamic=False)


def test_flows():
    mg.manual_seed(0)
    model = models.optical_flow.raft_small(corr_block=models.optical_flow.raft.CorrBlock(num_levels=2, radius=1))
    model = trained(model)
    images = randn(1, 3, 32, 40), randn(1, 3, 32, 40).flip(-1)
    check(lambda first, second: model(first, second, num_flow_updates=2), *images, dynamic=False)
