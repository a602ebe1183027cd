"""The reference pages of the documentation site: all public names are on them, and docstrings survive as they are."""

import doctest
import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_on_a_page_once(reference, tmp_path):
    reference.write(tmp_path)
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "reference").glob("*.rst")}
    described = re.findall(r"^\.\. auto\w+:: (.+)$", "\n".join(pages.values()), re.MULTILINE)
    assert len(described) == len(set(described)) > 1500
    assert str(DOCS.parent) not in "".join(pages.values())  # no paths of the machine that built them
    for name in (
        "minigrad.cat",
        "minigrad.nn.Conv2d",
        "minigrad.optim.Adam",
        "minigrad.Tensor.backward",
        "models.build",
    ):
        assert name in described
    for module in ("minigrad", "minigrad.nn", "minigrad.optim", "minigrad.linalg"):
        for name in reference.public_names(reference.load(module)):
            assert name in pages[module], (module, name)


def test_the_engine_has_no_pages(reference):
    pages = set(reference.modules())
    assert not pages & reference.INTERNAL
    assert not [name for name in pages if name.startswith(("minigrad.kernels.", "minigrad.ops.", "minigrad.backend."))]
    assert all(importlib.util.find_spec(name) for name in reference.INTERNAL)  # no name is left over


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("|x| * y_i and tanh_ of `x`", r"\|x\| \* y_i and tanh\_ of \`x\`"),
        ("``a * b_`` stays", "``a * b_`` stays"),
        ("Source: https://a.org/t_.html.", "Source: `https://a.org/t_.html <https://a.org/t_.html>`__."),
        (">>> x * 2 | y_", ">>> x * 2 | y_"),
    ],
)
def test_docstrings_are_plain_text(reference, line, expected):
    assert reference.plain_lines([line]) == [expected]


def test_blocks_after_two_colons_stay(reference):
    lines = ["As here::", "", "    a * b", "", "and *out*"]
    assert reference.plain_lines(lines) == ["As here::", "", "    a * b", "", r"and \*out\*"]


PROGRAMS = [("index", 0), ("from-pytorch", 0), ("performance", 0), ("onnx", 0), ("quantization", 1)]


@pytest.mark.parametrize(("page", "number"), PROGRAMS)
def test_programs_on_the_pages_run_as_they_stand(page, number, tmp_path, monkeypatch):
    if page == "onnx":
        pytest.importorskip("onnx")
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    program = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[number]
    monkeypatch.chdir(tmp_path)
    exec(compile(program, page, "exec"), {"__name__": "page"})  # noqa: S102


@pytest.mark.parametrize("script", sorted((DOCS / "lecture").glob("0*.py")), ids=lambda path: path.stem)
def test_scripts_of_the_lecture_import_only_what_is_installed(script):
    """`python docs/lecture/01_….py` has that folder, not the checkout, on its path: models is in minigrad.vision."""
    imports = re.findall(r"^(?:import|from) (\w+)", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert "minigrad" in imports and not {"models", "benchmarks"} & set(imports)


def test_the_page_for_newcomers_has_examples_that_run():
    path = DOCS / "from-pytorch.md"
    result = doctest.testfile(str(path), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert result.attempted >= 2
    assert not result.failed
