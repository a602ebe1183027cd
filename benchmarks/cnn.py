"""python -m benchmarks cnn: the networks of the lecture's benchmark, small networks, or single convolutions."""
from benchmarks import arguments as common
from benchmarks import measuring, networks
from models.common import CommandError, number

HELP = "measure convolutional networks as jcjohnson/cnn-benchmarks does"
BATCH = 16


def add_arguments(parser):
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--small", action="store_true", help="LeNet-5 and an MLP at batch 1, 64 and 256 instead")
    what.add_argument("--layers", action="store_true", help="each distinct convolution of the networks instead")
    names = " ".join((*networks.NETWORKS, *networks.SMALL_NETWORKS))
    add("--networks", nargs="+", metavar="NAME", help=f"default: all of {names}, the last two with --small")
    add("--batch", type=number(int, 1), metavar="N", help="images in a minibatch (default: 16; --small: 1, 64, 256)")
    add("--reference", action="store_true", help="measure minigrad with plain im2col convolutions too")
    add("--profile", action="store_true", help="also tell where the time of minigrad's training step goes")
    add("--image-size", type=number(int, 1, 2049), metavar="N", help="side of the images (default: 224; --small: 28)")
    common.add_common(parser)


def run(arguments):
    if arguments.profile and arguments.layers:
        raise CommandError("--profile: of a network's training step, which --layers does not run")
    table = networks.SMALL_NETWORKS if arguments.small else networks.NETWORKS
    names = list(dict.fromkeys(arguments.networks or table))
    for name in names:
        if name not in table:
            raise CommandError(f"--networks {name}: there are {', '.join(table)}{' with --small' * arguments.small}")
    sizes = {name: arguments.image_size or table[name].image_size for name in names}
    if arguments.image_size:
        check_sizes(sizes)
    kind = "small" if arguments.small else "layers" if arguments.layers else "cnn"
    shared = {"labels": common.labels_of(arguments), "device": arguments.device, "passes": arguments.passes}
    batches = (arguments.batch,) if arguments.batch else networks.SMALL_BATCHES if arguments.small else (BATCH,)

    def rows(threads):
        known = set()
        for name in names:
            for batch in batches:
                options = {**shared, "threads": threads, "batch": batch, "image_size": sizes[name]}
                common.say(f"{table[name].title}, batch {batch}")
                if arguments.layers:
                    yield from measuring.layer_rows(name, known=known, **options)
                else:
                    yield measuring.network_row(name, small=arguments.small, profile=arguments.profile, **options)

    return common.run(arguments, kind, {"image size": ", ".join(map(str, sorted(set(sizes.values()))))}, rows)


def check_sizes(sizes):
    """CommandError for images that are too small for a network."""
    from benchmarks import library_minigrad

    for name, image_size in sizes.items():
        try:
            library_minigrad.multiply_adds(name, image_size)
        except (ValueError, RuntimeError) as error:
            raise CommandError(f"--image-size {image_size}: {error}") from error
