"""Writing a file so that whoever looks, at any moment, finds the old file or the new one, whole."""

import contextlib
import os
import secrets
import stat


@contextlib.contextmanager
def replaced(path):
    """Give a binary file that takes the place of ``path`` when the block ends, and leaves ``path`` alone if it fails.

    A new file gets the permissions the umask allows, an existing one keeps its own; a symbolic link is followed. What
    is no ordinary file (a pipe, /dev/null) is written directly. RuntimeError where the folder does not exist.
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(path)) or folder} does not exist.")
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "wb") as file:
            yield file
        return
    prefix = name.encode()[:200].decode(errors="ignore")  # a name has at most 255 bytes
    temporary = os.path.join(folder, f".{prefix}.{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with open(descriptor, "wb") as file:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder):
    """Bring the new name to the disk too, where folders can be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems do not sync folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
