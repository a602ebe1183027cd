"""DistributedOptimizer: one optimizer at every worker that owns parameters.

Source: https://docs.pytorch.org/docs/stable/distributed.optim.html
"""

import threading

from minigrad.absent import getter
from minigrad.distributed import autograd

__all__ = ["DistributedOptimizer"]
_stepping = threading.Lock()


class _LocalOptimizer:
    """The optimizer of the parameters of one worker."""

    def __init__(self, optim_cls, local_params_rref, *args, **kwargs):
        self._parameters = [rref.local_value() for rref in local_params_rref]
        self._optimizer = optim_cls(self._parameters, *args, **kwargs)

    def step(self, context_id):
        """Make a step with the gradients of a context; the parameters' own stay."""
        gradients = autograd.get_gradients(context_id)
        with _stepping:
            before = [parameter.grad for parameter in self._parameters]
            try:
                for parameter in self._parameters:
                    parameter.grad = gradients.get(parameter)
                self._optimizer.step()
            finally:
                for parameter, gradient in zip(self._parameters, before, strict=True):
                    parameter.grad = gradient


class DistributedOptimizer:
    """An optimizer of the parameters that RRefs refer to, whatever workers own them.

    Arguments: optimizer_class (made at each owner, with its parameters), params_rref (list of RRefs), and what else the
    class takes. ValueError for no parameters, TypeError for what is no RRef.
    Source: https://docs.pytorch.org/docs/stable/distributed.optim.html#torch.distributed.optim.DistributedOptimizer
    """

    def __init__(self, optimizer_class, params_rref, *args, **kwargs):
        from minigrad.distributed import rpc

        params_rref = list(params_rref)
        wrong = next((type(rref).__name__ for rref in params_rref if not isinstance(rref, rpc.RRef)), None)
        if wrong:
            raise TypeError(f"DistributedOptimizer: params_rref must be a list of RRefs, but it has a {wrong}")
        by_owner = {}
        for rref in params_rref:
            by_owner.setdefault(rref.owner(), []).append(rref)
        self.is_functional_optim = False
        futures = [
            rpc.rpc_async(owner, _make, (optimizer_class, rrefs, *args), kwargs) for owner, rrefs in by_owner.items()
        ]
        self.remote_optimizers = [future.wait() for future in futures]

    def step(self, context_id):
        """Make one step everywhere, with the gradients of a context of distributed autograd.

        Nothing is shared but the moment: two steps at once may mix at a worker's parameters. Raises what a worker
        raises.
        """
        from minigrad.distributed import rpc

        autograd._find(context_id)
        futures = [rpc.rpc_async(optimizer.owner(), _step, (optimizer, context_id)) for optimizer in
                   self.remote_optimizers]  # fmt: skip
        for future in futures:
            future.wait()


def _make(optimizer_class, rrefs, *args, **kwargs):
    """Return an RRef to the optimizer of this worker's parameters."""
    from minigrad.distributed import rpc

    return rpc.RRef(_LocalOptimizer(optimizer_class, rrefs, *args, **kwargs))


def _step(optimizer, context_id):
    optimizer.local_value().step(context_id)


__getattr__ = getter(__name__)
