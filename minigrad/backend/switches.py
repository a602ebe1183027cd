"""Which of several kernels may be chosen (public names: minigrad/backends/), and whether ops need a closer look."""


class Convolutions:
    """``winograd``: float32 ones, 3x3 and 5x5, may use Winograd's algorithm. ``plain``: all use whole-batch im2col."""

    winograd = True
    plain = False


# What the calls of ops have to look out for: the watchers of all threads (see interception.watch), and PRECISION.
# While it is empty, which costs nothing to see, no call looks for its own.
WATCHED = []


GPUS = []  # how many GPUs there are, once one is used: then ops look whether their arguments are on one device


class Precision:
    """``active``: whether ops have to look out for bfloat16 arrays and for autocast.

    False until a program makes the first such array or enters the first region, so that others pay nothing for them.
    """

    active = False

    def activate(self):
        """Let all ops look, from now on."""
        if not self.active:
            self.active = True
            WATCHED.append(self)


class Products:
    """How GPUs multiply matrices: ``tf32``: float32 with ten bits of mantissa; others: sums of parts in that type."""

    precision = "highest"  # what set_float32_matmul_precision set: "high" and "medium" are TF32 here
    reduce_in_float16 = True
    reduce_in_bfloat16 = True

    @property
    def tf32(self):
        return self.precision != "highest"


class Cudnn:
    """How GPUs convolve: see minigrad.backends.cudnn. ``workspace_limit``: bytes of scratch memory per stream."""

    enabled = True
    benchmark = False
    benchmark_limit = 10
    deterministic = False
    allow_tf32 = True
    workspace_limit = 256 << 20


class Quantized:
    """``engine``: whose rounding layers of quantized tensors follow; see minigrad.backends.quantized."""

    engine = "fbgemm"


CONVOLUTIONS = Convolutions()
CUDNN = Cudnn()
PRECISION = Precision()
PRODUCTS = Products()
QUANTIZED = Quantized()


class Determinism:
    """``level``: what is done where a GPU's result depends on the order of threads. 0: nothing, 1: warn, 2: raise."""

    level = 0


DETERMINISM = Determinism()


def check_deterministic(name):
    """RuntimeError, or a warning, if programs asked for it: this operation's rounding may differ from run to run."""
    if not DETERMINISM.level:
        return
    message = (
        f"{name} does not have a deterministic implementation, but you set 'use_deterministic_algorithms(True)'. Use "
        "warn_only=True, turn determinism off for this operation, or run it on the CPU"
    )
    if DETERMINISM.level == 2:
        raise RuntimeError(message)
    import warnings

    warnings.warn(message, stacklevel=4)
