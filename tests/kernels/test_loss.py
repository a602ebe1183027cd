"""Losses of class indices on raw arrays: the check of the targets."""
import pytest

from minigrad.backend import np
from minigrad.kernels import loss


@pytest.mark.parametrize("count", [0, 1, loss.FEW, loss.FEW + 1, 300])
@pytest.mark.parametrize("dtype", ["int64", "uint8"])
def test_beyond_finds_one_wrong_target_among_few_and_many(count, dtype):
    target = (np.arange(count) % 5).astype(dtype).reshape(-1, 1)
    assert not loss.beyond(target, 5)
    for wrong in [5, -1, -100, 2**40, -(2**63)] if dtype == "int64" else [5, 255]:
        for place in {0, count // 2, count - 1} if count else ():
            bad = target.copy()
            bad[place] = wrong
            assert loss.beyond(bad, 5), (wrong, place)
