"""Trees: what is a node, what comes back, and what is refused."""

import collections

import pytest

import minigrad as mg

pytree = mg.utils._pytree
Point = collections.namedtuple("Point", "x y")

TREES = {
    "leaf": (7, 1),
    "none": (None, 1),
    "empty": ({}, 0),
    "tuple": ((1, (2, [3])), 3),
    "dict": ({"b": 1, "a": {"c": 2}}, 2),
    "ordered": (collections.OrderedDict(b=1, a=2), 2),
    "default": (collections.defaultdict(list, k=[1, 2]), 2),
    "deque": (collections.deque([1, [2]], maxlen=3), 2),
    "namedtuple": (Point(1, Point(2, 3)), 3),
}


@pytest.mark.parametrize("tree, count", TREES.values(), ids=TREES)
def test_round_trip(tree, count):
    leaves, spec = pytree.tree_flatten(tree)
    again = pytree.tree_unflatten(leaves, spec)
    assert again == tree and type(again) is type(tree) and len(leaves) == spec.num_leaves == count
    assert pytree.tree_structure(again) == spec and hash(pytree.tree_structure(again)) == hash(spec)
    assert list(pytree.tree_iter(tree)) == leaves
    if isinstance(tree, collections.deque):
        assert again.maxlen == 3


def test_map():
    assert pytree.tree_map(lambda a, b: a + b, {"p": 1, "q": (2,)}, {"q": (20,), "p": 10}) == {"p": 11, "q": (22,)}
    assert pytree.tree_map(len, [(1, 2), (3,)], is_leaf=lambda node: isinstance(node, tuple)) == [2, 1]
    assert pytree.tree_map_only(int, lambda n: -n, [1, "a", (2.5, 3)]) == [-1, "a", (2.5, -3)]
    assert pytree.tree_map_only(lambda leaf: leaf == "a", str.upper, [1, "a"]) == [1, "A"]
    seen, tree = [], [1, (2,)]
    assert pytree.tree_map_(seen.append, tree) is tree and seen == [1, 2]
    assert pytree.tree_all(lambda n: n > 0, tree) and not pytree.tree_any(lambda n: n > 2, tree)


@pytest.mark.parametrize("other", [(1,), [1, 2, 3], {"a": 1}, 5])
def test_map_refuses_other_structures(other):
    with pytest.raises(ValueError, match="mismatch"):
        pytree.tree_map(lambda a, b: a, [1, 2], other)


def test_unflatten_refuses_wrong_arguments():
    _, spec = pytree.tree_flatten([1, 2])
    with pytest.raises(ValueError, match="`leaves` has length 1"):
        pytree.tree_unflatten([1], spec)
    with pytest.raises(TypeError, match="TreeSpec"):
        pytree.tree_unflatten([1], [1])


def test_registered_classes_are_nodes():
    class Box:
        def __init__(self, content):
            self.content = content

    pytree.register_pytree_node(Box, lambda box: ([box.content], None), lambda children, _: Box(*children))
    assert pytree.tree_map(lambda n: n + 1, [Box(1)])[0].content == 2
    with pytest.raises(ValueError, match="already registered"):
        pytree.register_pytree_node(Box, list, list)
    with pytest.raises(NotImplementedError, match="serialized"):
        pytree.register_pytree_node(Point, list, list, serialized_type_name="Point")


def test_specs_are_readable():
    spec = pytree.tree_structure({"a": [1, 2]})
    assert repr(spec) == "TreeSpec(dict, ['a'], [TreeSpec(list, None, [*, *])])"
    assert spec.num_nodes == 4 and spec.num_children == 1 and not spec.is_leaf() and pytree.LeafSpec().is_leaf()
