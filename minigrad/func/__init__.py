"""Functions of functions: derivatives, batches and modules called with other parameters, which all nest.

Source: https://docs.pytorch.org/docs/stable/func.html

>>> import minigrad as mg
>>> weight, inputs = mg.tensor([1.0, 2.0]), mg.ones(3, 2)
>>> per_sample = mg.func.vmap(mg.func.grad(lambda w, x: (w * x).sum() ** 2), in_dims=(None, 0))
>>> per_sample(weight, inputs)
tensor([[6., 6.],
        [6., 6.],
        [6., 6.]])
"""

from minigrad.absent import getter
from minigrad.func.batching import vmap
from minigrad.func.derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from minigrad.func.modules import (
    functional_call,
    functionalize,
    replace_all_batch_norm_modules_,
    stack_module_state,
)

__all__ = [
    "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip

__getattr__ = getter(__name__)
