"""docs/recipes.md: every program runs after the first one and does what the page says."""

import re
from pathlib import Path

import pytest

import minigrad as mg
from minigrad import recipes

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FIRST, *OTHERS = BLOCKS


def accuracy(names):
    return recipes.topk_accuracy(*names["predict"](names["model"]))


# A word of the program -> what holds after it.
CHECKS = {
    "l1_penalty": lambda names: mg.nn.utils.l1_penalty(names["weights"]).item() < names["before"],
    "weight_decay": lambda names: [len(group["params"]) for group in names["optimizer"].param_groups] == [3, 4],
    "PlainDropout": lambda names: names["plain"](names["x"]).mean().item() == pytest.approx(0.6),
    "MixUp": lambda names: names["y"].shape == (32, 4) and names["y"].sum().item() == pytest.approx(32),
    "replace_head": lambda names: accuracy(names) > 0.9 and names["model"][4] is names["head"],
    "layer_decay": lambda names: names["model"][0][1].training is False,
    "EarlyStopping": lambda names: names["stopping"].stopped and accuracy(names) == names["stopping"].best,
    "SWALR": lambda names: names["optimizer"].param_groups[0]["lr"] == pytest.approx(0.02),
    "ema": lambda names: int(names["moving"].n_averaged) == 20,
    "Ensemble": lambda names: recipes.topk_accuracy(*names["predict"](names["ensemble"])) > 0.9,
    "Snapshots": lambda names: len(names["snapshots"]) == 3,
    "confusion": lambda names: names["top1"] > 0.9,
    "best_thresholds": lambda names: names["decisions"].shape == (50, 3),
    "mean_interval": lambda names: names["result"].mean > 90,
}


@pytest.fixture(scope="module")
def prepared():
    """The first program, compiled once."""
    return compile(FIRST, "docs/recipes.md", "exec")


@pytest.mark.parametrize(("word", "block"), list(zip(CHECKS, OTHERS, strict=True)), ids=list(CHECKS))
def test_program(word, block, prepared):
    assert word in block
    names = {}
    exec(prepared, names)
    assert accuracy(names) > 0.9
    exec(compile(block, "docs/recipes.md", "exec"), names)
    assert CHECKS[word](names)


def test_the_page_names_every_recipe():
    missing = [name for name in recipes.__all__ if name not in PAGE]
    assert missing == ["Interval", "t_quantile"]  # what mean_interval returns and uses
