"""A loop of PyTorch 0.3: Variables, volatile inputs, size_average, numbers before tensors."""

import warnings

import torch
import torch.nn as nn
from common import fixed, waves
from torch.autograd import Variable

warnings.simplefilter("ignore")
net = fixed(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)))
criterion = nn.CrossEntropyLoss(size_average=False)
for step in range(3):
    inputs, labels = Variable(waves(5, 4, shift=step)), Variable(torch.LongTensor([0, 1, 2, 1, 0]))
    loss = criterion(net(inputs), labels)
    net.zero_grad()
    loss.backward()
    for weight in net.parameters():
        weight.data.add_(-0.05, weight.grad.data)
    print(f"loss {loss.data.item():.4f}")
_, predicted = torch.max(net(Variable(waves(5, 4), volatile=True)).data, 1)
print((predicted == labels.data).sum(), predicted.type(), loss.data.size())
