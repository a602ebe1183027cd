"""The weights that torchvision publishes: their names, where they are, what images they want.

Every network has an enumeration of them, ``ResNet50_Weights`` with ``IMAGENET1K_V1``, ``IMAGENET1K_V2`` and
``DEFAULT``, made of the lines of ``weights.tsv``. A file is read from the folder ``get_dir()/checkpoints`` of
``minigrad.hub`` (~/.cache/torch/hub/checkpoints, which PyTorch uses too), and downloaded to it only when it is asked
for by name and is not there.

Source: https://docs.pytorch.org/vision/stable/models.html#general-information-on-pre-trained-weights
"""
import functools
import warnings
from enum import Enum
from pathlib import Path

from models.published import presets

__all__ = ["Weights", "WeightsEnum", "enumeration", "enumeration_of", "get_weight"]

SITE = "https://download.pytorch.org/models/"
FOLDER = Path(__file__).parent
KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
LEGACY = {  # what pretrained=True is, where not the first
    "keypointrcnn_resnet50_fpn": "COCO_V1",
    "raft_large": "C_T_SKHT_V2",
    "raft_small": "C_T_V2",
}


class Weights:
    """One published file: its url, what makes its transforms, and meta, a dict of facts."""

    def __init__(self, url, transforms, meta):
        self.url = url
        self.transforms = transforms
        self.meta = meta

    def __eq__(self, other):
        return isinstance(other, Weights) and (self.url, self.meta) == (other.url, other.meta)

    __hash__ = None


class WeightsEnum(Enum):
    """The published weights of one network; each member has url, transforms (which makes a preset) and meta."""

    @classmethod
    def verify(cls, obj):
        """The member that obj is or names; None stays None.

        Raises:
            TypeError: for a member of another enumeration, or another thing.
            KeyError: for a string that names none.
        """
        if obj is None or isinstance(obj, cls):
            return obj
        if isinstance(obj, str):
            return cls[obj.removeprefix(f"{cls.__name__}.")]
        raise TypeError(f"Invalid Weight class provided; expected {cls.__name__} but received {type(obj).__name__}.")

    def get_state_dict(self, *args, **kwargs):
        """The file's content; arguments as of minigrad.hub.load_state_dict_from_url.

        Raises:
            RuntimeError: if it is neither in the cache nor can be downloaded.
        """
        from minigrad import hub

        try:
            return hub.load_state_dict_from_url(self.url, *args, **kwargs)
        except OSError as error:
            name = self.url.rsplit("/", 1)[-1]
            raise RuntimeError(
                f"weights: {self!r} is not in the cache and cannot be downloaded ({error}); get {self.url} and put it "
                f"there as {Path(hub.get_dir(), 'checkpoints', name)}, or give its path as weights"
            ) from None

    def __repr__(self):
        return f"{type(self).__name__}.{self.name}"

    @property
    def url(self):
        """Where the file is published."""
        return self.value.url

    @property
    def transforms(self):
        """Makes the preset that brings images into the form the network was trained on."""
        return self.value.transforms

    @property
    def meta(self):
        """num_params, min_size, categories and _metrics, as far as they are known."""
        return self.value.meta


# ---------------------------------------------------------------- the table
@functools.cache
def _categories(name):
    return (FOLDER / "categories" / f"{name}.txt").read_text(encoding="utf-8").splitlines()


@functools.cache
def _rows():
    """The lines of the table as dicts, gathered by the name of their enumeration."""
    first, *lines = (FOLDER / "weights.tsv").read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        row = dict(zip(first.split("\t"), line.split("\t")))
        found.setdefault(row["enum"], []).append(row)
    return found


def _number(text):
    """The text's int, float, or tuple of them where "x" is between; the text if it is none.

    >>> _number("224"), _number("0.5x0.5"), _number("bicubic")
    (224, (0.5, 0.5), 'bicubic')
    """
    if "x" in text:
        return tuple(_number(part) for part in text.split("x"))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _weights(row):
    meta = {"num_params": int(row["num_params"])}
    if row["categories"]:  # flows have none
        meta["categories"] = None if row["categories"] == "-" else [*_categories(row["categories"])]
    if row["categories"] == "keypoints":
        meta["keypoint_names"] = [*KEYPOINTS]
    if row["min_size"] != "-":
        height, width, *frames = _number(row["min_size"])
        meta["min_size"] = (height, width)
        if frames:
            meta["min_temporal_size"] = frames[0]
    meta["_metrics"] = {}
    for metric in filter(None, row["metrics"].split(";")):
        data, _, values = metric.partition(":")
        meta["_metrics"][data] = {name: float(value) for name, value in (v.split("=") for v in values.split(","))}
    if "quantized" in row:  # which kernels it is for, and the weights it was made of
        meta["backend"], _, made_of = row["quantized"].partition("=")
        meta["unquantized"] = get_weight(made_of)
    kind, _, rest = row["transforms"].removesuffix(")").partition("(")
    settings = {name: _number(value) for name, value in (v.split("=") for v in filter(None, rest.split(",")))}
    return Weights(SITE + row["file"], functools.partial(getattr(presets, kind), **settings), meta)


@functools.cache
def enumeration(name):
    """The enumeration called name, as "ResNet50_Weights".

    Raises:
        KeyError: if there is none.
    """
    members = {}
    default = None
    for row in _rows()[name]:
        member = row["member"].removesuffix("*")
        members[member] = _weights(row)
        if row["member"].endswith("*"):
            default = members[member]
    made = WeightsEnum(name, {**members, "DEFAULT": default}, module="models")
    made.builder = row["builder"]
    return made


def enumeration_of(builder):
    """The enumeration of the network that is built by that name; None if nothing is published of it."""
    names = {rows[0]["builder"]: name for name, rows in _rows().items()}
    return enumeration(names[builder]) if builder in names else None


def names():
    """The names of all enumerations, of a module of networks."""
    return sorted(_rows())


def attribute_of(module, ending="_Weights"):
    """The ``__getattr__`` of a module of networks: the enumerations, made when first asked for."""

    def __getattr__(name):
        if name.endswith(ending) and name in _rows():
            return enumeration(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__


def get_weight(name):
    """The member of that full name.

    Raises:
        ValueError: if there is no such enumeration, or the name is none.
        KeyError: if the enumeration has no such member.

    >>> get_weight("ResNet50_Weights.IMAGENET1K_V2").meta["num_params"]
    25557032
    """
    enum, dot, member = name.partition(".")
    if not dot or "." in member:
        raise ValueError(f"Invalid weight name provided: '{name}'.")
    if enum not in _rows():
        raise ValueError(f"The weight enum '{enum}' for the specific method couldn't be retrieved.")
    return enumeration(enum)[member]


# ---------------------------------------------------------------- what is asked of a builder
def warn_of_pretrained(weights, called, named, stacklevel):
    """torchvision's warnings of the old argument: what it means now, and, if it was given by name, its new name."""
    new, old = called
    if named:
        warnings.warn(
            f"The parameter '{old}' is deprecated since 0.13 and may be removed in the future, please use '{new}' "
            "instead.",
            stacklevel=stacklevel,
        )
    newest = f" You can also use `{new}={type(weights).__name__}.DEFAULT` to get the most up-to-date weights."
    warnings.warn(
        f"Arguments other than a weight enum or `None` for '{new}' are deprecated since 0.13 and may be removed in the "
        f"future. The current behavior is equivalent to passing `{new}={weights}`." + newest * (weights is not None),
        stacklevel=stacklevel,
    )


def chosen(builder, weights, pretrained=None, called=("weights", "pretrained"), former=None):
    """What ``weights`` of a builder means: a member of its enumeration, None, or the path of a file.

    Args:
        builder: the network's name.
        weights: a member, its name with or without the enumeration's, "DEFAULT", None, a path, or as before
            torchvision 0.13 True or False.
        pretrained: the old argument, None if it is not given; "legacy" is the member COCO_LEGACY.
        called: how the two are called in warnings.
        former: the member that pretrained=True is; None for the first, or that of LEGACY.

    Raises:
        TypeError: for a member of another network's enumeration.
        ValueError: if weights are asked for and none are published.
    """
    enum = enumeration_of(builder)
    named = pretrained is not None
    if not named and isinstance(weights, bool):
        pretrained, weights = weights, None
    if pretrained is not None:
        if pretrained and enum is None:
            raise ValueError(f"No weights available for model {builder}")
        weights = None
        if pretrained:
            old = "COCO_LEGACY" if pretrained == "legacy" else former or LEGACY.get(builder)
            weights = next(iter(enum)) if old is None else enum[old]
        warn_of_pretrained(weights, called, named, stacklevel=5)
    if isinstance(weights, WeightsEnum):
        if enum is None:
            raise ValueError(f"No weights available for model {builder}")
        return enum.verify(weights)
    if isinstance(weights, str) and enum is not None and weights.removeprefix(f"{enum.__name__}.") in enum.__members__:
        return enum.verify(weights)
    return weights


def arguments_of(member, given):
    """The builder's arguments that go with a published file, those given among them.

    Raises:
        ValueError: for an argument that does not go with it.
    """
    builder = type(member).builder
    fixed = {}
    if member.meta.get("categories") is not None:
        fixed["num_classes"] = len(member.meta["categories"])
    if "backend" in member.meta:
        fixed["backend"] = member.meta["backend"]
    if "keypoint_names" in member.meta:
        fixed["num_keypoints"] = len(member.meta["keypoint_names"])
    if builder.startswith(("vit", "maxvit", "mvit")):
        fixed["image_size"] = member.meta["min_size"][0]
    if builder.startswith(("fcn", "deeplab")):
        fixed["aux_loss"] = True
    for name, value in fixed.items():
        if given.get(name) is not None and given[name] != value:
            raise ValueError(f"The parameter '{name}' expected value {value} but got {given[name]} instead.")
    defaults = {}
    if builder.endswith(("googlenet", "inception_v3")):
        defaults["transform_input"] = True
    if builder.endswith("googlenet"):
        defaults["aux_logits"] = False
    if given.get("weights_backbone") is not None:  # the file has the backbone's too
        fixed["weights_backbone"] = None
    return {**defaults, **given, **fixed}
