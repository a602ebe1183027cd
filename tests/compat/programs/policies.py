"""Reinforcement learning: an actor with a critic, and Q-learning with a target network."""

from collections import deque, namedtuple

import torch
import torch.nn.functional as F
from common import fixed, waves
from torch import nn, optim
from torch.distributions import Categorical

Step = namedtuple("Step", ("chance", "value", "reward"))
actor, critic = fixed(nn.Linear(4, 2)), fixed(nn.Linear(4, 1))
optimizer = optim.Adam([*actor.parameters(), *critic.parameters()], lr=0.03)
for episode in range(2):
    steps = []
    for time in range(5):
        state = waves(4, shift=time + episode)
        choices = Categorical(logits=actor(state))
        action = torch.tensor(time % 2)
        steps.append(Step(choices.log_prob(action), critic(state), 1.0 if time < 3 else -1.0))
    returns, total = deque(), 0
    for step in reversed(steps):
        total = step.reward + 0.9 * total
        returns.appendleft(total)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-6)
    gains = [-step.chance * (gain - step.value.item()) for step, gain in zip(steps, returns)]
    errors = [F.smooth_l1_loss(step.value, torch.tensor([gain])) for step, gain in zip(steps, returns)]
    loss = torch.stack(gains).sum() + torch.stack(errors).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"episode {episode}: {loss.item():.4f}", choices.entropy())
target = fixed(nn.Linear(4, 2))
states, actions = waves(6, 4), torch.tensor([[0], [1], [0], [1], [1], [0]])
alive = torch.tensor([True, True, False, True, False, True])
values = torch.zeros(6)
with torch.no_grad():
    values[alive] = target(states[alive]).max(1).values
loss = nn.HuberLoss()(actor(states).gather(1, actions), (values * 0.9 + 1).unsqueeze(1))
blend = {name: 0.5 * mine + 0.5 * target.state_dict()[name] for name, mine in actor.state_dict().items()}
print(loss, target.load_state_dict(blend), target.weight[0])
