"""Lazy modules: parameters whose shapes the first forward finds out."""

from minigrad.nn.parameter import is_lazy
from minigrad.nn.state import own_state

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin:
    """Mixin of modules whose parameters are made by the first call, from the shape of its input.

    A subclass gives ``initialize_parameters(input)`` and ``cls_to_become``, the class the module has afterwards.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html

    >>> import minigrad as mg
    >>> layer = mg.nn.LazyLinear(3)
    >>> layer(mg.ones(2, 5)).shape, type(layer).__name__
    (minigrad.Size([2, 3]), 'Linear')
    """

    cls_to_become = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        for name, tensor in own_state(self):
            destination[prefix + name] = tensor if is_lazy(tensor) or keep_vars else tensor.detach()

    def _lazy_load_hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        """Give uninitialised parameters the shapes of those about to be loaded."""
        for name, tensor in own_state(self):
            value = state_dict.get(prefix + name)
            if is_lazy(tensor) and value is not None and not is_lazy(value):
                tensor.materialize(value.shape)

    def initialize_parameters(self, *args, **kwargs):
        """Make the parameters from the input of the first call."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self):
        """Return whether a parameter or buffer has no shape yet."""
        return any(is_lazy(tensor) for tensor in (*self._parameters.values(), *self._buffers.values()))

    def _infer_parameters(self, module, args, kwargs):
        """Make the parameters, and turn the module into an ordinary one."""
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(
                f"module {self._get_name()} has not been fully initialized: initialize_parameters left a parameter "
                "without a shape"
            )
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook
        del module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become

    def _replicate_for_data_parallel(self):
        raise RuntimeError(
            "Modules with uninitialized parameters can't be used with `DataParallel`. Run a dummy forward pass first."
        )
