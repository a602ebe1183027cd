"""
2. Convolution, pooling and LeNet-5
===================================

What a convolution computes, why it is a matrix product, what pooling does to it, and the first network made of both:
LeNet-5 (LeCun et al. 1998), trained here on 1,438 real digits in a few seconds.
"""

# %%
# A convolution is a matrix product
# ---------------------------------
# *im2col*: each window of the image becomes a column, each filter a row. Their product holds every filter's answer at
# every place. ``unfold`` makes the columns, and ``conv2d`` gives the same numbers.

import matplotlib.pyplot as plt

import minigrad as torch
from minigrad import nn
from minigrad.nn import functional as F

torch.manual_seed(0)
images = torch.randn(2, 3, 32, 32)
filters = torch.randn(6, 3, 5, 5)
columns = F.unfold(images, kernel_size=5)  # (N, C·5·5, 28·28)
print("columns", tuple(columns.shape))
by_product = (filters.view(6, -1) @ columns).view(2, 6, 28, 28)
print("largest difference", (by_product - F.conv2d(images, filters)).abs().max().item())

# %%
# The output's side is (S + 2 · padding - kernel) / stride + 1. The lecture's examples: AlexNet's first layer, LeNet's
# first layer, and the pooling after it.

for side, kernel, stride, padding in [(227, 11, 4, 0), (32, 5, 1, 0), (28, 2, 2, 0)]:
    out = F.max_pool2d(torch.zeros(1, 1, side, side), kernel, stride, padding)
    formula = (side + 2 * padding - kernel) // stride + 1
    print(f"{side} px, {kernel}x{kernel}, stride {stride}: {formula} = {out.shape[-1]}")

# %%
# Filters are what is learned, but some are known: these find vertical and horizontal edges.

from minigrad.vision import datasets

digits = datasets.Digits(train=True)
image = digits.data[0].float()[None, None] / 255
image = F.interpolate(image, scale_factor=4, mode="bicubic")
sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
edges = F.conv2d(image, torch.stack([sobel, sobel.T])[:, None])

fig, axes = plt.subplots(1, 4, figsize=(8, 2.2))
pooled = F.max_pool2d(edges.abs().amax(1, keepdim=True), 2)
pictures = [image[0, 0], edges[0, 0], edges[0, 1], pooled[0, 0]]
for axis, picture, title in zip(axes, pictures, ["digit", "vertical edges", "horizontal edges", "strongest, pooled"]):
    axis.imshow(picture, cmap="gray")
    axis.set_title(title, fontsize=9)
    axis.axis("off")
fig.tight_layout()
plt.show()

# %%
# LeNet-5
# -------
# CONV → POOL → CONV → POOL → FC → FC, in the lecture's words.

model = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(6, 16, 5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(400, 120),
    nn.ReLU(),
    nn.Linear(120, 84),
    nn.ReLU(),
    nn.Linear(84, 10),
)
print(torch.summary(model, (1, 1, 28, 28)))

# %%
# It learns by the loop of the first script; the digits are enlarged from 8 to 28 pixels.

from minigrad.utils.data import DataLoader, TensorDataset


def enlarged(data):
    images = F.interpolate(data.data.unsqueeze(1).float() / 255, size=28, mode="bilinear", align_corners=False)
    return TensorDataset((images - 0.3) / 0.35, data.targets)


loaders = {
    train: DataLoader(enlarged(datasets.Digits(train=train)), batch_size=64, shuffle=train) for train in (True, False)
}
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
losses = []
for _ in range(6):
    for x, labels in loaders[True]:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

with torch.no_grad():
    right = sum((model(x).argmax(1) == labels).sum().item() for x, labels in loaders[False])
print(f"{right} of {len(loaders[False].dataset)} test digits are right")

# %%
# The loss of every step, and the six filters of the first layer.

fig, axes = plt.subplots(1, 7, figsize=(10, 2), width_ratios=[4, 1, 1, 1, 1, 1, 1])
axes[0].plot(losses)
axes[0].set_xlabel("step")
axes[0].set_ylabel("cross-entropy")
for axis, weights in zip(axes[1:], model[0].weight.detach()):
    axis.imshow(weights[0], cmap="gray")
    axis.axis("off")
fig.tight_layout()
plt.show()
