"""What minigrad tells the process before NumPy is loaded."""

import os
import subprocess
import sys

import pytest

from minigrad.backend import process

ZEN5 = """vendor_id\t: AuthenticAMD
cpu family\t: 26
flags\t\t: fpu avx2 avx512f avx512dq avx512bw avx512vl

vendor_id\t: the next core's
"""


@pytest.mark.parametrize(
    ("cpuinfo", "chosen"),
    [
        (ZEN5, "SkylakeX"),
        (ZEN5.replace(": 26", ": 25"), None),  # OpenBLAS knows Zen 4
        (ZEN5.replace("AuthenticAMD", "GenuineIntel"), None),
        (ZEN5.replace("avx512f ", ""), None),
        ("processor : 0\nmodel : arm\n", None),
        ("", None),
    ],
)
def test_avx512_kernels_are_chosen_for_a_processor_that_openblas_takes_for_an_older_one(
    cpuinfo, chosen, tmp_path, monkeypatch
):
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    monkeypatch.delitem(sys.modules, "numpy")
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    process.choose_matrix_kernels(path)
    assert os.environ.get("OPENBLAS_CORETYPE") == chosen
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)


def test_the_users_own_choice_stays(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text(ZEN5)
    monkeypatch.delitem(sys.modules, "numpy")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    process.choose_matrix_kernels(path)
    assert os.environ["OPENBLAS_CORETYPE"] == "Haswell"


def test_nothing_changes_once_numpy_is_loaded_or_without_the_file(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text(ZEN5)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    process.choose_matrix_kernels(path)
    assert "OPENBLAS_CORETYPE" not in os.environ
    monkeypatch.delitem(sys.modules, "numpy")
    process.choose_matrix_kernels(tmp_path / "missing")
    assert "OPENBLAS_CORETYPE" not in os.environ


def test_the_choice_comes_before_numpy():
    program = """
import sys

class Watch:
    def find_spec(self, name, *_):
        if name == "numpy":
            print("minigrad.backend.process" in sys.modules)

sys.meta_path.insert(0, Watch())
import minigrad
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.split()[0] == "True", done.stderr


def test_keeping_freed_memory_asks_the_allocator_once_per_setting(monkeypatch):
    asked = []

    class Library:
        @staticmethod
        def mallopt(parameter, value):
            asked.append((parameter, value))

    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: Library)
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "0")
    process.keep_freed_memory()
    assert sorted(asked) == [(-3, 2**25), (-1, 2**30)]

    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: object())
    process.keep_freed_memory()  # no mallopt: nothing happens
