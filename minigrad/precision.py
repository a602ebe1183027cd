"""Ops in another precision than their arguments': float32 for bfloat16, and what a region of autocast prescribes.

No kernel for the CPU knows bfloat16: an op on such tensors computes in float32 and rounds its results once, as
PyTorch's kernels for the CPU do, and so do its gradient rules. Ops ask for this only where PRECISION.active says that
some array of bfloat16, or some region, exists.
"""

import functools
import threading
import weakref

from minigrad.backend import DTYPES, PRECISION, dtype, np, xp
from minigrad.operands import CENTRAL, explained, promoted
from minigrad.tensor import Tensor
from minigrad.variable import MODE, is_tracked, next_time, written_since

# Ops that only move elements, of whatever type; views do so too.
_MOVING = frozenset(("cast", "clone", "module_hook"))
_NUMBERS = (bool, int, float, complex)
# Ops in whose formula a Python number stays as precise as float32; elsewhere it becomes an element first.
_PRECISE_NUMBERS = frozenset(("add", "sub", "multiply", "mul", "div", "true_divide"))


# Ops of which the kernels for GPUs, and those of their gradients, take bfloat16 themselves.
_ON_GPU = frozenset(
    """add average_pool average_spread convolution convolution_input convolution_weight gelu gelu_tanh leaky_relu linear
    linear_input linear_weight log_softmax matmul max_pool max_pool_gather max_pool_scatter max_pool_values
    normalization normalization_relu relu sigmoid silu softmax unseen_loss""".split()
)


def takes_bfloat16(op, array):
    """Return whether an op takes an array of bfloat16 as it is."""
    return type(array) is not np.ndarray and op.name in _ON_GPU and array.size > 0


def is_bfloat16(array):
    """Return whether a raw array is one of bfloat16."""
    return array.dtype.char == "E"


def widened(value):
    """Return a raw array of bfloat16 as float32, also within tuples and lists; anything else as it is."""
    if type(value) in (tuple, list):
        return type(value)([widened(part) for part in value])
    if getattr(getattr(value, "dtype", None), "char", "") == "E":
        return value.astype(np.float32)
    return value


def narrowed(value):
    """Return a raw array of float32 rounded to bfloat16, also within tuples; anything else as it is."""
    if type(value) in (tuple, list):
        return type(value)([narrowed(part) for part in value])
    if getattr(getattr(value, "dtype", None), "char", "") == "f":
        return xp(value).asarray(value).astype(_bfloat16())
    return value


def _bfloat16():
    return DTYPES["bfloat16"].numpy


def in_precision(op, args, params):
    """Return the result of an op whose arguments need another precision; NotImplemented where they are fine as is."""
    region = MODE.autocast
    if region is not None and op.name in _FLOAT32_OPS and region.get("cuda") is not None and _device_of(args) == "cuda":
        MODE.autocast = None
        try:
            return op.call(*_converted(args, np.dtype(np.float32), None, "cuda"), **params)
        finally:
            MODE.autocast = region
    if op.view or op.name in _MOVING:
        return NotImplemented
    for arg in args:
        if isinstance(arg, Tensor) and is_bfloat16(arg.array):
            # CuPy makes float32 of bfloat16 and a number.
            taken = takes_bfloat16(op, arg.array) and not (op.promote and any(type(x) in _NUMBERS for x in args))
            return NotImplemented if taken else _in_float32(op, args, params)
    return NotImplemented


def _in_float32(op, args, params):
    """Return an op's result on bfloat16 tensors: of float32 arrays, rounded; what is recorded are the tensors."""
    if op.promote is not None:
        args = promoted(op, args)
    arrays = [arg.array if isinstance(arg, Tensor) else arg for arg in args]
    if not any(isinstance(arg, Tensor) and is_bfloat16(arg.array) for arg in args):
        return op._general(*args, **params)  # another argument was wider
    wide = [widened(array) for array in arrays]
    if op.name not in _PRECISE_NUMBERS:
        wide = [_rounded_number(value) if type(value) is float else value for value in wide]
    try:
        out = op.forward(*wide, **params)
    except Exception as error:
        raise explained(op, arrays, error) from error.__cause__
    out = narrowed(out)
    tracked = MODE.grad and op.differentiable and any(isinstance(arg, Tensor) and is_tracked(arg) for arg in args)
    return op.record(args, arrays, params, out) if tracked else op._wrapped(out, args[0])


def _rounded_number(value):
    return float(np.asarray(value, _bfloat16()))


# ---------------------------------------------------------------------- autocast
# Which functions a region runs in lower precision, in float32, or in the widest type among their arguments:
# https://docs.pytorch.org/docs/stable/amp.html#autocast-op-reference. Others run in the types they are given.
_PRODUCTS = """conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution matmul
    linear mm bmm addmm addbmm baddbmm prelu scaled_dot_product_attention linalg_vecdot rnn_tanh_cell
    rnn_relu_cell rnn lstm"""
_LOSSES = """cosine_embedding_loss cross_entropy hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss
    mse_loss multi_margin_loss multilabel_margin_loss nll_loss poisson_nll_loss smooth_l1_loss soft_margin_loss
    triplet_margin_loss binary_cross_entropy_with_logits"""
_LISTS = {
    "cpu": {
        "lower": _PRODUCTS + " linalg_multi_dot tensordot",
        "float32": _LOSSES + """ adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy cdist cholesky
            cholesky_inverse cholesky_solve ctc_loss fft_fft fft_fft2 fft_fftn fft_hfft fft_ifft fft_ifft2 fft_ifftn
            fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn fractional_max_pool2d
            fractional_max_pool3d geqrf grid_sample
            grid_sampler grid_sampler_2d grid_sampler_3d gru gru_cell inverse linalg_cholesky linalg_cholesky_ex
            linalg_cond linalg_eig linalg_eigh linalg_eigvals linalg_eigvalsh linalg_householder_product linalg_inv
            linalg_inv_ex linalg_lstsq linalg_matrix_rank linalg_qr linalg_solve linalg_svd linalg_svdvals
            linalg_tensorinv linalg_tensorsolve lstm_cell lu lu_solve max_pool3d max_unpool1d max_unpool2d max_unpool3d
            nanquantile orgqr ormqr pad_edges pinverse polar prod qr quantile stft svd trace triangular_solve
            view_as_complex""",
        "widest": "index_copy",
        # The other functions that are made of products here keep the type of their arguments.
        "as given": "bilinear",
    },
    "cuda": {
        "lower": _PRODUCTS + " addmv addr chain_matmul einsum gru gru_cell linalg_multi_dot lstm_cell mv",
        "float32": _LOSSES + """ cdist cosine_similarity cumprod cumsum dist group_norm interpolate
            layer_norm linalg_matrix_norm linalg_norm linalg_vector_norm log_softmax logsumexp norm pdist
            pow prod renorm rms_norm softmax softplus upsample upsample_bilinear upsample_nearest""",
        "widest": """addcdiv addcmul atan2 bilinear cross dot grid_sample grid_sampler index_put scatter_add tensordot
            vdot""",
        "refused": "binary_cross_entropy",
    },
}
_POLICIES = {
    device: {name: policy for policy, names in lists.items() for name in names.split()}
    for device, lists in _LISTS.items()
}
# Ops that are public functions themselves, and ask for this as ops: in float32 on a GPU.
_FLOAT32_OPS = frozenset(
    """acos asin cosh erfinv exp expm1 log log10 log1p log2 reciprocal rsqrt sinh sum tan""".split()
)
_ASK_THEMSELVES = frozenset(("linear", "matmul", "lstm", "gru", "rnn"))
LISTED = frozenset().union(*_POLICIES.values()) - _ASK_THEMSELVES
_CASTABLE = frozenset("efE")  # dtype.char: float64 stays


class Regions(threading.local):
    """What a thread's regions of autocast have set: see minigrad.amp."""

    def __init__(self):
        self.enabled = {"cpu": False, "cuda": False}
        self.dtypes = {"cpu": DTYPES["bfloat16"], "cuda": DTYPES["float16"]}
        self.nesting = 0
        self.caching = True
        self.cache = {}  # id of a weight -> (weak reference to it, its array, when it was cast, its cast)

    def state(self):
        """Return what restore() takes."""
        return dict(self.enabled), dict(self.dtypes), self.caching

    def restore(self, state):
        """Take over an earlier state."""
        enabled, dtypes, self.caching = state
        self.enabled, self.dtypes = dict(enabled), dict(dtypes)
        self.refresh()

    def refresh(self):
        """Let ops of this thread know."""
        lower = {device: self.dtypes[device].numpy for device, enabled in self.enabled.items() if enabled}
        MODE.autocast = lower or None
        if lower:
            PRECISION.activate()


REGIONS = Regions()


def autocasting(function, name=None):
    """Return a public function that a region of autocast may run in another precision, if its name is listed."""
    name = name or function.__name__
    if name not in LISTED:
        return function

    @functools.wraps(function)
    def chosen(*args, **kwargs):
        if PRECISION.active and MODE.autocast is not None:
            return in_region(name, function, args, kwargs)
        return function(*args, **kwargs)

    return chosen


def in_region(name, function, args, kwargs):
    """Return function(*args, **kwargs) with its tensors as the thread's region wants them; no region holds inside."""
    region = MODE.autocast
    tensors = list(_tensors((args, kwargs)))
    device = _device_of(tensors)
    lower, policy = region.get(device), _POLICIES[device].get(name)
    if policy is None:  # what it is made of is looked at instead
        return function(*args, **kwargs)
    MODE.autocast = None
    try:
        if lower is not None and kwargs.get("out") is None:
            args, kwargs = _prepared(name, policy, lower, device, tensors, args, kwargs)
        return function(*args, **kwargs)
    finally:
        MODE.autocast = region


def _prepared(name, policy, lower, device, tensors, args, kwargs):
    """Return the arguments as a policy wants them; RuntimeError for a function that is refused."""
    if policy == "refused":
        raise RuntimeError(
            f"torch.nn.functional.{name} and torch.nn.BCELoss are unsafe to autocast.\nMany models use a sigmoid layer "
            "right before the binary cross entropy layer.\nIn this case, combine the two layers using "
            "torch.nn.functional.binary_cross_entropy_with_logits\nor torch.nn.BCEWithLogitsLoss.  "
            "binary_cross_entropy_with_logits and BCEWithLogits are\nsafe to autocast."
        )
    asked = policy == "float32" and any(isinstance(value, dtype) for value in (*args, *kwargs.values()))
    if policy == "as given" or asked:  # softmax(x, 0, dtype=…) says itself what it wants
        return args, kwargs
    target = np.dtype(np.float32)
    if policy == "lower" or policy == "widest" and not any(_castable(t) and t.array.dtype == target for t in tensors):
        target = lower
    return _converted(args, target, lower, device), _converted(kwargs, target, lower, device)


def _tensors(value):
    """Yield the tensors among nested arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _device_of(tensors):
    return "cuda" if any(isinstance(t, Tensor) and t.is_cuda for t in tensors) else "cpu"


def _castable(tensor):
    return tensor.array.dtype.char in _CASTABLE


def _converted(value, target, lower, device):
    """Return nested arguments with the tensors cast that a region may cast."""
    if isinstance(value, Tensor):
        array = value.array
        if array.dtype == target or not _castable(value) or value.is_cuda is not (device == "cuda"):
            return value
        return _lowered_weight(value, target) if target == lower else CENTRAL["cast"](value, dtype=target)
    if type(value) in (tuple, list):
        return type(value)([_converted(part, target, lower, device) for part in value])
    if type(value) is dict:
        return {key: _converted(part, target, lower, device) for key, part in value.items()}
    return value


def _lowered_weight(tensor, target):
    """Return a tensor in lower precision: of a leaf that requires grad the one kept since its first use."""
    array = tensor.array
    keeps = REGIONS.caching and MODE.grad and is_tracked(tensor) and tensor.node is None and tensor._base is None
    if not keeps or array.dtype.char != "f":
        return CENTRAL["cast"](tensor, dtype=target)
    known = REGIONS.cache.get(id(tensor))
    if known is not None:
        weight, seen, time, result = known
        same = weight() is tensor and seen is array and result.array.dtype == target
        if same and not written_since(array, time):
            return result
    result = CENTRAL["cast"](tensor, dtype=target)
    REGIONS.cache[id(tensor)] = (weakref.ref(tensor), array, next_time(), result)
    return result
