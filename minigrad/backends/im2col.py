"""The plain convolution, im2col of the whole batch and one matrix product, in place of all faster ones.

``enabled`` (default False) may be set; ``flags(enabled=True)`` sets it within a ``with`` block, in all threads. It is
slower and takes memory for the columns of the whole batch: the reference that the others are compared with.

>>> import minigrad as mg
>>> x, w = mg.rand(2, 3, 5, 5), mg.rand(4, 3, 3, 3)
>>> with mg.backends.im2col.flags(enabled=True):
...     reference = mg.nn.functional.conv2d(x, w)
>>> mg.allclose(reference, mg.nn.functional.conv2d(x, w), atol=1e-4)
True
"""

from minigrad.backends.switch import make_switch

make_switch(__name__, "plain")
