"""The image sets that the commands know by name, and folders of the user's own."""
import contextlib
import dataclasses
import difflib
import operator
from collections.abc import Callable
from pathlib import Path

from minigrad import Generator, randperm
from minigrad.utils.data import Dataset
from minigrad.vision import datasets
from models.common import CommandError
from models.data import augmentation

DIGITS = tuple("0123456789")


@dataclasses.dataclass(frozen=True)
class Source:
    """How one image set is opened, and what its images are like.

    open(root, train, download) gives the data set of PIL images; they are square and brought to image_size; mean and
    std are those of the training pixels per channel; classes is None where the data set itself names them.
    """

    title: str
    open: Callable
    image_size: int
    mean: tuple
    std: tuple
    classes: tuple | None = None


class Selection(Dataset):
    """Some images of a data set, each under a transform.

    Args:
        dataset: of (PIL image, label) pairs, with all labels in targets.
        indices: of the images that are selected.
        transform: PIL image → tensor.
    """

    def __init__(self, dataset, indices, transform):
        self.dataset = dataset
        self.indices = list(indices)
        self.transform = transform

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        image, label = self.dataset[self.indices[operator.index(index)]]
        return self.transform(image), label

    @property
    def targets(self):
        """The labels of the selected images, without opening one."""
        targets = labels_of(self.dataset)
        return [targets[index] for index in self.indices]

    def seen_through(self, transform):
        """The same images under another transform."""
        return Selection(self.dataset, self.indices, transform)


@dataclasses.dataclass(frozen=True)
class Data:
    """A training set and a test set of normalised images (C, S, S), and how to show them.

    validation is the part held out of the training set, or None; square says that images are resized, not cut.
    """

    title: str
    train: object
    test: object
    classes: tuple
    image_size: int
    mean: tuple
    std: tuple
    validation: object = None
    square: bool = True

    @property
    def channels(self):
        return len(self.mean)

    def picture(self, image):
        """A normalised image (C, S, S) as nested lists (S, S) or (S, S, 3) in [0, 1], for drawing."""
        planes = [plane * std + mean for plane, mean, std in zip(image, self.mean, self.std)]
        planes = [plane.clamp(0, 1) for plane in planes]
        if len(planes) == 1:
            return planes[0].tolist()
        rows = zip(*(plane.tolist() for plane in planes))
        return [list(zip(*row)) for row in rows]


def labels_of(dataset):
    """The labels of a data set as a list of int."""
    targets = dataset.targets
    return [int(label) for label in (targets.tolist() if hasattr(targets, "tolist") else targets)]


def _digits(root, train, download):
    if download:
        raise CommandError("--download: the digits come with scikit-learn")
    return datasets.Digits(root, train=train)


def _files(dataset):
    return lambda root, train, download: dataset(root, train=train, download=download)


SOURCES = {
    "digits": Source("scikit-learn's digits", _digits, 28, (0.305,), (0.338,), DIGITS),
    "mnist": Source("MNIST", _files(datasets.MNIST), 28, (0.1307,), (0.3081,), DIGITS),
    "fashion": Source("Fashion-MNIST", _files(datasets.FashionMNIST), 28, (0.2860,), (0.3530,)),
    "cifar10": Source("CIFAR-10", _files(datasets.CIFAR10), 32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": Source("CIFAR-100", _files(datasets.CIFAR100), 32, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
# A folder of the user's own: colour images, normalised by ImageNet's statistics.
FOLDER = {"image_size": 32, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


# ---------------------------------------------------------------- choosing images
def ranks(labels, seed):
    """For every image, its place in a random order of its class, and in one of all images: pairs of int."""
    order = randperm(len(labels), generator=Generator().manual_seed(seed)).tolist()
    seen, found = {}, [None] * len(labels)
    for position, index in enumerate(order):
        rank = seen.get(labels[index], 0)
        seen[labels[index]] = rank + 1
        found[index] = (rank, position)
    return found


def balanced(labels, count, seed):
    """The indices of count images at random, of every class the same number as far as they go (give or take one)."""
    found = ranks(labels, seed)
    return sorted(sorted(range(len(labels)), key=found.__getitem__)[:count])


def held_out(labels, fraction, seed):
    """The indices kept, and those of a random fraction of every class (at least one image of each)."""
    sizes = {label: labels.count(label) for label in set(labels)}
    chosen = {index for index, (rank, _) in enumerate(ranks(labels, seed)) if rank < fraction * sizes[labels[index]]}
    return [index for index in range(len(labels)) if index not in chosen], sorted(chosen)


# ---------------------------------------------------------------- opening
def in_commands(error):
    """What a data set says of missing files, with the command that fetches them in place of the Python argument."""
    return str(error).replace("download=True", "python -m models train --download")


def load(
    name,
    root,
    download=False,
    augment="none",
    image_size=None,
    seed=0,
    *,
    subset=None,
    validation=0.0,
    mean=None,
    std=None,
):
    """Open the image set called name, or the folder of images at the path name.

    A folder holds train/ and test/ (or val/), each with one folder of images per class; or the class folders alone,
    of which a random fifth (drawn with seed) becomes the test set.

    Args:
        name, root: which images, and where they are (None: in data, then in $MINIGRAD_DATA).
        download: fetch missing files into root.
        augment: changes to the training images, see models/data/augmentation.py.
        image_size: side that images are brought to; None: what suits the set.
        seed: of the choices of images below.
        subset: train on so many images only, the same number of every class; None: on all.
        validation: the fraction of the training images that is held out (first) for validation.
        mean, std: normalise by these, per channel; None: those of the set.

    Raises:
        CommandError: if files are missing or damaged, saying which, and for too few images.
    """
    if (root or download) and name not in SOURCES:
        raise CommandError(f"--{'root' if root else 'download'}: --data {name} is a folder and read where it is")
    try:
        source = SOURCES.get(name) or Source(str(name), None, **FOLDER)
        train, test = _open_source(source, root or "data", download) if name in SOURCES else _open_folder(name, seed)
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise CommandError(f"--data {name}: {in_commands(error)}") from error
    classes = source.classes or tuple(train[0].classes)
    size, square = image_size or source.image_size, name in SOURCES
    mean, std = mean or source.mean, std or source.std
    if len(mean) != len(source.mean):
        raise CommandError(f"--data {name}: images of {len(source.mean)} channels, but {len(mean)} are wanted")
    try:
        for_training = augmentation.training_transform(augment, size, mean, std, square)
    except ValueError as error:
        raise CommandError(f"--augment {augment}: {error}") from error
    for_test = augmentation.test_transform(size, mean, std, square)
    train, validation = _choose(Selection(*train, for_training), for_test, subset, validation, seed)
    return Data(source.title, train, Selection(*test, for_test), classes, size, mean, std, validation, square)


def _choose(train, for_test, subset, validation, seed):
    """The training images that are used, and those held out for validation (or None)."""
    held = None
    if validation:
        kept, chosen = held_out(train.targets, validation, seed)
        if not kept:
            raise CommandError(f"--validation {validation:g}: nothing of {len(train)} images is left to train on")
        held = Selection(train.dataset, [train.indices[index] for index in chosen], for_test)
        train = Selection(train.dataset, [train.indices[index] for index in kept], train.transform)
    if subset is not None:
        if subset > len(train):
            raise CommandError(f"--subset {subset}: there are only {len(train)} training images")
        chosen = balanced(train.targets, subset, seed)
        train = Selection(train.dataset, [train.indices[index] for index in chosen], train.transform)
    return train, held


class UnreadableImage(RuntimeError):
    """A file of a folder is no image: the last line of the message says which."""


def _open_image(path):
    try:
        return datasets.folder.default_loader(path)
    except RuntimeError as error:
        raise UnreadableImage(str(error)) from error


@contextlib.contextmanager
def readable():
    """A block that reads images: an unreadable one ends it with a CommandError that names the file."""
    try:
        yield
    except UnreadableImage as error:
        # From a worker process the message is a whole traceback, with the exception's own line last.
        reason = str(error).strip().splitlines()[-1].removeprefix(f"{__name__}.{UnreadableImage.__name__}: ")
        raise CommandError(f"{reason}; mend or remove it") from error


def _open_source(source, root, download):
    """The training set and the test set of a source, each as (data set, indices)."""
    opened = [source.open(root, train, download) for train in (True, False)]
    return [(dataset, range(len(dataset))) for dataset in opened]


def _open_folder(name, seed):
    """The training set and the test set of a folder, each as (data set, indices)."""
    folder = Path(name)
    if not folder.is_dir():
        near = difflib.get_close_matches(name.lower(), SOURCES, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise CommandError(f"--data {folder}: neither one of {', '.join(SOURCES)} nor a folder{meant}")
    test_folder = next((folder / part for part in ("test", "val") if (folder / part).is_dir()), None)
    if (folder / "train").is_dir() and test_folder:
        train = datasets.ImageFolder(folder / "train", loader=_open_image)
        test = datasets.ImageFolder(test_folder, loader=_open_image)
        if train.classes != test.classes:
            differing = ", ".join(sorted(set(train.classes) ^ set(test.classes)))
            raise CommandError(f"--data {folder}: train and {test_folder.name} differ in classes: {differing}")
        return (train, range(len(train))), (test, range(len(test)))
    images = datasets.ImageFolder(folder, loader=_open_image)
    order = randperm(len(images), generator=Generator().manual_seed(seed)).tolist()
    held = len(images) // 5
    if not held:
        raise CommandError(f"--data {folder}: too few images to hold some out for the test")
    return (images, order[:-held]), (images, order[-held:])
