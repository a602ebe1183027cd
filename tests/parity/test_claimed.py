"""Every name that minigrad shares with PyTorch is compared with it, here or in another parity test."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # torch.testing._internal needs it

import minigrad  # noqa: E402
from tests.parity import cases_functions  # noqa: E402
from tests.parity.claimed import check  # noqa: E402

CASES = {**cases_functions.CASES}


@pytest.mark.parametrize("name", CASES)
def test_name(name):
    assert CASES[name], "no cases"
    lines = check(CASES[name], minigrad)
    assert not lines, f"{len(lines)} of {len(CASES[name])} differ\n" + "\n".join(lines[:20])
