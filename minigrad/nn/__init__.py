"""Networks: modules, layers, losses, initialisation, and the functions behind them.

Source: https://docs.pytorch.org/docs/stable/nn.html
"""

from minigrad.nn import init, utils
from minigrad.nn.container import *
from minigrad.nn.lazy import *
from minigrad.nn.linear import *
from minigrad.nn.module import Module
from minigrad.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
