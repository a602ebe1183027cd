"""Transforms of tensors on a stand-in for a GPU that refuses to mix with NumPy."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.vision import transforms as T
from minigrad.vision import utils
from minigrad.vision.transforms import InterpolationMode
from minigrad.vision.transforms import functional as F
from tests import fake_cupy
from tests.vision.images import picture


@pytest.fixture(scope="module")
def gpu():
    with fake_cupy.installed():
        yield


BILINEAR = InterpolationMode.BILINEAR
TRANSFORMS = [
    T.ElasticTransform(3.0, 1.0),
    T.CenterCrop(20),
    T.ColorJitter(0.5, 0.5, 0.5, 0.3),
    T.ConvertImageDtype(mg.float64),
    T.Cutout(4, fill=3),
    T.FiveCrop(5),
    T.GaussianBlur((3, 5)),
    T.Grayscale(3),
    T.Lighting(0.3),
    T.MultiScaleTenCrop(4, scales=(4, 6)),
    T.Pad(2, 3),
    T.Pad(2, padding_mode="reflect"),
    T.RandomAdjustSharpness(2, 1.0),
    T.RandomAffine(20, (0.1, 0.1), interpolation=BILINEAR, fill=2),
    T.RandomAutocontrast(1.0),
    T.RandomCrop(5, padding=1),
    T.RandomErasing(1.0, value=[1, 2, 3]),
    T.RandomErasing(1.0, value="random"),
    T.RandomHorizontalFlip(1.0),
    T.RandomInvert(1.0),
    T.RandomPerspective(p=1.0, fill=1),
    T.RandomResizedCrop(6),
    T.RandomRotation(20, fill=1),
    T.RandomShortestSize([5, 7]),
    T.Resize(5, InterpolationMode.NEAREST),
    T.ScaleJitterCrop(4, scales=(5, 7)),
    T.TenCrop(4),
]
INTEGERS = [
    T.AugMix(),
    T.AutoAugment(),
    T.RandAugment(4),
    T.RandomEqualize(1.0),
    T.RandomPosterize(2, 1.0),
    T.RandomSolarize(9, 1.0),
    T.TrivialAugmentWide(),
]
FLOATS = [
    T.Normalize([0.5] * 3, [0.2] * 3),
    lambda image: F.adjust_gamma(image, 2.0),
    lambda image: T.MixUp(num_classes=3)(image[None], mg.tensor([0], device=image.device)),
    lambda image: T.CutMix(num_classes=3)(image[None], mg.tensor([0], device=image.device)),
    lambda image: utils.make_grid([image, image], normalize=True),
]
CASES = [(transform, kind) for kind in ("uint8", "float32") for transform in TRANSFORMS]
CASES += [(transform, "uint8") for transform in INTEGERS] + [(transform, "float32") for transform in FLOATS]


@pytest.mark.parametrize(("transform", "kind"), CASES)
def test_every_transform_gives_the_cpu_values(gpu, transform, kind):
    image = F.pil_to_tensor(picture(size=(20, 15)))
    image = image if kind == "uint8" else image / 255
    outcomes = []
    for device in ("cpu", "cuda"):
        mg.manual_seed(1)
        result = transform(image.to(device))
        result = result if isinstance(result, (tuple, list)) else [result]
        assert all(part.device.type == device for part in result)
        outcomes.append([part.cpu().numpy() for part in result])
    for one, other in zip(*outcomes, strict=True):
        assert one.dtype == other.dtype
        assert np.allclose(one, other, atol=1e-6)
