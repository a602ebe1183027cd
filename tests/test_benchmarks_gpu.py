"""python -m benchmarks gpu without a GPU: its course, its tables, its picture. Times in here are invented."""
import json
import os
import signal

import pytest

from benchmarks import __main__ as command
from benchmarks import arguments as arguments_module
from benchmarks import chart, gpu, gpu_case, gpu_tables, measuring, networks, pages, processes, results
from benchmarks.gpu_case import CAPTURED, CUDNN, EAGER, IM2COL, TUNED
from models.common import CommandError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(gpu, "check_device", lambda name: None)
    monkeypatch.setattr(measuring, "TURN_MS", 0.01)
    monkeypatch.setattr(processes, "SETTLING_S", 0.0)
    monkeypatch.setattr(gpu, "LAYERS", ())


OPTIONS = ("gpu", "--no-peer", "--device", "cpu", "--networks", "resnet18", "--batch", "2", "--image-size", "16")
OPTIONS += ("--precision", "float32", "--passes", "1", "--threads", "1")


def test_a_run(tmp_path):
    assert command.main([*OPTIONS, "--no-tests", "--out", str(tmp_path)]) == 1  # nothing can be captured on a CPU
    document = results.read(tmp_path / "gpu.json")
    assert document["complete"] and document["kind"] == "gpu"
    launches, row, on_the_cpu, last = document["rows"]
    assert set(launches["microseconds"]["minigrad"]) >= {"x + y", "w * y, and backward"}
    assert set(row["times"]) == {IM2COL, CUDNN} and row["difference"] < 1e-4
    assert all(len(times) == 1 for times in row["times"][IM2COL].values())
    assert set(on_the_cpu["times"]) == {"minigrad, CPU"}
    assert len(last["failures"]) == 1 and CAPTURED in last["failures"][0] and last["cells"] == []
    text = (tmp_path / "gpu.md").read_text()
    assert "## Failed" in text and "What a launch costs" in text


# ---------------------------------------------------------------- on the stand-in for a GPU
@pytest.fixture
def stand_in(monkeypatch):
    """Both libraries are minigrad on the stand-in: what is tested is the course of a run."""
    from tests.gpu.test_graphs import stand_in

    monkeypatch.setitem(networks.NETWORKS, "lenet5", networks.SMALL_NETWORKS["lenet5"])
    monkeypatch.setattr(gpu, "LAYERS", ("lenet5",))
    adapters = dict.fromkeys(("minigrad", "torch"), "tests.stand_in_worker")
    monkeypatch.setattr(processes, "ADAPTERS", {**processes.ADAPTERS, **adapters})
    monkeypatch.setattr(measuring, "interleaved", few_layers(measuring.interleaved))
    monkeypatch.setattr(arguments_module, "find_spec", lambda name: True)  # PyTorch itself is not used
    with stand_in():
        yield


def few_layers(interleaved):
    """Single convolutions: the first is measured, the second fails."""
    seen = []

    def measure(running, kind, passes, repeated=False):
        seen.append(kind)
        if len(seen) == 2:
            raise processes.MeasuringError("a layer that fails")
        return interleaved(running, kind, 1)

    return measure


GPU_OPTIONS = ("gpu", "--networks", "lenet5", "--batch", "1", "2", "--image-size", "28", "--passes", "1")
GPU_OPTIONS += ("--threads", "1", "--minutes", "30", "--no-tests")


def run_on_stand_in(tmp_path, *options):
    code = command.main([*GPU_OPTIONS, *options, "--out", str(tmp_path)])
    document = results.read(tmp_path / "gpu.json")
    assert document["complete"] and (tmp_path / "gpu.md").exists()
    kinds = {}
    for row in document["rows"]:
        kinds.setdefault((row["kind"], row.get("device")), []).append(row)
    return code, kinds, document["rows"][-1]


def test_a_whole_run(stand_in, tmp_path):
    code, kinds, last = run_on_stand_in(tmp_path, "--precision", "mixed")
    assert code == 1 and last["cells"] == []
    assert last["failures"] == ["convolutions of LeNet-5: a layer that fails"]
    assert set(kinds["launches", None][0]["microseconds"]) == {"minigrad", "torch"}
    rows = kinds["gpu", "cuda"]
    assert [(row["batch"], row["precision"]) for row in rows] == [
        (batch, gpu_case.MIXED) for batch in (1, 2)
    ]
    for row in rows:
        assert set(row["times"]) == {IM2COL, CUDNN, CAPTURED, EAGER, TUNED}
        assert set(row["memory"]) == {IM2COL, CUDNN, EAGER, TUNED} and min(row["memory"].values()) > 0
    assert len(kinds["gpu", "cpu"]) == 1 and set(kinds["gpu", "cpu"][0]["times"]) == {"minigrad, CPU", "torch, CPU"}
    assert len(kinds["layer", None]) == 1
    text = (tmp_path / "gpu.md").read_text()
    for title in ("Against what was aimed at", "Times, mixed", "Peak memory", "launch costs", "largest gaps"):
        assert title in text


def test_what_breaks_a_worker_costs_no_other_result(stand_in, tmp_path, monkeypatch):
    """Only captured steps are missing where recording hangs, leaves the GPU unusable, or ends the process."""
    monkeypatch.setenv("MINIGRAD_TEST_BREAKS", "1")
    monkeypatch.setattr(gpu, "LAYERS", ())
    monkeypatch.setattr(gpu, "PATIENCE_S", 15.0)
    code, kinds, last = run_on_stand_in(tmp_path, "--batch", "1", "--no-peer")
    assert code == 1 and len(last["failures"]) == 3
    reasons = "no answer within 15 s", "cudaErrorIllegalAddress", "ended with code 3"
    for failure, said in zip(last["failures"], reasons, strict=True):
        assert CAPTURED in failure and said in failure
    assert [set(row["times"]) for row in kinds["gpu", "cuda"]] == [{IM2COL, CUDNN}] * 3
    assert set(kinds["gpu", "cpu"][0]["times"]) == {"minigrad, CPU"}


def test_a_peer_that_does_not_start_costs_no_other_result(stand_in, tmp_path, monkeypatch):
    monkeypatch.setitem(processes.ADAPTERS, "torch", "tests.no_such_adapter")
    monkeypatch.setattr(gpu, "LAYERS", ())
    code, kinds, last = run_on_stand_in(tmp_path, "--batch", "1", "--precision", "mixed")
    assert code == 1 and all("no_such_adapter" in sentence for sentence in last["failures"])
    assert [set(row["times"]) for row in kinds["gpu", "cuda"]] == [{IM2COL, CUDNN, CAPTURED}]


def test_a_mistake_in_a_part_costs_no_other_part(stand_in, tmp_path, monkeypatch):
    def launches(self):
        raise KeyError("a mistake")
        yield

    monkeypatch.setattr(gpu.Measurement, "launches", launches)
    monkeypatch.setattr(gpu, "LAYERS", ())
    code, kinds, last = run_on_stand_in(tmp_path, "--batch", "1", "--precision", "float32", "--no-peer")
    assert code == 1 and last["failures"] == ["launches: KeyError: 'a mistake'"]
    assert len(kinds["gpu", "cuda"]) == len(kinds["gpu", "cpu"]) == 1


def test_tests_that_take_too_long_tell_what_they_found(tmp_path, monkeypatch):
    script = tmp_path / "test_one.py"
    script.write_text("import time\n\ndef test_a():\n    pass\n\ndef test_b():\n    time.sleep(100)\n")
    monkeypatch.setattr(gpu, "TESTS", (*gpu.TESTS[:3], "-p", "no:cacheprovider", "-c", os.devnull, str(script)))
    measurement = gpu.Measurement(arguments_of(minutes=0.5), [], 1, [])
    (row,) = measurement.tests()
    assert row["counts"]["passed"] == 1 and row["code"] is None
    assert "did not end within 10 s" in measurement.failures[0]


def test_what_time_does_not_allow_is_listed(tmp_path):
    assert command.main([*OPTIONS, "--no-tests", "--minutes", "0.02", "--out", str(tmp_path)]) == 0
    *_, last = results.read(tmp_path / "gpu.json")["rows"]
    assert last["cells"] == ["ResNet-18, batch 2", "ResNet-18 on the CPU"] and not last["failures"]
    assert "- ResNet-18, batch 2" in (tmp_path / "gpu.md").read_text()


def test_the_gpu_tests_are_counted(tmp_path, monkeypatch):
    script = tmp_path / "test_one.py"
    script.write_text("def test_a():\n    pass\n\ndef test_b():\n    assert False\n")
    monkeypatch.setattr(gpu, "TESTS", (*gpu.TESTS[:3], "-p", "no:cacheprovider", "-c", os.devnull, str(script)))
    measurement = gpu.Measurement(arguments_of(minutes=1.0), [], 1, [])
    (row,) = measurement.tests()
    assert row["counts"] == {"failed": 1, "passed": 1} and row["code"] == 1
    assert len(row["failed"]) == 1 and "test_b" in row["failed"][0]
    assert "1 failed" in measurement.failures[0]
    assert gpu_tables.tests_lines([row])[0] == "GPU tests: 1 failed, 1 passed."


def arguments_of(minutes):
    return command.parser().parse_args([*OPTIONS, "--minutes", str(minutes)])


def test_a_worker_that_dies_is_replaced():
    measurement = gpu.Measurement(arguments_of(minutes=1.0), [], 1, [])
    measurement.start()
    try:
        first = measurement.workers["minigrad"].process
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert measurement.attempt("a turn", "minigrad", "launches", device="cpu") is None
        assert "killed" in measurement.failures[0]
        assert measurement.attempt("a turn", "minigrad", "launches", device="cpu") is not None
    finally:
        measurement.end()


def test_numbers_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    import minigrad

    ours, theirs = (gpu_case.numbers(library, 100_000, 77, "cpu") for library in (minigrad, torch))
    assert ours.tolist() == theirs.tolist()
    assert -1 <= ours.min() < -0.99 and 0.99 < ours.max() < 1 and abs(ours.mean()) < 0.02


@pytest.mark.parametrize("arguments", [("--networks", "vgg99"), ("--device", "cuda:9"), ("--minutes", "0")])
def test_users_mistakes(arguments, capsys):
    try:
        code = command.main(["gpu", "--no-peer", *arguments])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_cpu_is_refused(monkeypatch):
    monkeypatch.undo()
    with pytest.raises(CommandError, match="benchmarks cnn measures the CPU"):
        gpu.check_device("cpu")


# ---------------------------------------------------------------- tables and the picture
def invented(tmp_path):
    """A document as a run on a GPU would leave it; its numbers mean nothing."""
    settings = {"threads": 2, "device": "cuda", "passes": 2}
    found = results.Results("python -m benchmarks gpu", "gpu", settings, tmp_path / "g.json")

    def times(factor):
        return {"forward": [1.0 * factor, 3.0 * factor], "backward": [4.0 * factor] * 2, "step": [7.0 * factor] * 2}

    found.add({"kind": "tests", "counts": {"passed": 9, "skipped": 1}, "failed": [], "code": 0})
    found.add({"kind": "launches", "microseconds": {"minigrad": {"x + y": 3.0}, "torch": {"x + y": 2.0}}})
    shared = {"kind": "gpu", "image_size": 224, "difference": 1e-5}
    for network in ("alexnet", "resnet18"):
        for precision in gpu_case.PRECISIONS:
            row = {**shared, "network": network, "device": "cuda", "batch": 16, "precision": precision}
            row["times"] = {IM2COL: times(1.4), CUDNN: times(1.2), EAGER: times(1.0), TUNED: times(0.8)}
            row["times"][CAPTURED] = {"step": [3.5, 3.5]}
            row["memory"] = {IM2COL: 3_000_000, CUDNN: 1_000_000, EAGER: 2_000_000}
            found.add(row)
        cpu = {**shared, "network": network, "device": "cpu", "batch": 16, "precision": "float32", "memory": {}}
        found.add({**cpu, "times": {"minigrad, CPU": times(100), "torch, CPU": times(150)}})
    layer = {"channels": 3, "outputs": 8, "kernel": 3, "stride": 1, "padding": 1, "groups": 1, "side": 9, "count": 2}
    parts = {"forward": [2.0], "input": [1.0], "weight": [1.0]}
    slower = {"minigrad": parts, "torch": {"forward": [1.0], "input": [1.5], "weight": [1.0]}}
    found.add({"kind": "layer", "network": "alexnet", "batch": 16, "layer": layer, "times": slower})
    found.add({"kind": "left out", "cells": ["VGG-16, batch 128"], "failures": []})
    found.document["complete"] = True
    found.write()
    return json.loads((tmp_path / "g.json").read_text())


def test_tables(tmp_path):
    text = pages.markdown(invented(tmp_path))
    for line in (
        "GPU tests: 9 passed, 1 skipped.",
        "| im2col, forward + backward | float32 | 16 | 2 | largest | 1.40 | 1.5 | met |",
        "| cuDNN, forward + backward | mixed | 16 | 2 | geometric mean | 1.20 | 1.1 | missed |",
        "| captured, training step | TF32 | 16 | 2 | geometric mean | 0.50 | 0.7 | met |",
        "| cuDNN, peak memory of the step | all | all | 6 | largest | 0.50 | 1 | met |",
        "| AlexNet | 16 | minigrad captured |  |  |  | 3.50 [3.50-3.50] |  | 0.50 |",
        "| AlexNet | 3x3/1 3→8, 9x9 | 2 | forward | 2.00 | 1.00 | +2.000 |",
        "- VGG-16, batch 128",
        "| x + y | 3.00 | 2.00 |",
    ):
        assert line in text, line
    # of the Titan X's 14.56 ms here 7.2
    assert "| 14.6 | 2.0 |  |" in text


def test_the_picture_has_gpu_and_cpu(tmp_path):
    document = invented(tmp_path)
    bars = chart.series([document])
    assert bars[f"{CUDNN}, GPU"] == {"alexnet": pytest.approx(7.2), "resnet18": pytest.approx(7.2)}
    assert bars["minigrad, CPU"]["alexnet"] == pytest.approx(600)
    assert not any(CAPTURED in label for label in bars)
    assert "2016: Titan X, cuDNN" in bars
    pytest.importorskip("matplotlib")
    assert chart.draw([document], tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
