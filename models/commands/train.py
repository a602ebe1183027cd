"""python -m models train: train a network on a set of images, and leave its checkpoints, figures and pictures."""
import json
import shlex
import time
from pathlib import Path

from models import checkpoints
from models.commands import plots
from models.commands.arguments import add_arguments, given, lines, run_folder, settle, settle_again
from models.commands.run import Run
from models.common import CommandError, require, write_text
from models.data import image_sets
from models.registry import COMMON

__all__ = ["HELP", "add_arguments", "run"]

HELP = "train a network on a set of images"


# ---------------------------------------------------------------- how a run begins
def find_begun(resume, chosen):
    """The Checkpoint with which a run goes on, read from last.pt; resume is its path, its folder's, or True."""
    if resume is True:
        if "out" not in chosen and not {"model", "data"} <= set(chosen):
            raise CommandError("--resume: say which run: its folder, or MODEL and --data as when it began")
        resume = run_folder(chosen)
    path = Path(resume)
    path = path / checkpoints.LAST if path.is_dir() or not path.suffix else path
    if not path.is_file():
        raise CommandError(f"--resume {resume}: there is no {checkpoints.LAST}, so nothing to go on with")
    if "out" in chosen and Path(chosen["out"]).resolve() != path.parent.resolve():
        raise CommandError(f"--out {chosen['out']}: a run goes on in its own folder, {path.parent}")
    begun = checkpoints.read(path)
    if begun.training is None or not isinstance(begun.training.get("settings"), dict):
        raise CommandError(f"--resume {path}: holds a network, not the state of a training as {checkpoints.LAST} does")
    return begun


def begin_with(source, chosen):
    """What was chosen, and the network's name and options from the checkpoint that --from names where they were not."""
    options = dict(chosen.get("option", ()))
    origin = checkpoints.read(source, chosen.get("model"))
    regularizers = {"dropout": "dropout", "stochastic_depth_prob": "stochastic_depth"}
    for name, value in origin.network["arguments"].items():
        if name not in COMMON and regularizers.get(name) not in chosen:
            options.setdefault(name, value)
    return {**chosen, "model": origin.name, "option": list(options.items())}


def open_run(arguments):
    """The Run that the arguments ask for: a new one, or one that goes on."""
    chosen = given(arguments)
    if not chosen.get("no_progress"):
        require("tqdm", "or give --no-progress")
    require("matplotlib")
    if arguments.resume is not None:
        begun = find_begun(arguments.resume, chosen)
        settings = settle_again(begun.training["settings"], chosen)
        settings["out"] = str(begun.path.parent)
        before = begun.training["settings"]
        changed = [name for name in ("device", "threads", "workers") if settings[name] != before.get(name)]
        if changed:
            print(f"{' and '.join(changed)} changed: the numbers may differ from those of an unbroken run", flush=True)
        if settings["epochs"] < begun.epoch:
            raise CommandError(f"--epochs {settings['epochs']}: the run has had {begun.epoch} already")
        return Run(settings, begun), begun
    if "source" in chosen:
        chosen = begin_with(chosen["source"], chosen)
    return Run(settle(chosen)), None


# ---------------------------------------------------------------- what is printed and drawn
def describe(job):
    """Print the configuration, and write it to config.json."""
    settings, images = job.settings, job.images
    size = sum(parameter.numel() for parameter in job.model.parameters())
    frozen = sum(parameter.numel() for parameter in job.model.parameters() if not parameter.requires_grad)
    frozen = f", {frozen:,} of them frozen" if frozen else ""
    print(f"{settings['model']}: {size:,} parameters{frozen}, on {job.device}")
    held = f", {len(images.validation):,} validation" if images.validation is not None else ""
    print(
        f"{images.title}: {len(images.train):,} training{held} and {len(images.test):,} test images, "
        f"{len(images.classes)} classes, {images.channels}x{images.image_size}x{images.image_size}"
    )
    print(lines(settings))
    by = "the validation images" if job.watched == "validation" else "the test images themselves (no --validation)"
    print(f"{checkpoints.BEST} is the epoch with the highest accuracy on {by}", flush=True)
    config = {**settings, "network": job.network, "parameters": size, "classes": list(images.classes)}
    write_text(job.folder / "config.json", json.dumps(config, indent=1) + "\n")


def draw(job, scores):
    """Write the training curve, and the grid of predictions if there are scores of the test; returns their paths."""
    title = f"{job.settings['model']} on {job.images.title}"
    curve = job.folder / "curve.png"
    plots.training_curve(job.history, title, curve)
    if scores is None:
        return [curve]
    # The first forty test images as they come, then up to ten of the mistakes that are not among them.
    wrong = [index for index, guess in enumerate(scores.predicted) if guess != scores.actual[index]]
    first = list(range(min(40, len(scores.predicted))))
    shown = first + [index for index in wrong if index >= len(first)][:10]
    grid = job.folder / "predictions.png"
    with image_sets.readable():
        pictures = [job.images.picture(job.images.test[index][0]) for index in shown]
    plots.prediction_grid(
        pictures,
        [scores.predicted[index] for index in shown],
        [scores.actual[index] for index in shown],
        job.images.classes,
        f"{title}: the first {len(first)} test images{', then mistakes' if len(shown) > len(first) else ''}; "
        f"{len(wrong)} of {len(scores.predicted):,} are wrong",
        grid,
    )
    return [curve, grid]


def conclude(job, seconds, interrupted):
    """Draw the pictures, and print what the run has come to."""
    done = f"{job.epoch} {'epoch' if job.epoch == 1 else 'epochs'}, {seconds:.1f} s"
    scores = job.tested if interrupted else job.final_scores()
    written = [job.folder / "history.json", *draw(job, scores)]
    best, name = job.best, checkpoints.BEST
    if job.watched == "validation":
        print(f"validation accuracy {100 * best['accuracy']:.2f} % in epoch {best['epoch']} of {done}")
        if scores is not None:
            print(f"test accuracy {100 * scores.accuracy:.2f} % of {len(scores.actual):,} images, with {name}")
    elif scores is not None:
        what = "averaged weights: " if job.average is not None else ""
        print(f"{what}test accuracy {100 * scores.accuracy:.2f} % of {len(scores.actual):,} images after {done}")
        print(f"{name} is of epoch {best['epoch']}: {100 * best['accuracy']:.2f} % of the same images")
    print("wrote " + ", ".join(str(path) for path in [*written, job.folder / checkpoints.BEST]), flush=True)


# ---------------------------------------------------------------- the command
def run(arguments):
    """The command: returns its exit code."""
    job, begun = open_run(arguments)
    describe(job)
    epochs = job.settings["epochs"]
    started = time.perf_counter()
    interrupted = False
    try:
        if begun is None:
            job.start()
        else:
            left = ": nothing is left to train" if job.finished else ""
            print(f"going on after epoch {job.epoch} of {epochs}{left}", flush=True)
        job.logs.write(job.history)
        while not job.finished:
            job.train_one_epoch()
        if job.stopped_early and job.epoch < epochs:
            print(f"stopped early: no progress for {job.settings['early_stopping']} epochs", flush=True)
    except KeyboardInterrupt:
        interrupted = True
        print(f"\ninterrupted after {job.epoch} of {epochs} epochs")
        print(f"go on with: python -m models train --resume {shlex.quote(str(job.folder))}", flush=True)
    finally:
        job.logs.close()
    if job.history:
        conclude(job, time.perf_counter() - started, interrupted)
    return 130 if interrupted else 0
