"""What the tests of the networks share."""
import pytest

from minigrad.nn import init


@pytest.fixture
def undrawn():
    """Build networks without drawing random weights.

    Their memory is never touched, so that VGG-16 with its 138 million parameters is there in milliseconds and occupies
    nothing: for tests of names, shapes and counts. The values are arbitrary.
    """
    with init.paused():
        yield
