"""Averaged predictions and the snapshots of one training."""

import copy
import math
from collections import namedtuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from minigrad import nn
from minigrad.optim.lr_scheduler import CosineAnnealingWarmRestarts
from minigrad.recipes import Ensemble, Snapshots


class Constant(nn.Module):
    """Answers every input with the same logits."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(mg.tensor(logits, dtype=mg.float64))

    def forward(self, x):
        return self.logits.expand(len(x), *self.logits.shape)


def softmax(logits, axis):
    powers = np.exp(logits)
    return powers / powers.sum(axis, keepdims=True)


SPATIAL = st.sampled_from([(), (2, 3)])


@given(models=st.integers(1, 5), classes=st.integers(1, 4), spatial=SPATIAL, seed=st.integers(0, 5))
def test_averages(models, classes, spatial, seed):
    logits = np.random.default_rng(seed).normal(0, 3, (models, classes, *spatial))
    x = mg.zeros(2, 1)
    constants = [Constant(each) for each in logits]
    output = Ensemble(constants)(x).detach().numpy()
    assert output.shape == (2, classes, *spatial)
    np.testing.assert_allclose(np.exp(output[0]), softmax(logits, 1).mean(0))
    output = Ensemble(constants, "logits")(x).detach().numpy()
    np.testing.assert_allclose(output[1], logits.mean(0))
    output = Ensemble(constants, multilabel=True)(x).detach().numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-output[0])), (1 / (1 + np.exp(-logits))).mean(0))


def test_far_logits_stay_finite():
    ensemble = Ensemble([Constant([500.0, -500.0]), Constant([-500.0, 500.0])])
    np.testing.assert_allclose(ensemble(mg.zeros(1, 1)).tolist(), [[math.log(0.5), math.log(0.5)]])
    both = Ensemble([Constant([500.0, -500.0]), Constant([500.0, -500.0])], multilabel=True)
    np.testing.assert_allclose(both(mg.zeros(1, 1)).tolist(), [[500.0, -500.0]])


def test_the_loss_is_that_of_the_averaged_probabilities():
    models = [nn.Linear(3, 4) for _ in range(3)]
    x, labels = mg.randn(5, 3), mg.tensor([0, 1, 2, 3, 0])
    probabilities = sum(model(x).softmax(1) for model in models) / 3
    expected = nn.functional.nll_loss(probabilities.log(), labels)
    loss = nn.functional.cross_entropy(Ensemble(models)(x), labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert all(model.weight.grad is not None for model in models)


def test_an_ensemble_is_a_module():
    ensemble = Ensemble([nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.9)) for _ in range(2)], "logits")
    assert len(ensemble) == 2
    assert sorted(ensemble.state_dict()) == [
        f"models.{number}.0.{name}" for number in range(2) for name in ("bias", "weight")
    ]
    x = mg.randn(4, 2)
    assert bool((ensemble.eval()(x) == ensemble(x)).all())
    assert not ensemble.models[0][1].training
    assert "average='logits'" in repr(ensemble)
    assert bool((copy.deepcopy(ensemble)(x) == ensemble(x)).all())


def test_networks_with_auxiliary_outputs():
    Outputs = namedtuple("Outputs", ["logits", "aux"])

    class Auxiliary(Constant):
        def forward(self, x):
            logits = super().forward(x)
            return Outputs(logits, None) if self.training else logits

    ensemble = Ensemble([Auxiliary([1.0, 2.0]), Constant([3.0, 4.0])], "logits")
    for mode in (True, False):
        assert ensemble.train(mode)(mg.zeros(1, 1)).tolist() == [[2.0, 3.0]]


def test_ensemble_refuses():
    with pytest.raises(ValueError, match="at least one model"):
        Ensemble([])
    with pytest.raises(ValueError, match="average must be 'probabilities' or 'logits', but got 'votes'"):
        Ensemble([nn.Linear(1, 1)], "votes")
    with pytest.raises(TypeError, match="not a Module"):
        Ensemble([lambda x: x])
    with pytest.raises(RuntimeError, match=r"agree on the output's shape, but gave \[\(1, 2\), \(1, 3\)\]"):
        Ensemble([Constant([0.0, 0.0]), Constant([0.0, 0.0, 0.0])])(mg.zeros(1, 1))


# ---------------------------------------------------------------------- snapshots
def training(steps, restarts_after, **options):
    """A model whose weight counts the steps; returns (model, snapshots, steps at which update() said yes)."""
    model = nn.Linear(1, 1, bias=False)
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=restarts_after)
    snapshots = Snapshots(model, scheduler, **options)
    nn.init.zeros_(model.weight)
    taken = []
    for step in range(1, steps + 1):
        optimizer.step()
        nn.init.constant_(model.weight, float(step))
        scheduler.step()
        if snapshots.update():
            taken.append(step)
    return model, snapshots, taken


@given(cycle=st.integers(1, 6), cycles=st.integers(0, 4), extra=st.integers(0, 5))
def test_one_snapshot_per_cycle(cycle, cycles, extra):
    steps = cycle * cycles + extra % cycle
    _, snapshots, taken = training(steps, cycle)
    assert taken == [cycle * number for number in range(1, cycles + 1)]
    assert [state["weight"].item() for state in snapshots.states] == [float(step) for step in taken]


def test_cycles_that_grow_and_fractions_of_epochs():
    model = nn.Linear(1, 1)
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=1, T_mult=2)
    snapshots = Snapshots(model, scheduler)
    taken = []
    for epoch in range(8):
        for batch in range(4):
            optimizer.step()
            scheduler.step(epoch + (batch + 1) / 4)
            if snapshots.update():
                taken.append(epoch + (batch + 1) / 4)
    assert taken == [1, 3, 7]


def test_the_schedule_is_that_of_the_paper():
    """α(t) = α₀/2 (cos(π mod(t - 1, ⌈T/M⌉) / ⌈T/M⌉) + 1), for t = 1 … T."""
    total, restarts, rate = 30, 4, 0.2
    length = math.ceil(total / restarts)
    optimizer = mg.optim.SGD([nn.Parameter(mg.zeros(1))], lr=rate)
    scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=length)
    for t in range(1, total + 1):
        expected = rate / 2 * (math.cos(math.pi * ((t - 1) % length) / length) + 1)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)
        optimizer.step()
        scheduler.step()


def test_ensembles_of_snapshots():
    model, snapshots, _ = training(6, 2)
    x = mg.ones(1, 1)
    assert snapshots.ensemble(average="logits")(x).item() == pytest.approx((2 + 4 + 6) / 3)
    assert snapshots.ensemble(last=2, average="logits")(x).item() == pytest.approx(5.0)
    ensemble = snapshots.ensemble(last=1)
    assert not ensemble.training and model.training
    nn.init.constant_(model.weight, 100.0)
    assert ensemble.models[0].weight.item() == 6.0
    assert snapshots.states[-1]["weight"].item() == 6.0


def test_keep_and_take_by_hand():
    _, snapshots, _ = training(6, 2, keep=2)
    assert [state["weight"].item() for state in snapshots.states] == [4.0, 6.0]
    model = nn.BatchNorm1d(2)
    snapshots = Snapshots(model)
    snapshots.take()
    model(mg.randn(4, 2))
    snapshots.take()
    assert [int(state["num_batches_tracked"]) for state in snapshots.states] == [0, 1]
    with pytest.raises(RuntimeError, match="call take"):
        snapshots.update()


def test_snapshots_resume():
    model, snapshots, _ = training(5, 2)
    resumed = Snapshots(model, snapshots.scheduler)
    resumed.load_state_dict(snapshots.state_dict())
    snapshots.scheduler.step()
    assert resumed.update()
    assert len(resumed) == 3 and len(snapshots) == 2


def test_snapshots_refuse():
    model, snapshots, _ = training(2, 2)
    with pytest.raises(ValueError, match="2 snapshots was asked for, but 1 have been taken"):
        snapshots.ensemble(last=2)
    with pytest.raises(ValueError, match="0 snapshots"):
        Snapshots(model).ensemble()
    with pytest.raises(ValueError, match="keep must be at least 1"):
        Snapshots(model, keep=0)
    with pytest.raises(TypeError, match="not StepLR"):
        Snapshots(model, mg.optim.lr_scheduler.StepLR(snapshots.scheduler.optimizer, 1))
