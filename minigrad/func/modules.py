"""Modules as functions of their parameters and buffers."""

import functools

from minigrad.nn.normalization import _BatchNorm
from minigrad.nn.utils import stateless
from minigrad.ops.join import stack


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Return module(*args, **kwargs) with other parameters and buffers: nn.utils.stateless.functional_call.

    ``parameter_and_buffer_dicts`` is one dict {name: Tensor} or a tuple or list of several, which may not share names
    (ValueError).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html

    >>> import minigrad as mg
    >>> linear = mg.nn.Linear(2, 1)
    >>> mg.func.functional_call(linear, ({"weight": mg.ones(1, 2)}, {"bias": mg.zeros(1)}), mg.ones(2))
    tensor([2.])
    """
    values = parameter_and_buffer_dicts
    if not isinstance(values, dict):
        if not isinstance(values, (tuple, list)):
            raise ValueError(
                f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(values)}"
            )
        if not all(isinstance(part, dict) for part in values):
            raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
        names = [name for part in values for name in part]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        values = {name: value for part in values for name, value in part.items()}
    return stateless.functional_call(module, values, args, kwargs, tie_weights=tie_weights, strict=strict)


def stack_module_state(models):
    """Return (parameters, buffers) of models of one class, as {name: the models' tensors stacked along 0}.

    The parameters are leaves that require grad where the models' do. RuntimeError for no models, for models of
    different classes or modes, or for parameters of which only some require grad.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.stack_module_state.html

    >>> import minigrad as mg
    >>> parameters, buffers = mg.func.stack_module_state([mg.nn.Linear(2, 1) for _ in range(3)])
    >>> parameters["weight"].shape
    minigrad.Size([3, 1, 2])
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({model.training for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(model.named_parameters()) for model in models]
    buffers = [dict(model.named_buffers()) for model in models]
    return (
        {name: _stacked([each[name] for each in parameters]) for name in parameters[0]},
        {name: _stacked([each[name] for each in buffers]) for name in buffers[0]},
    )


def _stacked(tensors):
    """Return the tensors stacked, as a leaf that requires grad if they do."""
    wants = {tensor.requires_grad for tensor in tensors}
    if len(wants) > 1:
        raise RuntimeError("Expected entries to either all require grad or all not require grad")
    return stack([tensor.detach() for tensor in tensors]).requires_grad_(wants.pop())


def functionalize(func, *, remove="mutations"):
    """Return the function: its in-place operations, which PyTorch rewrites for compilers, give the same results.

    RuntimeError unless remove is "mutations" or "mutations_and_views".
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.functionalize.html

    >>> import minigrad as mg
    >>> mg.func.functionalize(lambda x: x.clone().add_(1))(mg.ones(2))
    tensor([2., 2.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove=. Valid options are:\n"
            "     remove='mutations': all inplace and out= operators will be removed from the program\n"
            "     remove='mutations_and_views': as well as views"
        )

    @functools.wraps(func)
    def functional(*args, **kwargs):
        return func(*args, **kwargs)

    return functional


def replace_all_batch_norm_modules_(root):
    """Let every batch norm of a module use the statistics of its batch only, in place; returns the module.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.replace_all_batch_norm_modules_.html

    >>> import minigrad as mg
    >>> mg.func.replace_all_batch_norm_modules_(mg.nn.Sequential(mg.nn.BatchNorm1d(2)))[0].running_mean is None
    True
    """
    for module in root.modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
