"""Anomaly detection: which operation made the first NaN."""

import traceback

from minigrad.backend import FLOAT_CODES, xp
from minigrad.variable import MODE


def _has_nan(array):
    return array.dtype.char in FLOAT_CODES and bool(xp(array).isnan(array).any())


class _Recorder:
    """Notes where every node was recorded, and the first one whose result has NaNs though its inputs have none."""

    def __init__(self, check_nan):
        self.check_nan = check_nan

    def __call__(self, node, out):
        node.traceback = "".join(traceback.format_stack(limit=12)[:-2])
        if not self.check_nan or MODE.first_nan is not None:
            return
        outputs = out if isinstance(out, tuple) else (out,)
        inputs = [value for value in node.saved or () if hasattr(value, "dtype") and hasattr(value, "flags")]
        if any(_has_nan(array) for array in outputs) and not any(_has_nan(array) for array in inputs):
            MODE.first_nan = (node.op.name, node.traceback)


class detect_anomaly:  # noqa: N801 - PyTorch's name
    """Raise in backward as soon as a gradient is NaN, naming the operation and where it was called.

    Where a NaN appeared in the forward pass already, the error names the operation that made the first one.
    Arguments: check_nan (bool; False: only note where operations were called). RuntimeError from backward.
    Source: https://docs.pytorch.org/docs/stable/autograd.html#anomaly-detection

    >>> import minigrad as mg
    >>> x = mg.tensor([0.0], requires_grad=True)
    >>> with mg.autograd.detect_anomaly():
    ...     y = (x.sqrt() * 0).sum()
    ...     try:
    ...         y.backward()
    ...     except RuntimeError as error:
    ...         print(str(error).splitlines()[0])
    Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan=True):
        self.check_nan = bool(check_nan)
        self._previous = []

    def _enable(self, enabled):
        MODE.on_record = _Recorder(self.check_nan) if enabled else None
        MODE.check_nan = enabled and self.check_nan
        MODE.first_nan = None

    def __enter__(self):
        self._previous.append((MODE.on_record, MODE.check_nan, MODE.first_nan))
        self._enable(True)
        return self

    def __exit__(self, *exception):
        MODE.on_record, MODE.check_nan, MODE.first_nan = self._previous.pop()


class set_detect_anomaly(detect_anomaly):  # noqa: N801
    """Switch anomaly detection on or off, at once as a function or for a block.

    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.set_detect_anomaly
    """

    def __init__(self, mode, check_nan=True):
        super().__init__(check_nan)
        self.mode = bool(mode)
        self._before = (MODE.on_record, MODE.check_nan, MODE.first_nan)
        self._enable(self.mode)

    def __enter__(self):
        self._previous.append(self._before)
        return self


def is_anomaly_enabled():
    """Return whether anomaly detection is on."""
    return isinstance(MODE.on_record, _Recorder)


def is_anomaly_check_nan_enabled():
    """Return whether gradients are checked for NaNs."""
    return MODE.check_nan or not is_anomaly_enabled()


