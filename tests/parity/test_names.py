"""Every name that PyTorch's modules show exists here, or its absence is explained."""

import importlib
import types

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402
from minigrad.absent import reason_of  # noqa: E402
from minigrad.compat.importer import target_of  # noqa: E402

MODULES = """
torch torch.nn torch.nn.functional torch.nn.init torch.nn.utils torch.nn.utils.rnn torch.nn.utils.parametrize
torch.nn.utils.parametrizations torch.nn.utils.prune torch.nn.utils.stateless torch.nn.utils.fusion torch.nn.attention
torch.nn.parallel torch.nn.modules torch.nn.parameter torch.utils torch.utils.data torch.utils.checkpoint
torch.utils.benchmark torch.utils.collect_env torch.utils.flop_counter torch.utils.hooks torch.utils.model_zoo
torch.utils.dlpack torch.utils._pytree torch.optim torch.optim.lr_scheduler torch.optim.swa_utils torch.autograd
torch.autograd.graph torch.autograd.functional torch.autograd.forward_ad torch.autograd.profiler
torch.autograd.grad_mode torch.autograd.function torch.linalg torch.fft torch.special torch.func torch.random torch.cuda
torch.cuda.amp torch.cpu torch.jit torch.fx torch.amp torch.hub torch.types torch.testing torch.distributions
torch.signal torch.signal.windows torch.compiler torch.profiler torch.multiprocessing torch.sparse torch.serialization
torch.overrides torch.library torch.accelerator torch.version torch.mps torch.xpu torch.mtia torch.onnx torch.backends
torch.backends.cuda torch.backends.cudnn torch.backends.mkl torch.backends.mkldnn torch.backends.mps
torch.backends.openmp torch.backends.cpu torch.backends.opt_einsum torch.backends.mha torch.backends.nnpack
torch.backends.quantized
""".split()


def shown(module):
    """The names of a module that are its own or a part of PyTorch, but for modules."""
    public = getattr(module, "__all__", ())
    names = {name for name in public if not isinstance(getattr(module, name, None), types.ModuleType)}
    for name, value in vars(module).items():
        if name.startswith("_") or isinstance(value, types.ModuleType):
            continue
        if str(getattr(value, "__module__", None) or "torch").startswith("torch"):
            names.add(name)
    return sorted(names)


def unexplained(owner, name):
    try:
        getattr(owner, name)
    except AttributeError as error:
        return ": " not in str(error)
    return False


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_there_or_explained(module):
    theirs = importlib.import_module(module)
    ours = minigrad if module == "torch" else importlib.import_module(target_of(module))
    assert [name for name in shown(theirs) if unexplained(ours, name)] == []


@pytest.mark.filterwarnings("ignore")
def test_every_public_name_of_tensors():
    names = [name for name in dir(torch.Tensor) if not name.startswith("_")]
    assert [name for name in names if unexplained(minigrad.Tensor, name)] == []


@pytest.mark.parametrize(
    "name", "package monitor masked export utils.weak utils.cpp_extension".split()
)
def test_absent_modules_say_what_to_use(name):
    assert ";" in reason_of(name) or "use" in reason_of(name)


def functional(t):
    t.manual_seed(0)
    net = t.nn.Sequential(t.nn.BatchNorm1d(2), t.nn.Linear(2, 1))
    with t.no_grad():
        net[1].weight.fill_(0.5)
        net[1].bias.fill_(0.25)
    t.func.replace_all_batch_norm_modules_(net)
    x = t.tensor([[1.0, 2.0], [3.0, 6.0], [0.0, 1.0]])
    made = t.func.functionalize(lambda x: x.clone().add_(1)[1:].mul_(2))
    return sorted(net.state_dict()), net.eval()(x).tolist(), made(x).tolist(), x[0]._is_view(), x._is_view()


def switches(t):
    cuda = t.backends.cuda
    found = [cuda.flash_sdp_enabled(), cuda.math_sdp_enabled(), cuda.mem_efficient_sdp_enabled()]
    cuda.enable_flash_sdp(False)
    found.append(cuda.flash_sdp_enabled())
    cuda.enable_flash_sdp(True)
    return found, t.backends.mha.get_fastpath_enabled()


def test_small_functions():
    (names, values, *rest), (their_names, their_values, *others) = functional(minigrad), functional(torch)
    assert names == their_names and rest == others
    torch.testing.assert_close(torch.tensor(values), torch.tensor(their_values))
    assert switches(minigrad) == switches(torch)
