"""python -m benchmarks cnn, ops and report: what they write, what they refuse, how workers take their turns.

minigrad stands in for its own peer, so that nothing else need be installed; no test looks at how long anything takes.
"""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import (
    cases,
    chart,
    measuring,
    networks,
    operations,
    pages,
    processes,
    results,
    step_profile,
    tables,
    worker,
)
from benchmarks import library_minigrad as adapter
from minigrad.kernels import conv as conv_kernels
from models.common import CommandError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(measuring, "PRODUCT_SIDE", 32)
    monkeypatch.setattr(measuring, "TURN_MS", 0.01)
    monkeypatch.setattr(processes, "SETTLING_S", 0.0)


def run(*arguments):
    return command.main([str(argument) for argument in arguments])


# ---------------------------------------------------------------- whole runs
def test_a_network_beside_a_peer(tmp_path, capsys):
    """The smallest setting, with everything: both libraries, memory, the check of the scores, JSON and Markdown."""
    options = ("--image-size", 16, "--batch", 2, "--passes", 1, "--threads", 1, "--peer", "minigrad")
    options += ("--reference", "--profile")
    assert run("cnn", "--networks", "alexnet", *options, "--out", tmp_path, "--name", "run") == 0
    document = results.read(tmp_path / "run.json")
    assert document["complete"] and document["kind"] == "cnn"
    assert document["settings"] == {"threads": 1, "device": "cpu", "passes": 1, "image size": "16"}
    assert {"Python", "NumPy", "minigrad"} <= set(document["versions"])
    labels = {"minigrad", "minigrad again", "plain im2col"}
    assert set(document["product_gflops"]) == labels
    (row,) = document["rows"]
    assert row["network"] == "alexnet" and row["batch"] == 2
    assert row["multiply_adds"] == adapter.multiply_adds("alexnet", 16)
    assert 0 < row["difference"] < 1e-4  # the same weights; other algorithms round differently
    for label in labels:
        assert set(row["times"][label]) == {"forward", "backward", "step", "inference"}
        assert all(len(times) == 1 and times[0] > 0 for times in row["times"][label].values())
        parameters = 4 * 4_644_200  # bytes
        assert row["memory"][label] > 3 * parameters  # with their gradients and the optimizer's momenta
    profiled = row["profile"]["parts"]
    assert {"convolution, forward", "response norm, backward", "dropout, forward", "the rest"} <= set(profiled)
    text = (tmp_path / "run.md").read_text()
    assert f"| sum | {tables.number(sum(profiled.values()))} |" in text
    assert text in capsys.readouterr().out
    for ratios in ("minigrad's time over minigrad again's", "plain im2col's time over minigrad again's"):
        assert f"## {ratios}" in text
    for part in ("minigrad's time over plain im2col's", "Peak memory", "Distance to the limit", "| AlexNet | 2 |"):
        assert part in text
    assert "Beside the lecture's figures" not in text  # those are of other images and batches


def test_small_networks_and_layers(tmp_path):
    shared = ("--passes", 2, "--threads", 1, "--out", tmp_path)
    assert run("cnn", "--small", "--networks", "mlp", "--batch", 1, "--profile", *shared, "--name", "small") == 0
    (row,) = results.read(tmp_path / "small.json")["rows"]
    assert "memory" not in row and len(row["times"]["minigrad"]["step"]) == 1  # the first of two is dropped
    assert {"linear, forward", "linear, backward", "optimizer"} <= set(row["profile"]["parts"])
    assert "training step, µs" in (tmp_path / "small.md").read_text()
    chosen = ("--layers", "--networks", "alexnet", "--image-size", 16, "--batch", 1)
    assert run("cnn", *chosen, *shared, "--reference", "--name", "layers") == 0
    rows = results.read(tmp_path / "layers.json")["rows"]
    assert [row["layer"]["outputs"] for row in rows] == [96, 256, 384, 384, 256]
    for label in ("minigrad", "plain im2col"):
        assert all(set(row["times"][label]) == {"forward", "input", "weight"} for row in rows)
    assert "5x5/1 96→256 groups 2" in (tmp_path / "layers.md").read_text()


def test_operations(tmp_path):
    options = ("--sizes", "tiny", "--passes", 2, "--threads", 1, "--out", tmp_path, "--name", "ops")
    assert run("ops", *options, "--peer", "minigrad") == 0
    rows = results.read(tmp_path / "ops.json")["rows"]
    assert {row["family"] for row in rows} == set(operations.FAMILIES)
    for row in rows:
        parts = {"forward"} if row["family"] == "optimizers" else {"forward", "backward"}
        assert all(set(times) == parts for times in row["times"].values())
    assert "geometric mean" in (tmp_path / "ops.md").read_text()


def test_footprint(tmp_path, capsys):
    """minigrad with NumPy: the import, and what pip installs, which is a release's size and no machine's."""
    assert run("footprint", "--passes", 2, "--threads", 1, "--out", tmp_path, "--name", "footprint") == 0
    document = results.read(tmp_path / "footprint.json")
    (row,) = document["rows"]
    assert set(row["times"]) == set(row["sizes"]) == {"minigrad", "NumPy alone"}
    assert all(len(found["import"]) == 1 and found["import"][0] > 0 for found in row["times"].values())
    sizes = row["sizes"]["minigrad"]
    assert set(sizes) == {"minigrad", "numpy", "threadpoolctl"}
    assert sizes["numpy"]["files"] > 20e6 > sizes["minigrad"]["files"] > 1e6 < sizes["minigrad"]["bytecode"]
    assert document["product_gflops"] is None
    text = (tmp_path / "footprint.md").read_text()
    assert text in capsys.readouterr().out and "import, ms" in text


def test_a_failing_library_is_one_sentence_and_what_was_measured_stays(tmp_path, monkeypatch, capsys):
    real = measuring.operation_row

    def fails_at_the_third(running, name, family, **options):
        if name == "div, tiny":
            running[0].ask("open", kind="operation", operation="no such")
        return real(running, name, family, **options)

    monkeypatch.setattr(measuring, "operation_row", fails_at_the_third)
    options = ("--sizes", "tiny", "--passes", 1, "--threads", 1, "--out", tmp_path, "--name", "ops")
    assert run("ops", "--families", "elementwise", *options) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: minigrad: KeyError: 'no such'"
    document = results.read(tmp_path / "ops.json")
    assert [row["operation"] for row in document["rows"]] == ["add, tiny", "mul, tiny"]
    assert not document["complete"]
    assert "The run ended early" in (tmp_path / "ops.md").read_text()


def test_interrupted(tmp_path):
    """After Ctrl-C: exit code 130, the rows so far are there, the workers are gone."""
    program = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "ops", "--threads", "1", "--passes", "8"]
        + ["--out", str(tmp_path), "--name", "ops"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = tmp_path / "ops.json"
    deadline = time.monotonic() + 240  # only against waiting forever
    while not path.exists() and program.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    program.send_signal(signal.SIGINT)
    output, errors = program.communicate()
    assert program.returncode == 130, errors
    assert "interrupted; kept what was measured" in errors
    document = results.read(path)
    assert document["rows"] and not document["complete"]
    assert "# Operations" in output


# ---------------------------------------------------------------- workers
def test_a_worker_answers_mistakes_and_goes_on():
    with processes.workers(["minigrad"], 1) as (ours,):
        with pytest.raises(processes.MeasuringError, match="^minigrad: KeyError: 'no such'$"):
            ours.ask("open", kind="no such")
        ours.ask("open", kind="product", side=4)
        assert set(ours.ask("measure", what="product")) == {"product"}
        assert ours.description["threads"] == 1
        ours.settle()
        os.kill(ours.process.pid, signal.SIGKILL)
        with pytest.raises(processes.MeasuringError, match="killed, as for want of memory"):
            ours.ask("scores")
    assert ours.process.returncode == -signal.SIGKILL


def test_workers_end_with_the_block_and_a_missing_library_is_named(monkeypatch):
    with processes.workers(["minigrad"], 1) as running:
        process = running[0].process
        assert process.poll() is None
    assert process.returncode is not None
    monkeypatch.setitem(processes.ADAPTERS, "absent", "benchmarks.no_such_library")
    with pytest.raises(processes.MeasuringError, match="^absent: ModuleNotFoundError"):
        with processes.workers(["minigrad", "absent"], 1):
            pass


def test_a_turn_ends_when_the_threads_sleep(monkeypatch):
    """Where the system does not tell, after a while."""
    ours = processes.WorkerProcess.__new__(processes.WorkerProcess)
    read = iter([1.0, 1.004, 1.008, 1.0081, 9.0])
    ours._cpu_seconds = lambda: next(read)
    monkeypatch.setattr(processes, "SETTLING_S", 60.0)
    ours.settle()
    assert next(read) == 9.0
    monkeypatch.setattr(processes, "SETTLING_S", 0.02)
    asked = []
    ours._cpu_seconds = lambda: asked.append(time.monotonic())
    ours.settle()
    assert len(asked) > 1


class Fake:
    """A worker whose clock is the number of requests it got, with scores of its own."""

    def __init__(self, label, scores=((1.0, 2.0),)):
        self.label = label
        self.table = scores
        self.asked = []
        self.settle = lambda: None

    def ask(self, do, **options):
        self.asked.append((do, options))
        if do == "scores":
            return self.table
        if do == "repeats":
            return 7
        return {options["what"]: float(len(self.asked))} if do == "measure" else None


def test_turns_alternate_and_the_first_pass_is_dropped():
    order = []
    ours, theirs = Fake("minigrad"), Fake("torch")
    for worker_ in (ours, theirs):
        worker_.ask = lambda do, self=worker_, **options: order.append(self.label) or {options["what"]: 1.0}
    times = measuring.interleaved([ours, theirs], "product", 3)
    assert order == ["minigrad", "torch", "torch", "minigrad", "minigrad", "torch"]
    assert times == {"minigrad": {"product": [1.0, 1.0]}, "torch": {"product": [1.0, 1.0]}}
    fake = Fake("minigrad")
    assert measuring.interleaved([fake], "product", 1, repeated=True) == {"minigrad": {"product": [2.0]}}
    assert fake.asked[1] == ("measure", {"what": "product", "repeats": 7})


@pytest.mark.parametrize(
    ("theirs", "difference"),
    [(((1.0, 2.0),), 0.0), (((1.0, 2.001),), 0.0005), (((1.0, 2.5),), None), (((1.0, float("nan")),), None)],
)
def test_other_scores_are_refused(theirs, difference):
    both = [Fake("minigrad"), Fake("torch", theirs)]
    if difference is None:
        with pytest.raises(processes.MeasuringError, match="minigrad and torch do not compute the same"):
            measuring.largest_difference(both)
    else:
        assert measuring.largest_difference(both) == pytest.approx(difference, rel=1e-6)
        assert both[0].asked[1][0] == "save" and both[1].asked[0][0] == "load"


def test_the_reference_has_no_fast_path():
    """In a process of its own: the switch is for everything in it."""
    program = """
from benchmarks import library_reference
library_reference.start()
from minigrad.kernels import conv

for name in ("forward_pointwise", "forward_blocked"):
    setattr(conv, name, None)
layer = library_reference.library.nn.Conv2d(2, 3, 1)
assert layer(library_reference.library.ones(2, 2, 5, 5)).shape == (2, 3, 5, 5)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- cases
def test_a_pass_reaches_the_images_and_a_step_changes_the_weights():
    case = cases.NetworkCase(adapter, "lenet5", 2, 28)
    seen = []
    case.model.conv1.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    assert set(case.measure("pass")) == {"forward", "backward"}
    assert case.model.training and seen[0].grad is not None and case.model.conv1.weight.grad is not None
    before = case.model.fc3.bias.detach().clone()
    case.measure("step")
    assert not seen[1].requires_grad
    assert (case.model.fc3.bias != before).any()
    case.measure("inference")
    assert not case.model.training and case.model.fc3(case.library.zeros(1, 84)).requires_grad
    assert len(case.scores()) == 2 and len(case.scores()[0]) == 10


def test_weights_and_images_go_from_one_case_to_another(tmp_path):
    one, other = (cases.NetworkCase(adapter, "lenet5", 2, 28) for _ in range(2))
    one.step()
    one.images += 1
    one.model.fc3.bias.data += 1
    assert one.scores() != other.scores()
    one.save(tmp_path / "weights.pt")
    other.load(tmp_path / "weights.pt")
    assert one.scores() == other.scores()


def test_training_that_diverges_is_an_error():
    case = cases.NetworkCase(adapter, "mlp", 2, 28)
    case.images *= float("inf")
    with pytest.raises(RuntimeError, match="the loss of a training step is nan"):
        case.step()


def test_each_gradient_of_a_layer_is_measured_alone():
    layer = {"channels": 2, "outputs": 3, "kernel": 3, "stride": 2, "padding": 1, "groups": 1, "bias": True, "side": 5}
    case = cases.LayerCase(adapter, batch=2, **layer)
    assert tuple(case.gradient.shape) == (2, 3, 3, 3)
    wanted = []
    convolve = case._convolve
    case._convolve = lambda x, w: wanted.append((x.requires_grad, w.requires_grad)) or convolve(x, w)
    for what in case.MEASURES:
        assert set(case.measure(what)) == {what}
    assert wanted == [(False, False), (True, False), (False, True)]


@pytest.mark.parametrize("name", [name for name in operations.OPERATIONS if name.endswith("tiny")])
def test_every_operation_runs_in_every_way(name):
    family = operations.OPERATIONS[name].family
    case = (cases.UpdateCase if family == "optimizers" else cases.OperationCase)(adapter, name)
    for what in case.MEASURES:
        assert set(case.measure(what)) == {what}
    if case.module is not None:
        assert all(parameter.grad is not None for parameter in case.module.parameters())


def test_an_update_changes_its_parameters():
    case = cases.UpdateCase(adapter, "Adam, tiny")
    (group,) = case.helper.param_groups
    before = [parameter.detach().clone() for parameter in group["params"]]
    case.measure("forward")
    assert all((was != is_).any() for was, is_ in zip(before, group["params"], strict=True))


def test_every_operation_comes_in_every_size():
    assert {name.rpartition(", ")[2] for name in operations.OPERATIONS} == set(operations.SIZES)
    assert len(operations.OPERATIONS) % len(operations.SIZES) == 0


def test_repeats_fill_a_turn():
    ours = worker.Worker(adapter, 1)
    ours.case = type("Case", (), {"measure": lambda self, what: {"a": 2.0, "b": 1.0}})()
    assert ours.repeats("x", 10) == 4
    assert ours.measure("x", repeats=5) == {"a": 2.0, "b": 1.0}


def test_memory_is_what_the_system_says():
    """In a fresh process: one that has freed much takes the block from what it holds already."""
    program = """
from benchmarks import memory

memory.restart_highest()
before = memory.resident_bytes()
block = bytearray(b"x") * (64 << 20)
assert len(block) <= memory.highest_bytes() - before + (8 << 20), (before, memory.highest_bytes())
assert memory.highest_bytes() >= memory.resident_bytes() - (1 << 20)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_networks_are_the_benchmarks():
    """Inception-V1 is the paper's; each convolution of AlexNet is listed with the maps it sees at 224 pixels."""
    assert set(networks.NETWORKS) == set(networks.FIGURES)
    inception = adapter.build("googlenet", 224, 1000)
    assert inception.inception3a.branch3[1].conv.kernel_size == (5, 5)
    assert inception.aux1 is None and inception.norm1.size == 5
    sides = [(layer["side"], layer["groups"], layer["count"]) for layer in adapter.convolutions("alexnet", 224)]
    assert sides == [(224, 1, 1), (27, 2, 1), (13, 1, 1), (13, 2, 1), (13, 2, 1)]


# ---------------------------------------------------------------- where the time goes
def test_a_profile_counts_every_stretch_of_a_step_once(monkeypatch):
    """With a clock that advances by one at every reading, and by 100 in a convolution's forward pass."""
    now = [0.0]

    def clock():
        now[0] += 1
        return now[0]

    case = cases.NetworkCase(adapter, "lenet5", 2, 28)
    case.step()
    monkeypatch.setattr(step_profile.time, "perf_counter", clock)
    case.model.conv1.register_forward_pre_hook(lambda *_: now.__setitem__(0, now[0] + 100))
    before = {name: op.pull for name, op in step_profile.OPS.items()}
    laps = step_profile.Laps(lambda: None)
    with step_profile.watching(laps, case.model, case.optimizer):
        laps.restart()
        started = now[0]
        case.step()
    # the step's own stopwatch reads the clock twice; the second time is after the optimizer, where the laps end
    assert sum(laps.seconds.values()) == now[0] - started - 1
    assert laps.seconds["convolution, forward"] == 102
    assert laps.seconds["convolution, to the input"] == 1 and laps.seconds["convolution, to the weight"] == 2
    assert laps.seconds["ReLU, forward"] == laps.seconds["ReLU, backward"] == 4
    assert {name: op.pull for name, op in step_profile.OPS.items()} == before
    assert all("timed" not in op.forward.__qualname__ for op in map(step_profile.OPS.get, step_profile.GRADIENTS))
    assert step_profile.MODE.on_record is None
    assert not set(laps.seconds) - set(step_profile.ORDER)


def test_what_runs_inside_a_response_norm_is_its_part():
    case = cases.NetworkCase(adapter, "alexnet", 1, 16)
    found = step_profile.profile(case, 1)
    assert {"response norm, forward", "response norm, backward"} <= set(found["parts"])
    assert not any(part.startswith("addition") for part in found["parts"])
    assert found["step"] > 0


def test_a_profile_is_of_the_operations_that_otherwise_run(monkeypatch):
    """A ReLU in its convolution's kernel stays there."""
    calls = []
    real = conv_kernels.convolve
    monkeypatch.setattr(conv_kernels, "convolve", lambda *args, **given: calls.append(given) or real(*args, **given))
    case = cases.NetworkCase(adapter, "vgg16", 1, 32)
    for step in (case.step, lambda: step_profile.profile(case, 1)):
        calls.clear()
        step()
        assert calls and all(given.get("relu") for given in calls)


@pytest.mark.parametrize("name", ["lenet5", "mlp", "alexnet", "resnet18"])
def test_multiply_adds_are_those_that_a_step_does(name):
    """Grouped convolutions, projections and linear layers: counted in a step that runs."""
    side = 28 if name in networks.SMALL_NETWORKS else 32
    case = cases.NetworkCase(adapter, name, 2, side)
    done = []
    with adapter.library.utils.products.watch_products(lambda op, products, shapes: done.append(products)):
        case.step()
        step = sum(done)
        done.clear()
        case.inference()
    assert adapter.multiply_adds(name, side) == {"step": step // 2, "inference": sum(done) // 2}


# ---------------------------------------------------------------- tables and the chart
def document(device="cpu", image_size=224, peer=True):
    ours = {"forward": [1000.0, 3000.0], "backward": [2000.0, 4000.0], "step": [100.0, 300.0], "inference": [9.0, 9.0]}
    times = {"minigrad": ours}
    if peer:
        times["torch"] = {part: [2 * value for value in values] for part, values in ours.items()}
    row = {"kind": "network", "network": "vgg16", "batch": 16, "image_size": image_size, "times": times}
    row["multiply_adds"] = {"step": 3 * 10**9, "inference": 10**9}
    row |= {"memory": {label: 3e9 if label == "torch" else 2e9 for label in times}}
    return {
        "format": results.FORMAT, "kind": "cnn", "command": "python -m benchmarks cnn", "date": "today",
        "revision": None, "machine": {"CPU": "some"}, "versions": {}, "complete": True, "rows": [row],
        "settings": {"device": device, "threads": 2}, "product_gflops": {label: [960.0] for label in times},
    }  # fmt: skip


def test_ratios_are_taken_pass_by_pass():
    text = pages.markdown(document())
    assert "| VGG-16 | 16 | minigrad | 2000 [1000-3000] | 3000 [2000-4000] | 5000 [3000-7000] | 200 [100-300] |" in text
    assert "| VGG-16 | 16 | 0.50 [0.50-0.50] |" in text
    assert "| VGG-16 | 16 | 2000 | 3000 | 0.67 |" in text
    assert "480, 50%" in text  # 6 G operations of 16 images in 200 ms
    figures = "3102 / 5394 / 8495 | 359 | 41.6 / 87.0 / 129"
    assert f"| VGG-16 | 2000 / 3000 / 5000 | 4000 / 6000 / 10000 | {figures} |" in text


def test_the_chart_has_the_measured_bars_and_those_of_2016(tmp_path):
    bars = chart.series([document(), document(device="cuda", peer=False)])
    assert bars["minigrad, 2 threads"] == {"vgg16": 5000.0} and bars["torch, 2 threads"] == {"vgg16": 10000.0}
    assert bars["minigrad, cuda"] == {"vgg16": 5000.0}
    assert bars["2016: 2 Xeon E5-2630 v3"] == {"vgg16": 8495.48}
    assert chart.series([document(image_size=64)]) == {}
    pytest.importorskip("matplotlib")
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document()))
    assert run("report", path, "--chart", tmp_path / "chart.svg") == 0
    assert "VGG-16" in (tmp_path / "run.md").read_text() and "<svg" in (tmp_path / "chart.svg").read_text()
    assert run("report", path) == 0
    assert (tmp_path / "cpu-gpu.png").read_bytes().startswith(b"\x89PNG")


# ---------------------------------------------------------------- mistakes
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("cnn --networks resnet19", "--networks resnet19: there are alexnet, googlenet"),
        ("cnn --networks lenet5", "--networks lenet5: there are alexnet, googlenet"),
        ("cnn --small --networks vgg16", "--networks vgg16: there are lenet5, mlp with --small"),
        ("cnn --networks alexnet --image-size 3", "--image-size 3: AlexNet2012: image_size must be at least"),
        ("cnn --networks resnet18 --device no-such", "--device no-such:"),
        ("cnn --small --image-size 28 --name ../up", "--name ../up: must be a file's name"),
        ("ops --families dance", "--families dance: there are elementwise"),
        ("ops --sizes huge", "--sizes huge: there are tiny, middle, large"),
        ("cnn --layers --profile", "--profile: of a network's training step"),
        ("report missing.json", "missing.json: cannot be read"),
        ("report --chart chart.pdf missing.json", "--chart chart.pdf: must end in .png or .svg"),
    ],
)
def test_mistakes_are_one_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = arguments.split()
    assert run(*words, *(("--out", tmp_path) if words[0] != "report" else ())) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "required"),
        ("dance", "invalid choice"),
        ("cnn --passes 0", "--passes: 0 is not at least 1"),
        ("cnn --threads x", "--threads: invalid int value"),
        ("cnn --small --layers", "not allowed with"),
        ("cnn --peer caffe", "invalid choice: 'caffe'"),
    ],
)
def test_unknown_arguments(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*arguments.split())
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and said in error and error.count("\n") == 1


def test_a_peer_that_is_not_installed(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run("ops", "--peer", "torch", "--out", tmp_path) == 2
    assert "PyTorch is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 99, "rows": []}'])
def test_files_that_are_no_results(text, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(CommandError, match="is no JSON|holds no results"):
        results.read(path)


def test_overhead_is_a_command_too(capsys):
    assert run("overhead", "--ops", "add", "--rounds", 1) == 0
    assert "minigrad" in capsys.readouterr().out
