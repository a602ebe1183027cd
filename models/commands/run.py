"""One training run: what is built for it, its epochs, and its checkpoints."""
import contextlib
import math
import random
import time
from pathlib import Path

import minigrad
import models
from minigrad import nn
from minigrad.nn import utils as nn_utils
from minigrad.optim.swa_utils import AveragedModel
from minigrad.recipes import EarlyStopping
from minigrad.utils.data import DataLoader
from minigrad.vision import transforms
from models import checkpoints
from models.commands import transfer
from models.commands.logs import Logs, Progress
from models.common import CommandError, open_device, open_folder
from models.data import image_sets
from models.training import OPTIMIZERS, Schedule, classification_loss, evaluate, train_epoch


# ---------------------------------------------------------------- what the settings name
def builder_arguments(settings, images):
    """The arguments of the network's builder: what the images decide, the regularizers, the user's own options."""
    sizes = {"num_classes": len(images.classes), "in_channels": images.channels, "image_size": images.image_size}
    taken = ", ".join(name for name in settings["option"] if name in sizes)
    if taken:
        raise CommandError(f"--option {taken}: the images decide that (and --image-size)")
    regularizers = {"dropout": settings.get("dropout"), "stochastic_depth_prob": settings.get("stochastic_depth")}
    given = {name: value for name, value in regularizers.items() if value is not None}
    return {**sizes, **given, **settings["option"]}


def build_model(name, arguments):
    """Build a network; CommandError if there is none of that name, or it lacks an argument or refuses its value."""
    try:
        return models.build(name, **arguments)
    except ValueError as error:
        raise CommandError(str(error)) from error
    except TypeError as error:
        lacking = {"dropout": "--dropout", "stochastic_depth_prob": "--stochastic-depth"}
        for argument, label in lacking.items():
            if argument in arguments and f"'{argument}'" in str(error):
                raise CommandError(f"{label}: {name} has none") from error
        raise CommandError(f"--option: {error}") from error


def check_forward(model, name, images, device):
    """Run one blank image through a network; CommandError if it cannot take images of that size."""
    blank = minigrad.zeros(1, images.channels, images.image_size, images.image_size, device=device)
    model.eval()
    try:
        with minigrad.no_grad():
            model(blank)
    except (RuntimeError, ValueError) as error:
        shape = f"{images.channels}x{images.image_size}x{images.image_size}"
        raise CommandError(f"{name} cannot take images of {shape} (see --image-size): {error}") from error


def batch_transform(settings, num_classes):
    """MixUp, CutMix, one of both at random for each batch, or None."""
    made = []
    for name, kind in (("mixup", "MixUp"), ("cutmix", "CutMix")):
        if settings.get(name) is not None:
            made.append(getattr(transforms, kind)(alpha=settings[name], num_classes=num_classes))
    if len(made) == 2:
        either = transforms.RandomChoice([lambda batch, change=change: change(*batch) for change in made])
        return lambda images, labels: either((images, labels))
    return made[0] if made else None


def penalty(settings, model):
    """What is added to the loss for the weights' size (not the biases'), as a function, or None."""
    weights = [weight for weight in nn_utils.select_parameters(model, weights_only=True) if weight.requires_grad]
    terms = [
        (settings[name], function)
        for name, function in (("l1", nn_utils.l1_penalty), ("l2", nn_utils.l2_penalty))
        if settings.get(name)
    ]
    return (lambda: sum(weight * function(weights) for weight, function in terms)) if terms else None


def averaged(model, decay):
    """A moving average of a model's weights (Polyak): average ← d · average + (1 - d) · weights after every step.

    d grows from 0.1 to decay over the first steps, (1 + n) / (10 + n), so that the average soon forgets the weights
    that the run began with.
    """

    def average(mean, value, count):
        share = min(decay, (1 + float(count)) / (10 + float(count)))
        return mean * share + value * (1 - share)

    return AveragedModel(model, avg_fn=average, use_buffers=True)


def random_state():
    """The state of all random numbers that a run draws: minigrad's, and Python's, of which a network may make use."""
    version, numbers, gauss = random.getstate()
    return {"minigrad": minigrad.get_rng_state(), "python": [version, list(numbers), gauss]}


def set_random_state(state):
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    minigrad.set_rng_state(state["minigrad"])


# ---------------------------------------------------------------- the run
class Run:
    """One training run: what was built for it, and what it has achieved so far.

    Args:
        settings: all of them, see models/commands/arguments.py.
        begun: the Checkpoint of a run that is to go on; None for a new one.
    """

    def __init__(self, settings, begun=None):
        self.settings = settings
        minigrad.set_num_threads(settings["threads"])
        self.device = open_device(settings["device"])
        minigrad.manual_seed(settings["seed"])
        random.seed(settings["seed"])
        origin = checkpoints.read(settings["source"], settings["model"]) if "source" in settings and not begun else None
        self.images = self._open_images(begun or origin)
        self.network = {"name": settings["model"], "arguments": builder_arguments(settings, self.images)}
        self.model = build_model(settings["model"], self.network["arguments"])
        if origin is not None:
            transfer.take_over(self.model, origin)
        transfer.freeze(self.model, settings.get("freeze", ()))
        self.model.to(self.device)
        check_forward(self.model, settings["model"], self.images, self.device)
        self.optimizer = self._build_optimizer()
        self.average = averaged(self.model, settings["ema"]) if "ema" in settings else None
        self.batches = self._loader(self.images.train, shuffle=True)
        self.watched = "validation" if self.images.validation is not None else "test"
        self.watched_batches = self._loader(getattr(self.images, self.watched))
        self.schedule = self._build_schedule()
        self.batch_transform = batch_transform(settings, len(self.images.classes))
        self.penalty = penalty(settings, self.model)
        self.folder = open_folder(settings["out"])
        self.stopping = None
        if "early_stopping" in settings:
            self.stopping = EarlyStopping(settings["early_stopping"], mode="max", restore_best=False)
        self.history, self.best = [], None
        self.scores = None  # of the images that are watched
        if begun is not None:
            self._go_on(begun)
        self.logs = Logs(self.folder, settings.get("tensorboard"), self.epoch)

    # ------------------------------------------------------------ building
    def _open_images(self, checkpoint):
        """The images, brought to the size and normalised by the figures of a checkpoint if there is one."""
        settings = self.settings
        size, mean, std = settings.get("image_size"), None, None
        if checkpoint is not None and checkpoint.data is not None:
            kept = checkpoint.data
            if size not in (None, kept["image_size"]):
                raise CommandError(f"--image-size {size}: {checkpoint.path} was trained at {kept['image_size']}")
            size, mean, std = kept["image_size"], tuple(kept["mean"]), tuple(kept["std"])
        images = image_sets.load(
            settings["data"],
            settings.get("root"),
            settings.get("download", False),
            settings["augment"],
            size,
            settings["seed"],
            subset=settings.get("subset"),
            validation=settings.get("validation", 0.0),
            mean=mean,
            std=std,
        )
        if len(images.classes) < 2:
            raise CommandError(f"--data {settings['data']}: a single class: there is nothing to tell apart")
        return images

    def _build_optimizer(self):
        names = ("momentum", "weight_decay")
        given = {name: self.settings[name] for name in names if name in self.settings}
        groups = transfer.groups(self.model, self.settings.get("head_lr"))
        return OPTIMIZERS[self.settings["optimizer"]](groups, lr=self.settings["lr"], **given)

    def _build_schedule(self):
        names = ("gamma", "step_epochs", "milestones", "cycle", "patience", "warmup")
        given = {name: self.settings[name] for name in names if name in self.settings}
        try:
            return Schedule(
                self.settings["schedule"],
                self.optimizer,
                epochs=self.settings["epochs"],
                steps_per_epoch=len(self.batches),
                **given,
            )
        except ValueError as error:
            raise CommandError(f"--schedule {self.settings['schedule']}: {error}") from error

    def _loader(self, dataset, shuffle=False, stays=True):
        size, workers = self.settings["batch_size"], self.settings["workers"]
        # Batch normalization has no variance of a last batch of a single image.
        single = shuffle and len(dataset) > size and len(dataset) % size == 1 and normalizes_batches(self.model)
        return DataLoader(
            dataset,
            size if shuffle else max(256, size),
            shuffle=shuffle,
            drop_last=single,
            num_workers=workers,
            persistent_workers=workers > 0 and stays,
            pin_memory=self.device.type == "cuda",
        )

    # ------------------------------------------------------------ going on
    @property
    def epoch(self):
        """How many epochs are done."""
        return len(self.history)

    def start(self):
        """Begin a new run: nothing of an earlier one is left in its folder, and last.pt is there from the beginning."""
        if (self.folder / checkpoints.LAST).exists():
            print(f"replacing the run that was in {self.folder} (--resume would go on with it)")
        for name in (checkpoints.BEST, checkpoints.LAST, "curve.png", "predictions.png"):
            Path(self.folder / name).unlink(missing_ok=True)
        self.save()

    def save(self):
        """Write last.pt: all that is needed to go on as if the run had not been stopped."""
        self._write(checkpoints.LAST, {
            "settings": dict(self.settings),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "stopping": self.stopping.state_dict() if self.stopping is not None else None,
            "averaged": int(self.average.n_averaged) if self.average is not None else None,
            "random": random_state(),
            "images": self._counts(),
            "history": self.history,
            "best": self.best,
        })

    def _counts(self):
        """How many images there are of each part: others would be divided otherwise between training and test."""
        parts = {name: getattr(self.images, name) for name in ("train", "validation", "test")}
        return {name: len(part) for name, part in parts.items() if part is not None}

    def _write(self, name, training=None):
        images = self.images
        data = {
            "name": self.settings["data"],
            "title": images.title,
            "classes": list(images.classes),
            "image_size": images.image_size,
            "mean": list(images.mean),
            "std": list(images.std),
            "square": images.square,
            "seed": self.settings["seed"],
        }
        checkpoints.write(
            self.folder / name,
            network=self.network,
            data=data,
            epoch=self.epoch,
            model=self.model.state_dict(),
            ema=self.average.module.state_dict() if self.average is not None else None,
            scores=self.history[-1] if self.history else None,
            training=training,
        )

    def _go_on(self, begun):
        """Take over the state of a run that was stopped."""
        training = begun.training
        if list(self.images.classes) != list(begun.data["classes"]):
            raise CommandError(f"--data {self.settings['data']}: other classes than when {begun.path} was written")
        if training.get("images", self._counts()) != self._counts():
            had, have = (" and ".join(f"{count} {part}" for part, count in counts.items())
                         for counts in (training["images"], self._counts()))
            raise CommandError(f"--data {self.settings['data']}: {have} images, but {had} when the run began")
        try:
            self.model.load_state_dict(begun.model)
            self.optimizer.load_state_dict(training["optimizer"])
            self.schedule.load_state_dict(training["schedule"])
            if self.stopping is not None:
                self.stopping.load_state_dict(training["stopping"])
            if self.average is not None:
                self.average.module.load_state_dict(begun.ema)
                self.average.n_averaged.fill_(training["averaged"])
            self.history = list(training["history"])
            self.best = training["best"]
            set_random_state(training["random"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise CommandError(f"{begun.path}: does not fit the run: {error}") from error

    # ------------------------------------------------------------ training
    def train_one_epoch(self):
        """Train, test, log and save once."""
        settings, number = self.settings, self.epoch + 1
        epochs = settings["epochs"]
        title = f"epoch {number:{len(str(epochs))}}/{epochs}"
        seconds = self.history[-1]["seconds"] if self.history else None
        rate = self.schedule.rates()[0]
        progress = Progress(not settings.get("no_progress"), title, len(self.images.train), epochs - number, seconds)
        started = time.perf_counter()
        try:
            with image_sets.readable(), training_errors(settings):
                train_loss = train_epoch(
                    self.model,
                    self.batches,
                    self.optimizer,
                    self.schedule,
                    device=self.device,
                    loss_of=self._loss,
                    batch_transform=self.batch_transform,
                    penalty=self.penalty,
                    clip_norm=settings.get("clip_norm"),
                    average=self.average,
                    after_batch=progress.update,
                )
        finally:
            progress.close()
        trained = time.perf_counter() - started
        if not math.isfinite(train_loss):
            raise CommandError(f"the training loss became {train_loss}: try a lower --lr than {settings['lr']:g}")
        entry = {"epoch": number, "learning_rate": rate, "train_loss": train_loss, **self.test()}
        entry["seconds"] = time.perf_counter() - started
        entry["images_per_second"] = len(self.images.train) / trained
        self.schedule.epoch_done(self.accuracy_of(entry))
        if self.stopping is not None:
            self.stopping.step(self.accuracy_of(entry))
        self._record(entry, title)

    def _loss(self, outputs, labels):
        return classification_loss(outputs, labels, label_smoothing=self.settings.get("label_smoothing", 0.0))

    def test(self):
        """Test the network, and its averaged weights, on the images that are watched; returns the figures."""
        found, scores = {}, None
        for prefix, model in (("", self.model), ("averaged_", self.average and self.average.module)):
            if model is None:
                continue
            with image_sets.readable():
                scores = evaluate(model, self.watched_batches, device=self.device)
            found[f"{prefix}{self.watched}_loss"] = scores.loss
            found[f"{prefix}{self.watched}_accuracy"] = scores.accuracy
        self.scores = scores  # not before: an interrupted run shows those of the last whole epoch
        return found

    def accuracy_of(self, entry):
        """What best.pt, plateau and early stopping go by: of the averaged weights if there are any."""
        return entry[("averaged_" if self.average is not None else "") + self.watched + "_accuracy"]

    def _record(self, entry, title):
        self.history.append(entry)
        accuracy = self.accuracy_of(entry)
        if self.best is None or accuracy > self.best["accuracy"]:
            self.best = {"epoch": entry["epoch"], "accuracy": accuracy}
            self._write(checkpoints.BEST)
        self.save()
        self.logs.write(self.history)
        self.logs.add(entry)
        watched = self.watched
        text = (
            f"{title}  train loss {entry['train_loss']:.4f}  {watched} loss {entry[watched + '_loss']:.4f}  "
            f"{watched} accuracy {100 * entry[watched + '_accuracy']:.2f} %  "
        )
        if self.average is not None:
            text += f"averaged {100 * accuracy:.2f} %  "
        print(f"{text}{entry['seconds']:.1f} s  {entry['images_per_second']:,.0f} images/s", flush=True)

    @property
    def stopped_early(self):
        """Whether the accuracy has not grown for as many epochs as --early-stopping allows."""
        return self.stopping is not None and self.stopping.stopped

    @property
    def finished(self):
        return self.epoch >= self.settings["epochs"] or self.stopped_early

    # ------------------------------------------------------------ the end
    @property
    def tested(self):
        """The Scores of the test images after the last epoch, if they were watched and it was run here, else None."""
        return self.scores if self.watched == "test" else None

    def final_scores(self):
        """Of the test images: the Scores of the best checkpoint by validation, or without validation of the last."""
        if self.watched == "test":
            if self.scores is None:
                self.test()
            return self.scores
        best = checkpoints.read(self.folder / checkpoints.BEST).build().to(self.device)
        with image_sets.readable():
            return evaluate(best, self._loader(self.images.test, stays=False), device=self.device)


def normalizes_batches(model):
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    return any(isinstance(module, kinds) for module in model.modules())


@contextlib.contextmanager
def training_errors(settings):
    """A block that trains: batch normalization's complaint of a single value is told to the user."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise CommandError(f"--batch-size {settings['batch_size']}: {error}") from error
