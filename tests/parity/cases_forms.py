"""Ways to give the same argument: keywords, NumPy's numbers, negative, repeated and wrong dimensions."""

import numpy as np

from tests.parity.claimed import ALL, COMPLEX, Spec, calls

DIMS = [(), (0,), (-1,), (np.int64(0),), {"dim": -1}, {"dim": 0, "keepdim": True}, (5,), (-5,), ("a",), (1.0,), (None,)]
VALID = DIMS[1:6]
MANY = [*DIMS, ((0, -1),), ([0],), ((),), ((0, 0),), ((0, 5),), {"dim": (-1,), "keepdim": True}]
ONE = [*DIMS, ((0, 1),)]
KINDS = [*ALL, *COMPLEX, Spec((2, 3, 2), "float64", "transposed"), Spec((2, 0, 3))]

CASES = {
    f"forms of {name}": calls(name, *lists, inputs=KINDS)
    for names, lists in (
        ("sum count_nonzero", MANY),
        ("cumsum cumprod softmax", ONE),
        ("mean amax amin argmax sort std var any all", VALID),
        ("squeeze unsqueeze", [(0,), (-1,), (np.int64(0),), (5,), ("a",), (1.0,), ((0,),), ((0, -1),)]),
        ("transpose movedim", [(0, 1), (-1, 0), (0, 5), (np.int64(0), -1), (0,), ("a", 0)]),
        ("reshape", [((-1,),), ((3, -1),), ((np.int64(3), -1),), ((-1, -1),), ((7,),), ((2.0,),)]),
        ("narrow", [(0, 0, 1), (-1, 0, 2), (0, -1, 1), (0, 0, 9), (5, 0, 1), (0, np.int64(0), 1), (0, 1.0, 1)]),
        ("chunk split", [(2,), (1, -1), (0,), (-1,), (2, 5), (np.int64(2), 0)][:5]),
        ("roll", [(1,), (1, 0), ((1, 2), (0, -1)), (-1, -1), (1, 5), ((1, 2), 0), (1.5,)]),
        ("repeat_interleave", [(2,), (2, 0), (2, -1), (0,), (-1,), (2, 5), (1.5,)]),
        ("clamp", [(np.float32(-1), np.float64(1)), (np.int64(0),), ("a",), (0, None), (None, None)]),
        (
            "add sub mul div pow",
            [
                (np.float64(2),),
                (np.int32(2),),
                (np.float32(0.5),),
                (True,),
                ("a",),
                (None,),
                ([1],),
                (2**40,),
                (float("nan"),),
            ],
        ),
    )
    for name in names.split()
}
