"""A siamese network: two images through one embedding, contrastive loss, a Dataset of pairs, Adadelta."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from common import Draws, arguments, digits, report, seed_weights
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    """Even items are two images of one class, odd ones of different classes."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels
        self.places = {c: (labels == c).nonzero(as_tuple=True)[0] for c in labels.unique().tolist()}

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        label = self.labels[index].item()
        same = index % 2 == 0
        other = label if same else (label + 1) % 10
        place = self.places[other][index % len(self.places[other])]
        return self.images[index], self.images[place], torch.tensor(float(same))


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(1, 8, 3),
            nn.PReLU(),
            nn.MaxPool2d(2, stride=2),
            nn.Conv2d(8, 16, 3, bias=False),
            nn.InstanceNorm2d(16, affine=True),
            nn.Hardtanh(),
            nn.AdaptiveAvgPool2d((2, 2)),
            nn.Flatten(),
        )
        self.fc = nn.Linear(64, 8)

    def forward_once(self, x):
        return F.normalize(self.fc(self.cnn(x)), dim=1)

    def forward(self, a, b):
        return self.forward_once(a), self.forward_once(b)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, a, b, same):
        distance = F.pairwise_distance(a, b, keepdim=False)
        return torch.mean(same * distance.pow(2) + (1 - same) * torch.clamp(self.margin - distance, min=0.0).pow(2))


def main():
    args = arguments(30)
    loader = DataLoader(Pairs(*digits(Draws(9), 96, 14)), batch_size=24, shuffle=False, num_workers=0)
    model, criterion = seed_weights(SiameseNetwork()), ContrastiveLoss()
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = MultiStepLR(optimizer, milestones=[3, 5], gamma=0.5)
    losses = []
    while len(losses) < args.steps:
        for a, b, same in loader:
            loss = criterion(*model(a, b), same)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
    report(losses[: args.steps], args.out)


if __name__ == "__main__":
    main()
