"""Early stopping: end a training that no longer improves, with the best weights."""

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Says when a measure on validation data has stopped improving, and keeps the weights that were best.

    Call step(value, model) once per evaluation; it returns True as soon as ``patience`` evaluations in a row were no
    improvement, and then, with ``restore_best``, has put the best weights back into the model. Where the loop ends for
    another reason, restore(model) does so.

    Args:
        patience (int): evaluations without improvement that end the training.
        mode (str): "min" if lower values are better (a loss), "max" if higher ones are (an accuracy).
        min_delta (float): an improvement is a change by more than that.
        restore_best (bool): keep a copy of the best weights and buffers; False keeps none, and step needs no model.

    Attributes: best (the best value, None before the first), best_step (the number of its evaluation, from 0),
    bad_steps (evaluations since), steps (evaluations so far), stopped. NaN is no improvement. The copy holds
    state_dict() only: an optimizer that goes on after a restore has moments from later weights.
    Raises ValueError for a patience below 1, another mode or a negative min_delta; step raises TypeError if
    restore_best is set and no model is given.
    Source: Prechelt 1998, Early stopping - but when?

    >>> import minigrad as mg
    >>> from minigrad.recipes import EarlyStopping
    >>> model = mg.nn.Linear(1, 1, bias=False)
    >>> stopping = EarlyStopping(patience=2)
    >>> for epoch, loss in enumerate([0.9, 0.5, 0.6, 0.7, 0.8]):
    ...     _ = mg.nn.init.constant_(model.weight, epoch)
    ...     if stopping.step(loss, model):
    ...         break
    >>> epoch, stopping.best, stopping.best_step, model.weight.item()
    (3, 0.5, 1, 1.0)
    """

    def __init__(self, patience=10, mode="min", min_delta=0.0, restore_best=True):
        if patience < 1:
            raise ValueError(f"patience must be at least 1, but got {patience}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', but got {mode!r}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must not be negative, but got {min_delta}")
        self.patience = patience
        self.mode = mode
        self.min_delta = min_delta
        self.restore_best = restore_best
        self.best = None
        self.best_step = None
        self.best_state = None
        self.bad_steps = 0
        self.steps = 0

    @property
    def stopped(self):
        """Whether the training is to end."""
        return self.bad_steps >= self.patience

    def step(self, value, model=None):
        """Take in an evaluation's value; returns whether to stop.

        Args: value (float, or a tensor of one element); model (Module): its weights are kept if they are the best,
        and become the best ones when the answer is True.
        """
        if self.restore_best and model is None:
            raise TypeError("step() needs the model, whose best weights are kept; or set restore_best=False")
        value = float(value)
        if self._improved(value):
            self.best = value
            self.best_step = self.steps
            self.bad_steps = 0
            if self.restore_best:
                self.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        else:
            self.bad_steps += 1
        self.steps += 1
        if self.stopped and self.restore_best and self.best_state is not None:
            self.restore(model)
        return self.stopped

    def _improved(self, value):
        if self.best is None:
            return value == value  # not NaN
        gain = self.best - value if self.mode == "min" else value - self.best
        return gain > self.min_delta

    def restore(self, model):
        """Put the best weights into the model; RuntimeError if none are kept."""
        if self.best_state is None:
            raise RuntimeError("there are no best weights: no step() with a model and restore_best=True improved")
        model.load_state_dict(self.best_state)

    def state_dict(self):
        """Return everything, the best weights too, for a checkpoint."""
        return dict(self.__dict__)

    def load_state_dict(self, state_dict):
        """Take over what state_dict() returned, the settings too; KeyError for what is none."""
        self.__dict__.update({name: state_dict[name] for name in self.__dict__})
