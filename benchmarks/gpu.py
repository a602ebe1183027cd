"""python -m benchmarks gpu: the GPU tests, then the lecture's table on a GPU beside PyTorch, within a time limit."""
import importlib.util
import math
import os
import re
import subprocess
import sys
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
TEST_PROCESSES = 4
TESTS_SHARE = 0.35  # of the time, at the most
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

    code = common.run(arguments, "gpu", settings, rows, product=False)
    return code or (1 if failures else 0)


class Measurement:
    """One run: its workers, one per library, and the time that is left."""

    def __init__(self, arguments, names, threads, failures):
        self.arguments = arguments
        self.names = names
        self.threads = threads
        self.failures = failures  # sentences
        self.end_at = time.monotonic() + 60 * arguments.minutes
        self.left_out = []
        self.workers = {}
        self.opened = {}  # options of the case that the workers have open

    def left(self):
        return self.end_at - time.monotonic()

    def rows(self):
        if not self.arguments.no_tests:
            yield self.tests()
        self.start()
        yield from self.launches()
        for batch in self.arguments.batch:
            for name in self.names:
                yield from self.network(name, batch)
        yield from self.layers()
        yield from self.on_the_cpu()
        yield {"kind": "left out", "cells": self.left_out, "failures": self.failures}

    # ------------------------------------------------------------ workers
    def start(self):
        libraries = [MINIGRAD] if self.arguments.no_peer else [MINIGRAD, "torch"]
        self.workers = {name: WorkerProcess(name, self.threads) for name in libraries}

    def end(self):
        for worker in self.workers.values():
            worker.end()

    def labels(self):
        return [label for label, (library, _) in MODES.items() if library in self.workers]

    def open(self, kind, **options):
        """Build a case in all workers at once: on the CPU it is that which takes the time."""
        self.opened = {"kind": kind, **options}
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda worker: worker.ask("open", **self.opened), self.workers.values()))

    def ask(self, library, do, **options):
        """A worker's answer. One whose process has ended is replaced, for the next question."""
        worker = self.workers[library]
        try:
            return worker.ask(do, **options)
        except MeasuringError:
            if worker.process.poll() is not None:
                worker.end()
                self.workers[library] = WorkerProcess(library, self.threads)
                if self.opened:
                    self.workers[library].ask("open", **self.opened)
            raise

    def attempt(self, what, library, do, **options):
        """A worker's answer, or None: then the reason is kept, and the run goes on."""
        try:
            return self.ask(library, do, **options)
        except MeasuringError as error:
            self.failures.append(f"{what}: {error}")
            common.say(f"failed: {what}: {error}")
            return None

    # ------------------------------------------------------------ the parts
    def tests(self):
        """Run the GPU tests in a process of their own."""
        common.say("the GPU tests")
        limit = self.left() * TESTS_SHARE
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        spread = ["-n", str(TEST_PROCESSES)] if importlib.util.find_spec("xdist") else []
        command = [sys.executable, *TESTS, *spread]
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            self.failures.append(f"the GPU tests did not end within {limit:.0f} s")
            return {"kind": "tests", "counts": {}, "failed": [], "seconds": limit}
        lines = done.stdout.strip().splitlines() or [""]
        counts = {what: int(count) for count, what in SUMMARY.findall(lines[-1])}
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        if done.returncode != 0:
            self.failures.append(f"the GPU tests ended with code {done.returncode}: {lines[-1]}")
            print(done.stdout[-6000:], file=sys.stderr)
        return {"kind": "tests", "counts": counts, "failed": failed, "code": done.returncode}

    def launches(self):
        common.say("what a launch costs")
        found = {}
        for library in self.workers:
            times = self.attempt("launches", library, "launches", device=self.arguments.device)
            if times is not None:
                found[library] = times
        yield {"kind": "launches", "microseconds": found}

    def network(self, name, batch):
        """One row per precision."""
        title = f"{networks.network_of(name).title}, batch {batch}"
        if self.left() < 5:
            self.left_out.append(title)
            return
        common.say(f"{title} ({self.left():.0f} s left)")
        options = {"network": name, "image_size": self.arguments.image_size, "device": self.arguments.device}
        try:
            self.open("gpu", **options)
        except MeasuringError as error:
            self.failures.append(f"{title}: {error}")
            return
        difference = self.difference(title)
        for precision in self.arguments.precision:
            if self.left() < 2:
                self.left_out.append(f"{title}, {precision}")
                continue
            row = {"kind": "gpu", **options, "batch": batch, "precision": precision, "times": {}, "memory": {}}
            row["difference"] = difference
            for label in self.labels():
                library, mode = MODES[label]
                setting = {"mode": mode, "precision": precision, "batch": batch, "passes": self.arguments.passes}
                found = self.attempt(f"{title}, {precision}, {label}", library, "turn", **setting)
                if found is not None:
                    row["times"][label] = found["times"]
                    if found["memory"] is not None:
                        row["memory"][label] = found["memory"]
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
        wanted, *others = found.values()
        largest = max(map(abs, wanted))
        differences = [abs(a - b) / largest for other in others for a, b in zip(other, wanted, strict=True)]
        difference = max(differences, default=0.0)
        if not difference <= measuring.TOLERANCE:
            self.failures.append(f"{title}: scores differ by {difference:.2g} of the largest")
        return difference if math.isfinite(difference) else None

    def layers(self):
        """The distinct convolutions, in PyTorch's default precision."""
        running = list(self.workers.values())
        for name in (name for name in LAYERS if name in self.names):
            title = f"convolutions of {networks.network_of(name).title}"
            found = self.attempt(title, MINIGRAD, "convolutions", name=name, image_size=self.arguments.image_size)
            for layer in found or ():
                if self.left() < 1:
                    self.left_out.append(title)
                    break
                try:
                    self.open("layer", batch=16, device=self.arguments.device, **layer)
                    times = measuring.interleaved(running, "layer", 3, repeated=True)
                except MeasuringError as error:
                    self.failures.append(f"{title}: {error}")
                    break
                yield {"kind": "layer", "network": name, "batch": 16, "layer": layer, "times": times}

    def on_the_cpu(self):
        """The same networks on this machine's CPU: 16 images, one warm pass and one measured."""
        for name in self.names:
            title = f"{networks.network_of(name).title} on the CPU"
            if self.left() < 10:
                self.left_out.append(title)
                continue
            common.say(title)
            options = {"network": name, "image_size": self.arguments.image_size, "device": "cpu"}
            row = {"kind": "gpu", **options, "batch": 16, "precision": STRICT, "times": {}, "memory": {}}
            try:
                self.open("gpu", **options)
            except MeasuringError as error:
                self.failures.append(f"{title}: {error}")
                continue
            setting = {"mode": "cudnn", "precision": STRICT, "batch": 16, "passes": 1}
            for library in self.workers:
                found = self.attempt(f"{title}, {library}", library, "turn", **setting)
                if found is not None:
                    row["times"][f"{library}, CPU"] = found["times"]
            if row["times"]:
                yield row
