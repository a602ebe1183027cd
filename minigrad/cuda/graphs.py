"""CUDA graphs: a GPU's work recorded once and replayed, without what Python and launches take.

What is recorded are kernels and the addresses they read and write. Python runs once, while recording: printing,
branching and numbers taken from Python are those of that time. What needs a result on the CPU (``item()``, ``bool()``,
indexing by a mask, printing a tensor) cannot be recorded and raises.
"""

import contextlib
import gc

from minigrad.amp import autocast_mode
from minigrad.autograd import grad as gradients_of
from minigrad.autograd.function import Function
from minigrad.autograd.grad_mode import enable_grad
from minigrad.backend import capture
from minigrad.tensor import Tensor
from minigrad.variable import touch

__all__ = [
    "CUDAGraph",
    "graph",
    "graph_pool_handle",
    "make_graphed_callables",
    "make_graphed_step",
]


def graph_pool_handle():
    """Return memory that several graphs can share (``pool=``); they must not run at the same time."""
    return capture.Pool()


class CUDAGraph:
    """A recorded piece of a GPU's work: capture_begin(), capture_end(), replay(); easier by ``with cuda.graph(g):``.

    RuntimeError without a GPU, for a replay before the capture, and for work that cannot be recorded.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.CUDAGraph.html
    """

    def __init__(self, keep_graph=False):
        if keep_graph:
            raise NotImplementedError("CUDAGraph: keep_graph=True is not there; CuPy makes a graph ready at once")
        self._recording = None
        self._around = None
        self._done = False

    def capture_begin(self, pool=None, capture_error_mode="global"):
        """Record what follows. CuPy's captures refuse less than PyTorch's "global" ones, whatever the mode."""
        if capture_error_mode not in ("global", "thread_local", "relaxed"):
            raise RuntimeError(f"Unknown capture error mode. Expected `global`, `thread_local`, or `relaxed`, got "
                               f"{capture_error_mode}")  # fmt: skip
        if self._around is not None:
            raise RuntimeError("This CUDAGraph instance is recording already")
        autocast_mode.clear_autocast_cache()  # weights that were cast before would not be cast again in replays
        self._recording = capture.Recording(pool)
        self._around = contextlib.ExitStack()
        self._around.enter_context(self._recording.alone())
        self._recording.begin()

    def capture_end(self):
        """Stop recording."""
        if self._around is None:
            raise RuntimeError("CUDAGraph::capture_end() called before capture_begin()")
        around, self._around = self._around, None
        with around:
            self._recording.end()
        self._done = True

    def _give_up(self):
        around, self._around = self._around, None
        with around:
            self._recording.give_up()
        self.reset()

    def replay(self):
        """Do the recorded work on the current stream."""
        if not self._done:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        self._recording.launch()

    def reset(self):
        """Forget the recording and give its memory back."""
        if self._recording is not None:
            self._recording.release()
        self._recording, self._done = None, False

    def pool(self):
        """Return the memory of the graph, for others to share."""
        if self._recording is None:
            raise RuntimeError("Called CUDAGraph::pool() without a preceding successful capture.")
        return self._recording.pool

    def enable_debug_mode(self):
        """Nothing to do: debug_dump works without."""

    def debug_dump(self, debug_path):
        """Write the graph into a file, in the DOT language."""
        if not self._done:
            raise RuntimeError("Called CUDAGraph::debug_dump without a preceding successful capture.")
        with open(debug_path, "w", encoding="utf-8") as file:
            file.write(self._recording.describe())


class graph:  # noqa: N801 - PyTorch's name
    """Record the work of a ``with`` block into a CUDAGraph.

    Arguments: cuda_graph, pool (of graph_pool_handle() or another graph's pool()), stream (None: one of its own; others
    are refused), capture_error_mode. Work that cannot be recorded raises RuntimeError that says so.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.graph.html
    """

    def __init__(
        self,
        cuda_graph,
        pool=None,
        stream=None,
        capture_error_mode="global",
        enable_annotations=False,
        check_input_liveness=False,
    ):
        if stream is not None:
            raise NotImplementedError("cuda.graph: a graph is recorded on a stream of its own; leave stream out")
        if enable_annotations or check_input_liveness:
            raise NotImplementedError("cuda.graph: enable_annotations and check_input_liveness are not there")
        self.cuda_graph, self.pool, self.mode = cuda_graph, pool, capture_error_mode

    def __enter__(self):
        gc.collect()
        self.cuda_graph.capture_begin(self.pool, self.mode)

    def __exit__(self, kind, error, trace):
        if error is None:
            self.cuda_graph.capture_end()
            return
        self.cuda_graph._give_up()
        if isinstance(error, Exception):
            raise _refusal("cuda.graph", error) from error


def _refusal(what, error):
    """Return the error that says why something could not be recorded."""
    return RuntimeError(
        f"{what}: the work cannot be recorded in a CUDA graph: {type(error).__name__}: {error}. Nothing in it may need "
        "a result on the CPU (item(), bool(), indexing by a mask, copies from ordinary memory), nor a library that "
        "refuses to be recorded"
    )


# ---------------------------------------------------------------------- a whole training step
class GraphedStep:
    """A training step that is recorded; made by make_graphed_step.

    Called with tensors like the example's it copies them to where the recording reads them and replays; the loss is
    returned. Parameters, their ``grad``, buffers and the optimizer's state are those of the model and the optimizer.
    """

    def __init__(self, model, loss, optimizer, example, warmup):
        self._model, self._loss, self._optimizer = model, loss, optimizer
        self._inputs = [tensor.detach().clone() for tensor in example]
        self._autocast = _autocast_now()
        self._graph = None
        self._graphs_pool = capture.Pool()
        _check_optimizer(optimizer)
        before = _Snapshot(model, optimizer)
        try:
            self._warm_up(warmup)
            self._record()
        finally:
            before.restore()

    def __call__(self, *tensors):
        if len(tensors) != len(self._inputs):
            raise TypeError(f"graphed step: expected {len(self._inputs)} tensors as in the example, got {len(tensors)}")
        for place, (tensor, static) in enumerate(zip(tensors, self._inputs, strict=True)):
            if tensor.shape != static.shape or tensor.dtype != static.dtype:
                raise RuntimeError(
                    f"graphed step: argument {place} is {tuple(tensor.shape)} of {tensor.dtype}, but "
                    f"{tuple(static.shape)} of {static.dtype} was recorded; leave smaller batches out (drop_last=True) "
                    "or make another step for them"
                )
        if self._settings() != self._recorded:
            self._record()
        for tensor, static in zip(tensors, self._inputs, strict=True):
            static.copy_(tensor, non_blocking=True)
        self._graph.replay()
        for array in self._written:
            touch(array)
        return self._result.clone()

    # ------------------------------------------------------------ recording
    def _settings(self):
        """Return what is baked into a recording: the optimizer's numbers, modes, what learns, where memory lies."""
        groups = self._optimizer.param_groups
        numbers = [
            tuple(id(value) if isinstance(value, Tensor) else value for key, value in group.items() if key != "params")
            for group in groups
        ]
        return (
            numbers,
            [len(group["params"]) for group in groups],
            [module.training for module in self._modules],
            [parameter.requires_grad for parameter in self._parameters],
            self._optimizer.state is self._state,
            [id(tensor.array) for tensor in self._tensors],
        )

    def _step(self):
        self._optimizer.zero_grad(set_to_none=True)
        with self._precision():
            output = self._model(self._inputs[0])
            loss = self._loss(output, *self._inputs[1:])
        if loss.numel() != 1:
            raise RuntimeError(f"make_graphed_step: the loss must be one number, not of shape {tuple(loss.shape)}")
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _precision(self):
        """Return the region of autocast that was open when the step was made; without its cache, see CUDAGraph."""
        if self._autocast is None:
            return contextlib.nullcontext()
        return autocast_mode.autocast("cuda", dtype=self._autocast, cache_enabled=False)

    def _warm_up(self, times):
        recording = capture.Recording(self._graphs_pool)
        with recording.alone(), enable_grad():
            for _ in range(times):
                self._step()
        recording.wait()
        _check_state(self._optimizer)

    def _record(self):
        self._optimizer.zero_grad(set_to_none=True)
        self._result = None
        if self._graph is not None:
            self._graph.reset()
        gc.collect()  # a graph freed while recording could give memory back that the recording uses
        self._graph = CUDAGraph()
        self._graph.capture_begin(self._graphs_pool)
        try:
            with enable_grad():
                self._result = self._step()
        except Exception as error:
            self._graph._give_up()
            raise _refusal("make_graphed_step", error) from error
        self._graph.capture_end()
        self._modules, self._parameters = list(self._model.modules()), list(self._model.parameters())
        self._state, self._tensors = self._optimizer.state, _state_of(self._model, self._optimizer)
        self._written = [tensor.array for tensor in self._tensors]
        self._recorded = self._settings()


def make_graphed_step(model, loss, optimizer, example, *, warmup=3):
    """Return a training step, forward, backward and the optimizer's, that is recorded once and then replayed.

    step(inputs, *targets) does what ``optimizer.zero_grad(); l = loss(model(inputs), *targets); l.backward();
    optimizer.step()`` does and returns l, without running Python or launching kernels one by one.

    Arguments: model and its parameters on a GPU; loss (function of the output and the targets to one number); optimizer
    (whose state lives on the GPU: SGD, or others with capturable=True); example (tuple of tensors on the GPU, the
    model's input first, of the shapes and dtypes to come); warmup (ordinary steps before recording; model and
    optimizer are set back to what they were, random numbers have moved on). A change of the learning rate, of
    train()/eval(), of what requires grad, or of where a parameter or the optimizer's state lies records anew; a
    learning rate that is a tensor on the GPU may be written without that. Layers that are replaced are not noticed. An
    autocast region that is open here is part of the step. Hooks and print() run while recording only.
    RuntimeError for what cannot be recorded; TypeError and ValueError for arguments that do not fit.
    """
    if isinstance(example, Tensor) or not all(isinstance(tensor, Tensor) for tensor in example):
        raise TypeError("make_graphed_step: example must be a tuple of tensors: the model's input, then the targets")
    if warmup < 1:
        raise ValueError(f"make_graphed_step: warmup must be at least 1, got {warmup}")
    for what, tensors in (("example", example), ("model", [*model.parameters(), *model.buffers()])):
        for tensor in tensors:
            if not tensor.is_cuda:
                raise RuntimeError(f"make_graphed_step: the {what} has a tensor on {tensor.device}; move it to the GPU")
    return GraphedStep(model, loss, optimizer, tuple(example), warmup)


def _autocast_now():
    """Return the dtype of the autocast region for GPUs that is open; None where none is."""
    if not autocast_mode.is_autocast_enabled("cuda"):
        return None
    return autocast_mode.get_autocast_dtype("cuda")


def _state_of(model, optimizer):
    """Return the tensors that a step writes: parameters, buffers, the optimizer's state."""
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return [*model.parameters(), *model.buffers(), *states]


# Optimizers whose state begins as zeros: warming up can be undone without a state from before.
_FROM_ZEROS = {"SGD", "Adam", "AdamW", "RMSprop", "Adadelta", "Adamax", "RAdam"}


def _check_optimizer(optimizer):
    name = type(optimizer).__name__
    for group in optimizer.param_groups:
        if group.get("capturable") is False:
            raise RuntimeError(
                f"make_graphed_step: {name} counts its steps on the CPU, which a recording can't; make it with "
                "capturable=True"
            )
        if not optimizer.state and (name not in _FROM_ZEROS or group.get("dampening")):
            raise RuntimeError(
                f"make_graphed_step: the state of {name} does not begin as zeros, so that warming up can't be undone; "
                "take one ordinary step first"
            )


def _check_state(optimizer):
    for state in optimizer.state.values():
        for name, value in state.items():
            if value is not None and not (isinstance(value, Tensor) and value.is_cuda):
                raise RuntimeError(
                    f"make_graphed_step: {type(optimizer).__name__} keeps its state {name!r} on the CPU, where a "
                    "recording can't write it; use an optimizer with capturable=True, or SGD"
                )


class _Snapshot:
    """Values of everything a step writes, to be put back into the same memory."""

    def __init__(self, model, optimizer):
        self._model, self._optimizer = model, optimizer
        self._values = {id(tensor): tensor.detach().clone() for tensor in _state_of(model, optimizer)}

    def restore(self):
        for tensor in _state_of(self._model, self._optimizer):
            value = self._values.get(id(tensor))
            target = tensor.detach()
            if value is None:
                target.zero_()  # state that the warm-up made: see _FROM_ZEROS
            else:
                target.copy_(value)


# ---------------------------------------------------------------------- callables
def make_graphed_callables(callables, sample_args, num_warmup_iters=3, allow_unused_input=False, pool=None):
    """Return a version of a module or function of tensors (or a tuple of such) whose forward and backward are recorded.

    Arguments: callables; sample_args (tuple of tensors on the GPU, or a tuple of such tuples); num_warmup_iters;
    allow_unused_input (inputs without a gradient are fine); pool. What a call returns is written over by the next one.
    RuntimeError for modules with hooks and for what cannot be recorded.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.make_graphed_callables.html
    """
    if isinstance(callables, tuple):
        pool = graph_pool_handle() if pool is None else pool
        pairs = zip(callables, sample_args, strict=True)
        return tuple(_graphed(one, args, num_warmup_iters, allow_unused_input, pool) for one, args in pairs)
    return _graphed(callables, sample_args, num_warmup_iters, allow_unused_input, pool)


def _check_hooks(function):
    """RuntimeError for a module that has hooks, which replays would leave out."""
    for name, module in function.named_modules() if hasattr(function, "named_modules") else ():
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            where = f" ({name})" if name else ""
            raise RuntimeError(
                f"make_graphed_callables: the module{where} has hooks, which replays would leave out; register them "
                "on what make_graphed_callables returns"
            )


def _graphed(function, sample, warmup, allow_unused, pool):
    parameters = [p for p in function.parameters() if p.requires_grad] if hasattr(function, "parameters") else []
    inputs = [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in sample]
    wanted = [tensor for tensor in (*inputs, *parameters) if tensor.requires_grad]
    pool = graph_pool_handle() if pool is None else pool
    _check_hooks(function)
    single = True

    def forward():
        nonlocal single
        outputs = function(*inputs)
        single = not isinstance(outputs, tuple)
        return (outputs,) if single else outputs

    def backward(outputs, gradients):
        tracked = [(y, g) for y, g in zip(outputs, gradients, strict=True) if y.requires_grad]
        if not tracked or not wanted:
            return ()
        ys, gs = zip(*tracked, strict=True)
        return gradients_of(ys, wanted, gs, allow_unused=allow_unused)

    recording = capture.Recording(pool)
    with recording.alone(), enable_grad():
        for _ in range(warmup):
            outputs = forward()
            backward(outputs, [y.detach().clone() for y in outputs])
    recording.wait()
    down, up = CUDAGraph(), CUDAGraph()
    with graph(down, pool), enable_grad():
        outputs = forward()
    gradients = [y.detach().clone() for y in outputs]
    with graph(up, pool):
        found = backward(outputs, gradients)
    results = [y.detach() for y in outputs]
    del outputs
    by_input = dict(zip(map(id, wanted), found, strict=False))

    class Replay(Function):
        """The recorded forward and backward as one operation of the inputs and the parameters."""

        @staticmethod
        def forward(ctx, *tensors):
            for static, tensor in zip(inputs, tensors, strict=False):
                static.detach().copy_(tensor)
            down.replay()
            return tuple(result.detach() for result in results)

        @staticmethod
        def backward(ctx, *given):
            for static, gradient in zip(gradients, given, strict=True):
                if gradient is None:
                    static.zero_()
                else:
                    static.copy_(gradient)
            up.replay()
            every = (by_input.get(id(tensor)) for tensor in (*inputs, *parameters))
            # Copies: what becomes some tensor's grad must not be written by the next replay.
            return tuple(None if gradient is None else gradient.detach().clone() for gradient in every)

    def call(*tensors):
        outputs = Replay.apply(*tensors, *parameters)
        return outputs[0] if single else outputs

    if not hasattr(function, "parameters"):
        return call
    plain, mode = function.forward, function.training
    function.forward = lambda *tensors: call(*tensors) if function.training == mode else plain(*tensors)
    return function
