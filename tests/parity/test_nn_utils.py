"""Pruning, orthogonal weights, adaptive softmax and small tools of networks, beside PyTorch's."""

import copy
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn.utils import parametrizations, prune

torch = pytest.importorskip("torch")
torch_prune = pytest.importorskip("torch.nn.utils.prune")


def networks():
    """The same network in both libraries."""
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 5))
    ours = mg.nn.Sequential(mg.nn.Conv2d(3, 4, 3), mg.nn.Flatten(), mg.nn.Linear(16, 5))
    rng = np.random.default_rng(0)
    for their, our in zip(theirs.parameters(), ours.parameters(), strict=True):
        values = rng.standard_normal(their.shape).astype("float32")
        their.data, our.data = torch.tensor(values), mg.tensor(values)
    return (torch, theirs), (mg, ours)


def assert_same_state(theirs, ours):
    expected, found = theirs.state_dict(), ours.state_dict()
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].numpy(), value.numpy(), rtol=2e-5, atol=2e-6, err_msg=name)


# ---------------------------------------------------------------------- pruning
PRUNINGS = [
    lambda p, m, net: p.identity(net[0], "weight"),
    lambda p, m, net: p.l1_unstructured(net[0], "weight", 0.3),
    lambda p, m, net: p.l1_unstructured(net[2], "bias", 2),
    lambda p, m, net: p.l1_unstructured(net[2], "weight", 0),
    lambda p, m, net: p.l1_unstructured(net[2], "bias", 2, importance_scores=m.arange(5.0)),
    lambda p, m, net: p.ln_structured(net[0], "weight", 0.5, n=2, dim=0),
    lambda p, m, net: p.ln_structured(net[0], "weight", 1, n=1, dim=1),
    lambda p, m, net: p.ln_structured(net[0], "weight", 2, n=float("-inf"), dim=-1),
    lambda p, m, net: p.ln_structured(net[0], "weight", 0.0, n=2, dim=0),
    lambda p, m, net: p.custom_from_mask(net[2], "bias", m.tensor([1, 0, 1, 0, 1])),
    lambda p, m, net: [p.l1_unstructured(net[0], "weight", 0.3) for _ in range(2)],
    lambda p, m, net: [p.l1_unstructured(net[0], "weight", 7), p.ln_structured(net[0], "weight", 1, n=2, dim=0)],
    lambda p, m, net: [p.ln_structured(net[0], "weight", n, n=2, dim=0) for n in (1, 0.5)],
    lambda p, m, net: [
        p.ln_structured(net[0], "weight", 1, n=2, dim=1),
        p.l1_unstructured(net[0], "weight", 0.5),
        p.custom_from_mask(net[0], "weight", m.arange(108).reshape(4, 3, 3, 3) % 2),
    ],
    lambda p, m, net: p.global_unstructured([(net[0], "weight"), (net[2], "weight")], p.L1Unstructured, amount=0.4),
    lambda p, m, net: [
        p.global_unstructured([(net[i], "weight") for i in (0, 2)], p.L1Unstructured, amount=30) for _ in range(2)
    ],
    lambda p, m, net: p.global_unstructured(
        [(net[0], "bias"), (net[2], "bias")],
        p.L1Unstructured,
        importance_scores={(net[0], "bias"): m.arange(4.0) - 9},
        amount=3,
    ),
    lambda p, m, net: p.remove(p.l1_unstructured(net[0], "weight", 0.3), "weight"),
    lambda p, m, net: p.L1Unstructured(2).prune(net[2].bias),
    lambda p, m, net: p.L1Unstructured(2).prune(net[2].bias, importance_scores=m.arange(5.0)),
    lambda p, m, net: p.LnStructured(1, 2, 0).prune(net[2].weight, default_mask=m.ones(5, 16)),
    lambda p, m, net: (p.is_pruned(net), p.is_pruned(p.identity(net[0], "bias")), p.is_pruned(net)),
    lambda p, m, net: len(p.PruningContainer(*net[0]._forward_pre_hooks.values())),
    lambda p, m, net: [type(p.l1_unstructured(net[0], "bias", 1)._forward_pre_hooks.popitem()[1]).__name__],
]
WRONG = [
    lambda p, m, net: p.l1_unstructured(net[0], "weight", 1.5),
    lambda p, m, net: p.l1_unstructured(net[0], "weight", -1),
    lambda p, m, net: p.l1_unstructured(net[0], "weight", -0.1),
    lambda p, m, net: p.l1_unstructured(net[0], "weight", "a"),
    lambda p, m, net: p.l1_unstructured(net[2], "bias", 6),
    lambda p, m, net: p.l1_unstructured(net[2], "nothing", 1),
    lambda p, m, net: p.l1_unstructured(net[2], "bias", 1, importance_scores=m.ones(3)),
    lambda p, m, net: p.ln_structured(net[2], "bias", 1, n=2, dim=0),
    lambda p, m, net: p.ln_structured(net[2], "weight", 1, n=2, dim=2),
    lambda p, m, net: p.random_structured(net[2], "weight", 9, dim=0),
    lambda p, m, net: p.custom_from_mask(net[2], "bias", m.ones(4)),
    lambda p, m, net: p.remove(net[2], "bias"),
    lambda p, m, net: p.global_unstructured(3, p.L1Unstructured, amount=1),
    lambda p, m, net: p.global_unstructured([(net[0], "weight")], p.LnStructured, amount=1, n=2, dim=0),
    lambda p, m, net: p.global_unstructured([(net[0], "weight")], p.L1Unstructured, importance_scores=3, amount=1),
    lambda p, m, net: p.BasePruningMethod(),
    lambda p, m, net: p.PruningContainer().add_pruning_method("a"),
    lambda p, m, net: p.L1Unstructured(1).remove(net[0]),
    lambda p, m, net: p.L1Unstructured(2).prune(net[2].bias, importance_scores=m.arange(3.0)),
]


@pytest.mark.parametrize("number", range(len(PRUNINGS)))
def test_pruning(number):
    results, gradients = [], []
    (_, theirs), (_, ours) = pairs = networks()
    for (module, net), library in zip(pairs, (torch_prune, prune), strict=True):
        result = PRUNINGS[number](library, module, net)
        results.append(result.detach().numpy() if isinstance(result, (torch.Tensor, mg.Tensor)) else repr(result))
        output = net(module.ones(2, 3, 4, 4))
        (output * output).sum().backward()
        gradients.append([None if p.grad is None else p.grad.numpy() for p in net.parameters()])
    if not isinstance(results[0], str) or "Sequential" not in results[0]:
        np.testing.assert_array_equal(results[1], results[0])
    assert_same_state(theirs, ours)
    for found, expected in zip(gradients[1], gradients[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_pruning_errors_leave_the_module_as_it_was(number):
    classes = []
    for (module, net), library in zip(networks(), (torch_prune, prune), strict=True):
        before = sorted(net.state_dict())
        with pytest.raises(Exception) as caught:
            WRONG[number](library, module, net)
        classes.append(caught.type.__name__)
        assert sorted(net.state_dict()) == before
        net(module.ones(2, 3, 4, 4))
    assert classes[0] == classes[1]


@pytest.mark.parametrize("library, module", [(torch_prune, torch), (prune, mg)])
def test_random_pruning(library, module):
    layer = library.random_unstructured(module.nn.Linear(10, 20), "weight", 0.25)
    assert int((layer.weight_mask == 0).sum()) == 50
    library.random_unstructured(layer, "weight", 50)
    assert int((layer.weight_mask == 0).sum()) == 100
    library.random_structured(layer, "weight", 3, dim=1)
    assert int((layer.weight_mask.sum(0) == 0).sum()) >= 3
    conv = library.random_structured(module.nn.Conv2d(4, 8, 3), "weight", 0.5, dim=0)
    assert sorted(conv.weight_mask.flatten(1).sum(1).tolist()) == [0.0] * 4 + [36.0] * 4
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(conv)
    copy.deepcopy(library.remove(conv, "weight"))


# ---------------------------------------------------------------------- orthogonal matrices
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (2, 4, 3)])
@pytest.mark.parametrize("name", ["matrix_exp", "cayley", "householder", None])
@pytest.mark.parametrize("trivialized", [True, False])
def test_orthogonal(shape, name, trivialized):
    rng = np.random.default_rng(1)
    values = rng.standard_normal(shape)
    results = []
    for module in (torch, mg):
        layer = module.nn.Module()
        layer.weight = module.nn.Parameter(module.tensor(values))
        module.nn.utils.parametrizations.orthogonal(layer, "weight", name, use_trivialization=trivialized)
        results.append((module, layer))
    (_, theirs), (_, ours) = results
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({key: mg.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    gradients = []
    for module, layer in results:
        (layer.weight * module.arange(values.size).reshape(shape)).sum().backward()
        gradients.append(layer.parametrizations.weight.original.grad.numpy())
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.detach().numpy(), atol=1e-10)
    np.testing.assert_allclose(gradients[1], gradients[0], atol=1e-8)
    given = np.linalg.qr(values if shape[-2] >= shape[-1] else values.swapaxes(-1, -2))[0]
    given = given if shape[-2] >= shape[-1] else given.swapaxes(-1, -2)
    outcomes = []
    for module, layer in results:
        try:
            layer.weight = module.tensor(np.ascontiguousarray(given))
            outcomes.append(layer.weight.detach().numpy())
        except NotImplementedError as error:
            outcomes.append(str(error))
    if isinstance(outcomes[0], str):
        assert outcomes[0] == outcomes[1]
    else:
        np.testing.assert_allclose(outcomes[1], outcomes[0], atol=1e-9)
        np.testing.assert_allclose(outcomes[1], given, atol=1e-9)


def test_orthogonal_starts_orthogonal_learns_and_refuses():
    mg.manual_seed(0)
    layer = parametrizations.orthogonal(mg.nn.Linear(6, 4))
    optimizer = mg.optim.SGD(layer.parameters(), lr=0.5)
    before = layer.weight.detach()
    for _ in range(3):
        optimizer.zero_grad()
        (layer(mg.ones(2, 6)) - 1).pow(2).sum().backward()
        optimizer.step()
    assert mg.allclose(layer.weight @ layer.weight.T, mg.eye(4), atol=1e-5) and not mg.allclose(layer.weight, before)
    unitary = mg.nn.Module()
    unitary.weight = mg.nn.Parameter(mg.randn(3, 3, dtype=mg.complex128))
    parametrizations.orthogonal(unitary)
    assert mg.allclose(unitary.weight.mH @ unitary.weight, mg.eye(3, dtype=mg.complex128))
    for module in (torch, mg):
        orthogonal = module.nn.utils.parametrizations.orthogonal
        for arguments in (("bias",), ("nothing",), ("weight", "qr")):
            with pytest.raises(ValueError):
                orthogonal(module.nn.Linear(2, 2), *arguments)
        with pytest.raises(ValueError, match="complex"):
            orthogonal(module.nn.Linear(2, 2, dtype=module.complex64), orthogonal_map="householder")


# ---------------------------------------------------------------------- adaptive softmax
@pytest.mark.parametrize("options", [{}, {"div_value": 2.0}, {"head_bias": True, "dtype": "float64"}])
def test_adaptive_softmax(options):
    torch.manual_seed(0)
    layers, results = [], []
    for module in (torch, mg):
        given = {**options, **({"dtype": getattr(module, options["dtype"])} if "dtype" in options else {})}
        layers.append(module.nn.AdaptiveLogSoftmaxWithLoss(64, 20, [4, 10, 15], **given))
    theirs, ours = layers
    ours.load_state_dict({key: mg.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    assert repr(ours) == repr(theirs)
    values = np.random.default_rng(2).standard_normal((30, 64)).astype(options.get("dtype", "float32"))
    for module, layer in zip((torch, mg), layers, strict=True):
        x = module.tensor(values, requires_grad=True)
        output, loss = layer(x, module.tensor(np.arange(30) % 20))
        single = layer(x[3], module.tensor(17))
        (loss + single.loss).backward()
        parts = [output, loss, single.output, single.loss, layer.log_prob(x), layer.predict(x), x.grad]
        parts += [parameter.grad for parameter in layer.parameters()]
        results.append([part.detach().numpy() for part in parts])
        assert len(set(layer.predict(5 * x).tolist())) > 4
    for found, expected in zip(results[1], results[0], strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [(3,), (4, 0.5, 0.6, 2.0), (9, 1.0), (1, 0.5)])
def test_cross_map_normalisation(options):
    values = np.random.default_rng(3).standard_normal((2, 7, 2, 3))
    theirs, ours = torch.nn.CrossMapLRN2d(*options), mg.nn.CrossMapLRN2d(*options)
    np.testing.assert_allclose(ours(mg.tensor(values)).numpy(), theirs(torch.tensor(values)).numpy(), rtol=1e-10)
    assert repr(ours) == repr(theirs)
    assert mg.autograd.gradcheck(ours, mg.tensor(values[:1], requires_grad=True))  # PyTorch's is not its own gradient


WRONG_SOFTMAX = [
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, []),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [10, 5]),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 5]),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [0, 5]),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 20]),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5.5]),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(m.randn(2, 16), m.tensor([0, 20])),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(m.randn(2, 16), m.tensor([0, -1])),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(m.randn(3, 16), m.tensor([0, 1])),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(m.randn(16), m.tensor([0])),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(m.randn(2, 16), m.tensor(0)),
    lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(m.randn(2, 16), m.tensor([[0]])),
    lambda m: m.nn.CrossMapLRN2d(3)(m.ones(2, 3, 4)),
    lambda m: m.nn.factory_kwargs({"device": "cpu", "factory_kwargs": {"device": "cpu"}}),
    lambda m: m.nn.factory_kwargs({"color": 1}),
    lambda m: m.nn.utils.skip_init(m.nn.ReLU),
    lambda m: m.nn.utils.skip_init(3),
]


@pytest.mark.parametrize("number", range(len(WRONG_SOFTMAX)))
def test_errors(number):
    classes = []
    for module in (torch, mg):
        with pytest.raises(Exception) as caught:
            WRONG_SOFTMAX[number](module)
        classes.append(caught.type.__name__)
    assert classes[0] == classes[1]


# ---------------------------------------------------------------------- small tools
def test_memory_formats_and_skipped_values():
    for module in (torch, mg):
        nn, utilities = module.nn, module.nn.utils
        net = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ConvTranspose2d(8, 4, 3), nn.Linear(2, 2))
        assert utilities.convert_conv2d_weight_memory_format(net, module.channels_last) is net
        assert net[0].weight.stride() == (36, 1, 12, 4) and net[1].weight.stride() == (36, 1, 12, 4)
        conv = utilities.convert_conv3d_weight_memory_format(module.nn.Conv3d(4, 2, 2), module.channels_last_3d)
        assert conv.weight.stride() == (32, 1, 16, 8, 4)
        layer = utilities.skip_init(module.nn.Linear, 3, 2, bias=False)
        assert layer.weight.shape == (2, 3) and layer.bias is None and layer.weight.requires_grad
        assert module.nn.factory_kwargs(None) == {}
        assert module.nn.factory_kwargs({"factory_kwargs": {"dtype": 1}, "device": 2}) == {"dtype": 1, "device": 2}
    mg.manual_seed(0)
    before = mg.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mg.nn.utils.skip_init(mg.nn.Conv2d, 3, 4, 3)
    assert mg.equal(before, mg.get_rng_state())
