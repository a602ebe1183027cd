"""Pillow, imported when an image is made or read: it is not one of minigrad's own dependencies."""

import importlib
import sys

_imported: list = []  # PIL.Image once it is: sys.modules may hold one that another thread is still importing


def image_module():
    """Return PIL.Image; ImportError that names the extra where Pillow is missing."""
    if _imported and sys.modules.get("PIL") is not None:  # an import statement takes a microsecond
        return _imported[0]
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "minigrad.vision needs Pillow for images, which is not installed (pip install 'minigrad-cnn[demo]')."
        ) from None
    _imported[:] = [Image]
    return Image


def pillow_module(name):
    """Return PIL.NAME; ImportError that names the extra where Pillow is missing."""
    image_module()
    return importlib.import_module(f"PIL.{name}")
