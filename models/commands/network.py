"""What summary, graph and figures share: a network chosen on the command line, built without drawing its weights."""
import contextlib
import warnings

import minigrad
import models
from minigrad import nn
from models.common import CommandError, number, open_device, option

REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError)


def add_network_arguments(parser):
    """The arguments that say which network, and what it is shown."""
    parser.add_argument("model", metavar="NAME", help="a network: python -m models --help has the names")
    add = parser.add_argument
    add("--input-size", type=number(int, 1), nargs=3, metavar=("C", "H", "W"),
        help="channels, height and width of the images (default: what the network is made for)")
    add("--batch", type=number(int, 1), default=1, metavar="N", help="images (default: 1)")
    add("--num-classes", type=number(int, 1), metavar="N", help="outputs (default: the network's own)")
    add("--option", type=option, action="append", default=[], metavar="NAME=VALUE",
        help="an argument of the network, e.g. activation=tanh; may be given several times")
    add("--device", default="cpu", metavar="cpu|cuda|cuda:N", help="default: cpu")


def image_shape(model):
    """(C, H, W) of the images that a network is made for: its in_channels and image_size, or its first layer's."""
    size = model.image_size
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    first = next((m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)), 3)
    return getattr(model, "in_channels", first), height, width


def build(name, **settings):
    """A network whose weights are not drawn: its memory is not touched, so that even VGG-16 takes no time.

    Raises:
        CommandError: if there is no such network, or it does not take the settings.
    """
    try:
        with nn.init.paused(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of initialisation, for one
            return models.build(name, **settings)
    except (ValueError, NotImplementedError, AssertionError) as error:
        raise CommandError(str(error)) from error
    except TypeError as error:
        raise CommandError(f"--option: {error}") from error


def build_chosen(arguments):
    """The chosen network on its device, and the shape (C, H, W) of the images it is shown."""
    settings = dict(arguments.option)
    if arguments.num_classes is not None:
        settings["num_classes"] = arguments.num_classes
    if arguments.input_size is not None:
        channels, height, width = arguments.input_size
        settings = {"in_channels": channels, "image_size": min(height, width), **settings}
    device = open_device(arguments.device)
    model = build(arguments.model, **settings)
    return model.to(device), tuple(arguments.input_size or image_shape(model))


@contextlib.contextmanager
def refusals(model, shape):
    """A block in which a network may refuse its input: CommandError says so."""
    try:
        yield
    except REFUSALS as error:
        size = " ".join(map(str, shape))
        raise CommandError(f"{type(model).__name__} cannot run on images of --input-size {size}: {error}") from error


def images(shape, batch, device="cpu"):
    """Black images (N, C, H, W)."""
    return minigrad.zeros(batch, *shape, device=device)
