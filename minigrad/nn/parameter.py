"""Parameter, Buffer, and the parameters that do not know their shape yet."""

from minigrad.absent import getter
from minigrad.backend import as_dtype, default_float, get_default_device, move, np
from minigrad.tensor import Tensor, as_device
from minigrad.variable import Parameter, Variable, check_can_require_grad

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


class _BufferMeta(type(Variable)):
    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Variable, metaclass=_BufferMeta):
    """A tensor that a Module registers as a buffer when it is assigned as an attribute.

    Arguments: data (Tensor; shares memory), persistent (part of the state_dict).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Buffer.html

    >>> import minigrad as mg
    >>> layer = mg.nn.Module()
    >>> layer.mean = mg.nn.Buffer(mg.zeros(2))
    >>> list(layer.state_dict())
    ['mean']
    """

    __slots__ = ()

    def __new__(cls, data=None, *, persistent=True):
        buffer = Variable(data)
        buffer._is_buffer = True
        buffer.persistent = persistent
        return buffer


def is_lazy(param):
    """Return whether a parameter or buffer does not know its shape yet.

    Argument: param (Tensor).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.UninitializedParameter.html

    >>> import minigrad as mg
    >>> mg.nn.parameter.is_lazy(mg.nn.LazyLinear(2).weight), mg.nn.parameter.is_lazy(mg.nn.Linear(3, 2).weight)
    (True, False)
    """
    return getattr(param, "is_uninitialized", False)


class _Uninitialized:
    """What UninitializedParameter and UninitializedBuffer share: a dtype, a device, and no shape."""

    __slots__ = ()
    is_uninitialized = True
    _ALLOWED = "materialize(), dtype, device, requires_grad"

    def materialize(self, shape, device=None, dtype=None):
        """Become an ordinary parameter or buffer of the shape, with uninitialised values; the same object."""
        dtype = self.array.dtype if dtype is None else as_dtype(dtype).numpy
        target = self.device if device is None else as_device(device)
        self.array = move(np.empty(tuple(shape), dtype), target)
        self.__class__ = self._becomes

    @property
    def shape(self):
        """RuntimeError: there is no shape yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` "
            "to "
            "initialize the parameters before accessing their attributes."
        )

    def _refuse(self, *args, **kwargs):
        raise ValueError(
            "Attempted to use an uninitialized parameter. This error happens when you are using a `LazyModule` or "
            "explicitly manipulating an uninitialized parameter. Call `forward` once with sample data to initialize it."
        )

    size = numel = dim = item = tolist = numpy = __len__ = __getitem__ = _refuse

    def detach(self):
        """Return the uninitialised parameter itself: it has no values to take out of a graph."""
        return self

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = _rebuild(type(self), self._requires_grad, self.array.dtype.name, str(self.device))
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return _rebuild, (type(self), self._requires_grad, self.array.dtype.name, str(self.device))


def _make(cls, requires_grad, device, dtype):
    """Return an uninitialised parameter or buffer."""
    target = get_default_device() if device is None else as_device(device)
    tensor = object.__new__(cls)
    tensor.array = move(np.empty(0, default_float() if dtype is None else as_dtype(dtype).numpy), target)
    if requires_grad:
        check_can_require_grad(tensor.array)
    tensor.node = None
    tensor._grad = None
    tensor._requires_grad = requires_grad
    return tensor


def _rebuild(cls, requires_grad, dtype, device):
    return _make(cls, requires_grad, device, dtype)


class UninitializedParameter(_Uninitialized, Parameter):
    """A Parameter whose shape the first forward of a lazy module finds out.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.UninitializedParameter.html

    >>> import minigrad as mg
    >>> weight = mg.nn.UninitializedParameter()
    >>> weight.materialize((2, 3))
    >>> type(weight).__name__, tuple(weight.shape)
    ('Parameter', (2, 3))
    """

    __slots__ = ()
    _becomes = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        return _make(cls, requires_grad, device, dtype)


class UninitializedBuffer(_Uninitialized, Variable):
    """A buffer whose shape the first forward of a lazy module finds out.

    Arguments: device, dtype.
    Source: https://docs.pytorch.org/docs/stable/nn.html

    >>> import minigrad as mg
    >>> isinstance(mg.nn.LazyBatchNorm1d().running_mean, mg.nn.UninitializedBuffer)
    True
    """

    __slots__ = ()
    _becomes = Variable

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        buffer = _make(cls, requires_grad, device, dtype)
        buffer.persistent = persistent
        return buffer


__getattr__ = getter(__name__)
