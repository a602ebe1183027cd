"""What tests of kernels share."""

import pytest

from minigrad.backend import get_num_threads, set_num_threads


@pytest.fixture(params=[1, 2, 3])
def thread_count(request):
    """Run the test with so many threads: alone, as tests usually run, and with more than the pieces divide by."""
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)
