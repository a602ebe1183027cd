"""Digits, folders of images, random images, and what all have in common."""

import gzip

import numpy as np
import pytest
from PIL import Image

import minigrad as mg
from minigrad.utils.data import DataLoader
from minigrad.vision import transforms
from minigrad.vision.datasets import DatasetFolder, Digits, FakeData, ImageFolder, VisionDataset
from minigrad.vision.datasets.folder import (
    find_classes,
    has_file_allowed_extension,
    is_image_file,
    make_dataset,
    pil_loader,
)


# ---------------------------------------------------------------------- digits
@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn")
    return Digits(), Digits(train=False)


def test_digits_split(digits):
    train, test = digits
    assert (len(train), len(test)) == (1438, 359)
    for part, share in ((train, 0.8), (test, 0.2)):
        counts = np.bincount(part.targets.numpy())
        assert len(counts) == 10
        assert (abs(counts - 179.7 * share) < 8).all()
    assert train.data.dtype == mg.uint8
    assert train.data.shape == (1438, 8, 8)
    assert train.targets.dtype == mg.int64


def test_digits_are_scikit_learns(digits):
    from sklearn.datasets import load_digits

    known = load_digits()
    both = np.concatenate([part.data.numpy() for part in digits])
    labels = np.concatenate([part.targets.numpy() for part in digits])
    expected = np.rint(known.images * 255 / 16).astype(np.uint8)
    rows = {(image.tobytes(), int(label)) for image, label in zip(both, labels)}
    assert rows == {(image.tobytes(), int(label)) for image, label in zip(expected, known.target)}


def test_digits_split_is_fixed(digits):
    """The held-out fifth must never change: published accuracies are on it."""
    test = digits[1]
    checksum = (test.data.numpy().astype(np.int64).sum(axis=(1, 2)) * np.arange(1, 360)).sum()
    assert (int(checksum), test.targets[:8].tolist()) == (DIGITS_CHECKSUM, DIGITS_FIRST)


DIGITS_CHECKSUM = 319008269
DIGITS_FIRST = [3, 7, 3, 9, 0, 8, 7, 0]


def test_digits_items(digits):
    image, label = digits[0][0]
    assert (image.mode, image.size, type(label)) == ("L", (8, 8), int)
    assert digits[0].class_to_idx["7"] == 7
    assert "Split: Test" in repr(digits[1])


def line(label, pixel=3):
    return ",".join([str(pixel)] * 64 + [str(label)])


def write_digits(folder, lines):
    (folder / "digits.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))


def test_digits_of_a_file(tmp_path):
    write_digits(tmp_path, [line(i % 10, i % 17) for i in range(50)])
    train, test = Digits(tmp_path), Digits(tmp_path, train=False)
    assert (len(train), len(test)) == (40, 10)
    assert sorted(test.targets.tolist()) == list(range(10))
    assert set(np.unique(train.data.numpy())) <= {round(i * 255 / 16) for i in range(17)}


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([line(3) + ",9"], r"but the table is \(1, 66\)"),
        ([line("x")], "expected lines of 64 pixels"),
        ([line(3, pixel=17)], "a pixel is outside"),
        ([line(3, pixel=-1)], "a pixel is outside"),
        ([line(3, pixel="nan")], "a pixel is outside"),
        ([line(10)], "a label is not"),
        ([line(2.5)], "a label is not"),
        ([line(3), "1,2"], "expected lines of 64 pixels"),
    ],
)
def test_bad_digits(tmp_path, lines, text):
    write_digits(tmp_path, lines)
    with pytest.raises(ValueError, match=text) as caught:
        Digits(tmp_path)
    assert "digits.csv.gz" in str(caught.value)


def test_digits_without_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(RuntimeError, match=r"(?s)minigrad-cnn\[demo\].*digits.csv.gz"):
        Digits(tmp_path)


# ---------------------------------------------------------------------- folders
@pytest.fixture
def photos(tmp_path):
    for number, path in enumerate(["dog/b.png", "dog/a.JPG", "cat/deep/c.png", "cat/notes.txt", "bird/d.bmp"]):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("txt"):
            (tmp_path / path).write_text("not an image")
        else:
            Image.new("L", (4, 3), number * 10).save(tmp_path / path)
    (tmp_path / "readme.md").write_text("not a class")
    return tmp_path


def test_image_folder(photos):
    data = ImageFolder(photos)
    assert data.classes == ["bird", "cat", "dog"]
    assert data.class_to_idx == {"bird": 0, "cat": 1, "dog": 2}
    names = [path.removeprefix(str(photos)).lstrip("/") for path, _ in data.samples]
    assert names == ["bird/d.bmp", "cat/deep/c.png", "dog/a.JPG", "dog/b.png"]
    assert data.targets == [0, 1, 2, 2]
    assert data.imgs is data.samples
    image, label = data[1]
    assert (image.mode, image.size, image.getpixel((0, 0)), label) == ("RGB", (4, 3), (20, 20, 20), 1)


def test_image_folder_in_a_loader(photos):
    data = ImageFolder(photos, transform=transforms.ToTensor(), target_transform=lambda label: label + 10)
    x, y = next(iter(DataLoader(data, batch_size=4, num_workers=1)))
    assert x.shape == (4, 3, 3, 4)
    assert y.tolist() == [10, 11, 12, 12]


def test_dataset_folder(photos):
    data = DatasetFolder(photos, loader=lambda path: path[-5:], extensions=(".txt", ".bmp"), allow_empty=True)
    assert [data[i] for i in range(len(data))] == [("d.bmp", 0), ("s.txt", 1)]
    chosen = DatasetFolder(photos, len, is_valid_file=lambda path: "o" in path.rsplit("/", 1)[1], allow_empty=True)
    assert [path.rsplit("/", 1)[1] for path, _ in chosen.samples] == ["notes.txt"]


def test_folder_functions(photos):
    assert has_file_allowed_extension("A.PNG", (".png",))
    assert has_file_allowed_extension("a.png", ".png")
    assert is_image_file("x.webp")
    assert not is_image_file("x.txt")
    assert find_classes(photos)[1] == {"bird": 0, "cat": 1, "dog": 2}
    assert make_dataset(photos, {"dog": 5}, extensions=(".png",)) == [(str(photos / "dog" / "b.png"), 5)]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda root: ImageFolder(root / "nowhere"), FileNotFoundError, "no such folder"),
        (lambda root: ImageFolder(root / "bird"), FileNotFoundError, "Couldn't find any class folder"),
        (lambda root: DatasetFolder(root, len, (".png",)), FileNotFoundError, "classes bird. Supported .*png"),
        (lambda root: DatasetFolder(root, len), ValueError, "extensions and is_valid_file"),
        (lambda root: make_dataset(root, {}, extensions=(".png",)), ValueError, "at least one entry"),
    ],
)
def test_folder_errors(photos, make, error, text):
    with pytest.raises(error, match=text):
        make(photos)


@pytest.mark.parametrize("cut", [0, 10, 45])
def test_a_damaged_image_is_named(photos, cut):
    path = photos / "dog" / "b.png"
    path.write_bytes(path.read_bytes()[:cut])
    data = ImageFolder(photos)
    with pytest.raises(RuntimeError, match=r"b\.png: not a readable image"):
        data[3]


# ---------------------------------------------------------------------- random images
@pytest.mark.parametrize(("shape", "mode"), [((3, 5, 7), "RGB"), ((1, 5, 7), "L"), ((4, 5, 7), "RGBA")])
def test_fake_data(shape, mode):
    data = FakeData(20, shape, num_classes=4, transform=transforms.PILToTensor())
    assert len(data) == 20
    assert FakeData(1, shape)[0][0].mode == mode
    image, label = data[3]
    assert image.shape == shape
    assert image.tolist() == data[3][0].tolist() == data[-17][0].tolist() != data[4][0].tolist()
    assert {label for _, label in data} == {0, 1, 2, 3}
    assert type(label) is int
    shifted = FakeData(20, shape, num_classes=4, transform=transforms.PILToTensor(), random_offset=1)
    assert shifted[3][0].tolist() == data[4][0].tolist()
    with pytest.raises(IndexError):
        data[20]


def test_fake_data_leaves_the_generators_alone():
    mg.manual_seed(1)
    expected = mg.rand(2).tolist()
    mg.manual_seed(1)
    FakeData(2, (3, 2, 2))[0]
    assert mg.rand(2).tolist() == expected
    with pytest.raises(ValueError, match="image_size"):
        FakeData(2, (2, 8, 8))


# ---------------------------------------------------------------------- the base
def test_vision_dataset():
    class One(VisionDataset):
        def __len__(self):
            return 1

    with pytest.raises(ValueError, match="Only transforms or transform"):
        VisionDataset(transforms=len, transform=len)
    data = One("here", transform=transforms.Compose([transforms.ToTensor()]))
    assert data.transforms(Image.new("L", (1, 1)), 3)[1] == 3
    assert repr(data).splitlines() == [
        "Dataset One",
        "    Number of datapoints: 1",
        "    Root location: here",
        "    StandardTransform",
        "Transform: Compose(",
        "               ToTensor()",
        "           )",
    ]
    with pytest.raises(NotImplementedError):
        VisionDataset()[0]
    with pytest.raises(NotImplementedError):
        len(VisionDataset())


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ImportError, match=r"minigrad-cnn\[demo\]"):
        FakeData(1, (1, 2, 2))[0]


def test_a_file_that_is_no_image_is_named_once(tmp_path):
    path = tmp_path / "note.png"
    path.write_text("not an image at all")
    with pytest.raises(RuntimeError, match=r"note.png: not a readable image \(of no known format\)$"):
        pil_loader(path)
