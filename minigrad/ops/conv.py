"""Convolution, transposed convolution, unfold and fold in 1, 2 and 3 dimensions."""

from functools import lru_cache

from minigrad.backend import WATCHED
from minigrad.kernels import conv as kernels
from minigrad.kernels import im2col as columns
from minigrad.op import Op
from minigrad.operands import explained
from minigrad.ops.activation import relu_op
from minigrad.ops.core import sum_to
from minigrad.ops.define import require_tensor
from minigrad.ops.pad import pad_op
from minigrad.ops.shape import reshape_op
from minigrad.ops.sizes import batched, spatial_ints, unbatched
from minigrad.registry import function
from minigrad.tensor import wrap
from minigrad.variable import MODE, is_tracked

# ---------------------------------------------------------------------- ops: a family closed under differentiation


def _convolution(x, w, bias, *, stride, padding, dilation, groups):
    return kernels.convolve(x, w, bias, stride, padding, dilation, groups)


def _convolution_input(g, w, bias, *, size, stride, padding, dilation, groups):
    out = kernels.convolve_input(g, w, size, stride, padding, dilation, groups)
    if bias is not None:
        out += bias.reshape(-1, *(1,) * len(size))
    return out


def _convolution_weight(g, x, *, kernel, stride, padding, dilation, groups):
    return kernels.convolve_weight(g, x, kernel, stride, padding, dilation, groups)


def _first_windows(y, shape):
    """y without the last positions that an array of the shape does not have."""
    if tuple(y.shape) == tuple(shape):
        return y
    return pad_op(y, pads=tuple((0, length - whole) for whole, length in zip(y.shape, shape, strict=True)), value=0)


def _per_channel(g):
    """Sum of g (N, O, *out) over everything but the channels: the gradient of a bias (O,)."""
    shape = (1, g.shape[1], *(1,) * (g.ndim - 2))
    return reshape_op(sum_to(g, shape=shape), shape=(g.shape[1],))


# y = w * x + bias; its gradient to the input (a transposed convolution) and to the weight: each one's rules are the
# other two.  stride, padding, dilation are tuples; x (N, C, *size), w (O, C / groups, *kernel), g like y (N, O, *out).
convolution = Op(
    _convolution,
    [
        lambda g, x_shape, w, stride, padding, dilation, groups: convolution_input(
            g, w, None, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        lambda g, x, w_shape, stride, padding, dilation, groups: convolution_weight(
            g, x, kernel=w_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        lambda g: _per_channel(g),
    ],
    name="convolution",
)
convolution_input = Op(
    _convolution_input,
    [
        lambda h, g_shape, w, stride, padding, dilation, groups: _first_windows(
            convolution(h, w, None, stride=stride, padding=padding, dilation=dilation, groups=groups), g_shape
        ),
        lambda h, g, w_shape, stride, padding, dilation, groups: convolution_weight(
            g, h, kernel=w_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        lambda h: _per_channel(h),
    ],
    name="convolution_input",
)
convolution_weight = Op(
    _convolution_weight,
    [
        lambda h, g_shape, x, stride, padding, dilation, groups: _first_windows(
            convolution(x, h, None, stride=stride, padding=padding, dilation=dilation, groups=groups), g_shape
        ),
        lambda h, g, x_shape, stride, padding, dilation, groups: convolution_input(
            g, h, None, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
    ],
    name="convolution_weight",
)

im2col = Op(
    lambda x, *, kernel, stride, padding, dilation: columns.im2col(x, kernel, stride, padding, dilation),
    [
        lambda g, x_shape, kernel, stride, padding, dilation: col2im(
            g, size=x_shape[2:], kernel=kernel, stride=stride, padding=padding, dilation=dilation
        )
    ],
    name="im2col",
)
col2im = Op(
    lambda c, *, size, kernel, stride, padding, dilation: columns.col2im(c, size, kernel, stride, padding, dilation),
    [
        lambda g, kernel, stride, padding, dilation: im2col(
            g, kernel=kernel, stride=stride, padding=padding, dilation=dilation
        )
    ],
    name="col2im",
)


# ---------------------------------------------------------------------- checks


def _check_tensors(name, input, weight, bias):
    require_tensor(name, input)
    require_tensor(name, weight, "weight", 2)
    if bias is not None:
        require_tensor(name, bias, "bias", 3)
    dtype = input.array.dtype
    if weight.array.dtype is dtype and (bias is None or bias.array.dtype is dtype):
        return
    for what, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.array.dtype != dtype:
            raise RuntimeError(
                f"{name}: Input type ({input.dtype}) and {what} type ({tensor.dtype}) should be the same; "
                "convert one with .to(dtype)"
            )


def _check_dimensions(name, spatial, shape, w_shape):
    if len(shape) not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"Expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input to {name}, but got input of size: "
            f"{list(shape)}"
        )
    if len(w_shape) != spatial + 2:
        raise RuntimeError(
            f"{name}: Expected {spatial + 2}-dimensional weight for {spatial + 2}-dimensional input, but got weight of "
            f"size {list(w_shape)} instead"
        )


def _check_numbers(name, stride, padding, dilation, groups):
    if any(p < 0 for p in padding):
        raise RuntimeError(f"{name}: negative padding is not supported")
    if any(s <= 0 for s in stride):
        raise RuntimeError(f"{name}: non-positive stride is not supported")
    if any(d <= 0 for d in dilation):
        raise RuntimeError(f"{name}: dilation should be greater than zero")
    if isinstance(groups, bool) or not hasattr(groups, "__index__"):
        raise TypeError(f"{name}(): argument 'groups' must be int, not {type(groups).__name__}")
    if groups <= 0:
        raise RuntimeError(f"{name}: non-positive groups is not supported")


def _check_channels(shape, w_shape, bias_shape, groups, transposed):
    """RuntimeError unless channels, groups and bias fit; shape is the input's (N, C, *size)."""
    size = list(w_shape)
    if w_shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{size} instead"
        )
    if w_shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight "
            f"of size {size} instead"
        )
    given = "Given transposed=1" if transposed else f"Given groups={groups}"
    given = f"{given}, weight of size {size}"
    given_bias = given if transposed else f"Given weight of size {size}"
    channels = w_shape[0] if transposed else w_shape[1] * groups
    if shape[1] != channels:
        raise RuntimeError(
            f"{given}, expected input{list(shape)} to have {channels} channels, but got {shape[1]} channels instead"
        )
    outputs = w_shape[1] * groups if transposed else w_shape[0]
    if bias_shape not in (None, (outputs,)):
        raise RuntimeError(
            f"{given_bias}, expected bias to be 1-dimensional with {outputs} "
            f"elements, but got bias of size {list(bias_shape)} instead"
        )


def _sizes_text(sizes):
    return " x ".join(str(size) for size in sizes)


# ---------------------------------------------------------------------- convolution


def _same_padding(name, kernel, stride, dilation):
    """((before, after) for every spatial dimension) so that the output is as large as the input."""
    if any(s != 1 for s in stride):
        raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _conv(name, spatial, input, weight, bias, stride, padding, dilation, groups, op=convolution):
    _check_tensors(name, input, weight, bias)
    shapes = input.array.shape, weight.array.shape, None if bias is None else bias.array.shape
    numbers = stride, padding, dilation, groups
    kinds = tuple([tuple(map(type, number)) if isinstance(number, tuple) else type(number) for number in numbers])
    checked = _settings if _are_plain(kinds) else _settings.__wrapped__
    stride, padding, dilation, uneven = checked(name, spatial, shapes, stride, padding, dilation, groups)
    x, added = batched(input, spatial)
    if uneven is not None:
        x = pad_op(x, pads=uneven, value=0)
    out = op(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return unbatched(out, added) if added else out


@lru_cache(maxsize=128)
def _are_plain(kinds):
    """Whether settings of these types can be keys of a cache, to which 1, 1.0 and True are the same."""
    return all(kind in (int, str) if isinstance(kind, type) else _are_plain(kind) for kind in kinds)


@lru_cache(maxsize=1024)
def _settings(name, spatial, shapes, stride, padding, dilation, groups):
    """Return (stride, padding, dilation, what "same" pads besides) of a convolution, all checked."""
    shape, w_shape, bias_shape = shapes
    _check_dimensions(name, spatial, shape, w_shape)
    stride = spatial_ints(stride, spatial, name, "stride")
    dilation = spatial_ints(dilation, spatial, name, "dilation")
    kernel = w_shape[2:]
    if len(shape) == spatial + 1:
        shape = (1, *shape)
    uneven = None
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        sides = _same_padding(name, kernel, stride, dilation) if padding == "same" else ((0, 0),) * spatial
        padding = tuple(before for before, _ in sides)
        if any(before != after for before, after in sides):
            uneven = ((0, 0), (0, 0), *((0, after - before) for before, after in sides))
    else:
        padding = spatial_ints(padding, spatial, name, "padding")
    _check_numbers(name, stride, padding, dilation, groups)
    _check_channels(shape, w_shape, bias_shape, groups, transposed=False)
    padded = tuple(s + 2 * p for s, p in zip(shape[2:], padding, strict=True))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    if uneven is None and any(s < r for s, r in zip(padded, reach, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_sizes_text(padded)}). Kernel size: ({_sizes_text(reach)}). "
            "Kernel size can't be greater than actual input size"
        )
    return stride, padding, dilation, uneven


def _convolution_then_relu(x, w, bias, **given):
    """Return relu(convolution(x, w, bias)) from one kernel; the graph is that of the two operations."""
    if convolution.forward is not _convolution or (WATCHED and MODE.watchers):  # counted: utils/products.py; or watched
        return relu_op(convolution(x, w, bias, **given))
    tensors = (x, w, bias)
    arrays = [None if tensor is None else tensor.array for tensor in tensors]
    try:
        out = kernels.convolve(*arrays, **given, relu=True)
    except Exception as error:
        raise explained(convolution, arrays, error) from error.__cause__
    if not (MODE.grad and any(tensor is not None and is_tracked(tensor) for tensor in tensors)):
        return wrap(out)
    # Neither operation's gradient needs the convolution's own result, so that relu's may stand in for it.
    y = convolution.record(tensors, arrays, given, out)
    return relu_op.record((y,), (out,), {}, out)


def conv_relu(input, weight, bias, stride, padding, dilation, groups):
    """Return relu of conv1d, conv2d or conv3d, whichever the weight is for, in fewer passes over memory."""
    spatial = weight.array.ndim - 2
    name = f"conv{spatial}d"
    return _conv(name, spatial, input, weight, bias, stride, padding, dilation, groups, op=_convolution_then_relu)


@function()
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Return y[n, o, i] = bias[o] + Σ_c,k weight[o, c, k] input[n, c, i·stride + k·dilation - padding].

    Arguments: input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,), stride, padding (ints; "valid": none,
    "same": as much as keeps the length), dilation, groups. RuntimeError for shapes or dtypes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv1d.html

    >>> import minigrad as mg
    >>> mg.conv1d(mg.tensor([[1.0, 2.0, 3.0]]), mg.ones(1, 1, 2))
    tensor([[3., 5.]])
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@function()
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Return the 2-d cross-correlation of input (N, C, H, W) or (C, H, W) with weight (O, C / groups, KH, KW).

    Arguments: bias (O,), stride, padding (ints; "valid", "same"), dilation, groups (the channels are cut into that many
    groups, each convolved alone). Output (N, O, OH, OW), OH = ⌊(H + 2 padding - dilation (KH - 1) - 1) / stride⌋ + 1.
    RuntimeError for shapes or dtypes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html

    >>> import minigrad as mg
    >>> mg.conv2d(mg.ones(1, 1, 3, 3), mg.ones(1, 1, 3, 3), padding=1)[0, 0]
    tensor([[4., 6., 4.],
            [6., 9., 6.],
            [4., 6., 4.]])
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@function()
def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Return the 3-d cross-correlation of (N, C, D, H, W) or (C, D, H, W) with weight (O, C / groups, KD, KH, KW).

    Arguments as those of `conv2d`. RuntimeError for shapes or dtypes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv3d.html

    >>> import minigrad as mg
    >>> mg.conv3d(mg.ones(2, 4, 4, 4), mg.ones(3, 2, 2, 2, 2)).shape
    minigrad.Size([3, 3, 3, 3])
    """
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


# ---------------------------------------------------------------------- transposed convolution


def _conv_transpose(name, spatial, input, weight, bias, stride, padding, output_padding, groups, dilation):
    _check_tensors(name, input, weight, bias)
    _check_dimensions(name, spatial, input.array.shape, weight.array.shape)
    stride = spatial_ints(stride, spatial, name, "stride")
    padding = spatial_ints(padding, spatial, name, "padding")
    output_padding = spatial_ints(output_padding, spatial, name, "output_padding")
    dilation = spatial_ints(dilation, spatial, name, "dilation")
    _check_numbers(name, stride, padding, dilation, groups)
    if any(p < 0 for p in output_padding):
        raise RuntimeError(f"{name}: negative output_padding is not supported")
    x, added = batched(input, spatial)
    shape = x.array.shape
    bias_shape = None if bias is None else bias.array.shape
    _check_channels(shape, weight.array.shape, bias_shape, groups, transposed=True)
    if any(p >= s and p >= d for p, s, d in zip(output_padding, stride, dilation, strict=True)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got output_padding="
            f"{list(output_padding)}, stride={list(stride)}, dilation={list(dilation)}"
        )
    size = tuple(
        (length - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for length, s, p, d, k, extra in zip(
            shape[2:], stride, padding, dilation, weight.array.shape[2:], output_padding, strict=True
        )
    )
    if any(length < 1 for length in size):
        raise RuntimeError(
            f"Given input size per channel: ({_sizes_text(shape[2:])}). Calculated output size per channel: "
            f"({_sizes_text(size)}). Output size is too small"
        )
    out = convolution_input(
        x, weight, bias, size=size, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return unbatched(out, added)


@function()
def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Return the transposed 1-d convolution: the gradient of `conv1d` with respect to its input, plus a bias.

    Arguments: input (N, C, L) or (C, L), weight (C, O / groups, K), bias (O,), output_padding (added to one side of the
    output), stride, padding, dilation, groups as in `conv1d`. Output length (L - 1) stride - 2 padding +
    dilation (K - 1) + output_padding + 1. RuntimeError for shapes or dtypes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose1d.html

    >>> import minigrad as mg
    >>> mg.conv_transpose1d(mg.tensor([[1.0, 2.0]]), mg.ones(1, 1, 2), stride=2)
    tensor([[1., 1., 2., 2.]])
    """
    return _conv_transpose(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@function()
def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Return the transposed 2-d convolution of input (N, C, H, W) or (C, H, W) with weight (C, O / groups, KH, KW).

    Arguments and errors as those of `conv_transpose1d`.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose2d.html

    >>> import minigrad as mg
    >>> mg.conv_transpose2d(mg.ones(1, 2, 3, 3), mg.ones(2, 4, 2, 2), stride=2).shape
    minigrad.Size([1, 4, 6, 6])
    """
    return _conv_transpose(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@function()
def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Return the transposed 3-d convolution of input (N, C, D, H, W) or (C, D, H, W) with (C, O / groups, KD, KH, KW).

    Arguments and errors as those of `conv_transpose1d`.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose3d.html

    >>> import minigrad as mg
    >>> mg.conv_transpose3d(mg.ones(2, 3, 3, 3), mg.ones(2, 1, 3, 3, 3)).shape
    minigrad.Size([1, 5, 5, 5])
    """
    return _conv_transpose(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@function()
def conv_tbc(input, weight, bias, pad=0):
    """Return the 1-d convolution of input (time, batch, C) with weight (K, C, O) plus bias (O,), as (time', batch, O).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.conv_tbc.html

    >>> import minigrad as mg
    >>> mg.conv_tbc(mg.ones(5, 1, 2), mg.ones(3, 2, 4), mg.zeros(4)).shape
    minigrad.Size([3, 1, 4])
    """
    _check_tensors("conv_tbc", input, weight, bias)
    if input.array.ndim != 3 or weight.array.ndim != 3 or bias.array.ndim != 1:
        raise RuntimeError("conv_tbc: Input and weight must have 3 dims: time, batch, channels; and bias 1 dim")
    if input.shape[2] != weight.shape[1]:
        raise RuntimeError("conv_tbc: Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


@function(name="convolution")
def _torch_convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    """Return the convolution, or transposed convolution, over as many dimensions as the stride has.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html

    >>> import minigrad as mg
    >>> x, w = mg.ones(1, 1, 4), mg.ones(1, 1, 3)
    >>> mg.convolution(x, w, None, [1], [0], [1], False, [0], 1)
    tensor([[[3., 3.]]])
    """
    spatial = len(stride)
    if spatial not in (1, 2, 3):
        raise RuntimeError(f"convolution: 1, 2 or 3 dimensions are supported, but stride={list(stride)}")
    if transposed:
        return _conv_transpose(
            f"conv_transpose{spatial}d", spatial, input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return _conv(f"conv{spatial}d", spatial, input, weight, bias, stride, padding, dilation, groups)


# ---------------------------------------------------------------------- unfold and fold


def _column_arguments(name, kernel_size, dilation, padding, stride):
    kernel = spatial_ints(kernel_size, 2, name, "kernel_size")
    dilation = spatial_ints(dilation, 2, name, "dilation")
    padding = spatial_ints(padding, 2, name, "padding")
    stride = spatial_ints(stride, 2, name, "stride")
    for what, numbers in (("kernel size", kernel), ("dilation", dilation), ("stride", stride)):
        if any(number <= 0 for number in numbers):
            raise RuntimeError(f"{what} should be greater than zero, but got {_named_sizes(what, numbers)}")
    if any(number < 0 for number in padding):
        raise RuntimeError(f"padding should be non-negative, but got {_named_sizes('padding', padding)}")
    return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


def _named_sizes(what, numbers):
    word = what.split()[0]
    return f"{word}_height: {numbers[0]} {word}_width: {numbers[1]}"


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Return the sliding windows of images as columns (im2col): (N, C · KH · KW, positions).

    Arguments: input (N, C, H, W) or (C, H, W), kernel_size, dilation, padding, stride (ints or pairs). RuntimeError
    where no window fits. Inverse up to multiplicities: `fold`.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.unfold.html

    >>> import minigrad as mg
    >>> mg.nn.functional.unfold(mg.ones(1, 3, 4, 4), 2).shape
    minigrad.Size([1, 12, 9])
    """
    require_tensor("unfold", input)
    given = _column_arguments("unfold", kernel_size, dilation, padding, stride)
    shape = input.array.shape
    if input.array.ndim not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    out = columns.window_count(shape[-2:], **given)
    if any(count < 1 for count in out):
        raise RuntimeError(
            f"Given input with spatial size ({shape[-2]}, {shape[-1]}), kernel_size={given['kernel']}, "
            f"dilation={given['dilation']}, padding={given['padding']}, calculated shape of the array of "
            f"sliding blocks "
            f"as ({out[0]}, {out[1]}), but its components must be at least one."
        )
    x, added = batched(input, 2)
    return unbatched(im2col(x, **given), added)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Return the images (N, C, *output_size) that are the sum of their windows, given as columns (col2im).

    Arguments: input (N, C · KH · KW, positions) or without N, output_size, kernel_size, dilation, padding, stride (ints
    or pairs). RuntimeError where the number of columns does not fit. Adjoint of `unfold`.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.fold.html

    >>> import minigrad as mg
    >>> mg.nn.functional.fold(mg.ones(1, 4, 4), (3, 3), (2, 2))[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    require_tensor("fold", input)
    size = spatial_ints(output_size, 2, "fold", "output_size")
    given = _column_arguments("fold", kernel_size, dilation, padding, stride)
    if any(length <= 0 for length in size):
        raise RuntimeError(f"output size should be greater than zero, but got {_named_sizes('output', size)}")
    shape = input.array.shape
    if input.array.ndim not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            f"input, but got: {list(shape)}"
        )
    area = given["kernel"][0] * given["kernel"][1]
    if shape[-2] % area:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[-2]} and kernel_size={given['kernel']}."
        )
    out = columns.window_count(size, **given)
    text = (
        f"Given output_size={size}, kernel_size={given['kernel']}, dilation={given['dilation']}, "
        f"padding={given['padding']}, stride={given['stride']}"
    )
    if any(count < 1 for count in out):
        raise RuntimeError(
            f"{text}, calculated shape of the array of sliding blocks as ({out[0]}, {out[1]}), which is too small "
            "(non-positive)"
        )
    if out[0] * out[1] != shape[-1]:
        raise RuntimeError(
            f"{text}, expected size of input's dimension 2 to match the calculated number of sliding blocks {out[0]} * "
            f"{out[1]} = {out[0] * out[1]}, but got input.size(2)={shape[-1]}."
        )
    x, added = batched(input, 1)
    return unbatched(col2im(x, size=size, **given), added)
