"""A training step on a GPU never waits for it: no value is read back, no number is copied there."""
import contextlib

import pytest

import minigrad as mg
from tests import fake_cupy

F = mg.nn.functional
_READERS = ("__bool__", "__float__", "__int__", "__index__", "get")


class Waited(AssertionError):
    """The CPU would have waited for the GPU."""


@contextlib.contextmanager
def no_waiting():
    """Raise Waited within the block where a value of the stand-in for a GPU is read, or a number is copied to it."""
    def refuse(name):
        def run(self, *args, **kwargs):
            raise Waited(name)

        return run

    def attribute(self, name):
        if name in ("item", "tolist", "nonzero"):
            raise Waited(name)
        return ordinary(self, name)

    def member(self, name):
        if name in ("nonzero", "argwhere", "flatnonzero", "unique"):
            raise Waited(name)
        value = found(self, name)
        if name not in ("asarray", "array", "ascontiguousarray"):
            return value

        def run(x, *args, **kwargs):
            if isinstance(x, (bool, int, float)):
                raise Waited(f"{name} of {x}")
            return value(x, *args, **kwargs)

        return run

    ordinary, found = fake_cupy.ndarray.__getattr__, fake_cupy._Module.__getattr__
    with pytest.MonkeyPatch.context() as patch:
        for name in _READERS:
            patch.setattr(fake_cupy.ndarray, name, refuse(name))
        patch.setattr(fake_cupy.ndarray, "__getattr__", attribute)
        patch.setattr(fake_cupy._Module, "__getattr__", member)
        yield


@pytest.fixture(autouse=True)
def stand_in(gpu):
    if not isinstance(gpu, fake_cupy._Module):
        pytest.skip("the stand-in for a GPU shows it; a captured step does with a GPU")


@pytest.mark.parametrize("read", [lambda x: x.item(), bool, lambda x: x.nonzero()])
def test_reading_is_noticed(read):
    x = mg.ones(1, device="cuda")
    with pytest.raises(Waited), no_waiting():
        read(x)


def network():
    nn = mg.nn
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 1, 1), nn.Conv2d(4, 4, 3),
        nn.ReLU(inplace=True), nn.LocalResponseNorm(3), nn.BatchNorm2d(4, momentum=None), nn.GroupNorm(2, 4), nn.SiLU(),
        nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6), nn.LayerNorm(6), nn.GELU(),
        nn.Dropout(0.3), nn.Linear(6, 5),
    )  # fmt: skip


def one_hot(target, like):
    return (target[:, None] == mg.arange(5, device="cuda")).to(like.dtype)


LOSSES = {
    "cross_entropy": lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1, ignore_index=2),
    "weighted": lambda x, t: F.nll_loss(F.log_softmax(x, 1), t, x.detach()[0] ** 2),
    "bce": lambda x, t: F.binary_cross_entropy(x.sigmoid(), one_hot(t, x)),
    "mse": lambda x, t: F.mse_loss(x.softmax(1), one_hot(t, x)),
    "margin": F.multi_margin_loss,
}


@pytest.mark.parametrize(
    "name, dtype", [*((name, mg.float32) for name in LOSSES), ("weighted", mg.float16), ("cross_entropy", mg.bfloat16)]
)
def test_a_training_step(name, dtype):
    mg.manual_seed(0)
    model = network().cuda().to(dtype)
    method = mg.optim.SGD if dtype is mg.float32 else mg.optim.Adam
    optimizer = method(model.parameters(), lr=0.01, weight_decay=1e-4)
    x, target = mg.randn(3, 3, 6, 6).cuda().to(dtype), mg.tensor([0, 2, 4]).cuda()

    def step():
        optimizer.zero_grad()
        loss = LOSSES[name](model(x), target)
        loss.backward()
        mg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    first = step()
    with no_waiting():
        again = step()
    assert first.isfinite() and again.isfinite()
