"""A run that was interrupted and goes on is the run that was never stopped, bit for bit."""
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
from models.__main__ import main
from models.commands import run as runs

pytestmark = pytest.mark.usefixtures("undrawn_pictures")

ROOT = Path(__file__).resolve().parent.parent.parent
CLOCK = ("seconds", "images_per_second")
QUICK = ["--data", "digits", "--subset", "60", "--batch-size", "20", "--image-size", "16", "--no-progress"]
# One of everything that draws random numbers or has a state.
EVERYTHING = [
    "small_cnn", *QUICK, "--augment", "shift+flip+cutout", "--mixup", "0.3", "--cutmix", "1", "--dropout", "0.4",
    "--optimizer", "sgd", "--momentum", "0.9", "--lr", "0.05", "--schedule", "cosine", "--warmup", "1", "--ema", "0.9",
    "--validation", "0.1", "--early-stopping", "9", "--label-smoothing", "0.1", "--l1", "1e-5", "--clip-norm", "1",
]


def train(*arguments):
    return main(["train", *map(str, arguments)])


def interrupt(monkeypatch, epoch, batch=1):
    """Let the next run be interrupted, as by Ctrl-C, after a batch of an epoch (counted from 0)."""
    whole = runs.train_epoch
    epochs = iter(range(1000))

    def train_epoch(*args, after_batch, **kw):
        if next(epochs) != epoch:
            return whole(*args, after_batch=after_batch, **kw)
        batches = iter(range(1000))

        def stop(*seen):
            after_batch(*seen)
            if next(batches) == batch:
                raise KeyboardInterrupt

        return whole(*args, after_batch=stop, **kw)

    monkeypatch.setattr(runs, "train_epoch", train_epoch)


def check_same(one, other, path=""):
    """The contents of two checkpoints are equal but for clocks and folders."""
    if isinstance(one, mg.Tensor):
        assert mg.equal(one, other), path
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for name in one.keys() - {*CLOCK, "out"}:
            check_same(one[name], other[name], f"{path}.{name}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for index, (first, second) in enumerate(zip(one, other)):
            check_same(first, second, f"{path}[{index}]")
    else:
        assert one == other, path


def check_same_runs(one, other):
    for name in ("last.pt", "best.pt"):
        check_same(mg.load(one / name), mg.load(other / name), name)
    for name in ("curve.png", "predictions.png", "config.json", "log.csv"):
        assert (other / name).is_file()
    histories = [json.loads((folder / "history.json").read_text()) for folder in (one, other)]
    check_same(*histories, "history")
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_is_the_run_that_was_never_stopped(tmp_path, monkeypatch, capsys, workers):
    settings = [*EVERYTHING, "--epochs", "4", "--workers", workers]
    assert train(*settings, "--out", tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        interrupt(patch, epoch=2)
        assert train(*settings, "--out", tmp_path / "two parts") == 130
    goes_on = f"go on with: python -m models train --resume '{tmp_path / 'two parts'}'\n"  # a line for the shell
    assert f"interrupted after 2 of 4 epochs\n{goes_on}" in capsys.readouterr().out
    assert mg.load(tmp_path / "two parts" / "last.pt")["epoch"] == 2
    mg.manual_seed(12345)
    assert train("--resume", tmp_path / "two parts", "--no-progress") == 0
    assert "going on after epoch 2 of 4\n" in capsys.readouterr().out
    check_same_runs(tmp_path / "whole", tmp_path / "two parts")


def test_a_run_interrupted_in_its_first_epoch_can_be_resumed_twice(tmp_path, monkeypatch):
    settings = ["lenet5", *QUICK, "--epochs", "2", "--schedule", "plateau", "--optimizer", "adam"]
    assert train(*settings, "--out", tmp_path / "whole") == 0
    monkeypatch.chdir(tmp_path)
    for epoch, arguments in ((0, settings), (1, ["--resume", "runs/lenet5-digits/last.pt", "--no-progress"])):
        with monkeypatch.context() as patch:
            interrupt(patch, epoch)
            assert train(*arguments) == 130
    assert train("lenet5", "--data", "digits", "--resume", "--no-progress") == 0  # its default folder
    check_same_runs(tmp_path / "whole", tmp_path / "runs" / "lenet5-digits")


@pytest.mark.parametrize(
    "schedule", [["constant"], ["plateau", "--patience", "0"], ["multistep", "--milestones", "1,2"]]
)
def test_a_finished_run_can_have_more_epochs(tmp_path, schedule):
    settings = ["lenet5", *QUICK, "--schedule", *schedule, "--ema", "0.5"]
    assert train(*settings, "--epochs", 3, "--out", tmp_path / "whole") == 0
    assert train(*settings, "--epochs", 1, "--out", tmp_path / "more") == 0
    assert train("--resume", tmp_path / "more", "--epochs", 3, "--no-progress") == 0
    check_same_runs(tmp_path / "whole", tmp_path / "more")


@pytest.fixture
def finished(undrawn_pictures, tmp_path):
    folder = tmp_path / "finished"
    assert train("lenet5", *QUICK, "--epochs", 2, "--option", "pool=avg", "--out", folder / "run") == 0
    return folder / "run"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--epochs", "3"], "--epochs 3: the cosine schedule of the run was planned for 2"),
        (["--lr", "0.5"], "--lr 0.5: the run that is resumed has 0.002"),
        (["--data", "mnist"], "--data mnist: the run that is resumed has digits"),
        (["--ema", "0.9"], "--ema 0.9: the run that is resumed has none"),
        (["--option", "pool=max"], "--option pool=max: the run that is resumed has pool=avg"),
        (["--freeze", "conv1"], "--freeze conv1: the run that is resumed has none"),
        (["--out", "elsewhere"], "--out elsewhere: a run goes on in its own folder, "),
    ],
    ids=" ".join,
)
def test_what_contradicts_the_run_is_named(finished, arguments, message, capsys):
    before = (finished / "last.pt").read_bytes()
    assert train("--resume", finished, "--no-progress", *arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert (finished / "last.pt").read_bytes() == before


def test_what_agrees_with_the_run_may_be_repeated(finished, capsys):
    agreeing = ["--lr", "0.002", "--option", "pool=avg", "--epochs", "2", "--threads", "2", "--workers", "1"]
    assert train("lenet5", *QUICK, "--resume", finished, *agreeing) == 0
    printed = capsys.readouterr().out
    assert "threads and workers changed: the numbers may differ from those of an unbroken run" in printed
    assert "going on after epoch 2 of 2: nothing is left to train\n" in printed


def test_a_full_disk_is_told(tmp_path, monkeypatch, capsys):
    def full(content, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(runs.checkpoints.minigrad, "save", full)
    assert train("lenet5", *QUICK, "--epochs", 1, "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'last.pt'}: cannot be written: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--resume", "nowhere"], "--resume nowhere: there is no last.pt"),
        (["--resume"], "--resume: say which run: its folder, or MODEL and --data as when it began"),
        (["lenet5", "--data", "digits", "--resume"], "--resume runs/lenet5-digits: there is no last.pt"),
        (["--resume", "text.pt"], "text.pt: not a readable checkpoint ("),
        (["--resume", "half.pt"], "half.pt: not a readable checkpoint ("),
        (["--resume", "best.pt"], "--resume best.pt: holds a network, not the state of a training"),
        (["--resume", "weights.pt"], "weights.pt: a plain file of weights"),
        (["--resume", "parts.pt"], "parts.pt: a damaged checkpoint: parts of it are missing"),
        (["--resume", "optimizer.pt"], "optimizer.pt: does not fit the run: "),
    ],
    ids=" ".join,
)
def test_runs_that_cannot_be_resumed(finished, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("text.pt").write_text("no checkpoint")
    Path("half.pt").write_bytes((finished / "last.pt").read_bytes()[:5000])
    Path("best.pt").write_bytes((finished / "best.pt").read_bytes())
    content = mg.load(finished / "last.pt")
    mg.save(content["model"], "weights.pt")
    mg.save({**content, "network": {"name": "lenet5"}}, "parts.pt")
    del content["training"]["optimizer"]["param_groups"]
    mg.save(content, "optimizer.pt")
    assert train(*arguments, "--no-progress") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}") and error.count("\n") == 1, error


def test_a_new_run_takes_the_place_of_an_old_one(tmp_path):
    assert train("lenet5", *QUICK, "--epochs", 1, "--out", tmp_path) == 0
    (tmp_path / "best.pt").write_text("of the old run")
    assert train("lenet5", *QUICK, "--epochs", 1, "--seed", 1, "--out", tmp_path) == 0
    assert mg.load(tmp_path / "best.pt")["data"]["seed"] == 1


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    """Interrupted while the last checkpoint is being written: the one before is still whole."""
    with monkeypatch.context() as patch:
        patch.setattr(runs.checkpoints.minigrad, "save", interrupted_save(mg.save))
        assert train("lenet5", *QUICK, "--epochs", 3, "--schedule", "constant", "--out", tmp_path / "run") == 130
    assert mg.load(tmp_path / "run" / "last.pt")["epoch"] == 1
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]
    assert train("--resume", tmp_path / "run", "--no-progress") == 0
    assert train("lenet5", *QUICK, "--epochs", 3, "--schedule", "constant", "--out", tmp_path / "whole") == 0
    check_same_runs(tmp_path / "whole", tmp_path / "run")


def interrupted_save(save):
    """minigrad.save, interrupted in the middle of writing the second epoch's last.pt."""

    def save_until(content, path):
        if content["epoch"] == 2 and content["training"] is not None:
            from minigrad.serialization import archive

            with pytest.MonkeyPatch.context() as patch:
                add = archive.Writer.add

                def slow(writer, name, data):
                    if "data/3" in name:
                        raise KeyboardInterrupt
                    add(writer, name, data)

                patch.setattr(archive.Writer, "add", slow)
                return save(content, path)
        return save(content, path)

    return save_until


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("name, workers", [("SIGINT", 0), ("SIGTERM", 2)])
def test_signals_stop_a_run_that_can_go_on(tmp_path, name, workers):
    command = [sys.executable, "-u", "-m", "models", "train", "lenet5", *QUICK, "--epochs", "1000"]
    command += ["--schedule", "constant", "--workers", str(workers), "--out", str(tmp_path / "run")]
    # In a process group of its own, all of which is signalled, as the terminal does it.
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        for line in process.stdout:
            if line.startswith("epoch "):
                break
        os.killpg(process.pid, getattr(signal, name))
        output, errors = process.communicate(timeout=300)  # a busy machine draws slowly
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    done = int(re.search(r"interrupted after (\d+) of 1000 epochs", output)[1])
    assert f"go on with: python -m models train --resume {tmp_path / 'run'}" in output
    assert train("--resume", tmp_path / "run", "--epochs", done + 1, "--no-progress") == 0
    assert len(json.loads((tmp_path / "run" / "history.json").read_text())) == done + 1
