"""Timing of statements: PyTorch's torch.utils.benchmark.

Source: https://docs.pytorch.org/docs/stable/benchmark_utils.html

>>> import minigrad as mg
>>> timer = mg.utils.benchmark.Timer("x + 1", globals={"x": mg.ones(2)}, label="add", description="small")
>>> measured = timer.timeit(10)
>>> measured.number_per_run, measured.median == measured.times[0] > 0
(10, True)
"""

import dataclasses
import math
import statistics
import sys
import textwrap
import time
import timeit

from minigrad.absent import getter
from minigrad.backend import get_num_threads, set_num_threads

__all__ = ["Compare", "Measurement", "TaskSpec", "Timer", "select_unit", "timer", "trim_sigfig"]
_UNITS = (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0))
_NAMES = {"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds"}


def timer():
    """Return the time in seconds, after a GPU that the program uses has done its work."""
    cuda = sys.modules.get("minigrad.cuda")
    if cuda is not None and cuda.is_initialized():
        cuda.synchronize()
    return time.perf_counter()


def select_unit(t):
    """Return (name, seconds) of the unit in which a time is shown, such as ("us", 1e-6)."""
    return next((unit for unit in reversed(_UNITS) if t >= unit[1]), _UNITS[0])


def trim_sigfig(x, n):
    """Return a number rounded to n significant digits.

    >>> from minigrad.utils.benchmark import trim_sigfig
    >>> trim_sigfig(1234.5, 2)
    1200.0
    """
    if not x:
        return 0.0
    magnitude = 10.0 ** (math.floor(math.log10(abs(x))) + 1 - n)
    return float(round(x / magnitude) * magnitude)


@dataclasses.dataclass(init=True, repr=False, eq=True, frozen=True)
class TaskSpec:
    """What is timed, and what it is called."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self):
        """The label, or the statement."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        if "\n" not in self.stmt:
            return self.stmt + (f": {self.sub_label}" if self.sub_label else "")
        return f"stmt:{f' ({self.sub_label})' if self.sub_label else ''}\n{textwrap.indent(self.stmt, '  ')}"

    def setup_str(self):
        """Return what runs before the statement, as it is shown."""
        return "" if self.setup in ("pass", "") or not self.setup else f"setup: {self.setup}"

    def summarize(self):
        """Return title, description and setup as lines."""
        parts = [self.title, self.description or "", self.setup_str()]
        return "\n".join(part for part in parts if part)


@dataclasses.dataclass(init=True, repr=False)
class Measurement:
    """Times of runs: ``times`` (seconds of one execution each), mean, median, iqr and the like."""

    number_per_run: int
    raw_times: list
    task_spec: TaskSpec
    metadata: dict | None = None

    def __getattr__(self, name):
        if name != "task_spec" and hasattr(TaskSpec, name) or name in TaskSpec.__dataclass_fields__:
            return getattr(self.task_spec, name)
        raise AttributeError(f"'Measurement' object has no attribute '{name}'")

    @property
    def times(self):
        """Seconds of one execution, for each measurement."""
        return [each / self.number_per_run for each in self.raw_times]

    def _some_times(self):
        if not self.raw_times:
            raise ValueError("No times have been recorded")
        return sorted(self.times)

    @property
    def mean(self):
        """Mean of the times."""
        return statistics.fmean(self._some_times())

    @property
    def median(self):
        """Median of the times."""
        return statistics.median(self._some_times())

    def _quantile(self, part):
        times = self._some_times()
        place = part * (len(times) - 1)
        low = math.floor(place)
        return times[low] + (times[min(low + 1, len(times) - 1)] - times[low]) * (place - low)

    @property
    def iqr(self):
        """Third quartile minus the first."""
        return self._quantile(0.75) - self._quantile(0.25)

    @property
    def significant_figures(self):
        """How many digits of the median the spread of the times lets be told: from the normal distribution's tails."""
        n, margin = len(self._some_times()), 0.05
        deviation = (self._quantile(0.75) - self._quantile(0.25)) / 1.35 if n > 3 else 0.0
        interval = max(2 * 1.645 * deviation / math.sqrt(n), margin * self.median * 1e-3)
        return 1 if n < 2 else min(4, max(1, math.floor(math.log10(max(self.median / interval, 10)))))

    @property
    def has_warnings(self):
        """Whether the interquartile range is more than a tenth of the median."""
        return not self.meets_confidence()

    def meets_confidence(self, threshold=0.1):
        """Return whether the interquartile range is below a part of the median."""
        return self.iqr / self.median < threshold

    @property
    def as_row_name(self):
        """What its row of a table is called."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    @staticmethod
    def merge(measurements):
        """Return one Measurement for each task, with the times of all of it."""
        grouped = {}
        for each in measurements:
            grouped.setdefault(each.task_spec, []).append(each)
        merged = []
        for task, group in grouped.items():
            count = group[0].number_per_run
            raw = [t * count for each in group for t in each.times]
            merged.append(Measurement(count, raw, task, None))
        return merged

    def __repr__(self):
        unit, scale = select_unit(self.median)
        n = len(self.raw_times)
        lines = [f"<{__name__}.Measurement object at {hex(id(self))}>", self.task_spec.summarize()]
        lines.append(f"  {'Median: ' if n > 1 else ''}{self.median / scale:.2f} {unit}")
        if n >= 4:
            ends = f"({self._quantile(0.25) / scale:.2f} to {self._quantile(0.75) / scale:.2f})"
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} {ends}")
        runs = f"{self.number_per_run} runs {'per measurement' if n > 1 else ''}".rstrip()
        threads = f"{self.num_threads} thread{'s' if self.num_threads > 1 else ''}"
        lines.append(f"  {n} measurement{'s' if n > 1 else ''}, {runs}, {threads}")
        if n >= 4 and self.has_warnings:
            lines.append(f"  WARNING: Interquartile range is {self.iqr / self.median * 100:.1f}% of the median.")
        return "\n".join(lines)


class Timer:
    """Times a statement: warmed up, with a number of threads, and waiting for a GPU.

    Arguments: stmt, setup (text of Python), global_setup (of C++: refused), timer (function of seconds), globals (dict;
    ``torch`` is minigrad where it lacks it), label, sub_label, description, env (texts for tables), num_threads.
    ValueError for language "c++".
    Source: https://docs.pytorch.org/docs/stable/benchmark_utils.html#torch.utils.benchmark.Timer
    """

    def __init__(
        self, stmt="pass", setup="pass", global_setup="", timer=timer, globals=None, label=None, sub_label=None,
        description=None, env=None, num_threads=1, language="python",
    ):  # fmt: skip
        if str(getattr(language, "name", language)).lower() not in ("python", "py"):
            raise ValueError(f"Timer: statements are Python's, but got language={language!r}")
        if global_setup:
            raise ValueError("Timer: global_setup is for C++, got it for Python; use setup")
        globals = dict(globals or {})
        globals.setdefault("torch", sys.modules["minigrad"])
        stmt, setup = textwrap.dedent(stmt).strip(), textwrap.dedent(setup).strip()
        self._task_spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)
        self._timer = timeit.Timer(stmt, setup, timer, globals)

    def _timeit(self, number):
        return max(self._timer.timeit(number), 1e-9)

    def _measured(self, number, times):
        return Measurement(number, times, self._task_spec)

    def timeit(self, number=1000000):
        """Return a Measurement of so many executions, after a hundredth of them to warm up."""
        with _Threads(self._task_spec.num_threads):
            self._timeit(max(int(number // 100), 2))
            return self._measured(number, [self._timeit(number)])

    def _number_of(self, seconds):
        """Return a power of ten of executions that take at least a thousandth of some seconds."""
        number = 1
        while self._timeit(number) < seconds / 1000 and number < 10**9:
            number *= 10
        return number

    def blocked_autorange(self, callback=None, min_run_time=0.2):
        """Return a Measurement of blocks of executions that together take some seconds.

        callback(number, seconds) is called after each block.
        """
        with _Threads(self._task_spec.num_threads):
            number, times = self._number_of(min_run_time), []
            while sum(times) < min_run_time:
                times.append(self._timeit(number))
                if callback is not None:
                    callback(number, times[-1])
            return self._measured(number, times)

    def adaptive_autorange(self, threshold=0.1, *, min_run_time=0.01, max_run_time=10.0, callback=None):
        """Return a Measurement that goes on until its spread is below a part of its median, or time is over."""
        with _Threads(self._task_spec.num_threads):
            number, times = self._number_of(min_run_time), []
            while sum(times) < max_run_time:
                times.append(self._timeit(number))
                if callback is not None:
                    callback(number, times[-1])
                enough = len(times) > 3 and sum(times) >= min_run_time
                if enough and self._measured(number, times).meets_confidence(threshold):
                    break
            return self._measured(number, times)

    def collect_callgrind(self, *args, **kwargs):
        """RuntimeError: instructions are not counted."""
        raise RuntimeError("collect_callgrind: it needs Valgrind and a Python built for it; use blocked_autorange()")


class _Threads:
    """The number of threads within a block."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        self.before = get_num_threads()
        set_num_threads(self.count)

    def __exit__(self, *exception):
        set_num_threads(self.before)


class Compare:
    """A table of measurements: a row for each sub_label, a column for each description, a part for each num_threads.

    Source: https://docs.pytorch.org/docs/stable/benchmark_utils.html#torch.utils.benchmark.Compare
    """

    def __init__(self, results):
        self._results, self._trim, self._highlight = [], False, False
        self.extend_results(results)

    def extend_results(self, results):
        """Add measurements; ValueError for anything else."""
        for each in results:
            if not isinstance(each, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(each)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self):
        """Show as many digits as the times tell."""
        self._trim = True

    def highlight_warnings(self):
        """Mark measurements of a wide spread with a (!)."""
        self._highlight = True

    def colorize(self, rowwise=False):
        """RuntimeError: tables are plain text."""
        raise RuntimeError("Compare.colorize: tables have no colours here; leave it out")

    def print(self):
        """Print the tables."""
        print(str(self))

    def __str__(self):
        results, labels = Measurement.merge(self._results), {}
        for each in results:
            labels.setdefault(each.label or "[Unknown]", []).append(each)
        return "\n".join(self._table(label, group) for label, group in labels.items())

    def _shown(self, each, scale):
        value = each.median / scale
        text = f"{trim_sigfig(value, each.significant_figures):g}" if self._trim else f"{value:.1f}"
        return text + (" (!)" if self._highlight and each.has_warnings else "")

    def _table(self, label, group):
        unit, scale = select_unit(min(each.median for each in group))
        columns = list(dict.fromkeys(each.description or "" for each in group))
        cells = {(e.num_threads, (e.env, e.as_row_name), e.description or ""): self._shown(e, scale) for e in group}
        parts = {}
        for threads, row, _ in cells:
            parts.setdefault(threads, {})[row] = None
        lines = [["", *columns]]
        for threads, rows in parts.items():
            lines.append(f"{threads} thread{'s' if threads > 1 else ''}: ")
            for row in rows:
                name = "      " + (f"({row[0]}) " if row[0] else "") + row[1]
                lines.append([name, *[cells.get((threads, row, column), "") for column in columns]])
        rows = [line for line in lines if isinstance(line, list)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(columns) + 1)]
        total = sum(widths) + 5 * len(columns)
        texts = [line.ljust(total, "-") if isinstance(line, str) else _row(line, widths) for line in lines]
        title = f"[{f' {label} '.center(total - 2, '-')}]"
        return "\n".join([title, *texts, "", f"Times are in {_NAMES[unit]} ({unit}).", ""])


def _row(cells, widths):
    return "  |  ".join([cells[0].ljust(widths[0]), *[c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]])



__getattr__ = getter(__name__)
