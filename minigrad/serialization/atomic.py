"""Writing a file so that whoever looks, at any moment, finds the old file or the new one, whole."""

import contextlib
import os
import re
import secrets
import stat

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None


@contextlib.contextmanager
def replaced(path):
    """Give a binary file that takes the place of ``path`` when the block ends, and leaves ``path`` alone if it fails.

    A new file gets the permissions the umask allows, an existing one keeps its own; a symbolic link is followed. What
    is no ordinary file (a pipe, /dev/null) is written directly. What processes killed while they wrote this path have
    left beside it is removed. RuntimeError where the folder does not exist.
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
    _remove_stale(folder, name)
    file, temporary = _create(folder, name)
    try:
        with file:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl:  # while the lock is held; elsewhere a file must be closed before it gets another name
                os.replace(temporary, target)
        if not fcntl:
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _prefix(name):
    return "." + name.encode()[:200].decode(errors="ignore") + "."  # a name has at most 255 bytes


def _create(folder, name):
    """Return (file, path) of a new hidden file, locked as long as it is open: one without a lock is nobody's."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        path = os.path.join(folder, f"{_prefix(name)}{secrets.token_hex(8)}.tmp")
        file = open(os.open(path, flags, 0o666), "wb")
        if fcntl:
            with contextlib.suppress(OSError):  # some file systems have no locks: there nothing is ever removed
                fcntl.flock(file, fcntl.LOCK_EX)
            if not os.path.exists(path):  # removed as stale before it was locked
                file.close()
                continue
        return file, path


def _remove_stale(folder, name):
    """Remove the temporary files for this name that no process holds any more: their writers were killed."""
    if not fcntl:
        return
    ours = re.compile(re.escape(_prefix(name)) + r"[0-9a-f]{16}\.tmp")
    with contextlib.suppress(OSError):  # tidying up is no reason not to save
        for found in os.listdir(folder):
            if ours.fullmatch(found):
                _remove_unlocked(os.path.join(folder, found))


def _remove_unlocked(path):
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)  # under the lock: nobody can begin to use it meanwhile
        finally:
            os.close(descriptor)


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
