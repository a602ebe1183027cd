"""Colours of images that are tensors (…, C, H, W): written in tensor operations, so gradients flow through them."""

from minigrad.backend import as_dtype, np
from minigrad.ops.counting import bincount
from minigrad.ops.join import cat, stack
from minigrad.ops.where import where
from minigrad.vision.transforms.tensor_image import weighted_neighbours


def check_channels(img, permitted):
    """TypeError unless a tensor has one of the permitted numbers of channels."""
    channels = img.shape[-3] if img.ndim > 2 else 1
    if channels not in permitted:
        raise TypeError(f"Input image tensor permitted channel values are {list(permitted)}, but found {channels}")


def brightest(dtype):
    """Return the number that stands for full light: 1 in floats and bools, the largest one in integers."""
    if dtype.is_floating_point:
        return 1.0
    return 1 if dtype.name == "bool" else int(np.iinfo(dtype.numpy).max)


def convert(image, target):
    """Return a tensor in another dtype, scaled: floats are 0 … 1, integers 0 … their largest number."""
    source = image.dtype
    if source == target:
        return image
    if source.is_floating_point:
        if target.is_floating_point:
            return image.to(target)
        if (source.name, target.name) in (("float32", "int32"), ("float32", "int64"), ("float64", "int64")):
            raise RuntimeError(f"The cast from {source} to {target} cannot be performed safely.")
        limit = float(brightest(target))
        return (image * (limit + 1.0 - 1e-3)).to(target)
    old = brightest(source)
    if target.is_floating_point:
        return image.to(target) / old
    new = brightest(target)
    if old > new:
        return (image // ((old + 1) // (new + 1))).to(target)
    return image.to(target) * ((new + 1) // (old + 1))


def luminance(img):
    """Return an RGB image's luminance (ITU-R 601), (…, 1, H, W), in the image's dtype; one channel is one already."""
    if img.shape[-3] == 1:
        return img
    values = img if img.is_floating_point() else img.float()
    red, green, blue = (values[..., channel : channel + 1, :, :] for channel in range(3))
    gray = red * 0.2989 + green * 0.587 + blue * 0.114
    return gray if img.is_floating_point() else gray.to(img.dtype)


def blend(img, other, ratio):
    """Return ratio * img + (1 - ratio) * other, within the range and in the dtype of img."""
    mixed = img * float(ratio)
    if other is not None:  # None is black
        mixed = mixed + other * float(1.0 - ratio)
    return mixed.clamp(0, brightest(img.dtype)).to(img.dtype)


def brightness(img, factor):
    """Return a blend of the image and black."""
    return blend(img, None, factor)


def contrast(img, factor):
    """Return a blend of the image and its mean luminance."""
    gray = luminance(img)
    gray = gray if gray.is_floating_point() else gray.float()
    return blend(img, gray.mean((-3, -2, -1), keepdim=True), factor)


def saturation(img, factor):
    """Return a blend of the image and its luminance."""
    return img if img.ndim < 3 or img.shape[-3] == 1 else blend(img, luminance(img), factor)


def _hue_saturation_value(img):
    """Return hue, saturation and value, each 0 … 1 of (…, H, W), of an RGB image of floats."""
    red, green, blue = (img[..., channel, :, :] for channel in range(3))
    value = img.amax(-3)
    spread = value - img.amin(-3)
    divisor = where(spread == 0, 1.0, spread)
    from_green = where(value == green, 2.0 + (blue - red) / divisor, 4.0 + (red - green) / divisor)
    sixths = where(value == red, (green - blue) / divisor, from_green)
    return (sixths / 6.0) % 1.0, spread / where(value == 0, 1.0, value), value


def hue(img, shift):
    """Return the image with its hue turned by a share of the circle."""
    if img.ndim < 3 or img.shape[-3] == 1:
        return img
    floats = img if img.is_floating_point() else convert(img, as_dtype("float32"))
    angle, saturated, value = _hue_saturation_value(floats)
    angle = (angle + float(shift)) % 1.0
    planes = []
    for offset in (5.0, 3.0, 1.0):  # red, green, blue: the value less what the hue is away from that colour
        away = (angle * 6.0 + offset) % 6.0
        planes.append(value - value * saturated * away.minimum(4.0 - away).clamp(0.0, 1.0))
    return convert(stack(planes, -3), img.dtype)


def gamma(img, exponent, gain):
    """Return gain * image ** exponent, of an image taken as 0 … 1."""
    floats = img if img.is_floating_point() else convert(img, as_dtype("float32"))
    return convert((gain * floats**exponent).clamp(0, 1), img.dtype)


def sharpness(img, factor):
    """Return a blend of the image and itself smoothed, the border left as it is."""
    height, width = img.shape[-2:]
    if height <= 2 or width <= 2:
        return img
    floats = img if img.is_floating_point() else img.float()
    smooth = weighted_neighbours(floats, [[1 / 13] * 3, [1 / 13, 5 / 13, 1 / 13], [1 / 13] * 3])
    if not img.is_floating_point():
        smooth = smooth.round()
    middle = cat([floats[..., 1:-1, :1], smooth, floats[..., 1:-1, -1:]], -1)
    return blend(img, cat([floats[..., :1, :], middle, floats[..., -1:, :]], -2), factor)


def invert(img):
    """Return the negative."""
    return brightest(img.dtype) - img


def posterize(img, bits):
    """Return a uint8 image with the lowest 8 - bits bits of every number cleared; TypeError for another dtype."""
    if img.dtype.name != "uint8":
        raise TypeError(f"Only uint8 image tensors are supported, but found {img.dtype}")
    return img & (256 - 2 ** (8 - bits))


def solarize(img, threshold):
    """Return the image with the numbers from the threshold on inverted; TypeError for a threshold beyond the range."""
    if threshold > brightest(img.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return where(img >= threshold, invert(img), img)


def autocontrast(img):
    """Return the image with every channel stretched over the whole range; one of a single colour stays."""
    bound = brightest(img.dtype)
    floats = img if img.is_floating_point() else img.float()
    low = floats.amin((-2, -1), keepdim=True)
    spread = floats.amax((-2, -1), keepdim=True) - low
    flat = spread == 0
    scale = where(flat, 1.0, bound / where(flat, 1.0, spread))
    return ((floats - where(flat, 0.0, low)) * scale).clamp(0, bound).to(img.dtype)


def _equalized_channel(channel):
    """Return one channel (H, W) of uint8 whose numbers are about equally frequent."""
    counts = bincount(channel.flatten().long(), minlength=256)
    present = counts[counts != 0]
    step = int(present[:-1].sum()) // 255
    if step == 0:
        return channel
    table = (counts.cumsum(0) - counts + step // 2) // step
    return table.clamp(0, 255).to(channel.dtype)[channel.long()]


def equalize(img):
    """Return a uint8 image with every channel's numbers about equally frequent; TypeError for another dtype."""
    if img.dtype.name != "uint8":
        raise TypeError(f"Only uint8 image tensors are supported, but found {img.dtype}")
    if img.ndim not in (3, 4):
        raise TypeError(f"Input image tensor should have 3 or 4 dimensions, but found {img.ndim}")
    channels = img.reshape(-1, *img.shape[-2:])
    if not len(channels):
        return img
    return stack([_equalized_channel(channel) for channel in channels]).reshape(img.shape)
