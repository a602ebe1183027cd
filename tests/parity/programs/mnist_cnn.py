"""A convolutional classifier of small grey images: batch norm, pooling, log-softmax, Adam, evaluation."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from common import Draws, arguments, digits, report, seed_weights
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()  # noqa: UP008 - as most such programs write it
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1, bias=False)  # batch norm subtracts it again
        self.bn = nn.BatchNorm2d(16)
        self.fc1 = nn.Linear(16 * 5 * 5, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.bn(self.conv2(x)))
        x = F.max_pool2d(x, 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def test(model, loader):
    """Return the mean loss and the accuracy."""
    model.eval()
    test_loss, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
            count += len(data)
    return test_loss / count, correct / count


def main():
    args = arguments(30)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images, labels = digits(Draws(2), 160, 14)
    loader = DataLoader(TensorDataset((images - 0.5) / 0.5, labels), batch_size=32, shuffle=False, drop_last=True)
    model = seed_weights(Net()).to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    losses = []
    while len(losses) < args.steps:
        model.train()
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            optimizer.zero_grad()
            loss = F.nll_loss(model(data), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
    loss, accuracy = test(model, loader)
    print(f"accuracy {accuracy:.3f}")
    report([*losses[: args.steps], loss, accuracy], args.out)


if __name__ == "__main__":
    main()
