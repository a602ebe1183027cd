"""The files that make the project installable say what the code does."""
import configparser
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import minigrad

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def config():
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def names(requirements):
    return {re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0] for line in requirements.split("\n") if line}


def test_core_dependencies_are_two(config):
    assert names(config["options"]["install_requires"]) == {"numpy", "threadpoolctl"}


def test_extras(config):
    extras = config["options.extras_require"]
    assert set(extras) == {"bfloat16", "cuda", "demo", "docs", "graph", "onnx", "safetensors", "tensorboard", "dev"}
    assert names(extras["demo"]) == {"matplotlib", "pillow", "scikit-learn", "tqdm"}
    assert names(extras["tensorboard"]) == {"tensorboardX"}
    assert names(extras["graph"]) == {"igraph", "matplotlib"}
    assert names(extras["onnx"]) == {"onnx"}
    assert names(extras["bfloat16"]) == {"ml_dtypes"}
    assert names(extras["safetensors"]) == {"safetensors"}
    assert names(extras["docs"]) == {"minigrad-cnn", "furo", "myst-parser", "sphinx", "sphinx-gallery"}
    assert "minigrad-cnn[bfloat16,demo,graph,onnx,safetensors,tensorboard]" in extras["dev"]


def test_the_distribution_has_a_name_of_its_own(config):
    assert config["metadata"]["name"] not in ("minigrad", "micrograd", "tinygrad")


def test_version_is_the_packages(config):
    assert config["metadata"]["version"] == "attr: minigrad.version.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", minigrad.__version__)
    assert f"## {minigrad.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_supported_pythons_agree(config):
    stated = {line.rsplit(" ", 1)[1] for line in config["metadata"]["classifiers"].split("\n") if ":: 3." in line}
    oldest = min(stated, key=lambda version: int(version.split(".")[1]))
    assert config["options"]["python_requires"] == f">={oldest}"
    assert config["mypy"]["python_version"] == oldest


def test_wheel_holds_minigrad_and_nothing_else(tmp_path):
    """Built without the network, by the setuptools at hand: all of minigrad with py.typed, no models, no tests."""
    code = (
        "import sys, setuptools.build_meta as build\n"
        "print(build.build_wheel(sys.argv[1]))\n"
    )
    source = tmp_path / "source"
    source.mkdir()
    for item in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        (source / item).write_bytes((ROOT / item).read_bytes())
    wanted = set()
    patterns = ("minigrad/**/*.py", "minigrad/**/*.cu*", "minigrad/py.typed", "models/*.py")
    for path in [path for pattern in patterns for path in ROOT.glob(pattern)]:
        name = path.relative_to(ROOT)
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(path.read_bytes())
        if name.parts[0] == "minigrad":
            wanted.add(name.as_posix())
    out = tmp_path / "wheel"
    out.mkdir()
    result = subprocess.run([sys.executable, "-c", code, str(out)], cwd=source, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (wheel,) = out.glob("minigrad_cnn-*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == wanted


@pytest.mark.parametrize("target", ["demo", "test", "test-gpu", "parity", "lint", "clean"])
def test_make_knows_its_targets(target):
    """`make -n` prints the commands of a target and fails for one that does not exist."""
    try:
        result = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("make is not installed")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_the_paths_in_the_documents_exist(name):
    """Every `path/with.slash` or `file.py` in backquotes that looks like one of ours is there."""
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = re.findall(r"`((?:minigrad|models|tests|benchmarks|\.ci)/[\w./-]*)`", text)
    assert paths or name == "CHANGELOG.md"
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


def python_blocks(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", python_blocks("README.md"))
def test_the_readmes_examples_run(block):
    """Each example runs by itself; where a line ends in a comment with a tensor, that is what it shows."""
    names = {}
    exec(block, names)
    for shown, result in re.findall(r"^(.*?) *# (tensor\(.*\))$", block, re.MULTILINE):
        target, equals, _ = shown.partition(" = ")
        value = eval(target.strip("(,) ") if equals else shown, names)
        assert repr(value) == result
