"""Super-resolution by sub-pixel convolution: PixelShuffle, bicubic inputs, signal to noise."""

from math import log10

import torch
import torch.nn as nn
import torch.nn.functional as F
from common import Draws, arguments, digits, report, seed_weights


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1), padding_mode="reflect")
        self.conv3 = nn.Conv2d(16, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv3(x))


def main():
    args = arguments(30)
    images, _ = digits(Draws(7), 32, 18)
    small = F.interpolate(images, scale_factor=1 / 3, mode="bicubic", align_corners=False)
    model = seed_weights(Net(upscale_factor=3))
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for step in range(args.steps):
        part = slice((step % 4) * 8, (step % 4 + 1) * 8)
        optimizer.zero_grad()
        loss = criterion(model(small[part]), images[part])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        psnr = 10 * log10(1 / criterion(model(small), images).item())
        bilinear = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=True)
        print(f"signal to noise {psnr:.2f} dB, bilinear {10 * log10(1 / criterion(bilinear, images).item()):.2f} dB")
    report([*losses, psnr], args.out)


if __name__ == "__main__":
    main()
