"""The lecture's chart, CPU against GPU: the time of forward and backward per network, now and in 2016."""
import statistics

from benchmarks import networks, results
from benchmarks.gpu_case import TF32
from benchmarks.tables import is_the_benchmarks, number
from models.commands.plots import figure, save

# What the lecture's chart shows, in its colours: label, how to get the total from Figures, colour.
THEN = (
    ("2016: 2 Xeon E5-2630 v3", lambda figures: figures.cpu and figures.cpu[2], "#6699cc"),
    ("2016: Titan X, no cuDNN", lambda figures: figures.gpu_total, "#cc9966"),
    ("2016: Titan X, cuDNN", lambda figures: figures.cudnn[2], "#cc4444"),
)
NOW = ("#222222", "#888888", "#226622", "#88bb88", "#552288", "#aa88cc")


def series(documents):
    """The bars: {label: {network: total ms}}, those measured here first."""
    found = {}
    for document in documents:
        settings = document["settings"]
        where = f"{settings['threads']} threads" if settings["device"] == "cpu" else settings["device"]
        for row in document["rows"]:
            if row["kind"] == "gpu" and is_the_benchmarks(row):
                add_gpu_row(found, row)
            if row["kind"] != "network" or not is_the_benchmarks(row):
                continue
            for label, times in row["times"].items():
                total = statistics.median(results.parts_of(times)["total"])
                found.setdefault(f"{label}, {where}", {})[row["network"]] = total
    shown = {network for totals in found.values() for network in totals}
    for label, total_of, _ in THEN if found else ():
        found[label] = {name: total_of(networks.FIGURES[name]) for name in networks.FIGURES if name in shown}
        found[label] = {name: total for name, total in found[label].items() if total}
    return {label: totals for label, totals in found.items() if totals}


def add_gpu_row(found, row):
    """Add one row of python -m benchmarks gpu: on a GPU in PyTorch's default precision alone, lest bars be too many."""
    if row["device"] != "cpu" and row["precision"] != TF32:
        return
    for label, times in row["times"].items():
        if {"forward", "backward"} <= set(times):
            total = statistics.median(results.parts_of(times)["total"])
            where = label if row["device"] == "cpu" else f"{label}, GPU"
            found.setdefault(where, {})[row["network"]] = total


def draw(documents, path):
    """Draw the chart into a file, PNG or SVG by its suffix; False if no document has the benchmark's setting."""
    bars = series(documents)
    if not bars:
        return False
    names = [name for name in networks.NETWORKS if any(name in totals for totals in bars.values())]
    colours = {label: colour for label, _, colour in THEN}
    now = iter(NOW * len(bars))
    drawing = figure(figsize=(max(7.0, 1.6 * len(names) + 2.0), 4.8))
    axes = drawing.subplots()
    width = 0.84 / len(bars)
    for index, (label, totals) in enumerate(bars.items()):
        places = [names.index(name) + (index - (len(bars) - 1) / 2) * width for name in totals]
        drawn = axes.bar(places, totals.values(), width, label=label, color=colours.get(label) or next(now))
        axes.bar_label(drawn, [number(total) for total in totals.values()], fontsize=6, rotation=90, padding=2)
    axes.set_xticks(range(len(names)), [networks.NETWORKS[name].title for name in names])
    axes.set(ylabel="forward + backward, 16 images, ms", yscale="log", title="CPU against GPU")
    axes.margins(y=0.15)
    axes.grid(axis="y", alpha=0.3)
    drawing.legend(loc="outside lower center", ncols=5 if len(names) > 5 else 3, fontsize=8)
    save(drawing, path)
    return True
