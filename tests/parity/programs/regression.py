"""A cubic polynomial fitted to noisy points by a small network, with a schedule of the learning rate."""

import torch
from common import Draws, arguments, report, seed_weights
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


class Polynomial(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(1, 32)
        self.output = nn.Linear(32, 1)

    def forward(self, x):
        return self.output(torch.tanh(self.hidden(x)))


def main():
    args = arguments(60)
    draws = Draws(1)
    x = torch.linspace(-1, 1, 96).unsqueeze(1)
    y = x.pow(3) - 0.5 * x + 0.05 * draws.normal(96, 1)
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=False)
    model = seed_weights(Polynomial())
    criterion = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.7)
    losses = []
    while len(losses) < args.steps:
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
    report(losses[: args.steps], args.out)


if __name__ == "__main__":
    main()
