"""Mixed precision: what regions of autocast cast, their state, and GradScaler."""

import inspect
import math
import pickle
import threading
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad.precision import LISTED, REGIONS
from tests import fake_cupy

F = mg.nn.functional
HALF, SINGLE, DOUBLE = mg.float16, mg.float32, mg.float64


def region(device="cpu", dtype=HALF, **options):
    return mg.autocast(device, dtype=dtype, **options)


def half(*shape):
    return mg.ones(shape, dtype=HALF)


# Name, call, dtype of the result in a region of the CPU with float16.
ON_THE_CPU = [
    ("@", lambda: mg.ones(2, 2) @ mg.ones(2, 2), HALF),
    ("mixed @", lambda: half(2, 2) @ mg.ones(2, 2), HALF),
    ("matmul", lambda: mg.matmul(mg.ones(2, 3), mg.ones(3)), HALF),
    ("method", lambda: mg.ones(2, 2).mm(mg.ones(2, 2)), HALF),
    ("linear", lambda: F.linear(mg.ones(1, 2), mg.ones(3, 2), mg.ones(3)), HALF),
    ("Linear", lambda: mg.nn.Linear(2, 3)(mg.ones(1, 2)), HALF),
    ("Conv2d", lambda: mg.nn.Conv2d(1, 2, 3)(mg.ones(1, 1, 5, 5)), HALF),
    ("conv_transpose1d", lambda: F.conv_transpose1d(mg.ones(1, 1, 5), mg.ones(1, 2, 3)), HALF),
    ("attention", lambda: F.scaled_dot_product_attention(*[mg.ones(1, 2, 3)] * 3), HALF),
    ("einsum", lambda: mg.einsum("ij,jk->ik", mg.ones(2, 2), mg.ones(2, 2)), HALF),
    ("LSTM", lambda: mg.nn.LSTM(2, 3)(mg.ones(4, 1, 2))[0], HALF),
    ("GRU", lambda: mg.nn.GRU(2, 3)(mg.ones(4, 1, 2))[0], SINGLE),
    ("mse_loss", lambda: F.mse_loss(half(3), mg.zeros(3)), SINGLE),
    ("cross_entropy", lambda: F.cross_entropy(half(2, 3), mg.tensor([0, 1])), SINGLE),
    ("CrossEntropyLoss", lambda: mg.nn.CrossEntropyLoss()(half(2, 3), mg.tensor([0, 1])), SINGLE),
    ("replicate", lambda: F.pad(half(1, 1, 3), (1, 1), mode="replicate"), SINGLE),
    ("constant", lambda: F.pad(half(1, 1, 3), (1, 1)), HALF),
    ("prod", lambda: half(3).prod(), SINGLE),
    ("prod dtype", lambda: half(3).prod(dtype=HALF), HALF),
    ("linalg.inv", lambda: mg.linalg.inv(mg.eye(2, dtype=HALF)), SINGLE),
    ("fft", lambda: mg.fft.rfft(half(4)), mg.complex64),
    ("layer_norm", lambda: F.layer_norm(half(2, 3), (3,)), HALF),
    ("softmax", lambda: half(3).softmax(0), HALF),
    ("add", lambda: half(3) + mg.ones(3), SINGLE),
    ("double stays", lambda: mg.ones(2, 2, dtype=DOUBLE) @ mg.ones(2, 2, dtype=DOUBLE), DOUBLE),
    ("integers stay", lambda: mg.ones(2, 2, dtype=mg.int64) @ mg.ones(2, 2, dtype=mg.int64), mg.int64),
    ("bilinear", lambda: F.bilinear(mg.ones(1, 2), mg.ones(1, 2), mg.ones(3, 2, 2)), SINGLE),
]  # fmt: skip


@pytest.mark.parametrize(("act", "dtype"), [c[1:] for c in ON_THE_CPU], ids=[c[0] for c in ON_THE_CPU])
def test_what_a_region_of_the_cpu_casts(act, dtype):
    with region():
        assert act().dtype == dtype
        with region(enabled=False):
            assert (mg.ones(2, 2) @ mg.ones(2, 2)).dtype == SINGLE
        assert act().dtype == dtype


def on_gpu(*shape, dtype=HALF):
    return mg.ones(shape, dtype=dtype).cuda()


# The same in a region of a GPU.
ON_A_GPU = [
    ("@", lambda: on_gpu(2, 2, dtype=SINGLE) @ on_gpu(2, 2), HALF),
    ("Linear", lambda: mg.nn.Linear(2, 3).cuda()(on_gpu(1, 2, dtype=SINGLE)), HALF),
    ("GRU", lambda: mg.nn.GRU(2, 3).cuda()(on_gpu(4, 1, 2))[0], HALF),
    ("exp", lambda: mg.exp(on_gpu(2)), SINGLE),
    ("exp method", lambda: on_gpu(2).exp(), SINGLE),
    ("acos", lambda: on_gpu(2).acos(), SINGLE),
    ("in place", lambda: on_gpu(2).exp_(), HALF),
    ("**", lambda: on_gpu(2) ** 2, SINGLE),
    ("sum", lambda: on_gpu(2, 2).sum(1), SINGLE),
    ("sum dtype", lambda: on_gpu(2, 2).sum(1, dtype=HALF), HALF),
    ("mean", lambda: on_gpu(2, 2).mean(), HALF),
    ("softmax", lambda: F.softmax(on_gpu(3), 0), SINGLE),
    ("softmax dtype", lambda: F.softmax(on_gpu(3), 0, dtype=HALF), HALF),
    ("cumsum", lambda: on_gpu(3).cumsum(0), SINGLE),
    ("norm", lambda: on_gpu(3).norm(), SINGLE),
    ("layer_norm", lambda: F.layer_norm(on_gpu(2, 3), (3,)), SINGLE),
    ("mse_loss", lambda: F.mse_loss(on_gpu(3), on_gpu(3)), SINGLE),
    ("interpolate", lambda: F.interpolate(on_gpu(1, 1, 2, 2), scale_factor=2), SINGLE),
    ("relu", lambda: F.relu(on_gpu(3)), HALF),
    ("max_pool2d", lambda: F.max_pool2d(on_gpu(1, 1, 2, 2), 2), HALF),
    ("addcmul half", lambda: mg.addcmul(on_gpu(2), on_gpu(2), on_gpu(2)), HALF),
    ("addcmul widest", lambda: mg.addcmul(on_gpu(2), on_gpu(2, dtype=SINGLE), on_gpu(2)), SINGLE),
    ("cat", lambda: mg.cat([on_gpu(2), on_gpu(2, dtype=SINGLE)]), SINGLE),
    ("the CPU's", lambda: mg.ones(2, 2) @ mg.ones(2, 2), SINGLE),
]  # fmt: skip


@pytest.mark.parametrize(("act", "dtype"), [c[1:] for c in ON_A_GPU], ids=[c[0] for c in ON_A_GPU])
def test_what_a_region_of_a_gpu_casts(act, dtype):
    with fake_cupy.installed():
        with region("cuda"):
            assert act().dtype == dtype
        with region("cuda"), pytest.raises(RuntimeError, match="unsafe to autocast"):
            F.binary_cross_entropy(on_gpu(2), on_gpu(2))
        assert F.binary_cross_entropy(on_gpu(2), on_gpu(2)).dtype == HALF


def test_every_listed_function_exists_and_looks():
    public = {name for name in LISTED if not name.startswith(("linalg_", "fft_"))} - {"pad_edges"}
    absent = {"stft", "addr", "chain_matmul", "polar", "lu", "geqrf", "ormqr", "orgqr", "pinverse"}
    for name in sorted(public):
        found = [getattr(owner, name, None) for owner in (mg, F, mg.Tensor)]
        assert any(hasattr(one, "__wrapped__") for one in found if one is not None) or name in absent, name
    for name in sorted(name for name in LISTED if name.startswith(("linalg_", "fft_"))):
        owner, _, short = name.partition("_")
        function = getattr(getattr(mg, owner), short, None)
        assert function is None or hasattr(function, "__wrapped__"), name
    assert list(inspect.signature(F.mse_loss).parameters)[:2] == ["input", "target"]


# ---------------------------------------------------------------------- regions
def test_gradients_come_in_the_type_of_the_parameters():
    model = mg.nn.Sequential(mg.nn.Linear(3, 4), mg.nn.ReLU(), mg.nn.Linear(4, 2))
    with region():
        out = model(mg.ones(5, 3))
        loss = F.mse_loss(out, mg.zeros(5, 2))
    assert out.dtype == HALF and loss.dtype == SINGLE
    loss.backward()
    assert {p.grad.dtype for p in model.parameters()} == {SINGLE}
    exact = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    F.mse_loss(model(mg.ones(5, 3)), mg.zeros(5, 2)).backward()
    for ours, p in zip(exact, model.parameters(), strict=True):
        np.testing.assert_allclose(ours.numpy(), p.grad.numpy(), rtol=0.02, atol=1e-3)


def test_weights_are_cast_once_in_a_region():
    layer, x = mg.nn.Linear(2, 2, bias=False), mg.ones(1, 2)
    with region():
        layer(x)
        (first,) = [entry[-1] for entry in REGIONS.cache.values()]
        with region():
            out = layer(x) + layer(x)
        assert [entry[-1] for entry in REGIONS.cache.values()] == [first]
        out.sum().backward()
        assert layer.weight.grad.tolist() == [[2, 2], [2, 2]]
        with mg.no_grad():
            layer.weight.mul_(0)
        assert layer(x).tolist() == [[0, 0]]  # a weight that was written since is cast again
        with mg.no_grad():
            assert not layer(x).requires_grad
        assert layer(x).requires_grad
    assert not REGIONS.cache
    with region(cache_enabled=False):
        layer(x)
        assert not REGIONS.cache


def test_state_is_nested_and_of_the_thread():
    assert not mg.is_autocast_enabled("cpu") and mg.get_autocast_dtype("cuda") == HALF
    seen = []
    with region():
        assert mg.is_autocast_enabled("cpu") and not mg.is_autocast_enabled()
        assert mg.get_autocast_dtype("cpu") == HALF
        other = threading.Thread(target=lambda: seen.append((mg.ones(2, 2) @ mg.ones(2, 2)).dtype))
        other.start()
        other.join()
        with pytest.raises(ZeroDivisionError), region(enabled=False):
            raise ZeroDivisionError
        assert mg.is_autocast_enabled("cpu")
    assert seen == [SINGLE]
    assert not mg.is_autocast_enabled("cpu") and mg.get_autocast_dtype("cpu") == mg.bfloat16
    same = region()
    with same, same:
        assert mg.is_autocast_enabled("cpu")
    assert not mg.is_autocast_enabled("cpu")


def test_setting_the_state_by_hand():
    mg.set_autocast_dtype("cpu", HALF)
    mg.set_autocast_enabled("cpu", True)
    try:
        assert (mg.ones(2, 2) @ mg.ones(2, 2)).dtype == HALF
    finally:
        mg.set_autocast_enabled("cpu", False)
        mg.set_autocast_dtype("cpu", mg.bfloat16)
    assert (mg.ones(2, 2) @ mg.ones(2, 2)).dtype == SINGLE
    mg.set_autocast_cache_enabled(False)
    assert not mg.is_autocast_cache_enabled()
    mg.set_autocast_cache_enabled(True)
    assert (mg.autocast_increment_nesting(), mg.autocast_decrement_nesting()) == (1, 0)
    with pytest.warns(DeprecationWarning, match="is_autocast_enabled"):
        assert mg.is_autocast_cpu_enabled() is False
    with pytest.warns(DeprecationWarning, match="get_autocast_dtype"):
        assert mg.get_autocast_gpu_dtype() == HALF


def test_as_a_decorator():
    @region()
    def product(x):
        """The doc."""
        return x @ x

    class Model(mg.nn.Module):
        @region()
        def forward(self, x):
            return x @ x

    assert product(mg.ones(2, 2)).dtype == Model()(mg.ones(2, 2)).dtype == HALF
    assert product.__name__ == "product" and product.__doc__ == "The doc."
    assert not mg.is_autocast_enabled("cpu")


def test_what_is_refused():
    with pytest.warns(UserWarning, match="CPU Autocast only supports dtypes of minigrad.bfloat16, minigrad.float16"):
        assert not mg.autocast("cpu", dtype=SINGLE)._enabled
    with pytest.raises(ValueError, match="of type `str`"):
        mg.autocast(1)
    with pytest.raises(RuntimeError, match="device"):
        mg.autocast("nothing")
    with pytest.raises(TypeError, match="requires a callable"):
        region()(3)
    assert mg.amp.is_autocast_available("cuda")


@pytest.mark.skipif(mg.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_regions_of_gpus_are_disabled():
    with pytest.warns(UserWarning, match="CUDA is not available or torch_xla is imported. Disabling autocast."):
        chosen = mg.autocast("cuda")
    with chosen:
        assert not mg.is_autocast_enabled() and (mg.ones(2, 2) @ mg.ones(2, 2)).dtype == SINGLE
    with pytest.warns(UserWarning, match="GradScaler is enabled, but CUDA is not available.  Disabling."):
        scaler = mg.amp.GradScaler()
    assert not scaler.is_enabled() and scaler.get_scale() == 1 and scaler.state_dict() == {}
    loss = mg.ones(1)
    assert scaler.scale(loss) is loss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mg.autocast("cuda", enabled=False)
        mg.amp.GradScaler(enabled=False)


def test_the_older_names_warn():
    with pytest.warns(FutureWarning, match=r"use `torch.amp.autocast\('cuda', args...\)`"):
        mg.cuda.amp.autocast(enabled=False)
    with pytest.warns(FutureWarning, match=r"use `torch.amp.GradScaler\('cuda', args...\)`"):
        assert not mg.cuda.amp.GradScaler(enabled=False).is_enabled()
    with pytest.warns(FutureWarning, match=r"use `torch.amp.autocast\('cpu', args...\)`"):
        chosen = mg.cpu.amp.autocast(dtype=HALF)
    with chosen:
        assert mg.get_autocast_dtype("cpu") == HALF and mg.is_autocast_enabled("cpu")
    with pytest.warns(FutureWarning, match="GradScaler"):
        assert mg.cpu.amp.GradScaler().is_enabled()
    with pytest.warns(FutureWarning, match="custom_fwd"):
        mg.cuda.amp.custom_fwd(lambda ctx: None)
    with pytest.warns(FutureWarning, match="custom_bwd"):
        mg.cuda.amp.custom_bwd(lambda ctx: None)


@pytest.mark.parametrize("cast_inputs", [None, SINGLE])
def test_custom_functions(cast_inputs):
    seen = {}

    class Square(mg.autograd.Function):
        @staticmethod
        @mg.amp.custom_fwd(device_type="cpu", cast_inputs=cast_inputs)
        def forward(ctx, x):
            ctx.save_for_backward(x)
            seen["forward"] = x.dtype, mg.is_autocast_enabled("cpu")
            return x @ x

        @staticmethod
        @mg.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            seen["backward"] = mg.is_autocast_enabled("cpu")
            return g @ x.t() + x.t() @ g

    x = mg.ones(2, 2, requires_grad=True)
    with region():
        y = Square.apply(x)
    y.sum().backward()
    cast = cast_inputs is not None
    assert y.dtype == (SINGLE if cast else HALF) and x.grad.tolist() == [[4, 4], [4, 4]]
    assert seen == {"forward": (SINGLE, not cast), "backward": not cast}


def test_a_checkpointed_block_is_computed_again_in_its_region():
    layer = mg.nn.Linear(3, 3)
    gradients = []
    for run in (lambda f, x: f(x), mg.utils.checkpoint.checkpoint):
        layer.zero_grad()
        with region():
            out = run(lambda x: layer(F.relu(layer(x))), mg.ones(2, 3) + layer(mg.ones(2, 3)))
        assert out.dtype == HALF
        out.float().sum().backward()
        gradients.append(layer.weight.grad.clone())
        assert not mg.is_autocast_enabled("cpu")
    np.testing.assert_allclose(gradients[0].numpy(), gradients[1].numpy(), rtol=1e-3)


# ---------------------------------------------------------------------- GradScaler
def scaled_step(scaler, optimizer, weight, factor):
    optimizer.zero_grad()
    scaler.scale((weight * factor).sum()).backward()
    scaler.step(optimizer)
    scaler.update()


def test_the_scale_backs_off_and_grows():
    weight = mg.ones(2, requires_grad=True)
    optimizer = mg.optim.SGD([weight], lr=1.0)
    scaler = mg.amp.GradScaler("cpu", init_scale=8.0, growth_factor=4.0, backoff_factor=0.25, growth_interval=2)
    scales, weights = [], []
    for factor in (1.0, math.inf, 1.0, 1.0, math.nan, 1.0, 1.0, 1.0):
        scaled_step(scaler, optimizer, weight, factor)
        scales.append(scaler.get_scale())
        weights.append(weight[0].item())
    assert scales == [8, 2, 2, 8, 2, 2, 8, 8]
    assert weights == [0, 0, -1, -2, -2, -3, -4, -5]
    assert scaler._get_growth_tracker() == 1


def test_unscaling_before_clipping():
    weight = mg.ones(4, requires_grad=True)
    optimizer, scaler = mg.optim.SGD([weight], lr=1.0), mg.amp.GradScaler("cpu")
    scaler.scale((weight * 3).sum()).backward()
    scaler.unscale_(optimizer)
    assert weight.grad.tolist() == [3] * 4
    mg.nn.utils.clip_grad_norm_([weight], 1.0)
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_allclose(weight.detach().numpy(), 0.5, rtol=1e-5)


def test_several_losses_and_optimizers():
    weights = [mg.ones(1, requires_grad=True) for _ in range(2)]
    optimizers = [mg.optim.SGD([weight], lr=1.0) for weight in weights]
    scaler = mg.amp.GradScaler("cpu", init_scale=4.0)
    outputs = scaler.scale([weights[0].sum(), (weights[1] * math.inf).sum()])
    assert isinstance(outputs, list) and [o.item() for o in scaler.scale(iter(weights))] == [4, 4]
    mg.autograd.backward(outputs)
    assert [scaler.step(optimizer) for optimizer in optimizers] == [None, None]
    scaler.update()
    assert [weight.item() for weight in weights] == [0, 1] and scaler.get_scale() == 2
    scaler.update(16.0)
    assert scaler.get_scale() == 16
    scaler.update(mg.tensor(32.0))
    assert scaler.get_scale() == 32


def fresh():
    weight = mg.ones(1, requires_grad=True)
    scaler = mg.amp.GradScaler("cpu")
    scaler.scale(weight.sum()).backward()
    return scaler, mg.optim.SGD([weight], lr=1.0), weight


def test_errors_of_the_scaler():
    for options, message in [({"growth_factor": 1.0}, "> 1.0"), ({"backoff_factor": 1.0}, "< 1.0")]:
        with pytest.raises(AssertionError, match=message):
            mg.amp.GradScaler("cpu", **options)
    scaler, optimizer, weight = fresh()
    for name in ("step", "unscale_"):
        with pytest.raises(AssertionError, match=f"Attempted {name} but _scale is None"):
            getattr(mg.amp.GradScaler("cpu"), name)(optimizer)
    with pytest.raises(AssertionError, match="No inf checks were recorded prior to update"):
        scaler.update()
    with pytest.raises(RuntimeError, match="Closure"):
        scaler.step(optimizer, closure=lambda: None)
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called on this optimizer"):
        scaler.unscale_(optimizer)
    with pytest.raises(AssertionError, match="pickled"):
        pickle.dumps(scaler)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already been called since"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="being called after step"):
        scaler.unscale_(optimizer)
    scaler.update()
    weight.grad = None
    with pytest.raises(AssertionError, match="No inf checks were recorded for this optimizer"):
        scaler.step(optimizer)
    with pytest.raises(ValueError, match="iterable of Tensors"):
        scaler.scale(3)
    with pytest.raises(AssertionError, match="1-element"):
        scaler.update(mg.ones(2))
    with pytest.raises(RuntimeError, match="empty"):
        scaler.load_state_dict({})


def test_float16_gradients_are_refused():
    weight = mg.ones(1, dtype=HALF, requires_grad=True)
    scaler = mg.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(weight.sum()).backward()
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.unscale_(mg.optim.SGD([weight], lr=1.0))


def test_state_of_the_scaler():
    scaler, optimizer, _ = fresh()
    scaler.step(optimizer)
    scaler.update()
    scaler.set_growth_interval(7)
    scaler.set_growth_factor(3.0)
    scaler.set_backoff_factor(0.1)
    state = scaler.state_dict()
    assert state == {
        "scale": 65536.0, "growth_factor": 3.0, "backoff_factor": 0.1, "growth_interval": 7, "_growth_tracker": 1,
    }  # fmt: skip
    other = mg.amp.GradScaler("cpu", init_scale=2.0)
    other.load_state_dict(state)
    used = fresh()[0]
    used.load_state_dict(state)
    twin = pickle.loads(pickle.dumps(scaler))
    assert other.state_dict() == used.state_dict() == twin.state_dict() == state
    assert (other.get_growth_interval(), other.get_growth_factor(), other.get_backoff_factor()) == (7, 3.0, 0.1)


def test_training_on_a_gpu_with_scaling():
    with fake_cupy.installed():
        mg.manual_seed(0)
        model = mg.nn.Sequential(mg.nn.Linear(4, 8), mg.nn.Tanh(), mg.nn.Linear(8, 2)).cuda()
        optimizer = mg.optim.Adam(model.parameters(), lr=0.02)
        scaler = mg.amp.GradScaler("cuda", init_scale=1024.0, growth_interval=3)
        x, target = mg.randn(16, 4).cuda(), (mg.arange(16) % 2).cuda()
        losses = []
        for _ in range(10):
            optimizer.zero_grad()
            with region("cuda"):
                loss = F.cross_entropy(model(x), target)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        assert losses[-1] < losses[0] and scaler.get_scale() == 8192 and scaler._scale.is_cuda
