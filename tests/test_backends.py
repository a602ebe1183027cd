"""minigrad.backends: switches that choose kernels, and true answers about libraries."""

import pytest

import minigrad as mg
from minigrad.backend import CONVOLUTIONS, np
from minigrad.kernels import conv

SWITCHES = [(mg.backends.winograd, "winograd", True), (mg.backends.im2col, "plain", False)]


@pytest.mark.parametrize(("module", "setting", "default"), SWITCHES, ids=["winograd", "im2col"])
def test_a_switch_is_the_setting_of_the_kernels(module, setting, default):
    assert module.enabled is default
    with module.flags(enabled=not default):
        assert module.enabled is getattr(CONVOLUTIONS, setting) is (not default)
        with module.flags(default):
            assert getattr(CONVOLUTIONS, setting) is default
        assert getattr(CONVOLUTIONS, setting) is (not default)
    assert getattr(CONVOLUTIONS, setting) is default
    try:
        module.enabled = not default
        assert getattr(CONVOLUTIONS, setting) is (not default)
        assert module.set_flags(default) == (not default,)
    finally:
        module.enabled = default


@pytest.mark.parametrize(("module", "setting", "default"), SWITCHES, ids=["winograd", "im2col"])
def test_a_switch_is_put_back_after_an_error_and_takes_only_bools(module, setting, default):
    with pytest.raises(KeyError), module.flags(enabled=not default):
        raise KeyError("an error inside")
    assert module.enabled is default
    with pytest.raises(TypeError, match="expects a bool, but got int"):
        module.enabled = 1
    with pytest.raises(TypeError, match="expects a bool, but got str"), module.flags(enabled="off"):
        raise AssertionError
    assert module.enabled is default


def test_im2col_is_used_for_all_three_convolutions_when_asked_for(monkeypatch):
    called = []
    for name in ("forward_reference", "input_reference", "weight_reference"):
        kernel = getattr(conv, name)
        monkeypatch.setattr(conv, name, lambda *a, _k=kernel, _n=name: called.append(_n) or _k(*a))
    x = mg.rand(2, 3, 6, 6, requires_grad=True)
    w = mg.rand(4, 3, 3, 3, requires_grad=True)
    with mg.backends.im2col.flags(enabled=True):
        plain = mg.nn.functional.conv2d(x, w)
        plain.sum().backward()
    assert sorted(called) == ["forward_reference", "input_reference", "weight_reference"]
    np.testing.assert_allclose(mg.nn.functional.conv2d(x, w).array, plain.array, rtol=1e-4, atol=1e-5)


def test_what_is_not_used_says_so():
    backends = mg.backends
    for library in (backends.mkldnn, backends.mps, backends.nnpack, backends.openmp,
                    backends.opt_einsum):  # fmt: skip
        assert library.is_available() is False
    assert backends.opt_einsum.get_opt_einsum() is None


def test_mkl_is_what_numpy_loaded():
    from threadpoolctl import threadpool_info

    assert mg.backends.mkl.is_available() is any(found["internal_api"] == "mkl" for found in threadpool_info())


@pytest.mark.parametrize(
    ("found", "capability"),
    [
        ({"baseline": ["SSE", "SSE2"], "found": ["AVX2", "AVX512F", "AVX512_SKX"]}, "AVX512"),
        ({"baseline": ["X86_V2"], "found": ["X86_V3", "X86_V4"]}, "AVX512"),
        ({"baseline": ["X86_V2"], "found": ["X86_V3"]}, "AVX2"),
        ({"baseline": ["NEON", "ASIMD"], "found": ["ASIMDHP"]}, "DEFAULT"),
        ({"baseline": ["NEON"]}, "DEFAULT"),
    ],
)
def test_cpu_capability_is_what_numpy_found(monkeypatch, found, capability):
    monkeypatch.setattr(np, "show_config", lambda mode: {"SIMD Extensions": found})
    assert mg.backends.cpu.get_cpu_capability() == capability


def test_flags_of_unused_libraries_are_kept_and_put_back():
    mkldnn = mg.backends.mkldnn
    with mkldnn.flags(True):
        assert mkldnn.enabled is True
    assert mkldnn.enabled is False
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"), mkldnn.flags(speed=1):
        raise AssertionError
