"""The image sets that the commands know by name, and folders of the user's own."""
import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

from minigrad.utils.data import Subset, random_split
from minigrad.vision import datasets, transforms
from models.common import CommandError

AUGMENTATIONS = ("none", "shift", "flip", "shift+flip")
DIGITS = tuple("0123456789")


@dataclasses.dataclass(frozen=True)
class Source:
    """How one image set is opened, and what its images are like.

    open(root, train, download, transform) gives the data set; its square images have side pixels, which are brought to
    image_size; mean and std are those of the training pixels per channel; classes is None where the data set itself
    names them.
    """

    title: str
    open: Callable
    side: int
    image_size: int
    mean: tuple
    std: tuple
    classes: tuple | None = None


@dataclasses.dataclass(frozen=True)
class Data:
    """A training set and a test set of normalised images (C, S, S), and how to show them."""

    title: str
    train: object
    test: object
    classes: tuple
    image_size: int
    mean: tuple
    std: tuple

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


def _digits(root, train, download, transform):
    if download:
        raise CommandError("--download: the digits come with scikit-learn")
    return datasets.Digits(root, train=train, transform=transform)


def _files(dataset):
    return lambda root, train, download, transform: dataset(root, train=train, download=download, transform=transform)


SOURCES = {
    "digits": Source("scikit-learn's digits", _digits, 8, 28, (0.305,), (0.338,), DIGITS),
    "mnist": Source("MNIST", _files(datasets.MNIST), 28, 28, (0.1307,), (0.3081,), DIGITS),
    "fashion": Source("Fashion-MNIST", _files(datasets.FashionMNIST), 28, 28, (0.2860,), (0.3530,)),
    "cifar10": Source("CIFAR-10", _files(datasets.CIFAR10), 32, 32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}
# A folder of the user's own: colour images, normalised by ImageNet's statistics.
FOLDER = {"image_size": 32, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def pipelines(fit, size, mean, std, augment):
    """The transforms of the training and of the test images: PIL image in, normalised tensor (C, S, S) out.

    fit: the transforms that bring an image to size.
    """
    vary = []
    if "shift" in augment:
        vary.append(transforms.RandomCrop(size, padding=max(1, round(0.08 * size))))
    if "flip" in augment:
        vary.append(transforms.RandomHorizontalFlip())
    finish = [transforms.ToTensor(), transforms.Normalize(mean, std)]
    return transforms.Compose(fit + vary + finish), transforms.Compose(fit + finish)


def load(name, root, download=False, augment="none", image_size=None, seed=0):
    """Open the image set called name, or the folder of images at the path name.

    A folder holds train/ and test/ (or val/), each with one folder of images per class; or the class folders alone,
    of which a random fifth (drawn with seed) becomes the test set.

    Raises:
        CommandError: if files are missing or damaged, saying which.
    """
    if (root or download) and name not in SOURCES:
        raise CommandError(f"--{'root' if root else 'download'}: --data {name} is a folder and read where it is")
    try:
        if name in SOURCES:
            return _load_source(SOURCES[name], root or "data", download, augment, image_size)
        return _load_folder(Path(name), augment, image_size or FOLDER["image_size"], seed)
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise CommandError(f"--data {name}: {error}".replace("download=True", "--download")) from error


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


def _load_source(source, root, download, augment, image_size):
    size = image_size or source.image_size
    fit = [transforms.Resize((size, size))] if size != source.side else []
    for_training, for_test = pipelines(fit, size, source.mean, source.std, augment)
    train = source.open(root, True, download, for_training)
    test = source.open(root, False, download, for_test)
    classes = source.classes or tuple(test.classes)
    return Data(source.title, train, test, classes, size, source.mean, source.std)


def _load_folder(folder, augment, size, seed):
    if not folder.is_dir():
        raise CommandError(f"--data {folder}: neither one of {', '.join(SOURCES)} nor a folder")
    fit = [transforms.Resize(size), transforms.CenterCrop(size)]
    for_training, for_test = pipelines(fit, size, FOLDER["mean"], FOLDER["std"], augment)
    test_folder = next((folder / name for name in ("test", "val") if (folder / name).is_dir()), None)
    if (folder / "train").is_dir() and test_folder:
        train = datasets.ImageFolder(folder / "train", transform=for_training, loader=_open_image)
        test = datasets.ImageFolder(test_folder, transform=for_test, loader=_open_image)
        if train.classes != test.classes:
            differing = ", ".join(sorted(set(train.classes) ^ set(test.classes)))
            raise CommandError(f"--data {folder}: train and {test_folder.name} differ in classes: {differing}")
    else:
        train = datasets.ImageFolder(folder, transform=for_training, loader=_open_image)
        test = datasets.ImageFolder(folder, transform=for_test, loader=_open_image)
        train, test = _split(train, test, seed)
        if not len(train) or not len(test):
            raise CommandError(f"--data {folder}: too few images to hold some out for the test")
        return Data(str(folder), train, test, tuple(train.dataset.classes), size, FOLDER["mean"], FOLDER["std"])
    return Data(str(folder), train, test, tuple(train.classes), size, FOLDER["mean"], FOLDER["std"])


def _split(train, test, seed):
    """Four fifths of train and the other fifth of test: the same images under two transforms."""
    from minigrad import Generator

    held_out = len(train) // 5
    kept, rest = random_split(range(len(train)), [len(train) - held_out, held_out], Generator().manual_seed(seed))
    return Subset(train, list(kept)), Subset(test, list(rest))
