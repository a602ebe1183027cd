"""Bringing the next batch to a GPU while it works on this one."""

import collections
from concurrent.futures import ThreadPoolExecutor

from minigrad.backend import cupy_module
from minigrad.tensor import Tensor, as_device, wrap
from minigrad.utils.data.collate import map_tensors, pin_memory


class Prefetcher:
    """The batches of a loader on a device: while one is worked on, the next is copied to the GPU by itself.

    Arguments: loader (a DataLoader or another iterable of batches: tensors, and dicts, lists and tuples with them),
    device. A thread copies a batch to page-locked memory (unless the loader has pin_memory=True), from where it goes
    to the GPU in a stream of its own; two batches are there at a time, and the current stream waits for the one that
    is handed out. For the CPU the batches are the loader's. RuntimeError where there is no such GPU.

    >>> import minigrad as mg
    >>> loader = mg.utils.data.DataLoader(mg.utils.data.TensorDataset(mg.arange(4)), batch_size=2)
    >>> device = "cuda" if mg.cuda.is_available() else "cpu"
    >>> [x.tolist() for (x,) in mg.utils.data.Prefetcher(loader, device)]
    [[0, 1], [2, 3]]
    """

    def __init__(self, loader, device="cuda"):
        self.loader = loader
        self.device = as_device(device)
        if self.device.type == "cuda":
            cupy_module()

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return iter(self.loader) if self.device.type == "cpu" else self._on_gpu()

    def _on_gpu(self):
        cupy = cupy_module()
        gpu = cupy.cuda.Device(self.device.index)
        with gpu:
            side = cupy.cuda.Stream(non_blocking=True)
        batches, staged = iter(self.loader), collections.deque()
        with ThreadPoolExecutor(1, "pinning") as pool:

            def stage():
                for batch in batches:
                    staged.append(pool.submit(pin_memory, batch))
                    break

            def send():
                """Return (a batch on its way, the event after it), or None at the end."""
                if not staged:
                    return None
                pinned = staged.popleft().result()
                with gpu:
                    return self._sent(pinned, side), side.record()

            stage()
            stage()
            upcoming = send()
            while upcoming is not None:
                (batch, arrived), upcoming = upcoming, None
                stage()
                upcoming = send()
                with gpu:
                    cupy.cuda.get_current_stream().wait_event(arrived)
                yield batch

    def _sent(self, batch, side):
        from minigrad.backend.gpu import send

        def to_gpu(tensor):
            return tensor.to(self.device) if tensor.is_cuda else wrap(send(tensor.array, True, side))

        def own(data):
            movable = hasattr(data, "to") and not isinstance(data, Tensor)
            return data.to(self.device, non_blocking=True) if movable else NotImplemented

        return map_tensors(batch, to_gpu, own)
