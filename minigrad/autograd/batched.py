"""Gradients for a batch of output gradients: grad(is_grads_batched=True)."""

from minigrad import engine
from minigrad.tensor import Tensor


def _batched(outputs, inputs, grad_outputs, retain_graph, create_graph, settings):
    """Return the gradients of each entry along dimension 0 of the output gradients, stacked along 0."""
    from minigrad.ops.join import stack  # ops needs Tensor's methods, which are made together with this module
    from minigrad.ops.split import unbind

    grad_outputs = (grad_outputs,) if grad_outputs is None or isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    if any(gradient is None for gradient in grad_outputs):
        raise RuntimeError(
            "grad can be implicitly created only for scalar outputs: is_grads_batched needs grad_outputs"
        )
    sizes = {gradient.shape[0] if gradient.ndim else 0 for gradient in grad_outputs}
    if len(sizes) != 1 or sizes == {0}:
        raise IndexError("is_grads_batched: grad_outputs need a first dimension of the same length, not 0")
    rows = list(zip(*[unbind(gradient) for gradient in grad_outputs], strict=True))
    keep = create_graph if retain_graph is None else retain_graph
    results = []
    for number, row in enumerate(rows):
        again = keep or number + 1 < len(rows)
        results.append(engine.grad(outputs, inputs, row, again, create_graph, **settings))
    return tuple(None if column[0] is None else stack(column) for column in zip(*results, strict=True))


engine.batched = _batched
