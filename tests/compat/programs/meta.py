"""Learning to learn: gradients through gradient steps, functional_call, and L-BFGS with a closure."""

import torch
import torch.nn.functional as F
from common import fixed
from torch import nn, optim
from torch.func import functional_call

net = fixed(nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1)), 0.5)
outer = optim.Adam(net.parameters(), lr=0.01)
x = torch.linspace(-1, 1, 7).unsqueeze(1)
for step in range(3):
    total = 0
    for task in (1, 2):
        weights = dict(net.named_parameters())
        for _ in range(2):
            loss = F.mse_loss(functional_call(net, weights, (x,)), torch.sin(task * x))
            slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {name: old - 0.1 * slope for (name, old), slope in zip(weights.items(), slopes)}
        total = total + F.mse_loss(functional_call(net, weights, (x,)), torch.sin(task * x))
    outer.zero_grad()
    total.backward()
    outer.step()
    print(f"{step} {total.item():.5f}")
optimizer = optim.LBFGS(net.parameters(), lr=0.5, max_iter=4)


def closure():
    optimizer.zero_grad()
    error = F.mse_loss(net(x), x.sin())
    error.backward()
    return error


print([round(optimizer.step(closure).item(), 3) for _ in range(2)])
