"""Gradients through calls of other workers: contexts, in which what is sent and received is recorded, and backward().

In a context, a tensor that requires a gradient and is sent by RPC leaves an entry at its sender, and a node that made
it, RecvRpcBackward, at its receiver. backward() first asks, worker by worker, which of these its roots depend on, so
that every worker knows how many gradients to expect; then gradients flow, from worker to worker, each node running
when all of its gradients are there. They add up in the context, not in ``.grad``.
Source: https://docs.pytorch.org/docs/stable/rpc/distributed_autograd.html
"""

import contextlib
import contextvars
import heapq
import itertools
import threading
import weakref

from minigrad import engine
from minigrad.absent import getter
from minigrad.backend import move, np, to_numpy
from minigrad.futures import Future
from minigrad.rules import output_of
from minigrad.tensor import Tensor
from minigrad.variable import MODE, Node, is_tracked, make_variable, next_time

__all__ = ["backward", "context", "get_gradients"]
_CURRENT = contextvars.ContextVar("context of distributed autograd", default=None)
_PER_WORKER = 1 << 48  # contexts: a context's number says who made it
_state = {"agent": None, "contexts": {}, "numbers": itertools.count(), "passes": itertools.count()}
_lock = threading.RLock()


class _Context:
    """What one worker recorded in a context."""

    def __init__(self, number):
        self.number = number
        self.sent = {}  # number of a message -> where the gradients of its tensors go: (node or leaf, device)
        self.messages = itertools.count()
        self.known = set()  # ids of workers that have the context too
        self.gradients = {}  # leaf -> Tensor
        self.passes = {}  # (worker's id, number) -> _Pass


# ---------------------------------------------------------------- contexts
def start(agent):
    """Begin: this process is a worker now."""
    _state.update(agent=agent, contexts={})


def stop():
    """End: the worker is gone, and its contexts with it."""
    for number in [*_state["contexts"]]:
        _drop(number, RuntimeError("RPC has been shut down"))
    _state["agent"] = None


def _agent():
    if _state["agent"] is None:
        raise RuntimeError("Need to initialize distributed autograd using torch.distributed.autograd.init()")
    return _state["agent"]


def _find(number):
    """Return a context of this worker; RuntimeError where there is none."""
    found = _state["contexts"].get(number)
    if found is None:
        raise RuntimeError(f"Could not find autograd context with id: {number}")
    return found


def _drop(number, error):
    """Forget a context; return the workers that may have it too."""
    with _lock:
        dropped = _state["contexts"].pop(number, None)
    if dropped is None:
        return ()
    for running in [*dropped.passes.values()]:
        running.fail(error)
    return dropped.known


def forget(worker):
    """Drop the contexts of a worker that is gone."""
    error = RuntimeError(f"worker {worker}, which made the autograd context, is gone")
    for number in [number for number in _state["contexts"] if number // _PER_WORKER == worker]:
        _drop(number, error)


class context:  # noqa: N801 - PyTorch's name
    """Record what is sent and received within the block, for backward(): ``with context() as context_id``.

    RuntimeError before rpc.init_rpc, and within another context of the same thread. At its end all workers forget it.
    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.autograd.context
    """

    def __enter__(self):
        agent = _agent()
        if _CURRENT.get() is not None:
            raise RuntimeError("Already have an autograd context id for this thread.")
        number = agent.me.id * _PER_WORKER + next(_state["numbers"])
        _state["contexts"][number] = _Context(number)
        self._number, self._token = number, _CURRENT.set(number)
        return number

    def __exit__(self, *exception):
        _CURRENT.reset(self._token)
        _forget_everywhere(_state["agent"], self._number)


def _forget_everywhere(agent, number):
    known = _drop(number, RuntimeError(f"The autograd context {number} was left during its backward pass"))
    if agent is None or agent.closed:
        return
    for worker in known:
        if worker != agent.me.id:
            with contextlib.suppress(RuntimeError):
                agent.request(agent.worker(worker), "system", (_forget_everywhere, (number,)), record=False)


def current():
    """Return the number of the thread's context, None outside of any."""
    return _CURRENT.get()


@contextlib.contextmanager
def entered(number):
    """Run a block in a context that came with a message; None: in none."""
    token = _CURRENT.set(number)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def get_gradients(context_id):
    """Return {tensor: gradient} of the leaves of this worker that backward() reached in a context.

    RuntimeError for an unknown context. Source:
    https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.autograd.get_gradients
    """
    _agent()
    with _lock:
        return dict(_find(context_id).gradients)


# ---------------------------------------------------------------- what messages record
def record_sent(number, to, tensors):
    """Note in a context which tensors go to a worker; return what the receiver has to know, None without a context."""
    found = None if number is None else _state["contexts"].get(number)
    if found is None:
        return None
    found.known.add(to)
    positions = [index for index, tensor in enumerate(tensors) if is_tracked(tensor)]
    if not positions:
        return number, None, ()
    message = next(found.messages)
    found.sent[message] = [(tensors[index].node or tensors[index], tensors[index].device) for index in positions]
    return number, message, positions


def record_received(sent, sender, tensors, create):
    """Make received tensors the outputs of a node; return the context's number, None for a message without one.

    A context that is not known yet is made (``create``), or else the tensors stay leaves.
    """
    if sent is None:
        return None
    number, message, positions = sent
    with _lock:
        found = _state["contexts"].get(number)
        if found is None and create:
            found = _state["contexts"][number] = _Context(number)
    if found is None:
        return None
    found.known.add(sender)
    if message is None:
        return number
    arrays = [tensors[index].array for index in positions]
    node = _received_node(number, sender, message, arrays)
    for output, (index, array) in enumerate(zip(positions, arrays, strict=True)):
        tensors[index] = make_variable(array, node) if len(arrays) == 1 else output_of(node, output, array)
    return number


class _Received:
    """Stands in a node for the message that brought a tensor."""

    name = "RecvRpc"
    node_name = "RecvRpcBackward"

    def __init__(self, number, sender, message):
        self.number, self.sender, self.message = number, sender, message

    def pull(self, node, gradient, graph, useful=None):
        raise RuntimeError(
            "a tensor came from another worker in a context of distributed autograd: use "
            "torch.distributed.autograd.backward(context_id, roots) instead of backward()"
        )

    def free(self, node):
        """Nothing is saved."""


def _received_node(number, sender, message, arrays):
    node = Node()
    node.op, node.number, node.params = _Received(number, sender, message), next_time(), {}
    node.edges, node.saved, node.out = (), (), None
    node.shape = arrays[0].shape if len(arrays) == 1 else tuple((a.shape, a.dtype, np) for a in arrays)
    return node


# ---------------------------------------------------------------- the backward pass
class _Pass:
    """One backward pass at one worker: how many gradients each node still waits for, and those that are there."""

    def __init__(self, context, key, keep_graph):
        self.context, self.key, self.keep_graph = weakref.ref(context), key, keep_graph
        self.waiting = {}  # node or leaf -> gradients still to come
        self.pending = {}  # node or leaf -> sum of those that have come
        self.ready = []  # heap of (-number, order, node or leaf)
        self.done = Future()
        self.starts = []  # [(node or leaf, None)]
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._running = False
        self._seen = set()  # memories of arrays given to leaves

    def expect(self, targets):
        """Count the gradients below targets, one arriving at each; return [(worker, message)] to get some."""
        found, stack = [], []
        for target in targets:
            self.starts.append((target, None))
            self._expect(target, stack, found)
        while stack:
            for edge in stack.pop().edges:
                if edge is not None:
                    self._expect(edge, stack, found)
        return found

    def _expect(self, target, stack, found):
        if target in self.waiting:
            self.waiting[target] += 1
            return
        self.waiting[target] = 1
        if isinstance(target, Node):
            stack.append(target)
            if isinstance(target.op, _Received):
                op = target.op
                if op.number != self.context().number:
                    raise RuntimeError(
                        f"a tensor received in autograd context {op.number} is used in context "
                        f"{self.context().number}: gradients flow within one context"
                    )
                found.append((op.sender, op.message))

    def deliver(self, pairs):
        """Take gradients (arrays, or None for none) that arrive at nodes or leaves, and run what is complete."""
        with self._lock:
            for target, gradient in pairs:
                self._arrive(target, gradient)
            if self._running:
                return
            self._running = True
        try:
            while (target := self._next()) is not None:
                self._process(target)
        except Exception as error:  # noqa: BLE001 - whatever a rule or a hook raises ends the pass, at its start too
            self.fail(error)

    def _arrive(self, target, gradient):
        if gradient is not None:
            waiting = self.pending.get(target)
            self.pending[target] = gradient if waiting is None else engine._sum(waiting, gradient)
        self.waiting[target] -= 1
        if not self.waiting[target]:
            number = target.number if isinstance(target, Node) else 0
            heapq.heappush(self.ready, (-number, next(self._order), target))

    def _next(self):
        with self._lock:
            if self.ready and not self.done.done():
                return heapq.heappop(self.ready)[2]
            self._running = False
            complete = not any(self.waiting.values()) and not self.done.done()
        if complete:
            self._end(None)
        return None

    def _process(self, target):
        gradient = self.pending.pop(target, None)
        if not isinstance(target, Node):
            if gradient is not None:
                self._accumulate(target, gradient)
        elif isinstance(target.op, _Received):
            self._send(target, gradient)
        else:
            gradients = () if gradient is None else self._pull(target, gradient)
            pairs = itertools.zip_longest(target.edges, gradients)
            with self._lock:
                for edge, part in pairs:
                    if edge is not None:
                        self._arrive(edge, part)

    def _pull(self, node, gradient):
        """Return the gradients of a node's inputs."""
        before, MODE.grad = MODE.grad, False
        outer, MODE.backward = MODE.backward, (self.starts, None)
        try:
            if node.observed:
                gradient = engine._observed(node, gradient, False)
            gradients = node.op.pull(node, gradient, False, None)
            if node.observed and node.post_hooks:
                gradients = engine._run_post_hooks(node, gradients, gradient, False)
            if not self.keep_graph:
                node.op.free(node)
            return gradients
        finally:
            MODE.grad, MODE.backward = before, outer

    def _accumulate(self, leaf, gradient):
        """Add a gradient to the context's."""
        if leaf._hooks is not None:
            gradient = engine._run_hooks(leaf._hooks, gradient, False)
        gradient = engine._as_result(gradient, leaf.array, self._seen)
        with _lock:
            gradients = self._context().gradients
            before = gradients.get(leaf)
            gradients[leaf] = gradient if before is None else before + gradient

    def _context(self):
        found = self.context()
        if found is None:
            raise RuntimeError("The autograd context was left during its backward pass")
        return found

    def _send(self, node, gradient):
        """Send a received tensor's gradient back to where it came from."""
        gradient = gradient if isinstance(gradient, dict) else {0: gradient}
        arrays = {output: to_numpy(np.asarray(part) if np.isscalar(part) else part) for output, part in gradient.items()
                  if part is not None}  # fmt: skip
        agent = _agent()
        arguments = (self.context().number, self.key, node.op.message, arrays)
        future = agent.request(agent.worker(node.op.sender), "system", (_receive, arguments), record=False)
        future.add_done_callback(lambda done: done._error is not None and self.fail(done._error))

    def fail(self, error):
        """End the pass with an error."""
        self._end(error)

    def _end(self, error):
        with self._lock:
            if self.done.done():
                return
            self.pending, self.ready = {}, []
            done = self.done
        done._complete(None, error)


def _mark(agent, number, key, keep_graph, messages):
    """Count at this worker what gradients of messages it sent will reach; return the messages to it that they reach."""
    found = _find(number)
    with _lock:
        running = found.passes.setdefault(key, _Pass(found, key, keep_graph))
    return running.expect([edge for message in messages for edge, _ in found.sent[message]])


def _finish(agent, number, key):
    """Return, once it is over, that the pass at this worker is over."""
    from minigrad.distributed.rpc.rref import Later

    found = _find(number)
    running = found.passes[key]
    running.done.add_done_callback(lambda done: found.passes.pop(key, None))
    return Later(running.done)


def _receive(agent, number, key, message, arrays):
    """Take the gradients of a message this worker sent."""
    found = _find(number)
    running = found.passes.get(key)
    if running is None:
        raise RuntimeError("the backward pass has ended here, because of an error")
    edges = found.sent[message]
    gradients = [arrays.get(output) for output in range(len(edges))]
    running.deliver([
        (edge, None if gradient is None else move(gradient, device))
        for (edge, device), gradient in zip(edges, gradients, strict=True)
    ])  # fmt: skip


def _abort(agent, number, key, reason):
    found = _state["contexts"].get(number)
    running = found and found.passes.pop(key, None)
    if running:
        running.fail(RuntimeError(reason))


def backward(context_id, roots, retain_graph=False):
    """Add the gradients of the roots' sum, through all workers, to the context's: see get_gradients.

    Arguments: context_id (of context()), roots (list of scalars of this worker), retain_graph (keep the graphs for
    another pass in the context). RuntimeError for an unknown context, no roots, a root that is no scalar or requires
    no gradient, and whatever another worker raises or when it is gone.
    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.autograd.backward
    """
    agent = _agent()
    if isinstance(roots, Tensor) or not all(isinstance(root, Tensor) for root in roots):
        raise TypeError("backward(): roots must be a list of Tensors")
    found = _find(context_id)
    if not roots:
        raise RuntimeError("No tensors provided for gradient computation.")
    for root in roots:
        if not is_tracked(root):
            raise RuntimeError("requires_grad not set on root")
        if root.array.size != 1:
            raise RuntimeError(f"a root of shape {list(root.shape)} is not a scalar, all roots need to be scalar")
    key = agent.me.id, next(_state["passes"])
    own = found.passes[key] = _Pass(found, key, retain_graph)
    starts = [pair for root in roots for pair in engine._root_gradients((root,), None, False)]
    involved = {agent.me.id}
    try:
        _mark_all(agent, own, context_id, retain_graph, [target for target, _ in starts], involved)
        finishes = [
            agent.request(agent.worker(worker), "system", (_finish, (context_id, key)), record=False)
            for worker in involved - {agent.me.id}
        ]
        for finish in finishes:
            finish.add_done_callback(lambda done: done._error is not None and own.fail(done._error))
        own.deliver(starts)
        agent.wait(own.done, -1)
        for finish in finishes:
            finish.wait()
    except BaseException as error:
        reason = f"the backward pass of worker {agent.me.name} failed: {error}"
        own.fail(RuntimeError(reason))
        for worker in involved - {agent.me.id}:
            with contextlib.suppress(RuntimeError):
                arguments = (context_id, key, reason)
                agent.request(agent.worker(worker), "system", (_abort, arguments), record=False)
        raise
    finally:
        found.passes.pop(key, None)


def _mark_all(agent, own, number, keep_graph, targets, involved):
    """Find, worker by worker, all messages that gradients will go back through."""
    frontier = own.expect(targets)
    while frontier:
        by_worker = {}
        for worker, message in frontier:
            by_worker.setdefault(worker, []).append(message)
        involved.update(by_worker)
        futures = [
            agent.request(
                agent.worker(worker), "system", (_mark, (number, own.key, keep_graph, messages)), record=False
            )
            for worker, messages in by_worker.items()
        ]
        frontier = [reached for future in futures for reached in future.wait()]


__getattr__ = getter(__name__)
