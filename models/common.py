"""What the commands share."""
import argparse
import ast
import contextlib
import importlib
import math
import os
import signal
import tempfile
import threading
from pathlib import Path

import minigrad


class CommandError(Exception):
    """What the user can mend: printed as one line, exit code 2."""


def require(module, otherwise=""):
    """Import a module of the demo extra, or say how to install it, or what to do otherwise."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = {"PIL": "pillow", "sklearn": "scikit-learn"}.get(module.split(".")[0], module.split(".")[0])
        mend = f"pip install -e '.[demo]' {otherwise}".rstrip()
        raise CommandError(f"{package} is needed here: {mend} ({error})") from error


@contextlib.contextmanager
def written_whole(path):
    """A temporary path beside path, moved there if the block succeeds: readers never see half a file."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


# ---------------------------------------------------------------- arguments
def number(kind, least, below=None, strictly=False):
    """An argparse type: an int or float that is at least (or more than) least, and less than below."""

    def parse(text):
        value = kind(text)
        if not (value > least if strictly else value >= least):
            raise argparse.ArgumentTypeError(f"{text} is not {'more than' if strictly else 'at least'} {least}")
        if below is not None and not value < below:
            raise argparse.ArgumentTypeError(f"{text} is not less than {below}")
        if value == math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not finite")
        return value

    parse.__name__ = kind.__name__
    return parse


def option(text):
    """An argparse type: NAME=VALUE as a pair; VALUE is a Python literal, or else a string."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def add_machine_arguments(parser, workers=True):
    """--device, --threads and, where many images are read, --workers; what is not given is None."""
    add = parser.add_argument_group("machine").add_argument
    add("--device", metavar="cpu|cuda|cuda:N", help="default: cpu")
    add("--threads", type=number(int, 1), metavar="N", help="CPU threads (default: 1)")
    if workers:
        add("--workers", type=number(int, 0), metavar="N", help="processes that read the images (default: 0)")


# ---------------------------------------------------------------- what the arguments name
def open_device(name):
    """The device called name; CommandError if it is none, or not there."""
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise CommandError(f"--device {name}: expected cpu, cuda or cuda:N")
    try:
        device = minigrad.device(name)
        minigrad.zeros(1, device=device)
    except (RuntimeError, ImportError, ValueError, TypeError, AssertionError) as error:
        raise CommandError(f"--device {name}: {error}") from error
    return device


def open_folder(path):
    """A folder to write into, made if it is not there; CommandError if that cannot be."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError as error:
        raise CommandError(f"--out {path}: cannot write there: it is a file, not a folder") from error
    except OSError as error:
        raise CommandError(f"--out {path}: cannot write there: {error.strerror or error}") from error
    return folder


def write_text(path, text):
    """Write a text file whole or not at all; CommandError if that cannot be."""
    try:
        with written_whole(path) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def terminated_as_interrupted():
    """A block in which SIGTERM, as batch systems send it, raises KeyboardInterrupt as Ctrl-C does."""
    owner = os.getpid()

    def interrupt(number, frame):
        if os.getpid() != owner:  # a loader's process, which inherits this
            os._exit(128 + number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set what a signal does
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
