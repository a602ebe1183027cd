"""Numerical properties of dtypes: finfo and iinfo."""

from minigrad.backend import as_dtype, float_limits, get_default_dtype, np


class finfo:  # noqa: N801 - PyTorch's name
    """Properties of a floating-point dtype: bits, eps, max, min, tiny, smallest_normal, resolution, dtype.

    TypeError for a dtype that is not floating point.
    Source: https://docs.pytorch.org/docs/stable/type_info.html

    >>> import minigrad as mg
    >>> mg.finfo(mg.float16).max
    65504.0
    """

    def __init__(self, type=None):  # noqa: A002 - PyTorch's name
        chosen = get_default_dtype() if type is None else as_dtype(type)
        if not (chosen.is_floating_point or chosen.is_complex):
            raise TypeError(f"finfo() requires a floating point input type, but got {chosen}. Use iinfo to handle it")
        limits = float_limits(chosen)
        self.bits = limits.bits
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = float(f"{float(limits.resolution):.0e}")  # 0.001, not its nearest float16
        self.dtype = chosen.to_real().name

    def __repr__(self):
        values = ", ".join(
            f"{name}={getattr(self, name):g}" for name in ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        )
        return f"finfo({values}, dtype={self.dtype})"


class iinfo:  # noqa: N801 - PyTorch's name
    """Properties of an integer dtype: bits, max, min, dtype. TypeError for any other dtype.

    >>> import minigrad as mg
    >>> mg.iinfo(mg.uint8).max
    255
    """

    def __init__(self, type):  # noqa: A002 - PyTorch's name
        chosen = as_dtype(type)
        if chosen.dtype.kind not in "iu":
            raise TypeError(f"iinfo() requires an integer input type, but got {chosen}. Use finfo to handle it")
        limits = np.iinfo(chosen.dtype)
        self.bits, self.max, self.min, self.dtype = limits.bits, int(limits.max), int(limits.min), chosen.name

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
