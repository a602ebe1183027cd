"""GoogLeNet and the ResNets against twins made of torch.nn: same weights, same outputs, gradients and statistics.

The twins are written from the papers and from torchvision's names, in double precision; their state_dict is loaded into
our network, which also shows that torchvision's keys and shapes fit.
"""
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
import models  # noqa: E402
from minigrad import nn as our  # noqa: E402
from minigrad.vision.ops import StochasticDepth  # noqa: E402
from models.googlenet import MODULES  # noqa: E402
from tests.parity.convert import from_array, to_numpy  # noqa: E402

nn = torch.nn
F = torch.nn.functional


@pytest.fixture(autouse=True)
def seeded_torch():
    torch.manual_seed(0)


# ---------------------------------------------------------------- comparing
def loaded(ours, twin):
    """Both in double precision with the twin's weights; norms get weights and statistics unlike their first ones."""
    twin = twin.double()
    with torch.no_grad():
        for name, value in twin.state_dict().items():
            if value.ndim == 1 and name.endswith(("weight", "running_var")):
                value.uniform_(0.5, 1.5)
            elif value.ndim == 1:
                value.normal_(0, 0.2)
    ours = ours.double()
    ours.load_state_dict({name: from_array(mg, value.numpy().copy()) for name, value in twin.state_dict().items()})
    return ours, twin


def close(mine, wanted, what):
    mine, wanted = to_numpy(mine), to_numpy(wanted)
    assert mine.shape == wanted.shape, what
    assert mine.dtype == wanted.dtype, what
    scale = abs(wanted).max() if wanted.size else 0
    assert abs(mine - wanted).max(initial=0) <= 1e-9 * scale + 1e-12, what


def outputs_of(result):
    """The outputs of a network: one, or GoogLeNet's three."""
    return list(result) if isinstance(result, tuple) else [result]


def check(ours, twin, shape):
    """Forward, gradients of inputs and parameters, and batch-norm statistics, while training and not."""
    ours, twin = loaded(ours, twin)
    for training in (True, False):
        image = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        mine = from_array(mg, image.detach().numpy().copy()).requires_grad_()
        ours.train(training).zero_grad()
        twin.train(training).zero_grad()
        results, wanted = outputs_of(ours(mine)), outputs_of(twin(image))
        assert len(results) == len(wanted)
        for number, (result, value) in enumerate(zip(results, wanted)):
            close(result, value, f"output {number}, training={training}")
        weights = [torch.randn_like(value) for value in wanted]
        sum((value * weight).sum() for value, weight in zip(wanted, weights)).backward()
        sum((value * from_array(mg, weight.numpy())).sum() for value, weight in zip(results, weights)).backward()
        close(mine.grad, image.grad, f"gradient of the input, training={training}")
        gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
        for name, parameter in twin.named_parameters():
            if parameter.grad is None:
                assert gradients[name] is None, name
            else:
                close(gradients[name], parameter.grad, f"gradient of {name}, training={training}")
        buffers = dict(ours.named_buffers())
        for name, buffer in twin.named_buffers():
            close(buffers[name], buffer, f"{name}, training={training}")


# ---------------------------------------------------------------- twins of the residual blocks
class Residual(nn.Module):
    """He et al. 2015: convolutions by their kernels; the stride is at the first 3x3 one."""

    def __init__(self, inplanes, widths, kernels, stride=1, groups=1, dilation=1, project=False):
        super().__init__()
        self.count = len(kernels)
        channels = [inplanes, *widths]
        strided = kernels.index(3)
        for number, kernel in enumerate(kernels, start=1):
            here = stride if number - 1 == strided else 1
            grouped = groups if kernel == 3 else 1
            spread = dilation if kernel == 3 else 1
            conv = nn.Conv2d(
                channels[number - 1],
                channels[number],
                kernel,
                here,
                padding=spread * (kernel // 2),
                dilation=spread,
                groups=grouped,
                bias=False,
            )
            setattr(self, f"conv{number}", conv)
            setattr(self, f"bn{number}", nn.BatchNorm2d(channels[number]))
        if project:
            shortcut = nn.Conv2d(inplanes, channels[-1], 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels[-1]))

    def forward(self, x):
        out = x
        for number in range(1, self.count + 1):
            out = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(out))
            if number < self.count:
                out = F.relu(out)
        return F.relu(out + (self.downsample(x) if hasattr(self, "downsample") else x))


class PreActResidual(nn.Module):
    """He et al. 2016, as in fb.resnet.torch: where the shortcut is a convolution it sees the activated input."""

    def __init__(self, inplanes, widths, kernels, stride=1, project=False, first=False):
        super().__init__()
        self.count = len(kernels)
        self.first = first
        channels = [inplanes, *widths]
        for number, kernel in enumerate(kernels, start=1):
            here = stride if number - 1 == kernels.index(3) else 1
            conv = nn.Conv2d(channels[number - 1], channels[number], kernel, here, padding=kernel // 2, bias=False)
            setattr(self, f"conv{number}", conv)
            if number > 1 or not first:
                setattr(self, f"bn{number}", nn.BatchNorm2d(channels[number - 1]))
        if project:
            self.downsample = nn.Conv2d(inplanes, channels[-1], 1, stride, bias=False)

    def forward(self, x):
        out = x if self.first else F.relu(self.bn1(x))
        shortcut = self.downsample(out) if hasattr(self, "downsample") else x
        out = self.conv1(out)
        for number in range(2, self.count + 1):
            out = getattr(self, f"conv{number}")(F.relu(getattr(self, f"bn{number}")(out)))
        return out + shortcut


def shortcut(inplanes, planes, stride):
    return our.Sequential(our.Conv2d(inplanes, planes, 1, stride=stride, bias=False), our.BatchNorm2d(planes))


BLOCKS = {
    "basic": (lambda: models.BasicBlock(6, 6), lambda: Residual(6, (6, 6), (3, 3))),
    "basic, strided": (
        lambda: models.BasicBlock(4, 6, 2, shortcut(4, 6, 2)),
        lambda: Residual(4, (6, 6), (3, 3), stride=2, project=True),
    ),
    "bottleneck": (lambda: models.Bottleneck(12, 3), lambda: Residual(12, (3, 3, 12), (1, 3, 1))),
    "bottleneck, strided": (
        lambda: models.Bottleneck(6, 3, 2, shortcut(6, 12, 2)),
        lambda: Residual(6, (3, 3, 12), (1, 3, 1), stride=2, project=True),
    ),
    "bottleneck, groups": (
        lambda: models.Bottleneck(16, 4, groups=4, base_width=32),
        lambda: Residual(16, (8, 8, 16), (1, 3, 1), groups=4),
    ),
    "bottleneck, dilated": (
        lambda: models.Bottleneck(8, 2, dilation=2),
        lambda: Residual(8, (2, 2, 8), (1, 3, 1), dilation=2),
    ),
    "preact": (lambda: models.PreActBasicBlock(6, 6), lambda: PreActResidual(6, (6, 6), (3, 3))),
    "preact, strided": (
        lambda: models.PreActBasicBlock(4, 6, 2),
        lambda: PreActResidual(4, (6, 6), (3, 3), stride=2, project=True),
    ),
    "preact, first": (
        lambda: models.PreActBasicBlock(6, 6, preactivate=False),
        lambda: PreActResidual(6, (6, 6), (3, 3), first=True),
    ),
    "preact bottleneck": (
        lambda: models.PreActBottleneck(12, 3),
        lambda: PreActResidual(12, (3, 3, 12), (1, 3, 1)),
    ),
    "preact bottleneck, strided": (
        lambda: models.PreActBottleneck(6, 3, 2),
        lambda: PreActResidual(6, (3, 3, 12), (1, 3, 1), stride=2, project=True),
    ),
    "preact bottleneck, first": (
        lambda: models.PreActBottleneck(6, 3, preactivate=False),
        lambda: PreActResidual(6, (3, 3, 12), (1, 3, 1), project=True, first=True),
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("side", [7, 8])
def test_residual_block(name, side):
    ours, twin = (build() for build in BLOCKS[name])
    channels = twin.conv1.in_channels
    check(ours, twin, (3, channels, side, side))


# ---------------------------------------------------------------- twins of the residual networks
class TwinResNet(nn.Module):
    def __init__(self, preact, bottleneck, layers, small, classes=5, in_channels=3):
        super().__init__()
        self.preact, self.small = preact, small
        stem = (3, 1, 1) if small else (7, 2, 3)
        self.conv1 = nn.Conv2d(in_channels, 64, *stem, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inplanes = 64
        for stage, count in enumerate(layers):
            width = 64 * 2**stage
            widths, kernels = ((width, width, 4 * width), (1, 3, 1)) if bottleneck else ((width, width), (3, 3))
            blocks = []
            for index in range(count):
                settings = {"stride": 2 if stage and not index else 1, "project": inplanes != widths[-1]}
                if preact:
                    blocks.append(PreActResidual(inplanes, widths, kernels, first=stage + index == 0, **settings))
                else:
                    blocks.append(Residual(inplanes, widths, kernels, **settings))
                inplanes = widths[-1]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        if preact:
            self.bn_last = nn.BatchNorm2d(inplanes)
        self.fc = nn.Linear(inplanes, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.small:
            x = F.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        if self.preact:
            x = F.relu(self.bn_last(x))
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("small, side", [(True, 9), (False, 66)])
@pytest.mark.parametrize("preact", [False, True], ids=["resnet", "preact"])
def test_residual_network(preact, small, side):
    """One block a stage, two in the second: every kind of block the deeper networks consist of."""
    family, block = (models.PreActResNet, models.PreActBasicBlock) if preact else (models.ResNet, models.BasicBlock)
    layers = [1, 2, 1, 1]
    ours = family(block, layers, 5, image_size=32 if small else 224)
    check(ours, TwinResNet(preact, False, layers, small), (2, 3, side, side))


@pytest.mark.parametrize("preact", [False, True], ids=["resnet", "preact"])
def test_bottleneck_network(preact):
    family, block = (models.PreActResNet, models.PreActBottleneck) if preact else (models.ResNet, models.Bottleneck)
    ours = family(block, [2, 1, 1, 1], 5, in_channels=1, image_size=28)
    check(ours, TwinResNet(preact, True, [2, 1, 1, 1], True, in_channels=1), (3, 1, 8, 8))


@pytest.mark.parametrize("name", ["resnet50", "preact_resnet200"])
def test_weights_of_a_full_network_fit(name):
    """Every name and shape of the twin's state_dict, without values: PyTorch's meta device."""
    layers = [3, 4, 6, 3] if name == "resnet50" else [3, 24, 36, 3]
    with torch.device("meta"):
        twin = TwinResNet(name.startswith("preact"), True, layers, False, 1000)
    with our.init.paused():
        ours = models.build(name)
    wanted = {key: tuple(value.shape) for key, value in twin.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in ours.state_dict().items()} == wanted


@pytest.mark.parametrize("mode", ["batch", "row"])
def test_stochastic_depth_by_its_definition(mode):
    """x + b·F(x) / (1 - p) with b = 0 or 1, and its gradients, for the b that was drawn."""
    ours, twin = loaded(models.PreActBasicBlock(6, 6), PreActResidual(6, (6, 6), (3, 3)))
    ours.eval(), twin.eval()  # fixed statistics: the samples do not depend on each other
    ours.stochastic_depth = StochasticDepth(0.4, mode)
    seen = set()
    for _ in range(12):
        image = torch.rand(4, 6, 5, 5, dtype=torch.float64, requires_grad=True)
        mine = from_array(mg, image.detach().numpy().copy()).requires_grad_()
        result = ours(mine)
        kept = torch.from_numpy((to_numpy(result) != to_numpy(mine)).any((1, 2, 3)))
        seen.add(tuple(kept.tolist()))
        wanted = image + (twin(image) - image) * kept.reshape(4, 1, 1, 1) / 0.6
        close(result, wanted, "output")
        ours.zero_grad(), twin.zero_grad()
        result.pow(2).sum().backward(), wanted.pow(2).sum().backward()
        close(mine.grad, image.grad, "gradient of the input")
        for name, parameter in twin.named_parameters():
            gradient = dict(ours.named_parameters())[name].grad
            if gradient is None:  # the branch was not computed
                assert mode == "batch" and not kept.any() and not parameter.grad.any()
            else:
                close(gradient, parameter.grad, name)
    assert len(seen) == 2 if mode == "batch" else len(seen) > 2


# ---------------------------------------------------------------- twins of GoogLeNet
class Conv(nn.Module):
    """Convolution, batch norm with eps 0.001 and ReLU, or convolution with bias and ReLU."""

    def __init__(self, into, out, kernel, stride=1, batch_norm=True):
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        if batch_norm:
            self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x):
        x = self.conv(x)
        return F.relu(self.bn(x) if hasattr(self, "bn") else x)


class TwinInception(nn.Module):
    def __init__(self, into, filters, five=3, batch_norm=True):
        super().__init__()
        ch1, red3, ch3, red5, ch5, proj = filters
        self.branch1 = Conv(into, ch1, 1, batch_norm=batch_norm)
        self.branch2 = nn.Sequential(
            Conv(into, red3, 1, batch_norm=batch_norm), Conv(red3, ch3, 3, batch_norm=batch_norm)
        )
        self.branch3 = nn.Sequential(
            Conv(into, red5, 1, batch_norm=batch_norm), Conv(red5, ch5, five, batch_norm=batch_norm)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), Conv(into, proj, 1, batch_norm=batch_norm))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class TwinNaive(nn.Module):
    def __init__(self, into, ch1, ch3, ch5, five=5):
        super().__init__()
        self.branch1 = Conv(into, ch1, 1)
        self.branch2 = Conv(into, ch3, 3)
        self.branch3 = Conv(into, ch5, five)

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), F.max_pool2d(x, 3, 1, 1)], 1)


class TwinAux(nn.Module):
    def __init__(self, into, classes, batch_norm=True):
        super().__init__()
        self.conv = Conv(into, 128, 1, batch_norm=batch_norm)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x):
        x = self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


class TwinGoogLeNet(nn.Module):
    """Without dropout; the paper's (biases, response normalisation, 5x5, 3x3 pooling) or torchvision's."""

    def __init__(self, classes, small, paper):
        super().__init__()
        self.small, self.paper = small, paper
        bn = not paper
        self.conv1 = Conv(3, 64, 3 if small else 7, 1 if small else 2, batch_norm=bn)
        self.conv2 = Conv(64, 64, 1, batch_norm=bn)
        self.conv3 = Conv(64, 192, 3, batch_norm=bn)
        into = 192
        for name, filters in MODULES.items():
            setattr(self, name, TwinInception(into, filters, 5 if paper else 3, bn))
            into = filters[0] + filters[2] + filters[4] + filters[5]
        self.aux1 = TwinAux(512, classes, bn)
        self.aux2 = TwinAux(528, classes, bn)
        self.fc = nn.Linear(into, classes)

    def forward(self, x):
        x = self.conv1(x)
        if not self.small:
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        if self.paper:
            x = F.local_response_norm(x, 5, 1e-4, 0.75, 1.0)
        x = self.conv3(self.conv2(x))
        if self.paper:
            x = F.local_response_norm(x, 5, 1e-4, 0.75, 1.0)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = self.inception3b(self.inception3a(x))
        x = self.inception4a(F.max_pool2d(x, 3, 2, ceil_mode=True))
        first = self.aux1(x) if self.training else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        second = self.aux2(x) if self.training else None
        x = F.max_pool2d(self.inception4e(x), 3 if self.paper else 2, 2, ceil_mode=True)
        x = self.fc(self.inception5b(self.inception5a(x)).mean((2, 3)))
        return (x, second, first) if self.training else x


@pytest.mark.parametrize("five_by_five", [False, True])
@pytest.mark.parametrize("side", [1, 6, 7])
def test_inception_modules(five_by_five, side):
    kernel = 5 if five_by_five else 3
    ours = models.Inception(5, 2, 3, 4, 5, 6, 7, five_by_five=five_by_five)
    check(ours, TwinInception(5, (2, 3, 4, 5, 6, 7), kernel), (3, 5, side, side))
    naive = models.NaiveInception(5, 2, 4, 6, five_by_five=five_by_five)
    check(naive, TwinNaive(5, 2, 4, 6, kernel), (3, 5, side, side))


def test_plain_inception():
    ours = models.Inception(5, 2, 3, 4, 5, 6, 7, models.PlainConv2d)
    check(ours, TwinInception(5, (2, 3, 4, 5, 6, 7), 3, batch_norm=False), (2, 5, 6, 6))


@pytest.mark.parametrize("side", [2, 4, 14])
def test_auxiliary_classifier(side):
    """Maps smaller than 4x4 are enlarged, larger ones averaged."""
    check(models.InceptionAux(6, 5, dropout=0.0), TwinAux(6, 5), (3, 6, side, side))


@pytest.mark.parametrize(
    "small, paper, side",
    [(True, False, 9), (False, False, 66), (True, True, 9)],
    ids=["small images", "torchvision's", "the paper's"],
)
def test_googlenet(small, paper, side):
    settings = {"five_by_five": True, "batch_norm": False} if paper else {}
    ours = models.GoogLeNet(4, dropout=0.0, dropout_aux=0.0, image_size=32 if small else 224, **settings)
    check(ours, TwinGoogLeNet(4, small, paper), (2, 3, side, side))
