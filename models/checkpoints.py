"""The files a training run leaves: what is in them, and how a network is built from one again.

A checkpoint is a dict in the format of minigrad.save, which torch.load reads too:

    format, version     "minigrad checkpoint", and minigrad's version that wrote it
    network             its name in models.list() and the arguments of its builder
    data                name, title, classes, image_size, mean, std, square and seed of the images it was trained on
    epoch               how many epochs it was trained
    model, ema          the state_dict of the network, and of its averaged weights (None if none were kept)
    scores              the figures of that epoch
    training            in last.pt: all that is needed to go on (see models/commands/run.py); else None
"""
import contextlib
import dataclasses
import pickle
import zipfile
from pathlib import Path

import minigrad
import models
from models import registry
from models.common import CommandError

FORMAT = "minigrad checkpoint"
BEST, LAST = "best.pt", "last.pt"
UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, KeyError, TypeError, ImportError)
UNREADABLE += (zipfile.BadZipFile, pickle.UnpicklingError)


@dataclasses.dataclass
class Checkpoint:
    """A checkpoint that was read, or a plain file of weights (then data, scores and training are None)."""

    path: Path
    network: dict
    model: dict
    data: dict | None = None
    epoch: int | None = None
    ema: dict | None = None
    scores: dict | None = None
    training: dict | None = None
    version: str | None = None

    @property
    def name(self):
        return self.network["name"]

    def build(self, weights=None, **changed):
        """The network with its weights, in evaluation mode.

        Args:
            weights: "model", "ema" for the averaged ones, or None: the averaged ones if there are any.
            changed: arguments of the builder to change, which leave the weights' shapes as they are.

        Raises:
            CommandError: if the weights are not there, or do not fit the network.
        """
        which = weights or ("ema" if self.ema else "model")
        state = getattr(self, which)
        if state is None:
            raise CommandError(f"{self.path}: has no averaged weights (the run had no --ema)")
        try:
            model = models.build(self.name, **{**self.network["arguments"], **changed})
            registry.fit_state(model, state, str(self.path))
        except (ValueError, TypeError, RuntimeError, AttributeError) as error:
            text = str(error).removeprefix("weights: ")
            raise CommandError(text if str(self.path) in text else f"{self.path}: {text}") from error
        return model.eval()

    def describe(self, weights=None):
        """One line: what it is, and which weights are meant (see build)."""
        text = f"{self.path}: {self.name}"
        if self.data is not None:
            epochs = "1 epoch" if self.epoch == 1 else f"{self.epoch} epochs"
            text += f", {epochs} of {self.data['title']}"
        return text + (", averaged weights" if self.ema and weights != "model" else "")


def write(path, *, network, data, epoch, model, ema=None, scores=None, training=None):
    """Write a checkpoint, whole or not at all; CommandError if that cannot be, as on a full disk."""
    content = {
        "format": FORMAT,
        "version": minigrad.__version__,
        "network": network,
        "data": data,
        "epoch": epoch,
        "model": model,
        "ema": ema,
        "scores": scores,
        "training": training,
    }
    try:
        minigrad.save(content, path)
    except (OSError, RuntimeError) as error:
        raise CommandError(f"{path}: cannot be written: {error}") from error


def read(path, name=None, options=None, image_size=None, named_by="--model"):
    """Read a checkpoint, or a plain file of weights (a state_dict) of the network called name.

    Args:
        path: of the file, or of the folder of a run, whose best checkpoint is meant.
        name: the network's; needed for a plain file, and checked for a checkpoint.
        options: the builder's further arguments, for a plain file.
        image_size: of the network, for a plain file; None: what its builder has.
        named_by: how the user gives the name, for the error that it is missing.

    Raises:
        CommandError: if there is no such file, it cannot be read, is damaged, or is of another network.
    """
    path = Path(path)
    if path.is_dir():
        path = path / BEST
    if not path.is_file():
        raise CommandError(f"{path}: no such checkpoint{_meant(str(path), name)}")
    try:
        content = registry.read_file(path)
    except UNREADABLE as error:
        raise CommandError(f"{path}: not a readable checkpoint ({_short(error)})") from error
    if isinstance(content, dict) and content.get("format") == FORMAT:
        return _own(path, content, name, options)
    return _plain(path, content, name, dict(options or {}), image_size, named_by)


def _meant(text, name):
    """What to do about a path that is no file but means something else; empty if it does not."""
    if text in registry.list_models():
        return "; it is the name of a network, and a file or folder of weights is meant"
    if name in registry.list_models():
        with contextlib.suppress(ValueError, KeyError):  # nothing is published of the network, or not by this name
            return f"; a file is meant, such as the one of {registry.get_model_weights(name)[text].url}"
    return ""


def _short(error):
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def _own(path, content, name, options):
    kept = {field.name: content.get(field.name) for field in dataclasses.fields(Checkpoint) if field.name != "path"}
    found = Checkpoint(path, **kept)
    try:
        complete = (
            isinstance(found.name, str)
            and isinstance(found.network["arguments"], dict)
            and {"title", "classes", "image_size", "mean", "std", "square", "seed", "name"} <= set(found.data)
            and isinstance(found.model, dict)
            and isinstance(found.epoch, int)
        )
    except (TypeError, KeyError):
        complete = False
    if not complete:
        raise CommandError(f"{path}: a damaged checkpoint: parts of it are missing")
    if found.name not in models.list():
        raise CommandError(f"{path}: a checkpoint of {found.name!r}, which is none of the networks here")
    if name is not None and name != found.name:
        raise CommandError(f"{path}: a checkpoint of {found.name}, not of {name}")
    if options:
        raise CommandError(f"--option: {path} is a checkpoint and says itself how its network is built")
    return found


def _plain(path, content, name, options, image_size, named_by):
    try:
        state = registry.state_of(content, str(path))
    except RuntimeError as error:
        raise CommandError(f"{path}: neither a checkpoint of models train nor a file of weights") from error
    if name is None:
        raise CommandError(f"{path}: a plain file of weights: say of which network with {named_by}")
    arguments = {**_sizes(state), **options}
    if image_size is not None:
        arguments["image_size"] = image_size
    found = Checkpoint(path, {"name": name, "arguments": arguments}, state)
    found.build()  # so that a file of another network is refused here
    return found


def _sizes(state):
    """What the shapes of a state_dict tell: the channels of the first convolution, the classes of the last layer."""
    shapes = [tuple(value.shape) for value in state.values()]
    convolutions = [shape for shape in shapes if len(shape) == 4]
    matrices = [shape for shape in shapes if len(shape) == 2]
    found = {}
    if convolutions:
        found["in_channels"] = convolutions[0][1]
    if matrices:
        found["num_classes"] = matrices[-1][0]
    return found
