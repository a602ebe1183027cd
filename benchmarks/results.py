"""Files of results: JSON, written anew after every row so that an interrupted run keeps what it has measured."""
import datetime
import json
import platform
import statistics
from pathlib import Path

from benchmarks import machine
from benchmarks.processes import MINIGRAD, REFERENCE
from models.common import CommandError, open_folder, write_text

FOLDER = Path(__file__).resolve().parent / "results"
FORMAT = 2  # of the files; raised when old ones cannot be read any more


class Results:
    """The results of one run.

    Args:
        command: what was typed.
        kind: "cnn", "small", "layers", "ops" or "footprint".
        settings: threads, device, passes and whatever else was chosen.
        path: of the JSON file.
    """

    def __init__(self, command, kind, settings, path):
        self.path = Path(path)
        now = datetime.datetime.now(datetime.UTC)
        self.document = {
            "format": FORMAT,
            "kind": kind,
            "command": command,
            "date": now.strftime("%Y-%m-%d %H:%M UTC"),
            "revision": machine.revision(),
            "machine": machine.describe(),
            "versions": {"Python": platform.python_version()},
            "settings": settings,
            "complete": False,
            "rows": [],
        }

    def add(self, row):
        self.document["rows"].append(row)
        self.write()

    def write(self):
        write_text(self.path, json.dumps(self.document, indent=1, ensure_ascii=False) + "\n")


def path_for(folder, name, kind):
    """The JSON file for a run: NAME.json, or one with its kind and date. CommandError if it cannot be written."""
    folder = open_folder(folder)
    if name is None:
        name = f"{kind}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    elif Path(name).name != name or name in (".", ".."):
        raise CommandError(f"--name {name}: must be a file's name without a folder")
    return folder / f"{name}.json"


def read(path):
    """The document in a file; CommandError if it is none of these."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise CommandError(f"{path}: is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or "rows" not in document:
        raise CommandError(f"{path}: holds no results of python -m benchmarks in format {FORMAT}")
    return document


# ---------------------------------------------------------------- what the numbers say
def parts_of(times):
    """The milliseconds of one library by part, with the total of forward and backward where both were timed together.

    >>> parts_of({"forward": [1.0, 2.0], "backward": [3.0, 5.0], "step": [9.0, 9.0]})["total"]
    [4.0, 7.0]
    """
    if {"forward", "backward", "step"} <= set(times):
        total = [forward + backward for forward, backward in zip(times["forward"], times["backward"])]
        return {"forward": times["forward"], "backward": times["backward"], "total": total, **times}
    return dict(times)


def ratios(row, label, other, part):
    """One library's time over another's, pass by pass."""
    ours, theirs = (parts_of(row["times"][name])[part] for name in (label, other))
    return [mine / their for mine, their in zip(ours, theirs)]


def summary(values):
    """Median, least and largest.

    >>> summary([3.0, 1.0, 2.0])
    (2.0, 1.0, 3.0)
    """
    return statistics.median(values), min(values), max(values)


def labels_of(document):
    """The libraries that were measured, minigrad first."""
    return list(document["rows"][0]["times"]) if document["rows"] else []


def comparisons(document):
    """What is set against what: pairs of labels; the first one's times are divided by the second one's."""
    labels = labels_of(document)
    peers = [label for label in labels if label not in (MINIGRAD, REFERENCE)]
    found = [(label, peer) for peer in peers for label in labels if label != peer]
    return found + ([(MINIGRAD, REFERENCE)] if REFERENCE in labels else [])
