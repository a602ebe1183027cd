"""Datasets whose images all have one size and lie together in a file: SVHN and STL-10."""

from pathlib import Path

from minigrad.backend import np
from minigrad.vision.datasets.files import one_of, provide, read_bytes, read_mat
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
