"""Every .cu file compiles for every dtype and define that it is used with, by NVIDIA's compiler; no GPU is needed."""
import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minigrad.kernels.cuda import source
from tests.gpu import nvrtc

FOLDER = Path(source.__file__).parent
ARCHITECTURES = ("sm_80", "sm_90")

for _path in FOLDER.glob("*.py"):  # each declares its sources
    if _path.stem != "__init__":
        importlib.import_module(f"minigrad.kernels.cuda.{_path.stem}")
DECLARED = {made.name: made for made in source.SOURCES if made.name.endswith(".cu") and (FOLDER / made.name).exists()}


@pytest.fixture(scope="module")
def compiler():
    found = nvrtc.folders()
    if found is None:
        pytest.skip("needs the wheels nvidia-cuda-nvrtc and nvidia-cuda-runtime")
    return nvrtc.Compiler(*found)


def test_every_file_is_declared():
    assert set(DECLARED) == {path.name for path in FOLDER.glob("*.cu")}


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_every_variant_compiles(compiler, name):
    """The first variant of each dtype down to machine code, others, which take as long, down to PTX."""
    made = DECLARED[name]
    jobs = []
    seen = set()
    for dtype, defines in made.variants():
        architectures = ("compute_80",) if dtype in seen else ARCHITECTURES
        seen.add(dtype)
        jobs += [(made.text(dtype, defines), architecture) for architecture in architectures]
    with ThreadPoolExecutor(4) as pool:
        compiled = list(pool.map(lambda job: compiler.compile(job[0], name, job[1]), jobs))
    for (_, architecture), code in zip(jobs, compiled, strict=True):
        assert b".version" in code if architecture == "compute_80" else code[:4] == b"\x7fELF"


def test_mistakes_are_reported(compiler):
    with pytest.raises(SyntaxError, match=r"wrong.cu\(1\): error"):
        compiler.compile('extern "C" __global__ void f(float* x) { x = nothing; }', "wrong.cu", "sm_80")


@pytest.mark.parametrize("dtype", source.TYPES)
def test_the_prelude_compiles(compiler, dtype, monkeypatch):
    use = 'extern "C" __global__ void f(T* x, long long n) { FOR_EACH(i, n) store(x, block_max(warp_sum(load(x)))); }'
    monkeypatch.setattr(source, "_read", lambda name: use if name == "use.cu" else (FOLDER / name).read_text())
    made = source.Source("use.cu")
    source.SOURCES.remove(made)
    assert compiler.compile(made.text(dtype, {}), "use.cu", "sm_80")
