"""Results with named parts."""

import minigrad as mg


def test_they_print_one_part_per_line():
    found = mg.tensor([[3, 1]]).max(1)
    assert repr(found) == "minigrad.return_types.max(\nvalues=tensor([3]),\nindices=tensor([0]))"
    values, indices = found
    assert found[0] is values is found.values and indices.item() == 0


def test_names_of_factorisations():
    assert repr(mg.linalg.slogdet(mg.eye(2))).splitlines()[1] == "sign=tensor(1.),"
