"""Datasets of photographs, one file each: Pascal VOC, ImageNet and many smaller ones."""

import os
from pathlib import Path

from minigrad.vision.datasets.files import inside, one_of, provide, read_bytes, read_mat, read_xml, unpack
from minigrad.vision.datasets.folder import ImageFolder, default_loader, find_classes, make_dataset
from minigrad.vision.datasets.vision import VisionDataset
from minigrad.vision.pillow import image_module

_VOC = {  # year -> folder of the server, name, MD5 checksum
    "2012": ("voc2012", "VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd"),
    "2011": ("voc2011", "VOCtrainval_25-May-2011.tar", "6c3384ef61512963050cb5d687e5bf1e"),
    "2010": ("voc2010", "VOCtrainval_03-May-2010.tar", "da459979d0c395079b5c75ee67908abb"),
    "2009": ("voc2009", "VOCtrainval_11-May-2009.tar", "a3e00b113cfcfebf17e343f59da3caa1"),
    "2008": ("voc2008", "VOCtrainval_14-Jul-2008.tar", "2629fa636546599198acfcfbfcf1904a"),
    "2007": ("voc2007", "VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64"),
    "2007-test": ("voc2007", "VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f"),
}


def _lines(path):
    """Return the lines of a text file that are not empty."""
    return [line.strip() for line in read_bytes(path).decode("utf-8").splitlines() if line.strip()]


class _PascalVOC(VisionDataset):
    """Base of VOC's two tasks: ``images`` and ``targets`` are lists of paths."""

    def __init__(
        self,
        root,
        year="2012",
        image_set="train",
        download=False,
        transform=None,
        target_transform=None,
        transforms=None,
    ):
        super().__init__(root, transforms, transform, target_transform)
        self.year = one_of(year, "year", [str(number) for number in range(2007, 2013)])
        allowed = ["train", "trainval", "val"] + ["test"] * (year == "2007")
        self.image_set = one_of(image_set, "image_set", allowed)
        server, self.filename, self.md5 = _VOC["2007-test" if (year, image_set) == ("2007", "test") else year]
        self.url = f"https://thor.robots.ox.ac.uk/pascal/VOC/{server}/{self.filename}"
        folder = Path(root).expanduser()
        base = folder / ("TrainVal/" * (year == "2011") + f"VOCdevkit/VOC{year}")
        names = base / "ImageSets" / self._splits / f"{image_set}.txt"
        provide(type(self).__name__, folder, [names], [(self.url, self.md5)], download)
        names = _lines(names)
        self.images = [inside(base / "JPEGImages", name + ".jpg") for name in names]
        self.targets = [inside(base / self._folder, name + self._ending) for name in names]

    def __getitem__(self, index):
        image, target = default_loader(self.images[index]), self._target(self.targets[index])
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self):
        return len(self.images)


class VOCSegmentation(_PascalVOC):
    """Photographs of Pascal VOC with the class of every pixel, PIL images (Everingham et al. 2010).

    Args: ``root``: folder of ``VOCdevkit``; ``year``: "2007" … "2012"; ``image_set``: "train", "val", "trainval", and
    "test" of 2007; ``transform``, ``target_transform``, ``transforms``: of image, mask, both; ``download``: whether
    missing files are downloaded. RuntimeError where they are missing, ValueError for other years and sets.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.VOCSegmentation.html

    >>> from minigrad.vision import datasets
    >>> datasets.VOCSegmentation("/nowhere", year="2006")
    Traceback (most recent call last):
    ValueError: Unknown value '2006' for argument year. Valid values are {2007, 2008, 2009, 2010, 2011, 2012}.
    """

    _splits, _folder, _ending = "Segmentation", "SegmentationClass", ".png"
    masks = property(lambda self: self.targets, doc="Paths of the masks.")

    def _target(self, path):
        with image_module().open(path) as mask:
            mask.load()
            return mask


class VOCDetection(_PascalVOC):
    """Photographs of Pascal VOC with their annotations, the XML file as nested dicts; arguments as VOCSegmentation.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.VOCDetection.html

    >>> from xml.etree import ElementTree
    >>> from minigrad.vision import datasets
    >>> xml = ElementTree.fromstring("<annotation><object><name>cat</name></object></annotation>")
    >>> datasets.VOCDetection.parse_voc_xml(xml)
    {'annotation': {'object': [{'name': 'cat'}]}}
    """

    _splits, _folder, _ending = "Main", "Annotations", ".xml"
    annotations = property(lambda self: self.targets, doc="Paths of the XML files.")

    def _target(self, path):
        return self.parse_voc_xml(read_xml(path))

    @staticmethod
    def parse_voc_xml(node):
        """Return an XML element as a dict of its tag: its text, or its children, lists where a tag comes repeatedly."""
        if not len(node):
            return {node.tag: node.text.strip()} if node.text else {}
        found = {}
        for child in node:
            for tag, value in VOCDetection.parse_voc_xml(child).items():
                found.setdefault(tag, []).append(value)
        objects = node.tag == "annotation"
        return {
            node.tag: {
                tag: value[0] if len(value) == 1 and not (objects and tag == "object") else value
                for tag, value in found.items()
            }
            | ({"object": []} if objects and "object" not in found else {})
        }


class ImageNet(ImageFolder):
    """ImageNet 2012 in folders, ``root/train/n01440764/….JPEG`` and ``root/val/…`` (Russakovsky et al. 2015).

    Args: ``split``: "train" or "val"; others as ImageFolder. ``wnids`` are the folders' names, ``classes`` tuples of
    the words for them where ``root/LOC_synset_mapping.txt`` (Kaggle's) says them, ``class_to_idx`` their numbers.
    The archives are not unpacked here. ValueError for another split, FileNotFoundError where the folders are missing.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageNet.html

    >>> from minigrad.vision import datasets
    >>> datasets.ImageNet("/nowhere", split="test")
    Traceback (most recent call last):
    ValueError: Unknown value 'test' for argument split. Valid values are {train, val}.
    """

    def __init__(self, root, split="train", **kwargs):
        self.split = one_of(split, "split", ("train", "val"))
        root = Path(root).expanduser()
        super().__init__(str(root / split), **kwargs)
        self.root = str(root)
        words = root / "LOC_synset_mapping.txt"
        known = dict(line.split(" ", 1) for line in _lines(words)) if words.is_file() else {}
        self.wnids, self.wnid_to_idx = self.classes, self.class_to_idx
        self.classes = [tuple(known.get(name, name).split(", ")) for name in self.wnids]
        self.class_to_idx = {word: number for number, names in enumerate(self.classes) for word in names}

    @property
    def split_folder(self):
        """Folder of the classes' folders."""
        return os.path.join(self.root, self.split)

    def extra_repr(self):
        """Return which split this is."""
        return f"Split: {self.split}"


class _Photographs(VisionDataset):
    """Base: ``_image_files`` and ``_labels`` are lists; ``resources`` holds (URL, MD5, folder to unpack in)."""

    resources = ()
    _says_split = False
    _root_is_base = False  # whether ``root`` becomes that folder of its, as in torchvision

    def _begin(self, root, needed, transform, target_transform, download, loader=default_loader):
        base = Path(root).expanduser() / self.base_folder
        super().__init__(base if self._root_is_base else root, None, transform, target_transform)
        self.loader = loader
        provide(type(self).__name__, base, [base / path for path in needed], self.resources, download)
        return base

    def _samples(self, folder, classes, ending):
        pairs = make_dataset(str(folder), {name: number for number, name in enumerate(classes)}, ending)
        self._image_files, self._labels = [path for path, _ in pairs], [label for _, label in pairs]

    def _target(self, index):
        return self._labels[index]

    def __getitem__(self, index):
        return self._transformed(self.loader(self._image_files[index]), self._target(index))

    def __len__(self):
        return len(self._image_files)

    def extra_repr(self):
        """Return which split this is."""
        return f"split={self._split}" if self._says_split else ""


def _load_gray(path):
    with image_module().open(path) as image:
        return image.convert("L")


def _load_as_it_is(path):
    with image_module().open(path) as image:
        image.load()
        return image


class Omniglot(_Photographs):
    """Handwritten characters of 50 alphabets, 20 drawings of each, PIL images of mode L (Lake et al. 2015).

    Args: ``root``: folder of ``omniglot-py``; ``background``: the 30 alphabets to learn from, or else the 20 for
    evaluation; ``transform``, ``target_transform``: of image and character's number; ``download``: whether missing
    files are downloaded; ``loader``: function of a path. RuntimeError where files are missing.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.Omniglot.html

    >>> from minigrad.vision import datasets
    >>> datasets.Omniglot.base_folder
    'omniglot-py'
    """

    base_folder = folder = "omniglot-py"
    _root_is_base = True
    zips_md5 = {
        "images_background": "68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
    }

    def __init__(self, root, background=True, transform=None, target_transform=None, download=False, loader=None):
        self.background = background
        part = "images_background" if background else "images_evaluation"
        url = f"https://raw.githubusercontent.com/brendenlake/omniglot/master/python/{part}.zip"
        self.resources = [(url, self.zips_md5[part])]
        base = self._begin(root, [part], transform, target_transform, download, loader or _load_gray)
        self.target_folder = str(base / part)
        self._alphabets = find_classes(self.target_folder)[0]
        self._characters = [
            os.path.join(alphabet, character)
            for alphabet in self._alphabets
            for character in find_classes(os.path.join(self.target_folder, alphabet))[0]
        ]
        found = [sorted(Path(self.target_folder, character).glob("*.png")) for character in self._characters]
        self._image_files = [str(path) for paths in found for path in paths]
        self._labels = [number for number, paths in enumerate(found) for _ in paths]


class Caltech101(_Photographs):
    """Photographs of 101 kinds of things, as they are: some are grey (Fei-Fei et al. 2004).

    Args: ``root``: folder of ``caltech101/101_ObjectCategories``; ``target_type``: "category", "annotation" (an
    outline (2, n)), or a list of both; others as Omniglot.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.Caltech101.html

    >>> from minigrad.vision import datasets
    >>> datasets.Caltech101.base_folder
    'caltech101'
    """

    base_folder = "caltech101"
    _root_is_base = True
    resources = [
        ("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip", "3138e1922a9193bfa496528edbbc45d0")
    ]
    _outlines = {
        "Faces": "Faces_2",
        "Faces_easy": "Faces_3",
        "Motorbikes": "Motorbikes_16",
        "airplanes": "Airplanes_Side_2",
    }

    def __init__(self, root, target_type="category", transform=None, target_transform=None, download=False):
        types = [target_type] if isinstance(target_type, str) else target_type
        self.target_type = [one_of(one, "target_type", ("category", "annotation")) for one in types]
        base = Path(root).expanduser() / self.base_folder
        if download and not (base / "101_ObjectCategories").is_dir():
            provide("Caltech101", base, [base / "caltech-101"], self.resources, True)
            for archive in sorted((base / "caltech-101").glob("*.tar*")):
                unpack(archive, base)
        base = self._begin(root, ["101_ObjectCategories"], transform, target_transform, False, _load_as_it_is)
        self._base = base
        self.categories = find_classes(base / "101_ObjectCategories")[0]
        if "BACKGROUND_Google" in self.categories:
            self.categories.remove("BACKGROUND_Google")  # no kind of thing
        self.annotation_categories = [self._outlines.get(name, name) for name in self.categories]
        self._samples(base / "101_ObjectCategories", self.categories, ".jpg")
        self.y = self._labels

    def _target(self, index):
        parts = [self.y[index] if one == "category" else self._outline(index) for one in self.target_type]
        return tuple(parts) if len(parts) > 1 else parts[0]

    def _outline(self, index):
        number = Path(self._image_files[index]).stem.rpartition("_")[2]
        folder = self._base / "Annotations" / self.annotation_categories[self.y[index]]
        return read_mat(folder / f"annotation_{number}.mat")["obj_contour"]

    def extra_repr(self):
        """Return what the targets are."""
        return f"Target type: {self.target_type}"


class Flowers102(_Photographs):
    """Photographs of 102 kinds of flowers, PIL images of mode RGB (Nilsback, Zisserman 2008).

    Args: ``root``: folder of ``flowers-102``; ``split``: "train", "val" or "test"; others as Omniglot.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.Flowers102.html

    >>> from minigrad.vision import datasets
    >>> datasets.Flowers102.base_folder
    'flowers-102'
    """

    base_folder = "flowers-102"
    _says_split = True
    resources = [
        (f"https://www.robots.ox.ac.uk/~vgg/data/flowers/102/{name}", md5)
        for name, md5 in (
            ("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
            ("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
            ("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
        )
    ]

    def __init__(
        self, root, split="train", transform=None, target_transform=None, download=False, loader=default_loader
    ):
        self._split = one_of(split, "split", ("train", "val", "test"))
        needed = ["jpg", "imagelabels.mat", "setid.mat"]
        base = self._begin(root, needed, transform, target_transform, download, loader)
        key = {"train": "trnid", "val": "valid", "test": "tstid"}[split]
        try:
            numbers = read_mat(base / "setid.mat")[key].astype(int).reshape(-1)
            labels = read_mat(base / "imagelabels.mat")["labels"].astype(int).reshape(-1) - 1
            self._labels = labels[numbers - 1].tolist()
        except (KeyError, IndexError) as error:
            raise ValueError(f"{base}: setid.mat and imagelabels.mat are not Flowers102's ({error})") from error
        self._image_files = [base / "jpg" / f"image_{number:05d}.jpg" for number in numbers.tolist()]
