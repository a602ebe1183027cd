"""Canvases with several digits, the network that says which are there, and its command."""
import argparse
import json
import math
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim, recipes
from minigrad.utils.data import DataLoader
from minigrad.vision import datasets
from models import checkpoints
from models.__main__ import main
from models.commands import multilabel
from models.data.canvases import Canvases
from models.lenet import LeNetGlobal
from models.training import train_epoch

PNG = b"\x89PNG\r\n\x1a\n"


def squares(side=4, count=10):
    """Digits that are filled squares, each of a brightness of its own."""
    targets = mg.arange(count) % 10
    return (10 + 20 * targets).to(mg.uint8).view(-1, 1, 1).repeat(1, side, side), targets


# ---------------------------------------------------------------- canvases
@given(
    seed=st.integers(0, 10**6),
    index=st.integers(0, 10**6),
    most=st.integers(0, 4),
    slack=st.integers(0, 12),
    digit_side=st.integers(1, 9),
)
def test_a_canvas_shows_what_its_labels_say(seed, index, most, slack, digit_side):
    """Also where the digits fill the canvas so that random places seldom fit."""
    apart = math.ceil(0.75 * digit_side)
    side = apart + digit_side + slack
    images, targets = squares(5)
    canvases = Canvases(images, targets, 10**6 + 1, side=side, digit_side=digit_side, most=most, seed=seed)
    image, labels = canvases[index]
    places = canvases.places(index)
    assert image.shape == (1, side, side) and image.dtype == labels.dtype == mg.float32
    assert len(places) <= most
    assert labels.nonzero().flatten().tolist() == sorted({number for number, _, _ in places})
    expected = [[0] * side for _ in range(side)]
    for number, row, column in places:
        assert 0 <= row <= side - digit_side and 0 <= column <= side - digit_side
        for y in range(row, row + digit_side):
            for x in range(column, column + digit_side):
                expected[y][x] = max(expected[y][x], 10 + 20 * number)
    assert (image[0] * 255).round().int().tolist() == expected
    for position, (_, row, column) in enumerate(places):
        assert all(max(abs(row - r), abs(column - c)) >= apart for _, r, c in places[:position])


def test_a_canvas_is_the_same_whenever_it_is_asked_for():
    images, targets = squares()
    canvases = Canvases(images, targets, 50, side=16, digit_side=4, seed=1)
    first = [canvases.places(index) for index in range(50)]
    again = Canvases(images, targets, 80, side=16, digit_side=4, seed=1)
    assert [again.places(index) for index in reversed(range(50))] == first[::-1]
    assert [Canvases(images, targets, 50, side=16, digit_side=4, seed=2).places(index) for index in range(50)] != first
    # These places are on record, so that no version makes other canvases of the same seed.
    recorded = [[(1, 12, 4)], [(7, 8, 6), (2, 6, 9), (0, 12, 10)], [(2, 6, 2), (1, 3, 2), (3, 8, 11), (4, 10, 8)]]
    assert first[:3] == recorded
    assert {len(places) for places in first} == {0, 1, 2, 3, 4}



def test_workers_and_the_process_itself_make_the_same_canvases():
    canvases = Canvases(*squares(), 24, side=16, digit_side=4)
    alone = [labels for _, labels in DataLoader(canvases, 8)]
    together = [labels for _, labels in DataLoader(canvases, 8, num_workers=2)]
    assert all(mg.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_digits_of_another_size_are_resized():
    images, targets = squares(8)
    canvases = Canvases(images, targets, 9, side=28, digit_side=28, most=1)
    shown = [canvases[index][0] for index in range(9) if canvases.places(index)]
    assert shown and all(image.min() == image.max() > 0 for image in shown)
    assert images.shape == (10, 8, 8)


@pytest.mark.parametrize(
    "images, settings, message",
    [
        (mg.zeros(3, 4, 5), {}, "expected square images (N, H, H) and targets (N,), but got (3, 4, 5) and (3,)"),
        (mg.zeros(4, 4, 4), {}, "but got (4, 4, 4) and (3,)"),
        (mg.zeros(3, 4, 4), {"side": 6, "digit_side": 4}, "4 digits of 4 pixels do not fit on 6x6 pixels, only 1"),
        (mg.zeros(3, 4, 4), {"side": 3, "digit_side": 4, "most": 1}, "1 digits of 4 pixels do not fit on 3x3 pixels"),
    ],
)
def test_canvases_say_what_is_wrong(images, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Canvases(images, mg.zeros(3, dtype=mg.int64), 5, **settings)


def test_canvases_without_digits_and_beyond_the_last():
    with pytest.raises(ValueError, match="there are no digits"):
        Canvases(mg.zeros(0, 4, 4), mg.zeros(0, dtype=mg.int64), 5)
    canvases = Canvases(*squares(), 5, side=16, digit_side=4)
    assert len(list(canvases)) == len(canvases) == 5
    with pytest.raises(IndexError, match="canvas 5 of 5"):
        canvases[5]


# ---------------------------------------------------------------- the network
def test_the_network_finds_things_wherever_they_are():
    """Moved by whole strides, an image gives the same scores; those are the maxima of the maps."""
    network = LeNetGlobal(num_classes=7, in_channels=2).eval()
    image = mg.zeros(1, 2, 96, 96)
    image[:, :, 40:48, 40:48] = mg.randn(2, 8, 8)
    moved = image.roll((8, 12), (2, 3))
    scores = network(image)
    assert scores.shape == (1, 7)
    assert mg.equal(scores, network.maps(image).amax((2, 3)))
    assert mg.allclose(scores, network(moved), atol=1e-5)


def test_it_learns_which_digits_are_there():
    """One digit of each class, on canvases that it has not seen."""
    digits = datasets.Digits(train=True)
    examples = digits.data[[digits.targets.tolist().index(label) for label in range(10)]]
    size = {"side": 18, "digit_side": 8, "most": 2}
    training, test = (Canvases(examples, mg.arange(10), count, **size, seed=count) for count in (480, 100))
    network = LeNetGlobal(widths=(8, 16, 32))
    network.features[2] = nn.Identity()  # digits of 8 pixels need no first pooling
    for layer in network.features[::3]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # from larger weights it takes fewer steps
    optimizer = optim.Adam(network.parameters(), lr=8e-3)
    batches = DataLoader(training, 16, shuffle=True)
    for _ in range(9):
        train_epoch(network, batches, optimizer, loss_of=nn.BCEWithLogitsLoss())
    with mg.no_grad():
        images, labels = next(iter(DataLoader(test, 100)))
        assert recipes.mean_average_precision(network(images), labels) > 0.9


# ---------------------------------------------------------------- losses and figures
def test_each_kind_of_output_has_its_loss():
    scores = mg.tensor([[1.0, -2.0, 0.5], [0.3, 0.2, 0.1]])
    labels = mg.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    sigmoid, binary = multilabel.OUTPUTS["sigmoid"]
    softmax, shared = multilabel.OUTPUTS["softmax"]
    p, q = sigmoid(scores), softmax(scores)
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    assert binary(scores, labels).item() == pytest.approx(expected.item(), rel=1e-5)
    # The two digits of the first canvas share the probability; the second, empty one wants nothing.
    expected = -(q[0, 0].log() + q[0, 2].log()) / 2 / 2
    assert shared(scores, labels).item() == pytest.approx(expected.item(), rel=1e-5)
    assert q.sum(1).tolist() == pytest.approx([1, 1])


def test_the_figures_are_scikit_learns(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    labels = rng.random((200, 10)) < 0.3
    noisy = (labels * 0.8 + rng.random((200, 10))) / 1.8
    halves = slice(100), slice(100, 200)
    validation, test = ((mg.tensor(noisy[half]), mg.tensor(labels[half]).float()) for half in halves)
    found = multilabel.measure(validation, test)
    scores, truth = noisy[100:], labels[100:]
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(truth, scores, average=None))
    assert found["map"] == pytest.approx(metrics.average_precision_score(truth, scores))
    assert found["positives"] == truth.sum(0).tolist()
    for name, limits in (("even", 0.5), ("chosen", found["thresholds"])):
        decisions = scores >= limits
        assert found[f"f1_{name}"] == pytest.approx(metrics.f1_score(truth, decisions, average=None))
        assert found[f"exact_{name}"] == pytest.approx(metrics.accuracy_score(truth, decisions))
    # The thresholds are those of the validation part: there they are at least as good as any other.
    at_best = metrics.f1_score(labels[:100], noisy[:100] >= found["thresholds"], average=None)
    for limit in (0.3, 0.4, 0.5, 0.6, 0.7):
        assert (at_best >= metrics.f1_score(labels[:100], noisy[:100] >= limit, average=None) - 1e-12).all()


# ---------------------------------------------------------------- digits
def write_mnist(folder, train=40, test=20):
    """MNIST's files with images that are told apart by their brightness: training images are odd, test images even."""
    for prefix, count, odd in (("train", train, 1), ("t10k", test, 0)):
        labels = bytes(index % 10 for index in range(count))
        images = b"".join(bytes([2 * index + odd + 2]) * 784 for index in range(count))
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, count, 28, 28) + images)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels)
    return folder


def test_no_digit_is_on_the_canvases_of_two_parts(tmp_path):
    settings = {**multilabel.DEFAULTS, "canvases": 60, "test_canvases": 60}
    made = multilabel.compose(settings, write_mnist(tmp_path))
    shades = {
        part: {round(255 * shade) for image, _ in canvases for shade in image.unique().tolist() if shade}
        for part, canvases in made.items()
    }
    assert all(shade % 2 for shade in shades["training"] | shades["validation"])
    assert not any(shade % 2 for shade in shades["test"])
    assert not shades["training"] & shades["validation"]
    assert shades["validation"] <= {2 * index + 3 for index in range(0, 40, multilabel.VALIDATION)}
    assert len(shades["training"]) > 25 and len(shades["test"]) > 15


# ---------------------------------------------------------------- the command
def command(out, *arguments):
    small = ["--data", "digits", "--canvases", 48, "--test-canvases", 40, "--side", 32, "--most", 1, "--batch-size", 16]
    return main(["multilabel", *map(str, small), "--no-progress", "--out", str(out), *map(str, arguments)])


def states(out):
    found = checkpoints.read(out / "last.pt")
    return found.model, found.training["optimizer"]["state"]


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return mg.equal(one, other) if mg.is_tensor(one) else one == other


def test_the_command_leaves_figures_and_a_picture(tmp_path, capsys):
    assert command(tmp_path / "run", "--epochs", 2) == 0
    printed = capsys.readouterr().out
    assert "lenet_global: 44,146 parameters, sigmoid outputs" in printed
    rows = re.findall(r"^ +\d +\d+ +(?:[\d.]+|nan) +(?:[\d.]+|inf) +[\d.]+ +[\d.]+$", printed, re.MULTILINE)
    assert len(rows) == 10
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    assert f"mAP {found['map']:.4f}" in printed and found["settings"]["epochs"] == 2
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["canvases.png", "last.pt", "results.json"]
    assert (tmp_path / "run" / "canvases.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("options", [(), ("--output", "softmax", "--workers", "1")])
def test_an_interrupted_run_goes_on_bit_for_bit(options, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(multilabel, "draw", lambda *arguments: None)  # which takes longer than the rest
    assert command(tmp_path / "whole", "--epochs", 3, *options) == 0
    real = multilabel.Run.predict
    calls = []

    def interrupted(self, part):
        calls.append(part)
        if len(calls) == 2:  # after the second epoch's training, before it is saved
            raise KeyboardInterrupt
        return real(self, part)

    with monkeypatch.context() as patch:
        patch.setattr(multilabel.Run, "predict", interrupted)
        assert command(tmp_path / "two parts", "--epochs", 3, *options) == 130
    goes_on = f"go on with: python -m models multilabel --resume --out '{tmp_path / 'two parts'}'\n"
    assert f"interrupted after 1 of 3 epochs\n{goes_on}" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "two parts").iterdir()] == ["last.pt"]
    rest = ["--root", str(tmp_path), "--no-progress", "--out", str(tmp_path / "two parts"), "--resume"]
    assert main(["multilabel", *rest]) == 0
    assert all(same(one, other) for one, other in zip(states(tmp_path / "whole"), states(tmp_path / "two parts")))
    whole, parts = ((tmp_path / name / "results.json").read_text() for name in ("whole", "two parts"))
    assert whole == parts


def test_digits_that_are_on_no_canvas_have_no_figures(tmp_path, capsys):
    write_mnist(tmp_path, train=4, test=4)  # digits 0 to 3, of which 0 is held out for validation
    small = ["--root", tmp_path, "--canvases", 8, "--test-canvases", 8, "--side", 28, "--most", 1, "--epochs", 1]
    assert main(["multilabel", "--no-progress", "--out", str(tmp_path / "run"), *map(str, small)]) == 0
    text = (tmp_path / "run" / "results.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["average_precision"][4:] == found["thresholds"][4:] == [None] * 6
    assert found["f1_chosen"][4:] == [0] * 6
    assert re.search(r"^ +9 +0 +nan +inf +0\.0000 +0\.0000$", capsys.readouterr().out, re.MULTILINE)


def test_any_registered_network_will_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(multilabel, "draw", lambda *arguments: None)
    assert command(tmp_path / "run", "--epochs", 1, "--model", "lenet5") == 0
    assert checkpoints.read(tmp_path / "run" / "last.pt").name == "lenet5"
    capsys.readouterr()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--data", "fashion"], "argument --data: invalid choice: 'fashion'"),
        (["--data", "mnist", "--root", "nowhere"], "--data mnist: "),
        (["--data", "digits", "--model", "lenet6"], "--model lenet6: unknown model 'lenet6'"),
        (["--data", "digits", "--side", "40"], "--side 40 --most 4: Canvases: 4 digits of 28 pixels do not fit"),
        (["--data", "digits", "--side", "9"], "argument --side: 9 is not at least 28"),
        (["--data", "digits", "--device", "tpu"], "--device tpu: "),
        (["--data", "digits", "--out", "/dev/null/x"], "--out /dev/null/x: cannot write there"),
        (["--data", "digits", "--output", "relu"], "argument --output: invalid choice: 'relu'"),
        (["--resume"], "runs/multilabel/last.pt: no such checkpoint"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    try:
        code = main(["multilabel", "--no-progress", *arguments])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"error: {message}") and printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_resumed_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(multilabel, "draw", lambda *arguments: None)
    out = tmp_path / "run"
    assert command(out, "--epochs", 1) == 0
    capsys.readouterr()
    assert main(["multilabel", "--no-progress", "--resume", "--out", str(out), "--lr", "0.5"]) == 2
    assert f"--lr 0.5: the run in {out} was begun with 0.004" in capsys.readouterr().err
    kept = checkpoints.read(out / "last.pt")
    checkpoints.write(out / "last.pt", network=kept.network, data=kept.data, epoch=1, model=kept.model)
    assert main(["multilabel", "--no-progress", "--resume", "--out", str(out)]) == 2
    assert "last.pt is no checkpoint of models multilabel" in capsys.readouterr().err
    (out / "last.pt").write_bytes(b"half")
    assert main(["multilabel", "--no-progress", "--resume", "--out", str(out)]) == 2
    assert "last.pt" in capsys.readouterr().err


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, capsys):
    assert command(tmp_path / "run", "--epochs", 1, "--lr", "1e30") == 2
    assert "try a lower --lr than 1e+30" in capsys.readouterr().err


def test_help_names_every_setting():
    parser = argparse.ArgumentParser()
    multilabel.add_arguments(parser)
    text = " ".join(parser.format_help().split())
    for name, value in multilabel.DEFAULTS.items():
        assert f"--{name.replace('_', '-')}" in text and f"(default: {value})" in text
    assert set(multilabel.DEFAULTS) <= set(vars(parser.parse_args([])))
