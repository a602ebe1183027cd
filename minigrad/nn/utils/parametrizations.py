"""Ready-made parametrisations.

Source: https://docs.pytorch.org/docs/stable/nn.html#utilities
"""

from minigrad.absent import explain
from minigrad.nn.utils.norms import parametrized_spectral_norm as spectral_norm
from minigrad.nn.utils.norms import parametrized_weight_norm as weight_norm

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]  # noqa: F822 - see __getattr__


def __getattr__(name):
    if name == "orthogonal":
        from minigrad.nn.utils.orthogonal import orthogonal

        return orthogonal
    raise AttributeError(explain(name, __name__))
