"""python -m minigrad.compat runs a script as python does, with torch and torchvision answered by minigrad."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.compat.importer import target_of
from minigrad.compat.versions import TorchVersion

ROOT = Path(__file__).resolve().parents[2]


def run(tmp_path, source, *arguments, options=("-m", "minigrad.compat"), name="program.py"):
    """Run a program from another folder than the checkout; what is returned is the finished process."""
    script = tmp_path / name
    script.write_text(source)
    return subprocess.run(
        [sys.executable, "-W", "error", *options, *([str(script)] if options[-1] != "-c" else [source]), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


IMPORTS = """
import sys
import torch, torchvision
import torch.nn as nn
import torch.nn.functional as F
import torch.backends.cudnn as cudnn
import torch.optim.lr_scheduler as lr_scheduler
import torchvision.transforms.functional as TF
from torch import Tensor, optim
from torch.autograd import Variable
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.utils import _pair
from torch.nn.parameter import Parameter
from torch.optim.lr_scheduler import _LRScheduler
from torch.utils.data.dataloader import DataLoader
from torch.utils.data.sampler import Sampler
from torchvision import datasets, models
from torchvision.models.resnet import BasicBlock
from torchvision.transforms import v2

assert issubclass(nn.Conv2d, _ConvNd) and _pair(3) == (3, 3) and torch.nn is nn and nn.functional is F
assert isinstance(Parameter(torch.ones(2)), Tensor) and torch.utils.data.DataLoader is DataLoader
assert issubclass(_LRScheduler, lr_scheduler.LRScheduler)
assert any(isinstance(module, BasicBlock) for module in models.resnet18().modules())
print(torch.zeros(2, 3).shape, torch.ones(1).dtype, torch.__version__.split(".")[0], torch.__version__ >= (2, 0))
print(sys.argv[1:], __name__, __file__ == sys.argv[0])
for name in ("torch._dynamo", "torch.nothing"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error.name)
"""


def test_every_form_of_import(tmp_path):
    result = run(tmp_path, IMPORTS, "--lr", "0.1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "torch.Size([2, 3]) torch.float32 2 True",
        "['--lr', '0.1'] __main__ True",
        "torch._dynamo",
        "torch.nothing",
    ]


ATTRIBUTES = """
import torch
for path in ("utils.hooks.RemovableHandle", "functional.einsum", "storage", "_utils", "_tensor.Tensor", "cuda.random"):
    found = torch
    for part in path.split("."):
        found = getattr(found, part)
assert torch.utils.hooks is torch.utils.hooks
assert not hasattr(torch.utils, "no_such_name") and not hasattr(torch, "no_such_name")
"""


def test_modules_that_torch_imports_itself_are_attributes(tmp_path):
    result = run(tmp_path, ATTRIBUTES)
    assert result.returncode == 0, result.stderr


def test_a_program_may_have_models_and_spawned_processes_of_its_own(tmp_path):
    (tmp_path / "models.py").write_text("import torch\nNAME = torch.float32\n")
    source = """
import models
import torchvision.models
from multiprocessing import get_context
import torch


def square(queue):
    queue.put(torch.arange(3.0).square().tolist() + [str(torch.float32)])


if __name__ == "__main__":
    queue = get_context("spawn").Queue()
    process = get_context("spawn").Process(target=square, args=(queue,))
    process.start()
    print(models.NAME, torchvision.models.lenet5.__name__, queue.get(timeout=60))
    process.join()
"""
    result = run(tmp_path, source)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "torch.float32 lenet5 [0.0, 1.0, 4.0, 'torch.float32']\n"


@pytest.mark.parametrize(
    ("statement", "code"),
    [("sys.exit(3)", 3), ("sys.exit('stopped')", 1), ("raise KeyboardInterrupt", -2), ("torch.zeros(2, -1)", 1)],
)
def test_exit_codes_and_tracebacks(tmp_path, statement, code):
    result = run(tmp_path, f"import sys, torch\n{statement}\n")
    assert result.returncode == code
    if "exit" not in statement:
        first, second = result.stderr.splitlines()[:2]
        assert first.startswith("Traceback")
        assert "program.py" in second
        assert "line 2, in <module>" in second


def test_a_module_is_run_by_name(tmp_path):
    (tmp_path / "work.py").write_text("import sys, torch\nprint(torch.ones(1).shape, sys.argv[1:], __spec__.name)\n")
    result = run(tmp_path, "", "work", "a", options=("-c",))
    assert result.returncode == 0
    command = [sys.executable, "-m", "minigrad.compat", "-m", "work", "a"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert result.stdout == "torch.Size([1]) ['a'] work\n", result.stderr


@pytest.mark.parametrize("arguments", [["missing.py"], [], ["-m"], ["-x"]])
def test_wrong_commands_are_one_line_errors(tmp_path, arguments):
    command = [sys.executable, "-m", "minigrad.compat", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") <= 2


def test_opt_in_and_refusal(tmp_path):
    """`import minigrad` changes no names; PyTorch itself and minigrad.compat don't share one."""
    source = """
import sys, types
import minigrad
assert "torch" not in sys.modules and repr(minigrad.float32) == "minigrad.float32"
assert not any("minigrad" in type(finder).__module__ for finder in sys.meta_path)
sys.modules["torch"] = types.ModuleType("torch")
try:
    import minigrad.compat.torch
except ImportError as error:
    print(error)
del sys.modules["torch"]
import minigrad.compat.torch
import torch
print(torch.Tensor is minigrad.Tensor)
"""
    result = run(tmp_path, source, options=("-c",))
    assert result.returncode == 0, result.stderr
    refused, works = result.stdout.splitlines()
    assert "torch itself is imported already" in refused
    assert works == "True"


def test_modules_by_their_paths():
    assert target_of("torch.nn.functional") == "minigrad.nn.functional"
    assert target_of("torchvision.models.resnet") == "models.resnet"
    assert target_of("torchvision.models.mobilenet") == "models"
    assert target_of("torchvision.models.quantization.utils") == "models.quantization.networks"
    assert target_of("torchvision.transforms._presets") == "models.published.presets"
    assert target_of("torchvision.datasets.mnist") == "minigrad.vision.datasets.mnist"


@pytest.mark.parametrize(
    ("version", "other"),
    [("2.13.0+x", "2.9"), ("2.13.0+x", (2, 9)), ("1.10", "1.9.1"), ("2.0.0", "1.13.1+cu117"), ("0.4.1", "0.4")],
)
def test_versions_compare_by_numbers(version, other):
    version = TorchVersion(version)
    assert version > other and version >= other and version != other
    assert not (version < other or version <= other or version == other)
    assert TorchVersion("1.0.0") == "1.0" == TorchVersion("1") and TorchVersion("2.1.0") == (2, 1)


FROM_IMPORTS = """
from torch.autograd import variable
from torch.distributions import categorical
from torch.distributions.bernoulli import Bernoulli
from torch.nn.common_types import _size_2_t
from torch.nn.modules import Conv2d, loss
from torch.nn.modules.padding import _ReflectionPadNd
from torch.nn.modules.pooling import _MaxPoolNd
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present
from torch.fx.proxy import TraceError
from torch.utils import model_zoo
from torch.utils.data import _utils
from torch.utils.hooks import RemovableHandle
from torch.utils.tensorboard.writer import SummaryWriter
from torchvision import get_image_backend
from torchvision.io import read_image
import torch
assert categorical.Categorical is torch.distributions.Categorical and variable.Variable is torch.autograd.Variable
assert issubclass(torch.nn.MaxPool2d, _MaxPoolNd) and issubclass(torch.nn.ReflectionPad2d, _ReflectionPadNd)
assert torch.utils.model_zoo is model_zoo is torch.hub and _utils.collate.default_collate
assert isinstance(torch.nn.ReLU().register_forward_hook(print), RemovableHandle) and SummaryWriter.add_scalar
state = {"module.a": 1}
consume_prefix_in_state_dict_if_present(state, "module.")
print(state, torch.__config__.show().startswith("minigrad"))
"""


def test_modules_that_are_elsewhere_here(tmp_path):
    result = run(tmp_path, FROM_IMPORTS)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "{'a': 1} True\n"


def test_pytorchs_paths_are_found_below_minigrad(tmp_path):
    program = """
import sys
import minigrad as torch
assert not [name for name in sys.modules if name.startswith("minigrad.compat")]
import minigrad.quantization as quantization
from minigrad.distributions.normal import Normal
from minigrad.utils.hooks import RemovableHandle
from minigrad.utils.model_zoo import load_url
assert quantization is torch.quantization and Normal is torch.distributions.Normal
try:
    import minigrad.no_such_module
except ModuleNotFoundError as error:
    assert str(error) == "No module named 'minigrad.no_such_module'"
assert "torch" not in sys.modules and torch.float32.__repr__() == "minigrad.float32"
print("done")
"""
    result = run(tmp_path, program, options=("-W", "error"))
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_help_says_what_the_runner_does(tmp_path):
    command = [sys.executable, "-m", "minigrad.compat", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert result.stdout.startswith("usage: python -m minigrad.compat (script.py | -m module)")
    assert "Run a PyTorch program" in result.stdout


def test_torchvisions_networks_lie_in_vision_too():
    import models
    from minigrad import vision

    assert vision.models is models
    with pytest.raises(AttributeError, match="module 'minigrad.vision' has no attribute 'nothing'"):
        vision.nothing  # noqa: B018 - the attribute itself is asked for
