"""Random numbers: new tensors, in-place fillings, and draws from distributions given by tensors."""

import math

from minigrad.backend import (
    FLOAT_CODES,
    REAL_CODES,
    as_dtype,
    default_float,
    default_generator,
    get_default_device,
    np,
    use_gpu_source,
    xp,
)
from minigrad.backend.devices import module_for
from minigrad.inplace import check_writable, overwrite_tensor, write_out
from minigrad.kernels import cuda
from minigrad.op import Op
from minigrad.ops.creation import finish, made_like, named_size, sizes_of
from minigrad.ops.layout import check_layout
from minigrad.ops.shape import broadcast_shapes, expanded_shape
from minigrad.registry import function
from minigrad.tensor import Tensor, as_device, wrap
from minigrad.variable import MODE, is_tracked

use_gpu_source(lambda module, generator: cuda.random.Philox(module, generator))

# A random fill cuts the graph: what was there before has gradient zero.
refilled = Op(lambda x, *, values: values, [lambda g: g * 0], name="refilled")


# ---------------------------------------------------------------------- raw draws on either device
def draw(generator, module, kind, shape, dtype):
    """Return raw random numbers of a floating dtype: kind "random" (uniform on [0, 1)) or "standard_normal"."""
    source = (generator or default_generator).on(module)
    if dtype.kind == "c":
        part = np.dtype("float64" if dtype.itemsize == 16 else "float32")
        real, imaginary = (draw(generator, module, kind, shape, part) for _ in range(2))
        scale = part.type(math.sqrt(0.5)) if kind == "standard_normal" else part.type(1)
        return ((real + 1j * imaginary) * scale).astype(dtype)
    drawn = np.dtype("float32") if dtype.itemsize < 4 else dtype
    if kind == "random" and drawn is not dtype and dtype.itemsize < 4:  # rounding to half must not reach 1
        steps = 256 if dtype.char == "E" else 2048
        return (module.floor(getattr(source, kind)(shape, dtype=drawn) * steps) / steps).astype(dtype)
    out = getattr(source, kind)(shape, dtype=drawn)
    return out if drawn is dtype or drawn == dtype else out.astype(dtype)


def _check_float(dtype, name):
    if dtype.char not in FLOAT_CODES:
        raise NotImplementedError(f"{name} only supports floating-point dtypes, but got {as_dtype(dtype)}")


def _check_generator(generator, target, name):
    """TypeError for what is no generator, RuntimeError for one of another device."""
    if generator is not None and not hasattr(generator, "device"):
        raise TypeError(f"{name}(): argument 'generator' must be minigrad.Generator, not {type(generator).__name__}")
    if generator is not None and generator.device.type != target.type:
        raise RuntimeError(
            f"{name}(): Expected a '{target.type}' device type for generator but found '{generator.device.type}'"
        )


def _drawn(name, kind, shape, dtype, device, generator):
    """Return a new raw array of random floats on a device."""
    chosen = default_float() if dtype is None else as_dtype(dtype).dtype
    _check_float(chosen, name)
    target = get_default_device() if device is None else as_device(device)
    _check_generator(generator, target, name)
    if target.type == "cpu":
        return draw(generator, np, kind, shape, chosen)
    module, context = module_for(target)
    with context:
        return draw(generator, module, kind, shape, chosen)


def _constructor(name, kind, summary):
    """Register the constructor of tensors drawn from a standard distribution, and its _like."""

    def constructor(
        *size,
        generator=None,
        out=None,
        dtype=None,
        layout=None,
        device=None,
        requires_grad=False,
        pin_memory=False,
        names=None,
        **named,
    ):
        if named:
            size = named_size(name, size, named)
        if layout is not None:
            check_layout(layout)
        if names is not None:
            raise RuntimeError(f"{name}(): named dimensions are not supported")
        if out is not None and dtype is None:
            dtype = out.dtype
        array = _drawn(name, kind, sizes_of(size, name), dtype, device, generator)
        return finish(array, requires_grad, pin_memory, out, name)

    def like(
        input, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False,
        memory_format=None,
    ):  # fmt: skip
        check_layout(layout)
        chosen = input.array.dtype if dtype is None else as_dtype(dtype).dtype
        _check_float(chosen, name)
        array = made_like(
            input, dtype, device, memory_format, lambda module, shape, d: draw(generator, module, kind, shape, d)
        )
        return finish(array, requires_grad, pin_memory)

    constructor.__name__ = constructor.__qualname__ = name
    constructor.__doc__ = summary
    like.__name__ = like.__qualname__ = f"{name}_like"
    like.__doc__ = (
        f"Return a tensor as made by {name}() with the input's shape, dtype and device unless given.\n\n"
        f"    Source: https://docs.pytorch.org/docs/stable/generated/torch.{name}_like.html\n\n"
        f"    >>> import minigrad as mg\n    >>> mg.{name}_like(mg.ones(2, 3)).shape\n    minigrad.Size([2, 3])\n    "
    )
    function()(like)
    return function()(constructor)


rand = _constructor(
    "rand",
    "random",
    """Return a tensor of numbers uniform on [0, 1).

    Keywords: generator, out, dtype, device, requires_grad, pin_memory.

    >>> import minigrad as mg
    >>> mg.rand(2, 3).shape
    minigrad.Size([2, 3])
    """,
)
randn = _constructor(
    "randn",
    "standard_normal",
    """Return a tensor of numbers from the normal distribution of mean 0 and variance 1; keywords as for rand.

    >>> import minigrad as mg
    >>> mg.randn(2, 3).shape
    minigrad.Size([2, 3])
    """,
)


def _integer_bound(value, name):
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}(): bounds must be ints, but got {value!r}")
    return value.__index__()


def draw_integers(generator, module, low, high, shape, dtype):
    """Return raw integers uniform on [low, high), of any dtype."""
    source = (generator or default_generator).on(module)
    if high - low > (1 << 63) - 1 or high > (1 << 63):
        values = source.integers(0, high - low, shape, dtype="uint64") + np.uint64(low & ((1 << 64) - 1))
        return values.astype(dtype)
    return source.integers(low, high, shape, dtype="int64").astype(dtype, copy=False)


def _check_bounds(low, high, dtype, name):
    """RuntimeError for an empty range or one that the dtype can't hold."""
    if low >= high:
        raise RuntimeError(f"{name} expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if low < limits.min or low > limits.max:
            raise RuntimeError(f"from is out of bounds for {as_dtype(dtype)}")
        if high - 1 > limits.max:
            raise RuntimeError(f"to - 1 is out of bounds for {as_dtype(dtype)}")
    elif dtype.kind == "b" and (low < 0 or high > 2):
        raise RuntimeError("to - 1 is out of bounds for bool")


@function()
def randint(
    low=None, high=None, size=None, *, generator=None, out=None, dtype=None, layout=None, device=None,
    requires_grad=False, pin_memory=False,
):  # fmt: skip
    """Return a tensor of integers uniform on [low, high): ``randint(high, size)`` or ``randint(low, high, size)``.

    Keywords: generator, out, dtype (default int64), device. RuntimeError for an empty range.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.randint.html

    >>> import minigrad as mg
    >>> bool((mg.randint(10, (100,)) < 10).all())
    True
    """
    if size is None:  # randint(high, size)
        low, high, size = None, low, high
    low, high = (0, low) if high is None else (0 if low is None else low, high)
    if high is None or not isinstance(size, (tuple, list)):
        raise TypeError("randint(): expected (high, size) or (low, high, size), with ints and a tuple of ints")
    check_layout(layout)
    low, high = _integer_bound(low, "randint"), _integer_bound(high, "randint")
    dtype = (out.dtype if out is not None else np.dtype(np.int64)) if dtype is None else dtype
    chosen = as_dtype(dtype).dtype
    _check_bounds(low, high, chosen, "random_")
    target = get_default_device() if device is None else as_device(device)
    _check_generator(generator, target, "randint")
    module, context = module_for(target)
    with context:
        array = draw_integers(generator, module, low, high, sizes_of((size,), "randint"), chosen)
    return finish(array, requires_grad, pin_memory, out, "randint")


@function()
def randint_like(
    input, low=None, high=None, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False, memory_format=None,
):  # fmt: skip
    """Return integers uniform on [low, high), or [0, low), with the input's shape, dtype and device unless given.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.randint_like.html

    >>> import minigrad as mg
    >>> mg.randint_like(mg.zeros(3), 5).shape
    minigrad.Size([3])
    """
    check_layout(layout)
    low, high = (0, low) if high is None else (0 if low is None else low, high)
    if high is None:
        raise TypeError("randint_like(): missing the argument 'high'")
    low, high = _integer_bound(low, "randint_like"), _integer_bound(high, "randint_like")
    _check_bounds(low, high, input.array.dtype if dtype is None else as_dtype(dtype).dtype, "random_")

    def maker(module, shape, dtype):
        return draw_integers(generator, module, low, high, shape, dtype)

    return finish(made_like(input, dtype, device, memory_format, maker), requires_grad, pin_memory)


@function()
def randperm(
    n, *, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Return a random permutation of 0 … n - 1 (int64 unless given).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.randperm.html

    >>> import minigrad as mg
    >>> mg.randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    check_layout(layout)
    n = _integer_bound(n, "randperm")
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    dtype = (out.dtype if out is not None else np.dtype(np.int64)) if dtype is None else dtype
    chosen = as_dtype(dtype).dtype
    if n > 2048 and chosen == np.float16 or chosen.kind in "iu" and n > np.iinfo(chosen).max + 1:
        raise RuntimeError(f"n is too large for result tensor type: '{as_dtype(chosen)}'")
    target = get_default_device() if device is None else as_device(device)
    _check_generator(generator, target, "randperm")
    module, context = module_for(target)
    with context:
        source = (generator or default_generator).on(module)
        order = source.permutation(n) if module is np else module.argsort(source.random(n))
    return finish(order.astype(chosen, copy=False), requires_grad, pin_memory, out, "randperm")


# ---------------------------------------------------------------------- distributions given by tensors
@function()
def normal(
    mean, std=1.0, size=None, *, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Return numbers from normal distributions; mean and std are tensors that broadcast, or numbers with a size.

    RuntimeError for a negative std. Source: https://docs.pytorch.org/docs/stable/generated/torch.normal.html

    >>> import minigrad as mg
    >>> mg.normal(0.0, 1.0, size=(2, 2)).shape
    minigrad.Size([2, 2])
    """
    tensors = [value for value in (mean, std) if isinstance(value, Tensor)]
    if size is not None or not tensors:
        if size is None or tensors:
            raise TypeError("normal(): expected tensors, or two numbers and a size")
        _check_deviation(std)
        dtype = out.dtype if out is not None and dtype is None else dtype
        array = _drawn("normal", "standard_normal", sizes_of((size,), "normal"), dtype, device, generator)
        return finish((array * std + mean).astype(array.dtype, copy=False), requires_grad, pin_memory, out, "normal")
    if isinstance(std, Tensor) and std.array.dtype.kind == "c":
        raise RuntimeError("normal expects standard deviation to be non-complex")
    _check_deviation(std)
    center = mean.array if isinstance(mean, Tensor) else mean
    spread = std.array if isinstance(std, Tensor) else std
    module, kind = xp(tensors[0].array), tensors[0].array.dtype
    try:
        shape = np.broadcast_shapes(*[t.array.shape for t in tensors])
    except ValueError as error:
        raise RuntimeError(f"normal: shapes of mean and std can't be broadcast together: {error}") from None
    _check_float(kind, "normal")
    array = draw(generator, module, "standard_normal", shape, kind) * spread + center
    return finish(module.asarray(array).astype(kind, copy=False), requires_grad, pin_memory, out, "normal")


def _check_deviation(std):
    smallest = std.array.min() if isinstance(std, Tensor) and std.array.size else 0 if isinstance(std, Tensor) else std
    if smallest < 0:
        raise RuntimeError(f"normal expects all elements of std >= 0.0, but got {float(smallest)}")


def _check_probability(p, name="bernoulli"):
    if not 0 <= p <= 1:
        raise RuntimeError(f"{name}_ expects p to be in [0, 1], but got p={p}")


def _bernoulli_of(chances, generator, dtype):
    """Return raw zeros and ones, ones with the chances given by a raw array."""
    on_cpu = type(chances) is np.ndarray  # a GPU would have to be waited for
    if on_cpu and chances.size and not bool(((chances >= 0) & (chances <= 1)).all()):
        raise RuntimeError("bernoulli: Expected p_in >= 0 && p_in <= 1, but some probabilities are outside")
    wide = chances.dtype if chances.dtype == np.float64 else np.dtype(np.float32)
    return (draw(generator, xp(chances), "random", chances.shape, wide) < chances).astype(dtype)


@function(method=True)
def bernoulli(input, p=None, *, generator=None, out=None):
    """Return ones and zeros, ones with the probabilities that the input holds (or all with probability p).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.bernoulli.html

    >>> import minigrad as mg
    >>> mg.bernoulli(mg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    array = input.array
    if p is None:
        _check_float(array.dtype, "bernoulli")
        result = _bernoulli_of(array, generator, array.dtype)
    else:
        _check_probability(p)
        result = (draw(generator, xp(array), "random", array.shape, np.dtype(np.float32)) < p).astype(array.dtype)
    result = wrap(result) if not (is_tracked(input) and MODE.grad) else refilled(input, values=result)
    return result if out is None else write_out(out, result, "bernoulli")


@function(method=True)
def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Return indices drawn from the distributions given by rows of non-negative weights, (n,) or (rows, n).

    The result is (num_samples,) or (rows, num_samples), int64. RuntimeError for weights that are negative, not finite
    or all zero, and for more samples than weights without replacement.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.multinomial.html

    >>> import minigrad as mg
    >>> mg.multinomial(mg.tensor([0.0, 1.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    weights = input.array
    if out is not None and out.array.dtype != np.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {out.dtype}")
    if weights.dtype.char not in REAL_CODES:
        raise RuntimeError(f"Expected object of floating-point type for probability distributions, got {input.dtype}")
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not isinstance(num_samples, int) or num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got {num_samples}")
    if weights.shape[-1] == 0 or weights.shape[-1] > 1 << 24:
        raise RuntimeError("number of categories must be between 1 and 2^24")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{num_samples} of {weights.shape[-1]}"
        )
    module = xp(weights)
    rows = module.atleast_2d(weights).astype("float64")
    if not bool((module.isfinite(rows) & (rows >= 0)).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if rows.shape[0] and not bool((rows.sum(axis=1) > 0).all()):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    source = (generator or default_generator).on(module)
    if replacement:
        bounds = rows.cumsum(axis=1)
        points = source.random((rows.shape[0], num_samples)) * bounds[:, -1:]
        picks = [module.searchsorted(bound, point, side="right") for bound, point in zip(bounds, points, strict=True)]
        picked = module.stack(picks) if picks else module.empty((0, num_samples), "int64")
        picked = module.minimum(picked, rows.shape[1] - 1)
    else:  # the largest of weight / exponential: a race that each element wins with its probability
        race = module.where(rows > 0, rows / source.standard_exponential(rows.shape), -1.0)
        picked = module.argsort(-race, axis=1)[:, :num_samples]
    result = wrap(module.ascontiguousarray(picked.astype("int64").reshape(weights.shape[:-1] + (num_samples,))))
    return result if out is None else write_out(out, result, "multinomial")


@function()
def poisson(input, generator=None):
    """Return numbers from Poisson distributions with the rates that the input holds, of its dtype.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.poisson.html

    >>> import minigrad as mg
    >>> mg.poisson(mg.zeros(2))
    tensor([0., 0.])
    """
    rates = input.array
    _check_float(rates.dtype, "poisson")
    if rates.size and not bool((rates >= 0).all()):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    module = xp(rates)
    drawn = (generator or default_generator).on(module).poisson(rates.astype("float64"), rates.shape)
    drawn = module.asarray(drawn).astype(rates.dtype)
    return refilled(input, values=drawn) if is_tracked(input) and MODE.grad else wrap(drawn)


@function()
def binomial(count, prob, generator=None):
    """Return numbers of successes in ``count`` trials that each succeed with probability ``prob``.

    >>> import minigrad as mg
    >>> mg.binomial(mg.tensor([4.0]), mg.tensor([1.0]))
    tensor([4.])
    """
    for name, tensor in (("count", count), ("prob", prob)):
        if tensor.array.dtype.char not in FLOAT_CODES:
            raise ValueError(f"binomial only supports floating-point dtypes for {name}, got: {tensor.dtype}")
    module = xp(count.array)
    broadcast_shapes(count.array.shape, prob.array.shape)
    source = (generator or default_generator).on(module)
    drawn = source.binomial(count.array.astype("int64"), prob.array.astype("float64"))
    return wrap(module.asarray(drawn).astype(count.array.dtype))


# ---------------------------------------------------------------------- in place
def _refill(self, values, name):
    """Write raw random numbers into a tensor: its graph is cut, with gradient zero for what was there."""
    values = values.astype(self.array.dtype, copy=False)
    if not MODE.grad:
        self.array[...] = values
        from minigrad.variable import touch

        touch(self.array)
        return self
    check_writable(self, name)
    value = refilled(self, values=values) if is_tracked(self) else wrap(values)
    return overwrite_tensor(self, value)


def _in_place(implementation):
    return function(method=True, public=False)(implementation)


def _floats_for(self, name):
    dtype = self.array.dtype
    if dtype.char not in FLOAT_CODES:
        raise NotImplementedError(f"\"{name}\" not implemented for '{self.dtype}'")
    return dtype


@_in_place
def normal_(self, mean=0, std=1, *, generator=None):
    """Fill with numbers from the normal distribution of the given mean and standard deviation; returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.normal_.html

    >>> import minigrad as mg
    >>> mg.zeros(3).normal_(5.0, 0.0)
    tensor([5., 5., 5.])
    """
    dtype = _floats_for(self, "normal_kernel_cpu")
    _check_deviation(std)
    _check_generator(generator, self.device, "normal_")
    values = draw(generator, xp(self.array), "standard_normal", self.array.shape, dtype)
    if std != 1:
        values *= _python(std)
    if mean != 0:
        values += _python(mean)
    return _refill(self, values, "normal_")


def _python(value):
    """Return a number without a NumPy type, which could widen float32."""
    return value.item() if isinstance(value, (Tensor, np.generic)) else value


@_in_place
def uniform_(self, from_=0, to=1, *, generator=None, **named):
    """Fill with numbers uniform on [from, to); returns the tensor. RuntimeError if from > to.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.uniform_.html

    >>> import minigrad as mg
    >>> x = mg.zeros(100).uniform_(2.0, 3.0)
    >>> bool(((x >= 2) & (x < 3)).all())
    True
    """
    low, to = _python(named.pop("from", from_)), _python(to)
    if named:
        raise TypeError(f"uniform_() got an unexpected keyword argument '{next(iter(named))}'")
    dtype = _floats_for(self, "check_uniform_bounds")
    _check_generator(generator, self.device, "uniform_")
    if not low <= to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}")
    values = draw(generator, xp(self.array), "random", self.array.shape, dtype)
    if (low, to) != (0, 1):
        values = values * (to - low) + low
        if dtype.char in REAL_CODES and to > low:  # rounding may reach the upper bound
            values = xp(values).minimum(values, np.nextafter(dtype.type(to), dtype.type(low)))
    return _refill(self, values, "uniform_")


@_in_place
def random_(self, from_=None, to=None, *, generator=None, **named):
    """Fill with integers uniform on [from, to); ``random_(to)``; ``random_()`` takes all the dtype can hold exactly.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.random_.html

    >>> import minigrad as mg
    >>> x = mg.zeros(100).random_(2, 4)
    >>> x.unique()
    tensor([2., 3.])
    """
    low = named.pop("from", from_)
    if named:
        raise TypeError(f"random_() got an unexpected keyword argument '{next(iter(named))}'")
    dtype = self.array.dtype
    if dtype.kind == "c":
        raise NotImplementedError('"random_" not implemented for complex types')
    if low is not None and to is None and "from" not in named:
        low, to = 0, low
    largest = {"E": 1 << 8, "e": 1 << 11, "f": 1 << 24, "d": 1 << 53}.get(dtype.char)
    top = largest if largest else 1 if dtype.kind == "b" else np.iinfo(dtype).max
    low, high = (0, int(top) + 1) if low is None else (int(low), int(to))
    _check_bounds(low, high, dtype, "random_")
    _check_generator(generator, self.device, "random_")
    return _refill(self, draw_integers(generator, xp(self.array), low, high, self.array.shape, dtype), "random_")


@_in_place
def bernoulli_(self, p=0.5, *, generator=None):
    """Fill with ones and zeros, ones with probability p (a number, or a tensor that broadcasts); returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.bernoulli_.html

    >>> import minigrad as mg
    >>> mg.zeros(3).bernoulli_(1.0)
    tensor([1., 1., 1.])
    """
    if isinstance(p, Tensor):
        if not self.array.size:
            return self
        expanded_shape(p.array.shape, self.array.shape, "bernoulli_")
        chances = xp(self.array).broadcast_to(p.array, self.array.shape)
        return _refill(self, _bernoulli_of(chances, generator, self.array.dtype), "bernoulli_")
    _check_probability(p)
    drawn = draw(generator, xp(self.array), "random", self.array.shape, np.dtype(np.float32))
    return _refill(self, drawn < p, "bernoulli_")


def _open_uniform(self, generator):
    """Return raw numbers uniform on (0, 1), in float64, of the tensor's shape."""
    drawn = draw(generator, xp(self.array), "random", self.array.shape, np.dtype(np.float64))
    return xp(drawn).maximum(drawn, 2.0**-54)


@_in_place
def exponential_(self, lambd=1, *, generator=None):
    """Fill with numbers from the exponential distribution of rate lambd; returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.exponential_.html

    >>> import minigrad as mg
    >>> bool((mg.zeros(100).exponential_() > 0).all())
    True
    """
    _floats_for(self, "exponential_")
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _refill(self, -xp(self.array).log(_open_uniform(self, generator)) / lambd, "exponential_")


@_in_place
def cauchy_(self, median=0, sigma=1, *, generator=None):
    """Fill with numbers from the Cauchy distribution; returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.cauchy_.html

    >>> import minigrad as mg
    >>> mg.zeros(3).cauchy_().shape
    minigrad.Size([3])
    """
    _floats_for(self, "cauchy_")
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    values = median + sigma * xp(self.array).tan(math.pi * (_open_uniform(self, generator) - 0.5))
    return _refill(self, values, "cauchy_")


@_in_place
def log_normal_(self, mean=1, std=2, *, generator=None):
    """Fill with exponentials of normal numbers of the given mean and standard deviation; returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.log_normal_.html

    >>> import minigrad as mg
    >>> bool((mg.zeros(100).log_normal_() > 0).all())
    True
    """
    _floats_for(self, "log_normal_")
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    drawn = draw(generator, xp(self.array), "standard_normal", self.array.shape, np.dtype(np.float64))
    return _refill(self, xp(drawn).exp(drawn * std + mean), "log_normal_")


@_in_place
def geometric_(self, p, *, generator=None):
    """Fill with the number of trials, each of success probability p, up to the first success; returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.geometric_.html

    >>> import minigrad as mg
    >>> mg.zeros(3).geometric_(0.5).min() >= 1
    tensor(True)
    """
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    values = xp(self.array).ceil(xp(self.array).log(_open_uniform(self, generator)) / math.log1p(-p))
    return _refill(self, values, "geometric_")


# ---------------------------------------------------------------------- the state of the default generator
@function()
def get_rng_state():
    """Return the state of the default generator as a tensor of bytes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.get_rng_state.html

    >>> import minigrad as mg
    >>> state = mg.get_rng_state()
    >>> x = mg.rand(2)
    >>> mg.set_rng_state(state)
    >>> mg.equal(x, mg.rand(2))
    True
    """
    return generator_state(default_generator)


def generator_state(generator):
    """Return the state of a generator as a uint8 tensor."""
    return wrap(np.frombuffer(generator.state_bytes(), np.uint8).copy())


def set_generator_state(generator, new_state):
    """Restore the state of a generator; TypeError for anything but a uint8 tensor on the CPU."""
    if not isinstance(new_state, Tensor) or new_state.array.dtype != np.uint8 or new_state.is_cuda:
        raise TypeError("expected a minigrad.ByteTensor on the CPU, such as get_rng_state() returns")
    return generator.set_state_bytes(new_state.array.tobytes())


@function()
def set_rng_state(new_state):
    """Restore the state of the default generator that get_rng_state() returned.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.set_rng_state.html

    >>> import minigrad as mg
    >>> state = mg.get_rng_state()
    >>> x = mg.rand(2)
    >>> mg.set_rng_state(state)
    >>> mg.equal(x, mg.rand(2))
    True
    """
    set_generator_state(default_generator, new_state)


_GENERATOR = type(default_generator)
_GENERATOR.get_state = generator_state
_GENERATOR.set_state = set_generator_state
