"""gradcheck finds wrong gradients and passes right ones."""

import pytest

import minigrad as mg
from minigrad.autograd import gradcheck, gradgradcheck
from minigrad.autograd.gradcheck import GradcheckError


def leaf(*shape):
    return mg.randn(*shape, dtype=mg.float64, requires_grad=True)


class Wrong(mg.autograd.Function):
    """A gradient that is off by one per cent."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2.02 * ctx.saved_tensors[0]


class WrongSecond(mg.autograd.Function):
    """Right to first order, and constant as far as the graph knows."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2 * ctx.saved_tensors[0].detach()


@pytest.mark.parametrize("fast_mode", [False, True])
def test_right_and_wrong_gradients(fast_mode):
    x = leaf(3, 2)
    before = x.tolist()
    assert gradcheck(lambda t: (t * t, t.sum()), x, fast_mode=fast_mode)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradcheck(Wrong.apply, x, fast_mode=fast_mode)
    assert gradcheck(Wrong.apply, x, fast_mode=fast_mode, raise_exception=False) is False
    assert x.tolist() == before and x.grad is None


def test_second_order():
    x = leaf(3)
    assert gradcheck(WrongSecond.apply, x)
    assert not gradgradcheck(WrongSecond.apply, x, raise_exception=False)
    assert gradgradcheck(lambda t: t * t * t, x, gen_non_contig_grad_outputs=True)


def test_what_can_not_be_checked_is_refused():
    with pytest.raises(ValueError, match="at least one input"):
        gradcheck(lambda t: t, mg.ones(2))
    with pytest.raises(NotImplementedError):
        gradcheck(lambda t: t, leaf(2), check_forward_ad=True)
    with pytest.warns(UserWarning, match="double precision"):
        gradcheck(lambda t: t * 2, mg.ones(2, requires_grad=True), eps=1e-2)


def test_backward_that_is_not_deterministic():
    class Noisy(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad * (1 + 1e-7 * mg.rand(grad.shape, dtype=mg.float64))

    with pytest.raises(GradcheckError, match="not reentrant"):
        gradcheck(Noisy.apply, leaf(2))
    assert gradcheck(Noisy.apply, leaf(2), nondet_tol=1e-4)


def test_gradient_dtypes():
    with pytest.warns(UserWarning, match="double precision"):
        assert gradcheck(lambda t: t.double() * 2, mg.ones(2, requires_grad=True), eps=1e-2, check_grad_dtypes=True)
