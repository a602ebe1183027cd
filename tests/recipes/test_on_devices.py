"""Recipes on a stand-in for a GPU, which refuses to mix with NumPy, give the CPU's values."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, recipes
from minigrad.optim import swa_utils
from tests import fake_cupy


@pytest.fixture(scope="module", autouse=True)
def gpu():
    with fake_cupy.installed():
        yield


def both(function, *tensors):
    """Compare function(*tensors) on the two devices; returns the CPU's values."""
    results = []
    for device in ("cpu", "cuda"):
        result = function(*(tensor.to(device) for tensor in tensors))
        results.append(result if isinstance(result, (tuple, list)) else [result])
    for on_cpu, on_gpu in zip(*results, strict=True):
        if isinstance(on_cpu, mg.Tensor):
            assert on_gpu.is_cuda
            on_cpu, on_gpu = on_cpu.detach().numpy(), on_gpu.detach().cpu().numpy()
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-6)
    return results[0]


def test_metrics():
    scores, labels = mg.randn(20, 4).mul(4).round(), mg.randint(0, 4, (20,))
    several = (mg.rand(20, 4) < 0.4).long()
    several[:, 3] = 0
    both(lambda s, y: recipes.topk_accuracy(s, y, (1, 3)), scores, labels)
    both(recipes.confusion_matrix, scores, labels)
    both(lambda s, y: recipes.confusion_matrix(s, y, normalize="true"), scores, labels)
    both(recipes.precision_recall_f1, scores, labels)
    both(recipes.average_precision, scores, several)
    both(recipes.mean_average_precision, scores, several)
    both(recipes.best_thresholds, scores, several)
    both(lambda s, y: recipes.multilabel_decisions(s, recipes.best_thresholds(s, y)), scores, several)
    both(lambda s: recipes.topk_accuracy(s, labels.tolist()), scores)  # labels come along
    both(lambda s: recipes.average_precision(s, several.numpy()), scores)


@pytest.mark.parametrize("options", [{}, {"average": "logits"}, {"multilabel": True}])
def test_ensembles(options):
    models = [nn.Linear(3, 2) for _ in range(3)]
    ensemble = recipes.Ensemble(models, **options)
    both(lambda x: ensemble.to(x.device)(x), mg.randn(4, 3))


def test_weights_are_kept_where_they_are():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to("cuda")
    recipes.freeze(model, "1")
    stopping, snapshots = recipes.EarlyStopping(), recipes.Snapshots(model)
    stopping.step(mg.tensor(1.0, device="cuda"), model)
    snapshots.take()
    for state in (stopping.best_state, snapshots.states[0]):
        assert state["0.weight"].is_cuda
    model.train()(mg.randn(4, 3, device="cuda"))
    assert snapshots.ensemble()(mg.randn(4, 3, device="cuda")).is_cuda
    head = recipes.replace_head(model, 5)
    assert head.weight.is_cuda


def test_penalties_and_plain_dropout():
    both(nn.utils.l1_penalty, mg.randn(3, 2))
    both(nn.utils.l2_penalty, mg.randn(3, 2))
    both(lambda x: nn.PlainDropout(0.25).eval()(x), mg.randn(5))
    dropped = nn.PlainDropout(0.5)(mg.ones(100, device="cuda"))
    assert dropped.is_cuda and set(dropped.tolist()) == {0.0, 1.0}


def test_averages_on_another_device():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to("cuda")
    averaged = swa_utils.AveragedModel(model, device="cpu", use_buffers=True)
    for value in (1.0, 3.0):
        nn.init.constant_(model[0].weight, value)
        averaged.update_parameters(model)
    assert averaged.module[0].weight.device.type == "cpu"
    assert averaged.module[0].weight.unique().tolist() == [2.0]
    swa_utils.update_bn([mg.randn(4, 3)], model, device="cuda")
    assert model[1].running_mean.is_cuda
