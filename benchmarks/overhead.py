"""What one operation costs on arrays so small that only the framework's own work counts.

    python -m benchmarks.overhead

For every op: NumPy's time for the same work, then minigrad's and (where installed) PyTorch's in three modes:

- untracked: plain tensors;
- tracked: the inputs require a gradient, so that the graph is recorded and then dropped;
- backward: forward, then backward to the inputs.

All of them run in one process and take turns, round by round, so that a change of the machine's speed meets all alike.
Each number is the median over the rounds in µs per op, with the range in brackets.
"""
import argparse
import gc
import importlib.util
import math
import os
import statistics
import sys
import timeit

# One thread for everybody: read when NumPy and PyTorch are first imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# name → (statement, the same for NumPy or None if it is the same, shape of the result for side n)
OPS = {
    "add": ("x + y", None, lambda n: (n, n)),
    "mul": ("x * y", None, lambda n: (n, n)),
    "exp": ("exp(x)", None, lambda n: (n, n)),
    "relu": ("relu(x)", "maximum(x, 0)", lambda n: (n, n)),
    "sum": ("x.sum()", None, lambda n: ()),
    "matmul": ("x @ y", None, lambda n: (n, n)),
    "getitem": ("x[1]", None, lambda n: (n,)),
    "reshape": ("x.reshape(n * n)", None, lambda n: (n * n,)),
}
MODES = ("untracked", "tracked", "backward")


def timers(library, name, statement, result_shape, side):
    """The statements of one op for one library, mode by mode, ready to be timed."""
    if library.__name__ == "numpy":
        x = library.full((side, side), 0.5, dtype="float32")
        names = {"x": x, "y": x + 1, "n": side, "exp": library.exp, "maximum": library.maximum}
        return {"untracked": timeit.Timer(statement, globals=names)}
    made = {}
    for mode in MODES:
        x = library.full((side, side), 0.5, requires_grad=mode != "untracked")
        y = library.full((side, side), 1.5, requires_grad=mode != "untracked")
        g = library.ones(result_shape)
        names = {"x": x, "y": y, "g": g, "n": side, "exp": library.exp, "relu": library.relu}
        if mode == "backward":
            made[mode] = timeit.Timer(f"x.grad = y.grad = None; ({statement}).backward(g)", globals=names)
        else:
            made[mode] = timeit.Timer(statement, globals=names)
    return made


def measure(libraries, ops=tuple(OPS), side=4, rounds=15, seconds=0.004):
    """Time every op in every mode and library, interleaved.

    Args:
        libraries: modules: numpy, minigrad, torch.
        ops: names from OPS.
        side: the arrays are side x side.
        rounds: how often each gets its turn.
        seconds: roughly how long one turn lasts.

    Returns:
        dict: (op, mode, library's name) → list of µs per op, one per round.
    """
    result = {}
    for op in ops:
        statement, numpy_statement, shape = OPS[op]
        jobs = {}
        for library in libraries:
            text = (numpy_statement or statement) if library.__name__ == "numpy" else statement
            for mode, timer in timers(library, op, text, shape(side), side).items():
                jobs[op, mode, library.__name__] = timer
        repeats = {}
        for key, timer in jobs.items():
            timer.timeit(20)  # warm up
            repeats[key] = max(1, math.ceil(seconds / (timer.timeit(100) / 100)))
            result[key] = []
        for _ in range(rounds):
            gc.collect()  # timeit holds the collector off while it measures
            for key, timer in jobs.items():
                result[key].append(1e6 * timer.timeit(repeats[key]) / repeats[key])
    return result


def ratios(result, ours="minigrad", theirs="torch"):
    """Per mode: {op: median of ours / median of theirs}."""
    by_mode = {mode: {} for mode in MODES}
    for op, mode, library in result:
        if library == ours and (op, mode, theirs) in result:
            both = [statistics.median(result[op, mode, name]) for name in (ours, theirs)]
            by_mode[mode][op] = both[0] / both[1]
    return {mode: found for mode, found in by_mode.items() if found}


def table(result):
    """The measurements as lines of text."""
    libraries = list(dict.fromkeys(library for _, _, library in result))
    with_torch = {"minigrad", "torch"} <= set(libraries)
    head = f"{'op':8} {'mode':10}" + "".join(f"{library + ', µs':>27}" for library in libraries)
    lines = [head + ("   minigrad/torch" if with_torch else "")]
    compared = ratios(result)
    for op in dict.fromkeys(op for op, _, _ in result):
        for mode in MODES:
            line = f"{op:8} {mode:10}"
            for library in libraries:
                times = result.get((op, mode, library))
                text = f"{statistics.median(times):.2f} [{min(times):.2f}-{max(times):.2f}]" if times else ""
                line += f"{text:>27}"
            lines.append(line + (f"{compared[mode][op]:17.2f}" if with_torch else ""))
    for mode, found in compared.items():
        mean = math.exp(statistics.fmean(map(math.log, found.values())))
        lines.append(f"{mode}: minigrad takes {mean:.2f} of PyTorch's time (geometric mean over {len(found)} ops)")
    return lines


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ops", nargs="+", choices=OPS, default=list(OPS), metavar="OP", help=" ".join(OPS))
    parser.add_argument("--side", type=int, default=4, metavar="N", help="arrays are N x N float32 (default: 4)")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="turns that each one gets (default: 15)")
    parsed = parser.parse_args(arguments)
    if parsed.side < 2 or parsed.rounds < 1:
        parser.error("--side must be at least 2 and --rounds at least 1")
    import numpy

    import minigrad

    libraries = [numpy, minigrad]
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        libraries.append(torch)
    print(", ".join(f"{library.__name__} {library.__version__}" for library in libraries))
    print("\n".join(table(measure(libraries, parsed.ops, parsed.side, parsed.rounds))))


if __name__ == "__main__":
    from benchmarks.__main__ import main as command

    sys.exit(command(["overhead", *sys.argv[1:]]))
