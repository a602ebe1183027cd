"""What a worker measures. minigrad has PyTorch's names, so that one text serves both: ``library`` is either module.

A case has methods that do the work once and return the milliseconds of its parts.
"""
import math
import time

from benchmarks import networks, operations


class Stopwatch:
    """Milliseconds between calls, the work on a GPU waited for."""

    def __init__(self, library, device):
        self.wait = library.cuda.synchronize if device != "cpu" else lambda: None
        self.wait()
        self.last = time.perf_counter()

    def lap(self):
        self.wait()
        now = time.perf_counter()
        elapsed = 1e3 * (now - self.last)
        self.last = now
        return elapsed


class NetworkCase:
    """A network with one minibatch of random images and labels.

    Args:
        adapter: benchmarks.library_minigrad or benchmarks.peer_torch.
        network: a name of benchmarks/networks.py.
        batch, image_size: the minibatch is (batch, channels, image_size, image_size), float32.
        device: "cpu" or a GPU's name.
    """

    MEASURES = ("pass", "step", "inference")

    def __init__(self, adapter, network, batch, image_size, device="cpu"):
        self.library = library = adapter.library
        self.device = device
        row = networks.network_of(network)
        library.manual_seed(0)
        self.model = adapter.build(network, image_size, row.classes).to(device)
        shape = (batch, row.channels, image_size, image_size)
        self.images = library.randn(*shape).to(device)
        self.labels = (library.arange(batch) % row.classes).to(device)
        self.gradient = library.randn(batch, row.classes).to(device) / batch
        # so small a rate that no network leaves the range of ordinary numbers, in which alone times are comparable
        self.optimizer = library.optim.SGD(self.model.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)

    def measure(self, what):
        return {"pass": self.forward_and_backward, "step": self.step, "inference": self.inference}[what]()

    def forward_and_backward(self):
        """Training mode, gradients to the images and to all parameters."""
        self.model.train()
        self.model.zero_grad(set_to_none=True)
        images = self.images.detach().requires_grad_()
        watch = Stopwatch(self.library, self.device)
        scores = self.model(images)
        forward = watch.lap()
        scores.backward(self.gradient)
        return {"forward": forward, "backward": watch.lap()}

    def step(self):
        """A training step: forward, loss, backward to the parameters, optimizer; the images need no gradient."""
        self.model.train()
        watch = Stopwatch(self.library, self.device)
        self.optimizer.zero_grad()
        loss = self.library.nn.functional.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        elapsed = watch.lap()
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"the loss of a training step is {loss.item()}")
        return {"step": elapsed}

    def inference(self):
        self.model.eval()
        with self.library.no_grad():
            watch = Stopwatch(self.library, self.device)
            self.model(self.images)
            return {"inference": watch.lap()}

    # ------------------------------------------------------------ do both compute the same?
    def save(self, path):
        """Write the weights and the images for another library's network."""
        state = {name: value.cpu() for name, value in self.model.state_dict().items()}
        self.library.save({"weights": state, "images": self.images.cpu()}, path)

    def load(self, path):
        """Take over weights and images; RuntimeError for those of another network."""
        content = self.library.load(path, weights_only=True)
        self.model.load_state_dict(content["weights"])
        self.images = content["images"].to(self.device)

    def scores(self):
        """What the network says in evaluation mode, as nested lists (batch, classes)."""
        self.model.eval()
        with self.library.no_grad():
            return self.model(self.images).cpu().tolist()


class LayerCase:
    """One convolution, its gradient to the input and its gradient to the weight."""

    MEASURES = ("forward", "input", "weight")

    def __init__(
        self,
        adapter,
        *,
        channels,
        outputs,
        kernel,
        stride,
        padding,
        groups,
        bias,
        side,
        batch,
        device="cpu",
        count=1,
    ):
        self.library = library = adapter.library
        self.device = device
        library.manual_seed(0)
        shape = (outputs, channels // groups, kernel, kernel)
        self.weight = (library.randn(*shape) / math.sqrt(math.prod(shape[1:]))).to(device)
        self.bias = library.randn(outputs).to(device) if bias else None
        self.images = library.randn(batch, channels, side, side).to(device)
        self.options = {"stride": stride, "padding": padding, "groups": groups}
        self.gradient = library.ones_like(self._convolve(self.images, self.weight))

    def _convolve(self, images, weight):
        return self.library.nn.functional.conv2d(images, weight, self.bias, **self.options)

    def measure(self, what):
        if what == "forward":
            with self.library.no_grad():
                watch = Stopwatch(self.library, self.device)
                self._convolve(self.images, self.weight)
                return {what: watch.lap()}
        images = self.images.detach().requires_grad_(what == "input")
        weight = self.weight.detach().requires_grad_(what == "weight")
        result = self._convolve(images, weight)
        watch = Stopwatch(self.library, self.device)
        result.backward(self.gradient)
        return {what: watch.lap()}


class OperationCase:
    """One line of benchmarks/operations.py: the op alone, and with its backward pass."""

    MEASURES = ("forward", "backward")

    def __init__(self, adapter, operation, device="cpu"):
        self.library = library = adapter.library
        self.device = device
        library.manual_seed(0)
        row = operations.OPERATIONS[operation]
        self.function = row.function
        self.inputs = [library.randn(*shape).to(device) for shape in row.shapes]
        self.module = None
        if row.make is None:
            self.helper = (library.arange(row.shapes[0][0]) % row.shapes[0][-1]).to(device)
        else:
            self.helper = row.make(library, device, row.shapes)
            self.module = self.helper if isinstance(self.helper, library.nn.Module) else None
        self.gradient = library.ones_like(self._result(self.inputs).detach()) if row.shapes else None

    def _result(self, inputs):
        return self.function(self.library, self.helper, *inputs)

    def measure(self, what):
        if what == "forward":
            with self.library.no_grad():
                watch = Stopwatch(self.library, self.device)
                self._result(self.inputs)
                return {what: watch.lap()}
        inputs = [value.detach().requires_grad_() for value in self.inputs]
        if self.module is not None:
            self.module.zero_grad(set_to_none=True)
        watch = Stopwatch(self.library, self.device)
        self._result(inputs).backward(self.gradient)
        return {what: watch.lap()}


class UpdateCase(OperationCase):
    """One step of an optimizer of benchmarks/operations.py."""

    MEASURES = ("forward",)


class ProductCase:
    """A large square matrix product: the rate that bounds what a network can reach on this machine."""

    MEASURES = ("product",)

    def __init__(self, adapter, side, device="cpu"):
        self.library = adapter.library
        self.device = device
        self.matrix = self.library.randn(side, side).to(device)

    def measure(self, what):
        with self.library.no_grad():
            watch = Stopwatch(self.library, self.device)
            self.matrix @ self.matrix  # noqa: B018 - computed for its time
            return {what: watch.lap()}


KINDS = {
    "network": NetworkCase,
    "layer": LayerCase,
    "operation": OperationCase,
    "update": UpdateCase,
    "product": ProductCase,
}
