"""Small programs on modules, run once with PyTorch and once with minigrad: what they return has to be the same."""

import copy
import pickle
import warnings
from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402


def error(call, *args, **kwargs):
    """The class and the text of the exception of a call, with the packages' names made the same."""
    try:
        call(*args, **kwargs)
    except Exception as raised:  # the exception is the result
        return type(raised).__name__, str(raised).replace("torch", "minigrad")
    return None


def tensor(t, *shape, seed=0, requires_grad=False):
    array = np.random.default_rng(seed).standard_normal(shape).astype("float32")
    return t.from_numpy(array).requires_grad_(requires_grad)


def fill(t, model):
    """Give every parameter values that do not depend on the framework's random numbers."""
    for position, parameter in enumerate(model.parameters()):
        with t.no_grad():
            parameter.copy_(tensor(t, *parameter.shape, seed=position))
    return model


def network(t):
    nn = t.nn
    return fill(t, nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)))


# ---------------------------------------------------------------------- programs
def registration(t):
    nn = t.nn
    layer = nn.Module()
    layer.weight = nn.Parameter(t.ones(2))
    layer.inner = nn.Linear(2, 1)
    layer.register_buffer("steps", t.zeros(1))
    layer.register_buffer("scratch", t.zeros(1), persistent=False)
    layer.plain = 3
    layer.nothing = None
    layer.register_parameter("absent", None)
    results = [
        list(layer.state_dict()),
        [n for n, _ in layer.named_parameters()],
        [n for n, _ in layer.named_buffers()],
    ]
    layer.inner.weight = None
    layer.steps = t.ones(1)
    layer.later = layer.weight
    del layer.scratch
    results += [list(layer.state_dict()), [n for n, _ in layer.named_parameters(remove_duplicate=False)]]
    layer.plain = nn.ReLU()
    layer.weight = None
    results += [[n for n, _ in layer.named_children()], layer.weight is None, "plain" in dir(layer)]
    return results


def registration_errors(t):
    nn = t.nn
    layer = nn.Linear(2, 2)

    class Unfinished(nn.Module):
        def __init__(self, what):
            self.part = what

    return [
        error(setattr, layer, "weight", t.ones(2, 2))[0],
        error(layer.register_parameter, "a.b", None),
        error(layer.register_parameter, "", None),
        error(layer.register_parameter, "bias", t.ones(2))[0],
        error(layer.register_parameter, "in_features", nn.Parameter(t.ones(1))),
        error(layer.register_buffer, "forward", t.ones(1)),
        error(layer.register_buffer, "x", 3)[0],
        error(layer.add_module, "x", 3),
        error(layer.add_module, "a.b", None),
        error(layer.add_module, "weight", nn.ReLU()),
        error(lambda: layer.missing),
        error(lambda: delattr(layer, "missing"))[0],
        error(nn.Module(), t.ones(1)),
        error(nn.Module, 3)[0],
        error(nn.Module, x=3)[0],
        error(layer.train, "yes"),
        error(layer.to, t.int64),
        error(Unfinished, nn.Parameter(t.ones(1)))[0],
        error(Unfinished, nn.ReLU())[0],
        error(layer.get_submodule, "a.b"),
        error(layer.get_parameter, "in_features"),
        error(layer.get_buffer, "weight"),
        error(layer.load_state_dict, 3)[0],
    ]


def load_errors(t):
    model = network(t)
    state = OrderedDict(model.state_dict())
    wrong = OrderedDict(state)
    del wrong["0.bias"]
    wrong["extra.weight"] = t.ones(1)
    wrong["3.unknown"] = t.ones(1)
    wrong["3.weight"] = t.ones(5, 5)
    wrong["1.running_mean"] = [1, 2]
    results = [
        error(model.load_state_dict, wrong)[1].replace("minigrad.Tensor", "Tensor").replace("minigradTensor", "")
    ]
    del wrong["3.weight"], wrong["1.running_mean"]
    found = model.load_state_dict(wrong, strict=False)
    return [*results, found.missing_keys, found.unexpected_keys, repr(model.load_state_dict(state))]


def partial_load(t):
    """What fits is loaded even when the load fails."""
    source, target = network(t), network(t)
    with t.no_grad():
        for parameter in target.parameters():
            parameter.zero_()
    state = source.state_dict()
    state["3.weight"] = t.ones(7)
    failed = error(target.load_state_dict, state)[0]
    return [failed, target[0].weight, target[3].weight, target[3].bias]


def assigned_load(t):
    model = network(t)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model[0].weight.requires_grad_(False)
    model.load_state_dict(state, assign=True)
    return [
        model[0].weight.requires_grad,
        model[3].weight.requires_grad,
        type(model[0].weight).__name__,
        model[1].running_mean is state["1.running_mean"],
    ]


def state_dict_details(t):
    model = network(t)
    state = model.state_dict(prefix="net.")
    kept = model.state_dict(keep_vars=True)
    order = []
    model.register_state_dict_post_hook(lambda module, state, prefix, metadata: order.append(prefix) or None)
    model[0].register_state_dict_pre_hook(lambda module, prefix, keep_vars: order.append((prefix, keep_vars)))
    model._register_state_dict_hook(lambda module, state, prefix, metadata: {"only": 1})
    replaced = model.state_dict()
    return [
        list(state),
        state._metadata,
        [v.requires_grad for v in state.values()],
        [v.requires_grad for v in kept.values()],
        order,
        replaced,
    ]


def load_hooks(t):
    model = network(t)
    seen = []

    def before(module, state, prefix, metadata, strict, missing, unexpected, errors):
        seen.append((type(module).__name__, prefix, sorted(state), metadata.get("version")))
        state[prefix + "weight"] = state.pop(prefix + "old_weight", state.get(prefix + "weight"))

    def after(module, keys):
        seen.append((type(module).__name__, list(keys.missing_keys)))
        keys.missing_keys.clear()

    state = model.state_dict()
    state["0.old_weight"] = state.pop("0.weight")
    del state["3.bias"]
    model[0].register_load_state_dict_pre_hook(before)
    handle = model[3].register_load_state_dict_post_hook(after)
    result = model.load_state_dict(state)
    handle.remove()
    return [seen, repr(result), error(model.load_state_dict, state)[0]]


def extra_state(t):
    class Counter(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    model = t.nn.Sequential(Counter(), t.nn.ReLU())
    model[0].count = 5
    state = model.state_dict()
    other = t.nn.Sequential(Counter(), t.nn.ReLU())
    other.load_state_dict(state)
    return [
        list(state),
        other[0].count,
        error(t.nn.Sequential(t.nn.ReLU()).load_state_dict, state),
        error(other.load_state_dict, {}),
    ]


def forward_hooks(t):
    nn = t.nn
    order = []
    layer = nn.Identity()

    class Keyword(nn.Module):
        def forward(self, x, scale=1):
            order.append(("forward", scale))
            return x * scale

    layer = Keyword()
    layer.register_forward_pre_hook(lambda m, args: order.append("pre"))
    layer.register_forward_pre_hook(lambda m, args: order.append("first") or (args[0] + 1,), prepend=True)
    layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"scale": kwargs["scale"] * 2}), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, kwargs, out: order.append(kwargs), with_kwargs=True)
    handle = layer.register_forward_hook(lambda m, args, out: out * 10)
    results = [layer(t.ones(2), scale=3)]
    handle.remove()
    results += [layer(t.ones(2), scale=3), list(order)]
    with layer.register_forward_hook(lambda m, args, out: out - 1):
        results.append(layer(t.ones(1), scale=1))
    results.append(layer(t.ones(1), scale=1))
    bad = nn.Identity()
    bad.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    return [*results, error(bad, t.ones(1))]


def always_called_hooks(t):
    seen = []

    class Failing(t.nn.Module):
        def forward(self, x):
            raise ValueError("no")

    layer = Failing()
    layer.register_forward_hook(lambda m, args, out: seen.append("never"))
    layer.register_forward_hook(lambda m, args, out: seen.append(("always", out)), always_call=True)
    return [error(layer, t.ones(1)), seen]


def backward_hooks(t):
    model = network(t).double()
    seen = []

    def describe(gradients):
        return tuple(None if g is None else g.clone() for g in gradients)

    model[3].register_full_backward_hook(lambda m, gi, go: seen.append((describe(gi), describe(go))))
    model[3].register_full_backward_pre_hook(lambda m, go: (go[0] * 3,))
    model[0].register_full_backward_hook(lambda m, gi, go: seen.append((describe(gi), describe(go))))
    x = tensor(t, 5, 3).double().requires_grad_()
    model(x).pow(2).sum().backward()
    results = [x.grad.clone(), *[p.grad for p in model.parameters()]]
    x.grad = None
    model[0].register_full_backward_hook(lambda m, gi, go: None if gi[0] is None else (gi[0] * 100,))
    model(x).pow(2).sum().backward()
    untracked = tensor(t, 5, 3).double()
    model(untracked).pow(2).sum().backward()
    return [*results, x.grad, seen, error(model[3].register_backward_hook, print)[0]]


def backward_hook_errors(t):
    layer = t.nn.Linear(2, 2)
    handle = layer.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    x = tensor(t, 1, 2, requires_grad=True)
    results = [error(layer(x).sum().backward)]
    handle.remove()
    layer.register_full_backward_pre_hook(lambda m, go: ())
    return [*results, error(layer(x).sum().backward)]


def modes(t):
    model = network(t)
    model.eval()
    evaluated = [m.training for m in model.modules()]
    model[1].train()
    mixed = [m.training for m in model.modules()]
    model.requires_grad_(False)
    frozen = [p.requires_grad for p in model.parameters()]
    return [evaluated, mixed, frozen, model.train() is model]


def zeroing(t):
    model = network(t)
    model(tensor(t, 4, 3)).sum().backward()
    gradient = model[0].weight.grad
    model.zero_grad(set_to_none=False)
    kept = model[0].weight.grad is gradient
    zero = gradient.clone()
    model.zero_grad()
    return [kept, zero, model[0].weight.grad is None]


def conversion(t):
    model = network(t)
    weight = model[0].weight
    model(tensor(t, 4, 3)).sum().backward()
    model.double()
    results = [model[0].weight is weight, weight.dtype, weight.grad.dtype, model[1].running_mean.dtype]
    results.append(model[1].num_batches_tracked.dtype)
    model.to(t.float16)
    results.append(weight.dtype)
    model.to("cpu", t.float32, non_blocking=True)
    results.append(weight.dtype)
    model.to(t.ones(1, dtype=t.float64))
    results.append(weight.dtype)
    model.to(device=t.device("cpu"), dtype=t.float32)
    model.float()
    model.type(t.float64)
    results += [weight.dtype, model[1].num_batches_tracked.dtype, model.cpu() is model]
    return [str(r).replace("torch", "minigrad") for r in results]


def copies(t):
    model = network(t)
    model.eval()
    twin = copy.deepcopy(model)
    with t.no_grad():
        twin[0].weight.zero_()
    tied = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    tied_twin = copy.deepcopy(tied)
    restored = pickle.loads(pickle.dumps(model))
    return [
        model[0].weight,
        twin[0].weight,
        restored[0].weight,
        restored.training,
        repr(restored),
        tied_twin[0].weight is tied_twin[1].weight,
        len(list(tied.parameters())),
        len(tied.state_dict()),
    ]


def walking(t):
    nn = t.nn
    shared = nn.ReLU()
    model = nn.Sequential(OrderedDict(a=nn.Linear(1, 1), b=nn.Sequential(shared, shared), c=shared))
    return [
        [n for n, _ in model.named_modules()],
        [n for n, _ in model.named_modules(remove_duplicate=False)],
        [n for n, _ in model.named_modules(prefix="p")],
        [n for n, _ in model.named_children()],
        [n for n, _ in model.named_parameters(prefix="q", recurse=True)],
        [n for n, _ in model.named_parameters(recurse=False)],
        len(list(model.modules())),
        model.get_submodule("b.1") is shared,
        model.get_parameter("a.weight") is model.a.weight,
    ]


def reprs(t):
    nn = t.nn

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(1, 2), nn.Linear(1, 2), nn.ReLU(), nn.Linear(1, 2)])
            self.choices = nn.ModuleDict({"x": nn.Sequential(nn.ReLU(), nn.Tanh()), "y": nn.Identity()})
            self.empty = nn.ModuleList()

        def extra_repr(self):
            return "size=3\nkind=outer"

    lists = [nn.ParameterList([t.ones(2), t.ones(2, 3)]), nn.ParameterDict({"b": t.ones(1), "a": t.ones(())})]
    return [repr(part).replace("torch", "minigrad") for part in (Outer(), nn.Sequential(), nn.ModuleDict(), *lists)]


def sequential(t):
    nn = t.nn
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Tanh())
    model.append(nn.Sigmoid()).insert(1, nn.ELU())
    model.extend([nn.GELU()])
    del model[0]
    model[0] = nn.SELU()
    popped = model.pop(-1)
    model += nn.Sequential(nn.Mish())
    both = model + nn.Sequential(nn.SiLU())
    return [
        repr(model),
        repr(popped),
        repr(model[1:3]),
        repr(both),
        repr(nn.Sequential(nn.ReLU()) * 2),
        len(model),
        error(lambda: model[9]),
        error(model.append, 3)[0],
        error(model.insert, 99, nn.ReLU()),
        error(lambda: model + 3)[0],
        repr(nn.Sequential(OrderedDict(first=nn.ReLU(), second=nn.Tanh()))[:1]),
    ]


def module_list(t):
    nn = t.nn
    layers = nn.ModuleList([nn.ReLU()])
    layers.append(nn.Tanh())
    layers.extend([nn.ELU(), nn.SELU()])
    layers.insert(0, nn.GELU())
    layers += [nn.Mish()]
    layers[-1] = nn.SiLU()
    popped = layers.pop(1)
    del layers[0:1]
    return [
        repr(layers),
        repr(popped),
        repr(layers[::2]),
        len(layers),
        repr(layers + [nn.ReLU()]),
        error(lambda: layers[7]),
        error(layers.extend, 3)[0],
        error(layers.append, 3)[0],
        error(layers, 1)[0],
        list(layers._modules),
    ]


def dictionaries(t):
    nn = t.nn
    modules = nn.ModuleDict([("a", nn.ReLU())])
    modules.update({"b": nn.Tanh()})
    modules["c"] = nn.ELU()
    popped = modules.pop("a")
    parameters = nn.ParameterDict({"x": t.ones(2)})
    parameters.update({"y": nn.Parameter(t.zeros(1))})
    merged = parameters | nn.ParameterDict({"z": t.ones(1)})
    return [
        list(modules),
        repr(popped),
        "b" in modules,
        len(modules),
        [k for k, _ in modules.items()],
        error(modules.update, 3)[0],
        list(parameters),
        list(parameters.state_dict()),
        list(merged),
        parameters.get("none", 5),
        parameters.popitem()[0],
        parameters.setdefault("w", t.ones(3)),
        error(parameters.__getitem__, "none")[0],
        error(modules.update, [(1,)])[0],
        error(parameters.__setitem__, 3, t.ones(1))[0],
        [k for k, _ in nn.ParameterList([t.ones(1), 5]).named_parameters()],
    ]


def lazy(t):
    layer = t.nn.LazyLinear(3)
    results = [
        repr(layer),
        list(layer.state_dict()),
        layer.has_uninitialized_params(),
        error(lambda: layer.weight.shape)[0],
    ]
    copied = copy.deepcopy(layer)
    layer(t.ones(2, 5))
    results += [repr(layer), tuple(layer.weight.shape), tuple(copied(t.ones(1, 7)).shape)]
    loaded = t.nn.LazyLinear(3)
    loaded.load_state_dict(layer.state_dict())
    results += [tuple(loaded.weight.shape), isinstance(loaded.weight, t.nn.UninitializedParameter)]
    loaded(t.ones(2, 5))
    return [*results, repr(loaded), [n for n, _ in t.nn.LazyBatchNorm2d().named_buffers()]]


def running_statistics(t):
    nn = t.nn
    results = []
    for momentum in (0.1, None):
        layer = nn.BatchNorm2d(3, momentum=momentum)
        for seed in range(3):
            results.append(layer(tensor(t, 4, 3, 2, 2, seed=seed)))
        layer.eval()
        results += [layer(tensor(t, 4, 3, 2, 2)), *layer.buffers()]
    plain = nn.BatchNorm1d(3, track_running_stats=False, affine=False)
    plain.eval()
    results += [plain(tensor(t, 4, 3)), list(plain.state_dict())]
    instance = nn.InstanceNorm1d(3, track_running_stats=True, affine=True)
    results += [instance(tensor(t, 4, 3, 5)), *instance.buffers()]
    results += [instance.eval()(tensor(t, 4, 3, 5))]
    return results


def norm_errors(t):
    nn = t.nn
    return [
        error(nn.BatchNorm1d(3), t.ones(1, 3)),
        error(nn.BatchNorm1d(3), t.ones(1, 3, 2, 2)),
        error(nn.BatchNorm2d(3), t.ones(4, 3)),
        error(nn.BatchNorm2d(3), t.ones(2, 4, 2, 2)),
        error(nn.InstanceNorm2d(3), t.ones(1, 3, 1, 1)),
        error(nn.GroupNorm, 3, 4),
        error(nn.GroupNorm(2, 4), t.ones(2, 6))[0],
        error(nn.LayerNorm(4), t.ones(2, 3)),
        error(nn.Dropout, 1.5),
    ]


def loss_errors(t):
    nn, f = t.nn, t.nn.functional
    scores = t.ones(3, 5)
    return [
        error(f.cross_entropy, scores, t.tensor([0, 5, 1])),
        error(f.cross_entropy, scores, t.tensor([0, 1, 1, 2])),
        error(f.cross_entropy, scores, t.tensor([0, -1, 1])),
        error(f.nll_loss, scores, t.tensor([0, 5, 1])),
        error(f.cross_entropy, scores, t.tensor([0, 1, 1]), label_smoothing=2.0),
        error(f.cross_entropy, scores, t.tensor([0, 1, 1]), weight=t.ones(4)),
        error(f.mse_loss, t.ones(3), t.ones(2))[0],
        error(f.binary_cross_entropy, t.ones(3), t.ones(2))[0],
        error(f.binary_cross_entropy, t.ones(3) * 2, t.ones(3))[0],
        error(f.binary_cross_entropy_with_logits, t.ones(3), t.ones(2)),
        error(f.mse_loss, t.ones(3), t.ones(3), reduction="average"),
        error(nn.MultiMarginLoss, p=3),
        error(nn.TripletMarginLoss, margin=-1.0)[0],
        error(f.linear, t.ones(2, 3), t.ones(4, 5))[0],
        error(f.embedding, t.tensor([5]), t.ones(3, 2))[0],
        error(f.one_hot, t.tensor([5]), 3),
    ]


def legacy_losses(t):
    nn = t.nn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        losses = [
            nn.MSELoss(size_average=False),
            nn.L1Loss(reduce=False),
            nn.CrossEntropyLoss(size_average=True),
            nn.NLLLoss(reduce=False, size_average=False),
            nn.KLDivLoss(size_average=False),
            nn.BCELoss(size_average=True),
        ]
    return [loss.reduction for loss in losses]


def broadcast_loss_warns(t):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = t.nn.functional.mse_loss(t.ones(3, 1), t.zeros(3))
    return [value, [w.category.__name__ for w in caught], "size" in str(caught[0].message)]


def embeddings(t):
    nn = t.nn
    layer = fill(t, nn.Embedding(5, 2, padding_idx=-1, max_norm=1.0))
    out = layer(t.tensor([[0, 4], [4, 1]]))
    out.sum().backward()
    frequent = fill(t, nn.Embedding(4, 2, scale_grad_by_freq=True))
    frequent(t.tensor([1, 1, 2])).sum().backward()
    frozen = nn.Embedding.from_pretrained(t.ones(3, 2))
    bag = fill(t, nn.EmbeddingBag(6, 2, mode="sum", include_last_offset=True, padding_idx=0))
    bagged = bag(t.tensor([1, 2, 0, 5, 5]), t.tensor([0, 2, 2, 5]), per_sample_weights=tensor(t, 5))
    bagged.pow(2).sum().backward()
    return [
        out,
        layer.weight,
        layer.weight.grad,
        frequent.weight.grad,
        frozen.weight.requires_grad,
        repr(layer),
        repr(bag),
        bagged,
        bag.weight.grad,
    ]


def clipping(t):
    utils = t.nn.utils
    model = network(t)
    model(tensor(t, 4, 3)).pow(2).sum().backward()
    results = [utils.clip_grad_norm_(model.parameters(), 1.0), *[p.grad.clone() for p in model.parameters()]]
    results.append(utils.clip_grad_norm_(model.parameters(), 0.5, norm_type=float("inf")))
    results.append(utils.clip_grad_norm_(model[0].weight, 0.1, norm_type=1))
    utils.clip_grad_value_(model.parameters(), 0.05)
    results += [p.grad.clone() for p in model.parameters()]
    results.append(utils.get_total_norm([p.grad for p in model.parameters()], 3.0))
    results.append(utils.clip_grad_norm_([], 1.0))
    model[0].weight.grad[0, 0] = float("nan")
    results.append(error(utils.clip_grad_norm_, model.parameters(), 1.0, error_if_nonfinite=True))
    vector = utils.parameters_to_vector(model.parameters())
    utils.vector_to_parameters(t.arange(float(vector.numel())), model.parameters())
    return [*results, vector, model[3].weight]


def weight_normalised(t):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = t.nn.utils.weight_norm(fill(t, t.nn.Linear(3, 2)))
    x = tensor(t, 4, 3)
    layer(x).pow(2).sum().backward()
    gradients = [layer.weight_g.grad, layer.weight_v.grad]
    names = list(layer.state_dict())
    out = layer(x)
    t.nn.utils.remove_weight_norm(layer)
    return [*gradients, names, out, layer(x), list(layer.state_dict()), error(t.nn.utils.remove_weight_norm, layer)]


def parametrised(t):
    parametrize = t.nn.utils.parametrize

    class Symmetric(t.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

    class Exponential(t.nn.Module):
        def forward(self, x):
            return x.exp()

        def right_inverse(self, x):
            return x.log()

    layer = fill(t, t.nn.Linear(3, 3))
    parametrize.register_parametrization(layer, "weight", Symmetric())
    layer(tensor(t, 2, 3)).sum().backward()
    gradient = layer.parametrizations.weight.original.grad
    positive = parametrize.register_parametrization(fill(t, t.nn.Linear(2, 2)), "bias", Exponential(), unsafe=True)
    positive.bias = t.tensor([1.0, 2.0])
    names = list(layer.state_dict())
    text = repr(layer)
    with parametrize.cached():
        same = layer.weight is layer.weight
    parametrize.remove_parametrizations(layer, "weight")
    return [
        gradient,
        names,
        text,
        same,
        layer.weight,
        type(layer).__name__,
        positive.bias,
        positive.parametrizations.bias.original,
        parametrize.is_parametrized(positive, "bias"),
        parametrize.is_parametrized(layer),
        error(parametrize.register_parametrization, layer, "nothing", Symmetric())[0],
    ]


PROGRAMS = [
    registration,
    registration_errors,
    load_errors,
    partial_load,
    assigned_load,
    state_dict_details,
    load_hooks,
    extra_state,
    forward_hooks,
    always_called_hooks,
    backward_hooks,
    backward_hook_errors,
    modes,
    zeroing,
    conversion,
    copies,
    walking,
    reprs,
    sequential,
    module_list,
    dictionaries,
    lazy,
    running_statistics,
    norm_errors,
    loss_errors,
    legacy_losses,
    broadcast_loss_warns,
    embeddings,
    clipping,
    weight_normalised,
    parametrised,
]


def same(ours, theirs, path="result"):
    """Assert that two nested results agree; tensors to float32's precision."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, minigrad.Tensor), f"{path}: {ours!r} is no tensor"
        assert tuple(ours.shape) == tuple(theirs.shape), path
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-4, atol=1e-5, err_msg=path)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), path
        for key in theirs:
            same(ours[key], theirs[key], f"{path}[{key!r}]")
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), f"{path}: {ours} and {theirs}"
        for position, pair in enumerate(zip(ours, theirs, strict=True)):
            same(*pair, f"{path}[{position}]")
    else:
        assert ours == theirs, f"{path}:\n{ours}\nand\n{theirs}"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_program(program):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        actual, expected = program(minigrad), program(torch)
    same(actual, expected)


# ---------------------------------------------------------------------- fusion
def lived_in(t, bn):
    """Fill parameters and statistics with values as after training; returns the batch norm in eval mode."""
    fill(t, bn)
    bn.running_mean.copy_(tensor(t, bn.num_features, seed=7))
    bn.running_var.copy_(tensor(t, bn.num_features, seed=8).abs() + 0.5)
    return bn.eval()


def fused_convolution(t):
    conv = fill(t, t.nn.Conv2d(4, 6, 3, groups=2, bias=False)).eval()
    fused = t.nn.utils.fusion.fuse_conv_bn_eval(conv, lived_in(t, t.nn.BatchNorm2d(6)))
    return fused.weight, fused.bias, fused.weight.requires_grad, fused.bias.requires_grad, repr(fused)


def fused_transposed_convolution(t):
    conv = fill(t, t.nn.ConvTranspose1d(4, 3, 3)).eval()
    fused = t.nn.utils.fuse_conv_bn_eval(conv, lived_in(t, t.nn.BatchNorm1d(3)), transpose=True)
    return fused.weight, fused.bias, fused.bias.requires_grad


def fused_linear(t):
    linear = fill(t, t.nn.Linear(3, 5)).eval()
    fused = t.nn.utils.fuse_linear_bn_eval(linear, lived_in(t, t.nn.BatchNorm1d(5)))
    one = t.nn.utils.fuse_linear_bn_eval(linear, lived_in(t, t.nn.BatchNorm1d(1)))
    return fused.weight, fused.bias, one.weight, one.bias, repr(fused)


def fused_weights(t):
    w, mean = tensor(t, 3, 2, 1), tensor(t, 3, seed=1)
    pair = t.nn.utils.fuse_conv_bn_weights(w, None, mean, mean * mean, 1e-3, None, None)
    linear = t.nn.utils.fuse_linear_bn_weights(w[:, :, 0], None, mean, mean * mean, 1e-3, mean, mean)
    return *pair, *linear, [parameter.requires_grad for parameter in (*pair, *linear)]


def fusion_errors(t):
    conv, bn = t.nn.Conv2d(2, 3, 1), t.nn.BatchNorm2d(3)
    small = t.nn.BatchNorm1d(2).eval()
    return [
        error(t.nn.utils.fuse_conv_bn_eval, conv, bn),
        error(t.nn.utils.fuse_conv_bn_eval, conv.eval(), t.nn.BatchNorm2d(3, track_running_stats=False).eval()),
        error(t.nn.utils.fuse_linear_bn_eval, t.nn.Linear(2, 3).eval(), small),
    ]


FUSION = [fused_convolution, fused_transposed_convolution, fused_linear, fused_weights, fusion_errors]


@pytest.mark.parametrize("program", FUSION, ids=[program.__name__ for program in FUSION])
def test_fusion_gives_what_pytorch_gives(program):
    for ours, theirs in zip(program(minigrad), program(torch), strict=True):
        if isinstance(theirs, torch.Tensor):
            assert str(ours.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1]
            np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-6)
        else:
            assert ours == theirs
