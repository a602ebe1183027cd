"""Dropout: setting random elements, or whole channels, to zero."""

import math
import warnings

from minigrad.backend import REAL_CODES, default_generator, np, xp
from minigrad.inplace import assign
from minigrad.kernels import mask
from minigrad.op import Op
from minigrad.ops.define import require_tensor
from minigrad.registry import function
from minigrad.tensor import wrap

# The noise is an argument, so that the gradient meets the same one.
apply_noise = Op(lambda x, noise: x * noise, [lambda g, noise: apply_noise(g, noise), None], name="apply_noise")

# On a GPU in one pass, which keeps a byte for each element: (x scaled where kept, where it is).
fused_dropout = Op(
    lambda x, *, p: mask.drop(x, default_generator.on(xp(x)), p),
    joint=lambda g, out, p: (keep_scaled(g[0], out[1], scale=1 / (1 - p)),),
    name="fused_dropout",
)
keep_scaled = Op(
    lambda x, kept, *, scale: mask.keep_scaled(x, kept, scale),
    [lambda g, kept, scale: keep_scaled(g, kept, scale=scale), None],
    name="keep_scaled",
)


def check_probability(p):
    """ValueError unless p is a probability."""
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _kept(array, p, shape):
    """Return a raw array of the shape: one where a uniform draw keeps the element (probability 1 - p), else zero."""
    draws = default_generator.on(xp(array)).random(shape, dtype="float32")
    return (draws >= p).astype(array.dtype)


def _finished(result, input, inplace):
    return assign(input, result, "dropout_") if inplace else result


def _dropped(name, input, p, training, inplace, shape=None):
    """Return input with elements dropped and the rest scaled by 1 / (1 - p); noise of ``shape`` is broadcast."""
    require_tensor(name, input)
    check_probability(p)
    array = input.array
    if not training or p == 0 or not array.size:
        return input
    if array.dtype.char not in REAL_CODES and p < 1:
        raise RuntimeError(f"{name}: result type Float can't be cast to {input.dtype}: use a float tensor")
    if shape is None and p < 1 and type(array) is not np.ndarray:
        return _finished(fused_dropout(input, p=p)[0], input, inplace)
    noise = xp(array).zeros((), array.dtype) if p == 1 else _kept(array, p, array.shape if shape is None else shape)
    if p < 1:
        noise *= 1 / (1 - p)
    return _finished(apply_noise(input, wrap(noise)), input, inplace)


def dropout(input, p=0.5, training=True, inplace=False):
    """Return input with each element set to zero with probability p, the others times 1 / (1 - p), when training.

    ValueError for a p outside [0, 1].
    Source: Srivastava et al. 2014; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html

    >>> import minigrad as mg
    >>> mg.nn.functional.dropout(mg.ones(2), p=0.5, training=False)
    tensor([1., 1.])
    """
    return _dropped("dropout", input, p, training, inplace)


def plain_dropout(input, p=0.5, training=True, inplace=False):
    """Return dropout as first published: elements set to zero with probability p when training, else input · (1 - p).

    Nothing is scaled while training, hence the expected activation is met at test by scaling there; `dropout` is the
    inverted form, which scales while training and leaves the test alone. Not part of PyTorch.
    ValueError for a p outside [0, 1], RuntimeError for a tensor of integers. Source: Hinton et al. 2012.

    >>> import minigrad as mg
    >>> mg.nn.functional.plain_dropout(mg.ones(2), p=0.25, training=False)
    tensor([0.7500, 0.7500])
    """
    require_tensor("plain_dropout", input)
    check_probability(p)
    array = input.array
    if array.dtype.char not in REAL_CODES:
        raise RuntimeError(f"plain_dropout: result type Float can't be cast to {input.dtype}: use a float tensor")
    if p == 0 or not array.size:
        return input
    noise = _kept(array, p, array.shape) if training and p < 1 else xp(array).full((), 1 - p, array.dtype)
    return _finished(apply_noise(input, wrap(noise)), input, inplace)


def _channels(input):
    """Return the shape of noise that is the same over a channel: (N, C, 1, …)."""
    if input.array.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*input.array.shape[:2], *(1,) * (input.array.ndim - 2))


def _per_channel(name, input, p, training, inplace, unbatched):
    """Drop whole channels; a tensor of ``unbatched`` dimensions is one sample (C, …)."""
    require_tensor(name, input)
    check_probability(p)
    if not training or p == 0 or not input.array.size:
        return input
    shape = input.array.shape
    if input.array.ndim == unbatched:
        return _dropped(name, input, p, training, inplace, (shape[0], *(1,) * (len(shape) - 1)))
    return _dropped(name, input, p, training, inplace, _channels(input))


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Return input (N, C, L) or (C, L) with whole channels dropped, the others times 1 / (1 - p), when training.

    ValueError for a p outside [0, 1], RuntimeError for another number of dimensions.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout1d.html
    """
    check_probability(p)
    if input.array.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.array.ndim}D input. Note that dropout1d "
            "exists to "
            "provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional "
            "batch "
            "dimension (i.e. 2D or 3D inputs)."
        )
    return _per_channel("dropout1d", input, p, training, inplace, 2)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Return input (N, C, H, W) with whole channels dropped, the others times 1 / (1 - p), when training.

    Three dimensions are taken as (N, C, L), with a warning, as in PyTorch. ValueError for a p outside [0, 1].
    Source: Tompson et al. 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout2d.html
    """
    check_probability(p)
    if input.array.ndim not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {input.array.ndim}-D input to dropout2d, which is deprecated and will result in "
            "an error "
            "in a future release. Note that dropout2d exists to provide channel-wise dropout on inputs with 2 spatial "
            "dimensions, a channel dimension, and an optional batch dimension (i.e. 3D or 4D inputs).",
            stacklevel=2,
        )
    elif input.array.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is "
            "desired - "
            "input is interpreted as shape (N, C, L), where C is the channel dim. Use dropout1d for that.",
            stacklevel=2,
        )
    return _per_channel("dropout2d", input, p, training, inplace, None)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Return input (N, C, D, H, W) or (C, D, H, W) with whole channels dropped, the others times 1 / (1 - p).

    ValueError for a p outside [0, 1].
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout3d.html
    """
    check_probability(p)
    if input.array.ndim not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {input.array.ndim}-D input to dropout3d, which is deprecated and will result in "
            "an error "
            "in a future release. Note that dropout3d exists to provide channel-wise dropout on inputs with 3 spatial "
            "dimensions, a channel dimension, and an optional batch dimension (i.e. 4D or 5D inputs).",
            stacklevel=2,
        )
    return _per_channel("dropout3d", input, p, training, inplace, 4)


_ALPHA = 1.7580993408473766  # -scale · alpha of SELU: what its outputs tend to for large negative inputs


def _alpha_dropped(name, input, p, training, inplace, shape=None):
    """Drop elements to SELU's negative limit, then scale and shift so that mean and variance stay."""
    require_tensor(name, input)
    check_probability(p)
    array = input.array
    if not training or p == 0 or not array.size:
        return input
    if p == 1:
        return _finished(apply_noise(input, wrap(xp(array).zeros((), array.dtype))), input, inplace)
    kept = _kept(array, p, array.shape if shape is None else shape)
    scale = 1 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    shift = (kept - 1) * (_ALPHA * scale) + _ALPHA * scale * p
    return _finished(apply_noise(input, wrap(kept * scale)) + wrap(shift.astype(array.dtype)), input, inplace)


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Return input with elements set to SELU's negative limit, scaled and shifted to keep mean and variance.

    ValueError for a p outside [0, 1].
    Source: Klambauer et al. 2017; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.alpha_dropout.html
    """
    return _alpha_dropped("alpha_dropout", input, p, training, inplace)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Return alpha_dropout of whole channels of input (N, C, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.feature_alpha_dropout.html
    """
    require_tensor("feature_alpha_dropout", input)
    check_probability(p)
    if not training or p == 0 or not input.array.size:
        return input
    return _alpha_dropped("feature_alpha_dropout", input, p, training, inplace, _channels(input))


def _with_torch_signature(name, implementation):
    """Register torch.NAME(input, p, train) and its in-place variant, which raise RuntimeError, not ValueError."""

    def check(p):
        if not 0.0 <= p <= 1.0:
            raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")

    def public(input, p, train):
        check(p)
        return implementation(input, p, train)

    public.__name__ = public.__qualname__ = name
    page = "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional."
    page += "dropout1d.html" if name == "feature_dropout" else f"{name}.html"
    example = "    >>> import minigrad as mg\n    >>> mg.{}(mg.ones(1, 2, 2), 0.5, False).sum()\n    tensor(4.)\n    "
    public.__doc__ = (
        f"Return nn.functional.{implementation.__name__.strip('_')}(input, p, train).\n\n"
        f"    Source: {page}\n\n{example.format(name)}"
    )

    def written(input, p, train):
        check(p)
        return assign(input, implementation(input, p, train), name + "_")

    written.__name__ = written.__qualname__ = name + "_"
    written.__doc__ = f"In-place variant of {name}.\n\n    Source: {page}\n\n{example.format(name + '_')}"
    function(name=name)(public)
    function(name=name + "_")(written)


def _feature_dropout(input, p, train):
    """Return input with whole channels dropped."""
    return _per_channel("feature_dropout", input, p, train, False, None)


_with_torch_signature("dropout", dropout)
_with_torch_signature("alpha_dropout", alpha_dropout)
_with_torch_signature("feature_dropout", _feature_dropout)
_with_torch_signature("feature_alpha_dropout", feature_alpha_dropout)
