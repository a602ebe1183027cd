"""Transforms that take parts of images away, cut them into several, mix them, or draw from lists of changes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minigrad as mg
from minigrad import nn
from minigrad.vision import transforms as T
from minigrad.vision.transforms import InterpolationMode, autoaugment, v2
from minigrad.vision.transforms import functional as F
from tests.vision.images import both, chw, forms, levels, picture


# ---------------------------------------------------------------------- erasing
@given(top=st.integers(0, 4), left=st.integers(0, 6), height=st.integers(0, 6), width=st.integers(0, 8), data=st.data())
def test_erase(top, left, height, width, data):
    for form in forms(picture())[1:]:
        expected = chw(form).copy()
        expected[:, top : top + height, left : left + width] = 1
        kept = chw(form).copy()
        assert np.array_equal(chw(F.erase(form, top, left, height, width, 1)), expected)
        assert np.array_equal(chw(form), kept)
        assert F.erase(form, top, left, height, width, 1, inplace=True) is form
        assert np.array_equal(chw(form), expected)


def test_erase_with_a_colour():
    color = mg.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    for form in forms(picture())[1:]:
        assert chw(F.erase(form, 1, 2, 2, 2, color))[:, 2, 3].tolist() == [1, 2, 3]
    batch = F.erase(mg.zeros(2, 3, 4, 4), 0, 0, 2, 2, color)
    assert batch.sum((2, 3)).tolist() == [[4, 8, 12]] * 2


def test_random_erasing_erases_what_it_is_told_to():
    mg.manual_seed(0)
    transform = T.RandomErasing(p=0.4, scale=(0.1, 0.2), ratio=(0.5, 2.0), value=2)
    areas = []
    for _ in range(400):
        erased = (transform(mg.ones(1, 40, 30))[0] == 2).numpy()
        areas.append(erased.mean())
        if erased.any():
            rows, columns = erased.any(1).sum(), erased.any(0).sum()
            assert rows * columns == erased.sum()  # a rectangle
            assert 0.4 < rows / columns < 2.5
    hit = np.array([area for area in areas if area])
    assert len(hit) / 400 == pytest.approx(0.4, abs=0.08)
    assert 0.085 < hit.min() < 0.11
    assert 0.19 < hit.max() < 0.215


def test_random_erasing_writes_numbers_of_three_kinds():
    mg.manual_seed(0)
    image = mg.full((3, 50, 50), 9.0)
    coloured = T.RandomErasing(1.0, value=[1, 2, 3])(image)
    assert [sorted(set(plane.flatten().tolist())) for plane in coloured] == [[1, 9], [2, 9], [3, 9]]
    noise = T.RandomErasing(1.0, scale=(0.3, 0.3), value="random")(image)
    noise = noise[noise != 9]
    assert abs(noise.mean().item()) < 0.1
    assert noise.std().item() == pytest.approx(1, abs=0.1)
    assert image.tolist() == mg.full((3, 50, 50), 9.0).tolist()
    assert T.RandomErasing(1.0, inplace=True)(image) is image
    assert image.min().item() == 0
    whole = mg.ones(1, 2, 2)
    assert T.RandomErasing.get_params(whole, (1.0, 1.0), (1.0, 1.0), [0.0]) == (0, 0, 2, 2, whole)
    assert T.RandomErasing(1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0))(whole) is whole


def test_cutout_may_hang_over_the_border():
    mg.manual_seed(0)
    for form in forms(picture("L", (10, 8)).point(lambda level: 50 + level // 2)):
        holes = [np.argwhere(chw(T.Cutout(4)(form))[0] == 0) for _ in range(600)]
        assert min(len(hole) for hole in holes) == 4  # a corner: half of it in each direction
        assert max(len(hole) for hole in holes) == 16
        middles = {(tuple(hole.min(0)), tuple(hole.max(0))) for hole in holes}
        assert len(middles) == 80  # every pixel is the middle of some hole
    assert len(np.argwhere(chw(T.Cutout(99)(mg.ones(1, 5, 6)))[0] == 0)) == 30


def test_cutout_fills_and_counts():
    mg.manual_seed(0)
    image = picture(size=(30, 20))
    for form in forms(image):
        kept = chw(form).copy()
        painted = chw(T.Cutout(3, fill=(1, 2, 3))(form))
        hole = (painted == np.array([1, 2, 3]).reshape(3, 1, 1)).all(0)
        assert 4 <= hole.sum() <= 9
        assert np.array_equal(painted[:, ~hole], kept[:, ~hole])
        assert np.array_equal(chw(form), kept)
        assert T.Cutout(3, p=0.0)(form) is form
    areas = [(T.Cutout(4, n_holes=3)(mg.ones(1, 30, 30)) == 0).sum().item() for _ in range(50)]
    assert max(areas) == 48


# ---------------------------------------------------------------------- several crops
@pytest.mark.parametrize("size", [3, (2, 4), [5]])
def test_five_and_ten_crops(size):
    for form in forms(picture(size=(8, 6))):
        pixels = chw(form)
        five, ten = T.FiveCrop(size)(form), T.TenCrop(size)(form)
        height, width = T.FiveCrop(size).size
        corners = [
            pixels[:, :height, :width],
            pixels[:, :height, -width:],
            pixels[:, -height:, :width],
            pixels[:, -height:, -width:],
            chw(F.center_crop(form, (height, width))),
        ]
        assert all(np.array_equal(chw(crop), corner) for crop, corner in zip(five, corners, strict=True))
        assert all(np.array_equal(chw(crop), corner) for crop, corner in zip(ten[:5], corners, strict=True))
        mirrored = F.five_crop(F.hflip(form), size)
        assert all(np.array_equal(chw(crop), chw(other)) for crop, other in zip(ten[5:], mirrored, strict=True))
        upside_down = F.five_crop(F.vflip(form), size)
        ten = T.TenCrop(size, vertical_flip=True)(form)
        assert all(np.array_equal(chw(crop), chw(other)) for crop, other in zip(ten[5:], upside_down, strict=True))
        assert all(type(crop) is type(F.crop(form, 0, 0, 1, 1)) or isinstance(crop, mg.Tensor) for crop in ten)


def test_multi_scale_ten_crop():
    transform = T.MultiScaleTenCrop(4, scales=(4, 6, 8))
    image = picture(size=(12, 9))
    expected = [crop for scale in (4, 6, 8) for crop in F.ten_crop(F.resize(image, scale), 4)]
    stacked = transform(image)
    assert stacked.shape == (30, 3, 4, 4)
    assert stacked.dtype == mg.float32
    assert all(np.array_equal(crop.numpy(), F.to_tensor(one).numpy()) for crop, one in zip(stacked, expected))
    tensor = F.pil_to_tensor(image)
    assert transform(tensor).dtype == mg.uint8
    assert np.abs(levels(transform(tensor)) - levels(stacked)).max() <= 1.01
    array = transform(np.asarray(image))
    assert array.shape == (30, 4, 4, 3)
    assert np.array_equal(np.moveaxis(array, -1, 1), transform(tensor).numpy())
    assert transform(np.asarray(image)[..., 0]).shape == (30, 4, 4)
    assert transform(mg.stack([tensor, tensor])).shape == (2, 30, 3, 4, 4)
    assert T.MultiScaleTenCrop().scales == (224, 256, 384, 480, 640)


def test_mean_over_ten_crops_of_a_network():
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    crops = T.MultiScaleTenCrop(4, scales=(4, 5))(picture(size=(9, 8)))
    assert network(crops).mean(0).shape == (2,)


def test_scale_jitter_crop(monkeypatch):
    mg.manual_seed(0)
    image = picture(size=(50, 40))
    transform = T.ScaleJitterCrop(8, scales=(8, 10))
    lengths = set()
    resize = F.resize

    def watched(img, size, *arguments, **options):
        lengths.add(size[0])
        return resize(img, size, *arguments, **options)

    monkeypatch.setattr(F, "resize", watched)
    crops = [transform(image) for _ in range(60)]
    assert {crop.size for crop in crops} == {(8, 8)}
    assert lengths == {8, 9, 10}
    assert len({crop.tobytes() for crop in crops}) > 10
    for form in forms(image):
        assert chw(transform(form)).shape == (3, 8, 8)
    assert T.ScaleJitterCrop().scales == (256, 480)


def test_random_sizes():
    mg.manual_seed(0)
    image = picture(size=(20, 10))
    sizes = {T.RandomResize(5, 8)(image).size for _ in range(60)}
    assert sizes == {(10, 5), (12, 6), (14, 7)}
    sizes = {T.RandomShortestSize([5, 7])(image).size for _ in range(40)}
    assert sizes == {(10, 5), (14, 7)}
    assert T.RandomShortestSize(8, max_size=12)(image).size == (12, 6)
    for form in forms(image):
        assert chw(T.RandomShortestSize(8, max_size=12)(form)).shape == (3, 6, 12)


# ---------------------------------------------------------------------- perspective, linear maps
CORNERS = [[0, 0], [15, 0], [15, 11], [0, 11]]


@given(moves=st.lists(st.integers(-2, 2), min_size=8, max_size=8))
def test_perspective_of_tensors_is_pillows(moves):
    places = [[x + dx, y + dy] for (x, y), dx, dy in zip(CORNERS, moves[::2], moves[1::2])]
    image = picture("L", (16, 12))
    a, b, c, d, e, f, g, h = F.warps._perspective_coefficients(CORNERS, places)
    y, x = np.mgrid[:12, :16] + 0.5
    below = g * x + h * y + 1
    old_x, old_y = (a * x + b * y + c) / below, (d * x + e * y + f) / below
    clear = (abs(old_x - np.rint(old_x)) > 0.01) & (abs(old_y - np.rint(old_y)) > 0.01)
    inside = (old_x > 0.6) & (old_x < 15.4) & (old_y > 0.6) & (old_y < 11.4)
    for mode, compared, tolerance in ((InterpolationMode.NEAREST, clear, 0), (InterpolationMode.BILINEAR, inside, 2)):
        one, other = (levels(F.perspective(form, CORNERS, places, mode)) for form in both(image))
        assert not (compared & (abs(one - other) > tolerance)).any()


def test_perspective_by_hand():
    for form in forms(picture(size=(16, 12))):
        assert np.abs(levels(F.perspective(form, CORNERS, CORNERS)) - levels(form)).max() <= 1
        moved = [[x + 2, y + 1] for x, y in CORNERS]
        shifted = levels(F.perspective(form, CORNERS, moved, InterpolationMode.NEAREST, fill=[1, 2, 3]))
        assert np.array_equal(shifted[:, 1:, 2:], levels(form)[:, :-1, :-2])
        scale = 1 if chw(form).dtype == np.uint8 else 255
        assert np.allclose(shifted[:, 0, 0], np.array([1, 2, 3]) * scale)


def test_random_perspective():
    mg.manual_seed(0)
    drawn = np.array([T.RandomPerspective.get_params(40, 20, 0.5)[1] for _ in range(300)])
    low = [[0, 0], [29, 0], [29, 14], [0, 14]]
    high = [[10, 5], [39, 5], [39, 19], [10, 19]]
    assert drawn.min(0).tolist() == low
    assert drawn.max(0).tolist() == high
    assert T.RandomPerspective.get_params(40, 20, 0.0) == ([[0, 0], [39, 0], [39, 19], [0, 19]],) * 2
    for form in forms(picture(size=(16, 12))):
        assert T.RandomPerspective(p=0.0)(form) is form
        assert chw(T.RandomPerspective(p=1.0, fill=3)(form)).shape == (3, 12, 16)


def test_elastic_transform():
    mg.manual_seed(0)
    field = T.ElasticTransform.get_params([30.0, 10.0], [2.0, 2.0], [40, 60])
    assert field.shape == (1, 40, 60, 2)
    spread = field.std((0, 1, 2)) * mg.tensor([60.0, 40.0])  # an eighth or so of alpha is left of it
    assert spread[0].item() == pytest.approx(3 * spread[1].item(), rel=0.3)
    rough = T.ElasticTransform.get_params([1.0, 1.0], [0.0, 0.0], [20, 20])[..., 0] * 20
    assert rough.min().item() == pytest.approx(-1, abs=0.05)
    for form in forms(picture(size=(20, 15))):
        assert np.abs(levels(F.elastic_transform(form, mg.zeros(1, 15, 20, 2))) - levels(form)).max() <= 1e-3
        field = mg.tensor([2 / 20, -2 / 15]).expand(1, 15, 20, 2)  # from one pixel to the right, one up
        moved = levels(F.elastic_transform(form, field, InterpolationMode.NEAREST, fill=[0, 0, 0]))
        assert np.array_equal(moved[:, 1:, :-1], levels(form)[:, :-1, 1:])
        assert np.abs(moved[:, 0]).max() == 0
        bent = T.ElasticTransform(20.0, 1.0)(form)
        assert type(bent) is type(form) or isinstance(bent, mg.Tensor)
        assert np.abs(levels(bent) - levels(form)).mean() > 5
    smooth = F.to_tensor(Image.linear_gradient("L").resize((64, 64)))
    assert (T.ElasticTransform(10.0, 5.0)(smooth) - smooth)[:, 3:-3, 3:-3].abs().max().item() < 0.1


def test_linear_transformation():
    generator = np.random.default_rng(0)
    matrix, mean = generator.normal(size=(12, 12)), generator.normal(size=12)
    transform = T.LinearTransformation(mg.from_numpy(matrix), mg.from_numpy(mean))
    image = generator.normal(size=(3, 2, 2))
    expected = ((image.ravel() - mean) @ matrix).reshape(3, 2, 2)
    assert np.allclose(transform(mg.from_numpy(image)).numpy(), expected)
    batch = mg.from_numpy(np.stack([image, image]))
    assert np.allclose(transform(batch).numpy(), [expected] * 2)


# ---------------------------------------------------------------------- mixing
def batch_of(count=4, classes=3):
    """Images that are all their own number, and labels 0, 1, 2, 0, …"""
    images = mg.arange(count).float().reshape(count, 1, 1, 1).expand(count, 2, 8, 6).clone()
    return images, mg.arange(count) % classes


@pytest.mark.parametrize("kind", [T.MixUp, T.CutMix])
def test_labels_are_mixed_as_images_are(kind):
    mg.manual_seed(0)
    transform = kind(num_classes=3)
    shares = []
    for _ in range(100):
        images, labels = batch_of()
        mixed, soft = transform(images, labels)
        assert mixed.dtype == soft.dtype == mg.float32
        assert soft.shape == (4, 3)
        assert np.allclose(soft.sum(1).numpy(), 1, atol=1e-6)
        share = soft[1, 1].item()
        shares.append(share)
        means = mixed.mean((1, 2, 3)).numpy()
        numbers = np.arange(4)
        assert np.allclose(means, share * numbers + (1 - share) * np.roll(numbers, 1), atol=1e-5)
        expected = share * np.eye(3)[numbers % 3] + (1 - share) * np.eye(3)[np.roll(numbers % 3, 1)]
        assert np.allclose(soft.numpy(), expected, atol=1e-6)
        assert images.tolist() == batch_of()[0].tolist()
    assert min(shares) < (0.2 if kind is T.MixUp else 0.6)  # rectangles are cut at the border
    assert max(shares) > 0.8


def test_cutmix_takes_a_rectangle():
    mg.manual_seed(0)
    for _ in range(50):
        images, soft = T.CutMix(num_classes=3)(*batch_of())
        taken = (images[1, 0] == 0).numpy()
        assert taken.any(1).sum() * taken.any(0).sum() == taken.sum()
        assert soft[1, 0].item() == pytest.approx(taken.mean(), abs=1e-6)
        assert set(images[1].flatten().tolist()) <= {0, 1}


@pytest.mark.parametrize(("alpha", "spread"), [(0.1, 0.4), (1.0, 0.29), (20.0, 0.08)])
def test_alpha_says_how_much_is_mixed(alpha, spread):
    mg.manual_seed(0)
    shares = [T.MixUp(alpha=alpha, num_classes=3)(*batch_of())[1][1, 1].item() for _ in range(300)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.08)
    assert np.std(shares) == pytest.approx(spread, abs=0.06)


@pytest.mark.parametrize("kind", [T.MixUp, T.CutMix])
def test_batches_of_other_forms(kind):
    images, labels = batch_of()
    transform = kind(num_classes=3)
    assert type(transform((images, labels))) is tuple
    assert type(transform([images, labels])) is list
    extra = transform(images, labels, "name")
    assert extra[2] == "name"
    mixed = transform({"image": images, "Labels": labels, "name": "x"})
    assert set(mixed) == {"image", "Labels", "name"}
    assert mixed["Labels"].shape == (4, 3)
    _, target = transform(images, {"label": labels})
    assert target["label"].shape == (4, 3)
    found = kind(num_classes=3, labels_getter=lambda batch: batch[0])((labels, images))
    assert found[0].shape == (4, 3)
    again = kind()(*transform(images, labels))  # soft labels may be mixed again
    assert np.allclose(again[1].sum(1).numpy(), 1, atol=1e-6)
    assert kind(num_classes=3)(images, nn.functional.one_hot(labels, 3))[1].dtype == mg.float32


def test_soft_labels_are_what_cross_entropy_takes():
    images, labels = T.MixUp(alpha=0.2, num_classes=3)(*batch_of())
    network = nn.Sequential(nn.Flatten(), nn.Linear(96, 3))
    nn.CrossEntropyLoss()(network(images), labels).backward()
    assert network[1].weight.grad.abs().sum().item() > 0


# ---------------------------------------------------------------------- lists of changes
def test_policies():
    for policy in T.AutoAugmentPolicy:
        pairs = T.AutoAugment(policy).policies
        assert len(pairs) == 25
        assert all(len(pair) == 2 for pair in pairs)
        names = {name for pair in pairs for name, _, _ in pair}
        assert names <= set(autoaugment.strengths(10, 1, (1, 1), 1, 1, 4)) | {"Invert"}
        for pair in pairs:
            for name, probability, number in pair:
                assert 0 <= probability <= 1
                assert (number is None) == (name in ("AutoContrast", "Equalize", "Invert"))
    assert T.AutoAugment().policies[0] == (("Posterize", 0.4, 8), ("Rotate", 0.6, 9))


def test_strengths():
    table = autoaugment.strengths(31, 0.3, (10.0, 20.0), 30.0, 0.9, 4)
    assert len(table) == 13  # and Identity
    assert table["Posterize"][0].tolist()[0] == 8
    assert table["Posterize"][0].tolist()[-1] == 4
    assert table["Solarize"][0][9] == 178.5
    assert table["TranslateX"][0][-1] == 10
    assert table["TranslateY"][0][-1] == 20


EVERY_CHANGE = [
    ("Identity", 0.0),
    ("ShearX", 0.3),
    ("ShearY", -0.3),
    ("TranslateX", 3.2),
    ("TranslateY", -2.0),
    ("Rotate", 20.0),
    ("Brightness", 0.5),
    ("Color", -0.5),
    ("Contrast", 0.5),
    ("Sharpness", 0.9),
    ("Posterize", 3.0),
    ("Solarize", 99.0),
    ("AutoContrast", 0.0),
    ("Equalize", 0.0),
    ("Invert", 0.0),
]


@pytest.mark.parametrize(("name", "strength"), EVERY_CHANGE)
def test_changes_of_tensors_are_pillows(name, strength):
    image = picture(size=(30, 20)).point(lambda level: 40 + level // 2)
    pillow, tensor, _, array, _ = forms(image)
    results = [
        levels(autoaugment.apply_change(form, name, strength, InterpolationMode.NEAREST, None))
        for form in (pillow, tensor, array)
    ]
    assert np.array_equal(results[1], results[2])
    assert (np.abs(results[0] - results[1]) > 1).mean() < 0.02
    assert np.array_equal(results[0], levels(image)) == (name == "Identity")


@pytest.mark.parametrize("kind", [T.AutoAugment, T.AugMix, T.RandAugment, T.TrivialAugmentWide])
def test_lists_of_changes_change_images(kind):
    pillow, tensor, _, array, _ = forms(picture(size=(16, 12)))
    for form in (pillow, tensor, array, mg.stack([tensor, tensor])):
        mg.manual_seed(0)
        results = [chw(kind(fill=7)(form)) for _ in range(30)]
        assert all(result.shape == chw(form).shape for result in results)
        assert all(result.dtype == np.uint8 for result in results)
        assert len({result.tobytes() for result in results}) > 10
    assert kind(interpolation=InterpolationMode.BILINEAR, fill=[1, 2, 3])(pillow).size == (16, 12)


def test_augmix_is_a_mean_of_the_image_and_its_changes():
    mg.manual_seed(0)
    flat = mg.full((2, 3, 9, 9), 100, dtype=mg.uint8)
    mixed = T.AugMix(severity=1, all_ops=False)(flat)  # the weakest changes: none but posterize and solarize
    assert mixed.dtype == mg.uint8
    assert mixed.max().item() <= 100
    images = mg.stack([F.pil_to_tensor(picture(size=(12, 9), seed=seed)) for seed in range(2)])
    kept = images.clone()
    results = [T.AugMix(severity=10, mixture_width=2, chain_depth=1, alpha=0.5)(images) for _ in range(20)]
    distances = [abs(result.float() - images.float()).mean().item() for result in results]
    assert min(distances) < 20 < max(distances)
    assert images.tolist() == kept.tolist()
    assert len(T.AugMix(all_ops=False)._table(images)) == 9
    assert T.AugMix()._table(images)["Posterize"][0].tolist()[::9] == [4, 0]


# ---------------------------------------------------------------------- all of them
RANDOM = [
    T.ColorJitter(0.4, 0.4, 0.4, 0.2),
    T.GaussianBlur(3),
    T.ElasticTransform(9.0, 1.0),
    T.RandomErasing(0.9),
    T.Cutout(3),
    T.Lighting(0.5),
    T.RandomPerspective(p=0.9),
    T.RandomCrop(5),
    T.RandomResizedCrop(6),
    T.RandomHorizontalFlip(),
    T.RandomVerticalFlip(),
    T.RandomRotation(30),
    T.RandomAffine(30, (0.2, 0.2), (0.8, 1.2), 10),
    T.RandomInvert(),
    T.RandomAdjustSharpness(3),
    T.RandomAutocontrast(),
    T.RandomGrayscale(0.5),
    T.ScaleJitterCrop(6, scales=(6, 9)),
    T.RandomResize(5, 9),
    T.RandomShortestSize([5, 7]),
    T.RandomApply([T.RandomInvert(0.5)]),
    T.RandomChoice([T.RandomInvert(1.0), T.Pad(1)]),
    T.RandomOrder([T.RandomInvert(), T.Pad(1)]),
]
UINT8_ONLY = [
    T.RandomPosterize(3),
    T.RandomSolarize(99),
    T.RandomEqualize(),
    T.AutoAugment(),
    T.AugMix(),
    T.RandAugment(),
    T.TrivialAugmentWide(),
]


@pytest.mark.parametrize("transform", RANDOM + UINT8_ONLY, ids=lambda transform: type(transform).__name__)
def test_the_seed_decides_and_the_form_stays(transform):
    for form in forms(picture(size=(30, 20)).point(lambda level: 64 + level // 2)):
        if transform in UINT8_ONLY and chw(form).dtype != np.uint8:
            continue
        if isinstance(transform, T.RandomErasing) and isinstance(form, Image.Image):
            continue
        kept = chw(form).copy()

        def run(seed, image=form):
            mg.manual_seed(seed)
            return [transform(image) for _ in range(6)]

        first, again, other = (run(seed) for seed in (1, 1, 2))
        assert [chw(image).tolist() for image in first] == [chw(image).tolist() for image in again]
        assert [chw(image).tolist() for image in first] != [chw(image).tolist() for image in other]
        assert all(chw(image).dtype == kept.dtype for image in first)
        assert np.array_equal(chw(form), kept)
        expected = next(kind for kind in (np.ndarray, mg.Tensor, Image.Image) if isinstance(form, kind))
        assert all(isinstance(image, expected) for image in first)


FIXED = [
    T.CenterCrop(4),
    T.Pad(2, 7),
    T.Pad(2, padding_mode="reflect"),
    T.Resize(6),
    T.Resize((4, 9)),
    T.Grayscale(3),
    T.Grayscale(),
    T.Normalize([0.5], [0.2]),
    T.ConvertImageDtype(mg.float64),
    T.FiveCrop(3),
    T.TenCrop(3),
]


@pytest.mark.parametrize("transform", FIXED, ids=repr)
def test_arrays_are_changed_as_tensors_are(transform):
    floats = isinstance(transform, T.Normalize)
    for mode in ("L", "RGB"):
        array = np.asarray(picture(mode, (10, 9))) / (np.float32(255) if floats else 1)
        array = array.astype(np.float32 if floats else np.uint8)
        tensor = mg.from_numpy(np.ascontiguousarray(chw(array)))
        if isinstance(transform, T.Grayscale) and mode == "RGB":
            assert transform(array).shape == (9, 10, transform.num_output_channels)
        ours, theirs = transform(array), transform(tensor)
        ours, theirs = (ours, theirs) if isinstance(ours, tuple) else ((ours,), (theirs,))
        for one, other in zip(ours, theirs, strict=True):
            assert isinstance(one, np.ndarray)
            assert one.flags.c_contiguous
            assert np.array_equal(chw(one), chw(other))
            assert one.dtype == other.dtype.numpy
    assert F.get_dimensions(np.zeros((4, 5))) == [1, 4, 5]
    assert F.get_dimensions(np.zeros((4, 5, 3))) == [3, 4, 5]


def test_arrays_through_a_whole_pipeline():
    mg.manual_seed(0)
    pipeline = T.Compose(
        [
            T.RandomCrop(8, padding=2),
            T.RandomHorizontalFlip(),
            T.ColorJitter(0.2),
            T.Lighting(),
            T.Cutout(2),
            T.ToTensor(),
            T.Normalize([0.5] * 3, [0.2] * 3),
        ]
    )
    image = picture(size=(8, 8))
    outcomes = []
    for form in (image, np.asarray(image)):
        mg.manual_seed(5)
        outcomes.append(pipeline(form))
    assert outcomes[1].shape == (3, 8, 8)
    assert np.abs((outcomes[0] - outcomes[1]).numpy()).max() <= 2 / 255 / 0.2


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (T.RandomErasing(), "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)"),
        (T.Cutout(16), "Cutout(size=16, n_holes=1, fill=0, p=1.0)"),
        (T.FiveCrop(3), "FiveCrop(size=(3, 3))"),
        (
            T.ElasticTransform(),
            "ElasticTransform(alpha=[50.0, 50.0], sigma=[5.0, 5.0], "
            "interpolation=InterpolationMode.BILINEAR, fill=[0.0])",
        ),
        (T.TenCrop((3, 4)), "TenCrop(size=(3, 4), vertical_flip=False)"),
        (T.RandomPerspective(), "RandomPerspective(p=0.5)"),
        (T.MixUp(num_classes=3), "MixUp(alpha=1.0, num_classes=3)"),
        (T.CutMix(alpha=0.5), "CutMix(alpha=0.5)"),
        (T.AutoAugment(), "AutoAugment(policy=AutoAugmentPolicy.IMAGENET, fill=None)"),
        (
            T.AugMix(),
            "AugMix(severity=3, mixture_width=3, chain_depth=-1, alpha=1.0, all_ops=True, "
            "interpolation=InterpolationMode.BILINEAR, fill=None)",
        ),
        (
            T.RandAugment(),
            "RandAugment(num_ops=2, magnitude=9, num_magnitude_bins=31, "
            "interpolation=InterpolationMode.NEAREST, fill=None)",
        ),
        (
            T.TrivialAugmentWide(),
            "TrivialAugmentWide(num_magnitude_bins=31, interpolation=InterpolationMode.NEAREST, fill=None)",
        ),
        (
            T.LinearTransformation(mg.eye(2), mg.ones(2)),
            "LinearTransformation(transformation_matrix=[[1.0, 0.0], [0.0, 1.0]], mean_vector=[1.0, 1.0])",
        ),
        (
            T.ScaleJitterCrop(),
            "ScaleJitterCrop(size=(224, 224), scales=(256, 480), interpolation=bilinear, antialias=True)",
        ),
        (v2.ToDtype(mg.float32, scale=True), "ToDtype(scale=True)"),
    ],
)
def test_reprs(transform, text):
    assert repr(transform) == text


def test_v2():
    assert v2.MixUp is T.MixUp and v2.Lambda is T.Lambda
    assert v2.functional.resize is F.resize and set(F.__all__) < set(v2.functional.__all__)
    assert not {"Cutout", "Lighting", "ScaleJitterCrop"} & set(v2.__all__)
    assert all(hasattr(v2, name) for name in v2.__all__)
    finish = [v2.ToDtype(mg.float32, scale=True), v2.Identity()]
    pipeline = v2.Compose([v2.ToImage(), v2.RandomHorizontalFlip(0.0), *finish])
    image = picture()
    array = np.array(image)
    for form in (image, array, F.pil_to_tensor(image)):
        assert np.allclose(pipeline(form).numpy() * 255, chw(image))
    tensor = v2.ToImage()(array)
    array[:] = 0
    assert tensor.max().item() > 0  # a copy
    assert v2.ToDtype(mg.int32)(np.asarray(image)).dtype == np.int32
    assert v2.ToDtype(mg.float64)(tensor).max().item() > 1


def test_the_module_that_torchvision_keeps_them_in():
    from minigrad.vision.transforms.transforms import Compose, RandomErasing

    assert Compose is T.Compose
    assert RandomErasing is T.RandomErasing


IMAGES, LABELS = mg.zeros(4, 3, 5, 5), mg.zeros(4, dtype=mg.int64)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: F.erase(picture(), 0, 0, 1, 1, 0), TypeError, "Tensor Image"),
        (lambda: T.RandomErasing()(picture()), TypeError, "Tensor Image"),
        (lambda: T.RandomErasing(value=None), TypeError, "number or str or a sequence"),
        (lambda: T.RandomErasing(value="x"), ValueError, "'random'"),
        (lambda: T.RandomErasing(scale=0.1), TypeError, "Scale should be a sequence"),
        (lambda: T.RandomErasing(ratio=0.1), TypeError, "Ratio should be a sequence"),
        (lambda: T.RandomErasing(scale=(0.3, 0.1)), ValueError, "min, max"),
        (lambda: T.RandomErasing(scale=(0.1, 1.5)), ValueError, "between 0 and 1"),
        (lambda: T.RandomErasing(p=2), ValueError, "between 0 and 1"),
        (lambda: T.RandomErasing(1.0, value=(1, 2))(mg.zeros(3, 9, 9)), ValueError, "single value or 3"),
        (lambda: T.Cutout(0), ValueError, "positive"),
        (lambda: T.Cutout(3, n_holes=0), ValueError, "positive"),
        (lambda: T.Cutout(3, p=1.5), ValueError, "between 0 and 1"),
        (lambda: T.Cutout(3)([1]), TypeError, "PIL Image or Tensor"),
        (lambda: T.FiveCrop((1, 2, 3)), ValueError, "two dimensions"),
        (lambda: F.five_crop(picture(), (1, 2, 3)), ValueError, "two dimensions"),
        (lambda: F.five_crop(picture(), 6), ValueError, r"size \(6, 6\) is bigger than input size \(5, 7\)"),
        (lambda: T.TenCrop(6)(np.zeros((5, 7))), ValueError, "bigger than input"),
        (lambda: T.MultiScaleTenCrop(8, scales=(8, 7)), ValueError, "not below"),
        (lambda: T.MultiScaleTenCrop(8, scales=()), ValueError, "one or more"),
        (lambda: T.ScaleJitterCrop(8, scales=9), TypeError, "pair"),
        (lambda: T.ScaleJitterCrop(8, scales=(7, 9)), ValueError, "size <= low"),
        (lambda: T.RandomResize(5, 5), ValueError, "below max_size"),
        (lambda: T.RandomShortestSize([]), ValueError, "positive"),
        (lambda: T.RandomPerspective(1.5), ValueError, "between 0 and 1"),
        (lambda: T.RandomPerspective(fill="x"), TypeError, "sequence or a number"),
        (lambda: T.RandomPerspective(interpolation="x"), TypeError, "InterpolationMode"),
        (lambda: F.perspective(picture(), CORNERS[:3], CORNERS), ValueError, "4 startpoints"),
        (lambda: F.perspective(mg.zeros(1, 4, 4), CORNERS, CORNERS, InterpolationMode.BICUBIC), ValueError, "Tensor"),
        (lambda: T.LinearTransformation(mg.zeros(2, 3), mg.zeros(2)), ValueError, "square"),
        (lambda: T.LinearTransformation(mg.zeros(2, 2), mg.zeros(3)), ValueError, "same length 3"),
        (lambda: T.LinearTransformation(mg.eye(2), mg.zeros(2))(mg.zeros(1, 1, 3)), ValueError, "incompatible"),
        (lambda: T.LinearTransformation(mg.eye(2), mg.zeros(2))(picture()), TypeError, "Tensor Image"),
        (lambda: T.ElasticTransform("x"), TypeError, "alpha should be float"),
        (lambda: T.ElasticTransform(["x"]), TypeError, "sequence of floats"),
        (lambda: T.ElasticTransform(sigma=(1, 2, 3)), ValueError, "1 or 2. Got 3"),
        (lambda: T.ElasticTransform(fill="x"), TypeError, "fill"),
        (lambda: F.elastic_transform(IMAGES[0], 3), TypeError, "Tensor"),
        (lambda: F.elastic_transform(IMAGES[0], mg.zeros(1, 5, 4, 2)), ValueError, "shape should be"),
        (lambda: T.MixUp(alpha=0.0), ValueError, "positive"),
        (lambda: T.MixUp(labels_getter="x"), ValueError, "callable"),
        (lambda: T.MixUp()(IMAGES, LABELS), ValueError, "num_classes must be passed"),
        (lambda: T.MixUp(num_classes=2)(IMAGES, [0] * 4), ValueError, "must be a tensor"),
        (lambda: T.MixUp(num_classes=2)(IMAGES, mg.zeros(4, 1, 1)), ValueError, "index based"),
        (lambda: T.MixUp(num_classes=2)(IMAGES, mg.zeros(4, 3)), ValueError, "3 != 2"),
        (lambda: T.MixUp(num_classes=2)(IMAGES[0], LABELS), ValueError, "4 dims, but got 3"),
        (lambda: T.MixUp(num_classes=2)(IMAGES[:3], LABELS), ValueError, "3 != 4"),
        (lambda: T.MixUp(num_classes=2)(IMAGES), ValueError, "Could not infer"),
        (lambda: T.MixUp(num_classes=2)({"x": IMAGES}), ValueError, "Could not infer"),
        (lambda: T.MixUp(num_classes=2)("x", LABELS), ValueError, "batch of images"),
        (lambda: T.MixUp(num_classes=2)(IMAGES.byte(), LABELS), TypeError, "floats"),
        (lambda: T.AutoAugment("imagenet"), ValueError, "not recognized"),
        (lambda: T.RandAugment(magnitude=31), ValueError, "magnitude"),
        (lambda: T.AugMix(severity=11), ValueError, "severity"),
        (lambda: T.AugMix(mixture_width=0), ValueError, "positive"),
        (lambda: T.TrivialAugmentWide(1), ValueError, "num_magnitude_bins"),
        (lambda: F.normalize(mg.zeros(1, 2, 2), [0.5] * 3, [0.5] * 3), RuntimeError, "do not fit an image of 1"),
        (lambda: F.hflip(np.zeros(3)), TypeError, r"\(H, W\) or \(H, W, C\)"),
        (lambda: F.hflip(np.array([["a"]])), TypeError, "integers or floats"),
        (lambda: F.normalize(np.zeros((3, 3), np.uint8), 0.5, 0.5), TypeError, "float tensor"),
        (lambda: v2.ToImage()("x"), TypeError, "PIL Image"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_area_of_a_cutmix_rectangle_is_its_share():
    sides = []
    for seed in range(200):
        mg.manual_seed(seed)
        share = float(mg.default_generator.numpy.beta(1.0, 1.0))
        mg.manual_seed(seed)
        _, soft = T.CutMix(num_classes=3)(mg.zeros(2, 1, 200, 200), mg.tensor([0, 1]))
        sides.append((1 - share, 1 - soft[0, 0].item()))
    assert all(real <= wanted + 1e-6 for wanted, real in sides)  # less where it hangs over the border
    assert sum(math.isclose(real, wanted, abs_tol=0.02) for wanted, real in sides) > 40


# of an image (1, 3, 4) of 1 … 12, by torchvision 0.28: pixels that fall between two others come from the same one
TIES = [
    ("rotate", (90,), {}, [[3, 3, 11, 11], [3, 3, 11, 11], [1, 1, 9, 9]]),
    ("rotate", (-90,), {}, [[9, 9, 1, 1], [11, 11, 3, 3], [11, 11, 3, 3]]),
    ("rotate", (45,), {"center": [1, 1]}, [[1, 2, 7, 12], [1, 5, 10, 0], [0, 9, 0, 0]]),
    ("rotate", (180,), {"center": [1, 2]}, [[0, 0, 0, 0], [10, 9, 0, 0], [6, 5, 0, 0]]),
    ("affine", (90, [0, 0], 1, [0, 0]), {}, [[9, 9, 1, 1], [11, 11, 3, 3], [11, 11, 3, 3]]),
    ("affine", (0, [1, 0], 2, [0, 0]), {}, [[1, 2, 2, 3], [5, 6, 6, 7], [9, 10, 10, 11]]),
    ("affine", (0, [0, 0], 0.5, [45, 0]), {"fill": [99]}, [[99, 99, 99, 99], [99, 5, 7, 99], [99, 99, 99, 99]]),
    (
        "perspective",
        ([[0, 0], [3, 0], [3, 2], [0, 2]], [[0, 0], [2, 0], [2, 2], [0, 1]]),
        {},
        [[2, 3, 4, 4], [10, 7, 8, 8], [0, 11, 12, 8]],
    ),
]


@pytest.mark.parametrize(("name", "arguments", "keywords", "expected"), TIES)
def test_nearest_pixels_between_two(name, arguments, keywords, expected):
    image = mg.arange(1, 13, dtype=mg.uint8).reshape(1, 3, 4)
    for one in (image, image.float(), image.double()):
        found = getattr(F, name)(one, *arguments, interpolation=InterpolationMode.NEAREST, **keywords)
        assert found.dtype == one.dtype and found[0].tolist() == expected


@pytest.mark.parametrize("angle", [0, 90, 30])
def test_tensors_are_turned_by_nearest_and_bilinear_only(angle):
    with pytest.raises(ValueError, match="unsupported with Tensor"):
        F.rotate(mg.ones(1, 4, 4), angle, InterpolationMode.BICUBIC)
