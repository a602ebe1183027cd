"""CIFAR's two formats: what is read from good files, and what is said of bad ones."""

import hashlib
import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from minigrad.vision.datasets import CIFAR10, CIFAR100
from minigrad.vision.datasets.files import read_plain_dict
from tests.vision.conftest import cifar_pixels, write_cifar_binary, write_cifar_pickles

TRAIN = [f"data_batch_{number}" for number in range(1, 6)]
BINARY = [f"{name}.bin" for name in TRAIN]


def write(folder, kind, names=TRAIN):
    if kind == "bin":
        return write_cifar_binary(folder, [f"{name}.bin" for name in names])
    return write_cifar_pickles(folder, names)


@pytest.mark.parametrize(
    ("layout", "kind"),
    [
        ("cifar-10-batches-bin", "bin"),
        ("cifar-10-batches-py", "py"),
        ("cifar10/cifar-10-batches-bin", "bin"),
        ("cifar10/cifar-10-batches-py", "py"),
        ("", "bin"),
        ("", "py"),
    ],
)
def test_layouts(tmp_path, layout, kind):
    write(tmp_path / layout, kind)
    write(tmp_path / layout, kind, ["test_batch"])
    data = CIFAR10(tmp_path)
    assert data.data.shape == (20, 32, 32, 3)
    assert data.data.dtype == np.uint8
    assert data.targets == [0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6, 7]
    assert data.data[:, 5, 7].tolist() == [[10 * (i // 4) + i % 4, 100, 200] for i in range(20)]
    image, label = data[6]
    assert (image.mode, image.size, image.getpixel((3, 4)), label) == ("RGB", (32, 32), (12, 100, 200), 3)
    assert len(CIFAR10(tmp_path, train=False)) == 4
    assert "Split: Train" in repr(data)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("bytes_keys", [True, False])
def test_pickles_of_every_protocol(tmp_path, protocol, bytes_keys):
    write_cifar_pickles(tmp_path, ["test_batch"], protocol=protocol, bytes_keys=bytes_keys)
    assert CIFAR10(tmp_path, train=False).data[1, 0, 0].tolist() == [1, 100, 200]


def test_a_pickle_as_python_2_wrote_it(tmp_path):
    """The published files: keys and array contents are Python 2's str."""
    pixels = cifar_pixels(2, 0)
    state = pickle.dumps(pixels.tobytes().decode("latin1"), 2)[2:-1]  # a text, as Python 2's bytes are read
    parts = [
        b"\x80\x02}(U\x04data",
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R",
        b"(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R",
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
        state,
        b"tb",
        b"U\x06labels](K\x07K\x03eu.",
    ]
    (tmp_path / "test_batch").write_bytes(b"".join(parts))
    data = CIFAR10(tmp_path, train=False)
    assert data.targets == [7, 3]
    assert data.data[1, 9, 9].tolist() == [1, 100, 200]


def test_cifar100(tmp_path):
    write_cifar_binary(tmp_path / "cifar-100-binary", ["train.bin", "test.bin"], label_bytes=2)
    data = CIFAR100(tmp_path)
    assert data.targets == [0, 1, 2, 3]
    assert len(data.classes) == 100
    assert (data.classes[0], data.classes[99], data.class_to_idx["cattle"]) == ("apple", "worm", 19)
    assert sorted(data.classes) == data.classes
    other = tmp_path / "other"
    write_cifar_pickles(other / "cifar-100-python", ["train", "test"], key="fine_labels")
    assert CIFAR100(other, train=False).targets == [1, 2, 3, 4]


def test_some_of_the_training_files_warn(tmp_path):
    write(tmp_path, "bin", TRAIN[:2])
    with pytest.warns(UserWarning, match="only 2 of 5 training files .* missing: data_batch_3.bin"):
        assert len(CIFAR10(tmp_path)) == 8


def test_missing_files_name_the_paths(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError) as caught:
        CIFAR10(tmp_path)
    message = str(caught.value)
    for path in ("cifar-10-batches-py/data_batch_1", "cifar10/cifar-10-batches-bin/data_batch_1.bin"):
        assert str(tmp_path / path) in message
    assert "download=True" in message
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    write(tmp_path / "cifar10", "bin")
    with pytest.raises(RuntimeError):
        CIFAR10()
    write(tmp_path / "cifar10" / "cifar-10-batches-bin", "bin")
    assert len(CIFAR10()) == 20


@pytest.mark.parametrize("content", [b"", b"x", bytes(3072), bytes(3074)])
def test_bad_binary_files(tmp_path, content):
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(ValueError, match="test_batch.bin: .* records of 3,073"):
        CIFAR10(tmp_path, train=False)


def test_bad_labels(tmp_path):
    (tmp_path / "test_batch.bin").write_bytes(b"\x0a" + bytes(3072))
    with pytest.raises(ValueError, match="labels are not all of 0 to 9"):
        CIFAR10(tmp_path, train=False)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("/tmp/must-not-be-made-by-a-pickle",)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "EOFError"),
        (b"junk", "not a pickled dict"),
        (pickle.dumps({"data": cifar_pixels(2, 0), "labels": [1, 2]})[:-50], "not a pickled dict"),
        (pickle.dumps(Evil()), "the global posix.mkdir"),
        (pickle.dumps({"data": Evil()}), "the global"),
        (pickle.dumps([1]), "not a pickled dict"),
        (pickle.dumps({"data": np.array([None, {}])}), "dtype"),
        (pickle.dumps(np.ndarray), "not a pickled dict"),
        (b"cnumpy\nndarray\n((J\xff\xff\xff\x7ftR.", "not a pickled dict"),
        (pickle.dumps({"labels": [1]}), "expected 'data'"),
        (pickle.dumps({"data": "text", "labels": [1]}), "expected 'data' of uint8 .* but it is str"),
        (pickle.dumps({"data": np.zeros((1, 3071), np.uint8), "labels": [1]}), "expected 'data'"),
        (pickle.dumps({"data": np.zeros((1, 3072)), "labels": [1]}), "expected 'data'"),
        (pickle.dumps({"data": cifar_pixels(2, 0)}), "expected 'labels'"),
        (pickle.dumps({"data": cifar_pixels(2, 0), "labels": ["a", "b"]}), "expected 'labels'"),
        (pickle.dumps({"data": cifar_pixels(2, 0), "labels": [1]}), "2 images, but 1 labels"),
        (pickle.dumps({"data": cifar_pixels(1, 0), "labels": [-1]}), "labels are not all of"),
    ],
)
def test_bad_pickles(tmp_path, content, text):
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(ValueError, match=text) as caught:
        CIFAR10(tmp_path, train=False)
    assert str(tmp_path / "test_batch") in str(caught.value)
    assert not os.path.exists("/tmp/must-not-be-made-by-a-pickle")


def test_plain_pickles_keep_other_arrays(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))}
    for protocol in (2, 5):
        (tmp_path / "file").write_bytes(pickle.dumps({**arrays, "c": [b"x", 1.5, ("y", None)]}, protocol))
        found = read_plain_dict(tmp_path / "file")
        assert found["c"] == [b"x", 1.5, ("y", None)]
        for name, array in arrays.items():
            assert np.array_equal(found[name], array)
            assert found[name].dtype.isnative


def test_download(tmp_path, monkeypatch):
    source = write(tmp_path / "source" / "cifar-10-batches-py", "py", [*TRAIN, "test_batch"])
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "cifar-10-batches-py")
        escape = tarfile.TarInfo("../escaped")
        escape.size = 3
        tar.addfile(escape, io.BytesIO(b"bad"))

    def md5(path):
        return hashlib.md5(path.read_bytes()).hexdigest()

    class Published(CIFAR10):
        url = archive.as_uri()
        tgz_md5 = md5(archive)
        train_list = [(name, md5(source / name)) for name in TRAIN]
        test_list = [("test_batch", md5(source / "test_batch"))]

    root = tmp_path / "deep" / "root"
    assert len(Published(root, download=True)) == 20
    assert not (root.parent / "escaped").exists()
    assert sorted(os.listdir(root / "cifar-10-batches-py")) == [*TRAIN, "test_batch"]
    archive.unlink()
    (root / "cifar-10-python.tar.gz").unlink()
    assert len(Published(root, train=False, download=True)) == 4  # all there: nothing is asked for
    (root / "cifar-10-batches-py" / "test_batch").write_bytes(b"")
    with pytest.raises(RuntimeError, match="Error downloading"):
        Published(root, download=True)


@pytest.mark.filterwarnings("ignore:CIFAR10. only:UserWarning")
def test_real_cifar10(data_root):
    try:
        train, test = CIFAR10(data_root), CIFAR10(data_root, train=False)
    except RuntimeError as error:
        pytest.skip(str(error).splitlines()[0])
    assert len(train) in (20000, 50000)
    assert np.bincount(test.targets).tolist() == [1000] * 10
    assert np.bincount(train.targets).tolist() == [len(train) // 10] * 10
    means = train.data.reshape(-1, 3).mean(axis=0) / 255
    assert np.allclose(means, [0.4914, 0.4822, 0.4465], atol=0.01)
