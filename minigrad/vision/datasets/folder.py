"""Datasets of files in folders named after their classes."""

import os
from pathlib import Path

from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.pillow import image_module

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def has_file_allowed_extension(filename, extensions):
    """Return whether a file name ends in one of the extensions (one, or a tuple), in any case.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.DatasetFolder.html

    >>> from minigrad.vision.datasets.folder import has_file_allowed_extension
    >>> has_file_allowed_extension("a.PNG", (".png", ".jpg"))
    True
    """
    return str(filename).lower().endswith(extensions if isinstance(extensions, str) else tuple(extensions))


def is_image_file(filename):
    """Return whether a file name ends like an image's.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html

    >>> from minigrad.vision.datasets.folder import is_image_file
    >>> is_image_file("a.jpg"), is_image_file("a.txt")
    (True, False)
    """
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def find_classes(directory):
    """Return the names of a folder's folders in order, and the dict of their numbers.

    Raises FileNotFoundError where there is none.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.DatasetFolder.html

    >>> import os, tempfile
    >>> from minigrad.vision.datasets.folder import find_classes
    >>> with tempfile.TemporaryDirectory() as root:
    ...     os.mkdir(os.path.join(root, "dog"))
    ...     os.mkdir(os.path.join(root, "cat"))
    ...     find_classes(root)
    (['cat', 'dog'], {'cat': 0, 'dog': 1})
    """
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(
            f"Couldn't find any class folder in {directory}. It needs one folder per class with its files."
        )
    return classes, {name: number for number, name in enumerate(classes)}


def make_dataset(directory, class_to_idx=None, extensions=None, is_valid_file=None, allow_empty=False):
    """Return the list of (path, class number) of the files in the classes' folders, however deep, in order.

    A file counts if it ends in one of ``extensions``, or if ``is_valid_file(path)``: exactly one of the two is given.
    Raises ValueError otherwise, FileNotFoundError for a class without files unless ``allow_empty``.
    """
    if class_to_idx is None:
        class_to_idx = find_classes(directory)[1]
    if not class_to_idx:
        raise ValueError("'class_to_index' must have at least one entry to collect any samples.")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("Both extensions and is_valid_file cannot be None or not None at the same time")
    valid = is_valid_file or (lambda path: has_file_allowed_extension(path, extensions))
    samples = []
    empty = []
    for name in sorted(class_to_idx):
        before = len(samples)
        for folder, _, files in sorted(os.walk(os.path.join(directory, name), followlinks=True)):
            paths = [os.path.join(folder, file) for file in sorted(files)]
            samples += [(path, class_to_idx[name]) for path in paths if valid(path)]
        if len(samples) == before:
            empty.append(name)
    if empty and not allow_empty:
        message = f"Found no valid file for the classes {', '.join(sorted(empty))}."
        if extensions is not None:
            names = extensions if isinstance(extensions, str) else ", ".join(extensions)
            message += f" Supported extensions are: {names}"
        raise FileNotFoundError(message)
    return samples


def pil_loader(path):
    """Return the image in a file as a PIL image of mode RGB; RuntimeError where it is not a whole image."""
    image = image_module()
    with open(path, "rb") as file:
        try:
            return image.open(file).convert("RGB")
        except (OSError, SyntaxError, ValueError, EOFError, image.DecompressionBombError) as error:
            # UnidentifiedImageError's own text names the open file object, not the path
            reason = "of no known format" if isinstance(error, image.UnidentifiedImageError) else error
            raise RuntimeError(f"{path}: not a readable image ({reason})") from error


def default_loader(path):
    """Return the image in a file: pil_loader."""
    return pil_loader(path)


class DatasetFolder(VisionDataset):
    """Files in folders named after their classes: ``root/CLASS/…/file``.

    Args:
        loader: a function from a path to an example.
        extensions: the endings of the files that count, or ``is_valid_file``: a function from a path to a bool.
        transform, target_transform: functions of the example and of the class's number.
        allow_empty: whether a class may have no file.

    ``samples`` is the list of (path, class number), ``targets`` the numbers, ``classes`` the names in order.
    Raises FileNotFoundError where there is no class folder or one without files.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.DatasetFolder.html

    >>> import os, tempfile
    >>> from minigrad.vision import datasets
    >>> with tempfile.TemporaryDirectory() as root:
    ...     os.mkdir(os.path.join(root, "cat"))
    ...     open(os.path.join(root, "cat", "a.txt"), "w").close()
    ...     data = datasets.DatasetFolder(root, loader=os.path.basename, extensions=".txt")
    ...     data[0], data.classes
    (('a.txt', 0), ['cat'])
    """

    def __init__(
        self,
        root,
        loader,
        extensions=None,
        transform=None,
        target_transform=None,
        is_valid_file=None,
        allow_empty=False,
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        folder = Path(root).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder; expected one with a folder of files for each class")
        self.classes, self.class_to_idx = self.find_classes(str(folder))
        self.loader = loader
        self.extensions = extensions
        self.samples = self.make_dataset(str(folder), self.class_to_idx, extensions, is_valid_file, allow_empty)
        self.targets = [number for _, number in self.samples]

    @staticmethod
    def make_dataset(directory, class_to_idx, extensions=None, is_valid_file=None, allow_empty=False):
        """Return the list of (path, class number); a subclass may collect them otherwise."""
        if class_to_idx is None:
            raise ValueError("The class_to_idx parameter cannot be None.")
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory):
        """Return the classes and their numbers; a subclass may name them otherwise."""
        return find_classes(directory)

    def __getitem__(self, index):
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self):
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images in folders named after their classes: ``root/dog/a.png``, ``root/cat/b/c.jpg``; PIL images of mode RGB.

    ``imgs`` is another name for ``samples``; arguments as DatasetFolder.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html

    >>> import os, tempfile
    >>> from PIL import Image
    >>> from minigrad.vision import datasets
    >>> with tempfile.TemporaryDirectory() as root:
    ...     os.mkdir(os.path.join(root, "cat"))
    ...     Image.new("RGB", (5, 4)).save(os.path.join(root, "cat", "a.png"))
    ...     image, label = datasets.ImageFolder(root)[0]
    >>> image.size, label
    ((5, 4), 0)
    """

    def __init__(
        self,
        root,
        transform=None,
        target_transform=None,
        loader=default_loader,
        is_valid_file=None,
        allow_empty=False,
    ):
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples
