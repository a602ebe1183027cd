"""The table that a Summary prints as."""

import math

# Titles of the columns a table may have, and the cell of a row; `inside` says that the row's children are shown too.
COLUMNS = {
    "input_shape": ("Input shape", lambda row, inside: _shapes(row.input_shapes)),
    "output_shape": ("Output shape", lambda row, inside: _shapes(row.output_shapes)),
    "kernel": ("Kernel", lambda row, inside: _size(row.kernel)),
    "parameters": ("Parameters", lambda row, inside: _parameter_cell(row, inside, "parameters")),
    "biases": ("Biases", lambda row, inside: _parameter_cell(row, inside, "biases")),
    "activations": ("Activations", lambda row, inside: _count(row.own_activations if inside else row.activations)),
    "activation_bytes": (
        "Act. memory",
        lambda row, inside: _bytes_or_dash(row.own_activation_bytes if inside else row.activation_bytes),
    ),
    "saved_bytes": (
        "For backward",
        lambda row, inside: _bytes_or_dash(row.own_saved_bytes if inside else row.saved_bytes),
    ),
    "multiply_adds": (
        "Mult-adds",
        lambda row, inside: _count(row.own_multiply_adds if inside else row.multiply_adds),
    ),
    "receptive_field": ("Sees", lambda row, inside: _size(row.receptive_field)),
    "trainable": ("Trainable", lambda row, inside: row.trainable),
}
DEFAULT_COLUMNS = (
    "output_shape", "parameters", "activations", "activation_bytes", "multiply_adds", "receptive_field",
)  # fmt: skip


def _shapes(shapes):
    more = f", … ({len(shapes)} in all)" if len(shapes) > 3 else ""
    return ", ".join(str(list(shape)) for shape in shapes[: 2 if more else 3]) + more or "-"


def _size(size):
    return "-" if size is None else size if isinstance(size, str) else "x".join(str(n) for n in size)


def _count(number):
    return f"{number:,}" if number else "-"


def _parameter_cell(row, inside, name):
    number = getattr(row, "own_" + name if inside else name)
    return "(shared)" if row.repeated and number else _count(number)


def _bytes(number):
    """Return a number of bytes as people read it, in powers of 1000."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number} B"


def _bytes_or_dash(number):
    return _bytes(number) if number else "-"


def table_lines(found):
    """Return the lines of the table of a Summary."""
    deepest = math.inf if found.depth is None else found.depth
    shown = [row for row in found.rows if row.depth <= deepest]
    cells = [["Layer", *(COLUMNS[name][0] for name in found.columns)]]
    names = []  # of the row and those around it, outermost first
    for index, row in enumerate(shown):
        inside = index + 1 < len(shown) and shown[index + 1].depth > row.depth
        names[row.depth :] = [row.name]
        around = names[row.depth - 1] + "." if row.depth and names[row.depth - 1] else ""
        own = row.name.removeprefix(around)
        title = "  " * row.depth + (f"{own}: {row.type}" if own else row.type)
        cells.append([title, *(COLUMNS[name][1](row, inside) for name in found.columns)])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    left = {0, *(i for i, name in enumerate(found.columns, 1) if name in ("input_shape", "output_shape"))}
    lines = [
        "  ".join(cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths)))
        for line in cells
    ]
    rule = "-" * len(lines[0])
    return [lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule]


def total_lines(found):
    """Return the lines under the table."""
    frozen = f", {found.frozen_parameters:,} frozen" if found.frozen_parameters else ""
    lines = [
        f"input: {_shapes(found.input_shapes)}, {_bytes(found.input_bytes)}, on {found.device}; mode: {found.mode}",
        f"parameters: {found.total_parameters:,} ({found.trainable_parameters:,} trainable{frozen}; "
        f"{found.total_parameters - found.total_biases:,} without biases), {_bytes(found.parameter_bytes)}",
        f"forward: {found.multiply_adds:,} multiply-adds; {found.activations:,} activations, "
        f"{_bytes(found.activation_bytes)}",
    ]
    if found.saved_bytes is None:
        lines.append(f"forward + backward: could not be run in training: {found.training_error}")
    else:
        passes = found.multiply_adds + found.backward_multiply_adds
        lines.append(
            f"forward + backward: {passes:,} multiply-adds; kept for backward {_bytes(found.saved_bytes)}, "
            f"gradients {_bytes(found.gradient_bytes)}; "
            f"with input, parameters and buffers {_bytes(found.training_bytes)}"
        )
        lines.append(
            f"optimizer state: SGD none, with momentum {_bytes(found.optimizer_bytes('sgd_momentum'))}, "
            f"Adam {_bytes(found.optimizer_bytes('adam'))}"
        )
    if found.not_run:
        lines.append(f"parameters of these were not used in this pass: {', '.join(found.not_run)}")
    return lines
