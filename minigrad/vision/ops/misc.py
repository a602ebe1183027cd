"""Pieces that many vision networks share."""

import warnings

from minigrad import nn
from minigrad.ops.creation import ones, zeros
from minigrad.ops.shape import permute

__all__ = [
    "MLP",
    "Conv2dNormActivation",
    "Conv3dNormActivation",
    "ConvNormActivation",
    "FrozenBatchNorm2d",
    "Permute",
    "SqueezeExcitation",
]


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation whose statistics and factors are constants (buffers), in training too.

    y = (x - running_mean) / √(running_var + eps) · weight + bias.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.FrozenBatchNorm2d.html

    >>> FrozenBatchNorm2d(3)
    FrozenBatchNorm2d(3, eps=1e-05)
    """

    def __init__(self, num_features, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", ones(num_features))
        self.register_buffer("bias", zeros(num_features))
        self.register_buffer("running_mean", zeros(num_features))
        self.register_buffer("running_var", ones(num_features))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        state_dict.pop(f"{prefix}num_batches_tracked", None)  # of the BatchNorm2d that was frozen
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x):
        """Return x normalised, (N, C, H, W)."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)

    def __repr__(self):
        return f"{type(self).__name__}({self.weight.shape[0]}, eps={self.eps})"


class ConvNormActivation(nn.Sequential):
    """A convolution, a normalisation and an activation; see Conv2dNormActivation, which is to be used instead."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size=3,
        stride=1,
        padding=None,
        groups=1,
        norm_layer=nn.BatchNorm2d,
        activation_layer=nn.ReLU,
        dilation=1,
        inplace=True,
        bias=None,
        conv_layer=nn.Conv2d,
    ):
        if padding is None:
            padding = _same(kernel_size, dilation)
        if bias is None:
            bias = norm_layer is None
        layers = [
            conv_layer(
                in_channels, out_channels, kernel_size, stride, padding, dilation=dilation, groups=groups, bias=bias
            )
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer() if inplace is None else activation_layer(inplace=inplace))
        super().__init__(*layers)
        self.out_channels = out_channels
        if type(self) is ConvNormActivation:
            warnings.warn(
                "Don't use ConvNormActivation directly, please use Conv2dNormActivation and Conv3dNormActivation "
                "instead.",
                stacklevel=2,
            )


def _same(kernel_size, dilation):
    """The padding that keeps the size at stride 1: (kernel - 1) // 2 · dilation, along each axis."""
    if isinstance(kernel_size, int) and isinstance(dilation, int):
        return (kernel_size - 1) // 2 * dilation
    axes = len(dilation) if isinstance(kernel_size, int) else len(kernel_size)
    kernels = (kernel_size,) * axes if isinstance(kernel_size, int) else kernel_size
    dilations = (dilation,) * axes if isinstance(dilation, int) else dilation
    return tuple((k - 1) // 2 * d for k, d in zip(kernels, dilations))


class Conv2dNormActivation(ConvNormActivation):
    """A Conv2d, a normalisation and an activation in a Sequential.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, dilation: of the convolution.
        padding: None to keep the size at stride 1.
        norm_layer: makes a normalisation of so many channels; None for none.
        activation_layer: makes the activation; None for none.
        inplace: given to the activation, unless None.
        bias: of the convolution; None for a bias just where there is no norm_layer.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.Conv2dNormActivation.html

    >>> Conv2dNormActivation(3, 8, stride=2)[0]
    Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size=3,
        stride=1,
        padding=None,
        groups=1,
        norm_layer=nn.BatchNorm2d,
        activation_layer=nn.ReLU,
        dilation=1,
        inplace=True,
        bias=None,
    ):
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, groups, norm_layer, activation_layer, dilation,
            inplace, bias, nn.Conv2d,
        )  # fmt: skip


class Conv3dNormActivation(ConvNormActivation):
    """A Conv3d, a normalisation and an activation in a Sequential; arguments: see Conv2dNormActivation.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.Conv3dNormActivation.html

    >>> Conv3dNormActivation(3, 8, kernel_size=(1, 3, 3))[0]
    Conv3d(3, 8, kernel_size=(1, 3, 3), stride=(1, 1, 1), padding=(0, 1, 1), bias=False)
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size=3,
        stride=1,
        padding=None,
        groups=1,
        norm_layer=nn.BatchNorm3d,
        activation_layer=nn.ReLU,
        dilation=1,
        inplace=True,
        bias=None,
    ):
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, groups, norm_layer, activation_layer, dilation,
            inplace, bias, nn.Conv3d,
        )  # fmt: skip


class SqueezeExcitation(nn.Module):
    """Channels weighted by what the whole image says: x · scale_activation(fc2(activation(fc1(mean(x))))).

    Args:
        input_channels: C of the input (N, C, H, W).
        squeeze_channels: of the hidden layer.
        activation, scale_activation: make the activations.

    Source: Hu et al. 2017, https://arxiv.org/abs/1709.01507;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.SqueezeExcitation.html

    >>> import minigrad as mg
    >>> tuple(SqueezeExcitation(8, 2)(mg.ones(1, 8, 4, 4)).shape)
    (1, 8, 4, 4)
    """

    def __init__(self, input_channels, squeeze_channels, activation=nn.ReLU, scale_activation=nn.Sigmoid):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input):
        """Return the weighted channels, (N, C, H, W)."""
        hidden = self.activation(self.fc1(self.avgpool(input)))  # (N, squeeze_channels, 1, 1)
        return self.scale_activation(self.fc2(hidden)) * input


class MLP(nn.Sequential):
    """Linear layers with activations and dropout: a multi-layer perceptron.

    Args:
        in_channels: features of the input.
        hidden_channels: list of the layers' outputs; after the last one there is only dropout.
        norm_layer: makes a normalisation of so many features; None for none.
        activation_layer: makes the activation.
        inplace: given to activation and dropout, unless None.
        bias: of the linear layers.
        dropout: probability.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.MLP.html

    >>> [type(layer).__name__ for layer in MLP(4, [8, 2])]
    ['Linear', 'ReLU', 'Dropout', 'Linear', 'Dropout']
    """

    def __init__(
        self,
        in_channels,
        hidden_channels,
        norm_layer=None,
        activation_layer=nn.ReLU,
        inplace=None,
        bias=True,
        dropout=0.0,
    ):
        settings = {} if inplace is None else {"inplace": inplace}
        layers = []
        for channels in hidden_channels[:-1]:
            layers.append(nn.Linear(in_channels, channels, bias=bias))
            if norm_layer is not None:
                layers.append(norm_layer(channels))
            layers.append(activation_layer(**settings))
            layers.append(nn.Dropout(dropout, **settings))
            in_channels = channels
        layers.append(nn.Linear(in_channels, hidden_channels[-1], bias=bias))
        layers.append(nn.Dropout(dropout, **settings))
        super().__init__(*layers)


class Permute(nn.Module):
    """x with its axes in the order dims.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.Permute.html

    >>> import minigrad as mg
    >>> tuple(Permute([0, 2, 3, 1])(mg.ones(1, 8, 4, 4)).shape)
    (1, 4, 4, 8)
    """

    def __init__(self, dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        """Return the permuted view."""
        return permute(x, self.dims)
