"""REINFORCE on a toy environment: walk along a line to its goal; log-probabilities of a Categorical, returns."""

from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from common import Draws, arguments, report, seed_weights
from torch.distributions import Categorical


class Line:
    """Positions 0 to 6, start in the middle; +1 at the right end, -1 at the left one, -0.05 for each step."""

    def reset(self):
        self.position, self.time = 3, 0
        return self.state()

    def state(self):
        return [float(self.position == i) for i in range(7)]

    def step(self, action):
        self.position += 1 if action else -1
        self.time += 1
        done = self.position in (0, 6) or self.time == 20
        reward = {0: -1.0, 6: 1.0}.get(self.position, -0.05)
        return self.state(), reward, done


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(7, 16)
        self.dropout = nn.Dropout(p=0.0)
        self.affine2 = nn.Linear(16, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.dropout(self.affine1(x)))), dim=1)


def select_action(policy, state, draws):
    state = torch.tensor(state).float().unsqueeze(0)
    m = Categorical(policy(state))
    action = (draws.uniform(1) < m.probs[:, 1]).long()  # drawn by NumPy, so that both frameworks take the same walk
    policy.saved_log_probs.append(m.log_prob(action))
    return action.item(), m.entropy()


def finish_episode(policy, optimizer, entropies):
    R, returns = 0, deque()
    for r in policy.rewards[::-1]:
        R = r + 0.99 * R
        returns.appendleft(R)
    returns = torch.tensor(returns)
    if len(returns) > 1:
        returns = (returns - returns.mean()) / (returns.std() + 1e-6)
    policy_loss = [-log_prob * R for log_prob, R in zip(policy.saved_log_probs, returns)]
    optimizer.zero_grad()
    policy_loss = torch.cat(policy_loss).sum() - 0.01 * torch.stack(entropies).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]
    return policy_loss.item()


def main():
    args = arguments(25)
    draws, environment = Draws(8), Line()
    policy = seed_weights(Policy())
    optimizer = optim.Adam(policy.parameters(), lr=1e-2)
    losses = []
    for _ in range(args.steps):
        state, done, entropies = environment.reset(), False, []
        while not done:
            action, entropy = select_action(policy, state, draws)
            entropies.append(entropy)
            state, reward, done = environment.step(action)
            policy.rewards.append(reward)
        losses.append(finish_episode(policy, optimizer, entropies))
    report(losses, args.out)


if __name__ == "__main__":
    main()
