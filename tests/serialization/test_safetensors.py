"""Files of the safetensors format: every dtype, shared memory, parts, damage."""

import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

package = pytest.importorskip("safetensors")

import minigrad as mg  # noqa: E402
import models  # noqa: E402
from minigrad.serialization import safetensors  # noqa: E402

DTYPES = (
    "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64 complex64"
).split()  # fmt: skip


def file_of(header, data=b""):
    """A file with a header that says anything."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(kind, shape, start, stop):
    return {"dtype": kind, "shape": shape, "data_offsets": [start, stop]}


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 4)])
def test_every_dtype_comes_back(name, shape, tmp_path):
    tensor = mg.tensor(np.arange(6).reshape(2, 3)[: shape[0] if shape else 1], dtype=getattr(mg, name))
    tensor = tensor.reshape(-1)[0] if shape == () else tensor if shape == (2, 3) else mg.zeros(0, 4).to(tensor.dtype)
    path = tmp_path / "x.safetensors"
    safetensors.save_file({"x": tensor}, path, metadata={"by": "me"})
    for found in (safetensors.load_file(path)["x"], safetensors.load(path.read_bytes())["x"]):
        assert found.dtype == tensor.dtype and found.shape == tensor.shape and mg.equal(found, tensor)
        found.fill_(0)  # memory of its own
    assert os.listdir(tmp_path) == ["x.safetensors"]
    np.testing.assert_array_equal(package.numpy.load_file(path)["x"], tensor.numpy())


@pytest.mark.parametrize("missing", [True, False])
def test_bfloat16_is_widened_exactly_without_ml_dtypes(tmp_path, missing, monkeypatch):
    if missing:
        monkeypatch.setattr("minigrad.serialization.names.has_bfloat16", lambda: False)
    else:
        pytest.importorskip("ml_dtypes")
    halves = np.array([0x3F80, 0xC020, 0x7F80, 1], "<u2")
    data = file_of({"b": entry("BF16", [4], 0, 8), "c": entry("F32", [1], 8, 12)}, halves.tobytes() + b"\0\0\x80\x3f")
    (tmp_path / "b.safetensors").write_bytes(data)
    for found in (safetensors.load(data), safetensors.load_file(tmp_path / "b.safetensors")):
        assert found["b"].dtype == (mg.float32 if missing else mg.bfloat16)
        assert found["b"].float().tolist() == [1, -2.5, float("inf"), 2.0**-133]
        if not missing:
            assert safetensors.save(found)[-12:].count(halves.tobytes()) == 1
        assert found["c"].tolist() == [1]
    with safetensors.safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert file.get_slice("b").get_dtype() == "BF16" and file.get_slice("b")[1].item() == -2.5


def test_parts_are_read_one_by_one(tmp_path):
    path = tmp_path / "x.safetensors"
    numbers = mg.arange(24.0).reshape(4, 6)
    safetensors.save_file({"z": mg.ones(1), "a": numbers}, path, {"epoch": "3"})
    with safetensors.safe_open(path, framework="pt", device="cpu") as file:
        assert file.keys() == ["a", "z"] and sorted(file.offset_keys()) == ["a", "z"]
        assert file.metadata() == {"epoch": "3"}
        part = file.get_slice("a")
        assert part.get_shape() == [4, 6] and part.get_dtype() == "F32"
        assert mg.equal(part[1:3, ::2], numbers[1:3, ::2]) and part[2, 3].item() == 15
        part[0][...] = 9  # a copy
        assert mg.equal(file.get_tensor("a"), numbers)
        with pytest.raises(package.SafetensorError, match="does not contain tensor b"):
            file.get_tensor("b")
    with pytest.raises(ValueError, match="closed"):
        file.get_tensor("a")
    with safetensors.safe_open(path, framework="np") as file:
        assert type(file.get_tensor("a")) is np.ndarray
    with pytest.raises(ValueError, match="framework must be"):
        safetensors.safe_open(path, framework="tf")


@pytest.mark.parametrize(
    "tensors, error, match",
    [
        ([mg.ones(1)], ValueError, "Expected a dict"),
        ({"a": 1}, ValueError, "Key `a` is invalid, expected minigrad.Tensor but received <class 'int'>"),
        ({1: mg.ones(1)}, ValueError, "Key `1` is invalid"),
        ({"a": mg.ones(2, 3).T}, ValueError, "non contiguous tensor: `a`"),
        ({"a": mg.ones(1).to(mg.complex128)}, TypeError, "no complex128"),
    ],
)
def test_what_can_not_be_saved(tensors, error, match, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"before")
    with pytest.raises(error, match=match):
        safetensors.save_file(tensors, path)
    with pytest.raises(TypeError, match="dict of strings"):
        safetensors.save_file({}, path, {"epoch": 3})
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["x.safetensors"]


def test_tensors_that_share_memory(tmp_path):
    base = mg.arange(6.0)
    with pytest.raises(RuntimeError, match=r"Some tensors share memory.*\[\['a', 'b'\]\].*save_model"):
        safetensors.save({"a": base, "b": base[2:4]})
    found = safetensors.load(safetensors.save({"a": base[:3], "b": base[3:]}))  # parts that do not overlap
    assert found["a"].tolist() == [0, 1, 2] and found["b"].tolist() == [3, 4, 5]

    def tied():
        net = mg.nn.Sequential(mg.nn.Linear(3, 3), mg.nn.Linear(3, 3), mg.nn.BatchNorm1d(3))
        net[1].weight = net[0].weight
        return net

    path = tmp_path / "model.safetensors"
    net, other = tied(), tied()
    safetensors.save_model(net, path, {"by": "me"})
    with safetensors.safe_open(path) as file:
        assert "1.weight" not in file.keys() and file.metadata() == {"by": "me", "1.weight": "0.weight"}
    assert safetensors.load_model(other, path) == (set(), [])
    assert mg.equal(other[1].weight, net[0].weight) and other[1].weight is other[0].weight
    with pytest.raises(RuntimeError, match='Missing key.*"weight"(.|\n)*Unexpected key.*"0.bias"'):
        safetensors.load_model(mg.nn.Linear(3, 3), path)
    missing, unexpected = safetensors.load_model(mg.nn.Linear(3, 3), path, strict=False)
    assert missing == {"weight", "bias"} and "0.weight" in unexpected
    turned = mg.nn.Linear(2, 3)
    turned.weight = mg.nn.Parameter(mg.ones(2, 3).T)
    safetensors.save_model(turned, path)
    with pytest.raises(ValueError, match="force_contiguous=True"):
        safetensors.save_model(turned, path, force_contiguous=False)
    parts = mg.nn.Module()
    parts.register_buffer("a", base[:4])
    parts.register_buffer("b", base[2:])
    with pytest.raises(RuntimeError, match="None is covering the entire storage"):
        safetensors.save_model(parts, path)


DAMAGED = {
    "empty": b"",
    "short": b"\1\2\3",
    "a header of exabytes": struct.pack("<Q", 1 << 62) + b"{}",
    "a header that ends early": struct.pack("<Q", 100) + b"{}",
    "no object": file_of(b"[1, 2]"),
    "no text": file_of(b"{\xff\xff"),
    "deep": file_of(b'{"a":' * 50_000),
    "no data": file_of({"a": entry("F32", [2], 0, 8)}),
    "too much data": file_of({"a": entry("F32", [1], 0, 4)}, bytes(8)),
    "a wrong size": file_of({"a": entry("F32", [3], 0, 8)}, bytes(8)),
    "a gap": file_of({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)}, bytes(12)),
    "one upon another": file_of({"a": entry("F32", [2], 0, 8), "b": entry("F32", [1], 4, 8)}, bytes(8)),
    "exabytes": file_of({"a": entry("F32", [1 << 32, 1 << 32], 0, 8)}, bytes(8)),
    "a negative size": file_of({"a": entry("F32", [-1], 0, 4)}, bytes(4)),
    "an offset backwards": file_of({"a": entry("F32", [1], 4, 0)}, bytes(4)),
    "no known type": file_of({"a": entry("F33", [1], 0, 4)}, bytes(4)),
    "metadata that is no text": file_of({"__metadata__": {"a": 1}}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_clear_error(name, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(safetensors.error_class(), match="is no whole safetensors file"):
        safetensors.load_file(path)
    with pytest.raises(safetensors.error_class()):
        safetensors.load(DAMAGED[name])
    with pytest.raises(RuntimeError, match="weights: .*cannot be read"):
        models.build("lenet5", weights=path)


def test_types_that_minigrad_has_not(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(file_of({"a": entry("F8_E5M2", [4], 0, 4), "b": entry("F32", [1], 4, 8)}, bytes(8)))
    for read in (lambda: safetensors.load_file(path), lambda: safetensors.load(path.read_bytes())):
        with pytest.raises(TypeError, match="a of the type F8_E5M2, which minigrad does not have"):
            read()
    with safetensors.safe_open(path) as file:
        assert file.get_tensor("b").tolist() == [0]


@pytest.mark.parametrize("name", ["lenet.safetensors", "lenet.bin"])
def test_networks_take_their_weights_from_such_files(name, tmp_path):
    path = tmp_path / name
    net = models.build("lenet5")
    safetensors.save_file(net.state_dict(), path)
    found = models.build("lenet5", weights=path)
    for key, value in net.state_dict().items():
        assert mg.equal(found.state_dict()[key], value)
    net.load_state_dict(safetensors.load_file(path))
    with pytest.raises(RuntimeError, match="another network"):
        models.build("alexnet", weights=path, image_size=64)


SCRIPT = """
import torch
from safetensors.torch import load_file, save_file

save_file({"a": torch.ones(2)}, "x.safetensors", metadata={"by": "me"})
print(load_file("x.safetensors"), torch.__name__)
"""


def test_scripts_for_pytorch(tmp_path):
    """safetensors.torch is minigrad's under python -m minigrad.compat."""
    (tmp_path / "script.py").write_text(SCRIPT)
    result = subprocess.run(
        [sys.executable, "-m", "minigrad.compat", "script.py"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert result.stdout.startswith("{'a': tensor([1., 1.])}"), result.stderr


@pytest.mark.parametrize("mmap", [False, True])
def test_load_tells_who_reads_them(tmp_path, mmap):
    path = tmp_path / "x.safetensors"
    safetensors.save_file({"a": mg.ones(1)}, path)
    with pytest.raises(pickle.UnpicklingError, match="safetensors.load_file reads it"):
        mg.load(path, mmap=mmap)


def test_without_the_package(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    safetensors.save_file({"a": mg.ones(1)}, path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    calls = (
        lambda: safetensors.load_file(path),
        lambda: safetensors.save({"a": mg.ones(1)}),
        lambda: models.build("lenet5", weights=path),
    )
    for call in calls:
        with pytest.raises(ImportError, match=r"pip install 'minigrad-cnn\[safetensors\]'"):
            call()
