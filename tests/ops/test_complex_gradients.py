"""Gradients through complex values: PyTorch's convention, the gradient of a real loss along both parts."""

import numpy as np
import pytest

import minigrad as mg

HOLOMORPHIC = {
    "mul": lambda z, w: z * w * z,
    "div": lambda z, w: z / (w + 3),
    "exp": lambda z, w: (z * w).exp(),
    "log": lambda z, w: (z + 4).log() - w,
    "sqrt": lambda z, w: (z + 4).sqrt() * w,
    "sin": lambda z, w: z.sin() + w.cos(),
    "pow": lambda z, w: z**3 + w**2,
    "matmul": lambda z, w: z.reshape(2, 2) @ w.reshape(2, 2),
    "scalar": lambda z, w: z * (1 - 2j) + w / (2j),
    "reciprocal": lambda z, w: 1 / (z + 4) + w,
    "sum": lambda z, w: z.sum() * w.mean(),
    "logaddexp": lambda z, w: z.logaddexp(w * 3),
    "rms_norm": lambda z, w: mg.nn.functional.rms_norm(z.reshape(2, 2), (2,), w[:2], 0.1),
}


def loss(result):
    """A real function that looks at both parts of every element."""
    weights = mg.arange(1.0, 1.0 + result.numel(), dtype=mg.float64).reshape(result.shape)
    return (result.real * weights).sum() + (result.imag**2).sum()


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_gradients_against_finite_differences_in_both_parts(name):
    rng = np.random.default_rng(0)
    parts = [mg.from_numpy(rng.uniform(0.2, 1.0, 4)).requires_grad_() for _ in range(4)]

    def run(a, b, c, d):
        return loss(HOLOMORPHIC[name](mg.complex(a, b), mg.complex(c, d)))

    assert mg.autograd.gradcheck(run, parts)
    assert mg.autograd.gradgradcheck(run, parts)


def test_the_gradient_of_a_complex_leaf_is_pytorchs():
    x = mg.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    (x * x).imag.sum().backward()
    assert x.grad.tolist() == [4 + 2j, -2 + 6j]


def test_rotary_embedding():
    """Pairs of numbers turned by angles through complex multiplication, and the same in real numbers."""
    x = mg.randn(3, 4, 2, dtype=mg.float64, requires_grad=True)
    angles = mg.arange(12.0, dtype=mg.float64).reshape(3, 4)
    turned = mg.view_as_real(mg.view_as_complex(x) * mg.polar(mg.ones_like(angles), angles))
    cos, sin = angles.cos(), angles.sin()
    expected = mg.stack([x[..., 0] * cos - x[..., 1] * sin, x[..., 0] * sin + x[..., 1] * cos], -1)
    np.testing.assert_allclose(turned.detach().numpy(), expected.detach().numpy(), atol=1e-12)
    weights = mg.randn(3, 4, 2, dtype=mg.float64)
    (one,) = mg.autograd.grad((turned**2 * weights).sum(), x)
    (other,) = mg.autograd.grad((expected**2 * weights).sum(), x)
    np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-12)


def test_absolute_values_and_norms():
    rng = np.random.default_rng(0)
    parts = [mg.from_numpy(rng.uniform(0.2, 1.0, 4)).requires_grad_() for _ in range(2)]
    assert mg.autograd.gradcheck(lambda a, b: (mg.complex(a, b) ** 2).abs(), parts)
    assert mg.autograd.gradcheck(lambda a, b: mg.linalg.vector_norm(mg.complex(a, b)), parts)


def test_the_derivative_of_a_complex_sign_is_that_of_sgn():
    z = mg.tensor([3 + 4j, 0j], requires_grad=True)
    z.sgn().real.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), [(16 - 12j) / 125, 0], atol=1e-6)
    with pytest.raises(NotImplementedError, match="use sgn"):
        z.sign().real.sum().backward()


def test_angle():
    z = mg.tensor([1 + 1j, -2j], requires_grad=True)
    z.angle().sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), [-0.5 + 0.5j, 0.5 + 0j], atol=1e-6)
