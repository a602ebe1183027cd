"""Metrics against definitions written out with loops; scikit-learn's values are in tests/parity/test_recipes.py."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from minigrad import recipes


# ---------------------------------------------------------------------- one label
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_topk_accuracy_by_definition(k, rng):
    scores, labels = rng.normal(size=(40, 5)), rng.integers(0, 5, 40)
    right = [label in sorted(range(5), key=lambda c: -row[c])[:k] for row, label in zip(scores, labels)]
    assert recipes.topk_accuracy(mg.tensor(scores), mg.tensor(labels), k) == pytest.approx(np.mean(right))


def test_topk_accuracy_of_several_k():
    scores, labels = mg.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [0.0, 1.0, 0.5]]), [0, 1, 0, 0]
    assert recipes.topk_accuracy(scores, labels, (1, 2, 3)) == [0.25, 0.5, 1.0]
    assert recipes.topk_accuracy(scores, labels, [2]) == [0.5]
    assert recipes.topk_accuracy(scores, labels, np.int64(2)) == 0.5
    assert isinstance(recipes.topk_accuracy(scores, labels), float)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_constant_network_gets_no_more_than_its_k_classes(k):
    scores, labels = mg.zeros(4, 4), mg.arange(4)
    assert recipes.topk_accuracy(scores, labels, k) == k / 4
    kept = scores.topk(k).indices[0].tolist()
    for label in range(4):
        assert recipes.topk_accuracy(scores[:1], [label], k) == float(label in kept)


def test_metrics_keep_no_graph():
    scores = mg.randn(3, 4, requires_grad=True)
    labels = (mg.rand(3, 4) > 0.5).float()
    assert not recipes.average_precision(scores, labels).requires_grad
    assert not recipes.best_thresholds(scores, labels).requires_grad
    assert recipes.topk_accuracy(scores, [0, 1, 2]) >= 0


SCORES = mg.zeros(2, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((SCORES, [0, 3]), IndexError, r"labels contain class 3, which is out of range \[0, 3\)"),
        ((SCORES, [0, -1]), IndexError, "labels contain class -1"),
        ((SCORES, [0, 1, 2]), ValueError, "2 rows of scores, but 3 labels"),
        ((SCORES, [0.0, 1.0]), ValueError, "labels must be class numbers"),
        ((SCORES, [[0], [1]]), ValueError, "labels must be class numbers"),
        ((SCORES, [0, 1], 4), ValueError, "k must lie between 1 and the number of classes, 3, but is 4"),
        ((SCORES, [0, 1], (1, 0)), ValueError, "but is 0"),
        ((SCORES[0], [0, 1]), ValueError, r"scores must have shape \(N, C\)"),
        ((mg.zeros(0, 3), mg.zeros(0, dtype=mg.int64)), ValueError, "nothing to measure"),
    ],
)
def test_topk_accuracy_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        recipes.topk_accuracy(*arguments)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
    extra=st.integers(0, 2),
)
def test_confusion_matrix_by_counting(pairs, extra):
    predictions, labels = zip(*pairs)
    classes = max(map(max, pairs)) + 1 + extra
    matrix = recipes.confusion_matrix(predictions, labels, classes)
    expected = [[sum(p == c and t == r for p, t in pairs) for c in range(classes)] for r in range(classes)]
    assert matrix.tolist() == expected
    assert matrix.dtype == mg.int64
    assert matrix.diagonal().sum().item() / len(pairs) == pytest.approx(
        recipes.topk_accuracy(mg.nn.functional.one_hot(mg.tensor(predictions), classes).float(), labels)
    )


def test_confusion_matrix_normalized():
    predictions, labels = [0, 1, 1, 1], [0, 0, 1, 1]
    assert recipes.confusion_matrix(predictions, labels, 3, "true").tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]]
    by_column = recipes.confusion_matrix(predictions, labels, 3, "pred")
    np.testing.assert_allclose(by_column.tolist(), [[1, 1 / 3, 0], [0, 2 / 3, 0], [0, 0, 0]])
    assert recipes.confusion_matrix(predictions, labels, normalize="all").tolist() == [[0.25, 0.25], [0, 0.5]]


def test_confusion_matrix_of_scores():
    scores = mg.tensor([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1]])
    assert recipes.confusion_matrix(scores, [1, 1]).tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_confusion_matrix_refuses():
    with pytest.raises(ValueError, match="normalize must be None, 'true', 'pred' or 'all', but is 'rows'"):
        recipes.confusion_matrix([0], [0], normalize="rows")
    with pytest.raises(ValueError, match="2 predictions, but 1 labels"):
        recipes.confusion_matrix([0, 1], [0])
    with pytest.raises(IndexError, match="predictions contain class 2"):
        recipes.confusion_matrix([2], [0], 2)


def test_precision_recall_f1():
    result = recipes.precision_recall_f1([0, 1, 1, 1], [0, 0, 1, 3])
    np.testing.assert_allclose(result.precision.tolist(), [1, 1 / 3, 0, 0])
    np.testing.assert_allclose(result.recall.tolist(), [0.5, 1, 0, 0])
    np.testing.assert_allclose(result.f1.tolist(), [2 / 3, 0.5, 0, 0])
    labels = mg.tensor([[1, 0], [1, 1], [0, 0]])
    result = recipes.precision_recall_f1(mg.tensor([[True, False], [False, False], [True, False]]), labels)
    assert [part.tolist() for part in result] == [[0.5, 0], [0.5, 0], [0.5, 0]]
    with pytest.raises(ValueError, match="must have the same shape"):
        recipes.precision_recall_f1(labels[:2], labels)
    with pytest.raises(ValueError, match="predictions must be 0 or 1"):
        recipes.precision_recall_f1(labels * 0.3, labels)
    with pytest.raises(ValueError, match="num_classes is 3, but the labels have 2 columns"):
        recipes.precision_recall_f1(labels, labels, 3)


# ---------------------------------------------------------------------- any of several labels
def area(scores, labels):
    """Σ (R_n - R_(n-1)) P_n, threshold by threshold."""
    if not sum(labels):
        return math.nan
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [label for score, label in zip(scores, labels) if score >= threshold]
        recall = sum(taken) / sum(labels)
        total += (recall - before) * sum(taken) / len(taken)
        before = recall
    return total


def f1(scores, labels, threshold):
    taken = [label for score, label in zip(scores, labels) if score >= threshold]
    return 2 * sum(taken) / (len(taken) + sum(labels)) if taken else 0.0


SAMPLES = st.lists(
    st.tuples(st.one_of(st.integers(-3, 3).map(float), st.floats(-1, 1, width=32)), st.integers(0, 1)),
    min_size=1,
    max_size=30,
)


@given(samples=SAMPLES)
def test_average_precision_by_definition(samples):
    scores, labels = zip(*samples)
    result = recipes.average_precision(mg.tensor(scores), mg.tensor(labels))
    assert result.shape == () and result.dtype == mg.float64
    assert result.item() == pytest.approx(area(scores, labels), nan_ok=True)


@given(samples=SAMPLES, seed=st.integers(0, 9))
def test_average_precision_does_not_depend_on_the_order(samples, seed):
    scores, labels = map(np.array, zip(*samples))
    order = np.random.default_rng(seed).permutation(len(scores))
    results = [recipes.average_precision(scores[index], labels[index]).item() for index in (slice(None), order)]
    assert results[0] == pytest.approx(results[1], nan_ok=True)


@given(samples=SAMPLES, dtype=st.sampled_from([mg.float32, mg.float64]))
def test_best_thresholds_by_trying_all(samples, dtype):
    scores, labels = zip(*samples)
    tensor = mg.tensor(scores, dtype=dtype)
    threshold = recipes.best_thresholds(tensor, mg.tensor(labels))
    assert threshold.dtype == dtype and threshold.shape == ()
    if not any(labels):
        assert threshold.item() == math.inf
        return
    candidates = tensor.tolist()
    best = max(f1(candidates, labels, value) for value in candidates)
    assert f1(candidates, labels, threshold.item()) == pytest.approx(best, abs=1e-12)
    # of equally good ones the highest: nothing above it is as good
    higher = [value for value in candidates if value > threshold.item()]
    taken = [value for value in candidates if value >= threshold.item()]
    assert all(f1(candidates, labels, value) < best - 1e-12 for value in higher if value != min(taken))


def test_best_thresholds_lie_halfway():
    scores, labels = mg.tensor([[0.1, 5.0], [0.3, 7.0], [0.8, 9.0]]), mg.tensor([[0, 1], [0, 1], [1, 1]])
    np.testing.assert_allclose(recipes.best_thresholds(scores, labels).tolist(), [0.55, 5.0], rtol=1e-6)
    neighbours = np.nextafter(np.float32(1), np.float32([2, 0]))
    scores, labels = mg.tensor(neighbours), mg.tensor([1, 0])
    threshold = recipes.best_thresholds(scores, labels)
    assert recipes.multilabel_decisions(scores, threshold).tolist() == [True, False]
    infinite = mg.tensor([math.inf, -math.inf])
    assert recipes.multilabel_decisions(infinite, recipes.best_thresholds(infinite, labels)).tolist() == [True, False]


def test_columns_are_classes_of_their_own(rng):
    scores, labels = np.round(rng.normal(size=(50, 6)), 1), rng.integers(0, 2, (50, 6))
    labels[:, 2] = 0
    together = recipes.average_precision(scores, labels).tolist()
    alone = [recipes.average_precision(scores[:, c], labels[:, c]).item() for c in range(6)]
    np.testing.assert_allclose(together, alone)
    assert recipes.best_thresholds(scores, labels).tolist() == [
        recipes.best_thresholds(scores[:, c], labels[:, c]).item() for c in range(6)
    ]
    assert math.isnan(together[2])
    assert recipes.mean_average_precision(scores, labels).item() == pytest.approx(np.nanmean(alone))
    assert math.isnan(recipes.mean_average_precision(scores, labels * 0).item())


def test_multilabel_decisions():
    logits = mg.tensor([[0.0, -1.0], [-0.1, 2.0]])
    assert recipes.multilabel_decisions(logits, 0).tolist() == [[True, False], [False, True]]
    assert recipes.multilabel_decisions(logits, mg.tensor([-0.5, 3.0])).tolist() == [[True, False], [True, False]]
    assert recipes.multilabel_decisions(logits, math.inf).any().item() is False
    with pytest.raises(ValueError, match=r"thresholds of shape \(3,\) are not one per class"):
        recipes.multilabel_decisions(logits, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("metric", [recipes.average_precision, recipes.best_thresholds])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, math.nan], [0, 1], "scores contain NaN"),
        ([0.1, 0.2], [0, 2], "labels must be 0 or 1"),
        ([0.1, 0.2], [0, 1, 1], "must have the same shape"),
        ([], [], "with N of at least 1"),
        ([[[0.5]]], [[[1]]], "must have the same shape"),
    ],
)
def test_multilabel_metrics_refuse(metric, scores, labels, message):
    with pytest.raises(ValueError, match=message):
        metric(mg.tensor(scores), mg.tensor(labels))


def test_mean_average_precision_wants_classes():
    with pytest.raises(ValueError, match=r"scores must have shape \(N, C\), but have \(2,\)"):
        recipes.mean_average_precision([0.1, 0.2], [0, 1])
