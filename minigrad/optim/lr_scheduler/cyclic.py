"""Schedules that raise and lower the learning rate, and move the momentum against it."""

import math
from functools import partial

from minigrad.optim.lr_scheduler.scheduler import (
    LRScheduler,
    check_optimizer,
    function_state,
    per_group,
    set_value,
)


class _MomentumCycle:
    """Sets the momentum of an optimizer's groups: their "momentum", or the first of their "betas"."""

    def _init_momentum(self, base_momentum, max_momentum, last_epoch):
        """Give every group its range of momentum and, at the beginning, the largest. ValueError if it has none."""
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.use_beta1 = "betas" in defaults
        base_momentums = per_group("base_momentum", self.optimizer, base_momentum)
        max_momentums = per_group("max_momentum", self.optimizer, max_momentum)
        if last_epoch == -1:
            for group, low, high in zip(self.optimizer.param_groups, base_momentums, max_momentums):
                self._set_momentum(group, high)
                group["max_momentum"] = high
                group["base_momentum"] = low
        return base_momentums, max_momentums

    def _set_momentum(self, group, value):
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_MomentumCycle, LRScheduler):
    """The learning rate goes linearly from base_lr up to max_lr and down again, over and over.

    lr = base_lr + (max_lr - base_lr) · position · scale, with position from 0 to 1 and back in each cycle. scale is 1
    ("triangular"), 1 / 2^(cycle - 1) ("triangular2"), gamma^iterations ("exp_range"), or scale_fn of the cycle or of
    the iterations, as scale_mode says. The momentum goes the other way, from max_momentum down to base_momentum.

    Args:
        optimizer: its "lr" is set to base_lr; cycle_momentum needs "momentum" or "betas".
        base_lr, max_lr (float, or a list with one per group).
        step_size_up, step_size_down (int): iterations of the two halves; down is as long as up unless given.
        mode, gamma, scale_fn, scale_mode ("cycle" or "iterations"): as above.
        cycle_momentum (bool), base_momentum, max_momentum (float, or a list with one per group).
        last_epoch (int): the iteration to resume after.

    Raises ValueError for an unknown mode, lists of a wrong length, or an optimizer without momentum.

    Source: Smith 2017; https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CyclicLR.html

    >>> import minigrad as mg
    >>> optimizer = mg.optim.SGD([mg.nn.Parameter(mg.ones(1))], lr=1.0, momentum=0.9)
    >>> scheduler = mg.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.0, max_lr=0.5, step_size_up=2)
    >>> optimizer.step(); scheduler.step(); scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer,
        base_lr,
        max_lr,
        step_size_up=2000,
        step_size_down=None,
        mode="triangular",
        gamma=1.0,
        scale_fn=None,
        scale_mode="cycle",
        cycle_momentum=True,
        base_momentum=0.8,
        max_momentum=0.9,
        last_epoch=-1,
    ):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs):
                set_value(group, "lr", lr)
        up = float(step_size_up)
        down = up if step_size_down is None else float(step_size_down)
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        self._init_scale_fn()
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._init_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _init_scale_fn(self):
        if self._scale_fn_custom is not None:
            return
        self.scale_mode = "iterations" if self.mode == "exp_range" else "cycle"
        self._scale_fn_ref = {
            "triangular": _no_decay,
            "triangular2": _halving,
            "exp_range": partial(_exponential, self.gamma),
        }[self.mode]

    def scale_fn(self, x):
        """The factor of the cycle's height, for the number of the cycle or of the iteration."""
        return self._scale_fn_ref(x) if self._scale_fn_custom is None else self._scale_fn_custom(x)

    def get_lr(self):
        self._warn_outside_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        position = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            ranges = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums)
            for group, low, high in ranges:
                self._set_momentum(group, high - (high - low) * position * scale)
        return [low + (high - low) * position * scale for low, high in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self):
        """All attributes except the optimizer; of scale_fn, the attributes if it is an object."""
        state = super().state_dict()
        state.pop("_scale_fn_ref", None)
        custom = self._scale_fn_custom
        state["_scale_fn_custom"] = None if custom is None else function_state(custom)
        return state

    def load_state_dict(self, state_dict):
        """Take over what `state_dict()` gave; a scale_fn that is an object gets its attributes back."""
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_scale_fn_custom"})
        if state_dict.get("_scale_fn_custom") is not None:
            self._scale_fn_custom.__dict__.update(state_dict["_scale_fn_custom"])
        self._init_scale_fn()


def _no_decay(cycle):
    return 1.0


def _halving(cycle):
    return 1 / 2.0 ** (cycle - 1)


def _exponential(gamma, iterations):
    return gamma**iterations


class OneCycleLR(_MomentumCycle, LRScheduler):
    """One cycle: up from max_lr / div_factor to max_lr, then down to the first rate / final_div_factor.

    The momentum goes the other way, between max_momentum and base_momentum. `step()` is called after every batch.

    Args:
        optimizer: its "lr" is set; cycle_momentum needs "momentum" or "betas".
        max_lr (float, or a list with one per group).
        total_steps (int), or epochs (int) and steps_per_epoch (int): the length of the cycle in steps.
        pct_start (float, 0 to 1): the part of it that goes up.
        anneal_strategy ("cos" or "linear").
        cycle_momentum (bool), base_momentum, max_momentum (float, or a list with one per group).
        div_factor, final_div_factor (float): as above.
        three_phase (bool): go down to the first rate as slowly as up, then to the last.
        last_epoch (int): the step to resume after.

    Raises ValueError for options out of range, an optimizer without momentum, or a step beyond the last.

    Source: Smith and Topin 2019; https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html

    >>> import minigrad as mg
    >>> optimizer = mg.optim.SGD([mg.nn.Parameter(mg.ones(1))], lr=1.0, momentum=0.9)
    >>> scheduler = mg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=10, div_factor=2.0)
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=10000.0,
        three_phase=False,
        last_epoch=-1,
    ):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        max_lrs = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, highest in zip(optimizer.param_groups, max_lrs):
                group["initial_lr"] = highest / div_factor
                group["max_lr"] = highest
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._init_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _anneal(self, start, end, fraction):
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * fraction) + 1)
        return start + (end - start) * fraction

    def get_lr(self):
        self._warn_outside_step()
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        start = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"]:
                break
            if phase is not self._schedule_phases[-1]:
                start = phase["end_step"]
        fraction = (step - start) / (phase["end_step"] - start)
        lrs = []
        for group in self.optimizer.param_groups:
            lrs.append(self._anneal(group[phase["start_lr"]], group[phase["end_lr"]], fraction))
            if self.cycle_momentum:
                momentum = self._anneal(group[phase["start_momentum"]], group[phase["end_momentum"]], fraction)
                self._set_momentum(group, momentum)
        return lrs


def _total_steps(total_steps, epochs, steps_per_epoch):
    """The length of the cycle from either way of giving it."""
    if total_steps is not None:
        if total_steps <= 0 or not isinstance(total_steps, int):
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        return total_steps
    if epochs is None or steps_per_epoch is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return epochs * steps_per_epoch


def _phases(total_steps, pct_start, three_phase):
    """The cycle's phases: the step each ends at, and the options of a group it goes between."""
    up = ("initial_lr", "max_lr", "max_momentum", "base_momentum")
    ends = [float(pct_start * total_steps) - 1, total_steps - 1]
    ways = [up, ("max_lr", "min_lr", "base_momentum", "max_momentum")]
    if three_phase:
        ends.insert(1, float(2 * pct_start * total_steps) - 2)
        ways[1:] = [
            ("max_lr", "initial_lr", "base_momentum", "max_momentum"),
            ("initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]
    names = ("start_lr", "end_lr", "start_momentum", "end_momentum")
    return [{"end_step": end, **dict(zip(names, way))} for end, way in zip(ends, ways)]
