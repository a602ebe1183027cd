"""Files of images as tensors, read and written by Pillow (https://docs.pytorch.org/vision/stable/io.html)."""

import enum
import io
import os

from minigrad.backend import np
from minigrad.tensor import Tensor, wrap
from minigrad.vision.pillow import image_module, pillow_module

__all__ = [
    "ImageReadMode", "decode_gif", "decode_image", "decode_jpeg", "decode_png", "decode_webp",
    "encode_jpeg", "encode_png", "read_file", "read_image", "write_file", "write_jpeg", "write_png",
]  # fmt: skip

_LIMIT = 1 << 30  # bytes of pixels of one file
_VIDEO = "minigrad reads no videos; read the frames as images"
_ABSENT = {
    **dict.fromkeys(("read_video", "read_video_timestamps", "write_video", "VideoReader"), _VIDEO),
    **dict.fromkeys(("decode_avif", "decode_heic"), "convert the file to PNG or JPEG"),
}


def __getattr__(name):
    reason = f": {_ABSENT[name]}" if name in _ABSENT else ""
    raise AttributeError(f"module 'minigrad.vision.io' has no attribute '{name}'{reason}")


class ImageReadMode(enum.Enum):
    """Which channels an image is given, whatever its file has; every ``mode`` may be a name, such as "RGB", too.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.io.ImageReadMode.html

    >>> from minigrad.vision.io import ImageReadMode
    >>> ImageReadMode.RGBA
    <ImageReadMode.RGB_ALPHA: 4>
    """

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4
    RGBA = RGB_ALPHA


_PILLOW_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def _unchanged(image):
    """Return the Pillow mode for the channels that a file has: palettes are colours."""
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        return image.mode
    if image.mode in ("1", "L;2", "L;4"):
        return "LA" if "transparency" in image.info else "L"
    return "RGBA" if image.mode in ("PA", "RGBa") or "transparency" in image.info else "RGB"


def _pixels(image, mode):
    """Return one frame as an array (C, H, W) of uint8, or of uint16 where the file has 16 bits."""
    if image.mode.startswith("I"):
        if mode not in (ImageReadMode.UNCHANGED, ImageReadMode.GRAY):
            raise RuntimeError(f"an image of 16 bits is read as GRAY or UNCHANGED, not as {mode.name}")
        return np.asarray(image).astype(np.uint16)[None]
    wanted = _unchanged(image) if mode is ImageReadMode.UNCHANGED else _PILLOW_MODES[mode.value]
    pixels = np.array(image if image.mode == wanted else image.convert(wanted))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _decode(data, mode, formats, apply_exif_orientation=False):
    """Return the image in the bytes of a file; of a GIF of several frames all of them, (N, C, H, W)."""
    if isinstance(mode, str):
        mode = ImageReadMode[mode.upper()]
    if not isinstance(data, Tensor) or data.dtype.name != "uint8":
        raise RuntimeError(f"Expected a torch.uint8 tensor, got {getattr(data, 'dtype', type(data))}")
    if data.ndim != 1 or data.numel() == 0:
        raise RuntimeError(f"Expected a non empty 1-dimensional tensor, got the shape {tuple(data.shape)}")
    content = data.cpu().numpy().tobytes()
    if content[:4] == b"\x89PNG" and content[24:25] == b"\x10" and content[25:26] not in (b"\0", b""):
        raise RuntimeError("a PNG of 16 bits and several channels: Pillow would cut them to 8; convert the file")
    library = image_module()
    try:
        with library.open(io.BytesIO(content), formats=formats) as image:
            frames = getattr(image, "n_frames", 1) if image.format == "GIF" else 1
            if frames * image.width * image.height * 4 > _LIMIT:
                raise RuntimeError(
                    f"{frames} frames of {image.width}x{image.height} pixels are more than {_LIMIT:,} bytes"
                )
            if image.format == "GIF":
                pixels = []
                for number in range(frames):
                    image.seek(number)
                    pixels.append(_pixels(image, ImageReadMode.RGB))
                return wrap(pixels[0] if frames == 1 else np.stack(pixels))
            if apply_exif_orientation:
                image = pillow_module("ImageOps").exif_transpose(image)
            return wrap(_pixels(image, mode))
    except library.UnidentifiedImageError as error:
        names = ", ".join(formats).lower()
        raise RuntimeError(f"Unsupported image file. Only {names} are supported here, if they are whole") from error
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, library.DecompressionBombError) as error:
        raise RuntimeError(f"the image can't be decoded: {error}") from error


def decode_image(input, mode=ImageReadMode.UNCHANGED, apply_exif_orientation=False):
    """Return the image (C, H, W) of uint8 (16-bit PNG: uint16) in ``input``: a path, or a file's bytes (N,) of uint8.

    Args: ``mode``: which channels (a GIF always gives RGB, all frames (N, 3, H, W)); ``apply_exif_orientation``:
    whether it is turned as its EXIF data say. JPEG, PNG, GIF and WebP. RuntimeError for anything else or damaged.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.io.decode_image.html

    >>> import minigrad as mg
    >>> from minigrad.vision import io
    >>> file = io.encode_png(mg.tensor([[[0, 7]]], dtype=mg.uint8))
    >>> io.decode_image(file), io.decode_image(file, mode="RGB").shape
    (tensor([[[0, 7]]], dtype=minigrad.uint8), minigrad.Size([3, 1, 2]))
    """
    if not isinstance(input, Tensor):
        input = read_file(input)
    return _decode(input, mode, ("JPEG", "PNG", "GIF", "WEBP"), apply_exif_orientation)


def read_image(path, mode=ImageReadMode.UNCHANGED, apply_exif_orientation=False):
    """Return the image in a file; arguments and errors as :func:`decode_image`.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.io.read_image.html

    >>> import os, tempfile, minigrad as mg
    >>> from minigrad.vision import io
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.png")
    ...     io.write_png(mg.zeros(3, 4, 5, dtype=mg.uint8), path)
    ...     io.read_image(path).shape
    minigrad.Size([3, 4, 5])
    """
    return decode_image(read_file(path), mode, apply_exif_orientation)


def decode_png(input, mode=ImageReadMode.UNCHANGED, apply_exif_orientation=False):
    """Return the image in the bytes (N,) of a PNG file; see :func:`decode_image`."""
    return _decode(input, mode, ("PNG",), apply_exif_orientation)


def decode_jpeg(input, mode=ImageReadMode.UNCHANGED, device="cpu", apply_exif_orientation=False):
    """Return the image in the bytes (N,) of a JPEG file, or a list of them, on ``device``; as :func:`decode_image`."""
    if isinstance(input, list):
        if not input:
            raise ValueError("Input list must contain at least one element")
        return [decode_jpeg(one, mode, device, apply_exif_orientation) for one in input]
    return _decode(input, mode, ("JPEG",), apply_exif_orientation).to(device)


def decode_gif(input):
    """Return the frames (N, 3, H, W) in the bytes of a GIF file, or (3, H, W) where there is one."""
    return _decode(input, ImageReadMode.RGB, ("GIF",))


def decode_webp(input, mode=ImageReadMode.UNCHANGED):
    """Return the image in the bytes (N,) of a WebP file; see :func:`decode_image`."""
    return _decode(input, mode, ("WEBP",))


def _encode(image, format, **options):
    if not isinstance(image, Tensor) or image.dtype.name != "uint8":
        raise RuntimeError(f"Input tensor dtype should be uint8, got {getattr(image, 'dtype', type(image))}")
    if image.ndim != 3:
        raise RuntimeError(f"Input data should be a 3-dimensional tensor, got the shape {tuple(image.shape)}")
    if image.shape[0] not in (1, 3):
        raise RuntimeError(f"The number of channels should be 1 or 3, got: {image.shape[0]}")
    pixels = np.ascontiguousarray(image.cpu().numpy().transpose(1, 2, 0))
    file = io.BytesIO()
    image_module().fromarray(pixels[:, :, 0] if image.shape[0] == 1 else pixels).save(file, format=format, **options)
    return wrap(np.frombuffer(file.getvalue(), np.uint8).copy())


def encode_png(input, compression_level=6):
    """Return the bytes (N,) of a PNG file of an image (1 or 3, H, W) of uint8; RuntimeError for another one.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.io.encode_png.html

    >>> import minigrad as mg
    >>> bytes(mg.vision.io.encode_png(mg.zeros(1, 2, 2, dtype=mg.uint8))[1:4].tolist())
    b'PNG'
    """
    if not 0 <= compression_level <= 9:
        raise RuntimeError("Compression level should be between 0 and 9")
    return _encode(input, "PNG", compress_level=compression_level)


def encode_jpeg(input, quality=75):
    """Return the bytes (N,) of a JPEG file of an image (1 or 3, H, W) of uint8, or a list of them; ``quality`` 1 … 100.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.io.encode_jpeg.html

    >>> import minigrad as mg
    >>> mg.vision.io.encode_jpeg(mg.zeros(1, 2, 2, dtype=mg.uint8))[:2].tolist()
    [255, 216]
    """
    if not 1 <= quality <= 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    if isinstance(input, list):
        if not input:
            raise ValueError("encode_jpeg requires at least one input tensor when a list is passed")
        return [encode_jpeg(one, quality) for one in input]
    return _encode(input, "JPEG", quality=quality)


def read_file(path):
    """Return the bytes (N,) of a file as uint8; RuntimeError where it can't be read or is empty."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise RuntimeError(f"[Errno {error.errno}] {error.strerror}: '{os.fspath(path)}'") from error
    if not content:
        raise RuntimeError(f"Expected a non empty file: {os.fspath(path)}")
    return wrap(np.frombuffer(content, np.uint8).copy())


def write_file(filename, data):
    """Write bytes (N,) of uint8 to a file; RuntimeError for another tensor and where it can't be written."""
    if not isinstance(data, Tensor) or data.dtype.name != "uint8" or data.ndim != 1:
        raise RuntimeError("Input tensor should be a 1-dimensional uint8 tensor")
    try:
        with open(filename, "wb") as file:
            file.write(data.cpu().numpy().tobytes())
    except OSError as error:
        raise RuntimeError(f"[Errno {error.errno}] {error.strerror}: '{os.fspath(filename)}'") from error


def write_png(input, filename, compression_level=6):
    """Write an image to a PNG file; see :func:`encode_png`."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input, filename, quality=75):
    """Write an image to a JPEG file; see :func:`encode_jpeg`."""
    write_file(filename, encode_jpeg(input, quality))
