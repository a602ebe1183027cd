"""Regions of interest against loops over bins and samples, and feature pyramids."""

import math

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.vision import ops

SIZE = (2, 3)
ROIS = [[0, 1.0, 2.0, 7.5, 9.0], [1, 0.0, 0.0, 21.0, 17.0], [0, 6.0, 6.0, 6.2, 6.1], [1, 12.0, 3.0, 40.0, 30.0]]


def maps(channels=2, dtype=mg.float64):
    mg.manual_seed(0)
    return mg.randn(2, channels, 9, 11, dtype=dtype)


def sample(plane, y, x):
    """Bilinear, as the paper's authors have it: nothing a pixel outside, the border's value between."""
    height, width = len(plane), len(plane[0])
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = plane[top][left] * (1 - across) + plane[top][right] * across
    lower = plane[bottom][left] * (1 - across) + plane[bottom][right] * across
    return upper * (1 - down) + lower * down


def aligned_bin(plane, start, extent, place, ratio):
    grid = [ratio if ratio > 0 else math.ceil(extent[i] / SIZE[i]) for i in (0, 1)]
    total = 0.0
    for i in range(grid[0]):
        for j in range(grid[1]):
            step = [extent[a] / SIZE[a] * (place[a] + (n + 0.5) / grid[a]) for a, n in ((0, i), (1, j))]
            total += sample(plane, start[0] + step[0], start[1] + step[1])
    return total / (grid[0] * grid[1])


def expected_bins(input, scale, value, sensitive):
    """value(plane, box in the maps' pixels, bin) for each region, channel and bin."""
    planes = input.tolist()
    channels = input.shape[1] // (SIZE[0] * SIZE[1]) if sensitive else input.shape[1]
    out = []
    for image, *box in ROIS:
        scaled = [coordinate * scale for coordinate in box]
        for channel in range(channels):
            for i in range(SIZE[0]):
                for j in range(SIZE[1]):
                    index = (channel * SIZE[0] + i) * SIZE[1] + j if sensitive else channel
                    out.append(value(planes[image][index], scaled, (i, j)))
    return mg.tensor(out, dtype=mg.float64).reshape(len(ROIS), channels, *SIZE)


@pytest.mark.parametrize("ratio", [-1, 1, 2])
@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align(ratio, aligned):
    def value(plane, box, place):
        offset = 0.5 if aligned else 0.0
        extent = [box[3] - box[1], box[2] - box[0]]
        extent = extent if aligned else [max(1.0, side) for side in extent]
        return aligned_bin(plane, (box[1] - offset, box[0] - offset), extent, place, ratio)

    input, rois = maps(), mg.tensor(ROIS, dtype=mg.float64)
    settings = {"spatial_scale": 0.5, "sampling_ratio": ratio, "aligned": aligned}
    found = ops.roi_align(input, rois, SIZE, **settings)
    assert mg.allclose(found, expected_bins(input, 0.5, value, False), atol=1e-9)
    layer = ops.RoIAlign(SIZE, 0.5, ratio, aligned)
    by_image = [rois[rois[:, 0] == image][:, 1:] for image in (0, 1)]
    assert mg.equal(layer(input, by_image), found[[0, 2, 1, 3]])
    check = (lambda x: ops.roi_align(x, rois, SIZE, **settings)), (input.requires_grad_(),)
    assert mg.autograd.gradcheck(*check) and mg.autograd.gradgradcheck(*check)


@pytest.mark.parametrize("ratio", [-1, 2])
def test_ps_roi_align(ratio):
    def value(plane, box, place):
        return aligned_bin(plane, (box[1] - 0.5, box[0] - 0.5), [box[3] - box[1], box[2] - box[0]], place, ratio)

    input, rois = maps(12), mg.tensor(ROIS, dtype=mg.float64)
    found = ops.ps_roi_align(input, rois, SIZE, 0.5, ratio)
    assert mg.allclose(found, expected_bins(input, 0.5, value, True), atol=1e-9)
    assert mg.equal(ops.PSRoIAlign(SIZE, 0.5, ratio)(input, rois), found)
    check = (lambda x: ops.ps_roi_align(x, rois, SIZE, 0.5, ratio)), (input[:, :6].clone().requires_grad_(),)
    assert mg.autograd.gradcheck(*check) and mg.autograd.gradgradcheck(*check)


def cells(box, place, limits, inclusive):
    spans = []
    for axis in (0, 1):
        start, end = (math.floor(box[i] + 0.5) for i in (1 - axis, 3 - axis))
        width = max(end - start + inclusive, 1) / SIZE[axis]
        first, stop = math.floor(place[axis] * width) + start, math.ceil((place[axis] + 1) * width) + start
        spans.append([min(max(edge, 0), limits[axis]) for edge in (first, stop)])
    return spans


def test_roi_pool():
    def value(plane, box, place):
        (top, bottom), (left, right) = cells(box, place, (9, 11), True)
        return max((plane[y][x] for y in range(top, bottom) for x in range(left, right)), default=0.0)

    input, rois = maps(), mg.tensor(ROIS, dtype=mg.float64)
    found = ops.roi_pool(input, rois, SIZE, 0.5)
    assert mg.equal(found, expected_bins(input, 0.5, value, False))
    assert bool((found == 0).any())  # the last region reaches out of the maps
    assert mg.equal(ops.RoIPool(SIZE, 0.5)(input, rois), found)
    check = (lambda x: ops.roi_pool(x, rois, SIZE, 0.5)), (input.requires_grad_(),)
    assert mg.autograd.gradcheck(*check) and mg.autograd.gradgradcheck(*check)


def test_ps_roi_pool():
    def value(plane, box, place):
        (top, bottom), (left, right) = cells(box, place, (8, 10), False)
        inside = [plane[y][x] for y in range(top, bottom) for x in range(left, right)]
        return sum(inside) / len(inside) if inside else 0.0

    input, rois = maps(12), mg.tensor(ROIS, dtype=mg.float64)
    found = ops.ps_roi_pool(input, rois, SIZE, 0.5)
    assert mg.allclose(found, expected_bins(input, 0.5, value, True))
    assert mg.equal(ops.PSRoIPool(SIZE, 0.5)(input, rois), found)
    check = (lambda x: ops.ps_roi_pool(x, rois, SIZE, 0.5)), (input[:, :6].clone().requires_grad_(),)
    assert mg.autograd.gradcheck(*check)


@pytest.mark.parametrize("function", [ops.roi_align, ops.roi_pool, ops.ps_roi_align, ops.ps_roi_pool])
def test_dtypes_and_errors(function):
    input, rois = maps(6), mg.tensor(ROIS)
    single = function(input.float(), rois, SIZE, 0.5)
    assert single.dtype == mg.float32
    assert mg.allclose(single, function(input, rois.double(), SIZE, 0.5).float(), atol=1e-4)
    half = function(input.half(), rois.half(), SIZE, 0.5)
    assert half.dtype == mg.float16 and mg.allclose(half.float(), single, atol=0.05)
    assert tuple(function(input.float(), rois[:0], SIZE).shape) == (0, single.shape[1], *SIZE)
    with pytest.raises(AssertionError, match="Tensor\\[K, 5\\]"):
        function(input.float(), rois[:, 1:], SIZE)
    with pytest.raises(AssertionError, match="List\\[Tensor\\[L, 4\\]\\]"):
        function(input.float(), [rois], SIZE)
    with pytest.raises(AssertionError, match="boxes is expected to be"):
        function(input.float(), 3, SIZE)
    with pytest.raises(RuntimeError, match="same type"):
        function(input, rois, SIZE)
    with pytest.raises(RuntimeError, match=r"input must be \(N, C, H, W\)"):
        function(input[0].float(), rois, SIZE)
    with pytest.raises(RuntimeError, match="but there are 1"):
        function(input[:1].float(), rois, SIZE)
    if function in (ops.ps_roi_align, ops.ps_roi_pool):
        with pytest.raises(RuntimeError, match="5 is no multiple of 2"):
            function(input[:, :5].float(), rois, SIZE)


# ---------------------------------------------------------------- pyramids
def test_a_pyramid_adds_what_coarser_maps_say():
    mg.manual_seed(0)
    pyramid = ops.FeaturePyramidNetwork([2, 3], 4, ops.LastLevelMaxPool())
    fine, coarse = mg.randn(1, 2, 6, 6), mg.randn(1, 3, 3, 3)
    found = pyramid({"fine": fine, "coarse": coarse})
    assert list(found) == ["fine", "coarse", "pool"]
    inner = pyramid.inner_blocks[1](coarse)
    assert mg.equal(found["coarse"], pyramid.layer_blocks[1](inner))
    added = pyramid.inner_blocks[0](fine) + inner.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert mg.allclose(found["fine"], pyramid.layer_blocks[0](added), atol=1e-6)
    assert mg.equal(found["pool"], found["coarse"][:, :, ::2, ::2])
    fresh = ops.FeaturePyramidNetwork([2, 3], 4)
    state = pyramid.state_dict()
    old = {name.replace(".0.weight", ".weight").replace(".0.bias", ".bias"): value for name, value in state.items()}
    assert "inner_blocks.1.weight" in old
    fresh.load_state_dict(old)
    assert mg.equal(fresh({"fine": fine, "coarse": coarse})["fine"], found["fine"])


@pytest.mark.parametrize("channels", [3, 4])
def test_a_pyramid_of_two_more_levels(channels):
    mg.manual_seed(0)
    pyramid = ops.FeaturePyramidNetwork([2, 3], 4, ops.LastLevelP6P7(channels, 4), nn.BatchNorm2d)
    x = {"fine": mg.randn(2, 2, 8, 8), "coarse": mg.randn(2, 3, 4, 4)}
    found = pyramid(x)
    assert [tuple(value.shape[2:]) for value in found.values()] == [(8, 8), (4, 4), (2, 2), (1, 1)]
    source = found["coarse"] if channels == 4 else x["coarse"]
    assert mg.allclose(found["p6"], pyramid.extra_blocks.p6(source), atol=1e-5)


def test_pyramids_that_cannot_be():
    with pytest.raises(ValueError, match="in_channels=0"):
        ops.FeaturePyramidNetwork([2, 0], 4)
    with pytest.raises(TypeError, match="ExtraFPNBlock"):
        ops.FeaturePyramidNetwork([2], 4, nn.ReLU())


def test_regions_come_from_the_level_of_their_size():
    mg.manual_seed(0)
    x = {"0": mg.randn(2, 3, 64, 64), "1": mg.randn(2, 3, 32, 32), "other": mg.randn(2, 3, 9, 9)}
    sizes = [(256, 256), (200, 250)]
    small, large = [8.0, 8.0, 40.0, 30.0], [10.0, 20.0, 240.0, 250.0]
    pool = ops.MultiScaleRoIAlign(["0", "1"], 2, 2, canonical_level=3)
    found = pool(x, [mg.tensor([large, small]), mg.tensor([small])], sizes)
    assert pool.scales == [0.25, 0.125]
    expected = [("1", 0, large, 0.125), ("0", 0, small, 0.25), ("0", 1, small, 0.25)]
    for index, (level, image, box, scale) in enumerate(expected):
        alone = ops.roi_align(x[level], mg.tensor([[float(image), *box]]), 2, scale, 2)
        assert mg.equal(found[index], alone[0])
    with pytest.raises(ValueError, match="should not be empty"):
        ops.MultiScaleRoIAlign(["0"], 2, 2)(x, [], [])
    one = ops.MultiScaleRoIAlign(["0"], 2, 2)
    assert mg.equal(one(x, [mg.tensor([small])], sizes)[0], found[1])
