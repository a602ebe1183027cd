"""What minigrad does not have says so, and what to use instead."""

import pytest

import minigrad as mg
from minigrad.absent import ABSENT


@pytest.mark.parametrize("name", ABSENT)
def test_absent_names_say_what_to_use(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}': .*[a-z]"):
        getattr(mg, name)
    assert not hasattr(mg, name)


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'$"):
        mg.no_such_name  # noqa: B018
