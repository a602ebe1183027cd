"""Datasets of images with torchvision's names (https://docs.pytorch.org/vision/stable/datasets.html)."""

from minigrad.vision.datasets import cifar, folder, mnist, vision
from minigrad.vision.datasets.arrays import STL10, SVHN
from minigrad.vision.datasets.cifar import CIFAR10, CIFAR100
from minigrad.vision.datasets.coco import CocoCaptions, CocoDetection
from minigrad.vision.datasets.digits import Digits
from minigrad.vision.datasets.fakedata import FakeData
from minigrad.vision.datasets.folder import DatasetFolder, ImageFolder
from minigrad.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from minigrad.vision.datasets.photographs import (
    Caltech101,
    Flowers102,
    ImageNet,
    Omniglot,
    VOCDetection,
    VOCSegmentation,
)
from minigrad.vision.datasets.vision import StandardTransform, VisionDataset
from minigrad.vision.datasets.wrapped import wrap_dataset_for_transforms_v2

__all__ = [
    "EMNIST",
    "QMNIST",
    "STL10",
    "SVHN",
    "Caltech101",
    "Flowers102",
    "ImageNet",
    "Omniglot",
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
    "wrap_dataset_for_transforms_v2",
]
