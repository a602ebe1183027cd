"""python -m models graph: the graph of a training step as a file."""
import re

import pytest

import models
from models.__main__ import main


def draw(capsys, *arguments):
    assert main(["graph", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def labels(path):
    return [label.replace("\\n", " ") for label in re.findall(r'label="((?:[^"\\]|\\.)*)"', path.read_text())]


def test_lenet5(tmp_path, capsys):
    """Ten parameters, the images, ten operations of the layers, three views or poolings and the loss."""
    out = tmp_path / "lenet5.dot"
    assert f"wrote {out}: 24 boxes, 23 arrows" in draw(capsys, "lenet5", "--out", out)
    found = labels(out)
    names = [f"{name} {tuple(p.shape)}" for name, p in models.lenet5().named_parameters()]
    assert set(names) <= set(found) and "images (1, 1, 28, 28)" in found and "output cross_entropy ()" in found
    assert sum(label.startswith("convolution") for label in found) == 2


def test_an_inception_module(tmp_path, capsys):
    out = tmp_path / "inception.dot"
    draw(capsys, "googlenet", "--module", "inception3a", "--depth", 1, "--out", out)
    assert sorted(labels(out)) == [
        "BasicConv2d (branch1) (1, 64, 28, 28) 12,416 parameters",
        "Sequential (branch2) (1, 128, 28, 28) 129,472 parameters",
        "Sequential (branch3) (1, 32, 28, 28) 7,776 parameters",
        "Sequential (branch4) (1, 32, 28, 28) 6,208 parameters",
        "input (1, 192, 28, 28)",
        "output cat (1, 256, 28, 28)",
    ]


def test_the_loss_of_auxiliary_classifiers_is_in_the_graph(tmp_path, capsys):
    out = tmp_path / "googlenet.dot"
    draw(capsys, "googlenet", "--depth", 1, "--out", out, "--num-classes", 7)
    assert sum(label.startswith("cross_entropy") for label in labels(out)) == 3
    assert any(label.startswith("InceptionAux (aux2) (1, 7)") for label in labels(out))


def test_details(tmp_path, capsys):
    out = tmp_path / "lenet5.dot"
    draw(capsys, "lenet5", "--attributes", "--saved", "--batch", 2, "--input-size", 3, 32, 32, "--out", out)
    found = labels(out)
    assert any("padding=(0, 0)" in label for label in found) and "saved x float32 (2, 3, 32, 32)" in found


def test_a_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("igraph")
    out = tmp_path / "lenet5.png"
    draw(capsys, "lenet5", "--out", out, "--engine", "matplotlib")
    assert out.read_bytes().startswith(b"\x89PNG") and [path.name for path in tmp_path.iterdir()] == ["lenet5.png"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["lenet5", "--out", "graph.gif"], "--out graph.gif: the file must end in .dot, .svg, .png"),
        (["lenet5", "--out", "no/such/folder.dot"], "--out no/such/folder.dot: cannot write there: No such file"),
        (["lenet6", "--out", "graph.dot"], "unknown model 'lenet6'"),
        (["lenet5", "--module", "conv9", "--out", "graph.dot"], "--module: there is no 'conv9'; the outermost modules"),
        (["googlenet", "--module", "aux1", "--option", "aux_logits=False", "--out", "graph.dot"], "there is no 'aux1'"),
        (["resnet18", "--option", "stochastic_depth_prob=7", "--out", "graph.dot"], "stochastic_depth_prob"),
        (["lenet5", "--input-size", "1", "40", "28", "--out", "graph.dot"], "--input-size 1 40 28: "),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["graph", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["lenet5"], ["lenet5", "--out", "x.dot", "--depth", "0"]])
def test_what_does_not_parse(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["graph", *arguments])
    assert caught.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_an_interrupted_picture_leaves_no_file(tmp_path, monkeypatch, capsys):
    def interrupted(self, path, engine=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("minigrad.utils.graph.Graph.render", interrupted)
    assert main(["graph", "lenet5", "--out", str(tmp_path / "x.svg")]) == 130
    assert list(tmp_path.iterdir()) == []
