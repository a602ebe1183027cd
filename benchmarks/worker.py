"""The process that measures one library: python -m benchmarks.worker MODULE THREADS, driven by benchmarks/processes.py.

MODULE is an adapter such as benchmarks.library_minigrad. Requests come as lines of JSON on standard input, each is
answered by one line of JSON on what was standard output: {"value": …}, or {"error": …} in one sentence. The worker ends
with its input.
"""
import gc
import importlib
import json
import math
import os
import sys

from benchmarks import cases, gpu_case, memory

WARM_STEPS = 2  # training steps after which a network's memory is what every further one takes


class Worker:
    """The requests are this class's public methods, their arguments its keywords."""

    def __init__(self, adapter, threads):
        self.adapter = adapter
        self.threads = threads
        self.case = None
        adapter.library.set_num_threads(threads)

    def describe(self):
        """Versions, and the threads that the library says it uses."""
        try:
            versions = self.adapter.versions()
        except Exception as error:  # what is measured stands without them
            versions = {f"versions by {self.adapter.__name__}": f"unknown: {type(error).__name__}: {error}"}
        return {"versions": versions, "threads": self.adapter.library.get_num_threads()}

    def open(self, kind, **options):
        """Build a case of benchmarks/cases.py in place of the one before; returns True."""
        self.case = None
        gc.collect()
        kinds = {**cases.KINDS, "gpu": gpu_case.GpuCase}
        self.case = kinds[kind](self.adapter, **options)
        return True

    def works(self, device):
        """Compute something: after some errors a GPU does nothing more for a process. Returns 2."""
        return self.adapter.library.ones(2, device=device).sum().item()

    def measure(self, what, repeats=1):
        """Milliseconds of each part of the work, the mean of so many repeats."""
        total = {}
        for _ in range(repeats):
            for part, elapsed in self.case.measure(what).items():
                total[part] = total.get(part, 0.0) + elapsed
        return {part: elapsed / repeats for part, elapsed in total.items()}

    def repeats(self, what, milliseconds):
        """How many repeats last about so long; one run goes before, unmeasured."""
        self.case.measure(what)
        once = sum(self.case.measure(what).values())
        return max(1, min(10_000, math.ceil(milliseconds / max(once, 1e-6))))

    def profile(self, repeats):
        return self.adapter.profile(self.case, repeats)

    def save(self, path):
        self.case.save(path)

    def load(self, path):
        self.case.load(path)

    def scores(self):
        return self.case.scores()

    def turn(self, **setting):
        """One mode and precision of a gpu_case.GpuCase."""
        try:
            return self.case.turn(**setting)
        finally:
            gc.collect()
            self.case.release()

    def scores_in(self, mode, batch):
        return self.case.scores(mode, batch)

    def launches(self, device):
        return gpu_case.launches(self.adapter.library, device)

    def peak(self, **options):
        """Bytes that training a network takes at the most, above what the process held before the network."""
        library, device = self.adapter.library, options.get("device", "cpu")
        square = library.ones(256, 256, device=device)
        square @ square  # the library's threads and buffers are there before a network is  # noqa: B018
        del square
        gc.collect()
        if device != "cpu":
            library.cuda.reset_peak_memory_stats()
            before = library.cuda.memory_allocated()
            self._train(options)
            return library.cuda.max_memory_allocated() - before
        memory.restart_highest()
        before = memory.resident_bytes()
        self._train(options)
        return memory.highest_bytes() - before

    def _train(self, options):
        self.open("network", **options)
        for _ in range(WARM_STEPS):
            self.case.step()

    def convolutions(self, **options):
        return self.adapter.convolutions(**options)

    def multiply_adds(self, **options):
        return self.adapter.multiply_adds(**options)


def answer(worker, line):
    """The answer to one request."""
    request = json.loads(line)
    try:
        return {"value": getattr(worker, request["do"])(**request["options"])}
    except Exception as error:  # told to the process that asked, which decides
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def main(module, threads):
    # Answers have a descriptor of their own: whatever a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        adapter = importlib.import_module(module)
        if hasattr(adapter, "start"):
            adapter.start()
        worker = Worker(adapter, int(threads))
    except Exception as error:  # a library that is missing, or broken
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        return
    print(json.dumps({"value": worker.describe()}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(worker, line)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
