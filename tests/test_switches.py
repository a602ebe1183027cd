"""Small names that programs set or ask: attention's switches, accelerators, views, functionalize."""

import pytest

import minigrad as mg


@pytest.fixture
def attention():
    yield mg.backends.cuda
    for enable in ("enable_flash_sdp", "enable_math_sdp", "enable_mem_efficient_sdp", "enable_cudnn_sdp"):
        getattr(mg.backends.cuda, enable)(True)


def test_attention_is_switched_until_none_is_left(attention):
    attention.enable_mem_efficient_sdp(False)
    attention.enable_cudnn_sdp(False)
    attention.enable_flash_sdp(False)
    assert (attention.flash_sdp_enabled(), attention.math_sdp_enabled()) == (False, True)
    assert (attention.mem_efficient_sdp_enabled(), attention.cudnn_sdp_enabled()) == (False, False)
    with pytest.raises(RuntimeError, match="enable_math_sdp: no implementation"):
        attention.enable_math_sdp(False)
    attention.enable_flash_sdp(True)
    attention.enable_math_sdp(False)
    with pytest.raises(RuntimeError, match="enable_flash_sdp: no implementation"):
        attention.enable_flash_sdp(False)
    assert not attention.is_flash_attention_available()


def test_fast_paths():
    mg.backends.mha.set_fastpath_enabled(False)
    assert mg.backends.mha.get_fastpath_enabled() is False
    mg.backends.mha.set_fastpath_enabled(True)


def test_accelerators_have_cudas_memory():
    assert mg.accelerator.memory_allocated is mg.cuda.memory_allocated
    assert mg.accelerator.get_memory_info is mg.cuda.mem_get_info
    with mg.accelerator.device_index(None):
        pass
    with pytest.raises(AttributeError, match="use cuda.CUDAGraph"):
        _ = mg.accelerator.Graph


def test_functions_made_functional():
    x = mg.ones(2, requires_grad=True)
    made = mg.func.functionalize(lambda x, by: x.clone().mul_(by), remove="mutations_and_views")
    assert made(x, by=3).tolist() == [3, 3]
    assert mg.func.grad(lambda x: made(x, 3).sum())(mg.ones(2)).tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="invalid argument for remove="):
        mg.func.functionalize(made, remove="views")


def test_batch_norms_without_running_statistics():
    net = mg.nn.Sequential(mg.nn.BatchNorm1d(2), mg.nn.Sequential(mg.nn.BatchNorm1d(2)), mg.nn.InstanceNorm1d(2))
    assert mg.func.replace_all_batch_norm_modules_(net) is net
    assert {"weight", "bias"} == {name.rpartition(".")[2] for name in net.state_dict()}
    x = mg.tensor([[1.0, 2.0], [3.0, 6.0]])
    y = net[:2].eval()(x)
    assert mg.allclose(y.mean(0), mg.zeros(2), atol=1e-6)
    mg.func.vmap(net[:2])(mg.stack([x, x]))  # which running statistics would forbid


def test_views_and_c_functions():
    x = mg.ones(2, 2)
    assert x[0]._is_view() and not x._is_view() and not x.clone()._is_view()
    assert mg._VF.lstm is mg.lstm
