"""minigrad as a worker sees it: the library, its networks, its version. peer_torch.py is the same for PyTorch."""
import importlib
import importlib.metadata

import minigrad as library
import models
from benchmarks import networks
from benchmarks.step_profile import profile

__all__ = ["build", "convolutions", "library", "multiply_adds", "profile", "versions"]


def build(name, image_size, classes):
    """One of the networks of benchmarks/networks.py."""
    network = networks.network_of(name)
    if network.builder == "mlp":
        return networks.mlp(library.nn, network.channels * image_size**2, classes)
    return models.build(
        network.builder,
        num_classes=classes,
        in_channels=network.channels,
        image_size=image_size,
        **network.arguments,
    )


def versions():
    """What computes: the framework, NumPy and its BLAS."""
    from threadpoolctl import threadpool_info

    found = {"minigrad": library.__version__, "NumPy": importlib.metadata.version("numpy")}
    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            kernels = f", {pool['architecture']} kernels" if pool.get("architecture") else ""
            found["BLAS"] = f"{pool['internal_api']} {pool['version']}{kernels}"
    if library.cuda.is_available():
        cupy = importlib.import_module("cupy")
        found["CuPy"] = cupy.__version__  # its package is called after the CUDA version
        found["GPU"] = library.cuda.get_device_name()
        found["CUDA"] = f"{cupy.cuda.runtime.runtimeGetVersion()}, driver {cupy.cuda.runtime.driverGetVersion()}"
        found["minigrad's cuDNN"] = str(library.backends.cudnn.version())
    return found


# ---------------------------------------------------------------- what a network consists of
def multiply_adds(name, image_size):
    """Multiply-adds of one image in inference and in a training step, as {"inference": …, "step": …}.

    Nothing is computed. Each product of the forward pass has two of its size backward, but for the first one, that of
    the images: they need no gradient.
    """
    network = networks.network_of(name)
    found = []

    def count(op, products, shapes):
        found.append(products)

    with library.nn.init.paused():
        model = build(name, image_size, network.classes)
    with library.no_grad(), library.utils.products.watch_products(count, compute=False):
        model.eval()(library.zeros(1, network.channels, image_size, image_size))
    return {"inference": sum(found), "step": 3 * sum(found) - found[0]}


def convolutions(name, image_size):
    """The distinct convolutions of a network, in order: dicts for cases.LayerCase, with how often each occurs."""
    network = networks.network_of(name)
    with library.nn.init.paused():
        model = build(name, image_size, network.classes).eval()
    found = {}

    def note(layer, inputs, output):
        key = {
            "channels": layer.in_channels,
            "outputs": layer.out_channels,
            "kernel": layer.kernel_size[0],
            "stride": layer.stride[0],
            "padding": layer.padding[0],
            "groups": layer.groups,
            "bias": layer.bias is not None,
            "side": inputs[0].shape[2],
        }
        found[tuple(key.items())] = found.get(tuple(key.items()), 0) + 1

    for layer in model.modules():
        if isinstance(layer, library.nn.Conv2d):
            layer.register_forward_hook(note)
    with library.no_grad(), library.utils.products.watch_products(lambda *_: None, compute=False):
        model(library.zeros(1, network.channels, image_size, image_size))
    return [{**dict(key), "count": count} for key, count in found.items()]
