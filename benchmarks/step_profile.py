"""Where the time of one of minigrad's training steps goes, by operation.

One clock runs through the step. At certain points the time since the point before is put down to a part, so that
nothing is counted twice or left out, and the sum of the parts is the step:

- whenever an operation of the forward pass is recorded, to that operation: its kernel and the work in Python that led
  to it;
- before the gradient rules of an operation run, to the rest (the engine, sums of gradients), and after them, to the
  operation;
- within the rules of a convolution, when the gradient to the input and the one to the weight are done, to these;
- before the optimizer's step, to the rest, and after it, to the optimizer, as is the setting of gradients to None.

Operations run inside a module of MODULES count as its part. There is no public hook for all this: MODE.on_record is the
one for what is recorded; the rules are reached by replacing ``pull`` of every Op, the gradients of convolutions by
replacing ``forward`` of theirs. A ReLU that is computed in the convolution before it counts as convolution.
"""
import contextlib
import time

import minigrad
from minigrad.op import OPS
from minigrad.variable import MODE

REST = "the rest"
OPTIMIZER = "optimizer"
# The part that an operation belongs to, by how its name begins: the first that fits. In the order of the tables.
PARTS = {
    "convolution_input": "convolution, to the input",
    "convolution_weight": "convolution, to the weight",
    "convolution": "convolution",  # its backward: the gradient to the bias, and the work around all three
    "normalization": "batch norm",
    "relu": "ReLU",
    "max_pool": "pooling",
    "average_pool": "pooling",
    "resample": "pooling",  # adaptive pooling to sizes that do not divide
    "add": "addition",
    "cat": "concatenation",
    "linear": "linear",
    "apply_noise": "dropout",
    "cross_entropy": "loss",
}
GRADIENTS = ("convolution_input", "convolution_weight")
RESPONSE_NORM = "response norm"
MODULES = {minigrad.nn.LocalResponseNorm: RESPONSE_NORM}
FORWARD, BACKWARD = ", forward", ", backward"
ORDER = (
    *("convolution, forward", "convolution, to the input", "convolution, to the weight", "convolution, backward"),
    *(part + way for part in (*PARTS.values(), RESPONSE_NORM) for way in (FORWARD, BACKWARD)),
    *(OPTIMIZER, REST),
)


def part_of(operation):
    """The part that the operation called so belongs to.

    >>> part_of("convolution"), part_of("convolution_weight"), part_of("tan")
    ('convolution', 'convolution, to the weight', 'the rest')
    """
    return next((part for start, part in PARTS.items() if operation.startswith(start)), REST)


class Laps:
    """The clock, and the seconds of every part.

    Args:
        wait: a function that returns when the device has done what it was given.
    """

    as_run = True  # operations that are otherwise run as one are so here too

    def __init__(self, wait):
        self.wait = wait
        self.seconds = {}
        self.inside = None  # the part of the module of MODULES that runs
        self.of_node = {}  # number of a recorded node → its part
        self.last = time.perf_counter()

    def restart(self):
        self.of_node.clear()
        self.wait()
        self.last = time.perf_counter()

    def lap(self, part):
        self.wait()
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self.last
        self.last = now

    # ------------------------------------------------------------ the points
    def __call__(self, node, out):
        """An operation was recorded."""
        part = self.inside or part_of(node.op.name)
        self.of_node[node.number] = part
        self.lap(part + FORWARD if part != REST else REST)

    def timed_forward(self, op):
        forward, part = op.forward, part_of(op.name)

        def timed(*arrays, **params):
            out = forward(*arrays, **params)
            self.lap(part)
            return out

        return timed

    def timed_pull(self, pull):
        def timed(node, *arguments):
            self.lap(REST)
            gradients = pull(node, *arguments)
            part = self.of_node.get(node.number, REST)
            self.lap(part + BACKWARD if part != REST else REST)
            return gradients

        return timed


@contextlib.contextmanager
def watching(laps, model, optimizer):
    """The points of a step of the model and the optimizer lead to laps, within the block."""
    handles = [
        model.register_forward_pre_hook(lambda *_: laps.lap(OPTIMIZER)),
        optimizer.register_step_pre_hook(lambda *_: laps.lap(REST)),
        optimizer.register_step_post_hook(lambda *_: laps.lap(OPTIMIZER)),
    ]
    for module in model.modules():
        part = MODULES.get(type(module))
        if part is not None:
            handles.append(module.register_forward_pre_hook(lambda *_, part=part: setattr(laps, "inside", part)))
            handles.append(module.register_forward_hook(lambda *_: setattr(laps, "inside", None)))
    pulls = [(op, "pull" in vars(op), op.pull) for op in OPS.values()]
    forwards = [(OPS[name], OPS[name].forward) for name in GRADIENTS]
    before, MODE.on_record = MODE.on_record, laps
    try:
        for op, _, pull in pulls:
            op.pull = laps.timed_pull(pull)
        for op, _ in forwards:
            op.forward = laps.timed_forward(op)
        yield
    finally:
        for op, forward in forwards:
            op.forward = forward
        MODE.on_record = before
        for op, own, pull in pulls:
            if own:
                op.pull = pull
            else:
                del op.pull
        for handle in handles:
            handle.remove()


def profile(case, steps):
    """Where the time of a training step of a cases.NetworkCase goes, the mean over so many steps.

    Steps with the clock in them take turns with steps as they are otherwise timed, so that the two can be compared.

    Returns:
        dict: "parts": {part: milliseconds}, in ORDER; "step": milliseconds of a step without the clock.
    """
    laps = Laps(minigrad.cuda.synchronize if case.device != "cpu" else lambda: None)
    plain = 0.0
    for _ in range(steps):
        plain += case.step()["step"]
        with watching(laps, case.model, case.optimizer):
            laps.restart()
            case.step()
    parts = {part: 1e3 * laps.seconds[part] / steps for part in dict.fromkeys(ORDER) if part in laps.seconds}
    return {"parts": parts, "step": plain / steps}
