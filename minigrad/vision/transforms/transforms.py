"""The transforms under the module in which torchvision keeps them, which many programs import from."""

from minigrad.vision.transforms import *  # noqa: F403
