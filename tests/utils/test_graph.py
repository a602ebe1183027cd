"""make_dot: the boxes and arrows of a graph, their DOT text and their pictures."""
import html
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.utils.graph import KINDS, Graph, make_dot, quoted, record_modules
from minigrad.utils.graph_layout import layers_of, place

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot is not installed")


def arrows(graph):
    """The arrows of a graph as (label, label)."""
    text = {key: " ".join(box.lines) for key, box in graph.boxes.items()}
    return {(text[start], text[end]) for start, end in graph.edges}


def branched():
    """A network that branches and joins, run on one image; returns (module, result, input)."""
    model = nn.Sequential()
    model.add_module("stem", nn.Conv2d(1, 2, 3, padding=1))
    model.add_module("body", nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 1)))
    x = mg.zeros(1, 1, 4, 4, requires_grad=True)
    stem = model.stem(x)
    return model, model.body(stem) + stem, x


# ---------------------------------------------------------------- boxes and arrows
def test_every_operation_and_leaf_has_a_box():
    model, out, x = branched()
    graph = make_dot(out, {**dict(model.named_parameters()), "image": x})
    assert sorted(graph.labels()) == sorted([
        "output add (1, 2, 4, 4)", "convolution (1, 2, 4, 4)", "relu (1, 2, 4, 4)", "convolution (1, 2, 4, 4)",
        "stem.weight (2, 1, 3, 3)", "stem.bias (2,)", "body.1.weight (2, 2, 1, 1)", "body.1.bias (2,)",
        "image (1, 1, 4, 4)",
    ])  # fmt: skip
    assert len(graph.edges) == 9 and ("relu (1, 2, 4, 4)", "convolution (1, 2, 4, 4)") in arrows(graph)
    assert {box.kind for box in graph.boxes.values()} == {"op", "output", "parameter", "leaf"}


def test_a_tensor_used_twice_is_one_box():
    w = mg.ones(3, requires_grad=True)
    square = w * w
    graph = make_dot([(square * 2).sum(), square.mean()], {"w": w})
    assert sorted(graph.labels()) == ["mul (3,)", "mul (3,)", "output mean ()", "output sum ()", "w (3,)"]
    assert len(graph.edges) == 4


def test_results_of_several_shapes_of_argument():
    w = mg.ones(3, requires_grad=True)
    for given in (w * 2, [w * 2, None], (w * 2, mg.ones(2)), {"a": w * 2}):
        assert make_dot(given).labels() == ["output mul (3,)", "leaf (3,)"]
    assert make_dot(w, {"w": w}).labels() == ["output w (3,)"]


def test_operations_with_several_results_are_one_box():
    x = mg.ones(4, 2, requires_grad=True)
    first, second = x.split(2)
    assert sorted(make_dot(first * second).labels()) == ["leaf (4, 2)", "output mul (2, 2)", "split (2, 2)"]


def test_attributes_and_saved_values():
    x = mg.ones(1, 1, 5, 5, requires_grad=True)
    out = nn.functional.conv2d(x, mg.ones(1, 1, 3, 3), stride=2).exp()
    labels = make_dot(out, {"x": x}, show_attrs=True, show_saved=True).labels()
    convolution = next(label for label in labels if label.startswith("convolution"))
    assert "stride=(2, 2)" in convolution and "groups=1" in convolution
    assert "saved result float32 (1, 1, 2, 2)" in labels and "saved w float32 (1, 1, 3, 3)" in labels
    assert not any("saved" in label or "stride" in label for label in make_dot(out).labels())
    out.sum().backward()
    assert not any("saved" in label for label in make_dot(out, show_saved=True).labels())  # they are freed


def test_a_function_of_the_users():
    class Cube(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, grad):
            return 3 * ctx.saved_tensors[0] ** 2 * grad

    x = mg.ones(2, requires_grad=True)
    assert make_dot(Cube.apply(x), {"x": x}, show_saved=True).labels() == [
        "output Cube (2,)", "x (2,)", "saved tensor float32 (2,)",
    ]  # fmt: skip


def test_modules_as_boxes():
    model, _, x = branched()
    whole = nn.Sequential(model.stem, model.body)
    with record_modules(whole) as calls:
        out = whole(x)
    graph = make_dot(out, {"image": x}, modules=calls, depth=1)
    assert graph.labels() == [
        "output Sequential (1) (1, 2, 4, 4) 6 parameters", "Conv2d (0) (1, 2, 4, 4) 20 parameters",
        "image (1, 1, 4, 4)",
    ]  # fmt: skip
    assert len(graph.edges) == 2
    labels = make_dot(out, modules=calls, depth=2).labels()
    assert "ReLU (1.0) (1, 2, 4, 4)" in labels and "output Conv2d (1.1) (1, 2, 4, 4) 6 parameters" in labels
    assert "convolution (1, 2, 4, 4)" in labels  # the stem lies less deep than two levels: its operations are drawn


def test_a_shared_module_is_a_box_for_each_call():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    with record_modules(model) as calls:
        out = model(mg.ones(1, 3))
    labels = make_dot(out, modules=calls, depth=1).labels()
    assert labels == ["output Linear (0) (1, 3) 12 parameters", "Tanh (1) (1, 3)", "Linear (0) (1, 3) 12 parameters"]


def test_recording_leaves_no_hooks():
    model = nn.Linear(2, 2)
    before = mg.variable.MODE.on_record
    with pytest.raises(RuntimeError), record_modules(model):
        model(mg.ones(1, 3))
    assert not model._forward_hooks and not model._forward_pre_hooks and mg.variable.MODE.on_record is before


def test_deep_graphs():
    x = mg.ones(1, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y + 1
    graph = make_dot(y)
    assert len(graph.boxes) == 3001 and len(graph.edges) == 3000
    layers = layers_of(list(graph.boxes), list(graph.edges))
    assert sorted(layers.values()) == list(range(3001))


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((mg.ones(3),), ValueError, "no tensor here requires grad"),
        (("loss",), TypeError, "expected tensors, but got str"),
        (([3.0],), TypeError, "expected tensors, but got float"),
        ((mg.ones(1, requires_grad=True) * 2, None, False, False, 1), ValueError, "depth needs modules"),
        ((mg.ones(1, requires_grad=True) * 2, None, False, False, 0), ValueError, "positive number of levels"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    *positional, depth = arguments if len(arguments) == 5 else (*arguments, None)
    with pytest.raises(error, match=message):
        make_dot(*positional, depth=depth)


def test_recording_what_is_no_module():
    with pytest.raises(TypeError, match="expected a Module"), record_modules(abs):
        pass


# ---------------------------------------------------------------- DOT
NASTY = ['say "hi"', "back\\slash", "two\nlines", "ends in \\", 'a"b\\"c', "ünïcode →", "]; } //", "<b>&amp;</b>", ""]


def test_source():
    w = mg.ones(3, requires_grad=True)
    lines = make_dot((w * w).sum(), {"w": w}).source.splitlines()
    assert lines[0] == "digraph {" and lines[-1] == "}"
    look = 'shape=box, style="filled,rounded", fillcolor="#fbd5c4"'
    assert lines[5] == rf'    n2 [label="w\n(3,)", {look}];'
    assert lines[6:8] == ["    n1 -> n0;", "    n2 -> n1;"]


@pytest.mark.parametrize("name", NASTY)
def test_strings_are_escaped(name):
    """Reading the quoted string by DOT's rules gives the text again."""
    text = quoted(name)
    inside = text[1:-1]
    assert text[0] == text[-1] == '"' and re.fullmatch(r'(?:[^"\\\n]|\\.)*', inside)
    assert html.unescape(re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), inside)) == name


@needs_dot
@pytest.mark.parametrize("name", NASTY)
def test_graphviz_reads_the_text(name, tmp_path):
    w = mg.ones(3, requires_grad=True)
    path = make_dot(w * 2, {name: w}).render(tmp_path / "graph.svg", engine="dot")
    texts = [element.text for element in xml.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    assert [text.replace("\xa0", " ") for text in texts if text][-1] == "(3,)"
    assert all(line in [t.replace("\xa0", " ") for t in texts if t] for line in name.split("\n") if line)


# ---------------------------------------------------------------- pictures
def test_layers_are_tight():
    edges = [("a", "b"), ("b", "c"), ("w", "c"), ("a", "c"), ("x", "b"), ("x", "c")]
    assert layers_of("abcwx", edges) == {"a": 0, "b": 1, "c": 2, "w": 1, "x": 0}
    assert layers_of("a", []) == {"a": 0}


@pytest.mark.parametrize("seed", range(8))
def test_boxes_do_not_overlap_and_arrows_point_down(seed):
    pytest.importorskip("igraph")
    rng = np.random.default_rng(seed)
    count = 30
    edges = sorted({(int(rng.integers(0, end)), end) for end in range(1, count) for _ in range(2)})
    sizes = {node: (float(rng.uniform(5, 150)), float(rng.uniform(10, 40))) for node in range(count)}
    centres, bends, (width, height) = place(sizes, edges)
    corners = {}
    for node, (x, y) in centres.items():
        w, h = sizes[node]
        corners[node] = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        assert 0 <= corners[node][0] and corners[node][2] <= width and 0 <= corners[node][1]
        assert corners[node][3] <= height
    for a in range(count):
        for b in range(a):
            (l1, t1, r1, b1), (l2, t2, r2, b2) = corners[a], corners[b]
            assert r1 < l2 or r2 < l1 or b1 < t2 or b2 < t1
    for start, end in edges:
        downward = [centres[start][1], *(y for _, y in bends[start, end]), centres[end][1]]
        assert downward == sorted(downward)
        for x, y in bends[start, end]:  # arrows that pass a layer pass between its boxes
            assert not any(left < x < right and top < y < bottom for left, top, right, bottom in corners.values())


@pytest.mark.parametrize("ending, begins", [(".png", b"\x89PNG\r\n\x1a\n"), (".svg", b"<?xml"), (".dot", b"digraph {")])
def test_pictures_without_graphviz(ending, begins, tmp_path):
    if ending != ".dot":
        pytest.importorskip("matplotlib")
        pytest.importorskip("igraph")
    model, out, x = branched()
    graph = make_dot(out, {**dict(model.named_parameters()), "$image_1$": x})
    path = graph.render(tmp_path / f"graph{ending}", engine="matplotlib")
    assert path.read_bytes().startswith(begins)
    first = path.read_bytes()
    assert graph.render(path, engine="matplotlib").read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    if ending == ".svg":
        assert xml.parse(path).getroot().tag.endswith("svg")


def test_notebooks_show_svg():
    pytest.importorskip("matplotlib")
    pytest.importorskip("igraph")
    graph = make_dot(mg.ones(1, requires_grad=True) * 2)
    assert "<svg" in graph._repr_svg_() and str(graph) == graph.source


def test_a_picture_that_cannot_be(tmp_path, monkeypatch):
    graph = make_dot(mg.ones(1, requires_grad=True) * 2)
    with pytest.raises(ValueError, match=r"must end in \.dot, \.svg, \.png, but got 'x\.gif'"):
        graph.render(tmp_path / "x.gif")
    with pytest.raises(ValueError, match="engine must be"):
        graph.render(tmp_path / "x.png", engine="neato")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="dot is not installed"):
        graph.render(tmp_path / "x.png", engine="dot")
    for module in ("igraph", "matplotlib.figure"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(RuntimeError, match=r"pip install 'minigrad-cnn\[graph\]'"):
                graph.render(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_graphviz_are_said(tmp_path, monkeypatch):
    graph = make_dot(mg.ones(1, requires_grad=True) * 2)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/dot")
    failed = subprocess.CompletedProcess([], 1, b"", b"Error: syntax error in line 1")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(RuntimeError, match="dot failed: Error: syntax error in line 1"):
        graph.render(tmp_path / "x.svg")


def test_every_kind_can_be_drawn():
    graph = Graph()
    graph.boxes = {kind: type("B", (), {"label": kind, "kind": kind})() for kind in KINDS}
    assert all(f'label="{kind}"' in graph.source for kind in KINDS)
