"""PyTorch's database of layers against minigrad: tests/parity/moduleinfo.py as a command gives the details."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # torch.testing._internal needs it

import minigrad  # noqa: E402
from tests.parity.moduleinfo import LayerChecker, every_info  # noqa: E402

LAYERS = dict(every_info())

# Intended differences: layer -> (checks that differ, why). An entry that differs no longer fails.
KNOWN_DIFFERENCES = {}

# Layers that PyTorch has and minigrad does not.
ABSENT = set()


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    """Construction, state, forward, gradients, modes, copies, initialisation and errors agree with PyTorch."""
    report = LayerChecker(name, LAYERS[name], minigrad, max_samples=6, seconds=20.0).run()
    if name in ABSENT:
        assert report.status == "absent", f"{name} is there now: take it out of ABSENT"
        return
    assert report.status != "absent", f"{name} is gone"
    checks, reason = KNOWN_DIFFERENCES.get(name, ((), ""))
    unexpected = [str(mismatch) for mismatch in report.mismatches if mismatch.check not in checks]
    assert not unexpected, "\n".join(unexpected[:20])
    for check in checks:
        assert any(mismatch.check == check for mismatch in report.mismatches), (
            f"{check} agrees now; it was said: {reason}"
        )
