"""Data loading and resizing side by side with PyTorch."""

import collections

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.utils.data as theirs  # noqa: E402

import minigrad as mg  # noqa: E402
import minigrad.utils.data as ours  # noqa: E402
from minigrad.vision.transforms import InterpolationMode  # noqa: E402
from minigrad.vision.transforms import functional as F  # noqa: E402

Pair = collections.namedtuple("Pair", "x y")


def plain(value):
    """Tensors as (dtype, shape, values), inside whatever holds them."""
    if isinstance(value, (mg.Tensor, torch.Tensor)):
        return str(value.dtype).split(".")[1], tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    return value


BATCHES = [
    lambda m: [m.tensor([1, 2]), m.tensor([3, 4])],
    lambda m: [m.tensor(1.5), m.tensor(2.5)],
    lambda m: [np.zeros((2, 3), np.float32)] * 2,
    lambda m: [np.float32(1), np.float32(2)],
    lambda m: [np.float64(1), np.float64(2)],
    lambda m: [np.int8(1), np.int8(2)],
    lambda m: [1, 2],
    lambda m: [True, False],
    lambda m: [1.0, 2.0],
    lambda m: [1, 2.5],
    lambda m: [2.5, 1],
    lambda m: ["a", "b"],
    lambda m: [b"a", b"b"],
    lambda m: [(1, "a"), (2, "b")],
    lambda m: [[1, "a"], [2, "b"]],
    lambda m: [{"a": 1, "b": [m.zeros(2)]}] * 2,
    lambda m: [collections.OrderedDict(a=1.0)] * 3,
    lambda m: [Pair(1, m.ones(1)), Pair(2, m.zeros(1))],
    lambda m: [range(2), range(2)],
    lambda m: [m.zeros(2), m.zeros(3)],
    lambda m: [[1], [1, 2]],
    lambda m: [None],
    lambda m: [np.array(["a"])],
    lambda m: [object()],
    lambda m: [2**70],
]


def outcome(function, *arguments):
    """What a call returns, or the class of what it raises."""
    try:
        return plain(function(*arguments))
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("number", range(len(BATCHES)))
def test_default_collate(number):
    mine, reference = BATCHES[number](mg), BATCHES[number](torch)
    assert outcome(ours.default_collate, mine) == outcome(theirs.default_collate, reference)


@pytest.mark.parametrize("number", range(15))
def test_default_convert(number):
    mine, reference = BATCHES[number](mg), BATCHES[number](torch)
    assert outcome(ours.default_convert, mine) == outcome(theirs.default_convert, reference)


OPTIONS = [
    {},
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": None},
    {"sampler": [3, 1, 0], "batch_size": 2},
    {"batch_sampler": [[3, 1], [0]]},
    {"batch_size": 3, "num_workers": 1},
    {"batch_size": 3, "num_workers": 2, "prefetch_factor": 1},
    {"batch_size": 3, "collate_fn": len},
    {"shuffle": True, "sampler": [1]},
    {"batch_sampler": [[1]], "batch_size": 2},
    {"batch_sampler": [[1]], "shuffle": True},
    {"batch_size": None, "drop_last": True},
    {"batch_size": -1},
    {"num_workers": -1},
    {"prefetch_factor": 2},
    {"persistent_workers": True},
    {"timeout": -1},
    {"multiprocessing_context": "fork"},
    {"num_workers": 1, "multiprocessing_context": "spoon"},
    {"num_workers": 1, "multiprocessing_context": 5},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_loader_options(options):
    def run(module, framework):
        data = module.TensorDataset(framework.arange(14).reshape(7, 2), framework.arange(7))
        loader = module.DataLoader(data, **options)
        return [len(loader), list(loader)]

    assert outcome(run, ours, mg) == outcome(run, theirs, torch)


MISUSES = [
    lambda d, m: d.TensorDataset(m.zeros(2), m.zeros(3)),
    lambda d, m: d.ConcatDataset([]),
    lambda d, m: d.ConcatDataset([[1]])[-2],
    lambda d, m: d.StackDataset([1], [1, 2]),
    lambda d, m: d.StackDataset(),
    lambda d, m: d.Dataset()[0],
    lambda d, m: d.random_split([1, 2], [3]),
    lambda d, m: [len(part) for part in d.random_split([1, 2], [1])],
    lambda d, m: d.random_split([1, 2], [1.5, -0.5]),
    lambda d, m: d.RandomSampler([1], replacement=1),
    lambda d, m: d.RandomSampler([1], num_samples=0),
    lambda d, m: d.WeightedRandomSampler([1.0], 0),
    lambda d, m: d.WeightedRandomSampler([1.0], 1, 1),
    lambda d, m: d.WeightedRandomSampler([[1.0]], 1),
    lambda d, m: d.BatchSampler([1], 0, False),
    lambda d, m: d.BatchSampler([1], 1, 0),
    lambda d, m: d.DistributedSampler([1], 2, 2),
    lambda d, m: [len(part) for part in d.random_split(range(10), [0.33, 0.33, 0.34])],
    lambda d, m: list(d.DistributedSampler(range(5), 3, 1, shuffle=False)),
    lambda d, m: list(d.DistributedSampler(range(5), 3, 1, shuffle=False, drop_last=True)),
    lambda d, m: list(d.DistributedSampler(range(2), 5, 4, shuffle=False)),
]


@pytest.mark.parametrize("number", range(len(MISUSES)))
def test_samplers_and_datasets(number):
    assert outcome(MISUSES[number], ours, mg) == outcome(MISUSES[number], theirs, torch)


@pytest.mark.parametrize("size", [(3, 4), (9, 20), (5, 3), (1, 1), (10, 14), (5, 8)])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_resize(size, mode, antialias):
    image = np.random.default_rng(0).random((2, 3, 5, 7), dtype=np.float32)
    smooth = {"antialias": antialias, "align_corners": False} if mode[0] == "b" else {}
    expected = torch.nn.functional.interpolate(torch.from_numpy(image), size, mode=mode, **smooth)
    result = F.resize(mg.from_numpy(image), size, InterpolationMode(mode), antialias=antialias)
    assert np.allclose(result.numpy(), expected.numpy(), atol=2e-6)
