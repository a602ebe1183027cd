"""Random images, for trying out a program without any files."""

from minigrad.backend import Generator, np
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.pillow import image_module


class FakeData(VisionDataset):
    """``size`` random RGB images of ``image_size`` (C, H, W) with random labels; an index always gives the same one.

    Args: ``random_offset``: added to the index that seeds an image, for datasets without a common image.
    Raises IndexError for an index out of range, ValueError for an image size PIL has no mode for.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.FakeData.html

    >>> from minigrad.vision import datasets
    >>> data = datasets.FakeData(size=8, image_size=(3, 16, 20), num_classes=4)
    >>> image, label = data[0]
    >>> len(data), image.size, 0 <= label < 4
    (8, (20, 16), True)
    """

    def __init__(
        self,
        size=1000,
        image_size=(3, 224, 224),
        num_classes=10,
        transform=None,
        target_transform=None,
        random_offset=0,
    ):
        super().__init__(transform=transform, target_transform=target_transform)
        if len(image_size) != 3 or image_size[0] not in (1, 3, 4):
            raise ValueError(f"image_size must be (C, H, W) with 1, 3 or 4 channels, but got {tuple(image_size)}")
        self.size = size
        self.image_size = tuple(image_size)
        self.num_classes = num_classes
        self.random_offset = random_offset

    def __getitem__(self, index):
        if not -self.size <= index < self.size:
            raise IndexError(f"{type(self).__name__} index out of range")
        random = Generator().manual_seed(index % self.size + self.random_offset).numpy
        channels, height, width = self.image_size
        pixels = random.integers(256, size=(height, width, channels), dtype=np.uint8)
        target = int(random.integers(self.num_classes))
        image = image_module().fromarray(pixels[:, :, 0] if channels == 1 else pixels)
        return self._transformed(image, target)

    def __len__(self):
        return self.size
