"""Experiments: arms that differ in one thing, run over seeds, and the table of their means and intervals."""
import dataclasses
import json
import platform
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import minigrad
from minigrad.recipes.intervals import mean_interval
from models.common import written_whole

ABOVE = "the row above"


@dataclasses.dataclass(frozen=True)
class Metric:
    """A column of the table: how it is headed, and which direction is good (+1, -1, or 0 for neither)."""

    title: str
    better: int = 1
    digits: int = 2


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A claim of the lecture and the runs that put it to the test.

    name, title: as on the command line and above the table.
    claim: what the lecture says.
    method: what is done here, one paragraph.
    arms: dict of name → what it is.
    metrics: dict of name → Metric; the first is the one that arms are compared by.
    run: (settings, root, seed, arms) → yields (arm, {metric: value}); seeds are independent of each other.
    settings: dict of numbers that the command line can change (images, epochs, …).
    baseline: the arm that the others are compared with, or ABOVE: each with the one before it, or a dict: each arm in
        it with the one it names.
    seeds: how many are run.
    """

    name: str
    title: str
    claim: str
    method: str
    arms: dict
    metrics: dict
    run: Callable
    settings: dict
    baseline: str | dict
    seeds: int = 3
    remarks: str = ""


# ---------------------------------------------------------------- running
class Record:
    """The values measured so far, kept in a file, so that an interrupted experiment goes on where it was."""

    def __init__(self, experiment, settings, path):
        self.path = Path(path)
        self.key = {"experiment": experiment.name, "arms": experiment.arms, "settings": settings}
        self.values, self.seconds = {}, 0.0
        if self.path.exists():
            kept = json.loads(self.path.read_text())
            if kept.get("key") == self.key:
                self.values, self.seconds = kept["values"], kept["seconds"]

    def get(self, arm, seed):
        return self.values.get(arm, {}).get(str(seed))

    def put(self, arm, seed, measured, seconds):
        self.values.setdefault(arm, {})[str(seed)] = measured
        self.seconds += seconds
        with written_whole(self.path) as temporary:
            content = {"key": self.key, "values": self.values, "seconds": self.seconds}
            Path(temporary).write_text(json.dumps(content, indent=1) + "\n")


def run(experiment, record, settings, root, seeds, say=print):
    """Run what the record lacks; every value is written down as soon as it is there."""
    for seed in range(seeds):
        missing = [arm for arm in experiment.arms if record.get(arm, seed) is None]
        if not missing:
            continue
        started = time.perf_counter()
        for arm, measured in experiment.run(settings, root, seed, missing):
            seconds = time.perf_counter() - started
            record.put(arm, seed, measured, seconds)
            values = "  ".join(
                f"{metric.title} {measured[name]:.{metric.digits}f}" for name, metric in experiment.metrics.items()
                if name in measured
            )
            say(f"seed {seed}  {arm}: {values}  ({seconds:.0f} s)", flush=True)
            started = time.perf_counter()


# ---------------------------------------------------------------- the table
def verdict(difference, metric):
    """In words: does the interval of a difference lie on one side of zero?"""
    low, high = difference.low, difference.high
    if not low <= high or not (low > 0 or high < 0):
        return "no difference shown"
    if metric.better == 0:
        return "differs"
    return "better" if (low > 0) == (metric.better > 0) else "worse"


def rows(experiment, record, seeds):
    """The cells of the table: one list of strings per arm, under the headings that come first."""
    titles = [metric.title for metric in experiment.metrics.values()]
    several = isinstance(experiment.baseline, dict)
    table = [["", *titles, f"{titles[0]}: against {'…' if several else experiment.baseline}", ""]]
    for arm in experiment.arms:
        values = [record.get(arm, seed) for seed in range(seeds)]
        cells = [arm]
        for name, metric in experiment.metrics.items():
            measured = [value[name] for value in values if name in value]
            cells.append(_spread(measured, metric.digits) if measured else "–")
        other = compared_with(experiment, arm)
        found = ["", ""] if other is None else _difference(experiment, record, seeds, arm, other)
        if several and other is not None:
            found[0] = f"{other}: {found[0]}"
        table.append(cells + found)
    return table


def compared_with(experiment, arm):
    """The arm that this one is compared with, or None."""
    if isinstance(experiment.baseline, dict):
        return experiment.baseline.get(arm)
    if experiment.baseline == ABOVE:
        arms = [None, *experiment.arms]
        return arms[arms.index(arm) - 1]
    return None if arm == experiment.baseline else experiment.baseline


def _difference(experiment, record, seeds, arm, other):
    """How much an arm's first metric differs from another's, seed by seed, and what that says."""
    name, metric = next(iter(experiment.metrics.items()))
    differences = [record.get(arm, seed)[name] - record.get(other, seed)[name] for seed in range(seeds)]
    said = "one seed" if seeds == 1 else verdict(mean_interval(differences), metric)
    return [_spread(differences, metric.digits, sign="+"), said]


def _spread(values, digits, sign=""):
    if len(values) == 1:
        return f"{values[0]:{sign}.{digits}f}"
    spread = mean_interval(values)
    return f"{spread.mean:{sign}.{digits}f} ± {spread.half_width:.{digits}f}"


def text_table(table):
    """The cells in columns for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _paragraph(text):
    return textwrap.fill(" ".join(text.split()), 118, break_on_hyphens=False, break_long_words=False)


def markdown(experiment, record, settings, seeds, command):
    """The page docs/experiments/NAME.md."""
    table = rows(experiment, record, seeds)
    lines = [f"# {experiment.title}", "", _paragraph(f"The lecture: {experiment.claim}")]
    lines += ["", _paragraph(experiment.method), ""]
    lines += ["| " + " | ".join(table[0]) + " |", "| --- |" + " ---: |" * (len(table[0]) - 2) + " --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in table[1:]]
    runs = "one seed" if seeds == 1 else f"mean and 95 % interval (Student's t) of {seeds} seeds"
    paired = "" if seeds == 1 else "; differences are taken seed by seed"
    lines += ["", f"Per cent; {runs}{paired}."]
    lines += ["", "What the rows are:", ""]
    lines += [_paragraph(f"- **{arm}**: {text}").replace("\n", "\n  ") for arm, text in experiment.arms.items()]
    if experiment.remarks:
        lines += ["", _paragraph(experiment.remarks)]
    named = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())
    lines += ["", "Made by", "", "```sh", command, "```", ""]
    lines += [
        _paragraph(
            f"with {named}; {record.seconds / 60:.0f} minutes on one CPU thread in all, on a machine doing other work "
            f"too (Python {platform.python_version()}, minigrad {minigrad.__version__})."
        )
    ]
    return "\n".join(lines) + "\n"
