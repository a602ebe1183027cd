"""Small files in the formats of the published data sets."""

import gzip
import pickle

import numpy as np
import pytest

pytest.importorskip("PIL")


def idx_bytes(array, code=0x08):
    """An array in IDX format."""
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(array, array.dtype.newbyteorder(">")).tobytes()


def write_mnist(folder, train=12, test=5, packed=True, classes=10, side=28):
    """The four files; pixel values are the image's number, labels count up."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", train), ("t10k", test)):
        images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None], (count, side, side))
        labels = (np.arange(count) % classes).astype(np.uint8)
        for name, array in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return folder


def cifar_pixels(count, first):
    """Images (count, 3072) in CIFAR's order: the planes R, G, B hold first + number, 100, 200."""
    pixels = np.empty((count, 3, 1024), np.uint8)
    pixels[:, 0] = first + np.arange(count)[:, None]
    pixels[:, 1] = 100
    pixels[:, 2] = 200
    return pixels.reshape(count, 3072)


def write_cifar_binary(folder, names, count=4, label_bytes=1):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        labels = np.arange(count, dtype=np.uint8) + number
        coarse = [np.zeros(count, np.uint8)] * (label_bytes - 1)
        records = np.column_stack([*coarse, labels, cifar_pixels(count, 10 * number)])
        (folder / name).write_bytes(records.tobytes())
    return folder


def write_cifar_pickles(folder, names, count=4, key="labels", protocol=2, bytes_keys=True):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        labels = [int(label) for label in np.arange(count) + number]
        entry = {"data": cifar_pixels(count, 10 * number), key: labels, "filenames": ["a.png"] * count}
        if bytes_keys:
            entry = {name.encode(): value for name, value in entry.items()}
        (folder / name).write_bytes(pickle.dumps(entry, protocol))
    return folder


@pytest.fixture(autouse=True)
def no_other_data(monkeypatch, request):
    """Only tests that ask for data_root see the machine's own data sets."""
    if "data_root" not in request.fixturenames:
        monkeypatch.delenv("MINIGRAD_DATA", raising=False)
