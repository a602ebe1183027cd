"""compile, jit, one process of a group, hooks and a function with its own gradient."""

import os

import torch
import torch.distributed as dist
from common import fixed, waves
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset
from torch.utils.data.distributed import DistributedSampler


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -grad * ctx.factor, None


@torch.compile(backend="eager")
def wave(x):
    return torch.sin(x) + x.cos()


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x):
        if torch.jit.is_scripting() or torch.compiler.is_compiling():
            return x
        return self.plain(x)

    @torch.jit.ignore
    def plain(self, x):
        return torch.sigmoid(self.inner(x))


os.environ.update(RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="29577")
dist.init_process_group("gloo")
model = DistributedDataParallel(fixed(Gate()))
seen = []
handle = model.module.inner.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
x = waves(3, 2).requires_grad_()
Reverse.apply(wave(model(x)), 2.0).sum().backward()
handle.remove()
total = torch.tensor([1.0, 2.0])
dist.all_reduce(total, op=dist.ReduceOp.SUM)
sampler = DistributedSampler(TensorDataset(torch.arange(5)), shuffle=False)
print(x.grad, seen, total, list(sampler), dist.get_rank(), dist.get_world_size())
print([name for name, _ in model.named_parameters()], list(torch.compile(model.module).state_dict()))
dist.destroy_process_group()
