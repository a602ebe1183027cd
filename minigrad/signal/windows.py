"""Windows of signals under PyTorch's names (torch.signal.windows).

Source: https://docs.pytorch.org/docs/stable/signal.html
"""

from minigrad.absent import getter
from minigrad.ops.windows import WINDOWS

globals().update(WINDOWS)

__all__ = list(WINDOWS)  # noqa: PLE0605 - names of functions made in ops/


__getattr__ = getter(__name__)
