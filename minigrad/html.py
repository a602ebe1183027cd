"""How notebooks show tensors and modules: short HTML, which takes the notebook's colours."""

from html import escape

_MOST_LAYERS = 500
_PRE = '<pre style="margin: 0; line-height: 1.2">'
_QUIET = '<span style="opacity: 0.6">'
_INDENT = "margin-left: 1.4em"


def tensor_html(tensor):
    """Return a line with shape, dtype and device of a tensor, and its values as repr prints them."""
    if getattr(tensor, "is_uninitialized", False):
        return f"{_PRE}{escape(repr(tensor))}</pre>"
    shape = " × ".join(map(str, tensor.shape)) or "0-d"
    kind = type(tensor).__name__
    facts = ["Tensor" if kind in ("Variable", "View") else kind, shape, tensor.dtype.name, str(tensor.device)]
    if tensor.requires_grad:
        facts.append("requires grad")
    return f"<div>{_QUIET}{escape(' · '.join(facts))}</span>{_PRE}{escape(repr(tensor))}</pre></div>"


def module_html(module):
    """Return the layers of a module, to be folded in and out: name, type, settings and number of parameters of each."""
    rows, left_out = [], [0]
    _add_layer(module, "", rows, left_out)
    if left_out[0]:
        rows.append(f'<div style="{_INDENT}">{_QUIET}… and {left_out[0]} more</span></div>')
    return f'<div style="font-family: monospace">{"".join(rows)}</div>'


def _add_layer(module, name, rows, left_out):
    """Append the rows of one layer and of those in it."""
    if len(rows) >= _MOST_LAYERS:
        left_out[0] += sum(1 for _ in module.modules())
        return
    children = {key: child for key, child in module._modules.items() if child is not None}
    label = f"{escape(name)}: " if name else ""
    settings = "" if children else f"({escape(' '.join(module.extra_repr().split()))})"
    line = f"{label}<b>{escape(module._get_name())}</b>{settings} {_QUIET}{_parameters(module)}</span>"
    style = f' style="{_INDENT}"' if name else ""
    if not children:
        rows.append(f"<div{style}>{line}</div>")
        return
    rows.append(f"<details{style}{'' if name else ' open'}><summary>{line}</summary>")
    for key, child in children.items():
        _add_layer(child, key, rows, left_out)
    rows[-1] += "</details>"


def _parameters(module):
    """Return how many numbers a module learns, as words."""
    found = list(module.parameters())
    if any(getattr(parameter, "is_uninitialized", False) for parameter in found):
        return "parameters unknown before the first forward"
    total = sum(parameter.numel() for parameter in found)
    frozen = total - sum(parameter.numel() for parameter in found if parameter.requires_grad)
    return f"{total:,} parameters" * bool(total) + f", {frozen:,} frozen" * bool(frozen)
