"""
5. Transfer, ensembles, averaged weights
========================================

Three ways to get more from what is trained already: use its features for another task, average several networks'
answers, or average one network's weights (Polyak). The task is small enough for a page: digits of 8×8 pixels.
"""

# %%
# The digits 0 to 4 are the large, old task; 5 to 9 the new one, with three images of each.

import copy

import minigrad as torch
from minigrad import nn, recipes
from minigrad.nn import functional as F
from minigrad.vision import datasets

train, test = (datasets.Digits(train=part) for part in (True, False))


def part_of(data, low, high, per_class=None):
    """Return the images (N, 1, 8, 8) and labels from 0 of the digits low … high - 1."""
    chosen = []
    for digit in range(low, high):
        chosen.append((data.targets == digit).nonzero().flatten()[:per_class])
    chosen = torch.cat(chosen)
    return data.data[chosen].float().unsqueeze(1) / 255, data.targets[chosen] - low


def network(classes=5):
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * 3 * 3, classes),
    )


def fit(model, images, labels, steps, lr=0.05, after_step=None):
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=5e-4)
    model.train()
    for _ in range(steps):
        batch = torch.randint(0, len(labels), (32,))
        optimizer.zero_grad()
        F.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
        if after_step is not None:
            after_step()
    return model.eval()


@torch.no_grad()
def accuracy(model, images, labels):
    return 100 * recipes.topk_accuracy(model(images), labels)


# %%
# Transfer learning
# -----------------
# Freeze everything, put a new last layer on, train that: the lecture's advice for a small data set. Beside it the same
# network trained from scratch on the same fifteen images.

torch.manual_seed(0)
old = fit(network(), *part_of(train, 0, 5), steps=300)
print(f"old task: {accuracy(old, *part_of(test, 0, 5)):.1f} %")

few = part_of(train, 5, 10, per_class=3)
new_test = part_of(test, 5, 10)
results = {"frozen features": [], "from scratch": []}
for seed in range(3):
    torch.manual_seed(seed)
    transferred = copy.deepcopy(old)
    recipes.replace_head(transferred, num_classes=5)
    recipes.freeze(transferred, depth=-1)
    results["frozen features"].append(accuracy(fit(transferred, *few, steps=150), *new_test))
    results["from scratch"].append(accuracy(fit(network(), *few, steps=150), *new_test))
print("trained:", [name for name, parameter in transferred.named_parameters() if parameter.requires_grad])
for kind, values in results.items():
    print(f"new task, {kind}: {recipes.mean_interval(values):.1f} %")

# %%
# Ensembles
# ---------
# Several networks from different beginnings; the average of their probabilities makes fewer mistakes than each.

everything, all_test = part_of(train, 0, 10, per_class=30), part_of(test, 0, 10)
members = []
for seed in range(5):
    torch.manual_seed(seed)
    members.append(fit(network(10), *everything, steps=150))
single = [accuracy(member, *all_test) for member in members]
ensemble = recipes.Ensemble(members)
print("each:", ", ".join(f"{value:.1f}" for value in single), f"%; together: {accuracy(ensemble, *all_test):.1f} %")

# %%
# Polyak averaging
# ----------------
# A moving average of the parameter vector, used at test time. At a learning rate that is too high for a last layer to
# settle, the average has settled.

import matplotlib.pyplot as plt

from minigrad.optim import swa_utils

torch.manual_seed(1)
model = network(10)
averaged = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.97))
curves = {"weights of the step": [], "moving average": []}
for _ in range(25):
    fit(model, *everything, steps=12, lr=0.12, after_step=lambda: averaged.update_parameters(model))
    curves["weights of the step"].append(accuracy(model, *all_test))
    curves["moving average"].append(accuracy(averaged.eval(), *all_test))

plt.figure(figsize=(7, 2.8))
for label, values in curves.items():
    plt.plot([12 * (index + 1) for index in range(len(values))], values, label=label)
plt.xlabel("step")
plt.ylabel("test accuracy in %")
plt.ylim(70, 95)
plt.legend()
plt.tight_layout()
plt.show()

# %%
# What each of these gains over many seeds is measured by ``python -m models experiments transfer ensembles``. A network
# whose graph is another one for every sentence is trained by ``python -m models sentences``.
