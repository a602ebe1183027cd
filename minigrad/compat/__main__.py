"""Run a PyTorch script on minigrad: python -m minigrad.compat script.py arguments… (or -m module arguments…)."""

import importlib
import os
import runpy
import sys
import types

USAGE = "usage: python -m minigrad.compat (script.py | -m module) [arguments ...]"
HELP = f"""{USAGE}

Run a PyTorch program on minigrad as it is: import torch and import torchvision give minigrad, the arguments are the
program's sys.argv, and it ends with the program's exit status. Nothing is installed or changed."""


def _without_the_runner(hook):
    """Return an excepthook that leaves the runner's frames out: a traceback begins in the program."""
    runners = (__file__, runpy.__file__)

    def excepthook(kind, error, trace):
        first = trace
        while first is not None and (
            first.tb_frame.f_code.co_filename in runners or first.tb_frame.f_code.co_filename.startswith("<frozen ")
        ):
            first = first.tb_next
        # nothing left: the error is the runner's
        shown = trace if first is None and not isinstance(error, (SyntaxError, ImportError)) else first
        hook(kind, error.with_traceback(shown), shown)

    return excepthook


def _run_file(path):
    """Run a file as `python path` does."""
    if os.path.isdir(path):
        path = os.path.join(path, "__main__.py")
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"python -m minigrad.compat: can't open file {path!r}: {error.strerror}", file=sys.stderr)
        return 2
    if b"torch.nested" in source or b"torch.jagged" in source or b"torch import nested" in source:
        importlib.import_module("minigrad.nested")  # before the program takes functions by name
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    module = types.ModuleType("__main__")
    module.__file__ = os.path.abspath(path)
    module.__builtins__ = __builtins__
    module.__cached__ = None
    sys.modules["__main__"] = module
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - the user's own program
    return 0


def main(arguments):
    """Run the script or module that the arguments name, with the rest as its sys.argv; return the exit status."""
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        asked = bool(arguments) and arguments[0] != "-m"
        print(HELP if asked else USAGE, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    import minigrad.compat.torch  # noqa: F401 - answers `import torch` from here on

    sys.excepthook = _without_the_runner(sys.excepthook)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    if arguments[0].startswith("-"):
        print(f"python -m minigrad.compat: unknown option {arguments[0]}\n{USAGE}", file=sys.stderr)
        return 2
    sys.argv = list(arguments)
    return _run_file(arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
