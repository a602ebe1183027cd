"""What minigrad asks of the C library's allocator."""

import os
import platform
import subprocess
import sys

import pytest

from minigrad.backend import allocator


def test_keeping_freed_memory_asks_once_per_setting_that_the_user_left_open(monkeypatch):
    asked = []

    class Library:
        @staticmethod
        def mallopt(parameter, value):
            asked.append((parameter, value))

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: Library)
    for _, name in allocator.SETTINGS.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "0")
    allocator.keep_freed_memory()
    assert sorted(asked) == [(-4, 16), (-3, 2**25), (-1, 2**30)]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    allocator.keep_freed_memory()  # no mallopt: nothing happens

    def refuse(name):
        raise OSError("no such library")

    monkeypatch.setattr(allocator.ctypes, "CDLL", refuse)
    allocator.keep_freed_memory()


PROGRAM = """
import resource
import threading
import minigrad as mg

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def fill():
    before = faults()
    mg.zeros(25_000_000).add_(1)
    return faults() - before

held = [mg.zeros(10_000_000) for _ in range(16)]
first = fill()
assert fill() <= 10 < first, "large arrays do not use memory again"
wide = []
thread = threading.Thread(target=lambda: wide.append(mg.ones(50_000_000)))
thread.start()
thread.join()
assert wide[0].sum().item() == 50_000_000, "more than a thread's own heap holds"
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc's allocator")
def test_a_large_array_uses_freed_memory_again():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
