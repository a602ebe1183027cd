"""OpenBLAS is told how long its threads wait, before NumPy loads it, and nobody else is."""
import os
import subprocess
import sys

from minigrad.backend.waiting import VARIABLE, ShortWaits


def test_the_variable_is_set_while_numpy_is_imported(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "numpy")
    with ShortWaits():
        assert os.environ[VARIABLE] == "20"
    assert VARIABLE not in os.environ


def test_a_users_variable_stays(monkeypatch):
    monkeypatch.setenv(VARIABLE, "26")
    monkeypatch.delitem(sys.modules, "numpy")
    with ShortWaits():
        assert os.environ[VARIABLE] == "26"
    assert os.environ[VARIABLE] == "26"


def test_nothing_is_set_where_numpy_is_loaded(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with ShortWaits():
        assert VARIABLE not in os.environ


def test_importing_minigrad_leaves_the_environment_alone():
    """NumPy is first imported in minigrad, with the variable set; child processes do not inherit it."""
    code = f"""
import importlib.abc, os, sys
seen = []
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            seen.append(os.environ.get("{VARIABLE}"))
sys.meta_path.insert(0, Watch())
before = dict(os.environ)
import minigrad
assert seen == ["20"], seen
assert dict(os.environ) == before
"""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
