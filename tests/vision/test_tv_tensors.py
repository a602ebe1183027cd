"""Images, masks, boxes and key points as tensors that say what they are; numbers are those of torchvision 0.28."""

import copy
import json
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad.vision import datasets, tv_tensors
from minigrad.vision.transforms import v2
from minigrad.vision.transforms.v2 import functional as F
from tests.vision.images import picture

CORNERS = [[1, 2, 9, 13], [5, 6, 25, 18], [20, 3, 29, 11]]
SIZE = (20, 30)


def boxes(format="XYXY", dtype=mg.int64):
    found = tv_tensors.BoundingBoxes(CORNERS, format="xyxy", canvas_size=SIZE, dtype=dtype)
    return F.convert_bounding_box_format(found, new_format=format)


def image():
    return tv_tensors.Image((mg.arange(3 * 20 * 30).reshape(3, 20, 30) % 251).to(mg.uint8))


def masks():
    return tv_tensors.Mask((mg.arange(3 * 20 * 30).reshape(3, 20, 30) % 7 == 0).to(mg.uint8))


def points():
    return tv_tensors.KeyPoints([[1, 2], [25, 13]], canvas_size=SIZE)


def sample():
    target = {"boxes": boxes(dtype=mg.float32), "masks": masks(), "labels": mg.tensor([1, 2, 3])}
    return image(), target


FACTS = [
    ("resize", "XYXY", [[0, 1, 5, 8], [2, 3, 14, 11], [11, 1, 16, 7]], (13, 17)),
    ("resize", "XYWH", [[0, 1, 4, 7], [2, 3, 11, 7], [11, 1, 5, 5]], (13, 17)),
    ("resize", "CXCYWH", [[2, 4, 4, 7], [8, 7, 11, 7], [13, 4, 5, 5]], (13, 17)),
    ("resize", "points", [[0, 1], [14, 8]], (13, 17)),
    ("shorter", "XYXY", [[0, 1, 5, 7], [3, 3, 15, 10], [12, 1, 17, 6]], (12, 18)),
    ("shorter", "CXCYWH", [[3, 4, 4, 6], [9, 7, 12, 7], [14, 4, 5, 4]], (12, 18)),
    ("shorter", "points", [[0, 1], [15, 7]], (12, 18)),
    ("hflip", "XYXY", [[21, 2, 29, 13], [5, 6, 25, 18], [1, 3, 10, 11]], (20, 30)),
    ("hflip", "XYWH", [[21, 2, 8, 11], [5, 6, 20, 12], [1, 3, 9, 8]], (20, 30)),
    ("hflip", "CXCYWH", [[25, 7, 8, 11], [15, 12, 20, 12], [6, 7, 9, 8]], (20, 30)),
    ("hflip", "points", [[28, 2], [4, 13]], (20, 30)),
    ("vflip", "XYXY", [[1, 7, 9, 18], [5, 2, 25, 14], [20, 9, 29, 17]], (20, 30)),
    ("vflip", "CXCYWH", [[5, 13, 8, 11], [15, 8, 20, 12], [24, 13, 9, 8]], (20, 30)),
    ("vflip", "points", [[1, 17], [25, 6]], (20, 30)),
    ("crop", "XYXY", [[0, 0, 3, 9], [0, 2, 13, 11], [13, 0, 13, 7]], (11, 13)),
    ("crop", "XYWH", [[0, 0, 3, 9], [0, 2, 13, 9], [13, 0, 0, 7]], (11, 13)),
    ("crop", "CXCYWH", [[1, 4, 3, 8], [6, 6, 13, 9], [13, 3, 0, 7]], (11, 13)),
    ("crop", "points", [[-5, -2], [19, 9]], (11, 13)),
    ("center_crop", "XYXY", [[0, 0, 0, 7], [0, 0, 11, 9], [10, 0, 11, 5]], (9, 11)),
    ("center_crop", "XYWH", [[0, 0, 0, 7], [0, 0, 11, 9], [10, 0, 1, 5]], (9, 11)),
    ("center_crop", "CXCYWH", [[0, 3, 0, 6], [5, 4, 11, 9], [10, 2, 1, 5]], (9, 11)),
    ("center_crop", "points", [[-9, -4], [15, 7]], (9, 11)),
    ("larger", "XYXY", [[3, 4, 11, 15], [7, 8, 27, 20], [22, 5, 31, 13]], (25, 35)),
    ("larger", "CXCYWH", [[7, 9, 8, 11], [17, 14, 20, 12], [26, 9, 9, 8]], (25, 35)),
    ("larger", "points", [[3, 4], [27, 15]], (25, 35)),
    ("resized_crop", "XYXY", [[0, 0, 4, 18], [0, 4, 20, 22], [20, 0, 20, 14]], (22, 20)),
    ("resized_crop", "XYWH", [[0, 0, 4, 18], [0, 4, 20, 18], [20, 0, 0, 14]], (22, 20)),
    ("resized_crop", "CXCYWH", [[1, 8, 4, 16], [9, 12, 20, 18], [20, 6, 0, 14]], (22, 20)),
    ("resized_crop", "points", [[-7, -4], [29, 18]], (22, 20)),
    ("pad", "XYXY", [[2, 4, 10, 15], [6, 8, 26, 20], [21, 5, 30, 13]], (26, 34)),
    ("pad", "XYWH", [[2, 4, 8, 11], [6, 8, 20, 12], [21, 5, 9, 8]], (26, 34)),
    ("pad", "CXCYWH", [[6, 9, 8, 11], [16, 14, 20, 12], [25, 9, 9, 8]], (26, 34)),
    ("pad", "points", [[2, 4], [26, 15]], (26, 34)),
    (
        "rotate",
        "XYXY",
        [[0.0, 6.5585, 11.602, 20.0], [4.4347, 1.1989, 27.744, 20.0], [15.381, 0.0, 27.286, 8.1155]],
        (20, 30),
    ),
    (
        "rotate",
        "CXCYWH",
        [[5.6648, 12.93, 11.33, 13.582], [16.089, 10.599, 23.309, 18.801], [20.914, 4.1939, 11.905, 8.3878]],
        (20, 30),
    ),
    ("rotate", "points", [[-1.0985, 10.916], [25.021, 7.0696]], (20, 30)),
    (
        "expanded",
        "XYXY",
        [[1.6237, 9.0618, 12.903, 22.135], [6.7506, 7.3483, 29.649, 25.465], [19.82, 3.1611, 31.013, 13.757]],
        (30, 36),
    ),
    (
        "expanded",
        "CXCYWH",
        [[7.0926, 15.128, 11.28, 13.073], [18.2, 16.407, 22.898, 18.117], [24.947, 8.63, 11.193, 10.596]],
        (30, 36),
    ),
    ("expanded", "points", [[1.6237, 11.798], [27.939, 13.926]], (30, 36)),
    (
        "affine",
        "XYXY",
        [[3.2845, 3.8758, 11.926, 12.554], [4.4755, 7.255, 21.459, 19.032], [16.617, 8.4096, 25.034, 15.373]],
        (20, 30),
    ),
    (
        "affine",
        "CXCYWH",
        [[7.7542, 7.8949, 8.6413, 8.6779], [12.967, 13.144, 16.983, 11.777], [20.49, 11.789, 8.4175, 6.9633]],
        (20, 30),
    ),
    ("affine", "points", [[6.5631, 3.8758], [19.372, 15.833]], (20, 30)),
    (
        "perspective",
        "XYXY",
        [[3.0144, 2.9624, 10.06, 12.801], [6.663, 6.8151, 23.156, 17.162], [18.844, 5.0894, 26.649, 12.139]],
        (20, 30),
    ),
    (
        "perspective",
        "CXCYWH",
        [[6.5242, 7.4514, 7.0713, 9.9124], [14.91, 11.988, 16.493, 10.347], [22.351, 8.5875, 7.7976, 7.0574]],
        (20, 30),
    ),
    ("perspective", "points", [[3.0144, 2.9624], [22.56, 13.493]], (20, 30)),
]


def call(name):
    return {
        "resize": lambda x: F.resize(x, [13, 17]),
        "shorter": lambda x: F.resize(x, [13], max_size=18),
        "hflip": F.horizontal_flip,
        "vflip": F.vertical_flip,
        "crop": lambda x: F.crop(x, 4, 6, 11, 13),
        "center_crop": lambda x: F.center_crop(x, [9, 11]),
        "larger": lambda x: F.center_crop(x, [25, 35]),
        "resized_crop": lambda x: F.resized_crop(x, 4, 6, 11, 13, [22, 20]),
        "pad": lambda x: F.pad(x, [1, 2, 3, 4]),
        "rotate": lambda x: F.rotate(x, 33),
        "expanded": lambda x: F.rotate(x, 20, center=[3, 4], expand=True),
        "affine": lambda x: F.affine(x, 20, [2, 3], 0.7, [5.0, 3.0], center=[10, 4]),
        "perspective": lambda x: F.perspective(
            x, [[0, 0], [29, 0], [29, 19], [0, 19]], [[2, 1], [27, 3], [25, 18], [3, 17]]
        ),
    }[name]


@pytest.mark.parametrize(("name", "format", "values", "canvas_size"), FACTS)
def test_coordinates_are_torchvisions(name, format, values, canvas_size):
    given = points() if format == "points" else boxes(format)
    if name in ("rotate", "expanded", "affine", "perspective"):
        given = given.to(mg.float32)
    before = given.tolist()
    found = call(name)(given)
    assert type(found) is type(given) and found.canvas_size == canvas_size and given.tolist() == before
    assert found.dtype == given.dtype and np.allclose(found.numpy(), values, atol=2e-3)
    if format != "points":
        assert found.format is given.format and found.clamping_mode == "soft"


@pytest.mark.parametrize(
    "name", ["resize", "hflip", "vflip", "crop", "center_crop", "larger", "pad", "rotate", "affine"]
)
def test_masks_stay_classes_and_keep_to_their_image(name):
    classes = tv_tensors.Mask(mg.arange(600).reshape(20, 30) % 5 * 50)
    found, drawn = call(name)(classes), call(name)(image())
    assert type(found) is tv_tensors.Mask and set(found.unique().tolist()) <= {0, 50, 100, 150, 200}
    assert found.ndim == 2 and found.shape == drawn.shape[-2:] == call(name)(masks()).shape[-2:]
    assert call(name)(boxes()).canvas_size == tuple(found.shape) and type(drawn) is tv_tensors.Image


def test_a_detection_pipeline():
    pipeline = v2.Compose(
        [
            v2.Resize((40, 60)),
            v2.CenterCrop((30, 33)),
            v2.RandomHorizontalFlip(1.0),
            v2.Pad(2),
            v2.ClampBoundingBoxes(),
            v2.SanitizeBoundingBoxes(min_size=9),
            v2.ToDtype(mg.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.25] * 3),
            v2.ConvertBoundingBoxFormat("CXCYWH"),
            v2.ToPureTensor(),
        ]
    )
    given = sample()
    found = pipeline(given)
    assert found[0].shape == (3, 34, 37)
    assert abs(found[0].mean().item() + 0.4531) < 1e-2  # 8-bit resizing rounds otherwise
    assert found[1]["boxes"].tolist() == [[18.5, 20.5, 33.0, 23.0]]
    assert found[1]["labels"].tolist() == [2]
    assert found[1]["masks"].shape == (1, 34, 37)
    assert found[1]["masks"].sum((1, 2)).tolist() == [140]
    assert all(not isinstance(value, tv_tensors.TVTensor) for value in (found[0], *found[1].values()))
    assert given[1]["boxes"].tolist() == CORNERS and given[0].dtype == mg.uint8


@pytest.mark.parametrize("old", ["XYXY", "XYWH", "CXCYWH"])
def test_formats_go_there_and_back(old):
    for dtype in (mg.int64, mg.float32):
        given = boxes(old, dtype)
        for new in tv_tensors.BoundingBoxFormat:
            if tv_tensors.is_rotated_bounding_format(new):
                with pytest.raises(ValueError, match="rotated"):
                    F.convert_bounding_box_format(given, new_format=new)
                continue
            there = F.convert_bounding_box_format(given, new_format=new)
            back = F.convert_bounding_box_format(there, new_format=old)
            assert there.format is new and abs(back - given).max() <= (1 if dtype == mg.int64 else 1e-5)
    assert boxes("CXCYWH").tolist() == [[5, 7, 8, 11], [15, 12, 20, 12], [24, 7, 9, 8]]
    plain = mg.tensor([[5, 7, 8, 11]])
    changed = F.convert_bounding_box_format(plain, "CXCYWH", "XYXY", inplace=True)
    assert plain.tolist() == changed.tolist() == [[1, 1, 9, 12]]


def test_random_transforms_change_a_sample_alike():
    place = mg.zeros(1, 20, 30)
    place[0, 6:18, 5:25] = 1
    every = (
        v2.RandomCrop((12, 15)), v2.RandomResizedCrop((18, 24)), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(),
        v2.RandomZoomOut(p=1.0), v2.ScaleJitter((30, 30), (0.5, 2.0)), v2.RandomShortestSize([10, 15]),
        v2.RandomIoUCrop(), v2.RandomCrop((25, 30), padding=2, pad_if_needed=True), v2.RandomResize(9, 18),
    )  # fmt: skip
    for seed, transform in enumerate(every * 3):
        mg.manual_seed(seed)
        drawn = tv_tensors.Image(place), tv_tensors.Mask(place), boxes(dtype=mg.float32)
        shown, mask, found = transform(*drawn)
        assert shown.shape == mask.shape and found.canvas_size == tuple(shown.shape[-2:])
        left, top, right, bottom = found[1].tolist()
        if right - left < 3 or bottom - top < 3:
            continue
        ys, xs = np.nonzero(mask[0].numpy())
        assert np.allclose([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], [left, top, right, bottom], atol=1.01)


def test_what_is_transformed():
    plain = mg.arange(6).reshape(1, 2, 3)
    flip, jitter = v2.RandomHorizontalFlip(1.0), v2.ColorJitter(0.5)
    first, second = flip(plain, plain)
    assert first.tolist() == plain.flip(-1).tolist() and second is plain
    assert flip(plain, tv_tensors.Image(plain))[0] is plain and flip(plain, picture())[0] is plain
    given = masks(), boxes(), points()
    for transform in (jitter, v2.GaussianNoise(), v2.RandomPhotometricDistort(p=1.0), v2.ToDtype(mg.float32)):
        changed = transform(tv_tensors.Image(mg.ones(3, 20, 30)), *given)
        assert type(changed[0]) is tv_tensors.Image and all(a is b for a, b in zip(changed[1:], given, strict=True))
    assert jitter(given[0]) is given[0]
    with pytest.raises(TypeError, match="adjust_brightness takes no Mask"):
        F.adjust_brightness(masks(), 1.5)
    with pytest.raises(TypeError, match="takes no BoundingBoxes"):
        v2.FiveCrop(4)(image(), boxes())
    changed = v2.ToDtype({tv_tensors.Image: mg.float32, tv_tensors.Mask: mg.int64, "others": None}, scale=True)(
        sample()
    )
    assert changed[0].max() <= 1 and changed[1]["masks"].dtype == mg.int64
    with pytest.raises(ValueError, match="No dtype"):
        v2.ToDtype({tv_tensors.Mask: mg.int64})(image())
    zoomed = v2.RandomZoomOut({tv_tensors.Image: (1, 2, 3), "others": 0}, (2.0, 2.0), p=1.0)(image(), masks(), boxes())
    assert zoomed[0].shape == (3, 40, 60) and zoomed[1].sum() == masks().sum()
    assert [(zoomed[0][c] == c + 1).sum().item() >= 1800 for c in range(3)] == [True] * 3
    with pytest.raises(TypeError, match="requires input sample"):
        v2.RandomIoUCrop()(image(), 3)
    assert type(v2.ToImage()(np.zeros((2, 3), np.uint8))) is tv_tensors.Image
    assert v2.query_size([masks(), points()]) == SIZE


def test_boxes_that_are_none_any_more_are_removed():
    given = sample()
    mg.manual_seed(0)
    cropped = v2.RandomIoUCrop(max_scale=0.5, sampler_options=[0.0])(given)
    cleaned = v2.SanitizeBoundingBoxes()(cropped)[1]
    assert 1 <= len(cleaned["boxes"]) == len(cleaned["labels"]) == len(cleaned["masks"]) < 3
    assert type(cleaned["boxes"]) is tv_tensors.BoundingBoxes and (cleaned["boxes"][:, 2:] > 0).all()
    getter = lambda parts: (parts[1]["labels"], parts[1]["area"])  # noqa: E731
    given[1]["area"] = mg.tensor([1.0, 2.0, 3.0])
    both = v2.SanitizeBoundingBoxes(min_area=80, labels_getter=getter)(given)[1]
    assert both["labels"].tolist() == [1, 2] and both["area"].tolist() == [1, 2]
    outside = tv_tensors.KeyPoints([[[1, 2], [3, 3]], [[1, 2], [30, 3]]], canvas_size=SIZE)
    assert v2.SanitizeKeyPoints()(outside).shape == (1, 2, 2)
    for error, faulty in (
        (ValueError, lambda: v2.SanitizeBoundingBoxes(min_size=0.5)),
        (ValueError, lambda: v2.SanitizeBoundingBoxes(labels_getter=3)),
        (ValueError, lambda: v2.SanitizeBoundingBoxes()({"boxes": boxes()})),
        (ValueError, lambda: v2.SanitizeBoundingBoxes()({"boxes": boxes(), "labels": mg.tensor([1])})),
        (ValueError, lambda: v2.SanitizeBoundingBoxes()({"labels": mg.tensor([1])})),
    ):
        with pytest.raises(error):
            faulty()


def test_operations_give_plain_tensors():
    for given in (image(), masks(), boxes(), points()):
        kind = type(given)
        kept = given.clone(), given.detach(), given.to(mg.float64), copy.deepcopy(given), copy.copy(given)
        kept += (pickle.loads(pickle.dumps(given)), given.to(mg.float32).requires_grad_())
        assert all(type(value) is kind and value.shape == given.shape for value in kept)
        assert all(getattr(value, name) == getattr(given, name) for value in kept for name in given._described)
        results = given + 1, given[0], given.float(), mg.stack([given, given]), mg.add(1, given)
        assert not any(isinstance(value, tv_tensors.TVTensor) for value in results)
    repeated = tv_tensors.wrap(boxes() * 2, like=boxes(), canvas_size=(40, 60))
    assert repeated.canvas_size == (40, 60) and repeated.format is tv_tensors.BoundingBoxFormat.XYXY
    leaf = mg.ones(1, 2, 3, requires_grad=True)
    v2.Resize((4, 6))(tv_tensors.Image(leaf)).sum().backward()
    assert leaf.grad.sum().item() == pytest.approx(24)


def test_wrong_arguments():
    for error, faulty in (
        (ValueError, lambda: tv_tensors.Image(3)),
        (ValueError, lambda: tv_tensors.Video(mg.ones(2, 2, 2))),
        (KeyError, lambda: tv_tensors.BoundingBoxes([1, 2, 3, 4], format="XYZ", canvas_size=SIZE)),
        (ValueError, lambda: tv_tensors.BoundingBoxes([1, 2, 3, 4, 5], format="XYWHR", canvas_size=SIZE)),
        (ValueError, lambda: tv_tensors.BoundingBoxes(mg.ones(1, 2, 4), format="XYXY", canvas_size=SIZE)),
        (ValueError, lambda: tv_tensors.KeyPoints([1, 2, 3], canvas_size=SIZE)),
        (ValueError, lambda: tv_tensors.set_return_type("list")),
        (ValueError, lambda: F.pad(boxes(), 1, padding_mode="edge")),
        (ValueError, lambda: F.convert_bounding_box_format(mg.ones(1, 4), new_format="XYXY")),
        (TypeError, lambda: F.convert_bounding_box_format(boxes())),
        (TypeError, lambda: F.convert_bounding_box_format(masks(), new_format="XYXY")),
        (ValueError, lambda: F.clamp_bounding_boxes(boxes(), clamping_mode="firm")),
        (ValueError, lambda: v2.SetClampingMode("firm")),
        (ValueError, lambda: F.register_kernel("crop", tv_tensors.Mask)),
    ):
        with pytest.raises(error):
            faulty()
    rotated = tv_tensors.BoundingBoxes([1.0, 2, 3, 4, 5], format="XYWHR", canvas_size=SIZE)
    with pytest.raises(NotImplementedError, match="rotated"):
        F.crop(rotated, 0, 0, 5, 5)


def test_coco_with_boxes(tmp_path):
    entries = [
        {"id": 1, "image_id": 7, "bbox": [1, 2, 3, 4], "category_id": 5, "iscrowd": 0},
        {"id": 2, "image_id": 7, "bbox": [0, 1, 2, 2], "category_id": 9, "iscrowd": 1},
    ]
    for name in ("a.png", "b.png"):
        picture(size=(9, 8)).save(tmp_path / name)
    images = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}]
    (tmp_path / "all.json").write_text(json.dumps({"images": images, "annotations": entries}))
    flip = v2.Compose([v2.ToImage(), v2.RandomHorizontalFlip(1.0)])
    dataset = datasets.CocoDetection(tmp_path, tmp_path / "all.json", transforms=flip)
    wrapped = datasets.wrap_dataset_for_transforms_v2(dataset)
    for found in (wrapped, pickle.loads(pickle.dumps(wrapped))):
        shown, target = found[0]
        height, width = shown.shape[-2:]
        assert isinstance(found, datasets.CocoDetection) and len(found) == 2 and found.coco is not None
        assert set(target) == {"image_id", "boxes", "labels"} and target["image_id"] == 7
        assert target["boxes"].canvas_size == (height, width) and target["labels"].tolist() == [5, 9]
        assert target["boxes"].tolist() == [[width - 4, 2, width - 1, 6], [width - 2, 1, width, 3]]
        assert found[1][1] == {"image_id": 8}
    assert dataset.transforms is flip and dataset[0][1][0]["bbox"] == [1, 2, 3, 4]
    assert datasets.wrap_dataset_for_transforms_v2(dataset, ["iscrowd"])[0][1] == {"iscrowd": [0, 1]}
    for error, keys in ((ValueError, ["colour"]), (ValueError, "boxes"), (NotImplementedError, "all")):
        with pytest.raises(error):
            datasets.wrap_dataset_for_transforms_v2(dataset, keys)[0]


def test_voc_with_boxes():
    class Few(datasets.VOCDetection):
        def __init__(self):
            self.transform = self.target_transform = self.transforms = None

        def __getitem__(self, index):
            side = {"xmin": "1", "ymin": "2", "xmax": "5", "ymax": "6"}
            return picture(size=(9, 8)), {"annotation": {"object": [{"name": "dog", "bndbox": side}][index:]}}

    wrapped = datasets.wrap_dataset_for_transforms_v2(Few())
    assert wrapped[0][1]["boxes"].tolist() == [[1, 2, 5, 6]] and wrapped[0][1]["labels"].tolist() == [12]
    assert wrapped[1][1]["boxes"].shape == (0, 4) and wrapped[1][1]["labels"].shape == (0,)
    assert set(datasets.wrap_dataset_for_transforms_v2(Few(), "all")[0][1]) == {"annotation", "boxes", "labels"}
