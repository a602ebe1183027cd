"""From a convolution's shapes to plans of cuDNN that compute it: graphs, heuristics, which plans may be used.

Source: https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-graph-library.html
"""

from typing import NamedTuple

from minigrad.backend.cudnn import binding as b
from minigrad.backend.cudnn.binding import CudnnError, Descriptor

DATA_TYPES = {"f": 0, "d": 1, "e": 2, "E": 9}  # dtype.char -> cudnnDataType_t
X, W, Y, BIAS, ADD = range(1, 6)  # names of the tensors of a graph

# cudnnBackendNumericalNote_t
TENSOR_CORE, DOWN_CONVERT_INPUTS, NONDETERMINISTIC = 0, 1, 4
_HEURISTICS = (3, 2)  # mode A, then the fallback: slow engines that take nearly everything
# kind -> descriptor of the operation, attributes: alpha, beta, convolution, weight, input, output
_OPERATIONS = {
    "forward": (b.FORWARD, 700, 701, 702, 703, 704, 705),
    "input": (b.INPUT_GRADIENT, 706, 707, 708, 709, 710, 711),
    "weight": (b.WEIGHT_GRADIENT, 712, 713, 714, 715, 716, 717),
}
_ADD, _RELU = 0, 100  # cudnnPointwiseMode_t
_CROSS_CORRELATION = 1


class Layout(NamedTuple):
    """Lengths of a tensor's dimensions (N, C, *size), and elements between neighbours in each."""

    shape: tuple
    steps: tuple


class Problem(NamedTuple):
    """All that a plan depends on.

    ``kind``: "forward" (y from x and w), "input" (x from w and y) or "weight" (w from x and y); the result becomes
    alpha result + beta (what is there). ``padding`` and ``after``: zeros before and behind each dimension. ``bias``
    (1, O, 1…) and ``add`` (like y) are Layouts or None, of "forward" with beta 0 only. ``alignment``: bytes that all
    addresses are multiples of.
    """

    kind: str
    code: str
    x: Layout
    w: Layout
    y: Layout
    stride: tuple
    padding: tuple
    after: tuple
    dilation: tuple
    alpha: float = 1.0
    beta: float = 0.0
    bias: Layout | None = None
    add: Layout | None = None
    relu: bool = False
    tf32: bool = False
    deterministic: bool = False
    alignment: int = 16

    def excluded(self):
        """Return the numerical notes of engines that may not compute it."""
        notes = set()
        if self.code == "f":
            notes.add(DOWN_CONVERT_INPUTS)  # to float16
            if not self.tf32:
                notes.add(TENSOR_CORE)
        if self.deterministic:
            notes.add(NONDETERMINISTIC)
        return notes


def _tensor(name, layout, code, alignment, virtual=False):
    tensor = Descriptor(b.TENSOR)
    tensor.set(901, b.DATA_TYPE, DATA_TYPES[code]).set(902, b.INT64, *layout.shape).set(903, b.INT64, *layout.steps)
    tensor.set(906, b.INT64, name).set(900, b.INT64, alignment)
    if virtual:
        tensor.set(907, b.BOOL, True)
    return tensor.done()


def _pointwise(mode, compute, x, y, other=None):
    """Return the operation y = mode(x, other)."""
    kind = Descriptor(b.POINTWISE).set(0, b.POINTWISE_MODE, mode).set(1, b.DATA_TYPE, compute)
    if mode == _RELU:
        kind.set(2, b.NAN_PROPAGATION, 1)  # relu(nan) is nan
    kind.done()
    operation = Descriptor(b.POINTWISE_OPERATION).set(750, b.DESCRIPTOR, kind)
    operation.set(751, b.DESCRIPTOR, x).set(753, b.DESCRIPTOR, y)
    if other is not None:
        operation.set(752, b.DESCRIPTOR, other)
    return operation.done()


def build_graph(problem, handle=None):
    """Return the operations of a problem as cuDNN's graph."""
    p = problem
    wide = "d" if p.code == "d" else "f"
    compute = DATA_TYPES[wide]
    x, w, y = (_tensor(name, layout, p.code, p.alignment) for name, layout in ((X, p.x), (W, p.w), (Y, p.y)))
    steps = Descriptor(b.CONVOLUTION).set(106, b.INT64, len(p.stride)).set(100, b.DATA_TYPE, compute)
    steps.set(101, b.CONVOLUTION_MODE, _CROSS_CORRELATION).set(103, b.INT64, *p.stride)
    steps.set(105, b.INT64, *p.padding).set(104, b.INT64, *p.after).set(102, b.INT64, *p.dilation).done()

    fused = []
    if p.add is not None:
        fused.append((_ADD, _tensor(ADD, p.add, p.code, p.alignment)))
    if p.bias is not None:
        fused.append((_ADD, _tensor(BIAS, p.bias, p.code, p.alignment)))
    if p.relu:
        fused.append((_RELU, None))
    virtual = [_tensor(10 + i, p.y, wide, p.alignment, virtual=True) for i in range(len(fused))]
    chain = [*virtual, y]
    kind, alpha, beta, convolution, weight, source, target = _OPERATIONS[p.kind]
    operation = Descriptor(kind).set(convolution, b.DESCRIPTOR, steps)
    for attribute, tensor in ((source, x), (weight, w), (target, chain[0])):
        operation.set(attribute, b.DESCRIPTOR, tensor)
    numbers = b.DOUBLE if p.code == "d" else b.FLOAT
    operation.set(alpha, numbers, p.alpha).set(beta, numbers, p.beta).done()
    operations = [operation]
    for position, (mode, other) in enumerate(fused):
        operations.append(_pointwise(mode, compute, chain[position], chain[position + 1], other))
    graph = Descriptor(b.GRAPH)
    if handle is not None:
        graph.set(800, b.HANDLE, handle)
    return graph.set(801, b.DESCRIPTOR, *operations).done()


class Plan:
    """A finished plan: ``descriptor``, ``workspace`` in bytes, and the number and ``notes`` of its engine."""

    __slots__ = ("descriptor", "engine", "notes", "workspace")

    def __init__(self, config, engine, notes, handle, device):
        plan = Descriptor(b.PLAN)
        if handle is not None:
            plan.set(400, b.HANDLE, handle)
        if device is not None:
            plan.set(407, b.DESCRIPTOR, device)
        self.descriptor = plan.set(401, b.DESCRIPTOR, config).done()
        self.engine, self.notes = engine, notes
        self.workspace = plan.numbers(402, b.INT64)[0]


def find_plans(problem, handle=None, device=None):
    """Yield plans for a problem, those that cuDNN expects to be fast first; each is made when it is asked for.

    They are made for the GPU of a handle or, without a GPU, for one described by ``device_properties``.
    """
    try:
        graph = build_graph(problem, handle)
    except CudnnError:  # of a type, or with operations, that cuDNN does not know
        return
    excluded = problem.excluded()
    for mode in _HEURISTICS:
        heuristics = Descriptor(b.HEURISTICS).set(201, b.DESCRIPTOR, graph).set(200, b.HEURISTICS_MODE, mode)
        if device is not None:
            heuristics.set(204, b.DESCRIPTOR, device)
        try:
            heuristics.done()
            configs = heuristics.descriptors(202, b.ENGINE_CONFIG, heuristics.count(202))
        except CudnnError:
            continue
        for config in configs:
            try:
                engine = config.descriptors(300, b.ENGINE, 1)[0]
                notes = set(engine.numbers(1303, b.NUMERICAL_NOTE, 16))
                if notes & excluded:
                    continue
                plan = Plan(config, engine.numbers(1301, b.INT64)[0], notes, handle, device)
            except CudnnError:  # the engine does not take these shapes after all
                continue
            yield plan


def within(found, limit, most):
    """Return the first ``most`` plans with workspaces within a limit in bytes; else the one with the smallest."""
    chosen, smallest = [], None
    for plan in found:
        if plan.workspace <= limit:
            chosen.append(plan)
            if len(chosen) == most:
                break
        elif smallest is None or plan.workspace < smallest.workspace:
            smallest = plan
    return chosen or [smallest] * (smallest is not None)


def device_properties(description):
    """Return the descriptor of a GPU that is not there, from its properties as JSON text."""
    return Descriptor(b.DEVICE_PROPERTIES).set(2702, b.CHARACTER, *(bytes([c]) for c in description.encode())).done()
