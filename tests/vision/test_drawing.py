"""Drawn boxes, masks, key points and flows beside figures of torchvision 0.28."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.vision import utils

BLACK = mg.zeros(3, 8, 9, dtype=mg.uint8)

ORIENTED = """
.........
.#####...
.#.....#.
.#.....#.
#.....#..
####..#..
....###..
.........
"""
POINTS = """
.........
..#......
.###.....
..##.....
....###..
.....###.
......#..
.........
"""
FILLED = [
    [1, 1, 1, 1, 9, 9, 9, 9, 9],
    [1, 6, 6, 1, 9, 9, 9, 9, 9],
    [1, 122, 122, 1, 200, 200, 200, 9, 9],
    [1, 1, 1, 1, 84, 84, 200, 9, 9],
    [9, 200, 84, 84, 84, 84, 200, 9, 9],
    [9, 200, 200, 200, 200, 200, 200, 9, 9],
    [9, 9, 9, 9, 9, 9, 9, 9, 9],
    [9, 9, 9, 9, 9, 9, 9, 9, 9],
]


def shown(picture):
    return np.array([[255 * (pixel == "#") for pixel in row] for row in picture.split()])


def test_boxes():
    oriented = utils.draw_bounding_boxes(BLACK, mg.tensor([[1, 1, 7, 2, 6, 6, 0, 5]]), colors="red")
    assert np.array_equal(oriented[0].numpy(), shown(ORIENTED))
    boxes = mg.tensor([[1, 2, 6, 5], [0, 0, 3, 3]])
    filled = utils.draw_bounding_boxes(BLACK + 9, boxes, colors=[(200, 1, 2), "#010203"], fill=True)
    assert filled[0].tolist() == FILLED
    gray = utils.draw_bounding_boxes(mg.ones(1, 8, 9), boxes, colors="black")
    assert gray.dtype == mg.float32 and gray.shape == (3, 8, 9) and set(gray.unique().tolist()) == {0.0, 1.0}


def test_labels_are_written():
    image = mg.zeros(3, 30, 40, dtype=mg.uint8)
    box = mg.tensor([[1, 1, 38, 28]])
    plain = utils.draw_bounding_boxes(image, box, colors="red")
    named = utils.draw_bounding_boxes(image, box, labels=["cat"], colors="red", label_colors="blue")
    on_green = utils.draw_bounding_boxes(
        image, box, labels=["cat"], colors="red", label_background_colors="lime", fill_labels=True
    )
    assert (plain[2] == 0).all() and (named[2] > 50).any() and (on_green[1] == 255).any()
    assert mg.equal(utils.draw_bounding_boxes(image, box, labels=[None], colors="red"), plain)


def test_key_points():
    points = mg.tensor([[[2, 2], [6, 5.9], [1, 7]]])
    drawn = utils.draw_keypoints(
        BLACK, points, [(0, 1), (1, 2)], colors="red", radius=1, width=1, visibility=mg.tensor([[1, 1, 0]])
    )
    assert np.array_equal(drawn.amax(0).numpy(), shown(POINTS))


def test_masks():
    masks = mg.tensor([False, True, False])[:, None, None].expand(3, 8, 9)
    assert utils.draw_segmentation_masks(BLACK + 100, masks)[:, 0, 0].tolist() == [20, 121, 44]
    assert utils.draw_segmentation_masks(BLACK + 100, ~masks)[:, 0, 0].tolist() == [20, 20, 20]
    half = utils.draw_segmentation_masks(mg.ones(3, 8, 9), masks[1], 0.5, "lime")
    assert half[:, 3, 4].tolist() == [0.5, 1.0, 0.5]


def test_flow():
    flow = mg.tensor([[[1.0, 0, -1], [0, 0.5, 2]], [[0, 1.0, -1], [-0.5, 0, 0]]])
    expected = [[[255, 255, 74], [213, 255, 255]], [[127, 242, 111], [191, 191, 0]], [[127, 127, 255], [255, 191, 0]]]
    assert utils.flow_to_image(flow).tolist() == expected
    assert utils.flow_to_image(flow[None]).tolist() == [expected]


BOX, MASK, POINT = mg.tensor([[0, 0, 1, 1]]), mg.ones(8, 9, dtype=mg.bool), mg.ones(1, 2, 2)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (TypeError, lambda: utils.draw_bounding_boxes([1], BOX)),
        (ValueError, lambda: utils.draw_bounding_boxes(BLACK.int(), BOX)),
        (ValueError, lambda: utils.draw_bounding_boxes(BLACK[None], BOX)),
        (ValueError, lambda: utils.draw_bounding_boxes(BLACK[:2], BOX)),
        (ValueError, lambda: utils.draw_bounding_boxes(BLACK, BOX.flip(1))),
        (ValueError, lambda: utils.draw_bounding_boxes(BLACK, BOX, labels=["a", "b"])),
        (ValueError, lambda: utils.draw_bounding_boxes(BLACK, BOX, colors=[])),
        (ValueError, lambda: utils.draw_bounding_boxes(BLACK, BOX, colors=(1, 2))),
        (ValueError, lambda: utils.draw_bounding_boxes(BLACK, BOX, colors=7)),
        (ValueError, lambda: utils.draw_segmentation_masks(BLACK, MASK.int())),
        (ValueError, lambda: utils.draw_segmentation_masks(BLACK, MASK[1:])),
        (ValueError, lambda: utils.draw_segmentation_masks(BLACK, MASK[None, None])),
        (ValueError, lambda: utils.draw_keypoints(BLACK, POINT[0])),
        (ValueError, lambda: utils.draw_keypoints(BLACK, POINT, visibility=mg.ones(1, 3))),
        (ValueError, lambda: utils.flow_to_image(mg.zeros(3, 2, 2))),
        (ValueError, lambda: utils.flow_to_image(mg.zeros(2, 2, 2, dtype=mg.float64))),
    ],
)
def test_refused(error, call):
    with pytest.raises(error):
        call()


def test_nothing_to_draw_warns():
    with pytest.warns(UserWarning, match="No box"):
        assert utils.draw_bounding_boxes(BLACK, mg.zeros(0, 4)) is BLACK
    with pytest.warns(UserWarning, match="No mask"):
        assert utils.draw_segmentation_masks(BLACK, mg.zeros(0, 8, 9, dtype=mg.bool)) is BLACK
