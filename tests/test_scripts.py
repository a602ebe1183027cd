"""Whole programs as users write them, of 2018 and of today, with only their imports changed."""

import pytest

import minigrad as mg
from minigrad import nn, optim


def blobs(count=240):
    """Three clouds of points in the plane."""
    generator = mg.Generator().manual_seed(0)
    labels = mg.randint(0, 3, (count,), generator=generator)
    centres = mg.tensor([[2.0, 0.0], [-2.0, 1.0], [0.0, -2.5]])
    return centres[labels] + 0.4 * mg.randn(count, 2, generator=generator), labels


def test_program_of_2018():
    """Variable, .data, size_average, init without underscore, hand-written weight updates."""
    import minigrad as torch
    import minigrad.nn.functional as F
    from minigrad.autograd import Variable

    class Net(nn.Module):
        def __init__(self):
            super(Net, self).__init__()  # noqa: UP008 - as it was written then
            self.fc1 = nn.Linear(2, 16)
            self.fc2 = nn.Linear(16, 3)
            for m in self.modules():
                if isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight.data)
                    m.bias.data.zero_()

        def forward(self, x):
            x = F.relu(self.fc1(x))
            return F.log_softmax(self.fc2(x), dim=1)

    torch.manual_seed(1)
    use_cuda = torch.cuda.is_available() and False
    data, target = blobs()
    model = Net()
    if use_cuda:
        model.cuda()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    model.train()
    losses = []
    for _ in range(60):
        inputs, labels = Variable(data), Variable(target)
        optimizer.zero_grad()
        loss = F.nll_loss(model(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.data.item())
        with pytest.raises(IndexError, match="item"):
            loss.data[0]
    model.eval()
    output = model(Variable(data))
    with pytest.warns(UserWarning, match="reduction='sum'"):
        test_loss = F.nll_loss(output, Variable(target), size_average=False).data.item() / len(target)
    pred = output.data.max(1, keepdim=True)[1]
    correct = pred.eq(target.view_as(pred)).cpu().sum()
    assert losses[-1] < 0.1 < losses[0] and test_loss < 0.1
    assert 100.0 * correct / len(target) > 97

    w = Variable(torch.FloatTensor(2, 3).normal_(0, 0.1), requires_grad=True)
    b = Variable(torch.zeros(3), requires_grad=True)
    for _ in range(80):
        scores = Variable(data).mm(w) + b.expand_as(Variable(torch.zeros(len(data), 3)))
        loss = nn.CrossEntropyLoss()(scores, Variable(target))
        loss.backward()
        w.data -= 0.5 * w.grad.data
        b.data.add_(b.grad.data, alpha=-0.5)
        w.grad.data.zero_()
        b.grad.data.zero_()
    assert loss.data.item() < 0.2


def test_program_of_today(tmp_path):
    """Device choice, DataLoader, Sequential, AdamW, schedule, clipping, inference mode, state_dict."""
    import minigrad as torch
    from minigrad.utils.data import DataLoader, TensorDataset, random_split

    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = TensorDataset(*blobs())
    train_set, test_set = random_split(dataset, [0.8, 0.2], generator=torch.Generator().manual_seed(42))
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=64)

    model = nn.Sequential(
        nn.Linear(2, 32), nn.BatchNorm1d(32), nn.GELU(), nn.Dropout(0.1),
        nn.Linear(32, 32), nn.LayerNorm(32), nn.SiLU(), nn.Linear(32, 3),
    ).to(device)  # fmt: skip
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-2)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-2, total_steps=15 * len(train_loader))

    def train_one_epoch():
        model.train()
        total = 0.0
        for inputs, labels in train_loader:
            inputs, labels = inputs.to(device, non_blocking=True), labels.to(device)
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(inputs), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            scheduler.step()
            total += loss.item() * inputs.size(0)
        return total / (len(train_loader) * 32)

    @torch.inference_mode()
    def evaluate(net):
        net.eval()
        correct = sum((net(x.to(device)).argmax(dim=1) == y.to(device)).sum().item() for x, y in test_loader)
        return correct / len(test_set)

    losses = [train_one_epoch() for _ in range(15)]
    assert losses[-1] < losses[0] and evaluate(model) > 0.95
    assert scheduler.get_last_lr()[0] < 1e-4

    twin = nn.Sequential(*[type(layer)(*arguments) for layer, arguments in zip(
        model, [(2, 32), (32,), (), (0.1,), (32, 32), (32,), (), (32, 3)], strict=True)])  # fmt: skip
    missing, unexpected = twin.load_state_dict(model.state_dict())
    assert not missing and not unexpected and evaluate(twin) == evaluate(model)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 1379


def test_program_with_its_own_training_parts():
    """A custom Function, a custom Module with a buffer, hooks, gradient accumulation, two optimizers' groups."""
    import minigrad as torch

    class Straight(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sign()

        @staticmethod
        def backward(ctx, grad):
            return grad.clamp(-1, 1)

    class Binary(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(outputs, inputs))
            self.register_buffer("calls", torch.zeros((), dtype=torch.long))
            nn.init.kaiming_uniform_(self.weight, a=5**0.5)

        def forward(self, x):
            self.calls += 1
            return nn.functional.linear(x, Straight.apply(self.weight))

    torch.manual_seed(0)
    model = nn.Sequential(Binary(2, 32), nn.ReLU(), nn.Linear(32, 3))
    seen = []
    handle = model[0].register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
    optimizer = optim.Adam(
        [{"params": model[0].parameters(), "lr": 1e-3}, {"params": model[2].parameters(), "lr": 5e-2}],
        betas=(0.9, 0.99),
    )
    data, target = blobs(96)
    for _ in range(30):
        optimizer.zero_grad()
        for inputs, labels in zip(data.split(32), target.split(32), strict=True):
            (nn.functional.cross_entropy(model(inputs), labels) / 3).backward()
        optimizer.step()
    handle.remove()
    with torch.no_grad():
        accuracy = (model(data).argmax(1) == target).float().mean().item()
    assert accuracy > 0.9
    assert seen == [(32, 32)] * 90 and model.state_dict()["0.calls"].item() == 91


def test_dynamic_graph():
    """The graph differs from sample to sample: plain Python control flow."""
    w = mg.tensor([[0.5, 0.1], [0.0, 0.5]], requires_grad=True)
    for steps in (1, 4, 2):
        h = mg.ones(2)
        for _ in range(steps):
            h = mg.tanh(w @ h) if h.sum() > 1 else w @ h
        (gradient,) = mg.autograd.grad(h.sum(), w)
        assert gradient.shape == (2, 2)
