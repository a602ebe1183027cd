"""Tensors on different devices, on stand-ins for one GPU and for two: what is refused, what works, and where."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.engine import use_gpu_of
from minigrad.nn import functional as F  # noqa: N812
from tests import fake_cupy


@pytest.fixture(params=[("cuda:0", "cpu"), ("cpu", "cuda:0"), ("cuda:0", "cuda:1"), ("cuda:1", "cuda:0")], ids=str)
def pair(request):
    with fake_cupy.installed(devices=2):
        yield request.param


@pytest.fixture
def two_gpus():
    with fake_cupy.installed(devices=2) as cupy:
        yield cupy


def _sgd(a, b):
    first, second = mg.nn.Parameter(a), mg.nn.Parameter(b)
    first.grad, second.grad = a.clone(), b.clone()
    return first, second


def _wrong_gradient(a, b):
    weight = mg.nn.Parameter(a)
    weight.grad = b


def _wrong_root(a, b):
    (a.clone().requires_grad_() * 2).backward(b)


REFUSED = {
    "add": lambda a, b: a + b,
    "sub alpha": lambda a, b: mg.sub(a, b, alpha=2),
    "mul of ints": lambda a, b: a.long() * b,
    "pow": lambda a, b: a**b,
    "maximum": mg.maximum,
    "equal to": lambda a, b: a == b,
    "atan2": mg.atan2,
    "where": lambda a, b: mg.where(a > 0, a, b),
    "where condition": lambda a, b: mg.where(b > 0, a, 1.0),
    "lerp": lambda a, b: mg.lerp(a, b, 0.5),
    "addcmul": lambda a, b: mg.addcmul(a, a, b),
    "clamp": lambda a, b: mg.clamp(a, b),
    "in place": lambda a, b: a.add_(b),
    "operator in place": lambda a, b: a.__imul__(b),
    "out": lambda a, b: mg.add(a, a, out=b),
    "matmul": lambda a, b: a @ b,
    "mm": mg.mm,
    "bmm": lambda a, b: mg.bmm(a[None], b[None]),
    "addmm": lambda a, b: mg.addmm(b, a, a),
    "einsum": lambda a, b: mg.einsum("ij,jk->ik", a, b),
    "dot": lambda a, b: mg.dot(a[0], b[0]),
    "linear": lambda a, b: F.linear(a, b),
    "linear bias": lambda a, b: F.linear(a, a, b[0]),
    "cat": lambda a, b: mg.cat([a, b]),
    "stack": lambda a, b: mg.stack([a, b]),
    "conv2d": lambda a, b: F.conv2d(a[None, None], b[None, None]),
    "conv2d bias": lambda a, b: F.conv2d(a[None, None], a[None, None], b[0, :1]),
    "conv_transpose2d": lambda a, b: F.conv_transpose2d(a[None, None], b[None, None]),
    "batch_norm": lambda a, b: F.batch_norm(a, b[0], b[1].abs() + 1),
    "layer_norm": lambda a, b: F.layer_norm(a, (2,), b[0]),
    "group_norm": lambda a, b: F.group_norm(a, 1, b[0]),
    "prelu": lambda a, b: F.prelu(a, b[0, :1]),
    "embedding": lambda a, b: F.embedding(a.long() % 2, b),
    "gather": lambda a, b: mg.gather(a, 0, b.long() * 0),
    "index_select": lambda a, b: mg.index_select(a, 0, b[0].long() * 0),
    "take_along_dim": lambda a, b: mg.take_along_dim(a, b.long() * 0, 0),
    "scatter": lambda a, b: mg.scatter(a, 0, a.long() * 0, b),
    "scatter index": lambda a, b: mg.scatter(a, 0, b.long() * 0, 1.0),
    "index_add": lambda a, b: mg.index_add(a, 0, mg.tensor([0, 1], device=a.device), b),
    "masked_fill": lambda a, b: a.masked_fill(b > 0, 1.0),
    "masked_select": lambda a, b: a.masked_select(b > 0),
    "cross_entropy": lambda a, b: F.cross_entropy(a, b[0].long() * 0),
    "cross_entropy weight": lambda a, b: F.cross_entropy(a, a[0].long() * 0, b[0]),
    "nll_loss": lambda a, b: F.nll_loss(a, b[0].long() * 0),
    "mse_loss": F.mse_loss,
    "l1_loss": F.l1_loss,
    "smooth_l1_loss": F.smooth_l1_loss,
    "binary_cross_entropy": lambda a, b: F.binary_cross_entropy(a.sigmoid(), b.sigmoid()),
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "kl_div": lambda a, b: F.kl_div(a, b, reduction="batchmean"),
    "cosine_similarity": F.cosine_similarity,
    "lstm": lambda a, b: mg.nn.LSTM(2, 3).to(b.device)(a),
    "attention": lambda a, b: F.scaled_dot_product_attention(a[None], b[None], a[None]),
    "gradient": _wrong_gradient,
    "root's gradient": _wrong_root,
    "solve": lambda a, b: mg.linalg.solve(a + mg.eye(2, device=a.device), b),
    "cdist": mg.cdist,
    "outer": lambda a, b: mg.outer(a[0], b[0]),
    "bilinear": lambda a, b: F.bilinear(a, b, mg.ones(1, 2, 2, device=a.device)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_two_devices_in_one_operation(pair, name):
    a, b = (mg.arange(1.0, 5.0).reshape(2, 2).to(device) for device in pair)
    with pytest.raises(RuntimeError, match=r"on the same device|on a different device") as caught:
        REFUSED[name](a, b)
    for device in pair:
        assert device in str(caught.value), str(caught.value)
    assert a.tolist() == b.tolist() == [[1, 2], [3, 4]]  # nothing was written


ALLOWED = {
    "copy_": lambda a, b: a.copy_(b),
    "0-d": lambda a, b: a * mg.tensor(2.0) if a.is_cuda else a * 2.0,
    "0-d on the left": lambda a, b: mg.tensor(2.0) * a,
    "0-d in place": lambda a, b: a.mul_(mg.tensor(2.0)),
    "assignment": lambda a, b: (a.__setitem__(0, b[0]), a)[1],
    "CPU index": lambda a, b: a[mg.tensor([1, 0])],
    "CPU mask": lambda a, b: a[mg.tensor([True, False])],
    "assignment at a CPU index": lambda a, b: (a.__setitem__(mg.tensor([1]), 5.0), a)[1],
    "full of a GPU's number": lambda a, b: a.fill_(b[0, 0]),
    "type_as": lambda a, b: b.type_as(a),
    "set data": lambda a, b: a.to(b),
    "load_state_dict": lambda a, b: _loaded(a, b),
    "optimizer of both": lambda a, b: _stepped(a, b),
    "foreach optimizer": lambda a, b: _stepped(a, b, foreach=True),
    "clip_grad_norm_": lambda a, b: _clipped(a, b),
    "model over both": lambda a, b: _through_both(a, b),
}


def _loaded(a, b):
    layer = mg.nn.Linear(2, 2, bias=False, device=a.device)
    layer.load_state_dict({"weight": b})
    return layer.weight


def _stepped(a, b, **options):
    weights = _sgd(a, b)
    for method in (mg.optim.SGD(weights, 0.1, momentum=0.9, **options), mg.optim.Adam(weights, 0.1, **options)):
        for _ in range(2):
            method.step()
    np.testing.assert_array_equal(weights[0].detach().cpu().numpy(), weights[1].detach().cpu().numpy())
    assert weights[1].device == b.device
    return weights[0]


def _clipped(a, b):
    weights = _sgd(a, b)
    total = mg.nn.utils.clip_grad_norm_(weights, 1.0)
    np.testing.assert_allclose(float(total), 60**0.5, rtol=1e-6)
    return weights[0].grad


def _through_both(a, b):
    first, second = mg.nn.Linear(2, 2).to(a.device), mg.nn.Linear(2, 2).to(b.device)
    hidden = first(a)
    loss = (second(hidden.to(b.device)).to(a.device) * hidden).sum()
    loss.backward()
    assert second.weight.grad.device == b.device
    return first.weight.grad


@pytest.mark.parametrize("name", ALLOWED)
def test_what_may_mix_devices(pair, name):
    a, b = (mg.arange(1.0, 5.0).reshape(2, 2).to(device) for device in pair)
    result = ALLOWED[name](a, b)
    assert str(result.device) == (pair[1] if name == "set data" else pair[0])
    assert mg.cuda.current_device() == 0


def test_indices_on_a_gpu_into_a_tensor_on_the_cpu(two_gpus):
    with pytest.raises(RuntimeError, match=r"indices should be either on cpu or on the same device .*cuda:0"):
        mg.ones(3)[mg.tensor([0]).cuda()]


def test_operations_run_on_the_gpu_of_their_arguments(two_gpus):
    x = mg.randn(3, 4, device="cuda:1", requires_grad=True)
    y = (x.exp() @ x.t()).relu() + x.sum()
    loss = y.mean() + (y.to("cuda:0") * 2).sum().to("cuda:1")
    loss.backward()
    assert str(y.device) == str(loss.device) == str(x.grad.device) == "cuda:1"
    assert mg.cuda.current_device() == 0
    on_cpu = x.detach().cpu().requires_grad_()
    y = (on_cpu.exp() @ on_cpu.t()).relu() + on_cpu.sum()
    (y.mean() + (y * 2).sum()).backward()
    np.testing.assert_allclose(x.grad.cpu().numpy(), on_cpu.grad.numpy(), rtol=1e-5)
    with mg.cuda.device(1):
        assert str(mg.ones(1).cuda().device) == "cuda:1"
    with pytest.raises(RuntimeError, match=r"cuda:2 .*2 CUDA GPU"):
        mg.ones(1, device="cuda:2")


def test_numpys_scalars_need_no_gpu():
    with fake_cupy.installed(2):
        mg.zeros(1, device="cuda:1")
        x = mg.tensor(3.0, requires_grad=True)
        (x * x + x * 2).backward()  # the gradients of x are added
        assert x.grad.item() == 8
        use_gpu_of(np.float32(1))
