"""Whose rounding layers of quantized tensors follow: ``engine``, "fbgemm" (servers) or "qnnpack" (phones).

Both have the same whole sums; "qnnpack" rounds the bias before it is added. "x86" rounds here as "fbgemm" does.

>>> import minigrad as mg
>>> mg.backends.quantized.engine
'fbgemm'
"""

import sys
import types

from minigrad.backend import QUANTIZED

supported_engines = ["qnnpack", "x86", "fbgemm"]


class _Module(types.ModuleType):
    @property
    def engine(self):
        return QUANTIZED.engine

    @engine.setter
    def engine(self, name):
        if name not in supported_engines:
            raise RuntimeError(f"quantized engine {name} is not supported: it is one of {', '.join(supported_engines)}")
        QUANTIZED.engine = name


sys.modules[__name__].__class__ = _Module
