"""Datasets whose images all have one size and lie together in a file: SVHN, STL-10, USPS, Semeion, moving digits."""

import bz2
from pathlib import Path

from minigrad.backend import np
from minigrad.tensor import wrap
from minigrad.vision.datasets.files import LIMIT, one_of, provide, read_bytes, read_mat
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.pillow import image_module

_MUCH = 1 << 32  # bytes; the largest of these files, STL10's, has 2.8 GB


class _Pixels(VisionDataset):
    """Base: ``data`` (N, C, H, W) or (N, H, W) of uint8 and ``labels``, of which images and ints are made."""

    def _provide(self, names, resources, download, folder=""):
        """Return the paths of files under root, downloaded if asked to."""
        root = Path(self.root).expanduser()
        paths = [root / folder / name for name in names]
        provide(type(self).__name__, root, paths, resources, download)
        return paths

    def _check(self, path):
        """ValueError where there are not as many images as labels."""
        if len(self.data) != len(self.labels):
            raise ValueError(f"{path}: {len(self.data)} images, but {len(self.labels)} labels")

    def __getitem__(self, index):
        pixels = self.data[index]
        image = image_module().fromarray(
            np.ascontiguousarray(pixels.transpose(1, 2, 0)) if pixels.ndim == 3 else pixels
        )
        return self._transformed(image, int(self.labels[index]))

    def __len__(self):
        return len(self.data)

    def extra_repr(self):
        """Return which split this is."""
        return f"Split: {self.split}" if hasattr(self, "split") else ""


class SVHN(_Pixels):
    """House numbers in Street View, digits of 32 x 32 in colour (Netzer et al. 2011); no SciPy is needed.

    Args: ``root``: folder of ``train_32x32.mat``; ``split``: "train", "test" or "extra"; ``transform``,
    ``target_transform``: of the image (PIL, RGB) and the digit; ``download``: whether a missing file is downloaded.
    ``data`` is uint8 (N, 3, 32, 32), ``labels`` int64 (N,). RuntimeError where the file is missing, ValueError for
    another split and a damaged file.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.SVHN.html

    >>> from minigrad.vision import datasets
    >>> sorted(datasets.SVHN.split_list)
    ['extra', 'test', 'train']
    """

    split_list = {
        split: [f"http://ufldl.stanford.edu/housenumbers/{split}_32x32.mat", f"{split}_32x32.mat", md5]
        for split, md5 in (
            ("train", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            ("test", "eb5a983be6a315427106f1b164d9cef3"),
            ("extra", "a93ce644f1a588dc4d68dda5feec44a7"),
        )
    }

    def __init__(self, root, split="train", transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = one_of(split, "split", self.split_list)
        self.url, self.filename, self.file_md5 = self.split_list[split]
        (path,) = self._provide([self.filename], [(self.url, self.file_md5)], download)
        arrays = read_mat(path, _MUCH)
        images, labels = arrays.get("X"), arrays.get("y")
        if images is None or labels is None or images.ndim != 4 or images.dtype != np.uint8:
            raise ValueError(f"{path}: expected images X, uint8 (H, W, C, N), and labels y")
        self.data = images.transpose(3, 2, 0, 1)
        self.labels = labels.astype(np.int64).reshape(-1)
        self.labels[self.labels == 10] = 0  # the digit 0 is called 10 there
        self._check(path)


class STL10(_Pixels):
    """Ten kinds of things of 96 x 96, 500 of each for training, and 100,000 unlabeled images (Coates et al. 2011).

    Args: ``root``: folder of ``stl10_binary``; ``split``: "train", "test", "unlabeled" or "train+unlabeled";
    ``folds``: one of the ten parts 0 … 9 of 1,000 training images, None for all. Others as SVHN; unlabeled ones are -1.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.STL10.html

    >>> from minigrad.vision import datasets
    >>> datasets.STL10.splits
    ('train', 'train+unlabeled', 'unlabeled', 'test')
    """

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    tgz_md5 = "91f7769df0f17e558f3565bffb0c7dfb"
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(self, root, split="train", folds=None, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = one_of(split, "split", self.splits)
        if folds is not None and (not isinstance(folds, int) or not 0 <= folds < 10):
            raise ValueError(f"Value for argument folds should be None or in the range [0, 10), but got {folds}.")
        self.folds = folds
        parts = split.split("+")
        needed = [name for part in parts for name in (f"{part}_X.bin", f"{part}_y.bin") if name != "unlabeled_y.bin"]
        if folds is not None and parts[0] == "train":
            needed.append("fold_indices.txt")
        paths = self._provide(needed, [(self.url, self.tgz_md5)], download, self.base_folder)
        loaded = [self._part(paths[0].parent, part) for part in parts]
        self.data, self.labels = (
            np.concatenate(arrays) if len(arrays) > 1 else arrays[0] for arrays in zip(*loaded, strict=True)
        )
        self._check(paths[0])
        names = paths[0].with_name("class_names.txt")
        if names.is_file():
            self.classes = names.read_text().splitlines()

    def _part(self, folder, part):
        content = np.frombuffer(read_bytes(folder / f"{part}_X.bin", _MUCH), np.uint8)
        if content.size % (3 * 96 * 96):
            raise ValueError(f"{folder / part}_X.bin: not a whole number of images of 3 x 96 x 96 bytes")
        images = content.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2)  # columns come first in the file
        if part == "unlabeled":
            return images, np.full(len(images), -1)
        labels = np.frombuffer(read_bytes(folder / f"{part}_y.bin"), np.uint8).astype(np.int64) - 1
        if part == "train" and self.folds is not None:
            rows = (folder / "fold_indices.txt").read_text().splitlines()
            chosen = np.array(rows[self.folds].split(), np.int64)
            return images[chosen], labels[chosen]
        return images, labels


class USPS(_Pixels):
    """Digits of 16 x 16 grey pixels from envelopes: 7,291 for training, 2,007 for testing (Hull 1994).

    Args: ``root``: folder of ``usps.bz2`` and ``usps.t.bz2``; ``train``: which of them; others as SVHN.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.USPS.html

    >>> from minigrad.vision import datasets
    >>> datasets.USPS.split_list["test"][1]
    'usps.t.bz2'
    """

    split_list = {
        split: [f"https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/{name}", name, md5]
        for split, name, md5 in (
            ("train", "usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
            ("test", "usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
        )
    }

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        super().__init__(root, transform=transform, target_transform=target_transform)
        url, name, md5 = self.split_list["train" if train else "test"]
        (path,) = self._provide([name], [(url, md5)], download)
        try:
            text = bz2.BZ2Decompressor().decompress(read_bytes(path), LIMIT)
            rows = [line.split() for line in text.decode("ascii").splitlines()]  # label 1:value … 256:value
            values = np.array([[pixel.partition(":")[2] for pixel in row[1:]] for row in rows], np.float32)
            self.data = ((values.reshape(-1, 16, 16) + 1) / 2 * 255).astype(np.uint8)
            self.targets = [int(row[0]) - 1 for row in rows]
        except (OSError, ValueError, IndexError) as error:
            raise ValueError(f"{path}: not USPS's rows of a label and 256 pixels ({error})") from error
        self.labels = self.targets


class SEMEION(_Pixels):
    """1,593 handwritten digits of 16 x 16 black and white pixels (Buscema, Semeion 1998).

    Args: ``root``: folder of ``semeion.data``, downloaded by default; others as SVHN.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.SEMEION.html

    >>> from minigrad.vision import datasets
    >>> datasets.SEMEION.filename
    'semeion.data'
    """

    url = "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data"
    filename = "semeion.data"
    md5_checksum = "cb545d371d2ce14ec121470795a77432"

    def __init__(self, root, transform=None, target_transform=None, download=True):
        super().__init__(root, transform=transform, target_transform=target_transform)
        (path,) = self._provide([self.filename], [(self.url, self.md5_checksum)], download)
        rows = [line.split() for line in read_bytes(path).decode("latin1").splitlines() if line.strip()]
        try:
            values = np.array(rows, np.float64).reshape(len(rows), 266)
        except ValueError as error:
            raise ValueError(f"{path}: not Semeion's rows of 256 pixels and 10 marks ({error})") from error
        self.data = (values[:, :256] * 255).astype(np.uint8).reshape(-1, 16, 16)
        self.labels = values[:, 256:].argmax(axis=1)


class MovingMNIST(_Pixels):
    """10,000 films of 20 frames in which two digits move: tensors (T, 1, 64, 64) of uint8 (Srivastava et al. 2015).

    Args: ``root``: folder of ``MovingMNIST/mnist_test_seq.npy``; ``split``: "train" for the first ``split_ratio``
    frames of each film, "test" for the others, None for all; ``transform``: of the tensor. Errors as SVHN.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.MovingMNIST.html

    >>> from minigrad.vision import datasets
    >>> datasets.MovingMNIST.url.rpartition("/")[2]
    'mnist_test_seq.npy'
    """

    url = "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"
    md5 = "be083ec986bfe91a449d63653c411eb2"

    def __init__(self, root, split=None, split_ratio=10, download=False, transform=None):
        super().__init__(root, transform=transform)
        if split is not None:
            self.split = one_of(split, "split", ("train", "test"))
        if not isinstance(split_ratio, int):
            raise TypeError(f"`split_ratio` should be an integer, but got {type(split_ratio)}")
        if not 1 <= split_ratio <= 19:
            raise ValueError(f"`split_ratio` should be `1 <= split_ratio <= 19`, but got {split_ratio} instead.")
        path = Path(root).expanduser() / "MovingMNIST" / "mnist_test_seq.npy"
        provide("MovingMNIST", path.parent, [path], [(self.url, self.md5)], download)
        frames = np.load(path, allow_pickle=False)
        if frames.ndim != 4 or frames.dtype != np.uint8:
            raise ValueError(f"{path}: expected uint8 (T, N, H, W), but it is {frames.dtype} {frames.shape}")
        part = {None: slice(None), "train": slice(split_ratio), "test": slice(split_ratio, None)}[split]
        self.data = wrap(np.ascontiguousarray(frames[part].transpose(1, 0, 2, 3)[:, :, None]))  # (N, T, 1, H, W)

    def __getitem__(self, index):
        return self.data[index] if self.transform is None else self.transform(self.data[index])
