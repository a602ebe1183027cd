"""Results as Markdown."""
import statistics

from benchmarks import networks, results
from benchmarks.step_profile import ORDER

HEADINGS = {
    "forward": "forward",
    "backward": "backward",
    "total": "forward + backward",
    "step": "training step",
    "inference": "inference",
    "input": "to the input",
    "weight": "to the weight",
}
PARTS = {
    "network": ("forward", "backward", "total", "step", "inference"),
    "layer": ("forward", "input", "weight"),
    "operation": ("forward", "backward"),
}
OPERATION_HEADINGS = {"forward": "forward", "backward": "forward + backward"}


def title(document):
    return {
        "cnn": "Convolutional networks",
        "small": "Small networks",
        "layers": "Convolutions",
        "ops": "Operations",
        "footprint": "Import time and installed size",
        "gpu": "Convolutional networks on a GPU",
    }[document["kind"]]


def table(head, rows, left=1):
    """A Markdown table as lines, a blank one behind; the first ``left`` columns are flush left."""
    marks = ["---"] * left + ["---:"] * (len(head) - left)
    return [f"| {' | '.join(map(str, cells))} |" for cells in (head, marks, *rows)] + [""]


def median_and_range(values, factor=1):
    """The median, and the range in brackets; the values are multiplied by factor.

    >>> median_and_range([0.1, 0.3, 0.2], 1000)
    '200 [100-300]'
    """
    middle, least, most = (number(factor * value) for value in results.summary(values))
    return f"{middle} [{least}-{most}]"


def number(value):
    """Three significant digits, without an exponent.

    >>> number(1234.5), number(99.96), number(12.345), number(0.012345)
    ('1234', '100', '12.3', '0.0123')
    """
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def name_of(row):
    """What a row is about."""
    if row["kind"] == "network":
        return networks.network_of(row["network"]).title
    if row["kind"] == "operation":
        return row["operation"]
    layer = row["layer"]
    groups = f" groups {layer['groups']}" if layer["groups"] > 1 else ""
    return (
        f"{layer['kernel']}x{layer['kernel']}/{layer['stride']} {layer['channels']}→{layer['outputs']}{groups}, "
        f"{layer['side']}x{layer['side']}"
    )


def first_cells(row):
    if row["kind"] == "network":
        return [name_of(row), row["batch"]]
    if row["kind"] == "layer":
        return [networks.network_of(row["network"]).title, name_of(row), row["layer"]["count"]]
    return [row["family"], name_of(row)]


def first_heads(kind):
    return {
        "network": ["network", "batch"],
        "layer": ["network", "convolution", "times"],
        "operation": ["family", "operation"],
    }[kind]


def heading(kind, part):
    return (OPERATION_HEADINGS if kind == "operation" else HEADINGS)[part]


def unit_of(document):
    """The unit that suits the document's times, and the factor to it from milliseconds."""
    return ("µs", 1000) if document["kind"] in ("small", "ops") else ("ms", 1)


def times_table(document):
    rows = document["rows"]
    if not rows:
        return ["Nothing was measured.", ""]
    kind = rows[0]["kind"]
    unit, factor = unit_of(document)
    head = [*first_heads(kind), "library", *(f"{heading(kind, part)}, {unit}" for part in PARTS[kind])]
    cells = []
    for row in rows:
        for label, times in row["times"].items():
            parts = results.parts_of(times)
            said = (median_and_range(parts[part], factor) if part in parts else "" for part in PARTS[kind])
            cells.append([*first_cells(row), label, *said])
    return ["Median over the passes, range in brackets.", "", *table(head, cells, left=len(first_heads(kind)) + 1)]


def ratio_tables(document):
    return [line for label, other in results.comparisons(document) for line in ratio_table(document, label, other)]


def ratio_table(document, label, other):
    """One library's times over another's, with what the bars are about: the geometric mean and the largest."""
    rows = document["rows"]
    kind = rows[0]["kind"]
    head = [*first_heads(kind), *(heading(kind, part) for part in PARTS[kind])]
    cells = []
    medians = {part: [] for part in PARTS[kind]}
    for row in rows:
        line = first_cells(row)
        for part in PARTS[kind]:
            if part not in results.parts_of(row["times"][label]):
                line.append("")  # the step of an optimizer has no backward pass
                continue
            middle, least, most = results.summary(results.ratios(row, label, other, part))
            medians[part].append(middle)
            line.append(f"{middle:.2f} [{least:.2f}-{most:.2f}]")
        cells.append(line)
    blank = [""] * (len(first_heads(kind)) - 1)
    cells.append(["geometric mean", *blank, *(said_of(statistics.geometric_mean, found) for found in medians.values())])
    cells.append(["largest", *blank, *(said_of(max, found) for found in medians.values())])
    return [f"## {label}'s time over {other}'s", "", *table(head, cells, left=len(first_heads(kind)))]


def said_of(function, ratios):
    return f"{function(ratios):.2f}" if ratios else ""


def memory_table(document):
    rows = [row for row in document["rows"] if "memory" in row]
    if not rows:
        return []
    labels = list(rows[0]["memory"])
    pairs = results.comparisons(document)
    head = ["network", "batch", *(f"{label}, MB" for label in labels)]
    head += [f"{label} / {other}" for label, other in pairs]
    cells = []
    ratios = {pair: [] for pair in pairs}
    for row in rows:
        line = [*first_cells(row), *(f"{row['memory'][label] / 1e6:.0f}" for label in labels)]
        for label, other in pairs:
            ratios[label, other].append(row["memory"][label] / row["memory"][other])
            line.append(f"{ratios[label, other][-1]:.2f}")
        cells.append(line)
    if pairs:
        cells.append(["largest", *[""] * (1 + len(labels)), *(f"{max(found):.2f}" for found in ratios.values())])
    return ["## Peak memory of the training step", "", *table(head, cells, left=2)]


def footprint_tables(document):
    if not document["rows"]:
        return ["Nothing was measured.", ""]
    (row,) = document["rows"]
    times = [[label, median_and_range(found["import"])] for label, found in row["times"].items()]
    sizes = []
    for label, parts in row["sizes"].items():
        total = {what: sum(part[what] for part in parts.values()) for what in ("files", "bytecode")}
        listed = ", ".join(f"{name} {part['files'] / 1e6:.1f}" for name, part in parts.items())
        sizes.append([label, f"{total['files'] / 1e6:.1f}", listed, f"{total['bytecode'] / 1e6:.1f}"])
    return [
        "Of the import statement, in fresh processes: median, range in brackets.",
        "",
        *table(["library", "import, ms"], times),
        "What pip installs, in MB (10^6 bytes), dependencies included; bytecode is what Python makes of it besides.",
        "",
        *table(["library", "MB", "of which", "bytecode, MB"], sizes),
    ]


def limit_table(document):
    """How far the networks are from products of their size at the rate of a large product."""
    rates = document.get("product_gflops")
    if not rates or not document["rows"]:
        return []
    rate = {label: statistics.median(values) for label, values in rates.items()}
    said = ", ".join(f"{label} {value:.0f} GFLOP/s" for label, value in rate.items())
    parts = ("step", "inference")
    head = ["network", "batch", *(f"{HEADINGS[part]}: multiply-adds of an image, G" for part in parts)]
    head += [f"{HEADINGS[part]}, {label}: GFLOP/s, share" for part in parts for label in rate]
    cells = []
    for row in document["rows"]:
        line = [*first_cells(row), *(number(row["multiply_adds"][part] / 1e9) for part in parts)]
        for part in parts:
            for label in rate:
                elapsed = statistics.median(row["times"][label][part])
                reached = 2e-6 * row["multiply_adds"][part] * row["batch"] / elapsed
                line.append(f"{number(reached)}, {reached / rate[label]:.0%}")
        cells.append(line)
    return [
        "## Distance to the limit",
        "",
        f"Rate of a large float32 matrix product: {said}. A network's is that of the multiply-adds that its definition "
        "asks for, two operations each, over the whole time. Winograd's algorithm does a 3x3 convolution with a half "
        "to a quarter of the multiplications that it is credited with here, so that a share can exceed 100%.",
        "",
        *table(head, cells, left=2),
    ]


def profile_table(document):
    """The parts of minigrad's training step, a column per network."""
    rows = [row for row in document["rows"] if "profile" in row]
    if not rows:
        return []
    unit, factor = unit_of(document)
    profiles = [row["profile"] for row in rows]
    sums = [sum(profile["parts"].values()) for profile in profiles]
    order = dict.fromkeys(part for part in ORDER if any(part in profile["parts"] for profile in profiles))
    cells = []
    for part in order:
        line = [part]
        for profile, total in zip(profiles, sums):
            elapsed = profile["parts"].get(part)
            line.append("" if elapsed is None else f"{elapsed / total:.1%}, {number(factor * elapsed)}")
        cells.append(line)
    cells.append(["sum", *(number(factor * total) for total in sums)])
    cells.append(["training step without the clock", *(number(factor * profile["step"]) for profile in profiles)])
    return [
        "## Where the time of minigrad's training step goes",
        "",
        f"Share of the sum, and {unit}: the mean over the steps, with a clock read after each operation; as many steps "
        "without it took turns with them.",
        "",
        *table([unit, *(f"{name_of(row)}, batch {row['batch']}" for row in rows)], cells),
    ]


def figures_table(document):
    """forward / backward / total here beside those of 2016, where the setting is the benchmark's."""
    rows = [row for row in document["rows"] if is_the_benchmarks(row)]
    if not rows:
        return []
    labels = list(rows[0]["times"])
    here = "GPU" if document["settings"]["device"] != "cpu" else "CPU"
    head = ["network", *(f"{label}, {here} here" for label in labels), "2016: 2 Xeon E5-2630 v3"]
    head += ["2016: Titan X, no cuDNN (total)", "2016: Titan X, cuDNN"]
    cells = []
    for row in rows:
        figures = networks.FIGURES[row["network"]]
        line = [name_of(row)]
        for label in labels:
            parts = results.parts_of(row["times"][label])
            line.append(" / ".join(number(statistics.median(parts[part])) for part in ("forward", "backward", "total")))
        line.append(" / ".join(map(number, figures.cpu)) if figures.cpu else "")
        line.append(number(figures.gpu_total) if figures.gpu_total else "")
        line.append(" / ".join(map(number, figures.cudnn)))
        cells.append(line)
    said = "forward / backward / total in ms, 16 images of 3 x 224 x 224; those of 2016: jcjohnson/cnn-benchmarks."
    return ["## Beside the lecture's figures", "", said, "", *table(head, cells)]


def is_the_benchmarks(row):
    return row["network"] in networks.FIGURES and row["batch"] == 16 and row["image_size"] == 224


def machine_table(document):
    found = {**document["machine"], **document["versions"], **document["settings"]}
    if document["rows"] and any("difference" in row for row in document["rows"]):
        largest = max(row.get("difference") or 0.0 for row in document["rows"])
        found["largest difference of scores"] = f"{largest:.1e} of the largest score"
    found.update(date=document["date"], command=f"`{document['command']}`")
    if document["revision"]:
        found["revision"] = document["revision"]
    return ["## Measured on", "", *table(["", ""], found.items(), left=2)]
