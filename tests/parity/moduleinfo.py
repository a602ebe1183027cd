"""Run PyTorch's database of layers (ModuleInfo) against minigrad.

    python -m tests.parity.moduleinfo [NAME …] [--max-samples N] [--verbose]

Both layers are built with the same arguments and given the same state; signature, state_dict, names, repr, forward,
gradients of inputs and parameters, buffers after the step, train and eval mode, copies and errors are compared, and the
distribution of freshly initialised parameters.
"""

import argparse
import copy
import fnmatch
import importlib
import itertools
import pickle
import random
import sys
import time
import warnings

import numpy as np
import torch

from tests.parity.compare import (
    Comparison,
    Mismatch,
    Report,
    Timeout,
    accepts,
    builtin_base,
    describe,
    gradient_difference,
    innermost,
    kolmogorov_smirnov,
    one_line,
    parameters_of,
    signature_text,
    time_limit,
)
from tests.parity.convert import Converter, Unsupported, dtype_name, flatten, from_array, resolve, to_numpy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import (
        FunctionInput,
        ModuleErrorEnum,
        ModuleInfo,
        ModuleInput,
        module_db,
    )

TOLERANCES = {"float32": (1e-4, 1e-5), "float64": (1e-7, 1e-9)}
GRADIENT_TOLERANCES = {"float32": (1e-3, 1e-4), "float64": (1e-6, 1e-8)}
SAMPLE_SECONDS = 20
MAXIMUM_PARAMETERS = 300_000


def case(*shapes, build=(), integers=None, **keywords):
    """A sample for layers missing from PyTorch's database: forward shapes and constructor arguments."""

    def make(module_info, device, dtype, requires_grad, training, **ignored):
        tensors = []
        for shape in shapes:
            if integers is not None:
                tensors.append(torch.randint(*integers, shape))
            else:
                tensors.append(torch.randn(shape, dtype=dtype, requires_grad=requires_grad))
        return ModuleInput(FunctionInput(*build, **keywords), FunctionInput(*tensors))

    return make


def info(layer, *cases, differ=False):
    def make(*args, **kwargs):
        return [one(*args, **kwargs) for one in cases]

    return ModuleInfo(layer, module_inputs_func=make, train_and_eval_differ=differ)


NN = torch.nn
EXTRA = [
    info(NN.Identity, case((2, 3)), case((2, 3), build=(54, 3))),
    info(NN.Flatten, case((2, 3, 4)), case((2, 3, 4), build=(0, 1)), case((2, 3, 4), start_dim=-2)),
    info(NN.Unflatten, case((2, 12), build=(1, (3, 4))), case((2, 12, 5), dim=-2, unflattened_size=(2, -1))),
    info(NN.Dropout, case((4, 5), build=(0.0,)), case((3, 4), p=1.0), case((3, 4), p=0.5), differ=True),
    info(NN.Dropout1d, case((4, 5), p=0.3), case((2, 4, 5), p=0.0), differ=True),
    info(NN.Dropout2d, case((2, 4, 5, 2), p=0.3), case((2, 4, 5, 3), p=0.0), differ=True),
    info(NN.Dropout3d, case((2, 4, 5, 2, 2), p=0.3), case((2, 4, 5, 3, 2), p=0.0), differ=True),
    info(NN.AlphaDropout, case((4, 5), p=0.3), case((4, 5), p=0.0), differ=True),
    info(NN.FeatureAlphaDropout, case((4, 5, 3), p=0.3), case((4, 5, 3), p=0.0), differ=True),
    info(NN.PixelShuffle, case((2, 8, 3, 2), build=(2,)), case((18, 2, 2), build=(3,))),
    info(NN.PixelUnshuffle, case((2, 2, 6, 4), build=(2,))),
    info(NN.ChannelShuffle, case((2, 6, 3, 2), build=(3,))),
    info(
        NN.Upsample,
        case((1, 2, 4, 4), scale_factor=2),
        case((1, 2, 4, 3), size=(6, 7), mode="bilinear", align_corners=True),
        case((1, 2, 5), scale_factor=1.5, mode="linear"),
        case((1, 2, 4, 4), size=7, mode="bicubic"),
    ),
    info(NN.UpsamplingNearest2d, case((1, 2, 4, 4), scale_factor=2), case((1, 2, 4, 4), size=(6, 5))),
    info(NN.UpsamplingBilinear2d, case((1, 2, 4, 4), scale_factor=2), case((1, 2, 4, 4), size=(6, 5))),
    info(
        NN.Fold,
        case((2, 12, 12), output_size=(4, 5), kernel_size=(2, 2)),
        case((1, 9, 9), build=((5, 5), 3), stride=2, padding=1),
    ),
    info(
        NN.Unfold, case((2, 3, 5, 6), build=((2, 3),)), case((2, 3, 5, 6), build=(2,), dilation=2, padding=1, stride=2)
    ),
    info(NN.CosineSimilarity, case((4, 5), (4, 5)), case((4, 5, 2), (4, 5, 2), dim=2, eps=1e-4)),
    info(NN.PairwiseDistance, case((4, 5), (4, 5)), case((4, 5), (4, 5), p=1.0, keepdim=True)),
    info(
        NN.TripletMarginLoss,
        case((4, 5), (4, 5), (4, 5)),
        case((4, 5), (4, 5), (4, 5), margin=0.5, p=3, swap=True, reduction="none"),
    ),
    info(
        NN.TripletMarginWithDistanceLoss,
        case((4, 5), (4, 5), (4, 5)),
        case((4, 5), (4, 5), (4, 5), swap=True, margin=2.0),
    ),
    info(
        NN.EmbeddingBag,
        case((3, 4), build=(10, 5), integers=(10,)),
        case((3, 4), build=(10, 5), mode="sum", integers=(10,)),
        case((3, 4), build=(10, 5), mode="max", padding_idx=2, integers=(10,)),
    ),
    info(
        NN.Embedding,
        case((3, 4), build=(10, 5), padding_idx=-1, integers=(10,)),
        case((3,), build=(10, 5), integers=(10,), max_norm=0.5),
    ),
    info(NN.RReLU, case((3, 4), lower=0.2, upper=0.2), case((3, 4)), differ=True),
    info(NN.Hardsigmoid, case((3, 4))),
    info(NN.LazyLinear, case((3, 4), build=(5,)), case((3, 4), build=(5, False))),
    info(NN.LazyBatchNorm1d, case((5, 4)), differ=True),
    info(NN.LazyBatchNorm2d, case((5, 4, 3, 3)), differ=True),
    info(NN.LazyInstanceNorm2d, case((5, 4, 3, 3), affine=True), differ=True),
    info(
        NN.MaxPool2d,
        case((1, 2, 7, 7), build=(3,), stride=2, padding=1, ceil_mode=True),
        case((2, 7, 7), build=((3, 2),), dilation=2, return_indices=True),
    ),
    info(NN.ReflectionPad2d, case((1, 2, 4, 4), build=((1, 2, 0, -1),))),
    info(
        NN.Conv2d,
        case((1, 4, 6, 6), build=(4, 8, 3), stride=2, padding=1, groups=2, padding_mode="reflect"),
        case(
            (4, 6, 6), build=(4, 4, (1, 3)), padding="same", groups=4, dilation=2, padding_mode="circular", bias=False
        ),
        case((1, 4, 6, 6), build=(4, 6, 2), padding="valid", padding_mode="replicate"),
    ),
    info(
        NN.ConvTranspose2d,
        case((1, 4, 5, 4), build=(4, 6, 3), stride=3, padding=1, output_padding=2, groups=2),
        case((4, 5, 4), build=(4, 2, 2), dilation=2, bias=False),
    ),
    info(NN.GroupNorm, case((2, 6, 3), build=(3, 6)), case((2, 6), build=(2, 6), affine=False, eps=1e-3)),
]


def every_info():
    """The database's layers, then the extra ones; a layer in both is told apart by a suffix."""
    yield from ((one.module_cls.__name__, one) for one in module_db)
    known = {one.module_cls.__name__ for one in module_db}
    for one in EXTRA:
        name = one.module_cls.__name__
        yield (name + "/extra" if name in known else name), one


class LayerChecker:
    """All checks of one layer class."""

    def __init__(self, name, layer_info, module, dtypes=("float32", "float64"), max_samples=8, seconds=30.0):
        self.info = layer_info
        self.module = module
        self.dtypes = dtypes
        self.max_samples = max_samples
        self.deadline = time.monotonic() + seconds
        self.report = Report(name)
        self.theirs_class = layer_info.module_cls

    def add(self, check, dtype, where, reason):
        self.report.mismatches.append(Mismatch(check, dtype, where, reason))

    def late(self):
        return time.monotonic() > self.deadline

    def run(self):
        started = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.ours_class = resolve(self.module, "nn." + self.theirs_class.__name__)
            except Unsupported:
                self.report.status = "absent"
                return self.report
            self.report.owner = self.ours_class.__module__
            self.check_signature()
            for dtype in self.dtypes:
                for training in (True, False):
                    self.guard(dtype, "samples", self.check_mode, dtype, training)
            self.guard("float32", "initialisation", self.check_initialisation)
            self.guard("float64", "errors", self.check_errors)
        if self.report.mismatches:
            self.report.status = "mismatch"
        self.report.seconds = time.monotonic() - started
        return self.report

    def guard(self, dtype, where, check, *args):
        try:
            check(*args)
        except Timeout as error:
            self.add("time", dtype, where, str(error))
        except Unsupported:
            self.report.unsupported += 1
        except Exception as error:
            self.add("harness", dtype, where, one_line(error) + innermost(error))

    def check_signature(self):
        """The constructor has PyTorch's parameters, in order, with its defaults (device and dtype included)."""
        theirs, ours = parameters_of(self.theirs_class), parameters_of(self.ours_class)
        self.report.compared += 1
        if not accepts(ours, theirs):
            self.add("signature", "", "__init__", f"got {signature_text(ours)}, want {signature_text(theirs)}")

    def samples(self, dtype, training, count):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        made = self.info.module_inputs_func(
            self.info, device="cpu", dtype=getattr(torch, dtype), requires_grad=True, training=training
        )
        made = list(itertools.islice(made, 1000))
        if len(made) <= count:
            return made
        return [made[round(i * (len(made) - 1) / (count - 1))] for i in range(count)]

    def check_mode(self, dtype, training):
        # Modes that do not differ are checked on half as many samples the second time.
        count = self.max_samples if training or self.info.train_and_eval_differ else 2
        for index, sample in enumerate(self.samples(dtype, training, count)):
            if self.late():
                return
            arguments = describe([*sample.constructor_input.args, sample.constructor_input.kwargs])
            where = f"{'train' if training else 'eval'} #{index} {arguments[:150]}"
            try:
                with time_limit(SAMPLE_SECONDS):
                    self.check_sample(sample, dtype, training, where, first=index == 0 and training)
            except Unsupported:
                self.report.unsupported += 1
            except Timeout as error:
                self.add("time", dtype, where, str(error))

    def build(self, module, layer_class, sample, dtype, training):
        convert = Converter(module)
        args, kwargs = convert(list(sample.constructor_input.args)), convert(dict(sample.constructor_input.kwargs))
        layer = layer_class(*args, **kwargs)
        layer = layer.to(getattr(module, dtype))
        return layer.train(training)

    def check_sample(self, sample, dtype, training, where, first):
        theirs = self.build(torch, self.theirs_class, sample, dtype, training)
        try:
            ours = self.build(self.module, self.ours_class, sample, dtype, training)
        except Unsupported:
            raise
        except Exception as error:
            self.add("construct", dtype, where, f"raised {one_line(error)}{innermost(error)}")
            return
        self.report.compared += 1
        if self.info.is_lazy or "Lazy" in self.theirs_class.__name__:
            self.forward(torch, theirs, sample)
            lazy = self.forward(self.module, ours, sample)
            if lazy.error is not None:
                self.add("forward", dtype, where, f"lazy forward raised {one_line(lazy.error)}{innermost(lazy.error)}")
                return
        if not self.check_structure(ours, theirs, dtype, where):
            return
        state = Converter(self.module, requires_grad=False)(dict(theirs.state_dict()))
        ours.load_state_dict(state)
        if first:
            self.check_copies(ours, dtype, where)
        self.check_forward(ours, theirs, sample, dtype, training, where)

    def forward(self, module, layer, sample):
        return Forward(module, layer, sample)

    def check_structure(self, ours, theirs, dtype, where):
        """Names, shapes and dtypes of the state, requires_grad, mode, repr."""
        expected = [(name, tuple(value.shape), dtype_name(value.dtype)) for name, value in theirs.state_dict().items()]
        found = [(name, tuple(value.shape), dtype_name(value.dtype)) for name, value in ours.state_dict().items()]
        if found != expected:
            self.add("state_dict", dtype, where, f"got {found[:6]}, want {expected[:6]}")
            return False
        for what in ("named_parameters", "named_buffers"):
            wanted = [(name, value.requires_grad) for name, value in getattr(theirs, what)()]
            given = [(name, bool(value.requires_grad)) for name, value in getattr(ours, what)()]
            if wanted != given:
                self.add("names", dtype, where, f"{what}: got {given[:6]}, want {wanted[:6]}")
        wanted = [(name, layer.training) for name, layer in theirs.named_modules()]
        given = [(name, layer.training) for name, layer in ours.named_modules()]
        if wanted != given:
            self.add("names", dtype, where, f"named_modules: got {given[:6]}, want {wanted[:6]}")
        if repr(ours) != repr(theirs):
            self.add("repr", dtype, where, f"got {one_line_text(repr(ours))}, want {one_line_text(repr(theirs))}")
        return True

    def check_copies(self, ours, dtype, where):
        """deepcopy and pickle keep the state, the mode and the repr."""
        for what, duplicate in (
            ("deepcopy", copy.deepcopy),
            ("pickle", lambda layer: pickle.loads(pickle.dumps(layer))),
        ):
            try:
                twin = duplicate(ours)
            except Exception as error:
                self.add("copy", dtype, where, f"{what} raised {one_line(error)}{innermost(error)}")
                continue
            for (name, one), other in zip(ours.state_dict().items(), twin.state_dict().values()):
                if not np.array_equal(to_numpy(one), to_numpy(other)) or np.may_share_memory(
                    to_numpy(one), to_numpy(other)
                ):
                    self.add("copy", dtype, where, f"{what}: {name} differs or is shared")
            if twin.training != ours.training or repr(twin) != repr(ours):
                self.add("copy", dtype, where, f"{what} has another mode or repr")

    def check_forward(self, ours, theirs, sample, dtype, training, where):
        expected, actual = self.forward(torch, theirs, sample), self.forward(self.module, ours, sample)
        self.report.compared += 1
        if expected.error is not None:
            if actual.error is None or not isinstance(actual.error, builtin_base(expected.error)):
                given = "no error" if actual.error is None else one_line(actual.error)
                self.add("forward", dtype, where, f"{given}, want {one_line(expected.error)}")
            return
        if actual.error is not None:
            self.add("forward", dtype, where, f"raised {one_line(actual.error)}{innermost(actual.error)}")
            return
        is_random = training and draws(theirs)
        difference = Comparison(self.module, TOLERANCES[dtype], values=not is_random)(actual.value, expected.value)
        if difference:
            self.add("forward", dtype, where, " ".join(difference))
            return
        for (name, wanted), given in zip(theirs.named_buffers(), ours.buffers()):
            if not np.allclose(to_numpy(given), to_numpy(wanted), rtol=1e-4, atol=1e-5):
                self.add("buffers", dtype, where, f"{name} after forward differs")
        if not is_random:
            self.check_gradients(ours, theirs, actual, expected, dtype, where)

    def check_gradients(self, ours, theirs, actual, expected, dtype, where):
        outputs = flatten(expected.value, torch)
        wanted = [tensor.requires_grad for tensor in outputs]
        found = [bool(tensor.requires_grad) for tensor in flatten(actual.value, self.module)]
        if wanted != found:
            self.add("grad", dtype, where, f"requires_grad of the outputs: got {found}, want {wanted}")
            return
        if not any(wanted):
            return
        names = [f"input {i}" for i in range(len(expected.leaves))] + [name for name, _ in theirs.named_parameters()]
        second = dtype == "float64" and self.info.supports_gradgrad and " #0 " in where
        pair = []
        for call, layer, module in ((expected, theirs, torch), (actual, ours, self.module)):
            try:
                pair.append(projected_gradients(call, layer, module, second))
            except Exception as error:
                if module is not torch or self.module is torch:
                    self.add("grad", dtype, where, f"raised {one_line(error)}{innermost(error)}")
                return
        tolerance = GRADIENT_TOLERANCES[dtype]
        for order, (reference, gradients) in enumerate(zip(*pair)):
            self.report.compared += 1
            difference = gradient_difference(gradients, reference, tolerance)
            if difference:
                index = int(difference.split()[3].rstrip(":"))
                self.add("gradgrad" if order else "grad", dtype, where, f"({names[index]}) {difference}")
                return

    # ---- initialisation

    def check_initialisation(self):
        """Freshly made parameters follow PyTorch's distributions."""
        seen = 0
        for sample in self.samples("float32", True, 4):
            if "Lazy" in self.theirs_class.__name__ or seen == 2:
                return
            pools = ({}, {})
            for layer_class, module, pool in (
                (self.theirs_class, torch, pools[0]),
                (self.ours_class, self.module, pools[1]),
            ):
                for _ in range(24):
                    layer = self.build(module, layer_class, sample, "float32", True)
                    values = list(layer.named_parameters())
                    if not values or sum(value.numel() for _, value in values) > MAXIMUM_PARAMETERS:
                        break
                    for name, value in values:
                        pool.setdefault(name, []).append(to_numpy(value).ravel()[:2000])
            seen += bool(pools[0])
            where = f"{describe([*sample.constructor_input.args, sample.constructor_input.kwargs])[:120]}"
            for name, wanted in pools[0].items():
                self.compare_distributions(name, np.concatenate(pools[1][name]), np.concatenate(wanted), where)

    def compare_distributions(self, name, ours, theirs, where):
        self.report.compared += 1
        statistic = kolmogorov_smirnov(theirs.astype(np.float64), ours.astype(np.float64))
        limit = 3.5 * np.sqrt(2 / theirs.size)
        if statistic > limit and limit < 1:
            self.add(
                "init",
                "float32",
                where,
                f"{name}: KS {statistic:.2f} > {limit:.2f}, mean {ours.mean():.4g} vs {theirs.mean():.4g}, "
                f"std {ours.std():.4g} vs {theirs.std():.4g}, range [{ours.min():.4g}, {ours.max():.4g}] "
                f"vs [{theirs.min():.4g}, {theirs.max():.4g}]",
            )

    # ---- errors

    def check_errors(self):
        if self.info.module_error_inputs_func is None:
            return
        torch.manual_seed(0)
        cases = self.info.module_error_inputs_func(
            self.info, device="cpu", dtype=torch.float64, requires_grad=False, training=True
        )
        for index, one in enumerate(cases):
            sample = one.module_error_input
            constructing = one.error_on is ModuleErrorEnum.CONSTRUCTION_ERROR
            errors = []
            for module, layer_class in ((torch, self.theirs_class), (self.module, self.ours_class)):
                error = None
                try:
                    layer = self.build(module, layer_class, sample, "float64", True)
                    if not constructing:
                        error = self.forward(module, layer, sample).error
                except Exception as raised:
                    error = raised
                errors.append(error)
            expected, actual = errors
            self.report.compared += 1
            if expected is not None and not isinstance(actual, builtin_base(expected)):
                given = "no error" if actual is None else one_line(actual)
                self.add("error_inputs", "float64", f"error #{index}", f"{given}, want {one_line(expected)}")


class Forward:
    """One call of a layer on a sample's inputs."""

    def __init__(self, module, layer, sample):
        convert = Converter(module)
        args, kwargs = convert(list(sample.forward_input.args)), convert(dict(sample.forward_input.kwargs))
        self.leaves = [leaf for leaf in convert.leaves if leaf.requires_grad]
        self.value = self.error = None
        random.seed(0)
        try:
            self.value = layer(*args, **kwargs)
        except Exception as error:
            self.error = error


def projected_gradients(call, layer, module, second):
    """Gradients (first, then second) of a random projection of the outputs: for each, arrays or None per leaf."""
    generator = np.random.default_rng(3)
    leaves = call.leaves + list(layer.parameters())
    outputs = [output for output in flatten(call.value, module) if output.requires_grad]
    result = []
    for order in range(1 + second):
        if not outputs:
            break
        weights = [
            from_array(module, np.asarray(generator.standard_normal(tuple(output.shape)), dtype=to_numpy(output).dtype))
            for output in outputs
        ]
        try:
            found = module.autograd.grad(
                outputs, leaves, weights, create_graph=second and order == 0, allow_unused=True
            )
        except (RuntimeError, NotImplementedError):
            if module is torch and order == 1:  # PyTorch lacks some second derivatives
                break
            raise
        result.append([None if gradient is None else to_numpy(gradient) for gradient in found])
        outputs = [gradient for gradient in found if gradient is not None and gradient.requires_grad]
    return result


def draws(layer):
    """Whether the layer uses random numbers while training."""
    for part in layer.modules():
        name = type(part).__name__
        if "Dropout" in name and 0 < part.p < 1 or name.startswith("RReLU") and part.lower != part.upper:
            return True
        if isinstance(getattr(part, "dropout", 0), float) and part.dropout > 0:
            return True
    return False


def one_line_text(text, limit=200):
    text = " ".join(text.split())
    return text if len(text) < limit else text[: limit - 1] + "…"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.parity.moduleinfo", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--max-samples", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--module", default="minigrad")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    module = importlib.import_module(options.module)
    reports = []
    for name, layer_info in every_info():
        if options.names and not any(
            fnmatch.fnmatch(name.removesuffix("/extra"), pattern) for pattern in options.names
        ):
            continue
        report = LayerChecker(name, layer_info, module, max_samples=options.max_samples, seconds=options.seconds).run()
        reports.append(report)
        print(report.line(), flush=True)
        if options.verbose:
            for mismatch in report.mismatches:
                print("    ", mismatch, flush=True)
    counts = {status: sum(report.status == status for report in reports) for status in ("ok", "mismatch", "absent")}
    print("\n", counts, f"seconds: {sum(report.seconds for report in reports):.0f}")
    absent = [report.name for report in reports if report.status == "absent"]
    if absent:
        print("absent:", " ".join(absent))
    return 1 if counts["mismatch"] else 0


if __name__ == "__main__":
    sys.exit(main())
