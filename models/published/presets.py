"""What images go through before a network with published weights sees them, each preset a module.

Source: https://docs.pytorch.org/vision/stable/models.html#using-the-pre-trained-models
"""
import minigrad
from minigrad import nn
from minigrad.vision.transforms import InterpolationMode
from minigrad.vision.transforms import functional as F

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class _Preset(nn.Module):
    """Resizing, a crop from the centre, numbers between 0 and 1, mean and deviation: what is not None of it."""

    def __init__(self, crop_size, resize_size, mean, std, interpolation, antialias):
        super().__init__()
        self.crop_size = crop_size
        self.resize_size = resize_size
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = InterpolationMode(interpolation)
        self.antialias = antialias

    def forward(self, img):
        """An image as it goes into the network.

        Args:
            img: PIL image, or tensor (…, C, H, W) of uint8 or between 0 and 1.
        """
        if self.resize_size is not None:
            img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        if self.crop_size is not None:
            img = F.center_crop(img, self.crop_size)
        if not isinstance(img, minigrad.Tensor):
            img = F.pil_to_tensor(img)
        img = F.convert_image_dtype(img, minigrad.float32)
        return F.normalize(img, mean=self.mean, std=self.std)

    def __repr__(self):
        names = ("crop_size", "resize_size", "mean", "std", "interpolation")
        lines = [f"    {name}={getattr(self, name)}" for name in names if name != "crop_size" or self.crop_size]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])

    def describe(self):
        """The same in a sentence."""
        crop = f", followed by a central crop of crop_size={self.crop_size}" if self.crop_size else ""
        return (
            "Accepts PIL.Image, batched (B, C, H, W) and single (C, H, W) image Tensor objects. The images are resized "
            f"to resize_size={self.resize_size} using interpolation={self.interpolation}{crop}. Finally the values are "
            f"first rescaled to [0.0, 1.0] and then normalized using mean={self.mean} and std={self.std}."
        )


class ImageClassification(_Preset):
    """For networks of classes.

    >>> ImageClassification(crop_size=224)(minigrad.zeros(3, 300, 400, dtype=minigrad.uint8)).shape
    minigrad.Size([3, 224, 224])
    """

    def __init__(self, *, crop_size, resize_size=256, interpolation="bilinear", antialias=True, **normal):
        super().__init__([crop_size], [resize_size], **{**IMAGENET, **normal}, interpolation=interpolation,
                         antialias=antialias)  # fmt: skip


class SemanticSegmentation(_Preset):
    """For networks of one class per pixel.

    >>> SemanticSegmentation(resize_size=52)(minigrad.zeros(3, 100, 200, dtype=minigrad.uint8)).shape
    minigrad.Size([3, 52, 104])
    """

    def __init__(self, *, resize_size, interpolation="bilinear", antialias=True, **normal):
        size = None if resize_size is None else [resize_size]
        super().__init__(None, size, **{**IMAGENET, **normal}, interpolation=interpolation, antialias=antialias)


class VideoClassification(_Preset):
    """For networks of classes of videos (…, T, C, H, W), which come out as (…, C, T, H, W).

    >>> VideoClassification(crop_size=(4, 4), resize_size=(5, 6))(minigrad.zeros(2, 3, 8, 8)).shape
    minigrad.Size([3, 2, 4, 4])
    """

    def __init__(
        self,
        *,
        crop_size,
        resize_size,
        mean=(0.43216, 0.394666, 0.37645),
        std=(0.22803, 0.22145, 0.216989),
        interpolation="bilinear",
    ):
        size = [resize_size] if isinstance(resize_size, int) else list(resize_size)
        super().__init__(list(crop_size), size, mean, std, interpolation, False)

    def forward(self, vid):
        """A video as it goes into the network."""
        frames = super().forward(vid.reshape(-1, *vid.shape[-3:]))  # (…·T, C, H, W)
        return frames.reshape(*vid.shape[:-3], *frames.shape[-3:]).transpose(-4, -3)


class ObjectDetection(nn.Module):
    """For networks of objects: numbers between 0 and 1, nothing else.

    >>> ObjectDetection()(minigrad.full((3, 1, 1), 255, dtype=minigrad.uint8)).flatten()
    tensor([1., 1., 1.])
    """

    def forward(self, img):
        """An image as it goes into the network."""
        img = img if isinstance(img, minigrad.Tensor) else F.pil_to_tensor(img)
        return F.convert_image_dtype(img, minigrad.float32)

    def describe(self):
        """The same in a sentence."""
        return (
            "Accepts PIL.Image, batched (B, C, H, W) and single (C, H, W) image Tensor objects. The images are "
            "rescaled to [0.0, 1.0]."
        )


class OpticalFlow(nn.Module):
    """For networks of flows: both images as numbers between -1 and 1.

    >>> images = minigrad.full((2, 3, 1, 1), 255, dtype=minigrad.uint8)
    >>> OpticalFlow()(*images)[1].flatten()
    tensor([1., 1., 1.])
    """

    def forward(self, img1, img2):
        """Two images as they go into the network."""
        rescale = ObjectDetection()
        return tuple(F.normalize(rescale(img), mean=[0.5] * 3, std=[0.5] * 3).contiguous() for img in (img1, img2))

    def describe(self):
        """The same in a sentence."""
        return (
            "Accepts PIL.Image, batched (B, C, H, W) and single (C, H, W) image Tensor objects. The images are "
            "rescaled to [-1.0, 1.0]."
        )
