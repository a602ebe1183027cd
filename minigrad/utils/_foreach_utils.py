"""Grouping parameters of optimizers by device and dtype, under the private name that optimizers elsewhere import."""

from minigrad.tensor import Tensor


def _get_foreach_kernels_supported_devices():
    return ["cuda"]


def _get_fused_kernels_supported_devices():
    return ["cuda", "cpu"]


def _device_has_foreach_support(device):
    return device.type in ("cuda", "cpu")


_foreach_supported_types = [Tensor]


def _has_foreach_support(tensors, device):
    """Return whether the tensors, where not None, can go through the minigrad._foreach functions."""
    return _device_has_foreach_support(device) and all(t is None or isinstance(t, Tensor) for t in tensors)


def _group_tensors_by_device_and_dtype(tensorlistlist, with_indices=False):
    """Split lists of tensors alike, by what the first list's are: {(device, dtype): (lists, positions)}.

    The first list decides and holds no None, RuntimeError; in the others None stands for no tensor. positions is
    empty unless ``with_indices``.

    >>> import minigrad as mg
    >>> x, y = mg.ones(2), mg.zeros(2, dtype=mg.float64)
    >>> groups = _group_tensors_by_device_and_dtype([[x, y, x]], with_indices=True)
    >>> for (_, dtype), (lists, positions) in groups.items():
    ...     print(dtype, len(lists[0]), positions)
    minigrad.float32 2 [0, 2]
    minigrad.float64 1 [1]
    """
    groups = {}
    if not tensorlistlist or not tensorlistlist[0]:
        raise RuntimeError("There are no tensors to group: the first list is empty")
    first, *others = tensorlistlist
    if any(len(given) != len(first) for given in others if given):
        raise RuntimeError("Tensors of different lists can't be grouped: the lists have different lengths")
    for position, tensor in enumerate(first):
        if tensor is None:
            raise RuntimeError(
                "Tensors of the first list of nested Tensor lists are supposed to be defined but the "
                f"{position}-th Tensor is not."
            )
        lists, positions = groups.setdefault((tensor.device, tensor.dtype), ([[] for _ in tensorlistlist], []))
        for target, given in zip(lists, tensorlistlist, strict=True):
            if given:
                target.append(given[position])
        if with_indices:
            positions.append(position)
    return groups
