"""What minigrad does not have says so, and what to use instead."""

import pytest

import minigrad as mg
from minigrad.absent import ABSENT, reason_of


@pytest.mark.parametrize("path", ABSENT)
def test_absent_names_say_why(path):
    owner, _, name = path.rpartition(".")
    holder = mg
    for part in owner.split(".") if owner else ():
        holder = getattr(holder, part, None)
        if holder is None:
            pytest.skip(f"{owner} is absent itself")
    with pytest.raises(AttributeError, match=f"no attribute '{name}': .*[a-z]"):
        getattr(holder, name)
    assert not hasattr(mg.ones(1) if holder is mg.Tensor else holder, name)
    assert reason_of(f"{path}.anything_in_it") == ABSENT[path]


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'$"):
        mg.no_such_name  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'interpolation'$"):
        mg.interpolation  # noqa: B018
    with pytest.raises(AttributeError, match="use int8 or uint8"):
        mg.uint3  # noqa: B018


@pytest.mark.parametrize(
    ("module", "name", "end"),
    [
        (mg, "sofmax", "no attribute 'sofmax'. Did you mean: 'softmax'?"),
        (mg, "longtensor", "no attribute 'longtensor'. Did you mean: 'LongTensor'?"),
        (mg.optim, "ADAM", "no attribute 'ADAM'"),  # Python's own traceback adds: Did you mean: 'Adam'?
        (mg.optim, "SDG", "no attribute 'SDG'"),
        (mg.nn.functional, "RELU", "no attribute 'RELU'"),
        (mg, "AVG", "it is a part of PyTorch's inside; use the public function of that meaning"),
    ],
)
def test_misspelt_names_are_not_called_absent(module, name, end):
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert str(caught.value).endswith(end)
