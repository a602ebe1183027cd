"""Linear, Bilinear, Identity, and the linear layer that finds its number of inputs itself."""

import math

from minigrad.nn import init
from minigrad.nn.factory import empty_parameter
from minigrad.nn.lazy import LazyModuleMixin
from minigrad.nn.module import Module
from minigrad.nn.parameter import UninitializedParameter
from minigrad.ops.linear import bilinear, linear

__all__ = ["Bilinear", "Identity", "LazyLinear", "Linear"]


class Identity(Module):
    """Returns its input; takes and ignores any arguments.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html

    >>> import minigrad as mg
    >>> mg.nn.Identity(54, unused=True)(mg.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        """Return the input."""
        return input


class Linear(Module):
    """y = x Wᵀ + b.

    Arguments: in_features, out_features (ints), bias (whether to add b), device, dtype.
    Shapes: x (…, in_features), y (…, out_features). Weight (out, in) and bias start from U(-1/√in, 1/√in).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html

    >>> import minigrad as mg
    >>> mg.nn.Linear(20, 30)(mg.ones(128, 20)).shape
    minigrad.Size([128, 30])
    """

    __constants__ = ["in_features", "out_features"]

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = empty_parameter((out_features, in_features), device, dtype)
        if bias:
            self.bias = empty_parameter(out_features, device, dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        """Return input Wᵀ + b."""
        return linear(input, self.weight, self.bias)

    def extra_repr(self):
        """Return the settings."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class LazyLinear(LazyModuleMixin, Linear):
    """Linear whose in_features the first input decides.

    Arguments: out_features, bias, device, dtype. Shape: (…, in_features) to (…, out_features).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html

    >>> import minigrad as mg
    >>> layer = mg.nn.LazyLinear(4)
    >>> layer(mg.ones(2, 3)).shape
    minigrad.Size([2, 4])
    """

    cls_to_become = Linear

    def __init__(self, out_features, bias=True, device=None, dtype=None):
        super().__init__(0, 0, False, device, dtype)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        """Draw weight and bias anew, once they have shapes."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input):
        """Make the parameters for inputs of this one's last dimension."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if self.in_features == 0:
            if input.shape[-1] != self.weight.shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {input.shape[-1]} is not equal to in_features from "
                    f"self.weight: {self.weight.shape[-1]}"
                )
            self.in_features = input.shape[-1]


class Bilinear(Module):
    """y = x₁ᵀ A x₂ + b.

    Arguments: in1_features, in2_features, out_features (ints), bias, device, dtype.
    Shapes: x₁ (…, in1), x₂ (…, in2), y (…, out). All start from U(-1/√in1, 1/√in1).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Bilinear.html

    >>> import minigrad as mg
    >>> mg.nn.Bilinear(2, 3, 4)(mg.ones(5, 2), mg.ones(5, 3)).shape
    minigrad.Size([5, 4])
    """

    __constants__ = ["in1_features", "in2_features", "out_features"]

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        super().__init__()
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = empty_parameter((out_features, in1_features, in2_features), device, dtype)
        if bias:
            self.bias = empty_parameter(out_features, device, dtype)
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1, input2):
        """Return input1ᵀ A input2 + b."""
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        """Return the settings."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
