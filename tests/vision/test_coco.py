"""Datasets in COCO's format."""

import json

import pytest

from minigrad.vision import datasets
from tests.vision.images import picture

CONTENT = {
    "images": [{"id": 9, "file_name": "a.png"}, {"id": 4, "file_name": "more/b.png"}],
    "annotations": [
        {"id": 3, "image_id": 4, "category_id": 1, "area": 5.0, "iscrowd": 0, "bbox": [0, 0, 2, 3], "caption": "x"},
        {"id": 1, "image_id": 9, "category_id": 2, "area": 50.0, "iscrowd": 1, "bbox": [1, 1, 2, 3], "caption": "y"},
        {"id": 2, "image_id": 4, "category_id": 2, "area": 9.0, "iscrowd": 0, "bbox": [1, 0, 2, 3], "caption": "z"},
    ],
    "categories": [
        {"id": 1, "name": "cat", "supercategory": "animal"},
        {"id": 2, "name": "car", "supercategory": "vehicle"},
    ],
}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "more").mkdir()
    picture(seed=1).save(tmp_path / "a.png")
    picture("L", seed=2).save(tmp_path / "more" / "b.png")
    (tmp_path / "all.json").write_text(json.dumps(CONTENT))
    return tmp_path


def test_detection_and_captions(files):
    data = datasets.CocoDetection(files, files / "all.json", transforms=lambda image, target: (image.mode, target))
    assert data.ids == [4, 9] and len(data) == 2
    assert data[0] == ("RGB", [CONTENT["annotations"][0], CONTENT["annotations"][2]])
    captions = datasets.CocoCaptions(str(files), str(files / "all.json"), target_transform=sorted)
    image, target = captions[0]
    assert image.size == (7, 5) and target == ["x", "z"]
    with pytest.raises(ValueError, match="integer"):
        data["a"]


def test_queries(files):
    coco = datasets.CocoDetection(files, files / "all.json").coco
    assert coco.getAnnIds() == [3, 1, 2] and coco.getAnnIds(imgIds=4) == [3, 2] and coco.getAnnIds([9, 4]) == [1, 3, 2]
    assert coco.getAnnIds(catIds=[2]) == [1, 2] and coco.getAnnIds(4, 2) == [2]
    assert coco.getAnnIds(areaRng=[6, 60], iscrowd=0) == [2]
    assert coco.getImgIds() == [4, 9] and coco.getImgIds(catIds=1) == [4] and coco.getImgIds([9], 1) == []
    assert coco.getCatIds("cat") == [1] and coco.getCatIds(supNms=["vehicle"]) == [2] and coco.getCatIds() == [1, 2]
    assert coco.loadCats(2)[0]["name"] == "car" and len(coco.loadImgs([4, 9])) == 2 and coco.loadAnns([]) == []


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.png", "more/../../a.png", ""])
def test_images_elsewhere_are_refused(files, name):
    (files / "bad.json").write_text(json.dumps({"images": [{"id": 1, "file_name": name}]}))
    with pytest.raises(ValueError, match="leads out"):
        datasets.CocoDetection(files, files / "bad.json")[0]


@pytest.mark.parametrize("content", ["[1]", "{", '{"images": [{}]}', '{"images": 3}', "[" * 100_000, "\xff"])
def test_damaged(files, content):
    (files / "bad.json").write_bytes(content.encode("latin1"))
    with pytest.raises(ValueError, match="COCO's format"):
        datasets.CocoDetection(files, files / "bad.json")
