"""Pillow, imported when an image is made or read: it is not one of minigrad's own dependencies."""

import importlib


def image_module():
    """Return PIL.Image; ImportError that names the extra where Pillow is missing."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "minigrad.vision needs Pillow for images, which is not installed (pip install 'minigrad-cnn[demo]')."
        ) from None
    return Image


def pillow_module(name):
    """Return PIL.NAME; ImportError that names the extra where Pillow is missing."""
    image_module()
    return importlib.import_module(f"PIL.{name}")
