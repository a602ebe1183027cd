"""Profiles: what is seen, that times add up, what is written, and when a schedule records."""

import gzip
import json
import sys

import pytest

import minigrad as mg
from minigrad.autograd import profiler as autograd_profiler
from minigrad.profiler import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)

CPU = [ProfilerActivity.CPU]


def train(steps=1, after_step=lambda: None):
    model = mg.nn.Sequential(mg.nn.Linear(4, 3), mg.nn.ReLU(), mg.nn.Linear(3, 2))
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = mg.nn.functional.cross_entropy(model(mg.randn(5, 4)), mg.tensor([0, 1, 0, 1, 1]))
        loss.backward()
        optimizer.step()
        after_step()


def test_operations_forward_and_backward_are_seen():
    with profile(activities=CPU, record_shapes=True) as prof:
        train()
    counts = {event.key: event.count for event in prof.key_averages()}
    assert counts["linear"] >= 2 and counts["AddmmBackward0"] == 2 and counts["relu"] >= 1
    assert counts["Optimizer.step#SGD.step"] == 1
    by_shape = prof.key_averages(group_by_input_shape=True)
    shapes = [event.input_shapes for event in by_shape if event.key == "linear"]
    assert [[5, 4], [3, 4], [3]] in shapes and [[5, 3], [2, 3], [2]] in shapes
    assert sys.getprofile() is None


def test_times_add_up():
    with profile() as prof:
        with record_function("outer"):
            train()
    events = prof.events()
    outer = events[0]
    assert outer.name == "outer" and outer.is_user_annotation and outer.cpu_parent is None
    assert all(event.cpu_parent is not None for event in events[1:])
    assert events.self_cpu_time_total == pytest.approx(outer.cpu_time_total)
    total = events.total_average()
    assert total.count == len(events) and total.self_cpu_time_total == pytest.approx(outer.cpu_time_total)
    for event in events:
        assert 0 <= event.self_cpu_time_total <= event.cpu_time_total and event.device_time_total == 0
    average = prof.key_averages()[0]
    assert average.cpu_time == pytest.approx(average.cpu_time_total / average.count)


def test_nothing_is_recorded_outside_or_when_it_fails():
    with record_function("alone"):
        mg.ones(2) + 1
    prof = profile()
    with pytest.raises(ZeroDivisionError), prof, record_function("fails"):
        mg.ones(2).exp()
        1 / 0  # noqa: B018
    mg.ones(2).sin()
    assert sys.getprofile() is None
    names = [event.name for event in prof.events()]
    assert "exp" in names and "fails" in names and "sin" not in names and "alone" not in names


def test_failing_operations_are_closed():
    with profile() as prof:
        with pytest.raises(RuntimeError):
            mg.ones(2) + mg.ones(3)
        mg.ones(2).exp()
    assert {event.name: event.cpu_parent for event in prof.events()}["exp"] is None


def test_table():
    with profile(record_shapes=True, profile_memory=True, with_stack=True) as prof:
        kept = mg.ones(64, 64) @ mg.ones(64, 64)
        train()
    text = prof.key_averages(group_by_stack_n=3).table(sort_by="self_cpu_time_total", row_limit=4, header="Title")
    lines = text.splitlines()
    assert lines[1] == "Title" and lines[0].startswith("====")
    for title in ("Name", "Self CPU %", "CPU total", "CPU time avg", "CPU Mem", "# of Calls", "Source Location"):
        assert title in lines[3]
    assert len(lines) == 5 + 4 + 2 and lines[-1].startswith("Self CPU time total: ")
    assert "test_profiler.py" in prof.key_averages(group_by_stack_n=1).table(row_limit=-1)
    (product,) = [event for event in prof.key_averages() if event.key == "matmul"]
    assert product.cpu_memory_usage >= kept.nbytes
    ordered = prof.key_averages()
    calls = [line.split()[-1] for line in ordered.table(sort_by="count", row_limit=-1).splitlines()[3:-2]]
    assert len(calls) == len(ordered)
    with pytest.raises(AttributeError):
        ordered.table(sort_by="colour")
    with pytest.raises(ValueError, match="time_unit"):
        ordered.table(time_unit="h")
    assert "ms" in ordered.table(time_unit="ms") and str(prof.events()) == prof.events().table()
    assert autograd_profiler.EventList().table() == ""
    top = prof.events().table(top_level_events_only=True, row_limit=-1)
    assert "Optimizer.step" in top and len(top) < len(prof.events().table(row_limit=-1))


@pytest.mark.parametrize("ending", ["json", "json.gz"])
def test_traces_are_json(tmp_path, ending):
    with profile(record_shapes=True) as prof, record_function('a "name"'):
        train()
    prof.add_metadata("who", 3)
    prof.add_metadata_json("what", "[1, 2]")
    path = tmp_path / f"trace.{ending}"
    prof.export_chrome_trace(path)
    with (gzip.open if ending.endswith("gz") else open)(path, "rt", encoding="utf-8") as file:
        trace = json.load(file)
    assert trace["who"] == "3" and trace["what"] == [1, 2]
    events = trace["traceEvents"]
    assert events[0]["name"] == 'a "name"' and len(events) == len(prof.events())
    end = events[0]["ts"] + events[0]["dur"]
    assert all(event["ph"] == "X" and event["ts"] + event["dur"] <= end + 1 for event in events)


def test_stacks(tmp_path):
    with profile(with_stack=True) as prof:
        train()
    prof.export_stacks(tmp_path / "stacks.txt")
    lines = (tmp_path / "stacks.txt").read_text(encoding="utf-8").splitlines()
    assert lines and all(line.rpartition(" ")[2].isdigit() and "train" in line for line in lines)
    with pytest.raises(ValueError, match="metric"):
        prof.export_stacks(tmp_path / "other.txt", "time")


def test_schedule_and_handler(tmp_path):
    seen = []

    def ready(prof):
        seen.append((prof.step_num, [event.name for event in prof.events() if event.is_user_annotation]))
        tensorboard_trace_handler(tmp_path / "traces", worker_name="w")(prof)

    plan = schedule(wait=1, warmup=1, active=2, repeat=2)
    with profile(schedule=plan, on_trace_ready=ready) as prof:
        train(10, prof.step)
    assert seen == [(4, ["ProfilerStep#2", "ProfilerStep#3"]), (8, ["ProfilerStep#6", "ProfilerStep#7"])]
    assert prof.step_num == 10 and sys.getprofile() is None
    files = sorted(path.name for path in (tmp_path / "traces").iterdir())
    assert len(files) == 2 and all(name.startswith("w.") and name.endswith(".pt.trace.json") for name in files)
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="create directory"):
        tensorboard_trace_handler(tmp_path / "file" / "x")(prof)


def test_accumulated_events():
    for keep, cycles in ((False, 1), (True, 2)):
        with profile(schedule=schedule(wait=0, warmup=1, active=1, repeat=2), acc_events=keep) as prof:
            train(5, prof.step)
        assert sum(event.name.startswith("ProfilerStep") for event in prof.events()) == cycles


def test_started_and_stopped_by_hand():
    calls = []
    prof = profile(on_trace_ready=calls.append)
    with pytest.raises(AssertionError, match="no events"):
        prof.key_averages()
    prof.start()
    mg.ones(2).exp()
    prof.step()
    mg.ones(2).sin()
    prof.stop()
    assert calls == [prof] and {"exp", "sin"} <= {event.key for event in prof.key_averages()}


def test_one_profile_at_a_time():
    with profile():
        with pytest.raises(RuntimeError, match="nested"):
            profile().start()
    prof = autograd_profiler.profile()
    with prof:
        pass
    with pytest.raises(RuntimeError, match="reentrant"), prof:
        pass


def test_autograd_profile():
    with autograd_profiler.profile(enabled=False) as prof:
        mg.ones(2).exp()
    assert str(prof) == repr(prof) == "<unfinished profile>"
    with pytest.raises(RuntimeError, match="finish"):
        prof.table()

    @record_function("decorated")
    def double(x):
        """Doc."""
        return x * 2

    with autograd_profiler.profile() as prof:
        double(mg.ones(2))
    assert double.__doc__ == "Doc." and "decorated" in str(prof) and "decorated" in repr(prof)
    assert prof.self_cpu_time_total == pytest.approx(prof.total_average().self_cpu_time_total)
    assert prof.key_averages().table() and prof.table()


@pytest.mark.parametrize("kind", [profile, autograd_profiler.profile])
@pytest.mark.parametrize("setting", ["with_flops", "with_modules", "experimental_config"])
def test_settings_that_are_not_supported_say_so(kind, setting):
    with pytest.raises(NotImplementedError, match=setting):
        kind(**{setting: True})


def test_other_refusals():
    for settings in ({"use_device": "xpu"}, {"use_cpu": False}, {"use_kineto": True}):
        with pytest.raises(NotImplementedError, match=next(iter(settings))):
            autograd_profiler.profile(**settings)
    with pytest.raises(AssertionError, match="activities"):
        profile(activities=[])
    with pytest.raises(TypeError, match="string"):
        record_function(3)
    with profile() as prof:
        mg.ones(2).exp()
    with pytest.raises(NotImplementedError, match="overload"):
        prof.key_averages(group_by_overload_name=True)


def test_without_a_gpu_cuda_is_left_out():
    if mg.cuda.is_available():
        pytest.skip("there is a GPU")
    assert supported_activities() == {ProfilerActivity.CPU} and not mg.profiler.kineto_available()
    with pytest.warns(UserWarning, match="CUDA is not available"):
        prof = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
    assert prof.activities == {ProfilerActivity.CPU}
    with pytest.warns(UserWarning, match="CUDA is not available"):
        autograd_profiler.profile(use_cuda=True)


@pytest.mark.parametrize("wrong", [{"wait": -1}, {"active": 0}, {"repeat": -1}])
def test_schedules_that_make_no_sense(wrong):
    with pytest.raises(AssertionError):
        schedule(**{"wait": 1, "warmup": 1, "active": 1, **wrong})
    with pytest.raises(AssertionError):
        schedule(wait=0, warmup=0, active=1)(-1)


def test_skip_first():
    plan = schedule(wait=2, warmup=0, active=1, skip_first=1, skip_first_wait=1)
    actions = [plan(step) for step in range(5)]
    assert actions[0] is actions[2] is actions[3] is ProfilerAction.NONE
    assert actions[1] is actions[4] is ProfilerAction.RECORD_AND_SAVE
