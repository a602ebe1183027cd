"""The command line of the networks: python -m models COMMAND …"""
import argparse
import os
import sys
import warnings

import models
from models.commands import (
    eval,
    experiments,
    figures,
    filters,
    graph,
    multilabel,
    predict,
    sentences,
    summary,
    train,
)
from models.common import CommandError, terminated_as_interrupted

# Each command is a module with HELP (a line), add_arguments(parser) and run(arguments), which returns the exit code.
COMMANDS = {
    "train": train,
    "eval": eval,
    "predict": predict,
    "summary": summary,
    "figures": figures,
    "filters": filters,
    "graph": graph,
    "multilabel": multilabel,
    "sentences": sentences,
    "experiments": experiments,
}


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, without the usage before it."""

    def error(self, message):
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


class CommandParser(Parser):
    """A command's parser, which itself complains of arguments that it does not know, by its own name."""

    def parse_known_args(self, args=None, namespace=None):
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def parser():
    top = Parser(prog="python -m models", description=f"Networks: {', '.join(models.list())}.")
    commands = top.add_subparsers(
        dest="command", metavar="{" + ",".join(COMMANDS) + "}", required=True, parser_class=CommandParser
    )
    for name, module in COMMANDS.items():
        sub = commands.add_parser(
            name, help=module.HELP, description=module.HELP, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(arguments=None):
    """Run one command; returns the exit code: 0 done, 2 a mistake of the user's, 130 interrupted."""
    parsed = parser().parse_args(arguments)
    try:
        with terminated_as_interrupted():
            return parsed.run(parsed)
    except CommandError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)  # one line, however many the cause took
        return 2
    except BrokenPipeError:  # the reader of the output has gone, as head does: nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    sys.exit(main())
