"""Programs written for PyTorch print under minigrad.compat what they print under PyTorch (programs/expected.json)."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
EXPECTED = json.loads((HERE / "programs" / "expected.json").read_text(encoding="utf-8"))
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
GRAPH_NODE = re.compile(r",\s*grad_fn=<\w+>")  # one operation here can be another of PyTorch's


def run_all(*command):
    """Return {program: what it printed}, run by a command in one fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *command, str(HERE / "run_programs.py")],
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def assert_same_text(printed, expected):
    """Compare two texts: words and spaces exactly, numbers closely, the names of graph nodes not at all."""
    printed, expected = GRAPH_NODE.sub("", printed), GRAPH_NODE.sub("", expected)
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", expected).split()
    for mine, theirs in zip(NUMBER.findall(printed), NUMBER.findall(expected), strict=True):
        assert math.isclose(float(mine), float(theirs), rel_tol=2e-3, abs_tol=2e-4), (mine, theirs)


@pytest.fixture(scope="module")
def printed():
    return run_all("-m", "minigrad.compat")


@pytest.mark.parametrize("name", EXPECTED)
def test_program(name, printed):
    assert_same_text(printed[name], EXPECTED[name])


def test_every_program_is_expected(printed):
    assert set(printed) == set(EXPECTED)


def test_the_comparison_sees_differences():
    assert_same_text("loss 1.0001 tensor(2., grad_fn=<SumBackward0>)", "loss 1.0 tensor(2., grad_fn=<SumBackward1>)")
    for other in ("loss 1.1", "loss 1.0 more", "lost 1.0"):
        with pytest.raises(AssertionError):
            assert_same_text(other, "loss 1.0")
