"""A program of three RPC workers gives the same numbers on PyTorch and on minigrad."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

PROGRAM = Path(__file__).with_name("rpc_program.py")
ROOT = PROGRAM.parents[2]


def printed(*command):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", *command, str(PROGRAM), str(port)],
        capture_output=True, text=True, timeout=120, env=environment, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(next(line for line in result.stdout.splitlines() if line.startswith("{")))


@pytest.mark.skipif(not torch.distributed.rpc.is_available(), reason="this PyTorch has no RPC")
def test_the_program_prints_the_same_numbers():
    ours, theirs = printed("-m", "minigrad.compat"), printed()
    assert ours["errors"] == theirs["errors"]
    assert ours["module"][0] < 1e-5 and theirs["module"][0] < 1e-5
    for part in ("server", "model"):
        np.testing.assert_allclose(ours[part], theirs[part], rtol=2e-4, atol=1e-5, err_msg=part)
