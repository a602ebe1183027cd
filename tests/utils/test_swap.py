"""Two tensors exchanged, and those that can't be."""

import weakref

import pytest

import minigrad as mg


def test_everything_is_exchanged():
    a, b = mg.nn.Parameter(mg.ones(2)), mg.zeros(3)
    a.mark = "a"
    (a * 2).sum().backward()
    holder = [a, b]
    mg.utils.swap_tensors(a, b)
    assert type(a) is mg.Tensor and type(b) is mg.nn.Parameter and holder[0] is a
    assert a.tolist() == [0.0] * 3 and b.tolist() == [1.0] * 2 and b.grad.tolist() == [2.0] * 2
    assert b.mark == "a" and not hasattr(a, "mark") and not a.requires_grad
    (b * 3).sum().backward()
    assert b.grad.tolist() == [5.0] * 2 and (a + 1).tolist() == [1.0] * 3


@pytest.mark.parametrize(
    "held, why",
    [
        (lambda t: t[:1], "views"),
        (lambda t: t.requires_grad_() * 2, "graph"),
        (lambda t: weakref.ref(t), "weakref"),
    ],
)
def test_tensors_that_others_hold(held, why):
    a, b = mg.ones(2), mg.zeros(2)
    holder = held(a)
    with pytest.raises(RuntimeError, match=f"t1 because .*{why}"):
        mg.utils.swap_tensors(a, b)
    with pytest.raises(RuntimeError, match=f"t2 because .*{why}"):
        mg.utils.swap_tensors(b, a)
    assert a.tolist() == [1.0, 1.0] and holder is not None


def test_views_results_and_other_things():
    x = mg.ones(2, requires_grad=True)
    for tensor, why in ((mg.ones(2)[:1], "view"), (x * 2, "graph")):
        with pytest.raises(RuntimeError, match=why):
            mg.utils.swap_tensors(tensor, mg.ones(2))
    with pytest.raises(TypeError, match="t2 to be a Tensor"):
        mg.utils.swap_tensors(mg.ones(2), 3)
