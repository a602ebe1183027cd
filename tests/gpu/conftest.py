"""GPU code with a GPU and without one: the fixture `gpu` is CuPy, or its stand-in whose kernels g++ compiles."""
import pytest

from minigrad.backend import cuda_is_available, cupy_module
from tests import fake_cupy


@pytest.fixture(scope="module")
def gpu():
    """The array module of GPU arrays: ``gpu.asarray(host)`` puts an array there, ``array.get()`` brings it back."""
    if cuda_is_available():
        yield cupy_module()
        return
    with fake_cupy.installed():
        yield cupy_module()
