"""AlexNet's colour noise."""

from minigrad.backend import np
from minigrad.nn import Module
from minigrad.tensor import wrap
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms import tensor_color
from minigrad.vision.transforms.functional.images import planes_of, takes_arrays
from minigrad.vision.transforms.pil_image import is_pil_image


class Lighting(Module):
    """AlexNet's colour noise: the same random colour, along the principal colours of the data set, added everywhere.

    Adds ``eigvec @ (a * eigval)`` to every pixel, a three numbers of the normal distribution N(0, alphastd²), new for
    each image. Images of integers (PIL's too) are taken as shares of their largest number, rounded and kept in range;
    floats are not, for they may exceed 0 … 1. ``eigval`` (3,) and ``eigvec`` (3, 3; columns) are the covariance's of
    RGB pixels in 0 … 1, by default ImageNet's; :func:`principal_colors` computes a data set's.
    Raises ValueError for a negative alphastd or other shapes, TypeError for an image without 3 channels.
    Source: Krizhevsky, Sutskever, Hinton (2012), section 4.1; the numbers are those of fb.resnet.torch.

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> lit = transforms.Lighting(alphastd=0.1)(mg.zeros(3, 4, 5))
    >>> lit.shape, bool((lit == lit[:, :1, :1]).all())
    (minigrad.Size([3, 4, 5]), True)
    """

    IMAGENET_EIGVAL = (0.2175, 0.0188, 0.0045)
    IMAGENET_EIGVEC = (
        (-0.5675, 0.7192, 0.4009),
        (-0.5808, -0.0045, -0.8140),
        (-0.5836, -0.6948, 0.4203),
    )

    def __init__(self, alphastd=0.1, eigval=IMAGENET_EIGVAL, eigvec=IMAGENET_EIGVEC):
        super().__init__()
        if alphastd < 0:
            raise ValueError(f"alphastd should be non-negative, but got {alphastd}")
        values, vectors = np.array(_listed(eigval), float), np.array(_listed(eigvec), float)
        if values.shape != (3,) or vectors.shape != (3, 3):
            raise ValueError(f"eigval and eigvec should be (3,) and (3, 3), but are {values.shape} and {vectors.shape}")
        self.alphastd = alphastd
        self.eigval = values.tolist()
        self.eigvec = vectors.tolist()

    @staticmethod
    def get_params(alphastd, eigval, eigvec):
        """Return a random colour (red, green, blue) to add."""
        drawn = current_generator().numpy.standard_normal(3) * alphastd
        return (np.array(eigvec) @ (drawn * np.array(eigval))).tolist()

    def forward(self, img):
        if F.get_image_num_channels(img) != 3:
            raise TypeError(f"Lighting needs an image of 3 channels, but got {F.get_image_num_channels(img)}")
        return add_color(img, self.get_params(self.alphastd, self.eigval, self.eigvec)) if self.alphastd else img

    def __repr__(self):
        return f"{type(self).__name__}(alphastd={self.alphastd}, eigval={self.eigval}, eigvec={self.eigvec})"


def _listed(values):
    """Return a tensor as nested lists, anything else as it is."""
    return values.tolist() if hasattr(values, "tolist") else values


def add_color(img, color):
    """Return an RGB image with shares (red, green, blue) of full light added to every pixel."""
    if is_pil_image(img):
        levels = np.arange(256) + np.rint(255 * np.array(color))[:, None]
        return img.point(levels.clip(0, 255).astype(int).ravel().tolist())
    return _add_color(img, color)


@takes_arrays
def _add_color(img, color):
    dtype = img.dtype
    shift = wrap(np.array(color).reshape(3, 1, 1).astype(dtype.numpy if dtype.is_floating_point else np.float32))
    shift = shift.to(img.device)
    if dtype.is_floating_point:
        return img + shift
    bound = tensor_color.brightest(dtype)
    return (img.float() + (shift * bound).round()).clamp(0, bound).to(dtype)


def principal_colors(images):
    """Return (eigval, eigvec) of the covariance of RGB pixels, for :class:`Lighting`: tensors (3,) and (3, 3; columns).

    images: iterable of images, or of (image, label) as a data set gives them; those of integers (PIL's too) are taken
    as shares of their largest number. The largest eigenvalue comes first. ValueError for no pixels, TypeError for
    images without 3 channels.
    Source: Krizhevsky, Sutskever, Hinton (2012), section 4.1.

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import principal_colors
    >>> gray = mg.tensor([0.0, 1.0]).expand(3, 1, 2)
    >>> eigval, eigvec = principal_colors([gray])
    >>> round(eigval[0].item(), 3), [round(abs(part), 3) for part in eigvec[:, 0].tolist()]
    (0.75, [0.577, 0.577, 0.577])
    """
    count, total, products = 0, np.zeros(3), np.zeros((3, 3))
    for image in images:
        image = image[0] if isinstance(image, (list, tuple)) else image
        if F.get_image_num_channels(image) != 3:
            raise TypeError(f"principal colours need images of 3 channels, but got {F.get_image_num_channels(image)}")
        planes = F.pil_to_tensor(image) if is_pil_image(image) else image
        planes = planes_of(planes) if isinstance(planes, np.ndarray) else planes
        pixels = planes.detach().cpu().numpy().astype(float) / tensor_color.brightest(planes.dtype)
        pixels = np.moveaxis(pixels, -3, 0).reshape(3, -1)
        count += pixels.shape[1]
        total += pixels.sum(axis=1)
        products += pixels @ pixels.T
    if not count:
        raise ValueError("principal colours of no pixels")
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    return wrap(np.maximum(values[::-1], 0.0).astype(np.float32)), wrap(vectors[:, ::-1].astype(np.float32))
