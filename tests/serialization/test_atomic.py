"""Writing is atomic: whoever is killed, or fails, leaves the old file or the new one."""

import os
import signal
import subprocess
import sys
import time

import pytest

import minigrad as mg
from minigrad.serialization.atomic import replaced

SAVER = """
import sys
import minigrad as mg
version = int(sys.argv[2])
save = mg.save  # loads minigrad.serialization, whose time does not count
print("ready", flush=True)
while True:
    version += 1
    save({"version": version, "data": mg.full((300_000,), float(version)), "more": [mg.ones(10)] * 20}, sys.argv[1])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_killed_process_leaves_a_whole_file(tmp_path):
    path = tmp_path / "last.pt"
    mg.save({"version": 0, "data": mg.zeros(300_000)}, path)
    versions = [0]
    for delay in (0.004, 0.03, 0.055):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path), str(versions[-1])], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(delay)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        found = mg.load(path)
        assert found["data"].shape == (300_000,) and (found["data"] == found["version"]).all()
        versions.append(found["version"])
    assert versions == sorted(versions) and versions[-1] > 0
    # What is left of the unfinished files can be told from checkpoints.
    assert all(name == "last.pt" or name.startswith(".last.pt.") for name in os.listdir(tmp_path))


def test_what_can_not_be_saved_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.pt"
    mg.save(1, path)
    with pytest.raises(TypeError):
        mg.save({"good": mg.ones(3), "bad": print}, path)
    assert mg.load(path) == 1
    assert os.listdir(tmp_path) == ["x.pt"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "x.pt"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), replaced(path) as file:
        file.write(b"half of the new")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.pt"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"old")
    with replaced(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["x.pt"]


def test_data_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: order.append("sync"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: (order.append("rename"), replace(*names)))
    mg.save(1, tmp_path / "x.pt")
    assert order == ["sync", "rename", "sync"]


def test_a_folder_that_can_not_be_written(tmp_path):
    if os.name != "posix" or os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        mg.save(1, tmp_path / "x.pt")
    tmp_path.chmod(0o700)
