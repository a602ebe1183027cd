"""Copies where the plain function gives a view, unsafe_ forms, and the angle of real numbers."""

import math

from minigrad.backend import xp
from minigrad.op import Op
from minigrad.ops import reorder, shape, split
from minigrad.ops.arguments import check_tensor, ints_of
from minigrad.ops.complex import view_as_complex, view_as_real
from minigrad.ops.core import sum_to
from minigrad.ops.define import unary_function
from minigrad.registry import FUNCTIONS, function
from minigrad.tensor import Tensor

PAGE = "https://docs.pytorch.org/docs/stable/torch.html"
_EXAMPLES = {  # arguments after the tensor
    "permute_copy": ", (1, 0)",
    "transpose_copy": ", 0, 1",
    "unsqueeze_copy": ", 0",
    "select_copy": ", 0, 1",
    "split_copy": ", 1",
    "split_with_sizes_copy": ", [1, 1]",
    "expand_copy": ", 3, 2, 2",
    "unfold_copy": ", 0, 1, 1",
    "view_copy": ", 4",
}
_DTYPES = {"view_as_real_copy": ", dtype=mg.complex64"}
_PARTS = ("split_copy", "split_with_sizes_copy", "unbind_copy")


# ---------------------------------------------------------------------- copies of views
def _register_copy(name, view):
    """Register NAME_copy: a copy of what the view function NAME returns (a tuple of copies for a tuple of views)."""

    def copy(input, *args, **kwargs):
        check_tensor(input, name)
        if name == "split_copy" and args and isinstance(args[0], (list, tuple)):
            raise TypeError("split_copy(): argument 'split_size' must be int, not list: use split_with_sizes_copy")
        found = view(input, *args, **kwargs)
        return tuple([part.clone() for part in found]) if isinstance(found, tuple) else found.clone()

    copy.__name__ = copy.__qualname__ = name
    copy.__doc__ = (
        f"Return a copy of what ``{name.removesuffix('_copy')}`` shows of the tensor, not a view.\n\nSource: {PAGE}"
        f"\n\n>>> import minigrad as mg\n>>> x = mg.ones(2, 2{_DTYPES.get(name, '')})\n"
        f">>> y = mg.{name}(x{_EXAMPLES.get(name, '')})\n"
        f">>> _ = x.zero_()  # leaves the copy as it is\n>>> bool({'y[0]' if name in _PARTS else 'y'}.all())\nTrue\n"
    )
    function(out=True)(copy)


for _module, _names in (
    (reorder, "diagonal"),
    (shape, "permute squeeze t transpose unsqueeze"),
    (split, "select split split_with_sizes unbind"),
):
    for _name in _names.split():
        _register_copy(_name + "_copy", getattr(_module, _name))
for _name in ("detach", "expand", "unfold", "view"):
    _register_copy(_name + "_copy", getattr(Tensor, _name))
_register_copy("alias_copy", lambda input: input)
_register_copy("view_as_real_copy", view_as_real)
_register_copy("view_as_complex_copy", view_as_complex)


@function(method=True)
def unsafe_chunk(input, chunks, dim=0):
    """Return :func:`chunk`'s parts; PyTorch leaves out a check of in-place writes here, minigrad doesn't.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unsafe_chunk.html

    >>> import minigrad as mg
    >>> mg.unsafe_chunk(mg.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return FUNCTIONS["chunk"](input, chunks, dim)


@function(method=True)
def unsafe_split(input, split_size, dim=0):
    """Return :func:`split`'s parts; PyTorch leaves out a check of in-place writes here, minigrad doesn't.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unsafe_split.html

    >>> import minigrad as mg
    >>> mg.unsafe_split(mg.arange(4), 3)
    (tensor([0, 1, 2]), tensor([3]))
    """
    return FUNCTIONS["split"](input, split_size, dim)


@function(method=True)
def unsafe_split_with_sizes(input, split_sizes, dim=0):
    """Return :func:`split_with_sizes`' parts; PyTorch leaves out a check of in-place writes here, minigrad doesn't.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unsafe_split.html

    >>> import minigrad as mg
    >>> mg.unsafe_split_with_sizes(mg.arange(4), [1, 3])
    (tensor([0]), tensor([1, 2, 3]))
    """
    return FUNCTIONS["split_with_sizes"](input, split_sizes, dim)


@function(method=True, public=False)
def sum_to_size(self, *size):
    """Return the sum over those dimensions that have to be 1, or to go, for the tensor to have the size.

    Errors: RuntimeError where the size doesn't expand to the tensor's.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.sum_to_size.html

    >>> import minigrad as mg
    >>> mg.ones(3, 2).sum_to_size(1, 2)
    tensor([[3., 3.]])
    """
    shape, size = self.array.shape, ints_of(size, "size")
    lead = len(shape) - len(size)
    if lead < 0 or any(length not in (1, shape[lead + dim]) for dim, length in enumerate(size)):
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(shape)}}}.")
    if size == shape and shape:
        return self
    if self.array.dtype.kind in "bui":
        self = self.long()  # as sums are
    return self.clone() if size == shape else sum_to(self, shape=size)


def _reflected_division(self, other):
    """Return other / self."""
    return self.reciprocal() * other


Tensor.__rdiv__ = _reflected_division


def _angle(x):
    module = xp(x)
    return module.where(module.isnan(x), x, (x < 0) * x.dtype.type(math.pi)).astype(x.dtype, copy=False)


angle_op = Op(_angle, [lambda g: g * 0], name="angle", promote="float")


def _angle_of(x):
    """Return the angle of a real or complex tensor."""
    return x.imag.atan2(x.real) if x.array.dtype.kind == "c" else angle_op(x)


unary_function(
    _angle_of,
    "angle",
    "Return the angle with the positive real axis: of real numbers pi where negative, 0 elsewhere, NaN of NaN.",
    ("mg.angle(mg.tensor([-1.0, 0.0, 2.0]))", "tensor([3.1416, 0.0000, 0.0000])"),
    inplace=False,
)
