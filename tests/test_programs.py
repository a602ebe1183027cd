"""Short programs as they are written for PyTorch; what they must compute was found with PyTorch 2.13."""

import math

import pytest

import minigrad as torch
from minigrad import nn, optim
from minigrad.autograd import Variable
from minigrad.nn import functional as F


def waves(*shape, shift=0.0):
    """Return fixed numbers in [-1, 1] that look irregular."""
    return torch.cos(torch.arange(math.prod(shape)).float() * 1.7 + shift).view(*shape)


def fixed(model):
    """Return the model with fixed weights."""
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            fan = weight[0].numel() if weight.dim() > 1 else 10
            weight.copy_(waves(*weight.shape, shift=number) / math.sqrt(fan))
    return model


def classifier_of_old():
    """A training loop of PyTorch 0.3: Variables, .data, size_average-like sums, the learning rate by hand."""

    class Net(nn.Module):
        def __init__(self):
            super(Net, self).__init__()  # noqa: UP008 - as it was written then
            self.conv1 = nn.Conv2d(1, 4, kernel_size=3)
            self.bn = nn.BatchNorm2d(4)
            self.fc = nn.Linear(36, 3)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.bn(self.conv1(x)), inplace=True), 2)
            return F.log_softmax(self.fc(x.view(x.size(0), -1)), dim=1)

    model = fixed(Net())
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5, weight_decay=1e-3)
    for epoch in range(6):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * 0.5 ** (epoch // 2)
        data, target = Variable(waves(6, 1, 8, 8)), Variable(torch.LongTensor([0, 1, 2, 2, 1, 0]))
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
    model.eval()
    pred = model(data).data.max(1, keepdim=True)[1]
    correct = pred.eq(target.data.view_as(pred)).cpu().sum()
    return [loss.item(), int(correct), model.bn.running_var.sum().item()]


def gradient_penalty():
    """A critic of WGAN-GP: the norm of a gradient is part of the loss."""
    critic = fixed(nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.LeakyReLU(0.2, True), nn.Flatten(), nn.Linear(64, 1)))
    optimizer = optim.Adam(critic.parameters(), lr=0.01, betas=(0.5, 0.9))
    real, fake = waves(5, 1, 8, 8), waves(5, 1, 8, 8, shift=2.0)
    losses = []
    for _ in range(3):
        alpha = (torch.arange(5.0) / 5).view(5, 1, 1, 1).expand_as(real)
        between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        scores = critic(between)
        (gradient,) = torch.autograd.grad(
            outputs=scores,
            inputs=between,
            grad_outputs=torch.ones(scores.size()),
            create_graph=True,
            retain_graph=True,
            only_inputs=True,
        )
        penalty = ((gradient.view(5, -1).norm(2, dim=1) - 1) ** 2).mean() * 10
        optimizer.zero_grad()
        (critic(fake).mean() - critic(real).mean() + penalty).backward()
        optimizer.step()
        losses.append(penalty.item())
    return losses


def learning_to_learn():
    """MAML: the gradient of a loss after two steps of gradient descent."""
    weights = [w.requires_grad_() for w in (waves(8, 1), waves(8, shift=1.0), waves(1, 8, shift=2.0) / 3)]
    x = torch.linspace(-2, 2, 9).unsqueeze(1)

    def predict(x, weights):
        return F.linear(torch.tanh(F.linear(x, weights[0], weights[1])), weights[2])

    total = 0
    for task in range(3):
        fast = [w.clone() for w in weights]
        for _ in range(2):
            loss = F.mse_loss(predict(x, fast), torch.sin(x + task))
            gradients = torch.autograd.grad(loss, fast, create_graph=True)
            fast = [w - 0.3 * g for w, g in zip(fast, gradients, strict=True)]
        total = total + F.mse_loss(predict(x + 0.1, fast), torch.sin(x + 0.1 + task))
    total.backward()
    return [total.item(), *[w.grad.norm().item() for w in weights]]


def tagger():
    """A bidirectional LSTM on packed sequences, its state detached between batches, gradients clipped."""

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(12, 5, padding_idx=0)
            self.lstm = nn.LSTM(5, 6, num_layers=2, batch_first=True, bidirectional=True)
            self.out = nn.Linear(12, 4)

        def forward(self, x, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(self.embed(x), lengths, batch_first=True, enforce_sorted=False)
            output, (h, c) = self.lstm(packed)
            output, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
            return self.out(output), h

    model = fixed(Tagger())
    x = torch.tensor([[1, 5, 3, 0], [4, 2, 7, 9], [11, 0, 0, 0]])
    tags = torch.tensor([[0, 1, 2, -1], [3, 2, 1, 0], [1, -1, -1, -1]])
    optimizer = optim.RMSprop(model.parameters(), lr=0.01)
    for _ in range(4):
        scores, h = model(x, (x != 0).sum(1).tolist())
        loss = F.cross_entropy(scores.view(-1, 4), tags.view(-1), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    return [loss.item(), norm.item(), h.sum().item()]


def small_gpt():
    """Causal attention with a registered mask, tied weights, parameter groups, greedy sampling."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(8)
            self.qkv = nn.Linear(8, 24)
            self.proj = nn.Linear(8, 8)
            self.mlp = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
            self.register_buffer("mask", torch.tril(torch.ones(6, 6)).view(1, 1, 6, 6))

        def forward(self, x):
            B, T, C = x.size()
            q, k, v = (y.view(B, T, 2, 4).transpose(1, 2) for y in self.qkv(self.norm(x)).split(C, dim=2))
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
            out = torch.einsum("bhij,bhjd->bhid", F.softmax(scores, dim=-1), v)
            x = x + self.proj(out.transpose(1, 2).contiguous().view(B, T, C))
            return x + self.mlp(x)

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(10, 8), nn.Embedding(6, 8)
            self.blocks = nn.ModuleList([Block() for _ in range(2)])
            self.head = nn.Linear(8, 10, bias=False)
            self.tokens.weight = self.head.weight

        def forward(self, idx):
            x = self.tokens(idx) + self.positions(torch.arange(idx.size(1), device=idx.device))
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    model = fixed(GPT())
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=0.01)
    text = torch.tensor([[1, 4, 7, 2, 9, 3, 5]])
    for _ in range(5):
        logits = model(text[:, :-1])
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), text[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    idx = text[:, :2]
    with torch.no_grad():
        for _ in range(6):
            logits = model(idx[:, -6:])[:, -1, :]
            v, _ = torch.topk(logits, 3)
            logits[logits < v[:, [-1]]] = -float("inf")
            idx = torch.cat((idx, F.softmax(logits, dim=-1).argmax(-1, keepdim=True)), dim=1)
    return [loss.item(), *idx[0].tolist()]


def boxes():
    """Decoding, matching and suppressing boxes: writes through slices and masks, sorting, loops over indices."""
    prior = torch.sigmoid(waves(8, 4))
    out = torch.cat((prior[:, :2] + waves(8, 2, shift=3.0) * 0.1, prior[:, 2:] * torch.exp(waves(8, 2) * 0.2)), 1)
    out[:, :2] -= out[:, 2:] / 2
    out[:, 2:] += out[:, :2]
    scores = waves(8, shift=5.0).requires_grad_()
    area = (out[:, 2] - out[:, 0]) * (out[:, 3] - out[:, 1])
    _, order = scores.detach().sort(0, descending=True)
    keep = []
    while order.numel() > 0:
        i = order[0].item()
        keep.append(i)
        if order.size(0) == 1:
            break
        rest = out[order[1:]]
        low, high = torch.max(rest[:, :2], out[i, :2]), torch.min(rest[:, 2:], out[i, 2:])
        inter = torch.clamp(high - low, min=0).prod(1)
        iou = inter / (area[order[1:]] + area[i] - inter)
        order = order[1:][iou.le(0.4)]
    target = torch.zeros(8)
    target[torch.LongTensor(keep)] = 1.0
    best = torch.zeros(8, 2).scatter_(1, target.long().unsqueeze(1), 1.0)
    loss = F.binary_cross_entropy_with_logits(scores[target.byte() > 0], best[target == 1][:, 1], reduction="sum")
    loss.backward()
    return [*keep, loss.item(), out.sum().item(), (scores.grad != 0).sum().item()]


def style_by_lbfgs():
    """Neural style: Gram matrices, hooks for features, an image optimised by L-BFGS."""
    net = fixed(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))).eval()
    features = []
    net[0].register_forward_hook(lambda module, inputs, output: features.append(output))

    def gram(x):
        _, channels, height, width = x.size()
        flat = x.view(channels, height * width)
        return flat.mm(flat.t()).div(channels * height * width)

    content, style = torch.sigmoid(waves(1, 3, 6, 6)), torch.sigmoid(waves(1, 3, 6, 6, shift=2.5) * 2)
    with torch.no_grad():
        wanted_content, wanted_gram = net(content), [gram(net(style)), gram(features.pop())]
    image = content.clone().requires_grad_(True)
    optimizer = optim.LBFGS([image], max_iter=10)
    losses = []

    def closure():
        features.clear()
        optimizer.zero_grad()
        out = net(image)
        loss = F.mse_loss(out, wanted_content)
        for found, wanted in zip((out, features[0]), wanted_gram, strict=True):
            loss = loss + 1e6 * F.mse_loss(gram(found), wanted)
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    return [losses[0], losses[-1]]


def deep_q():
    """Q-learning: gather, masks of final states, a target network that follows slowly."""
    policy, target = (fixed(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))) for _ in range(2))
    target.load_state_dict(policy.state_dict())
    optimizer = optim.Adam(policy.parameters(), lr=0.05)
    states, actions = waves(6, 3), torch.tensor([0, 1, 1, 0, 1, 0]).unsqueeze(1)
    following = [waves(1, 3, shift=float(i)) if i % 3 else None for i in range(6)]
    for _ in range(5):
        not_final = torch.tensor([s is not None for s in following], dtype=torch.bool)
        values = policy(states).gather(1, actions)
        next_values = torch.zeros(6)
        with torch.no_grad():
            next_values[not_final] = target(torch.cat([s for s in following if s is not None])).max(1).values
        loss = nn.SmoothL1Loss()(values, (next_values * 0.9 + torch.arange(6.0)).unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy.parameters(), 0.1)
        optimizer.step()
        for slow, fast in zip(target.parameters(), policy.parameters(), strict=True):
            slow.data.mul_(0.9).add_(fast.data, alpha=0.1)
    return [loss.item(), sum(p.abs().sum() for p in target.parameters()).item()]


EXPECTED = {
    classifier_of_old: [1.09247, 2, 2.39376],
    gradient_penalty: [4.82982, 4.03559, 3.30264],
    learning_to_learn: [0.911026, 2.24692, 1.47851, 2.50374],
    tagger: [0.960882, 0.229402, 0.947001],
    small_gpt: [2.35364, 1, 4, 2, 2, 9, 9, 2, 2],
    boxes: [1, 4, 0, 3, 6, 3.6751, 13.8765, 5],
    style_by_lbfgs: [0.0512366, 0.00367131],
    deep_q: [1.56517, 14.44],
}


@pytest.mark.parametrize("program", EXPECTED, ids=lambda program: program.__name__)
def test_program(program):
    assert program() == pytest.approx(EXPECTED[program], rel=2e-3, abs=1e-4)
