"""Plans of the real cuDNN for an H200, made without a GPU; where NVIDIA's wheel nvidia-cudnn-cu13 is installed."""

import json

import pytest

import minigrad as mg
import models
from minigrad.backend import cudnn, np
from minigrad.backend.cudnn import plans
from minigrad.backend.cudnn.binding import ENGINE, TENSOR, Descriptor
from minigrad.kernels import conv
from minigrad.kernels.cuda import cudnn_conv
from minigrad.kernels.im2col import window_count

pytestmark = pytest.mark.skipif(
    not cudnn.is_available(), reason="needs libcudnn.so.9: pip install nvidia-cudnn-cu13 (a GPU is not needed)"
)

# The properties that cuDNN asks of a device: https://docs.nvidia.com/deeplearning/cudnn/frontend/latest
H200 = json.dumps(
    {
        "deviceVer": 900, "multiProcessorCount": 132, "warpSize": 32, "maxSharedMemoryPerBlock": 49152,
        "maxSharedMemoryPerBlockOptin": 232448, "oversizedSharedMemoryPerBlock": 0,
        "reservedSharedMemoryPerBlock": 1024, "maxRegistersPerSM": 65536, "maxCtasPerSM": 32,
        "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "regsPerBlock": 65536, "totalGlobalMem": 150754820096,
        "smClockRateKHz": 1980000, "l2CacheSize": 62914560,
        "maxBlockSize": [1024, 1024, 64], "memClockRateKHz": 3201000, "maxGridSize": [2147483647, 65535, 65535],
        "supportCoopLaunch": 1, "pciDeviceId": 0, "isTccDriver": 0, "cudaDeviceId": 0, "driverVer": 13000,
        "deviceName": "NVIDIA H200",
    }
)  # fmt: skip
NETWORKS = {"alexnet": 224, "alexnet_grouped": 227, "vgg16": 224, "googlenet": 224, "resnet18": 224, "resnet50": 224}
PRECISIONS = {"float32": ("f", False), "tf32": ("f", True), "float16": ("e", True), "bfloat16": ("E", True)}
KINDS = ("forward", "input", "weight")
LIMIT = 256 << 20


@pytest.fixture(scope="module")
def device():
    return plans.device_properties(H200)


@pytest.fixture(scope="module")
def convolutions():
    """All distinct convolutions of the networks: (shape of an image, of the weight, stride, padding, dilation)."""
    found = set()

    def record(x, w, bias, stride, padding, dilation, groups, relu=False):
        found.add((x.shape[1:], w.shape, stride, padding, dilation))
        out = window_count(x.shape[2:], w.shape[2:], stride, padding, dilation)
        return np.zeros((x.shape[0], w.shape[0], *out), np.float32)

    with pytest.MonkeyPatch.context() as patch, mg.no_grad():
        patch.setattr(conv, "convolve", record)
        for name, size in NETWORKS.items():
            getattr(models, name)().eval()(mg.zeros(1, 3, size, size))
    return sorted(found)


def problem(kind, code, tf32, shape, kernel, stride, padding, dilation=None, after=None, batch=16, out=None, **others):
    """Return the Problem that minigrad makes of a convolution: the arrays are NumPy's, and never touched."""
    dilation = dilation or (1,) * len(stride)
    like = np.empty(0, np.float16 if code in "eE" else code)
    last = code != "d" and (code != "f" or tf32)
    out = out or window_count(shape[1:], kernel[2:], stride, padding, dilation)
    x, w, y = (cudnn_conv.empty(like, s, last) for s in ((batch, *shape), kernel, (batch, kernel[0], *out)))
    bias = np.empty(kernel[0]) if others.pop("bias", False) else None
    made = cudnn._problem(kind, x, w, y, stride, padding, dilation, last, after, bias, None)
    return made._replace(code=code, tf32=tf32, **others)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_convolution_of_the_networks_has_a_plan(device, convolutions, precision):
    assert len(convolutions) == 95
    code, tf32 = PRECISIONS[precision]
    missing = []
    for case in convolutions:
        for kind in KINDS:
            made = problem(kind, code, tf32, *case)
            found = plans.within(plans.find_plans(made, device=device), LIMIT, 1)
            if not found or found[0].workspace > LIMIT or found[0].notes & made.excluded():
                missing.append((kind, case))
        fused = problem("forward", code, tf32, *case, bias=True, relu=True)
        if not plans.within(plans.find_plans(fused, device=device), LIMIT, 1):
            missing.append(("fused", case))
    assert missing == []


PLAIN = (64, 56, 56), (64, 64, 3, 3), (1, 1), (1, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("code", "tf32"), [*PRECISIONS.values(), ("d", False)])
def test_results_can_be_added_and_plans_be_deterministic(device, kind, code, tf32):
    made = problem(kind, code, tf32, *PLAIN, beta=1.0, deterministic=True)
    found = list(plans.find_plans(made, device=device))
    assert found and not any(plan.notes & {plans.NONDETERMINISTIC} for plan in found)
    loose = list(plans.find_plans(made._replace(deterministic=False), device=device))
    assert len(loose) >= len(found)


def test_tensor_cores_are_what_allow_tf32_decides(device):
    strict = list(plans.find_plans(problem("forward", "f", False, *PLAIN), device=device))
    loose = list(plans.find_plans(problem("forward", "f", True, *PLAIN), device=device))
    assert strict and not any(plans.TENSOR_CORE in plan.notes for plan in strict)
    assert plans.TENSOR_CORE in loose[0].notes and len(loose) > len(strict)
    assert loose[0].workspace < 1 << 20  # channels last, so that nothing is transposed


OTHERS = {
    "1-d": ((64, 100), (64, 64, 3), (1,), (1,)),
    "1-d with steps": ((64, 100), (32, 64, 5), (2,), (2,), (2,)),
    "3-d": ((16, 8, 28, 28), (32, 16, 3, 3, 3), (1, 1, 1), (1, 1, 1)),
    "dilated": ((64, 28, 28), (64, 64, 3, 3), (1, 1), (2, 2), (2, 2)),
    "depthwise": ((64, 28, 28), (64, 1, 3, 3), (1, 1), (1, 1)),
    "one position": ((64, 1, 1), (32, 64, 1, 1), (1, 1), (0, 0)),
    "one channel": ((1, 28, 28), (1, 1, 3, 3), (1, 1), (1, 1)),
    "odd channels": ((7, 13, 13), (5, 7, 3, 3), (2, 1), (1, 0)),
}


@pytest.mark.parametrize("case", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize(("code", "tf32"), [*PRECISIONS.values(), ("d", False)])
@pytest.mark.parametrize("kind", KINDS)
def test_other_convolutions_have_a_plan(device, case, code, tf32, kind):
    assert next(plans.find_plans(problem(kind, code, tf32, *case), device=device), None)


@pytest.mark.parametrize("kind", ["input", "weight"])
@pytest.mark.parametrize(("code", "tf32"), PRECISIONS.values())
def test_fewer_windows_than_fit_have_a_plan(device, kind, code, tf32):
    made = problem(kind, code, tf32, (64, 27, 27), (64, 64, 3, 3), (2, 2), (1, 1), after=(0, 0), out=(13, 13))
    assert next(plans.find_plans(made, device=device), None)


def test_unaligned_addresses_have_a_plan(device):
    for kind in KINDS:
        for (code, tf32), alignment in zip(PRECISIONS.values(), (4, 4, 2, 2), strict=True):
            made = problem(kind, code, tf32, *PLAIN, alignment=alignment)
            assert next(plans.find_plans(made, device=device), None), made


def test_errors_tell_what_cudnn_says():
    with pytest.raises(cudnn.CudnnError, match=r"cuDNN: \S.* failed: CUDNN_STATUS_\w+: \S"):
        Descriptor(TENSOR).set(902, 3, 1, 2, 3, 4).done()
    with pytest.raises(cudnn.CudnnError, match="CUDNN_STATUS"):
        Descriptor(ENGINE).numbers(1301, 3)


def test_version():
    assert mg.backends.cudnn.version() >= 90000 and mg.backends.cudnn.is_available()
