"""The random changes to training images that the commands know by name, one or several: "shift+flip"."""
import dataclasses
from collections.abc import Callable

from minigrad.vision import transforms

# AlexNet's and ResNet's images are 224 pixels wide; their other lengths are given for that width and scaled with it.
REFERENCE = 224
SHORT_SIDES = (256, 480)  # what ResNet's training brings the short side to, at random (He et al. 2015, section 3.4)
TEN_CROPS = (256,)  # what ten crops are taken of (Krizhevsky et al. 2012, section 4.1)
TEST_SCALES = (224, 256, 384, 480, 640)  # and at ResNet's test (He et al. 2015, section 3.4)


def scaled(lengths, size):
    """Lengths given for images of 224 pixels, for images of size pixels."""
    return [round(length * size / REFERENCE) for length in lengths]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """One change: where in the pipeline it stands, what it does, and how it is made for images of side size.

    Stages: "place" cuts an image of that side out of the fitted image, "cut" out of the image as it is, "picture"
    changes a PIL image, "pixels" a tensor (C, S, S) in [0, 1], "normalised" a normalised one.
    """

    stage: str
    help: str
    make: Callable
    channels: int | None = None


def _shift(size):
    return [transforms.RandomCrop(size, padding=max(1, round(0.08 * size)))]


def _crop(size):
    # Of a small image the smallest crops of the paper (8 % of the area) are a few pixels.
    return [transforms.RandomResizedCrop(size, scale=(0.08 if size > 64 else 0.35, 1.0))]


def _scale(size):
    return [transforms.ScaleJitterCrop(size, scales=scaled(SHORT_SIDES, size))]


AUGMENTATIONS = {
    "shift": Augmentation("place", "moved by up to 8 % of its side", _shift),
    "crop": Augmentation("cut", "a random part, resized (GoogLeNet)", _crop),
    "scale": Augmentation("cut", "a random patch at a random scale (ResNet)", _scale),
    "flip": Augmentation("picture", "mirrored or not", lambda size: [transforms.RandomHorizontalFlip()]),
    "trivial": Augmentation(
        "picture", "one random change (TrivialAugment)", lambda size: [transforms.TrivialAugmentWide()]
    ),
    "jitter": Augmentation(
        "picture", "brightness, contrast and colour", lambda size: [transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)]
    ),
    "lighting": Augmentation("pixels", "AlexNet's colour noise", lambda size: [transforms.Lighting(0.1)], channels=3),
    "cutout": Augmentation("normalised", "a square hole", lambda size: [transforms.Cutout(size // 2)]),
}


def parse(text):
    """The names in "shift+flip", () for "none"; ValueError for unknown, repeated and incompatible ones."""
    names = () if text == "none" else tuple(text.split("+"))
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        there = ", ".join(["none", *AUGMENTATIONS])
        raise ValueError(f"unknown augmentation {unknown[0]!r}; there are: {there}, and several joined by +")
    if len(set(names)) < len(names):
        raise ValueError(f"an augmentation is named twice in {text!r}")
    cutting = [name for name in names if AUGMENTATIONS[name].stage in ("place", "cut")]
    if len(cutting) > 1:
        raise ValueError(f"{' and '.join(cutting)} exclude each other: each cuts the image to its size")
    return names


def fitting(size, square):
    """The transforms that bring an image to (size, size): squares are resized, others resized and cut."""
    if square:
        return [transforms.Resize((size, size))]
    return [transforms.Resize(size), transforms.CenterCrop(size)]


def test_transform(size, mean, std, square):
    """PIL image in, normalised tensor (C, size, size) out."""
    return transforms.Compose([*fitting(size, square), transforms.ToTensor(), transforms.Normalize(mean, std)])


CROPS = {"1": (), "10": TEN_CROPS, "multi-scale": TEST_SCALES}  # name: short sides of which ten crops each are taken


def crops_transform(crops, size, mean, std, square):
    """PIL image in, normalised tensor out: (C, size, size) for "1", (10, …) for "10", (50, …) for "multi-scale"."""
    if not CROPS[crops]:
        return test_transform(size, mean, std, square)
    cut = transforms.MultiScaleTenCrop(size, scales=scaled(CROPS[crops], size))
    return transforms.Compose([cut, transforms.Normalize(mean, std)])


def training_transform(augment, size, mean, std, square):
    """PIL image in, normalised tensor (C, size, size) out, with the changes that augment names.

    Raises:
        ValueError: for a wrong augment, or one that wants colour images when mean has one channel.
    """
    stages = {"place": [], "cut": [], "picture": [], "pixels": [], "normalised": []}
    for name in parse(augment):
        chosen = AUGMENTATIONS[name]
        if chosen.channels not in (None, len(mean)):
            raise ValueError(f"{name} is for images of {chosen.channels} channels, but these have {len(mean)}")
        stages[chosen.stage] += chosen.make(size)
    return transforms.Compose([
        *(stages["cut"] or fitting(size, square) + stages["place"]),
        *stages["picture"],
        transforms.ToTensor(),
        *stages["pixels"],
        transforms.Normalize(mean, std),
        *stages["normalised"],
    ])
