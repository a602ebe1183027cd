"""Cases of the ops between complex tensors and pairs of real ones: real in, real out, complex in between."""

import numpy as np

import minigrad as mg
from tests.ops.table import case

CASES = {
    "complex": [
        case(
            lambda a, b: mg.view_as_real(mg.complex(a, b)),
            (2, 3),
            (3,),
            reference=lambda a, b: np.stack([a, a * 0 + b], -1),
        )
    ],
    "real": [case(lambda a, b: mg.complex(a, b).real * 2, (2, 3), (2, 3), reference=lambda a, b: a * 2)],
    "imag": [case(lambda a, b: mg.complex(a, b).imag * 3, (2, 3), (2, 3), reference=lambda a, b: b * 3)],
    "conj": [case(lambda a, b: mg.complex(a, b).conj().imag * b, (2, 3), (2, 3), reference=lambda a, b: -b * b)],
    "phase": [
        case(
            lambda a, b: mg.view_as_real(mg.sgn(mg.complex(a, b))), (4,), (4,),
            reference=lambda a, b: np.stack([a, b], -1) / np.hypot(a, b)[:, None],
        ),
        case(lambda a, b: mg.complex(a, b).abs(), (4,), (4,), reference=np.hypot),
    ],
    "view_as_real": [
        case(lambda x: mg.view_as_real(mg.view_as_complex(x.contiguous())), (3, 2), reference=lambda x: x)
    ],
    "view_as_complex": [case(lambda x: mg.view_as_complex(x.contiguous()).imag, (3, 2), reference=lambda x: x[:, 1])],
}  # fmt: skip
