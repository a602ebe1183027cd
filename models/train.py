"""python -m models train: train a network on a set of images, and leave its curve and its predictions as pictures."""
import argparse
import ast
import dataclasses
import json
import math
import sys
import time
from pathlib import Path

import minigrad
import models
from minigrad.utils.data import DataLoader
from models import data as image_sets
from models import plots
from models.common import CommandError, require, written_whole
from models.training import MOMENTUM, OPTIMIZERS, SCHEDULES, Schedule, evaluate, train_epoch

HELP = "train a network on a set of images"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Settings that suit one image set; every one can be overridden on the command line."""

    epochs: int
    batch_size: int = 64
    optimizer: str = "adam"
    lr: float = 2e-3
    schedule: str = "cosine"
    augment: str = "none"


RECIPES = {
    "digits": Recipe(epochs=20, batch_size=32, augment="shift"),
    "mnist": Recipe(epochs=8, augment="shift"),
    "fashion": Recipe(epochs=15, augment="flip"),
    "cifar10": Recipe(epochs=25, augment="shift+flip"),
}
OTHER = Recipe(epochs=20, batch_size=32, lr=1e-3, augment="flip")


# ---------------------------------------------------------------- arguments
def _number(kind, least, strictly=False):
    """An argparse type: an int or float that is at least (or more than) least."""

    def parse(text):
        value = kind(text)
        if not (value > least if strictly else value >= least):
            raise argparse.ArgumentTypeError(f"{text} is not {'more than' if strictly else 'at least'} {least}")
        if value == math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not finite")
        return value

    parse.__name__ = kind.__name__
    return parse


def _option(text):
    """NAME=VALUE as a pair; VALUE is a Python literal, or else a string."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def add_arguments(parser):
    sets = ", ".join(image_sets.SOURCES)
    parser.add_argument("model", metavar="MODEL", help=f"one of: {', '.join(models.list())}")
    add = parser.add_argument_group("data").add_argument
    add("--data", required=True, metavar="NAME|DIR", help=f"{sets}, or a folder with one folder of images per class")
    add("--root", metavar="DIR", help="where the data set's files are (default: data, then $MINIGRAD_DATA)")
    add("--download", action="store_true", help="fetch the files into --root if they are missing")
    add("--image-size", type=_number(int, 1), metavar="PIXELS", help="side that images are brought to")
    add("--augment", choices=image_sets.AUGMENTATIONS, help="random changes to the training images")
    add("--workers", type=_number(int, 0), default=0, metavar="N", help="loader processes (default: 0)")
    add = parser.add_argument_group("training (defaults depend on the data)").add_argument
    add("--epochs", type=_number(int, 1), metavar="N", help="passes over the training images")
    add("--batch-size", type=_number(int, 1), metavar="N", help="training images per step")
    add("--optimizer", choices=OPTIMIZERS, help="what turns gradients into steps")
    add("--lr", type=_number(float, 0, strictly=True), metavar="RATE", help="learning rate, the schedule's highest")
    add("--momentum", type=_number(float, 0), metavar="M", help="for sgd (default 0.9) and rmsprop (default 0)")
    add("--weight-decay", type=_number(float, 0), metavar="W", help="default: the optimizer's own")
    add("--schedule", choices=SCHEDULES, help="of the learning rate, per batch")
    add("--seed", type=_number(int, 0), default=0, metavar="N", help="of all random numbers (default: 0)")
    add = parser.add_argument_group("the rest").add_argument
    add("--option", type=_option, action="append", default=[], metavar="NAME=VALUE",
        help="an argument of the network, e.g. activation=tanh; may be given several times")
    add("--device", default="cpu", metavar="cpu|cuda|cuda:N", help="default: cpu")
    add("--threads", type=_number(int, 1), default=1, metavar="N", help="CPU threads (default: 1)")
    add("--out", metavar="DIR", help="where the pictures go (default: runs/MODEL-DATA)")
    add("--no-progress", action="store_true", help="no progress bar")


def settle(arguments):
    """Fill what was not given: from the data set's recipe, then from the optimizer."""
    recipe = RECIPES.get(arguments.data, OTHER)
    for field in dataclasses.fields(Recipe):
        if getattr(arguments, field.name) is None:
            setattr(arguments, field.name, getattr(recipe, field.name))
    if arguments.momentum is None:
        arguments.momentum = MOMENTUM.get(arguments.optimizer)
    elif arguments.optimizer not in MOMENTUM:
        raise CommandError(f"--momentum: {arguments.optimizer} has none; {' and '.join(MOMENTUM)} have")
    if arguments.out is None:
        arguments.out = f"runs/{arguments.model}-{Path(arguments.data).name or 'images'}"
    return arguments


# ---------------------------------------------------------------- what the arguments name
def open_device(name):
    try:
        device = minigrad.device(name)
        minigrad.zeros(1, device=device)
    except (RuntimeError, ImportError, ValueError, TypeError, AssertionError) as error:
        raise CommandError(f"--device {name}: {error}") from error
    return device


def build_model(name, options, images):
    settings = {"num_classes": len(images.classes), "in_channels": images.channels, "image_size": images.image_size}
    taken = ", ".join(option for option, _ in options if option in settings)
    if taken:
        raise CommandError(f"--option {taken}: the images decide that (and --image-size)")
    try:
        return models.build(name, **settings, **dict(options))
    except ValueError as error:
        raise CommandError(str(error)) from error
    except TypeError as error:
        raise CommandError(f"--option: {error}") from error


def build_optimizer(arguments, parameters):
    settings = {"momentum": arguments.momentum, "weight_decay": arguments.weight_decay}
    given = {name: value for name, value in settings.items() if value is not None}
    return OPTIMIZERS[arguments.optimizer](parameters, lr=arguments.lr, **given)


def open_folder(path):
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(folder / "history.json") as temporary:
            Path(temporary).write_text("[]\n")
    except OSError as error:
        raise CommandError(f"--out {path}: cannot write there: {error}") from error
    return folder


# ---------------------------------------------------------------- training
def progress(batches, shown, title):
    if not shown:
        return batches
    # On a terminal the bar is redrawn often and wiped; in a log it appears every few seconds, for long epochs only.
    live = sys.stderr.isatty()
    pause = 0.1 if live else 5.0
    bar = require("tqdm", "or give --no-progress").tqdm
    return bar(batches, desc=title, leave=False, ascii=not live, mininterval=pause, delay=0 if live else pause)


def show(batches, loss):
    """The mean loss so far, on the progress bar if there is one."""
    if hasattr(batches, "set_postfix_str"):
        batches.set_postfix_str(f"loss {loss:.4f}", refresh=False)


class Run:
    """One training run: what was built for it, and what it has achieved so far."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.shows_progress = not arguments.no_progress
        if self.shows_progress:
            require("tqdm", "or give --no-progress")
        require("matplotlib")
        minigrad.set_num_threads(arguments.threads)
        minigrad.manual_seed(arguments.seed)
        self.device = open_device(arguments.device)
        self.images = image_sets.load(
            arguments.data, arguments.root, arguments.download, arguments.augment, arguments.image_size, arguments.seed
        )
        self.model = build_model(arguments.model, arguments.option, self.images).to(self.device)
        self.optimizer = build_optimizer(arguments, self.model.parameters())
        self.batches = self._loader(self.images.train, shuffle=True)
        self.test_batches = self._loader(self.images.test, shuffle=False)
        self.schedule = Schedule(
            arguments.schedule, self.optimizer, epochs=arguments.epochs, steps_per_epoch=len(self.batches)
        )
        self.folder = open_folder(arguments.out)
        self.history = []
        self.scores = None

    def _loader(self, dataset, shuffle):
        return DataLoader(
            dataset,
            self.arguments.batch_size if shuffle else max(256, self.arguments.batch_size),
            shuffle=shuffle,
            num_workers=self.arguments.workers,
            persistent_workers=self.arguments.workers > 0,
            pin_memory=self.device.type == "cuda",
        )

    def describe(self):
        """Print the configuration."""
        images = self.images
        size = sum(parameter.numel() for parameter in self.model.parameters())
        print(f"{self.arguments.model}: {size:,} parameters, on {self.device}")
        print(
            f"{images.title}: {len(images.train):,} training and {len(images.test):,} test images, "
            f"{len(images.classes)} classes, {images.channels}x{images.image_size}x{images.image_size}"
        )
        unused = {"run", "command", "model", "data", "device", "no_progress"}
        settings = {name: value for name, value in vars(self.arguments).items() if name not in unused}
        settings["option"] = " ".join(f"{name}={value}" for name, value in settings["option"]) or None
        shown = [(name.replace("_", "-"), value) for name, value in settings.items()]
        print("; ".join(f"{name} {value}" for name, value in shown if value is not None and value is not False))
        sys.stdout.flush()

    def epoch(self, number):
        """Train and test once, print a line, and keep the figures."""
        title = f"epoch {number:{len(str(self.arguments.epochs))}}/{self.arguments.epochs}"
        started = time.perf_counter()
        batches = progress(self.batches, self.shows_progress, title)
        try:
            with image_sets.readable():
                train_loss = train_epoch(
                    self.model,
                    batches,
                    self.optimizer,
                    self.schedule,
                    device=self.device,
                    after_batch=lambda count, loss: show(batches, loss),
                )
        finally:
            if self.shows_progress:
                batches.close()
        trained = time.perf_counter()
        with image_sets.readable():
            self.scores = evaluate(self.model, self.test_batches, device=self.device)
        self.schedule.epoch_done(self.scores.accuracy)
        entry = {
            "epoch": number,
            "train_loss": train_loss,
            "test_loss": self.scores.loss,
            "test_accuracy": self.scores.accuracy,
            "seconds": time.perf_counter() - started,
            "images_per_second": len(self.images.train) / (trained - started),
        }
        self.history.append(entry)
        with written_whole(self.folder / "history.json") as temporary:
            Path(temporary).write_text(json.dumps(self.history, indent=1) + "\n")
        print(
            f"{title}  train loss {train_loss:.4f}  test loss {self.scores.loss:.4f}  "
            f"test accuracy {100 * entry['test_accuracy']:.2f} %  {entry['seconds']:.1f} s  "
            f"{entry['images_per_second']:,.0f} images/s",
            flush=True,
        )
        if not math.isfinite(train_loss):
            raise CommandError(f"the training loss became {train_loss}: try a lower --lr than {self.arguments.lr:g}")

    def draw(self):
        """Write the training curve and the grid of predictions; returns their paths."""
        title = f"{self.arguments.model} on {self.images.title}"
        curve = self.folder / "curve.png"
        plots.training_curve(self.history, title, curve)
        # The first forty test images as they come, then up to ten of the mistakes that are not among them.
        wrong = [index for index, guess in enumerate(self.scores.predicted) if guess != self.scores.actual[index]]
        first = list(range(min(40, len(self.scores.predicted))))
        shown = first + [index for index in wrong if index >= len(first)][:10]
        grid = self.folder / "predictions.png"
        plots.prediction_grid(
            [self.images.picture(self.images.test[index][0]) for index in shown],
            [self.scores.predicted[index] for index in shown],
            [self.scores.actual[index] for index in shown],
            self.images.classes,
            f"{title}: the first {len(first)} test images{', then mistakes' if len(shown) > len(first) else ''}; "
            f"{len(wrong)} of {len(self.scores.predicted):,} are wrong",
            grid,
        )
        return curve, grid


def run(arguments):
    """The command: returns its exit code."""
    job = Run(settle(arguments))
    job.describe()
    started = time.perf_counter()
    interrupted = False
    try:
        for number in range(1, job.arguments.epochs + 1):
            job.epoch(number)
    except KeyboardInterrupt:
        interrupted = True
        print(f"\ninterrupted after {len(job.history)} of {job.arguments.epochs} epochs", flush=True)
    seconds = time.perf_counter() - started
    if job.history:
        written = [job.folder / "history.json", *job.draw()]
        last = job.history[-1]
        print(
            f"test accuracy {100 * last['test_accuracy']:.2f} % of {len(job.scores.actual):,} images "
            f"after {last['epoch']} {'epoch' if last['epoch'] == 1 else 'epochs'}, {seconds:.1f} s"
        )
        print("wrote " + ", ".join(str(path) for path in written))
    return 130 if interrupted else 0
