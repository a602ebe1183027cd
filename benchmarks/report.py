"""python -m benchmarks report: files of results as tables and a picture."""
from pathlib import Path

from benchmarks import chart, pages, results
from models.common import CommandError, open_folder, write_text

HELP = "make tables and the picture CPU against GPU of measured results"


def add_arguments(parser):
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE.json", help="default: all in benchmarks/results")
    add("--out", metavar="FOLDER", help="where NAME.md goes (default: beside each file)")
    add("--chart", metavar="FILE", help="PNG or SVG (default: cpu-gpu.png beside the first table)")


def run(arguments):
    paths = [Path(name) for name in arguments.files] or sorted(results.FOLDER.glob("*.json"))
    if not paths:
        raise CommandError(f"no results in {results.FOLDER}: measure some with python -m benchmarks cnn or ops")
    picture = Path(arguments.chart) if arguments.chart else None
    if picture is not None and picture.suffix not in (".png", ".svg"):
        raise CommandError(f"--chart {picture}: must end in .png or .svg")
    documents = {path: results.read(path) for path in paths}
    folder = open_folder(arguments.out) if arguments.out else None
    for path, document in documents.items():
        target = (folder or path.parent) / f"{path.stem}.md"
        text = pages.markdown(document)
        write_text(target, text)
        print(text)
        print(f"written: {target}\n")
    if picture is None:
        picture = (folder or paths[0].parent) / "cpu-gpu.png"
    try:
        drawn = chart.draw(documents.values(), picture)
    except OSError as error:
        raise CommandError(f"--chart {picture}: cannot be written: {error.strerror or error}") from error
    if drawn:
        print(f"written: {picture}")
    elif arguments.chart:
        raise CommandError(f"--chart {picture}: no network was measured with 16 images of 224 x 224")
    return 0
