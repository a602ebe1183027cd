"""The computational graph behind a tensor as a picture: text of Graphviz's DOT language, SVG or PNG.

Ops are boxes, leaves (parameters, inputs) are rounded boxes with their names and shapes, edges point along the forward
pass. With the modules recorded, everything that ran inside a module may be drawn as one box.
"""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path

from minigrad.nn.module import Module
from minigrad.rules import IDENTITY, PICK
from minigrad.tensor import Tensor
from minigrad.utils.graph_layout import place
from minigrad.utils.watch import saved_by
from minigrad.variable import MODE, Parameter, is_tracked

__all__ = ["Graph", "ModuleCalls", "make_dot", "record_modules"]

FORMATS = (".dot", ".svg", ".png")
# Kind of a box -> (shape and style in DOT, its fill).
KINDS = {
    "op": ('shape=box, style="filled"', "#ececec"),
    "module": ('shape=box, style="filled,bold"', "#cfe2f8"),
    "parameter": ('shape=box, style="filled,rounded"', "#fdf1d0"),
    "leaf": ('shape=box, style="filled,rounded"', "#fbd5c4"),
    "output": ('shape=box, style="filled"', "#caffbf"),
    "saved": ('shape=note, style="filled"', "#e8dcf7"),
}


@dataclasses.dataclass
class Box:
    """One box: its kind (a key of KINDS) and the lines of its label."""

    kind: str
    lines: list

    @property
    def label(self):
        """The lines as one text."""
        return "\n".join(self.lines)


class ModuleCalls:
    """Which module call each recorded operation belongs to: made by `record_modules`."""

    def __init__(self):
        self.calls = []  # (path, type name) of each call
        self._of = weakref.WeakKeyDictionary()  # node -> the calls it ran in, outermost first

    def of(self, node):
        """Return the indices of the calls that a node ran in, outermost first."""
        return self._of.get(node, ())


@contextlib.contextmanager
def record_modules(model):
    """Record, while the block runs, in which calls of the model's modules every operation happens.

    Yields ModuleCalls, which `make_dot` takes. The model's hooks are as before afterwards.

    >>> import minigrad as mg
    >>> from minigrad.utils.graph import make_dot, record_modules
    >>> model = mg.nn.Sequential(mg.nn.Linear(3, 4), mg.nn.Tanh())
    >>> with record_modules(model) as calls:
    ...     out = model(mg.ones(1, 3))
    >>> print(*make_dot(out, modules=calls, depth=1).labels(), sep=" | ")
    output Tanh (1) (1, 4) | Linear (0) (1, 4) 16 parameters
    """
    if not isinstance(model, Module):
        raise TypeError(f"record_modules: expected a Module, but got {type(model).__name__}")
    found, running, before = ModuleCalls(), [], MODE.on_record
    names = {module: name for name, module in model.named_modules()}

    def entered(module, args):
        running.append(len(found.calls))
        found.calls.append((names[module], type(module).__name__))

    def left(module, args, output):
        running.pop()

    def recorded(node, out):
        if before is not None:
            before(node, out)
        found._of[node] = tuple(running)

    handles = []
    for module in names:
        handles += [module.register_forward_pre_hook(entered), module.register_forward_hook(left)]
    MODE.on_record = recorded
    try:
        yield found
    finally:
        MODE.on_record = before
        for handle in handles:
            handle.remove()


class Graph:
    """Boxes and arrows: what `make_dot` returns."""

    def __init__(self):
        self.boxes = {}  # key -> Box, in the order found: from the result back to the leaves
        self.edges = {}  # (from, to) -> None: a dict keeps the order

    def labels(self):
        """Return the label of each box on one line."""
        return [" ".join(box.lines) for box in self.boxes.values()]

    @property
    def source(self):
        """The graph in the DOT language."""
        numbers = {key: f"n{number}" for number, key in enumerate(self.boxes)}
        lines = [
            "digraph {",
            '    graph [rankdir=TB, ranksep=0.35, nodesep=0.2];',
            '    node [fontname="monospace", fontsize=10, height=0.2, margin="0.1,0.04"];',
        ]
        for key, box in self.boxes.items():
            look, fill = KINDS[box.kind]
            lines.append(f"    {numbers[key]} [label={quoted(box.label)}, {look}, fillcolor={quoted(fill)}];")
        lines += [f"    {numbers[start]} -> {numbers[end]};" for start, end in self.edges]
        return "\n".join([*lines, "}"]) + "\n"

    def __str__(self):
        return self.source

    def _repr_svg_(self):
        """What notebooks show."""
        with tempfile.TemporaryDirectory() as folder:
            path = self.render(Path(folder) / "graph.svg")
            return path.read_text(encoding="utf-8")

    def save(self, path):
        """Write the DOT text into a file; returns its path."""
        path = Path(path)
        path.write_text(self.source, encoding="utf-8")
        return path

    def render(self, path, engine=None):
        """Write the graph as .dot, .svg or .png, by the file's ending; returns the path.

        Arguments: path; engine ("dot": the program of Graphviz; "matplotlib": without it; default: dot where it is
        installed). ValueError for another ending or engine, RuntimeError where the engine is missing or fails.
        """
        path = Path(path)
        if path.suffix not in FORMATS:
            raise ValueError(f"Graph.render: the file must end in {', '.join(FORMATS)}, but got {path.name!r}")
        if engine not in (None, "dot", "matplotlib"):
            raise ValueError(f"Graph.render: engine must be 'dot' or 'matplotlib', but got {engine!r}")
        if path.suffix == ".dot":
            return self.save(path)
        program = shutil.which("dot")
        if engine == "dot" and program is None:
            raise RuntimeError("Graph.render: the program dot is not installed; it is part of Graphviz")
        if program is not None and engine != "matplotlib":
            _run_dot(program, self.source, path)
        else:
            _draw(self, path)
        return path


def quoted(text):
    """Return text as a string of the DOT language, in which Graphviz reads backslashes and HTML's entities.

    >>> print(quoted('say "hi"'))
    "say \\"hi\\""
    """
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "").replace("\0", "") + '"'


# ---------------------------------------------------------------------- from the recorded nodes to boxes
def make_dot(var, params=None, show_attrs=False, show_saved=False, *, modules=None, depth=None):
    """Return the Graph behind a Variable, as torchviz.make_dot draws it.

    Arguments: var (Variable, or a sequence or dict of them), params (dict name -> Variable, or its items: names of
    leaves, such as dict(model.named_parameters())), show_attrs (the operations' parameters, such as a stride),
    show_saved (what each keeps for backward), modules (ModuleCalls of `record_modules`), depth (draw what ran inside a
    module call at this level as one box, its parameters with it; None: every operation). Raises TypeError for what is
    no tensor, ValueError where no tensor has a graph, or for a depth without modules.
    Source: the arguments follow https://github.com/szagoruyko/pytorchviz

    >>> import minigrad as mg
    >>> from minigrad.utils.graph import make_dot
    >>> w = mg.ones(3, requires_grad=True)
    >>> graph = make_dot((w * w).sum(), params={"w": w})
    >>> graph.labels()
    ['output sum ()', 'mul (3,)', 'w (3,)']
    """
    roots = _roots(var)
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError(f"make_dot: depth must be None or a positive number of levels, but got {depth!r}")
    if depth is not None and modules is None:
        raise ValueError("make_dot: depth needs modules, as record_modules gives them")
    names = {id(leaf): name for name, leaf in dict(params or {}).items()}
    return _Walk(names, modules, depth, show_attrs, show_saved).graph_of(roots)


def _roots(var):
    values = var.values() if isinstance(var, dict) else var if isinstance(var, (tuple, list)) else [var]
    for value in values:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"make_dot: expected tensors, but got {type(value).__name__}")
    roots = [value for value in values if value is not None and is_tracked(value)]
    if not roots:
        raise ValueError("make_dot: there is no graph: no tensor here requires grad")
    return roots


class _Walk:
    """Walks from results to leaves and makes boxes of what it meets."""

    def __init__(self, names, modules, depth, show_attrs, show_saved):
        self.names, self.modules, self.depth = names, modules, depth
        self.show_attrs, self.show_saved = show_attrs, show_saved
        self.folded = {}  # key of a module's box -> {id: number of values} of the parameters that are drawn with it
        self.graph = Graph()

    def graph_of(self, roots):
        """Return the graph of these tensors; iterative, for graphs are deeper than Python's stack."""
        seen, stack = set(), []
        for root in roots:
            origin = _skipped(root.node or root)
            self._box(origin, result=True)
            stack.append(origin)
        while stack:
            node = stack.pop()
            if node in seen or isinstance(node, Tensor):
                continue
            seen.add(node)
            key = self._key(node)
            below = [_skipped(edge) for edge in node.edges if edge is not None]
            for edge in below:
                if key in self.folded and isinstance(edge, Parameter):
                    self.folded[key][id(edge)] = edge.numel()
                    continue
                self._box(edge)
                if self._key(edge) != key:
                    self.graph.edges[self._key(edge), key] = None
            if self.show_saved:
                self._saved(node, key)
            stack += reversed(below)
        for key, parameters in self.folded.items():
            if parameters:
                self.graph.boxes[key].lines.append(f"{sum(parameters.values()):,} parameters")
        return self.graph

    def _call(self, node):
        """Return the module call that a node is drawn as, or None."""
        if self.depth is None or isinstance(node, Tensor):
            return None
        calls = self.modules.of(node)
        return calls[self.depth] if len(calls) > self.depth else None

    def _key(self, node):
        call = self._call(node)
        return id(node) if call is None else ("call", call)

    def _box(self, node, result=False):
        """Make the box of a node or leaf, unless there is one."""
        key = self._key(node)
        if key in self.graph.boxes:
            return
        if isinstance(node, Tensor):
            kind = "parameter" if isinstance(node, Parameter) else "leaf"
            box = Box(kind, [self.names.get(id(node), "leaf"), _shape(node.shape)])
        elif self._call(node) is not None:
            path, kind = self.modules.calls[self._call(node)]
            box = Box("module", [f"{kind} ({path})" if path else kind, _shape(_shape_of(node))])
            self.folded[key] = {}
        else:
            attributes = _attributes(node) if self.show_attrs else []
            box = Box("op", [node.op.name, *attributes, _shape(_shape_of(node))])
        if result:
            box = Box("output", ["output", *box.lines])
        self.graph.boxes[key] = box

    def _saved(self, node, key):
        """Make boxes of the arrays that a node keeps for backward."""
        for index, (name, array) in enumerate(saved_by(node)):
            own = ("saved", id(node), index)
            self.graph.boxes[own] = Box("saved", [f"saved {name}", f"{array.dtype} {_shape(array.shape)}"])
            self.graph.edges[own, key] = None


def _skipped(node):
    """Return a node, or the one below nodes that only pick an output or stand for another tensor."""
    while not isinstance(node, Tensor) and node.op in (PICK, IDENTITY) and node.edges[0] is not None:
        node = node.edges[0]
    return node


def _shape_of(node):
    """Return the shape of a node's (first) result."""
    shape = node.shape
    several = bool(shape) and isinstance(shape[0], tuple)
    return shape[0][0] if several else shape


def _shape(shape):
    return str(tuple(shape))


def _attributes(node):
    """Return a line for each short parameter of a node's operation."""
    lines = [f"{name}={value}" for name, value in node.params.items() if isinstance(value, (int, float, str, tuple))]
    return [line if len(line) <= 50 else line[:49] + "…" for line in lines]


# ---------------------------------------------------------------------- pictures
def _run_dot(program, source, path):
    """Let Graphviz write a picture."""
    command = [program, f"-T{path.suffix[1:]}", "-o", os.fspath(path)]
    done = subprocess.run(command, input=source.encode(), capture_output=True)
    if done.returncode:
        raise RuntimeError(f"Graph.render: dot failed: {done.stderr.decode(errors='replace').strip()}")


FONT_SIZE = 9.0  # points
LETTER = 0.602 * FONT_SIZE  # width of DejaVu Sans Mono, which comes with matplotlib
LINE = 1.25 * FONT_SIZE
LARGEST = 30_000  # pixels of a picture's longer side


def _draw(graph, path):
    """Write a picture without Graphviz."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
        from matplotlib.path import Path as Curve
    except ImportError as error:
        raise RuntimeError(
            "Graph.render: pictures need the program dot (Graphviz), or matplotlib and igraph: "
            "pip install 'minigrad-cnn[graph]'"
        ) from error
    sizes = {
        key: (LETTER * (max(map(len, box.lines)) + 2), LINE * len(box.lines) + 6) for key, box in graph.boxes.items()
    }
    centres, bends, (width, height) = place(sizes, list(graph.edges))
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for start, end in graph.edges:
        points = [centres[start], *bends[start, end], centres[end]]
        points[0] = (points[0][0], points[0][1] + sizes[start][1] / 2)
        points[-1] = (points[-1][0], points[-1][1] - sizes[end][1] / 2)
        vertices, codes = _smooth(points, Curve)
        arrow = FancyArrowPatch(
            path=Curve(vertices, codes), arrowstyle="-|>", mutation_scale=7, color="0.35", linewidth=0.7, zorder=1
        )
        axes.add_patch(arrow)
    for key, box in graph.boxes.items():
        (x, y), (w, h) = centres[key], sizes[key]
        rounded = "rounded" in KINDS[box.kind][0]
        style = f"round,pad=0,rounding_size={h / 3}" if rounded else "square,pad=0"
        axes.add_patch(
            FancyBboxPatch(
                (x - w / 2, y - h / 2), w, h, boxstyle=style, facecolor=KINDS[box.kind][1], edgecolor="0.3",
                linewidth=1.2 if box.kind == "module" else 0.7, zorder=2,
            )
        )  # fmt: skip
        axes.text(
            x, y, box.label.replace("$", r"\$"), ha="center", va="center", family="DejaVu Sans Mono",
            fontsize=FONT_SIZE, linespacing=1.15, zorder=3,
        )  # fmt: skip
    dpi = min(150.0, LARGEST * 72 / max(width, height))
    with rc_context({"svg.hashsalt": "graph"}):  # the same graph gives the same file
        figure.savefig(path, dpi=dpi, metadata={"Date": None} if path.suffix == ".svg" else None)


def _smooth(points, curve):
    """Return the vertices and codes of a curve from the first point to the last, upright at each."""
    vertices, codes = [points[0]], [curve.MOVETO]
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [curve.CURVE4] * 3
    return vertices, codes
