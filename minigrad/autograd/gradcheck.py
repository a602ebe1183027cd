"""Gradients against finite differences: gradcheck and gradgradcheck."""

import itertools
import warnings

from minigrad import engine
from minigrad.backend import REAL_CODES, default_generator, np, to_numpy, xp
from minigrad.tensor import Tensor, wrap
from minigrad.variable import is_tracked, make_variable, touch


class GradcheckError(RuntimeError):
    """A gradient differs from its finite difference."""


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Return True if func's gradients agree with central differences; raise GradcheckError (or return False) if not.

    For every output y and every input x that requires grad, column j of the Jacobian is compared with
    (y(x + eps e_j) - y(x - eps e_j)) / (2 eps); |a - n| <= atol + rtol |n| must hold. Use float64 inputs.

    Arguments: func (of tensors, to a tensor or tuple), inputs (tensor or tuple), eps (step), atol, rtol,
    raise_exception, nondet_tol (largest difference between two backward passes), check_undefined_grad (gradients
    must also come out when only one of several outputs is used), check_grad_dtypes (a gradient has its input's
    dtype), fast_mode (one random direction instead of the whole Jacobian). Forward-mode and batched checks raise
    NotImplementedError. ValueError when no input requires grad.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html

    >>> import minigrad as mg
    >>> mg.autograd.gradcheck(mg.sin, mg.tensor([0.3], dtype=mg.float64, requires_grad=True))
    True
    """
    if check_forward_ad or check_batched_grad or check_batched_forward_grad or masked:
        raise NotImplementedError("gradcheck: forward-mode, batched and masked (sparse) checks are not supported")
    if not check_backward_ad:
        raise ValueError("gradcheck: nothing to check with check_backward_ad=False")
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    try:
        check = _Check(func, inputs, eps, atol, rtol, nondet_tol, check_grad_dtypes)
        check.run(fast_mode, check_undefined_grad)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """Return True if the gradients of func's gradients agree with finite differences.

    Arguments as for gradcheck; grad_outputs (gradient of each output; random by default, not contiguous with
    gen_non_contig_grad_outputs).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradgradcheck.html

    >>> import minigrad as mg
    >>> mg.autograd.gradgradcheck(mg.sin, mg.tensor([0.3], dtype=mg.float64, requires_grad=True))
    True
    """
    if check_fwd_over_rev or not check_rev_over_rev:
        raise NotImplementedError("gradgradcheck: only reverse over reverse is supported")
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = _differentiable(func(*inputs))
    if grad_outputs is None:
        grad_outputs = tuple(_random_like(out, gen_non_contig_grad_outputs) for out in outputs)
    grad_outputs = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    count = len(inputs)

    def gradients(*args):
        args, directions = args[:count], args[count:]
        # Differentiate at copies, so that the outer check can tell inputs from intermediate results.
        tracked = [arg for arg in args if isinstance(arg, Tensor) and is_tracked(arg)]
        results = engine.grad(_differentiable(func(*args)), tracked, directions, create_graph=True, allow_unused=True)
        return tuple(result for result in results if result is not None)

    return gradcheck(
        gradients, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, fast_mode=fast_mode, masked=masked,
    )  # fmt: skip


def _differentiable(outputs):
    """Return func's outputs that have gradients, as a tuple."""
    outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    return tuple(out for out in outputs if isinstance(out, Tensor) and is_tracked(out))


def _random_like(out, non_contiguous=False):
    """Return random numbers of a tensor's shape and dtype that require grad."""
    shape = (*out.array.shape, 2) if non_contiguous else out.array.shape
    values = default_generator.numpy.standard_normal(shape).astype(out.array.dtype)
    array = values[..., 0] if non_contiguous else values
    return make_variable(xp(out.array).asarray(array), None)


class _Check:
    """One function at one point."""

    def __init__(self, func, inputs, eps, atol, rtol, nondet_tol, check_dtypes):
        self.func, self.inputs = func, inputs
        self.eps, self.atol, self.rtol, self.nondet_tol, self.check_dtypes = eps, atol, rtol, nondet_tol, check_dtypes
        self.tracked = [x for x in inputs if isinstance(x, Tensor) and is_tracked(x)]
        if not self.tracked:
            raise ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them have "
                "requires_grad=True."
            )
        for x in self.tracked:
            if x.array.dtype.itemsize < 8:
                warnings.warn(
                    "gradcheck: an input requires gradient and is not a double precision floating point. "
                    "This check will likely fail if all the inputs are not of double precision.",
                    stacklevel=4,
                )
            if x.array.size and any(
                step == 0 and length > 1 for step, length in zip(x.array.strides, x.array.shape, strict=True)
            ):
                raise RuntimeError(
                    "gradcheck: an input has elements that share memory (expand); pass a contiguous copy"
                )

    def run(self, fast_mode, check_undefined):
        """Compare every output's Jacobian with finite differences."""
        outputs = self._outputs()
        if not outputs:
            self._expect_no_dependence()
            return
        if check_undefined and len(outputs) > 1:
            self._check_single_outputs(outputs)
        if fast_mode:
            self._run_fast(outputs)
        else:
            self._run_full(outputs)

    def _run_full(self, outputs):
        """Compare whole Jacobians. All of backward comes first: finite differences write the inputs in place."""
        jacobians = [self._analytic_jacobian(out) for out in outputs]
        for number, out in enumerate(outputs):
            self._expect_deterministic(number, out, jacobians[number])
        for number, analytic in enumerate(jacobians):
            for position, x in enumerate(self.tracked):
                self._compare(number, position, analytic[position], self._numeric_jacobian(number, x))

    def _outputs(self):
        return _differentiable(self.func(*self.inputs))

    def _values(self):
        """Return the outputs' values as flat float64 arrays."""
        outputs = self.func(*self.inputs)
        outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
        return [
            to_numpy(o.array).astype(np.float64).ravel()
            for o in outputs
            if isinstance(o, Tensor) and o.array.dtype.char in REAL_CODES
        ]

    def _expect_no_dependence(self):
        for x in self.tracked:
            for jacobian in self._all_numeric(x):
                if np.any(jacobian != 0):
                    raise GradcheckError(
                        "Numerical gradient for function expected to be zero: the outputs do not require grad"
                    )

    def _all_numeric(self, x):
        return [self._numeric_jacobian(number, x) for number in range(len(self._values()))]

    def _expect_deterministic(self, number, out, first):
        second = self._analytic_jacobian(out)
        for a, b in zip(first, second, strict=True):
            if np.max(np.abs(a - b), initial=0.0) > self.nondet_tol:
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple "
                    "times gives different values, although analytical gradient matches numerical gradient "
                    f"(output {number})"
                )

    def _gradients(self, out, direction):
        """Return the gradients of <out, direction> with respect to the tracked inputs, zeros where there is none."""
        results = engine.grad(out, self.tracked, wrap(direction), retain_graph=True, allow_unused=True)
        for x, g in zip(self.tracked, results, strict=True):
            if g is None:
                continue
            if g.array.shape != x.array.shape:
                raise GradcheckError(
                    f"Analytical gradient has incorrect size: {list(g.shape)} for an input of {list(x.shape)}"
                )
            if self.check_dtypes and g.array.dtype != x.array.dtype:
                raise GradcheckError(f"Analytical gradient has incorrect type: {g.dtype} for an input of {x.dtype}")
        return [
            np.zeros(x.array.size) if g is None else to_numpy(g.array).astype(np.float64).ravel()
            for x, g in zip(self.tracked, results, strict=True)
        ]

    def _analytic_jacobian(self, out):
        """Return, for each tracked input, d out / d x. # (out.size, x.size)"""
        rows = []
        for index in range(out.array.size):
            direction = xp(out.array).zeros(out.array.shape, out.array.dtype)
            direction.reshape(-1)[index] = 1
            rows.append(self._gradients(out, direction))
        return [
            np.array([row[p] for row in rows]).reshape(out.array.size, x.array.size) for p, x in enumerate(self.tracked)
        ]

    def _numeric_jacobian(self, number, x):
        """Return d out / d x by central differences. # (out.size, x.size)"""
        columns = []
        array = x.array
        for index in itertools.product(*(range(length) for length in array.shape)):
            kept = array[index].item() if hasattr(array[index], "item") else array[index]
            values = []
            try:
                for step in (self.eps, -self.eps):
                    array[index] = kept + step
                    touch(array)
                    values.append(self._values()[number])
            finally:
                array[index] = kept
                touch(array)
            columns.append((values[0] - values[1]) / (2 * self.eps))
        size = self._values()[number].size
        return np.array(columns).reshape(array.size, size).T

    def _compare(self, number, position, analytic, numeric):
        if np.allclose(analytic, numeric, rtol=self.rtol, atol=self.atol, equal_nan=True):
            return
        raise GradcheckError(
            f"Jacobian mismatch for output {number} with respect to input {position},\n"
            f"numerical:{numeric}\nanalytical:{analytic}\n"
            f"largest difference {np.nanmax(np.abs(analytic - numeric)):.3e}"
        )

    def _run_fast(self, outputs):
        """Compare u^T J v for one random pair of directions per output and input."""
        draw = np.random.default_rng(0)
        lefts = [draw.standard_normal(out.array.shape) for out in outputs]
        gradients = [
            self._gradients(out, xp(out.array).asarray(left.astype(out.array.dtype)))
            for out, left in zip(outputs, lefts, strict=True)
        ]
        for number, (out, left, analytic) in enumerate(zip(outputs, lefts, gradients, strict=True)):
            for position, x in enumerate(self.tracked):
                right = draw.standard_normal(x.array.shape)
                right /= max(np.linalg.norm(right), 1e-300)
                numeric = float(left.ravel() @ self._directional(number, x, right))
                value = float(analytic[position] @ right.ravel())
                if not np.isclose(
                    value, numeric, rtol=self.rtol, atol=self.atol * np.sqrt(max(out.array.size, 1)), equal_nan=True
                ):
                    raise GradcheckError(
                        f"Jacobian mismatch (fast mode) for output {number} with respect to input {position}: "
                        f"numerical {numeric}, analytical {value}"
                    )

    def _directional(self, number, x, direction):
        """Return (y(x + eps v) - y(x - eps v)) / (2 eps)."""
        kept = x.array.copy()
        values = []
        try:
            for sign in (1, -1):
                x.array[...] = kept + xp(kept).asarray(sign * self.eps * direction)
                touch(x.array)
                values.append(self._values()[number])
        finally:
            x.array[...] = kept
            touch(x.array)
        return (values[0] - values[1]) / (2 * self.eps)

    def _check_single_outputs(self, outputs):
        """Gradients must come out, and add up, when outputs are used one at a time."""
        directions = [xp(o.array).ones(o.array.shape, o.array.dtype) for o in outputs]
        together = engine.grad(
            outputs, self.tracked, [wrap(d) for d in directions], retain_graph=True, allow_unused=True
        )
        parts = [self._gradients(out, direction) for out, direction in zip(outputs, directions, strict=True)]
        for position, whole in enumerate(together):
            total = sum(part[position] for part in parts)
            expected = np.zeros_like(total) if whole is None else to_numpy(whole.array).astype(np.float64).ravel()
            if not np.allclose(total, expected, rtol=self.rtol, atol=self.atol, equal_nan=True):
                raise GradcheckError(f"Expected backward function to handle undefined output grads (input {position})")
