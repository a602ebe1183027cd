"""Averages of a model's weights; SWALR's sequences and the averages are compared with PyTorch in tests/parity."""

import pytest

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
    class Normalization(nn.Module):
        """What update_bn needs of a batch norm."""

        def __init__(self):
            super().__init__()
            self.momentum = 0.1
            self.seen = []

        def reset_running_stats(self):
            self.seen.clear()

        def forward(self, x):
            assert self.training and self.momentum is None
            assert not mg.is_grad_enabled()
            self.seen.append(x.sum().item())
            return x

    model = nn.Sequential(Normalization(), nn.Linear(2, 1)).eval()
    swa_utils.update_bn([mg.ones(3, 2), (mg.zeros(3, 2), "label")], model)
    assert model[0].seen == [6.0, 0.0]
    assert model[0].momentum == 0.1
    assert not model.training
    swa_utils.update_bn(None, nn.Linear(2, 1))  # without a batch norm nothing is loaded
