"""The order in which workers take their turns."""
import math
import tempfile
from pathlib import Path

from benchmarks import cases, operations
from benchmarks.processes import MeasuringError, workers

# Between two libraries' scores, relative to the largest: rounding in float32, fast algorithms and two hundred layers
# included. A wrong layer differs by far more.
TOLERANCE = 1e-3
PRODUCT_SIDE = 2048
PRODUCT_PASSES = 4
TURN_MS = 50  # where work is repeated within a turn, a turn lasts about so long


def interleaved(running, kind, passes, repeated=False):
    """Measure the case that all workers have open, library by library within each pass.

    Args:
        running: the workers; who begins changes from pass to pass.
        kind: of case, from cases.KINDS.
        passes: how many; the first is dropped if there are more.
        repeated: whether work is repeated within a turn because one run of it is too short for the clock.

    Returns:
        dict: library → part → milliseconds, one number per pass.
    """
    measures = cases.KINDS[kind].MEASURES
    repeats = {}
    for worker in running:
        for what in measures:
            key = worker.label, what
            repeats[key] = worker.ask("repeats", what=what, milliseconds=TURN_MS) if repeated else 1
    times = {worker.label: {} for worker in running}
    for worker in running:
        worker.settle()
    for number in range(passes):
        turns = running if number % 2 == 0 else running[::-1]
        for what in measures:
            for worker in turns:
                found = worker.ask("measure", what=what, repeats=repeats[worker.label, what])
                for part, elapsed in found.items():
                    times[worker.label].setdefault(part, []).append(elapsed)
                worker.settle()
    dropped = 1 if passes > 1 else 0
    return {label: {part: kept[dropped:] for part, kept in parts.items()} for label, parts in times.items()}


def open_case(running, kind, **options):
    for worker in running:
        worker.ask("open", kind=kind, **options)


def largest_difference(running):
    """Give the other libraries minigrad's weights and images: by how much scores differ, relative to the largest one.

    Raises:
        MeasuringError: if it is more than TOLERANCE, or a score is not finite.
    """
    ours, *others = running
    wanted = ours.ask("scores")
    largest = max(abs(value) for row in wanted for value in row)
    difference = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.pt")
        ours.ask("save", path=path)
        for worker in others:
            worker.ask("load", path=path)
            for row, wanted_row in zip(worker.ask("scores"), wanted, strict=True):
                for value, wanted_value in zip(row, wanted_row, strict=True):
                    difference = max(difference, abs(value - wanted_value) / largest)
                    if not math.isfinite(value):
                        difference = math.inf
    if not difference <= TOLERANCE:
        names = " and ".join(worker.label for worker in running)
        raise MeasuringError(f"{names} do not compute the same: scores differ by {difference:.2g} of the largest")
    return difference


def network_row(name, *, batch, image_size, labels, threads, device, passes, small=False, profile=False):
    """Everything about one network, by each of the libraries called labels: a row of the results."""
    options = {"network": name, "batch": batch, "image_size": image_size, "device": device}
    row = {"kind": "network", "network": name, "batch": batch, "image_size": image_size}
    if not small:
        row["memory"] = peaks(options, labels, threads)
    with workers(labels, threads) as running:
        row["multiply_adds"] = running[0].ask("multiply_adds", name=name, image_size=image_size)
        open_case(running, "network", **options)
        if len(running) > 1:
            row["difference"] = largest_difference(running)
        row["times"] = interleaved(running, "network", passes, repeated=small)
        if profile:
            repeats = running[0].ask("repeats", what="step", milliseconds=TURN_MS) if small else 1
            row["profile"] = running[0].ask("profile", repeats=repeats * max(1, passes - 1))
    return row


def peaks(options, labels, threads):
    """Library → bytes of its training step, each measured in a process of its own while no other measures."""
    found = {}
    with workers(labels, threads) as running:
        for worker in running:
            found[worker.label] = worker.ask("peak", **options)
            worker.end()
    return found


def layer_rows(name, *, batch, image_size, labels, threads, device, passes, known):
    """One row per distinct convolution of a network; those in ``known`` (a set, extended here) are left out."""
    with workers(labels, threads) as running:
        for layer in running[0].ask("convolutions", name=name, image_size=image_size):
            key = tuple(value for part, value in layer.items() if part != "count")
            if key in known:
                continue
            open_case(running, "layer", batch=batch, device=device, **layer)
            times = interleaved(running, "layer", passes, repeated=True)
            known.add(key)
            yield {"kind": "layer", "network": name, "batch": batch, "layer": layer, "times": times}


def operation_row(running, name, family, *, device, passes):
    kind = "update" if family == operations.OPTIMIZERS else "operation"
    open_case(running, kind, operation=name, device=device)
    times = interleaved(running, kind, passes, repeated=True)
    return {"kind": "operation", "operation": name, "family": family, "times": times}


def about_the_libraries(labels, threads, device, product):
    """Versions that the libraries report and, if product is set, {label: GFLOP/s of a large matrix product by pass}.

    Raises:
        MeasuringError: if one does not use so many threads.
    """
    versions, rates = {}, None
    with workers(labels, threads) as running:
        for worker in running:
            if worker.description["threads"] != threads:
                used = worker.description["threads"]
                raise MeasuringError(f"{worker.label} uses {used} threads where {threads} were asked for")
            versions |= worker.description["versions"]
        if product:
            rates = product_rates(running, device)
    return versions, rates


def product_rates(running, device):
    open_case(running, "product", side=PRODUCT_SIDE, device=device)
    times = interleaved(running, "product", PRODUCT_PASSES)
    return {label: [2e-6 * PRODUCT_SIDE**3 / value for value in parts["product"]] for label, parts in times.items()}
