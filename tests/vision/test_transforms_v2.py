"""Transforms of samples, and those that only v2 has."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad.vision import transforms as T
from minigrad.vision.transforms import v2
from minigrad.vision.transforms.v2 import functional as F
from tests.vision.images import chw, picture

IMAGE = mg.from_numpy(np.random.default_rng(0).random((3, 6, 8), np.float32))
BYTES = (IMAGE * 255).to(mg.uint8)


@pytest.mark.parametrize(
    "transform",
    [v2.RandomCrop(3), v2.RandomHorizontalFlip(), v2.ColorJitter(0.5, 0.5), v2.RandomAffine(30), v2.RandomZoomOut()],
    ids=lambda transform: type(transform).__name__,
)
def test_all_images_of_a_sample_are_transformed_alike(transform):
    image = picture(size=(12, 10))
    for seed in range(5):
        mg.manual_seed(seed)
        one, other, target = transform(image, image.copy(), {"label": mg.tensor(3), "mask": IMAGE})
        assert np.array_equal(chw(one), chw(other))
        assert target["mask"] is IMAGE and target["label"].item() == 3
    mg.manual_seed(0)
    alone = transform(image)
    mg.manual_seed(0)
    assert np.array_equal(chw(alone), chw(transform([image, 1])[0]))


def test_the_first_tensor_is_the_image():
    for transform in (v2.Normalize([0.5], [0.5]), v2.RGB(), v2.CenterCrop(2)):
        image, label = transform(IMAGE, mg.tensor([1.0, 2.0, 3.0]))
        assert mg.equal(image, transform(IMAGE)) and label.tolist() == [1, 2, 3]
    array = np.zeros((4, 4, 3), np.uint8)
    image, label = v2.Compose([v2.CenterCrop(2), v2.ToImage()])(array, np.array([1.0]))
    assert image.shape == (3, 2, 2) and label.tolist() == [1]


def test_conversions_of_samples():
    image = picture()
    sample = {"image": image, "label": 3, "weight": mg.ones(2)}
    found = v2.Compose([v2.PILToTensor(), v2.ToDtype(mg.float32, scale=True), v2.ToPureTensor()])(sample)
    assert mg.allclose(found["image"], T.functional.to_tensor(image)) and found["label"] == 3
    assert v2.PILToTensor()(mg.ones(3), 1)[0].shape == (3,)
    assert v2.ToPILImage()(BYTES, 1)[0].size == (8, 6)
    assert v2.Identity()(1, 2) == (1, 2)
    assert v2.ToTensor()([image, 7])[0].shape == (3, 5, 7)


def test_containers():
    crop, flip = v2.CenterCrop(2), v2.RandomHorizontalFlip(1.0)
    expected = flip(crop(IMAGE))
    for container in (v2.Compose([crop, flip]), v2.RandomApply([crop, flip], 1.0), v2.RandomOrder([crop, flip])):
        image, label = container(IMAGE, 5)
        assert mg.equal(image, expected) and label == 5 and mg.equal(container(IMAGE), expected)
    assert v2.RandomApply([crop], 0.0)(IMAGE, 5) == (IMAGE, 5)
    assert mg.equal(v2.RandomChoice([crop, flip], [0, 2])(IMAGE), flip(IMAGE))


def test_classes_are_those_of_the_first_version_too():
    resize = v2.Resize(4)
    assert isinstance(resize, T.Resize) and repr(resize) == repr(T.Resize(4))
    assert type(pickle.loads(pickle.dumps(resize))) is v2.Resize and copy.deepcopy(resize).size == 4
    assert v2.RandomCrop.get_params(IMAGE, (6, 8)) == (0, 0, 6, 8)


def test_own_transforms():
    class Shift(v2.Transform):
        def __init__(self, most):
            super().__init__()
            self.most = most

        def make_params(self, flat_inputs):
            assert v2.query_size(flat_inputs) == (6, 8) and v2.query_chw(flat_inputs) == (3, 6, 8)
            return {"by": self.most}

        def transform(self, inpt, params):
            return inpt + params["by"]

    image, (label,) = Shift(2)(IMAGE, (mg.tensor(1),))
    assert mg.equal(image, IMAGE + 2) and label.item() == 1 and repr(Shift(2)) == "Shift(most=2)"
    with pytest.raises(NotImplementedError):
        v2.Transform()(IMAGE)
    with pytest.raises(TypeError):
        v2.query_size([1, "a"])
    with pytest.raises(ValueError, match="multiple"):
        v2.query_chw([IMAGE, IMAGE[:1]])
    assert v2.has_any([1, IMAGE], mg.Tensor) and not v2.has_all([1, IMAGE], mg.Tensor, str)


def test_noise():
    mg.manual_seed(0)
    half = mg.full((3, 50, 50), 0.5)
    noisy = F.gaussian_noise(half, mean=0.1, sigma=0.05)
    assert abs(noisy.mean().item() - 0.6) < 0.005 and abs(noisy.std().item() - 0.05) < 0.005
    assert F.gaussian_noise(half, sigma=9).max() == 1 and F.gaussian_noise(half, sigma=9, clip=False).max() > 5
    whole = v2.GaussianNoise(mean=0.1, sigma=0.05)(mg.full((3, 50, 50), 128, dtype=mg.uint8))
    assert whole.dtype == mg.uint8 and abs(whole.float().mean().item() - 153) < 1
    for error, call in (
        (ValueError, lambda: F.gaussian_noise(half, sigma=-1)),
        (ValueError, lambda: F.gaussian_noise(half.int())),
        (TypeError, lambda: F.gaussian_noise(picture())),
    ):
        with pytest.raises(error):
            call()


def test_channels():
    assert mg.equal(F.permute_channels(IMAGE, [2, 0, 1]), IMAGE[[2, 0, 1]])
    image = picture()
    assert np.array_equal(chw(F.permute_channels(image, [2, 0, 1])), chw(image)[[2, 0, 1]])
    assert np.array_equal(chw(F.permute_channels(np.asarray(image), [2, 0, 1])), chw(image)[[2, 0, 1]])
    with pytest.raises(ValueError, match="channels"):
        F.permute_channels(IMAGE, [0, 1])
    found = v2.RandomChannelPermutation()(IMAGE)
    assert sorted(found[:, 0, 0].tolist()) == sorted(IMAGE[:, 0, 0].tolist())
    assert mg.equal(F.grayscale_to_rgb(IMAGE[:1]), IMAGE[[0, 0, 0]]) and F.grayscale_to_rgb(IMAGE) is IMAGE
    assert F.grayscale_to_rgb(picture("L")).mode == "RGB"
    assert F.grayscale_to_rgb(mg.ones(5, 1, 2, 2)).shape == (5, 3, 2, 2)


def test_distortion():
    fixed = {"brightness": (1.2, 1.2), "contrast": (0.8, 0.8), "saturation": (0.5, 0.5), "hue": (0.1, 0.1)}
    distort = v2.RandomPhotometricDistort(**fixed, p=1.0)
    order = ["brightness", "saturation", "hue", "contrast"], ["brightness", "contrast", "saturation", "hue"]
    expected = []
    for names in order:
        image = IMAGE
        for name in names:
            image = getattr(F, f"adjust_{name}")(image, fixed[name][0])
        expected.append(sorted(image.mean((1, 2)).tolist()))
    for seed in range(4):
        mg.manual_seed(seed)
        found = sorted(distort(IMAGE).mean((1, 2)).tolist())
        assert any(np.allclose(found, one, atol=1e-5) for one in expected)
    assert mg.equal(v2.RandomPhotometricDistort(p=0.0)(IMAGE), IMAGE)


def test_sizes():
    assert v2.ScaleJitter((16, 16), (1.0, 1.0))(IMAGE).shape == (3, 12, 16)
    sizes = {tuple(v2.ScaleJitter((16, 16))(IMAGE).shape[1:]) for _ in range(20)}
    assert len(sizes) > 3 and all(height <= 24 and width <= 32 for height, width in sizes)
    for _ in range(10):
        out = v2.RandomZoomOut(fill=2.0, side_range=(1.5, 3.0), p=1.0)(IMAGE)
        assert out[out != 2.0].numel() == IMAGE.numel() and mg.equal(out[out != 2.0], IMAGE.flatten())
        assert 9 <= out.shape[1] <= 18 and 12 <= out.shape[2] <= 24
    assert v2.RandomZoomOut(p=0.0)(IMAGE) is IMAGE
    for wrong in ({"side_range": (0.5, 1)}, {"side_range": (2, 1)}, {"p": 2}):
        with pytest.raises(ValueError):
            v2.RandomZoomOut(**wrong)


def test_films():
    film = mg.arange(10).reshape(1, 10, 1, 1, 1)
    assert v2.UniformTemporalSubsample(4)(film).flatten().tolist() == [0, 3, 6, 9]
    assert F.uniform_temporal_subsample(film, 15).flatten().tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9]
    assert F.get_num_frames(film) == 10 and F.get_size(IMAGE) == [6, 8]


def test_jpeg():
    image = picture(size=(16, 16))
    assert np.array_equal(chw(F.jpeg(image, 30)), F.jpeg(mg.from_numpy(chw(image).copy()), 30).numpy())
    assert v2.JPEG(20)(BYTES[None]).shape == (1, 3, 6, 8)
    for error, quality in (
        (ValueError, 0),
        (ValueError, (50, 20)),
        (TypeError, True),
        (TypeError, 0.5),
        (ValueError, (1,)),
    ):
        with pytest.raises(error):
            v2.JPEG(quality)


def test_names_of_functions():
    assert F.resize_image is F.resize and F.horizontal_flip is F.hflip and F.hflip_video is F.hflip
    assert F.to_dtype(BYTES).max() > 1 and F.to_dtype(BYTES, scale=True).max() <= 1
    for owner, name in ((F, "crop_bounding_boxes"), (F, "crop_mask")):
        with pytest.raises(AttributeError, match="vision.tv_tensors"):
            getattr(owner, name)
