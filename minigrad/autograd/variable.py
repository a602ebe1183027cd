"""torch.autograd.variable: the old home of Variable."""

from minigrad.variable import Variable

__all__ = ["Variable"]
