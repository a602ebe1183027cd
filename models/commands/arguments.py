"""What python -m models train can be told, and what it settles itself."""
import argparse
import dataclasses
from pathlib import Path

from models.common import CommandError, add_machine_arguments, number, option
from models.data import augmentation, image_sets
from models.training import MOMENTUM, OPTIMIZERS, PLANNED_FOR_ITS_EPOCHS, SCHEDULES


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
    "cifar100": Recipe(epochs=25, augment="shift+flip"),
}
OTHER = Recipe(epochs=20, batch_size=32, lr=1e-3, augment="flip")

# Of the schedules' own settings: which schedules have it, and its default there (None: a part of the run).
OF_SCHEDULES = {
    "gamma": (("step", "multistep", "plateau"), 0.1),
    "step_epochs": (("step",), None),
    "milestones": (("multistep",), None),
    "cycle": (("restarts",), None),
    "patience": (("plateau",), 5),
}
# A run that is resumed may differ in these: they say where and how it runs, not what it computes.
OF_THE_MACHINE = ("root", "download", "device", "threads", "workers", "no_progress", "tensorboard")


def _augmentations(text):
    try:
        augmentation.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _milestones(text):
    try:
        found = [int(epoch) for epoch in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of epochs such as 30,60") from None
    if found != sorted(set(found)) or found[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: the epochs must be positive and grow")
    return found


def add_arguments(parser):
    """The arguments, none with a default: what is None was not given, and is settled later."""
    fraction = number(float, 0, below=1)
    changes = [f"  {name:21} {change.help}" for name, change in augmentation.AUGMENTATIONS.items()]
    parser.epilog = "\n".join(["augmentations:", *changes])
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a network: python -m models --help has the names")
    add = parser.add_argument_group("data").add_argument
    sets = ", ".join(image_sets.SOURCES)
    add("--data", metavar="NAME|DIR", help=f"{sets}, or a folder with one folder of images per class")
    add("--root", metavar="DIR", help="where the data set's files are (default: data, then $MINIGRAD_DATA)")
    add("--download", action="store_true", help="fetch the files into --root if they are missing")
    add("--image-size", type=number(int, 1), metavar="PIXELS", help="side that images are brought to")
    add("--subset", type=number(int, 1), metavar="N", help="train on N images only, the same number of every class")
    add("--validation", type=number(float, 0, below=1, strictly=True), metavar="FRACTION",
        help="hold out this part of the training images, for best.pt, plateau and --early-stopping to go by")
    names = ", ".join(augmentation.AUGMENTATIONS)
    add("--augment", type=_augmentations, metavar="A+B",
        help=f"random changes to the training images: none, {names}, or several joined by +")
    add("--mixup", type=number(float, 0, strictly=True), metavar="ALPHA", help="blend pairs of images and labels")
    add("--cutmix", type=number(float, 0, strictly=True), metavar="ALPHA", help="paste part of one image into another")
    add = parser.add_argument_group("training (defaults depend on the data)").add_argument
    add("--epochs", type=number(int, 1), metavar="N", help="passes over the training images")
    add("--batch-size", type=number(int, 1), metavar="N", help="training images per step")
    add("--optimizer", choices=OPTIMIZERS, help="what turns gradients into steps")
    add("--lr", type=number(float, 0, strictly=True), metavar="RATE", help="learning rate, the schedule's highest")
    add("--momentum", type=number(float, 0), metavar="M", help="for sgd (default 0.9) and rmsprop (default 0)")
    add("--seed", type=number(int, 0), metavar="N", help="of all random numbers (default: 0)")
    add = parser.add_argument_group("schedule of the learning rate, per batch").add_argument
    add("--schedule", choices=SCHEDULES, help="plateau: when the accuracy has stopped growing; the others by the clock")
    add("--warmup", type=number(float, 0), metavar="EPOCHS", help="grow linearly to the full rate first")
    add("--gamma", type=number(float, 0, below=1), metavar="FACTOR", help="of step, multistep, plateau (default: 0.1)")
    add("--step-epochs", type=number(int, 1), metavar="N", help="of step (default: a third of the run)")
    add("--milestones", type=_milestones, metavar="N,N", help="of multistep (default: half and three quarters)")
    add("--cycle", type=number(int, 1), metavar="EPOCHS", help="of restarts (default: a third of the run)")
    add("--patience", type=number(int, 0), metavar="EPOCHS", help="of plateau: epochs without progress (default: 5)")
    add = parser.add_argument_group("regularizers (default: none)").add_argument
    add("--dropout", type=fraction, metavar="P", help="of networks that have it")
    add("--stochastic-depth", type=fraction, metavar="P", help="of residual networks: P for the last block")
    add("--weight-decay", type=number(float, 0), metavar="W", help="in the optimizer's step (default: its own)")
    add("--l1", type=number(float, 0), metavar="W", help="add W times the sum of |weight| to the loss")
    add("--l2", type=number(float, 0), metavar="W", help="add W times the sum of weight² to the loss")
    add("--label-smoothing", type=fraction, metavar="E", help="spread this part of each label over all classes")
    add("--ema", type=number(float, 0, below=1, strictly=True), metavar="DECAY",
        help="average the weights (Polyak) with this decay, and test and save the average")
    add("--early-stopping", type=number(int, 1), metavar="EPOCHS", help="stop after so many epochs without progress")
    add("--clip-norm", type=number(float, 0, strictly=True), metavar="NORM", help="scale larger gradients down to it")
    add = parser.add_argument_group("transfer").add_argument
    add("--from", dest="source", metavar="CHECKPOINT", help="begin with its network and weights, the last layer new")
    add("--freeze", action="append", metavar="PATTERN",
        help="do not train these parameters: a name or pattern such as 'conv1.*', or all-but-head; several times")
    add("--head-lr", type=number(float, 0, strictly=True), metavar="RATE", help="learning rate of the new last layer")
    add = parser.add_argument_group("the rest").add_argument
    add("--option", type=option, action="append", metavar="NAME=VALUE",
        help="an argument of the network, e.g. activation=tanh; may be given several times")
    add("--out", metavar="DIR", help="where everything is written (default: runs/MODEL-DATA)")
    add("--resume", nargs="?", const=True, metavar="DIR|last.pt",
        help="go on with an interrupted run, as if it had not been; other arguments are not needed")
    add("--tensorboard", action="store_true", help="also log for TensorBoard")
    add("--no-progress", action="store_true", help="no progress bar")
    add_machine_arguments(parser)


def given(arguments):
    """What the user said, without what argparse left at None or False, as a dict."""
    aside = ("run", "command", "resume")
    return {
        name: value
        for name, value in vars(arguments).items()
        if name not in aside and value is not None and value is not False
    }


def run_folder(settings):
    """Where a run goes that was not told."""
    return settings.get("out") or f"runs/{settings['model']}-{Path(settings['data']).name or 'images'}"


def settle(chosen):
    """All settings of a new run, as a dict: those chosen, then the data set's recipe, the optimizer's, the schedule's.

    Raises:
        CommandError: for settings that contradict each other.
    """
    if "model" not in chosen:
        raise CommandError("MODEL is missing: the name of a network (or --resume, or --from)")
    if "data" not in chosen:
        raise CommandError("--data is missing: the name of an image set, or a folder")
    settings = dict(chosen)
    for name, value in vars(RECIPES.get(settings["data"], OTHER)).items():
        settings.setdefault(name, value)
    for name, value in {"seed": 0, "workers": 0, "threads": 1, "device": "cpu", "warmup": 0}.items():
        settings.setdefault(name, value)
    settings["option"] = dict(settings.get("option", ()))
    settings["out"] = run_folder(settings)
    _settle_optimizer(settings)
    _settle_schedule(settings)
    for name in ("freeze", "head_lr"):
        if name in settings and "source" not in settings:
            raise CommandError(f"--{name.replace('_', '-')}: is for a run that begins with --from CHECKPOINT")
    return settings


def _settle_optimizer(settings):
    optimizer = settings["optimizer"]
    if "momentum" in settings and optimizer not in MOMENTUM:
        raise CommandError(f"--momentum: {optimizer} has none; {' and '.join(MOMENTUM)} have")
    if optimizer in MOMENTUM:
        settings.setdefault("momentum", MOMENTUM[optimizer])


def _settle_schedule(settings):
    schedule = settings["schedule"]
    for name, (schedules, default) in OF_SCHEDULES.items():
        if schedule in schedules:
            if default is not None:
                settings.setdefault(name, default)
        elif name in settings:
            has = "has" if len(schedules) == 1 else "have"
            raise CommandError(f"--{name.replace('_', '-')}: {schedule} has none; {' and '.join(schedules)} {has}")


def settle_again(saved, chosen):
    """The settings of a resumed run: the saved ones, with another number of epochs or another machine if chosen so.

    Raises:
        CommandError: naming what was chosen otherwise than the run has it, or more epochs than its schedule allows.
    """
    settings = {**saved, **{name: chosen[name] for name in OF_THE_MACHINE if name in chosen}}
    for name, value in chosen.items():
        value = dict(value) if name == "option" else value
        if name in OF_THE_MACHINE or name in ("epochs", "out") or saved.get(name) == value:
            continue
        label = {"model": "MODEL", "source": "--from"}.get(name, f"--{name.replace('_', '-')}")
        had = f"has {_shown(saved[name])}" if name in saved else "has none"
        raise CommandError(f"{label} {_shown(value)}: the run that is resumed {had}")
    epochs = chosen.get("epochs", saved["epochs"])
    if epochs != saved["epochs"] and saved["schedule"] in PLANNED_FOR_ITS_EPOCHS:
        setting = PLANNED_FOR_ITS_EPOCHS[saved["schedule"]]
        if setting is None or setting not in saved:
            raise CommandError(
                f"--epochs {epochs}: the {saved['schedule']} schedule of the run was planned for {saved['epochs']}"
            )
    settings["epochs"] = epochs
    return settings


def lines(settings):
    """The settings for people: name value; name value; …"""
    unused = ("model", "data", "device", "no_progress", "download")
    shown = {"from" if name == "source" else name.replace("_", "-"): settings[name]
             for name in settings if name not in unused}
    texts = {name: _shown(value) for name, value in shown.items() if value not in (None, {}) and value is not False}
    return "; ".join(name if text == "True" else f"{name} {text}" for name, text in texts.items())


def _shown(value):
    """A setting as the user would write it."""
    if isinstance(value, dict):
        return " ".join(f"{name}={part}" for name, part in value.items()) or "none"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
