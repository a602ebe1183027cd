"""Dispatch to __torch_function__: nothing changes before it is asked for, and functions stay what they were."""

import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
from minigrad import overrides


class Tagged(mg.Tensor):
    """A subclass, so that functions dispatch."""


def test_functions_are_left_alone_until_the_first_subclass():
    code = """
import types
import minigrad as mg
class Layer(mg.nn.Module): pass
class Own(mg.nn.Parameter): pass
before = mg.add, mg.Tensor.add, mg.nn.functional.relu
assert isinstance(before[2], types.FunctionType) and not hasattr(mg.Tensor, "__torch_function__")
class Sub(mg.Tensor): pass
after = mg.add, mg.Tensor.add, mg.nn.functional.relu
assert all(a is not b and a == b and hash(a) == hash(b) and a.__name__ == b.__name__ for a, b in zip(after, before))
assert type(Own(mg.ones(2)) * 2) is mg.Variable
"""
    root = Path(__file__).resolve().parent.parent
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=root, check=True)


def test_dispatching_functions_are_functions():
    relu = mg.nn.functional.relu
    assert copy.copy(relu) is relu and copy.deepcopy(relu) is relu and pickle.loads(pickle.dumps(relu)) == relu
    assert "input" in inspect.signature(relu).parameters and "relu" in repr(relu) and relu.__doc__
    assert mg.Tensor.add == mg.Tensor.__add__ and mg.Tensor.mul != mg.Tensor.add
    assert overrides.resolve_name(print) is None


def test_what_can_be_overridden():
    found = overrides.get_overridable_functions()
    assert mg.add in found[mg] and mg.Tensor.add in found[mg.Tensor]
    assert mg.nn.functional.relu in found[mg.nn.functional]
    ignored = overrides.get_ignored_functions()
    assert mg.is_tensor in ignored and mg.add not in ignored


def test_arguments_that_were_returned_stay_what_they_are():
    plain, tagged = mg.ones(2), mg.zeros(2).as_subclass(Tagged)
    result = mg.broadcast_tensors(plain, tagged)
    assert type(plain) is mg.Tensor and all(isinstance(part, Tagged) for part in result)


def test_iterating_over_a_scalar():
    with pytest.raises(TypeError, match="0-d"):
        iter(mg.tensor(1.0))


def test_a_mode_without_a_method_says_so():
    with pytest.raises(NotImplementedError, match="__torch_function__"), overrides.TorchFunctionMode():
        mg.ones(2)
    assert mg.ones(2).sum() == 2
