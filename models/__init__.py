"""The networks, and the command that trains them: python -m models --help.

>>> import models
>>> "lenet5" in models.list()
True
>>> models.build("lenet5", num_classes=26).fc3.out_features
26
"""
from models import lenet  # one line per family: importing it registers its networks
from models.registry import build, register
from models.registry import names as list

__all__ = ["build", "list", "register"]
