"""What every schedule shares."""

import contextlib
import functools
import types
import warnings
import weakref

from minigrad.optim.optimizer import Optimizer, to_scalar
from minigrad.tensor import Tensor

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed "
    "form is used instead of the new chainable form, where available."
)
ORDER_HELP = "See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"


def check_optimizer(optimizer):
    """TypeError unless given an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def current_values(optimizer, key):
    """An option of every group, tensors copied."""
    return [_copied(group[key]) for group in optimizer.param_groups]


def set_value(group, key, value):
    """Set an option of a group; a tensor there keeps its identity."""
    if isinstance(group[key], Tensor):
        group[key].fill_(to_scalar(value))
    else:
        group[key] = value


def per_group(name, optimizer, value):
    """A value for every group, given one for each or one for all; ValueError for a wrong number of them."""
    count = len(optimizer.param_groups)
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups. "
                f"{name} has {len(value)} values, param_groups has {count}."
            )
        return [_copied(item) for item in value]
    return [_copied(value) for _ in range(count)]


def _copied(value):
    return value.clone() if isinstance(value, Tensor) else value


def function_state(function):
    """What a state_dict keeps of a function: the attributes of a callable object, None for a plain function."""
    return None if isinstance(function, types.FunctionType) else dict(getattr(function, "__dict__", {}))


def _watch_steps(optimizer):
    """Wrap the optimizer's step, once, so that a schedule can tell whether it has been called."""
    step = optimizer.step
    if hasattr(step, "_wrapped_by_lr_sched"):
        return
    reference = weakref.ref(optimizer)  # the wrapper lives in the optimizer: no cycle
    function = getattr(step, "__func__", None)  # None where the user has replaced the method by a function

    if function is None:
        replacement = step
        function = lambda optimizer, *args, **kwargs: replacement(*args, **kwargs)
    del step

    @functools.wraps(function)
    def watched_step(*args, **kwargs):
        optimizer = reference()
        optimizer._opt_called = True
        return function(optimizer, *args, **kwargs)

    watched_step._wrapped_by_lr_sched = True
    optimizer.step = watched_step


@contextlib.contextmanager
def _enable_get_lr_call(scheduler):
    """Let `get_lr()` be called without its warning (schedules of one's own use it, by this name of PyTorch's)."""
    scheduler._get_lr_called_within_step = True
    try:
        yield scheduler
    finally:
        scheduler._get_lr_called_within_step = False


class LRScheduler:
    """Base class of the schedules: a subclass gives `get_lr()`, the learning rates of epoch `self.last_epoch`.

    Args:
        optimizer (Optimizer): its groups' "lr" is set; "initial_lr" remembers what it was at the beginning.
        last_epoch (int): -1 to begin; otherwise the epoch to resume after, and the groups must have "initial_lr".

    Raises TypeError for another object than an optimizer, KeyError for a missing "initial_lr".

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LRScheduler.html
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer, last_epoch=-1):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{index}] when resuming scheduler with "
                    "last_epoch >= 0. Load the optimizer's state_dict first, or begin with last_epoch=-1."
                )
        self.base_lrs = current_values(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _watch_steps(optimizer)
        self._initial_step()

    def _initial_step(self):
        """Set the learning rates of the first epoch."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    # ------------------------------------------------------------ saving and loading
    def state_dict(self):
        """All attributes except the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict):
        """Take over what `state_dict()` gave."""
        self.__dict__.update(state_dict)

    # ------------------------------------------------------------ learning rates
    def get_last_lr(self):
        """The learning rates set last, one per group."""
        return self._last_lr

    def get_lr(self):
        """The learning rates of epoch `last_epoch`, one per group. For `step()`: elsewhere use `get_last_lr()`."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def _lr_times(self, factor=None):
        """The groups' present learning rates, multiplied by a factor if given."""
        if factor is None:
            return current_values(self.optimizer, "lr")
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _warn_outside_step(self):
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def step(self, epoch=None):
        """Go to the next epoch (or, deprecated, to a given one) and set its learning rates.

        Call it after `optimizer.step()`; the first call before any warns.
        """
        if self._step_count == 1:
            self._warn_order()
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _warn_order(self):
        if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
            warnings.warn(
                "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
                f"Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`. {ORDER_HELP}",
                UserWarning,
                stacklevel=3,
            )
        elif not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you "
                "should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`. Failure to "
                f"do this will result in skipping the first value of the learning rate schedule. {ORDER_HELP}",
                UserWarning,
                stacklevel=3,
            )

    def _update_lr(self, epoch=None):
        with _enable_get_lr_call(self):
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                closed_form = getattr(self, "_get_closed_form_lr", self.get_lr)
                values = closed_form()
        self._set_lrs(values)

    def _set_lrs(self, values):
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            set_value(group, "lr", value)
        self._last_lr = current_values(self.optimizer, "lr")


class _LRScheduler(LRScheduler):
    """The base class's name before PyTorch 2.0."""
