"""Helpers that programs import from inside PyTorch."""

import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
from minigrad.distributions import utils  # noqa: E402

P = [0.0, 0.3, 1.0]


def _lists(values):
    return [value.tolist() for value in values]


CASES = {
    "broadcast": lambda t: _lists(t.distributions.utils.broadcast_all(1, t.tensor([1.0, 2.0]), t.zeros(2, 1))),
    "broadcast of numbers": lambda t: _lists(t.distributions.utils.broadcast_all(1, 2.5)),
    "logits": lambda t: t.distributions.utils.probs_to_logits(t.tensor(P, dtype=t.float64)).tolist(),
    "binary logits": lambda t: t.distributions.utils.probs_to_logits(t.tensor(P, dtype=t.float64), True).tolist(),
    "probs": lambda t: t.distributions.utils.logits_to_probs(t.tensor(P, dtype=t.float64)).tolist(),
    "binary probs": lambda t: t.distributions.utils.logits_to_probs(t.tensor(P, dtype=t.float64), True).tolist(),
    "reductions": lambda t: [t.nn._reduction.get_enum(name) for name in ("none", "mean", "sum")],
    "legacy": lambda t: [
        t.nn._reduction.legacy_get_string(a, b, emit_warning=False) for a in (None, True, False) for b in (None, False)
    ],
    "F._Reduction": lambda t: t.nn.functional._Reduction.legacy_get_enum(False, True, emit_warning=False),
    "indent": lambda t: t.nn.modules.module._addindent("a\nb\nc", 3),
    "clones": lambda t: repr(t.nn.modules.transformer._get_clones(t.nn.Linear(1, 2), 2)),
    "activations": lambda t: t.nn.modules.transformer._get_activation_fn("gelu") is t.nn.functional.gelu,
    "epoch": lambda t: t.optim.lr_scheduler.EPOCH_DEPRECATION_WARNING[:250],
    "any of no dimension": lambda t: (t.any(t.tensor([[1, 0]]), dim=()).tolist(), t.tensor([1, 0]).any(()).tolist()),
    "all of no dimension": lambda t: (t.all(t.ones(2), dim=(), keepdim=True).tolist(), t.all(t.tensor(2), ()).tolist()),
}


@pytest.mark.parametrize("name", CASES)
def test_helpers(name):
    expected, found = CASES[name](torch), CASES[name](mg)
    assert found == (pytest.approx(expected) if name.endswith(("logits", "probs")) else expected)


def test_errors():
    with pytest.raises(ValueError, match="instances of Number"):
        utils.broadcast_all("a")
    with pytest.raises(ValueError, match="not a valid value"):
        mg.nn._reduction.get_enum("most")
    with pytest.warns(UserWarning, match="reduction='sum'"):
        mg.nn._reduction.legacy_get_string(False, True)
    with pytest.warns(UserWarning, match="elementwise_mean"):
        mg.nn._reduction.get_enum("elementwise_mean")
    with pytest.raises(RuntimeError, match="relu/gelu"):
        mg.nn.modules.transformer._get_activation_fn("tanh")


def test_a_lazy_property_is_computed_once():
    class Scale:
        count = 0

        @utils.lazy_property
        def value(self):
            """Its value."""
            self.count += 1
            return mg.ones(2, requires_grad=True) * 2

    scale = Scale()
    with mg.no_grad():
        assert scale.value is scale.value and scale.count == 1 and scale.value.requires_grad
    assert Scale.value.__doc__ == "Its value."


def test_parallel_on_one_device():
    parallel = mg.nn.parallel
    net = mg.nn.Linear(2, 1)
    (inputs,) = parallel.scatter({"x": [mg.ones(3, 2)], "n": 1}, ["cpu"])
    (copy,) = parallel.replicate(net, ["cpu"])
    results = parallel.parallel_apply([copy], inputs["x"])
    assert inputs["n"] == 1 and mg.equal(parallel.gather(results, "cpu"), net(mg.ones(3, 2)))
    for call in (lambda: parallel.scatter(mg.ones(2), [0, 1]), lambda: parallel.gather([1, 2], "cpu")):
        with pytest.raises(RuntimeError, match="one device"):
            call()
