"""Graph convolution and attention on dense matrices, messages by index_add and scatter."""

import torch
import torch.nn.functional as F
from common import fixed, waves
from torch import nn

source, target = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
links = torch.zeros(4, 4)
links[source, target] = 1
links = links + links.T + torch.eye(4)
links.clamp_(max=1)
scale = links.sum(1).pow(-0.5).diag()
nodes = waves(4, 3)
print(F.relu(scale @ links @ scale @ fixed(nn.Linear(3, 2))(nodes)))
received = torch.zeros(4, 3).index_add_(0, target, nodes[source])
degree = torch.zeros(4).scatter_add_(0, target, torch.ones(5))
print(received / degree.unsqueeze(-1), torch.bincount(target, minlength=4))
best = torch.zeros(4, 3).scatter_reduce(0, target[:, None].expand(-1, 3), nodes[source], "amax", include_self=False)
scores = F.leaky_relu(nodes[:, :1] + nodes[:, 1:2].T, 0.2).masked_fill(links == 0, -9e15)
print(best, F.softmax(scores, dim=1) @ nodes)
