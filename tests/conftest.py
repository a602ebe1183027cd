"""What every test shares: one BLAS thread, fixed seeds, a deterministic hypothesis profile."""
import os

# Small arrays only: several test processes with several BLAS threads each would fight over the cores.
# These are read when NumPy is first imported, hence before every other import.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# Figures are written to files, never shown.
os.environ.setdefault("MPLBACKEND", "agg")

import importlib.util  # noqa: E402
import random  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

try:
    import hypothesis
except ImportError:  # the GPU's tests do without it
    hypothesis = None
else:
    hypothesis.settings.register_profile(
        "minigrad",
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=50,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("minigrad")


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state, whichever tests ran before it."""
    import minigrad

    random.seed(0)
    np.random.seed(0)
    minigrad.manual_seed(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Without ml_dtypes, tests with arrays of bfloat16 are skipped: a GPU's machine may have CuPy alone."""
    try:
        return (yield)
    except ImportError as error:
        if importlib.util.find_spec("ml_dtypes") is None and "need ml_dtypes" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture
def rng():
    """A NumPy generator of the test's own."""
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_defaults_after():
    """A test that changes the default dtype or the grad mode and leaves it so fails itself, not the next one."""
    import minigrad

    before = minigrad.get_default_dtype(), minigrad.is_grad_enabled()
    yield
    after = minigrad.get_default_dtype(), minigrad.is_grad_enabled()
    if after != before:
        minigrad.set_default_dtype(before[0])
        minigrad.set_grad_enabled(before[1])
        pytest.fail(f"the test left the defaults (dtype, grad mode) at {after}, not {before}")


@pytest.fixture
def data_root():
    """The folder with real data sets: what MINIGRAD_DATA names; tests that need it are skipped without it."""
    root = os.environ.get("MINIGRAD_DATA")
    if not root:
        pytest.skip("MINIGRAD_DATA names no folder with data sets")
    return root
