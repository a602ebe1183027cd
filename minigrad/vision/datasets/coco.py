"""Datasets described by a file in the format of COCO, Common Objects in Context (Lin et al. 2014)."""

import json

from minigrad.vision.datasets.files import inside, read_bytes
from minigrad.vision.datasets.folder import pil_loader
from minigrad.vision.datasets.vision import VisionDataset


def _wanted(ids):
    """Return one id or several as a set."""
    return set(ids) if hasattr(ids, "__iter__") and not isinstance(ids, str) else {ids}


class COCO:
    """What pycocotools' class of that name tells of an annotation file: ``imgs``, ``anns``, ``cats`` by their ids.

    Argument: annotation_file (path of a JSON file). ValueError for a file that is not of this format.
    """

    def __init__(self, annotation_file):
        try:
            self.dataset = json.loads(read_bytes(annotation_file))
            self.imgs, self.anns, self.cats = (
                {entry["id"]: entry for entry in self.dataset.get(key, [])}
                for key in ("images", "annotations", "categories")
            )
            self.imgToAnns = {number: [] for number in self.imgs}
            for entry in self.dataset.get("annotations", []):
                self.imgToAnns.setdefault(entry["image_id"], []).append(entry)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{annotation_file}: no annotations in COCO's format ({type(error).__name__}: {error})"
            ) from error

    def getImgIds(self, imgIds=(), catIds=()):  # noqa: N802, N803 (pycocotools' names)
        """Return the ids of the images that are among these, if any are named, and show all of these categories."""
        found = _wanted(imgIds) or set(self.imgs)
        for category in _wanted(catIds):
            found &= {entry["image_id"] for entry in self.anns.values() if entry["category_id"] == category}
        return sorted(found)

    def getAnnIds(self, imgIds=(), catIds=(), areaRng=(), iscrowd=None):  # noqa: N802, N803
        """Return the ids of the annotations of these images and categories, with areas between two, crowds or not."""
        images = list(imgIds) if hasattr(imgIds, "__iter__") else [imgIds]
        categories = _wanted(catIds)
        entries = (
            [entry for image in images for entry in self.imgToAnns.get(image, [])] if images else self.anns.values()
        )
        return [
            entry["id"]
            for entry in entries
            if (not categories or entry["category_id"] in categories)
            and (not areaRng or areaRng[0] < entry["area"] < areaRng[1])
            and (iscrowd is None or entry["iscrowd"] == iscrowd)
        ]

    def getCatIds(self, catNms=(), supNms=(), catIds=()):  # noqa: N802, N803
        """Return the ids of the categories with these names, supercategories and ids."""
        names, groups, numbers = _wanted_names(catNms), _wanted_names(supNms), _wanted(catIds)
        return [
            entry["id"]
            for entry in self.cats.values()
            if (not names or entry["name"] in names)
            and (not groups or entry["supercategory"] in groups)
            and (not numbers or entry["id"] in numbers)
        ]

    def loadImgs(self, ids=()):  # noqa: N802
        """Return the entries of images, a list even for one id."""
        return _entries(self.imgs, ids)

    def loadAnns(self, ids=()):  # noqa: N802
        """Return the entries of annotations, a list even for one id."""
        return _entries(self.anns, ids)

    def loadCats(self, ids=()):  # noqa: N802
        """Return the entries of categories, a list even for one id."""
        return _entries(self.cats, ids)


def _wanted_names(names):
    return {names} if isinstance(names, str) else set(names)


def _entries(table, ids):
    return [table[number] for number in ids] if hasattr(ids, "__iter__") else [table[ids]]


class CocoDetection(VisionDataset):
    """Images with the list of their annotations, dicts with ``bbox``, ``category_id``, ``segmentation`` and so on.

    Args: ``root``: folder of the images; ``annFile``: the JSON file; ``transform``, ``target_transform``,
    ``transforms``: functions of the image (PIL, RGB, opened when asked for), of the list, of both. ``coco`` is the
    file's content with the methods of pycocotools (which is not needed), ``ids`` the images' ids in order.
    Raises ValueError for another file, an index that is no int and an image outside ``root``.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.CocoDetection.html

    >>> import json, os, tempfile
    >>> from PIL import Image
    >>> from minigrad.vision import datasets
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Image.new("RGB", (5, 4)).save(os.path.join(root, "a.png"))
    ...     with open(os.path.join(root, "all.json"), "w") as file:
    ...         json.dump({"images": [{"id": 7, "file_name": "a.png"}],
    ...                    "annotations": [{"id": 1, "image_id": 7, "bbox": [0, 0, 2, 3]}]}, file)
    ...     image, target = datasets.CocoDetection(root, os.path.join(root, "all.json"))[0]
    >>> image.size, target[0]["bbox"]
    ((5, 4), [0, 0, 2, 3])
    """

    def __init__(self, root, annFile, transform=None, target_transform=None, transforms=None):  # noqa: N803
        super().__init__(root, transforms, transform, target_transform)
        self.coco = COCO(annFile)
        self.ids = sorted(self.coco.imgs)

    def _load_image(self, id):
        return pil_loader(inside(self.root, self.coco.loadImgs(id)[0]["file_name"]))

    def _load_target(self, id):
        return self.coco.loadAnns(self.coco.getAnnIds(id))

    def __getitem__(self, index):
        if not isinstance(index, int):
            raise ValueError(f"Index must be of type integer, got {type(index)} instead.")
        number = self.ids[index]
        image, target = self._load_image(number), self._load_target(number)
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self):
        return len(self.ids)


class CocoCaptions(CocoDetection):
    """Images with the list of their captions; arguments as CocoDetection.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.CocoCaptions.html

    >>> from minigrad.vision import datasets
    >>> issubclass(datasets.CocoCaptions, datasets.CocoDetection)
    True
    """

    def _load_target(self, id):
        return [entry["caption"] for entry in super()._load_target(id)]
