"""python -m benchmarks footprint: how long the import takes and how much space the installation."""
import importlib.metadata
import importlib.util
import marshal
import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks import arguments as common
from benchmarks.processes import ROOT, MeasuringError, thread_variables
from models.common import CommandError

HELP = "measure the time that import minigrad takes, and the installed size"
NUMPY = "NumPy alone"
# Label → the module that is imported, and the distributions that are installed for it besides minigrad's own files.
IMPORTED = {"minigrad": "minigrad", NUMPY: "numpy", "minigrad again": "minigrad", "torch": "torch"}
DISTRIBUTIONS = {
    "minigrad": ("numpy", "threadpoolctl"),
    NUMPY: ("numpy",),
    "minigrad again": ("numpy", "threadpoolctl"),
    "torch": ("torch",),
}
TIMED = "import time; start = time.perf_counter(); import {}; print(1e3 * (time.perf_counter() - start))"
PYC_HEADER = 16  # bytes before the code in a file of bytecode


def add_arguments(parser):
    common.add_common(parser, device=False)


def run(arguments):
    def rows(threads):
        labels = [*common.labels_of(arguments), NUMPY]
        common.say("installed sizes")
        sizes = {label: installed(label) for label in labels}
        common.say("imports in fresh processes")
        yield {"kind": "footprint", "sizes": sizes, "times": import_times(labels, arguments.passes, threads)}

    return common.run(arguments, "footprint", {}, rows, product=False)


# ---------------------------------------------------------------- time
def import_times(labels, passes, threads):
    """Label → {"import": milliseconds, one per pass}; the libraries take turns, the first pass is dropped.

    Each import is timed within a fresh process: what the interpreter itself takes to start is not in it.
    """
    times = {label: [] for label in labels}
    for number in range(passes):
        for label in labels if number % 2 == 0 else labels[::-1]:
            times[label].append(import_time(label, threads))
    dropped = 1 if passes > 1 else 0
    return {label: {"import": found[dropped:]} for label, found in times.items()}


def import_time(label, threads):
    """Milliseconds, with bytecode as pip leaves it: the first import of a checkout writes it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(IMPORTED[label])],
        cwd=ROOT,
        env={**environment, **thread_variables(threads)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"the process ended with code {done.returncode}"])[-1]
        raise MeasuringError(f"{label}: {said}")
    return float(done.stdout)


# ---------------------------------------------------------------- size
def installed(label):
    """Distribution → {"files": bytes, "bytecode": bytes} of what pip installs for a library, dependencies included."""
    found = {name: distribution_size(name) for name in with_dependencies(DISTRIBUTIONS[label])}
    if IMPORTED[label] == "minigrad":
        found = {"minigrad": package_size("minigrad"), **found}
    return found


def with_dependencies(names):
    """The distributions and, one after the other, those they require, as far as they are installed."""
    found = list(names)
    for name in found:
        for requirement in importlib.metadata.requires(name) or ():
            wanted, _, marker = requirement.partition(";")
            other = re.match(r"[\w.-]+", wanted).group().lower().replace("_", "-")
            if "extra" not in marker and other not in found and is_installed(other):
                found.append(other)
    return found


def is_installed(name):
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def distribution_size(name):
    """Bytes of a distribution's files as pip recorded them, libraries that it brings included."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise CommandError(f"footprint: {name} was not installed by pip: its files are not known") from error
    sizes = {"files": 0, "bytecode": 0}
    for file in distribution.files or ():
        path = Path(distribution.locate_file(file))
        if path.is_file():
            sizes["bytecode" if path.suffix == ".pyc" else "files"] += path.stat().st_size
    return sizes


def package_size(name):
    """Bytes of a package as its wheel installs it, measured where it lies: a checkout has no record of files."""
    folder = Path(importlib.util.find_spec(name).origin).parent
    sizes = {"files": 0, "bytecode": 0}
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            sizes["files"] += path.stat().st_size
            if path.suffix == ".py":
                code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
                sizes["bytecode"] += PYC_HEADER + len(marshal.dumps(code))
    return sizes
