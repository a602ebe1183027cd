"""Fixed numbers instead of random ones, so that every library prints the same."""

import math

import torch


def waves(*shape, shift=0.0):
    """Return numbers in [-1, 1] that look irregular."""
    return torch.cos(torch.arange(math.prod(shape)).float() * 1.7 + shift).view(*shape)


def fixed(module, scale=0.3):
    """Return the module with fixed weights."""
    with torch.no_grad():
        for number, weight in enumerate(module.parameters()):
            weight.copy_(waves(*weight.shape, shift=number) * scale)
    return module
