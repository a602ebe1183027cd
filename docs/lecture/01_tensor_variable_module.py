"""
1. Tensor, Variable, Module
===========================

The lecture explains PyTorch by three levels: a **Tensor** is an array that computes, a **Variable** is a node of a
computational graph that remembers how it came about, and a **Module** is a layer that holds what is learned. minigrad
is built of exactly these three. This script walks through them and ends with a network that learns.
"""

# %%
# Level 1: Tensor
# ---------------
# A tensor runs every operation at once and records nothing. It is NumPy's array underneath, with PyTorch's names.

import minigrad as torch

x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
print(x @ x.T)
print(type(x).__name__, x.shape, x.dtype, x.device)

# %%
# Level 2: Variable
# -----------------
# A tensor that requires a gradient is a Variable, and so is everything computed from one. Each knows the operation
# that made it; together these are the computational graph. Below is the lecture's example: c = sum(x · y + z).

x = torch.randn(3, 4, requires_grad=True)
y = torch.randn(3, 4, requires_grad=True)
z = torch.randn(3, 4, requires_grad=True)
a = x * y
b = a + z
c = b.sum()
print(c.grad_fn)
print(c.grad_fn.next_functions[0][0], c.grad_fn.next_functions[0][0].next_functions)

# %%
# The backward pass walks the graph from its end, and each operation contributes its own derivative (the chain rule).
# Here dc/dx = y, dc/dy = x and dc/dz = 1.

c.backward()
print(torch.equal(x.grad, y.detach()), torch.equal(y.grad, x.detach()), z.grad.unique())

# %%
# Gradients are themselves computed by recorded operations if that is asked for: derivatives of all orders. The third
# derivative of x⁴ at 2 is 24 · 2 = 48.

x = torch.tensor(2.0, requires_grad=True)
derivative = x**4
for _ in range(3):
    (derivative,) = torch.autograd.grad(derivative, x, create_graph=True)
print(derivative.item())

# %%
# The graph is built while the program runs, so Python's own ``if`` and ``while`` are its control flow: it can be
# another one for every sample.


def collatz(weight, steps=0):
    """Halve what is even, 3 n + 1 for what is odd, until 1; the weight takes part in each step."""
    n = 6
    value = weight
    while n != 1:
        value = value / 2 if n % 2 == 0 else 3 * value + 1
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return value, steps


weight = torch.tensor(6.0, requires_grad=True)
value, steps = collatz(weight)
value.backward()
print(f"{steps} steps, value {value.item()}, slope {weight.grad.item()} = 3² / 2⁶")

# %%
# Every gradient can be checked against finite differences: (f(x + ε) - f(x - ε)) / 2ε, in double precision.

inputs = torch.randn(5, dtype=torch.float64, requires_grad=True)
print(torch.autograd.gradcheck(lambda t: torch.tanh(t).prod(), inputs))
print(torch.autograd.gradgradcheck(lambda t: torch.tanh(t).prod(), inputs))

# %%
# Level 3: Module
# ---------------
# A module holds Parameters (Variables to be learned) and other modules, and says how its output is computed.

from minigrad import nn, optim


class TwoLayerNet(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.linear1 = nn.Linear(inputs, hidden)
        self.linear2 = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.linear2(self.linear1(x).clamp(min=0))


torch.manual_seed(0)
model = TwoLayerNet(1000, 100, 10)
print(model)
print({name: tuple(parameter.shape) for name, parameter in model.named_parameters()})

# %%
# The loop that trains it is the lecture's: forward, loss, backward, step.

x, y = torch.randn(64, 1000), torch.randn(64, 10)
optimizer = optim.Adam(model.parameters(), lr=1e-3)
history = []
for _ in range(100):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
print(f"loss {history[0]:.3f} -> {history[-1]:.6f}")

# %%
# The curve on a logarithmic scale.

import matplotlib.pyplot as plt

plt.figure(figsize=(6, 3))
plt.semilogy(history)
plt.xlabel("step")
plt.ylabel("mean squared error")
plt.tight_layout()
plt.show()
