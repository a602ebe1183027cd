"""Pillow, imported when an image is made or read: it is not one of minigrad's own dependencies."""

import importlib
import sys


def image_module():
    """Return PIL.Image; ImportError that names the extra where Pillow is missing."""
    loaded = sys.modules.get("PIL.Image")
    if loaded is not None and sys.modules.get("PIL") is not None:  # an import statement takes a microsecond
        return loaded
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
