"""python -m models multilabel: which digits are on a canvas? Any of them, so each has a probability of its own."""
import json
import math
import shlex
import time
from pathlib import Path

import minigrad
import models
from minigrad import nn, recipes
from minigrad.utils.data import DataLoader
from models import checkpoints
from models.commands import plots
from models.commands.logs import Progress
from models.common import (
    CommandError,
    add_machine_arguments,
    number,
    open_device,
    open_folder,
    require,
    write_text,
)
from models.data import image_sets
from models.data.canvases import Canvases
from models.training import AUXILIARY_WEIGHT, OPTIMIZERS, Schedule, split_outputs, train_epoch

HELP = "train a network to say which of several digits are on a canvas (multi-label)"

DIGIT_SETS = ("mnist", "digits")
DEFAULTS = {
    "data": "mnist",
    "model": "lenet_global",
    "output": "sigmoid",
    "canvases": 12000,
    "test_canvases": 2000,
    "side": 64,
    "most": 4,
    "epochs": 5,
    "batch_size": 64,
    "lr": 4e-3,
    "seed": 0,
}
VALIDATION = 10  # every tenth training digit is on the validation canvases, and on no others
EVEN = 0.5  # the threshold that needs no validation


# ---------------------------------------------------------------- the two kinds of outputs
def _binary_loss(scores, labels):
    """Of each class a yes or no of its own: binary cross-entropy."""
    return nn.BCEWithLogitsLoss()(scores, labels)


def _shared_loss(scores, labels):
    """One distribution over all classes, which the classes of a canvas share evenly; empty canvases have none."""
    return nn.functional.cross_entropy(scores, labels / labels.sum(1, keepdim=True).clamp(min=1))


# What makes probabilities (N, K) of scores (N, K), and the loss that it is trained with.
OUTPUTS = {
    "sigmoid": (minigrad.sigmoid, _binary_loss),
    "softmax": (lambda scores: scores.softmax(1), _shared_loss),
}


# ---------------------------------------------------------------- arguments
def add_arguments(parser):
    parser.description = f"{HELP}. The canvases are composed of single digits, those for the test of test digits."

    def add(group, name, text, **kw):
        default = DEFAULTS.get(name)
        shown = f" (default: {default})" if default is not None else ""
        group.add_argument(f"--{name.replace('_', '-')}", help=text + shown, **kw)

    group = parser.add_argument_group("canvases")
    add(group, "data", "where the digits are from", choices=DIGIT_SETS)
    add(group, "root", "where the digits' files are (default: data, then $MINIGRAD_DATA)", metavar="DIR")
    add(group, "canvases", "for training", type=number(int, 1), metavar="N")
    add(group, "test_canvases", "for validation, and as many for the test", type=number(int, 1), metavar="N")
    add(group, "side", "of a canvas; a digit has 28 pixels", type=number(int, 28), metavar="PIXELS")
    add(group, "most", "digits on a canvas, at most", type=number(int, 1), metavar="N")
    group = parser.add_argument_group("training")
    add(group, "model", "one of models.list()", metavar="NAME")
    add(group, "output", "a probability per class, or one distribution over them", choices=OUTPUTS)
    add(group, "epochs", "passes over the canvases", type=number(int, 1), metavar="N")
    add(group, "batch_size", "canvases per step", type=number(int, 1), metavar="N")
    add(group, "lr", "Adam's highest learning rate, in one cycle", type=number(float, 0, strictly=True), metavar="RATE")
    add(group, "seed", "of all random numbers", type=number(int, 0), metavar="N")
    add(group, "resume", "go on with the run in --out", action="store_true")
    add_machine_arguments(parser)
    group = parser.add_argument_group("the rest")
    add(group, "out", "for checkpoint, figures and picture (default: runs/multilabel)", default="runs/multilabel",
        metavar="DIR")
    add(group, "no_progress", "no progress bar", action="store_true")


def settle(arguments):
    """The settings of the run, and the Checkpoint that it goes on from or None."""
    given = {name: getattr(arguments, name) for name in DEFAULTS}
    if not arguments.resume:
        return {name: DEFAULTS[name] if value is None else value for name, value in given.items()}, None
    begun = checkpoints.read(Path(arguments.out) / checkpoints.LAST)
    if not isinstance(begun.training, dict) or set(begun.training.get("settings", ())) != set(DEFAULTS):
        raise CommandError(f"--resume: {begun.path} is no checkpoint of models multilabel")
    settings = begun.training["settings"]
    for name, value in given.items():
        if value not in (None, settings[name]):
            label = name.replace("_", "-")
            raise CommandError(f"--{label} {value}: the run in {arguments.out} was begun with {settings[name]}")
    return settings, begun


# ---------------------------------------------------------------- canvases
def open_digits(name, root):
    """The training digits without the held out ones, these, and the test digits: each (images, targets)."""
    try:
        train, test = (image_sets.SOURCES[name].open(root or "data", part, False) for part in (True, False))
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        reason = image_sets.in_commands(error)
        raise CommandError(f"--data {name}: {reason}") from error
    held = minigrad.arange(len(train.data)) % VALIDATION == 0
    if len(train.data) <= 1 or not len(test.data):
        raise CommandError(f"--data {name}: there are too few digits")
    return {
        "training": (train.data[~held], train.targets[~held]),
        "validation": (train.data[held], train.targets[held]),
        "test": (test.data, test.targets),
    }


def compose(settings, root):
    """The canvases for training, validation and test, which share no digit."""
    made = {}
    for part, digits in open_digits(settings["data"], root).items():
        count = settings["canvases" if part == "training" else "test_canvases"]
        seed = f"{settings['seed']} {part}"
        try:
            made[part] = Canvases(*digits, count, side=settings["side"], most=settings["most"], seed=seed)
        except ValueError as error:
            raise CommandError(f"--side {settings['side']} --most {settings['most']}: {error}") from error
    return made


# ---------------------------------------------------------------- training
class Run:
    """One training run: what was built for it, and what it has achieved so far."""

    def __init__(self, settings, arguments, begun=None):
        self.settings = settings
        self.shows_progress = not arguments.no_progress
        self.workers = arguments.workers or 0
        minigrad.set_num_threads(arguments.threads or 1)
        self.device = open_device(arguments.device or "cpu")
        minigrad.manual_seed(settings["seed"])
        self.canvases = compose(settings, arguments.root)
        self.network = {
            "name": settings["model"],
            "arguments": {"num_classes": len(image_sets.DIGITS), "in_channels": 1, "image_size": settings["side"]},
        }
        self.model = self._build()
        self.probabilities, self.loss_of_scores = OUTPUTS[settings["output"]]
        self.optimizer = OPTIMIZERS["adam"](self.model.parameters(), lr=settings["lr"])
        self.batches = self._loader("training")
        self.schedule = Schedule(
            "onecycle", self.optimizer, epochs=settings["epochs"], steps_per_epoch=len(self.batches)
        )
        self.folder = open_folder(arguments.out)
        self.history = []
        if begun is not None:
            self._go_on(begun)

    def _build(self):
        try:
            model = models.build(self.network["name"], **self.network["arguments"]).to(self.device).eval()
            with minigrad.no_grad():
                model(self.canvases["test"][0][0].unsqueeze(0).to(self.device))
        except (ValueError, TypeError, RuntimeError) as error:
            raise CommandError(f"--model {self.network['name']}: {error}") from error
        return model

    def _loader(self, part):
        training, size = part == "training", self.settings["batch_size"]
        canvases = self.canvases[part]
        # A last batch that is not full is left to the next epochs, which shuffle anew.
        return DataLoader(
            canvases,
            size if training else 256,
            shuffle=training,
            drop_last=training and len(canvases) >= size,
            num_workers=self.workers,
        )

    def loss_of(self, outputs, labels):
        scores, auxiliaries = split_outputs(outputs)
        loss = self.loss_of_scores(scores, labels)
        return loss + sum(AUXILIARY_WEIGHT * self.loss_of_scores(other, labels) for other in auxiliaries)

    def epoch(self):
        """Train, measure on the validation canvases, and save."""
        index, epochs = len(self.history) + 1, self.settings["epochs"]
        title = f"epoch {index:{len(str(epochs))}}/{epochs}"
        seconds = self.history[-1]["seconds"] if self.history else None
        progress = Progress(self.shows_progress, title, len(self.canvases["training"]), epochs - index, seconds)
        started = time.perf_counter()
        try:
            loss = train_epoch(
                self.model,
                self.batches,
                self.optimizer,
                self.schedule,
                device=self.device,
                loss_of=self.loss_of,
                after_batch=progress.update,
            )
        finally:
            progress.close()
        if not math.isfinite(loss):
            raise CommandError(f"the training loss became {loss}: try a lower --lr than {self.settings['lr']:g}")
        precision = recipes.mean_average_precision(*self.predict("validation")).item()
        entry = {"epoch": index, "train_loss": loss, "validation_map": precision}
        entry["seconds"] = time.perf_counter() - started
        self.history.append(entry)
        self.save()
        print(f"{title}  train loss {loss:.4f}  validation mAP {precision:.4f}  {entry['seconds']:.1f} s", flush=True)

    @minigrad.no_grad()
    def predict(self, part):
        """Probabilities and labels of all canvases of a part, both (N, K) on the CPU."""
        self.model.eval()
        found, wanted = [], []
        for images, labels in self._loader(part):
            found.append(self.probabilities(self.model(images.to(self.device))).cpu())
            wanted.append(labels)
        return minigrad.cat(found), minigrad.cat(wanted)

    def save(self):
        """Write last.pt, from which --resume goes on."""
        data = {
            "name": f"canvases of {self.settings['data']}",
            "title": f"canvases of {image_sets.SOURCES[self.settings['data']].title}",
            "classes": list(image_sets.DIGITS),
            "image_size": self.settings["side"],
            "mean": [0.0],
            "std": [1.0],
            "square": True,
            "seed": self.settings["seed"],
        }
        training = {
            "settings": self.settings,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": minigrad.get_rng_state(),
            "history": self.history,
        }
        checkpoints.write(
            self.folder / checkpoints.LAST,
            network=self.network,
            data=data,
            epoch=len(self.history),
            model=self.model.state_dict(),
            scores=self.history[-1] if self.history else None,
            training=training,
        )

    def _go_on(self, begun):
        training = begun.training
        try:
            self.model.load_state_dict(begun.model)
            self.optimizer.load_state_dict(training["optimizer"])
            self.schedule.load_state_dict(training["schedule"])
            self.history = list(training["history"])
            minigrad.set_rng_state(training["random"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CommandError(f"--resume: {begun.path} does not fit the run: {error}") from error

    def describe(self):
        size = sum(parameter.numel() for parameter in self.model.parameters())
        print(f"{self.network['name']}: {size:,} parameters, {self.settings['output']} outputs, on {self.device}")
        print("; ".join(f"{name.replace('_', '-')} {value}" for name, value in self.settings.items()), flush=True)


# ---------------------------------------------------------------- what was learned
def measure(validation, test):
    """The figures of the test canvases, with thresholds chosen on the validation canvases.

    Args:
        validation, test: pairs of probabilities and labels, (N, K).

    Returns a dict: per class average_precision, thresholds, f1_even (at 0.5) and f1_chosen, positives; of all classes
    map, exact_even and exact_chosen, the fractions of canvases of which every class is right.
    """
    thresholds = recipes.best_thresholds(*validation)
    probabilities, labels = test
    found = {
        "average_precision": recipes.average_precision(probabilities, labels).tolist(),
        "map": recipes.mean_average_precision(probabilities, labels).item(),
        "thresholds": thresholds.tolist(),
        "positives": [int(count) for count in labels.sum(0).tolist()],
    }
    for name, limits in (("even", EVEN), ("chosen", thresholds)):
        decisions = recipes.multilabel_decisions(probabilities, limits)
        found[f"f1_{name}"] = recipes.precision_recall_f1(decisions, labels).f1.tolist()
        found[f"exact_{name}"] = (decisions == labels.bool()).all(1).double().mean().item()
    return found


def print_figures(found, classes):
    print(f"\n{'class':>5} {'canvases':>9} {'AP':>8} {'threshold':>10} {'F1 at 0.5':>10} {'F1 there':>10}")
    columns = ("positives", "average_precision", "thresholds", "f1_even", "f1_chosen")
    for name, positives, precision, threshold, even, chosen in zip(classes, *(found[column] for column in columns)):
        print(f"{name:>5} {positives:9,} {precision:8.4f} {threshold:10.3f} {even:10.4f} {chosen:10.4f}")
    even, chosen = (sum(found[name]) / len(classes) for name in ("f1_even", "f1_chosen"))
    print(f"{'mean':>5} {'':9} {found['map']:8.4f} {'':10} {even:10.4f} {chosen:10.4f}")
    print(
        f"mAP {found['map']:.4f}; the whole set is right on {100 * found['exact_even']:.1f} % of the test canvases "
        f"at 0.5, on {100 * found['exact_chosen']:.1f} % at the chosen thresholds",
        flush=True,
    )


def draw(canvases, decisions, labels, classes, title, path):
    """Write a grid of test canvases with the sets that the network sees; mistakes are red and name the right set."""
    predicted = [_set_name(row, classes) for row in decisions.tolist()]
    actual = [_set_name(row, classes) for row in labels.tolist()]
    wrong = [index for index, name in enumerate(predicted) if name != actual[index]]
    first = list(range(min(24, len(predicted))))
    shown = first + [index for index in wrong if index >= len(first)][:8]
    names = sorted({*predicted, *actual})
    plots.prediction_grid(
        [canvases[index][0][0].tolist() for index in shown],
        [names.index(predicted[index]) for index in shown],
        [names.index(actual[index]) for index in shown],
        names,
        f"{title}: the first {len(first)}{', then mistakes' if len(shown) > len(first) else ''}; "
        f"{len(wrong):,} of {len(predicted):,} sets are wrong",
        path,
        columns=8,
    )


def _set_name(row, classes):
    return " ".join(name for name, taken in zip(classes, row) if taken) or "none"


def _without_nan(value):
    """The same with None for NaN and infinity, which JSON lacks: digits that are on no canvas have no precision."""
    if isinstance(value, dict):
        return {name: _without_nan(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report(job):
    """Measure on validation and test canvases; print and write what is found."""
    classes = image_sets.DIGITS
    test = job.predict("test")
    found = measure(job.predict("validation"), test)
    print_figures(found, classes)
    figures, picture = job.folder / "results.json", job.folder / "canvases.png"
    write_text(figures, json.dumps({"settings": job.settings, **_without_nan(found)}, indent=1) + "\n")
    decisions = recipes.multilabel_decisions(test[0], minigrad.tensor(found["thresholds"]))
    draw(job.canvases["test"], decisions, test[1], classes, f"{job.network['name']} on test canvases", picture)
    print(f"wrote {job.folder / checkpoints.LAST}, {figures}, {picture}")


def run(arguments):
    """The command: returns its exit code."""
    require("matplotlib")
    if not arguments.no_progress:
        require("tqdm", "or give --no-progress")
    settings, begun = settle(arguments)
    job = Run(settings, arguments, begun)
    job.describe()
    if begun is None:
        for name in ("results.json", "canvases.png"):  # of an earlier run
            (job.folder / name).unlink(missing_ok=True)
        job.save()
    try:
        while len(job.history) < settings["epochs"]:
            job.epoch()
    except KeyboardInterrupt:
        done = f"{len(job.history)} of {settings['epochs']} epochs"
        print(f"\ninterrupted after {done}")
        print(f"go on with: python -m models multilabel --resume --out {shlex.quote(arguments.out)}", flush=True)
        return 130
    report(job)
    return 0
