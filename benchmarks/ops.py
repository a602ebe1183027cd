"""python -m benchmarks ops: single operations on tiny, middle and large tensors."""
from benchmarks import arguments as common
from benchmarks import measuring, operations
from benchmarks.processes import workers
from models.common import CommandError

HELP = "measure single operations: elementwise, reductions, products, pooling, recurrent layers, optimizers …"


def add_arguments(parser):
    add = parser.add_argument
    add("--families", nargs="+", metavar="NAME", help=f"default: {' '.join(operations.FAMILIES)}")
    add("--sizes", nargs="+", metavar="SIZE", help=f"default: {' '.join(operations.SIZES)}")
    common.add_common(parser)


def run(arguments):
    families = chosen("--families", arguments.families, operations.FAMILIES)
    sizes = chosen("--sizes", arguments.sizes, operations.SIZES)
    wanted = {
        name: operation.family
        for name, operation in operations.OPERATIONS.items()
        if operation.family in families and name.rpartition(", ")[2] in sizes
    }

    def rows(threads):
        with workers(common.labels_of(arguments), threads) as running:
            for name, family in wanted.items():
                common.say(name)
                yield measuring.operation_row(
                    running, name, family, device=arguments.device, passes=arguments.passes
                )

    return common.run(arguments, "ops", {}, rows)


def chosen(flag, given, possible):
    """The names given, or all; CommandError for one that there is not."""
    for name in given or ():
        if name not in possible:
            raise CommandError(f"{flag} {name}: there are {', '.join(possible)}")
    return set(given or possible)
