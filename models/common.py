"""What the commands share."""
import contextlib
import importlib
import os
import tempfile
from pathlib import Path


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
