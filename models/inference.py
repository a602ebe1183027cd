"""Networks made ready for inference: batch norm and ReLU folded into the layers in front of them."""
import copy
from collections import Counter

import minigrad
from minigrad import nn
from minigrad.nn.utils import fusion

__all__ = ["optimize_for_inference"]

# Layers that batch norm can be folded into: the dimensions of an output whose second one batch norm takes for channels.
FOLDABLE = {
    nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5, nn.ConvTranspose1d: 3, nn.ConvTranspose2d: 4, nn.ConvTranspose3d: 5,
    nn.Linear: 2,
}  # fmt: skip
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
PAIRS = {
    nn.Conv1d: nn.intrinsic.ConvReLU1d, nn.Conv2d: nn.intrinsic.ConvReLU2d, nn.Conv3d: nn.intrinsic.ConvReLU3d
}  # fmt: skip
TOLERANCE = 1e-3  # of the largest output: folding rounds differently, a wrong fold gives something else altogether


def optimize_for_inference(model, example_inputs=None):
    """A copy of a network for evaluation, with batch norms and ReLUs folded into the convolutions before them.

    Batch norm in evaluation is a constant factor and summand per channel, and both can be the convolution's own (or the
    linear layer's); what was a batch norm becomes nn.Identity. A ReLU that follows is applied while the convolution's
    result is in the cache. Which layers follow each other is found by running the copy: a pair is folded if, for the
    example, nothing but the second layer sees what the first one returns. Layers that run more than once, that have
    hooks, that are subclasses of the layers named above or have a ``forward`` of their own stay as they are. The copy's
    parameters are its own, trainable where the model's are; it is not for training. The model is left as it was.

    Args:
        model: any nn.Module; it must give the same result for the same input in evaluation mode, on the same way
            through its layers whatever the input is.
        example_inputs: what to call the model with, a tensor or a tuple of arguments; may be left out for networks of
            this package, which know the size of their images.

    Raises:
        ValueError: without example_inputs, for a model that does not know its images' size.
        RuntimeError: if the model gives two results for one input, or holds its layers in other places than its
            modules, so that they can't be replaced.

    >>> import models
    >>> network = models.build("small_resnet", image_size=32).eval()
    >>> fast = models.optimize_for_inference(network)
    >>> images = minigrad.rand(2, 3, 32, 32)
    >>> minigrad.allclose(fast(images), network(images), atol=1e-4)
    True
    """
    model = copy.deepcopy(model).eval()
    with minigrad.no_grad():
        tracer = _Tracer(model, _example(model, example_inputs))
        for first, norm in tracer.links(_takes_norm):
            _fold_norm(first, norm)
            _replace(model, norm, nn.Identity())
        _fold_relus(model, tracer.links(_takes_relu), tracer.calls)
        tracer.check(tracer.run())
    return model


def _example(model, inputs):
    """The arguments to call the model with, as a tuple."""
    if isinstance(inputs, minigrad.Tensor):
        return (inputs,)
    if inputs is not None:
        return tuple(inputs)
    channels, size = (getattr(model, name, None) for name in ("in_channels", "image_size"))
    if not (isinstance(channels, int) and isinstance(size, int)):
        raise ValueError(
            f"optimize_for_inference: {type(model).__name__} does not say what images it takes (in_channels, "
            "image_size); give example_inputs, a tensor or a tuple of arguments"
        )
    like = next(model.parameters(), None)
    if like is None:
        raise ValueError(f"optimize_for_inference: {type(model).__name__} has no parameters, as eight-bit networks")
    images = minigrad.randn(1, channels, size, size, generator=minigrad.Generator().manual_seed(0))
    return (images.to(like.device, like.dtype),)


# ---------------------------------------------------------------- what is folded
def _takes_norm(first, output, norm):
    """Whether batch norm of this output can be folded into the layer that made it."""
    return (
        FOLDABLE.get(type(first)) == output.ndim
        and type(norm) in NORMS
        and not norm.training
        and norm.running_mean is not None
        and norm.running_var is not None
        and not (type(first) in TRANSPOSED and first.groups > 1)
    )


def _takes_relu(first, output, relu):
    return type(first) in PAIRS and type(relu) is nn.ReLU


def _fold_norm(first, norm):
    """Make a layer compute what the batch norm behind it made of its result."""
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    if type(first) is nn.Linear:
        first.weight, first.bias = fusion.fuse_linear_bn_weights(first.weight, first.bias, *statistics)
        return
    first.weight, first.bias = fusion.fuse_conv_bn_weights(
        first.weight, first.bias, *statistics, transpose=type(first) in TRANSPOSED
    )


def _fold_relus(model, links, calls):
    """Put pairs in the convolutions' places; a ReLU that others call too learns to leave the pairs' results alone."""
    followed = Counter(relu for _, relu in links)
    for conv, relu in links:
        pair = PAIRS[type(conv)](conv, nn.ReLU(inplace=True))
        if calls[relu] > followed[relu]:
            pair.append(_Mark())
        _replace(model, conv, pair)
    for relu, count in followed.items():
        _replace(model, relu, nn.Identity() if calls[relu] == count else _SharedReLU(relu.inplace))


class _Mark(nn.Module):
    """Marks a tensor as having gone through the ReLU that is called next."""

    def forward(self, input):
        input.is_rectified = True
        return input


class _SharedReLU(nn.ReLU):
    """A ReLU that several layers share: what a pair has marked it hands on, and takes the mark off."""

    def forward(self, input):
        if getattr(input, "is_rectified", False):
            del input.is_rectified
            return input
        return super().forward(input)


def _replace(model, old, new):
    new.train(old.training)
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is old and parent is not new:
                setattr(parent, name, new)


# ---------------------------------------------------------------- which layers follow each other
class _Tracer:
    """Runs a model on an example to see which layer's result goes into which other layer, and nowhere else."""

    def __init__(self, model, inputs):
        self.model, self.inputs = model, inputs
        self.calls = Counter()
        self.expected = self.run()
        if not self.expected or not all(minigrad.isfinite(tensor).all() for tensor in self.expected):
            raise RuntimeError(
                f"optimize_for_inference: what {type(model).__name__} gives for the example has no tensors or not only "
                "finite numbers; give other example_inputs"
            )

    def run(self, hook=None):
        """The tensors that the model returns, with a forward hook on all layers that may be folded."""
        layers = [module for module in self.model.modules() if hook is not None and _is_plain(module)]
        handles = [layer.register_forward_hook(hook) for layer in layers]
        try:
            inputs = [value.clone() if isinstance(value, minigrad.Tensor) else value for value in self.inputs]
            return [tensor.clone() for tensor in _tensors(self.model(*inputs))]
        finally:
            for handle in handles:
                handle.remove()

    def check(self, results):
        """RuntimeError unless these are the model's first results, but for rounding."""
        for found, expected in zip(results, self.expected, strict=True):
            if expected.is_floating_point():
                largest = float(expected.abs().max()) if expected.numel() else 0.0
                if not minigrad.allclose(found, expected, rtol=0.0, atol=TOLERANCE * largest):
                    raise RuntimeError(
                        f"optimize_for_inference: {type(self.model).__name__} gives different results for one input: "
                        "it is random in evaluation mode, or calls layers that it does not hold as modules"
                    )

    def links(self, accepts):
        """The pairs (first, second) of layers where nobody but the second sees what the first returns."""
        makers, found, kept = {}, [], []
        self.calls = Counter()

        def observe(layer, args, output):
            self.calls[layer] += 1
            maker = makers.get(id(args[0])) if len(args) == 1 else None
            if maker is not None and accepts(maker, args[0], layer):
                found.append((maker, layer))
            makers[id(output)] = layer
            kept.append(output)  # no other tensor gets its id

        results = self.run(observe)
        self.check(results)
        readers = Counter(maker for maker, _ in found)
        once = [
            (maker, layer)
            for maker, layer in found
            if readers[maker] == self.calls[maker] == 1 and (self.calls[layer] == 1 or type(layer) is nn.ReLU)
        ]
        return self._unnoticed(once, results)

    def _unnoticed(self, links, results):
        """Those links whose first layers can return NaN, hidden from the second ones, without any other result."""
        if not links or all(map(minigrad.equal, self._with_nans(dict(links)), results)):
            return links
        if len(links) == 1:
            return []
        middle = len(links) // 2
        return self._unnoticed(links[:middle], results) + self._unnoticed(links[middle:], results)

    def _with_nans(self, readers):
        """The results when the layers in readers, {first: second}, return NaN to all but their second layer."""
        hidden = {}  # id of NaNs: (the NaNs, what they stand for, who may know)

        def deceive(layer, args, output):
            nans, value, reader = hidden.get(id(args[0]), (None, None, None)) if args else (None, None, None)
            if reader is layer:
                output = layer.forward(value)
            if layer in readers:
                nans = minigrad.full_like(output, float("nan"))
                hidden[id(nans)] = nans, output, readers[layer]
                output = nans
            return output

        return self.run(deceive)


def _is_plain(module):
    """Whether a layer is one of those that can be folded, with no hooks and no methods of its own."""
    if type(module) not in FOLDABLE and type(module) not in (*NORMS, nn.ReLU):
        return False
    own = vars(module)
    hooks = [name for name, value in own.items() if name.endswith("_hooks") and value]
    return not hooks and "forward" not in own and "_conv_forward" not in own


def _tensors(value):
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(value, minigrad.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    return [tensor for part in value for tensor in _tensors(part)]
