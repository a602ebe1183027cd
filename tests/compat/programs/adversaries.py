"""Two networks against each other, with a gradient penalty and clamped weights."""

from common import fixed, waves
from torch import autograd, nn, optim

generator = fixed(nn.Sequential(nn.ConvTranspose2d(4, 3, 4), nn.BatchNorm2d(3), nn.ReLU(True), nn.Conv2d(3, 1, 1)))
critic = fixed(nn.Sequential(nn.Conv2d(1, 4, 2, 2), nn.LeakyReLU(0.2, inplace=True), nn.Flatten(), nn.Linear(16, 1)))
generator_steps = optim.RMSprop(generator.parameters(), lr=0.01)
critic_steps = optim.Adam(critic.parameters(), lr=0.01, betas=(0.5, 0.9))
real = waves(3, 1, 4, 4)
for step in range(3):
    fake = generator(waves(3, 4, 1, 1, shift=step))
    mixed = (0.5 * real + 0.5 * fake.detach()).requires_grad_()
    (slope,) = autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    penalty = (slope.flatten(1).norm(2, dim=1) - 1).pow(2).mean()
    critic_steps.zero_grad()
    loss = critic(fake.detach()).mean() - critic(real).mean() + 10 * penalty
    loss.backward()
    critic_steps.step()
    generator_steps.zero_grad()
    gain = -critic(fake).mean()
    gain.backward()
    generator_steps.step()
    print(f"[{step}] critic {loss.item():.4f} generator {gain.item():.4f} penalty {penalty:.4f}")
for weight in critic.parameters():
    weight.data.clamp_(-0.01, 0.01)
print(nn.utils.parameters_to_vector(critic.parameters()).abs().max())
