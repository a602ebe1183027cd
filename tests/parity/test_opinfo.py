"""PyTorch's operator database against minigrad: see tests/parity/opinfo.py, whose command line gives the details."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # torch.testing._internal needs it

import minigrad  # noqa: E402
from tests.parity.convert import Unsupported  # noqa: E402
from tests.parity.opinfo import Checker, find, op_db, operator_name  # noqa: E402

# Intended differences: operator -> (checks that differ, why). An entry that differs no longer fails.
KNOWN_DIFFERENCES = {
    **dict.fromkeys(("H", "conj", "mH"), ({"view"}, "conjugates are computed at once, not when they are read")),
    "logcumsumexp": ({"error", "grad"}, "not for complex numbers"),
    "as_strided_scatter": ({"grad"}, "PyTorch gives the input the gradient of the elements that were replaced"),
    "grid_sampler_2d": ({"value"}, "float16 bicubic: both round the coordinates, differently"),
    "linalg.norm/subgradients_at_zero": ({"gradgrad"}, "0, not NaN, at the zero vector"),
    **{
        f"special.{name}": ({"value"}, "PyTorch's float64 values are right to six digits only")
        for name in ("airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1")
    },
}


def present():
    for op in op_db:
        try:
            find(minigrad, op)
        except Unsupported:
            continue
        yield op


OPERATORS = list(present())
DTYPES = ("float32", "float64", "int64", "float16", "bool", "complex64", "complex128")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("op", OPERATORS, ids=operator_name)
def test_operator(op):
    """Values, dtypes, views, variants, out=, gradients to second order and errors agree with PyTorch."""
    report = Checker(op, minigrad, dtypes=DTYPES, max_samples=4, seconds=20.0).run()
    checks, reason = KNOWN_DIFFERENCES.get(operator_name(op), ((), ""))
    unexpected = [str(mismatch) for mismatch in report.mismatches if mismatch.check not in checks]
    assert not unexpected, "\n".join(unexpected[:20])
    for check in checks:
        assert any(mismatch.check == check for mismatch in report.mismatches), (
            f"{check} agrees now; it was said: {reason}"
        )


def test_known_differences_name_operators():
    assert set(KNOWN_DIFFERENCES) <= {operator_name(op) for op in OPERATORS}


def test_most_of_the_database_is_covered():
    """The tests above would be empty, not red, if operators went missing."""
    assert len(OPERATORS) >= 400
