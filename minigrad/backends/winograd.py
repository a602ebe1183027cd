"""Winograd's algorithm for float32 3x3 and 5x5 convolutions on the CPU: fewer multiplications, somewhat more rounding.

``enabled`` (default True) may be set; ``flags(enabled=False)`` sets it within a ``with`` block, in all threads.
float64 and float16 never use it. What it does to the error: docs/performance.md.

>>> import minigrad as mg
>>> mg.backends.winograd.enabled
True
>>> with mg.backends.winograd.flags(enabled=False):
...     y = mg.nn.functional.conv2d(mg.ones(1, 1, 4, 4), mg.ones(1, 1, 3, 3))
>>> y[0, 0]
tensor([[9., 9.],
        [9., 9.]])
"""

from minigrad.backends.switch import make_switch

make_switch(__name__, "winograd")
