"""python -m benchmarks gpu: the GPU tests, then the lecture's table on a GPU beside PyTorch, within a time limit."""
import contextlib
import importlib.util
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks import arguments as common
from benchmarks import measuring, networks
from benchmarks.gpu_case import CAPTURED, MODES, PRECISIONS, STRICT
from benchmarks.processes import MINIGRAD, ROOT, MeasuringError, WorkerProcess
from models.common import CommandError, number

HELP = "run the GPU tests and measure the networks on a GPU beside PyTorch"
BATCHES = (16, 128)
PASSES = 5
SCORED = 2  # images whose scores are compared
LAYERS = ("alexnet", "googlenet", "vgg16", "resnet50")  # whose convolutions are measured one by one
TESTS = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/gpu", "tests/test_devices.py")
TESTS += ("--ignore=tests/gpu/test_nvrtc.py",)  # which compiles for GPUs that are not there
TEST_PROCESSES = 8  # most of their time goes into compiling CuPy's kernels
TESTS_SHARE = 0.35  # of the time, at the most
CPU_SHARE = 0.15  # of the time, before the larger batches
LAYERS_SHARE = 0.08  # of the time, kept from the larger batches
PATIENCE_S = 90.0  # for one answer of a worker: what takes longer hangs
OVERTIME_S = 5.0  # that the last answer may take beyond the time
SUMMARY = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed|xpassed)")


def add_arguments(parser):
    add = parser.add_argument
    add("--minutes", type=number(float, 0.01), default=8.0, help="what does not fit is left out (default: 8)")
    add("--networks", nargs="+", metavar="NAME", help=f"default: all of {' '.join(networks.NETWORKS)}")
    add("--batch", nargs="+", type=number(int, 1), default=BATCHES, metavar="N", help="default: 16 128")
    add("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="default: all")
    add("--passes", type=number(int, 1), default=PASSES, metavar="N", help="besides those to warm up (default: 5)")
    add("--image-size", type=number(int, 1, 2049), default=224, metavar="N", help="side of the images (default: 224)")
    add("--no-tests", action="store_true", help="leave the GPU tests out")
    add("--no-peer", action="store_true", help="leave PyTorch out")
    add("--device", default="cuda", metavar="cuda|cuda:N", help="default: cuda")
    add("--threads", type=number(int, 1, 1025), metavar="N", help="CPU threads of each library (default: all cores)")
    add("--out", default=str(common.results.FOLDER), metavar="FOLDER", help="default: benchmarks/results")
    add("--name", default="gpu", metavar="NAME", help="write NAME.json and NAME.md (default: gpu)")
    parser.set_defaults(peer=None)


def check_device(name):
    """CommandError for what is no GPU: figures called a GPU's come from one."""
    if not name.startswith("cuda"):
        raise CommandError(f"--device {name}: this measures a GPU; python -m benchmarks cnn measures the CPU")


def run(arguments):
    check_device(arguments.device)
    if not arguments.no_peer:
        arguments.peer = "torch"
    names = list(dict.fromkeys(arguments.networks or networks.NETWORKS))
    for name in names:
        if name not in networks.NETWORKS:
            raise CommandError(f"--networks {name}: there are {', '.join(networks.NETWORKS)}")
    settings = {"minutes": arguments.minutes, "image size": arguments.image_size}
    failures = []

    def rows(threads):
        measurement = Measurement(arguments, names, threads, failures)
        try:
            yield from measurement.rows()
        finally:
            measurement.end()

    def about(labels, threads, device, product):
        """The versions of the libraries that start: one that does not is no reason to leave the others out."""
        versions = {}
        for label in labels:
            try:
                versions |= measuring.about_the_libraries([label], threads, device, product)[0]
            except MeasuringError as error:
                failures.append(f"versions: {error}")
                common.say(f"failed: {failures[-1]}")
        return versions, None

    code = common.run(arguments, "gpu", settings, rows, product=False, about=about)
    return code or (1 if failures else 0)


class Measurement:
    """One run: its workers, one per library, and the time that is left.

    What fails is kept as a sentence, and everything else goes on.
    """

    def __init__(self, arguments, names, threads, failures):
        self.arguments = arguments
        self.names = names
        self.threads = threads
        self.failures = failures  # sentences
        self.minutes = arguments.minutes
        self.end_at = time.monotonic() + 60 * arguments.minutes
        self.left_out = []
        self.workers = {}
        self.opened = {}  # library -> options of the case that its worker has open
        self.on_the_cpu = list(names)  # networks to be measured there

    def left(self):
        return self.end_at - time.monotonic()

    def rows(self):
        if not self.arguments.no_tests:
            yield from self.part("the GPU tests", self.tests)
        self.start()
        yield from self.part("launches", self.launches)
        for batch in self.arguments.batch:
            for name in self.names:
                yield from self.part(f"{name}, batch {batch}", self.network, name, batch)
            if batch == self.arguments.batch[0]:  # before the larger batches, which might leave no time for it
                yield from self.part("the CPU", self.cpu_rows, self.left() - 60 * self.minutes * CPU_SHARE)
        yield from self.part("single convolutions", self.layers)
        yield from self.part("the CPU", self.cpu_rows, 0.0)
        self.left_out += [f"{networks.network_of(name).title} on the CPU" for name in self.on_the_cpu]
        yield {"kind": "left out", "cells": self.left_out, "failures": self.failures}

    def part(self, title, rows, *arguments):
        """The rows of a part; whatever breaks that, the others follow."""
        try:
            yield from rows(*arguments)
        except Exception as error:  # a mistake in here too must not cost what an hour of a GPU would have told
            self.fail(f"{title}: {type(error).__name__}: {error}")

    def fail(self, sentence):
        self.failures.append(sentence)
        common.say(f"failed: {sentence}")

    # ------------------------------------------------------------ workers
    def start(self):
        for library in [MINIGRAD] if self.arguments.no_peer else [MINIGRAD, "torch"]:
            self.replace(library)

    def end(self):
        for worker in self.workers.values():
            worker.end()

    def labels(self):
        """The modes of the libraries that have a case open."""
        return [label for label, (library, _) in MODES.items() if library in self.opened]

    def replace(self, library):
        """Give a library a new process; without one it is left out from here on."""
        if library in self.workers:
            self.workers.pop(library).end()
        try:
            self.workers[library] = WorkerProcess(library, self.threads, PATIENCE_S)
        except MeasuringError as error:
            self.fail(str(error))

    def mend(self, library):
        """Replace a worker whose process has ended, or for which the GPU does nothing more."""
        worker = self.workers[library]
        try:
            worker.limit_s = PATIENCE_S
            worker.ask("works", device=self.arguments.device)
        except MeasuringError:
            options = self.opened.pop(library, None)
            self.replace(library)
            if options and library in self.workers:
                self.open(f"{library} anew", libraries=[library], **options)

    def open(self, title, libraries=None, **options):
        """Build a case in all workers at once (on the CPU it is that which takes the time); False if none has it."""
        libraries = list(self.workers) if libraries is None else libraries

        def build(library):
            self.opened.pop(library, None)
            if self.attempt(title, library, "open", **options):
                self.opened[library] = options

        with ThreadPoolExecutor() as pool:
            list(pool.map(build, libraries))
        return bool(self.opened)

    def attempt(self, what, library, do, **options):
        """A worker's answer, or None: then the reason is kept, the worker works again, and the run goes on."""
        if library not in self.workers:
            return None
        self.workers[library].limit_s = max(1.0, min(PATIENCE_S, self.left() + OVERTIME_S))
        try:
            return self.workers[library].ask(do, **options)
        except MeasuringError as error:
            self.fail(f"{what}: {error}")
            self.mend(library)
            return None

    # ------------------------------------------------------------ the parts
    def tests(self):
        """Run the GPU tests in a process of their own."""
        common.say("the GPU tests")
        limit = self.left() * TESTS_SHARE
        processes = min(TEST_PROCESSES, self.threads)
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads // processes)}
        spread = ["-n", str(processes)] if processes > 1 and importlib.util.find_spec("xdist") else []
        command = [sys.executable, *TESTS, *spread]
        began = time.monotonic()
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            done = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code = done.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                end_group(done)
            output.seek(0)
            text = output.read()
        lines = text.strip().splitlines()
        summary = next((line for line in reversed(lines) if SUMMARY.search(line)), "no result")
        counts = {what: int(count) for count, what in SUMMARY.findall(summary)}
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        if code is None:
            self.fail(f"the GPU tests did not end within {limit:.0f} s: {summary}")
        elif code != 0:
            self.fail(f"the GPU tests ended with code {code}: {summary}")
        if code != 0:
            print(text[-6000:], file=sys.stderr)
        seconds = round(time.monotonic() - began, 1)
        yield {"kind": "tests", "counts": counts, "failed": failed, "code": code, "seconds": seconds}

    def launches(self):
        common.say("what a launch costs")
        found = {}
        for library in list(self.workers):
            times = self.attempt("launches", library, "launches", device=self.arguments.device)
            if times is not None:
                found[library] = times
        yield {"kind": "launches", "microseconds": found}

    def network(self, name, batch):
        """One row per precision."""
        title = f"{networks.network_of(name).title}, batch {batch}"
        kept = 0.0 if batch == self.arguments.batch[0] else 60 * self.minutes * LAYERS_SHARE
        if self.left() < 5 + kept:
            self.left_out.append(title)
            return
        common.say(f"{title} ({self.left():.0f} s left)")
        options = {"network": name, "image_size": self.arguments.image_size, "device": self.arguments.device}
        if not self.open(title, kind="gpu", **options):
            return
        difference = self.difference(title)
        for precision in self.arguments.precision:
            if self.left() < 2 + kept:
                self.left_out.append(f"{title}, {precision}")
                continue
            row = {"kind": "gpu", **options, "batch": batch, "precision": precision, "times": {}, "memory": {}}
            row["difference"] = difference
            for label in self.labels():
                library, mode = MODES[label]
                if library not in self.opened:  # its process could not be replaced
                    continue
                setting = {"mode": mode, "precision": precision, "batch": batch, "passes": self.arguments.passes}
                found = self.attempt(f"{title}, {precision}, {label}", library, "turn", **setting)
                if found is not None:
                    row["times"][label] = found["times"]
                    if found["memory"] is not None:
                        row["memory"][label] = found["memory"]
            if row["times"]:
                yield row

    def difference(self, title):
        """By how much scores differ from those by im2col at the most, relative to the largest one; None if unknown."""
        found = {}
        for label in self.labels():
            library, mode = MODES[label]
            if label != CAPTURED:
                scores = self.attempt(f"{title}, scores, {label}", library, "scores_in", mode=mode, batch=SCORED)
                if scores is None:
                    return None
                found[label] = [value for row in scores for value in row]
        if not found:
            return None
        wanted, *others = found.values()
        largest = max(map(abs, wanted)) or 1.0
        differences = [abs(a - b) / largest for other in others for a, b in zip(other, wanted, strict=True)]
        difference = max(differences, default=0.0)
        if not difference <= measuring.TOLERANCE:
            self.fail(f"{title}: scores differ by {difference:.2g} of the largest")
        return difference if math.isfinite(difference) else None

    def layers(self):
        """The distinct convolutions, in PyTorch's default precision."""
        for name in (name for name in LAYERS if name in self.names):
            title = f"convolutions of {networks.network_of(name).title}"
            found = self.attempt(title, MINIGRAD, "convolutions", name=name, image_size=self.arguments.image_size)
            for layer in found or ():
                if self.left() < 1:
                    self.left_out.append(title)
                    break
                if not self.open(title, kind="layer", batch=16, device=self.arguments.device, **layer):
                    continue
                running = [self.workers[library] for library in self.workers if library in self.opened]
                try:
                    times = measuring.interleaved(running, "layer", 3, repeated=True)
                except MeasuringError as error:
                    self.fail(f"{title}: {error}")
                    for library in list(self.workers):
                        self.mend(library)
                    continue
                yield {"kind": "layer", "network": name, "batch": 16, "layer": layer, "times": times}

    def cpu_rows(self, until):
        """The same networks on this machine's CPU, while so many seconds are left: 16 images, one pass besides one."""
        while self.on_the_cpu and self.left() > max(10, until):
            name = self.on_the_cpu.pop(0)
            title = f"{networks.network_of(name).title} on the CPU"
            common.say(title)
            options = {"network": name, "image_size": self.arguments.image_size, "device": "cpu"}
            row = {"kind": "gpu", **options, "batch": 16, "precision": STRICT, "times": {}, "memory": {}}
            if not self.open(title, kind="gpu", **options):
                continue
            setting = {"mode": "cudnn", "precision": STRICT, "batch": 16, "passes": 1}
            for library in list(self.opened):
                found = self.attempt(f"{title}, {library}", library, "turn", **setting)
                if found is not None:
                    row["times"][f"{library}, CPU"] = found["times"]
            if row["times"]:
                yield row


def end_group(process):
    """End a process that leads a session, and all that it started: by SIGINT, on which pytest tells what it found."""
    for kind, patience in ((signal.SIGINT, 15), (signal.SIGKILL, None)):
        if process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            if kind == signal.SIGINT:
                process.send_signal(kind)
            else:
                os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
