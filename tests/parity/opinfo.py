"""Run PyTorch's operator database (OpInfo) against minigrad.

    python -m tests.parity.opinfo [NAME …] [--family F] [--dtype float32] [--max-samples N] [--verbose]

For every operator that minigrad has, samples made by PyTorch are given to both and compared: values, shapes, dtypes,
result structure, aliasing, untouched inputs, non-contiguous inputs, method, in-place, operator and out= variants,
first and second gradients (float64) and error classes. One line per operator, then a table.
"""

import argparse
import contextlib
import fnmatch
import functools
import importlib
import itertools
import math
import random
import sys
import time
import warnings

import numpy as np
import torch

from tests.parity.compare import (
    TOLERANCES,
    Comparison,
    Mismatch,
    Report,
    Timeout,
    accepts,
    builtin_base,
    describe_sample,
    gradient_difference,
    innermost,
    kolmogorov_smirnov,
    one_line,
    parameters_of,
    signature_text,
    time_limit,
    value_difference,
)
from tests.parity.convert import Converter, Unsupported, dtype_name, flatten, from_array, resolve, to_numpy, translate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.opinfo.core import (
        BinaryUfuncInfo,
        ReductionOpInfo,
        ShapeFuncInfo,
        SpectralFuncInfo,
        UnaryUfuncInfo,
    )

DTYPES = ("float32", "float64", "int64", "float16", "int32", "uint8", "bool")
GRADIENT_TOLERANCE = (1e-6, 1e-8)
SECOND_TOLERANCE = (1e-5, 1e-7)
MAXIMUM_ELEMENTS = 300_000
SAMPLE_SECONDS = 20

# Results are drawn at random: only dtype, shape and distribution can agree.
RANDOM = set(
    """
    bernoulli cauchy exponential geometric log_normal multinomial nn.functional.alpha_dropout nn.functional.dropout
    nn.functional.dropout2d nn.functional.dropout3d nn.functional.feature_alpha_dropout
    nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d nn.functional.rrelu normal pca_lowrank
    rand_like randint randint_like randn randn_like svd_lowrank uniform
    """.split()
)
# Memory is left uninitialised: only dtype and shape can agree.
UNINITIALISED = set(
    """
    empty empty_like empty_permuted empty_strided new_empty new_empty_strided resize_ resize_as_
    """.split()
)
# Which of several equal elements an index names is unspecified: indices are compared where the values are distinct.
TIES = set(
    """
    aminmax argmax argmin argsort cummax cummin kthvalue max median min mode msort nanmedian
    nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool2d sort topk
    """.split()
)
# Factors are unique up to signs: magnitudes are compared.
UP_TO_SIGN = set(
    """
    geqrf linalg.eig linalg.eigh linalg.qr linalg.svd qr svd
    """.split()
)
# Not operators of the public interface or of dense real CPU tensors.
NEVER = set(
    """
    jiterator_* torch.ops.* sparse.* masked.* _[!_]* torch._* to_sparse chalf cfloat cdouble bfloat16
    native_dropout_backward slice max_pool2d_with_indices_backward
    """.split()
)

# Which dtypes besides their own their out= takes depends on the arguments; here it takes every wider one.
WIDER_OUT = set("abs cumsum diff inner lerp linalg.matrix_power".split())
WIDER = {torch.float32: torch.float64, torch.int64: torch.float32, torch.bool: torch.uint8}

FAMILIES = {
    "conv": ("nn.functional.conv* nn.functional.unfold nn.functional.fold nn.functional.linear nn.functional.bilinear"),
    "pool": "*pool* *unpool*",
    "norm": "*_norm nn.functional.normalize renorm",
    "loss": (
        "*_loss *cross_entropy* nn.functional.kl_div nn.functional.pairwise_distance "
        "nn.functional.cosine_similarity nn.functional.pdist cdist"
    ),
    "resample": (
        "nn.functional.interpolate nn.functional.upsample* nn.functional.grid_sample grid_sampler* "
        "nn.functional.pixel* nn.functional.channel_shuffle nn.functional.pad"
    ),
    "activation": "nn.functional.* sigmoid tanh softmax log_softmax",
    "linalg": (
        "linalg.* matmul mm bmm mv dot vdot inner outer addmm addmv addr addbmm baddbmm einsum tensordot kron "
        "cholesky* lu* svd qr pinverse logdet triangular* trace norm matrix_exp geqrf ormqr dist cross cov "
        "corrcoef chain_matmul *lowrank __rmatmul__"
    ),
    "index": (
        "index* gather scatter* take* put masked_* where select* slice* __getitem__ nonzero* argwhere "
        "searchsorted bucketize narrow* diagonal* unique* bincount histc histogram* isin tri? tri?_indices "
        "as_strided* item embedding*"
    ),
    "random": " ".join(RANDOM),
    "creation": (
        "zeros* ones* full* empty* arange linspace logspace eye new_* scalar_tensor fill zero_ clone to bool "
        "byte char double float half int long short"
    ),
    "special": "special.*",
    "fft": "fft.* stft istft signal.*",
}
FAMILIES = {family: patterns.split() for family, patterns in FAMILIES.items()}
# Members of these families that the database files under no class.
REDUCTIONS = set(
    """
    allclose aminmax argsort count_nonzero cummax cummin cumprod cumsum cumulative_trapezoid diff equal kthvalue
    logcumsumexp logsumexp max median min mode msort nanmedian nanquantile quantile sort std_mean topk trapezoid trapz
    var_mean
    """.split()
)
ELEMENTWISE = set(
    """
    addcmul addcdiv clamp lerp isclose frexp nan_to_num __radd__ __rmul__ __rdiv__ __rsub__ __rmod__ __rpow__ __rand__
    __ror__ __rxor__
    """.split()
)


def operator_name(op):
    return op.name + (f"/{op.variant_test_name}" if op.variant_test_name else "")


def family_of(op):
    for family, patterns in FAMILIES.items():
        if any(fnmatch.fnmatch(op.name, pattern) for pattern in patterns):
            return family
    if isinstance(op, ReductionOpInfo):
        return "reduce"
    if isinstance(op, (UnaryUfuncInfo, BinaryUfuncInfo)):
        return "elementwise"
    if isinstance(op, ShapeFuncInfo):
        return "shape"
    if isinstance(op, SpectralFuncInfo):
        return "fft"
    if op.name in REDUCTIONS:
        return "reduce"
    if op.name in ELEMENTWISE:
        return "elementwise"
    return "shape"


def public(module, op):
    with contextlib.suppress(Unsupported):
        found = resolve(module, op.name)
        if callable(found):  # minigrad.bool is a dtype: the operator is the method
            return found
    with contextlib.suppress(Unsupported):
        return resolve(module, op.name, inside=("Tensor",))
    return resolve(module, op.name + "_", inside=("Tensor",))  # uniform_ and its like exist in place only


def find(module, op):
    """Return the target module's function for an OpInfo; Unsupported when it has none."""
    if any(fnmatch.fnmatch(op.name, pattern) for pattern in NEVER):
        raise Unsupported("outside the public dense interface")
    function = public(module, op)
    wrapper = translate(op.op, module)
    if wrapper is not op.op:
        return wrapper
    return function


def owner_of(module, op):
    """Name the source file that defines the function, for grouping."""
    try:
        function = public(module, op)
    except Unsupported:
        return "absent"
    function = getattr(function, "__wrapped__", function)
    return getattr(function, "__module__", None) or "?"


# ------------------------------------------------------------------------------------------------------- one operator


class Checker:
    """All checks of one operator."""

    def __init__(
        self, op, module, dtypes=DTYPES, max_samples=12, seconds=25.0, gradients=True, errors=True, thorough=False
    ):
        self.op = op
        self.module = module
        self.dtypes = dtypes
        self.max_samples = max_samples
        self.deadline = time.monotonic() + seconds
        self.gradients = gradients
        self.errors = errors
        self.thorough = thorough
        self.report = Report(operator_name(op))
        self.reference = translate(op.op, torch)
        self.elementwise = isinstance(op, (UnaryUfuncInfo, BinaryUfuncInfo))

    def run(self):
        started = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.function = find(self.module, self.op)
            except Unsupported as reason:
                self.report.status = "skipped" if "outside" in str(reason) else "absent"
                return self.report
            self.report.owner = owner_of(self.module, self.op)
            self.check_signature()
            for name in self.dtypes:
                dtype = getattr(torch, name)
                if dtype in self.op.dtypes and not self.late():
                    self.guard(name, "samples", self.check_dtype, dtype)
            if self.gradients and self.op.supports_autograd:
                if torch.float64 in self.op.dtypes:
                    self.guard("float64", "gradients", self.check_gradients, torch.float64)
                if "complex128" in self.dtypes and torch.complex128 in self.op.dtypes:
                    self.guard("complex128", "gradients", self.check_gradients, torch.complex128)
            reflected = self.op.name.startswith("__")  # their errors are about descriptors of a C type
            if self.errors and self.op.error_inputs_func is not None and not reflected:
                self.guard("", "errors", self.check_errors)
        if self.report.mismatches:
            self.report.status = "mismatch"
        elif not self.report.compared:
            self.report.status = "skipped"
        self.report.seconds = time.monotonic() - started
        return self.report

    def late(self):
        return time.monotonic() > self.deadline

    def guard(self, dtype, what, check, *args):
        """A failure of the harness or of PyTorch's sample function never stops the run."""
        try:
            check(*args)
        except Timeout as error:
            self.add("time", dtype, what, str(error))
        except Exception as error:
            self.add("harness", dtype, what, one_line(error) + innermost(error))

    def add(self, check, dtype, where, reason):
        self.report.mismatches.append(Mismatch(check, dtype, where, reason))

    def samples(self, dtype, requires_grad, count):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        # The functions behind op.sample_inputs(), which re-seeds and looks at the call stack for every sample.
        make = self.op.sample_inputs_func
        if self.thorough and not requires_grad and self.op.reference_inputs_func is not None:
            make = self.op.reference_inputs_func
        made = itertools.islice(make(self.op, "cpu", dtype, requires_grad), 1000 if self.thorough else 300)
        made = [sample for sample in made if self.size(sample) <= MAXIMUM_ELEMENTS]
        if len(made) <= count:
            return made
        positions = sorted({round(i * (len(made) - 1) / (count - 1)) for i in range(count)}) if count > 1 else [0]
        return [made[position] for position in positions]

    @staticmethod
    def size(sample):
        return sum(tensor.numel() for tensor in flatten([sample.input, sample.args, sample.kwargs], torch))

    def is_random(self, sample):
        """Whether the operator draws random numbers, or this sample asks attention for dropout."""
        if self.op.name == "nn.functional.multi_head_attention_forward":
            return any(isinstance(value, float) and value > 0 for value in sample.args)
        return self.op.name in RANDOM or bool(sample.kwargs.get("dropout_p"))

    def comparison(self, sample, **changes):
        values = self.op.name not in UNINITIALISED and not self.is_random(sample)
        settings = dict(scaled=not self.elementwise, magnitude=self.op.name in UP_TO_SIGN, values=values, **changes)
        if self.op.name in ("svd", "linalg.svd"):
            return SingularVectors(self.module, rows=self.op.name == "linalg.svd", **settings)
        return Comparison(self.module, **settings)

    def loose(self, sample):
        """Whether equal elements make the indices of this sample ambiguous."""
        if self.op.name not in TIES:
            return False
        arrays = [to_numpy(tensor) for tensor in flatten(sample.input, torch)]
        return any(np.unique(array).size < array.size for array in arrays)

    def check_signature(self):
        """Functions that are Python in PyTorch have the same parameters, in order, with the same defaults."""
        if getattr(self.op.op, "__module__", "") not in ("torch.nn.functional", "torch.functional"):
            return
        theirs, ours = parameters_of(self.op.op), parameters_of(public(self.module, self.op))
        if not accepts(ours, theirs):
            self.add("signature", "", "", f"got {signature_text(ours)}, want {signature_text(theirs)}")

    # ---- values

    def check_dtype(self, dtype):
        name = dtype_name(dtype)
        for index, sample in enumerate(self.samples(dtype, False, self.max_samples)):
            if self.late():
                return
            where = f"#{index} {describe_sample(sample)}"
            try:
                with time_limit(SAMPLE_SECONDS):
                    self.check_sample(sample, index, name, where)
            except Unsupported:
                self.report.unsupported += 1
            except Timeout as error:
                self.add("time", name, where, str(error))

    def check_sample(self, sample, index, dtype, where):
        expected = self.call(torch, self.reference, sample)
        if any(tensor.dtype is torch.complex32 for tensor in flatten(expected.value, torch)):
            raise Unsupported("complex32")
        actual = self.call(self.module, self.function, sample)
        comparison = self.comparison(sample, loose_indices=self.loose(sample))
        half = dtype in ("float16", "bfloat16")
        if half and comparison.values and self.closer_to_float32(sample, actual, expected, comparison):
            return
        agreed = self.settle("value", dtype, where, actual, expected, comparison)
        if self.is_random(sample):
            if agreed and expected.error is None and index < 3 and dtype in ("float32", "int64"):
                self.check_distribution(sample, dtype, where)
            return
        if not agreed or expected.error is not None:
            return
        if self.op.name not in UNINITIALISED:
            self.check_aliasing(actual, expected, dtype, where)
        self.check_untouched(actual, expected, dtype, where)
        if index < 3:
            self.check_variants(sample, dtype, where, comparison)
        if index < 2 and dtype in ("float64", "int64") and self.op.name not in UNINITIALISED:
            with contextlib.suppress(Unsupported):
                self.check_noncontiguous(sample, dtype, where)
        if index < 2 and self.op.supports_out and dtype in ("float32", "int64"):
            self.check_out(sample, expected.value, dtype, where)

    def closer_to_float32(self, sample, actual, expected, comparison):
        """Whether PyTorch's half-precision result is off by its own rounding, and ours agrees with its float32 one."""
        if expected.error is not None or actual.error is not None or comparison(actual.value, expected.value) is None:
            return False
        wide = self.call(torch, self.reference, sample.transform(lambda x: x.float() if is_half(x) else x))
        if wide.error is not None:
            return False
        narrow = [one.to(other.dtype) for one, other in zip(flatten(wide.value, torch), flatten(expected.value, torch))]
        return comparison(flatten(actual.value, self.module), narrow) is None

    def call(self, module, function, sample, requires_grad=False):
        return Call(module, function, sample, requires_grad)

    def settle(self, check, dtype, where, actual, expected, comparison):
        """Compare two calls: both raise the same class of error, or both return the same."""
        self.report.compared += 1
        if expected.error is not None:
            base = builtin_base(expected.error)
            if actual.error is None:
                self.add(check, dtype, where, f"no error, want {one_line(expected.error)}")
            elif not isinstance(actual.error, base):
                self.add(check, dtype, where, f"raised {one_line(actual.error)}, want {one_line(expected.error)}")
            else:
                return True
            return False
        if actual.error is not None:
            self.add(
                "error" if check == "value" else check,
                dtype,
                where,
                f"raised {one_line(actual.error)}{innermost(actual.error)}",
            )
            return False
        difference = comparison(actual.value, expected.value)
        if difference:
            kind, text = difference
            self.add(kind if check == "value" else check, dtype, where, text if check == "value" else f"{kind} {text}")
            return False
        return True

    def check_aliasing(self, actual, expected, dtype, where):
        """A view in PyTorch is a view here (writes reach the input), a copy is a copy."""
        ours, theirs = flatten(actual.value, self.module), flatten(expected.value, torch)
        for one, other in zip(ours, theirs):
            if other.numel() == 0:
                continue
            wanted = any(same_storage(other, tensor) for tensor in flatten(expected.arguments, torch))
            found = any(overlap(one, tensor) for tensor in flatten(actual.arguments, self.module))
            if wanted != found:
                text = (
                    "result is a copy, want a view of an input"
                    if wanted
                    else "result shares an input's memory, want a copy"
                )
                self.add("view", dtype, where, text)
                return

    def check_untouched(self, actual, expected, dtype, where):
        """Inputs are left as PyTorch leaves them (running statistics change, everything else does not)."""
        before = flatten(expected.arguments, torch)
        after = flatten(actual.arguments, self.module)
        for one, other in zip(after, before):
            tolerance = TOLERANCES.get(dtype_name(other.dtype), (0, 0))
            if self.op.name not in UNINITIALISED and value_difference(to_numpy(one), to_numpy(other), tolerance, True):
                self.add(
                    "mutated", dtype, where, f"an input of shape {tuple(other.shape)} is not left as PyTorch leaves it"
                )
                return

    def check_noncontiguous(self, sample, dtype, where):
        scattered = sample.noncontiguous()
        expected = self.call(torch, self.reference, scattered)
        if expected.error is None:
            actual = self.call(self.module, self.function, scattered)
            self.settle(
                "noncontiguous",
                dtype,
                where,
                actual,
                expected,
                self.comparison(sample, loose_indices=self.loose(sample)),
            )

    # ---- variants

    def check_variants(self, sample, dtype, where, comparison):
        kinds = ("method_variant", "inplace_variant", "operator_variant", "inplace_operator_variant")
        for kind in kinds:
            original = getattr(self.op, kind, None)
            if (
                original is None
                or isinstance(sample.input, (list, tuple))
                or not isinstance(sample.input, torch.Tensor)
            ):
                continue
            reference = translate(original, torch)
            if kind == "inplace_variant" and reference is self.reference:
                continue
            label = kind.replace("_variant", "").replace("_", " ")
            try:
                ours = self.variant(original)
            except Unsupported as reason:
                if dtype == self.dtypes[0]:
                    self.add(label, dtype, where, str(reason))
                continue
            expected = self.call(torch, reference, sample)
            actual = self.call(self.module, ours, sample)
            if expected.error is not None and "inplace" not in kind:
                continue
            agreed = self.settle(label, dtype, where, actual, expected, comparison)
            if agreed and "inplace" in kind and expected.error is None and expected.value is expected.arguments[0]:
                self.check_written(label, actual, expected, dtype, where, comparison)

    def variant(self, original):
        translated = translate(original, self.module)
        if translated is not original or getattr(original, "__module__", "") == "_operator":
            return translated
        if isinstance(original, functools.partial):  # of a function of torch.nn.functional
            return functools.partial(resolve(self.module, self.op.name), **original.keywords)
        return resolve(self.module.Tensor, original.__name__)

    def check_written(self, label, actual, expected, dtype, where, comparison):
        if actual.value is not actual.arguments[0]:
            self.add(label, dtype, where, "does not return the tensor it changed")
            return
        difference = comparison(actual.arguments[0], expected.arguments[0])
        if difference:
            self.add(label, dtype, where, "the changed tensor: " + difference[1])

    def check_out(self, sample, expected, dtype, where):
        """out= of the right shape, transposed, empty (resized), of a dtype that can hold more, or not the result."""
        outs = flatten(expected, torch)
        if (
            not outs
            or isinstance(expected, list)
            or any(not isinstance(item, torch.Tensor) for item in as_tuple(expected))
        ):
            return
        kinds = {
            "out=": lambda t: torch.full_like(t, 1),
            "out= transposed": scattered_like,
            "out= empty": lambda t: torch.empty(0, dtype=t.dtype),
            "out= int": lambda t: torch.zeros(t.shape, dtype=torch.int32),
            "out= wider": lambda t: torch.zeros(t.shape, dtype=WIDER.get(t.dtype, t.dtype)),
        }
        comparison = self.comparison(sample, loose_indices=self.loose(sample))
        for label, make in kinds.items():
            if label == "out= int" and not outs[0].is_floating_point():
                continue
            made = [make(tensor) for tensor in outs]
            given = made[0] if isinstance(expected, torch.Tensor) else tuple(made)
            ours = Converter(self.module)(given)
            result = self.call(torch, with_out(self.reference, given, torch), sample)
            actual = self.call(self.module, with_out(self.function, ours, self.module), sample)
            if label == "out= wider":  # a function takes it or not; what it then computes in differs
                if (actual.error is None) != (result.error is None) and self.op.name not in WIDER_OUT:
                    self.add("out=", dtype, f"{label} {where}", f"got {actual.error!r}, want {result.error!r}")
                continue
            if label != "out= int" and result.error is not None:
                continue  # PyTorch has no out= for this form
            if label == "out= int" and (result.error is None or actual.error is not None):
                continue  # PyTorch's own functions disagree on the class of this error
            if result.error is None:
                result.value = expected  # a few of PyTorch's own functions write strided outs wrongly
            if self.settle("out=", dtype, f"{label} {where}", actual, result, comparison) and result.error is None:
                difference = comparison(ours, expected if isinstance(expected, torch.Tensor) else tuple(expected))
                if difference:
                    self.add("out=", dtype, f"{label} {where}", "the tensor given: " + difference[1])

    # ---- random operators

    def check_distribution(self, sample, dtype, where, draws=100):
        """Two-sample Kolmogorov–Smirnov statistic over repeated draws."""
        pools = []
        for module, function in ((torch, self.reference), (self.module, self.function)):
            pool = []
            for _ in range(draws):
                call = self.call(module, function, sample)
                if call.error is not None:
                    return
                pool.extend(to_numpy(tensor).astype(np.float64).ravel()[:200] for tensor in flatten(call.value, module))
            pools.append(np.concatenate(pool) if pool else np.empty(0))
        theirs, ours = pools
        if theirs.size == 0 or self.op.name in ("pca_lowrank", "svd_lowrank"):
            return
        statistic = kolmogorov_smirnov(theirs, ours)
        # Elements of one draw may depend on each other (dropout2d drops whole channels), hence the modest sample size.
        limit = 3.3 * math.sqrt(2 / min(theirs.size, 6 * draws))
        if statistic > limit:
            means = f"mean {ours.mean():.4g} vs {theirs.mean():.4g}, std {ours.std():.4g} vs {theirs.std():.4g}"
            self.add("distribution", dtype, where, f"KS {statistic:.3f} > {limit:.3f}: {means}")

    # ---- gradients

    def check_gradients(self, dtype):
        samples = self.samples(dtype, True, self.max_samples)
        for index, sample in enumerate(samples):
            if self.late():
                return
            where = f"#{index} {describe_sample(sample)}"
            try:
                with time_limit(SAMPLE_SECONDS):
                    self.check_gradient(sample, where, second=self.op.supports_gradgrad and index % 3 == 0)
            except Unsupported:
                self.report.unsupported += 1
            except Timeout as error:
                self.add("time", "float64", where, str(error))

    def check_gradient(self, sample, where, second):
        if self.is_random(sample):
            return
        theirs = Differentiated(torch, self.op, self.reference, sample)
        if theirs.error is not None or not any(tensor.requires_grad for tensor in theirs.outputs):
            return
        ours = Differentiated(self.module, self.op, self.function, sample)
        if ours.error is not None:
            self.add("grad", "float64", where, f"forward raised {one_line(ours.error)}{innermost(ours.error)}")
            return
        wanted = [tensor.requires_grad for tensor in theirs.outputs]
        found = [bool(tensor.requires_grad) for tensor in ours.outputs]
        if wanted != found:
            self.add("grad", "float64", where, f"requires_grad of the outputs: got {found}, want {wanted}")
            return
        for order, check, tolerance in ((1, "grad", GRADIENT_TOLERANCE), (2, "gradgrad", SECOND_TOLERANCE)):
            if order == 2 and not second:
                return
            expected = theirs.gradients(order, keep=second)
            if theirs.error is not None or expected is None:
                return
            actual = ours.gradients(order, keep=second)
            self.report.compared += 1
            if ours.error is not None:
                self.add(check, "float64", where, f"raised {one_line(ours.error)}{innermost(ours.error)}")
                return
            if actual is None:  # nothing depends on the inputs any more: their gradients are zero
                actual = [None] * len(expected)
            if self.has_float32(sample):  # weights of lower precision bound what can agree
                tolerance = (1e-3, 1e-4)
            difference = gradient_difference(actual, expected, tolerance)
            if difference:
                self.add(check, "float64", where, difference)
                return

    @staticmethod
    def has_float32(sample):
        return any(x.dtype is torch.float32 for x in flatten([sample.input, sample.args, sample.kwargs], torch))

    # ---- errors

    def check_errors(self):
        torch.manual_seed(0)
        for index, case in enumerate(itertools.islice(self.op.error_inputs("cpu"), 60)):
            if self.late():
                return
            sample = case.sample_input
            where = f"error #{index} {describe_sample(sample)}"
            try:
                with time_limit(SAMPLE_SECONDS):
                    expected = self.call(torch, self.reference, sample)
                    if expected.error is None or "not resizable" in str(expected.error):
                        continue  # the latter is about views whose copies here lie on NumPy's memory
                    actual = self.call(self.module, self.function, sample)
                    self.settle("error_inputs", "", where, actual, expected, self.comparison(sample))
            except Unsupported:
                self.report.unsupported += 1
            except Timeout as error:
                self.add("time", "", where, str(error))


class Call:
    """One call of a function on a sample's arguments, converted to the module's tensors afresh."""

    def __init__(self, module, function, sample, requires_grad=False):
        convert = Converter(module, requires_grad)
        arguments, keywords = convert([sample.input, *sample.args]), convert(dict(sample.kwargs))
        self.arguments = [*arguments, keywords]
        self.leaves = convert.leaves
        self.value = self.error = None
        try:
            self.value = function(*arguments, **keywords)
        except Exception as error:
            self.error = error


class Differentiated:
    """A call with tracked inputs, and the gradients of a fixed random projection of its outputs."""

    def __init__(self, module, op, function, sample):
        self.module = module
        wrapper = translate(op.gradcheck_wrapper, module)
        process = translate(sample.output_process_fn_grad, module)

        def run(*args, **kwargs):
            return process(wrapper(function, *args, **kwargs))

        call = Call(module, run, sample, requires_grad=True)
        self.error = call.error
        self.leaves = [leaf for leaf in call.leaves if leaf.requires_grad]
        self.outputs = flatten(call.value, module)
        self.random = np.random.default_rng(7)

    def gradients(self, order, keep):
        """Gradients of the outputs (order 1), then of those gradients (order 2), as arrays or None."""
        outputs = [output for output in self.outputs if output.requires_grad]
        if not outputs:
            return None
        weights = [
            from_array(
                self.module, np.asarray(self.random.standard_normal(tuple(output.shape)), dtype=to_numpy(output).dtype)
            )
            for output in outputs
        ]
        try:
            found = self.module.autograd.grad(
                outputs, self.leaves, weights, create_graph=keep and order == 1, allow_unused=True
            )
        except Exception as error:
            self.error = error
            return None
        self.outputs = [gradient for gradient in found if gradient is not None]
        # A gradient that is identically zero may be reported as None and the other way round; see gradient_difference.
        return [None if gradient is None else to_numpy(gradient) for gradient in found]


def is_half(value):
    return isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)


class SingularVectors(Comparison):
    """Compares only what a matrix determines: full_matrices=True fills up with any orthonormal basis."""

    def __init__(self, *args, rows, **kwargs):
        super().__init__(*args, **kwargs)
        self.rows = rows  # linalg.svd gives V transposed

    def __call__(self, actual, expected, path="result"):
        difference = Comparison(self.module, values=False)(actual, expected, path)
        if difference or not isinstance(expected, (tuple, list)) or len(expected) != 3:
            return difference or super().__call__(actual, expected, path)
        return super().__call__(self.leading(actual), self.leading(expected), path)

    def leading(self, factors):
        first, singular, last = factors
        count = singular.shape[-1]
        return [first[..., :count], singular, last[..., :count, :] if self.rows else last[..., :count]]


def as_tuple(value):
    return value if isinstance(value, (tuple, list)) else (value,)


def with_out(function, out, module):
    def call(*args, **kwargs):
        return function(*args, **kwargs, out=out)

    return call


def scattered_like(tensor):
    """A tensor of the same shape whose memory order is reversed."""
    return torch.full(tuple(reversed(tensor.shape)), 1, dtype=tensor.dtype).permute(tuple(reversed(range(tensor.ndim))))


def same_storage(one, other):
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def overlap(one, other):
    if isinstance(one, torch.Tensor):
        return same_storage(one, other)
    return np.may_share_memory(one.array, other.array)


# -------------------------------------------------------------------------------------------------------- command line


def select(names=(), family=None):
    """OpInfos whose name (or name/variant) matches one of the shell patterns and whose family is the one asked for."""
    for op in op_db:
        if names and not any(
            fnmatch.fnmatch(text, pattern)
            for pattern in names
            for text in (op.name, operator_name(op), op.name.rpartition(".")[2])
        ):
            continue
        if family == "nn.functional":
            if not op.name.startswith("nn.functional."):
                continue
        elif family and family_of(op) != family:
            continue
        yield op


def check(op, module, **settings):
    return Checker(op, module, **settings).run()


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.parity.opinfo", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="operator names or shell patterns: add 'linalg.*' max/binary"
    )
    parser.add_argument("--family", choices=[*FAMILIES, "elementwise", "reduce", "shape", "nn.functional"])
    choices = (*DTYPES, "complex64", "complex128", "bfloat16")
    parser.add_argument("--dtype", action="append", choices=choices, help="only this dtype (may be repeated)")
    parser.add_argument("--max-samples", type=int, default=12, help="samples per dtype")
    parser.add_argument("--seconds", type=float, default=25.0, help="time limit per operator")
    parser.add_argument("--no-grad", action="store_true", help="leave gradients out")
    parser.add_argument("--no-errors", action="store_true", help="leave error inputs out")
    parser.add_argument(
        "--thorough", action="store_true", help="the larger set of inputs (broadcasting, extreme values)"
    )
    parser.add_argument("--show-absent", action="store_true", help="print a line for absent operators too")
    parser.add_argument("--verbose", action="store_true", help="print every mismatch, not the first only")
    parser.add_argument("--module", default="minigrad", help="module under test (torch checks the harness itself)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    module = importlib.import_module(options.module)
    reports = []
    for op in select(options.names, options.family):
        report = check(
            op,
            module,
            dtypes=tuple(options.dtype or DTYPES),
            max_samples=options.max_samples,
            seconds=options.seconds,
            gradients=not options.no_grad,
            errors=not options.no_errors,
            thorough=options.thorough,
        )
        reports.append(report)
        if report.status in ("ok", "mismatch") or options.names or options.show_absent:
            print(report.line(), flush=True)
        if options.verbose:
            for mismatch in report.mismatches:
                print("    ", mismatch, flush=True)
    print_table(reports)
    return 1 if any(report.status == "mismatch" for report in reports) else 0


def print_table(reports):
    by_status = {}
    for report in reports:
        by_status.setdefault(report.status, []).append(report)
    print(
        "\n" + "  ".join(f"{status}: {len(group)}" for status, group in sorted(by_status.items())),
        f"  comparisons: {sum(report.compared for report in reports)}",
        f"  seconds: {sum(report.seconds for report in reports):.0f}",
    )
    absent = [report.name for report in by_status.get("absent", [])]
    if absent:
        print("absent:", " ".join(absent))
    owners = {}
    for report in by_status.get("mismatch", []):
        owners.setdefault(report.owner, []).append(f"{report.name} ({len(report.mismatches)})")
    for owner, names in sorted(owners.items()):
        print(f"mismatches in {owner}: " + " ".join(names))


if __name__ == "__main__":
    sys.exit(main())
