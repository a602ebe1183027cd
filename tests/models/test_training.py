"""The pieces of the training loop: schedules, losses, an epoch, a test."""
import math

import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.utils.data import DataLoader, TensorDataset
from models.commands.run import averaged
from models.googlenet import GoogLeNetOutputs
from models.training import (
    OPTIMIZERS,
    SCHEDULES,
    Schedule,
    accuracy,
    classification_loss,
    evaluate,
    split_outputs,
    train_epoch,
)


def optimizer_of_one(lr=1.0, name="sgd", **kw):
    return OPTIMIZERS[name]([nn.Parameter(mg.ones(1))], lr=lr, **kw)


def rates(schedule, epochs, steps, accuracies=None):
    """The learning rate of every batch."""
    found = []
    for epoch in range(epochs):
        for _ in range(steps):
            found.append(schedule.rates()[0])
            schedule.optimizer.step()
            schedule.step()
        schedule.epoch_done(accuracies[epoch] if accuracies else 0.5)
    return found


@pytest.mark.parametrize(
    "name, settings, wanted",
    [
        ("constant", {}, [1, 1, 1, 1, 1, 1]),
        ("constant", {"warmup": 2}, [1 / 3, 2 / 3, 1, 1, 1, 1]),
        ("step", {}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ("step", {"step_epochs": 3, "gamma": 0.5}, [1, 1, 1, 0.5, 0.5, 0.5]),
        ("multistep", {}, [1, 1, 1, 0.1, 0.01, 0.01]),
        ("multistep", {"milestones": [2, 5], "warmup": 1}, [0.5, 1, 0.1, 0.1, 0.1, 0.01]),
        ("cosine", {}, [(1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]),
        ("linear", {}, [1 - step / 6 for step in range(6)]),
        ("restarts", {"cycle": 2}, [1, 0.5, 1, 0.5, 1, 0.5]),
        ("plateau", {"patience": 0}, [1, 1, 0.1, 0.01, 0.001, 0.0001]),
        ("plateau", {"patience": 1, "warmup": 1}, [0.5, 1, 1, 0.1, 0.1, 0.01]),
    ],
)
def test_schedules(name, settings, wanted):
    schedule = Schedule(name, optimizer_of_one(), epochs=6, steps_per_epoch=1, **settings)
    assert rates(schedule, 6, 1) == pytest.approx(wanted)


def test_onecycle_goes_up_and_down_and_lowers_the_momentum_meanwhile():
    optimizer = optimizer_of_one(momentum=0.9)
    found = rates(Schedule("onecycle", optimizer, epochs=4, steps_per_epoch=5), 4, 5)
    assert max(found) == pytest.approx(1.0, abs=0.02) and found[0] < 0.1 and found[-1] < 0.01
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.95, abs=0.01)
    without = optimizer_of_one(name="rmsprop")
    rates(Schedule("onecycle", without, epochs=2, steps_per_epoch=2), 2, 2)
    assert without.param_groups[0]["momentum"] == 0


def test_the_plateau_is_that_of_the_accuracy():
    """The lecture's AlexNet: divided by 10 when the validation accuracy no longer grows."""
    schedule = Schedule("plateau", optimizer_of_one(0.01), epochs=8, steps_per_epoch=2, patience=1)
    found = rates(schedule, 8, 2, [0.1, 0.3, 0.2, 0.4, 0.4, 0.4, 0.5, 0.1])
    assert found == pytest.approx([0.01] * 12 + [0.001] * 4)


@pytest.mark.parametrize("warmup", [0, 1])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_from_its_state(name, warmup):
    if name == "onecycle" and warmup:
        return
    settings = {"epochs": 6, "steps_per_epoch": 3, "warmup": warmup}
    settings |= {"patience": 0} if name == "plateau" else {}
    optimizer = optimizer_of_one(momentum=0.9)
    schedule = Schedule(name, optimizer, **settings)
    rates(schedule, 2, 3)
    again = optimizer_of_one(momentum=0.9)
    resumed = Schedule(name, again, **settings)
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert rates(resumed, 4, 3) == rates(schedule, 4, 3)


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("zigzag", {}, "unknown schedule 'zigzag'; there are: constant, "),
        ("onecycle", {"warmup": 1}, "a warm-up of its own"),
        ("cosine", {"warmup": 6}, "a warm-up of 6 epochs leaves nothing of 6"),
        ("multistep", {"warmup": 2, "milestones": [1]}, "milestone 1 lies in the warm-up of 2 epochs"),
    ],
)
def test_schedules_that_cannot_be(name, settings, message):
    with pytest.raises(ValueError, match=message):
        Schedule(name, optimizer_of_one(), epochs=6, steps_per_epoch=1, **settings)


# ---------------------------------------------------------------- losses
def test_auxiliary_classifiers_count_three_tenths_each():
    logits, second, first = mg.randn(3, 4, 5)
    labels = mg.tensor([0, 4, 2, 2])
    one_by_one = [nn.functional.cross_entropy(scores, labels).item() for scores in (logits, second, first)]
    outputs = GoogLeNetOutputs(logits, second, first)
    wanted = one_by_one[0] + 0.3 * (one_by_one[1] + one_by_one[2])
    assert classification_loss(outputs, labels).item() == pytest.approx(wanted)
    assert classification_loss(GoogLeNetOutputs(logits, None, None), labels).item() == pytest.approx(one_by_one[0])
    assert split_outputs(logits) == (logits, [])


def test_soft_labels_and_smoothing():
    logits = mg.randn(3, 4)
    labels = mg.tensor([1, 0, 3])
    soft = nn.functional.one_hot(labels, 4).float()
    plain = classification_loss(logits, labels)
    assert mg.allclose(classification_loss(logits, soft), plain)
    spread = soft * 0.8 + 0.05
    assert mg.allclose(classification_loss(logits, labels, label_smoothing=0.2), classification_loss(logits, spread))


# ---------------------------------------------------------------- the loop
def blobs(count=24):
    images = mg.randn(count, 3)
    return DataLoader(TensorDataset(images, (images[:, 0] > 0).long()), batch_size=10)


def test_an_epoch_calls_everything_once_per_batch():
    mg.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = Schedule("linear", optimizer, epochs=1, steps_per_epoch=3)
    average = averaged(model, 0.5)
    calls = []
    loss = train_epoch(
        model,
        blobs(),
        optimizer,
        schedule,
        batch_transform=lambda images, labels: (calls.append(("transform", len(images))), (images, labels))[1],
        penalty=lambda: (calls.append("penalty"), mg.tensor(100.0))[1],
        clip_norm=1e-9,
        average=average,
        after_batch=lambda count, mean: calls.append((count, mean)),
    )
    assert [call[1] for call in calls[::3]] == [10, 10, 4]
    assert calls[1::3] == ["penalty"] * 3
    assert [call[0] for call in calls[2::3]] == [10, 20, 24]
    assert calls[-1][1] == loss < 10  # the penalty is not in it
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-7)
    assert int(average.n_averaged) == 3


def test_gradients_are_clipped_and_penalties_pull():
    mg.manual_seed(0)
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    train_epoch(model, blobs(), optim.SGD(model.parameters(), lr=1.0), clip_norm=1e-4)
    assert 0 < (model.weight - before).norm().item() <= 3.1e-4
    penalty = lambda: 10 * model.weight.abs().sum()  # noqa: E731
    train_epoch(model, blobs(), optim.SGD(model.parameters(), lr=0.005), penalty=penalty)
    assert model.weight.abs().sum() < before.abs().sum() - 0.5


def test_the_average_is_a_moving_one():
    model = nn.Linear(1, 1, bias=False)
    average = averaged(model, 0.5)
    expected = None
    for step, value in enumerate([1.0, 5.0, 2.0, 8.0, 3.0, -4.0, 6.0, 1.0, 2.0, 9.0]):
        nn.init.constant_(model.weight, value)
        average.update_parameters(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = value if expected is None else decay * expected + (1 - decay) * value
        assert average.module.weight.item() == pytest.approx(expected)


def test_evaluate_is_over_all_images_and_leaves_no_graph():
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    batches = blobs()
    counts = []
    scores = evaluate(model, batches, after_batch=counts.append)
    images, labels = batches.dataset.tensors
    logits = model(images)
    assert counts == [10, 20, 24] and not model.training
    assert scores.loss == pytest.approx(nn.functional.cross_entropy(logits, labels).item())
    assert scores.predicted == logits.argmax(1).tolist() and scores.actual == labels.tolist()
    assert scores.accuracy == accuracy(scores.predicted, scores.actual)
