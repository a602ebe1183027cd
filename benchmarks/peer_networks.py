"""The measured networks built from torch.nn: twins of those in models/, with the same names of parameters.

Weights saved by either network load into the other; python -m benchmarks cnn --peer torch checks before it measures
that both give the same output. ReLUs work in place where those of models/ do.
"""
from collections import OrderedDict

import torch
from torch import nn

from benchmarks import networks

SMALL = 64  # images up to this side get first layers that keep their resolution, as in models/


# ---------------------------------------------------------------- AlexNet and VGG
class Stacked(nn.Module):
    """Features, average pooling to a grid, classifier."""

    def __init__(self, features, grid, classifier):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        self.classifier = classifier

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def side_after(features, channels, image_size):
    """The side of the maps that features make of a square image, found by running one."""
    with torch.no_grad():
        return features(torch.zeros(1, channels, image_size, image_size)).shape[2]


def alexnet(image_size, classes):
    """Krizhevsky et al. 2012 in two groups, response normalisation before the pooling."""
    small = image_size <= SMALL
    if small:
        first = nn.Conv2d(3, 96, 5, padding=2)
    else:
        first = nn.Conv2d(3, 96, 11, stride=4, padding=0 if (image_size - 11) % 4 == 0 else 2)
    layers = OrderedDict()
    convolutions = (
        first,
        nn.Conv2d(96, 256, 5, padding=2, groups=2),
        nn.Conv2d(256, 384, 3, padding=1),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.Conv2d(384, 256, 3, padding=1, groups=2),
    )
    for number, convolution in enumerate(convolutions, start=1):
        layers[f"conv{number}"] = convolution
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        if number <= 2:
            layers[f"norm{number}"] = nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)
            layers[f"pool{number}"] = nn.MaxPool2d(3, 2)
    layers["pool3"] = nn.MaxPool2d(3, 2)
    features = nn.Sequential(layers)
    grid = min(6, side_after(features, 3, image_size)) if small else 6
    hidden = 1024 if small else 4096
    classifier = nn.Sequential(
        OrderedDict(
            fc6=nn.Linear(256 * grid * grid, hidden),
            relu6=nn.ReLU(inplace=True),
            drop6=nn.Dropout(0.5),
            fc7=nn.Linear(hidden, hidden),
            relu7=nn.ReLU(inplace=True),
            drop7=nn.Dropout(0.5),
            fc8=nn.Linear(hidden, classes),
        )
    )
    return Stacked(features, grid, classifier)


def vgg(depths):
    """A builder of the VGG with so many convolutions before each of its five poolings."""

    def make(image_size, classes):
        small = image_size <= SMALL
        layers = []
        channels = 3
        for width, depth in zip((64, 128, 256, 512, 512), depths):
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=small))
        features = nn.Sequential(*layers)
        grid = min(7, side_after(features, 3, image_size)) if small else 7
        hidden = 512 if small else 4096
        classifier = nn.Sequential(
            nn.Linear(512 * grid * grid, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(hidden, classes),
        )
        return Stacked(features, grid, classifier)

    return make


# ---------------------------------------------------------------- Inception-V1
class ConvReLU(nn.Module):
    def __init__(self, channels, filters, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride=stride, padding=kernel // 2)

    def forward(self, x):
        return nn.functional.relu(self.conv(x), inplace=True)


class Inception(nn.Module):
    """1x1, 3x3, 5x5 and pooling side by side; filters as in a row of the paper's table 1."""

    def __init__(self, channels, one, three_before, three, five_before, five, after_pool):
        super().__init__()
        self.branch1 = ConvReLU(channels, one, 1)
        self.branch2 = nn.Sequential(ConvReLU(channels, three_before, 1), ConvReLU(three_before, three, 3))
        self.branch3 = nn.Sequential(ConvReLU(channels, five_before, 1), ConvReLU(five_before, five, 5))
        pool = nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True)
        self.branch4 = nn.Sequential(pool, ConvReLU(channels, after_pool, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


def halving():
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def googlenet(image_size, classes):
    """Szegedy et al. 2014 without the auxiliary classifiers."""
    small = image_size <= SMALL
    return nn.Sequential(
        OrderedDict(
            conv1=ConvReLU(3, 64, 3) if small else ConvReLU(3, 64, 7, 2),
            maxpool1=nn.Identity() if small else halving(),
            norm1=nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0),
            conv2=ConvReLU(64, 64, 1),
            conv3=ConvReLU(64, 192, 3),
            norm2=nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0),
            maxpool2=halving(),
            inception3a=Inception(192, 64, 96, 128, 16, 32, 32),
            inception3b=Inception(256, 128, 128, 192, 32, 96, 64),
            maxpool3=halving(),
            inception4a=Inception(480, 192, 96, 208, 16, 48, 64),
            inception4b=Inception(512, 160, 112, 224, 24, 64, 64),
            inception4c=Inception(512, 128, 128, 256, 24, 64, 64),
            inception4d=Inception(512, 112, 144, 288, 32, 64, 64),
            inception4e=Inception(528, 256, 160, 320, 32, 128, 128),
            maxpool4=halving(),
            inception5a=Inception(832, 256, 160, 320, 32, 128, 128),
            inception5b=Inception(832, 384, 192, 384, 48, 128, 128),
            avgpool=nn.AdaptiveAvgPool2d((1, 1)),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(0.2),
            fc=nn.Linear(1024, classes),
        )
    )


# ---------------------------------------------------------------- ResNets
class Residual(nn.Module):
    """He et al. 2015: the convolutions' kernels are (3, 3) or (1, 3, 1); the stride is at the first 3x3 one."""

    def __init__(self, channels, planes, kernels, stride):
        super().__init__()
        widths = residual_widths(channels, planes, kernels)
        self.count = len(kernels)
        for number, kernel in enumerate(kernels, start=1):
            here = stride_at(kernels, number, stride)
            convolution = plain_convolution(widths[number - 1], widths[number], kernel, here)
            setattr(self, f"conv{number}", convolution)
            setattr(self, f"bn{number}", nn.BatchNorm2d(widths[number]))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != widths[-1]:
            projection = plain_convolution(channels, widths[-1], 1, stride)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(widths[-1]))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        for number in range(1, self.count + 1):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            if number < self.count:
                x = self.relu(x)
        return self.relu(shortcut + x)


class PreActResidual(nn.Module):
    """He et al. 2016, as in fb.resnet.torch: a shortcut that is a convolution sees the activated input."""

    def __init__(self, channels, planes, kernels, stride, first):
        super().__init__()
        widths = residual_widths(channels, planes, kernels)
        self.count = len(kernels)
        self.bn1 = None if first else nn.BatchNorm2d(channels)
        for number, kernel in enumerate(kernels, start=1):
            if number > 1:
                setattr(self, f"bn{number}", nn.BatchNorm2d(widths[number - 1]))
            here = stride_at(kernels, number, stride)
            convolution = plain_convolution(widths[number - 1], widths[number], kernel, here)
            setattr(self, f"conv{number}", convolution)
        self.relu = nn.ReLU(inplace=True)
        changes = stride != 1 or channels != widths[-1]
        self.downsample = plain_convolution(channels, widths[-1], 1, stride) if changes else None

    def forward(self, x):
        activated = x if self.bn1 is None else self.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(activated)
        x = self.conv1(activated)
        for number in range(2, self.count + 1):
            x = getattr(self, f"conv{number}")(self.relu(getattr(self, f"bn{number}")(x)))
        return shortcut + x


def residual_widths(channels, planes, kernels):
    return (channels, planes, planes) if len(kernels) == 2 else (channels, planes, planes, 4 * planes)


def stride_at(kernels, number, stride):
    return stride if number - 1 == kernels.index(3) else 1


def plain_convolution(channels, filters, kernel, stride=1):
    return nn.Conv2d(channels, filters, kernel, stride=stride, padding=kernel // 2, bias=False)


def resnet(kernels, blocks, preact=False):
    """A builder of the ResNet with so many blocks in each of its four stages."""

    def make(image_size, classes):
        small = image_size <= SMALL
        layers = OrderedDict(
            conv1=plain_convolution(3, 64, 3) if small else plain_convolution(3, 64, 7, 2),
            bn1=nn.BatchNorm2d(64),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1),
        )
        channels = 64
        for stage, count in enumerate(blocks, start=1):
            planes = 32 * 2**stage
            members = []
            for index in range(count):
                stride = 2 if stage > 1 and index == 0 else 1
                if preact:
                    members.append(PreActResidual(channels, planes, kernels, stride, first=stage == 1 and index == 0))
                else:
                    members.append(Residual(channels, planes, kernels, stride))
                channels = residual_widths(channels, planes, kernels)[-1]
            layers[f"layer{stage}"] = nn.Sequential(*members)
        if preact:
            layers["bn_last"] = nn.BatchNorm2d(channels)
            layers["relu_last"] = nn.ReLU(inplace=True)
        layers["avgpool"] = nn.AdaptiveAvgPool2d((1, 1))
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(channels, classes)
        return nn.Sequential(layers)

    return make


# ---------------------------------------------------------------- LeNet-5
class LeNet5(nn.Module):
    def __init__(self, image_size, classes):
        super().__init__()
        padding = 2 if image_size < 32 else 0
        side = ((image_size + 2 * padding - 4) // 2 - 4) // 2
        self.conv1 = nn.Conv2d(1, 6, 5, padding=padding)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(self.activation(self.conv1(x)))
        x = self.pool(self.activation(self.conv2(x)))
        x = self.activation(self.fc1(x.flatten(1)))
        return self.fc3(self.activation(self.fc2(x)))


BUILDERS = {
    "alexnet": alexnet,
    "googlenet": googlenet,
    "vgg16": vgg((2, 2, 3, 3, 3)),
    "vgg19": vgg((2, 2, 4, 4, 4)),
    "resnet18": resnet((3, 3), (2, 2, 2, 2)),
    "resnet34": resnet((3, 3), (3, 4, 6, 3)),
    "resnet50": resnet((1, 3, 1), (3, 4, 6, 3)),
    "resnet101": resnet((1, 3, 1), (3, 4, 23, 3)),
    "resnet152": resnet((1, 3, 1), (3, 8, 36, 3)),
    "resnet200": resnet((1, 3, 1), (3, 24, 36, 3), preact=True),
    "lenet5": LeNet5,
    "mlp": lambda image_size, classes: networks.mlp(nn, image_size**2, classes),
}


def build(name, image_size, classes):
    """The twin of one of the networks of benchmarks/networks.py."""
    return BUILDERS[name](image_size, classes)
