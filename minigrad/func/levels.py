"""One derivative inside another on one tape: fresh leaves for what is differentiated, and what leaves a level."""

from minigrad import engine
from minigrad.autograd.grad_mode import enable_grad
from minigrad.autograd.graph import leads_out
from minigrad.backend import xp
from minigrad.tensor import Tensor, wrap
from minigrad.utils._pytree import tree_flatten, tree_unflatten
from minigrad.variable import MODE, Variable, check_can_require_grad, is_tracked, new_leaf


class Level:
    """One call of a transform: the inputs it differentiates, as leaves of its own, and whether others look on.

    A tensor that is tracked already (by an outer transform or by the user) stays linked to its graph, so the results
    can be differentiated again; what leads to leaves of this level only leaves it untracked.
    """

    def __init__(self):
        self.outer_grad = MODE.grad
        self.own = set()  # ids of the leaves of this level
        self.leaves = []

    def leaf(self, value):
        """Return a tensor of the value to differentiate with respect to."""
        if not isinstance(value, Tensor):
            raise ValueError(f"Thing passed to transform API must be Tensor, got {type(value)}")
        check_can_require_grad(value.array)
        if self.outer_grad and is_tracked(value):
            return value.view_as(value)
        value._mark_aliased()
        leaf = new_leaf(Variable, value.array, True)
        leaf._aliased = True
        self.own.add(id(leaf))
        self.leaves.append(leaf)  # kept alive, so that its id stays its own
        return leaf

    def enter(self, tree):
        """Return (the tree with fresh tensors, the list of these, its spec)."""
        values, spec = tree_flatten(tree)
        with enable_grad():
            fresh = [self.leaf(value) for value in values]
        return tree_unflatten(fresh, spec), fresh, spec

    def is_seen(self, tensors):
        """Return whether some of the tensors lead to a tracked tensor outside this level."""
        return self.outer_grad and any(leads_out(tensor, self.own, set()) for tensor in tensors)

    def leave(self, tree):
        """Return the tree with its tensors cut off from this level's leaves, unless they lead further."""
        values, spec = tree_flatten(tree)
        visited, result = set(), []
        for value in values:
            if not isinstance(value, Tensor) or not is_tracked(value):
                result.append(value)
            elif not self.outer_grad:
                result.append(value.detach())
            elif leads_out(value, self.own, visited):
                visited = set()  # it holds nodes that lead out
                result.append(value)
            else:
                result.append(value.detach())
        return tree_unflatten(result, spec)


def zeros_like(tensor):
    """Return an untracked tensor of zeros."""
    return wrap(xp(tensor.array).zeros_like(tensor.array))


def pulled_back(outputs, inputs, cotangents, create_graph):
    """Return the gradients of the inputs for gradients of the outputs; zeros where nothing depends on one."""
    kept = [(out, cotangent) for out, cotangent in zip(outputs, cotangents, strict=True) if is_tracked(out)]
    found = [None] * len(inputs)
    if kept and inputs:
        found = engine.grad(
            [out for out, _ in kept], inputs, [cotangent for _, cotangent in kept],
            create_graph=create_graph, retain_graph=True, allow_unused=True,
        )  # fmt: skip
    return [zeros_like(leaf) if value is None else value for value, leaf in zip(found, inputs, strict=True)]


class Pushforward:
    """The product of a Jacobian with vectors: u -> Jᵀ u is linear, and its derivative along v is J v."""

    def __init__(self, level, outputs, inputs, create_graph):
        self.outputs = outputs
        self.create_graph = create_graph
        self.dummies = []
        with enable_grad():
            for out in outputs:
                dummy = new_leaf(Variable, zeros_like(out).array, is_tracked(out))
                level.own.add(id(dummy))
                level.leaves.append(dummy)
                self.dummies.append(dummy)
            self.linear = pulled_back(outputs, inputs, self.dummies, True)

    def __call__(self, tangents):
        """Return the tangent of each output."""
        places = [index for index, dummy in enumerate(self.dummies) if dummy._requires_grad]
        dummies = [self.dummies[index] for index in places]
        found = pulled_back(self.linear, dummies, tangents, self.create_graph)
        result = [zeros_like(out) for out in self.outputs]
        for index, value in zip(places, found, strict=True):
            result[index] = value
        return result
