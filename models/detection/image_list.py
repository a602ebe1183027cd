"""Images of several sizes in one tensor."""

__all__ = ["ImageList"]


class ImageList:
    """tensors (N, C, H, W), padded at the right and below, and image_sizes, the (height, width) without padding."""

    def __init__(self, tensors, image_sizes):
        self.tensors = tensors
        self.image_sizes = image_sizes

    def to(self, device):
        """The same on another device."""
        return ImageList(self.tensors.to(device), self.image_sizes)
