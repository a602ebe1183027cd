"""How long OpenBLAS's threads wait for work, which is said before NumPy loads it."""

import os
import sys

VARIABLE = "OPENBLAS_THREAD_TIMEOUT"
LOG2_TICKS = 20  # of the processor's time stamp counter: about 0.3 ms


class ShortWaits:
    """Within a ``with`` block that imports NumPy first: OpenBLAS's threads wait in a loop for 0.3 ms, not for 0.1 s.

    In the loop they keep a core busy that threads of minigrad need after a product; where products come close upon
    each other, as in small networks, 0.3 ms bridge the gap. The user's own OPENBLAS_THREAD_TIMEOUT stays. Where NumPy
    was imported before, OpenBLAS has read its variables and nothing is done.
    """

    def __enter__(self):
        self.ours = VARIABLE not in os.environ and "numpy" not in sys.modules
        if self.ours:
            os.environ[VARIABLE] = str(LOG2_TICKS)

    def __exit__(self, *error):
        if self.ours:
            del os.environ[VARIABLE]
