"""Other libraries' arrays and tensors: shared memory, NumPy's functions, copies, pickles, and what notebooks show."""

import copy
import html.parser
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests import fake_cupy


@pytest.fixture
def gpu():
    with fake_cupy.installed() as cupy:
        yield cupy


# ---------------------------------------------------------------------- DLPack
def test_jax_shares_memory():
    jax = pytest.importorskip("jax")
    theirs = jax.numpy.arange(6.0).reshape(2, 3)
    ours = mg.from_dlpack(theirs)
    assert ours.tolist() == [[0, 1, 2], [3, 4, 5]] and ours.data_ptr() == theirs.unsafe_buffer_pointer()
    tensor = mg.arange(64.0).reshape(8, 8)
    back = jax.dlpack.from_dlpack(tensor)
    assert (np.asarray(back) == tensor.numpy()).all()
    assert mg.tensor(theirs).sum() == mg.as_tensor(theirs).sum() == 15


def test_read_only_memory_is_not_written():
    array = np.zeros(3)
    array.setflags(write=False)
    tensor = mg.from_dlpack(array)
    with pytest.raises(RuntimeError, match="read-only"):
        tensor.add_(1)
    assert mg.from_dlpack(array, copy=True).add_(1).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="negative strides"):
        mg.from_dlpack(np.arange(3)[::-1])


def test_gpu_memory_is_shared_with_cupy(gpu):
    tensor = mg.arange(4.0).cuda()
    theirs = gpu.from_dlpack(tensor)
    theirs[0] = 7
    ours = mg.from_dlpack(theirs)
    assert ours.is_cuda and ours.tolist() == tensor.tolist() == [7, 1, 2, 3]
    assert mg.from_dlpack(tensor.__dlpack__()).data_ptr() == tensor.data_ptr()
    assert not mg.from_dlpack(tensor, device="cpu").is_cuda
    with pytest.raises(ValueError, match="copy=False"):
        mg.from_dlpack(tensor, device="cpu", copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        tensor.__dlpack__(dl_device=(1, 0), copy=False)
    assert mg.from_dlpack(tensor.__dlpack__(dl_device=(1, 0))).tolist() == [7, 1, 2, 3]


def test_the_interface_of_cuda_is_there_on_a_gpu_only(gpu):
    assert mg.ones(2, 3).cuda().__cuda_array_interface__["shape"] == (2, 3)
    with pytest.raises(RuntimeError, match="requires grad"):
        _ = mg.ones(2, requires_grad=True).cuda().__cuda_array_interface__
    with pytest.raises(AttributeError, match="non-CUDA"):
        _ = mg.ones(2).__cuda_array_interface__


# ---------------------------------------------------------------------- NumPy's functions
@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "//", "%", "**", "@", "<", "<=", ">", ">=", "==", "!="])
def test_operators_with_an_array_on_either_side(symbol):
    array = np.array([4.0, 5.0, 7.0])
    tensor = mg.tensor([1.0, 2.0, 3.0])
    for expression in (f"array {symbol} other", f"other {symbol} array"):
        expected = eval(expression, {"array": array, "other": tensor.numpy()})
        result = eval(expression, {"array": array, "other": tensor})
        assert isinstance(result, mg.Tensor)
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)
    if symbol in "+-*/@**":
        gradients = []
        for constant in (array, mg.from_numpy(array).float()):
            leaf = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
            names = {"leaf": leaf, "constant": constant}
            (eval(f"constant {symbol} leaf", names) + eval(f"leaf {symbol} constant", names)).sum().backward()
            gradients.append(leaf.grad)
        assert mg.allclose(*gradients)


def test_an_array_is_written_in_place_by_a_tensor():
    array = kept = np.zeros(3)
    array += mg.ones(3)
    np.add(array, 1, out=array)
    assert array is kept and array.tolist() == [2, 2, 2]
    np.add.at(array, np.array([0, 0]), mg.ones(2))
    assert array.tolist() == [4, 2, 2]
    with pytest.raises(RuntimeError, match="requires grad"):
        array += mg.ones(3, requires_grad=True)


def test_a_ufunc_writes_into_a_tensor_and_its_graph_notices():
    tensor = mg.zeros(3)
    assert np.add(np.ones(3), 1, out=tensor) is tensor and tensor.tolist() == [2, 2, 2]
    leaf = mg.ones(3, requires_grad=True)
    product = (leaf * tensor).sum()
    np.exp(tensor, out=tensor)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()
    np.add.at(tensor, np.array([0]), 1)
    with pytest.raises(RuntimeError, match="requires grad"):
        np.exp(leaf, out=np.zeros(3))


def test_numpys_functions_of_tensors():
    tensor = mg.tensor([[1.0, 5.0], [3.0, 2.0]])
    assert np.max(tensor) == 5 and np.max(tensor, axis=0).tolist() == [3, 5]
    assert np.amin(a=tensor, axis=1).tolist() == [1, 2] and np.max([mg.tensor(1), mg.tensor(3)]) == 3
    assert np.max(tensor, axis=1, keepdims=True).shape == (2, 1) and np.size(tensor) == 4 and np.size(tensor, 1) == 2
    assert np.mean(tensor, axis=0).tolist() == [2, 3.5]
    assert isinstance(np.concatenate([tensor, tensor]), np.ndarray)
    assert np.max(tensor, axis=0, out=np.zeros(2)).tolist() == [3, 5]


def test_operators_of_gpu_tensors_are_left_to_them(gpu):
    tensor = mg.ones(3, device="cuda", requires_grad=True)
    assert not hasattr(tensor, "__array_ufunc__")
    with pytest.raises(TypeError, match="can't convert cuda"):
        np.sin(tensor.detach())
    array = gpu.ones(3)
    product = tensor * array
    assert isinstance(product, mg.Tensor) and product.requires_grad


# ---------------------------------------------------------------------- copies and pickles
def test_copies_of_memory_with_gaps_and_of_other_types():
    base = np.arange(12.0).reshape(3, 4)
    holes = mg.from_numpy(np.lib.stride_tricks.as_strided(base, (3, 2), (32, 16)))
    assert copy.deepcopy(holes).tolist() == holes.tolist()
    bits = mg.arange(4.0)
    number, view = copy.deepcopy([bits, bits.view(mg.int32)])
    number[1] = 0
    assert view[1] == 0 and bits[1] == 1
    first, whole = copy.deepcopy([bits[1:], bits])
    first[0] = 9
    assert whole[1] == 9 and bits[1] == 1


def test_copies_on_a_gpu_share_memory_too(gpu):
    tensor = mg.arange(6.0).cuda()
    first, view = copy.deepcopy([tensor, tensor[2:]])
    view[0] = 50
    assert first.tolist() == [0, 1, 50, 3, 4, 5] and tensor[2] == 2 and first.is_cuda


def test_modules_keep_ties_hooks_and_parametrisations():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    net[0].register_forward_hook(_hook)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin[0].weight is twin[1].weight is not net[0].weight and len(twin[0]._forward_hooks) == 1
        assert mg.equal(twin(mg.ones(1, 3)), net(mg.ones(1, 3)))
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    twin = copy.deepcopy(normed)
    with mg.no_grad():
        twin.parametrizations.weight.original0.mul_(2)
    assert mg.allclose(twin.weight, 2 * normed.weight)


def _hook(module, inputs, output):
    return output + 1


def test_an_optimizer_and_its_module_stay_together():
    layer = nn.Linear(2, 1)
    optimizer = mg.optim.Adam(layer.parameters())
    layer(mg.ones(1, 2)).sum().backward()
    optimizer.step()
    for copied, twin in (copy.deepcopy((layer, optimizer)), pickle.loads(pickle.dumps((layer, optimizer)))):
        assert twin.param_groups[0]["params"][0] is copied.weight
        copied(mg.ones(1, 2)).sum().backward()
        twin.step()
        assert not mg.equal(copied.weight, layer.weight)


# ---------------------------------------------------------------------- notebooks
class Text(html.parser.HTMLParser):
    """The text of HTML; all tags are closed in the right order."""

    def __init__(self, source):
        super().__init__()
        self.open, self.parts = [], []
        self.feed(source)
        self.close()
        assert not self.open
        self.text = " ".join("".join(self.parts).split())

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.parts.append(data)


def test_a_tensor_in_a_notebook():
    text = Text(mg.ones(2, 3, requires_grad=True)._repr_html_()).text
    assert text.startswith("Tensor · 2 × 3 · float32 · cpu · requires grad") and "[1., 1., 1.]" in text
    assert Text(mg.tensor(3)._repr_html_()).text == "Tensor · 0-d · int64 · cputensor(3)"
    assert "Parameter" in Text(nn.Linear(1, 1).weight._repr_html_()).text
    assert len(mg.zeros(1000, 1000)._repr_html_()) < 1500


class Odd(nn.Module):
    """A layer whose settings look like HTML."""

    def extra_repr(self):
        return "<script>&"


def test_a_module_in_a_notebook():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.ReLU(), Odd()), nn.LazyLinear(2))
    text = Text(net._repr_html_()).text
    assert "0: Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1)) 224 parameters" in text and "Odd(<script>&)" in text
    assert "parameters unknown before the first forward" in text and "<script>" not in net._repr_html_()
    frozen = nn.Linear(2, 3).requires_grad_(False)
    assert Text(frozen._repr_html_()).text.endswith("9 parameters, 9 frozen")
    many = nn.ModuleList([nn.Linear(1, 1) for _ in range(700)])
    assert "… and 200 more" in Text(many._repr_html_()).text or "… and 201 more" in Text(many._repr_html_()).text


def test_layers_are_imported_from_pytorchs_paths_too():
    from minigrad.nn.modules import Conv2d
    from minigrad.nn.modules.adaptive import AdaptiveLogSoftmaxWithLoss

    assert Conv2d is nn.Conv2d and AdaptiveLogSoftmaxWithLoss is nn.AdaptiveLogSoftmaxWithLoss
    with pytest.raises(AttributeError):
        _ = nn.modules.functional_things
