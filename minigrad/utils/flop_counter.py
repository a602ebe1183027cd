"""Counts of floating-point operations: PyTorch's torch.utils.flop_counter."""

import contextlib
import threading

from minigrad.absent import getter
from minigrad.nn import hooks
from minigrad.utils.products import watch_products

__all__ = ["FlopCounterMode"]


class FlopCounterMode:
    """Count, within a ``with`` block, the operations of the convolutions and matrix products that run in this thread.

    A multiplication and the addition after it are two, those of backward count too; what is elementwise or a sum is
    not counted. Arguments: mods (not needed), depth (of the table's modules), display (print the table at the end),
    custom_mapping (refused: everything is counted by the products it is made of).
    Source: https://github.com/pytorch/pytorch/blob/main/torch/utils/flop_counter.py

    >>> import minigrad as mg
    >>> with mg.utils.flop_counter.FlopCounterMode(display=False) as counter:
    ...     _ = mg.ones(2, 3) @ mg.ones(3, 4)
    >>> counter.get_total_flops()
    48
    """

    def __init__(self, mods=None, depth=2, display=True, custom_mapping=None):
        if custom_mapping:
            raise ValueError("FlopCounterMode: operations are counted by their products; leave out custom_mapping")
        self.depth, self.display = depth, display
        self._counts, self._inside, self._stack = {"Global": {}}, [], None

    def __enter__(self):
        self._counts, self._inside, owner = {"Global": {}}, [], threading.get_ident()

        def enter(module, inputs):
            if threading.get_ident() == owner:
                self._inside.append((module, self._name(module)))

        def leave(module, inputs, output):
            if threading.get_ident() == owner and self._inside:
                self._inside.pop()

        with contextlib.ExitStack() as stack:
            stack.callback(hooks.register_module_forward_pre_hook(enter).remove)
            stack.callback(hooks.register_module_forward_hook(leave, always_call=True).remove)
            stack.enter_context(watch_products(self._count))
            self._stack = stack.pop_all()
        return self

    def _name(self, module):
        """Return a module's name: that of the one around it and its own there, or of its class."""
        if not self._inside:
            return type(module).__name__
        parent, name = self._inside[-1]
        own = next((path for path, child in parent.named_modules() if child is module), type(module).__name__)
        return f"{name}.{own}"

    def _count(self, op, multiply_adds, shapes):
        for name in ("Global", *[name for _, name in self._inside]):
            counts = self._counts.setdefault(name, {})
            counts[op.name] = counts.get(op.name, 0) + 2 * multiply_adds

    def __exit__(self, *exception):
        self._stack.close()
        if self.display and exception[0] is None:
            print(self.get_table(self.depth))

    def get_total_flops(self):
        """Return the number of operations."""
        return sum(self._counts["Global"].values())

    def get_flop_counts(self):
        """Return {module's path, or "Global": {operation: count}}; those of backward count for "Global" only."""
        return {name: dict(counts) for name, counts in self._counts.items()}

    def get_table(self, depth=None):
        """Return a table of the modules down to a depth, as text."""
        depth = self.depth if depth is None else depth
        total, rows = max(self.get_total_flops(), 1), [("Module", "FLOP", "% Total")]
        for name, counts in self._counts.items():
            level = 0 if name == "Global" else name.count(".") + 1
            if level <= depth:
                rows.append((" " * level + name, f"{sum(counts.values()):,}", f"{sum(counts.values()) / total:.2%}"))
                rows += [(" " * level + f" - {op}", f"{n:,}", f"{n / total:.2%}") for op, n in counts.items()]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


__getattr__ = getter(__name__)
