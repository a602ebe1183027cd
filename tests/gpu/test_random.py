"""Random numbers on a GPU: Philox's published words, distributions, states, and dropout in one launch."""
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import gradcheck
from minigrad.backend import Generator
from minigrad.kernels.cuda import random as kernels
from tests.gpu.test_source import dtypes

F = mg.nn.functional

# Known answers of the authors' Random123: counter, key, Philox 4x32-10.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(gpu, counter, key, expected):
    low, high = words(key)
    counters = gpu.asarray(np.array([words(counter)] * 2, np.uint32))
    out = kernels.words(gpu, counters, high << 32 | low).get()
    assert out.tolist() == [words(expected)] * 2


def test_numbers_are_the_words_of_successive_counters(gpu):
    generator = Generator("cuda").manual_seed(2**63 + 12345)
    first, second = (generator.on(gpu).random(10, dtype=np.float32).get() for _ in range(2))
    counters = np.zeros((6, 4), np.uint32)
    counters[:, 0] = range(6)
    expected = (kernels.words(gpu, gpu.asarray(counters), 2**63 + 12345).get() >> 8) * np.float32(2**-24)
    np.testing.assert_array_equal(first, expected[:3].T.reshape(-1)[:10])  # a draw's four lie three apart
    np.testing.assert_array_equal(second, expected[3:].T.reshape(-1)[:10])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(gpu, dtype):
    source = Generator("cuda").manual_seed(1).on(gpu)
    count = 20_001
    uniform = source.random((3, count // 3), dtype=dtype).get()
    assert uniform.dtype == dtype and uniform.shape == (3, count // 3)
    assert 0 <= uniform.min() and uniform.max() < 1
    np.testing.assert_allclose(np.histogram(uniform, 10, (0, 1))[0] / count, 0.1, atol=0.01)
    normal = source.standard_normal(count, dtype=dtype).get().astype("d")
    assert normal.dtype == "d" and abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03
    assert abs((normal**4).mean() - 3) < 0.3 and abs((normal[1:] * normal[:-1]).mean()) < 0.03
    waits = source.standard_exponential(count, dtype=dtype).get()
    assert waits.min() >= 0 and abs(waits.mean() - 1) < 0.03 and abs(waits.std() - 1) < 0.05
    assert np.isfinite(normal).all() and np.isfinite(waits).all()
    assert len(np.unique(uniform)) > 0.99 * count
    assert source.random((), dtype=dtype).shape == () and source.random((0, 3), dtype=dtype).shape == (0, 3)


@pytest.mark.parametrize(("low", "high"), [(0, 6), (-5, 5), (2**40, 2**40 + 3), (-(2**63), 2**63), (0, 2**63)])
def test_integers(gpu, low, high):
    drawn = Generator("cuda").manual_seed(5).on(gpu).integers(low, high, (999,)).get()
    assert drawn.dtype == np.int64 and drawn.min() >= low and int(drawn.max()) < high
    if high - low < 100:
        counts = np.bincount(drawn - low, minlength=high - low)
        assert counts.min() > 0.7 * 999 / (high - low)
    else:
        assert int(drawn.max()) - int(drawn.min()) > (high - low) * 0.6


def test_seeds_and_states(gpu):
    def draw():
        return mg.randn(7, device="cuda").tolist()

    mg.manual_seed(3)
    first, state, second = draw(), mg.get_rng_state(), draw()
    assert first != second
    mg.set_rng_state(state)
    assert draw() == second
    mg.cuda.set_rng_state(state)
    assert draw() == second
    mg.cuda.manual_seed(3)
    assert draw() == first
    with mg.random.fork_rng():
        third = draw()
    assert draw() == third
    generator = mg.Generator("cuda").manual_seed(8)
    expected = mg.rand(4, generator=generator, device="cuda").tolist()
    copy = pickle.loads(pickle.dumps(generator.manual_seed(8)))
    assert mg.rand(4, generator=copy, device="cuda").tolist() == expected
    old = mg.Generator().manual_seed(4).state_bytes()
    assert len(old) == 64 and not any(old[41:48]) and not any(old[52:])  # what earlier versions wrote there


def test_a_replayed_graph_draws_anew(gpu, monkeypatch):
    generator = Generator("cuda").manual_seed(11)
    source = generator.on(gpu)
    eager = source.random(5).get()
    launches = []

    def record(source, name, dtype):
        kernel = original(source, name, dtype)
        return lambda **given: launches.append((kernel, given))

    original = type(kernels._SOURCE).kernel
    with monkeypatch.context() as capture:  # what a captured graph is: launches with fixed arguments
        capture.setattr(type(kernels._SOURCE), "kernel", record)
        capture.setattr(kernels, "is_capturing", lambda module: True)
        out = source.random(5)

    def replay():
        for kernel, given in launches:
            kernel(**given)
        return out.get().tolist()

    draws = [replay() for _ in range(3)]
    assert len({tuple(numbers) for numbers in draws}) == 3
    state = generator.state_bytes()
    following, eager_following = replay(), source.random(5).get().tolist()
    generator.set_state_bytes(state)
    assert replay() == following
    assert source.random(5).get().tolist() == eager_following
    generator.manual_seed(11)
    assert [replay() for _ in range(3)] == draws
    assert source.random(5).get().tolist() == eager.tolist()


def test_seeds_while_a_graph_is_captured(gpu, monkeypatch):
    generator = Generator("cuda").manual_seed(1)
    with monkeypatch.context() as capture:
        capture.setattr(kernels, "is_capturing", lambda module: True)
        source = generator.on(gpu)
        generator.manual_seed(2)
    assert source.state.get().tolist() == [2, 0]


@pytest.mark.parametrize("p", [0.2, 0.75])
def test_dropout(gpu, p):
    for dtype in dtypes():
        x = mg.ones(40, 50, device="cuda").to(getattr(mg, dtype.name))
        x.requires_grad_()
        out = F.dropout(x, p)
        values = out.detach().float().cpu().numpy()
        scale = float(np.asarray(1 / (1 - p)).astype(dtype))
        assert set(np.unique(values)) == {0.0, np.float32(scale)}
        assert abs((values == 0).mean() - p) < 0.04
        out.backward(mg.full_like(out, 2.0).detach())
        np.testing.assert_allclose(x.grad.float().cpu().numpy(), 2 * values)
    assert not np.array_equal(F.dropout(x, p).float().tolist(), F.dropout(x, p).float().tolist())
    assert F.dropout(x, p, training=False) is x and not F.dropout(x, 1.0).float().sum().item()


def test_dropout_in_other_orders_of_memory(gpu):
    mg.manual_seed(0)
    x = mg.rand(3, 4, 5, device="cuda").permute(2, 0, 1)
    for strided in (x, x[::2]):
        leaf = strided.double().detach()
        leaf.array = strided.double().array
        leaf.requires_grad_()
        out = F.dropout(leaf, 0.5)
        kept, doubled = np.array(out.tolist()) != 0, 2 * np.array(leaf.tolist())
        np.testing.assert_allclose(out.tolist(), np.where(kept, doubled, 0))
        assert 0.2 < kept.mean() < 0.8
        (out * out.detach()).sum().backward()
        np.testing.assert_allclose(leaf.grad.tolist(), 2 * np.array(out.tolist()))


def test_gradient_of_dropout(gpu):
    def dropped(x):
        mg.manual_seed(6)
        return F.dropout(x, 0.4)

    x = mg.rand(3, 5, dtype=mg.float64, device="cuda", requires_grad=True)
    assert gradcheck(dropped, x)
    assert mg.autograd.gradgradcheck(dropped, x)


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: mg.randint(3, (50,), device="cuda"),
        lambda: mg.randperm(50, device="cuda"),
        lambda: mg.zeros(50, device="cuda").bernoulli_(0.3),
        lambda: mg.zeros(50, device="cuda").exponential_(),
        lambda: mg.full((50,), 0.4, device="cuda").bernoulli(),
        lambda: mg.poisson(mg.full((50,), 3.0, device="cuda")),
        lambda: mg.distributions.Gamma(mg.full((50,), 2.0, device="cuda"), mg.ones(50, device="cuda")).sample(),
        lambda: mg.nn.init.kaiming_normal_(mg.zeros(10, 5, device="cuda")),
        lambda: mg.rand(50, device="cuda", dtype=mg.float16),
        lambda: F.dropout2d(mg.ones(5, 10, 1, 1, device="cuda")),
        lambda: F.gumbel_softmax(mg.zeros(10, 5, device="cuda")),
    ],
)
def test_draws_repeat_after_the_seed_only(gpu, drawn):
    results = []
    for seed in (1, 1, 2):
        mg.manual_seed(seed)
        results.append(drawn().tolist())
    assert results[0] == results[1] != results[2]
