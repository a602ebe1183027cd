"""CIFAR-10 and CIFAR-100: 32 x 32 colour images, in the published binary or Python (pickle) format."""

import warnings
from pathlib import Path

from minigrad.backend import np
from minigrad.vision.datasets.files import (
    LIMIT,
    data_roots,
    download,
    has_checksum,
    not_found,
    read_bytes,
    read_plain_dict,
    written_at_once,
)
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.pillow import image_module

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32


class CIFAR10(VisionDataset):
    """Photographs of ten kinds of things: 50,000 training and 10,000 test images of 32 x 32 (Krizhevsky 2009).

    Args:
        root: folder of the files, looked for in ``root/cifar-10-batches-py`` (pickles), ``root/cifar-10-batches-bin``
            (binary), either of them inside ``root/cifar10``, and ``root`` itself, and likewise in the folder of the
            environment variable MINIGRAD_DATA.
        train: the training set, or else the test set.
        transform, target_transform: functions of the image (a PIL image of mode RGB) and of the label (an int).
        download: whether missing files are downloaded to ``root``; otherwise nothing touches the network.

    ``data`` is a NumPy array uint8 (N, 32, 32, 3), ``targets`` a list of N ints, ``classes`` the names,
    ``class_to_idx`` their numbers. Warns (UserWarning) where only some of the training files are there.
    Raises RuntimeError where none is, ValueError for a damaged one.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.CIFAR10.html

    >>> import os, tempfile
    >>> from minigrad.vision import datasets
    >>> with tempfile.TemporaryDirectory() as root:
    ...     with open(os.path.join(root, "test_batch.bin"), "wb") as file:
    ...         _ = file.write(bytes([7]) + bytes(3 * 32 * 32))
    ...     data = datasets.CIFAR10(root, train=False)
    >>> data.data.shape, data.targets
    ((1, 32, 32, 3), [7])
    """

    folder = "cifar10"
    base_folder = "cifar-10-batches-py"
    binary_folder = "cifar-10-batches-bin"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ]
    test_list = [("test_batch", "40351d587109b95175f43aff81a1287e")]
    label_bytes = 1  # per binary record; the last one is the label
    label_keys = ("labels",)
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

    def __init__(self, root=None, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        batches = [self._read(path) for path in self._find()]
        pixels = np.concatenate([pixels for pixels, _ in batches])
        self.data = np.ascontiguousarray(pixels.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1))  # (N, H, W, C)
        self.targets = np.concatenate([labels for _, labels in batches]).tolist()

    @property
    def class_to_idx(self):
        """Dict of the classes' numbers."""
        return {name: number for number, name in enumerate(self.classes)}

    def _folders(self):
        """Return the (folder, suffix of the file names) pairs to look in: suffix "" for pickles, ".bin" for binary."""
        folders = []
        for root in data_roots(self.root):
            for base in (root, root / self.folder):
                folders += [(base / self.base_folder, ""), (base / self.binary_folder, ".bin")]
            folders += [(root, ""), (root, ".bin")]
        return folders

    def _find(self):
        """Return the paths of the files of this split; RuntimeError where there is none."""
        names = [name for name, _ in (self.train_list if self.train else self.test_list)]
        looked = []
        for folder, suffix in self._folders():
            paths = [folder / (name + suffix) for name in names]
            found = [path for path in paths if path.is_file()]
            if found:
                if len(found) < len(paths):
                    missing = ", ".join(path.name for path in paths if path not in found)
                    message = f"{type(self).__name__}: only {len(found)} of {len(paths)} training files are in {folder}"
                    warnings.warn(f"{message}; missing: {missing}", stacklevel=3)
                return found
            looked.append(paths[0])
        how = f"download=True downloads them to root; by hand, unpack {self.url} there."
        raise not_found(type(self).__name__, looked, how)

    def _read(self, path):
        """Return pixels uint8 (N, 3072) and labels (N,) of one file."""
        pixels, labels = self._read_binary(path) if path.suffix == ".bin" else self._read_pickle(path)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise ValueError(f"{path}: labels are not all of 0 to {len(self.classes) - 1}")
        return pixels, labels

    def _read_binary(self, path):
        content = read_bytes(path)
        record = self.label_bytes + _PIXELS
        if not content or len(content) % record:
            raise ValueError(f"{path}: {len(content):,} bytes are not a whole number of records of {record:,}")
        table = np.frombuffer(content, np.uint8).reshape(-1, record)
        return table[:, self.label_bytes :], table[:, self.label_bytes - 1].astype(np.int64)

    def _read_pickle(self, path):
        entry = read_plain_dict(path)
        pixels = entry.get("data")
        labels = next((entry[key] for key in self.label_keys if key in entry), None)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
            found = getattr(pixels, "shape", type(pixels).__name__)
            raise ValueError(f"{path}: expected 'data' of uint8 (N, {_PIXELS}), but it is {found}")
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise ValueError(f"{path}: expected '{self.label_keys[0]}' to be a list of ints")
        if len(pixels) != len(labels):
            raise ValueError(f"{path}: {len(pixels)} images, but {len(labels)} labels")
        return pixels, np.array(labels, np.int64)

    def _check_integrity(self):
        """Return whether all published files of the Python format lie under root."""
        folder = self._download_folder() / self.base_folder
        return all(has_checksum(folder / name, md5) for name, md5 in self.train_list + self.test_list)

    def _download_folder(self):
        if self.root is None:
            raise ValueError(f"{type(self).__name__}: download=True needs a root, the folder to download to")
        return Path(self.root).expanduser()

    def download(self):
        """Download the archive of the Python format and unpack its data files, unless they are there already."""
        folder = self._download_folder()
        if self._check_integrity():
            return
        archive = folder / self.url.rpartition("/")[2]
        download([self.url], archive, self.tgz_md5)
        import tarfile

        with tarfile.open(archive, "r:gz") as tar:
            for name, _ in self.train_list + self.test_list:
                # Only these members, under names of ours: an archive can hold paths that lead elsewhere.
                member = tar.extractfile(f"{self.base_folder}/{name}")
                with written_at_once(folder / self.base_folder / name) as file:
                    file.write(member.read(LIMIT))

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self._transformed(image_module().fromarray(self.data[index]), self.targets[index])

    def extra_repr(self):
        """Return which split this is."""
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """Photographs of a hundred kinds of things, 500 training and 100 test images each; arguments as CIFAR10.

    ``targets`` are the fine labels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.CIFAR100.html

    >>> import os, tempfile
    >>> from minigrad.vision import datasets
    >>> with tempfile.TemporaryDirectory() as root:
    ...     with open(os.path.join(root, "test.bin"), "wb") as file:
    ...         _ = file.write(bytes([1, 42]) + bytes(3 * 32 * 32))
    ...     data = datasets.CIFAR100(root, train=False)
    >>> data.data.shape, data.targets
    ((1, 32, 32, 3), [42])
    """

    folder = "cifar100"
    base_folder = "cifar-100-python"
    binary_folder = "cifar-100-binary"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [("train", "16019d7e3df5f24257cddd939b257f8d")]
    test_list = [("test", "f0ef6b0ae62326f3e7ffdfab6717acfc")]
    label_bytes = 2  # coarse, fine
    label_keys = ("fine_labels",)
    classes = (
        "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
        "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
        "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster "
        "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck "
        "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
        "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger "
        "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
    ).split()
