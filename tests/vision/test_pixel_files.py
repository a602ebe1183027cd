"""Datasets of images of one size in one file, in small files laid out as published."""

import gzip
import lzma
import struct
import zlib

import numpy as np
import pytest

import minigrad as mg
from minigrad.vision import datasets
from minigrad.vision.datasets.files import read_mat
from tests.vision.conftest import idx_bytes

STORED = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12, "u8": 13}
CLASSES = {"f8": 6, "f4": 7, "i1": 8, "u1": 9, "i2": 10, "u2": 11, "i4": 12, "u4": 13, "i8": 14, "u8": 15}


def element(kind, content, order="<"):
    if 0 < len(content) <= 4:
        return struct.pack(order + "I", len(content) << 16 | kind) + content.ljust(4, b"\0")
    return struct.pack(order + "II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def mat_bytes(arrays, packed=True, order="<"):
    """A MATLAB file of version 5."""
    file = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(order + "H", 0x0100) + (b"IM" if order == "<" else b"MI")
    for name, array in arrays.items():
        code = array.dtype.str[1:]
        parts = element(6, struct.pack(order + "II", CLASSES[code], 0), order)
        parts += element(5, np.array(array.shape, order + "i4").tobytes(), order)
        parts += element(1, name.encode(), order)
        parts += element(STORED[code], array.astype(order + code).tobytes(order="F"), order)
        matrix = element(14, parts, order)
        content = zlib.compress(matrix)
        file += struct.pack(order + "II", 15, len(content)) + content if packed else matrix
    return file


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_mat_files(tmp_path, packed, order):
    random = np.random.default_rng(0)
    arrays = {f"array_{code}": (random.random((2, 3, 2)) * 100).astype(code) for code in STORED}
    (tmp_path / "a.mat").write_bytes(mat_bytes(arrays | {"x": np.full((1, 1), 7, np.uint8)}, packed, order))
    found = read_mat(tmp_path / "a.mat")
    assert found.pop("x").tolist() == [[7]] and set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array)


def test_mat_files_of_scipy(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    arrays = {"X": np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "y": np.arange(5.0), "n": np.int64([[300]])}
    for packed in (True, False):
        other = {"text": "abc", "cells": np.array([[1], "a"], object), "complex": np.array([1j])}
        scipy_io.savemat(tmp_path / "a.mat", arrays | other, do_compression=packed)
        found = read_mat(tmp_path / "a.mat")
        assert set(found) == set(arrays)
        assert all(np.array_equal(found[name], scipy_io.loadmat(tmp_path / "a.mat")[name]) for name in arrays)


def test_damaged_mat_files(tmp_path):
    whole = mat_bytes({"X": np.arange(100.0).reshape(10, 10)})
    plain = mat_bytes({"X": np.arange(100.0).reshape(10, 10)}, packed=False)
    for content in (b"", whole[:100], b"x" * 200, whole[:-9], plain[:-9], plain[:140], plain[:180] + plain[190:]):
        (tmp_path / "a.mat").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.mat"):
            read_mat(tmp_path / "a.mat")
    (tmp_path / "a.mat").write_bytes(whole)
    with pytest.raises(ValueError, match="more than"):
        read_mat(tmp_path / "a.mat", limit=len(whole))


def test_svhn(tmp_path):
    images = np.random.default_rng(0).integers(256, size=(32, 32, 3, 4), dtype=np.uint8)
    content = mat_bytes({"X": images, "y": np.array([[1], [10], [9], [2]], np.uint8)})
    (tmp_path / "test_32x32.mat").write_bytes(content)
    data = datasets.SVHN(tmp_path, split="test", target_transform=str)
    assert data.labels.tolist() == [1, 0, 9, 2] and data.data.shape == (4, 3, 32, 32)
    image, label = data[1]
    assert label == "0" and np.array_equal(np.asarray(image), images[..., 1])
    (tmp_path / "train_32x32.mat").write_bytes(mat_bytes({"X": images, "y": np.ones((3, 1))}))
    with pytest.raises(ValueError, match="4 images, but 3 labels"):
        datasets.SVHN(tmp_path)
    with pytest.raises(RuntimeError, match="not found"):
        datasets.SVHN(tmp_path, split="extra")
    with pytest.raises(ValueError, match="Unknown value"):
        datasets.SVHN(tmp_path, split="val")


def test_stl10(tmp_path):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    random = np.random.default_rng(0)
    images = random.integers(256, size=(3, 3, 96, 96), dtype=np.uint8)  # (N, C, W, H)
    (folder / "train_X.bin").write_bytes(images.tobytes())
    (folder / "train_y.bin").write_bytes(bytes([10, 1, 2]))
    (folder / "unlabeled_X.bin").write_bytes(images[:1].tobytes())
    (folder / "fold_indices.txt").write_text("0 2\n" + "1\n" * 9)
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    data = datasets.STL10(tmp_path)
    image, label = data[0]
    assert label == 9 and np.array_equal(np.asarray(image), images[0].transpose(2, 1, 0))
    assert data.classes == ["airplane", "bird"]
    assert datasets.STL10(tmp_path, folds=0).labels.tolist() == [9, 1]
    both = datasets.STL10(tmp_path, split="train+unlabeled", folds=3)
    assert both.labels.tolist() == [0, -1] and both.data.shape == (2, 3, 96, 96)
    assert datasets.STL10(tmp_path, split="unlabeled")[0][1] == -1
    for keywords, error in (
        ({"folds": 10}, ValueError),
        ({"folds": "1"}, ValueError),
        ({"split": "test"}, RuntimeError),
    ):
        with pytest.raises(error):
            datasets.STL10(tmp_path, **keywords)
    (folder / "train_X.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="whole number"):
        datasets.STL10(tmp_path)


def test_emnist(tmp_path):
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(256, size=(3, 28, 28), dtype=np.uint8)
    (folder / "emnist-letters-test-images-idx3-ubyte").write_bytes(idx_bytes(images))
    labels = gzip.compress(idx_bytes(np.array([1, 26, 2], np.uint8)))
    (folder / "emnist-letters-test-labels-idx1-ubyte.gz").write_bytes(labels)
    data = datasets.EMNIST(tmp_path, "letters", train=False)
    assert data.targets.tolist() == [1, 26, 2] and data.classes[26] == "z" and len(data.class_to_idx) == 27
    assert np.array_equal(np.asarray(data[1][0]), images[1])
    for error, arguments in ((ValueError, ("capitals",)), (RuntimeError, ("digits",))):
        with pytest.raises(error):
            datasets.EMNIST(tmp_path, *arguments)


def test_qmnist(tmp_path):
    images = np.random.default_rng(0).integers(256, size=(3, 28, 28), dtype=np.uint8)
    labels = np.arange(24, dtype=np.int32).reshape(3, 8)
    for name, array, code in (("images-idx3-ubyte", images, 8), ("labels-idx2-int", labels, 12)):
        (tmp_path / f"qmnist-test-{name}.gz").write_bytes(gzip.compress(idx_bytes(array, code)))
        (tmp_path / f"xnist-{name}.xz").write_bytes(lzma.compress(idx_bytes(array, code)))
    data = datasets.QMNIST(tmp_path, train=False)
    assert data.targets.dtype == mg.int64 and data[2][1] == 16 and "Split: test" in repr(data)
    assert mg.equal(datasets.QMNIST(tmp_path, "nist", compat=False)[1][1], mg.arange(8, 16))
    assert len(datasets.QMNIST(tmp_path, "test10k")) == 3 and len(datasets.QMNIST(tmp_path, "test50k")) == 0
    (tmp_path / "xnist-labels-idx2-int.xz").write_bytes(lzma.compress(b"x" * 99)[:-20])
    with pytest.raises(ValueError, match="xnist"):
        datasets.QMNIST(tmp_path, "nist")
    with pytest.raises(ValueError, match="Unknown value"):
        datasets.QMNIST(tmp_path, "val")
