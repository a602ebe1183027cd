"""torch.hub without others' code: weights are read from the cache or downloaded, if their name holds a checksum.

Source: https://docs.pytorch.org/docs/stable/hub.html
"""

import importlib
import os
import re

from minigrad.absent import explain

_directory = [None]
_CODE = "it runs code from a repository; build the model from its class and load_state_dict() its weights"
_HASH = re.compile(r"-([0-9a-f]{8,64})\.[^.]*$")
_HASH_OF_QUANTIZED = re.compile(r"_([0-9a-f]{8})\.pth$")  # as the older of torchvision's eight-bit networks are named
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")  # PyTorch's looser form, which libraries import
_ELSEWHERE = {"tqdm": "tqdm", "urlparse": "urllib.parse", "urlopen": "urllib.request", "Request": "urllib.request"}


def get_dir():
    """Return the folder of the cache: set_dir()'s, or $TORCH_HOME/hub, by default ~/.cache/torch/hub."""
    if _directory[0] is not None:
        return _directory[0]
    return os.path.join(_get_torch_home(), "hub")


def set_dir(d):
    """Choose the folder of the cache."""
    _directory[0] = os.path.expanduser(d)


def _get_torch_home():
    """Return the folder that PyTorch's caches are in: $TORCH_HOME, by default ~/.cache/torch."""
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    return os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch")))


def _digest(path):
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """Download a file over https and check it: its SHA-256 must begin with ``hash_prefix``.

    Raises ValueError for a URL other than https or without a checksum, RuntimeError for another checksum; then no file
    is left.
    """
    import hashlib
    import sys
    import urllib.request

    from minigrad.vision.datasets.files import written_at_once

    if not url.startswith("https://") or not hash_prefix:
        raise ValueError(
            f"{url} is not downloaded: only https and files with a known checksum are "
            f"(URLs whose name ends in -<8 digits of its SHA-256>, or hash_prefix=); put the file at {dst} by hand"
        )
    if progress:
        print(f'Downloading: "{url}" to {dst}', file=sys.stderr)
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=30) as source, written_at_once(dst) as file:
        if not source.geturl().startswith("https://"):
            raise ValueError(f"{url} leads to {source.geturl()}, which is not https")
        while piece := source.read(1 << 20):
            digest.update(piece)
            file.write(piece)
        if not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}")')


def load_state_dict_from_url(
    url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None, weights_only=True
):
    """Return minigrad.load() of the file of a URL: the one in the cache, else downloaded to it.

    A file is downloaded only if its name ends in a checksum, as those of published weights do
    (``resnet18-f37072fd.pth``), which is always checked; with ``check_hash`` a cached file is checked as well. Files
    are read as data, whatever ``weights_only`` says. Raises ValueError for other URLs that are not cached, RuntimeError
    for a wrong checksum.
    Source: https://docs.pytorch.org/docs/stable/hub.html#torch.hub.load_state_dict_from_url
    """
    from urllib.parse import urlparse

    from minigrad.serialization import load as load_file

    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    path = os.path.join(folder, file_name or os.path.basename(urlparse(url).path))
    found = _HASH.search(os.path.basename(urlparse(url).path))
    if found is None and url.startswith("https://download.pytorch.org/models/quantized/"):
        found = _HASH_OF_QUANTIZED.search(url)
    expected = found and found.group(1)
    if not os.path.exists(path):
        download_url_to_file(url, path, expected, progress)
    elif check_hash and expected and not _digest(path).startswith(expected):
        raise RuntimeError(f'invalid hash value of {path} (expected "{expected}", got "{_digest(path)}")')
    return load_file(path, map_location=map_location, weights_only=weights_only)


def load(repo_or_dir, model, *args, **kwargs):
    """Return a network of torchvision (the repository pytorch/vision at any tag), which minigrad has itself.

    RuntimeError for networks of other repositories and for folders: nothing of theirs is run. The options of the
    download (source, trust_repo, force_reload, verbose, skip_validation) are left out, as there is none.

    >>> import minigrad as mg
    >>> mg.hub.load("pytorch/vision:v0.10.0", "resnet18", weights=None).fc.out_features
    1000
    """
    for option in ("trust_repo", "force_reload", "verbose", "skip_validation"):
        kwargs.pop(option, None)
    if kwargs.pop("source", "github") == "github" and str(repo_or_dir).partition(":")[0].lower() == "pytorch/vision":
        from minigrad.vision import models

        builder = getattr(models, model, None) or getattr(models.segmentation, model, None)
        if callable(builder):
            return builder(*args, **kwargs)
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    raise RuntimeError(f"hub.load({repo_or_dir!r}, {model!r}): {_CODE}")


def list(github, force_reload=False, skip_validation=False, trust_repo=None, verbose=True):  # noqa: A001
    """Refuse with RuntimeError that says what to do instead."""
    raise RuntimeError(f"hub.list({github!r}): {_CODE}")


def help(github, model, *args, **kwargs):  # noqa: A001 - PyTorch's name
    """Refuse with RuntimeError that says what to do instead."""
    raise RuntimeError(f"hub.help({github!r}, {model!r}): {_CODE}")


load_url = load_state_dict_from_url  # as torch.utils.model_zoo calls it


def __getattr__(name):
    """Names of other libraries that programs take from here: tqdm, urlparse, urlopen and Request."""
    if name not in _ELSEWHERE:
        raise AttributeError(explain(name, __name__))
    try:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    except ModuleNotFoundError as error:
        missing = f"hub.{name} needs {name}, which is not installed (pip install 'minigrad-cnn[demo]')"
        raise ImportError(missing) from error
