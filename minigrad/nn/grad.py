"""The gradients of convolutions as functions, each differentiable itself.

Source: https://github.com/pytorch/pytorch/blob/main/torch/nn/grad.py
"""

from minigrad.ops.conv import convolution_input, convolution_weight
from minigrad.ops.sizes import spatial_ints

__all__ = [f"conv{_spatial}d_{_of}" for _spatial in (1, 2, 3) for _of in ("input", "weight")]


_DOC = """Return the gradient of conv{spatial}d with respect to its {of}, from that of its output.

    Arguments: the other operand, the shape and the gradient in PyTorch's order, then conv{spatial}d's settings.
    Raises RuntimeError for shapes that do not belong together.
    Source: https://github.com/pytorch/pytorch/blob/main/torch/nn/grad.py

    >>> import minigrad as mg
    >>> x, w, g = mg.ones(1, 2, *[4] * {spatial}), mg.ones(3, 2, *[2] * {spatial}), mg.ones(1, 3, *[3] * {spatial})
    >>> mg.nn.grad.conv{spatial}d_{call}
    True
    """


def _settings(name, spatial, stride, padding, dilation, groups):
    return {
        "stride": spatial_ints(stride, spatial, name, "stride"),
        "padding": spatial_ints(padding, spatial, name, "padding"),
        "dilation": spatial_ints(dilation, spatial, name, "dilation"),
        "groups": groups,
    }


def _check(name, spatial, x_shape, w_shape, grad_output, settings):
    """RuntimeError unless the three shapes are those of one convolution."""
    whole = len(x_shape) == len(w_shape) == spatial + 2 and x_shape[1] == w_shape[1] * settings["groups"]
    if whole:
        pieces = zip(x_shape[2:], w_shape[2:], settings["stride"], settings["padding"], settings["dilation"])
        expected = (x_shape[0], w_shape[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in pieces))
        whole = tuple(grad_output.shape) == expected
    if not whole:
        raise RuntimeError(
            f"{name}: a gradient of shape {list(grad_output.shape)} does not belong to an input of shape "
            f"{list(x_shape)} and a weight of shape {list(w_shape)} with {settings}"
        )


def _define(spatial):
    def of_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
        if input_size is None:
            raise ValueError(f"grad.{of_input.__name__} requires specifying an input_size")
        given = _settings(of_input.__name__, spatial, stride, padding, dilation, groups)
        _check(of_input.__name__, spatial, input_size, weight.shape, grad_output, given)
        return convolution_input(grad_output, weight, None, size=tuple(input_size[2:]), **given)

    def of_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
        given = _settings(of_weight.__name__, spatial, stride, padding, dilation, groups)
        _check(of_weight.__name__, spatial, input.shape, weight_size, grad_output, given)
        return convolution_weight(grad_output, input, kernel=tuple(weight_size[2:]), **given)

    for function, of, call in (
        (of_input, "input", "input(x.shape, w, g).shape == x.shape"),
        (of_weight, "weight", "weight(x, w.shape, g).shape == w.shape"),
    ):
        function.__name__ = function.__qualname__ = f"conv{spatial}d_{of}"
        function.__doc__ = _DOC.format(spatial=spatial, of=of, call=call)
        globals()[function.__name__] = function


for _spatial in (1, 2, 3):
    _define(_spatial)
