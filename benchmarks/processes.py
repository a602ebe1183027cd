"""Worker processes, one per library, driven over pipes: see benchmarks/worker.py."""
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINIGRAD, REFERENCE = "minigrad", "plain im2col"  # as they are called in results
ADAPTERS = {
    MINIGRAD: "benchmarks.library_minigrad",
    "minigrad again": "benchmarks.library_minigrad",
    "torch": "benchmarks.peer_torch",
    REFERENCE: "benchmarks.library_reference",
}
# The second library of --peer. minigrad beside itself shows how much the ratio varies for no reason.
PEERS = {"torch": "torch", "minigrad": "minigrad again"}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MINIGRAD_NUM_THREADS")
PATIENCE_S = 5  # for a worker that is told to end
# After their work threads of BLAS or OpenMP wait for more of it in a loop that keeps a core busy: OpenBLAS's 0.1 s.
SETTLING_S, LOOK_S = 0.25, 0.004


def thread_variables(threads):
    """The environment variables that give a library and its BLAS so many threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


class MeasuringError(Exception):
    """A worker could not do what it was asked for; one sentence."""


class WorkerProcess:
    """A worker; its methods are called by ``ask``.

    Args:
        label: what the library is called in results; its adapter is in ADAPTERS.
        threads: for the library and its BLAS.
        limit_s: seconds that an answer may take, after which the process is ended; may be written later.

    Raises:
        MeasuringError: if the library cannot be imported.
    """

    def __init__(self, label, threads, limit_s=None):
        self.label = label
        self.limit_s = limit_s
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", ADAPTERS[label], str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **thread_variables(threads)},
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the parent, which ends its workers
        )
        try:
            self.description = self._answer("starting")
        except BaseException:
            self.end()
            raise

    def ask(self, do, **options):
        """The value of one request; MeasuringError if it failed."""
        try:
            self.process.stdin.write(json.dumps({"do": do, "options": options}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # _answer says why it ended
        return self._answer(do)

    def _answer(self, doing):
        limit, late = self.limit_s, threading.Event()

        def end():
            late.set()
            self.process.kill()

        timer = threading.Timer(limit, end) if limit is not None else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            if timer:
                timer.cancel()
        if not line:
            code = self.process.wait()
            if late.is_set():
                raise MeasuringError(f"{self.label}: no answer within {limit:.0f} s, ended (at: {doing})")
            if code == -9:
                raise MeasuringError(f"{self.label}: the process was killed, as for want of memory: try --batch N")
            raise MeasuringError(f"{self.label}: the process ended with code {code} (at: {doing})")
        answer = json.loads(line)
        if "error" in answer:
            raise MeasuringError(f"{self.label}: {answer['error']}")
        return answer["value"]

    def settle(self):
        """Return when the worker's threads sleep, so that the next one has all cores."""
        deadline = time.monotonic() + SETTLING_S
        before = self._cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(LOOK_S)
            now = self._cpu_seconds()
            if now is not None and now - before < LOOK_S / 10:
                return
            before = now

    def _cpu_seconds(self):
        """What all threads of the process have run; None where the system does not tell."""
        try:
            files = list(Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"))
            return sum(int(file.read_text().split()[0]) for file in files) / 1e9 if files else None
        except (OSError, ValueError, IndexError):
            return None

    def end(self):
        """End the process: by itself where it waits for requests, by force where it computes."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def workers(labels, threads):
    """One worker per label of ADAPTERS; ended with the block."""
    with contextlib.ExitStack() as started:
        running = []
        for label in labels:
            worker = WorkerProcess(label, threads)
            started.callback(worker.end)
            running.append(worker)
        yield running
