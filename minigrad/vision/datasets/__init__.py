"""Datasets of images with torchvision's names (https://docs.pytorch.org/vision/stable/datasets.html)."""

from minigrad.vision.datasets import cifar, folder, mnist, vision
from minigrad.vision.datasets.arrays import SEMEION, STL10, SVHN, USPS, MovingMNIST
from minigrad.vision.datasets.cifar import CIFAR10, CIFAR100
from minigrad.vision.datasets.coco import CocoCaptions, CocoDetection
from minigrad.vision.datasets.digits import Digits
from minigrad.vision.datasets.fakedata import FakeData
from minigrad.vision.datasets.folder import DatasetFolder, ImageFolder
from minigrad.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from minigrad.vision.datasets.photographs import (
    DTD,
    Caltech101,
    Caltech256,
    EuroSAT,
    Flowers102,
    Food101,
    ImageNet,
    Imagenette,
    Omniglot,
    OxfordIIITPet,
    VOCDetection,
    VOCSegmentation,
)
from minigrad.vision.datasets.vision import StandardTransform, VisionDataset

__all__ = [
    "EMNIST",
    "QMNIST",
    "STL10",
    "SVHN",
    "USPS",
    "SEMEION",
    "MovingMNIST",
    "DTD",
    "Caltech101",
    "Caltech256",
    "EuroSAT",
    "Flowers102",
    "Food101",
    "ImageNet",
    "Imagenette",
    "Omniglot",
    "OxfordIIITPet",
    "VOCDetection",
    "VOCSegmentation",
    "CIFAR10",
    "CIFAR100",
    "KMNIST",
    "MNIST",
    "CocoCaptions",
    "CocoDetection",
    "DatasetFolder",
    "Digits",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "StandardTransform",
    "VisionDataset",
]
