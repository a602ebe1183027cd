"""scikit-learn's handwritten digits: real data that comes with a Python package, so without a download."""

import io
from pathlib import Path

from minigrad.backend import np
from minigrad.tensor import wrap
from minigrad.vision.datasets.files import data_roots, not_found, read_bytes
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.pillow import image_module

_FILE = "digits.csv.gz"
_SIDE = 8
_BRIGHTEST = 16  # pixels are counts of 0 to 16 dark dots in a 4 x 4 square of the scanned form
_TEST_FRACTION = 5  # one in five of each class
_SPLIT_SEED = 0


def _held_out(labels):
    """Return the mask of the test set: a fifth of each class, the same in every process and version."""
    # RandomState's stream is frozen for ever, unlike that of numpy's newer generators (NEP 19).
    random = np.random.RandomState(_SPLIT_SEED)
    mask = np.zeros(len(labels), bool)
    for label in range(10):
        members = random.permutation(np.flatnonzero(labels == label))
        mask[members[: round(len(members) / _TEST_FRACTION)]] = True
    return mask


class Digits(VisionDataset):
    """1,797 handwritten digits of 8 x 8 pixels (from UCI's optical recognition data, Alpaydin, Kaynak 1998).

    Args:
        root: folder of ``digits.csv.gz`` (64 pixels of 0 to 16 and the label per line); None, or without that file in
            it, the copy inside scikit-learn.
        train: the training set, or else the test set: a fixed fifth of each class (1,438 and 359 images).
        transform, target_transform: functions of the image (a PIL image of mode L) and of the label (an int).

    ``data`` is uint8 (N, 8, 8) with pixels scaled to 0 … 255, ``targets`` int64 (N,), ``classes`` the ten names.
    Raises RuntimeError where neither the file nor scikit-learn is there, ValueError for a damaged file.
    Source: https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits.html

    >>> import gzip, os, tempfile
    >>> from minigrad.vision import datasets
    >>> with tempfile.TemporaryDirectory() as root:
    ...     with gzip.open(os.path.join(root, "digits.csv.gz"), "wt") as file:
    ...         _ = file.write(",".join(["16"] * 64 + ["3"]))
    ...     data = datasets.Digits(root)
    >>> data.data.shape, data.targets
    (minigrad.Size([1, 8, 8]), tensor([3]))
    """

    classes = [str(digit) for digit in range(10)]

    def __init__(self, root=None, train=True, transform=None, target_transform=None):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        images, labels = self._load()
        chosen = _held_out(labels) != train
        self.data = wrap(images[chosen])
        self.targets = wrap(labels[chosen])

    @property
    def class_to_idx(self):
        """Dict of the classes' numbers."""
        return {name: number for number, name in enumerate(self.classes)}

    def _find(self):
        """Return the path of the file; RuntimeError where it is nowhere."""
        candidates = [folder / _FILE for root in data_roots(self.root) for folder in (root, root / "digits")]
        try:
            import sklearn
        except ImportError:
            candidates.append(Path("site-packages/sklearn/datasets/data") / _FILE)
        else:
            candidates.append(Path(sklearn.__file__).parent / "datasets" / "data" / _FILE)
        for path in candidates:
            if path.is_file():
                return path
        raise not_found("Digits", candidates, "They come with scikit-learn: pip install 'minigrad-cnn[demo]'.")

    def _load(self):
        """Return images uint8 (N, 8, 8) and labels int64 (N,)."""
        path = self._find()
        try:
            table = np.loadtxt(io.BytesIO(read_bytes(path, limit=1 << 24)), delimiter=",", ndmin=2)
        except (UnicodeDecodeError, ValueError) as error:
            raise ValueError(f"{path}: expected lines of {_SIDE**2} pixels and a label ({error})") from error
        if table.shape[0] == 0 or table.shape[1] != _SIDE**2 + 1:
            raise ValueError(f"{path}: expected lines of {_SIDE**2} pixels and a label, but the table is {table.shape}")
        pixels, labels = table[:, :-1], table[:, -1]
        if not ((pixels >= 0) & (pixels <= _BRIGHTEST)).all():
            raise ValueError(f"{path}: a pixel is outside 0 to {_BRIGHTEST}")
        if not np.isin(labels, np.arange(10)).all():
            raise ValueError(f"{path}: a label is not one of 0 to 9")
        images = np.rint(pixels * (255 / _BRIGHTEST)).astype(np.uint8)
        return images.reshape(-1, _SIDE, _SIDE), labels.astype(np.int64)

    def __len__(self):
        return self.data.array.shape[0]

    def __getitem__(self, index):
        image = image_module().fromarray(self.data.array[index])
        return self._transformed(image, int(self.targets.array[index]))

    def extra_repr(self):
        """Return which split this is."""
        return f"Split: {'Train' if self.train else 'Test'}"
