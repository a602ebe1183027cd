"""Datasets of one file for each photograph, in small folders laid out as published."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from minigrad.vision import datasets
from minigrad.vision.datasets.files import read_xml, unpack
from tests.vision.images import chw, picture
from tests.vision.test_pixel_files import mat_bytes

XML = """<annotation><folder>VOC</folder><size><width>7</width></size>{}</annotation>"""
OBJECT = "<object><name>{}</name><part><name>head</name></part><part><name>foot</name></part></object>"


def write(root, layout):
    """Files by their paths: images of a mode, or texts and bytes."""
    for number, (name, content) in enumerate(layout.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content in ("RGB", "L"):
            picture(content, seed=number).save(path)
        else:
            path.write_text(content)
    return root


VOC = {
    "VOCdevkit/VOC2012/ImageSets/Main/train.txt": "b\na\n",
    "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt": "a\n",
    "VOCdevkit/VOC2012/JPEGImages/a.jpg": "RGB",
    "VOCdevkit/VOC2012/JPEGImages/b.jpg": "L",
    "VOCdevkit/VOC2012/SegmentationClass/a.png": "L",
    "VOCdevkit/VOC2012/Annotations/a.xml": XML.format(OBJECT.format("cat") + OBJECT.format("dog")),
    "VOCdevkit/VOC2012/Annotations/b.xml": XML.format(OBJECT.format("car")),
}
ONE = {"name": "car", "part": [{"name": "head"}, {"name": "foot"}]}


def test_voc(tmp_path):
    write(tmp_path, VOC)
    data = datasets.VOCDetection(tmp_path)
    assert len(data) == 2 and [path[-5:] for path in data.images] == ["b.jpg", "a.jpg"]
    image, target = data[0]
    assert image.mode == "RGB"
    assert target == {"annotation": {"folder": "VOC", "size": {"width": "7"}, "object": [ONE]}}
    assert [part["name"] for part in data[1][1]["annotation"]["object"]] == ["cat", "dog"]
    masks = datasets.VOCSegmentation(tmp_path, image_set="val", transforms=lambda image, mask: (image.size, mask))
    size, mask = masks[0]
    assert size == (7, 5) and np.array_equal(chw(mask), chw(picture("L", seed=4)))
    with pytest.raises(RuntimeError, match="not found"):
        datasets.VOCDetection(tmp_path, year="2007", image_set="test")
    with pytest.raises(ValueError, match="image_set"):
        datasets.VOCDetection(tmp_path, image_set="test")
    (tmp_path / "VOCdevkit/VOC2012/ImageSets/Main/train.txt").write_text("../../../a\n")
    with pytest.raises(ValueError, match="leads out"):
        datasets.VOCDetection(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_in_xml_are_refused(tmp_path, encoding):
    bomb = f"<?xml version='1.0' encoding='{encoding}'?><!DOCTYPE a [<!ENTITY b 'ha'>]><a>&b;&b;</a>"
    (tmp_path / "a.xml").write_bytes(bomb.encode(encoding))
    with pytest.raises(ValueError, match="document type"):
        read_xml(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text("<a><b>")
    with pytest.raises(ValueError, match="not a plain XML"):
        read_xml(tmp_path / "a.xml")


CONTOUR = mat_bytes({"obj_contour": np.arange(6.0).reshape(2, 3)})
# class, its files, keywords -> labels, attributes
CASES = [
    (
        "Omniglot",
        {
            "omniglot-py/images_background/Greek/c2/1.png": "L",
            "omniglot-py/images_background/Greek/c1/2.png": "L",
            "omniglot-py/images_background/Greek/c1/1.png": "L",
            "omniglot-py/images_background/Balinese/c1/1.png": "L",
        },
        {},
        [0, 1, 1, 2],
        {"_alphabets": ["Balinese", "Greek"]},
    ),
    (
        "Caltech101",
        {
            "caltech101/101_ObjectCategories/Faces/image_0001.jpg": "L",
            "caltech101/101_ObjectCategories/ant/image_0001.jpg": "RGB",
            "caltech101/101_ObjectCategories/ant/image_0002.jpg": "RGB",
            "caltech101/101_ObjectCategories/BACKGROUND_Google/image_0001.jpg": "RGB",
        },
        {},
        [0, 1, 1],
        {"categories": ["Faces", "ant"], "annotation_categories": ["Faces_2", "ant"]},
    ),
    (
        "Flowers102",
        {
            "flowers-102/jpg/image_00001.jpg": "RGB",
            "flowers-102/jpg/image_00003.jpg": "RGB",
            "flowers-102/imagelabels.mat": mat_bytes({"labels": np.array([[7, 8, 9]], np.uint8)}),
            "flowers-102/setid.mat": mat_bytes({"valid": np.array([[3, 1]], np.uint16)}),
        },
        {"split": "val"},
        [8, 6],
        {},
    ),
]


@pytest.mark.parametrize(("name", "layout", "keywords", "labels", "attributes"), CASES, ids=[case[0] for case in CASES])
def test_folders(tmp_path, name, layout, keywords, labels, attributes):
    make = getattr(datasets, name)
    with pytest.raises(RuntimeError, match="not found"):
        make(tmp_path, **keywords)
    write(tmp_path, layout)
    data = make(tmp_path, **keywords)
    assert len(data) == len(labels) and [data[index][1] for index in range(len(data))] == labels
    assert {attribute: getattr(data, attribute) for attribute in attributes} == attributes
    changed = make(tmp_path, **keywords, transform=lambda image: image.size, target_transform=str)
    assert changed[0] == ((7, 5), str(labels[0])) and name in repr(changed)
    for split in set(keywords) & {"split"}:
        with pytest.raises(ValueError, match="Unknown value"):
            make(tmp_path, **{split: "other"})


def test_targets_of_several_kinds(tmp_path):
    write(tmp_path, CASES[1][1] | {"caltech101/Annotations/ant/annotation_0002.mat": CONTOUR})
    label, outline = datasets.Caltech101(tmp_path, ["category", "annotation"])[2][1]
    assert label == 1 and outline.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_imagenet(tmp_path):
    write(tmp_path, {"val/n02/a.JPEG": "RGB", "val/n01/b.JPEG": "RGB"})
    assert datasets.ImageNet(tmp_path, "val").classes == [("n01",), ("n02",)]
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01 tench, Tinca tinca\nn02 goldfish\n")
    data = datasets.ImageNet(tmp_path, "val", transform=np.shape)
    assert data.wnids == ["n01", "n02"] and data.classes[0] == ("tench", "Tinca tinca")
    assert data.class_to_idx == {"tench": 0, "Tinca tinca": 0, "goldfish": 1} and data[1] == ((5, 7, 3), 1)
    assert data.root == str(tmp_path) and data.split_folder == str(tmp_path / "val")
    with pytest.raises(FileNotFoundError):
        datasets.ImageNet(tmp_path)


def archive(path, names):
    content = b"x" * 10
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as opened:
            for name in names:
                opened.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as opened:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                opened.addfile(entry, io.BytesIO(content))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            opened.addfile(link)
    return path


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_unpack(tmp_path, ending):
    unpack(archive(tmp_path / f"a.{ending}", ["b/c", "d"]), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["b", "c", "d"]
    assert (tmp_path / "out/b/c").read_bytes() == b"x" * 10
    for name in ("../e", "/tmp/e"):
        with pytest.raises(ValueError, match="leads out"):
            unpack(archive(tmp_path / f"a.{ending}", [name]), tmp_path / "out")
    with pytest.raises(ValueError, match="more than"):
        unpack(archive(tmp_path / f"a.{ending}", ["b/c", "d"]), tmp_path / "out", limit=19)
    (tmp_path / f"a.{ending}").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="can't be unpacked"):
        unpack(tmp_path / f"a.{ending}", tmp_path / "out")


def test_download_unpacks(tmp_path, monkeypatch):
    made = archive(tmp_path / "made.zip", [])
    with zipfile.ZipFile(made, "w") as opened:
        file = io.BytesIO()
        picture("L").save(file, format="png")
        opened.writestr("images_evaluation/Greek/c1/1.png", file.getvalue())
    fetched = []

    def fetch(urls, path, md5, limit):
        fetched.append((urls, md5))
        path.parent.mkdir(parents=True)
        path.write_bytes(made.read_bytes())

    monkeypatch.setattr("minigrad.vision.datasets.files.download", fetch)
    for _ in range(2):
        assert len(datasets.Omniglot(tmp_path / "root", background=False, download=True)) == 1
    ((urls, md5),) = fetched
    assert urls[0].endswith("/images_evaluation.zip") and md5 == "6b91aef0f799c5bb55b94e3f2daec811"
