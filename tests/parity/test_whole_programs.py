"""Ten whole programs in PyTorch's style, run by PyTorch and by minigrad from the same weights: equal losses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py") if path.stem != "common")
TOLERANCE = 1e-4  # of the loss, or of 1 where that is larger; what is seen is below 1e-5


def losses(command, name, out):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    script = str(PROGRAMS / f"{name}.py")
    result = subprocess.run(
        [sys.executable, *command, script, "--out", str(out)],
        cwd=out.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(out.read_text(encoding="utf-8")), result.stdout


def test_there_are_ten():
    assert len(NAMES) == 10


@pytest.mark.parametrize("name", NAMES)
def test_the_losses_are_equal(name, tmp_path):
    expected, expected_text = losses([], name, tmp_path / "torch.json")
    found, text = losses(["-m", "minigrad.compat"], name, tmp_path / "minigrad.json")
    assert len(found) == len(expected) >= 20
    assert len(set(expected)) > len(expected) / 2  # the program does train
    worst = max(abs(a - b) / max(1, abs(a)) for a, b in zip(expected, found))
    assert worst < TOLERANCE, worst
    assert first_lines(text) == first_lines(expected_text)  # samples, accuracies


def first_lines(text):
    return [line for line in text.splitlines() if not line.startswith("step ")]
