"""Published weights: their enumerations, where files are looked for, what builders make of them. No network is used."""
import hashlib
import io
import urllib.error
import urllib.request

import pytest

import minigrad as mg
import models
from models import published, registry
from models.published import presets


def test_every_line_of_the_table_is_of_a_network(undrawn):
    """The parameters that are published are those the networks have."""
    hashes = set()
    for name in published.names():
        enum = getattr(models, name)
        assert models.get_model_weights(enum.builder) is enum
        assert "DEFAULT" in enum.__members__
        for member in enum:
            assert published.get_weight(f"{name}.{member.name}") is member
            assert repr(member) == f"{name}.{member.name}" == str(member)
            assert member.url.startswith("https://download.pytorch.org/models/") and member.url not in hashes
            hashes.add(member.url)
            preset = member.transforms()
            assert type(preset).__name__ in repr(preset) and "rescaled" in preset.describe()
            if member is enum.DEFAULT:
                given = published.arguments_of(member, {})
                given.pop("transform_input", None)
                if enum.builder.startswith(("fasterrcnn", "fcos", "keypointrcnn", "maskrcnn", "retinanet")):
                    # their batch norms are constants when there are weights
                    given["trained"] = member
                model = models.build(enum.builder, **given)
                assert sum(p.numel() for p in model.parameters()) == member.meta["num_params"], name


def test_members_know_their_facts():
    weights = models.ResNet50_Weights
    assert weights.DEFAULT is weights.IMAGENET1K_V2 is not weights.IMAGENET1K_V1
    assert weights.DEFAULT.meta["categories"][207] == "golden retriever"
    assert len(weights.DEFAULT.meta["categories"]) == 1000
    assert weights.DEFAULT.meta["min_size"] == (1, 1)
    assert weights.DEFAULT.meta["_metrics"] == {"ImageNet-1K": {"acc@1": 80.858, "acc@5": 95.434}}
    assert weights.DEFAULT.transforms().resize_size == [232]
    assert models.EfficientNet_B3_Weights.DEFAULT.transforms().interpolation.value == "bicubic"
    assert models.VGG16_Weights.IMAGENET1K_FEATURES.transforms().std == [0.00392156862745098] * 3
    assert models.VGG16_Weights.IMAGENET1K_FEATURES.meta["categories"] is None
    with pytest.raises(AttributeError, match="no attribute 'ResNet51_Weights'"):
        _ = models.ResNet51_Weights
    for name in ("ResNet50_Weights", "a.b.c"):
        with pytest.raises(ValueError, match="Invalid weight name provided"):
            published.get_weight(name)
    with pytest.raises(ValueError, match="'Fish_Weights' for the specific method couldn't be retrieved"):
        published.get_weight("Fish_Weights.DEFAULT")
    with pytest.raises(KeyError):
        published.get_weight("ResNet50_Weights.V7")


def test_every_file_of_networks_has_its_enumerations():
    for module, name in (
        (models.resnet, "ResNet18_Weights"),
        (models.detection.ssd, "SSD300_VGG16_Weights"),
        (models.detection, "FCOS_ResNet50_FPN_Weights"),
        (models.video.resnet, "R3D_18_Weights"),
    ):
        assert getattr(module, name) is published.enumeration(name)
        with pytest.raises(AttributeError, match=rf"module '{module.__name__}' has no attribute 'Fish_Weights'"):
            _ = module.Fish_Weights


def test_torchvisions_ways_to_the_builders():
    assert models.get_model_builder("ResNet18") is models.resnet18
    assert models.get_model("LeNet5", num_classes=3).fc3.out_features == 3
    assert models.get_model_weights(models.resnet18) is models.ResNet18_Weights
    assert models.list_models(include=["vit_b*", "swin_t"]) == ["swin_t", "vit_b_16", "vit_b_32"]
    assert models.list_models(models, include="vgg1*", exclude="*_bn") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    assert models.list_models(published) == []
    assert models.list_models(models.optical_flow) == ["raft_large", "raft_small"]
    patterns = (pattern for pattern in ("vgg11", "vgg13"))
    assert models.list_models(include=patterns, exclude=(f"{letter}gg13" for letter in "v")) == ["vgg11"]
    with pytest.raises(ValueError, match="unknown model 'fish'"):
        models.get_model("fish")
    with pytest.raises(ValueError, match="no weights are published for 'lenet5'"):
        models.get_model_weights("lenet5")


def test_torchvisions_inner_modules(monkeypatch):
    from models import _api, _meta, _utils

    monkeypatch.setattr(registry, "_BUILDERS", {**registry._BUILDERS})

    @_api.register_model(name="fish")
    def build_fish(*, weights=None, progress=True, **kwargs):
        return kwargs

    @_api.register_model()
    def build_bird(*, weights: models.ResNet18_Weights | None = None):
        return weights

    assert models.get_model_weights("build_bird") is models.get_model_weights(build_bird) is models.ResNet18_Weights
    with pytest.raises(ValueError, match="no weights are published for 'build_fish'"):
        models.get_model_weights("fish")
    assert build_fish(a=1) == models.get_model("Fish", a=1) == {"a": 1}
    assert _api.list_models(include="fish*") == ["fish"]
    with pytest.raises(ValueError, match="An entry is already registered under the name 'fish'"):
        _api.register_model("fish")(build_fish)
    assert _api.WeightsEnum is models.WeightsEnum
    assert _meta._COCO_PERSON_CATEGORIES == ["no person", "person"] and len(_meta._IMAGENET_CATEGORIES) == 1000
    given = {"num_classes": 3}
    _utils._ovewrite_named_param(given, "aux_loss", True)
    assert given == {"num_classes": 3, "aux_loss": True}
    with pytest.raises(ValueError, match="The parameter 'num_classes' expected value 21 but got 3 instead"):
        _utils._ovewrite_named_param(given, "num_classes", 21)


def test_torchvisions_decorator_of_builders():
    from models._utils import handle_legacy_interface

    weights = models.ResNet18_Weights

    @handle_legacy_interface(weights=("pretrained", weights.IMAGENET1K_V1), other=("old", lambda given: given["old"]))
    def build_fish(*, weights=None, progress=True, other=None):
        return weights, progress, other

    assert build_fish() == (None, True, None)
    assert build_fish(weights=weights.DEFAULT, progress=False) == (weights.DEFAULT, False, None)
    meant = pytest.warns(UserWarning, match="equivalent to passing `weights=ResNet18_Weights.IMAGENET1K_V1`")
    with meant:
        assert build_fish(True, False) == (weights.IMAGENET1K_V1, False, None)
    renamed = pytest.warns(UserWarning, match="The parameter 'pretrained' is deprecated")
    with pytest.warns(UserWarning, match="equivalent to passing `weights=None`$|`weights=None`.$"), renamed:
        assert build_fish(pretrained=False) == (None, True, None)
    with pytest.raises(ValueError, match="No weights available for model build_fish"):
        build_fish(old=True)


# ---------------------------------------------------------------- files
@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """An enumeration for lenet5, whose file is not in the cache yet: its member, the file's bytes, the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    mg.manual_seed(0)
    model = models.lenet5(num_classes=21)
    buffer = io.BytesIO()
    mg.save(model.state_dict(), buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    row = {
        "enum": "LeNet5_Weights",
        "member": "DIGITS_V1*",
        "builder": "lenet5",
        "file": f"lenet5-{digest[:8]}.pth",
        "num_params": "61706",
        "min_size": "-",
        "categories": "voc",
        "transforms": "ImageClassification(crop_size=28)",
        "metrics": "",
    }
    monkeypatch.setattr(published, "_rows", lambda: {"LeNet5_Weights": [row]})
    published.enumeration.cache_clear()
    yield models.LeNet5_Weights.DEFAULT, buffer.getvalue(), model
    published.enumeration.cache_clear()


def refuse(*args, **kw):
    raise urllib.error.URLError("no network")


def test_a_file_in_the_cache_is_read(tiny, tmp_path, monkeypatch):
    member, content, model = tiny
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / member.url.rsplit("/", 1)[-1]).write_bytes(content)
    for weights in (member, "DEFAULT", "DIGITS_V1", "LeNet5_Weights.DIGITS_V1"):
        found = models.build("lenet5", weights=weights)
        assert found.fc3.out_features == 21
        assert mg.equal(found.fc1.weight, model.fc1.weight)
    assert models.lenet5(21, weights=member).fc3.out_features == 21
    with pytest.raises(ValueError, match="The parameter 'num_classes' expected value 21 but got 10 instead"):
        models.lenet5(num_classes=10, weights=member)
    old = pytest.warns(UserWarning, match="The parameter 'pretrained' is deprecated since 0.13")
    with pytest.warns(UserWarning, match="Arguments other than a weight enum"), old:
        assert mg.equal(models.lenet5(pretrained=True).fc1.weight, model.fc1.weight)
    for call in (lambda: models.lenet5(True), lambda: models.lenet5(weights=True)):
        with pytest.warns(UserWarning, match="equivalent to passing `weights=LeNet5_Weights.DIGITS_V1`"):
            assert mg.equal(call().fc1.weight, model.fc1.weight)
    with pytest.warns(UserWarning, match="equivalent to passing `weights=None`"), old:
        assert models.lenet5(pretrained=False).fc3.out_features == 10


def test_a_damaged_file_in_the_cache_is_refused(tiny, tmp_path):
    member, content, _ = tiny
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / member.url.rsplit("/", 1)[-1]).write_bytes(content[:-1] + b"?")
    with pytest.raises(RuntimeError, match="invalid hash value"):
        models.lenet5(weights=member)


def test_without_a_network_it_is_said_where_the_file_goes(tiny, tmp_path, monkeypatch):
    member, _, _ = tiny
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    message = "not in the cache and cannot be downloaded .*no network.*; get https"
    with pytest.raises(RuntimeError, match=message) as caught:
        models.lenet5(weights=member, progress=False)
    assert str(tmp_path / "hub" / "checkpoints" / member.url.rsplit("/", 1)[-1]) in str(caught.value)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_what_is_downloaded_is_checked_and_kept(tiny, tmp_path, monkeypatch):
    member, content, model = tiny
    served = []

    def serve(url, **kw):
        response = io.BytesIO(content)
        response.geturl = lambda: url
        served.append(url)
        return response

    monkeypatch.setattr(urllib.request, "urlopen", serve)
    for _ in range(2):
        assert mg.equal(models.lenet5(weights=member, progress=False).fc1.weight, model.fc1.weight)
    assert served == [member.url]


def test_weights_of_other_networks_are_refused():
    with pytest.raises(TypeError, match="expected ResNet18_Weights but received ResNet50_Weights"):
        models.resnet18(weights=models.ResNet50_Weights.DEFAULT)
    with pytest.raises(ValueError, match="No weights available for model lenet5"):
        models.lenet5(weights=models.ResNet50_Weights.DEFAULT)
    with pytest.raises(ValueError, match="No weights available for model lenet5"):
        models.lenet5(pretrained=True)
    with pytest.raises(FileNotFoundError, match="'IMAGENET1K_V3' is no file"):
        models.resnet18(weights="IMAGENET1K_V3")


def test_arguments_that_go_with_the_files(monkeypatch, undrawn):
    def state_of_whole(self, **kw):
        with_helpers = {"aux_logits": True} if self.builder == "googlenet" else {}
        return models.build(self.builder, **with_helpers).state_dict()

    monkeypatch.setattr(published.WeightsEnum, "get_state_dict", state_of_whole)
    model = models.googlenet(weights="DEFAULT")
    assert model.transform_input and model.aux1 is None
    assert models.googlenet(weights="DEFAULT", aux_logits=True, transform_input=False).aux1 is not None
    assert models.inception_v3(weights="DEFAULT").AuxLogits is not None
    assert models.inception_v3(weights="DEFAULT", aux_logits=False).AuxLogits is None
    assert models.vit_b_32(weights="DEFAULT").image_size == 224
    with pytest.raises(ValueError, match="The parameter 'image_size' expected value 384 but got 224 instead"):
        models.vit_b_16(weights="IMAGENET1K_SWAG_E2E_V1", image_size=224)


# ---------------------------------------------------------------- presets
def test_presets():
    image = mg.arange(3 * 20 * 30).reshape(3, 20, 30).remainder(256).to(mg.uint8)
    preset = presets.ImageClassification(crop_size=8, resize_size=10, mean=(0.5,) * 3, std=(0.25,) * 3)
    out = preset(image)
    assert tuple(out.shape) == (3, 8, 8) and out.dtype == mg.float32
    assert out.abs().max() <= 2
    assert tuple(presets.SemanticSegmentation(resize_size=None)(image).shape) == (3, 20, 30)
    video = presets.VideoClassification(crop_size=(8, 8), resize_size=10)(image.expand(2, 4, 3, 20, 30))
    assert tuple(video.shape) == (2, 3, 4, 8, 8)
    assert mg.equal(presets.ObjectDetection()(image), image / 255)


def test_weights_still_may_be_files(tmp_path):
    path = tmp_path / "DEFAULT.pth"
    mg.save(models.lenet5(num_classes=4).state_dict(), path)
    assert registry.build("lenet5", num_classes=4, weights=str(path)).fc3.out_features == 4
