"""Schedules by themselves: warnings, errors, states; sequences are compared with PyTorch in tests/parity."""

import copy
import gc
import pickle
import types
import warnings
import weakref

import pytest

import minigrad as mg
from minigrad import optim
from minigrad.optim import lr_scheduler as schedules


def make_optimizer(count=1, **options):
    return optim.SGD([{"params": [mg.Parameter(mg.ones(1))]} for _ in range(count)], **{"lr": 0.5, **options})


def rates(optimizer, scheduler, count):
    result = []
    for _ in range(count):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return result


SEQUENCES = [
    (lambda o: schedules.StepLR(o, 2, gamma=0.5), [0.5, 0.5, 0.25, 0.25, 0.125]),
    (lambda o: schedules.MultiStepLR(o, [1, 3], gamma=0.5), [0.5, 0.25, 0.25, 0.125, 0.125]),
    (lambda o: schedules.ConstantLR(o, factor=0.5, total_iters=2), [0.25, 0.25, 0.5, 0.5]),
    (lambda o: schedules.LinearLR(o, start_factor=0.5, total_iters=2), [0.25, 0.375, 0.5, 0.5]),
    (lambda o: schedules.ExponentialLR(o, 0.5), [0.5, 0.25, 0.125]),
    (lambda o: schedules.PolynomialLR(o, total_iters=4), [0.5, 0.375, 0.25, 0.125, 0.0, 0.0]),
    (lambda o: schedules.CosineAnnealingLR(o, T_max=2), [0.5, 0.25, 0.0, 0.25, 0.5]),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=2), [0.5, 0.25, 0.5, 0.25]),
    (lambda o: schedules.LambdaLR(o, lambda epoch: epoch), [0.0, 0.5, 1.0]),
    (lambda o: schedules.MultiplicativeLR(o, lambda epoch: epoch), [0.5, 0.5, 1.0, 3.0]),
    (lambda o: schedules.CyclicLR(o, 0.0, 1.0, step_size_up=2, cycle_momentum=False), [0.0, 0.5, 1.0, 0.5, 0.0]),
]


@pytest.mark.parametrize(("build", "expected"), SEQUENCES)
def test_sequences(build, expected):
    optimizer = make_optimizer()
    assert rates(optimizer, build(optimizer), len(expected)) == pytest.approx(expected, abs=1e-15)


def test_momentum_moves_against_the_rate():
    optimizer = make_optimizer(momentum=0.5)
    scheduler = schedules.OneCycleLR(optimizer, 1.0, total_steps=10, base_momentum=0.8, max_momentum=0.9)
    seen = []
    for _ in range(10):
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        optimizer.step()
        scheduler.step()
    assert seen[0] == pytest.approx((0.04, 0.9))
    assert max(seen)[1] == pytest.approx(0.8)
    with pytest.raises(ValueError, match="Tried to step 11 times"):
        scheduler.step()


def test_order_of_steps_is_checked_once():
    optimizer = make_optimizer()
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()
    scheduler.step()


def test_a_step_replaced_afterwards_warns():
    optimizer = make_optimizer()
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    optimizer.step = types.MethodType(lambda self, closure=None: None, optimizer)
    optimizer.step()
    with pytest.warns(UserWarning, match="has been overridden after learning rate scheduler initialization"):
        scheduler.step()


def test_a_step_replaced_before_is_watched():
    optimizer = make_optimizer()
    calls = []
    optimizer.step = lambda closure=None: calls.append(closure)
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    optimizer.step("closure")
    scheduler.step()
    assert calls == ["closure"]


def test_rates_asked_for_outside_a_step_warn():
    optimizer = make_optimizer()
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()
    assert scheduler.get_last_lr() == [0.5]


def test_a_given_epoch_warns():
    optimizer = make_optimizer()
    scheduler = schedules.StepLR(optimizer, 2, gamma=0.5)
    optimizer.step()
    with pytest.warns(UserWarning, match="The epoch parameter"):
        scheduler.step(4)
    assert scheduler.get_last_lr() == [0.125]


def test_resuming_needs_the_initial_rate():
    with pytest.raises(KeyError, match="initial_lr"):
        schedules.StepLR(make_optimizer(), 2, last_epoch=3)
    optimizer = make_optimizer()
    optimizer.param_groups[0]["initial_lr"] = 0.5
    assert schedules.CosineAnnealingLR(optimizer, T_max=10, last_epoch=4).last_epoch == 5


ERRORS = [
    (lambda o: schedules.StepLR("SGD", 2), TypeError, "str is not an Optimizer"),
    (lambda o: schedules.ReduceLROnPlateau("SGD"), TypeError, "str is not an Optimizer"),
    (lambda o: schedules.LambdaLR(o, [lambda epoch: 1.0] * 3), ValueError, "Expected 1 lr_lambdas, but got 3"),
    (lambda o: schedules.MultiplicativeLR(o, 0.5), TypeError, "lr_lambda should be a function"),
    (lambda o: schedules.ConstantLR(o, factor=2.0), ValueError, "between 0 and 1"),
    (lambda o: schedules.LinearLR(o, start_factor=0.0), ValueError, "greater than 0 and less or equal to 1"),
    (lambda o: schedules.LinearLR(o, end_factor=2.0), ValueError, "between 0 and 1"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=0), ValueError, "positive integer T_0"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=0), ValueError, "T_mult >= 1"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=2, eta_min="a"), ValueError, "float or int eta_min"),
    (lambda o: schedules.CyclicLR(o, 0.1, 1.0, mode="square"), ValueError, "mode is invalid"),
    (lambda o: schedules.CyclicLR(o, [0.1, 0.2], 1.0), ValueError, "base_lr must have the same length"),
    (lambda o: schedules.OneCycleLR(o, 0.1), ValueError, "either total_steps OR"),
    (lambda o: schedules.OneCycleLR(o, 0.1, total_steps=-1), ValueError, "positive integer total_steps"),
    (lambda o: schedules.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=1), ValueError, "positive integer epochs"),
    (lambda o: schedules.OneCycleLR(o, 0.1, total_steps=5, pct_start=2.0), ValueError, "pct_start"),
    (lambda o: schedules.OneCycleLR(o, 0.1, total_steps=5, anneal_strategy="x"), ValueError, "anneal_strategy"),
    (lambda o: schedules.SequentialLR(o, [], []), ValueError, "at least one scheduler"),
    (lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 2)], [3]), ValueError, "one more than the number"),
    (lambda o: schedules.SequentialLR(o, [schedules.ReduceLROnPlateau(o)], []), ValueError, "ReduceLROnPlateau"),
    (lambda o: schedules.ChainedScheduler([]), ValueError, "at least one scheduler"),
    (lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 2), 3]), TypeError, "index 1 should have `optimizer`"),
    (
        lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 2), schedules.StepLR(make_optimizer(), 2)]),
        ValueError,
        "belong to the same optimizer",
    ),
    (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
    (lambda o: schedules.ReduceLROnPlateau(o, mode="best"), ValueError, "mode best is unknown"),
    (lambda o: schedules.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold mode x is unknown"),
    (lambda o: schedules.ReduceLROnPlateau(o, min_lr=[0.1, 0.2]), ValueError, "expected 1 min_lrs, got 2"),
]


@pytest.mark.parametrize(("build", "error", "message"), ERRORS)
def test_errors(build, error, message):
    optimizer = make_optimizer(momentum=0.9)
    with pytest.raises(error, match=message):
        build(optimizer)


def test_cycles_need_a_momentum():
    optimizer = optim.Adagrad([mg.Parameter(mg.ones(1))])
    for build in (lambda: schedules.CyclicLR(optimizer, 0.1, 1.0), lambda: schedules.OneCycleLR(optimizer, 1.0, 5)):
        with pytest.raises(ValueError, match="must support momentum or beta1"):
            build()


def test_a_group_added_later():
    optimizer = make_optimizer()
    scheduler = schedules.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    scheduler.step(1.0)
    optimizer.add_param_group({"params": [mg.Parameter(mg.ones(1))]})
    scheduler.step(1.0)
    assert scheduler.get_last_lr() == [0.25, 0.25]
    scheduler = schedules.ReduceLROnPlateau(make_optimizer(), patience=0, min_lr=[0.1])
    scheduler.optimizer.add_param_group({"params": [mg.Parameter(mg.ones(1))]})
    scheduler.step(1.0)
    with pytest.raises(RuntimeError, match="number of param groups"):
        scheduler.step(1.0)


class Geometric:
    def __init__(self, ratio):
        self.ratio = ratio

    def __call__(self, epoch):
        return self.ratio**epoch


@pytest.mark.parametrize("kind", ["LambdaLR", "MultiplicativeLR"])
def test_state_of_functions(kind):
    optimizer = make_optimizer(2)
    scheduler = getattr(schedules, kind)(optimizer, [Geometric(0.5), lambda epoch: 1.0])
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"ratio": 0.5}, None]
    other = getattr(schedules, kind)(make_optimizer(2), [Geometric(0.9), lambda epoch: 1.0])
    other.load_state_dict(state)
    assert other.lr_lambdas[0].ratio == 0.5
    assert state["lr_lambdas"] == [{"ratio": 0.5}, None]


def test_state_of_a_scale_function():
    make = lambda: make_optimizer(momentum=0.9)
    scheduler = schedules.CyclicLR(make(), 0.1, 1.0, scale_fn=Geometric(0.5))
    other = schedules.CyclicLR(make(), 0.1, 1.0, scale_fn=Geometric(0.9))
    state = pickle.loads(pickle.dumps(scheduler.state_dict()))
    other.load_state_dict(state)
    assert other.scale_fn(1) == 0.5
    plain = schedules.CyclicLR(make(), 0.1, 1.0, mode="exp_range", gamma=0.5)
    loaded = schedules.CyclicLR(make(), 0.1, 1.0, mode="exp_range", gamma=0.9)
    loaded.load_state_dict(pickle.loads(pickle.dumps(plain.state_dict())))
    assert loaded.scale_fn(2) == 0.25


def test_copies_continue_alike():
    optimizer = make_optimizer(momentum=0.9)
    scheduler = schedules.OneCycleLR(optimizer, 1.0, total_steps=20)
    optimizer.step()
    scheduler.step()
    twin = copy.deepcopy(scheduler)
    assert twin.optimizer is not optimizer
    for each in (scheduler, twin):
        each.optimizer.step()
        each.step()
    assert twin.get_last_lr() == scheduler.get_last_lr()


def test_the_optimizer_is_freed_without_the_collector():
    gc.disable()
    try:
        optimizer = make_optimizer()
        scheduler = schedules.StepLR(optimizer, 2)
        optimizer.step()
        scheduler.step()
        alive = weakref.ref(optimizer)
        del optimizer, scheduler
        assert alive() is None
    finally:
        gc.enable()


def test_the_old_base_class_and_one_of_ones_own():
    class Inverse(schedules._LRScheduler):
        def get_lr(self):
            return [base / (1 + self.last_epoch) for base in self.base_lrs]

    optimizer = make_optimizer()
    assert rates(optimizer, Inverse(optimizer), 3) == pytest.approx([0.5, 0.25, 0.5 / 3])
    with pytest.raises(NotImplementedError, match="does not define get_lr"):
        schedules.LRScheduler(make_optimizer())


def test_schedules_inside_a_sequence_warn_of_nothing():
    optimizer = make_optimizer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = schedules.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        second = schedules.StepLR(optimizer, 2, gamma=0.5)
        scheduler = schedules.SequentialLR(optimizer, [first, second], milestones=[2])
        assert rates(optimizer, scheduler, 6) == pytest.approx([0.25, 0.375, 0.5, 0.5, 0.25, 0.25])
