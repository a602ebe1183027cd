"""How much memory a process holds, and the most that it has held."""
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")  # writing 5 starts the high-water mark anew (Linux 4.0)


def resident_bytes():
    """What the process holds now (on other systems than Linux: the most that it has held)."""
    return _status("VmRSS") or highest_bytes()


def highest_bytes():
    """The most that the process has held, since restart_highest where the system can do that."""
    found = _status("VmHWM")
    if found is not None:
        return found
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def restart_highest():
    """Forget what the process held before, if the system can."""
    try:
        RESET.write_text("5")
    except OSError:
        pass  # the mark of a fresh process is that of its imports, far below a network's


def _status(field):
    """A field of Linux's /proc/self/status in bytes; None elsewhere."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return None
