"""What the measuring commands share: their arguments, the run around the measuring, its ends."""
import shlex
import sys
from importlib.util import find_spec

import minigrad
from benchmarks import measuring, pages, results
from benchmarks.processes import MINIGRAD, PEERS, REFERENCE
from models.common import CommandError, number, open_device, terminated_as_interrupted, write_text

PASSES = 11  # the benchmark's, the first of which is dropped


def add_common(parser, device=True):
    add = parser.add_argument
    add("--peer", choices=PEERS, help="measure this library too, pass by pass in turns; minigrad: itself, as a control")
    add("--passes", type=number(int, 1), default=PASSES, metavar="N", help="the first is dropped (default: 11)")
    add("--threads", type=number(int, 1, 1025), metavar="N", help="CPU threads of each library (default: all cores)")
    if device:
        add("--device", default="cpu", metavar="cpu|cuda|cuda:N", help="default: cpu")
    else:
        parser.set_defaults(device="cpu")
    add("--out", default=str(results.FOLDER), metavar="FOLDER", help="default: benchmarks/results")
    add("--name", metavar="NAME", help="write NAME.json and NAME.md (default: what is measured, and the date)")


def check_common(arguments):
    """Find what is wrong before anything is measured: CommandError. Returns the number of threads."""
    if arguments.peer == "torch" and find_spec("torch") is None:
        raise CommandError("--peer torch: PyTorch is not installed: pip install torch==2.13.0")
    if arguments.device != "cpu":
        open_device(arguments.device)
    return arguments.threads or minigrad.get_num_threads()


def labels_of(arguments):
    """The libraries to be measured, minigrad first, as they are called in results."""
    labels = [MINIGRAD]
    if arguments.peer is not None:
        labels.append(PEERS[arguments.peer])
    if getattr(arguments, "reference", False):
        labels.append(REFERENCE)
    return labels


def run(arguments, kind, settings, rows, product=True, about=measuring.about_the_libraries):
    """Measure row by row into a file of results and show them.

    Args:
        arguments: of a parser with add_common.
        kind: of document, see results.Results.
        settings: further ones, to be kept with the results.
        rows: a function of the number of threads that yields the rows.
        product: whether the rate of a large matrix product is measured first.
        about: what asks the libraries for their versions, as measuring.about_the_libraries does.

    Returns:
        int: 0, or 130 if interrupted; what was measured is kept in both cases.

    Raises:
        CommandError: for what the user can mend.
        MeasuringError: if a library fails.
    """
    threads = check_common(arguments)
    settings = {"threads": threads, "device": arguments.device, "passes": arguments.passes, **settings}
    path = results.path_for(arguments.out, arguments.name, kind)
    found = results.Results(command_line(), kind, settings, path)
    document = found.document
    code = 0
    try:
        with terminated_as_interrupted():
            say("versions and the rate of a matrix product" if product else "versions")
            versions, rates = about(labels_of(arguments), threads, arguments.device, product)
            document["versions"].update(versions)
            document["product_gflops"] = rates
            for row in rows(threads):
                found.add(row)
        document["complete"] = True
    except KeyboardInterrupt:
        code = 130
    finally:
        if document["complete"] or document["rows"]:
            text = pages.markdown(document)
            print(text)  # first: a full disk then costs the files alone
            found.write()
            write_text(path.with_suffix(".md"), text)
            print(f"written: {path} and {path.with_suffix('.md').name}")
    if code:
        kept = f"; kept what was measured: {path}" if document["rows"] else ""
        print(f"interrupted{kept}", file=sys.stderr)
    return code


def command_line():
    """What was typed, as far as the process knows."""
    return shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])


def say(text):
    """Tell what is being measured."""
    print(f"{text} …", file=sys.stderr, flush=True)
