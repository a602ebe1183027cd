"""MNIST and the datasets that come in its format: IDX files of 28 x 28 grey images and of labels."""

import hashlib
import string
import warnings
from pathlib import Path

from minigrad.backend import np
from minigrad.tensor import wrap
from minigrad.vision.datasets.files import data_roots, download, has_checksum, not_found, one_of, read_idx, unpack
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.pillow import image_module

# MD5 checksums of unpacked label files -> whose they are
_LABEL_OWNERS = {
    "a25bea736e30d166cdddb491f175f624": "MNIST",
    "27ae3e4e09519cfbb04c329615203637": "MNIST",
    "9018921c3c673c538a1fc5bad174d6f9": "FashionMNIST",
    "15d484375f8d13e6eb1aabb0c3f46965": "FashionMNIST",
}


class MNIST(VisionDataset):
    """Handwritten digits: 60,000 training and 10,000 test images of 28 x 28 (LeCun, Cortes, Burges 1998).

    Args:
        root: folder of the files, plain or ``.gz``: they are looked for in ``root/MNIST/raw`` (torchvision's layout),
            ``root/mnist`` and ``root`` itself, and likewise in the folder of the environment variable MINIGRAD_DATA.
        train: the training set, or else the test set.
        transform, target_transform: functions of the image (a PIL image of mode L) and of the label (an int).
        download: whether missing files are downloaded to ``root/MNIST/raw``; otherwise nothing touches the network.

    ``data`` is uint8 (N, 28, 28), ``targets`` int64 (N,), ``classes`` the ten names, ``class_to_idx`` their numbers.
    Raises RuntimeError where files are missing, ValueError for a damaged one or counts that do not match.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.MNIST.html

    >>> import os, struct, tempfile
    >>> from minigrad.vision import datasets
    >>> with tempfile.TemporaryDirectory() as root:
    ...     with open(os.path.join(root, "train-images-idx3-ubyte"), "wb") as file:
    ...         _ = file.write(struct.pack(">4I", 0x803, 1, 28, 28) + bytes(28 * 28))
    ...     with open(os.path.join(root, "train-labels-idx1-ubyte"), "wb") as file:
    ...         _ = file.write(struct.pack(">2I", 0x801, 1) + bytes([7]))
    ...     data = datasets.MNIST(root)
    >>> data.data.shape, data.targets
    (minigrad.Size([1, 28, 28]), tensor([7]))
    """

    folders = ("mnist",)  # names under a root besides torchvision's
    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
    classes = [
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    ]

    def __init__(self, root=None, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        self.data, self.targets = self._load()

    @property
    def raw_folder(self):
        """Where downloaded files go."""
        if self.root is None:
            raise ValueError(f"{type(self).__name__}: download=True needs a root, the folder to download to")
        return Path(self.root).expanduser() / type(self).__name__ / "raw"

    @property
    def train_data(self):
        """The old name of ``data``, which torchvision warns of."""
        warnings.warn("train_data has been renamed data", stacklevel=2)
        return self.data

    @property
    def train_labels(self):
        """The old name of ``targets``, which torchvision warns of."""
        warnings.warn("train_labels has been renamed targets", stacklevel=2)
        return self.targets

    test_data, test_labels = train_data, train_labels

    @property
    def class_to_idx(self):
        """Dict of the classes' numbers."""
        return {name: number for number, name in enumerate(self.classes)}

    def _candidates(self, name):
        """Return the paths a file is looked for at, in that order."""
        kind = type(self).__name__
        paths = []
        for root in data_roots(self.root):
            for folder in (root / kind / "raw", root / kind, *(root / other for other in self.folders), root):
                paths += [folder / name, folder / f"{name}.gz"]
        return paths

    def _find(self, name):
        """Return the path of a file; RuntimeError where it is nowhere."""
        candidates = self._candidates(name)
        for path in candidates:
            if path.is_file():
                return path
        mirrors = " or ".join(self.mirrors)
        raise not_found(
            type(self).__name__,
            candidates,
            f"download=True downloads it to root; by hand, put {name}.gz from {mirrors} there.",
        )

    def _prefix(self):
        return "train" if self.train else "t10k"

    def _load(self):
        image_path = self._find(f"{self._prefix()}-images-idx3-ubyte")
        label_path = self._find(f"{self._prefix()}-labels-idx1-ubyte")
        images, labels = read_idx(image_path), read_idx(label_path)
        if images.dtype != np.uint8 or images.ndim != 3:
            raise ValueError(f"{image_path}: expected uint8 (N, H, W), but it is {images.dtype} {images.shape}")
        if labels.dtype != np.uint8 or labels.ndim != 1:
            raise ValueError(f"{label_path}: expected uint8 (N,), but it is {labels.dtype} {labels.shape}")
        self._refuse_another_datasets(label_path, labels)
        if len(images) != len(labels):
            raise ValueError(f"{image_path} has {len(images)} images, but {label_path} {len(labels)} labels")
        if len(labels) and labels.max() >= len(self.classes):
            raise ValueError(f"{label_path}: a label is {labels.max()}, but there are {len(self.classes)} classes")
        return wrap(images), wrap(labels.astype(np.int64))

    def _refuse_another_datasets(self, path, labels):
        """ValueError for the published labels of another dataset: all of these have the same file names."""
        header = bytes([0, 0, 8, 1]) + len(labels).to_bytes(4, "big")
        owner = _LABEL_OWNERS.get(hashlib.md5(header + labels.tobytes(), usedforsecurity=False).hexdigest())
        if owner is None or self.resources == globals()[owner].resources:
            return
        raise ValueError(f"{path}: this is {owner}'s file, not {type(self).__name__}'s")

    def _check_exists(self):
        """Return whether all four published files lie in the folder that downloads go to."""
        return all(has_checksum(self.raw_folder / name, md5) for name, md5 in self.resources)

    def download(self):
        """Download the files that are not in ``raw_folder`` yet, each checked against its MD5 checksum.

        As in torchvision, a file that lies there unpacked is not downloaded again.
        """
        for name, md5 in self.resources:
            if not (self.raw_folder / name).with_suffix("").is_file():
                download([mirror + name for mirror in self.mirrors], self.raw_folder / name, md5)

    def __len__(self):
        return self.data.array.shape[0]

    def __getitem__(self, index):
        image = image_module().fromarray(self.data.array[index])
        return self._transformed(image, int(self.targets.array[index]))

    def extra_repr(self):
        """Return which split this is."""
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Articles of clothing in MNIST's format and sizes (Xiao, Rasul, Vollgraf 2017); arguments as MNIST.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.FashionMNIST.html

    >>> from minigrad.vision import datasets
    >>> datasets.FashionMNIST.classes[:3]
    ['T-shirt/top', 'Trouser', 'Pullover']
    """

    folders = ("fashion-mnist", "fashion_mnist", "fashionmnist", "fashion")
    mirrors = [
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ]
    resources = [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class KMNIST(MNIST):
    """Ten classes of cursive Japanese characters in MNIST's format (Clanuwat et al. 2018); arguments as MNIST.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.KMNIST.html

    >>> from minigrad.vision import datasets
    >>> datasets.KMNIST.classes[:3]
    ['o', 'ki', 'su']
    """

    folders = ("kmnist",)
    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ]
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


_CHARACTERS = sorted(string.digits + string.ascii_letters)
_MERGED = sorted(set(_CHARACTERS) - set("cijklmopsuvwxyz"))  # capitals stand for letters that look alike


class EMNIST(MNIST):
    """Handwritten letters and digits in MNIST's format, as published: lying on their sides (Cohen et al. 2017).

    Args: ``split``: "byclass", "bymerge", "balanced", "letters" (of 1 … 26), "digits" or "mnist"; others as MNIST, the
    files being ``root/EMNIST/raw/emnist-SPLIT-train-images-idx3-ubyte`` and the like. ValueError for another split.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.EMNIST.html

    >>> from minigrad.vision import datasets
    >>> {split: len(names) for split, names in datasets.EMNIST.classes_split_dict.items()}
    {'byclass': 62, 'bymerge': 47, 'balanced': 47, 'letters': 27, 'digits': 10, 'mnist': 10}
    """

    folders = ("emnist", "EMNIST/raw/gzip")
    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    mirrors, resources = [url], []
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict = {
        "byclass": _CHARACTERS,
        "bymerge": _MERGED,
        "balanced": _MERGED,
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root, split, **kwargs):
        self.split = one_of(split, "split", self.splits)
        self.classes = self.classes_split_dict[split]
        super().__init__(root, **kwargs)

    def _prefix(self):
        return f"emnist-{self.split}-{'train' if self.train else 'test'}"

    def _check_exists(self):
        """Return whether both files are found."""
        names = [f"{self._prefix()}-{what}-ubyte" for what in ("images-idx3", "labels-idx1")]
        return all(any(path.is_file() for path in self._candidates(name)) for name in names)

    def download(self):
        """Download the archive of all splits and unpack it, unless the files are there."""
        if not self._check_exists():
            archive = self.raw_folder / "gzip.zip"
            download([self.url], archive, self.md5)
            unpack(archive, self.raw_folder)


class QMNIST(MNIST):
    """MNIST's digits with all that NIST tells of them, and 50,000 more for testing (Yadav, Bottou 2019).

    Args: ``what``: "train", "test", "test10k" (MNIST's), "test50k" or "nist" (all of them), by default what ``train``
    says; ``compat``: whether the label is the digit, or else all eight numbers (8,) of it. Others as MNIST.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.QMNIST.html

    >>> from minigrad.vision import datasets
    >>> sorted(datasets.QMNIST.subsets)
    ['nist', 'test', 'test10k', 'test50k', 'train']
    """

    folders = ("qmnist",)
    mirrors = ["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"]
    subsets = {"train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist"}
    _files = {
        "train": [
            ("qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            ("qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ],
        "test": [
            ("qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            ("qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ],
        "nist": [
            ("xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            ("xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ],
    }

    def __init__(self, root, what=None, compat=True, train=True, **kwargs):
        self.what = one_of(("train" if train else "test") if what is None else what, "what", self.subsets)
        self.compat = compat
        self.resources = self._files[self.subsets[self.what]]
        super().__init__(root, train, **kwargs)

    def _candidates(self, name):
        plain = super()._candidates(name)
        return plain + [path.with_name(f"{name}.xz") for path in plain if path.name == name]

    def _load(self):
        images, labels = (read_idx(self._find(name.rpartition(".")[0]), 1 << 31) for name, _ in self.resources)
        if images.dtype != np.uint8 or images.ndim != 3 or labels.ndim != 2 or len(images) != len(labels):
            raise ValueError(f"{self.root}: images {images.shape} and labels {labels.shape} are not QMNIST's")
        part = {"test10k": slice(0, 10_000), "test50k": slice(10_000, None)}.get(self.what, slice(None))
        return wrap(images[part].copy()), wrap(labels[part].astype(np.int64))

    def __getitem__(self, index):
        image = image_module().fromarray(self.data.array[index])
        labels = self.targets[index]
        return self._transformed(image, int(labels[0]) if self.compat else labels)

    def extra_repr(self):
        """Return which part this is."""
        return f"Split: {self.what}"
