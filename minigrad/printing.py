"""How tensors are printed: PyTorch's format."""

import math

from minigrad.backend import get_default_device, get_default_dtype, np, to_numpy

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


class _Options:
    """What set_printoptions sets."""

    precision = 4
    threshold = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode = None


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """Set how tensors are printed.

    Arguments: precision (digits after the point), threshold (elements above which the middle is left out), edgeitems
    (elements kept at either end of a dimension then), linewidth (characters), profile ("default", "short" or "full"),
    sci_mode (True, False, or None: where the values call for it). ValueError for an unknown profile.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.set_printoptions.html

    >>> import minigrad as mg
    >>> mg.set_printoptions(precision=2)
    >>> mg.tensor([1.23456])
    tensor([1.23])
    >>> mg.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile must be one of {', '.join(_PROFILES)}, but got {profile!r}")
        for name, value in _PROFILES[profile].items():
            setattr(_Options, name, value)
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    for name, value in given.items():
        if value is not None:
            setattr(_Options, name, value)
    _Options.sci_mode = sci_mode


class _NumberFormat:
    """One width and notation for all numbers of a tensor."""

    def __init__(self, values):
        """values: the array whose numbers are to be shown."""
        self.is_float = values.dtype.kind == "f"
        self.integral, self.scientific, self.width = True, False, 1
        if not self.is_float:
            self.width = max([self.width, *[len(str(value)) for value in values.reshape(-1).tolist()]])
            return
        values = values.reshape(-1)
        values = values[np.isfinite(values) & (values != 0)]
        if values.size:
            self._choose(values.tolist())
        elif _Options.sci_mode is not None:
            self.scientific = _Options.sci_mode

    def _choose(self, numbers):
        """Choose integers, fixed point or scientific notation for finite numbers that are not zero."""
        sizes = [abs(number) for number in numbers]
        low, high = min(sizes), max(sizes)
        self.integral = all(number == math.floor(number) for number in numbers)
        wide = high / low > 1000.0 or high > 1.0e8
        wanted = _Options.sci_mode
        self.scientific = wide or (not self.integral and low < 1.0e-4) if wanted is None else wanted
        digits = _Options.precision
        if self.scientific:
            lengths = [len(f"{number:.{digits}e}") for number in numbers]
        elif self.integral:
            lengths = [len(f"{number:.0f}") + 1 for number in numbers]
        else:
            lengths = [len(f"{number:.{digits}f}") for number in numbers]
        self.width = max(self.width, *lengths)

    def __call__(self, value):
        if not self.is_float:
            text = str(value)
        elif self.scientific:
            text = f"{value:.{_Options.precision}e}"
        elif self.integral:
            text = f"{value:.0f}" + ("." if math.isfinite(value) else "")
        else:
            text = f"{value:.{_Options.precision}f}"
        return text.rjust(self.width)


class _ComplexFormat:
    """Formats of the real and the imaginary parts."""

    def __init__(self, values):
        self.real, self.imag = _NumberFormat(values.real), _NumberFormat(values.imag)
        self.width = self.real.width + self.imag.width + 1  # the j

    def __call__(self, value):
        imag = self.imag(value.imag).lstrip() + "j"
        sign = "" if imag[0] in "+-" else "+"
        return self.real(value.real) + sign + imag


def _edges(array):
    """Return the part of an array that is shown when its middle is left out."""
    keep = _Options.edgeitems
    for dim, length in enumerate(array.shape):
        if length > 2 * keep:
            shown = [*range(keep), *range(length - keep, length)]
            array = array.take(shown, axis=dim)
    return array


def _row(array, indent, summarise, form):
    """Return the text of a vector, broken into lines."""
    keep = _Options.edgeitems
    if summarise and not keep:
        cells = ["..."]
    elif summarise and array.size > 2 * keep:
        head, tail = array[:keep].tolist(), array[-keep:].tolist()
        cells = [*map(form, head), " ...", *map(form, tail)]
    else:
        cells = [form(value) for value in array.tolist()]
    count = max(1, (_Options.linewidth - indent) // (form.width + 2))
    lines = [", ".join(cells[start : start + count]) for start in range(0, len(cells), count)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(array, indent, summarise, form):
    """Return the text of an array as nested lists."""
    if array.ndim == 0:
        return form(array.item())
    if array.ndim == 1:
        return _row(array, indent, summarise, form)
    keep, length = _Options.edgeitems, array.shape[0]
    if summarise and length > 2 * keep:
        head = [_nested(array[i], indent + 1, summarise, form) for i in range(keep)]
        tail = [_nested(array[i], indent + 1, summarise, form) for i in range(length - keep, length)]
        parts = [*head, "...", *tail]
    else:
        parts = [_nested(part, indent + 1, summarise, form) for part in array]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _contents(array, indent):
    """Return the text of the values."""
    if array.dtype.itemsize == 2 and array.dtype.kind in "fV":
        array = array.astype(np.float32)
    summarise = array.size > _Options.threshold
    shown = _edges(array) if summarise else array
    form = _ComplexFormat(shown) if array.dtype.kind == "c" else _NumberFormat(shown)
    return _nested(array, indent, summarise, form)


def _facts(tensor):
    """Return what is said of a tensor after its values: device, size, dtype and place in the graph."""
    facts = []
    home, device = get_default_device(), tensor.device
    if device.type != home.type or (device.type == "cuda" and device.index not in (home.index, home.index or 0)):
        facts.append(f"device='{device}'")
    default = get_default_dtype()
    expected = [default]
    if not _Options.edgeitems and tensor.numel():
        facts.append(f"size={tuple(tensor.shape)}")
    if tensor.numel() == 0:
        if tensor.ndim != 1 or not _Options.edgeitems:
            facts.append(f"size={tuple(tensor.shape)}")
    else:
        expected += [default.to_complex()]
        if tensor.dtype.name in ("int64", "bool"):
            expected.append(tensor.dtype)
    if tensor.dtype not in expected:
        facts.append(f"dtype={tensor.dtype}")
    if tensor.grad_fn is not None:
        facts.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor.requires_grad:
        facts.append("requires_grad=True")
    return facts


def tensor_string(tensor, facts=None):
    """Return PyTorch's text of a tensor, with the facts that are given instead of its own."""
    array = to_numpy(tensor.array)
    prefix = "tensor("
    indent = len(prefix)
    text = prefix + (_contents(array, indent) if array.size else "[]")
    used = len(text) - text.rfind("\n") + 1
    for fact in _facts(tensor) if facts is None else facts:
        if used + len(fact) + 2 > _Options.linewidth:
            text += ",\n" + " " * indent + fact
            used = indent + len(fact)
        else:
            text += ", " + fact
            used += len(fact) + 2
    return text + ")"
