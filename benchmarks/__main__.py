"""The command line of the measurements: python -m benchmarks COMMAND …"""
import argparse
import importlib
import os
import sys

# Each command is a module with HELP, add_arguments(parser) and run(arguments), which returns the exit code.
COMMANDS = ("cnn", "ops", "footprint", "gpu", "report")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, without the usage before it."""

    def error(self, message):
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def parser():
    top = Parser(prog="python -m benchmarks", description="Measurements: see benchmarks/README.md.")
    commands = top.add_subparsers(dest="command", metavar="{cnn,ops,footprint,gpu,overhead,report}", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"benchmarks.{name}")
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    commands.add_parser("overhead", help="what one tiny operation costs beside NumPy; has its own --help")
    return top


def main(arguments=None):
    """Run one command; returns the exit code: 0 done, 1 a library failed, 2 a user's mistake, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["overhead"]:  # it sets the threads of NumPy before anything imports that
            importlib.import_module("benchmarks.overhead").main(arguments[1:])
            return 0
        return run(arguments)
    except BrokenPipeError:  # the reader of the output has gone, as head does: nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def run(arguments):
    from benchmarks.processes import MeasuringError
    from models.common import CommandError

    try:
        parsed = parser().parse_args(arguments)
        return parsed.run(parsed)
    except (CommandError, MeasuringError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2 if isinstance(error, CommandError) else 1


if __name__ == "__main__":
    sys.exit(main())
