"""Fourier transforms: three linear ops, each other's adjoints, and the functions of torch.fft made of them."""

from minigrad.backend import FLOAT_CODES, as_dtype, default_float
from minigrad.inplace import write_out
from minigrad.kernels import fourier as kernels
from minigrad.kernels.fourier import OPPOSITE
from minigrad.op import Op
from minigrad.ops.complex import conj_op
from minigrad.ops.core import cast
from minigrad.ops.creation import finish, make
from minigrad.ops.define import require_tensor
from minigrad.ops.layout import check_layout
from minigrad.ops.pad import pad_op
from minigrad.tensor import normalize_dim

# ---------------------------------------------------------------------- ops (adjoint pairs)
complex_to_complex = Op(
    kernels.complex_to_complex,
    [lambda g, dims, norm, inverse: complex_to_complex(g, dims=dims, norm=OPPOSITE[norm], inverse=not inverse)],
)
# Half a transform holds each inner value for two: the adjoints weigh these by 1/2 and by 2.
real_to_complex = Op(
    kernels.real_to_complex,
    [
        lambda g, x_shape, dim, norm: complex_to_real(
            weigh_inner(g, dim=dim, size=x_shape[dim], factor=0.5), dim=dim, size=x_shape[dim], norm=OPPOSITE[norm]
        )
    ],
)
complex_to_real = Op(
    kernels.complex_to_real,
    [
        lambda g, dim, size, norm: weigh_inner(
            real_to_complex(g, dim=dim, norm=OPPOSITE[norm]), dim=dim, size=size, factor=2
        )
    ],
)
weigh_inner = Op(
    kernels.weigh_inner, [lambda g, dim, size, factor: weigh_inner(g, dim=dim, size=size, factor=factor)]
)


# ---------------------------------------------------------------------- arguments
def _floating(name, x):
    """Return the tensor, integers as the default floating type; TypeError or RuntimeError for what can't be used."""
    require_tensor(name, x)
    if x.array.dtype.char in "eE":
        raise RuntimeError(f"{name}: Unsupported dtype {x.dtype}; convert with .float()")
    return x if x.array.dtype.char in FLOAT_CODES else cast(x, dtype=default_float())


def _complex(name, x):
    x = _floating(name, x)
    return x if x.array.dtype.kind == "c" else cast(x, dtype=as_dtype(x.dtype).to_complex().dtype)


def _real(name, x):
    x = _floating(name, x)
    if x.array.dtype.kind == "c":
        raise RuntimeError(f"{name} expects a real input tensor, but got {x.dtype}")
    return x


def _norm(norm):
    if norm is not None and norm not in OPPOSITE:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"; known: backward, ortho, forward')
    return norm or "backward"


def _check_size(size):
    if size < 1:
        raise RuntimeError(f"Invalid number of data points ({size}) specified")
    return size


def _one(x, dim, n):
    """Return the (dim, size) of a one-dimensional transform."""
    if not isinstance(dim, int) or not (n is None or hasattr(n, "__index__")):
        raise TypeError(f"fft: n and dim must be ints, not {type(n).__name__} and {type(dim).__name__}")
    dim = normalize_dim(dim, x.array.ndim) if x.array.ndim else _no_dim(dim)
    return dim, _check_size(x.array.shape[dim] if n is None else n.__index__())


def _no_dim(dim):
    raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")


def _several(x, s, dim, last=None):
    """Return the (dims, sizes) of a transform over several dimensions; ``last``: the last one's size from x's."""
    shape = x.array.shape
    s, dim = ((value,) if isinstance(value, int) else value for value in (s, dim))
    if dim is not None:
        dims = [normalize_dim(d, len(shape)) if shape else _no_dim(d) for d in dim]
        if len(set(dims)) < len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None and len(s) > len(shape):
        raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {len(shape)} dimensions.")
    else:
        dims = list(range(len(shape) - (len(shape) if s is None else len(s)), len(shape)))
    if last is not None and not dims:
        raise RuntimeError("fft: a transform to or from real numbers must be over at least one axis")
    sizes = [shape[d] if s is None or s[i] == -1 else s[i] for i, d in enumerate(dims)]
    if last is not None and (s is None or s[-1] == -1):
        sizes[-1] = last(sizes[-1])
    return dims, [_check_size(size) for size in sizes]


def _resized(x, dims, sizes):
    """Return the tensor cut, or filled up with zeros, to sizes along some dimensions."""
    shape = x.array.shape
    if all(shape[dim] == size for dim, size in zip(dims, sizes, strict=True)):
        return x
    pads = [(0, 0)] * len(shape)
    for dim, size in zip(dims, sizes, strict=True):
        pads[dim] = (0, size - shape[dim])
    return pad_op(x, pads=tuple(pads), value=0)


# ---------------------------------------------------------------------- transforms over given dimensions
def _c2c(x, dims, sizes, norm, inverse):
    x = _resized(x, dims, sizes)
    return complex_to_complex(x, dims=tuple(dims), norm=norm, inverse=inverse) if dims else x.clone()


def _r2c(x, dims, sizes, norm):
    half = real_to_complex(_resized(x, dims, sizes), dim=dims[-1], norm=norm)
    return complex_to_complex(half, dims=tuple(dims[:-1]), norm=norm, inverse=False) if dims[1:] else half


def _c2r(x, dims, sizes, norm):
    x = _resized(x, dims, [*sizes[:-1], sizes[-1] // 2 + 1])
    if dims[1:]:
        x = complex_to_complex(x, dims=tuple(dims[:-1]), norm=norm, inverse=True)
    return complex_to_real(x, dim=dims[-1], size=sizes[-1], norm=norm)


def _whole(size):
    return 2 * (size - 1)


def _same(size):
    return size


# How each family converts its input, what size its last dimension has by default, and how it transforms.
_KINDS = {
    "fft": (_complex, None, lambda x, dims, sizes, norm: _c2c(x, dims, sizes, norm, False)),
    "ifft": (_complex, None, lambda x, dims, sizes, norm: _c2c(x, dims, sizes, norm, True)),
    "rfft": (_real, _same, _r2c),
    "irfft": (_complex, _whole, _c2r),
    "hfft": (_complex, _whole, lambda x, dims, sizes, norm: _c2r(conj_op(x), dims, sizes, OPPOSITE[norm])),
    "ihfft": (_real, _same, lambda x, dims, sizes, norm: conj_op(_r2c(x, dims, sizes, OPPOSITE[norm]))),
}
_SUMMARIES = {
    "fft": "Return the discrete Fourier transform X_k = sum_j x_j exp(-2 pi i j k / n)",
    "ifft": "Return the inverse discrete Fourier transform x_j = 1/n sum_k X_k exp(2 pi i j k / n)",
    "rfft": "Return the first half, n // 2 + 1 values, of the Fourier transform of real numbers",
    "irfft": "Return the n real numbers whose Fourier transform's first half is input",
    "hfft": "Return the Fourier transform, n real numbers, of a Hermitian signal given by its first half",
    "ihfft": "Return the first half of the inverse Fourier transform of real numbers, the inverse of hfft",
}
_EXAMPLES = {
    "fft": ("[1.0, 2.0]", " 3.+0.j, -1.+0.j"),
    "ifft": ("[3.0, -1.0]", "1.+0.j, 2.+0.j"),
    "rfft": ("[1.0, 2.0]", " 3.+0.j, -1.+0.j"),
    "irfft": ("[3.0, -1.0]", "1., 2."),
    "hfft": ("[3.0, -1.0]", "2., 4."),
    "ihfft": ("[2.0, 4.0]", " 3.-0.j, -1.-0.j"),
}


def _transform(kind, over):
    """Return the public function of a kind: over one dimension (""), over two ("2") or over any ("n")."""
    convert, last, run = _KINDS[kind]
    name = "fft_" + kind + over

    def one(input, n=None, dim=-1, norm=None, *, out=None):
        x, norm = convert(name, input), _norm(norm)
        if n is None and last is not None and x.array.ndim:
            n = last(x.array.shape[normalize_dim(dim, x.array.ndim)])
        dim, size = _one(x, dim, n)
        result = run(x, [dim], [size], norm)
        return result if out is None else write_out(out, result, name)

    def several(input, s, dim, norm, out):
        x, norm = convert(name, input), _norm(norm)
        dims, sizes = _several(x, s, dim, last)
        result = run(x, dims, sizes, norm)
        return result if out is None else write_out(out, result, name)

    def two(input, s=None, dim=(-2, -1), norm=None, *, out=None):
        return several(input, s, dim, norm, out)

    def any_number(input, s=None, dim=None, norm=None, *, out=None):
        return several(input, s, dim, norm, out)

    public = {"": one, "2": two, "n": any_number}[over]
    public.__name__ = public.__qualname__ = kind + over
    given, result = _EXAMPLES[kind]
    if over == "2":
        given, result = f"[{given}]", f"[{result}]"
    sizes = "n (the dimension's size, cut or filled up with zeros), dim (int)"
    if over:
        sizes = "s (sizes to cut or fill up to, -1: as it is), dim (ints; default: " + (
            "the last two)" if over == "2" else "the last len(s), or all)"
        )
    public.__doc__ = f"""{_SUMMARIES[kind]}{{where}}.

    Arguments: input (Tensor), {sizes}, norm ("backward": the
    inverse is divided by n; "forward": the transform; "ortho": both by sqrt(n)), out (Tensor).
    RuntimeError for sizes below 1 or dtypes that do not fit, IndexError for a dim out of range.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.fft.{kind}{over}.html

    >>> import minigrad as mg
    >>> mg.fft.{kind}{over}(mg.tensor({given}))
    tensor([{result}])
    """.format(where={"": "", "2": " over two dimensions", "n": " over several dimensions"}[over])
    return public


TRANSFORMS = {kind + over: _transform(kind, over) for over in ("", "2", "n") for kind in _KINDS}


# ---------------------------------------------------------------------- frequencies and shifts
def _frequencies(name, n, d, out, dtype, layout, device, requires_grad, half):
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"{name}(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    chosen = default_float() if dtype is None else as_dtype(dtype).dtype
    if chosen.char not in FLOAT_CODES:
        raise RuntimeError(f"{name} requires a floating point or complex dtype")

    def maker(module, shape, dtype):
        steps = module.arange(n // 2 + 1 if half else n)
        if not half:
            steps = module.where(steps > (n - 1) // 2, steps - n, steps)
        return (steps / (n * d) if n else steps).astype(dtype)

    check_layout(layout)
    return finish(make((), chosen, device, maker), requires_grad, out=out, name=name)


def fftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """Return the frequencies of fft's values, [0, 1, …, -2, -1] / (n d), the negative ones in the second half.

    Arguments: n (length of the signal), d (time between samples), out, dtype, layout, device, requires_grad.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.fft.fftfreq.html

    >>> import minigrad as mg
    >>> mg.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    return _frequencies("fft_fftfreq", n, d, out, dtype, layout, device, requires_grad, False)


def rfftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """Return the frequencies of rfft's values, [0, 1, …, n // 2] / (n d).

    Arguments: n (length of the signal), d (time between samples), out, dtype, layout, device, requires_grad.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.fft.rfftfreq.html

    >>> import minigrad as mg
    >>> mg.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return _frequencies("fft_rfftfreq", n, d, out, dtype, layout, device, requires_grad, True)


def _shifted(name, input, dim, forward):
    require_tensor(name, input)
    shape = input.array.shape
    dims = range(len(shape)) if dim is None else [dim] if isinstance(dim, int) else dim
    dims = [normalize_dim(d, len(shape)) for d in dims]
    shifts = [shape[d] // 2 if forward else (shape[d] + 1) // 2 for d in dims]
    return input.roll(shifts, dims) if dims else input.clone()


def fftshift(input, dim=None):
    """Return fft's values with the frequency zero moved to the middle.

    Arguments: input (Tensor), dim (int or ints; default: all).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.fft.fftshift.html

    >>> import minigrad as mg
    >>> mg.fft.fftshift(mg.tensor([0, 1, 2, -2, -1]))
    tensor([-2, -1,  0,  1,  2])
    """
    return _shifted("fft_fftshift", input, dim, True)


def ifftshift(input, dim=None):
    """Return what fftshift moved back where it was.

    Arguments: input (Tensor), dim (int or ints; default: all).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.fft.ifftshift.html

    >>> import minigrad as mg
    >>> mg.fft.ifftshift(mg.tensor([-2, -1, 0, 1, 2]))
    tensor([ 0,  1,  2, -2, -1])
    """
    return _shifted("fft_ifftshift", input, dim, False)
