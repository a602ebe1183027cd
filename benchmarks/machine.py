"""What the measurements were made on."""
import os
import platform
import subprocess
from pathlib import Path

from benchmarks.processes import THREAD_VARIABLES

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
CPUINFO = Path("/proc/cpuinfo")
# Settings of the user's that change which kernels run, and how fast: variables that begin so.
VARIABLES = ("OPENBLAS_", "MKL_", "ONEDNN_", "DNNL_", "OMP_", "KMP_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "NPY_")
ROOT = Path(__file__).resolve().parent.parent


def describe():
    """The machine as a dict of strings and numbers; what a system does not tell is left out."""
    found = {"CPU": processor(), "cores": cores(), "caches": caches(), "memory": memory()}
    found["system"] = f"{platform.system()} {platform.machine()}"
    chosen = sorted(name for name in os.environ if name.startswith(VARIABLES) and name not in THREAD_VARIABLES)
    found["environment"] = " ".join(f"{name}={os.environ[name]}" for name in chosen) or "none that choose kernels"
    if hasattr(os, "getloadavg"):
        found["load before"] = round(os.getloadavg()[0], 2)
    return {name: value for name, value in found.items() if value}


def processor():
    """The processor's model, with family and model numbers where the name alone says little."""
    try:
        text = CPUINFO.read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in text.partition("\n\n")[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    if "model name" not in fields:
        return platform.processor() or platform.machine()
    return f"{fields['model name']} (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})"


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def caches():
    """The caches that the first core sees, such as "L1d 48K, L2 1024K, L3 32768K"."""
    found = []
    for folder in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found.append(f"L{level}{'d' if kind == 'Data' else ''} {size}")
    return ", ".join(found)


def memory():
    """The machine's memory, in GiB."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    except (ValueError, OSError, AttributeError):
        return None


def revision():
    """The checkout's commit, with -dirty behind it if files differ; None outside of a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
