"""Profiles: schedules plan the same steps, tables have the same columns, programs read the same attributes."""

import itertools
import warnings

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402


def plans(t, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = t.profiler.schedule(**settings)
    return [plan(step).name for step in range(20)]


@pytest.mark.parametrize("values", list(itertools.product((0, 2), (0, 1), (1, 3), (0, 2), (0, 3), (0, 1))))
def test_schedules(values):
    settings = dict(zip(("wait", "warmup", "active", "repeat", "skip_first", "skip_first_wait"), values, strict=True))
    assert plans(minigrad, **settings) == plans(torch, **settings)


def titles(t, **settings):
    with t.profiler.profile(activities=[t.profiler.ProfilerActivity.CPU], **settings) as prof:
        with t.profiler.record_function("product"):
            t.ones(3, 3) @ t.ones(3, 3)
    table = prof.key_averages(group_by_input_shape=bool(settings)).table(sort_by="cpu_time_total", row_limit=10)
    event = prof.key_averages()[0]
    numbers = [
        event.count, event.cpu_time_total > 0, event.self_cpu_time_total >= 0, event.cuda_time, event.cpu_time > 0,
        event.device_time_total, event.self_device_time_total,
    ]  # fmt: skip
    return [title.strip() for title in table.splitlines()[1].split("  ") if title.strip()], event.key, numbers


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("settings", [{}, {"record_shapes": True}])
def test_tables(settings):
    assert titles(minigrad, **settings) == titles(torch, **settings)


def cycles(t):
    seen = []
    plan = t.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    with t.profiler.profile(schedule=plan, on_trace_ready=lambda prof: seen.append(prof.step_num)) as prof:
        for _ in range(6):
            t.ones(2).exp()
            prof.step()
    return seen, sorted(event.key for event in prof.key_averages() if event.key.startswith("ProfilerStep"))


@pytest.mark.filterwarnings("ignore")
def test_cycles():
    assert cycles(minigrad)[0] == cycles(torch)[0]
