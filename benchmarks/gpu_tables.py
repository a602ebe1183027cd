"""Results of python -m benchmarks gpu as Markdown."""
import statistics

from benchmarks import networks
from benchmarks.gpu_case import CAPTURED, CUDNN, EAGER, IM2COL, MODES, PRECISIONS, STRICT, TF32
from benchmarks.results import parts_of
from benchmarks.tables import is_the_benchmarks, median_and_range, name_of, number, table

PARTS = ("forward", "backward", "total", "step")
ROWS_OF_LAYERS = 15  # of the largest gaps
# What the project set out to show: title, (label, part), what it is set against, precisions, batches, how, limit.
BARS = (
    ("im2col, forward + backward", IM2COL, "total", (STRICT,), (16,), "largest", 1.5),
    ("cuDNN, forward + backward", CUDNN, "total", PRECISIONS, (16, 128), "geometric mean", 1.1),
    ("captured, training step", CAPTURED, "step", PRECISIONS, (16,), "geometric mean", 0.7),
    ("captured, training step", CAPTURED, "step", PRECISIONS, (16,), "largest", 1.0),
)
HOW = {"largest": max, "geometric mean": statistics.geometric_mean}


def lines_of(document):
    """All tables of the document."""
    rows = document["rows"]
    if not rows:
        return ["Nothing was measured.", ""]
    lines = tests_lines(rows)
    lines += bars_table(rows)
    for precision in PRECISIONS:
        lines += times_table(rows, precision)
    lines += memory_table(rows) + figures_table(rows) + launches_table(rows) + layers_table(rows)
    return lines + ends_lines(rows)


def of_kind(rows, kind):
    return [row for row in rows if row["kind"] == kind]


def on_gpu(rows):
    return [row for row in of_kind(rows, "gpu") if row["device"] != "cpu"]


def name(row):
    return networks.network_of(row["network"]).title


def middle(row, label, part):
    """The median milliseconds of a part; None where it was not measured."""
    times = parts_of(row["times"].get(label, {})).get(part)
    return statistics.median(times) if times else None


def ratio(row, label, part):
    ours, theirs = middle(row, label, part), middle(row, EAGER, part)
    return ours / theirs if ours and theirs else None


def tests_lines(rows):
    found = of_kind(rows, "tests")
    if not found:
        return []
    said = ", ".join(f"{count} {what}" for what, count in found[0]["counts"].items()) or "no result"
    return [f"GPU tests: {said}.", "", *(f"- {line}" for line in found[0]["failed"])] + [""] * bool(found[0]["failed"])


def bars_table(rows):
    """minigrad's time over PyTorch eager's in the same precision, against what was aimed at."""
    cells = []
    for title, label, part, precisions, batches, how, limit in BARS:
        for batch in batches:
            for precision in precisions:
                chosen = (row for row in on_gpu(rows) if (row["batch"], row["precision"]) == (batch, precision))
                ratios = [found for found in (ratio(row, label, part) for row in chosen) if found is not None]
                if ratios:
                    value = HOW[how](ratios)
                    verdict = "met" if value <= limit else "missed"
                    cells.append([title, precision, batch, len(ratios), how, f"{value:.2f}", f"{limit:g}", verdict])
    held = [row["memory"] for row in on_gpu(rows) if {CUDNN, EAGER} <= set(row["memory"])]
    memory = [bytes_of[CUDNN] / bytes_of[EAGER] for bytes_of in held]
    if memory:
        verdict = "met" if max(memory) <= 1 else "missed"
        what = ["cuDNN, peak memory of the step", "all", "all", len(memory), "largest"]
        cells.append([*what, f"{max(memory):.2f}", "1", verdict])
    if not cells:
        return []
    head = ["minigrad over PyTorch eager", "precision", "batch", "networks", "of these the", "ratio", "aim", ""]
    return ["## Against what was aimed at", "", *table(head, cells, left=3)]


def times_table(rows, precision):
    """Forward, backward, both and the training step of every mode, with the ratio to PyTorch eager."""
    cells = []
    for row in on_gpu(rows):
        if row["precision"] != precision:
            continue
        for label, times in row["times"].items():
            parts = parts_of(times)
            if "forward" in parts:
                parts["total"] = [a + b for a, b in zip(parts["forward"], parts["backward"], strict=True)]
            said = [median_and_range(parts[part]) if part in parts else "" for part in PARTS]
            ratios = [ratio(row, label, part) for part in ("total", "step")]
            over = ["" if value is None else f"{value:.2f}" for value in ratios]
            cells.append([name(row), row["batch"], label, *said, *over])
    if not cells:
        return []
    head = ["network", "batch", "library", "forward, ms", "backward, ms", "both, ms", "training step, ms"]
    head += ["both, over torch", "step, over torch"]
    said = {STRICT: "strict float32", TF32: "TF32 in convolutions, float32 in matrix products (PyTorch's default)"}
    title = said.get(precision, "mixed: autocast to float16")
    return [f"## Times, {title}", "", "Median over the passes, range in brackets.", "", *table(head, cells, left=3)]


def memory_table(rows):
    labels = [label for label in MODES if any(label in row["memory"] for row in on_gpu(rows))]
    if not labels:
        return []
    cells = []
    for row in on_gpu(rows):
        found = [row["memory"].get(label) for label in labels]
        both = row["memory"].get(CUDNN), row["memory"].get(EAGER)
        last = f"{both[0] / both[1]:.2f}" if all(both) else ""
        megabytes = ("" if value is None else f"{value / 1e6:.0f}" for value in found)
        cells.append([name(row), row["batch"], row["precision"], *megabytes, last])
    head = ["network", "batch", "precision", *(f"{label}, MB" for label in labels), "cuDNN / torch"]
    return ["## Peak memory of the training step, beyond the network", "", *table(head, cells, left=3)]


def figures_table(rows):
    """The lecture's CPU against GPU: this machine's, and the figures of 2016."""
    here = {}
    for row in of_kind(rows, "gpu"):
        if is_the_benchmarks(row):
            for label in row["times"]:
                where = label if row["device"] == "cpu" else f"{label}, {row['precision']}"
                total = middle(row, label, "total")
                if total is not None:
                    here.setdefault(row["network"], {})[where] = total
    if not here:
        return []
    labels = list(dict.fromkeys(label for found in here.values() for label in found))
    head = ["network", *labels, "2016: Titan X, cuDNN", "Titan X / minigrad cuDNN, float32", "2016: 2 Xeon E5-2630 v3"]
    cells = []
    for network, found in here.items():
        figures = networks.FIGURES[network]
        then, ours = figures.cudnn[2], found.get(f"{CUDNN}, {STRICT}")
        line = [networks.network_of(network).title]
        line += [number(found[label]) if label in found else "" for label in labels]
        line += [number(then), f"{then / ours:.1f}" if ours else "", number(figures.cpu[2]) if figures.cpu else ""]
        cells.append(line)
    said = "Forward + backward in ms, 16 images of 3 x 224 x 224; the figures of 2016: jcjohnson/cnn-benchmarks."
    return ["## CPU against GPU, beside the lecture's figures", "", said, "", *table(head, cells)]


def launches_table(rows):
    found = [row for row in of_kind(rows, "launches") if row["microseconds"]]
    if not found:
        return []
    times = found[0]["microseconds"]
    cells = [[what, *(number(times[library][what]) for library in times)] for what in next(iter(times.values()))]
    said = "Microseconds until Python goes on; the GPU is not waited for. 8 x 8, float32."
    return ["## What a launch costs", "", said, "", *table(["operation", *times], cells)]


def layers_table(rows):
    """The convolutions in which minigrad loses most time to PyTorch, all of their occurrences together."""
    gaps = []
    for row in of_kind(rows, "layer"):
        if len(row["times"]) < 2:
            continue
        ours, theirs = row["times"]["minigrad"], row["times"]["torch"]
        for part in ours:
            mine, their = statistics.median(ours[part]), statistics.median(theirs[part])
            gaps.append(((mine - their) * row["layer"]["count"], row, part, mine, their))
    if not gaps:
        return []
    cells = [
        [name(row), name_of(row), row["layer"]["count"], part, number(mine), number(their), f"{gap:+.3f}"]
        for gap, row, part, mine, their in sorted(gaps, key=lambda gap: -gap[0])[:ROWS_OF_LAYERS]
    ]
    head = ["network", "convolution", "times", "gradient", "minigrad, ms", "torch, ms", "gap of all, ms"]
    return ["## The largest gaps of single convolutions", "", "16 images, TF32.", "", *table(head, cells, left=2)]


def ends_lines(rows):
    """What was left out for want of time, and what failed."""
    found = of_kind(rows, "left out")
    if not found:
        return []
    lines = []
    for title, items in (("Left out for want of time", found[0]["cells"]), ("Failed", found[0]["failures"])):
        if items:
            lines += [f"## {title}", "", *(f"- {item}" for item in items), ""]
    return lines
