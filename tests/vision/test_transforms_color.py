"""Transforms of colours, on PIL images, tensors and arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minigrad as mg
from minigrad.vision import transforms as T
from minigrad.vision.transforms import functional as F
from tests.vision.images import both, chw, forms, levels, picture

# function, arguments, largest difference (of 255) between Pillow's result and that of a tensor of uint8
CHANGES = [
    (F.adjust_brightness, (1.7,), 0),
    (F.adjust_brightness, (0.3,), 0),
    (F.adjust_brightness, (0.0,), 0),
    (F.adjust_contrast, (1.7,), 1),
    (F.adjust_contrast, (0.4,), 1),
    (F.adjust_saturation, (2.0,), 1),
    (F.adjust_saturation, (0.2,), 1),
    (F.adjust_hue, (0.2,), 12),  # Pillow rounds hue and saturation to 8 bits
    (F.adjust_hue, (-0.4,), 12),
    (F.adjust_gamma, (2.2,), 0),
    (F.adjust_gamma, (0.5, 1.3), 0),
    (F.adjust_sharpness, (2.0,), 0),
    (F.adjust_sharpness, (0.0,), 0),
    (F.invert, (), 0),
    (F.posterize, (3,), 0),
    (F.posterize, (0,), 0),
    (F.solarize, (100,), 0),
    (F.autocontrast, (), 1),
    (F.equalize, (), 0),
    (F.gaussian_blur, (5, 1.3), 0),
    (F.gaussian_blur, ([3, 7],), 0),
    (F.rgb_to_grayscale, (), 1),
]
ONLY_INTEGERS = {F.posterize, F.equalize, F.solarize}
NAMES = [f"{function.__name__}{arguments}" for function, arguments, _ in CHANGES]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(("function", "arguments", "tolerance"), CHANGES, ids=NAMES)
def test_tensors_are_changed_as_pillow_does(function, arguments, tolerance, mode):
    image, *others = forms(picture(mode, (17, 12)))
    expected = levels(function(image, *arguments))
    for form in others:
        exact = chw(form).dtype == np.uint8
        if exact or function not in ONLY_INTEGERS:
            result = function(form, *arguments)
            assert np.abs(levels(result) - expected).max() <= tolerance + (0 if exact else 1)
            assert isinstance(result, np.ndarray if isinstance(form, np.ndarray) else mg.Tensor)
            assert result.dtype == form.dtype


UNCHANGED = [
    (F.adjust_brightness, 1.0),
    (F.adjust_contrast, 1.0),
    (F.adjust_saturation, 1.0),
    (F.adjust_sharpness, 1.0),
    (F.adjust_hue, 0.0),
    (F.adjust_gamma, 1.0),
    (F.gaussian_blur, 1),
]


@pytest.mark.parametrize(("function", "factor"), UNCHANGED)
def test_factors_that_change_nothing(function, factor):
    for form in forms(picture(size=(9, 8))):
        tolerance = 5 if function is F.adjust_hue and isinstance(form, Image.Image) else 1e-3
        assert np.abs(levels(function(form, factor)) - levels(form)).max() <= tolerance
    pixels = F.pil_to_tensor(picture("L"))
    assert F.posterize(pixels, 8).tolist() == pixels.tolist()
    assert F.invert(F.invert(pixels)).tolist() == pixels.tolist()


SHAPES = st.sampled_from([(1, 4, 5), (3, 5, 4), (2, 3, 4, 6), (2, 1, 3, 3)])
FACTORS = {
    F.adjust_brightness: st.floats(0, 3),
    F.adjust_contrast: st.floats(0, 3),
    F.adjust_saturation: st.floats(0, 3),
    F.adjust_sharpness: st.floats(0, 3),
    F.adjust_hue: st.floats(-0.5, 0.5),
    F.adjust_gamma: st.floats(0, 4),
    F.gaussian_blur: st.sampled_from([1, 3, 5]),
}


@given(
    shape=SHAPES,
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64"]),
    function=st.sampled_from(list(FACTORS)),
    data=st.data(),
    seed=st.integers(0, 1000),
)
def test_dtype_shape_and_range_are_kept(shape, dtype, function, data, seed):
    values = np.random.default_rng(seed).random(shape)
    top = 1 if dtype.startswith("f") else np.iinfo(dtype).max
    image = mg.from_numpy((values * top).astype(dtype))
    before = image.clone()
    result = function(image, data.draw(FACTORS[function]))
    assert result.shape == shape
    assert result.dtype == image.dtype
    assert result.min().item() >= 0
    assert result.max().item() <= top * (1 + 1e-6)
    assert image.tolist() == before.tolist()


def test_every_image_of_a_batch_is_changed_by_itself():
    images = [F.pil_to_tensor(picture(size=(9, 8), seed=seed)) for seed in range(3)]
    for function, arguments, _ in CHANGES:
        batch = function(mg.stack(images), *arguments)
        assert batch.tolist() == [function(image, *arguments).tolist() for image in images], function


def test_half_a_turn_of_the_hue_twice():
    image = F.to_tensor(picture(size=(9, 8))).double()
    turned = F.adjust_hue(image, 0.5)
    assert (turned - image).abs().max().item() > 0.1
    assert np.allclose(F.adjust_hue(turned, 0.5).numpy(), image.numpy(), atol=1e-6)
    colors = F.adjust_hue(mg.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), 1 / 6).flatten()
    assert np.allclose(colors.numpy(), [1, 1, 0], atol=1e-6)  # red to yellow


def test_tones_by_hand():
    pixels = mg.tensor([[[0, 99, 100, 255]]], dtype=mg.uint8)
    assert F.solarize(pixels, 100).flatten().tolist() == [0, 99, 155, 0]
    assert F.posterize(pixels, 1).flatten().tolist() == [0, 0, 0, 128]
    assert F.autocontrast(mg.tensor([[[10, 20, 30]]], dtype=mg.uint8)).flatten().tolist() == [0, 127, 255]
    assert F.autocontrast(pixels * 0 + 7).flatten().tolist() == [7] * 4
    assert F.equalize(pixels).tolist() == pixels.tolist()  # too few pixels to be moved
    assert F.adjust_sharpness(pixels, 3).tolist() == pixels.tolist()  # nothing but border
    assert F.adjust_brightness(pixels, 2).flatten().tolist() == [0, 198, 200, 255]


@pytest.mark.parametrize(
    "function",
    [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue, F.adjust_gamma, F.adjust_sharpness],
)
def test_gradients_flow_through_colours(function):
    image = (mg.rand(3, 4, 4, generator=mg.Generator().manual_seed(0), dtype=mg.float64) * 0.5 + 0.25).requires_grad_()
    assert mg.autograd.gradcheck(lambda x: function(x, 0.4), (image,))


def test_gray_images_have_no_colours_to_change():
    image = picture("L")
    for form in both(image):
        assert np.array_equal(chw(F.adjust_hue(form, 0.3)), chw(image))
        assert np.array_equal(chw(F.adjust_saturation(form, 0.3)), chw(image))


# ---------------------------------------------------------------------- random ones
def test_color_jitter_draws_within_its_bounds():
    mg.manual_seed(0)
    jitter = T.ColorJitter(brightness=0.5, contrast=(0.2, 0.4), saturation=2, hue=0.1)
    drawn = [jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) for _ in range(400)]
    bounds = [(0.5, 1.5), (0.2, 0.4), (0.0, 3.0), (-0.1, 0.1)]
    for (low, high), values in zip(bounds, list(zip(*drawn))[1:]):
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high
    orders = {tuple(order.tolist()) for order, *_ in drawn}
    assert len(orders) == 24
    assert drawn[0][0].dtype == mg.int64


def test_color_jitter_changes_only_what_it_is_told_to():
    image = picture(size=(12, 9))
    for form in forms(image):
        assert np.array_equal(chw(T.ColorJitter()(form)), chw(form))
        brighter = T.ColorJitter(brightness=(1.5, 1.5))(form)
        assert np.array_equal(chw(brighter), chw(F.adjust_brightness(form, 1.5)))
    assert T.ColorJitter(contrast=1).brightness is None
    assert T.ColorJitter(hue=[-0.2, 0.3]).hue == (-0.2, 0.3)
    assert T.ColorJitter(brightness=0.4).brightness == (0.6, 1.4)


@pytest.mark.parametrize(
    ("make", "function"),
    [
        (T.RandomInvert, F.invert),
        (lambda p: T.RandomPosterize(2, p), lambda image: F.posterize(image, 2)),
        (lambda p: T.RandomSolarize(60, p), lambda image: F.solarize(image, 60)),
        (lambda p: T.RandomAdjustSharpness(3, p), lambda image: F.adjust_sharpness(image, 3)),
        (T.RandomAutocontrast, F.autocontrast),
        (T.RandomEqualize, F.equalize),
    ],
)
def test_changes_with_a_probability(make, function):
    mg.manual_seed(0)
    image = F.pil_to_tensor(picture(size=(30, 20)).point(lambda level: 50 + level // 2))
    changed, kept = function(image).tolist(), image.tolist()
    results = [make(0.3)(image).tolist() for _ in range(200)]
    assert all(result in (changed, kept) for result in results)
    assert sum(result == changed for result in results) / 200 == pytest.approx(0.3, abs=0.09)
    assert make(0.0)(image) is image
    assert make(1.0)(image).tolist() == changed


def test_gaussian_blur_draws_its_width():
    mg.manual_seed(0)
    widths = [T.GaussianBlur.get_params(0.5, 1.5) for _ in range(300)]
    assert 0.5 <= min(widths) < 0.6
    assert 1.4 < max(widths) <= 1.5
    image = picture(size=(12, 9))
    fixed = T.GaussianBlur((3, 5), sigma=0.8)
    assert np.array_equal(chw(fixed(image)), chw(F.gaussian_blur(image, [3, 5], 0.8)))
    flat = mg.full((3, 9, 9), 0.25)
    assert np.allclose(T.GaussianBlur(5)(flat).numpy(), 0.25)


# ---------------------------------------------------------------------- lighting
def test_lighting_adds_one_colour():
    for form in forms(picture(size=(9, 8)).point(lambda level: 64 + level // 2)):
        mg.manual_seed(3)
        lit = levels(T.Lighting(0.2)(form)) - levels(form)
        assert np.abs(lit - lit[:, :1, :1]).max() <= 1e-3
        mg.manual_seed(3)
        color = 255 * np.array(T.Lighting.get_params(0.2, T.Lighting.IMAGENET_EIGVAL, T.Lighting.IMAGENET_EIGVEC))
        assert np.abs(lit[:, 0, 0] - color).max() <= 0.51
        assert T.Lighting(0.0)(form) is form


def test_lighting_stays_in_the_range_of_integers():
    mg.manual_seed(0)
    white = Image.new("RGB", (3, 2), (255, 255, 255))
    results = [np.asarray(T.Lighting(5.0)(white)) for _ in range(20)]
    assert {result.dtype for result in results} == {np.dtype(np.uint8)}
    assert any(result.max() == 255 for result in results)
    assert any(result.min() < 255 for result in results)
    floats = [T.Lighting(5.0)(mg.ones(3, 1, 1)).max().item() for _ in range(20)]
    assert max(floats) > 1  # not cut: it may be normalised next


def test_lighting_has_the_variance_of_the_principal_colours():
    mg.manual_seed(0)
    values, vectors = [0.5, 0.2, 0.1], np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    drawn = np.array([T.Lighting.get_params(0.1, values, vectors) for _ in range(4000)])
    expected = vectors @ np.diag(np.square(values)) @ vectors.T * 0.01
    assert np.allclose(np.cov(drawn.T), expected, atol=3e-4)


def test_principal_colours_are_those_of_the_covariance():
    images = [picture(size=(6, 5), seed=seed) for seed in range(4)]
    pixels = np.concatenate([chw(image).reshape(3, -1) / 255 for image in images], axis=1)
    values, vectors = np.linalg.eigh(np.cov(pixels, bias=True))
    for data in (
        images,
        [(image, 0) for image in images],
        [F.to_tensor(image) for image in images],
        [np.asarray(image) for image in images],
    ):
        eigval, eigvec = T.principal_colors(data)
        assert np.allclose(eigval.numpy(), values[::-1], atol=1e-6)
        assert np.allclose(np.abs(eigvec.numpy()), np.abs(vectors[:, ::-1]), atol=1e-4)
    lighting = T.Lighting(0.1, eigval, eigvec)
    assert lighting(images[0]).mode == "RGB"


# ---------------------------------------------------------------------- shown, and refused
@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (
            T.ColorJitter(0.25, hue=0.5),
            "ColorJitter(brightness=(0.75, 1.25), contrast=None, saturation=None, hue=(-0.5, 0.5))",
        ),
        (T.GaussianBlur(3), "GaussianBlur(kernel_size=(3, 3), sigma=(0.1, 2.0))"),
        (T.RandomInvert(), "RandomInvert(p=0.5)"),
        (T.RandomPosterize(2), "RandomPosterize(bits=2,p=0.5)"),
        (T.RandomSolarize(128), "RandomSolarize(threshold=128,p=0.5)"),
        (T.RandomAdjustSharpness(2), "RandomAdjustSharpness(sharpness_factor=2,p=0.5)"),
        (T.RandomAutocontrast(), "RandomAutocontrast(p=0.5)"),
        (T.RandomEqualize(0.1), "RandomEqualize(p=0.1)"),
        (
            T.Lighting(0.1, (1, 2, 3), np.eye(3)),
            "Lighting(alphastd=0.1, eigval=[1.0, 2.0, 3.0], "
            "eigvec=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])",
        ),
    ],
)
def test_reprs(transform, text):
    assert repr(transform) == text


GRAY, TWO = mg.zeros(1, 3, 3), mg.zeros(2, 3, 3)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: F.adjust_brightness(GRAY, -1), ValueError, "brightness_factor .* non-negative"),
        (lambda: F.adjust_contrast(GRAY, -1), ValueError, "contrast_factor .* non-negative"),
        (lambda: F.adjust_saturation(GRAY, -1), ValueError, "saturation_factor .* non-negative"),
        (lambda: F.adjust_sharpness(GRAY, -1), ValueError, "sharpness_factor .* non-negative"),
        (lambda: F.adjust_hue(GRAY, 0.6), ValueError, "not in"),
        (lambda: F.adjust_hue(picture(), -0.6), ValueError, "not in"),
        (lambda: F.adjust_gamma(GRAY, -1), ValueError, "non-negative"),
        (lambda: F.adjust_gamma(picture(), -1), ValueError, "non-negative"),
        (lambda: F.adjust_brightness(TWO, 1), TypeError, "permitted channel values are .1, 3., but found 2"),
        (lambda: F.invert(TWO), TypeError, "permitted channel"),
        (lambda: F.posterize(GRAY, 3), TypeError, "Only uint8"),
        (lambda: F.posterize(picture(), 9), ValueError, "between 0 and 8"),
        (lambda: F.equalize(GRAY), TypeError, "Only uint8"),
        (lambda: F.equalize(mg.zeros(1, 1, 3, 2, 2, dtype=mg.uint8)), TypeError, "3 or 4 dimensions"),
        (lambda: F.solarize(GRAY, 2), TypeError, "less than bound"),
        (lambda: F.adjust_brightness("x", 1), TypeError, "PIL Image or Tensor"),
        (lambda: F.gaussian_blur(GRAY, 2), ValueError, "odd and positive"),
        (lambda: F.gaussian_blur(GRAY, (3, 3, 3)), ValueError, "length should be 2"),
        (lambda: F.gaussian_blur(GRAY, "3"), TypeError, "int or a sequence"),
        (lambda: F.gaussian_blur(GRAY, 3, 0.0), ValueError, "positive values"),
        (lambda: F.gaussian_blur(GRAY, 3, "1"), TypeError, "float or sequence"),
        (lambda: F.gaussian_blur(GRAY, 3, (1, 1, 1)), ValueError, "length should be 2"),
        (lambda: F.gaussian_blur(GRAY, 7), RuntimeError, "less than"),
        (lambda: T.ColorJitter(-1), ValueError, "non negative"),
        (lambda: T.ColorJitter(contrast=(1, 0.5)), ValueError, "contrast values should be between"),
        (lambda: T.ColorJitter(hue=0.7), ValueError, "hue values should be between"),
        (lambda: T.ColorJitter(saturation="1"), TypeError, "saturation should be a single number"),
        (lambda: T.ColorJitter(saturation=(1, 2, 3)), TypeError, "length 2"),
        (lambda: T.GaussianBlur(4), ValueError, "odd and positive"),
        (lambda: T.GaussianBlur((3, 3, 3)), ValueError, "two integers"),
        (lambda: T.GaussianBlur(3, 0), ValueError, "must be positive"),
        (lambda: T.GaussianBlur(3, (2, 1)), ValueError, "min, max"),
        (lambda: T.GaussianBlur(3, (1, 2, 3)), ValueError, "length 2"),
        (lambda: T.Lighting(-1), ValueError, "non-negative"),
        (lambda: T.Lighting(eigval=(1, 2)), ValueError, r"\(3,\) and \(3, 3\)"),
        (lambda: T.Lighting()(GRAY), TypeError, "3 channels"),
        (lambda: T.principal_colors([]), ValueError, "no pixels"),
        (lambda: T.principal_colors([GRAY]), TypeError, "3 channels"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
