"""python -m models predict: what a trained network sees in image files."""
import json
import sys
from pathlib import Path

import minigrad
from minigrad.vision import transforms
from minigrad.vision.datasets import folder as folders
from models import checkpoints
from models.commands.eval import add_network_arguments
from models.common import CommandError, add_machine_arguments, number, open_device, require
from models.data import augmentation, image_sets
from models.evaluation import crop_probabilities

HELP = "name what is in image files: the most probable classes of each"
AT_ONCE = 256  # crops that are run through the network together


def add_arguments(parser):
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="best.pt or last.pt of a run, or its folder (best.pt "
                        "is meant), or a file of weights")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image file, or a folder, of which all are taken")
    add_network_arguments(parser)
    add = parser.add_argument_group("the rest").add_argument
    add("--top", type=number(int, 1), default=5, metavar="K", help="classes per image (default: 5)")
    add("--classes", metavar="FILE", help="for a plain file: names of the classes, one per line")
    add("--json", action="store_true", help="print JSON, and nothing else")
    add_machine_arguments(parser, workers=False)


def image_files(names):
    """The image files that the names mean, folders looked through; CommandError for a name that is not there."""
    found = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if folders.is_image_file(file.name) and file.is_file()]
            if not inside:
                raise CommandError(f"{path}: no image files in this folder")
            found += inside
        else:
            found.append(path)  # one that is not there is told of like one that cannot be read: the others still count
    return found


def class_names(checkpoint, classes_file, count):
    """The names of the classes: the checkpoint's, a file's, or numbers."""
    if checkpoint.data is not None:
        if classes_file:
            raise CommandError(f"--classes: {checkpoint.path} is a checkpoint and says itself what its classes are")
        return list(checkpoint.data["classes"])
    if not classes_file:
        return [str(number) for number in range(count)]
    try:
        names = Path(classes_file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--classes {classes_file}: {error}") from error
    if len(names) != count:
        raise CommandError(f"--classes {classes_file}: has {len(names)} lines, but the network {count} classes")
    return names


def preparation(checkpoint, model, crops):
    """The transform of an RGB image for a network, cut to a square where it is none."""
    channels = checkpoint.network["arguments"].get("in_channels", getattr(model, "in_channels", 3))
    if checkpoint.data is not None:
        data = checkpoint.data
        size, mean, std = data["image_size"], tuple(data["mean"]), tuple(data["std"])
    elif channels == len(image_sets.FOLDER["mean"]):
        size, mean, std = model.image_size, image_sets.FOLDER["mean"], image_sets.FOLDER["std"]
    else:
        raise CommandError(f"{checkpoint.path}: a plain file of weights does not say how grey images are normalised")
    grey = [transforms.Grayscale()] if channels == 1 else []
    return transforms.Compose([*grey, augmentation.crops_transform(crops, size, mean, std, square=False)])


def read_images(files, transform):
    """Pairs (file, image) of those that can be read; each of the others is named on stderr with (file, None)."""
    for file in files:
        try:
            yield file, transform(folders.default_loader(str(file)))
        except (OSError, RuntimeError, ValueError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
            print("error:", reason if str(file) in reason else f"{file}: {reason}", file=sys.stderr)
            yield file, None


def predictions(model, pairs, names, top, device):
    """For every readable image a dict: its file, and its most probable classes with their probabilities."""
    waiting, files = [], []

    def answer():
        found = crop_probabilities(model, minigrad.stack(waiting).to(device)).cpu()
        best = found.topk(min(top, len(names)), dim=1)
        for file, shares, numbers in zip(files, best.values.tolist(), best.indices.tolist()):
            classes = [{"class": names[index], "probability": share} for share, index in zip(shares, numbers)]
            yield {"file": str(file), "predictions": classes}
        waiting.clear()
        files.clear()

    for file, image in pairs:
        if image is None:
            continue
        waiting.append(image)
        files.append(file)
        if len(waiting) * (len(image) if image.ndim == 4 else 1) >= AT_ONCE:
            yield from answer()
    if waiting:
        yield from answer()


def run(arguments):
    """The command: returns its exit code, 2 if an image could not be read."""
    require("PIL")
    minigrad.set_num_threads(arguments.threads or 1)
    device = open_device(arguments.device or "cpu")
    checkpoint = checkpoints.read(arguments.checkpoint, arguments.model, arguments.option, arguments.image_size)
    model = checkpoint.build(arguments.weights).to(device)
    transform = preparation(checkpoint, model, arguments.crops)
    count = checkpoint.network["arguments"].get("num_classes", 1000)
    names = class_names(checkpoint, arguments.classes, count)
    files = image_files(arguments.images)
    found = []
    for answer in predictions(model, read_images(files, transform), names, arguments.top, device):
        found.append(answer)
        if not arguments.json:
            print(answer["file"])
            for guess in answer["predictions"]:
                print(f"  {100 * guess['probability']:6.2f} %  {guess['class']}", flush=True)
    if arguments.json:
        print(json.dumps(found, indent=1))
    return 0 if len(found) == len(files) else 2
