"""What a worker measures of one network on a GPU: modes and precisions of one library, one after the other.

minigrad has PyTorch's names, so that one text serves both: ``library`` is either module.
"""
import contextlib
import math
import zlib

from benchmarks import networks
from benchmarks.cases import Stopwatch

WARM_PASSES = 3  # kernels are compiled, plans built, and the allocator's blocks there
STRICT, TF32, MIXED = "float32", "TF32", "mixed"
PRECISIONS = (STRICT, TF32, MIXED)
# Label of results → (library, mode). TF32 is PyTorch's default: convolutions in TF32, matrix products in float32.
IM2COL, CUDNN, CAPTURED = "minigrad im2col", "minigrad cuDNN", "minigrad captured"
EAGER, TUNED = "torch", "torch channels-last, tuned"
MODES = {
    IM2COL: ("minigrad", "im2col"),
    CUDNN: ("minigrad", "cudnn"),
    CAPTURED: ("minigrad", "captured"),
    EAGER: ("torch", "cudnn"),
    TUNED: ("torch", "tuned"),
}
LOSS_SCALE = 128.0  # of mixed precision: constant, so that no library waits for the check of infinities
PRIME = 65521


def numbers(library, count, seed, device):
    """Numbers in [-1, 1) that are the same in every library: integer arithmetic alone. # (count,), float32"""
    index = library.arange(count, device=device)
    mixed = (index * 40503 + seed) % PRIME
    mixed = (mixed * mixed + index) % PRIME
    return mixed.float() / (PRIME / 2) - 1


class GpuCase:
    """A network whose weights are the same in every library, to be measured in one setting after another."""

    def __init__(self, adapter, network, image_size, device):
        self.library = library = adapter.library
        self.device = device
        self.row = networks.network_of(network)
        self.image_size = image_size
        with library.device(device):
            self.model = adapter.build(network, image_size, self.row.classes).to(device)
        with library.no_grad():
            for name, parameter in self.model.named_parameters():
                if parameter.dim() > 1:
                    fan_in = parameter.numel() // parameter.shape[0]
                    seed = zlib.crc32(name.encode()) % PRIME
                    values = numbers(library, parameter.numel(), seed, device) * math.sqrt(6 / fan_in)
                    parameter.copy_(values.reshape(parameter.shape))
                else:
                    parameter.fill_(0.0 if name.endswith("bias") else 1.0)
        # so small a rate that no network leaves the range of ordinary numbers, in which alone times are comparable
        self.optimizer = library.optim.SGD(self.model.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)

    # ------------------------------------------------------------ settings
    @contextlib.contextmanager
    def setting(self, mode, precision):
        """The library's switches for one mode and precision, within the block."""
        library = self.library
        if self.device == "cpu":
            yield
            return
        cudnn, matmul = library.backends.cudnn, library.backends.cuda.matmul
        before = cudnn.enabled, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
        cudnn.enabled, cudnn.benchmark = mode != "im2col", mode == "tuned"
        cudnn.allow_tf32, matmul.allow_tf32 = precision != STRICT, False
        if mode == "tuned":
            self.model.to(memory_format=library.channels_last)
        try:
            if precision == MIXED:
                with library.autocast("cuda", dtype=library.float16):
                    yield
            else:
                yield
        finally:
            cudnn.enabled, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
            if mode == "tuned":
                self.model.to(memory_format=library.contiguous_format)

    def minibatch(self, batch, mode="cudnn"):
        library = self.library
        shape = (batch, self.row.channels, self.image_size, self.image_size)
        images = numbers(library, math.prod(shape), 7, self.device).reshape(shape)
        if mode == "tuned":
            images = images.to(memory_format=library.channels_last)
        labels = library.arange(batch, device=self.device) % self.row.classes
        return images, labels

    # ------------------------------------------------------------ the work
    def turn(self, mode, precision, batch, passes):
        """{"times": {part: [milliseconds]}, "memory": bytes that a training step takes at the most}.

        Memory on a GPU, of the eager modes: what a captured step holds lies in a pool of its own.
        """
        with self.setting(mode, precision):
            images, labels = self.minibatch(batch, mode)
            if mode == "captured":
                return self.captured(images, labels, passes)
            gradient = numbers(self.library, batch * self.row.classes, 11, self.device)
            gradient = gradient.reshape(batch, self.row.classes) / batch
            self.model.train()
            on_gpu = self.device != "cpu"
            for _ in range(WARM_PASSES if on_gpu else 1):
                self.both(images, gradient)
                self.step(images, labels, precision)
            memory = self.peak(images, labels, precision) if on_gpu else None
            times = {"forward": [], "backward": [], "step": []}
            for _ in range(passes):
                for part, elapsed in self.both(images, gradient).items():
                    times[part].append(elapsed)
                watch = Stopwatch(self.library, self.device)
                loss = self.step(images, labels, precision)
                times["step"].append(watch.lap())
                require_finite(loss)
        return {"times": times, "memory": memory}

    def both(self, images, gradient):
        """Forward and backward, with gradients to the images and to all parameters."""
        self.optimizer.zero_grad()
        images = images.detach().requires_grad_()
        watch = Stopwatch(self.library, self.device)
        scores = self.model(images)
        forward = watch.lap()
        scores.backward(gradient.to(scores.dtype))
        return {"forward": forward, "backward": watch.lap()}

    def loss(self, scores, labels):
        return self.library.nn.functional.cross_entropy(scores, labels)

    def step(self, images, labels, precision):
        self.optimizer.zero_grad()
        loss = self.loss(self.model(images), labels)
        (loss * LOSS_SCALE if precision == MIXED else loss).backward()
        self.optimizer.step()
        return loss.detach()

    def captured(self, images, labels, passes):
        """The training step, recorded once and replayed; copying the images to where the graph reads them included."""
        self.model.train()
        step = self.library.cuda.make_graphed_step(self.model, self.loss, self.optimizer, (images, labels))
        step(images, labels)
        found = []
        for _ in range(passes):
            watch = Stopwatch(self.library, self.device)
            loss = step(images, labels)
            found.append(watch.lap())
            require_finite(loss)
        return {"times": {"step": found}, "memory": None}

    def peak(self, images, labels, precision):
        cuda = self.library.cuda
        self.optimizer.zero_grad()
        cuda.empty_cache()
        cuda.synchronize()
        cuda.reset_peak_memory_stats()
        before = cuda.memory_allocated()
        self.step(images, labels, precision)
        cuda.synchronize()
        return cuda.max_memory_allocated() - before

    def scores(self, mode, batch):
        """What the network says in evaluation mode and strict float32, as nested lists (batch, classes)."""
        with self.setting(mode, STRICT), self.library.no_grad():
            images, _ = self.minibatch(batch, mode)
            self.model.eval()
            return self.model(images).float().cpu().tolist()

    def release(self):
        """Give the memory of activations back, for the other library's turn."""
        self.optimizer.zero_grad()
        if self.device != "cpu":
            self.library.cuda.empty_cache()


def require_finite(loss):
    if not math.isfinite(loss.item()):
        raise RuntimeError(f"the loss of a training step is {loss.item()}")


# ---------------------------------------------------------------- what a launch costs
CALLS, ROUNDS = 1000, 5


def launches(library, device):
    """Name → microseconds that Python takes to start one tiny operation; the GPU is not waited for."""
    x, y = library.ones(8, 8, device=device), library.ones(8, 8, device=device)
    tracked = library.ones(8, 8, device=device, requires_grad=True)
    work = {
        "x + y": lambda: x + y,
        "x.relu()": lambda: x.relu(),
        "x.sum()": lambda: x.sum(),
        "x @ y": lambda: x @ y,
        "w * y, recorded": lambda: tracked * y,
        "w * y, and backward": lambda: (tracked * y).backward(x),
    }
    found = {}
    for name, run in work.items():
        rounds = []
        for _ in range(ROUNDS + 1):  # the first one compiles
            watch = Stopwatch(library, device)
            wait, watch.wait = watch.wait, lambda: None
            for _ in range(CALLS):
                run()
            rounds.append(1e3 * watch.lap() / CALLS)
            wait()
        found[name] = sorted(rounds[1:])[ROUNDS // 2]
    return found
