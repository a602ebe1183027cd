"""Utilities of networks: clipping gradients, parameters as a vector, penalties, reparametrisation, fusion.

Source: https://docs.pytorch.org/docs/stable/nn.html#utilities
"""

import importlib as _importlib

from minigrad.absent import explain
from minigrad.nn.utils import fusion, parametrizations, parametrize, rnn
from minigrad.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from minigrad.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from minigrad.nn.utils.fusion import (
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
    fuse_linear_bn_weights,
)
from minigrad.nn.utils.memory import (
    convert_conv2d_weight_memory_format,
    convert_conv3d_weight_memory_format,
    skip_init,
)
from minigrad.nn.utils.norms import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
from minigrad.nn.utils.penalties import l1_penalty, l2_penalty, select_parameters


def __getattr__(name):
    """Import pruning and stateless when they are first asked for."""
    if name in ("prune", "stateless"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(explain(name, __name__))
