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


@pytest.fixture
def undrawn_pictures(monkeypatch):
    """Let training runs leave empty pictures: drawing them takes longer than training the tests' small networks."""
    from models.commands import plots

    for name in ("training_curve", "prediction_grid"):
        monkeypatch.setattr(plots, name, lambda *args: next(a for a in args if hasattr(a, "touch")).touch())
