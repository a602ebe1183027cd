"""python -m models experiments: the lecture's claims about training, put to the test on small images."""
from pathlib import Path

import minigrad
from models.common import CommandError, number, open_folder, require, write_text
from models.experiments import EXPERIMENTS, report

HELP = "put the lecture's claims about training to the test"


def add_arguments(parser):
    parser.epilog = "experiments:\n" + "\n".join(f"  {name:13} {e.title}" for name, e in EXPERIMENTS.items())
    parser.add_argument("names", nargs="*", metavar="NAME", help="one or several; all, for hours, if none is given")
    add = parser.add_argument
    add("--root", metavar="DIR", help="where MNIST and CIFAR-10 are (default: data, then $MINIGRAD_DATA)")
    add("--seeds", type=number(int, 1), metavar="N", help="how many seeds (default: the experiment's own number)")
    add("--set", action="append", default=[], type=_setting, metavar="NAME=N",
        help="change a number of the experiment, such as epochs=3 or train_images=1000; several times")
    add("--threads", type=number(int, 1), default=1, metavar="N", help="CPU threads (default: 1)")
    add("--out", default="runs/experiments", metavar="DIR",
        help="where the values measured so far are kept, and found again (default: %(default)s)")
    add("--docs", metavar="DIR", help="also write the table as DIR/NAME.md")


def _setting(text):
    name, equals, value = text.partition("=")
    if not name or not equals or not value.isdecimal() or int(value) < 1:
        raise ValueError(text)
    return name, int(value)


_setting.__name__ = "NAME=N"


def settings_of(experiment, changes):
    """The experiment's numbers, those changed that were named."""
    unknown = [name for name, _ in changes if name not in experiment.settings]
    if unknown:
        raise CommandError(
            f"--set {unknown[0]}: {experiment.name} has no such number, but {', '.join(experiment.settings)}"
        )
    return {**experiment.settings, **dict(changes)}


def shell_line(experiment, arguments):
    """The command that makes this table."""
    changes = "".join(f" --set {name}={value}" for name, value in arguments.set)
    seeds = "" if arguments.seeds is None else f" --seeds {arguments.seeds}"
    return f"python -m models experiments {experiment.name} --root PATH{seeds}{changes} --docs docs/experiments"


def run(arguments):
    unknown = [name for name in arguments.names if name not in EXPERIMENTS]
    if unknown:
        raise CommandError(f"no experiment {unknown[0]!r}; there are: {', '.join(EXPERIMENTS)}")
    chosen = [EXPERIMENTS[name] for name in arguments.names or EXPERIMENTS]
    settings = {experiment.name: settings_of(experiment, arguments.set) for experiment in chosen}
    require("PIL.Image")  # with which the images are read
    minigrad.set_num_threads(arguments.threads)
    folder = open_folder(arguments.out)
    docs = None if arguments.docs is None else open_folder(arguments.docs)
    for experiment in chosen:
        _run_one(experiment, settings[experiment.name], arguments, folder, docs)
    return 0


def _run_one(experiment, settings, arguments, folder, docs):
    seeds = arguments.seeds or experiment.seeds
    named = ", ".join(f"{name} {value}" for name, value in settings.items())
    print(f"{experiment.title}\n{named}; {'1 seed' if seeds == 1 else f'{seeds} seeds'}", flush=True)
    record = report.Record(experiment, settings, folder / f"{experiment.name}.json")
    try:
        report.run(experiment, record, settings, arguments.root, seeds)
    except KeyboardInterrupt:
        print(f"\nwhat was measured is in {record.path}; the same command goes on from there", flush=True)
        raise
    except ValueError as error:
        raise CommandError(f"{experiment.name}: {error}") from error
    print("\n" + report.text_table(report.rows(experiment, record, seeds)) + "\n", flush=True)
    if docs is not None:
        path = Path(docs) / f"{experiment.name}.md"
        write_text(path, report.markdown(experiment, record, settings, seeds, shell_line(experiment, arguments)))
        print(f"wrote {path}")
