"""The command that trains networks."""
import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.utils.data import DataLoader
from minigrad.vision.ops import StochasticDepth
from models import checkpoints
from models.__main__ import main, parser
from models.commands import run as runs
from models.commands.train import open_run
from models.common import CommandError, written_whole
from models.data import image_sets
from models.training import evaluate

ROOT = Path(__file__).resolve().parent.parent.parent
PNG = b"\x89PNG\r\n\x1a\n"
WRITTEN = ["best.pt", "config.json", "curve.png", "history.json", "last.pt", "log.csv", "predictions.png"]


# ---------------------------------------------------------------- the command
def train(*arguments):
    return main(["train", "lenet5", "--no-progress", *map(str, arguments)])


def check_written(out, epochs):
    assert sorted(path.name for path in out.iterdir()) == WRITTEN
    for name in ("curve.png", "predictions.png"):
        assert (out / name).read_bytes().startswith(PNG)
    history = json.loads((out / "history.json").read_text())
    assert [entry["epoch"] for entry in history] == list(range(1, epochs + 1))
    return history


def test_the_demo_reads_digits(tmp_path, capsys):
    """What `make demo` runs, with its defaults: at least 98 % of the held-out fifth."""
    assert train("--data", "digits", "--out", tmp_path / "run") == 0
    history = check_written(tmp_path / "run", 20)
    assert history[-1]["test_accuracy"] >= 0.98
    printed = capsys.readouterr().out
    assert "61,706 parameters" in printed and "epochs 20" in printed
    lines = re.findall(
        r"^epoch +\d+/20  train loss \d+\.\d+  test loss \d+\.\d+  test accuracy [\d.]+ %  [\d.]+ s  [\d,]+ images/s$",
        printed,
        re.MULTILINE,
    )
    assert len(lines) == 20


def test_a_run_can_be_repeated(tmp_path, undrawn_pictures):
    """The same seed gives the same figures, another seed others."""
    found = []
    for seed in (1, 1, 2):
        assert train("--data", "digits", "--subset", 64, "--epochs", 1, "--seed", seed, "--out", tmp_path / "run") == 0
        found.append(json.loads((tmp_path / "run" / "history.json").read_text())[0]["train_loss"])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--optimizer", "sgd", "--momentum", 0.5, "--lr", 0.1, "--schedule", "step"),
        ("--optimizer", "adamw", "--weight-decay", 0.1, "--schedule", "onecycle"),
        ("--optimizer", "rmsprop", "--schedule", "linear", "--lr", 0.001),
        ("--optimizer", "nadam", "--schedule", "constant", "--augment", "none"),
        ("--option", "activation=tanh", "--option", "pool=avg", "--image-size", 16, "--augment", "shift+flip"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_every_setting_arrives(tmp_path, arguments, capsys, undrawn_pictures):
    assert train("--data", "digits", "--epochs", 1, "--batch-size", 16, "--out", tmp_path / "run", *arguments) == 0
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history[0]["test_accuracy"] > 0.2  # ten classes: chance is 0.1
    printed = capsys.readouterr().out
    for name, value in zip(arguments[::2], arguments[1::2]):
        assert str(value) in printed, (name, value)


@pytest.mark.gpu
@pytest.mark.skipif(not mg.cuda.is_available(), reason="needs CuPy and a GPU")
def test_training_on_a_gpu(tmp_path):
    assert train("--data", "digits", "--epochs", 5, "--device", "cuda", "--out", tmp_path / "run") == 0
    assert check_written(tmp_path / "run", 5)[-1]["test_accuracy"] > 0.9


def pictures(folder, count, seed):
    """count images per class, dark and bright ones: anyone can tell them apart."""
    image = pytest.importorskip("PIL.Image")
    import numpy as np

    rng = np.random.default_rng(seed)
    for name, least in (("bright", 128), ("dark", 0)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(least, least + 128, size=(20, 24, 3), dtype=np.uint8)
            image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_a_folder_of_images(tmp_path, capsys):
    pictures(tmp_path / "photos" / "train", 16, seed=0)
    pictures(tmp_path / "photos" / "test", 4, seed=1)
    assert train("--data", tmp_path / "photos", "--epochs", 8, "--batch-size", 4, "--out", tmp_path / "run") == 0
    assert check_written(tmp_path / "run", 8)[-1]["test_accuracy"] == 1.0
    assert "32 training and 8 test images, 2 classes, 3x32x32" in capsys.readouterr().out


def test_a_folder_without_a_test_set_is_split(tmp_path):
    pictures(tmp_path / "photos", 10, seed=0)
    images = image_sets.load(str(tmp_path / "photos"), None)
    assert (len(images.train), len(images.test)) == (16, 4)
    assert images.classes == ("bright", "dark")
    kept, held_out = set(images.train.indices), set(images.test.indices)
    assert kept | held_out == set(range(20)) and not kept & held_out
    assert images.train[0][0].shape == (3, 32, 32)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named(tmp_path, capsys, workers):
    pictures(tmp_path / "photos", 10, seed=0)
    damaged = tmp_path / "photos" / "dark" / "3.png"
    damaged.write_text("no picture")
    arguments = ("--data", tmp_path / "photos", "--epochs", 1, "--workers", workers, "--out", tmp_path / "run")
    assert train(*arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {damaged}: not a readable image (") and error.endswith("; mend or remove it")


def test_a_run_does_not_go_on_with_other_images(tmp_path, capsys, undrawn_pictures):
    """With more images the random fifth for the test is another one, of which the run has seen most."""
    pictures(tmp_path / "photos", 10, seed=0)
    assert train("--data", tmp_path / "photos", "--epochs", 1, "--schedule", "constant", "--out", tmp_path / "run") == 0
    (tmp_path / "photos" / "dark" / "new.png").write_bytes((tmp_path / "photos" / "dark" / "0.png").read_bytes())
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "2", "--no-progress"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("17 train and 4 test images, but 16 train and 4 test when the run began\n")
    (tmp_path / "photos" / "dark" / "new.png").unlink()
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "2", "--no-progress"]) == 0


def test_train_and_test_folders_must_agree(tmp_path):
    pictures(tmp_path / "photos" / "train", 2, seed=0)
    pictures(tmp_path / "photos" / "val", 2, seed=0)
    (tmp_path / "photos" / "val" / "dark").rename(tmp_path / "photos" / "val" / "dim")
    with pytest.raises(CommandError, match="train and val differ in classes: dark, dim"):
        image_sets.load(str(tmp_path / "photos"), None)


def test_the_training_images_are_normalised():
    """The means and deviations in the table are those of the data."""
    images = image_sets.load("digits", None)
    pixels = mg.stack([image for image, _ in images.train])
    assert abs(pixels.mean().item()) < 0.02
    assert abs(pixels.std().item() - 1) < 0.05


def test_pictures_are_shown_as_they_were():
    images = image_sets.Data("two pixels", None, None, (), 2, (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    shown = images.picture(mg.tensor([[[-1.0, 1.0]], [[-1.0, 1.0]], [[0.0, 2.0]]]))
    assert shown == [[(0.0, 0.0, 0.0), (1.0, 0.5, 1.0)]]


def test_mnist_from_its_files(data_root):
    folder = os.path.join(data_root, "mnist")
    images = image_sets.load("mnist", folder if os.path.isdir(folder) else data_root)
    assert (len(images.train), len(images.test)) == (60_000, 10_000)
    image, label = images.test[0]
    assert image.shape == (1, 28, 28) and label == 7


# ---------------------------------------------------------------- regularizers, validation, transfer
def short_run(tmp_path, *arguments, model="lenet5"):
    """A run of a parsed command line, built but not begun."""
    parsed = parser().parse_args(["train", model, "--data", "digits", "--subset", "40", "--image-size", "16",
                                  "--batch-size", "20", "--out", str(tmp_path / "run"), "--no-progress", *arguments])
    return open_run(parsed)[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--l1", "0.01"), ("--l2", "0.1"), ("--label-smoothing", "0.2"), ("--mixup", "1"), ("--cutmix", "1"),
        ("--mixup", "1", "--cutmix", "1"), ("--clip-norm", "0.001", "--optimizer", "sgd"), ("--weight-decay", "0.5"),
        ("--augment", "cutout"), ("--dropout", "0.5"), ("--lr", "0.01"), ("--batch-size", "10"),
        ("--warmup", "0.5"), ("--seed", "3"), ("--momentum", "0.5", "--optimizer", "sgd"),
    ],
    ids=" ".join,
)
def test_every_regularizer_changes_the_training(tmp_path, arguments):
    figures = []
    for chosen in ((), arguments):
        job = short_run(tmp_path, "--epochs", "2", "--augment", "none", *chosen, model="small_cnn")
        job.start()
        job.train_one_epoch()
        figures.append((job.history[-1]["test_loss"], job.model.state_dict()))
    assert figures[0][0] != figures[1][0]


def test_the_networks_own_regularizers_arrive(tmp_path):
    job = short_run(tmp_path, "--dropout", "0.25", model="small_cnn")
    assert job.model.dropout.p == 0.25 and job.network["arguments"]["dropout"] == 0.25
    job = short_run(tmp_path, "--stochastic-depth", "0.5", model="small_resnet")
    drops = [module.p for module in job.model.modules() if isinstance(module, StochasticDepth)]
    assert drops[-1] == 0.5 and drops == sorted(drops) and drops[0] < 0.5


def test_averaged_weights_are_tested_and_saved(tmp_path, undrawn_pictures):
    assert train("--data", "digits", "--subset", 64, "--epochs", 2, "--ema", 0.8, "--out", tmp_path / "run") == 0
    content = mg.load(tmp_path / "run" / "last.pt")
    entry = content["training"]["history"][-1]
    assert entry["averaged_test_loss"] != entry["test_loss"]
    assert not mg.equal(content["ema"]["fc3.weight"], content["model"]["fc3.weight"])
    images = image_sets.load("digits", None)
    averaged = checkpoints.read(tmp_path / "run" / "last.pt").build()
    scores = evaluate(averaged, DataLoader(images.test, 256))
    assert scores.loss == pytest.approx(entry["averaged_test_loss"])
    assert content["training"]["best"]["accuracy"] == max(
        entry["averaged_test_accuracy"] for entry in content["training"]["history"]
    )


def test_a_run_interrupted_while_it_is_tested_shows_the_epoch_before(tmp_path, monkeypatch):
    job = short_run(tmp_path, "--ema", "0.8")
    job.start()
    job.train_one_epoch()
    before, real = job.tested, runs.evaluate
    assert before.accuracy == job.history[-1]["averaged_test_accuracy"]

    def interrupted(model, *args, **kw):
        if model is job.average.module:
            raise KeyboardInterrupt
        return real(model, *args, **kw)

    monkeypatch.setattr(runs, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        job.train_one_epoch()
    assert job.epoch == 1 and job.tested is before


def test_penalties_are_of_weights_that_train(tmp_path):
    job = short_run(tmp_path, "--l1", "0.5", "--l2", "0.25")
    job.model.conv1.weight.requires_grad_(False)
    weights = [weight for name, weight in job.model.named_parameters() if weight.ndim > 1 and name != "conv1.weight"]
    wanted = sum(0.5 * weight.abs().sum().item() + 0.25 * weight.square().sum().item() for weight in weights)
    assert runs.penalty(job.settings, job.model)().item() == pytest.approx(wanted)


def test_with_validation_the_test_images_are_not_looked_at(tmp_path, capsys, undrawn_pictures):
    job = short_run(tmp_path, "--validation", "0.1", "--epochs", "2", "--schedule", "plateau", "--early-stopping", "5")
    job.images.test.transform = None  # whoever looks at one fails
    job.start()
    for _ in range(2):
        job.train_one_epoch()
    assert {name for name in job.history[0] if "accuracy" in name} == {"validation_accuracy"}
    with pytest.raises(TypeError):
        job.final_scores()
    settings = ("--data", "digits", "--subset", 40, "--epochs", 1, "--validation", 0.1, "--out", tmp_path / "run")
    assert train(*settings) == 0
    printed = capsys.readouterr().out
    assert "best.pt is the epoch with the highest accuracy on the validation images" in printed
    assert re.search(r"^test accuracy [\d.]+ % of 359 images, with best.pt$", printed, re.MULTILINE)


def test_a_run_stops_when_there_is_no_progress(tmp_path, capsys, undrawn_pictures):
    settings = ("--data", "digits", "--subset", 40, "--epochs", 50, "--lr", 1e-12, "--early-stopping", 2)
    assert train(*settings, "--out", tmp_path / "run") == 0
    assert "stopped early: no progress for 2 epochs" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "run" / "history.json").read_text())) == 3


def test_the_logs_say_the_same(tmp_path, undrawn_pictures):
    event_files = pytest.importorskip("tensorboardX") and (lambda: list((tmp_path / "tensorboard").iterdir()))
    assert train("--data", "digits", "--subset", 40, "--epochs", 2, "--tensorboard", "--out", tmp_path) == 0
    history = json.loads((tmp_path / "history.json").read_text())
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == history
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["subset"] == 40 and config["lr"] == 0.002 and config["network"]["name"] == "lenet5"
    assert event_files() and b"test_accuracy" in event_files()[0].read_bytes()


def test_a_new_run_hides_what_an_earlier_one_logged(tmp_path, undrawn_pictures):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    for _ in range(2):
        assert train("--data", "digits", "--subset", 20, "--epochs", 1, "--tensorboard", "--out", tmp_path) == 0
    latest = max((tmp_path / "tensorboard").iterdir(), key=lambda path: path.stat().st_mtime_ns).read_bytes()
    events, at = [], 0
    while at < len(latest):  # length (8 bytes), checksum (4), event, checksum (4)
        length = int.from_bytes(latest[at : at + 8], "little")
        events.append(Event.FromString(latest[at + 12 : at + 12 + length]))
        at += 16 + length
    starts = [event.step for event in events if event.session_log.status == SessionLog.SessionStatus.Value("START")]
    assert starts == [1]


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A checkpoint of LeNet-5 with the paper's pooling, hardly trained."""
    folder = tmp_path_factory.mktemp("origin")
    job = short_run(folder, "--epochs", "1", "--option", "pool=avg")
    job.start()
    job.train_one_epoch()
    return folder / "run"


def test_transfer_freezes_all_but_a_new_last_layer(tmp_path, origin):
    parsed = parser().parse_args(["train", "--from", str(origin), "--data", "digits", "--subset", "40", "--freeze",
                                  "all-but-head", "--head-lr", "0.1", "--out", str(tmp_path), "--no-progress"])
    job = open_run(parsed)[0]
    assert job.images.image_size == 16 and isinstance(job.model.pool, mg.nn.AvgPool2d)
    before = mg.load(origin / "best.pt")["model"]
    head = job.model.fc3.weight.detach().clone()
    assert not mg.equal(head, before["fc3.weight"])
    assert [group["lr"] for group in job.optimizer.param_groups] == [0.1, 1.0 * job.settings["lr"]]
    job.start()
    job.train_one_epoch()
    after = job.model.state_dict()
    for name in before:
        assert mg.equal(after[name], before[name]) == (not name.startswith("fc3")), name
    assert not mg.equal(after["fc3.weight"], head)


def test_transfer_to_other_classes_can_be_resumed(tmp_path, origin, undrawn_pictures):
    image = pytest.importorskip("PIL.Image")
    for name, color in (("dark", 20), ("bright", 230)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            image.new("RGB", (20, 20), (color + number,) * 3).save(tmp_path / "photos" / name / f"{number}.png")
    colour = tmp_path / "colour"
    assert train("--data", tmp_path / "photos", "--epochs", 1, "--out", colour) == 0
    settings = ["train", "--from", str(colour), "--data", "digits", "--subset", "40", "--no-progress"]
    assert main([*settings, "--out", str(tmp_path / "no")]) == 2  # grey images for a network of colour ones
    other = ["train", "--from", str(colour), "--data", str(tmp_path / "photos"), "--no-progress"]
    other += ["--schedule", "constant", "--freeze", "conv*", "--out", str(tmp_path / "run")]
    assert main([*other, "--epochs", "1"]) == 0
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "2", "--no-progress"]) == 0
    first, last = mg.load(colour / "best.pt")["model"], mg.load(tmp_path / "run" / "last.pt")["model"]
    assert mg.equal(first["conv1.weight"], last["conv1.weight"])
    assert not mg.equal(first["fc1.weight"], last["fc1.weight"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["lenet5", "--freeze", "conv1"], "--freeze: is for a run that begins with --from CHECKPOINT"),
        (["lenet5", "--head-lr", "1"], "--head-lr: is for a run that begins with --from CHECKPOINT"),
        (["--from", "nowhere.pt"], "nowhere.pt: no such checkpoint"),
        (["resnet18", "--from", "ORIGIN"], "a checkpoint of lenet5, not of resnet18"),
        (["--from", "ORIGIN", "--freeze", "conv9"], "--freeze: no module or parameter is called 'conv9'"),
        (["--from", "ORIGIN", "--freeze", "*"], "--freeze *: nothing is left to train"),
        (["--from", "ORIGIN", "--image-size", "28"], "--image-size 28: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_transfers_that_cannot_be(tmp_path, origin, capsys, arguments, message):
    arguments = [str(origin) if argument == "ORIGIN" else argument for argument in arguments]
    assert main(["train", *arguments, "--data", "digits", "--out", str(tmp_path), "--no-progress"]) == 2
    assert message in capsys.readouterr().err


# ---------------------------------------------------------------- what can go wrong
@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--data", "mnist", "--root", "nowhere"), "MNIST: dataset not found. python -m models train --download"),
        (("--data", "empty"), "Couldn't find any class folder in empty. It needs one folder per class"),
        (("--data", "nowhere"), "--data nowhere: neither one of digits, mnist, fashion, cifar10, cifar100 nor a"),
        (("--data", "digits", "--download"), "--download: the digits come with scikit-learn"),
        (("--data", ".", "--root", "here"), "--root: --data . is a folder and read where it is"),
        (("--data", "mnits"), "cifar10, cifar100 nor a folder; did you mean mnist?"),
        (("--data", "digits", "--device", "tpu"), "--device tpu: expected cpu, cuda or cuda:N"),
        (("--data", "digits", "--device", "cuda:99"), "--device cuda:99: "),
        (("--data", "digits", "--momentum", "0.9"), "--momentum: adam has none; sgd and rmsprop have"),
        (("--data", "digits", "--option", "pool=min"), "pool must be one of max, avg, but got 'min'"),
        (("--data", "digits", "--option", "depth=3"), "unexpected keyword argument 'depth'"),
        (("--data", "digits", "--option", "num_classes=3"), "--option num_classes: the images decide that"),
        (("--data", "digits", "--image-size", "8"), "image_size must be at least 12, but got 8"),
        (("--data", "digits", "--out", "file/run"), "--out file/run: cannot write there: "),
        (("--data", "digits", "--dropout", "0.5"), "--dropout: lenet5 has none"),
        (("--data", "digits", "--stochastic-depth", "0.5"), "--stochastic-depth: lenet5 has none"),
        (("--data", "digits", "--patience", "3"), "--patience: cosine has none; plateau has"),
        (("--data", "digits", "--gamma", "0.3"), "--gamma: cosine has none; step and multistep and plateau have"),
        (("--data", "digits", "--warmup", "20"), "--schedule cosine: a warm-up of 20.0 epochs leaves nothing of 20"),
        (("--data", "digits", "--lr", "1e30", "--optimizer", "sgd", "--epochs", "1"), "the training loss became"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.filterwarnings("ignore:.*(overflow|invalid value).*:RuntimeWarning")
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("not a folder")
    Path("empty").mkdir()
    assert train(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    assert message in error


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "lenet5", "--data", "digits", "--epochs", "0"], "0 is not at least 1"),
        (["train", "lenet5", "--data", "digits", "--lr", "nan"], "nan is not more than 0"),
        (["train", "lenet5", "--data", "digits", "--lr", "inf"], "inf is not finite"),
        (["train", "lenet5", "--data", "digits", "--batch-size", "many"], "invalid int value: 'many'"),
        (["train", "lenet5", "--data", "digits", "--optimizer", "magic"], "invalid choice: 'magic'"),
        (["train", "lenet5", "--data", "digits", "--dropout", "1"], "1 is not less than 1"),
        (["train", "lenet5", "--data", "digits", "--augment", "flip+spin"], "unknown augmentation 'spin'"),
        (["train", "lenet5", "--data", "digits", "--milestones", "3,2"], "the epochs must be positive and grow"),
        (["train", "lenet5", "--data", "digits", "--option", "tanh"], "'tanh' is not NAME=VALUE"),
        (["tame"], "invalid choice: 'tame'"),
        ([], "are required: {"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    assert message in error


def test_what_is_trained_on_what_must_be_said(capsys):
    assert main(["train", "lenet5"]) == 2
    assert capsys.readouterr().err == "error: --data is missing: the name of an image set, or a folder\n"
    assert main(["train", "--data", "digits"]) == 2
    assert capsys.readouterr().err.startswith("error: MODEL is missing: the name of a network")


def test_an_unknown_model_is_named(capsys):
    assert main(["train", "lenet6", "--data", "digits"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown model 'lenet6'; did you mean lenet5")


def test_files_are_written_whole(tmp_path):
    path = tmp_path / "figures.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError, match="halfway"), written_whole(path) as temporary:
        Path(temporary).write_text("aft")
        raise RuntimeError("halfway")
    assert path.read_text() == "before"
    with written_whole(path) as temporary:
        Path(temporary).write_text("after")
    assert path.read_text() == "after"
    assert [entry.name for entry in tmp_path.iterdir()] == ["figures.txt"]


def test_command_as_a_program(tmp_path):
    """python -m models, as a user calls it: the report goes to stdout."""
    command = [sys.executable, "-m", "models", "train", "lenet5", "--data", "digits", "--epochs", "1"]
    done = subprocess.run([*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "epoch" not in done.stderr  # in a log the bar of a short epoch says nothing that its line does not
    assert re.search(r"^test accuracy \d+\.\d\d % of \d+ images after 1 epoch,", done.stdout, re.MULTILINE)
    check_written(tmp_path, 1)


@pytest.mark.parametrize("module, package", [("matplotlib", "matplotlib"), ("tqdm", "tqdm")])
def test_a_missing_extra_is_named(monkeypatch, capsys, module, package):
    monkeypatch.setitem(sys.modules, module, None)  # what makes an import fail
    assert main(["train", "lenet5", "--data", "digits"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {package} is needed here: pip install -e '.[demo]'")


def test_a_run_that_is_replaced_is_told(tmp_path, capsys):
    short_run(tmp_path).start()
    assert "replacing" not in capsys.readouterr().out
    short_run(tmp_path).start()
    assert f"replacing the run that was in {tmp_path}" in capsys.readouterr().out
