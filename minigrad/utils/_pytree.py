"""Trees of tuples, lists, dicts and namedtuples: flattened to a list of leaves and a description, and put together.

Source: PyTorch's torch.utils._pytree, whose names these are.

>>> import minigrad as mg
>>> leaves, spec = mg.utils._pytree.tree_flatten({"a": (1, 2), "b": [3]})
>>> leaves, spec
([1, 2, 3], TreeSpec(dict, ['a', 'b'], [TreeSpec(tuple, None, [*, *]), TreeSpec(list, None, [*])]))
>>> mg.utils._pytree.tree_unflatten([leaf * 10 for leaf in leaves], spec)
{'a': (10, 20), 'b': [30]}
"""

from collections import OrderedDict, defaultdict, deque

from minigrad.absent import getter

_REGISTERED = {}  # class -> (function of a node: (children, context), function of (children, context): the node)


def register_pytree_node(cls, flatten_fn, unflatten_fn, *, serialized_type_name=None):
    """Make objects of a class nodes of trees.

    Arguments: cls, flatten_fn (object -> (list of children, context)), unflatten_fn ((children, context) -> object),
    serialized_type_name (must be None: specs are not written to files). ValueError for a class that is one already.
    """
    if serialized_type_name is not None:
        raise NotImplementedError("register_pytree_node: specs can't be serialized; leave serialized_type_name out")
    if cls in _REGISTERED:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _REGISTERED[cls] = (flatten_fn, unflatten_fn)


def _mapping(make):
    return (
        lambda node: (list(node.values()), list(node)),
        lambda children, keys: make(zip(keys, children, strict=True)),
    )


register_pytree_node(tuple, lambda node: (list(node), None), lambda children, _: tuple(children))
register_pytree_node(list, lambda node: (list(node), None), lambda children, _: list(children))
register_pytree_node(dict, *_mapping(dict))
register_pytree_node(OrderedDict, *_mapping(OrderedDict))
register_pytree_node(
    defaultdict,
    lambda node: (list(node.values()), [node.default_factory, list(node)]),
    lambda children, context: defaultdict(context[0], zip(context[1], children, strict=True)),
)
register_pytree_node(
    deque, lambda node: (list(node), node.maxlen), lambda children, maxlen: deque(children, maxlen=maxlen)
)


def _is_namedtuple(cls):
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


class TreeSpec:
    """The shape of a tree: the type of its node, what that needs to be made again, and its children's specs."""

    __slots__ = ("children_specs", "context", "num_leaves", "type")

    def __init__(self, type, context, children_specs):
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_leaves = 1 if type is None else sum(child.num_leaves for child in children_specs)

    @property
    def num_children(self):
        """The number of children of the outermost node."""
        return len(self.children_specs)

    @property
    def num_nodes(self):
        """The number of nodes and leaves."""
        return 1 + sum(child.num_nodes for child in self.children_specs)

    def is_leaf(self):
        """Return whether the tree is a single leaf."""
        return self.type is None

    def __eq__(self, other):
        if not isinstance(other, TreeSpec):
            return NotImplemented
        same = self.type is other.type and self.context == other.context
        return same and self.children_specs == other.children_specs

    def __hash__(self):
        return hash((self.type, self.num_leaves, self.num_children))

    def __repr__(self):
        if self.type is None:
            return "*"
        return f"TreeSpec({self.type.__name__}, {self.context}, {self.children_specs})"


_LEAF = TreeSpec(None, None, [])


def LeafSpec():  # noqa: N802 - PyTorch's name
    """Return the spec of a single leaf."""
    return _LEAF


def _kind(node):
    """Return the class a node is registered under; None for a leaf."""
    cls = type(node)
    return cls if cls in _REGISTERED or _is_namedtuple(cls) else None


def _children(node, kind):
    """Return (children, context) of a node."""
    if kind in _REGISTERED:
        return _REGISTERED[kind][0](node)
    return list(node), kind


def tree_flatten(tree, is_leaf=None):
    """Return (list of leaves, TreeSpec). ``is_leaf(node)`` may declare nodes to be leaves; None is a leaf."""
    leaves = []
    return leaves, _flatten(tree, leaves, is_leaf)


def _flatten(tree, leaves, is_leaf):
    kind = _kind(tree)
    if kind is None or is_leaf is not None and is_leaf(tree):
        leaves.append(tree)
        return _LEAF
    children, context = _children(tree, kind)
    return TreeSpec(kind, context, [_flatten(child, leaves, is_leaf) for child in children])


def tree_unflatten(leaves, treespec):
    """Return the tree of a spec with the given leaves; ValueError for another number of them than it has."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"tree_unflatten expected a TreeSpec, but got {type(treespec).__name__}")
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree that "
            f"holds {treespec.num_leaves} items ({treespec})."
        )
    return _unflatten(iter(leaves), treespec)


def _unflatten(leaves, spec):
    if spec.type is None:
        return next(leaves)
    children = [_unflatten(leaves, child) for child in spec.children_specs]
    if spec.type in _REGISTERED:
        return _REGISTERED[spec.type][1](children, spec.context)
    return spec.type(*children)


def tree_leaves(tree, is_leaf=None):
    """Return the list of leaves."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree, is_leaf=None):
    """Return an iterator over the leaves."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree, is_leaf=None):
    """Return the TreeSpec."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree, *rests, is_leaf=None):
    """Return the tree with func(leaf, *leaves of the rests at that place) for leaves.

    ValueError where a rest has another structure than the tree.
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves] + [_flatten_up_to(rest, spec) for rest in rests]
    return tree_unflatten([func(*row) for row in zip(*columns, strict=True)], spec)


def _flatten_up_to(tree, spec):
    """Return the subtrees of a tree at the places of a spec's leaves."""
    if spec.type is None:
        return [tree]
    kind = _kind(tree)
    if kind is not spec.type:
        raise ValueError(f"Type mismatch; expected {spec.type!r}, but got {type(tree)!r}.")
    children, context = _children(tree, kind)
    if isinstance(tree, dict):
        keys = spec.context[1] if kind is defaultdict else spec.context
        if set(keys) != set(tree):
            raise ValueError(f"Node keys mismatch; expected {keys}, but got {list(tree)}.")
        children = [tree[key] for key in keys]
    elif len(children) != spec.num_children or context != spec.context and kind is not deque:
        raise ValueError(f"Node arity mismatch; expected {spec.num_children}, but got {len(children)}.")
    pairs = zip(children, spec.children_specs, strict=True)
    return [leaf for child, child_spec in pairs for leaf in _flatten_up_to(child, child_spec)]


def tree_map_only(kind, func, tree, is_leaf=None):
    """Return the tree with func(leaf) for leaves of a type or tuple of types, or of which kind(leaf) is true."""
    chosen = _chooser(kind)
    return tree_map(lambda leaf: func(leaf) if chosen(leaf) else leaf, tree, is_leaf=is_leaf)


def _chooser(kind):
    if isinstance(kind, (type, tuple)):
        return lambda leaf: isinstance(leaf, kind)
    return kind


def tree_map_(func, tree, *rests, is_leaf=None):
    """Call func on every leaf, as in tree_map, and return the tree itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_all(pred, tree, is_leaf=None):
    """Return whether pred(leaf) is true of all leaves."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred, tree, is_leaf=None):
    """Return whether pred(leaf) is true of some leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def _broadcast_to_and_flatten(tree, treespec, is_leaf=None):
    """Return one leaf of a tree, a prefix of the spec's tree, for each leaf of the spec; None where it is no prefix."""
    kind = _kind(tree)
    if kind is None or is_leaf is not None and is_leaf(tree):
        return [tree] * treespec.num_leaves
    if kind is not treespec.type:
        return None
    children, context = _children(tree, kind)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    result = []
    for child, spec in zip(children, treespec.children_specs, strict=True):
        part = _broadcast_to_and_flatten(child, spec, is_leaf)
        if part is None:
            return None
        result += part
    return result


__getattr__ = getter(__name__)
