"""python -m models eval: test trained networks, alone and together, on the test images of a set."""
import csv
import io
import json
import time
from pathlib import Path

import minigrad
from minigrad.utils.data import DataLoader
from models import checkpoints
from models.commands import plots
from models.commands.logs import Progress
from models.common import (
    CommandError,
    add_machine_arguments,
    number,
    open_device,
    open_folder,
    option,
    require,
    write_text,
)
from models.data import augmentation, image_sets
from models.evaluation import Report, probabilities

HELP = "test trained networks: accuracy, confusion, several crops, ensembles"


def add_network_arguments(parser):
    """What eval and predict need to know of the networks."""
    add = parser.add_argument_group("network").add_argument
    add("--weights", choices=("model", "ema"), help="of the last step, or averaged (default: these if there are any)")
    add("--model", metavar="MODEL", help="the network of a plain file of weights; checkpoints say it themselves")
    add("--option", type=option, action="append", default=[], metavar="NAME=VALUE",
        help="for a plain file: an argument of the network; may be given several times")
    add("--image-size", type=number(int, 1), metavar="PIXELS", help="for a plain file: side of the images")
    add("--crops", choices=augmentation.CROPS, default="1",
        help="average over: the whole image (1), corners and centre and their mirror images (10), or these at five "
        "scales (multi-scale); default: 1")


def add_arguments(parser):
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="best.pt or last.pt of a run, or its "
                        "folder (best.pt is meant), or a file of weights; several are also tested as an ensemble")
    add = parser.add_argument_group("data").add_argument
    sets = ", ".join(image_sets.SOURCES)
    add("--data", metavar="NAME|DIR", help=f"{sets}, or a folder (default: what the network was trained on)")
    add("--root", metavar="DIR", help="where the data set's files are (default: data, then $MINIGRAD_DATA)")
    add("--download", action="store_true", help="fetch the files into --root if they are missing")
    add_network_arguments(parser)
    add = parser.add_argument_group("the rest").add_argument
    add("--batch-size", type=number(int, 1), default=256, metavar="N", help="crops per step (default: 256)")
    add("--out", metavar="DIR", help="write eval.json, confusion.csv and confusion.png there")
    add("--json", action="store_true", help="print the figures as JSON, and nothing else")
    add("--no-progress", action="store_true", help="no progress bar")
    add_machine_arguments(parser)


# ---------------------------------------------------------------- what is tested on what
def open_images(arguments, found):
    """The image set on whose test images the checkpoints are tested."""
    known = [checkpoint.data for checkpoint in found if checkpoint.data is not None]
    name = arguments.data or (known[0]["name"] if known else None)
    if name is None:
        raise CommandError("--data is missing: a plain file of weights does not say what it was trained on")
    seeds = seeds_for(name, known)
    images = image_sets.load(name, arguments.root, arguments.download, seed=seeds[0])
    if len(seeds) > 1 and name not in image_sets.SOURCES and images.test.dataset is images.train.dataset:
        raise CommandError(f"--data {name}: the networks were trained on different parts of it, with other seeds")
    for checkpoint in found:
        check_classes(checkpoint, images, name)
    return images


def seeds_for(name, known):
    """The seeds that drew the test images of a set from it, without repetition, for the networks trained on it.

    Where none was by its path the folder may have been moved: then the first network's seed, 0 without networks.

    Args:
        name: of the set, or of a folder, which each network may have been told in another way.
        known: Checkpoint.data of the networks.
    """
    places = [data["name"] if data["name"] in image_sets.SOURCES else Path(data["name"]).resolve() for data in known]
    wanted = name if name in image_sets.SOURCES else Path(name).resolve()
    found = [data["seed"] for data, place in zip(known, places) if place == wanted]
    return list(dict.fromkeys(found or [data["seed"] for data in known[:1]] or [0]))


def check_classes(checkpoint, images, name):
    arguments = checkpoint.network["arguments"]
    if checkpoint.data is not None and list(checkpoint.data["classes"]) != list(images.classes):
        theirs, here = len(checkpoint.data["classes"]), len(images.classes)
        raise CommandError(f"{checkpoint.path}: its {theirs} classes are not the {here} of {name}")
    if checkpoint.data is None and arguments.get("num_classes", len(images.classes)) != len(images.classes):
        theirs = arguments["num_classes"]
        raise CommandError(f"{checkpoint.path}: has {theirs} classes, but {name} {len(images.classes)}")
    if arguments.get("in_channels", images.channels) != images.channels:
        raise CommandError(
            f"{checkpoint.path}: takes images of {arguments['in_channels']} channels, but those of {name} have "
            f"{images.channels}"
        )


def look(checkpoint, model, images):
    """How a network sees images: their side, mean and std."""
    if checkpoint.data is None:
        return getattr(model, "image_size", images.image_size), images.mean, images.std
    data = checkpoint.data
    return data["image_size"], tuple(data["mean"]), tuple(data["std"])


def test(checkpoint, images, arguments, device):
    """The probabilities that one network gives the test images, and the labels."""
    model = checkpoint.build(arguments.weights).to(device)
    transform = augmentation.crops_transform(arguments.crops, *look(checkpoint, model, images), images.square)
    crops = max(1, 10 * len(augmentation.CROPS[arguments.crops]))
    batches = DataLoader(
        images.test.seen_through(transform),
        max(1, arguments.batch_size // crops),
        num_workers=arguments.workers or 0,
        pin_memory=device.type == "cuda",
    )
    progress = Progress(not (arguments.no_progress or arguments.json), str(checkpoint.path), len(images.test), 0)
    try:
        with image_sets.readable():
            return probabilities(model, batches, device, progress.update)
    except (RuntimeError, ValueError) as error:
        raise CommandError(f"{checkpoint.path}: cannot take these images: {error}") from error
    finally:
        progress.close()


# ---------------------------------------------------------------- what is printed and written
def print_report(report, classes):
    width = max(5, *(len(name) for name in classes))
    print(f"{'class':{width}}  images  accuracy (95 % interval)")
    for name, share in zip(classes, report.per_class):
        print(f"{name:{width}}  {share.count:6,}  {share if share.count else '-'}")


def write_report(folder, figures, report, classes, title):
    """Write eval.json, confusion.csv and confusion.png; returns their paths."""
    write_text(folder / "eval.json", json.dumps(figures, indent=1) + "\n")
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["true \\ predicted", *classes])
    rows.writerows([name, *row] for name, row in zip(classes, report.confusion.tolist()))
    write_text(folder / "confusion.csv", table.getvalue())
    plots.confusion(report.confusion.tolist(), classes, title, folder / "confusion.png")
    return [folder / name for name in ("eval.json", "confusion.csv", "confusion.png")]


def run(arguments):
    """The command: returns its exit code."""
    if not (arguments.no_progress or arguments.json):
        require("tqdm", "or give --no-progress")
    minigrad.set_num_threads(arguments.threads or 1)
    device = open_device(arguments.device or "cpu")
    found = [
        checkpoints.read(path, arguments.model, arguments.option, arguments.image_size)
        for path in arguments.checkpoints
    ]
    images = open_images(arguments, found)
    folder = None
    if arguments.out:
        require("matplotlib")
        folder = open_folder(arguments.out)
    say = (lambda text: None) if arguments.json else (lambda text: print(text, flush=True))
    crops = {"1": "1 crop", "10": "10 crops"}.get(arguments.crops, "5 scales x 10 crops")
    say(f"{images.title}: {len(images.test):,} test images, {len(images.classes)} classes, {crops}")
    started = time.perf_counter()
    total, members = None, []
    for checkpoint in found:
        answers, labels = test(checkpoint, images, arguments, device)
        report = Report.of(answers, labels)
        say(f"{checkpoint.describe(arguments.weights)}: {report.line()}")
        members.append({"checkpoint": str(checkpoint.path), "network": checkpoint.name,
                        **report.as_dict(images.classes)})
        total = answers.double() if total is None else total + answers
    if len(found) > 1:
        report = Report.of(total / len(found), labels)
        say(f"ensemble of {len(found)}: {report.line()}")
    figures = {
        "data": images.title, "images": len(images.test), "crops": arguments.crops, "members": members,
        **report.as_dict(images.classes), "seconds": time.perf_counter() - started,
    }
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        print_report(report, images.classes)
    if folder is not None:
        what = found[0].name if len(found) == 1 else f"ensemble of {len(found)}"
        written = write_report(folder, figures, report, images.classes, f"{what} on {images.title}, {crops}")
        say("wrote " + ", ".join(str(path) for path in written))
    return 0
