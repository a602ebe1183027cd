"""Between complex tensors and pairs of real ones."""

from minigrad.backend import np, xp
from minigrad.op import Op
from minigrad.registry import function
from minigrad.tensor import Tensor

_COMPLEX = {"e": np.dtype("complex64"), "f": np.dtype("complex64"), "d": np.dtype("complex128")}
_REAL = {"F": np.dtype("float32"), "D": np.dtype("float64")}


def _complex(real, imag):
    module = xp(real)
    out = module.empty(module.broadcast_shapes(real.shape, imag.shape), _COMPLEX[real.dtype.char])
    out.real = real
    out.imag = imag
    return out


def _as_pairs(x):
    """Return complex numbers as a new last dimension of real and imaginary part."""
    flat = x if x.flags.c_contiguous else xp(x).ascontiguousarray(x)
    return flat.reshape(x.shape + (1,)).view(_REAL[x.dtype.char])


def _from_pairs(x):
    flat = x if x.flags.c_contiguous else xp(x).ascontiguousarray(x)
    return flat.view(_COMPLEX[x.dtype.char]).reshape(x.shape[:-1])


# Gradients are PyTorch's: that of a real loss L to z = x + iy is dL/dx + i dL/dy.
real_op = Op(lambda x: x.real, [lambda g: complex_op(g, g * 0)], name="real", view=True)
imag_op = Op(lambda x: x.imag, [lambda g: complex_op(g * 0, g)], name="imag", view=True)
conj_op = Op(lambda x: xp(x).conj(x), [lambda g: conj_op(g)], name="conj")
complex_op = Op(_complex, [lambda g: real_op(g), lambda g: imag_op(g)], name="complex", broadcast=True)
view_as_real_op = Op(_as_pairs, [lambda g: view_as_complex_op(g)], name="view_as_real", view=True)
view_as_complex_op = Op(_from_pairs, [lambda g: view_as_real_op(g)], name="view_as_complex", view=True)


@function(out="exact")
def complex(real, imag):
    """Return real + i·imag of two real tensors of one dtype, float32 or float64.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.complex.html

    >>> import minigrad as mg
    >>> mg.complex(mg.tensor([1.0]), mg.tensor([2.0]))
    tensor([1.+2.j])
    """
    _check_parts(real, imag, "complex", ("real", "imag"))
    return complex_op(real, imag)


def _check_parts(first, second, name, arguments):
    """Raise unless both are floating-point tensors of one dtype."""
    for position, value in enumerate((first, second)):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name}(): argument '{arguments[position]}' (position {position + 1}) must be Tensor, not "
                f"{type(value).__name__}"
            )
    if first.array.dtype.char not in "efd" or first.array.dtype != second.array.dtype:
        raise RuntimeError(
            f"Expected both inputs to be Half, Float or Double tensors of one type but got {first.dtype} and "
            f"{second.dtype}"
        )


@function(out="exact")
def polar(abs, angle):
    """Return abs·(cos(angle) + i·sin(angle)) of two real tensors.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.polar.html

    >>> import minigrad as mg
    >>> mg.polar(mg.tensor([2.0]), mg.tensor([0.0]))
    tensor([2.+0.j])
    """
    _check_parts(abs, angle, "polar", ("abs", "angle"))
    return complex_op(abs * angle.cos(), abs * angle.sin())


@function()
def real(input):
    """Return the real part: of a complex tensor a view, a real tensor itself.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.real.html

    >>> import minigrad as mg
    >>> mg.real(mg.tensor([1 + 2j]))
    tensor([1.])
    """
    return real_op(input) if input.array.dtype.kind == "c" else input


@function()
def imag(input):
    """Return the imaginary part of a complex tensor, as a view; RuntimeError for a real one.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.imag.html

    >>> import minigrad as mg
    >>> mg.imag(mg.tensor([1 + 2j]))
    tensor([2.])
    """
    if input.array.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return imag_op(input)


Tensor.real = property(real, doc=real.__doc__)
Tensor.imag = property(imag, doc=imag.__doc__)


@function(method=True)
def conj(input):
    """Return the complex conjugate; a real tensor itself.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.conj.html

    >>> import minigrad as mg
    >>> mg.conj(mg.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    return conj_op(input) if input.array.dtype.kind == "c" else input


@function(method=True, inplace=True, out=True)
def conj_physical(input):
    """Return the complex conjugate as a copy; a real tensor itself.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.conj_physical.html

    >>> import minigrad as mg
    >>> mg.conj_physical(mg.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    return conj(input)


@function(method=True)
def resolve_conj(input):
    """Return the tensor: conjugates are computed at once here.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.resolve_conj.html

    >>> import minigrad as mg
    >>> mg.tensor([1 + 2j]).conj().resolve_conj()
    tensor([1.-2.j])
    """
    return input


@function(method=True)
def resolve_neg(input):
    """Return the tensor: negatives are computed at once here.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.resolve_neg.html

    >>> import minigrad as mg
    >>> mg.tensor([1.0]).resolve_neg()
    tensor([1.])
    """
    return input


@function()
def view_as_real(input):
    """Return a complex tensor as a view with a new last dimension of real and imaginary part.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.view_as_real.html

    >>> import minigrad as mg
    >>> mg.view_as_real(mg.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    if input.array.dtype.kind != "c":
        raise RuntimeError(f"view_as_real is only supported for complex tensors, but got {input.dtype}")
    return view_as_real_op(input)


@function()
def view_as_complex(input):
    """Return a real tensor whose last dimension holds pairs as a view of complex numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.view_as_complex.html

    >>> import minigrad as mg
    >>> mg.view_as_complex(mg.tensor([[1.0, 2.0]]))
    tensor([1.+2.j])
    """
    array = input.array
    if array.dtype.char not in "fd":
        raise RuntimeError(
            f"view_as_complex is only supported for half, float and double tensors, but got a tensor of {input.dtype}"
        )
    if array.ndim == 0:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if array.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if array.size and array.strides[-1] != array.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    return view_as_complex_op(input)


@function(method=True)
def is_conj(input):
    """Return whether the tensor is a conjugate yet to be computed: never.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.is_conj.html

    >>> import minigrad as mg
    >>> mg.tensor([1 + 2j]).conj().is_conj()
    False
    """
    return False


@function(method=True)
def is_neg(input):
    """Return whether the tensor is a negative yet to be computed: never.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.resolve_neg.html

    >>> import minigrad as mg
    >>> mg.tensor([1.0]).is_neg()
    False
    """
    return False
