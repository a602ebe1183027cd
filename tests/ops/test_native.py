"""Names that PyTorch's C++ library has, global settings, and rare methods."""

import numpy as np
import pytest

import minigrad as mg
from tests import fake_cupy

F = mg.nn.functional


def randn(*shape, seed=0):
    return mg.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("number, name", [(0, "none"), (1, "mean"), (2, "sum")])
def test_losses_take_numbered_reductions(number, name):
    x, y, z = randn(4, 3), randn(4, 3, seed=1), randn(4, 3, seed=2)
    sign = mg.tensor([1.0, -1.0, 1.0, -1.0], dtype=mg.float64)
    log_probs = randn(5, 2, 4).log_softmax(-1)
    labels = mg.tensor([[1, 2], [3, 3]])
    for found, expected in [
        (mg.kl_div(x, y.softmax(1), number), F.kl_div(x, y.softmax(1), reduction=name if name != "mean" else "none")),
        (mg.poisson_nll_loss(x, y.abs(), True, True, 1e-8, number),
         F.poisson_nll_loss(x, y.abs(), full=True, reduction=name)),
        (mg.cosine_embedding_loss(x, y, sign, 0.1, number), F.cosine_embedding_loss(x, y, sign, 0.1, reduction=name)),
        (mg.hinge_embedding_loss(x, y.sign(), 0.5, number), F.hinge_embedding_loss(x, y.sign(), 0.5, reduction=name)),
        (mg.margin_ranking_loss(x, y, z.sign(), 0.2, number),
         F.margin_ranking_loss(x, y, z.sign(), 0.2, reduction=name)),
        (mg.triplet_margin_loss(x, y, z, 2.0, 1, 1e-6, True, number),
         F.triplet_margin_loss(x, y, z, 2.0, 1, 1e-6, True, reduction=name)),
        (mg.binary_cross_entropy_with_logits(x, y.sigmoid(), None, z.abs(), number),
         F.binary_cross_entropy_with_logits(x, y.sigmoid(), pos_weight=z.abs(), reduction=name)),
        (mg.ctc_loss(log_probs, labels, (5, 4), (2, 2), 0, number),
         F.ctc_loss(log_probs, labels, (5, 4), (2, 2), 0, name)),
    ]:  # fmt: skip
        expected = expected.mean() if name == "mean" else expected
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)


def test_reductions_are_checked():
    x = mg.ones(2)
    with pytest.raises(RuntimeError, match="not a valid value"):
        mg.hinge_embedding_loss(x, x, 1.0, 3)
    with pytest.raises(TypeError, match="must be int"):
        mg.kl_div(x, x, "mean")


@pytest.mark.parametrize("mode", ["LSTM", "GRU", "RNN_TANH", "RNN_RELU"])
@pytest.mark.parametrize("bias, bidirectional, batch_first", [(True, False, False), (False, True, True)])
def test_recurrent_functions_are_those_of_the_layers(mode, bias, bidirectional, batch_first):
    mg.manual_seed(1)
    kind = {"RNN_TANH": mg.nn.RNN, "RNN_RELU": mg.nn.RNN}.get(mode) or getattr(mg.nn, mode)
    extra = {"nonlinearity": mode[4:].lower()} if kind is mg.nn.RNN else {}
    layer = kind(3, 4, 2, bias=bias, bidirectional=bidirectional, batch_first=batch_first, **extra)
    x = mg.randn(2, 5, 3)
    states = mg.zeros(4 if bidirectional else 2, 2 if batch_first else 5, 4)
    hx = (states, states) if mode == "LSTM" else states
    function = getattr(mg, mode.lower())
    found = function(x, hx, list(layer.parameters()), bias, 2, 0.0, False, bidirectional, batch_first)
    output, last = layer(x)
    last = last if mode == "LSTM" else (last,)
    for one, other in zip(found, (output, *last), strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())
    packed = mg.nn.utils.rnn.pack_padded_sequence(x, [5, 3] if batch_first else [2, 1, 1, 1, 1], batch_first)
    output, last = layer(packed)
    first = mg.zeros(states.shape[0], int(packed.batch_sizes[0]), 4)
    hx = (first, first) if mode == "LSTM" else first
    found = function(packed.data, packed.batch_sizes, hx, list(layer.parameters()), bias, 2, 0.0, False, bidirectional)
    np.testing.assert_array_equal(found[0].detach().numpy(), output.data.detach().numpy())


def test_recurrent_functions_check_their_arguments():
    x, h = mg.ones(2, 1, 3), mg.zeros(1, 1, 2)
    with pytest.raises(RuntimeError, match="groups of 4 weights"):
        mg.gru(x, h, [mg.ones(6, 3), mg.ones(6, 2)], True, 1, 0.0, False, False, False)
    with pytest.raises(TypeError, match="takes"):
        mg.gru(x, h, [mg.ones(6, 3), mg.ones(6, 2)], False)


def test_embedding_bag_and_what_is_in_the_bags():
    weight = mg.tensor([[0.0, 5.0], [2.0, 3.0], [4.0, 1.0]])
    indices, offsets = mg.tensor([0, 1, 2, 1]), mg.tensor([0, 2, 2])
    for mode, name in enumerate(("sum", "mean", "max")):
        bags, bag, sizes, largest = mg.embedding_bag(weight, indices, offsets, False, mode)
        assert bags.tolist() == F.embedding_bag(indices, weight, offsets, mode=name).tolist()
        assert bag.tolist() == [0, 0, 2, 2] and sizes.tolist() == [2, 0, 2]
    assert largest.tolist() == [[1, 0], [0, 0], [2, 1]]
    with pytest.raises(RuntimeError, match="mode"):
        mg.embedding_bag(weight, indices, offsets, False, 3)


def test_normalisations_return_their_statistics():
    x = randn(4, 6, 5)
    out, mean, rstd = mg.native_layer_norm(x, (6, 5), None, None, 1e-5)
    assert mean.shape == rstd.shape == (4, 1, 1)
    np.testing.assert_allclose(((x - mean) * rstd).numpy(), out.numpy(), atol=1e-12)
    out, mean, rstd = mg.native_group_norm(x, None, None, 4, 6, 5, 3, 1e-5)
    normalised = (x.reshape(4, 3, 10) - mean[..., None]) * rstd[..., None]
    np.testing.assert_allclose(normalised.numpy().ravel(), out.numpy().ravel())
    running = [mg.zeros(6, dtype=mg.float64), mg.ones(6, dtype=mg.float64)]
    out, mean, rstd = mg.native_batch_norm(x, None, None, *running, True, 0.5, 1e-5)
    np.testing.assert_allclose(((x - mean[:, None]) * rstd[:, None]).numpy(), out.numpy(), atol=1e-12)
    np.testing.assert_allclose(running[0].numpy(), 0.5 * mean.numpy())
    assert mg.native_batch_norm(x, None, None, *running, False, 0.5, 1e-5)[1].shape == (0,)
    with pytest.raises(RuntimeError, match="has not N=4"):
        mg.native_group_norm(x, None, None, 4, 5, 5, 1, 1e-5)


def test_native_dropout():
    mg.manual_seed(0)
    x = mg.ones(1000, requires_grad=True)
    out, kept = mg.native_dropout(x, 0.25, True)
    assert kept.dtype is mg.bool and 700 < int(kept.sum()) < 800
    assert out.tolist() == [4 / 3 if one else 0 for one in kept.tolist()] or (out - kept / 0.75).abs().max() < 1e-6
    out.sum().backward()
    assert bool(((x.grad != 0) == kept).all())
    with pytest.raises(ValueError, match="between 0 and 1"):
        mg.native_dropout(x, 1.5, True)


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
def test_segment_reduce(reduce):
    x = randn(6, 2).requires_grad_()
    lengths = mg.tensor([2, 0, 3, 1])
    parts = np.split(x.detach().numpy(), np.cumsum(lengths.numpy())[:-1])
    numpy_of = {"max": np.max, "min": np.min}.get(reduce) or getattr(np, reduce)
    found = mg.segment_reduce(x, reduce, lengths=lengths)
    for row, part in zip(found.detach().numpy(), parts, strict=True):
        if len(part):
            np.testing.assert_allclose(row, numpy_of(part, axis=0))
    empty = {"sum": 0, "mean": np.nan, "max": -np.inf, "min": np.inf, "prod": 1}[reduce]
    np.testing.assert_array_equal(found.detach().numpy()[1], [empty, empty])
    started = mg.segment_reduce(x, reduce, offsets=mg.tensor([0, 2, 2, 5, 6]), initial=0.25)
    np.testing.assert_array_equal(started.detach().numpy()[1], [0.25, 0.25])

    def along(x):
        both = mg.tensor([[2, 1], [0, 3]])
        return mg.segment_reduce(x.reshape(2, 3, 2), reduce, lengths=both, axis=1, initial=0.5)

    assert mg.autograd.gradcheck(along, (x,)) and mg.autograd.gradgradcheck(along, (x,))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"reduce": "median"}, "reduce argument"), ({"lengths": None}, "Either lengths or offsets"),
        ({"lengths": mg.tensor([2])}, "sum to"), ({"lengths": mg.tensor([4, -1])}, "negative"),
        ({"indices": mg.tensor([1])}, "not supported"), ({"lengths": mg.tensor([[3]])}, "shape"),
    ],
)  # fmt: skip
def test_segment_reduce_checks(changes, message):
    with pytest.raises(RuntimeError, match=message):
        mg.segment_reduce(mg.ones(3), **{"reduce": "sum", "lengths": mg.tensor([3]), **changes})


def test_histogram_of_points():
    x, weight = randn(50, 2), randn(50, seed=1).abs()
    for given in ({"bins": 3}, {"bins": [2, 4], "range": [-1.0, 1.0, -0.5, 2.0]}):
        found, edges = mg.histogramdd(x, **given, weight=weight, density=True)
        limits = given.get("range")
        limits = limits and [limits[:2], limits[2:]]
        expected, numpy_edges = np.histogramdd(x.numpy(), given["bins"], limits, density=True, weights=weight.numpy())
        np.testing.assert_allclose(found.numpy(), expected)
        for one, other in zip(edges, numpy_edges, strict=True):
            np.testing.assert_allclose(one.numpy(), other)
    for bins, message in [(0, "must be > 0"), ([1], "size of bins"), ([mg.ones(1, 1), 2], "1-dimensional")]:
        with pytest.raises(RuntimeError, match=message):
            mg.histogramdd(x, bins)


def test_hash_is_the_exclusive_or():
    x = mg.tensor([[3, 5, 9], [-1, 0, 2]])
    assert x.hash_tensor(1).dtype is mg.uint64
    assert x.hash_tensor(1).tolist() == [3 ^ 5 ^ 9, 2**64 - 1 ^ 2]
    assert mg.hash_tensor(mg.tensor([1.0, 1.0]), keepdim=True).tolist() == [0]


def test_norms():
    x = randn(2, 3, 4)
    np.testing.assert_allclose(mg.norm_except_dim(x, 2, 1).numpy().ravel(), np.sqrt((x.numpy() ** 2).sum((0, 2))))
    np.testing.assert_allclose(mg.norm_except_dim(x, 2, -1).item(), np.linalg.norm(x.numpy()))
    singular = np.linalg.svd(x.numpy(), compute_uv=False)
    np.testing.assert_allclose(mg.nuclear_norm(x, (1, 2)).numpy(), singular.sum(-1))
    np.testing.assert_allclose(mg.nuclear_norm(x[0], True).item(), singular[0].sum())
    np.testing.assert_allclose(mg.frobenius_norm(x, (0, 1)).numpy(), np.sqrt((x.numpy() ** 2).sum((0, 1))))
    with pytest.raises(RuntimeError, match="at most 2"):
        mg.frobenius_norm(x, (0, 1, 2))
    with pytest.raises(RuntimeError, match="2 dimensions"):
        mg.nuclear_norm(x)


def test_determinism_on_a_gpu():
    with fake_cupy.installed():
        x, index = mg.zeros(2, device="cuda"), mg.tensor([0, 0], device="cuda")
        mg.use_deterministic_algorithms(True)
        try:
            with pytest.raises(RuntimeError, match="deterministic"):
                x.index_add(0, index, mg.ones(2, device="cuda"))
            mg.use_deterministic_algorithms(True, warn_only=True)
            with pytest.warns(UserWarning, match="deterministic"):
                x.index_add(0, index, mg.ones(2, device="cuda"))
        finally:
            mg.use_deterministic_algorithms(False)
        assert x.index_add(0, index, mg.ones(2, device="cuda")).tolist() == [2, 0]


def test_settings_are_kept():
    mg.set_deterministic_debug_mode("warn")
    assert mg.get_deterministic_debug_mode() == 1 and mg.is_deterministic_algorithms_warn_only_enabled()
    mg.use_deterministic_algorithms(True)
    assert mg.get_deterministic_debug_mode() == 2 and mg.are_deterministic_algorithms_enabled()
    mg.use_deterministic_algorithms(False)
    for call, error in [
        (lambda: mg.use_deterministic_algorithms(1), TypeError),
        (lambda: mg.set_deterministic_debug_mode(3), RuntimeError),
    ]:  # fmt: skip
        with pytest.raises(error):
            call()
    with pytest.raises(RuntimeError, match="Invalid value range"):
        mg.sym_constrain_range(3, max=2)


def test_rare_methods(tmp_path):
    x = mg.arange(4.0)
    with pytest.raises(RuntimeError, match="requested resize"):
        x.resize_as(mg.ones(3))
    assert x.module_load(mg.ones(4)).tolist() == x.tolist() == [1.0] * 4
    assert (x.dense_dim(), x.sparse_dim(), x.is_distributed(), x.is_xla, x.name) == (1, 0, False, False, None)
    parts = mg.ones(4, requires_grad=True).split(2)
    assert [part.output_nr for part in parts] == [0, 1] and x.output_nr == 0
    assert mg.has_lapack and mg.has_spectral and not mg.has_mkl and not mg.has_openmp
    assert x.to_dense() is x and x.const_data_ptr() == x.data_ptr()
    file = tmp_path / "numbers"
    mg.from_file(str(file), True, 3, dtype=mg.int64).fill_(7)
    private = mg.from_file(str(file), False, 3, dtype=mg.int64)
    private[0] = 1
    assert mg.from_file(str(file), size=3, dtype=mg.int64).tolist() == [7, 7, 7]
    with pytest.raises(RuntimeError, match="holds 24 bytes"):
        mg.from_file(str(file), size=9)


@pytest.mark.parametrize("size", [1, 2, 5, 9])
@pytest.mark.parametrize("kind", ["real", "symmetric", "hermitian"])
def test_ldl_factors_multiply_to_the_matrix(size, kind):
    rng = np.random.default_rng(size)
    a = rng.normal(size=(3, size, size)) + (0 if kind == "real" else 1j * rng.normal(size=(3, size, size)))
    a = a + (a.conj() if kind == "hermitian" else a).swapaxes(1, 2)
    a[0] *= 1 - np.eye(size)  # no pivot of one element
    b = rng.normal(size=(3, size, 2)).astype(a.dtype)
    if size == 1:
        a[0] = 1
    LD, pivots = mg.linalg.ldl_factor(mg.from_numpy(a), hermitian=kind == "hermitian")
    x = mg.linalg.ldl_solve(LD, pivots, mg.from_numpy(b), hermitian=kind == "hermitian")
    np.testing.assert_allclose(a @ x.numpy(), b, atol=1e-9)


def test_ldl_checks():
    assert mg.linalg.ldl_factor_ex(mg.zeros(2, 2)).info.item() == 1
    with pytest.raises(mg.linalg.LinAlgError, match="singular"):
        mg.linalg.ldl_factor(mg.zeros(2, 2))
    LD, pivots = mg.linalg.ldl_factor(mg.eye(2))
    wrong = [(mg.ones(2), "2 dimensions"), (mg.ones(3, 1), "Incompatible"), (mg.ones(2, 1).double(), "dtype")]
    for B, message in wrong:
        with pytest.raises(RuntimeError, match=message):
            mg.linalg.ldl_solve(LD, pivots, B)
    with pytest.raises(mg.linalg.LinAlgError, match="infs or NaNs"):
        mg.linalg.eig(mg.full((2, 2), float("nan")))
    with pytest.raises(RuntimeError, match="square"):
        mg.linalg.eigvals(mg.ones(2, 3))


def test_a_ctc_target_that_is_no_class_is_named():
    log_probs = mg.randn(5, 2, 4).log_softmax(2)
    with pytest.raises(IndexError, match="ctc_loss: target 9 is out of range for 4 classes"):
        F.ctc_loss(log_probs, mg.tensor([[1, 2], [1, 9]]), mg.tensor([5, 5]), mg.tensor([2, 2]))
