"""The base of all datasets of images."""

from minigrad.utils.data import Dataset


class StandardTransform:
    """``transform`` on the image and ``target_transform`` on the target, as one function of both.

    Arguments: transform, target_transform (functions, or None).
    Source: https://docs.pytorch.org/vision/stable/datasets.html

    >>> from minigrad.vision.datasets import StandardTransform
    >>> StandardTransform(transform=abs, target_transform=str)(-1, 7)
    (1, '7')
    """

    def __init__(self, transform=None, target_transform=None):
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, image, target):
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __repr__(self):
        lines = ["StandardTransform"]
        for name, function in (("Transform", self.transform), ("Target transform", self.target_transform)):
            if function is not None:
                first, *rest = repr(function).split("\n")
                lines.append(f"{name}: {first}")
                lines += [" " * (len(name) + 2) + line for line in rest]
        return "\n".join(lines)


class VisionDataset(Dataset):
    """Base of datasets of (image, target) pairs; a subclass defines ``__getitem__`` and ``__len__``.

    Args: ``root``: folder of the files; ``transforms``: a function of image and target; or ``transform`` of the image
    and ``target_transform`` of the target. Raises ValueError for both kinds.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.VisionDataset.html

    >>> from minigrad.vision.datasets import VisionDataset
    >>> class Squares(VisionDataset):
    ...     def __getitem__(self, index):
    ...         return self.transforms(index, index**2)
    ...     def __len__(self):
    ...         return 10
    >>> Squares(transform=float, target_transform=str)[3]
    (3.0, '9')
    """

    def __init__(self, root=None, transforms=None, transform=None, target_transform=None):
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.root = root
        self.transform = transform
        self.target_transform = target_transform
        if transform is not None or target_transform is not None:
            transforms = StandardTransform(transform, target_transform)
        self.transforms = transforms

    def _transformed(self, image, target):
        """Return the pair after ``transform`` and ``target_transform``, which users may have set since."""
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def __repr__(self):
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if self.transforms is not None:
            body.append(repr(self.transforms))  # further lines are not indented in torchvision either
        return "\n".join([f"Dataset {type(self).__name__}"] + ["    " + line for line in body])

    def extra_repr(self):
        """Return lines that describe what is particular to a subclass."""
        return ""
