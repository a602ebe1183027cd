"""Every name that minigrad shares with PyTorch is compared with it: in a table of cases, a database or another test."""

import ast
import fnmatch
import functools
import re
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # torch.testing._internal needs it

import minigrad  # noqa: E402
from tests.parity import cases_forms, cases_functions, cases_nn, cases_state, cases_tensor  # noqa: E402
from tests.parity.claimed import check  # noqa: E402
from tests.parity.claimed_differences import DIFFERENT  # noqa: E402
from tests.parity.compat_table import find, public_names  # noqa: E402
from tests.parity.moduleinfo import every_info  # noqa: E402
from tests.parity.opinfo import NEVER, op_db  # noqa: E402

TENSOR = {f"Tensor.{name}": cases for name, cases in cases_tensor.CASES.items()}
CASES = {**cases_functions.CASES, **TENSOR, **cases_nn.CASES, **cases_state.CASES, **cases_forms.CASES}
# Namespaces with tests of their own: a name counts where it stands in the file's code.
ELSEWHERE = {
    "nn.utils": "test_nn_utils test_nn_programs",
    "nn.utils.parametrize": "test_nn_programs test_nn_utils",
    "nn.utils.parametrizations": "test_nn_programs test_nn_utils",
    "nn.utils.prune": "test_nn_utils test_nn_programs",
    "nn": "test_nn_utils",
    "optim": "test_optim",
    "optim.lr_scheduler": "test_optim",
    "optim.swa_utils": "test_optim",
    "autograd.graph": "test_autograd_graph",
    "autograd.forward_ad": "test_autograd_graph",
    "autograd.profiler": "test_profiler",
    "func": "test_func",
    "distributions": "test_distributions test_distribution_transforms",
    "amp": "test_precision",
    "testing": "test_testing",
    "overrides": "test_overrides",
    "serialization": "test_serialization",
}
NAMESPACES = """
    torch torch.Tensor torch.nn torch.nn.functional torch.nn.init torch.nn.utils torch.nn.utils.rnn
    torch.nn.utils.parametrizations torch.nn.utils.parametrize torch.nn.utils.prune torch.nn.attention
    torch.nn.parameter
    torch.optim torch.optim.lr_scheduler torch.optim.swa_utils torch.autograd torch.autograd.functional
    torch.autograd.graph torch.autograd.forward_ad torch.autograd.profiler torch.utils torch.utils.data
    torch.utils.data.distributed torch.utils.checkpoint torch.linalg torch.fft torch.special torch.func
    torch.distributions torch.amp torch.cuda torch.random torch.testing torch.overrides torch.serialization
""".split()
# What means nothing without a GPU, or is another name of something that is run.
LEFT_OUT = {
    **dict.fromkeys(
        (
            "cuda.Event cuda.Stream cuda.set_stream cuda.set_rng_state cuda.set_rng_state_all "
            "cuda.can_device_access_peer cuda.set_per_process_memory_fraction cuda.CUDAGraph "
            "cuda.ExternalStream cuda.graph cuda.get_per_process_memory_fraction "
            "cuda.get_stream_from_external cuda.graph_pool_handle "
            "cuda.is_current_stream_capturing cuda.make_graphed_callables cuda.memory_stats_as_nested_dict "
            "cuda.reset_accumulated_memory_stats OutOfMemoryError Tensor.record_stream"
        ).split(),
        "needs a GPU",
    ),
    **dict.fromkeys(
        (f"cuda.{kind}Tensor" for kind in "BFloat16 Bool Byte Char Double Float Half Int Long Short".split()),
        "needs a GPU",
    ),
    "serialization.default_restore_location": "needs PyTorch's storages",
}


@functools.cache
def identifiers(filename):
    """Names, attributes, keywords and words of strings in a test file."""
    found = set()
    for node in ast.walk(ast.parse((Path(__file__).parent / f"{filename}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"\w+", node.value))
    return found


@functools.cache
def in_databases():
    """Names that PyTorch's databases of operators and layers run: functions, aliases, methods and in-place methods."""
    names = set()
    for op in op_db:
        if any(fnmatch.fnmatch(op.name, pattern) for pattern in NEVER):
            continue
        for one in (op, *op.aliases):
            names |= {one.name, f"Tensor.{one.name}"} if one is op else {one.name}
            for variant in (one.method_variant, one.inplace_variant):
                names.add(f"Tensor.{getattr(variant, '__name__', '')}")
    return names | {f"nn.{name}" for name, _ in every_info()}


def shared_names():
    """Yield (namespace, name) of all that both libraries have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in NAMESPACES:
            inner = path.partition(".")[2]
            ours = find(f"minigrad.{inner}" if inner else "minigrad")
            for name in public_names(path):
                if hasattr(ours, name):
                    yield inner, name


# Names outside of the namespaces above that a file compares.
SPARSE = """dsmm sparse_coo_tensor spmm Tensor.coalesce Tensor.indices Tensor.is_coalesced Tensor.sparse_mask
    Tensor.to_sparse Tensor.to_sparse_coo Tensor.values""".split()

QUANTIZED = set(
    "dequantize int_repr per_channel_affine per_channel_symmetric per_tensor_affine per_tensor_symmetric qint32 qint8 "
    "q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point qscheme "
    "quantize_per_channel quantize_per_tensor quint8".split()
)


def is_covered(inner, name):
    full = f"{inner}.{name}" if inner else name
    if full in SPARSE:
        return name in identifiers("test_sparse")
    if full == "SymInt":
        return name in identifiers("test_nested")
    if full.removeprefix("Tensor.") in QUANTIZED:
        return name in identifiers("test_quantized")
    if full in CASES or full in LEFT_OUT or full in in_databases():
        return True
    return any(name in identifiers(filename) for filename in ELSEWHERE.get(inner, "").split())


def test_every_shared_name_is_compared():
    shared = list(shared_names())
    assert len(shared) > 1800
    missing = [f"{inner}.{name}" for inner, name in shared if not is_covered(inner, name)]
    assert not missing, f"{len(missing)} names that no parity test compares: {' '.join(missing)}"


def test_names_left_out_exist():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert all(find(f"minigrad.{name}") is not None for name in LEFT_OUT)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", CASES)
def test_name(name):
    """Values, dtypes, gradients, aliasing and error classes agree; each difference on purpose still is one."""
    assert CASES[name], "no cases"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = check(CASES[name], minigrad)
    for pattern, reason in DIFFERENT.get(name, ()):
        remaining = [line for line in lines if not re.search(pattern, line)]
        assert len(remaining) < len(lines), f"{pattern!r} agrees now; it was said: {reason}"
        lines = remaining
    assert not lines, f"{len(lines)} of {len(CASES[name])} differ\n" + "\n".join(lines[:20])


def test_differences_name_cases():
    assert set(DIFFERENT) <= set(CASES)


def test_planted_faults_are_found():
    """The cases are not empty: PyTorch with one function replaced differs."""

    class Faulty:
        def __getattr__(self, name):
            return (lambda *args, **kwargs: torch.abs_(*args).add_(1)) if name == "relu_" else getattr(torch, name)

    Faulty.__name__ = "faulty"
    faulty = Faulty()
    faulty.__name__ = "faulty"
    assert check(CASES["relu_"], faulty)
    assert not check(CASES["threshold"], faulty)
