"""The same programs of several processes on PyTorch's gloo and on minigrad."""

import numbers

import pytest

from tests import distributed_programs as programs

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="PyTorch has no gloo here")

PROGRAMS = {
    2: "reductions exchanges points errors data_parallel branches",
    3: "reductions exchanges points groups data_parallel uneven",
}


@pytest.fixture(scope="module", params=PROGRAMS)
def both(request, tmp_path_factory):
    """What PyTorch's ranks and minigrad's see."""
    count = request.param
    return [
        programs.ranks(PROGRAMS[count], count, tmp_path_factory.mktemp(library), library)
        for library in ("torch", "minigrad")
    ]


def close(theirs, ours):
    """Whether nested results are the same, floats to 1e-4."""
    if isinstance(theirs, (list, tuple)):
        return len(theirs) == len(ours) and all(map(close, theirs, ours))
    if isinstance(theirs, dict):
        return theirs.keys() == ours.keys() and all(close(theirs[key], ours[key]) for key in theirs)
    if isinstance(theirs, numbers.Real) and not isinstance(theirs, bool):
        return abs(theirs - ours) <= 1e-4 * max(1, abs(theirs))
    return theirs == ours


@pytest.mark.parametrize("program", sorted({name for names in PROGRAMS.values() for name in names.split()}))
def test_programs_of_several_processes(both, program):
    theirs, ours = both
    if program not in theirs:
        pytest.skip("runs with the other number of ranks")
    for rank, (expected, got) in enumerate(zip(theirs[program], ours[program], strict=True)):
        wrong = {name: (expected[name], got.get(name)) for name in expected if not close(expected[name], got.get(name))}
        assert wrong == {}, f"rank {rank}"
        assert expected.keys() == got.keys()
