"""Convert values between PyTorch and minigrad, keeping strides, dtypes, identity and requires_grad.

The target is a parameter (`module`): PyTorch itself can stand in for minigrad, which is how the harness is tested.
"""

import importlib
import inspect
import types
import warnings

import numpy as np
import torch

from minigrad.backend import has_bfloat16

DTYPE_NAMES = (
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "uint16",
    "uint32",
    "uint64",
    "complex32",
    "complex64",
    "complex128",
)
TORCH_NAMESPACES = ("torch", "F", "nn")


class Unsupported(Exception):
    """The value has no counterpart to convert to (a dtype, layout or attribute that the target module lacks)."""


def dtype_name(dtype):
    """Return 'float32' for torch.float32, minigrad.float32 and numpy.float32 alike."""
    text = str(dtype) if not isinstance(dtype, type) else dtype.__name__
    return text.rpartition(".")[2].strip("'>")


def strided_copy(tensor):
    """Copy a torch tensor's storage and lay a NumPy array over it with the same strides and offset."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype is torch.bfloat16:
        import ml_dtypes

        return strided_copy(tensor.view(torch.int16)).view(ml_dtypes.bfloat16)
    if tensor.numel() == 0:
        return np.zeros(tuple(tensor.shape), dtype=tensor.numpy().dtype)
    itemsize = tensor.element_size()
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
    # Only the bytes the tensor spans are copied: a small view of a huge storage stays small.
    flat = tensor.as_strided((span,), (1,), tensor.storage_offset()).numpy().copy()
    strides = tuple(stride * itemsize for stride in tensor.stride())
    return np.lib.stride_tricks.as_strided(flat, tuple(tensor.shape), strides)


class Converter:
    """Turns torch values into values of `module`; the same tensor object converts to the same object."""

    def __init__(self, module, requires_grad=True):
        self.module = module
        self.requires_grad = requires_grad
        self.memo = {}
        self.leaves = []

    def attribute(self, name):
        try:
            return getattr(self.module, name)
        except AttributeError:
            raise Unsupported(f"{self.module.__name__} has no {name}") from None

    def tensor(self, value):
        key = id(value)
        if key in self.memo:
            return self.memo[key][1]
        if value.device.type != "cpu" or value.ndim > 64:
            raise Unsupported(f"device {value.device}, {value.ndim} dimensions")
        if value.layout is not torch.strided or value.is_quantized:
            raise Unsupported(f"layout {value.layout}")
        if value.dtype is torch.complex32:
            raise Unsupported(f"dtype {value.dtype}")
        array = strided_copy(value)
        if self.module is torch:
            bits = array.view(np.int16) if value.dtype is torch.bfloat16 else array
            result = torch.from_numpy(bits)
            result = (torch.empty(0, dtype=result.dtype).set_(result) if array.size else result).view(value.dtype)
        else:
            result = from_array(self.module, array)
        if isinstance(value, torch.nn.Parameter) and self.requires_grad:
            result = self.module.nn.Parameter(result, requires_grad=value.requires_grad)
        elif value.requires_grad and self.requires_grad:
            result = result.requires_grad_(True)
        self.memo[key] = (value, result)  # the original is kept alive so that its id stays its own
        if value.requires_grad:
            self.leaves.append(result)
        return result

    def __call__(self, value):
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, torch.Size):
            return self.attribute("Size")(value)
        if isinstance(value, torch.dtype):
            if self.module is torch:
                return value
            if value is torch.complex32 or (value is torch.bfloat16 and not has_bfloat16()):
                raise Unsupported(f"dtype {value}")
            return self.attribute(dtype_name(value))
        if isinstance(value, torch.device):
            return self.attribute("device")(str(value))
        if isinstance(value, (torch.memory_format, torch.layout)):
            return self.attribute(dtype_name(value))
        if isinstance(value, torch.Generator):
            return self.attribute("Generator")().manual_seed(value.initial_seed())
        if isinstance(value, slice):
            return slice(self(value.start), self(value.stop), self(value.step))
        if isinstance(value, tuple) and type(value) is not tuple:  # named tuples of either kind
            items = [self(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        if isinstance(value, (list, tuple)):
            return type(value)(self(item) for item in value)
        if isinstance(value, dict):
            return type(value)((key, self(item)) for key, item in value.items())
        if isinstance(value, torch.nn.Module):
            return self.layer(value)
        if isinstance(value, type) and value.__module__.startswith("torch."):
            return resolve(self.module, value.__name__, inside=("", "nn"))
        if isinstance(value, types.FunctionType):
            return translate(value, self.module)
        if isinstance(value, types.BuiltinFunctionType) and callable(getattr(torch, value.__name__, None)):
            return resolve(self.module, value.__name__)
        return value

    def layer(self, value):
        """Rebuild a layer from its constructor's arguments, which layers keep as attributes, and give it the state."""
        if self.module is torch:
            return value
        if isinstance(value, torch.nn.TransformerEncoderLayer):
            arguments = {
                "d_model": value.linear1.in_features,
                "nhead": value.self_attn.num_heads,
                "dim_feedforward": value.linear1.out_features,
                "dropout": value.dropout.p,
                "activation": resolve(self.module.nn.functional, value.activation.__name__),
                "layer_norm_eps": value.norm1.eps,
                "batch_first": value.self_attn.batch_first,
                "norm_first": value.norm_first,
                "bias": value.linear1.bias is not None,
            }
        else:
            names = list(inspect.signature(type(value).__init__).parameters)[1:]
            arguments = {name: self(getattr(value, name)) for name in names if hasattr(value, name)}
            if "bias" in arguments:
                arguments["bias"] = value.bias is not None
        result = resolve(self.module.nn, type(value).__name__)(**arguments)
        if value.state_dict():
            result.load_state_dict(Converter(self.module, requires_grad=False)(dict(value.state_dict())))
        return result


def from_array(module, array):
    """Make an untracked tensor of the module that shares the NumPy array's memory."""
    if hasattr(module, "from_numpy"):
        return module.from_numpy(array)
    return importlib.import_module(module.__name__ + ".tensor").wrap(array)


def resolve(module, name, inside=("",)):
    """Look `name` ('nn.functional.relu') up in the module; Unsupported if it is not there."""
    for prefix in inside:
        found = module
        for part in (f"{prefix}.{name}" if prefix else name).split("."):
            found = None if inherited_from_type(found, part) else getattr(found, part, None)
            if found is None:
                break
        if found is not None:
            return found
    raise Unsupported(f"{module.__name__} has no {name}")


def inherited_from_type(owner, name):
    """`Tensor.__ror__` of a class that defines none is that of `Tensor | None`."""
    return isinstance(owner, type) and not any(name in vars(base) for base in owner.__mro__)


def unseeded(function, *args, **kwargs):
    """Stands in for the databases' wrapper_set_seed: random draws are compared as distributions."""
    return function(*args, **kwargs)


def translate(function, module, depth=0):
    """Rebuild a Python wrapper of PyTorch's test databases so that `torch` means `module` inside it."""
    if not isinstance(function, types.FunctionType) or depth > 4:
        return function
    if not function.__module__.startswith("torch.testing"):
        return function
    names = set(all_names(function.__code__))
    scope = {}
    for name, value in function.__globals__.items():
        if name not in names and name != "__builtins__":
            continue
        if name == "wrapper_set_seed":
            value = unseeded
        elif name == "torch":
            value = module
        elif name == "F":
            value = module.nn.functional
        elif name == "nn":
            value = module.nn
        elif isinstance(value, types.FunctionType) and value is not function:
            value = translate(value, module, depth + 1)
        scope[name] = value
    scope.setdefault("__builtins__", __builtins__)
    scope["__name__"] = function.__module__
    closure = None
    if function.__closure__:
        closure = tuple(
            types.CellType(translate_cell(cell.cell_contents, module, depth)) for cell in function.__closure__
        )
    rebuilt = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, closure)
    rebuilt.__kwdefaults__ = function.__kwdefaults__
    return rebuilt


def translate_cell(value, module, depth):
    if isinstance(value, types.FunctionType):
        return translate(value, module, depth + 1)
    if isinstance(value, torch.Tensor) or (callable(value) and getattr(value, "__module__", "") in ("torch",)):
        return Converter(module, requires_grad=False)(value)
    return value


def all_names(code):
    """Names a function's code and its inner functions look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from all_names(constant)


def to_numpy(tensor):
    """Return a tensor of either framework as a NumPy array; of bfloat16 as float32."""
    if str(tensor.dtype).endswith("bfloat16"):
        tensor = tensor.detach().float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(tensor, torch.Tensor):
            return tensor.numpy(force=True)
        return np.asarray(tensor.array)


def is_tensor(value, module):
    return isinstance(value, module.Tensor)


def flatten(value, module):
    """Return every tensor inside nested tuples, lists and dicts, in order."""
    if is_tensor(value, module):
        return [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in flatten(item, module)]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in flatten(item, module)]
    return []
