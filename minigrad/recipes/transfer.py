"""Transfer: train parts of a network that was trained on something else, with a new last layer."""

from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.nn.normalization import _NormBase
from minigrad.nn.parameter import is_lazy
from minigrad.nn.utils.penalties import matching

__all__ = ["freeze", "freeze_batch_norm", "parameter_groups", "replace_head", "unfreeze"]


# ---------------------------------------------------------------------- which part
def _own(name, part):
    """The dotted names of a module's own parameters."""
    return [_dotted(name, key) for key, value in part._parameters.items() if value is not None]


def _statistics(name, part):
    """The dotted names of a norm layer's running statistics; none for other modules."""
    tracked = isinstance(part, _NormBase) and part.track_running_stats
    return [_dotted(name, "running_mean"), _dotted(name, "running_var")] if tracked else []


def _dotted(name, key):
    return f"{name}.{key}" if name else key


def _has_state(part):
    """Whether a module has parameters or buffers of its own."""
    return any(value is not None for value in (*part._parameters.values(), *part._buffers.values()))


def _chosen(module, names, depth):
    """Return the set of dotted names of the modules, parameters and running statistics that were chosen."""
    if not isinstance(module, Module):
        raise TypeError(f"a Module is needed, not {type(module).__name__}")
    if names is not None and depth is not None:
        raise ValueError("give names or depth, not both")
    parts = dict(module.named_modules(remove_duplicate=False))
    if depth is not None:
        layers = [name for name, part in parts.items() if _has_state(part)]
        if abs(depth) > len(layers):
            raise ValueError(f"depth is {depth}, but the module has {len(layers)} layers")
        chosen = layers[:depth]
        return {*chosen, *(own for name in chosen for own in _own(name, parts[name]))}
    known = set(parts)
    for name, part in parts.items():
        known.update(_own(name, part), _statistics(name, part))
    if names is None:
        return known
    chosen = set()
    for pattern in [names] if isinstance(names, str) else names:
        found = matching(known, pattern)
        if not found:
            children = ", ".join(name for name, _ in module.named_children()) or "none"
            raise ValueError(f"no module or parameter is called '{pattern}'; the module's parts are: {children}")
        chosen |= found
    return chosen


# ---------------------------------------------------------------------- freezing
def _use_running_statistics(module, inputs):
    """Forward pre-hook of a frozen norm layer: it stays in evaluation mode, whatever train() said."""
    module.training = False


def _freeze_statistics(layer):
    """Keep a norm layer in evaluation mode; returns whether it was not kept so before."""
    layer.training = False
    if _use_running_statistics in layer._forward_pre_hooks.values():
        return False
    layer.register_forward_pre_hook(_use_running_statistics)
    return True


def _unfreeze_statistics(layer, training):
    """Give a norm layer its mode back; returns whether it was frozen."""
    keys = [key for key, hook in layer._forward_pre_hooks.items() if hook is _use_running_statistics]
    for key in keys:
        del layer._forward_pre_hooks[key]
        layer.training = training
    return bool(keys)


def _norms(module):
    """Yield (layer, names of its parameters, names of its statistics, its name) of norms with running statistics."""
    for name, part in module.named_modules(remove_duplicate=False):
        if _statistics(name, part):
            yield part, _own(name, part), _statistics(name, part), name


def freeze(module, names=None, *, depth=None, statistics=True):
    """Freeze parameters: no gradient is computed for them and no optimizer moves them, until unfreeze.

    ``requires_grad`` becomes False and ``grad`` None, which every optimizer skips (momentum and weight decay included),
    whether it was made before or after; only LBFGS, which sees all parameters as one vector, is to be made anew.

    A batch norm whose parameters are frozen would still move its running statistics while training, and normalise by
    the batch's: the frozen layers after it would see other activations than they were trained for. Hence it is frozen
    as a whole: it stays in evaluation mode through train(), which a forward pre-hook sees to. (update_bn of
    optim.swa_utils resets all statistics and cannot compute frozen ones anew: unfreeze before.)

    Args:
        module (Module): the network.
        names (str or iterable of str, optional): names or shell patterns of modules or parameters ("features",
            "layer1.*", "*.bias"; ``*`` spans dots); a module stands for all within. All unless names or depth is given.
        depth (int, optional): the first so many layers, counted in order of registration: modules with parameters or
            buffers of their own. Negative: all but the last so many; -1 leaves the head.
        statistics (bool): False lets the running statistics of frozen batch norms move.

    Returns the names of the parameters and running statistics that this call froze; unfreeze(module, those) undoes it,
    whatever was frozen before.
    Raises ValueError for a name that nothing has, a depth beyond the layers, or both given.
    Source: Yosinski et al. 2014, How transferable are features in deep neural networks?

    >>> import minigrad as mg
    >>> from minigrad.recipes import freeze
    >>> model = mg.nn.Sequential(mg.nn.Conv2d(1, 4, 3), mg.nn.BatchNorm2d(4), mg.nn.Flatten(), mg.nn.Linear(4, 2))
    >>> freeze(model, depth=-1)
    ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var']
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['3.weight', '3.bias']
    """
    chosen = _chosen(module, names, depth)
    frozen = []
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if name in chosen and parameter.requires_grad:
            parameter.requires_grad_(False)
            parameter.grad = None
            frozen.append(name)
    for layer, own, running, name in _norms(module) if statistics else ():
        whole = own and chosen.issuperset(own)
        if (whole or chosen.intersection((name, *running))) and _freeze_statistics(layer):
            frozen += running
    return frozen


def freeze_batch_norm(module):
    """Freeze all batch norms of a network, weights and running statistics; the rest trains on.

    For fine-tuning with batches too small for statistics of their own. Returns the names of what is frozen; unfreeze
    undoes it. A network without batch norm is left as it is.

    >>> import minigrad as mg
    >>> from minigrad.recipes import freeze_batch_norm
    >>> model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.BatchNorm1d(3)).train()
    >>> freeze_batch_norm(model)
    ['1.weight', '1.bias', '1.running_mean', '1.running_var']
    >>> _ = model(mg.randn(8, 2))
    >>> model[1].running_mean
    tensor([0., 0., 0.])
    """
    frozen = []
    for name, part in module.named_modules():
        if isinstance(part, _NormBase):
            frozen += [_dotted(name, own) for own in freeze(part)]
    return frozen


def unfreeze(module, names=None, *, depth=None):
    """Let parameters train again, and the norm layers among them use and move their statistics.

    Args: as freeze's; names may be what freeze returned. Returns the names that this call unfroze. Parameters of
    integers stay. Raises what freeze raises.

    >>> import minigrad as mg
    >>> from minigrad.recipes import freeze, unfreeze
    >>> model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.Linear(3, 1))
    >>> frozen = freeze(model)
    >>> unfreeze(model, "1")
    ['1.weight', '1.bias']
    """
    chosen = _chosen(module, names, depth)
    unfrozen = []
    for name, parameter in module.named_parameters(remove_duplicate=False):
        floats = parameter.is_floating_point() or parameter.is_complex()
        if name in chosen and floats and not parameter.requires_grad:
            parameter.requires_grad_(True)
            unfrozen.append(name)
    for layer, own, running, name in _norms(module):
        if chosen.intersection((name, *own, *running)) and _unfreeze_statistics(layer, module.training):
            unfrozen += running
    return unfrozen


# ---------------------------------------------------------------------- the head
def replace_head(model, num_classes, name=None):
    """Put a new linear layer with num_classes outputs, freshly initialised, in the place of a network's last one.

    Args:
        model (Module): changed in place.
        num_classes (int): outputs of the new layer.
        name (str, optional): the dotted name of the linear layer; else the last one registered. Auxiliary heads, as
            GoogLeNet's, are replaced by their names.

    Returns the new layer, with the inputs, bias, dtype, device and mode of the old one; its parameters train even if
    the old one's were frozen. An optimizer made before does not know them. Raises ValueError if there is no linear
    layer, or if the model itself is one, AttributeError for a name that does not exist, TypeError for a name of
    something else.

    >>> import minigrad as mg
    >>> from minigrad.recipes import replace_head
    >>> model = mg.nn.Sequential(mg.nn.Linear(8, 4), mg.nn.ReLU(), mg.nn.Linear(4, 1000))
    >>> replace_head(model, 10)
    Linear(in_features=4, out_features=10, bias=True)
    >>> model(mg.zeros(1, 8)).shape
    minigrad.Size([1, 10])
    """
    if name is None:
        linear = [key for key, part in model.named_modules() if isinstance(part, Linear)]
        if not linear:
            raise ValueError(f"{type(model).__name__} has no linear layer to replace; set its head by hand")
        name = linear[-1]
    old = model.get_submodule(name)
    if not isinstance(old, Linear):
        raise TypeError(f"'{name}' is a {type(old).__name__}, not a linear layer; set it by hand")
    if name == "":
        raise ValueError("the model is itself the linear layer; make a new one instead")
    if is_lazy(old.weight):
        raise ValueError(f"'{name}' does not know its inputs yet: run the model once before")
    weight = old.weight
    new = Linear(old.in_features, num_classes, old.bias is not None, device=weight.device, dtype=weight.dtype)
    model.set_submodule(name, new.train(old.training))
    return new


# ---------------------------------------------------------------------- learning rates
def parameter_groups(model, rates=None, *, lr=None, layer_decay=None):
    """Return parameter groups with learning rates of their own, for any optimizer.

    Every parameter is in exactly one group, frozen ones too (they wait, unmoved, to be unfrozen). Give rates or
    layer_decay. A group is {"params": […], "lr": rate, "name": …}.

    Args:
        model (Module): the network.
        rates (dict): name or pattern of modules or parameters (as freeze's) → learning rate; the first that matches
            decides. Groups are named by the patterns; what none matches forms a last group "rest".
        lr (float, optional): with rates that of the rest (the optimizer's own unless given); with layer_decay, where it
            is needed, that of the last layer.
        layer_decay (float): each layer learns at layer_decay times the rate of the next one. Groups are named by the
            layers, in order of registration: modules with parameters of their own.

    Raises ValueError for a name that nothing has, both or neither given, no lr for layer_decay, a negative rate,
    or a pattern for which no parameters are left.
    Source: Howard and Ruder 2018, Universal language model fine-tuning (discriminative fine-tuning).

    >>> import minigrad as mg
    >>> from minigrad.recipes import parameter_groups
    >>> model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.Linear(3, 3), mg.nn.Linear(3, 1))
    >>> optimizer = mg.optim.SGD(parameter_groups(model, {"2": 0.1, "*.bias": 0.02}), lr=0.01)
    >>> [(group["name"], group["lr"], len(group["params"])) for group in optimizer.param_groups]
    [('2', 0.1, 2), ('*.bias', 0.02, 2), ('rest', 0.01, 2)]
    >>> [(group["name"], group["lr"]) for group in parameter_groups(model, lr=1.0, layer_decay=0.5)]
    [('0', 0.25), ('1', 0.5), ('2', 1.0)]
    """
    if (rates is None) == (layer_decay is None):
        raise ValueError("give rates or layer_decay, one of them")
    groups = _by_pattern(model, rates, lr) if layer_decay is None else _by_layer(model, lr, layer_decay)
    for group in groups:
        if not group.get("lr", 0) >= 0:
            raise ValueError(f"the learning rate of '{group['name']}' is negative: {group['lr']}")
    return groups


def _by_pattern(model, rates, lr):
    chosen = {pattern: _chosen(model, pattern, None) for pattern in rates}
    groups = {pattern: {"params": [], "lr": rate, "name": pattern} for pattern, rate in rates.items()}
    rest = {"params": [], "name": "rest"} if lr is None else {"params": [], "lr": lr, "name": "rest"}
    for name, parameter in model.named_parameters():
        group = next((groups[pattern] for pattern in rates if name in chosen[pattern]), rest)
        group["params"].append(parameter)
    for pattern, group in groups.items():
        if not group["params"]:
            raise ValueError(f"no parameters are left for '{pattern}': it has none, or patterns before it took them")
    return [*groups.values(), rest] if rest["params"] else [*groups.values()]


def _by_layer(model, lr, layer_decay):
    if lr is None:
        raise ValueError("layer_decay needs lr, the learning rate of the last layer")
    if not layer_decay > 0:
        raise ValueError(f"layer_decay must be positive, but is {layer_decay}")
    layers = {}
    for name, parameter in model.named_parameters():
        layers.setdefault(name.rpartition(".")[0], []).append(parameter)
    return [
        {"params": parameters, "lr": lr * layer_decay ** (len(layers) - 1 - place), "name": layer}
        for place, (layer, parameters) in enumerate(layers.items())
    ]
