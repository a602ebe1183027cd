"""What the programs share: the same weights, data and draws under both frameworks, and the report of losses."""

import argparse
import json

import numpy as np
import torch


def arguments(steps):
    """The command line of a program: how many steps, and the file that the losses are written to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--out", default="", help="JSON file of the losses")
    return parser.parse_args()


def report(losses, out):
    """Print the losses, and write them to the file `out` unless that is empty."""
    for step, loss in enumerate(losses):
        print(f"step {step:3d}  loss {loss:.6f}")
    if out:
        with open(out, "w", encoding="utf-8") as file:
            json.dump(losses, file)


def seed_weights(module, seed=0):
    """Draw weights from U(-1/sqrt(fan_in), 1/sqrt(fan_in)) with NumPy: the frameworks' own draws differ."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter[0].numel() if parameter.dim() > 1 else parameter.numel()
            bound = 1 / np.sqrt(max(1, fan_in))
            values = rng.uniform(-bound, bound, tuple(parameter.shape)).astype("float32")
            if parameter.dim() == 1 and isinstance(norm_of(module, parameter), norms()):
                values = 1 + values  # scales and shifts of normalisations
            parameter.copy_(torch.from_numpy(values))
    return module


def norms():
    return (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d, torch.nn.LayerNorm)


def norm_of(module, parameter):
    """The innermost module that owns the parameter as its weight, or None."""
    for child in module.modules():
        if getattr(child, "weight", None) is parameter:
            return child
    return None


class Draws:
    """Random numbers that are the same under both frameworks."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape):
        return torch.from_numpy(self.rng.standard_normal(shape).astype("float32"))

    def uniform(self, *shape):
        return torch.from_numpy(self.rng.random(shape).astype("float32"))

    def integers(self, high, *shape):
        return torch.from_numpy(self.rng.integers(0, high, shape))


def digits(draws, count, size):
    """Return grey images (count, 1, size, size) in [0, 1] of ten kinds of noisy bars and rings, and their classes."""
    labels = draws.integers(10, count)
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    angles = labels.float().view(-1, 1, 1) * (torch.pi / 10)
    waves = torch.cos(angles) * row + torch.sin(angles) * column
    images = torch.sigmoid(4 * torch.sin(waves * (1 + labels.view(-1, 1, 1) % 3)))
    return (images.unsqueeze(1) + 0.1 * draws.normal(count, 1, size, size)).clamp(0, 1), labels
