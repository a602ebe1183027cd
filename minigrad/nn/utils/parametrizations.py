"""Ready-made parametrisations.

Source: https://docs.pytorch.org/docs/stable/nn.html#utilities
"""

from minigrad.nn.utils.norms import parametrized_spectral_norm as spectral_norm
from minigrad.nn.utils.norms import parametrized_weight_norm as weight_norm

__all__ = ["spectral_norm", "weight_norm"]
