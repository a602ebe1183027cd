"""A variational autoencoder: reparameterised Gaussian code, Bernoulli likelihood, Kullback-Leibler term."""

import torch
import torch.nn.functional as F
from common import Draws, arguments, digits, report, seed_weights
from torch import nn, optim


class VAE(nn.Module):
    def __init__(self, pixels, code):
        super().__init__()
        self.fc1 = nn.Linear(pixels, 64)
        self.fc21 = nn.Linear(64, code)
        self.fc22 = nn.Linear(64, code)
        self.fc3 = nn.Linear(code, 64)
        self.fc4 = nn.Linear(64, pixels)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x, eps):
        mu, logvar = self.encode(x.view(x.size(0), -1))
        std = torch.exp(0.5 * logvar)
        z = eps.mul(std).add_(mu)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x.view(x.size(0), -1), reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (bce + kld) / x.size(0)


def main():
    args = arguments(40)
    draws = Draws(3)
    images, _ = digits(draws, 128, 12)
    model = seed_weights(VAE(144, 8))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    model.train()
    while len(losses) < args.steps:
        for batch in images.split(32):
            recon, mu, logvar = model(batch, draws.normal(len(batch), 8))
            loss = loss_function(recon, batch, mu, logvar)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    report(losses[: args.steps], args.out)


if __name__ == "__main__":
    main()
