"""Filters and feature maps as pictures, and the command that draws them."""
import math
from collections import OrderedDict

import pytest

import minigrad as mg
import models
from minigrad import nn
from models import checkpoints
from models.__main__ import main
from models.commands import filters, mosaic


def pixels(path):
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as opened:
        return mg.tensor(list(opened.convert("RGB").tobytes())).reshape(opened.height, opened.width, 3)


def draw(*arguments):
    return main(["filters", *map(str, arguments)])


# ---------------------------------------------------------------- mosaics
def test_rows_are_full_where_they_can_be():
    counts = (1, 6, 8, 9, 16, 17, 64, 96, 384)
    assert [mosaic.columns_for(count) for count in counts] == [1, 6, 8, 3, 4, 5, 8, 12, 24]
    assert [mosaic.columns_for(count, wide=False) for count in (3, 4, 5, 8, 9)] == [3, 2, 3, 4, 3]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_mosaic_holds_every_picture_where_it_belongs(channels):
    pictures = mg.rand(5, 4, 3, *channels)
    whole = mosaic.mosaic(pictures, 3)
    gap = mosaic.GAP
    assert whole.shape == (2 * 4 + gap, 3 * 3 + 2 * gap, *channels)
    for index in range(5):
        top, left = index // 3 * (4 + gap), index % 3 * (3 + gap)
        assert mg.equal(whole[top : top + 4, left : left + 3], pictures[index])
    assert int(whole.isnan().logical_not().sum()) == pictures.numel()


def test_a_framed_mosaic_has_a_line_around_each_picture():
    whole = mosaic.mosaic(mg.ones(2, 3, 3), 2, framed=True)
    assert whole.shape == (5, 2 * 5 + mosaic.GAP)
    assert bool((whole[0, :5] == -1).all()) and bool((whole[1:4, 1:4] == 1).all()) and bool((whole[:, 4] == -1).all())


def test_pictures_are_enlarged_by_repetition_and_reduced_by_averaging():
    small = mg.rand(2, 5, 5)
    assert mg.equal(mosaic.enlarged(small, 11)[:, ::2, 1::2], small)
    assert mosaic.enlarged(small, 11).shape == (2, 10, 10)
    assert mosaic.enlarged(small, 1).shape == (2, 1, 1)
    large = mg.arange(64.0).reshape(1, 8, 8)
    assert mg.equal(mosaic.enlarged(large, 4), nn.functional.avg_pool2d(large.unsqueeze(0), 2)[0])
    colours = mg.rand(1, 8, 8, 3)
    assert mg.allclose(mosaic.enlarged(colours, 4)[0, 1, 2], colours[0, 2:4, 4:6].mean((0, 1)))


def test_a_drawing_is_exact_to_the_pixel(tmp_path):
    """Each picture's pixels are the file's: nothing is interpolated."""
    pytest.importorskip("matplotlib")
    picture = mg.randint(0, 256, (7, 40, 50, 3))
    whole = mosaic.mosaic(picture / 255, 4)
    mosaic.draw([{"image": whole}], "title", ["a line"], tmp_path / "a.png")
    found = pixels(tmp_path / "a.png")
    top = found.shape[0] - mosaic.MARGIN - whole.shape[0]
    inside = found[top : top + whole.shape[0], mosaic.MARGIN : mosaic.MARGIN + whole.shape[1]]
    wanted = (whole.nan_to_num(1.0) * 255).round().to(inside.dtype)
    assert mg.equal(inside, wanted)


# ---------------------------------------------------------------- what is drawn
def test_colour_filters_are_scaled_by_their_largest_weight(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(mosaic, "draw", lambda panels, title, lines, path: drawn.append((panels, title, lines)))
    layer = nn.Conv2d(3, 4, 5)
    with mg.no_grad():
        layer.weight.zero_()
        layer.weight[1, 2, 0, 0] = -3.0
        layer.weight[2, 0, 4, 4] = 1e-5
    filters.draw_filters(layer, "net", "somewhere", None, tmp_path)
    ((panel,), title, lines), target = drawn[0], 112 // 5
    side = 5 * target + 2
    image = panel["image"]
    assert image.shape == (side, 4 * side + 3 * mosaic.GAP, 3) and title == "net"
    assert lines == ["4 filters of 3 x 5 x 5; each scaled by its largest weight; gray is zero", "somewhere"]
    assert bool((image[1 : side - 1, 1 : side - 1] == 0.5).all())  # the filter of zeros
    left = side + mosaic.GAP
    assert image[1, left + 1].tolist() == [0.5, 0.5, 0.0]  # -3 in the blue channel, at its corner
    left += side + mosaic.GAP
    assert image[side - 2, left + side - 2].tolist() == [1.0, 0.5, 0.5]


@pytest.mark.parametrize(
    "inputs, outputs, shape", [(6, 16, (6, 16)), (30, 5, (5, 24)), (2, 2, (2, 2)), (40, 64, (24, 24))]
)
def test_deeper_filters_are_a_table(tmp_path, monkeypatch, inputs, outputs, shape):
    drawn = []
    monkeypatch.setattr(mosaic, "draw", lambda panels, title, lines, path: drawn.append((panels, lines)))
    layer = nn.Conv2d(inputs, outputs, 3)
    filters.draw_filters(layer, "net", "", None, tmp_path)
    ((panel,), (line, _)), cell = drawn[0], 30 + 2
    assert panel["image"].shape == tuple(count * cell + (count - 1) * mosaic.GAP for count in shape)
    assert ("a row for each channel, a column for each filter" in line) == (shape[0] == min(24, inputs) < shape[1])
    scaled = layer.weight.detach() / layer.weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
    second = scaled[1, 0] if "a column for each filter" in line else scaled[0, 1]  # in the first row
    at = cell + mosaic.GAP + 1
    assert mg.allclose(panel["image"][1:31:10, at : at + 30 : 10], 0.5 + 0.5 * second)


def test_maps_are_those_of_the_layer_and_not_what_is_written_over_them():
    """AlexNet's ReLUs work in place: the convolution's own outputs have both signs."""
    mg.manual_seed(0)
    model = models.alexnet(10, image_size=32, hidden=8).eval()
    image = mg.randn(1, 3, 32, 32)
    found = filters.outputs(model, image, ["features.1", "features.0", "features.2"])
    assert list(found) == ["features.0", "features.1", "features.2"]
    convolved = model.features[0](image)[0].detach()
    assert mg.equal(found["features.0"][0], convolved) and bool((convolved < 0).any())
    assert mg.equal(found["features.1"][0], convolved.clamp(min=0))
    assert found["features.2"][0].shape == (64, 15, 15)
    assert [source for _, source in found.values()] == ["features.0"] * 3


def test_calls_of_a_shared_layer_are_told_apart():
    model = models.lenet5().eval()
    image = mg.randn(1, 1, 28, 28)
    found = filters.outputs(model, image, ["activation", "activation:2"])
    assert found["activation"][0].shape == (6, 28, 28) and found["activation"][1] == "conv1"
    assert found["activation:2"][0].shape == (16, 10, 10) and found["activation:2"][1] == "conv2"
    assert filters.choose(None, model, image) == (["conv1"], ["activation", "activation:2"])
    assert filters.choose(None, model, None) == (["conv1"], [])
    wanted = ["pool", "conv2", "conv2"]
    assert filters.choose(wanted, model, image) == (["conv2"], wanted)


class FunctionalBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)

    def forward(self, x):
        return nn.functional.relu(self.conv(x))


def test_activations_that_are_no_layers_are_seen_in_the_parts_that_hold_them():
    """Where ReLUs are functions the first parts put out what they make."""
    names = {"conv1": FunctionalBlock(3), "maxpool1": nn.MaxPool2d(2), "conv2": FunctionalBlock(4)}
    model = nn.Sequential(OrderedDict(names, last=nn.Conv2d(4, 2, 1))).eval()
    assert filters.choose(None, model, mg.zeros(1, 3, 32, 32)) == (["conv1.conv"], ["conv1", "maxpool1", "conv2"])


def test_dead_maps_and_signs_are_told(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(mosaic, "draw", lambda panels, title, lines, path: drawn.append((panels, lines)))
    maps = mg.zeros(3, 4, 4)
    maps[1, 0, 0] = 7.0
    filters.draw_maps(maps, "net", "", mg.zeros(8, 8), "an image", 64, tmp_path)
    maps[2, 1, 1] = -2.0
    filters.draw_maps(maps, "net", "", mg.zeros(8, 8, 3), "an image", 2, tmp_path)
    (first, (plain, _)), (second, (signed, _)) = drawn
    assert plain.endswith("dark is zero; 2 of them zero everywhere") and first[1]["colours"] == "magma"
    assert "of which the first 2;" in signed and signed.endswith("blue negative; 1 of them zero everywhere")
    assert second[1]["colours"] == "RdBu_r" and first[0]["caption"] == "an image"
    assert first[1]["image"].nan_to_num(0.0).max().item() == 1.0  # scaled by its own largest value
    assert first[0]["image"].shape == (226, 226) and second[0]["image"].shape == (226, 226, 3)
    assert math.isnan(first[1]["image"][0, 112].item())  # 110 pixels are 28 for each of 4


# ---------------------------------------------------------------- the command
def test_without_an_image_only_filters_are_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert draw("lenet5", "--out", tmp_path) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["filters-conv1.png"]
    assert capsys.readouterr().out == f"wrote {tmp_path / 'filters-conv1.png'}\n"
    assert len(pixels(tmp_path / "filters-conv1.png").unique()) > 20


def test_a_test_image_of_a_set(tmp_path, capsys):
    pytest.importorskip("sklearn")
    assert draw("lenet5", "--data", "digits", "--index", 3, "--out", tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "activations-activation-2.png", "activations-activation.png", "filters-conv1.png",
    ]  # fmt: skip


@pytest.fixture
def photo(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "photo.png"
    image.linear_gradient("L").convert("RGB").resize((50, 40)).save(path)
    return path


def test_a_file_of_weights_and_an_image_file(tmp_path, photo):
    mg.manual_seed(3)
    model = models.lenet5(num_classes=4, in_channels=3, image_size=32)
    mg.save(model.state_dict(), tmp_path / "weights.pth")
    arguments = ("lenet5", "--weights", tmp_path / "weights.pth", "--image-size", 32, "--image", photo)
    assert draw(*arguments, "--layer", "conv2", "--layer", "pool", "--out", tmp_path / "out") == 0
    names = ["activations-conv2.png", "activations-pool.png", "filters-conv2.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_a_checkpoint_knows_its_network_and_its_normalization(tmp_path, photo, monkeypatch):
    mg.manual_seed(3)
    model = models.lenet5(num_classes=2, in_channels=3, image_size=20)
    data = {"name": "x", "title": "pictures", "classes": ["a", "b"], "image_size": 20, "mean": [0.5, 0.25, 0.0]}
    data |= {"std": [0.5, 0.25, 1.0], "square": True, "seed": 0}
    network = {"name": "lenet5", "arguments": {"num_classes": 2, "in_channels": 3, "image_size": 20}}
    (tmp_path / "run").mkdir()
    checkpoints.write(tmp_path / "run" / "best.pt", network=network, data=data, epoch=3, model=model.state_dict())
    drawn = {}
    monkeypatch.setattr(mosaic, "draw", lambda panels, title, lines, path: drawn.update({path.name: (panels, lines)}))
    assert draw(tmp_path / "run", "--image", photo, "--layer", "conv1", "--out", tmp_path / "out") == 0
    panels, lines = drawn["activations-conv1.png"]
    assert lines[1] == "run/best.pt: lenet5, 3 epochs of pictures" and panels[0]["caption"] == "photo.png"
    # The picture is shown as it was, whatever it was normalised by: gray, from black to white.
    shown = panels[0]["image"][1:-1, 1:-1]
    assert mg.allclose(shown[..., 0], shown[..., 2], atol=1e-5)
    assert shown.min().item() < 0.1 and shown.max().item() > 0.9
    weight = model.conv1.weight.detach()
    scaled = 0.5 + 0.5 * weight[0] / weight[0].abs().max()
    picture = drawn["filters-conv1.png"][0][0]["image"][1 : 1 + 5 * 22, 1 : 1 + 5 * 22]
    assert mg.allclose(picture[::22, ::22], scaled.permute(1, 2, 0), atol=1e-6)


def test_a_gray_network_sees_a_colour_file_in_gray(tmp_path, photo):
    assert draw("lenet5", "--image", photo, "--layer", "conv1", "--out", tmp_path / "out") == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "NAME is missing"),
        (("weights.pth",), "say of which network with NAME --weights weights.pth"),
        (("photo.png",), "photo.png: not a readable checkpoint"),
        (("weights.pth", "--weights", "weights.pth"), "weights.pth and --weights weights.pth: only one of them"),
        (("lenet6",), "unknown model 'lenet6'"),
        (("lenet6", "--weights", "weights.pth"), "unknown model 'lenet6'"),
        (("lenet5", "--layer", "conv3"), "--layer conv3: no such layer; there are conv1, conv2; did you mean conv"),
        (("lenet5", "--layer", "fc1"), "--layer fc1: Linear has no filters to draw; without --image or --data"),
        (("lenet5", "--layer", "fc1", "--image", "photo.png"), "--layer fc1: Linear puts out no maps"),
        (("lenet5", "--layer", "activation:9", "--image", "photo.png"), "--layer activation:9: no such layer"),
        (("lenet5", "--image", "nowhere.png"), "--image nowhere.png: no such file"),
        (("lenet5", "--image", "weights.pth"), "--image weights.pth: not a readable image"),
        (("lenet5", "--image", "photo.png", "--option", "in_channels=2"), "the network takes images of 2 channels"),
        (("lenet5", "--image", "photo.png", "--data", "digits"), "--image and --data: only one of them"),
        (("lenet5", "--index", "3"), "--index: needs --data"),
        (("lenet5", "--root", "."), "--root: needs --data"),
        (("lenet5", "--data", "digits", "--index", "99999"), "--index 99999: scikit-learn's digits has"),
        (("lenet5", "--data", "digits", "--option", "in_channels=3"), "images of 1 channels, but 3 are wanted"),
        (("lenet5", "--weights", "nowhere.pth"), "nowhere.pth: no such checkpoint"),
        (("alexnet", "--weights", "DEFAULT"), "a file is meant, such as the one of https://download.pytorch.org/models/"),
        (("lenet5", "--weights", "DEFAULT"), "DEFAULT: no such checkpoint\n"),
        (("lenet5", "--weights", "photo.png"), "photo.png: not a readable checkpoint"),
        (("--weights", "weights.pth"), "say of which network"),
        (("vgg11", "--weights", "weights.pth", "--image-size", "32"), "is of another network than VGG"),
        (("lenet5", "--option", "depth=3"), "unexpected keyword argument 'depth'"),
        (("lenet5", "--image-size", "3"), "image_size must be at least 12, but got 3"),
        (("lenet5", "--device", "tpu"), "--device tpu: "),
        (("lenet5", "--out", "filters.png"), "--out filters.png: a folder is meant"),
        (("lenet5", "--out", "photo.png/out"), "--out photo.png/out: cannot write there"),
        (("lenet5", "--out", "photo.png"), "--out photo.png: cannot write there: it is a file, not a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_one_line(tmp_path, photo, monkeypatch, capsys, arguments, message):
    pytest.importorskip("sklearn")
    mg.save(models.lenet5().state_dict(), tmp_path / "weights.pth")
    monkeypatch.chdir(tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert draw(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error, error
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != "runs")
    assert left == files and not list(tmp_path.glob("runs/*/*"))
