"""How a training run begins with another one's network: its weights, a new last layer, what is frozen."""
from minigrad import nn
from minigrad.recipes import transfer
from models.common import CommandError

ALL_BUT_HEAD = "all-but-head"


def head_of(model):
    """The name of a network's last linear layer, whose outputs are the classes."""
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise CommandError(f"{type(model).__name__} has no linear layer at its end to train anew")
    return names[-1]


def take_over(model, checkpoint):
    """Load a checkpoint's weights into a network of the same kind, all but those of the last layer, which stay random.

    Auxiliary classifiers stay random too where the number of classes differs.

    Raises:
        CommandError: if the weights are of another network, or of other sizes.
    """
    head = head_of(model)
    state, own = checkpoint.ema or checkpoint.model, model.state_dict()
    if set(state) != set(own):
        raise CommandError(f"--from {checkpoint.path}: not the weights of {type(model).__name__}")
    classes = state[f"{head}.weight"].shape[0], own[f"{head}.weight"].shape[0]
    taken = {}
    for name, value in state.items():
        if name.startswith(f"{head}."):
            continue
        if value.shape == own[name].shape:
            taken[name] = value
        elif (value.shape[0], own[name].shape[0]) != classes:
            raise CommandError(
                f"--from {checkpoint.path}: {name} is {tuple(value.shape)} there and {tuple(own[name].shape)} here; "
                "images of other sizes or colours, or another --option?"
            )
    model.load_state_dict(taken, strict=False)


def freeze(model, patterns):
    """Freeze what the patterns name, see minigrad.recipes.transfer.freeze, or all but the last layer.

    Raises:
        CommandError: for a pattern that nothing has, or if nothing is left to train.
    """
    try:
        for pattern in patterns:
            if pattern == ALL_BUT_HEAD:
                head = head_of(model)
                transfer.freeze(model)
                transfer.unfreeze(model, head)
            else:
                transfer.freeze(model, pattern)
    except ValueError as error:
        raise CommandError(f"--freeze: {error}") from error
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise CommandError(f"--freeze {' '.join(patterns)}: nothing is left to train")


def groups(model, head_lr=None):
    """A model's parameters for the optimizer; the last layer's with a learning rate of their own if one is given."""
    if head_lr is None:
        return list(model.parameters())
    return transfer.parameter_groups(model, {head_of(model): head_lr})
