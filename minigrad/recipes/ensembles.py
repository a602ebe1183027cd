"""Ensembles: several networks whose predictions are averaged, trained apart or collected during one training."""

import math
from copy import deepcopy

from minigrad.autograd.grad_mode import no_grad
from minigrad.nn.container import ModuleList
from minigrad.nn.functional import log_softmax, logsigmoid
from minigrad.nn.module import Module
from minigrad.ops.join import stack
from minigrad.tensor import Tensor

__all__ = ["Ensemble", "Snapshots"]


class Ensemble(Module):
    """Several networks as one module, whose output is the average of theirs, as logits.

    Whatever is averaged, the result are logits as a single network's: argmax, CrossEntropyLoss (with ``multilabel``:
    BCEWithLogitsLoss) and softmax (sigmoid) take them. With "probabilities" they are log-probabilities,
    log (1/M Σ softmax(zₘ)), so that softmax gives the mean probabilities back; with ``multilabel`` the logits of the
    mean of sigmoid(zₘ). With "logits" they are 1/M Σ zₘ, a geometric mean of the probabilities.

    The networks are held, not copied; train() and eval() reach all of them, and training the ensemble trains all. Of a
    network that returns a namedtuple with auxiliary outputs while training the first, ``logits``, counts.

    Args:
        models (iterable of Module): each gives logits of the same shape, classes in dimension 1.
        average (str): "probabilities" or "logits".
        multilabel (bool): the classes do not exclude each other (sigmoid in place of softmax).

    Raises ValueError for no models or another average, TypeError for what is no Module, RuntimeError where the models'
    outputs differ in shape.
    Source: Dietterich 2000, Ensemble methods in machine learning; Krizhevsky et al. 2012 average probabilities.

    >>> import minigrad as mg
    >>> from minigrad.recipes import Ensemble
    >>> ensemble = Ensemble([mg.nn.Linear(4, 3) for _ in range(5)]).eval()
    >>> with mg.no_grad():
    ...     output = ensemble(mg.randn(2, 4))
    >>> output.shape, round(output.exp().sum().item(), 4)
    (minigrad.Size([2, 3]), 2.0)
    """

    def __init__(self, models, average="probabilities", *, multilabel=False):
        super().__init__()
        if average not in ("probabilities", "logits"):
            raise ValueError(f"average must be 'probabilities' or 'logits', but got {average!r}")
        self.models = ModuleList(models)
        if not len(self.models):
            raise ValueError("an ensemble needs at least one model")
        self.average = average
        self.multilabel = multilabel

    def __len__(self):
        return len(self.models)

    def forward(self, *args, **kwargs):
        """Run every model on the input and return the averaged logits."""
        outputs = [_logits(model(*args, **kwargs)) for model in self.models]
        shapes = sorted({tuple(output.shape) for output in outputs})
        if len(shapes) > 1:
            raise RuntimeError(f"the models of an ensemble must agree on the output's shape, but gave {shapes}")
        logits = stack(outputs)  # (M, N, C, …)
        if self.average == "logits":
            return logits.mean(0)
        if self.multilabel:
            # log p - log (1 - p) of the mean p; the 1/M cancels
            return logsigmoid(logits).logsumexp(0) - logsigmoid(-logits).logsumexp(0)
        return log_softmax(logits, dim=2).logsumexp(0) - math.log(len(outputs))

    def extra_repr(self):
        """Return the settings."""
        return f"average={self.average!r}" + (", multilabel=True" if self.multilabel else "")


def _logits(output):
    """Return a network's logits, the first of its outputs where it has auxiliary ones."""
    logits = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(logits, Tensor):
        raise TypeError(f"a model of an ensemble must return logits, not {type(output).__name__}")
    return logits


class Snapshots:
    """Copies of a network's weights, taken during one training, that make an ensemble for the price of one network.

    The learning rate goes down a cosine and restarts M times (optim.lr_scheduler.CosineAnnealingWarmRestarts with
    T_0 = steps / M); before each restart the network has settled in a minimum and a copy of it is kept. Call update()
    after every scheduler.step(): it notices the restart. With another schedule call take() at the right moments.

    Args:
        model (Module): the network in training.
        scheduler (CosineAnnealingWarmRestarts, optional): what update() watches.
        keep (int, optional): keep only that many, the newest; all unless given.

    Attributes: states (list of state_dict copies, oldest first). Raises ValueError for a keep below 1, TypeError for a
    scheduler without cycles.
    Source: Huang et al. 2017, Snapshot ensembles: train 1, get M for free (arXiv:1704.00109).

    >>> import minigrad as mg
    >>> from minigrad.recipes import Snapshots
    >>> model = mg.nn.Linear(2, 2)
    >>> optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    >>> scheduler = mg.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=5)
    >>> snapshots = Snapshots(model, scheduler)
    >>> for step in range(15):
    ...     optimizer.zero_grad()
    ...     model(mg.randn(4, 2)).square().sum().backward()
    ...     optimizer.step()
    ...     scheduler.step()
    ...     _ = snapshots.update()
    >>> len(snapshots), len(snapshots.ensemble(last=2))
    (3, 2)
    """

    def __init__(self, model, scheduler=None, keep=None):
        if keep is not None and keep < 1:
            raise ValueError(f"keep must be at least 1, but got {keep}")
        if scheduler is not None and not hasattr(scheduler, "T_cur"):
            raise TypeError(
                f"Snapshots watches CosineAnnealingWarmRestarts, not {type(scheduler).__name__}; leave the scheduler "
                "out and call take() when a cycle ends"
            )
        self.model = model
        self.scheduler = scheduler
        self.keep = keep
        self.states = []
        self._position = None if scheduler is None else scheduler.T_cur

    def __len__(self):
        return len(self.states)

    def update(self):
        """Take a snapshot if the scheduler has just restarted; returns whether it did.

        Call it once after every scheduler.step(). RuntimeError if no scheduler was given.
        """
        if self.scheduler is None:
            raise RuntimeError("Snapshots was made without a scheduler: call take() when a cycle ends")
        position = self.scheduler.T_cur
        restarted = position <= self._position  # a step within the cycle moves it forward
        self._position = position
        if restarted:
            self.take()
        return restarted

    def take(self):
        """Keep a copy of the model's present weights and buffers."""
        self.states.append({name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()})
        if self.keep is not None:
            del self.states[: -self.keep]

    def ensemble(self, last=None, average="probabilities", *, multilabel=False):
        """Return an Ensemble, in evaluation mode, of copies of the model with the snapshots' weights.

        Args: last (int, optional): only the newest so many; average, multilabel: Ensemble's.
        Raises ValueError if there are not as many snapshots.
        """
        count = len(self.states) if last is None else last
        if not 1 <= count <= len(self.states):
            raise ValueError(f"an ensemble of {count} snapshots was asked for, but {len(self.states)} have been taken")
        models = []
        with no_grad():
            for state in self.states[-count:]:
                model = deepcopy(self.model)
                model.zero_grad()
                model.load_state_dict(state)
                models.append(model)
        return Ensemble(models, average, multilabel=multilabel).eval()

    def state_dict(self):
        """Return the snapshots and the place in the cycle, for a checkpoint."""
        return {"states": list(self.states), "position": self._position}

    def load_state_dict(self, state_dict):
        """Take over what state_dict() returned."""
        self.states = list(state_dict["states"])
        self._position = state_dict["position"]
