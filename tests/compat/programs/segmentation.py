"""A small U-net with skip connections, a dice loss and a schedule that looks at it."""

import torch
import torch.nn.functional as F
from common import fixed, waves
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(inplace=True))
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        high = self.down(x)
        low = self.up(self.deep(high))
        low = F.pad(low, [0, high.size(3) - low.size(3), 0, high.size(2) - low.size(2)])
        return self.out(torch.cat([high, low], dim=1))


net = fixed(Net())
optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=1e-4)
schedule = ReduceLROnPlateau(optimizer, "max", patience=0, factor=0.5)
images = waves(2, 1, 7, 9)
masks = (images[:, 0] > 0).long()
for _ in range(4):
    scores = net(images)
    wanted = F.one_hot(masks, 2).permute(0, 3, 1, 2).float()
    shares = scores.softmax(1)
    dice = (2 * (shares * wanted).sum((2, 3)) / (shares + wanted).sum((2, 3))).mean()
    loss = F.cross_entropy(scores, masks) + 1 - dice
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    schedule.step(-dice.item())
    print(f"{loss.item():.4f} {dice.item():.4f}", optimizer.param_groups[0]["lr"])
print(F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=True).shape, net)
