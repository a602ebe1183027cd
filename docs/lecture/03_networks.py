"""
3. From AlexNet to ResNet
=========================

The networks that won ImageNet's challenge, and the idea in each: where the parameters are, what three small filters
see, what a 1×1 convolution saves, and why a shortcut lets a network be deep. No ImageNet is needed for any of this.
"""

# %%
# AlexNet, layer by layer
# -----------------------
# The lecture's "full (simplified)" AlexNet: 227×227 pixels, CONV1 with 96 filters of 11×11 at stride 4, which is 35 K
# parameters; nearly all the others are in the first fully connected layer.

import matplotlib.pyplot as plt

import minigrad as torch
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.vision import models

alexnet = models.build("alexnet_lecture")
print(torch.summary(alexnet, (1, 3, 227, 227), depth=2))

# %%
# The winners
# -----------
# Parameters against the published top-5 error on ImageNet (the figures of the papers; nothing here is trained on it).

winners = {
    "AlexNet 2012": ("alexnet_lecture", 16.4),
    "ZF Net 2013": ("zfnet", 11.7),
    "VGG-16 2014": ("vgg16", 7.3),
    "GoogLeNet 2014": ("googlenet", 6.7),
    "ResNet-152 2015": ("resnet152", 3.6),
}
with nn.init.paused():  # only counted: random weights need not be drawn
    millions = {
        title: sum(parameter.numel() for name, parameter in models.build(name).named_parameters() if "aux" not in name)
        for title, (name, _) in winners.items()
    }
fig, axis = plt.subplots(figsize=(7, 3))
for title, (_, error) in winners.items():
    axis.scatter(millions[title] / 1e6, error)
    text = f"{title}, {millions[title] / 1e6:.0f} M"
    axis.annotate(text, (millions[title] / 1e6, error), (6, -3), textcoords="offset points", fontsize=8)
axis.set_xlabel("million parameters")
axis.set_ylabel("top-5 error in %")
axis.set_xlim(0, 190)
fig.tight_layout()
plt.show()

# %%
# VGG: three 3×3 see what one 7×7 sees
# ------------------------------------
# The receptive field, found by asking the gradient which pixels the middle of the output depends on.


def receptive_side(*layers):
    x = torch.zeros(1, 1, 21, 21, requires_grad=True)
    out = nn.Sequential(*layers)(x)
    out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
    return (x.grad[0, 0] != 0).any(0).sum().item()


def ones(kernel):
    layer = nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False)
    nn.init.ones_(layer.weight)
    return layer


print("one 7x7:", receptive_side(ones(7)), " three 3x3:", receptive_side(ones(3), ones(3), ones(3)))
channels = 256
print(f"parameters with {channels} channels: {7 * 7 * channels**2:,} against {3 * 3 * 3 * channels**2:,}")

# %%
# GoogLeNet: 1×1 convolutions before the dear ones
# ------------------------------------------------
# The Inception module's 5×5 branch on 28×28×192: reducing the depth to 16 first saves nine tenths of its operations.

direct = 28 * 28 * 32 * (5 * 5 * 192)
reduced = 28 * 28 * 16 * (1 * 1 * 192) + 28 * 28 * 32 * (5 * 5 * 16)
print(f"multiplications: {direct / 1e6:.0f} M directly, {reduced / 1e6:.1f} M with a 1x1 bottleneck")

# %%
# ResNet: the gradient arrives
# ----------------------------
# Forty layers with and without a shortcut x + f(x), at the start of training: how large is the gradient at each layer's
# input, seen from the loss?


class Block(nn.Module):
    def __init__(self, width, shortcut):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.shortcut = shortcut

    def forward(self, x):
        out = torch.tanh(self.linear(x))
        return x + out if self.shortcut else out


fig, axis = plt.subplots(figsize=(7, 2.8))
for shortcut in (False, True):
    torch.manual_seed(0)
    x = torch.randn(32, 64)
    hidden = []
    for block in [Block(64, shortcut) for _ in range(40)]:
        x = block(x)
        if not x.requires_grad:
            x.requires_grad_()
        x.retain_grad()
        hidden.append(x)
    F.mse_loss(x, torch.zeros_like(x), reduction="sum").backward()
    axis.semilogy([h.grad.norm().item() for h in hidden], label="x + f(x)" if shortcut else "f(x)")
axis.set_xlabel("layer")
axis.set_ylabel("norm of the gradient")
axis.legend()
fig.tight_layout()
plt.show()
