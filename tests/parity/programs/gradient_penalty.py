"""WGAN-GP: several critic steps per generator step; the norm of the critic's gradient is part of its loss."""

import torch
from common import Draws, arguments, digits, report, seed_weights
from torch import autograd, nn, optim
from torch.autograd import Variable


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 4 * 3 * 3, bias=False)  # batch norm subtracts it again
        self.net = nn.Sequential(
            nn.BatchNorm2d(4),
            nn.ELU(),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.SiLU(),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(4, 1, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, z):
        return self.net(self.project(z).view(-1, 4, 3, 3))


def critic():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 8, 3, 2, 1),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(72, 1),
    )


def gradient_penalty(netD, real, fake, alpha):
    alpha = alpha.expand(real.size(0), real[0].nelement()).contiguous().view(*real.size())
    between = Variable(alpha * real + (1 - alpha) * fake, requires_grad=True)
    scores = netD(between)
    gradients = autograd.grad(
        outputs=scores, inputs=between, grad_outputs=torch.ones_like(scores), create_graph=True, retain_graph=True
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean() * 10


def main():
    args = arguments(12)
    draws = Draws(10)
    images, _ = digits(draws, 48, 12)
    netG, netD = seed_weights(Generator(), 1), seed_weights(critic(), 2)
    optimizerD = optim.RMSprop(netD.parameters(), lr=1e-3)
    optimizerG = optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.9), amsgrad=True)
    losses = []
    for _ in range(args.steps):
        for p in netD.parameters():
            p.requires_grad = True
        for part in range(3):
            real = images[part * 16 : part * 16 + 16] * 2 - 1
            netD.zero_grad()
            with torch.no_grad():
                noise = draws.normal(16, 8)
            fake = netG(noise).data
            loss = netD(fake).mean() - netD(real).mean() + gradient_penalty(netD, real, fake, draws.uniform(16, 1))
            loss.backward()
            optimizerD.step()
            losses.append(loss.item())
        for p in netD.parameters():
            p.requires_grad = False
        netG.zero_grad()
        loss = -netD(netG(draws.normal(16, 8))).mean()
        loss.backward()
        optimizerG.step()
        losses.append(loss.item())
    report(losses, args.out)


if __name__ == "__main__":
    main()
