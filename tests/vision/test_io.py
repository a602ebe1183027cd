"""Files of images as tensors, beside what Pillow reads and writes."""

import io as bytes_io

import numpy as np
import pytest
from PIL import Image

import minigrad as mg
from minigrad.vision import io
from tests.vision.images import chw, picture


def file_of(image, format, **options):
    file = bytes_io.BytesIO()
    image.save(file, format=format, **options)
    return mg.from_numpy(np.frombuffer(file.getvalue(), np.uint8).copy())


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_png(mode):
    image = picture(mode)
    file = file_of(image, "PNG")
    assert np.array_equal(io.decode_image(file).numpy(), chw(image))
    for wanted, name in ((io.ImageReadMode.RGB, "RGB"), ("gray", "L"), ("RGBA", "RGBA"), ("GRAY_ALPHA", "LA")):
        assert np.array_equal(io.decode_png(file, wanted).numpy(), chw(image.convert(name)))


def test_other_pngs():
    palette = picture("RGB").quantize(4)
    assert np.array_equal(io.decode_image(file_of(palette, "PNG")).numpy(), chw(palette.convert("RGB")))
    assert io.decode_image(file_of(palette, "PNG", transparency=1)).shape == (4, 5, 7)
    bits = picture("L").convert("1")
    assert np.array_equal(io.decode_image(file_of(bits, "PNG")).numpy(), chw(bits.convert("L")))
    deep = Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7) * 1800)
    read = io.decode_image(file_of(deep, "PNG"))
    assert read.dtype == mg.uint16 and np.array_equal(read.numpy()[0], np.asarray(deep))
    with pytest.raises(RuntimeError, match="16 bits"):
        io.decode_image(file_of(deep, "PNG"), "RGB")
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x10\x02\0\0\0"
    with pytest.raises(RuntimeError, match="several channels"):
        io.decode_png(mg.tensor(list(header), dtype=mg.uint8))


def test_jpeg_webp_and_gif():
    image = picture(size=(16, 8))
    for format in ("JPEG", "WEBP"):
        file = file_of(image, format)
        expected = chw(Image.open(bytes_io.BytesIO(file.numpy().tobytes())).convert("RGB"))
        assert np.array_equal(io.decode_image(file).numpy(), expected)
        decode = io.decode_jpeg if format == "JPEG" else io.decode_webp
        assert np.array_equal(decode(file, mode="RGB").numpy(), expected)
    assert [len(part) for part in io.decode_jpeg([file_of(image, "JPEG")] * 2)] == [3, 3]
    frames = [picture("L", seed=seed).convert("P") for seed in range(3)]
    movie = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert io.decode_image(movie).shape == io.decode_gif(movie).shape == (3, 3, 5, 7)
    assert np.array_equal(io.decode_gif(movie)[2].numpy(), chw(frames[2].convert("RGB")))
    assert io.decode_gif(file_of(frames[0], "GIF")).shape == (3, 5, 7)


def test_exif_turns():
    image = picture("RGB", size=(7, 5))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    file = file_of(image, "PNG", exif=exif)
    assert io.decode_image(file).shape == (3, 5, 7)
    turned = io.decode_image(file, apply_exif_orientation=True)
    assert np.array_equal(turned.numpy(), chw(image.transpose(Image.Transpose.ROTATE_270)))


@pytest.mark.parametrize("channels", [1, 3])
def test_files(tmp_path, channels):
    image = mg.from_numpy(np.random.default_rng(0).integers(256, size=(channels, 5, 7), dtype=np.uint8))
    io.write_png(image, tmp_path / "a.png", compression_level=9)
    assert mg.equal(io.read_image(tmp_path / "a.png"), image)
    assert mg.equal(io.decode_image(str(tmp_path / "a.png")), image)
    io.write_jpeg(image, tmp_path / "a.jpg", quality=100)
    assert io.read_image(tmp_path / "a.jpg").shape == image.shape
    gray = mg.full_like(image, 77)
    assert (io.decode_jpeg(io.encode_jpeg(gray, 100)).int() - 77).abs().max() <= 1
    assert len(io.encode_jpeg(image, 1)) < len(io.encode_jpeg([image], 100)[0])
    io.write_file(tmp_path / "b", mg.tensor([1, 2], dtype=mg.uint8))
    assert io.read_file(tmp_path / "b").tolist() == [1, 2]


IMAGE = mg.zeros(3, 2, 2, dtype=mg.uint8)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (RuntimeError, lambda: io.read_file("/no/such/file")),
        (RuntimeError, lambda: io.decode_image(mg.zeros(4))),
        (RuntimeError, lambda: io.decode_image(mg.zeros(4, dtype=mg.uint8))),
        (RuntimeError, lambda: io.decode_image(mg.zeros(0, dtype=mg.uint8))),
        (RuntimeError, lambda: io.decode_image(io.encode_png(IMAGE)[:40])),
        (RuntimeError, lambda: io.decode_jpeg(io.encode_png(IMAGE))),
        (KeyError, lambda: io.decode_image(io.encode_png(IMAGE), mode="CMYK")),
        (RuntimeError, lambda: io.encode_png(IMAGE.float())),
        (RuntimeError, lambda: io.encode_png(IMAGE[0])),
        (RuntimeError, lambda: io.encode_jpeg(IMAGE[:2])),
        (RuntimeError, lambda: io.encode_png(IMAGE, 10)),
        (ValueError, lambda: io.encode_jpeg(IMAGE, 0)),
        (ValueError, lambda: io.encode_jpeg([])),
        (ValueError, lambda: io.decode_jpeg([])),
        (RuntimeError, lambda: io.write_file("/no/such/file", IMAGE.flatten())),
        (RuntimeError, lambda: io.write_file("unused", IMAGE)),
    ],
)
def test_refused(error, call):
    with pytest.raises(error):
        call()


def test_what_is_absent_says_why():
    with pytest.raises(AttributeError, match="read the frames as images"):
        io.read_video  # noqa: B018
    assert mg.vision.get_image_backend() == "PIL" and not mg.vision._is_tracing()
    with pytest.raises(ValueError, match="accimage"):
        mg.vision.set_image_backend("accimage")


def test_old_names_of_transforms():
    with pytest.warns(UserWarning, match="Resize instead"):
        assert mg.vision.transforms.Scale(3)(mg.ones(1, 6, 8)).shape == (1, 3, 4)
    with pytest.warns(UserWarning, match="RandomResizedCrop instead"):
        assert mg.vision.transforms.RandomSizedCrop(3, (0.5, 1.0))(mg.ones(1, 6, 8)).shape == (1, 3, 3)
