"""
4. Regularization
=================

The lecture's ways to do well on images not seen before: penalties on the weights, dropout, augmentation and stochastic
depth. Each is shown by what it does; what each gains on real data, with intervals over seeds, is on the pages of the
experiments.
"""

# %%
# L1 makes weights sparse, L2 small
# ---------------------------------
# ``R(W) = Σ |W|`` pulls every weight towards zero with the same force, ``R(W) = Σ W²`` in proportion to its size. One
# layer learns from 20 useful inputs among 100.

import matplotlib.pyplot as plt

import minigrad as torch
from minigrad import nn
from minigrad.nn import functional as F

torch.manual_seed(0)
inputs = torch.randn(256, 100)
useful = torch.cat([torch.randn(20), torch.zeros(80)])
targets = inputs @ useful + 0.5 * torch.randn(256)


def fitted(penalty, strength):
    layer = nn.Linear(100, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = F.mse_loss(layer(inputs).squeeze(1), targets)
        (loss + strength * penalty([layer.weight])).backward()
        optimizer.step()
    return layer.weight.detach().flatten()


fig, axes = plt.subplots(1, 3, figsize=(9, 2.4), sharey=True)
penalties = {
    "no penalty": (nn.utils.l2_penalty, 0.0),
    "L2": (nn.utils.l2_penalty, 0.2),
    "L1": (nn.utils.l1_penalty, 0.1),
}
for axis, (title, (penalty, strength)) in zip(axes, penalties.items()):
    weights = fitted(penalty, strength)
    axis.stem(weights, markerfmt=".", basefmt=" ")
    axis.set_title(title)
    print(f"{title:10s}  near zero: {(weights[20:].abs() < 0.02).sum().item()} of 80 useless weights")
fig.tight_layout()
plt.show()

# %%
# Dropout, inverted
# -----------------
# A random half of the activations is zero in training. Inverted dropout scales the rest by 1 / (1 - p) then and there,
# so that the mean stays and the test needs nothing.

x = torch.ones(100_000)
dropout = nn.Dropout(0.5)
print("training:", dropout(x)[:8].tolist(), "mean", round(dropout(x).mean().item(), 3))
print("at test: ", dropout.eval()(x)[:8].tolist())

# %%
# Augmentation
# ------------
# Flips, crops and scales, colours: the label stays, the pixels change. One made-up image, eight draws.

from minigrad.vision import transforms

row, column = torch.meshgrid(torch.linspace(-1, 1, 96), torch.linspace(-1, 1, 96), indexing="ij")
image = torch.stack([torch.sigmoid(8 * (0.5 - (row**2 + column**2))), (column + 1) / 2, (row + 1) / 2])
augment = transforms.Compose(
    [
        transforms.RandomResizedCrop(64, scale=(0.4, 1.0), antialias=True),
        transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(brightness=0.4, contrast=0.4),
    ]
)
fig, axes = plt.subplots(1, 9, figsize=(10, 1.4))
for axis, picture in zip(axes, [image, *(augment(image) for _ in range(8))]):
    axis.imshow(picture.permute(1, 2, 0).clamp(0, 1))
    axis.axis("off")
fig.tight_layout()
plt.show()

# %%
# Stochastic depth
# ----------------
# "Dropout for layers" (Huang et al. 2016): whole residual blocks are left out of a batch, the later the more often; at
# test all are there.

from minigrad.vision.ops import StochasticDepth

torch.manual_seed(0)
count, last = 10, 0.5
drops = [StochasticDepth(last * (index + 1) / count, mode="batch") for index in range(count)]
survived = torch.tensor([[drop(torch.ones(1)).item() > 0 for drop in drops] for _ in range(400)]).float().mean(0)
fig, axis = plt.subplots(figsize=(6, 2.4))
axis.bar(range(1, count + 1), survived, label="seen in 400 batches")
axis.plot(range(1, count + 1), [1 - last * (index + 1) / count for index in range(count)], "k.-", label="1 - p")
axis.set_xlabel("block")
axis.set_ylabel("survived")
axis.legend()
fig.tight_layout()
plt.show()
