"""Batch normalisation over the batches of all ranks."""

from minigrad.autograd import Function, no_grad
from minigrad.distributed import all_reduce


class _SumOfRanks(Function):
    """The sum of a tensor over all ranks; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, tensor, group):
        ctx.group = group
        total = tensor.clone()
        all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx, gradient):
        return _SumOfRanks.apply(gradient, ctx.group), None


def normalise(layer, x):
    """Return x (N, C, *), normalised with the mean and variance over all ranks, and update the running statistics."""
    group = layer.process_group
    dims = [dim for dim in range(x.ndim) if dim != 1]
    shape = [1, -1] + [1] * (x.ndim - 2)
    count = x.new_full((1,), x.numel() // x.shape[1])
    count = _SumOfRanks.apply(count, group).item()
    if count < 2:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.shape} on all ranks")
    mean = _SumOfRanks.apply(x.sum(dims), group) / count
    centred = x - mean.reshape(shape)
    variance = _SumOfRanks.apply((centred * centred).sum(dims), group) / count
    if layer.training and layer.running_mean is not None:
        _update(layer, mean.detach(), variance.detach() * (count / (count - 1)))
    result = centred * (variance + layer.eps).rsqrt().reshape(shape)
    if layer.weight is not None:
        result = result * layer.weight.reshape(shape)
    return result if layer.bias is None else result + layer.bias.reshape(shape)


@no_grad()
def _update(layer, mean, variance):
    layer.num_batches_tracked += 1
    rate = 1.0 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
    layer.running_mean.copy_((1 - rate) * layer.running_mean + rate * mean)
    layer.running_var.copy_((1 - rate) * layer.running_var + rate * variance)
