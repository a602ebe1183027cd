"""MNIST's format: what is read from good files, and what is said of bad ones."""

import gzip
import http.server
import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.vision.datasets import KMNIST, MNIST, FashionMNIST, files
from minigrad.vision.datasets.files import read_idx
from tests.vision.conftest import idx_bytes, write_mnist


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("layout", ["", "MNIST/raw", "MNIST", "mnist"])
def test_layouts(tmp_path, layout, packed):
    write_mnist(tmp_path / layout, packed=packed)
    data = MNIST(tmp_path)
    assert len(data) == 12
    assert data.data.dtype == mg.uint8
    assert data.data.shape == (12, 28, 28)
    assert data.targets.dtype == mg.int64
    assert data.targets.tolist() == [*range(10), 0, 1]
    assert len(MNIST(str(tmp_path), train=False)) == 5


def test_items(tmp_path):
    write_mnist(tmp_path)
    data = MNIST(tmp_path)
    image, label = data[11]
    assert (image.mode, image.size, label, type(label)) == ("L", (28, 28), 1, int)
    assert np.asarray(image).tolist() == [[11] * 28] * 28
    changed = MNIST(tmp_path, transform=lambda image: image.size, target_transform=lambda label: -label)
    assert changed[2] == ((28, 28), -2)
    with pytest.raises(IndexError):
        data[12]
    assert [label for _, label in data] == data.targets.tolist()


def test_attributes(tmp_path):
    write_mnist(tmp_path)
    data = MNIST(tmp_path, train=False)
    assert data.classes[3] == "3 - three"
    assert data.class_to_idx["3 - three"] == 3
    assert repr(data) == f"Dataset MNIST\n    Number of datapoints: 5\n    Root location: {tmp_path}\n    Split: Test"


def test_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    write_mnist(tmp_path / "fashion-mnist", train=3)
    assert len(FashionMNIST()) == 3
    assert len(FashionMNIST("./nowhere")) == 3
    with pytest.raises(RuntimeError, match="not found"):
        KMNIST()


def test_missing_files_name_the_paths(tmp_path):
    with pytest.raises(RuntimeError) as caught:
        MNIST(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz") in message
    assert str(tmp_path / "train-images-idx3-ubyte") in message
    assert "download=True" in message
    assert "https://" in message
    with pytest.raises(RuntimeError, match="no root and no MINIGRAD_DATA"):
        MNIST()


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    kind=st.sampled_from([(0x08, "u1"), (0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")]),
    packed=st.booleans(),
)
def test_every_type_of_idx(tmp_path_factory, shape, kind, packed):
    code, dtype = kind
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    path = tmp_path_factory.mktemp("idx") / "file"
    content = idx_bytes(array, code)
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    found = read_idx(path)
    assert found.dtype == dtype
    assert found.dtype.isnative
    assert np.array_equal(found, array)


GOOD = idx_bytes(np.arange(20, dtype=np.uint8).reshape(5, 4))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\x00\x00\x08", "not an IDX file"),
        (b"PK\x03\x04" + b"x" * 50, "not an IDX file: it begins with 50 4b 03 04"),
        (b"\x00\x00\x07\x01" + b"x" * 50, "not an IDX file"),
        (b"\x00\x00\x08\x00", "not an IDX file"),
        (GOOD[:9], "truncated in its header"),
        (GOOD[:-1], r"shape \(5, 4\), 20 bytes of data, but there are 19"),
        (GOOD + b"x", r"shape \(5, 4\), 20 bytes of data, but there are more"),
        (gzip.compress(GOOD, mtime=0)[:-10], "truncated gzip"),
        (gzip.compress(GOOD, mtime=0)[:20] + b"\xff" * 20, "damaged or truncated gzip"),
        (b"\x1f\x8b" + b"junk" * 9, "damaged or truncated gzip"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "claims shape"),
    ],
)
def test_bad_files(tmp_path, content, text):
    path = tmp_path / "broken-file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text) as caught:
        read_idx(path)
    assert "broken-file" in str(caught.value)


@given(position=st.integers(0, 11), value=st.integers(0, 255), cut=st.integers(0, len(GOOD)))
def test_any_damage_is_an_array_or_a_value_error(tmp_path_factory, position, value, cut):
    content = bytearray(GOOD)
    content[position] = value
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(bytes(content[:cut]))
    try:
        assert isinstance(read_idx(path, limit=1 << 20), np.ndarray)
    except ValueError as error:
        assert str(path) in str(error)


def test_a_decompression_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((2, 3), np.uint8)) + bytes(50_000_000)))
    read = []
    original = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda file, size=-1: read.append(size) or original(file, size))
    with pytest.raises(ValueError, match="but there are more"):
        read_idx(path)
    assert all(0 <= size <= 1 << 20 for size in read)
    assert sum(read) < 1 << 20
    with pytest.raises(ValueError, match="more than the 1,000 bytes"):
        files.read_bytes(path, limit=1000)


@pytest.mark.parametrize(
    ("name", "array", "text"),
    [
        ("train-labels-idx1-ubyte.gz", np.zeros(3, np.uint8), "12 images, but .* 3 labels"),
        ("train-labels-idx1-ubyte.gz", np.full(12, 10, np.uint8), "a label is 10"),
        ("train-labels-idx1-ubyte.gz", np.zeros((12, 1), np.uint8), r"expected uint8 \(N,\)"),
        ("train-images-idx3-ubyte.gz", np.zeros((12, 784), np.uint8), r"expected uint8 \(N, H, W\)"),
    ],
)
def test_files_that_do_not_fit(tmp_path, name, array, text):
    write_mnist(tmp_path)
    (tmp_path / name).write_bytes(gzip.compress(idx_bytes(array), mtime=0))
    with pytest.raises(ValueError, match=text):
        MNIST(tmp_path)


# ---------------------------------------------------------------------- downloads
class Files(http.server.BaseHTTPRequestHandler):
    """Serves /good/… from a dict, /short/… cut off, anything else as 404."""

    content = {}
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        _, kind, name = self.path.split("/")
        if kind == "missing":
            self.send_error(404)
            return
        body = self.content[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:-3] if kind == "short" else body[::-1] if kind == "wrong" else body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    folder = write_mnist(tmp_path / "published")
    Files.content = {path.name: path.read_bytes() for path in folder.iterdir()}
    Files.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def published(server, *kinds):
    """An MNIST class whose mirrors are the test server's folders."""
    checksums = {name: files.hashlib.md5(content).hexdigest() for name, content in Files.content.items()}

    class Published(MNIST):
        mirrors = [f"{server}/{kind}/" for kind in kinds]
        resources = sorted(checksums.items())

    return Published


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize("kinds", [("good",), ("missing", "good"), ("wrong", "short", "good")])
def test_download(tmp_path, server, capsys, kinds):
    kind = published(server, *kinds)
    data = kind(tmp_path / "new", download=True)
    assert len(data) == 12
    assert sorted(os.listdir(tmp_path / "new" / "Published" / "raw")) == sorted(Files.content)
    asked = len(Files.asked)
    assert asked == 4 * len(kinds)
    assert "Downloading http://127" in capsys.readouterr().out
    kind(tmp_path / "new", download=True)  # there already
    assert len(Files.asked) == asked


def test_download_repairs_a_damaged_file(tmp_path, server):
    kind = published(server, "good")
    kind(tmp_path, download=True)
    path = tmp_path / "Published" / "raw" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(b"damaged")
    assert len(kind(tmp_path, download=True)) == 12


def test_download_that_fails_leaves_nothing_and_names_every_mirror(tmp_path, server):
    kind = published(server, "missing", "wrong")
    with pytest.raises(RuntimeError, match="Error downloading") as caught:
        kind(tmp_path / "new", download=True)
    message = str(caught.value)
    assert "404" in message
    assert "MD5" in message
    assert not any(names for _, _, names in os.walk(tmp_path / "new"))


def test_download_is_bounded(tmp_path, server):
    name, content = next(iter(Files.content.items()))
    checksum = files.hashlib.md5(content).hexdigest()
    with pytest.raises(RuntimeError, match="more than 10 bytes"):
        files.download([f"{server}/good/{name}"], tmp_path / "file", checksum, limit=10)


def test_nothing_is_downloaded_unasked(tmp_path, server):
    with pytest.raises(RuntimeError, match="not found"):
        published(server, "good")(tmp_path)
    assert Files.asked == []
    with pytest.raises(ValueError, match="needs a root"):
        published(server, "good")(download=True)


# ---------------------------------------------------------------------- the real thing
def test_real_mnist(data_root):
    try:
        train, test = MNIST(data_root), MNIST(data_root, train=False)
    except RuntimeError as error:
        pytest.skip(str(error).splitlines()[0])
    assert (len(train), len(test)) == (60000, 10000)
    assert train.targets[:6].tolist() == [5, 0, 4, 1, 9, 2]
    assert np.bincount(train.targets.numpy()).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    counts = np.bincount(train.data.numpy().ravel(), minlength=256)
    mean = np.average(np.arange(256) / 255, weights=counts)
    deviation = np.average((np.arange(256) / 255 - mean) ** 2, weights=counts) ** 0.5
    assert (round(mean, 4), round(deviation, 4)) == (0.1307, 0.3081)


def test_the_published_mnist_is_not_taken_for_another(data_root):
    folder = os.path.join(data_root, "mnist")
    if not os.path.isfile(os.path.join(folder, "train-labels-idx1-ubyte.gz")):
        pytest.skip("no published MNIST files")
    with pytest.raises(ValueError, match="this is MNIST's file, not FashionMNIST's"):
        FashionMNIST(folder)
