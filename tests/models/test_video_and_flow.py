"""MViT, S3D, Swin for videos, RAFT and the quantizable networks: small ones, what must hold of them, errors.

Names and shapes of their weights are in test_zoo.py, their outputs were compared with torchvision's.
"""
import pytest

import minigrad as mg
import models
from minigrad import nn
from models import shifted_windows
from models.optical_flow import raft
from models.quantization import networks
from models.video import mvit, swin_transformer


def train_step(model, *inputs):
    """The output in training mode; every parameter gets a gradient."""
    output = model(*inputs)
    last = output[-1] if isinstance(output, list) else output
    last.square().sum().backward()
    lacking = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not lacking
    return last


# ---------------------------------------------------------------- MViT
EARLY = [(1, 8, 16, [], [3, 3, 3], [], [1, 4, 4]), (2, 16, 16, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 1, 1])]
LATE = [(1, 8, 8, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 4, 4]), (2, 8, 16, [3, 3, 3], [], [1, 2, 2], [])]


@pytest.mark.parametrize(
    "rows, flags, settings",
    [
        (EARLY, (False, False, False, False), {}),
        (LATE, (True, False, True, True), {"attention_dropout": 0.1, "stochastic_depth_prob": 0.1}),
        (LATE, (True, True, True, False), {"norm_layer": nn.LayerNorm, "in_channels": 2}),
    ],
    ids=["first", "second", "between"],
)
def test_mvit(rows, flags, settings):
    mg.manual_seed(0)
    rows = [mvit.MSBlockConfig(*row) for row in rows]
    model = models.video.MViT((32, 24), 4, rows, *flags, num_classes=5, **settings)
    video = mg.randn(2, settings.get("in_channels", 3), 4, 32, 24)
    assert tuple(train_step(model, video).shape) == (2, 5)
    assert ("pos_encoding.class_pos" in model.state_dict()) is not flags[2]
    with pytest.raises(ValueError, match="Unsupported input dimension"):
        model(video[0, 0])


def test_one_frame_is_a_video():
    mg.manual_seed(0)
    model = mvit.MViT((16, 16), 1, [mvit.MSBlockConfig(*EARLY[0])], *[False] * 4, patch_embed_stride=(1, 4, 4)).eval()
    image = mg.randn(1, 3, 16, 16)
    assert mg.equal(model(image), model(image.unsqueeze(2)))


def test_relative_positions_of_mvit():
    """A table of zeros but for one offset marks the pairs that have it, and other sizes stretch it."""
    table = mg.zeros(5, 1)
    table[3] = 1.0  # offsets -2 … 2: one further than the key
    offsets = mvit._offsets(table, 3, 3).squeeze(-1)
    assert mg.equal(offsets, mg.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]))
    assert tuple(mvit._offsets(table, 4, 2).shape) == (4, 2, 1)
    q = mg.ones(1, 1, 6, 1)
    bias = mvit.relative_positions(q, (1, 2, 3), (1, 2, 3), mg.zeros(3, 1), table, mg.ones(1, 1))
    assert mg.equal(bias[0, 0, :3, :3], 1 + offsets)


def test_the_pooling_lets_the_class_token_pass():
    mg.manual_seed(0)
    x = mg.randn(2, 1 + 2 * 4 * 4, 3)
    pooled, thw = mvit.Pool(nn.MaxPool3d((1, 2, 2)), None)(x, (2, 4, 4))
    assert thw == (2, 2, 2) and tuple(pooled.shape) == (2, 9, 3)
    assert mg.equal(pooled[:, 0], x[:, 0])
    places = x[:, 1:].reshape(2, 2, 2, 2, 2, 2, 3)
    assert mg.equal(pooled[:, 1:], places.amax((3, 5)).reshape(2, 8, 3))
    before = mvit.Pool(nn.MaxPool3d(1), nn.BatchNorm3d(3), nn.ReLU(), norm_before_pool=True)
    assert before(x, (2, 4, 4))[0][:, 1:].min() == 0


# ---------------------------------------------------------------- Swin and S3D
def test_swin_for_videos():
    mg.manual_seed(0)
    model = models.video.SwinTransformer3d([2, 4, 4], 8, [2, 2], [2, 2], [2, 3, 3], num_classes=5, in_channels=2)
    assert tuple(train_step(model, mg.randn(2, 2, 5, 22, 30)).shape) == (2, 5)


def test_windows_of_one_frame_are_those_of_images(undrawn):
    image = models.swin_transformer.ShiftedWindowAttention(8, [3, 3], [1, 1], 2)
    video = swin_transformer.ShiftedWindowAttention3d(8, [1, 3, 3], [0, 1, 1], 2)
    mg.manual_seed(0)
    for parameter in image.parameters():
        parameter.data.normal_()
    state = image.state_dict()
    state["relative_position_index"] = state["relative_position_index"].reshape(9, 9)
    video.load_state_dict(state)
    frames = mg.randn(2, 4, 7, 5, 8)
    expected = mg.stack([image(frame) for frame in frames.unbind(1)], 1)
    assert mg.allclose(video(frames), expected, atol=1e-5)


def test_parts_of_videos_come_back():
    x = mg.arange(2 * 4 * 6 * 6 * 1).reshape(2, 4, 6, 6, 1)
    parts = shifted_windows.window_partition(x, [2, 3, 2])
    assert tuple(parts.shape) == (2 * 12, 12, 1)
    assert mg.equal(shifted_windows.window_merge(parts, [2, 3, 2], (4, 6, 6)), x)
    mask = shifted_windows.shift_mask((4, 2, 2), [2, 2, 2], [1, 0, 0], mg.zeros(1))
    assert not mask[0].any()
    assert mg.equal(mask[1, 0], mg.tensor([0.0] * 4 + [-100.0] * 4))  # two frames that were at the two ends


@pytest.mark.parametrize("name, frames", [("s3d", 14), ("swin3d_t", 3)])
def test_small_videos(name, frames):
    mg.manual_seed(0)
    model = models.build(name, num_classes=4, in_channels=2, image_size=16).eval()
    assert tuple(model(mg.randn(1, 2, frames, 16, 16)).shape) == (1, 4)


# ---------------------------------------------------------------- RAFT
def small_raft(with_mask, block=raft.ResidualBlock):
    widths = {"block": block, "layers": (8, 8, 8, 8, 12)}
    corr = raft.CorrBlock(num_levels=2, radius=1)
    encoder = raft.MotionEncoder(
        in_channels_corr=corr.out_channels, corr_layers=(8,), flow_layers=(8, 4), out_channels=10
    )
    unit = raft.RecurrentBlock(input_size=10 + 4, hidden_size=8)
    head = raft.FlowHead(in_channels=8, hidden_size=8)
    return models.optical_flow.RAFT(
        feature_encoder=raft.FeatureEncoder(norm_layer=nn.InstanceNorm2d, **widths),
        context_encoder=raft.FeatureEncoder(norm_layer=None, **widths),
        corr_block=corr,
        update_block=raft.UpdateBlock(motion_encoder=encoder, recurrent_block=unit, flow_head=head),
        mask_predictor=raft.MaskPredictor(in_channels=8, hidden_size=8) if with_mask else None,
    )


@pytest.mark.parametrize("block", [raft.ResidualBlock, raft.BottleneckBlock])
@pytest.mark.parametrize("with_mask", [False, True])
def test_raft(with_mask, block):
    mg.manual_seed(0)
    model = small_raft(with_mask, block)
    images = mg.rand(2, 3, 32, 40), mg.rand(2, 3, 32, 40)
    flows = model(*images, num_flow_updates=3)
    assert len(flows) == 3 and all(tuple(flow.shape) == (2, 2, 32, 40) for flow in flows)
    train_step(model, *images)
    for parameter in model.update_block.flow_head.parameters():
        parameter.data.zero_()
    assert all(not flow.any() for flow in model(*images, num_flow_updates=2))  # nothing moves them


def test_correlations_are_products_of_features():
    mg.manual_seed(0)
    corr = raft.CorrBlock(num_levels=2, radius=1)
    first, second = mg.randn(1, 4, 5, 6), mg.randn(1, 4, 5, 6)
    corr.build_pyramid(first, second)
    rows, columns = mg.meshgrid(mg.arange(5.0), mg.arange(6.0), indexing="ij")
    features = corr.index_pyramid(mg.stack((columns, rows)).unsqueeze(0))
    assert tuple(features.shape) == (1, 18, 5, 6)
    assert mg.allclose(features[:, 4], (first * second).sum(1) / 2, atol=1e-4)  # the place itself
    right = (first[..., :-1] * second[..., 1:]).sum(1) / 2
    assert mg.allclose(features[:, 7, :, :-1], right, atol=1e-4)
    assert not features[:, 7, :, -1].any()  # right of the image


def test_upsampling_of_flows():
    mg.manual_seed(0)
    flow = mg.randn(1, 2, 3, 4)
    weights = mg.full((1, 1, 9, 8, 8, 3, 4), -100.0)
    weights[:, :, 4] = 0.0  # all of the middle one
    nearest = nn.functional.interpolate(8 * flow, scale_factor=8, mode="nearest")
    assert mg.allclose(raft.upsample_flow(flow, weights.reshape(1, 576, 3, 4)), nearest)
    assert mg.allclose(raft.upsample_flow(flow)[..., -1, -1], 8 * flow[..., -1, -1])


def test_raft_of_other_parts(undrawn):
    parts = small_raft(False)
    model = models.optical_flow.raft_small(**dict(parts.named_children()))
    assert model.update_block is parts.update_block and model.mask_predictor is None
    assert models.build("raft_large").mask_predictor.multiplier == 0.25


# ---------------------------------------------------------------- quantizable networks
def test_quantizable_networks_are_the_others():
    mg.manual_seed(0)
    first = models.resnet18(num_classes=3, image_size=32).eval()
    second = models.quantization.resnet18(num_classes=3, image_size=32, backend="qnnpack").eval()
    assert isinstance(second, networks.QuantizableResNet)
    second.load_state_dict(first.state_dict())
    x = mg.randn(2, 3, 32, 32)
    assert mg.allclose(first(x), second(x), atol=1e-6)
    assert not any(module.inplace for module in second.modules() if isinstance(module, nn.ReLU))


def test_relu6_is_relu():
    model = models.build("quantized_mobilenet_v2", num_classes=3, width_mult=0.25, image_size=32)
    kinds = {type(module) for module in model.modules()}
    assert nn.ReLU in kinds and nn.ReLU6 not in kinds
    small = models.quantization.mobilenet_v3_large(width_mult=0.25, reduced_tail=True, image_size=32)
    assert small.classifier[0].in_features == 6 * 24


def test_published_eight_bit_networks(monkeypatch, undrawn):
    weights = models.quantization.ResNet50_QuantizedWeights
    assert weights.DEFAULT.meta["backend"] == "fbgemm"
    assert weights.DEFAULT.meta["unquantized"] is models.ResNet50_Weights.IMAGENET1K_V2
    assert models.get_model_weights("quantized_resnet50") is weights
    with pytest.raises(TypeError, match="expected ResNet50_QuantizedWeights but received ResNet50_Weights"):
        models.quantization.resnet50(weights=models.ResNet50_Weights.DEFAULT, quantize=True)
    with pytest.raises(ValueError, match="'backend' expected value fbgemm but got qnnpack"):
        models.quantization.resnet50(weights=weights.DEFAULT, quantize=True, backend="qnnpack")
    with pytest.raises(TypeError, match="expected ResNet50_Weights but received ResNet50_QuantizedWeights"):
        models.quantization.resnet50(weights=weights.DEFAULT)
    with pytest.raises(NotImplementedError, match="QuantizableResNet: layers are fused in eval mode, is_qat=False"):
        models.quantization.resnet18().fuse_model()
    with pytest.raises(AttributeError, match="'models.quantization' has no attribute 'ResNet50_Weights'"):
        _ = models.quantization.ResNet50_Weights
    monkeypatch.setattr(
        models.WeightsEnum, "get_state_dict", lambda self, **kw: models.build(self.builder).state_dict()
    )
    model = models.quantization.inception_v3(weights="DEFAULT")
    assert model.AuxLogits is None and model.transform_input
    assert models.quantization.inception_v3(weights="DEFAULT", aux_logits=True).AuxLogits is not None


# ---------------------------------------------------------------- published ones and errors
def test_what_is_published_of_flows():
    weights = models.optical_flow.Raft_Large_Weights
    assert weights.DEFAULT is weights.C_T_SKHT_V2
    assert "categories" not in weights.DEFAULT.meta
    assert weights.C_T_V2.meta["_metrics"]["Kitti-Train"] == {"per_image_epe": 4.5118, "fl_all": 16.0679}
    images = mg.zeros(2, 1, 3, 4, 4, dtype=mg.uint8)
    assert all(mg.equal(image, mg.full((1, 3, 4, 4), -1.0)) for image in weights.DEFAULT.transforms()(*images))
    with pytest.warns(UserWarning, match="Raft_Large_Weights.C_T_SKHT_V2"), pytest.warns(UserWarning, match="'pre"):
        assert models.published.chosen("raft_large", None, True) is weights.DEFAULT
    assert models.video.MViT_V1_B_Weights.DEFAULT.meta["min_temporal_size"] == 16
    assert models.published.arguments_of(models.video.MViT_V2_S_Weights.DEFAULT, {})["image_size"] == 224


CORR = raft.CorrBlock()
MAPS = mg.zeros(1, 2, 16, 16)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: mvit.MViT((8, 8), 2, [], *[False] * 4), ValueError, "configuration parameter can't be empty"),
        (lambda: mvit.Pool(nn.Identity(), None)(mg.zeros(2, 3), (1, 1, 1)), ValueError, "Unsupported input dimension"),
        (lambda: models.video.mvit_v1_b(temporal_size=8), TypeError, "temporal_size"),
        (lambda: swin_transformer.ShiftedWindowAttention3d(8, [2, 2], [1, 1, 1], 2), ValueError, "of length 3"),
        (lambda: models.video.S3D(image_size=8), ValueError, "nothing is left of frames of 8 pixels"),
        (lambda: raft.FeatureEncoder(layers=(1, 2)), ValueError, "number of layers is 5, instead got 2"),
        (lambda: raft.MotionEncoder(in_channels_corr=1, flow_layers=(1,)), ValueError, "flow_layers is 2, instead"),
        (lambda: raft.MotionEncoder(in_channels_corr=1, corr_layers=()), ValueError, "should be 1 or 2, instead got 0"),
        (
            lambda: raft.RecurrentBlock(input_size=1, hidden_size=1, kernel_size=(1,)),
            ValueError,
            "the same length as padding",
        ),
        (
            lambda: raft.RecurrentBlock(input_size=1, hidden_size=1, kernel_size=(), padding=()),
            ValueError,
            "should either 1 or 2, instead got 0",
        ),
        (lambda: CORR.build_pyramid(MAPS, MAPS[:, :1]), ValueError, "should have the same shape"),
        (lambda: CORR.build_pyramid(MAPS[..., :9], MAPS[..., :9]), ValueError, r"at least 8 \* 16 = 128"),
        (
            lambda: raft.RAFT(feature_encoder=None, context_encoder=None, corr_block=CORR, update_block=nn.ReLU()),
            ValueError,
            "should expose a 'hidden_state_size'",
        ),
        (lambda: models.optical_flow.raft_small(num_classes=3), TypeError, "unexpected keyword argument 'num_classes'"),
        (lambda: small_raft(False)(mg.zeros(1, 3, 8, 8), mg.zeros(1, 3, 8, 16)), ValueError, "the same shape, instead"),
        (lambda: small_raft(False)(*mg.zeros(2, 1, 3, 12, 8)), ValueError, r"divisible by 8, instead got 12 \(h\)"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(make, error, message, undrawn):
    with pytest.raises(error, match=message):
        make()


def test_encoders_of_raft_must_fit():
    mg.manual_seed(0)
    images = mg.rand(2, 1, 3, 32, 32)
    model = small_raft(False)
    model.context_encoder = nn.AvgPool2d(4)
    with pytest.raises(ValueError, match="The context encoder should downsample H and W by 8"):
        model(*images)
    model.context_encoder = nn.AvgPool2d(8)
    with pytest.raises(ValueError, match="outputs 3 channels, but it should have at strictly more than hidden_state=8"):
        model(*images)
    model.feature_encoder = nn.AvgPool2d(4)
    with pytest.raises(ValueError, match="The feature encoder should downsample H and W by 8"):
        model(*images)
