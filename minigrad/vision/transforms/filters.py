"""Transforms that blur, and linear maps of all pixels."""

import numbers

from minigrad.nn import Module
from minigrad.tensor import Tensor
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.crops import pair
from minigrad.vision.transforms.draws import uniform


class GaussianBlur(Module):
    """An image blurred with a Gaussian of random standard deviation.

    Args: ``kernel_size``: odd number of taps, or (along x, along y); ``sigma``: bounds of the standard deviation in
    pixels, or one number. Raises ValueError for wrong ones.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.GaussianBlur.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.GaussianBlur((3, 1), sigma=1.0)(mg.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]]))
    tensor([[[0.0000, 0.2741, 0.4519, 0.2741, 0.0000]]])
    """

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        super().__init__()
        self.kernel_size = pair(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(count <= 0 or count % 2 == 0 for count in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, numbers.Number):
            if sigma <= 0:
                raise ValueError("If sigma is a single number, it must be positive.")
            sigma = (sigma, sigma)
        elif not isinstance(sigma, (list, tuple)) or len(sigma) != 2:
            raise ValueError("sigma should be a single number or a list/tuple with length 2.")
        elif not 0.0 < sigma[0] <= sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")
        self.sigma = sigma

    @staticmethod
    def get_params(sigma_min, sigma_max):
        """Return a random standard deviation within the bounds."""
        return uniform(sigma_min, sigma_max)

    def forward(self, img):
        sigma = self.get_params(*self.sigma)
        return F.gaussian_blur(img, self.kernel_size, [sigma, sigma])

    def __repr__(self):
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"


class LinearTransformation(Module):
    """(pixels - mean_vector) @ transformation_matrix, of all C * H * W numbers of a tensor in one row (whitening).

    Arguments: tensors (D, D) and (D,), D = C * H * W. Raises ValueError for shapes that do not fit and other devices,
    TypeError for anything but a tensor.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.LinearTransformation.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.LinearTransformation(2 * mg.eye(2), mg.ones(2))(mg.tensor([[[1.0, 3.0]]]))
    tensor([[[0., 4.]]])
    """

    def __init__(self, transformation_matrix, mean_vector):
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns:
            raise ValueError(f"transformation_matrix should be square. Got {rows} x {columns} rectangular matrix.")
        if mean_vector.shape[0] != rows:
            raise ValueError(
                f"mean_vector should have the same length {mean_vector.shape[0]} as any one of the dimensions of the "
                f"transformation_matrix [{rows} x {columns}]"
            )
        if transformation_matrix.device != mean_vector.device:
            raise ValueError(
                f"Input tensors should be on the same device. Got {transformation_matrix.device} and "
                f"{mean_vector.device}"
            )
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def forward(self, tensor):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
        length = tensor.shape[-3] * tensor.shape[-2] * tensor.shape[-1]
        if length != self.transformation_matrix.shape[0]:
            raise ValueError(
                f"Input tensor and transformation matrix have incompatible shape. {tuple(tensor.shape[-3:])} has "
                f"{length} numbers, the matrix {self.transformation_matrix.shape[0]} rows"
            )
        if tensor.device != self.mean_vector.device:
            raise ValueError(
                f"Input tensor should be on the same device as the matrix. Got {tensor.device} and "
                f"{self.mean_vector.device}"
            )
        flat = tensor.reshape(-1, length) - self.mean_vector
        return (flat @ self.transformation_matrix).reshape(tensor.shape)

    def __repr__(self):
        matrix, mean = self.transformation_matrix.tolist(), self.mean_vector.tolist()
        return f"{type(self).__name__}(transformation_matrix={matrix}, mean_vector={mean})"
