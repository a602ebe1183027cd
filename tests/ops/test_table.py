"""Every op, to second order: values, dtypes, gradients against finite differences, strides, inputs left alone."""

import importlib
import pathlib
import pkgutil

import numpy as np
import pytest

import minigrad as mg
from minigrad.op import OPS
from minigrad.variable import MODE
from tests import ops as package


def _all_cases():
    """Return {op name: [Case]} of every cases_*.py beside this file."""
    table = {}
    for module in pkgutil.iter_modules([str(pathlib.Path(package.__file__).parent)]):
        if module.name.startswith("cases_"):
            cases = importlib.import_module(f"tests.ops.{module.name}").CASES
            assert not set(cases) & set(table), f"{module.name} repeats an op of another file"
            table.update(cases)
    return table


TABLE = _all_cases()
LINES = [pytest.param(name, case, id=f"{name}-{i}") for name, cases in TABLE.items() for i, case in enumerate(cases)]
DIFFERENTIABLE = [line for line in LINES if line.values[1].order > 0 and line.values[1].dtype == "float64"]


def outputs_of(result):
    """Return a case's results as a list of tensors."""
    return [result] if isinstance(result, mg.Tensor) else [out for out in result if isinstance(out, mg.Tensor)]


def tracked_outputs(result):
    """Return those results that have a gradient."""
    return [out for out in outputs_of(result) if out.requires_grad]


NEEDS_A_GPU = {"pin_memory"}  # tests/test_cuda_memory.py runs it


def test_every_registered_op_has_a_line():
    assert sorted(set(OPS) - set(TABLE) - NEEDS_A_GPU) == []
    assert sorted(set(TABLE) - set(OPS)) == []


@pytest.mark.parametrize("name, case", LINES)
def test_values(name, case):
    if case.reference is None:
        pytest.skip("no NumPy reference; compared with PyTorch in tests/parity")
    arrays = case.arrays()
    expected = case.reference(*arrays)
    results = outputs_of(case.run(*case.tensors()))
    for result, reference in zip(results, expected if isinstance(expected, tuple) else (expected,), strict=True):
        np.testing.assert_allclose(result.numpy(), reference, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name, case", LINES)
def test_inputs_are_left_alone_and_strides_do_not_matter(name, case):
    arrays = case.arrays()
    mg.manual_seed(1)
    plain = outputs_of(case.run(*[mg.from_numpy(array.copy()) for array in arrays]))
    inputs = [mg.from_numpy(array.copy()) for array in arrays]
    mg.manual_seed(1)
    case.run(*inputs)
    for tensor, array in zip(inputs, arrays, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)
    # The same values, every element two apart and the dimensions in reverse order in memory.
    strided = []
    for array in arrays:
        memory = np.zeros((*array.shape[::-1], 2), array.dtype)
        view = memory[..., 0].T
        view[...] = array
        strided.append(mg.from_numpy(view))
    mg.manual_seed(1)
    for first, second in zip(plain, outputs_of(case.run(*strided)), strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name, case", DIFFERENTIABLE)
def test_float32_stays_float32(name, case):
    if name == "cast":
        pytest.skip("the op that changes dtypes")
    inputs = case.tensors("float32", requires_grad=True)
    results = outputs_of(case.run(*inputs))
    assert all(out.dtype in (mg.float32, mg.int64, mg.bool) for out in results), [out.dtype for out in results]
    tracked = tracked_outputs(results)
    widest = []
    MODE.on_record = lambda node, out: widest.extend(
        node.op.name for part in (out if isinstance(out, tuple) else (out,)) if part.dtype == np.float64
    )
    try:
        gradients = mg.autograd.grad(
            tracked, inputs, [mg.ones_like(t) for t in tracked], create_graph=True, allow_unused=True
        )
    finally:
        MODE.on_record = None
    assert not widest, f"float64 inside the gradient: {widest}"
    assert all(g is None or g.dtype == mg.float32 for g in gradients)
    plain = mg.autograd.grad(tracked, inputs, [mg.ones_like(t) for t in tracked], allow_unused=True)
    for one, other in zip(gradients, plain, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert other.dtype == mg.float32
            np.testing.assert_allclose(one.detach().numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name, case", DIFFERENTIABLE)
def test_first_and_second_derivative(name, case):
    """Finite differences at float64; the op itself must have been recorded on the way."""
    recorded = set()
    inputs = case.tensors(requires_grad=True)

    def run(*tensors):
        mg.manual_seed(3)
        return tuple(tracked_outputs(case.run(*tensors)))

    MODE.on_record = lambda node, out: recorded.add(node.op.name)
    try:
        assert run(*inputs), "no output of the case requires grad: set order=0 if that is right"
        assert mg.autograd.gradcheck(run, inputs)
        if case.order > 1:
            assert mg.autograd.gradgradcheck(run, inputs)
    finally:
        MODE.on_record = None
    assert name in recorded, f"the case never ran {name}; it ran {sorted(recorded)}"
