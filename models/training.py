"""The pieces of a training loop, for the commands and for loops of one's own.

A whole run with them:

>>> import minigrad as mg
>>> from models.training import OPTIMIZERS, Schedule, evaluate, train_epoch
>>> _ = mg.manual_seed(0)
>>> images = mg.randn(64, 4)
>>> labels = (images[:, 0] > 0).long()
>>> batches = mg.utils.data.DataLoader(mg.utils.data.TensorDataset(images, labels), batch_size=16, shuffle=True)
>>> model = mg.nn.Linear(4, 2)
>>> optimizer = OPTIMIZERS["sgd"](model.parameters(), lr=0.5, momentum=0.9)
>>> schedule = Schedule("cosine", optimizer, epochs=5, steps_per_epoch=len(batches))
>>> for epoch in range(5):
...     loss = train_epoch(model, batches, optimizer, schedule)
...     scores = evaluate(model, batches)
...     schedule.epoch_done(scores.accuracy)
>>> scores.accuracy > 0.9
True
"""
import dataclasses
import functools
import math

import minigrad
from minigrad import nn, optim
from minigrad.nn.functional import cross_entropy
from minigrad.optim import lr_scheduler

OPTIMIZERS = {
    "sgd": optim.SGD,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
}
MOMENTUM = {"sgd": 0.9, "rmsprop": 0.0}  # the optimizers that have one, with the default used here

AUXILIARY_WEIGHT = 0.3  # of each auxiliary classifier in the loss (Szegedy et al. 2014, section 5)


# ---------------------------------------------------------------- learning rates
@dataclasses.dataclass(frozen=True)
class Plan:
    """What a schedule is planned for: optimizer, steps (batches) per epoch, epochs, and the schedules' own settings."""

    optimizer: object
    steps_per_epoch: int
    epochs: int  # those after the warm-up
    warmup: float = 0
    gamma: float = 0.1
    step_epochs: int | None = None
    milestones: tuple | None = None
    cycle: int | None = None
    patience: int = 5

    def steps(self, epochs):
        return round(epochs * self.steps_per_epoch)


def _constant(plan):
    return lr_scheduler.ConstantLR(plan.optimizer, factor=1.0, total_iters=0)


def _step(plan):
    every = plan.steps(plan.step_epochs) if plan.step_epochs else math.ceil(plan.steps(plan.epochs) / 3)
    return lr_scheduler.StepLR(plan.optimizer, max(1, every), gamma=plan.gamma)


def _multistep(plan):
    milestones = plan.milestones or [plan.warmup + plan.epochs * part for part in (1 / 2, 3 / 4)]
    steps = [plan.steps(epoch - plan.warmup) for epoch in milestones]
    if min(steps) <= 0:
        raise ValueError(f"milestone {min(milestones):g} lies in the warm-up of {plan.warmup} epochs")
    return lr_scheduler.MultiStepLR(plan.optimizer, steps, gamma=plan.gamma)


def _cosine(plan):
    return lr_scheduler.CosineAnnealingLR(plan.optimizer, max(1, plan.steps(plan.epochs)))


def _linear(plan):
    return lr_scheduler.LinearLR(plan.optimizer, 1.0, 0.0, max(1, plan.steps(plan.epochs)))


def _restarts(plan):
    period = plan.steps(plan.cycle) if plan.cycle else math.ceil(plan.steps(plan.epochs) / 3)
    return lr_scheduler.CosineAnnealingWarmRestarts(plan.optimizer, max(1, period))


def _onecycle(plan):
    groups = plan.optimizer.param_groups
    # It also lowers the momentum while the rate is high, of optimizers that have one.
    cycles = all("betas" in group or group.get("momentum") for group in groups)
    rates = [group["lr"] for group in groups]
    return lr_scheduler.OneCycleLR(plan.optimizer, rates, plan.steps(plan.epochs), cycle_momentum=cycles)


# Each makes a scheduler that is stepped after every batch; "plateau" is stepped after every epoch instead.
SCHEDULES = {
    "constant": _constant,
    "step": _step,
    "multistep": _multistep,
    "cosine": _cosine,
    "linear": _linear,
    "restarts": _restarts,
    "onecycle": _onecycle,
    "plateau": None,
}
# The shape of these depends on how many epochs the run has, unless the setting named here is given.
PLANNED_FOR_ITS_EPOCHS = {
    "step": "step_epochs",
    "multistep": "milestones",
    "restarts": "cycle",
    "cosine": None,
    "linear": None,
    "onecycle": None,
}


class Schedule:
    """The learning rate of a run: ``step()`` after every batch, ``epoch_done(accuracy)`` after every epoch.

    Args:
        name: one of SCHEDULES. constant; step: times gamma every step_epochs (a third of the run); multistep: times
            gamma at each of milestones (half and three quarters); cosine and linear: to 0 at the end; restarts: cosine
            to 0 in cycle epochs (a third of the run), again and again; onecycle: up and down (Smith 2018); plateau:
            times gamma when the accuracy given to epoch_done has not improved for more than patience epochs.
        optimizer: whose groups' learning rates are the schedule's highest.
        epochs, steps_per_epoch: of the run.
        warmup: epochs in which the rate first grows linearly from near 0; the schedule follows in the epochs left.
        gamma, step_epochs, milestones, cycle, patience: as above; milestones are epochs of the run, the lengths
            step_epochs and cycle are counted from the end of the warm-up.

    Raises:
        ValueError: for an unknown name, a warm-up as long as the run or with a milestone in it, or one before onecycle,
            which has its own.

    >>> import minigrad as mg
    >>> optimizer = mg.optim.SGD([mg.nn.Parameter(mg.ones(1))], lr=1.0)
    >>> schedule = Schedule("plateau", optimizer, epochs=9, steps_per_epoch=1, patience=0)
    >>> for accuracy in (0.5, 0.6, 0.6):
    ...     optimizer.step(); schedule.step(); schedule.epoch_done(accuracy)
    >>> schedule.rates()
    [0.1]
    """

    def __init__(self, name, optimizer, *, epochs, steps_per_epoch, warmup=0, **settings):
        if name not in SCHEDULES:
            raise ValueError(f"unknown schedule {name!r}; there are: {', '.join(SCHEDULES)}")
        if warmup and name == "onecycle":
            raise ValueError("the onecycle schedule has a warm-up of its own")
        if warmup >= epochs:
            raise ValueError(f"a warm-up of {warmup} epochs leaves nothing of {epochs}")
        self.optimizer = optimizer
        plan = Plan(optimizer, steps_per_epoch, epochs - warmup, warmup, **settings)
        self.per_batch, self.per_epoch = [], None
        warm = plan.steps(warmup)
        if warm:
            self.per_batch.append(lr_scheduler.LinearLR(optimizer, 1 / (warm + 1), 1.0, warm))
        if name == "plateau":
            self.per_epoch = lr_scheduler.ReduceLROnPlateau(
                optimizer, "max", factor=plan.gamma, patience=plan.patience, threshold=0.0
            )
        else:
            self.per_batch.append(SCHEDULES[name](plan))
        if len(self.per_batch) == 2:
            self.per_batch = [lr_scheduler.SequentialLR(optimizer, self.per_batch, milestones=[warm])]

    def step(self):
        for scheduler in self.per_batch:
            scheduler.step()

    def epoch_done(self, accuracy):
        if self.per_epoch is not None:
            self.per_epoch.step(accuracy)

    def rates(self):
        """The present learning rate of each of the optimizer's groups."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _schedulers(self):
        return [*self.per_batch, *([self.per_epoch] if self.per_epoch is not None else [])]

    def state_dict(self):
        return {"schedulers": [scheduler.state_dict() for scheduler in self._schedulers()]}

    def load_state_dict(self, state):
        for scheduler, saved in zip(self._schedulers(), state["schedulers"], strict=True):
            scheduler.load_state_dict(saved)


# ---------------------------------------------------------------- losses
def split_outputs(outputs):
    """What a network returned as (logits, list of auxiliary logits).

    A network may return in training a named tuple, whose first field is logits and the others auxiliary logits or None.
    """
    if isinstance(outputs, tuple):
        return outputs[0], [scores for scores in outputs[1:] if scores is not None]
    return outputs, []


def classification_loss(outputs, labels, *, label_smoothing=0.0, auxiliary_weight=AUXILIARY_WEIGHT):
    """Cross-entropy of a network's outputs, plus auxiliary_weight times that of each of its auxiliary classifiers.

    Args:
        outputs: logits (N, K), or the named tuple of a network with auxiliary classifiers.
        labels: N classes, or (N, K) probabilities, as mixup makes them.
        label_smoothing: the share of each label that is spread evenly over all classes.
    """
    logits, auxiliaries = split_outputs(outputs)
    loss = cross_entropy(logits, labels, label_smoothing=label_smoothing)
    for scores in auxiliaries:
        loss = loss + auxiliary_weight * cross_entropy(scores, labels, label_smoothing=label_smoothing)
    return loss


# ---------------------------------------------------------------- the loop
def train_epoch(
    model,
    batches,
    optimizer,
    schedule=None,
    *,
    device="cpu",
    loss_of=classification_loss,
    batch_transform=None,
    penalty=None,
    clip_norm=None,
    average=None,
    after_batch=None,
):
    """One pass over the training set; returns the mean loss per image as it was while training, without the penalty.

    Args:
        model, batches, optimizer, device: what is trained on which (images, labels), by what, and where.
        schedule: stepped after every batch: a Schedule, or a scheduler of minigrad.optim.lr_scheduler; None: no one.
        loss_of: (outputs, labels) → loss, a scalar; outputs is what the network returns in training mode.
        batch_transform: (images, labels) → (images, labels), as transforms.MixUp.
        penalty: without arguments → what is added to the loss, such as an L1 penalty.
        clip_norm: gradients whose norm together exceeds this are scaled down to it.
        average: a minigrad.optim.swa_utils.AveragedModel that takes in the parameters after every step.
        after_batch: called with (number of images so far, mean loss so far).
    """
    model.train()
    total, count = 0.0, 0
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        size = len(images)
        if batch_transform is not None:
            images, labels = batch_transform(images, labels)
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        objective = loss if penalty is None else loss + penalty()
        objective.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        if average is not None:
            average.update_parameters(model)
        total += loss.item() * size
        count += size
        if after_batch is not None:
            after_batch(count, total / count)
    return total / count


@dataclasses.dataclass(frozen=True)
class Scores:
    """Of a whole set: the mean loss per image, and the predicted and true classes (lists of int)."""

    loss: float
    predicted: list
    actual: list

    @functools.cached_property
    def accuracy(self):
        return accuracy(self.predicted, self.actual)


@minigrad.no_grad()
def evaluate(model, batches, *, device="cpu", loss_of=classification_loss, after_batch=None):
    """Test a network on the batches of a whole set; returns its Scores.

    Args:
        model, batches, device: what is tested on which (images, labels), and where.
        loss_of: (outputs, labels) → loss, a scalar; outputs is what the network returns in evaluation mode.
        after_batch: called with the number of images so far.
    """
    model.eval()
    total, predicted, actual = 0.0, [], []
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        outputs = model(images)
        total += loss_of(outputs, labels).item() * len(labels)
        predicted += split_outputs(outputs)[0].argmax(1).tolist()
        actual += labels.tolist()
        if after_batch is not None:
            after_batch(len(actual))
    return Scores(total / len(actual), predicted, actual)


def accuracy(predicted, actual):
    """The fraction of the predicted classes that are the actual ones."""
    return sum(guess == truth for guess, truth in zip(predicted, actual)) / len(actual)
