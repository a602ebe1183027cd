"""Which images are trained on, and the changes that are made to them."""
import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from models.common import CommandError
from models.data import augmentation, image_sets

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@given(labels=LABELS, share=st.floats(0, 1), seed=st.integers(0, 9))
def test_a_subset_is_balanced(labels, share, seed):
    count = round(share * len(labels))
    chosen = image_sets.balanced(labels, count, seed)
    assert chosen == sorted(set(chosen)) and len(chosen) == count
    there, taken = collections.Counter(labels), collections.Counter(labels[index] for index in chosen)
    most = max(taken.values(), default=0)
    assert all(taken[label] >= min(there[label], most - 1) for label in there)
    assert chosen == image_sets.balanced(labels, count, seed)


@given(labels=LABELS, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 9))
def test_validation_has_its_share_of_every_class(labels, fraction, seed):
    kept, held = image_sets.held_out(labels, fraction, seed)
    assert sorted(kept + held) == list(range(len(labels)))
    there, taken = collections.Counter(labels), collections.Counter(labels[index] for index in held)
    for label, count in there.items():
        assert 1 <= taken[label] and count * fraction <= taken[label] < count * fraction + 1


def test_validation_images_are_not_trained_on_nor_changed():
    images = image_sets.load("digits", None, augment="shift", subset=100, validation=0.25, seed=3)
    assert (len(images.train), len(images.test)) == (100, 359)
    assert not set(images.train.indices) & set(images.validation.indices)
    assert collections.Counter(images.train.targets) == dict.fromkeys(range(10), 10)
    assert mg.equal(images.validation[0][0], images.validation[0][0])
    assert any(not mg.equal(images.train[0][0], images.train[0][0]) for _ in range(5))
    again = image_sets.load("digits", None, subset=100, validation=0.25, seed=3)
    assert again.train.indices == images.train.indices
    other = image_sets.load("digits", None, subset=100, validation=0.25, seed=4)
    assert other.train.indices != images.train.indices


@pytest.mark.parametrize("settings, message", [
    ({"subset": 2000}, "--subset 2000: there are only 1438 training images"),
    ({"subset": 1400, "validation": 0.5}, "--subset 1400: there are only"),
    ({"validation": 0.999}, "--validation 0.999: nothing of 1438 images is left"),
    ({"augment": "lighting"}, "--augment lighting: lighting is for images of 3 channels, but these have 1"),
    ({"mean": (0, 0, 0), "std": (1, 1, 1)}, "--data digits: images of 1 channels, but 3 are wanted"),
])
def test_choices_that_cannot_be(settings, message):
    with pytest.raises(CommandError, match=message):
        image_sets.load("digits", None, **settings)


@pytest.mark.parametrize("side", [28, 72])
@pytest.mark.parametrize("name", augmentation.AUGMENTATIONS)
def test_every_augmentation_changes_images_and_keeps_their_size(name, side):
    image_module = pytest.importorskip("PIL.Image")
    mg.manual_seed(0)
    pixels = mg.randint(0, 256, (40, 50, 3), dtype=mg.uint8).numpy()
    picture = image_module.fromarray(pixels)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)
    plain = augmentation.test_transform(side, mean, std, square=False)(picture)
    change = augmentation.training_transform(name, side, mean, std, square=False)
    seen = [change(picture) for _ in range(8)]
    assert all(image.shape == (3, side, side) and image.dtype == mg.float32 for image in seen)
    assert any(not mg.equal(image, plain) for image in seen)
    assert any(not mg.equal(image, seen[0]) for image in seen)


def test_augmentations_are_composed_in_their_order():
    names = "cutout+jitter+lighting+flip+crop"
    change = augmentation.training_transform(names, 32, (0.5,) * 3, (0.2,) * 3, square=True)
    kinds = [type(step).__name__ for step in change.transforms]
    assert kinds == [
        "RandomResizedCrop", "ColorJitter", "RandomHorizontalFlip", "ToTensor", "Lighting", "Normalize", "Cutout"
    ]
    plain = augmentation.training_transform("none", 32, (0.5,), (0.2,), square=False)
    assert [type(step).__name__ for step in plain.transforms] == ["Resize", "CenterCrop", "ToTensor", "Normalize"]


@pytest.mark.parametrize("text, message", [
    ("twist", "unknown augmentation 'twist'; there are: none, shift, crop, "),
    ("flip+none", "unknown augmentation 'none'"),
    ("flip+flip", "named twice"),
    ("shift+crop", "shift and crop exclude each other"),
    ("", "unknown augmentation ''"),
])
def test_augmentations_that_cannot_be(text, message):
    with pytest.raises(ValueError, match=message):
        augmentation.parse(text)


@pytest.mark.parametrize("crops, count", [("10", 10), ("multi-scale", 50)])
def test_crops_are_those_of_the_lecture_scaled(crops, count):
    image_module = pytest.importorskip("PIL.Image")
    picture = image_module.new("L", (56, 56), 128)
    seen = augmentation.crops_transform(crops, 28, (0.5,), (0.5,), square=True)(picture)
    assert seen.shape == (count, 1, 28, 28)
    assert mg.allclose(seen, mg.full_like(seen, (128 / 255 - 0.5) / 0.5), atol=1e-6)
    assert augmentation.scaled(augmentation.CROPS["multi-scale"], 224) == [224, 256, 384, 480, 640]
