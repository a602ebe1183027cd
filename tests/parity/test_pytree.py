"""torch.utils._pytree and swap_tensors: the same trees, maps, errors and exchanges."""

import collections
import importlib

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402

Point = collections.namedtuple("Point", "x y")
TREES = [
    7, None, (), (1, (2, [3])), {"b": 1, "a": {"c": (2,)}}, collections.OrderedDict(b=1, a=2), Point(1, [2]),
    collections.defaultdict(list, k=[1, 2]), collections.deque([1, [2]], maxlen=3),
]  # fmt: skip
PROGRAMS = {
    "leaves": lambda p: [p.tree_leaves(tree) for tree in TREES],
    "back": lambda p: [p.tree_unflatten(*p.tree_flatten(tree)) for tree in TREES],
    "counts": lambda p: [(s.num_leaves, s.num_nodes, s.num_children) for s in map(p.tree_structure, TREES)],
    "equal": lambda p: [[p.tree_structure(a) == p.tree_structure(b) for a in TREES] for b in TREES],
    "map": lambda p: [p.tree_map(lambda leaf: (leaf, leaf), tree) for tree in TREES],
    "map two": lambda p: p.tree_map(lambda a, b: (a, b), {"x": 1, "y": 2}, {"y": 3, "x": 4}),
    "map prefix": lambda p: p.tree_map(lambda a, b: (a, b), (1, 2), (1, [2])),
    "map lengths": lambda p: p.tree_map(lambda a, b: a, (1, 2), (1,)),
    "map types": lambda p: p.tree_map(lambda a, b: a, (1, 2), [1, 2]),
    "map keys": lambda p: p.tree_map(lambda a, b: a, {"x": 1}, {"y": 1}),
    "map only": lambda p: p.tree_map_only(int, str, [1, "a", 2.5]),
    "is_leaf": lambda p: p.tree_leaves([(1, 2), 3], is_leaf=lambda node: isinstance(node, tuple)),
    "all any": lambda p: (p.tree_all(bool, [1, 0]), p.tree_any(bool, [1, 0])),
    "too few": lambda p: p.tree_unflatten([1], p.tree_structure((1, 2))),
    "no spec": lambda p: p.tree_unflatten([1], (1, 2)),
    "broadcast": lambda p: [
        p._broadcast_to_and_flatten(prefix, p.tree_structure((1, [2, 3])))
        for prefix in (0, (0, None), (0, (1, 2)), [0])
    ],
}


def outcome(program, t):
    try:
        return program(importlib.import_module(t.__name__ + ".utils._pytree"))
    except Exception as error:  # the class is the result
        return type(error).__name__


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("name", PROGRAMS)
def test_trees(name):
    assert outcome(PROGRAMS[name], minigrad) == outcome(PROGRAMS[name], torch)


def swapped(t):
    a, b = t.nn.Parameter(t.ones(2)), t.zeros(3)
    a.mark = 1
    t.utils.swap_tensors(a, b)
    return a.tolist(), b.tolist(), isinstance(b, t.nn.Parameter), isinstance(a, t.nn.Parameter), b.mark, b.requires_grad


def test_swap_tensors():
    assert swapped(minigrad) == swapped(torch)
