"""Normalisation layers: batch, instance, layer, group, root-mean-square, local response."""

import warnings

from minigrad.backend import np
from minigrad.nn import init
from minigrad.nn.factory import empty_parameter, empty_tensor, filled_tensor
from minigrad.nn.lazy import LazyModuleMixin
from minigrad.nn.module import Module
from minigrad.nn.parameter import UninitializedBuffer, UninitializedParameter
from minigrad.ops.norm import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from minigrad.registry import FUNCTIONS

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "CrossMapLRN2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LocalResponseNorm",
    "RMSNorm",
    "SyncBatchNorm",
]


class _NormBase(Module):
    """Parameters and running statistics that batch and instance norm share."""

    _version = 2
    __constants__ = ["track_running_stats", "momentum", "eps", "num_features", "affine"]

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make_parameters(lambda: empty_parameter(num_features, device, dtype), bias)
        self._make_buffers(lambda: empty_tensor(num_features, device, dtype), device)
        self.reset_parameters()

    def _make_parameters(self, make, bias):
        """Register weight and bias, or None where there are none."""
        self.register_parameter("weight", make() if self.affine else None)
        self.register_parameter("bias", make() if self.affine and bias else None)

    def _make_buffers(self, make, device):
        """Register the running statistics, or None where they are not tracked."""
        track = self.track_running_stats
        self.register_buffer("running_mean", make() if track else None)
        self.register_buffer("running_var", make() if track else None)
        self.register_buffer("num_batches_tracked", filled_tensor((), 0, device, "int64") if track else None)

    def reset_running_stats(self):
        """Start the running statistics anew: mean 0, variance 1, no batch seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self):
        """Start the statistics anew, the weight at 1 and the bias at 0."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input):
        raise NotImplementedError(f"{type(self).__name__} does not say which inputs it takes")

    def extra_repr(self):
        """Return the settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        version = local_metadata.get("version", None)
        key = prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            # Files written before PyTorch 0.4.1 do not count batches.
            state_dict[key] = filled_tensor((), 0, dtype="int64")
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class _BatchNorm(_NormBase):
    """Forward of batch norm in any number of dimensions."""

    def forward(self, input):
        """Return the input normalised per channel; while training the running statistics move."""
        return batch_norm(input, *self._settings(input))

    def _settings(self, input):
        """Return the arguments of batch_norm for an input, which counts as a batch while training."""
        self._check_input_dim(input)
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            init.constant_(self.num_batches_tracked, self.num_batches_tracked.array + 1)
            if self.momentum is None:  # the average over all batches so far
                array = self.num_batches_tracked.array  # a number on the CPU; on a GPU it stays there
                factor = 1.0 / (float(array) if type(array) is np.ndarray else array)
        own_statistics = self.training or (self.running_mean is None and self.running_var is None)
        tracked = not self.training or self.track_running_stats
        running = (self.running_mean, self.running_var) if tracked else (None, None)
        return *running, self.weight, self.bias, own_statistics, factor, self.eps


class _LazyNormBase(LazyModuleMixin, _NormBase):
    """Norm layer whose num_features the first input decides."""

    def __init__(
        self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__(0, eps, momentum, False, False, device, dtype)
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make_parameters(lambda: UninitializedParameter(device=device, dtype=dtype), bias)
        self._make_buffers(lambda: UninitializedBuffer(device=device, dtype=dtype), device)

    def reset_parameters(self):
        """Start anew, once the parameters have shapes."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input):
        """Make the parameters for inputs with this one's channels."""
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        for tensor in (self.weight, self.bias, self.running_mean, self.running_var):
            if tensor is not None:
                tensor.materialize((self.num_features,))
        self.reset_parameters()


def _check_dims(input, allowed, text):
    """ValueError unless the input has an allowed number of dimensions."""
    if input.array.ndim not in allowed:
        raise ValueError(f"expected {text} input (got {input.array.ndim}D input)")


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of vectors or sequences: y = (x - mean) / √(var + eps) · weight + bias per channel.

    Arguments: num_features (C), eps, momentum (of the running statistics; None: their average), affine (learn weight
    and bias), track_running_stats, device, dtype, bias. Shape: (N, C) or (N, C, L).
    Source: Ioffe & Szegedy 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html

    >>> import minigrad as mg
    >>> mg.nn.BatchNorm1d(3)(mg.randn(20, 3)).shape
    minigrad.Size([20, 3])
    """

    def _check_input_dim(self, input):
        _check_dims(input, (2, 3), "2D or 3D")


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: y = (x - mean) / √(var + eps) · weight + bias per channel.

    Arguments: as for BatchNorm1d. Shape: (N, C, H, W).
    Source: Ioffe & Szegedy 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html

    >>> import minigrad as mg
    >>> mg.nn.BatchNorm2d(3)(mg.randn(2, 3, 4, 4)).shape
    minigrad.Size([2, 3, 4, 4])
    """

    def _check_input_dim(self, input):
        _check_dims(input, (4,), "4D")


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes. Arguments: as for BatchNorm1d. Shape: (N, C, D, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html

    >>> import minigrad as mg
    >>> mg.nn.BatchNorm3d(3)(mg.ones(8, 3, 2, 4, 4)).shape
    minigrad.Size([8, 3, 2, 4, 4])
    """

    def _check_input_dim(self, input):
        _check_dims(input, (5,), "5D")


class _LazyBatchNorm(_LazyNormBase, _BatchNorm):
    pass


class LazyBatchNorm1d(_LazyBatchNorm, BatchNorm1d):
    """BatchNorm1d whose num_features the first input decides.

    Arguments: as for BatchNorm1d, without num_features.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm1d.html

    >>> import minigrad as mg
    >>> norm = mg.nn.LazyBatchNorm1d()
    >>> norm(mg.ones(8, 3, 10)).shape
    minigrad.Size([8, 3, 10])
    >>> norm.num_features
    3
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm, BatchNorm2d):
    """BatchNorm2d whose num_features the first input decides.

    Arguments: as for BatchNorm2d, without num_features.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm2d.html

    >>> import minigrad as mg
    >>> norm = mg.nn.LazyBatchNorm2d()
    >>> norm(mg.ones(8, 3, 4, 4)).shape
    minigrad.Size([8, 3, 4, 4])
    >>> norm.num_features
    3
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm, BatchNorm3d):
    """BatchNorm3d whose num_features the first input decides.

    Arguments: as for BatchNorm3d, without num_features.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm3d.html

    >>> import minigrad as mg
    >>> norm = mg.nn.LazyBatchNorm3d()
    >>> norm(mg.ones(8, 3, 2, 4, 4)).shape
    minigrad.Size([8, 3, 2, 4, 4])
    >>> norm.num_features
    3
    """

    cls_to_become = BatchNorm3d


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation in any number of dimensions whose statistics are those of the batches of all ranks.

    Arguments: as for BatchNorm1d, and process_group (None: all ranks). In evaluation, in one process, and without a
    process group it is batch normalisation. Shape: (N, C, *); ValueError for fewer dimensions.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SyncBatchNorm.html

    >>> import minigrad as mg
    >>> model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.BatchNorm1d(3))
    >>> type(mg.nn.SyncBatchNorm.convert_sync_batchnorm(model)[1]).__name__
    'SyncBatchNorm'
    """

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        process_group=None,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input):
        if input.array.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.array.ndim}D input)")

    def forward(self, input):
        """Return the normalised input."""
        self._check_input_dim(input)
        if self.training or self.running_mean is None:
            from minigrad.distributed import get_world_size, is_initialized

            if is_initialized() and get_world_size(self.process_group) > 1:
                from minigrad.nn.sync_norm import normalise

                return normalise(self, input)
        return super().forward(input)

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """Return the module with every batch norm in it replaced by a SyncBatchNorm of the same parameters."""
        result = module
        if isinstance(module, _BatchNorm):
            result = cls(
                module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats,
                process_group,
            )  # fmt: skip
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                setattr(result, name, getattr(module, name))
            result.training = module.training
        for name, child in module.named_children():
            result.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return result


# ---------------------------------------------------------------------- instance norm
class _InstanceNorm(_NormBase):
    """Forward of instance norm in any number of dimensions."""

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    _unbatched = 0  # number of dimensions of one sample

    def _check_input_dim(self, input):
        low, high = self._unbatched, self._unbatched + 1
        _check_dims(input, (low, high), f"{low}D or {high}D")

    def forward(self, input):
        """Return the input normalised per sample and channel."""
        self._check_input_dim(input)
        unbatched = input.array.ndim == self._unbatched
        channels = input.array.shape[0 if unbatched else 1]
        if channels != self.num_features:
            dim = 0 if unbatched else 1
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={dim} to match num_features ({self.num_features}), but got: "
                    f"{channels}."
                )
            warnings.warn(
                f"input's size at dim={dim} does not match num_features. You can silence this "
                "warning by "
                "not passing in num_features, which is not used because affine=False",
                stacklevel=2,
            )
        out = instance_norm(
            input.unsqueeze(0) if unbatched else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum if self.momentum is not None else 0.0,
            self.eps,
        )
        return out.squeeze(0) if unbatched else out

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        version = local_metadata.get("version", None)
        if version is None and not self.track_running_stats:
            names = [name for name in ("running_mean", "running_var") if prefix + name in state_dict]
            if names:
                error_msgs.append(
                    f"Unexpected running stats buffer(s) {' and '.join(names)} for {type(self).__name__} with "
                    "track_running_stats=False. If state_dict is a checkpoint saved before 0.4.0, this may be expected "
                    "because track_running_stats was introduced then; remove these keys from it."
                )
                for name in names:
                    state_dict.pop(prefix + name)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of sequences: batch norm of every sample by itself.

    Arguments: num_features (C), eps, momentum, affine (default False), track_running_stats (default False), device,
    dtype, bias. Shape: (N, C, L) or (C, L).
    Source: Ulyanov et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm1d.html

    >>> import minigrad as mg
    >>> mg.nn.InstanceNorm1d(3)(mg.randn(2, 3, 8)).shape
    minigrad.Size([2, 3, 8])
    """

    _unbatched = 2


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images. Arguments: as for InstanceNorm1d. Shape: (N, C, H, W) or (C, H, W).

    Source: Ulyanov et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html

    >>> import minigrad as mg
    >>> mg.nn.InstanceNorm2d(3)(mg.ones(8, 3, 4, 4)).shape
    minigrad.Size([8, 3, 4, 4])
    """

    _unbatched = 3


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of volumes. Arguments: as for InstanceNorm1d. Shape: (N, C, D, H, W) or (C, D, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm3d.html

    >>> import minigrad as mg
    >>> mg.nn.InstanceNorm3d(3)(mg.ones(8, 3, 2, 4, 4)).shape
    minigrad.Size([8, 3, 2, 4, 4])
    """

    _unbatched = 4


class _LazyInstanceNorm(_LazyNormBase, _InstanceNorm):
    def __init__(
        self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def initialize_parameters(self, input):
        """Make the parameters for inputs with this one's channels."""
        if not self.has_uninitialized_params():
            return
        if input.array.ndim == self._unbatched:
            input = input.unsqueeze(0)
        super().initialize_parameters(input)


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """InstanceNorm1d whose num_features the first input decides.

    Arguments: as for InstanceNorm1d, without num_features.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm1d.html

    >>> import minigrad as mg
    >>> norm = mg.nn.LazyInstanceNorm1d(affine=True)
    >>> norm(mg.ones(8, 3, 10)).shape
    minigrad.Size([8, 3, 10])
    >>> norm.num_features
    3
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """InstanceNorm2d whose num_features the first input decides.

    Arguments: as for InstanceNorm2d, without num_features.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm2d.html

    >>> import minigrad as mg
    >>> norm = mg.nn.LazyInstanceNorm2d(affine=True)
    >>> norm(mg.ones(8, 3, 4, 4)).shape
    minigrad.Size([8, 3, 4, 4])
    >>> norm.num_features
    3
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """InstanceNorm3d whose num_features the first input decides.

    Arguments: as for InstanceNorm3d, without num_features.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm3d.html

    >>> import minigrad as mg
    >>> norm = mg.nn.LazyInstanceNorm3d(affine=True)
    >>> norm(mg.ones(8, 3, 2, 4, 4)).shape
    minigrad.Size([8, 3, 2, 4, 4])
    >>> norm.num_features
    3
    """

    cls_to_become = InstanceNorm3d


# ---------------------------------------------------------------------- layer, group, RMS, local response norm
class LayerNorm(Module):
    """y = (x - mean) / √(var + eps) · weight + bias over the last dimensions.

    Arguments: normalized_shape (int or sequence: those dimensions), eps, elementwise_affine (learn weight and bias),
    bias, device, dtype. Shape: (…, *normalized_shape).
    Source: Ba et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html

    >>> import minigrad as mg
    >>> mg.nn.LayerNorm(4)(mg.randn(2, 3, 4)).shape
    minigrad.Size([2, 3, 4])
    """

    __constants__ = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        make = elementwise_affine
        self.register_parameter("weight", empty_parameter(self.normalized_shape, device, dtype) if make else None)
        self.register_parameter(
            "bias", empty_parameter(self.normalized_shape, device, dtype) if make and bias else None
        )
        self.reset_parameters()

    def reset_parameters(self):
        """Set the weight to 1 and the bias to 0."""
        if self.elementwise_affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def forward(self, input):
        """Return the input normalised over its last dimensions."""
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        """Return the settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(Module):
    """Normalisation over each sample's groups of channels, with a weight and bias per channel.

    Arguments: num_groups (divides num_channels: ValueError otherwise), num_channels, eps, affine, device, dtype, bias.
    Shape: (N, C, …).
    Source: Wu & He 2018; https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html

    >>> import minigrad as mg
    >>> mg.nn.GroupNorm(3, 6)(mg.randn(2, 6, 4, 4)).shape
    minigrad.Size([2, 6, 4, 4])
    """

    __constants__ = ["num_groups", "num_channels", "eps", "affine"]

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self.register_parameter("weight", empty_parameter(num_channels, device, dtype) if affine else None)
        self.register_parameter("bias", empty_parameter(num_channels, device, dtype) if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Set the weight to 1 and the bias to 0."""
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def forward(self, input):
        """Return the input normalised over groups of channels."""
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        """Return the settings."""
        sizes = f"{self.num_groups}, {self.num_channels}"
        return f"{sizes}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class RMSNorm(Module):
    """y = x / √(mean(x²) + eps) · weight over the last dimensions.

    Arguments: normalized_shape (int or sequence), eps (None: the dtype's rounding unit), elementwise_affine, device,
    dtype. Shape: (…, *normalized_shape).
    Source: Zhang & Sennrich 2019; https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html

    >>> import minigrad as mg
    >>> mg.nn.RMSNorm(4)(mg.randn(2, 3, 4)).shape
    minigrad.Size([2, 3, 4])
    """

    __constants__ = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = empty_parameter(self.normalized_shape, device, dtype) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.reset_parameters()

    def reset_parameters(self):
        """Set the weight to 1."""
        if self.elementwise_affine:
            init.ones_(self.weight)

    def forward(self, x):
        """Return the input divided by its root mean square."""
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        """Return the settings."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """y = x / (k + alpha · mean of x² over ``size`` neighbouring channels)^beta.

    Arguments: size (channels), alpha, beta, k. Shape: (N, C, …).
    Source: Krizhevsky et al. 2012; https://docs.pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html

    >>> import minigrad as mg
    >>> mg.nn.LocalResponseNorm(2)(mg.ones(1, 4, 2, 2)).shape
    minigrad.Size([1, 4, 2, 2])
    """

    __constants__ = ["size", "alpha", "beta", "k"]

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input):
        """Return the input divided by its channels' neighbourhood."""
        from minigrad.nn.functional import local_response_norm

        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        """Return the settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """y = x / (k + alpha / size · Σ x²)^beta over neighbouring channels, as Torch 7 had it; better: LocalResponseNorm.

    The sum goes over the channels less than (size + 1) // 2 away, an even size counting as the next odd one; as in
    PyTorch it also keeps the first channel wherever that is further away.
    Arguments: size (channels), alpha, beta, k. Shape: (N, C, H, W), else ValueError.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossMapLRN2d.html

    >>> import minigrad as mg
    >>> mg.nn.CrossMapLRN2d(3, alpha=3.0, beta=1.0)(mg.ones(1, 4, 1, 1)).flatten()
    tensor([0.3333, 0.2500, 0.2000, 0.2500])
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        """Return the input divided by its channels' neighbourhood."""
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        reach, channels = int((self.size - 1) / 2 + 1), input.size(1)
        at = FUNCTIONS["arange"](channels, device=input.device)
        near = (at.unsqueeze(1) - at).abs() < reach
        near[reach:, :1] = True
        sums = FUNCTIONS["einsum"]("ij,njhw->nihw", near.to(input.dtype), input * input)
        return input * (sums * (self.alpha / self.size) + self.k) ** -self.beta

    def extra_repr(self):
        """Return the settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
