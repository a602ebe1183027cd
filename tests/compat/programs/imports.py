"""A layer and an optimizer on PyTorch's private bases, found by their module paths."""

import torch
from common import waves
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.loss import _Loss
from torch.nn.modules.utils import _pair
from torch.nn.parameter import Parameter
from torch.optim.optimizer import Optimizer, required


class Halving(Optimizer):
    def __init__(self, params, lr=required):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                count = self.state[weight].setdefault("count", 0) + 1
                self.state[weight]["count"] = count
                weight.sub_(weight.grad, alpha=group["lr"] / 2**count)


class Quartic(_Loss):
    def forward(self, found, wanted):
        return (found - wanted).pow(4).mean()


weight = Parameter(waves(*_pair(2)))
optimizer = Halving([weight], lr=1.0)
for _ in range(2):
    optimizer.zero_grad()
    Quartic()(weight, torch.ones(2, 2)).backward()
    optimizer.step()
print(weight, issubclass(torch.nn.Conv1d, _ConvNd), issubclass(torch.nn.BatchNorm3d, _BatchNorm))
print(optimizer)
try:
    Halving([weight])
except ValueError as error:
    print(error)
