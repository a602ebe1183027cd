"""Canvases with several handwritten digits, for networks that say which digits are there: any of them, or none."""
import random

import minigrad
from minigrad import nn
from minigrad.utils.data import Dataset

__all__ = ["Canvases"]

CLASSES = 10
ATTEMPTS = 100  # to place the digits at random, before they are put on a grid


class Canvases(Dataset):
    """Square canvases with 0 to most digits each, placed at random without covering each other much.

    What canvas number i shows depends on seed, i and the arguments only: every process makes the same one, whenever
    and however often it is asked for. The boxes of two digits differ by at least 3/4 of their side in a row or a
    column; handwritten digits have margins, so that their ink hardly meets. Where it does the brighter pixel counts.

    Args:
        images: the digits, uint8 (N, H, H), such as ``data`` of vision.datasets.MNIST or Digits; others than digit_side
            pixels wide are resized.
        targets: which digit each of them is, int64 (N,).
        count: number of canvases.
        side, digit_side: of canvases and digits, in pixels.
        most: digits on a canvas, at most; every number from 0 to most is equally likely.
        seed: of all random choices, an int or a string.

    Each item is (image, labels): float32 (1, side, side) in [0, 1], and float32 (10,) with 1 for every digit that is on
    the canvas, once or more often, and 0 for the others.

    Raises:
        ValueError: for shapes that do not fit, no digits, or canvases too small for so many digits.

    >>> import minigrad as mg
    >>> images, targets = mg.full((10, 8, 8), 255, dtype=mg.uint8), mg.arange(10)
    >>> canvases = Canvases(images, targets, 100, side=32, digit_side=8)
    >>> image, labels = canvases[3]
    >>> tuple(image.shape), sorted({number for number, _, _ in canvases.places(3)}), labels.nonzero().flatten().tolist()
    ((1, 32, 32), [7, 9], [7, 9])
    """

    def __init__(self, images, targets, count, *, side=64, digit_side=28, most=4, seed=0):
        if images.ndim != 3 or images.shape[1] != images.shape[2] or len(images) != len(targets):
            raise ValueError(
                f"Canvases: expected square images (N, H, H) and targets (N,), but got {tuple(images.shape)} and "
                f"{tuple(targets.shape)}"
            )
        if not len(images):
            raise ValueError("Canvases: there are no digits")
        self.apart = -(-3 * digit_side // 4)
        fitting = (1 + (side - digit_side) // self.apart) ** 2 if side >= digit_side else 0
        if most > fitting:
            raise ValueError(
                f"Canvases: {most} digits of {digit_side} pixels do not fit on {side}x{side} pixels, only {fitting}"
            )
        self.digits = _resized(images, digit_side)
        self.targets = targets
        self.count = count
        self.side = side
        self.digit_side = digit_side
        self.most = most
        self.seed = seed

    def __len__(self):
        return self.count

    def places(self, index):
        """What is on a canvas: a list of (number of the digit's image, row, column of its upper left corner)."""
        rng = random.Random(f"canvas {self.seed} {index}")
        corners = self._corners(rng.randint(0, self.most), rng)
        return [(rng.randrange(len(self.digits)), row, column) for row, column in corners]

    def _corners(self, wanted, rng):
        """Random corners (row, column) of so many boxes that keep their distance."""
        corners = []
        free = self.side - self.digit_side
        for _ in range(ATTEMPTS):
            if len(corners) == wanted:
                return corners
            row, column = rng.randint(0, free), rng.randint(0, free)
            if all(max(abs(row - r), abs(column - c)) >= self.apart for r, c in corners):
                corners.append((row, column))
        grid = range(0, free + 1, self.apart)  # the first ones lie so that the others do not fit
        return rng.sample([(row, column) for row in grid for column in grid], wanted)

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(f"canvas {index} of {self.count}")
        canvas = minigrad.zeros(self.side, self.side, dtype=minigrad.uint8)
        labels = minigrad.zeros(CLASSES)
        for number, row, column in self.places(index):
            box = canvas[row : row + self.digit_side, column : column + self.digit_side]
            box.copy_(minigrad.maximum(box, self.digits[number]))
            labels[int(self.targets[number])] = 1.0
        return canvas.unsqueeze(0).float() / 255, labels


def _resized(images, side):
    """Digits uint8 (N, side, side)."""
    if images.shape[1] == side:
        return images
    larger = nn.functional.interpolate(images.unsqueeze(1).float(), (side, side), mode="bilinear")
    return larger.squeeze(1).round().clamp(0, 255).to(minigrad.uint8)
