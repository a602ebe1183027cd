"""The lecture's claims, each measured on the real modules, and the commands that show them."""
import json
import re

import pytest

import minigrad as mg
import models
from minigrad import nn
from models.__main__ import main
from models.commands import figures
from models.common import CommandError


def claims(group):
    return {claim.what: claim for claim in figures.GROUPS[group]()}


# ---------------------------------------------------------------- each claim
ALEXNET = {  # the slide's rows: what is measured has to be this
    "INPUT": "227x227x3",
    "CONV1": "96 11x11 stride 4 pad 0 -> 55x55x96",
    "POOL1": "3x3 stride 2 -> 27x27x96",
    "NORM1": "27x27x96",
    "CONV2": "256 5x5 stride 1 pad 2 -> 27x27x256",
    "POOL2": "3x3 stride 2 -> 13x13x256",
    "NORM2": "13x13x256",
    "CONV3": "384 3x3 stride 1 pad 1 -> 13x13x384",
    "CONV4": "384 3x3 stride 1 pad 1 -> 13x13x384",
    "CONV5": "256 3x3 stride 1 pad 1 -> 13x13x256",
    "POOL3": "3x3 stride 2 -> 6x6x256",
    "FC6": "4096",
    "FC7": "4096",
    "FC8": "1000",
}


@pytest.mark.parametrize("layer", ALEXNET)
def test_alexnet_row(layer):
    claim = claims("alexnet")[layer]
    assert claim.holds is True and claim.measured.replace(",", "") == claim.said == ALEXNET[layer]


def test_alexnet_conv1_has_35_thousand_parameters():
    claim = claims("alexnet")["CONV1's parameters"]
    assert claim.found == 11 * 11 * 3 * 96 and claim.holds and "34,944" in claim.note


def test_alexnet_parameters():
    claim = claims("alexnet")["parameters"]
    assert claim.found == 62_378_344 and "61,100,840" in claim.note and "60,965,224" in claim.note


def test_zfnet_is_alexnet_with_other_filters():
    found = claims("zfnet")
    assert found["CONV1"].found == "11x11 stride 4 -> 7x7 stride 2"
    assert [found[f"CONV{i}"].found for i in (3, 4, 5)] == [
        "384 filters -> 512 filters", "384 filters -> 1024 filters", "256 filters -> 512 filters",
    ]  # fmt: skip
    assert all(found[f"CONV{i}"].holds for i in (1, 3, 4, 5)) and found["CONV2"].holds is None


def test_vgg16_parameters_layer_by_layer():
    found = claims("vgg16")
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    names = [name for name in found if name.startswith("CONV")]
    assert [found[name].found for name in names] == [9 * a * b for a, b in zip(widths, widths[1:])]
    assert [found[f"FC{i}"].found for i in (6, 7, 8)] == [7 * 7 * 512 * 4096, 4096 * 4096, 4096 * 1000]
    assert all(found[name].holds for name in (*names, "FC6", "FC7", "FC8"))


def test_vgg16_memory_layer_by_layer():
    """The slide's rows: 150 K for the image, 3.2 M for each of the first two layers, then halved by each pooling."""
    rows = list(figures.vgg16())
    sides = [224, 224, 112, 112, 112, 56, 56, 56, 56, 28, 28, 28, 28, 14, 14, 14, 14, 7]
    depths = [64, 64, 64, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512]
    values = [row.found if row.unit == "values" else int(row.note.split()[0].replace(",", "")) for row in rows[:22]]
    assert values == [224 * 224 * 3, *(s * s * d for s, d in zip(sides, depths)), 4096, 4096, 1000]


def test_vgg16_has_138_million_parameters_but_not_24_million_values():
    found = claims("vgg16")
    assert found["all parameters"].holds and found["all parameters"].found == 138_357_544
    assert found["the slide's parameters added up"].holds
    values, memory = found["values in memory, an image"], found["memory, an image"]
    assert values.found == 15_237_608 and values.holds is False and "15.2 M" in values.note
    assert memory.found == 4 * 15.237608 and memory.holds is False and "does NOT hold" in memory.verdict


@pytest.mark.parametrize("channels", [1, 5, 64])
def test_three_3x3_see_what_one_7x7_sees(channels):
    three, one = (mg.summary(figures.stack(k, n, channels), (channels, 20, 20)) for k, n in ((3, 3), (7, 1)))
    assert three.rows[0].receptive_field == one.rows[0].receptive_field == (7, 7)
    assert (three.total_parameters, one.total_parameters) == (27 * channels**2, 49 * channels**2)
    assert all(claim.holds for claim in figures.filters())


def test_googlenet_has_22_layers_and_no_fc_but_the_classifier():
    found = claims("googlenet")
    assert found["layers"].found == 22 == models.build("googlenet", num_classes=2).depth and found["layers"].holds
    assert found["FC layers"].found == "fc" and found["FC layers"].holds


def test_googlenet_parameters_against_alexnet():
    found = claims("googlenet")
    assert found["parameters"].found == 6_624_904 and found["parameters"].holds is False
    assert "13,004,888" in found["parameters"].note and "6,998,552" in found["parameters"].note
    assert found["fewer than AlexNet"].found == pytest.approx(61_100_840 / 6_624_904)
    assert found["fewer than AlexNet"].holds is False and "60 M / 5 M" in found["fewer than AlexNet"].note


def test_naive_against_bottleneck_inception():
    found = claims("inception")
    at = 28 * 28
    naive = at * 256 * (128 + 9 * 192 + 25 * 96)
    bottleneck = at * (256 * (128 + 64 + 64 + 64) + 9 * 64 * 192 + 25 * 64 * 96)
    assert found["naive: operations"].found == naive and found["naive: operations"].holds  # 854 M
    slim = found["bottleneck: operations"]
    assert slim.found == bottleneck and slim.holds is False
    # what the slide's 358 M is: the 3x3 convolution counted twice
    assert round((bottleneck + at * 9 * 64 * 192) / 1e6) == 358 and "358 M" in slim.note
    assert found["naive: output"].holds and found["bottleneck: output"].holds
    assert found["saved by bottlenecks"].found == pytest.approx(100 * (1 - bottleneck / naive))
    assert "58 %" in found["saved by bottlenecks"].note


def test_resnets_have_as_many_layers_as_their_names_say():
    found = claims("resnet")
    assert {name: claim.found for name, claim in found.items()} == {
        "resnet18": 18, "resnet34": 34, "resnet50": 50, "resnet101": 101, "resnet152": 152, "preact_resnet200": 200,
    }  # fmt: skip
    assert all(claim.holds for claim in found.values())


def test_lenet5():
    found = claims("lenet5")
    assert found["layers"].found == "CONV POOL CONV POOL FC FC FC" and found["parameters"].found == 61_706
    assert all(claim.holds is not False for claim in found.values())


@pytest.mark.parametrize("name", figures.PUBLISHED)
def test_published_parameters_and_multiply_adds(name):
    parameters, billions = figures.PUBLISHED[name]
    found = figures.measured(name, **({"aux_logits": False} if name == "googlenet" else {}))
    assert found.total_parameters == parameters
    assert found.multiply_adds / 1e9 == pytest.approx(billions, abs=0.0051)


def test_depth_takes_the_longest_way():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.long = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
            self.short = nn.Conv2d(3, 3, 1)
            self.last = nn.Linear(3, 2)

        def forward(self, x):
            return self.last((self.long(x) + self.short(x)).mean((2, 3)))

    assert figures.depth(Forked(), (3, 2, 2)) == 4
    assert figures.depth(models.build("vgg11", num_classes=3, image_size=32), (3, 32, 32)) == 11


@pytest.mark.parametrize(
    "value, said, step, holds", [(34_848, 35_000, 1_000, True), (34_499, 35_000, 1_000, False), (12.6, 12, 1, False)]
)
def test_rounds_to(value, said, step, holds):
    assert figures.rounds_to(value, said, step) is holds


# ---------------------------------------------------------------- the commands
def test_the_table(capsys):
    assert main(["figures", "filters", "lenet5"]) == 0
    printed = capsys.readouterr().out
    assert "27 C²" in printed and printed.index("Three 3x3") < printed.index("LeNet-5")
    assert "NOT" not in printed and "holds" in printed


def test_json(capsys):
    assert main(["figures", "filters", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [claim["holds"] for claim in found["filters"]] == [True] * 4
    assert found["filters"][0]["found"] == [7, 7] and found["filters"][0]["measured"] == "7x7"


def test_the_document_is_up_to_date(tmp_path, capsys):
    """docs/figures.md is what the command writes."""
    written = tmp_path / "figures.md"
    assert main(["figures", "--markdown", str(written)]) == 0
    kept = (figures.Path(__file__).parents[2] / figures.DOCUMENT).read_text(encoding="utf-8")
    assert written.read_text(encoding="utf-8") == kept
    assert "**does NOT hold**" in kept and [path.name for path in tmp_path.iterdir()] == ["figures.md"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["vgg"], "no figures of vgg; there are: lenet5"),
        (["vgg16", "--markdown"], "leave out the names"),
    ],
)
def test_figures_refuses(arguments, message, capsys):
    assert main(["figures", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_a_document_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(figures, "GROUPS", {"filters": figures.filters})
    assert main(["figures", "--markdown", str(tmp_path / "no" / "x.md")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


# ---------------------------------------------------------------- summary
# Of families in which all networks run the same code one is enough: the largest have hundreds of millions of weights.
SAME = re.compile(
    r"convnext_[sbl]|densenet1[46]|densenet201|efficientnet_b[1-7]|efficientnet_v2_[ml]|regnet_._(8|16|32|128)+gf|"
    r"regnet_._[13]|regnet_._800|swin_(v2_)?[sb]|vit_(b_16|l|h)|"
    "inception_v3"  # in training mode its helper has one value per channel to normalise, of one image
)
SIDES = {"maxvit_t": 224}  # which does not take 32 pixels


@pytest.mark.parametrize("name", [name for name in models.list() if not SAME.match(name)])
def test_every_network_can_be_summarised(name, capsys):
    side = SIDES.get(name, 32)
    assert main(["summary", name, "--depth", "0", "--input-size", "3", str(side), str(side)]) == 0
    printed = capsys.readouterr().out
    network = figures.network(name, in_channels=3, image_size=side)
    total = sum(parameter.numel() for parameter in network.parameters())
    assert f"parameters: {total:,} (" in printed and "kept for backward" in printed


def test_summary_of_other_images(capsys):
    arguments = ["--input-size", "1", "28", "28", "--batch", "4", "--num-classes", "7", "--option", "activation=tanh"]
    assert main(["summary", "lenet5", *arguments, "--columns", "output_shape,kernel"]) == 0
    printed = capsys.readouterr().out
    assert "[4, 7]" in printed and "Tanh" in printed and "5x5" in printed
    assert main(["summary", "resnet18", "--input-size", "3", "32", "48", "--json", "--mode", "train"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["input_shapes"] == [[1, 3, 32, 48]] and found["mode"] == "training" and found["model"] == "resnet18"
    assert found["rows"][1]["output_shapes"] == [[1, 64, 32, 48]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nothing"], "unknown model 'nothing'; "),
        (["lenet5", "--option", "colour=red"], "--option: "),
        (["lenet5", "--option", "activation=selu"], "activation must be one of"),
        (["lenet5", "--input-size", "1", "40", "32"], "--input-size 1 40 32: "),
        (["lenet5", "--device", "gpu"], "--device gpu: "),
    ],
)
def test_summary_refuses(arguments, message, capsys):
    assert main(["summary", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "required: NAME"),
        (["lenet5", "--columns", "size"], "size is no column; there are: input_shape"),
        (["lenet5", "--depth", "-1"], "-1 is not at least 0"),
        (["lenet5", "--batch", "0"], "0 is not at least 1"),
        (["lenet5", "--input-size", "1", "0", "5"], "0 is not at least 1"),
        (["lenet5", "--option", "activation"], "is not NAME=VALUE"),
    ],
)
def test_summary_refuses_what_does_not_parse(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["summary", *arguments])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and message in error and error.count("\n") == 1


def test_networks_that_do_not_exist_are_refused_by_the_shared_builder():
    with pytest.raises(CommandError, match="unknown model"):
        figures.network("lenet6")
