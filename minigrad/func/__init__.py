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

from minigrad.func.batching import vmap
from minigrad.func.derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from minigrad.func.modules import functional_call, stack_module_state

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip

_ABSENT = {
    "functionalize": "it rewrites in-place operations for compilers, and there is none here; call the function itself",
    "debug_unwrap": "tensors are not wrapped here; use the tensor itself",
    "rearrange": "use reshape, permute and einsum",
    "replace_all_batch_norm_modules_": "set track_running_stats=False on the batch norms, or use eval()",
}


def __getattr__(name):
    reason = f": {_ABSENT[name]}" if name in _ABSENT else ""
    raise AttributeError(f"module 'minigrad.func' has no attribute '{name}'{reason}")
