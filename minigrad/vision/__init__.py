"""Images: datasets and transforms with torchvision's names (https://docs.pytorch.org/vision/stable/)."""

from minigrad.vision import datasets, ops, transforms, utils

__all__ = ["datasets", "ops", "transforms", "utils"]
