"""The arguments that all builders of this package share."""
from models.detection._utils import overwrite_eps
from models.published import WeightsEnum
from models.registry import register

__all__ = ["detector"]


def _sized(in_channels, size, image_size, kw):
    """The keywords of a network with the side of its images, unless it is given.

    Raises:
        ValueError: for other than 3 channels without their mean and deviation.
    """
    if in_channels != 3 and not (kw.get("image_mean") and kw.get("image_std")):
        raise ValueError(f"images of {in_channels} channels need image_mean and image_std of as many values")
    return {size: image_size, **kw}


def detector(backbone, *, classes=91, image_size=800, size="min_size", first_files=False):
    """Register a builder, given the function that makes the network of a backbone: used as a decorator.

    The function is called with the backbone, num_classes and further keywords, and gives the builder its name and
    docstring. The builder's arguments are num_classes, in_channels, image_size, weights_backbone and
    trainable_backbone_layers, those that ``register`` adds, and the function's keywords.

    Args:
        backbone: makes it, called with what weights the network has (None for none), trainable_backbone_layers,
            weights_backbone, in_channels, and the dict of further keywords, from which it may take some.
        classes, image_size: what num_classes and image_size are by default.
        size: under which name the function gets image_size.
        first_files: whether the file COCO_V1 is of a time when constant batch norms added nothing to the variance.
    """
    default_size = image_size

    def registered(make):
        def builder(
            num_classes=classes,
            *,
            in_channels=3,
            image_size=default_size,
            weights_backbone=None,
            trainable_backbone_layers=None,
            trained=None,
            **kw,
        ):
            kw = _sized(in_channels, size, image_size, kw)
            body = backbone(trained, trainable_backbone_layers, weights_backbone, in_channels, kw)
            model = make(body, num_classes, **kw)
            if first_files and isinstance(trained, WeightsEnum) and trained.name == "COCO_V1":
                overwrite_eps(model, 0.0)
            return model

        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(builder, attribute, getattr(make, attribute))
        return register(builder)

    return registered
