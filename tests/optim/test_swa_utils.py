"""Averages of a model's weights; SWALR's sequences and the averages are compared with PyTorch in tests/parity."""

import hypothesis.extra.numpy as hypothesis_numpy
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from minigrad import nn
from minigrad.optim import swa_utils


def model_with(value, running=0.0):
    model = nn.Linear(2, 1)
    model.register_buffer("running", mg.tensor([running]))
    with mg.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def averaged_over(values, **options):
    averaged = swa_utils.AveragedModel(model_with(100.0), **options)
    for value in values:
        averaged.update_parameters(model_with(value, running=value))
    return averaged


def test_the_running_mean():
    averaged = averaged_over([1.0, 2.0, 6.0])
    assert averaged.module.weight.tolist() == [[3.0, 3.0]]
    assert averaged.module.running.item() == 6.0  # copied
    assert averaged.n_averaged.item() == 3
    assert averaged(mg.ones(1, 2)).item() == 9.0
    assert "n_averaged" in averaged.state_dict()
    assert "module.weight" in averaged.state_dict()


def test_buffers_too():
    assert averaged_over([1.0, 2.0, 6.0], use_buffers=True).module.running.item() == 3.0


@pytest.mark.parametrize(
    "options",
    [
        {"avg_fn": swa_utils.get_ema_avg_fn(0.5)},
        {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.5)},
        {"avg_fn": lambda average, current, count: (average + current) / 2},
    ],
)
def test_functions(options):
    assert averaged_over([1.0, 2.0, 6.0], **options).module.weight.tolist() == [[3.75, 3.75]]
    assert averaged_over([1.0, 2.0], multi_avg_fn=swa_utils.get_swa_multi_avg_fn()).module.bias.item() == 1.5


def test_refusals():
    function = swa_utils.get_swa_avg_fn()
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        swa_utils.AveragedModel(model_with(1.0), avg_fn=function, multi_avg_fn=function)
    with pytest.raises(ValueError, match="Invalid decay value 1.5"):
        swa_utils.get_ema_avg_fn(1.5)
    optimizer = mg.optim.SGD(model_with(1.0).parameters(), lr=1.0)
    with pytest.raises(ValueError, match="anneal_strategy must be one of"):
        swa_utils.SWALR(optimizer, 0.1, anneal_strategy="steps")
    with pytest.raises(ValueError, match="anneal_epochs"):
        swa_utils.SWALR(optimizer, 0.1, anneal_epochs=-1)
    with pytest.raises(ValueError, match="swa_lr must have the same length"):
        swa_utils.SWALR(optimizer, [0.1, 0.2])


def test_update_bn():
    class Watched(nn.BatchNorm1d):
        """A batch norm that says how it is run."""

        def forward(self, x):
            assert self.training and self.momentum is None
            assert not mg.is_grad_enabled()
            return super().forward(x)

    model = nn.Sequential(Watched(2), nn.Linear(2, 1)).eval()
    model[0].running_mean.fill_(100.0)
    swa_utils.update_bn([mg.full((3, 2), 6.0), (mg.zeros(3, 2), "label"), [mg.zeros(3, 2)]], model)
    assert model[0].running_mean.tolist() == [2.0, 2.0]
    assert model[0].momentum == 0.1
    assert not model.training
    swa_utils.update_bn(None, nn.Linear(2, 1))  # without a batch norm nothing is loaded
    instance = nn.InstanceNorm1d(2, track_running_stats=True)
    instance.running_mean.fill_(100.0)
    swa_utils.update_bn(None, instance)  # its statistics are no batch's
    assert instance.running_mean.tolist() == [100.0, 100.0]


def test_update_bn_with_a_data_loader_and_a_device():
    data = mg.utils.data.TensorDataset(mg.randn(12, 2), mg.arange(12))
    model = nn.BatchNorm1d(2)
    swa_utils.update_bn(mg.utils.data.DataLoader(data, batch_size=4), model, device="cpu")
    np.testing.assert_allclose(model.running_mean.numpy(), data.tensors[0].mean(0).numpy(), rtol=1e-5)
    assert int(model.num_batches_tracked) == 3


def test_update_bn_that_fails_leaves_the_settings():
    def batches():
        yield mg.ones(3, 2)
        raise OSError("the disk is gone")

    model = nn.BatchNorm1d(2).eval()
    with pytest.raises(OSError, match="the disk is gone"):
        swa_utils.update_bn(batches(), model)
    assert model.momentum == 0.1 and not model.training


def test_lists_of_one_dtype_each():
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1), nn.Linear(1, 1).double())
    seen = []

    def average(averages, currents, count):
        assert [own.dtype for own in averages] == [theirs.dtype for theirs in currents]
        seen.append((int(count), [own.dtype for own in averages]))

    averaged = swa_utils.AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    averaged.update_parameters(model)
    assert seen == []  # the first time they are copied
    averaged.update_parameters(model)
    kinds = [(mg.float32, 6), (mg.float64, 2), (mg.int64, 1)]
    assert seen == [(1, [dtype] * number) for dtype, number in kinds]


@given(
    values=st.lists(hypothesis_numpy.arrays(np.float64, (2, 3), elements=st.floats(-100, 100)), min_size=1, max_size=8),
    decay=st.floats(0, 1),
    use_buffers=st.booleans(),
)
def test_swa_is_the_mean_and_ema_the_weighted_mean(values, decay, use_buffers):
    model = nn.Linear(3, 2, bias=False, dtype=mg.float64)
    model.register_buffer("seen", mg.zeros(2, 3, dtype=mg.float64))
    mean = swa_utils.AveragedModel(model, use_buffers=use_buffers)
    moving = [
        swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(decay)),
        swa_utils.AveragedModel(model, avg_fn=swa_utils.get_ema_avg_fn(decay)),
    ]
    for value in values:
        model.weight.detach().copy_(mg.tensor(value))
        model.seen.copy_(mg.tensor(value))
        for averaged in (mean, *moving):
            averaged.update_parameters(model)
    np.testing.assert_allclose(mean.module.weight.detach().numpy(), np.mean(values, 0), atol=1e-10)
    np.testing.assert_allclose(mean.module.seen.numpy(), np.mean(values, 0) if use_buffers else values[-1], atol=1e-10)
    # the first value is the start, each later one enters with 1 - decay
    last = len(values) - 1
    shares = [decay**last, *((1 - decay) * decay ** (last - number) for number in range(1, last + 1))]
    expected = sum(share * value for share, value in zip(shares, values))
    for averaged in moving:
        np.testing.assert_allclose(averaged.module.weight.detach().numpy(), expected, atol=1e-10)
