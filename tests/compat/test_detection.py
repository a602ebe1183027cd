"""A program that trains torchvision's networks for objects of its own prints what it prints with torchvision 0.28."""
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXPECTED = """\
loss_box_reg loss_classifier loss_mask loss_objectness loss_rpn_box_reg
True
(3, 64, 64) torch.uint8
<All keys matched successfully>
2 boxes labels scores
5
18 5
bbox_ctrness bbox_regression classification
bbox_regression classification
(1, 22, 2)
MobileNet_V2_Weights.IMAGENET1K_V2 ResNet50_Weights.IMAGENET1K_V1 34014999
"""


def test_finetuning(tmp_path):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "minigrad.compat", HERE / "detection" / "finetuning.py", tmp_path],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == EXPECTED
