"""Writing is atomic: whoever is killed, or fails, leaves the old file or the new one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.serialization import atomic
from minigrad.serialization.atomic import replaced

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals, locks and fork")

# Saves without end in a child, kills it at a random moment, looks at the file; again and again.
KILLER = """
import os, random, signal, sys, time
import minigrad as mg
from minigrad.serialization import safetensors

path, way, kind, enough, enough_stale = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
if way == "safetensors":
    def save(version):
        data = {"data": mg.full((60_000,), float(version)), "more": mg.ones(3)}
        safetensors.save_file(data, path, {"version": str(version)})
    def load():
        with safetensors.safe_open(path) as file:
            return int(file.metadata()["version"]), file.get_tensor("data")
else:
    def save(version):
        content = {"version": version, "data": mg.full((60_000,), float(version)), "more": [mg.ones(9)] * 20}
        mg.save(content, path, _use_new_zipfile_serialization=way == "zip")
    def load():
        found = mg.load(path)
        return found["version"], found["data"]
save(0)
rng = random.Random(0)
last, stale, rounds, patience = 0, 0, 0, 0.02
began = time.monotonic()
while rounds < 40 or last < enough or stale < enough_stale:
    assert time.monotonic() - began < 90, (last, stale, rounds)
    rounds += 1
    child = os.fork()
    if child == 0:
        for version in range(last + 1, last + 10**6):
            try:
                save(version)
            except KeyboardInterrupt:
                os._exit(1)
    time.sleep(rng.random() * patience)
    waited = 0
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if waited % 100 == 0:  # an interruption while the child begins is lost
            os.kill(child, kind)
        waited += 1
        time.sleep(0.001)
    version, data = load()
    assert version >= last and data.shape == (60_000,) and (data == version).all(), (version, last)
    if version == last:
        patience = min(1.0, patience * 1.2)  # a slow machine
    last = version
    left = [name for name in os.listdir(os.path.dirname(path)) if name != os.path.basename(path)]
    assert len(left) <= 1 and all(name.startswith(".last.pt.") and name.endswith(".tmp") for name in left), left
    stale += len(left)
save(last + 1)
assert os.listdir(os.path.dirname(path)) == ["last.pt"]
print(stale, rounds)
"""


@posix
@pytest.mark.parametrize("way", ["zip", "legacy", "safetensors"])
def test_a_killed_process_leaves_a_whole_file(tmp_path, way):
    if way == "safetensors":
        pytest.importorskip("safetensors")
    # Until 20 versions were written and 6 times something was left, which the next save removed.
    run(KILLER, tmp_path / "last.pt", way, int(signal.SIGKILL), 20, 6)


def run(script, *arguments):
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]), OMP_NUM_THREADS="1")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.split()


@posix
def test_an_interrupted_process_leaves_a_whole_file_and_nothing_else(tmp_path):
    """Ctrl-C: at most what an interruption between two lines leaves stays, until the next save."""
    stale, rounds = run(KILLER, tmp_path / "last.pt", "zip", int(signal.SIGINT), 15, 0)
    assert int(stale) <= int(rounds) // 10


FULL = """
import errno, os, resource, signal, sys
import minigrad as mg

path, way = sys.argv[1], sys.argv[2]
mg.save({"version": 1}, path)
mg.serialization.safetensors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    if way == "safetensors":
        mg.serialization.safetensors.save_file({"data": mg.ones(60_000)}, path)
    else:
        mg.save({"version": 2, "data": mg.ones(60_000)}, path, _use_new_zipfile_serialization=way == "zip")
except OSError as error:
    assert error.errno == errno.EFBIG, error
    print(mg.load(path)["version"], *os.listdir(os.path.dirname(path)))
"""


@posix
@pytest.mark.parametrize("way", ["zip", "legacy", "safetensors"])
def test_a_disk_that_is_full(tmp_path, way):
    if way == "safetensors":
        pytest.importorskip("safetensors")
    assert run(FULL, tmp_path / "last.pt", way) == ["1", "last.pt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")
def test_a_device_that_is_full():
    with pytest.raises(OSError, match="No space left"):
        mg.save(mg.ones(100_000), "/dev/full")


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_a_folder_in_place_of_a_file(tmp_path, options):
    with pytest.raises((IsADirectoryError, PermissionError)):  # the latter on Windows
        mg.save(1, tmp_path, **options)
    with pytest.raises((IsADirectoryError, PermissionError)):
        mg.load(tmp_path)
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------------- what killed processes leave
def leave(folder, name):
    path = folder / f".{name}.{'0123456789abcdef'}.tmp"
    path.write_bytes(b"half")
    return path


@posix
def test_stale_files_are_removed_by_the_next_save(tmp_path):
    stale = leave(tmp_path, "x.pt")
    others = [leave(tmp_path, name) for name in ("y.pt", "x.pt.old", "xxpt")]
    others += [tmp_path / ".x.pt.tmp", tmp_path / ".x.pt.0123.tmp", tmp_path / f".x.pt.{'0' * 16}.tmp.bak"]
    for path in others[3:]:
        path.write_bytes(b"somebody's")
    link = tmp_path / f".x.pt.{'1' * 16}.tmp"
    link.symlink_to(others[0])
    mg.save(1, tmp_path / "x.pt")
    assert not stale.exists()
    assert link.is_symlink() and all(path.exists() for path in others)


@posix
def test_files_that_somebody_writes_are_left_alone(tmp_path):
    """Two savers of one path: each has its own file, the last to finish wins."""
    path = tmp_path / "x.pt"
    with replaced(path) as slow:
        slow.write(b"slow")
        with replaced(path) as quick:
            quick.write(b"quick")
        assert path.read_bytes() == b"quick" and len(os.listdir(tmp_path)) == 2
        mg.save(1, path)
        assert mg.load(path) == 1
    assert path.read_bytes() == b"slow" and os.listdir(tmp_path) == ["x.pt"]


@posix
def test_a_file_that_is_taken_for_stale_before_it_is_locked(tmp_path, monkeypatch):
    taken = []

    def flock(file, kind):
        if not taken:
            taken.append(file.name)
            (left,) = tmp_path.iterdir()
            left.unlink()

    monkeypatch.setattr(atomic.fcntl, "flock", flock)
    mg.save(1, tmp_path / "x.pt")
    assert taken and mg.load(tmp_path / "x.pt") == 1 and os.listdir(tmp_path) == ["x.pt"]


@posix
def test_file_systems_without_locks(tmp_path, monkeypatch):
    def flock(file, kind):
        raise OSError("no locks here")

    monkeypatch.setattr(atomic.fcntl, "flock", flock)
    stale = leave(tmp_path, "x.pt")
    mg.save(1, tmp_path / "x.pt")
    assert mg.load(tmp_path / "x.pt") == 1 and stale.exists()
    monkeypatch.setattr(atomic, "fcntl", None)  # as on Windows
    mg.save(2, tmp_path / "x.pt")
    assert mg.load(tmp_path / "x.pt") == 2 and stale.exists()


# ---------------------------------------------------------------------- failures
def test_what_can_not_be_saved_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.pt"
    mg.save(1, path)
    with pytest.raises(TypeError, match="generator"):
        mg.save({"good": mg.ones(3), "bad": (i for i in "")}, path)
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


READ_ONLY = """
import os, sys
import minigrad as mg

os.chdir(sys.argv[1])
mg.save(1, "x.pt")
os.chmod(".", 0o555)
if os.geteuid() == 0:  # whom nothing is forbidden
    os.seteuid(65534)
os.path.realpath = str  # the folders above are not for that user
try:
    mg.save(2, "./x.pt")
except PermissionError as error:
    print(*os.listdir("."))
"""


@posix
def test_a_folder_that_can_not_be_written(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    try:
        assert run(READ_ONLY, folder) == ["x.pt"]
        assert mg.load(folder / "x.pt") == 1
    finally:
        folder.chmod(0o700)
