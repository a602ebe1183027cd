"""One training run of an experiment: what is trained on which images, and how well it does."""
import dataclasses
import functools
from collections.abc import Callable

import minigrad
import models
from minigrad.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from minigrad.utils.data import DataLoader, Dataset, Subset, TensorDataset
from models.data import image_sets
from models.training import OPTIMIZERS, Schedule, classification_loss, evaluate, train_epoch


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a network is trained; the defaults regularize nothing.

    model, options: the network's name and arguments, see models.build.
    epochs, batch_size, optimizer, lr, momentum, schedule: as in python -m models train.
    weight_decay: the optimizer's. augment: of python -m models train --augment. label_smoothing: as it says.
    penalty: network → what is added to the loss. ema: decay of a moving average of the weights (0: none).
    """

    model: str
    options: dict = dataclasses.field(default_factory=dict)
    epochs: int = 20
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    schedule: str = "onecycle"
    schedule_options: dict = dataclasses.field(default_factory=dict)
    weight_decay: float = 0.0
    augment: str = "none"
    label_smoothing: float = 0.0
    penalty: Callable | None = None
    ema: float = 0.0

    def with_(self, **changes):
        """The same with some fields changed; options are merged into those there are."""
        options = {**self.options, **changes.pop("options", {})}
        return dataclasses.replace(self, options=options, **changes)


@dataclasses.dataclass(frozen=True)
class Images:
    """The images of one run; those that are not augmented are tensors in memory."""

    train: object
    validation: object
    test: object
    num_classes: int
    channels: int
    image_size: int

    def build(self, name, **options):
        """A network of that name for these images."""
        return models.build(
            name, num_classes=self.num_classes, in_channels=self.channels, image_size=self.image_size, **options
        )


class OfClasses(Dataset):
    """The images of some classes of a selection, labelled 0, 1, … in the order of the classes."""

    def __init__(self, selection, classes):
        self.selection = selection
        self.number = {label: index for index, label in enumerate(classes)}
        self.indices = [index for index, label in enumerate(selection.targets) if label in self.number]

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        image, label = self.selection[self.indices[index]]
        return image, self.number[label]

    @property
    def targets(self):
        labels = self.selection.targets
        return [self.number[labels[index]] for index in self.indices]


def in_memory(dataset):
    """The same images as tensors, made once."""
    images, labels = zip(*(dataset[index] for index in range(len(dataset))))
    return TensorDataset(minigrad.stack(images), minigrad.tensor(labels))


@functools.lru_cache(maxsize=4)
def _test_images(name, root, classes, count):
    test = image_sets.load(name, root).test
    test = test if classes is None else OfClasses(test, classes)
    return in_memory(Subset(test, range(min(count, len(test)))))


def open_images(name, root, *, seed, count, test_count, augment="none", classes=None, validation=0.0):
    """The image set called name: a class-balanced random part of its training images, and its first test images.

    Args:
        name, root, augment, validation: as in python -m models train.
        seed: of the draw.
        count, test_count: how many images to train on and to test.
        classes: only these (a tuple), renumbered from 0; None for all.

    Raises:
        ValueError: if there are fewer images.
    """
    opened = image_sets.load(name, root, augment=augment, seed=seed, validation=validation)
    train = opened.train if classes is None else OfClasses(opened.train, classes)
    if count > len(train):
        raise ValueError(f"there are only {len(train)} training images, but {count} are wanted")
    train = Subset(train, image_sets.balanced(train.targets, count, seed))
    return Images(
        in_memory(train) if augment == "none" else train,
        None if opened.validation is None else in_memory(opened.validation),
        _test_images(name, root, classes, test_count),
        len(classes or opened.classes),
        opened.channels,
        opened.image_size,
    )


# ---------------------------------------------------------------- training
@dataclasses.dataclass
class Fitted:
    """A trained network, the moving average of its weights if one was asked for, and its rates of learning by epoch."""

    model: object
    averaged: object
    history: list


def fit(setting, images, seed, *, model=None, parameters=None, after_epoch=None):
    """Train one network.

    Args:
        setting: a Setting.
        images: Images; a plateau schedule looks at their validation part.
        seed: of the initial weights, the order of the images and all else that is random.
        model: the network to train; None to build it from the setting.
        parameters: what the optimizer is given; None for all of the model's.
        after_epoch: called with (epoch, model).
    """
    minigrad.manual_seed(seed)
    model = images.build(setting.model, **setting.options) if model is None else model
    settings = {"momentum": setting.momentum} if setting.optimizer in ("sgd", "rmsprop") else {}
    optimizer = OPTIMIZERS[setting.optimizer](
        model.parameters() if parameters is None else parameters,
        lr=setting.lr,
        weight_decay=setting.weight_decay,
        **settings,
    )
    batches = DataLoader(images.train, setting.batch_size, shuffle=True)
    schedule = Schedule(
        setting.schedule, optimizer, epochs=setting.epochs, steps_per_epoch=len(batches), **setting.schedule_options
    )
    averaged = None
    if setting.ema:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(setting.ema), use_buffers=True)
    history = []
    for epoch in range(1, setting.epochs + 1):
        loss = train_epoch(
            model,
            batches,
            optimizer,
            schedule,
            loss_of=functools.partial(classification_loss, label_smoothing=setting.label_smoothing),
            penalty=None if setting.penalty is None else functools.partial(setting.penalty, model),
            average=averaged,
        )
        entry = {"epoch": epoch, "train_loss": loss, "rate": schedule.rates()[0]}
        if images.validation is not None:
            entry["validation_accuracy"] = accuracy(model, images.validation)
        schedule.epoch_done(entry.get("validation_accuracy", 0.0))
        history.append(entry)
        if after_epoch is not None:
            after_epoch(epoch, model)
    return Fitted(model, averaged, history)


def accuracy(model, dataset):
    """Per cent of a data set's images that the network names rightly."""
    return 100 * evaluate(model, DataLoader(dataset, 500)).accuracy
