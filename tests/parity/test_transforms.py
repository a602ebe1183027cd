"""Transforms beside the same formulas written with PyTorch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as functional  # noqa: E402

import minigrad as mg  # noqa: E402
from minigrad.vision import transforms as T  # noqa: E402
from minigrad.vision.transforms import InterpolationMode  # noqa: E402
from minigrad.vision.transforms import functional as F  # noqa: E402


def images(shape=(2, 3, 9, 11), seed=0):
    """The same images of 0 … 1 in both libraries."""
    values = np.random.default_rng(seed).random(shape, np.float32)
    return mg.from_numpy(values), torch.from_numpy(values)


def close(ours, theirs, tolerance=1e-5):
    return np.allclose(ours.numpy(), theirs.numpy(), atol=tolerance)


def mixed(one, other, ratio):
    return (ratio * one + (1 - ratio) * other).clamp(0, 1)


def luminance(x):
    return (torch.tensor([0.2989, 0.587, 0.114]).reshape(3, 1, 1) * x).sum(-3, keepdim=True)


def gaussian(taps, sigma):
    positions = torch.linspace(-(taps - 1) / 2, (taps - 1) / 2, taps)
    weights = torch.exp(-0.5 * (positions / sigma) ** 2)
    return weights / weights.sum()


def depthwise(x, kernel):
    return functional.conv2d(x, kernel.expand(x.shape[1], 1, *kernel.shape), groups=x.shape[1])


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 2.5])
def test_blends(factor):
    ours, theirs = images()
    assert close(F.adjust_brightness(ours, factor), mixed(theirs, torch.zeros_like(theirs), factor))
    gray = luminance(theirs)
    assert close(F.adjust_saturation(ours, factor), mixed(theirs, gray, factor))
    assert close(F.adjust_contrast(ours, factor), mixed(theirs, gray.mean((-3, -2, -1), keepdim=True), factor))
    kernel = torch.ones(3, 3)
    kernel[1, 1] = 5
    smooth = theirs.clone()
    smooth[..., 1:-1, 1:-1] = depthwise(theirs, kernel / 13)
    assert close(F.adjust_sharpness(ours, factor), mixed(theirs, smooth, factor))


@pytest.mark.parametrize("shift", [-0.5, -0.1, 0.25, 0.5])
def test_hue(shift):
    import colorsys

    ours, theirs = images((3, 4, 5))
    expected = np.empty((3, 4, 5), np.float32)
    for y, x in np.ndindex(4, 5):
        hue, saturation, value = colorsys.rgb_to_hsv(*theirs[:, y, x].tolist())
        expected[:, y, x] = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
    assert np.allclose(F.adjust_hue(ours, shift).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(("taps", "sigmas"), [((3, 3), (0.5, 0.5)), ((5, 9), (1.5, 2.0)), ((1, 3), (1.0, 0.1))])
def test_gaussian_blur(taps, sigmas):
    ours, theirs = images()
    kernel = gaussian(taps[1], sigmas[1])[:, None] * gaussian(taps[0], sigmas[0])[None, :]
    padded = functional.pad(theirs, [taps[0] // 2] * 2 + [taps[1] // 2] * 2, mode="reflect")
    assert close(F.gaussian_blur(ours, list(taps), list(sigmas)), depthwise(padded, kernel))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill", [None, [0.5, 0.25, 1.0]])
def test_perspective(mode, fill):
    ours, theirs = images((1, 3, 9, 11))
    old, new = [[0, 0], [10, 0], [10, 8], [0, 8]], [[1.3, 1.1], [9.2, 0.2], [10.1, 7.4], [2.2, 7.9]]
    rows, targets = [], []
    for (x0, y0), (x, y) in zip(old, new):
        rows += [[x, y, 1, 0, 0, 0, -x0 * x, -x0 * y], [0, 0, 0, x, y, 1, -y0 * x, -y0 * y]]
        targets += [x0, y0]
    a, b, c, d, e, f, g, h = torch.linalg.solve(torch.tensor(rows, dtype=torch.float64), torch.tensor(targets).double())
    y, x = torch.meshgrid(torch.arange(9.0) + 0.5, torch.arange(11.0) + 0.5, indexing="ij")
    below = g * x + h * y + 1
    grid = torch.stack([2 * (a * x + b * y + c) / below / 11 - 1, 2 * (d * x + e * y + f) / below / 9 - 1], -1)
    grid = grid.float()[None]
    with_mask = torch.cat([theirs, torch.ones(1, 1, 9, 11)], 1)
    sampled = functional.grid_sample(with_mask, grid, mode=mode, padding_mode="zeros", align_corners=False)
    expected, mask = sampled[:, :3], sampled[:, 3:]
    if fill is not None:
        # torchvision's blend of a border pixel, whose share outside is black already when it is weighed
        expected = expected * mask + (1 - mask) * torch.tensor(fill).reshape(3, 1, 1)
    result = F.perspective(ours, old, new, InterpolationMode(mode), fill)
    assert close(result, expected, 1e-4)


def test_equalize_and_posterize():
    values = np.random.default_rng(0).integers(60, 200, (3, 40, 50)).astype(np.uint8)
    result = F.equalize(mg.from_numpy(values)).numpy()
    for channel, plane in zip(result, torch.from_numpy(values)):
        counts = torch.bincount(plane.flatten().long(), minlength=256)
        step = counts[counts != 0][:-1].sum() // 255
        table = functional.pad((counts.cumsum(0) + step // 2) // step, [1, 0])[:-1].clamp(0, 255)
        assert np.array_equal(channel, table[plane.long()].numpy())
    bits = F.posterize(mg.from_numpy(values), 3).numpy()
    assert np.array_equal(bits, (torch.from_numpy(values) & -32).numpy())


def test_mixing_of_batches():
    ours, theirs = images((4, 3, 8, 8))
    labels = [0, 2, 1, 2]
    one_hot = functional.one_hot(torch.tensor(labels), 3).float()
    for seed in range(5):
        mg.manual_seed(seed)
        mixed_images, soft = T.MixUp(alpha=0.7, num_classes=3)(ours, mg.tensor(labels))
        mg.manual_seed(seed)
        share = float(mg.default_generator.numpy.beta(0.7, 0.7))
        assert close(mixed_images, theirs.roll(1, 0) * (1 - share) + theirs * share)
        assert close(soft, one_hot.roll(1, 0) * (1 - share) + one_hot * share)


def test_normalize_and_whitening():
    ours, theirs = images()
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 2.0]
    expected = (theirs - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(3, 1, 1)
    assert np.array_equal(F.normalize(ours, mean, std).numpy(), expected.numpy())
    matrix = np.random.default_rng(1).normal(size=(297, 297)).astype(np.float32)
    center = np.random.default_rng(2).normal(size=297).astype(np.float32)
    whitened = T.LinearTransformation(mg.from_numpy(matrix), mg.from_numpy(center))(ours)
    expected = torch.mm(theirs.reshape(-1, 297) - torch.from_numpy(center), torch.from_numpy(matrix))
    assert close(whitened, expected.reshape(theirs.shape), 1e-3)
