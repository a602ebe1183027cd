"""The names under which networks are built, and the weights files that fit them."""
import difflib
import fnmatch
import functools
import inspect
import os
import pickle
import re
import sys
import typing
import zipfile

import minigrad
from minigrad.nn import init
from models import published

COMMON = ("num_classes", "in_channels", "image_size")  # every builder takes these: positive integers
NESTED = ("model", "state_dict", "model_state_dict")  # where checkpoints keep the network's weights

_BUILDERS = {}


class OldNames:
    """A network whose published files have other names: old_names are (pattern, replacement) of its keys.

    They are replaced when a state_dict is loaded, by fit_state and by ``load_state_dict`` alike.
    """

    old_names = ()

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        for old, new in renamed(self, list(state_dict)).items():
            if old != new:
                state_dict[new] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def renamed(model, names):
    """What each of the names of a file is called in the network."""
    found = {}
    for name in names:
        found[name] = name
        for pattern, replacement in getattr(model, "old_names", ()):
            found[name] = re.sub(pattern, replacement, found[name])
    return found


def register(builder=None, *, common=COMMON):
    """Make a function that builds a network known under its own name; used as a decorator.

    The builder takes at least num_classes, in_channels and image_size, each with a default, or those of ``common``,
    for a network without classes. What is returned checks that these are positive integers, and takes two more
    keywords: ``weights``, the path of a file made by ``minigrad.save`` or ``torch.save`` and read by ``load_weights``,
    or a member of the network's enumeration of published weights or the name of one (see ``models.published``); and
    ``progress``, whether to print what is downloaded. The old ``pretrained`` is taken with torchvision's warnings. The
    network gets the attributes in_channels and image_size if it has not set them. With a true
    ``quantize`` the published weights are the eight-bit ones.

    Raises:
        ValueError: if the name is taken.
        TypeError: if the builder lacks one of these arguments.
    """
    if builder is None:
        return functools.partial(register, common=common)
    name = builder.__name__
    if name in _BUILDERS:
        raise ValueError(f"a model named {name!r} is registered already, by {_BUILDERS[name].__module__}")
    signature = inspect.signature(builder)
    open_ended = [key for key, argument in signature.parameters.items() if argument.kind == argument.VAR_KEYWORD]
    lacking = [argument for argument in common if argument not in signature.parameters]
    if lacking:
        raise TypeError(f"the builder {name!r} must take {', '.join(common)}, but lacks {', '.join(lacking)}")

    @functools.wraps(builder)
    def build_checked(*args, weights=None, progress=True, **kw):
        quantize = "quantize" in signature.parameters and kw.get("quantize", False)
        pretrained = kw.pop("pretrained", None)
        if args and isinstance(args[0], bool):  # resnet18(True), from before torchvision 0.13
            weights, *args = args
        weights = published.chosen(name if quantize else name.removeprefix("quantized_"), weights, pretrained)
        try:
            given = signature.bind(*args, **kw)
        except TypeError as error:
            raise TypeError(f"{name}: {error}; its arguments are: {', '.join(arguments(name))}") from None
        if isinstance(weights, published.WeightsEnum):
            # those in **kw stand under its name among the arguments
            flat = {key: value for key, value in given.arguments.items() if key not in open_ended}
            kw = published.arguments_of(weights, {**flat, **kw})
            args = ()
            given = signature.bind(**kw)
        given.apply_defaults()
        for argument in common:
            _check_positive_integer(name, argument, given.arguments[argument])
        if weights is None:
            model = builder(*args, **kw)
        else:
            state = _state_for(name if quantize else name.removeprefix("quantized_"), weights, progress)
            if "trained" in signature.parameters:  # builders whose network is another one when it has weights
                kw["trained"] = weights
            with init.paused():  # drawing the random values of VGG-16 takes longer than reading its file
                model = builder(*args, **kw)
            fit_state(model, state, weights)
        for argument in set(common) - {"num_classes"}:
            if not hasattr(model, argument):
                setattr(model, argument, given.arguments[argument])
        return model

    build_checked.__signature__ = _with_weights(signature)
    _BUILDERS[name] = build_checked
    return build_checked


def register_model(name=None):
    """torchvision's decorator: a function that builds a network is known as name, or under its own; it stays as it is.

    Raises:
        ValueError: if the name is taken.
    """

    def keep(builder):
        key = builder.__name__ if name is None else name
        if key in _BUILDERS:
            raise ValueError(f"An entry is already registered under the name '{key}'.")
        _BUILDERS[key] = builder
        return builder

    return keep


def variant(name, network, about, fixed=None, *, image_size=224, classes=1000, **defaults):
    """Register a builder of one network of a family.

    Args:
        name: of the builder.
        network: the class (or function), called with num_classes, in_channels, image_size and the rest by keyword.
        about: the builder's docstring.
        fixed: dict of arguments that make this network what it is; giving one of them again is a TypeError.
        image_size, classes: what the builder's image_size and num_classes are by default.
        defaults: of further arguments.
    """
    fixed = fixed or {}
    default_size = image_size

    def builder(num_classes=classes, *, in_channels=3, image_size=default_size, **kw):
        sizes = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
        return network(**sizes, **fixed, **{**defaults, **kw})

    builder.__name__ = builder.__qualname__ = name
    builder.__module__ = network.__module__
    builder.__doc__ = about
    return register(builder)


def _with_weights(signature):
    """The signature with the keywords weights and progress, before **kw if there is one."""
    parameters = list(signature.parameters.values())
    open_ended = bool(parameters) and parameters[-1].kind == inspect.Parameter.VAR_KEYWORD
    for keyword, default in (("weights", None), ("progress", True)):
        added = inspect.Parameter(keyword, inspect.Parameter.KEYWORD_ONLY, default=default)
        parameters.insert(len(parameters) - open_ended, added)
    return signature.replace(parameters=parameters)


def _state_for(name, weights, progress):
    """The state_dict of a member of published weights, or in a file; name is the network's."""
    if isinstance(weights, published.WeightsEnum):
        content = weights.get_state_dict(progress=progress, check_hash=True, map_location="cpu")
        return state_of(content, repr(weights))
    if not os.path.isfile(weights):
        enum = published.enumeration_of(name)
        members = f", nor one of {enum.__name__}: {', '.join(enum.__members__)}" if enum else ""
        raise FileNotFoundError(f"{name}: weights={os.fspath(weights)!r} is no file{members}")
    return read_weights(weights)


def _check_positive_integer(name, argument, value):
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: {argument} must be an integer, but got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: {argument} must be at least 1, but got {value}")


def arguments(name):
    """The arguments that the builder called name lists; it may pass further keywords on to its class."""
    parameters = inspect.signature(builder_of(name)).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind != parameter.VAR_KEYWORD]


def names():
    """The names of the networks that classify images, sorted: those the commands take.

    ``list_models`` has all, also those of the packages ``models.segmentation``, ``models.video``, ….
    """
    return sorted(name for name, builder in _BUILDERS.items() if builder.__module__.count(".") == 1)


def families():
    """The modules in which networks are registered."""
    return {sys.modules[builder.__module__] for builder in _BUILDERS.values()}


def builder_of(name):
    """The function that builds the network called name.

    Raises:
        ValueError: if no network has that name; the message has the nearest ones.
    """
    if name in _BUILDERS:
        return _BUILDERS[name]
    near = difflib.get_close_matches(str(name).lower(), list_models())
    meant = f"did you mean {', '.join(near)}? " if near else ""
    raise ValueError(f"unknown model {name!r}; {meant}models.list_models() has all {len(_BUILDERS)} names")


def build(name, *, weights=None, **kw):
    """Build the network called name.

    Args:
        name: one of ``names()``.
        weights: path of a file with the network's weights, see ``load_weights``; or published ones by their name, as
            "DEFAULT" or ResNet50_Weights.IMAGENET1K_V2, which are downloaded if the cache lacks them; None for random
            ones.
        kw: the builder's arguments: num_classes, in_channels, image_size and those of its own.

    Raises:
        ValueError: if no network has that name, or an argument has an impossible value.
        TypeError: for an argument that the builder does not have.
        FileNotFoundError, RuntimeError: if the weights are missing, unreadable, or those of another network.

    >>> build("lenet5", num_classes=26).fc3.out_features
    26
    >>> build("lenet6")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: unknown model 'lenet6'; did you mean lenet5...? models.list_models() has all ... names
    """
    return builder_of(name)(weights=weights, **kw)


# ---------------------------------------------------------------- torchvision's names
def list_models(module=None, include=None, exclude=None):
    """The names of the networks, sorted.

    Args:
        module: only those of this package: models, models.segmentation, ….
        include, exclude: patterns as of fnmatch, one or several, of which one must match, or none.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.models.list_models.html

    >>> list_models(include="resnet*", exclude=["*50", "*1*"])
    ['resnet34']
    """

    include, exclude = ([given] if isinstance(given, str) else [*(given or ())] for given in (include, exclude))

    def matches(name, patterns):
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

    chosen = []
    for name, builder in sorted(_BUILDERS.items()):
        if module is not None and builder.__module__.rpartition(".")[0] != module.__name__:
            continue
        if (not include or matches(name, include)) and not (exclude and matches(name, exclude)):
            chosen.append(name)
    return chosen


def get_model_builder(name):
    """The function that builds the network called name, in whatever case; errors as of builder_of."""
    return builder_of(name.lower())


def get_model(name, **config):
    """The network called name, in whatever case: ``build``."""
    return get_model_builder(name)(**config)


def get_model_weights(name):
    """The enumeration of the weights published for a network, given its name or its builder.

    Of another builder, it is the one with which its argument weights is annotated.

    Raises:
        ValueError: if there is no such network, or nothing is published of it.

    >>> get_model_weights("resnet50").DEFAULT
    ResNet50_Weights.IMAGENET1K_V2
    """
    builder = get_model_builder(name) if isinstance(name, str) else name
    weights = inspect.signature(builder).parameters.get("weights")
    for kind in () if weights is None else (weights.annotation, *typing.get_args(weights.annotation)):
        if isinstance(kind, type) and issubclass(kind, published.WeightsEnum):
            return kind
    enum = published.enumeration_of(builder.__name__)
    if enum is None:
        raise ValueError(f"no weights are published for {builder.__name__!r}")
    return enum


# ---------------------------------------------------------------- weights
def load_weights(model, path):
    """Load a file of weights into a network, all of them or none; what the file may be: see read_weights.

    Raises:
        FileNotFoundError: if there is no such file (nothing is downloaded).
        RuntimeError: if the file cannot be read, or holds other keys or shapes than the network.
    """
    fit_state(model, read_weights(path), path)


def read_weights(path):
    """The state_dict in a file made by minigrad.save or torch.save, as torchvision publishes them, or by safetensors.

    The file holds the state_dict itself or a checkpoint: a dict with the state_dict under "model", "state_dict" or
    "model_state_dict". The prefix "module." of parallel training is taken off.

    Raises:
        FileNotFoundError: if there is no such file.
        RuntimeError: if the file cannot be read, or holds no state_dict.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"weights: no file {path!r}")
    try:
        content = read_file(path)
    except (RuntimeError, ValueError, EOFError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise RuntimeError(f"weights: {path} cannot be read: {error}") from error
    return state_of(content, path)


def read_file(path):
    """What a file of minigrad.save, torch.save or safetensors holds, on the CPU.

    Raises:
        RuntimeError: for a damaged file of safetensors.
        Exception: what minigrad.load raises, for others.
    """
    with open(path, "rb") as file:
        begins = file.read(9)
    # A safetensors file begins with the length of its header (8 bytes) and the header, in JSON.
    if not (begins[8:] == b"{" or os.fspath(path).endswith(".safetensors")):
        return minigrad.load(path, map_location="cpu", weights_only=True)
    files = minigrad.serialization.safetensors
    try:
        return files.load_file(path)
    except (TypeError, files.error_class()) as error:
        raise RuntimeError(str(error)) from error


def state_of(content, path):
    """The state_dict in what a file holds: the whole, or the part under one of NESTED.

    Raises:
        RuntimeError: if there is none.
    """
    for key in (None, *NESTED):
        state = content if key is None else content.get(key) if isinstance(content, dict) else None
        if isinstance(state, dict) and _has_tensors(state.values()) and all(map(_is_state, state.values())):
            if all(name.startswith("module.") for name in state):
                state = {name.removeprefix("module."): value for name, value in state.items()}
            return state
    raise RuntimeError(f"weights: {path} holds no state_dict, neither alone nor under {', '.join(NESTED)}")


def _has_tensors(values):
    """Whether any value is a tensor, or a tuple that has one."""
    for value in values:
        if _has_tensors(value) if isinstance(value, tuple) else isinstance(value, minigrad.Tensor):
            return True
    return False


def _is_state(value):
    """Whether a state_dict may have a value: a tensor, or what those of eight-bit networks have besides."""
    if isinstance(value, tuple):
        return all(isinstance(part, minigrad.Tensor) or part is None for part in value)
    return value is None or isinstance(value, (minigrad.Tensor, minigrad.dtype, int, float))


def _shape(value):
    """The shape of a value of a state_dict, of a tuple those of its tensors."""
    if isinstance(value, tuple):
        return tuple(map(_shape, value))
    return tuple(value.shape) if isinstance(value, minigrad.Tensor) else value


def fit_state(model, state, path):
    """Load a state_dict, saying what does not fit before anything is changed.

    Parts that serve training only (the model's ``training_parts``, if it names some) are left out if it lacks them.

    Raises:
        RuntimeError: for missing and unexpected keys and for other shapes, naming both.
    """
    if hasattr(model, "in_form"):
        state = model.in_form(state)
    own = model.state_dict()
    absent = tuple(f"{part}." for part in getattr(model, "training_parts", ()) if getattr(model, part) is None)
    state = {name: value for name, value in state.items() if not name.startswith(absent)}
    state = {new: state[old] for old, new in renamed(model, state).items()}
    # constants that were batch norms do not count
    state = {name: value for name, value in state.items() if name in own or not name.endswith("num_batches_tracked")}
    optional = {name for name in own if name.endswith("num_batches_tracked")}  # absent from files before PyTorch 0.4.1
    missing = [name for name in own if name not in state and name not in optional]
    unexpected = [name for name in state if name not in own]
    if missing or unexpected:
        differences = ("lacks", missing), ("also has", unexpected)
        said = " and ".join(f"{kind} {_first(keys)}" for kind, keys in differences if keys)
        raise RuntimeError(f"weights: {path} is of another network than {type(model).__name__}: it {said}")
    wrong = [name for name in own if name in state and _shape(state[name]) != _shape(own[name])]
    if wrong:
        # The last layer is the one whose size num_classes decides: named last, and named if others are left out.
        shown = [f"{name} is {_shape(state[name])} there and {_shape(own[name])} here" for name in wrong[-2:]]
        more = f" (and {len(wrong) - 2} more)" if len(wrong) > 2 else ""
        raise RuntimeError(
            f"weights: {path} does not fit {type(model).__name__}: {'; '.join(shown)}{more}; "
            "build the network with the file's num_classes, in_channels and image_size"
        )
    model.load_state_dict({**{name: own[name] for name in optional}, **state})


def _first(keys, count=3):
    more = f" and {len(keys) - count} more" if len(keys) > count else ""
    return ", ".join(keys[:count]) + more
