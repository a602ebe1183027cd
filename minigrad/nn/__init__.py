"""Networks: modules, layers, losses, initialisation, and the functions behind them.

Source: https://docs.pytorch.org/docs/stable/nn.html
"""

import importlib as _importlib

from minigrad.absent import explain as _explain_absent
from minigrad.nn import functional, init, intrinsic, modules, parameter, utils
from minigrad.nn.activation import *
from minigrad.nn.adaptive import *
from minigrad.nn.container import *
from minigrad.nn.conv import *
from minigrad.nn.distance import *
from minigrad.nn.dropout import *
from minigrad.nn.factory import *
from minigrad.nn.flatten import *
from minigrad.nn.fold import *
from minigrad.nn.linear import *
from minigrad.nn.loss import *
from minigrad.nn.module import Module
from minigrad.nn.normalization import *
from minigrad.nn.padding import *
from minigrad.nn.parallel import *
from minigrad.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from minigrad.nn.pooling import *
from minigrad.nn.rnn import *
from minigrad.nn.sparse import *
from minigrad.nn.transformer import *
from minigrad.nn.upsampling import *


def __getattr__(name):
    if name in ("attention", "grad", "quantized"):
        return _importlib.import_module(f"minigrad.nn.{name}")
    raise AttributeError(_explain_absent(name, __name__))
