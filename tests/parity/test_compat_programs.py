"""What tests/compat/programs/expected.json says is what PyTorch prints."""

import pytest

pytest.importorskip("torch")

from tests.compat.test_programs import EXPECTED, assert_same_text, run_all  # noqa: E402


def test_expected_texts_are_pytorchs():
    printed = run_all("-W", "ignore")
    assert set(printed) == set(EXPECTED)
    for name, text in printed.items():
        assert_same_text(text, EXPECTED[name])
