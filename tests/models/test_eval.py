"""The commands eval and predict."""
import csv
import json
import shutil

import pytest

import minigrad as mg
import models
from minigrad.utils.data import DataLoader
from models import checkpoints, evaluation
from models.__main__ import COMMANDS, main
from models.commands.eval import seeds_for
from models.data import augmentation, image_sets
from models.evaluation import Report, Share, binomial_interval, crop_probabilities, probabilities

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two short runs of different networks on the digits, and some files."""
    folder = tmp_path_factory.mktemp("runs")
    settings = ["--data", "digits", "--subset", "300", "--image-size", "16", "--no-progress", "--optimizer", "adam"]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("training_curve", "prediction_grid"):
            patch.setattr(f"models.commands.plots.{name}", lambda *args: None)
        for name, more in (("a", ["--ema", "0.9"]), ("b", ["--seed", "1", "--option", "pool=avg"])):
            out = ["--out", str(folder / name)]
            assert main(["train", "lenet5", *settings, "--epochs", "2", *more, *out]) == 0
    mg.save(mg.load(folder / "a" / "best.pt")["model"], folder / "weights.pt")
    return folder


def pictures(folder, count=3):
    """Digits as files, grey and in colour."""
    image = pytest.importorskip("PIL.Image")
    digits = image_sets.SOURCES["digits"].open(None, False, False)
    folder.mkdir()
    for number in range(count):
        picture = digits[number][0].resize((40, 40), image.Resampling.BILINEAR)
        picture.convert("RGB" if number % 2 else "L").save(folder / f"{number}.png")
    return [digits[number][1] for number in range(count)]


def figures_of(capsys, *arguments):
    assert main(["eval", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


# ---------------------------------------------------------------- figures
@pytest.mark.parametrize(
    "right, count, low, high",
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (980, 1000, 0.9693, 0.9870)],
)
def test_binomial_interval(right, count, low, high):
    """Wilson's intervals, from tables."""
    assert binomial_interval(right, count) == pytest.approx((low, high), abs=6e-5)


def test_probabilities_are_means_over_crops():
    mg.manual_seed(0)
    model = models.build("lenet5", num_classes=4, image_size=16).eval()
    crops = mg.randn(3, 10, 1, 16, 16)
    found = crop_probabilities(model, crops)
    by_hand = mg.stack([model(image).softmax(1).mean(0) for image in crops])
    assert found.shape == (3, 4) and mg.allclose(found, by_hand, atol=1e-6) and not found.requires_grad
    assert mg.allclose(crop_probabilities(model, crops[:, 0]), model(crops[:, 0]).softmax(1), atol=1e-6)


def test_a_report_counts():
    scores = mg.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.1, 0.4], [0.1, 0.8, 0.1]])
    report = Report.of(scores, mg.tensor([0, 1, 2, 0]))
    assert report.top1 == Share(2, 4) and report.top5 is None
    assert report.per_class == [Share(1, 2), Share(1, 1), Share(0, 1)]
    assert report.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert report.line() == "top-1 50.00 % (15.00 to 85.00)"
    with_six = Report.of(mg.arange(6.0).expand(2, 6), mg.tensor([1, 0]))
    assert (with_six.top1.right, with_six.top5.right) == (0, 1)
    assert json.dumps(Report.of(scores[:, :2], mg.tensor([0, 0, 0, 0])).as_dict("ab"))  # a class without images


# ---------------------------------------------------------------- eval
def test_eval_reports_and_writes(folder, tmp_path, capsys):
    assert main(["eval", str(folder / "a"), "--out", str(tmp_path / "out"), "--no-progress"]) == 0
    printed = capsys.readouterr().out
    assert f"{folder / 'a' / 'best.pt'}: lenet5, 2 epochs of scikit-learn's digits, averaged weights: top-1 " in printed
    figures = json.loads((tmp_path / "out" / "eval.json").read_text())
    with open(tmp_path / "out" / "confusion.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["true \\ predicted", *"0123456789"] and len(rows) == 11
    counts = [[int(value) for value in row[1:]] for row in rows[1:]]
    assert counts == figures["confusion"] and sum(map(sum, counts)) == 359
    right = sum(counts[number][number] for number in range(10))
    assert figures["top1"]["right"] == right and figures["top1"]["accuracy"] == right / 359
    assert figures["per_class"]["3"]["right"] == counts[3][3]
    assert (tmp_path / "out" / "confusion.png").read_bytes().startswith(PNG)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["confusion.csv", "confusion.png", "eval.json"]


def test_eval_finds_what_training_found(folder, capsys):
    last = mg.load(folder / "a" / "last.pt")["training"]["history"][-1]
    weights = figures_of(capsys, folder / "a" / "last.pt", "--weights", "model")
    assert weights["top1"]["accuracy"] == last["test_accuracy"]
    averaged = figures_of(capsys, folder / "a" / "last.pt")
    assert averaged["top1"]["accuracy"] == last["averaged_test_accuracy"]


def test_an_ensemble_averages_probabilities(folder, capsys):
    figures = figures_of(capsys, folder / "a", folder / "b", "--data", "digits", "--weights", "model")
    images = image_sets.load("digits", None, image_size=16)
    answers = []
    for name in "ab":
        model = checkpoints.read(folder / name).build("model")
        found, labels = probabilities(model, DataLoader(images.test, 100))
        answers.append(found)
    expected = Report.of((answers[0] + answers[1]) / 2, labels)
    assert figures["top1"]["right"] == expected.top1.right and figures["top5"]["right"] == expected.top5.right
    assert [member["top1"]["right"] for member in figures["members"]] == [
        Report.of(found, labels).top1.right for found in answers
    ]


@pytest.mark.parametrize("crops", ["10", "multi-scale"])
def test_eval_averages_crops(folder, capsys, crops, monkeypatch):
    # The first test images are enough.
    opened = image_sets.load

    def few(*args, **kw):
        images = opened(*args, **kw)
        del images.test.indices[20:]
        return images

    monkeypatch.setattr(image_sets, "load", few)
    figures = figures_of(capsys, folder / "b", "--crops", crops, "--batch-size", "60")
    images = few("digits", None)
    transform = augmentation.crops_transform(crops, 16, images.mean, images.std, True)
    seen = [images.test.seen_through(transform)[index] for index in range(20)]
    model = checkpoints.read(folder / "b").build()
    found = mg.stack([model(crops).softmax(1).mean(0) for crops, _ in seen])
    right = sum(guess == label for guess, (_, label) in zip(found.argmax(1).tolist(), seen))
    assert figures["images"] == 20 and figures["top1"]["right"] == right


def test_plain_weights_need_the_networks_name(folder, capsys):
    plain = figures_of(capsys, folder / "weights.pt", "--model", "lenet5", "--image-size", "16", "--data", "digits")
    checkpoint = figures_of(capsys, folder / "a", "--weights", "model")
    assert plain["confusion"] == checkpoint["confusion"]


def test_unknown_arguments_are_named_by_the_command(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["eval", "a", "--bogus", "b"])
    assert capsys.readouterr().err == "error: unrecognized arguments: --bogus b (see python -m models eval --help)\n"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nowhere.pt"], "nowhere.pt: no such checkpoint"),
        (["lenet5"], "lenet5: no such checkpoint; it is the name of a network, and a file or folder"),
        (["text.pt"], "text.pt: not a readable checkpoint ("),
        (["a", "--model", "resnet18"], "best.pt: a checkpoint of lenet5, not of resnet18"),
        (["a", "--option", "pool=avg"], "--option: "),
        (["a", "--data", "photos"], "its 10 classes are not the 2 of photos"),
        (["b", "--weights", "ema"], "has no averaged weights (the run had no --ema)"),
        (["weights.pt"], "weights.pt: a plain file of weights: say of which network with --model"),
        (["weights.pt", "--model", "lenet5", "--image-size", "16"], "--data is missing: a plain file"),
        (["weights.pt", "--model", "lenet5"], "error: weights.pt does not fit LeNet5: fc1.weight is (120, 64) there"),
        (["weights.pt", "--model", "lenet6"], "unknown model 'lenet6'"),
        (["weights.pt", "--model", "lenet5", "--option", "depth=3"], "unexpected keyword argument 'depth'"),
        (["weights.pt", "--model", "resnet18", "--data", "digits"], "weights.pt is of another network than ResNet"),
        (["renamed.pt"], "renamed.pt: a checkpoint of 'lenet6', which is none of the networks here"),
        (["a", "--device", "tpu"], "--device tpu: "),
        (["a", "--out", "text.pt/out"], "--out text.pt/out: cannot write there"),
        (["list.pt"], "list.pt: neither a checkpoint of models train nor a file of weights"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_eval_refuses_in_one_line(folder, tmp_path, monkeypatch, capsys, arguments, message):
    shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    (tmp_path / "copy" / "text.pt").write_text("no checkpoint")
    mg.save({**mg.load("a/best.pt"), "network": {"name": "lenet6", "arguments": {}}}, "renamed.pt")
    mg.save([1, 2], "list.pt")
    for name in ("cat", "dog"):
        (tmp_path / "copy" / "photos" / name).mkdir(parents=True)
        for number in range(3):
            shutil.copy(_a_picture(tmp_path), tmp_path / "copy" / "photos" / name / f"{number}.png")
    assert main(["eval", *arguments, "--no-progress"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error, error


def _a_picture(folder):
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (8, 8)).save(folder / "black.png")
    return folder / "black.png"


# ---------------------------------------------------------------- predict
def test_predict_names_the_classes(folder, tmp_path, capsys):
    pictures(tmp_path / "images")
    assert main(["predict", str(folder / "a"), str(tmp_path / "images"), str(tmp_path / "images" / "0.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        str(tmp_path / "images" / name) for name in ("0.png", "1.png", "2.png", "0.png")
    ]
    assert len(lines) == 4 * 6 and lines[:6] == lines[18:]
    assert main(["predict", str(folder / "a"), str(tmp_path / "images"), "--json", "--top", "20"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [len(answer["predictions"]) for answer in found] == [10, 10, 10]
    for answer in found:
        shares = [guess["probability"] for guess in answer["predictions"]]
        assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)
    # the same as of the tensor that eval would see
    images = image_sets.load("digits", None, image_size=16)
    model = checkpoints.read(folder / "a").build()
    transform = augmentation.test_transform(16, images.mean, images.std, square=True)
    image = pytest.importorskip("PIL.Image").open(tmp_path / "images" / "0.png")
    expected = evaluation.crop_probabilities(model, transform(image).unsqueeze(0))[0].max().item()
    assert found[0]["predictions"][0]["probability"] == pytest.approx(expected, abs=1e-5)


def test_predict_goes_on_after_an_unreadable_image(folder, tmp_path, capsys):
    pictures(tmp_path / "images", 1)
    (tmp_path / "images" / "bad.jpg").write_text("no picture")
    arguments = ["predict", str(folder / "a"), str(tmp_path / "gone.png"), str(tmp_path / "images"), "--crops", "10"]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert str(tmp_path / "images" / "0.png") in printed.out
    errors = printed.err.splitlines()
    assert errors[0] == f"error: {tmp_path / 'gone.png'}: no such file"
    assert errors[1].startswith(f"error: {tmp_path / 'images' / 'bad.jpg'}: not a readable image") and len(errors) == 2


def test_predict_with_plain_weights(tmp_path, capsys):
    model = models.build("lenet5", num_classes=3, in_channels=3, image_size=16)
    mg.save(model.state_dict(), tmp_path / "weights.pt")
    picture = str(_a_picture(tmp_path))
    (tmp_path / "names.txt").write_text("cat\ndog\nbig rat\n")
    command = ["predict", str(tmp_path / "weights.pt"), picture, "--model", "lenet5", "--image-size", "16", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)[0]["predictions"]
    assert {guess["class"] for guess in found} == {"0", "1", "2"}
    assert main([*command, "--classes", str(tmp_path / "names.txt")]) == 0
    named = json.loads(capsys.readouterr().out)[0]["predictions"]
    assert {guess["class"] for guess in named} == {"cat", "dog", "big rat"}
    (tmp_path / "names.txt").write_text("cat\n")
    assert main([*command, "--classes", str(tmp_path / "names.txt")]) == 2
    assert "has 1 lines, but the network 3 classes" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "weights.pt"), str(tmp_path / "empty"), "--model", "lenet5",
                 "--image-size", "16"]) == 2
    (tmp_path / "empty").mkdir()
    assert main([*command[:2], str(tmp_path / "empty"), *command[3:]]) == 2
    assert "no image files in this folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "eval", "predict"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert COMMANDS[command].HELP in capsys.readouterr().out


def test_a_folder_is_divided_as_when_its_own_network_was_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = [{"name": name, "seed": seed} for name, seed in (("cats", 3), ("dogs", 1), (str(tmp_path / "dogs"), 2))]
    assert seeds_for("./dogs/", known[:2]) == [1]
    assert seeds_for("dogs", known) == [1, 2]
    assert seeds_for("moved", known) == [3] and seeds_for("digits", []) == [0]
