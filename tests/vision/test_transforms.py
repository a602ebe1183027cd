"""Transforms of PIL images and tensors."""

import io
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minigrad as mg
from minigrad import nn
from minigrad.utils.data import DataLoader, Dataset
from minigrad.vision import transforms as T
from minigrad.vision.transforms import InterpolationMode
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.functional import warps
from tests.vision.images import both, chw, picture


# ---------------------------------------------------------------------- conversions
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_to_tensor_of_images(mode):
    image = picture(mode)
    tensor = T.ToTensor()(image)
    assert tensor.dtype == mg.float32
    assert tensor.is_contiguous()
    assert np.array_equal(tensor.numpy(), chw(image).astype(np.float32) / np.float32(255))
    assert T.PILToTensor()(image).dtype == mg.uint8
    assert np.array_equal(T.PILToTensor()(image).numpy(), chw(image))


@pytest.mark.parametrize(
    ("mode", "values", "dtype"),
    [
        ("1", [[0, 1]], mg.float32),
        ("I", [[-70000, 70000]], mg.int32),
        ("F", [[-1.5, 2.5]], mg.float32),
        ("I;16", [[1, 60000]], mg.uint16),
    ],
)
def test_to_tensor_of_other_modes(mode, values, dtype):
    kinds = {"1": bool, "I": np.int32, "F": np.float32, "I;16": np.uint16}
    image = Image.fromarray(np.array(values, kinds[mode]))
    assert image.mode == mode
    tensor = F.to_tensor(image)
    assert tensor.dtype == dtype
    assert tensor.tolist() == [values]


def test_to_tensor_of_arrays():
    assert F.to_tensor(np.full((2, 3), 51, np.uint8)).tolist() == [[[np.float32(0.2)] * 3] * 2]
    array = np.arange(12.0).reshape(2, 3, 2)
    tensor = F.to_tensor(array)
    assert tensor.dtype == mg.float64
    assert tensor.tolist() == array.transpose(2, 0, 1).tolist()
    array[:] = 0
    assert tensor[1, 1, 2].item() == 11  # a copy


def test_to_tensor_follows_the_default_dtype():
    mg.set_default_dtype(mg.float64)
    try:
        assert F.to_tensor(picture()).dtype == mg.float64
    finally:
        mg.set_default_dtype(mg.float32)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_there_and_back(mode):
    image = picture(mode)
    for form in (F.to_tensor(image), F.pil_to_tensor(image), np.asarray(image)):
        again = F.to_pil_image(form)
        assert again.mode == mode
        assert np.array_equal(np.asarray(again), np.asarray(image))


@pytest.mark.parametrize(
    ("dtype", "mode"), [(np.uint8, "L"), (np.int16, "I;16"), (np.uint16, "I;16"), (np.int32, "I"), (np.float32, "F")]
)
def test_to_pil_image_of_gray_arrays(dtype, mode):
    image = F.to_pil_image(np.array([[1, 2], [3, 4]], dtype))
    assert image.mode == mode
    assert np.asarray(image).tolist() == [[1, 2], [3, 4]]
    assert F.to_pil_image(mg.from_numpy(np.array([[[1.0, 2.0]]], np.float32)), "F").mode == "F"


@pytest.mark.parametrize(("channels", "mode"), [(3, "HSV"), (3, "YCbCr"), (4, "CMYK"), (4, "RGBX"), (2, "LA")])
def test_to_pil_image_of_colour_modes(channels, mode):
    pixels = np.arange(channels * 6, dtype=np.uint8).reshape(2, 3, channels)
    image = T.ToPILImage(mode)(pixels)
    assert image.mode == mode
    assert image.tobytes() == pixels.tobytes()


@pytest.mark.parametrize("source", [mg.uint8, mg.int16, mg.int32, mg.int64, mg.float32, mg.float64])
@pytest.mark.parametrize("target", [mg.uint8, mg.int16, mg.int32, mg.float32, mg.float64])
def test_convert_image_dtype(source, target):
    unsafe = source == mg.float32 and target in (mg.int32, mg.int64)
    top = 1.0 if source.is_floating_point else np.iinfo(source.numpy).max
    image = mg.tensor([[0, top]], dtype=source)
    if unsafe:
        with pytest.raises(RuntimeError, match="safely"):
            F.convert_image_dtype(image, target)
        return
    result = T.ConvertImageDtype(target)(image)
    assert result.dtype == target
    assert result[0, 0].item() == 0
    expected = 1.0 if target.is_floating_point else np.iinfo(target.numpy).max
    assert result[0, 1].item() == pytest.approx(expected, rel=0.01)


# ---------------------------------------------------------------------- values
def test_normalize():
    x = mg.rand(3, 4, 5)
    mean, std = [0.1, 0.2, 0.3], [1.0, 2.0, 4.0]
    expected = (x.numpy() - np.float32(mean).reshape(3, 1, 1)) / np.float32(std).reshape(3, 1, 1)
    assert np.allclose(T.Normalize(mean, std)(x).numpy(), expected, atol=1e-6)
    batch = mg.stack([x, x])
    assert np.allclose(F.normalize(batch, mean, std).numpy()[1], expected, atol=1e-6)
    assert T.Normalize((0.5,), (0.5,))(x).dtype == mg.float32
    kept = x.clone()
    F.normalize(x, mean, std)
    assert x.tolist() == kept.tolist()
    assert F.normalize(x, mean, std, inplace=True) is x
    assert np.allclose(x.numpy(), expected, atol=1e-6)


def test_gradients_flow():
    x = mg.rand(3, 6, 6, requires_grad=True)
    pipeline = T.Compose([T.Normalize(0.5, 0.25), T.CenterCrop(4), T.Pad(1), T.Resize((3, 3)), T.Grayscale()])
    pipeline(x).sum().backward()
    assert x.grad.shape == (3, 6, 6)
    assert x.grad[:, 1:5, 1:5].abs().min().item() > 0
    assert x.grad[:, 0].abs().max().item() == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale(channels):
    image, tensor = both(picture())
    gray = T.Grayscale(channels)
    assert gray(image).mode == ("L" if channels == 1 else "RGB")
    assert gray(tensor).shape == (channels, 5, 7)
    difference = chw(gray(image)).astype(int) - chw(gray(tensor)).astype(int)
    assert abs(difference).max() <= 1
    assert gray(tensor).dtype == mg.uint8
    assert gray(gray(tensor)).shape == (channels, 5, 7)
    floats = gray(tensor / 255)
    assert np.allclose(floats.numpy() * 255, chw(image.convert("L")), atol=1)


# ---------------------------------------------------------------------- geometry
SIDES = st.sampled_from([1, 2, 4]).flatmap(lambda count: st.lists(st.integers(0, 4), min_size=count, max_size=count))


@given(
    padding=st.one_of(st.integers(0, 4), SIDES),
    mode=st.sampled_from(["constant", "edge", "reflect", "symmetric"]),
)
def test_pad_is_numpys(padding, mode):
    sides = [padding] * 4 if isinstance(padding, int) else (padding * 4 if len(padding) != 2 else padding * 2)
    left, top, right, bottom = sides[:4]
    options = {"constant_values": 9} if mode == "constant" else {}
    for image in both(picture("RGB")):
        expected = np.pad(chw(image), ((0, 0), (top, bottom), (left, right)), mode=mode, **options)
        assert np.array_equal(chw(F.pad(image, padding, 9, mode)), expected)


def test_pad_details():
    image, tensor = both(picture("L"))
    inner = chw(image)[:, 1:5, 2:6]
    for mode in ("constant", "edge"):
        for value in (image, tensor):
            assert np.array_equal(chw(F.pad(value, [-2, -1, -1, 0], padding_mode=mode)), inner)
    coloured = F.pad(picture("RGB"), 1, (1, 2, 3))
    assert coloured.getpixel((0, 0)) == (1, 2, 3)
    palette = picture("RGB").convert("P")
    assert F.pad(palette, 1).mode == "P"
    assert F.pad(palette, 1, padding_mode="edge").getpalette() == palette.getpalette()
    assert F.pad(mg.zeros(2, 3, 4, 5), (1, 2)).shape == (2, 3, 8, 7)


@given(top=st.integers(-8, 8), left=st.integers(-8, 8), height=st.integers(1, 9), width=st.integers(1, 9))
def test_crop_on_both_and_beyond_the_border(top, left, height, width):
    image, tensor = both(picture())
    cropped = F.crop(tensor, top, left, height, width)
    assert cropped.shape == (3, height, width)
    assert np.array_equal(chw(cropped), chw(F.crop(image, top, left, height, width)))
    large = np.pad(chw(image), ((0, 0), (10, 20), (10, 20)))
    assert np.array_equal(chw(cropped), large[:, 10 + top : 10 + top + height, 10 + left : 10 + left + width])


@pytest.mark.parametrize("size", [3, (4, 2), [5], (9, 3), (2, 10), 11])
def test_center_crop(size):
    crop = T.CenterCrop(size)
    image, tensor = both(picture())
    assert chw(crop(image)).shape[1:] == crop.size
    assert np.array_equal(chw(crop(image)), chw(crop(tensor)))
    assert np.array_equal(chw(F.center_crop(image, 3)), chw(image)[:, 1:4, 2:5])


def test_flips():
    for image in both(picture()):
        assert np.array_equal(chw(F.hflip(image)), chw(image)[:, :, ::-1])
        assert np.array_equal(chw(F.vflip(image)), chw(image)[:, ::-1])


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        (10, {}, (10, 14)),
        ([10], {}, (10, 14)),
        ((3, 4), {}, (3, 4)),
        (10, {"max_size": 12}, (8, 12)),
        (5, {}, (5, 7)),
    ],
)
def test_resize_sizes(size, options, expected):
    for image in both(picture()):
        assert chw(F.resize(image, size, **options)).shape == (3, *expected)
        assert chw(T.Resize(size, **options)(image)).shape == (3, *expected)


@pytest.mark.parametrize("size", [(3, 4), (9, 20), (5, 3), (1, 1), (10, 14)])
@pytest.mark.parametrize("mode", [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC])
def test_resize_of_tensors_is_pillows(mode, size):
    # not black nor white: Pillow clips what overshoots between its passes
    pixels = picture(size=(7, 5)).point(lambda value: value // 2 + 64)
    image, tensor = both(pixels)
    expected = chw(F.resize(image, size, mode)).astype(int)
    assert abs(expected - chw(F.resize(tensor, size, mode))).max() <= 1
    floats = F.resize(tensor / 255, size, mode)
    assert floats.dtype == mg.float32
    assert np.abs(floats.numpy() * 255 - expected).max() <= 1.5


def test_resize_nearest():
    tensor = mg.arange(4).reshape(1, 1, 4)
    assert F.resize(tensor, (1, 6), InterpolationMode.NEAREST).tolist() == [[[0, 0, 1, 2, 2, 3]]]
    assert F.resize(tensor, (1, 6), InterpolationMode.NEAREST_EXACT).tolist() == [[[0, 1, 1, 2, 3, 3]]]
    assert F.resize(tensor, (1, 2), InterpolationMode.NEAREST).tolist() == [[[0, 2]]]
    assert F.resize(picture(), (10, 14), Image.Resampling.NEAREST).size == (14, 10)
    image = picture()
    assert np.array_equal(chw(F.resize(image, (10, 14), 0)), chw(image).repeat(2, 1).repeat(2, 2))


def test_resize_without_antialias_takes_the_neighbours():
    tensor = mg.arange(8.0).reshape(1, 1, 8)
    assert F.resize(tensor, (1, 2), antialias=False).tolist() == [[[1.5, 5.5]]]
    assert F.resize(tensor, (1, 2)).tolist() == [[[pytest.approx(1.9, abs=0.2), pytest.approx(5.1, abs=0.2)]]]


@pytest.mark.parametrize("angle", [0, 90, 180, 270, -90])
def test_right_angles(angle):
    image, tensor = both(picture(size=(6, 6)))
    turned = np.rot90(chw(image), angle // 90, axes=(1, 2))
    for mode in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        for value in (image, tensor):
            tolerance = 0 if mode is InterpolationMode.NEAREST else 1  # Pillow truncates what is just below a number
            for result in (F.rotate(value, angle, mode), F.affine(value, -angle, [0, 0], 1.0, [0.0, 0.0], mode)):
                assert abs(chw(result).astype(int) - turned).max() <= tolerance
    image, tensor = both(picture(size=(7, 4)))
    turned = np.rot90(chw(image), angle // 90, axes=(1, 2))
    assert np.array_equal(chw(F.rotate(image, angle, expand=True)), turned)
    assert np.array_equal(chw(F.rotate(tensor, angle, expand=True)), turned)


@pytest.mark.parametrize("angle", [10, 45, 100, -170])
def test_expanded_rotation_is_pillows(angle):
    for image, tensor in (both(picture("L", (31, 20))), both(picture("L", (20, 31)))):
        a, b = chw(F.rotate(image, angle, expand=True)), chw(F.rotate(tensor, angle, expand=True))
        assert a.shape == b.shape
        assert (a != b).mean() < 0.01


@given(
    angle=st.floats(-180, 180),
    shift=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    scale=st.floats(0.5, 2),
    shear=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
)
def test_affine_of_tensors_is_pillows(angle, shift, scale, shear):
    image, tensor = both(picture("L", (16, 12)))
    matrix = warps._inverse_affine([8, 6], angle, shift, scale, shear)
    y, x = np.mgrid[:12, :16] + 0.5
    x, y = (row[0] * x + row[1] * y + row[2] for row in matrix)
    # a position on the edge between two pixels may be rounded either way
    clear = (abs(x - np.rint(x)) > 0.01) & (abs(y - np.rint(y)) > 0.01)
    # near the border Pillow repeats the last pixel, torchvision blends it with what lies outside
    inside = (x > 0.6) & (x < 15.4) & (y > 0.6) & (y < 11.4)
    for mode, compared, tolerance in ((InterpolationMode.NEAREST, clear, 0), (InterpolationMode.BILINEAR, inside, 2)):
        a, b = (chw(F.affine(value, angle, shift, scale, shear, mode)).astype(int) for value in (image, tensor))
        assert not (compared & (abs(a - b) > tolerance)).any()


def test_shift_and_fill():
    image, tensor = both(picture("L", (4, 3)))
    expected = np.full((1, 3, 4), 7)
    expected[:, :2, 1:] = chw(image)[:, 1:, :3]
    for value in (image, tensor):
        assert np.array_equal(chw(F.affine(value, 0, (1, -1), 1.0, 0, fill=7)), expected)
    moved = F.affine(mg.ones(3, 2, 2), 0, (1, 0), 1.0, 0, fill=[0.1, 0.2, 0.3])
    assert moved[:, 0, 0].tolist() == [pytest.approx(0.1), pytest.approx(0.2), pytest.approx(0.3)]


# ---------------------------------------------------------------------- random ones
def share(transform, changed, count=400):
    mg.manual_seed(0)
    return sum(changed(transform(image)) for image in [picture("L")] * count) / count


@pytest.mark.parametrize("kind", [T.RandomHorizontalFlip, T.RandomVerticalFlip])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_random_flips(kind, p):
    original = picture("L").tobytes()
    assert share(kind(p), lambda image: image.tobytes() != original) == pytest.approx(p, abs=0.07 if 0 < p < 1 else 0)


def test_random_apply_choice_order_grayscale():
    twice = T.RandomApply([T.Pad(1), T.Pad(1)], p=0.25)
    assert share(twice, lambda image: image.size == (11, 9)) == pytest.approx(0.25, abs=0.07)
    either = T.RandomChoice([T.Pad(1), T.Pad(2)], p=[3, 1])
    assert share(either, lambda image: image.size[0] == 9) == pytest.approx(0.75, abs=0.07)
    order = T.RandomOrder([T.Pad(1), T.CenterCrop(3)])
    assert share(order, lambda image: image.size == (3, 3)) == pytest.approx(0.5, abs=0.08)
    assert T.RandomGrayscale(p=1.0)(picture()).mode == "RGB"
    modules = T.RandomApply(nn.ModuleList([T.Pad(1)]), p=1.0)
    assert modules(picture()).size == (9, 7)


def test_random_crop():
    image = picture("L", (6, 6))
    places = set()
    mg.manual_seed(0)
    for _ in range(300):
        crop = T.RandomCrop(4)(image)
        assert crop.size == (4, 4)
        places.add(crop.tobytes())
    assert len(places) == 9
    assert T.RandomCrop((3, 5), padding=2)(F.pil_to_tensor(image)).shape == (1, 3, 5)
    assert T.RandomCrop(9, pad_if_needed=True, padding_mode="symmetric")(image).size == (9, 9)
    assert T.RandomCrop(6)(image).tobytes() == image.tobytes()
    with pytest.raises(ValueError, match=r"crop size \(7, 7\) is larger than input image size \(6, 6\)"):
        T.RandomCrop(7)(image)


def test_random_resized_crop():
    mg.manual_seed(0)
    image = picture(size=(40, 30))
    for _ in range(100):
        top, left, height, width = T.RandomResizedCrop.get_params(image, (0.2, 0.5), (0.5, 2.0))
        assert 0 <= top <= 30 - height
        assert 0 <= left <= 40 - width
        assert 0.15 < height * width / 1200 < 0.55
        assert 0.45 < width / height < 2.2
    assert T.RandomResizedCrop(8)(image).size == (8, 8)
    assert T.RandomResizedCrop((8, 6))(F.pil_to_tensor(image)).shape == (3, 8, 6)
    assert T.RandomResizedCrop.get_params(image, (5.0, 6.0), (1.0, 1.0)) == (0, 5, 30, 30)


def test_random_affine_draws_within_its_bounds():
    mg.manual_seed(0)
    transform = T.RandomAffine(10, translate=(0.5, 0.1), scale=(0.8, 1.2), shear=(-5, 5, -2, 2))
    size = (40, 20)
    drawn = [
        T.RandomAffine.get_params(transform.degrees, transform.translate, transform.scale, transform.shear, size)
        for _ in range(300)
    ]
    bounds = [(-10, 10), (-20, 20), (-2, 2), (0.8, 1.2), (-5, 5), (-2, 2)]
    columns = zip(*[(angle, *shift, scale, *shear) for angle, shift, scale, shear in drawn])
    for (low, high), values in zip(bounds, columns, strict=True):
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high
    for image in both(picture(size=size)):
        assert chw(transform(image)).shape == (3, 20, 40)
    assert np.array_equal(chw(T.RandomAffine(0)(picture())), chw(picture()))
    assert T.RandomAffine((90, 90))(picture("L", (4, 4))).tobytes() == F.rotate(picture("L", (4, 4)), -90).tobytes()


def test_random_rotation():
    mg.manual_seed(0)
    angles = [T.RandomRotation.get_params([-30.0, 10.0]) for _ in range(200)]
    assert min(angles) < -25
    assert max(angles) > 5
    for image in both(picture()):
        assert chw(T.RandomRotation(45, fill=3)(image)).shape == (3, 5, 7)
    assert T.RandomRotation((90, 90), expand=True)(picture()).size == (5, 7)


def test_random_transforms_follow_manual_seed():
    pipeline = T.Compose([T.RandomResizedCrop(5), T.RandomHorizontalFlip(), T.RandomAffine(20), T.ToTensor()])

    def run(seed):
        mg.manual_seed(seed)
        return [pipeline(picture(size=(20, 20))).tolist() for _ in range(4)]

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize("context", [None, "thread"])
def test_random_transforms_in_workers(context):
    class Same(Dataset):
        transform = T.Compose([T.RandomCrop(2), T.ToTensor()])

        def __len__(self):
            return 8

        def __getitem__(self, index):
            return self.transform(picture("L", (30, 30)))

    def run(seed):
        generator = mg.Generator().manual_seed(seed)
        loader = DataLoader(Same(), 1, num_workers=2, generator=generator, multiprocessing_context=context)
        return [batch.flatten().tolist() for batch in loader]

    first = run(1)
    assert first == run(1) != run(2)
    assert len({tuple(values) for values in first}) == 8


# ---------------------------------------------------------------------- objects
ALL = [
    T.AugMix(),
    T.ElasticTransform(),
    T.AutoAugment(),
    T.RandAugment(),
    T.TrivialAugmentWide(),
    T.GaussianBlur(3),
    T.LinearTransformation(mg.eye(3), mg.zeros(3)),
    T.MultiScaleTenCrop(3, scales=(4, 5)),
    T.RandomAdjustSharpness(2),
    T.RandomAutocontrast(),
    T.RandomEqualize(),
    T.RandomInvert(),
    T.RandomPerspective(),
    T.RandomPosterize(2),
    T.RandomResize(3, 5),
    T.RandomShortestSize([3, 5]),
    T.RandomSolarize(2),
    T.ScaleJitterCrop(3, scales=(4, 5)),
    T.ColorJitter(0.1, 0.2, 0.3, 0.4),
    T.CutMix(num_classes=3),
    T.Cutout(3),
    T.FiveCrop(3),
    T.Lighting(),
    T.MixUp(num_classes=3),
    T.RandomErasing(),
    T.TenCrop(3),
    T.CenterCrop(3),
    T.ConvertImageDtype(mg.float64),
    T.Grayscale(),
    T.Normalize([0.5], [0.5]),
    T.Pad(2),
    T.PILToTensor(),
    T.RandomAffine(5),
    T.RandomApply([T.Pad(1)]),
    T.RandomChoice([T.Pad(1)]),
    T.RandomCrop(3),
    T.RandomGrayscale(),
    T.RandomHorizontalFlip(),
    T.RandomOrder([T.Pad(1)]),
    T.RandomResizedCrop(3),
    T.RandomRotation(5),
    T.RandomVerticalFlip(),
    T.Resize(3),
    T.ToPILImage(),
    T.ToTensor(),
]


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
def test_every_transform_can_be_shown_and_sent_to_a_worker(transform):
    again = pickle.loads(pickle.dumps(transform))
    assert repr(again) == repr(transform)
    assert repr(transform).startswith(type(transform).__name__ + "(")


def test_every_transform_is_in_that_list():
    tested = {type(transform).__name__ for transform in ALL} | {"Compose", "Lambda"}
    classes = {name for name in T.__all__ if isinstance(getattr(T, name), type)}
    assert classes - {"InterpolationMode", "AutoAugmentPolicy", "RandomSizedCrop", "Scale"} == tested


def test_repr():
    pipeline = T.Compose([T.ToTensor(), T.Normalize((0.1307,), (0.3081,))])
    assert repr(pipeline) == "Compose(\n    ToTensor()\n    Normalize(mean=(0.1307,), std=(0.3081,))\n)"
    assert repr(T.Resize(32)) == "Resize(size=32, interpolation=bilinear, max_size=None, antialias=True)"
    assert repr(T.RandomHorizontalFlip()) == "RandomHorizontalFlip(p=0.5)"
    assert repr(T.RandomCrop(32, padding=4)) == "RandomCrop(size=(32, 32), padding=4)"


def test_in_a_sequential():
    model = nn.Sequential(T.CenterCrop(3), T.Normalize(0.5, 0.5))
    assert model(mg.ones(2, 3, 5, 5)).tolist() == mg.ones(2, 3, 3, 3).tolist()


def test_lambda():
    assert T.Lambda(lambda image: image.size)(picture()) == (7, 5)


def test_images_of_a_file():
    content = io.BytesIO()
    picture().save(content, "png")
    assert F.to_tensor(Image.open(content)).shape == (3, 5, 7)
    assert F.get_dimensions(Image.open(content)) == [3, 5, 7]
    assert F.get_image_size(mg.zeros(2, 3, 5, 7)) == [7, 5]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: F.to_tensor([1]), TypeError, "pic should be PIL Image or ndarray"),
        (lambda: F.to_tensor(mg.zeros(1, 2, 2)), TypeError, "pic should be PIL Image or ndarray"),
        (lambda: F.to_tensor(np.zeros(3)), ValueError, "2/3 dimensional. Got 1"),
        (lambda: F.pil_to_tensor(np.zeros((2, 2))), TypeError, "should be PIL Image"),
        (lambda: F.to_pil_image("x"), TypeError, "Tensor or ndarray"),
        (lambda: F.to_pil_image(mg.zeros(1, 2, 3, 4)), ValueError, "2/3 dimensional. Got 4"),
        (lambda: F.to_pil_image(mg.zeros(5, 2, 2)), ValueError, "> 4 channels"),
        (lambda: F.to_pil_image(mg.zeros(3, 2, 2), "L"), ValueError, "Only modes"),
        (lambda: F.to_pil_image(np.zeros((2, 2), np.uint8), "RGB"), ValueError, "Incorrect mode"),
        (lambda: F.to_pil_image(np.zeros((2, 2, 3))), TypeError, "not supported"),
        (lambda: F.to_pil_image(np.zeros((2, 2))), TypeError, "not supported"),
        (lambda: F.normalize(picture(), 0.5, 0.5), TypeError, "Tensor Image"),
        (lambda: F.normalize(mg.zeros(3, 2, 2, dtype=mg.uint8), 0.5, 0.5), TypeError, "float tensor"),
        (lambda: F.normalize(mg.zeros(2, 2), 0.5, 0.5), ValueError, "tensor image of size"),
        (lambda: F.normalize(mg.zeros(3, 2, 2), 0.5, 0.0), ValueError, "zero"),
        (lambda: F.resize(picture(), (1, 2, 3)), ValueError, "1 or 2"),
        (lambda: F.resize(picture(), "8"), TypeError, "Size should be int"),
        (lambda: F.resize(picture(), 8, "trilinear"), TypeError, "InterpolationMode"),
        (lambda: F.resize(F.to_tensor(picture()), 0), RuntimeError, "greater than 0.*output \\(H: 0, W: 0\\)"),
        (lambda: F.resize(F.to_tensor(picture()), (4.5, 3)), TypeError, "size of ints"),
        (lambda: F.pad(picture(), 2.5), TypeError, "padding arg: 2.5"),
        (lambda: F.pad(picture(), 2, 0, None), TypeError, "padding_mode arg"),
        (lambda: F.affine(picture(), 1, [1, 1], 1, (1, 2, 3)), ValueError, "two values"),
        (lambda: F.affine(picture(), 1, [1, 1], 1, 0, center=3), TypeError, "center"),
        (lambda: F.rotate(F.to_tensor(picture()), 1, center=[3]), ValueError, "center"),
        (lambda: F.rotate(mg.zeros(4, 5), 1), RuntimeError, "shape \\(4, 5\\)"),
        (lambda: F.convert_image_dtype(picture(), mg.uint8), TypeError, "Tensor Image"),
        (lambda: T.Pad(1, "red"), TypeError, "fill arg"),
        (lambda: F.resize(picture(), 8, max_size=8), ValueError, "strictly greater"),
        (lambda: F.resize(picture(), (8, 8), max_size=9), ValueError, "max_size"),
        (lambda: F.resize(F.to_tensor(picture()), 8, InterpolationMode.LANCZOS), ValueError, "unsupported with Tensor"),
        (lambda: F.resize([[3]], 8), TypeError, "PIL Image or Tensor"),
        (lambda: F.resize(np.zeros(3), 8), TypeError, "H, W"),
        (lambda: F.pad(picture(), "1"), TypeError, "padding arg"),
        (lambda: F.pad(picture(), (1, 2, 3)), ValueError, "1, 2, or 4"),
        (lambda: F.pad(picture(), 1, "red"), TypeError, "fill arg"),
        (lambda: F.pad(picture(), 1, 0, "wrap"), ValueError, "Padding mode"),
        (lambda: F.pad(picture(), 1, (1, 2)), ValueError, "fill has 2 numbers"),
        (lambda: F.pad(mg.zeros(1, 3, 3), 3, 0, "reflect"), RuntimeError, "less than"),
        (lambda: F.to_grayscale(mg.zeros(3, 2, 2)), TypeError, "PIL Image"),
        (lambda: F.rgb_to_grayscale(mg.zeros(2, 2, 2)), TypeError, "channel"),
        (lambda: F.rgb_to_grayscale(picture(), 2), ValueError, "1 or 3"),
        (lambda: F.affine(picture(), "1", (0, 0), 1.0, 0), TypeError, "angle"),
        (lambda: F.affine(picture(), 1, 0, 1.0, 0), TypeError, "translate"),
        (lambda: F.affine(picture(), 1, (0,), 1.0, 0), ValueError, "translate"),
        (lambda: F.affine(picture(), 1, (0, 0), 0.0, 0), ValueError, "scale"),
        (lambda: F.affine(picture(), 1, (0, 0), 1.0, "0"), TypeError, "[Ss]hear"),
        (lambda: F.rotate(picture(), 1, center=3), TypeError, "center"),
        (lambda: F.rotate(F.to_tensor(picture()), 1, InterpolationMode.BICUBIC), ValueError, "unsupported with Tensor"),
        (lambda: F.rotate(F.to_tensor(picture()), 1, fill=[1, 2]), ValueError, "fill"),
        (lambda: T.Lambda(3), TypeError, "callable"),
        (lambda: T.RandomChoice(3), TypeError, "sequence"),
        (lambda: T.RandomChoice([len], p=1), TypeError, "sequence"),
        (lambda: T.CenterCrop((1, 2, 3)), ValueError, "two dimensions"),
        (lambda: T.Resize((1, 2, 3)), ValueError, "1 or 2 values"),
        (lambda: T.Resize("3"), TypeError, "Size"),
        (lambda: T.Pad((1, 2, 3)), ValueError, "1, 2, or 4"),
        (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "Padding mode"),
        (lambda: T.RandomAffine(-1), ValueError, "must be positive"),
        (lambda: T.RandomAffine("1"), TypeError, "degrees"),
        (lambda: T.RandomAffine(1, translate=(2, 0)), ValueError, "between 0 and 1"),
        (lambda: T.RandomAffine(1, translate=1), TypeError, "translate"),
        (lambda: T.RandomAffine(1, scale=(0, 1)), ValueError, "positive"),
        (lambda: T.RandomAffine(1, shear=(1, 2, 3)), ValueError, "shear"),
        (lambda: T.RandomAffine(1, center=3), TypeError, "center"),
        (lambda: T.RandomRotation((1, 2, 3)), ValueError, "degrees"),
        (lambda: T.RandomRotation(3, center=(1,)), ValueError, "center"),
        (lambda: T.RandomResizedCrop(3, scale=0.5), TypeError, "sequences"),
        (lambda: T.RandomResizedCrop(3, scale=(1, 0.5)), ValueError, "min, max"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_center_of_rotation():
    tensor = mg.zeros(1, 5, 5)
    tensor[0, 1, 3] = 1
    turned = F.rotate(tensor, 90, center=[3.5, 1.5])  # the middle of that pixel
    assert turned.tolist() == tensor.tolist()
    assert math.isclose(F.rotate(tensor, 90)[0, 1, 1].item(), 1)


# ---------------------------------------------------------------------- details of torchvision's
def test_interpolations_have_names():
    image = F.to_tensor(picture())
    assert mg.equal(F.resize(image, 3, "bicubic"), F.resize(image, 3, InterpolationMode.BICUBIC))
    assert T.Resize(3, "nearest").interpolation is InterpolationMode.NEAREST


def test_a_fill_of_none_is_zero():
    image = picture()
    assert F.pad(image, 1, None) == F.pad(image, 1, 0)
    assert T.RandomRotation(5, fill=None).fill == T.RandomAffine(5, fill=None).fill == 0


def test_one_shear_in_a_sequence_is_for_both_axes():
    image = F.to_tensor(picture())
    both, one = (F.affine(image, 0, [0, 0], 1.0, shear) for shear in ([20.0, 20.0], [20.0]))
    assert mg.equal(both, one) and not mg.equal(one, F.affine(image, 0, [0, 0], 1.0, 20.0))


def test_bools_are_images():
    mask = mg.zeros(1, 4, 4, dtype=mg.bool)
    mask[0, :, 2:] = True
    assert F.resize(mask, (2, 2)).tolist() == [[[False, True], [False, True]]]
    assert F.convert_image_dtype(mask, mg.uint8).unique().tolist() == [0, 128]
    assert F.convert_image_dtype(mask).dtype is mg.float32
    black_and_white = picture("L").convert("1")
    assert F.pil_to_tensor(black_and_white).dtype is mg.bool
    assert F.to_tensor(black_and_white).unique().tolist() == [0.0, 1.0]


def test_colours_of_an_image_without_channels_stay():
    image = mg.rand(4, 5)
    assert mg.equal(F.adjust_hue(image, 0.2), image) and mg.equal(F.adjust_saturation(image, 2), image)


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (T.CenterCrop([3, 4]), "CenterCrop(size=[3, 4])"),
        (T.FiveCrop((3, 4)), "FiveCrop(size=(3, 4))"),
        (
            T.RandomRotation(30, center=(1, 2), fill=5),
            "RandomRotation(degrees=[-30.0, 30.0], interpolation=nearest, expand=False, center=(1, 2), fill=5)",
        ),
        (
            T.RandomAffine(0, interpolation=InterpolationMode.BILINEAR, fill=7, center=(1, 2)),
            "RandomAffine(degrees=[0.0, 0.0], interpolation=bilinear, fill=7, center=(1, 2))",
        ),
    ],
)
def test_arguments_are_shown_as_given(transform, text):
    assert repr(transform) == text


def test_the_field_of_an_elastic_transform():
    mg.manual_seed(0)
    field = T.ElasticTransform.get_params([1.0, 1.0], [0.1, 3.0], [40, 40]).numpy()[0, :, :, 1]
    across, along = (abs(field - np.roll(field, 1, axis)).mean() for axis in (1, 0))
    assert across > 3 * along  # sigma is (along x, along y), for the shifts along x and along y alike
    wide = T.ElasticTransform.get_params([1.0, 1.0], [0.0, 0.0], [10, 1000]).numpy()[0]
    assert abs(wide[..., 0]).max() < 0.0011 < 0.09 < abs(wide[..., 1]).max() <= 0.1  # shares of the width and height
