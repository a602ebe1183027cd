"""python -m models summary NAME: the layers of a network, their shapes, parameters, memory and operations."""
import argparse

import minigrad
from minigrad.summary import COLUMNS, DEFAULT_COLUMNS, MODES
from models.commands.network import add_network_arguments, build_chosen, refusals
from models.common import number

HELP = "show a network's layers: output shapes, parameters, memory, multiply-adds and receptive fields"

DEPTH = 2


def _columns(text):
    names = tuple(text.split(","))
    wrong = ", ".join(name for name in names if name not in COLUMNS)
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong} is no column; there are: {', '.join(COLUMNS)}")
    return names


def add_arguments(parser):
    add_network_arguments(parser)
    add = parser.add_argument
    add("--depth", type=number(int, 0), default=DEPTH, metavar="N",
        help=f"levels of modules inside modules that are shown, 0 for the network alone (default: {DEPTH})")
    add("--columns", type=_columns, default=DEFAULT_COLUMNS, metavar="NAME,NAME",
        help=f"of: {', '.join(COLUMNS)} (default: {', '.join(DEFAULT_COLUMNS)})")
    add("--mode", choices=MODES[:2], default="eval", help="how the network is run for the rows (default: eval)")
    add("--json", action="store_true", help="print everything as JSON instead, all levels")
    parser.epilog = (
        "Multiply-adds are those of convolutions and matrix products. 'For backward' (column saved_bytes) is what the "
        "graph of a training pass keeps. 'Sees' is the patch of the image that one position of the output depends on; "
        "padding makes it larger than some images."
    )


def run(arguments):
    """The command: returns its exit code."""
    model, shape = build_chosen(arguments)
    with refusals(model, shape):
        found = minigrad.summary(
            model, shape, batch_size=arguments.batch, depth=arguments.depth, columns=arguments.columns,
            mode=arguments.mode,
        )  # fmt: skip
    found.model = arguments.model
    print(found.to_json() if arguments.json else found)
    return 0
