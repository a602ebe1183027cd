"""Recipes against scikit-learn, SciPy and PyTorch; penalties, dropout and label smoothing with them."""

import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
from minigrad import recipes  # noqa: E402


# ---------------------------------------------------------------------- scikit-learn
def samples(seed, count=30, classes=5, decimals=1):
    """Scores with ties and labels with rare classes."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=(count, classes)), decimals)
    return scores, rng.random((count, classes)) < rng.random(classes)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 40), decimals=st.integers(0, 3))
def test_average_precision_is_scikit_learns(seed, count, decimals):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, labels = samples(seed, count, decimals=decimals)
    found = recipes.average_precision(scores, labels).numpy()
    for column, value in enumerate(found):
        if labels[:, column].any():
            expected = metrics.average_precision_score(labels[:, column], scores[:, column])
            assert value == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(value)
    some = labels.any(0)
    if some.any():
        expected = metrics.average_precision_score(labels[:, some], scores[:, some])
        assert recipes.mean_average_precision(scores, labels).item() == pytest.approx(expected, abs=1e-12)


@given(seed=st.integers(0, 10_000), normalize=st.sampled_from([None, "true", "pred", "all"]))
def test_confusion_matrix_is_scikit_learns(seed, normalize):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    predictions, labels = rng.integers(0, 4, 20), rng.integers(0, 5, 20)
    expected = metrics.confusion_matrix(labels, predictions, labels=range(6), normalize=normalize)
    np.testing.assert_allclose(recipes.confusion_matrix(predictions, labels, 6, normalize).numpy(), expected)


@given(seed=st.integers(0, 10_000))
def test_precision_recall_f1_are_scikit_learns(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    predictions, labels = rng.integers(0, 4, 20), rng.integers(0, 5, 20)
    expected = metrics.precision_recall_fscore_support(labels, predictions, labels=range(6), zero_division=0)
    np.testing.assert_allclose(recipes.precision_recall_f1(predictions, labels, 6), expected[:3])
    scores, labels = samples(seed)
    decisions = recipes.multilabel_decisions(scores, 0)
    expected = metrics.precision_recall_fscore_support(labels, decisions.numpy(), zero_division=0)
    np.testing.assert_allclose(recipes.precision_recall_f1(decisions, labels), expected[:3])


@given(seed=st.integers(0, 10_000), k=st.integers(1, 5))
def test_topk_accuracy_is_scikit_learns(seed, k):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    scores, labels = rng.normal(size=(20, 5)), rng.integers(0, 5, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # k = C is a perfect score, it warns
        expected = metrics.top_k_accuracy_score(labels, scores, k=k, labels=range(5))
    assert recipes.topk_accuracy(scores, labels, k) == pytest.approx(expected)


@given(seed=st.integers(0, 10_000), decimals=st.integers(0, 2))
def test_no_threshold_has_a_better_f1(seed, decimals):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, labels = samples(seed, decimals=decimals)
    decisions = recipes.multilabel_decisions(scores, recipes.best_thresholds(scores, labels)).numpy()
    for column in range(labels.shape[1]):
        if labels[:, column].any():
            precision, recall, _ = metrics.precision_recall_curve(labels[:, column], scores[:, column])
            both = np.maximum(precision + recall, 1e-30)
            found = metrics.f1_score(labels[:, column], decisions[:, column])
            assert found == pytest.approx(np.max(2 * precision * recall / both))
        else:
            assert not decisions[:, column].any()


# ---------------------------------------------------------------------- SciPy
@pytest.mark.parametrize("confidence", [0.05, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.999999])
def test_quantiles_are_scipys(confidence):
    stats = pytest.importorskip("scipy.stats")
    degrees = np.array([*range(1, 60), 99, 100, 255, 1000, 9999])
    found = [recipes.t_quantile(confidence, int(number)) for number in degrees]
    np.testing.assert_allclose(found, stats.t.ppf((1 + confidence) / 2, degrees), rtol=1e-9)


def test_intervals_are_scipys(rng):
    stats = pytest.importorskip("scipy.stats")
    values = rng.normal(98, 0.3, 5)
    interval = recipes.mean_interval(values, 0.9)
    expected = stats.t.interval(0.9, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose((interval.low, interval.high), expected, rtol=1e-9)


# ---------------------------------------------------------------------- averaged weights
def network(module):
    nn = module.nn
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2).double())


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        lambda swa: {},
        lambda swa: {"device": "cpu"},
        lambda swa: {"avg_fn": swa.get_swa_avg_fn()},
        lambda swa: {"avg_fn": swa.get_ema_avg_fn(0.7)},
        lambda swa: {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.7)},
    ],
    ids=["mean", "device", "avg_fn", "ema", "multi ema"],
)
def test_averaged_models_are_pytorchs(options, use_buffers):
    """Integer buffers (the count of batches) included."""
    rng = np.random.default_rng(0)
    values = [
        {name: rng.normal(size=tuple(tensor.shape)) for name, tensor in network(torch).state_dict().items()}
        for _ in range(5)
    ]
    results = []
    for module in (torch, mg):
        model = network(module)
        swa_utils = module.optim.swa_utils
        averaged = swa_utils.AveragedModel(model, use_buffers=use_buffers, **options(swa_utils))
        for number, value in enumerate(values):
            state = {name: module.tensor(array) for name, array in value.items()}
            state["1.num_batches_tracked"] = module.tensor(3 * number + 1)
            model.load_state_dict(state)
            averaged.update_parameters(model)
        results.append({name: tensor.numpy() for name, tensor in averaged.state_dict().items()})
    theirs, ours = results
    assert list(ours) == list(theirs)
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype
        np.testing.assert_allclose(ours[name], array, rtol=1e-6, err_msg=name)


def test_update_bn_is_pytorchs(rng):
    batches = [rng.normal(2, 3, (size, 3)).astype("float32") for size in (6, 4, 5)]
    results = []
    for module in (torch, mg):
        nn = module.nn
        model = nn.Sequential(nn.BatchNorm1d(3), nn.Tanh(), nn.BatchNorm1d(3, momentum=0.3), nn.Linear(3, 1)).eval()
        loader = [(module.tensor(batch), None) for batch in batches]
        module.optim.swa_utils.update_bn(loader, model)
        assert [model[0].momentum, model[2].momentum, model.training] == [0.1, 0.3, False]
        results.append([buffer.numpy() for buffer in model.buffers()])
    for theirs, ours in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_a_training_with_stochastic_weight_averaging_is_pytorchs(strategy, rng):
    """The program of PyTorch's page: one schedule, then SWALR on the same optimizer, then update_bn."""
    start = {name: rng.normal(size=tuple(t.shape)) for name, t in network(torch).state_dict().items()}
    batches = [(rng.normal(size=(6, 3)).astype("float32"), rng.integers(0, 2, 6)) for _ in range(3)]
    results = []
    for module in (torch, mg):
        nn, optim = module.nn, module.optim
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        state = {name: module.tensor(array.astype("float32")) for name, array in start.items()}
        state["1.running_var"] = state["1.running_var"].abs()
        state["1.num_batches_tracked"] = module.tensor(0)
        model.load_state_dict(state)
        optimizer = optim.SGD(
            [{"params": model[0].parameters(), "lr": 0.02}, {"params": model[2].parameters()}], lr=0.1, momentum=0.9
        )
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
        swa_schedule = optim.swa_utils.SWALR(optimizer, [0.05, 0.01], anneal_epochs=3, anneal_strategy=strategy)
        averaged = optim.swa_utils.AveragedModel(model)
        rates = []
        for epoch in range(10):
            for x, y in batches:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(module.tensor(x)), module.tensor(y)).backward()
                optimizer.step()
            if epoch >= 4:
                averaged.update_parameters(model)
                swa_schedule.step()
            else:
                schedule.step()
            rates.append([group["lr"] for group in optimizer.param_groups])
        optim.swa_utils.update_bn([(module.tensor(x), y) for x, y in batches], averaged)
        results.append((rates, {name: tensor.numpy() for name, tensor in averaged.state_dict().items()}))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-12)
    for name, array in results[0][1].items():
        np.testing.assert_allclose(results[1][1][name], array, rtol=2e-3, atol=1e-4, err_msg=name)


# ---------------------------------------------------------------------- penalties, label smoothing, dropout
def test_penalties_are_pytorchs(rng):
    arrays = [rng.normal(size=(3, 2)), np.array([0.0, -2.0, 1.0])]
    ours = [mg.tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    penalty = mg.nn.utils.l1_penalty(ours) + 0.5 * mg.nn.utils.l2_penalty(ours)
    expected = sum(tensor.abs().sum() + 0.5 * (tensor**2).sum() for tensor in theirs)
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-12)
    penalty.backward()
    expected.backward()
    for mine, other in zip(ours, theirs):
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["hard", "ignored", "all ignored", "soft", "spatial", "soft spatial", "single"])
def test_label_smoothing_is_pytorchs(reduction, smoothing, weighted, target, rng):
    """Where every target is ignored the mean is NaN, but the gradient 0."""
    spatial = (2, 3) if "spatial" in target else ()
    scores = rng.normal(size=(5,) if target == "single" else (4, 5, *spatial))
    weight = rng.random(5) + 0.1
    options = {"reduction": reduction, "label_smoothing": smoothing}
    if target.startswith("soft"):
        labels = np.moveaxis(rng.dirichlet(np.ones(5), size=(4, *spatial)), -1, 1)
    else:
        labels = np.asarray(rng.integers(0, 5, () if target == "single" else (4, *spatial)))
    if target == "ignored":
        labels[1:3] = 2
        options["ignore_index"] = 2
    if target == "all ignored":
        labels[:] = -100
    results = []
    for module in (torch, mg):
        x = module.tensor(scores, requires_grad=True)
        criterion = module.nn.CrossEntropyLoss(module.tensor(weight) if weighted else None, **options)
        loss = criterion(x, module.tensor(labels))
        (slope,) = module.autograd.grad(loss.sum(), x, create_graph=True)
        loss.sum().backward()
        results.append((loss.detach().numpy(), x.grad.numpy(), slope.detach().numpy()))
    for theirs, ours in zip(*results):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
def test_likelihood_of_ignored_targets_is_pytorchs(weighted):
    results = []
    for module in (torch, mg):
        x = module.zeros(2, 3, requires_grad=True)
        weight = module.ones(3) if weighted else None
        loss = module.nn.functional.nll_loss(x, module.tensor([1, 1]), weight, ignore_index=1)
        loss.backward()
        results.append((loss.item(), x.grad.tolist()))
    np.testing.assert_equal(results[1], results[0])


DROPOUTS = {
    "Dropout": [(6, 7), (5,), ()],
    "Dropout1d": [(6, 7), (6, 7, 3)],
    "Dropout2d": [(6, 7, 3), (6, 7, 3, 2)],
    "Dropout3d": [(6, 7, 3, 2), (6, 7, 3, 2, 2)],
    "AlphaDropout": [(6, 7), (5,)],
    "FeatureAlphaDropout": [(6, 7), (6, 7, 3)],
}
DROPOUT_CASES = [(name, shape) for name, shapes in DROPOUTS.items() for shape in shapes]


@pytest.mark.filterwarnings("ignore:dropout2d")
@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(("name", "shape"), DROPOUT_CASES, ids=str)
def test_dropout_is_pytorchs(name, shape, p):
    """The values of kept and of dropped elements, which are dropped together, and how often."""
    found = []
    for module in (torch, mg):
        module.manual_seed(0)
        x = module.arange(1, int(np.prod(shape)) + 1, dtype=module.float64).reshape(shape)
        layer = getattr(module.nn, name)(p)
        draws = np.stack([layer(x).numpy().reshape(-1) for _ in range(200)])  # (draws, elements)
        assert (layer.eval()(x) == x).all()
        dropped = draws == draws.min(0)
        apart = (dropped[:, :, None] != dropped[:, None, :]).any(0)
        found.append((draws.min(0), draws.max(0), apart, dropped.mean()))
    theirs, ours = found
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(ours[2], theirs[2])
    assert ours[3] == pytest.approx(theirs[3], abs=0.1)
