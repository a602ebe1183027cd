"""Averages of a model's weights over training: stochastic weight averaging (SWA) and exponential moving averages."""

import itertools
import math
from copy import deepcopy

from minigrad.absent import getter
from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import np
from minigrad.nn import Module
from minigrad.nn.normalization import _BatchNorm
from minigrad.optim.lr_scheduler.scheduler import LRScheduler, per_group
from minigrad.tensor import wrap

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def get_ema_avg_fn(decay=0.999):
    """The function (average, current, count) → decay · average + (1 - decay) · current, for AveragedModel.

    Raises ValueError unless decay lies in [0, 1].
    Source: https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema

    >>> import minigrad as mg
    >>> from minigrad.optim.swa_utils import get_ema_avg_fn
    >>> get_ema_avg_fn(0.75)(mg.tensor([1.0]), mg.tensor([3.0]), 1)
    tensor([1.5000])
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")

    @no_grad()
    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """The function (average, current, count) → the mean of count + 1 values, for AveragedModel.

    Source: https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema

    >>> import minigrad as mg
    >>> from minigrad.optim.swa_utils import get_swa_avg_fn
    >>> get_swa_avg_fn()(mg.tensor([1.0]), mg.tensor([3.0]), 1)
    tensor([2.])
    """

    @no_grad()
    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def _on_lists(average):
    """The same average written into lists of tensors."""

    @no_grad()
    def multi_update(averaged_params, current_params, num_averaged):
        for averaged, current in zip(averaged_params, current_params):
            averaged.copy_(average(averaged, current, num_averaged))

    return multi_update


def get_ema_multi_avg_fn(decay=0.999):
    """`get_ema_avg_fn` on lists: the function (averages, currents, count) writes into the averages.

    Source: https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema

    >>> import minigrad as mg
    >>> from minigrad.optim.swa_utils import get_ema_multi_avg_fn
    >>> averages, currents = [mg.tensor([1.0])], [mg.tensor([3.0])]
    >>> get_ema_multi_avg_fn(0.75)(averages, currents, 1)
    >>> averages
    [tensor([1.5000])]
    """
    return _on_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn():
    """`get_swa_avg_fn` on lists: the function (averages, currents, count) writes into the averages.

    Source: https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema

    >>> import minigrad as mg
    >>> from minigrad.optim.swa_utils import get_swa_multi_avg_fn
    >>> averages, currents = [mg.tensor([1.0])], [mg.tensor([3.0])]
    >>> get_swa_multi_avg_fn()(averages, currents, 1)
    >>> averages
    [tensor([2.])]
    """
    return _on_lists(get_swa_avg_fn())


def _grouped(averaged, current):
    """Split two lists of tensors in the same way into lists of one device and dtype each."""
    groups = {}
    for own, theirs in zip(averaged, current):
        pair = groups.setdefault((str(own.device), own.dtype), ([], []))
        pair[0].append(own)
        pair[1].append(theirs)
    return groups.values()


class AveragedModel(Module):
    """A copy of a model, in `.module`, whose parameters are averages of the model's.

    Args:
        model (Module): copied.
        device (optional): where the copy lives.
        avg_fn (callable, optional): (average, current, count) → new average; the running mean unless given.
        multi_avg_fn (callable, optional): the same on lists, in place; called once for every device and dtype; not
            together with avg_fn.
        use_buffers (bool): average the buffers too, instead of copying them.

    Raises AssertionError for both functions at once.

    Source: Izmailov et al. 2018; https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.AveragedModel.html

    >>> import minigrad as mg
    >>> model = mg.nn.Linear(1, 1, bias=False)
    >>> averaged = mg.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = mg.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item()
    2.0
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", wrap(np.array(0)).to(device=device or "cpu"))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        """Run the averaged copy."""
        return self.module(*args, **kwargs)

    def _averaged_tensors(self, module):
        buffers = module.buffers() if self.use_buffers else ()
        return [tensor.detach() for tensor in itertools.chain(module.parameters(), buffers)]

    @no_grad()
    def update_parameters(self, model):
        """Take the model's present parameters into the averages; the first time, copy them."""
        averaged = self._averaged_tensors(self.module)
        current = [c.to(a.device) for a, c in zip(averaged, self._averaged_tensors(model))]
        if self.n_averaged == 0:
            for a, c in zip(averaged, current):
                a.copy_(c)
        else:
            update = self.multi_avg_fn or _on_lists(self.avg_fn or get_swa_avg_fn())
            for own, theirs in _grouped(averaged, current):
                update(own, theirs, self.n_averaged.to(own[0].device))
        if not self.use_buffers:
            for own, theirs in zip(self.module.buffers(), model.buffers()):
                own.detach().copy_(theirs.detach().to(own.device))
        self.n_averaged += 1


@no_grad()
def update_bn(loader, model, device=None):
    """Compute the running statistics of the model's batch norms anew, as means over all batches of the loader.

    Args:
        loader: iterable of batches, or of tuples or lists that begin with one.
        model (Module): run on every batch in training mode.
        device (optional): where the batches are moved.
    Source: https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema

    >>> import minigrad as mg
    >>> model = mg.nn.BatchNorm1d(1)
    >>> mg.optim.swa_utils.update_bn([mg.tensor([[1.0], [3.0]]), mg.tensor([[5.0], [7.0]])], model)
    >>> model.running_mean
    tensor([4.])
    """
    momenta = {module: module.momentum for module in model.modules() if isinstance(module, _BatchNorm)}
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.reset_running_stats()
        module.momentum = None  # the cumulative mean
    try:
        for batch in loader:
            inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(inputs if device is None else inputs.to(device))
    finally:
        for module, momentum in momenta.items():
            module.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """Goes from the groups' learning rates to a constant one in anneal_epochs epochs, and stays there.

    Args: optimizer; swa_lr (float, or a list with one per group); anneal_epochs (int);
    anneal_strategy ("cos" or "linear"); last_epoch.
    Raises ValueError for another strategy or a negative number of epochs.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.SWALR.html

    >>> import minigrad as mg
    >>> optimizer = mg.optim.SGD([mg.nn.Parameter(mg.ones(1))], lr=1.0)
    >>> scheduler = mg.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> optimizer.step(); scheduler.step(); scheduler.get_last_lr()
    [0.75]
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for group, lr in zip(optimizer.param_groups, per_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step):
        """The share of swa_lr in the learning rate after a number of steps."""
        fraction = max(0, min(1, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * fraction)) / 2 if self._anneal_strategy == "cos" else fraction

    def get_lr(self):
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            swa_lr = group["swa_lr"]
            # Undo the share of the step before, so that other schedules may move the rate in between.
            start = swa_lr if before == 1 else (group["lr"] - before * swa_lr) / (1 - before)
            rates.append(swa_lr * now + start * (1 - now))
        return rates


__getattr__ = getter(__name__)
