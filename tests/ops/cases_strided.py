"""Cases of as_strided, its gradient, and of angles."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case

VIEW = ((2, 3), (1, 2), 1)
SOURCE = ((3, 3), (3, 1), 0)

CASES = {
    # Which elements as_strided shows depends on how the input lies in memory, hence contiguous().
    "as_strided": [
        case(
            lambda x: mg.as_strided(x.contiguous(), (2, 3), (1, 2), 1),
            (3, 3),
            reference=lambda x: x.ravel()[np.array([[1, 3, 5], [2, 4, 6]])],
        ),
        case(
            lambda x: x.contiguous().as_strided((4, 3), (2, 1)),
            (9,),
            reference=lambda x: x[np.arange(4)[:, None] * 2 + np.arange(3)],
        ),
        case(lambda x: mg.as_strided(x.contiguous()[1], (2, 2), (0, 1)), (3, 3)),
    ],
    "regather": [
        case(lambda g: OPS["regather"](g, written=VIEW, read=SOURCE, source=SOURCE), (2, 3)),
        case(lambda g: OPS["regather"](g, written=SOURCE, read=VIEW, source=((2, 3), (0, 1), 0)), (3, 3)),
    ],
    "angle": [case(mg.angle, (4, 3), reference=lambda x: np.where(x < 0, np.pi, 0.0))],
}
