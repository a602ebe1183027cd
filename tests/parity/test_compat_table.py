"""docs/compat.md says what is there: it is written from PyTorch's names and minigrad's."""

import pytest

torch = pytest.importorskip("torch")

from minigrad.compat.different import DIFFERENT  # noqa: E402
from tests.parity import compat_table  # noqa: E402


def test_the_table_is_up_to_date():
    if not torch.__version__.startswith("2.13"):
        pytest.skip("the table is PyTorch 2.13's")
    written = compat_table.PATH.read_text(encoding="utf-8")
    assert written == compat_table.text(), "run python -m tests.parity.compat_table"


@pytest.mark.parametrize("path", sorted(DIFFERENT))
def test_what_differs_is_there(path):
    theirs = path.replace("torchvision.models", "models").replace("torchvision", "minigrad.vision")
    assert compat_table.find(theirs.replace("torch.", "minigrad.", 1)) is not None
