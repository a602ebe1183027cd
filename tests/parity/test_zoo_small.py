"""LeNet and the small networks beside their twins made of torch.nn: the same outputs and gradients."""
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import minigrad as mg  # noqa: E402
import models  # noqa: E402


class TwinLeNet5(nn.Module):
    def __init__(self, padding, side, activation, pool):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=padding)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)
        self.activation, self.pool = activation, pool

    def forward(self, x):
        for conv in (self.conv1, self.conv2):
            x = self.pool(self.activation(conv(x)), 2)
        x = x.flatten(1)
        for linear in (self.fc1, self.fc2):
            x = self.activation(linear(x))
        return self.fc3(x)


class TwinLeNetGlobal(nn.Module):
    def __init__(self):
        super().__init__()
        stages = [nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
        stages += [nn.Conv2d(8, 24, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*stages, nn.Conv2d(24, 64, 5, padding=2), nn.ReLU())
        self.classes = nn.Conv2d(64, 10, 1)

    def forward(self, x):
        return self.classes(self.features(x)).flatten(2).max(2).values


class TwinSmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for before, after in ((3, 8), (8, 12)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.fc1 = nn.Linear(12 * 4 * 4, 20)
        self.fc2 = nn.Linear(20, 10)

    def forward(self, x):
        return self.fc2(self.fc1(self.features(x).flatten(1)).relu())


class TwinBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if stride != 1 or before != after:
            shortcut = nn.Conv2d(before, after, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(after))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return (shortcut + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()


class TwinSmallResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.blocks = nn.Sequential(TwinBlock(4, 4, 1), TwinBlock(4, 4, 1), TwinBlock(4, 6, 2), TwinBlock(6, 6, 1))
        self.fc = nn.Linear(6, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 2)
        return self.fc(self.blocks(x).mean((2, 3)))


F = nn.functional
CASES = {
    "lenet5": (lambda: models.lenet5(), lambda: TwinLeNet5(2, 5, F.relu, F.max_pool2d), (2, 1, 28, 28)),
    "lenet5 of the paper": (
        lambda: models.lenet5(image_size=32, activation="tanh", pool="avg"),
        lambda: TwinLeNet5(0, 5, torch.tanh, F.avg_pool2d),
        (2, 1, 32, 32),
    ),
    "lenet_global": (lambda: models.lenet_global(), TwinLeNetGlobal, (2, 1, 20, 24)),
    "small_cnn": (
        lambda: models.small_cnn(image_size=16, widths=(8, 12), hidden=20),
        TwinSmallCNN,
        (3, 3, 16, 16),
    ),
    "small_resnet": (lambda: models.small_resnet(widths=(4, 4, 6), blocks=2), TwinSmallResNet, (3, 3, 17, 16)),
}


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("case", CASES)
def test_outputs_gradients_and_buffers(case, training):
    build, make_twin, shape = CASES[case]
    torch.manual_seed(0)
    twin = make_twin().double().train(training)
    model = build().double().train(training)
    model.load_state_dict({name: mg.from_numpy(value.numpy()) for name, value in twin.state_dict().items()})
    image = np.random.default_rng(1).standard_normal(shape)
    ours, theirs = mg.tensor(image, requires_grad=True), torch.tensor(image, requires_grad=True)
    scores, expected = model(ours), twin(theirs)
    np.testing.assert_allclose(scores.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    (scores * scores).sum().backward()
    (expected * expected).sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-7, atol=1e-11)
    parameters = dict(model.named_parameters())
    assert list(parameters) == [name for name, _ in twin.named_parameters()]
    for name, parameter in twin.named_parameters():
        assert parameter.grad.abs().max() > 0
        np.testing.assert_allclose(parameters[name].grad.numpy(), parameter.grad.numpy(), rtol=1e-7, atol=1e-11)
    for name, value in twin.named_buffers():
        np.testing.assert_allclose(dict(model.named_buffers())[name].numpy(), value.numpy(), rtol=1e-9)
