"""All parameters as one vector, and back."""

from minigrad.registry import FUNCTIONS
from minigrad.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters):
    """Return the parameters' elements as one vector, differentiable. TypeError if they are on several devices.

    >>> import minigrad as mg
    >>> mg.nn.utils.parameters_to_vector([mg.ones(2), mg.zeros(1, 1)])
    tensor([1., 1., 0.])
    """
    parameters = list(parameters)
    _check_one_device(parameters)
    return FUNCTIONS["cat"]([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec, parameters):
    """Give the parameters the elements of a vector, in order. TypeError if vec is no tensor or devices differ.

    >>> import minigrad as mg
    >>> w = mg.nn.Parameter(mg.zeros(2))
    >>> mg.nn.utils.vector_to_parameters(mg.tensor([1.0, 2.0]), [w])
    >>> w.tolist()
    [1.0, 2.0]
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected minigrad.Tensor, but got: {type(vec).__name__}")
    parameters = list(parameters)
    _check_one_device(parameters)
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        if stop > vec.numel():
            raise RuntimeError(
                f"vector_to_parameters: the parameters have more elements than the vector's {vec.numel()}"
            )
        parameter.data = vec[start:stop].view_as(parameter).detach()
        start = stop


def _check_one_device(parameters):
    if len({str(parameter.device) for parameter in parameters}) > 1:
        raise TypeError("Found two parameters on different devices, this is currently not supported.")
