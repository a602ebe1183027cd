"""Training small networks in half precision on a GPU, and how often the scaler waits for it."""

import pytest

import minigrad as mg
from minigrad.nn import functional as F  # noqa: N812
from tests import fake_cupy


class Block(mg.nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = mg.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = mg.nn.BatchNorm2d(outputs)
        self.conv2 = mg.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = mg.nn.BatchNorm2d(outputs)
        self.shortcut = mg.nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def lenet():
    nn = mg.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4),
    )  # fmt: skip


def resnet():
    nn = mg.nn
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), Block(8, 8, 1), Block(8, 16, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip


def examples():
    mg.manual_seed(3)
    x = mg.randn(16, 1, 16, 16)
    target = mg.arange(16) % 4
    for index, label in enumerate(target.tolist()):
        x[index, 0, 4 * label : 4 * label + 4] += 2.0
    return x.cuda(), target.cuda()


@pytest.mark.parametrize("dtype", [mg.float16, mg.bfloat16], ids=str)
@pytest.mark.parametrize("network", [lenet, resnet])
def test_networks_learn_in_mixed_precision(gpu, network, dtype):
    x, target = examples()
    model = network().cuda()
    optimizer = mg.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler = mg.amp.GradScaler("cuda", init_scale=256.0, growth_interval=100)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        with mg.autocast("cuda", dtype=dtype):
            out = model(x)
            loss = F.cross_entropy(out, target)
        assert out.dtype is dtype and loss.dtype is mg.float32
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        mg.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert all(parameter.dtype is mg.float32 and parameter.grad.is_cuda for parameter in model.parameters())
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3]), losses


@pytest.mark.parametrize("dtype", [mg.float16, mg.bfloat16], ids=str)
def test_networks_in_half_precision_alone(gpu, dtype):
    x, target = examples()
    model = lenet().cuda().to(dtype).eval()
    optimizer = mg.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(dtype)).float(), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert model[0].weight.dtype is dtype and losses[-1] < losses[0]


def test_an_overflow_skips_the_step_and_backs_off(gpu):
    weight = mg.ones(2, device="cuda", requires_grad=True)
    optimizer = mg.optim.SGD([weight], lr=1.0)
    scaler = mg.amp.GradScaler("cuda", init_scale=4.0, growth_interval=2)
    scales = []
    for factor in (1.0, float("inf"), 1.0, 1.0, 1.0, float("nan")):
        optimizer.zero_grad()
        scaler.scale((weight * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales == [4, 2, 2, 4, 4, 2] and weight.tolist() == [-3, -3]
    scaler.scale(weight.sum())
    scaler.update(mg.tensor(16.0, device="cuda"))
    assert scaler.get_scale() == 16.0


@pytest.mark.skipif(mg.cuda.is_available(), reason="the stand-in counts")
def test_a_step_waits_for_the_gpu_once(gpu):
    weight = mg.ones(4, device="cuda", requires_grad=True)
    optimizer = mg.optim.SGD([weight], lr=0.1)
    scaler = mg.amp.GradScaler("cuda", growth_interval=1)
    waits = []

    def after(act):
        before = fake_cupy.WAITS[0]
        result = act()
        waits.append(fake_cupy.WAITS[0] - before)
        return result

    for _ in range(2):
        loss = after(lambda: scaler.scale((weight * weight).sum()))
        after(loss.backward)
        after(lambda: scaler.unscale_(optimizer))
        after(lambda: scaler.step(optimizer))
        after(scaler.update)
    assert waits == [0, 0, 0, 1, 0] * 2


def test_older_names(gpu):
    with pytest.warns(FutureWarning, match=r"cuda\.amp\.autocast"):
        region = mg.cuda.amp.autocast()
    with pytest.warns(FutureWarning, match=r"cuda\.amp\.GradScaler"):
        assert mg.cuda.amp.GradScaler().is_enabled()
    x = mg.ones(2, 2, device="cuda")
    with region:
        assert (x @ x).dtype is mg.float16
