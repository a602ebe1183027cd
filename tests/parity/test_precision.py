"""bfloat16 and mixed precision against PyTorch: results of ops, what regions of autocast cast, a training loop."""

import itertools
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # torch.testing._internal needs it
pytest.importorskip("ml_dtypes")

import minigrad as mg  # noqa: E402
from minigrad.precision import _FLOAT32_OPS, _POLICIES  # noqa: E402
from tests.parity.convert import Converter, Unsupported, flatten  # noqa: E402
from tests.parity.opinfo import Checker, find, op_db, operator_name  # noqa: E402

EVERYDAY = set(
    """
    abs add addmm all amax any arange argmax atan2 baddbmm bmm cat chunk clamp clone copysign cos cumprod cumsum
    diagonal diff div dot einsum eq exp expand fill flatten flip floor floor_divide fmod full gather index_add
    index_fill index_select isnan kthvalue lerp log logsumexp log_softmax lt masked_fill matmul max maximum mean median
    min mul mv nan_to_num neg new_full nn.functional.adaptive_avg_pool2d nn.functional.avg_pool2d
    nn.functional.batch_norm nn.functional.conv1d nn.functional.conv2d nn.functional.conv_transpose2d
    nn.functional.cosine_similarity nn.functional.cross_entropy nn.functional.elu nn.functional.embedding
    nn.functional.gelu nn.functional.glu nn.functional.grid_sample nn.functional.group_norm nn.functional.hardswish
    nn.functional.huber_loss nn.functional.interpolate nn.functional.l1_loss nn.functional.layer_norm
    nn.functional.leaky_relu nn.functional.linear nn.functional.max_pool2d nn.functional.mse_loss
    nn.functional.nll_loss nn.functional.normalize nn.functional.pad nn.functional.relu nn.functional.rms_norm
    nn.functional.scaled_dot_product_attention nn.functional.silu nn.functional.smooth_l1_loss nn.functional.softplus
    nn.functional.unfold norm ones_like outer permute pow prod reciprocal remainder repeat reshape roll round rsqrt
    rsub scatter scatter_add select sigmoid sign sin softmax sort split sqrt square squeeze stack std sub sum tanh to
    topk transpose tril trunc unbind unsqueeze var view where zeros_like
    """.split()
)


def found(op):
    try:
        return find(mg, op)
    except Unsupported:
        return None


OPERATORS = [op for op in op_db if found(op) is not None]
CHOSEN = [op for op in OPERATORS if op.name in EVERYDAY and torch.bfloat16 in op.dtypes]


@pytest.mark.parametrize("op", CHOSEN, ids=operator_name)
def test_bfloat16(op):
    """Values, dtypes, views and variants agree with PyTorch's; or, more exactly, with its float32 results rounded."""
    report = Checker(
        op, mg, dtypes=("bfloat16",), max_samples=4, seconds=20.0, gradients=False, errors=False
    ).run()
    assert report.compared or report.unsupported
    assert not report.mismatches, "\n".join(map(str, report.mismatches[:5]))


def test_most_of_the_everyday_operators_are_covered():
    assert len(CHOSEN) >= 130


# ---------------------------------------------------------------------- what a region of the CPU casts
# Intended differences: results stay float32 where PyTorch returns bfloat16, or samples can't be given to both.
OTHERWISE = set(
    """
    nn.functional.linear_cross_entropy nn.functional.max_pool3d linalg.lstsq linalg.pinv linalg.det histogram normal
    svd_lowrank pca_lowrank polygamma special.polygamma tensordot
    """.split()
)


def listed(op):
    name = op.name.replace("nn.functional.", "").replace("linalg.", "linalg_").replace(".", "_")
    return name in _POLICIES["cpu"] or op.name in EVERYDAY


LOOKED_AT = [op for op in OPERATORS if listed(op) and op.name not in OTHERWISE and torch.float32 in op.dtypes]


def result_types(module, function, sample):
    convert = Converter(module)
    input, args, kwargs = convert(sample.input), convert(tuple(sample.args)), convert(dict(sample.kwargs))
    with module.autocast("cpu", dtype=module.bfloat16):
        result = function(input, *args, **kwargs)
    return [str(tensor.dtype).partition(".")[2] for tensor in flatten(result, module)]


def lowered(value):
    return value.bfloat16() if isinstance(value, torch.Tensor) and value.dtype is torch.float32 else value


@pytest.mark.parametrize("op", LOOKED_AT, ids=operator_name)
@pytest.mark.parametrize("change", [None, lowered], ids=["float32", "bfloat16"])
def test_types_in_a_region_of_the_cpu(op, change):
    function = found(op)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in itertools.islice(op.sample_inputs("cpu", torch.float32), 2):
            sample = sample if change is None else sample.transform(change)
            try:
                expected = result_types(torch, op.op, sample)
            except RuntimeError:  # PyTorch refuses bfloat16
                continue
            try:
                assert result_types(mg, function, sample) == expected
            except Unsupported:
                continue


def test_the_regions_of_the_cpu_are_looked_at():
    assert len(LOOKED_AT) >= 190


def registered(name, device):
    """Whether PyTorch has a function of that name; and whether autocast does something about it."""
    try:
        return torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", f"Autocast{device}")
    except RuntimeError:
        return None


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_lists_are_those_of_pytorch(device):
    # Names of PyTorch's Python functions, or functions that get there what they are made of gets.
    made_of_others = {
        "cpu": """bilinear convolution gru gru_cell linalg_multi_dot lstm lstm_cell lu max_unpool1d rnn_relu_cell
            rnn_tanh_cell tensordot""",
        "cuda": "linalg_norm lstm gru rnn",
    }[device].split()
    ours = set(_POLICIES[device]) | (set(_FLOAT32_OPS) if device == "cuda" else set())
    wrong = [name for name in ours if registered(name, device.upper()) is False and name not in made_of_others]
    assert wrong == []


MISSING = {
    "cuda": set(
        """_convolution _scaled_dot_product_flash_attention _thnn_fused_gru_cell _thnn_fused_lstm_cell cudnn_convolution
        cudnn_convolution_transpose nll_loss2d native_layer_norm cosine_similarity frobenius_norm nuclear_norm
        _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
        _upsample_nearest_exact3d upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
        upsample_nearest2d upsample_nearest3d upsample_trilinear3d""".split()
    ),
}


def test_nothing_of_the_list_for_gpus_is_missing():
    names = {schema.name[6:] for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("aten::")}
    theirs = {name for name in names if registered(name, "CUDA")}
    ours = set(_POLICIES["cuda"]) | set(_FLOAT32_OPS)
    assert len(theirs) > 80
    assert theirs - ours - MISSING["cuda"] == set()


# ---------------------------------------------------------------------- training
def build(module):
    nn = module.nn
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_training_loop_with_autocast_and_scaler(dtype):
    torch.manual_seed(0)
    models = {torch: build(torch), mg: build(mg)}
    models[mg].load_state_dict({name: mg.tensor(v.numpy()) for name, v in models[torch].state_dict().items()})
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((6, 12, 1, 8, 8)).astype("float32"), rng.integers(0, 3, (6, 12))
    curves, scales = {}, {}
    for module, model in models.items():
        optimizer = module.optim.AdamW(model.parameters(), lr=0.01)
        scaler = module.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
        curves[module], scales[module] = [], []
        for step in range(6):
            x, target = module.tensor(images[step]), module.tensor(labels[step])
            optimizer.zero_grad()
            with module.autocast("cpu", dtype=getattr(module, dtype)):
                loss = module.nn.functional.cross_entropy(model(x), target)
            if step == 3:
                loss = loss * float("inf")
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            norm = module.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            curves[module].append([loss.item(), norm.item()])
            scales[module].append(scaler.get_scale())
        scales[module].append(scaler.state_dict())
    assert scales[mg] == scales[torch]
    np.testing.assert_allclose(curves[mg], curves[torch], rtol=0.03)
    for (name, ours), theirs in zip(models[mg].state_dict().items(), models[torch].state_dict().values(), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0.05, atol=0.02, err_msg=name)
