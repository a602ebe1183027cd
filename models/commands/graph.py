"""python -m models graph NAME: the computational graph of one training step, as DOT text or a picture."""
from pathlib import Path

import minigrad
from minigrad.utils.graph import FORMATS, make_dot, record_modules
from minigrad.utils.products import watch_products
from models.commands.network import add_network_arguments, build_chosen, images, refusals
from models.common import CommandError, number, written_whole
from models.training import classification_loss

HELP = "draw the computational graph of one training step: forward pass and loss"


def add_arguments(parser):
    add_network_arguments(parser)
    add = parser.add_argument
    add("--out", required=True, metavar="FILE", help=f"where to: a file that ends in {', '.join(FORMATS)}")
    add("--depth", type=number(int, 1), metavar="N",
        help="draw modules at this level as one box each, with their parameters (default: every operation)")
    add("--module", metavar="NAME", help="draw this part of the network only, e.g. inception3a, without a loss")
    add("--attributes", action="store_true", help="also the operations' parameters, such as strides")
    add("--saved", action="store_true", help="also what each operation keeps for backward")
    add("--engine", choices=("dot", "matplotlib"),
        help="what draws pictures: Graphviz's dot, or matplotlib and igraph (default: dot where it is installed)")


def part_of(model, name, shape, batch):
    """The module called name, and the shape of its input in a pass of the network.

    Raises:
        CommandError: if there is none, or it is not called with one tensor.
    """
    modules = dict(model.named_modules())
    if name not in modules or not name:
        outer = ", ".join(child for child, _ in model.named_children())
        raise CommandError(f"--module: there is no {name!r}; the outermost modules are: {outer}")
    found = minigrad.summary(model, shape, batch_size=batch, mode="train")
    shapes = next((row.input_shapes for row in found.rows if row.name == name), None)
    if shapes is None or len(shapes) != 1:
        raise CommandError(f"--module {name}: it is not called with one tensor")
    return modules[name], shapes[0]


def run(arguments):
    """The command: returns its exit code."""
    path = Path(arguments.out)
    if path.suffix not in FORMATS:
        raise CommandError(f"--out {arguments.out}: the file must end in {', '.join(FORMATS)}")
    model, shape = build_chosen(arguments)
    model.train()
    with refusals(model, shape):
        part, given = model, (arguments.batch, *shape)
        if arguments.module is not None:
            part, given = part_of(model, arguments.module, shape, arguments.batch)
        # An input that asks for a gradient is part of the graph: the picture begins with the images.
        x = images(given[1:], given[0], arguments.device).requires_grad_()
        with record_modules(part) as calls, watch_products(lambda *product: None, compute=False):
            result = part(x)
            if part is model:
                labels = minigrad.zeros(arguments.batch, dtype=minigrad.int64, device=arguments.device)
                result = classification_loss(result, labels)
    graph = make_dot(
        result, {**dict(part.named_parameters()), "images" if part is model else "input": x},
        show_attrs=arguments.attributes, show_saved=arguments.saved, modules=calls, depth=arguments.depth,
    )  # fmt: skip
    try:
        with written_whole(path) as temporary:
            graph.render(temporary, arguments.engine)
    except OSError as error:
        raise CommandError(f"--out {arguments.out}: cannot write there: {error.strerror or error}") from error
    except RuntimeError as error:
        raise CommandError(str(error)) from error
    print(f"wrote {arguments.out}: {len(graph.boxes)} boxes, {len(graph.edges)} arrows")
    return 0
