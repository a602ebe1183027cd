"""What losses outside of minigrad import from torch.nn._reduction: numbers and names of reductions."""

import warnings

_NUMBERS = {"none": 0, "mean": 1, "elementwise_mean": 1, "sum": 2}


def get_enum(reduction):
    """Return the number of a reduction: none 0, mean 1, sum 2; ValueError for others."""
    if reduction not in _NUMBERS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=2)
    return _NUMBERS[reduction]


def legacy_get_string(size_average, reduce, emit_warning=True):
    """Return the reduction that the arguments size_average and reduce of before PyTorch 0.4.1 meant; they warn."""
    average, reduces = size_average is None or size_average, reduce is None or reduce
    meant = "none" if not reduces else "mean" if average else "sum"
    if emit_warning:
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{meant}' instead.", stacklevel=2
        )
    return meant


def legacy_get_enum(size_average, reduce, emit_warning=True):
    """Return the number of what legacy_get_string returns."""
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
