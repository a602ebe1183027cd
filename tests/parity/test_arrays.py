"""What tensors are to Python and to other libraries' functions: the same expressions with PyTorch's tensors."""

import copy
import io
import json
import math
import operator
import pickle
import random
import warnings

import numpy as np
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")

# Each line is evaluated with m the library, t = tensor([1., 2., 3.]), i = tensor([1, 2]) and a NumPy array a; once more
# with t requiring grad. Values, kinds, dtypes, requires_grad and the classes of errors are PyTorch's.
EXPRESSIONS = """
np.sin(t)
np.exp(t[0])
np.sqrt(t)
np.abs(t)
np.maximum(t, 2)
np.add.reduce(t)
np.divmod(t, 2)
t + np.float64(2)
np.float64(2) * t
np.float32(2) - t
np.int64(7) // t
np.float64(2) ** t
np.float64(2) > t
t + np.int64(2)
np.std(t)
np.median(t)
np.sort(t)
np.argsort(t)
np.cumsum(t)
np.reshape(t, (3, 1))
np.stack([t, t])
np.concatenate([t, t])
np.vstack([t, t])
np.where(t > 1, t, 0)
np.dot(t, a)
np.einsum("i,i->", t, t)
np.outer(t, t)
np.linalg.norm(t)
np.allclose(t, a)
np.array_equal(t, a)
np.unique(t)
np.zeros_like(t)
np.histogram(t, 2)
np.percentile(t, 50)
np.interp(2.5, t, t)
np.polyfit(t, t, 1).round(3).tolist()
np.asarray(t)
np.array(t)
np.array([t, t])
np.array([t[0], t[1]])
np.array(t, dtype="int64")
np.asarray(t, dtype="float64")
np.array(i, dtype="float64", copy=False)
np.shares_memory(np.asarray(t), np.asarray(t))
np.linspace(t[0], t[1], 3)
np.float32(t[0])
np.ones(i[1])
np.random.default_rng(0).choice(t, 1)
a[i]
a[m.tensor([True, False, True])]
a[i[0]:]
a.copy().__setitem__(slice(None), t)
m.zeros(3).__setitem__(slice(None), a)
t[np.array([0, 1])]
t[a > 4]
math.sqrt(t[1])
math.floor(t[1])
math.trunc(t[1])
math.isclose(t[0], 1)
math.fsum(t)
math.sqrt(t)
math.gcd(m.tensor(4), m.tensor(6))
round(t[1])
round(t, 2)
abs(-t)
divmod(t, 2)
divmod(7, t)
7 // t
2 ** t
pow(t, 2)
pow(t, 2, 3)
~i
~t
f"{t[1]:.3f}"
f"{i[0]:03d}"
f"{t[1]:d}"
f"{t:.3f}"
f"{t[1]:>10}"
"%.2f|%d" % (t[1], i[0])
"%.2f" % t
"{:.2f} {}".format(t[0], i[0])
int(t[1])
int(m.tensor(math.inf))
int(m.tensor(math.nan))
int(m.tensor(2 + 0j))
int(m.tensor(2 + 1j))
float(m.tensor(1j))
float(t)
complex(t[0])
bool(t[0])
bool(t)
bool(t[:0])
operator.index(i[0])
operator.index(i)
operator.index(t[0])
operator.index(m.tensor(True))
list(range(m.tensor(3)))
[1, 2, 3][i[0]]
[1, 2, 3][i[0]:]
"abc"[i[0]]
[0] * i[1]
hex(m.tensor(10))
bytes(m.tensor([1, 2], dtype=m.uint8))
memoryview(t)
list(t)
list(t[0])
len(t[0])
len(t)
hash(t) == hash(t)
len({t, t})
2.0 in t
9 in t
np.float32(1) in t
t[0] in t
m.tensor([1.0, 2.0]) in t
"a" in t
None in t
t in [t]
list(reversed(t))
reversed(t[0])
sorted(t)
sum([t, t])
sum(t)
max(t[0], t[1])
max(t, t)
list(zip(t, t))
(lambda *parts: parts)(*t)
random.Random(0).choice(t)
t == None
t != "a"
t == [1, 2, 3]
t < "a"
t + None
t * [1, 2, 3]
[1, 2, 3] + t
t.__delitem__(0)
t()
json.dumps(t.tolist())
json.dumps(t)
np.save(io.BytesIO(), t)
t.__array_priority__
hasattr(t, "__cuda_array_interface__")
m.as_tensor([t[0], t[1]])
m.tensor([t[0].detach(), 1])
m.tensor([i[0], 1.5])
m.tensor([1.5, m.ones((), dtype=m.float64)])
m.tensor([m.ones(1), m.ones(1)])
m.tensor([m.ones(2), m.ones(2)])
m.tensor([m.ones((), dtype=m.float16), 1])
m.tensor([m.ones((), dtype=m.uint8)])
m.tensor([m.ones((), dtype=m.bfloat16)])
m.tensor([m.ones((), dtype=m.bfloat16), 1])
m.tensor([np.float32(1), 1.0])
m.tensor([1.0, np.float64(1)])
m.tensor([np.float16(1), 1])
m.tensor([np.int32(1), 2.0])
m.tensor([np.ones(2, "float32"), [1.0, 2.0]])
pickle.loads(pickle.dumps(t))
pickle.loads(pickle.dumps(t * 2))
pickle.loads(pickle.dumps(m.nn.Parameter(a_tensor(m), requires_grad=False))).requires_grad
pickle.loads(pickle.dumps((t * 2).grad_fn))
pickle.loads(pickle.dumps(m.max(i, 0))).values
pickle.loads(pickle.dumps(m.channels_last)) is m.channels_last
pickle.loads(pickle.dumps(m.strided)) is m.strided
pickle.loads(pickle.dumps(m.int8)) is m.int8
pickle.loads(pickle.dumps(m.device("cpu"))) == m.device("cpu")
tuple(pickle.loads(pickle.dumps(m.Size([1, 2]))))
pickle.loads(pickle.dumps(m.arange(6).reshape(2, 3).t())).stride()
pickle.loads(pickle.dumps(m.ones(1, 2, 3, 3).to(memory_format=m.channels_last))).stride()
copy.deepcopy(m.ones(1, 2, 3, 3).to(memory_format=m.channels_last)).stride()
copy.deepcopy(m.ones(1).expand(3)).stride()
copy.deepcopy(m.arange(6)[2:]).storage_offset()
copy.deepcopy(t)
copy.deepcopy(t * 2)
copy.copy(t * 2)
copy.copy(t * 2).is_leaf
copy.copy(t).data_ptr() == t.data_ptr()
shared_copies(m)
copied_gradients(m)
copied_attributes(m)
""".strip().splitlines()


def a_tensor(m):
    return m.tensor([4.0, 5.0])


def shared_copies(m):
    """A tensor and a view of it are still one memory after a deepcopy of both."""
    tensor = m.arange(6.0)
    first, view, again = copy.deepcopy([tensor, tensor[2:], tensor])
    view[0] = 50
    return first, view, first is again, tensor


def copied_gradients(m):
    leaf, parameter = m.ones(2, requires_grad=True), m.nn.Parameter(m.ones(2))
    (leaf.sum() + parameter.sum()).backward()
    return [each.grad for each in (copy.deepcopy(leaf), copy.copy(leaf), copy.deepcopy(parameter))]


def copied_attributes(m):
    tensor = m.ones(2)
    tensor.note = 3
    return copy.deepcopy(tensor).note, copy.copy(tensor).note, pickle.loads(pickle.dumps(tensor)).note


MODULES = (copy, io, json, math, operator, pickle, random)
FUNCTIONS = (a_tensor, shared_copies, copied_gradients, copied_attributes)
NAMES = {"np": np, **{each.__name__: each for each in MODULES + FUNCTIONS}}


def described(value):
    """What is compared of a value."""
    if isinstance(value, (torch.Tensor, mg.Tensor)):
        dtype = str(value.dtype).rpartition(".")[2]
        return "tensor", dtype, tuple(value.shape), value.requires_grad, value.tolist()
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [described(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return type(value).__name__, str(value.dtype), value.shape, value.tolist()
    return type(value).__name__, str(value)


def outcome(module, expression, requires_grad):
    t = module.tensor([1.0, 2.0, 3.0], requires_grad=requires_grad)
    names = {**NAMES, "m": module, "t": t, "i": module.tensor([1, 2]), "a": np.array([4, 5, 6], "float32")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return described(eval(expression, names))
        except Exception as error:
            return type(error).__name__


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_are_pytorchs(expression):
    for requires_grad in (False, True):
        ours, theirs = outcome(mg, expression, requires_grad), outcome(torch, expression, requires_grad)
        assert repr(ours) == repr(theirs), f"requires_grad={requires_grad}"


class Legacy:
    """An array of a library that knows DLPack without versions."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


NAMES["Legacy"] = Legacy
DLPACK = """
m.from_dlpack(t)
m.from_dlpack(m.tensor([True, False]))
m.from_dlpack(np.array([1j]))
m.from_dlpack(m.tensor(1.5))
m.from_dlpack(m.zeros(0, 3))
m.from_dlpack(m.arange(6).reshape(2, 3).t()).stride()
m.from_dlpack(m.ones(1).expand(3)).stride()
m.from_dlpack(np.array([1], "uint16"))
m.from_dlpack(np.array(["a"]))
m.from_dlpack(np.array([1.0], ">f4"))
m.from_dlpack([1])
m.from_dlpack(None)
m.from_dlpack(t, device="cpu", copy=False)
m.from_dlpack(t, copy=True).data_ptr() == t.data_ptr()
m.from_dlpack(t, copy=None).data_ptr() == t.data_ptr()
m.from_dlpack(t, "cpu")
m.from_dlpack(t.__dlpack__())
m.from_dlpack(t.__dlpack__(max_version=(1, 0)))
m.utils.dlpack.from_dlpack(m.utils.dlpack.to_dlpack(t)).add_(1) + t
m.from_dlpack(Legacy(t)).add_(1) + t
m.as_tensor(Legacy(t)).add_(1) + t
m.tensor(Legacy(t)).add_(1) + t
[m.from_dlpack(capsule) for capsule in [t.__dlpack__()] * 2]
[("versioned" in repr(t.__dlpack__(max_version=version))) for version in ((0, 8), (1, 0), (2, 0))]
"versioned" in repr(t.__dlpack__())
type(t.__dlpack__(stream=None)).__name__
type(t.__dlpack__(stream=-1)).__name__
t.__dlpack__(stream=1)
t.__dlpack__(stream="a")
type(t.__dlpack__(dl_device=(1, 0))).__name__
t.__dlpack__(dl_device=(99, 0))
t.__dlpack__((1, 0))
type(t.__dlpack__(copy=False)).__name__
m.from_dlpack(t.__dlpack__(copy=True)).add_(1) + t
[int(part) for part in t.__dlpack_device__()]
np.from_dlpack(t)
np.from_dlpack(t).flags.writeable
int(m.utils.dlpack.DLDeviceType.kDLCUDA)
""".strip().splitlines()


@pytest.mark.parametrize("expression", DLPACK)
def test_dlpack_is_pytorchs(expression):
    import torch.utils.dlpack

    for requires_grad in (False, True):
        ours, theirs = outcome(mg, expression, requires_grad), outcome(torch, expression, requires_grad)
        assert repr(ours) == repr(theirs), f"requires_grad={requires_grad}"


# Where minigrad gives a result that PyTorch does not, as docs/differences.md says.
DIFFERENT = """
a * t
a @ t
t @ a
t * a
a - t
a // t
t ** a
a > t
np.mean(t)
np.sum(t)
np.max(t)
np.size(t)
np.multiply(a, t)
np.isnan(t)
np.array(t.detach(), copy=False)
m.from_dlpack(m.tensor([1j]).conj()).tolist()
m.zeros(2).__array_ufunc__
m.zeros(2).__array_function__
""".strip().splitlines()


@pytest.mark.parametrize("expression", DIFFERENT)
def test_what_only_minigrad_does(expression):
    results = [(outcome(mg, expression, grad), outcome(torch, expression, grad)) for grad in (False, True)]
    assert any(ours != theirs for ours, theirs in results) and not isinstance(results[0][0], str)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool"])
def test_memory_is_shared_with_pytorch(dtype):
    theirs = torch.zeros(4, dtype=getattr(torch, dtype))
    ours = mg.from_dlpack(theirs)
    ours[0] = 1
    theirs[1] = 1
    assert ours.tolist() == theirs.tolist() == [1, 1, 0, 0] and ours.dtype is getattr(mg, dtype)
    back = torch.from_dlpack(ours)
    back[2] = 1
    assert theirs.tolist() == [1, 1, 1, 0] and back.data_ptr() == theirs.data_ptr() == ours.data_ptr()


def test_memory_outlives_its_first_owner():
    ours = mg.from_dlpack(torch.arange(1000.0))
    theirs = torch.from_dlpack(mg.arange(1000.0))
    capsule = mg.from_dlpack(torch.utils.dlpack.to_dlpack(torch.arange(1000.0)))
    assert ours.sum().item() == theirs.sum().item() == capsule.sum().item() == 499500


def test_bfloat16_is_shared_too():
    theirs = torch.arange(4.0).bfloat16()
    ours = mg.from_dlpack(theirs)
    ours[0] = 5
    back = torch.from_dlpack(ours)
    back[1] = 7
    assert ours.dtype is mg.bfloat16 and back.dtype is torch.bfloat16
    assert ours.tolist() == theirs.tolist() == [5, 7, 2, 3]
    legacy = mg.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(theirs.reshape(2, 2).t()))
    assert legacy.tolist() == [[5, 2], [7, 3]] and legacy.dtype is mg.bfloat16


def test_unknown_types_say_what_to_do():
    with pytest.raises(RuntimeError, match="float32"):
        mg.from_dlpack(torch.ones(2).to(torch.float8_e5m2))
