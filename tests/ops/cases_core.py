"""Cases of cast, broadcast_to / sum_to and of the ops behind in-place writes to views."""

import numpy as np

import minigrad as mg
from minigrad import inplace
from minigrad.op import OPS
from tests.ops.table import case

POSITIONS = [[0, 4], [7, 2]]
REPEATED = [[0, 4], [4, 4]]

CASES = {
    "cast": [case(lambda x: OPS["cast"](x, dtype=np.dtype("float64")), (3, 2))],
    "broadcast_to": [
        case(
            lambda x: OPS["broadcast_to"](x, shape=(4, 3, 2)), (3, 1), reference=lambda x: np.broadcast_to(x, (4, 3, 2))
        ),
        case(lambda x: OPS["broadcast_to"](x, shape=(2, 3)), ()),
    ],
    "sum_to": [
        case(lambda x: OPS["sum_to"](x, shape=(3, 1)), (4, 3, 2), reference=lambda x: x.sum((0, 2)).reshape(3, 1)),
        case(lambda x: OPS["sum_to"](x, shape=()), (3, 2), reference=np.sum),
    ],
    "read_positions": [
        case(
            lambda x: inplace.read_positions(x, mg.tensor(POSITIONS)),
            (3, 3),
            reference=lambda x: x.ravel()[np.array(POSITIONS)],
        ),
        case(lambda x: inplace.read_positions(x, mg.tensor(REPEATED)), (3, 3)),
    ],
    "add_positions": [case(lambda g: inplace.add_positions(g, mg.tensor(REPEATED), shape=(3, 3)), (2, 2))],
    "clear_positions": [case(lambda x: inplace.clear_positions(x, mg.tensor(POSITIONS)), (3, 3))],
    "overwrite_positions": [case(lambda x, v: inplace.overwrite_positions(x, v, mg.tensor(POSITIONS)), (3, 3), (2, 2))],
}
